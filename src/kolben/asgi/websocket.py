"""Running the handler of a WebSocket, from the handshake to the close.

    match -> before hooks -> handler -> after hooks -> close -> teardown

An error before the handshake is accepted is answered as an HTTP request would be, where the server
can (the extension ``websocket.http.response`` of ASGI), and with 403 where it cannot. After
that it closes the WebSocket: 1011, or 1008 for an HTTP error that says it was the client's.
"""

from __future__ import annotations

import asyncio
import typing as t
from functools import partial

from werkzeug.exceptions import Forbidden, HTTPException, InternalServerError

from ..concurrency import in_thread, is_coroutine_function, server_loop
from ..ctx import raise_failures, send_to_all
from ..engine.lifetime import start_late
from ..engine.teardown import to_report
from ..globals import reset_current, set_current
from ..json.refusals import refusal_of
from ..logging import printable, shown_error
from ..sessions import SecureCookieSessionInterface
from ..signals import (
    appcontext_pushed,
    got_request_exception,
    got_websocket_exception,
    websocket_finished,
    websocket_started,
    websocket_tearing_down,
)
from ..websockets import (
    InvalidMessage,
    WebSocket,
    WebSocketDisconnect,
    WebSocketView,
    is_origin_allowed,
)
from .calls import call, listed, send_signal, tear_down_app_context, while_handling
from .context import WebSocketContext
from .scope import Scope, logger
from .send import close_body, drop, start_message

if t.TYPE_CHECKING:
    from ..app import Flask
    from ..websockets import Receive, Send
    from ..wrappers import Response


