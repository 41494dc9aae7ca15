"""What stands in the annotations of a view: where a value comes from, and what an answer is."""

from __future__ import annotations

import binascii
import typing as t
from base64 import b64decode
from dataclasses import dataclass, field

T = t.TypeVar("T")


@dataclass(frozen=True, slots=True)
class In:
    """Names the part of a request that a value is read from.

    :param where: ``query``, ``header``, ``cookie``, ``form`` or ``body``.
    """

    where: str


@dataclass(frozen=True, slots=True)
class Name:
    """Gives a parameter another name in the request than it has in Python.

    :param wire: the name in the request.
    """

    wire: str


#: ``Query[int]`` is read from the query; a class is read field by field.
Query = t.Annotated[T, In("query")]
#: ``Header[str]`` is read from the header of the parameter's name, with ``-`` for ``_``.
Header = t.Annotated[T, In("header")]
#: ``Cookie[str]`` is read from a cookie.
Cookie = t.Annotated[T, In("cookie")]
#: ``Form[Login]`` is read from a form, urlencoded or multipart.
Form = t.Annotated[T, In("form")]
#: ``Body[list[int]]`` is read from the JSON body.
Body = t.Annotated[T, In("body")]

#: The default of a parameter that a provider fills, so that the typed client need not pass it.
given: t.Any = None

#: ``Created[Order]`` is the annotation of ``return order, 201``.
Created = tuple[T, t.Literal[201]]
#: ``Accepted[Job]`` is the annotation of ``return job, 202``.
Accepted = tuple[T, t.Literal[202]]


@dataclass(frozen=True, slots=True)
class Streamed:
    """Marks an iterator that is sent as server-sent events."""


#: What an ``async def`` view returns that yields server-sent events.
EventStream = t.Annotated[t.AsyncIterator[T], Streamed()]
#: The same for a plain generator.
SyncEventStream = t.Annotated[t.Iterator[T], Streamed()]


# -- who asks -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Security:
    """A way to show who asks. It reads the credentials, and is a scheme in the document.

    :param scheme_name: the scheme's name in the document.
    """

    scheme_name: str = ""
    where: t.ClassVar[str] = "header"
    challenge: t.ClassVar[str | None] = None
    scopes: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def wire(self) -> str:
        """The name of the header, cookie or query parameter."""
        return "Authorization"

    def take(self, text: str) -> t.Any:
        """Return the credentials, None if these are of another kind.

        :param text: the header, or whatever holds them.
        """
        return text or None

    def scheme(self) -> dict[str, t.Any]:
        """Return the Security Scheme Object (OpenAPI 3.1, section 4.8.27)."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class BearerToken(Security):
    """Reads the token of ``Authorization: Bearer`` (RFC 6750, section 2.1)."""

    scheme_name: str = "bearer"
    challenge: t.ClassVar[str | None] = "Bearer"

    def take(self, text: str) -> t.Any:  # noqa: D102 (as in the base class)
        kind, _, token = text.partition(" ")
        return token.strip() or None if kind.lower() == "bearer" else None

    def scheme(self) -> dict[str, t.Any]:  # noqa: D102
        return {"type": "http", "scheme": "bearer"}


@dataclass(frozen=True, slots=True)
class OAuth2(BearerToken):
    """Reads a token that was got by OAuth 2 with a password.

    :param token_url: where the token is got, in the document.
    :param scopes: what each scope allows, in the document.
    """

    scheme_name: str = "oauth2"
    token_url: str = "/token"  # noqa: S105 (a URL)

    def scheme(self) -> dict[str, t.Any]:  # noqa: D102
        flow = {"tokenUrl": self.token_url, "scopes": dict(self.scopes)}
        return {"type": "oauth2", "flows": {"password": flow}}


@dataclass(frozen=True, slots=True)
class _BasicCredentials(Security):
    scheme_name: str = "basic"
    challenge: t.ClassVar[str | None] = 'Basic realm="api", charset="UTF-8"'

    def take(self, text: str) -> t.Any:
        kind, _, encoded = text.partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            username, colon, password = b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        return Basic(username, password) if colon else None

    def scheme(self) -> dict[str, t.Any]:
        return {"type": "http", "scheme": "basic"}


@dataclass(frozen=True, slots=True)
class APIKey(Security):
    """Reads a key from a header, or from a cookie or the query.

    :param name: the name of the header, cookie or query parameter.
    :param place: ``header``, ``cookie`` or ``query``.
    """

    name: str = "X-API-Key"
    place: str = "header"

    def __init__(self, name: str = "X-API-Key", place: str = "header") -> None:
        for attribute, value in (("name", name), ("place", place), ("scopes", {})):
            object.__setattr__(self, attribute, value)
        object.__setattr__(self, "scheme_name", f"key-{place}-{name}".lower())

    @property
    def where(self) -> str:  # type: ignore[override]
        """The part of the request."""
        return self.place

    @property
    def wire(self) -> str:  # noqa: D102
        return self.name

    def scheme(self) -> dict[str, t.Any]:  # noqa: D102
        return {"type": "apiKey", "in": self.place, "name": self.name}


class SessionCookie(APIKey):
    """Reads the cookie that holds the application's session, as it is.

    :param name: the cookie's name: ``SESSION_COOKIE_NAME``.
    """

    __slots__ = ()

    def __init__(self, name: str = "session") -> None:
        super().__init__(name, "cookie")


#: The token of ``Authorization: Bearer``; 401 where there is none.
Bearer = t.Annotated[str, BearerToken()]


class Basic(t.NamedTuple):
    """Name and password of ``Authorization: Basic`` (RFC 7617); 401 where there are none."""

    username: str
    password: str


#: Read where a parameter is annotated with :class:`Basic`.
BASIC = _BasicCredentials()
