"""Whether agents or tests have patched the documented members of a class."""

from __future__ import annotations

import typing as t
from operator import is_, is_not
from types import FunctionType

from werkzeug.wrappers import Request as RequestBase

from ..wrappers import Request


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
            self._are_patched = any(map(is_not, self._read(), self._ours))
        return self._are_patched


class ReplacedMethods:
    """Methods of Werkzeug's request in place of which there are quicker ones of ours.

    What an agent puts around Werkzeug's is to be called all the same, as Flask has none of its own there:
    Datadog finds out that way what a client has sent.
    """

    def __init__(self) -> None:
        self._bases = {
            name: [base for base in Request.__mro__[1:-1] if name in vars(base)]
            for name in _BY_WERKZEUG
        }

    def yield_to_patches(self) -> None:
        """Put Werkzeug's methods in the place of ours while they are patched, and ours back after that."""
        for name, (ours, by_werkzeug) in _BY_WERKZEUG.items():
            now = vars(Request).get(name)
            if any(_is_wrapped(base, name) for base in self._bases[name]):
                if now is ours:
                    setattr(Request, name, by_werkzeug)
            elif now is by_werkzeug:
                setattr(Request, name, ours)


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


# Each with the arguments that it was given: agents see them.
def _init(self: t.Any, *args: t.Any, **kwargs: t.Any) -> None:
    _our_init(self, *args, **kwargs)
    RequestBase.__init__(self, *args, **kwargs)


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


_BY_WERKZEUG: dict[str, tuple[t.Any, t.Any]] = {
    "__init__": (Request.__init__, _init),
    "get_data": (Request.get_data, _get_data),
    "get_json": (Request.get_json, _get_json),
}
