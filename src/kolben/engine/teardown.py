"""The end of a request, and what becomes of one whose teardown functions raise.

All of them are called, whatever one raises (:func:`.ctx.raise_failures`). Then its error is treated as one of
the view's: it is logged, and the client is sent a 500, unless the answer is one already. In debug mode and in
tests it is raised.
"""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import InternalServerError

from ..ctx import PRESERVE
from ..signals import got_request_exception
from .results import error_response

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ..app import Flask
    from ..ctx import RequestContext
    from ..wrappers import Response


def leave(
    app: Flask,
    context: RequestContext,
    environ: WSGIEnvironment,
    failure: BaseException | None,
    start_response: StartResponse | None = None,
    body: t.Any = None,
) -> t.Any:
    """Call the teardown functions, and stop being in the request's context.

    :param app: the application.
    :param context: the context.
    :param environ: the environment.
    :param failure: what has ended the request, as teardown functions are told.
    :param start_response: has taken status and headers; None where an error is on its way to the server.
    :param body: the body to be sent.
    :return: the body, or that of a 500 where a teardown function has failed.
    """
    if PRESERVE in environ:
        preserve_contexts(environ, context)
    reported = None if failure is None else to_report(app, failure)
    try:
        if context.entry_token is None:
            context.pop(reported)
        else:
            context._leave(context.entry_token, reported, True)
    except Exception as error:
        is_answer = failure is None and start_response is not None
        if is_answer and _starts_only_once(environ):
            _close(body)
            raise  # the server logs it and sends a 500
        report(app, context, error)
        if start_response is not None and is_answer:
            _close(body)
            return _answer_failed(app, context, environ, start_response, error)
    return body


def preserve_contexts(told: t.Mapping[str, t.Any], context: RequestContext) -> None:
    """Show the contexts of a request that ends to the test client or debugger that wants them.

    :param told: the WSGI environment, or the ASGI scope, in which that has put a function.
    :param context: the context of the request.
    """
    preserve = told.get(PRESERVE)
    if preserve is not None:
        preserve(context.app_context)
        preserve(context)


def to_report(app: Flask, failure: BaseException | None) -> BaseException | None:
    """Return what the teardown functions are told of the error that ended a request.

    :param app: the application.
    :param failure: the error; None if there was none.
    """
    return None if failure is None or app.should_ignore_error(failure) else failure


def _starts_only_once(environ: WSGIEnvironment) -> bool:
    """Tell whether the server cannot take another answer for the one that was started (PEP 3333).

    Gunicorn sends the headers of both, two lengths among them.
    """
    server: str = environ.get("SERVER_SOFTWARE", "")
    return server.startswith("gunicorn")


def _close(body: t.Any) -> None:
    if hasattr(body, "close"):
        body.close()


def report(app: Flask, context: RequestContext, error: Exception) -> None:
    """Log the error of a teardown function, or raise it where the application propagates errors.

    :param app: the application.
    :param context: the request's context, which need not be the current one any more.
    :param error: the error.
    """
    with context.activate():
        got_request_exception.send(app, _async_wrapper=app.ensure_sync, exception=error)
        propagate = app.config["PROPAGATE_EXCEPTIONS"]
        if app.testing or app.debug if propagate is None else propagate:
            raise error
        exc_info: t.Any = type(error), error, error.__traceback__
        app.log_exception(exc_info)


def failed_response(app: Flask, error: Exception, context: RequestContext) -> Response:
    """Make the answer of a request whose teardown has failed. No hook and no handler sees it.

    :param app: the application.
    :param error: the error of the teardown function.
    :param context: the request's context, which was left.
    """
    with context.activate():
        made = error_response(app, context, InternalServerError(original_exception=error))
    response: t.Any = app.response_class.force_type(made)
    return t.cast("Response", response)


def _answer_failed(
    app: Flask,
    context: RequestContext,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    error: Exception,
) -> t.Iterable[bytes]:
    """Answer a WSGI server in place of the answer that it was told to start (PEP 3333, "exc_info").

    :param app: the application.
    :param context: the request's context.
    :param environ: the environment.
    :param start_response: takes status and headers.
    :param error: the error of the teardown function.
    """
    exc_info: t.Any = type(error), error, error.__traceback__

    def start_anew(status: str, headers: list[tuple[str, str]], _: t.Any = None) -> t.Any:
        return start_response(status, headers, exc_info)

    return failed_response(app, error, context)(environ, t.cast("t.Any", start_anew))


def is_same_fault(error: BaseException, other: BaseException | None) -> bool:
    """Tell whether two errors are of the same type, and were raised at the same place.

    :param error: an error.
    :param other: another one.
    """
    return type(error) is type(other) and _place(error) == _place(other)


def _place(error: t.Any) -> tuple[t.Any, int | None]:
    traceback: t.Any = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return (None, None) if traceback is None else (traceback.tb_frame.f_code, traceback.tb_lineno)
