"""Errors as problem details (RFC 9457): one shape for all that an API refuses."""

from __future__ import annotations

import typing as t
from functools import lru_cache

import msgspec
from werkzeug.exceptions import HTTPException, UnprocessableEntity, default_exceptions

from ..globals import get_current
from ..problems import MIMETYPE, as_problem, problem_type, reason
from ..wrappers import Response
from .kinds import annotations_of, models_in, narrowed

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PROBLEM_HEADER = ("Content-Type", MIMETYPE)
#: The most faults that are listed of one request; the ``detail`` has their number.
MOST_FAULTS = 100

_encode = msgspec.json.Encoder(decimal_format="number").encode
_OWN = frozenset({"detail", "instance"})


class _Hidden:
    """Hides a property of a base class, so that a member of that name is the instance's own."""

    def __get__(self, instance: t.Any, owner: t.Any) -> t.Any:
        raise AttributeError("The problem has no such member.")


@t.dataclass_transform(kw_only_default=True)
class _Typed:
    """Makes type checkers see the annotated members of a problem in its constructor."""


class Problem(_Typed, HTTPException):
    """An error of an API, with members of its own.

    .. code-block:: python

        class OutOfStock(Problem, status=409, title="Out of stock"):
            sku: str
            left: int

        raise OutOfStock(sku="A-1", left=0)

    It is an HTTP exception as those of Werkzeug are: ``errorhandler(OutOfStock)`` and
    ``errorhandler(409)`` find it.

    :param detail: what is wrong this time, in a sentence.
    :param instance: a URI of this occurrence.
    """

    #: It makes its own response, wherever it is raised.
    __problem__: t.ClassVar[bool] = True
    detail: str | None = None
    instance: str | None = None

    code: t.ClassVar[int] = 500  # type: ignore[misc] # every problem has one
    title: t.ClassVar[str] = "Internal Server Error"
    type: t.ClassVar[str | None] = None
    #: The names of its own members, with their annotations.
    members: t.ClassVar[dict[str, t.Any]] = {}

    def __init_subclass__(
        cls, status: int | None = None, title: str | None = None, type: str | None = None
    ) -> None:
        super().__init_subclass__()
        if status is not None:
            cls.code = status
            cls.title = title or reason(status)
            base = default_exceptions.get(status)
            if base is not None and not issubclass(cls, base):
                # So that a handler for the status, which is one for Werkzeug's class, finds it.
                cls.__bases__ = (*cls.__bases__, base)
        elif title is not None:
            cls.title = title
        if type is not None:
            cls.type = type
        own = annotations_of(cls)
        for name in own:
            # `name` and the like are properties of Werkzeug's class, which would hide the member.
            if isinstance(getattr(cls, name, None), property):
                setattr(cls, name, _Hidden())
        cls.members = {
            **{name: one for parent in cls.__bases__ for name, one in _members(parent).items()},
            **{name: one for name, one in own.items() if not _is_of_class(name, one)},
        }

    def __init__(self, **members: t.Any) -> None:
        self.detail = members.pop("detail", None)
        self.instance = members.pop("instance", None)
        HTTPException.__init__(self, self.detail or self.title)
        if members.keys() != self.members.keys():
            for name in members.keys() ^ self.members.keys():
                if name in members or not hasattr(type_of(self), name):
                    verb = "has no" if name in members else "needs its"
                    raise TypeError(f"{type_of(self).__name__} {verb} member {name!r}.")
        self.__dict__.update(members)

    def to_dict(self) -> dict[str, t.Any]:
        """Return its members as they are sent."""
        kind = type_of(self)
        document: dict[str, t.Any] = {
            "type": kind.type or problem_type(kind),
            "title": self.title,
            "status": self.code,
        }
        if self.detail is not None:
            document["detail"] = self.detail
        if self.instance is not None:
            document["instance"] = self.instance
        classes = _classes_in(kind)  # type: ignore[arg-type] # mypy hashes an instance
        for name in self.members:
            value = getattr(self, name)
            document[name] = narrowed(value, classes[name]) if name in classes else value
        return document

    def written(self) -> bytes:
        """Return its body."""
        return _encode(self.to_dict())

    def get_body(self, environ: WSGIEnvironment | None = None, scope: t.Any = None) -> str:
        """Return the body of its response."""
        return self.written().decode()

    def get_headers(
        self, environ: WSGIEnvironment | None = None, scope: t.Any = None
    ) -> list[tuple[str, str]]:
        """Return the headers of its response."""
        return [("Content-Type", MIMETYPE)]

    def get_response(self, environ: t.Any = None, scope: t.Any = None) -> t.Any:
        """Return its response."""
        if self.response is not None:
            return self.response
        response = Response(self.written(), self.code, mimetype=MIMETYPE)
        for name, value in self.get_headers(environ)[1:]:
            response.headers.add(name, value)
        return response