async def serve_websocket(app: Flask, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a WebSocket (ASGI WebSocket specification 2.5).

    :param app: the application.
    :param scope: what is known of the connection.
    :param receive: gives the server's messages.
    :param send: takes ours.
    """
    if (await receive())["type"] != "websocket.connect":
        return
    try:
        scope["scheme"] = scope.get("scheme") or "ws"
        context = WebSocketContext(app, scope, receive, send)
        context.environ  # noqa: B018 (a malformed scope shows itself here)
    except HTTPException:
        await send({"type": "websocket.close", "code": 1000})
        return
    if app.engine_plan.short_way is None:
        await start_late(app)
        app.engine_plan.decide(app)
    server_loop.set(context.loop)
    context.entry_token = set_current(context)
    failure: BaseException | None = None
    try:
        if appcontext_pushed.receivers:
            await send_signal(app, appcontext_pushed)
        await _converse(app, context)
    except asyncio.CancelledError as error:
        failure = error
        if not context.cancelled:
            raise
        # It was us, because the client has left: the server need not hear of it.
        t.cast("asyncio.Task[t.Any]", asyncio.current_task()).uncancel()
    except WebSocketDisconnect:
        pass  # while it was being refused
    except BaseException as error:
        failure = error
        raise
    finally:
        try:
            await context.websocket._stop_watching()
        finally:
            try:
                await _leave(app, context, to_report(app, failure or context.failure))
            except Exception as error:
                # The WebSocket is closed by now, so that there is only the log to tell.
                if await _report(app, context, error):
                    raise


async def _converse(app: Flask, context: WebSocketContext) -> None:
    websocket = context.websocket
    try:
        try:
            result = await _handle(app, context)
        finally:
            await websocket._handshake_ends()
    except WebSocketDisconnect:
        await websocket.close()  # or wait until it has been
    except InvalidMessage as error:
        logger.warning("%s: %s It is closed with 1007.", printable(websocket.path), error)
        await websocket.close(1007, "The message is not JSON.")
    except Exception as error:
        await _deal_with(app, context, error)
    else:
        await _end(app, context, result)
    await _save_late_session(app, context)


async def _handle(app: Flask, context: WebSocketContext) -> t.Any:
    """Call the hooks and the handler; return what one of them has answered."""
    websocket = context.websocket
    if not app.engine_plan.opens_session_late:
        # It may well ask another machine.
        await in_thread(lambda: context._session)
    context.match_request()
    if websocket_started.receivers:
        await send_signal(app, websocket_started)
    names = (None, *reversed(websocket.blueprints))
    for preprocess in listed(app.url_value_preprocessors, names):
        await call(preprocess, websocket.endpoint, websocket.view_args)
    if websocket.routing_exception is not None:
        raise websocket.routing_exception
    view = app.view_functions[websocket.endpoint or ""]
    _check_origin(app, websocket, view)
    for hook in listed(app.before_websocket_funcs, names):
        result = await call(hook)
        if result is not None:
            return result
    handler: t.Any = view.handler if isinstance(view, WebSocketView) else view
    if not is_coroutine_function(handler):
        raise TypeError(
            f"The view for {websocket.endpoint!r} is no WebSocket handler: register it with"
            " @app.websocket(...)."
        )
    return await handler(**(websocket.view_args or {}))


def _check_origin(app: Flask, websocket: WebSocket, view: t.Any) -> None:
    allowed = view.origins if isinstance(view, WebSocketView) else None
    if allowed is None:
        allowed = app.config.get("WEBSOCKET_ORIGINS") or ()
    origin = websocket.headers.get("Origin")
    if not is_origin_allowed(origin, websocket.host, allowed):
        logger.warning(
            "%s: refused the origin %r; allow it with WEBSOCKET_ORIGINS or origins=[...].",
            printable(websocket.path),
            origin,
        )
        raise Forbidden("Pages of this origin may not connect.")


# -- the end --------------------------------------------------------------------------------


async def _end(app: Flask, context: WebSocketContext, result: t.Any) -> None:
    """End a WebSocket whose handler has returned."""
    websocket = context.websocket
    response: Response | None = None
    if result is not None and not websocket.accepted and websocket.close_code is None:
        response = await in_thread(app.make_response, result, drop=close_body)
    elif result is not None:
        logger.warning(
            "The handler for %r returned a value after the WebSocket was accepted, when the"
            " client cannot be sent it any more.",
            websocket.endpoint,
        )
        await drop(result)
    try:
        response = await _after(app, websocket, response)
    except Exception as error:
        await _deal_with(app, context, error)
        return
    if response is None:
        await websocket.close()
    else:
        await _deny(context, response)


async def _after(app: Flask, websocket: WebSocket, response: Response | None) -> Response | None:
    """Call the after hooks; where one of them fails, the response is closed."""
    hooks = app.after_websocket_funcs
    try:
        if hooks:
            for name in (*websocket.blueprints, None):
                for hook in reversed(hooks.get(name, ())):
                    response = await call(hook, response)
        if websocket_finished.receivers:
            await send_signal(app, websocket_finished, response=response)
    except BaseException:
        if response is not None:
            await drop(response)
        raise
    return response


async def _deal_with(app: Flask, context: WebSocketContext, error: Exception) -> None:
    """End a WebSocket whose handler, or a hook, has raised an error."""
    websocket = context.websocket
    if not websocket.accepted:
        try:
            response = await _answer_error(app, error)
            answer = await _after(app, websocket, response)
        except Exception as unhandled:
            error = unhandled
        else:
            await _deny(context, response if answer is None else answer)
            return
    elif (refusal := refusal_of(error, websocket)) is not None:
        reason = refusal.description or ""
        logger.warning("%s: %s It is closed with 1008.", printable(websocket.path), reason)
        await websocket.close(1008, reason)
        return
    elif isinstance(error, HTTPException) and (error.code or 500) < 500:
        await websocket.close(1008, f"{error.code} {error.name}")
        return
    await _fail(app, context, error)


async def _answer_error(app: Flask, error: Exception) -> Response:
    """Return what is answered to an error, if anything handles it."""

    def answer() -> Response:
        return app.make_response(while_handling(error, app.handle_user_exception))

    try:
        return await in_thread(answer)
    except BaseException:
        await drop(error)
        raise


async def _fail(app: Flask, context: WebSocketContext, error: Exception) -> None:
    """End a WebSocket with an error that nothing has handled."""
    websocket = context.websocket
    context.failure = error
    propagate = await _report(app, context, error)
    if websocket.accepted:
        await websocket.close(1011)
    else:
        server_error = InternalServerError(original_exception=error)
        result: t.Any = server_error
        handler = app._find_error_handler(server_error, websocket.blueprints)
        if handler is not None and not propagate:
            result = await call(handler, server_error)
        await _deny(context, await in_thread(app.make_response, result, drop=close_body))
    if propagate:
        raise error


async def _report(app: Flask, context: WebSocketContext, error: Exception) -> bool:
    """Tell of an error that nothing has handled.

    :return: whether it is raised instead of being logged.
    """
    for signal in (got_websocket_exception, got_request_exception):
        if signal.receivers:
            await send_signal(app, signal, exception=error)
    chosen: bool | None = app.config["PROPAGATE_EXCEPTIONS"]
    propagate = app.testing or app.debug if chosen is None else chosen
    if not propagate:
        path = printable(context.websocket.path)
        app.logger.error("Exception on %s [WEBSOCKET]", path, exc_info=shown_error(error))
    return propagate


async def _deny(context: WebSocketContext, response: Response) -> None:
    """Refuse the handshake with a response, or with what the server makes of a close."""
    websocket = context.websocket
    try:
        if websocket.close_code is not None:
            return
        if "websocket.http.response" not in (context.scope.get("extensions") or ()):
            await websocket.close()
            return
        websocket.close_code = 1006
        for cookie in await context.save_session():
            response.headers.add("Set-Cookie", cookie)
        body, status, headers = response.get_wsgi_response(context.environ)
        data = await in_thread(b"".join, body)
        start = start_message(status, headers)
        await websocket._pass({**start, "type": "websocket.http.response.start"})
        await websocket._pass({"type": "websocket.http.response.body", "body": data})
    finally:
        await in_thread(response.close)


async def _save_late_session(app: Flask, context: WebSocketContext) -> None:
    """Save what was changed in the session after the accept, where no cookie is needed for it."""
    session = context.opened_session
    if session is None or not session.modified or not context.websocket.accepted:
        return
    if isinstance(app.session_interface, SecureCookieSessionInterface):
        logger.warning(
            "%s: the session was changed after the WebSocket was accepted, when no cookie can be"
            " sent any more; change it before accept().",
            printable(context.websocket.path),
        )
    else:
        await context.save_session()


async def _leave(app: Flask, context: WebSocketContext, error: BaseException | None) -> None:
    """Call the teardown functions and stop being the current context."""
    token = t.cast("t.Any", context.entry_token)
    context.entry_token = None
    failures: list[BaseException] = []
    for name in (*context.websocket.blueprints, None):
        for hook in reversed(app.teardown_websocket_funcs.get(name, ())):
            try:
                await call(hook, error)
            except BaseException as failure:
                failures.append(failure)
    if websocket_tearing_down.receivers:
        try:
            await in_thread(partial(send_to_all, app, websocket_tearing_down, failures, exc=error))
        except BaseException as failure:  # cancelled
            failures.append(failure)
    reset_current(token)
    try:
        await tear_down_app_context(app, context, error)
    except BaseException as failure:
        failures.append(failure)
    if failures:
        raise_failures(app, failures)
