"""What a view returned, turned into a response."""

from __future__ import annotations

import typing as t
from inspect import iscoroutine
from operator import is_not

from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response as BaseResponse

from ..globals import current_request_context, find_request_context
from ..views import View
from ..wrappers import Response, text_response
from .owners import as_chosen

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from ..app import Flask
    from ..ctx import RequestContext


class Payload(tuple[bytes, tuple[str, str], str]):
    """A body that is written already: its bytes, the header with its type, and the status line.

    What a layer above the engine returns in place of a response object. PERF: as a tuple it is made in
    0.1 µs, where a class with slots takes 0.25.
    """

    __slots__ = ()


def wrap_result(app: Flask, result: t.Any) -> Response:
    """Make a response object; :meth:`.Flask.make_response` says of what.

    :param app: the application whose view it is; a request is being handled.
    :param result: what the view returned.
    :raises TypeError: if it cannot become a response.
    """
    status = headers = None
    if type(result) is Payload:
        body, (_, kind), line = result
        return app.response_class(body, status=line, content_type=kind)
    if isinstance(result, tuple):
        result, status, headers = _unpack(result)
    if result is None:
        raise TypeError(
            f"{_view_name()} did not return a valid response. It returned None or ended"
            " without a return statement."
        )
    response = result
    if _is_body(result):
        # Status and headers go in at once: the default content type must give way.
        return app.response_class(result, status=status, headers=headers)
    if not isinstance(result, app.response_class):
        response = _convert(app, result)
    if status is not None:
        if isinstance(status, (str, bytes, bytearray)):
            response.status = status
        else:
            response.status_code = status
    if headers:
        response.headers.update(headers)
    return t.cast("Response", response)


def _is_body(result: t.Any) -> bool:
    """Tell whether it is text, bytes, or an iterator of them."""
    return (
        isinstance(result, (str, bytes, bytearray))
        or hasattr(result, "__next__")
        or hasattr(result, "__aiter__")
    )


def _convert(app: Flask, result: t.Any) -> t.Any:
    if isinstance(result, (dict, list)):
        return app.json.response(result)
    environ = find_request_context().environ
    if isinstance(result, HTTPException):
        if app.blueprints or app.config.get("PROBLEM_DETAILS"):
            result = error_response(app, find_request_context(), result)
        elif app.config["DEBUG"] and (page := _explain(app, result)) is not None:
            return page
        else:
            # PERF: calling the exception as a WSGI application and gathering what it sends takes
            # 60 µs; it makes its response itself.
            result = _page(app, result, environ)
    if isinstance(result, BaseResponse) or callable(result):
        try:
            return app.response_class.force_type(t.cast("t.Any", result), environ)
        except TypeError as error:
            raise TypeError(f"{error}\n{_wrong_type(result)}").with_traceback(
                error.__traceback__
            ) from None
    raise TypeError(_wrong_type(result))


def error_response(app: Flask, context: RequestContext, error: HTTPException) -> t.Any:
    """Make the response of an HTTP error that no handler has answered, as it was chosen.

    :param app: the application.
    :param context: the request's context.
    :param error: the error.
    """
    made, is_problem, varies = as_chosen(context, error)
    if app.config["DEBUG"] and (page := _explain(app, error, is_problem)) is not None:
        return page
    if isinstance(made, HTTPException):
        made = _page(app, made, context.environ)
    if varies and error.response is None:
        made.vary.add("Accept")
    return made


def _page(app: Flask, error: HTTPException, environ: WSGIEnvironment) -> t.Any:
    """Return the response that an HTTP error makes.

    PERF: the page of one that says nothing of its own is the same each time: 1.5 µs, where Werkzeug
    writes it anew for 8.
    """
    kind = type(error)
    if (
        vars(error) != _SAYS_NOTHING
        or app.response_class is not Response
        or not Response.has_short_ways
        or Response.default_mimetype != "text/html"
        or kind.code is None
        or default_exceptions.get(kind.code) is not kind
        # By identity, as what wrapt puts around a function says that it is equal to it.
        or any(map(is_not, [getattr(kind, name) for name in _PAGE_STEPS], _werkzeugs_steps))
    ):
        # Werkzeug's response is called, where something around its methods is to see that.
        if kind.__call__ is not _werkzeugs_steps[-1] or not Response.has_short_ways:
            return app.response_class.force_type(t.cast("t.Any", error), environ)
        return error.get_response(environ)
    # The description of a class may be changed, and so may the phrases.
    key = kind, kind.description, HTTP_STATUS_CODES.get(kind.code)
    page = _pages.get(key)
    if page is None:
        page = error.get_body(environ)
        if len(_pages) < _MOST_PAGES:
            _pages[key] = page
    return text_response(page, kind.code)


_PAGE_STEPS = (
    "get_response",
    "get_body",
    "get_description",
    "get_headers",
    "name",
    "__init__",
    "__call__",
)
_werkzeugs_steps: list[t.Any] = [getattr(HTTPException, name) for name in _PAGE_STEPS]
_SAYS_NOTHING = {"response": None}
_MOST_PAGES = 64
_pages: dict[tuple[t.Any, ...], str] = {}


def _explain(app: Flask, error: HTTPException, is_problem: bool = False) -> Response | None:
    """In debug mode, return the page that says why a request has not got what it asked for."""
    context = find_request_context()
    if app.testing or error.code not in {404, 405, 426}:
        return None
    from ..debugging.refusals import explain_refusal

    return explain_refusal(app, context.request, error, is_problem)


def _unpack(result: tuple[t.Any, ...]) -> tuple[t.Any, t.Any, t.Any]:
    """Split the tuple that a view returned into body, status and headers."""
    if len(result) == 3:
        return result
    if len(result) == 2:
        body, second = result
        if isinstance(second, (Headers, dict, tuple, list)):
            return body, None, second
        return body, second, None
    raise TypeError(
        f"{_view_name()} did not return a valid response tuple. The tuple must have the form"
        " (body, status, headers), (body, status), or (body, headers)."
    )


def _view_name() -> str:
    context = current_request_context()
    if context is None:
        return "The view function"
    request = context.request
    view = context.app.view_functions.get(request.endpoint or "")
    name = getattr(view, "__name__", None)
    named = "" if name is None else f" {name!r}"
    return f"The view function{named} for {request.endpoint!r}"


def _wrong_type(value: t.Any) -> str:
    if iscoroutine(value):
        value.close()  # which is not to be reported as never awaited, too
        return (
            f"{_view_name()} returned a coroutine: await it. {value.__qualname__}() is an 'async"
            " def' function, whose result is there only after 'await'."
        )
    if isinstance(value, View):
        name = type(value).__name__
        return f"{name} is a class; register the function that {name}.as_view('a name') returns."
    return (
        f"{_view_name()} did not return a valid response. It must be a string, dict, list, tuple"
        " with headers or status, Response instance, or WSGI callable, but it was a"
        f" {type(value).__name__}."
    )