def type_of(problem: Problem) -> type[Problem]:
    """Return a problem's class, for which ``type`` is a member of its own."""
    return problem.__class__


@lru_cache(maxsize=1024)
def _classes_in(kind: type[Problem]) -> dict[str, t.Any]:
    """The members that hold classes with fields: of these no more is sent than they are annotated."""
    try:
        hints = t.get_type_hints(kind, include_extras=True)
    except NameError:  # of a class inside a function
        return {}
    return {name: hints[name] for name in kind.members if models_in(hints[name]).keys() - {Fault}}


def _members(kind: t.Any) -> dict[str, t.Any]:
    return getattr(kind, "members", {})


def _is_of_class(name: str, annotation: t.Any) -> bool:
    return name in _OWN or name.startswith("_") or "ClassVar" in str(annotation)


class Fault(msgspec.Struct, omit_defaults=True, rename={"where": "in"}):
    """One thing that is wrong with a request.

    :param where: ``path``, ``query``, ``header``, ``cookie``, ``body`` or ``form``.
    :param detail: what is wrong; never what was sent.
    :param name: the name of the parameter.
    :param pointer: where in the body (RFC 6901, section 6).
    """

    where: str
    detail: str
    name: str | None = None
    pointer: str | None = None


class InvalidRequest(Problem, UnprocessableEntity, status=422):
    """422: the request is not as the document says. ``errorhandler(InvalidRequest)`` sees them all.

    :param errors: the faults.
    """

    errors: list[Fault]

    def __init__(self, errors: list[Fault], count: int | None = None) -> None:
        count = count or len(errors)
        text = "1 fault" if count == 1 else f"{count} faults"
        super().__init__(detail=f"{text} in the request.", errors=errors[:MOST_FAULTS])


class MalformedBody(Problem, status=400):
    """400: the body is not JSON. ``errors`` says from which byte on, where that is known."""

    errors: list[Fault]


class WrongMediaType(Problem, status=415):
    """415: the body is of another type than the view takes."""


class Unauthorized(Problem, status=401):
    """401: the request does not show who asks.

    :param challenge: the header ``WWW-Authenticate`` (RFC 9110, section 11.6.1).
    """

    def __init__(self, challenge: str | None = None, **members: t.Any) -> None:
        super().__init__(**members)
        self.challenge = challenge

    def get_headers(self, environ: t.Any = None, scope: t.Any = None) -> list[tuple[str, str]]:
        """Return the headers, the challenge among them."""
        headers = super().get_headers(environ, scope)
        if self.challenge is not None:
            headers.append(("WWW-Authenticate", self.challenge))
        return headers


def answer_error(error: HTTPException) -> t.Any:
    """Answer an HTTP error with a problem, except on the views of plain blueprints."""
    context: t.Any = get_current()
    app, names = context.app, context.blueprint_names()
    if names and not any(hasattr(app.blueprints.get(name), "webhooks") for name in names):
        return error
    general = takes_all(app, names)
    return as_problem(error) if general is None else app.ensure_sync(general)(error)


answer_error.__problems__ = True  # type: ignore[attr-defined] # it gives a problem as it is


def takes_all(app: t.Any, names: t.Sequence[str]) -> t.Any:
    """Return the handler for all exceptions: it is one for problems, too, as where views are not typed.

    :param app: the application.
    :param names: the blueprints that the request belongs to, innermost first.
    :return: None if there is none.
    """
    for name in (*names, None) if hasattr(app, "webhooks") else names:
        handler = app.error_handler_spec.get(name, {}).get(None, {}).get(Exception)
        if handler is not None:
            return handler
    return None
