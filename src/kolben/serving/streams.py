"""Finding the views of a program that stream for long: what they hold decides about the interface.

Read from the code objects, as the views cannot be called to see what they return.
"""

from __future__ import annotations

import functools
import types
import typing as t
from inspect import CO_ASYNC_GENERATOR, unwrap

if t.TYPE_CHECKING:
    from collections.abc import Iterator

#: Functions whose result is a stream of events, whatever they are given.
_EVENTS = {("kolben.sse", "event_stream")}

#: How far to follow calls of the program's own functions.
_DEPTH = 4


def makes_stream(view: t.Any) -> bool:
    """Tell whether a view makes an asynchronous generator, or a stream of events.

    Followed are the functions of its own package that it names. What it gets from elsewhere, or by other
    names, is not seen: this is a guess for a default.

    :param view: the view function, plain or of a class.
    """
    package = _package(view)
    return any(_makes_stream(each, package, _DEPTH, set()) for each in _functions(view))


def _package(view: t.Any) -> str:
    view = getattr(view, "view_class", None) or _function_of(view)
    return str(getattr(view, "__module__", None)).partition(".")[0]


def _functions(view: t.Any) -> Iterator[t.Any]:
    """A view's function, or the methods of its class that answer requests."""
    view_class = getattr(view, "view_class", None)
    if view_class is None:
        yield view
        return
    for name in ("dispatch_request", *(method.lower() for method in view_class.methods or ())):
        yield getattr(view_class, name, None)


def _makes_stream(value: t.Any, package: str, depth: int, seen: set[int]) -> bool:
    function = _function_of(value)
    if function is None or id(function) in seen:
        return False
    seen.add(id(function))
    if (function.__module__, function.__name__) in _EVENTS:
        return True
    codes = list(_codes(function.__code__))
    if any(code.co_flags & CO_ASYNC_GENERATOR for code in codes):
        return True
    if depth == 0 or str(function.__module__).partition(".")[0] != package:
        return False
    names = {name for code in codes for name in code.co_names}
    return any(_makes_stream(named, package, depth - 1, seen) for named in _named(function, names))


def _function_of(value: t.Any) -> types.FunctionType | None:
    """The Python function behind a method, a partial or a decorator's wrapper."""
    # By its type: to ask proxies and lazy objects for an attribute may do anything.
    while isinstance(value, functools.partial | types.MethodType):
        value = value.func if isinstance(value, functools.partial) else value.__func__
    if not isinstance(value, types.FunctionType):
        return None
    try:
        inner = unwrap(value)
    except ValueError:  # they go in a circle
        return value
    return inner if isinstance(inner, types.FunctionType) else None


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A function's code, and that of the functions and expressions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _named(function: types.FunctionType, names: set[str]) -> Iterator[t.Any]:
    """What a function may mean by the names in it: globals, what modules have, and closures."""
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, types.ModuleType):
            yield from (vars(value).get(inner) for inner in names)
        else:
            yield value
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            pass  # not filled yet
