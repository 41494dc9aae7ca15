"""Whether agents or tests have patched the documented members of a class."""

from __future__ import annotations

import typing as t
from operator import is_, is_not
from types import FunctionType

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request as RequestBase, Response as ResponseBase

from ..http.headers import ResponseHeaders, check_cookie_attributes, check_headers
from ..http.readers import without_impossible_dates
from ..http.streaming import as_iterable
from ..wrappers import Request, Response, keeps_short_ways


class Members:
    """The documented members of a class that the engine takes short ways around, as they are ours.

    :param kind: the class, before anything can have patched it.
    """

    def __init__(self, kind: type) -> None:
        self._bases = kind.__mro__[:-1]
        self._names = tuple(
            name
            for name in dir(kind)
            if (not name.startswith("_") or name in {"__init__", "__call__"})
            and name != "has_short_ways"  # which is ours to change
        )
        self._ours = [
            _PATCHED if _is_wrapped(base, name) else member
            for (base, name), member in zip(self._places(), self._read(), strict=True)
        ]
        self._are_patched = any(map(is_not, self._read(), self._ours))
        #: Another object after each change that was noticed.
        self.stamp = object()
        # How the classes were when that was found out.
        self._known = self._copy()

    def _places(self) -> t.Iterator[tuple[type, str]]:
        # Of all classes: agents patch Werkzeug's methods, too, in place of which there may be one of ours.
        return ((base, name) for base in self._bases for name in self._names)

    def _read(self) -> list[t.Any]:
        return [members.get(name) for members in map(vars, self._bases) for name in self._names]

    def _copy(self) -> list[tuple[t.Any, list[t.Any]]]:
        return [(vars(base), list(vars(base).values())) for base in self._bases]

    def are_patched(self) -> bool:
        """Tell whether an agent or a test has put something in the place of one.

        By their identity: what wrapt puts around a function says that it is equal to it.

        PERF: reading the members takes 60 µs for a request's class, looking whether they may have changed 5.
        """
        if not all(
            len(now) == len(known) and all(map(is_, now.values(), known))
            for now, known in self._known
        ):
            self._known = self._copy()
            self.stamp = object()
            self._are_patched = any(map(is_not, self._read(), self._ours))
        return self._are_patched


class ReplacedMethods:
    """Methods of Werkzeug's request and response in place of which there are quicker ones of ours.

    What an agent puts around Werkzeug's is to be called all the same, with the arguments that were given, as
    Flask has none of its own there: Datadog finds out that way what a client has sent.
    """

    def yield_to_patches(self) -> None:
        """Put Werkzeug's methods in the place of ours while they are patched, and ours back after that."""
        for (kind, name), (ours, by_werkzeug) in _BY_WERKZEUG.items():
            now = vars(kind).get(name)
            if any(_is_wrapped(base, name) for base in kind.__mro__[1:-1]):
                if now is ours:
                    setattr(kind, name, by_werkzeug)
            elif now is by_werkzeug:
                setattr(kind, name, ours)


def find_short_ways() -> None:
    """Find out for each class of a program's own whether the short ways mean the same for it.

    Its methods may have been replaced since it was defined.
    """
    for kind in _subclasses(Response):
        if keeps_short_ways(kind):
            if "has_short_ways" in vars(kind):
                del kind.has_short_ways
        elif vars(kind).get("has_short_ways", True):
            kind.has_short_ways = False


def _subclasses(kind: type[Response]) -> t.Iterator[type[Response]]:
    for own in kind.__subclasses__():
        yield own
        yield from _subclasses(own)


def _is_wrapped(base: type, name: str) -> bool:
    """Tell whether a method is not as its class has been defined with it.

    Agents may have patched it before there was anything of ours that could remember what it was.
    """
    method = vars(base).get(name)
    is_theirs = base.__module__.startswith("werkzeug.")
    if not (is_theirs and callable(method)) or isinstance(method, type | staticmethod):
        return False
    return type(method) is not FunctionType or method.__globals__["__name__"] != base.__module__


# Stands for what a member was, where that is not known.
_PATCHED = object()


_our_init: t.Any = Request.__init__
_our_set_cookie: t.Any = Response.set_cookie


# Each with the arguments that it was given: agents see them.
def _init(self: t.Any, *args: t.Any, **kwargs: t.Any) -> None:
    _our_init(self, *args, **kwargs)
    RequestBase.__init__(self, *args, **kwargs)


def _init_response(self: t.Any, *args: t.Any, **kwargs: t.Any) -> None:
    given = list(args)
    if given:
        given[0] = as_iterable(given[0])
    elif "response" in kwargs:
        kwargs["response"] = as_iterable(kwargs["response"])
    ResponseBase.__init__(self, *given, **kwargs)
    headers = given[2] if len(given) > 2 else kwargs.get("headers")
    if isinstance(headers, Headers):
        check_headers(headers)
    else:
        self.headers = ResponseHeaders(self.headers)


def _get_data(self: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
    return RequestBase.get_data(self, *args, **kwargs)


def _get_json(self: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
    try:
        return RequestBase.get_json(self, *args, **kwargs)
    except RecursionError:
        # As ours does, for brackets in brackets that are deeper than a parser goes.
        given = dict(zip(("force", "silent"), args, strict=False)) | kwargs
        if given.get("silent"):
            return None
        return self.on_json_loading_failed(ValueError("It is nested too deeply."))


def _set_cookie(self: t.Any, *args: t.Any, **kwargs: t.Any) -> None:
    names = "key", "value", "max_age", "expires", "path", "domain"
    given: dict[str, t.Any] = {**dict(zip(names, args, strict=False)), **kwargs}
    if ";" in given["key"] or not given.get("value", "").isprintable():
        _our_set_cookie(self, *args, **kwargs)  # which refuses or escapes it
        return
    check_cookie_attributes(given.get("domain"), given.get("expires"))
    ResponseBase.set_cookie(self, *args, **kwargs)


def _make_conditional(
    self: t.Any, request_or_environ: t.Any, *args: t.Any, **kwargs: t.Any
) -> t.Any:
    try:
        ResponseBase.make_conditional(self, request_or_environ, *args, **kwargs)
    except OverflowError:
        environ = getattr(request_or_environ, "environ", request_or_environ)
        environ = without_impossible_dates(environ)
        ResponseBase.make_conditional(self, environ, *args, **kwargs)
    return self


_BY_WERKZEUG: dict[tuple[t.Any, str], tuple[t.Any, t.Any]] = {
    (Request, "__init__"): (Request.__init__, _init),
    (Request, "get_data"): (Request.get_data, _get_data),
    (Request, "get_json"): (Request.get_json, _get_json),
    (Response, "__init__"): (Response.__init__, _init_response),
    (Response, "set_cookie"): (Response.set_cookie, _set_cookie),
    (Response, "make_conditional"): (Response.make_conditional, _make_conditional),
}
