"""Which function of the program answers a request, whatever is wrapped around it."""

from __future__ import annotations

import typing as t
from functools import partial
from inspect import unwrap

if t.TYPE_CHECKING:
    from types import FunctionType

    from ..app import Flask
    from ..wrappers import Request


def find_view(app: Flask | None, request: Request | None) -> FunctionType | None:
    """Find the function that the developer has written for a request.

    Decorators that keep :func:`functools.wraps` are looked through, so are partial functions; of a
    class-based view it is the method that the request calls, of a callable object its ``__call__``.

    :param app: the application; None where it is not known.
    :param request: the request; None where it is not known.
    :return: the function; None where no route has matched, or no Python function answers.
    """
    if app is None or request is None or request.endpoint is None:
        return None
    view: t.Any = app.view_functions.get(request.endpoint)
    view = getattr(view, "handler", view)  # of a WebSocket
    view_class = getattr(view, "view_class", None)
    if view_class is not None:
        view = _method_of(view_class, request.method.lower())
    for _ in range(20):  # wrappers within wrappers, in any order
        inner = view.func if isinstance(view, partial) else unwrap(view) if callable(view) else view
        inner = getattr(inner, "__func__", inner)
        if inner is view:
            break
        view = inner
    if not hasattr(view, "__code__"):  # an object that is called
        view = vars(type(view)).get("__call__")
    return view if hasattr(view, "__code__") else None


def _method_of(view_class: t.Any, verb: str) -> t.Any:
    """Return the method of a class-based view that takes an HTTP method."""
    method = getattr(view_class, verb, None)
    if method is None and verb == "head":
        method = getattr(view_class, "get", None)
    return method or view_class.dispatch_request
