"""What stands in the annotations of a view: where a value comes from, and what an answer is."""

from __future__ import annotations

import typing as t
from base64 import b64decode
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, eq=False)
class Security:
    """A way to show who asks. It reads the credentials, and is a scheme in the document.

    :param scheme_name: the scheme's name in the document.
    :param scheme: the Security Scheme Object (OpenAPI 3.1, section 4.8.27).
    :param take: returns the credentials of a text, None if these are of another kind.
    :param challenge: what 401 asks for (RFC 9110, section 11.6.1).
    :param where: ``header``, ``cookie`` or ``query``.
    :param wire: the name there.
    :param scopes: the scopes that are asked for.
    """

    scheme_name: str
    scheme: dict[str, t.Any]
    take: t.Callable[[str], t.Any]
    challenge: str | None = None
    where: str = "header"
    wire: str = "Authorization"
    scopes: tuple[str, ...] = ()


def _take_token(text: str) -> str | None:
    kind, _, token = text.partition(" ")
    return token.strip() or None if kind.lower() == "bearer" else None


def _take_basic(text: str) -> Basic | None:
    kind, _, encoded = text.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        username, colon, password = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return Basic(username, password) if colon else None


def OAuth2(  # noqa: N802 (a marker, as those above)
    token_url: str, scopes: t.Mapping[str, str] | None = None
) -> Security:
    """Return the marker that reads a token which was got by OAuth 2 with a password.

    :param token_url: where the token is got, in the document.
    :param scopes: what each scope allows, in the document.
    """
    flow = {"tokenUrl": token_url, "scopes": dict(scopes or {})}
    scheme = {"type": "oauth2", "flows": {"password": flow}}
    return Security("oauth2", scheme, _take_token, "Bearer", scopes=tuple(scopes or ()))


def APIKey(name: str = "X-API-Key", place: str = "header") -> Security:  # noqa: N802
    """Return the marker that reads a key.

    :param name: the name of the header, cookie or query parameter.
    :param place: ``header``, ``cookie`` or ``query``.
    """
    scheme = {"type": "apiKey", "in": place, "name": name}
    return Security(f"key-{place}-{name}".lower(), scheme, _take_key, None, place, name)


def _take_key(text: str) -> str | None:
    return text or None


def SessionCookie(name: str = "session") -> Security:  # noqa: N802
    """Return the marker that reads the cookie of the session, as it is.

    :param name: the cookie's name: ``SESSION_COOKIE_NAME``.
    """
    return APIKey(name, "cookie")


#: The token of ``Authorization: Bearer``; 401 where there is none.
Bearer = t.Annotated[
    str, Security("bearer", {"type": "http", "scheme": "bearer"}, _take_token, "Bearer")
]


class Basic(t.NamedTuple):
    """Name and password of ``Authorization: Basic`` (RFC 7617); 401 where there are none."""

    username: str
    password: str


#: Read where a parameter is annotated with :class:`Basic`.
BASIC = Security(
    "basic", {"type": "http", "scheme": "basic"}, _take_basic, 'Basic realm="api", charset="UTF-8"'
)
