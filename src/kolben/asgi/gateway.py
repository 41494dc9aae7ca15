"""The ASGI gateway, and the way of a request whose view is an ``async def``.

`_answer_on_loop` is the asynchronous twin of `kolben.engine.answer.answer_request`: the same steps in the same order, with
each coroutine function awaited on the server's event loop, and each plain function called in a
worker thread. A request for a plain view goes the way of WSGI as a whole, in one worker thread.
Tests hold the two gateways together.
"""

from __future__ import annotations

import asyncio
import contextlib
import typing as t
from functools import partial

from werkzeug.exceptions import BadRequestKeyError, HTTPException
from werkzeug.routing import RoutingException
from werkzeug.wrappers import Response as BaseResponse

from .. import limits, tables
from ..concurrency import (
    before_coroutine,
    in_thread,
    is_coroutine_function,
    is_on_loop,
    never_blocks,
    on_loop,
    server_loop,
)
from ..ctx import PRESERVE, forget_what_is_over
from ..engine import lifetime as lifespan
from ..engine.answer import (
    answer_request,
    encode,
    encode_and_save,
    match_by_werkzeug,
)
from ..engine.lifetime import JOBS_KEY
from ..engine.owners import owners_of
from ..engine.plan import WITHIN, has_own_call, overrides_none
from ..engine.saving import save_session
from ..engine.teardown import failed_response, preserve_contexts, report, to_report
from ..engine.urls import is_odd_host
from ..globals import get_current, reset_current, set_current
from ..http.headers import BODIES
from ..http.streaming import BODY_KEY, streams_body
from ..routing.index import MOST_SEGMENTS, NOT_FOUND, Found, NoRoute
from ..signals import (
    appcontext_pushed,
    request_finished,
    request_started,
    request_tearing_down,
)
from ..threads import Pace, hook_workers, workers
from ..wrappers import Response, text_response
from .body import Body, watched
from .calls import listed, send_signal, tear_down, tear_down_app_context, while_handling
from .context import ASGIRequestContext
from .limits import answer_while_there, send_in_time
from .scope import Scope, is_absolute, logger, make_environ, split_path
from .send import (
    Answer,
    Send,
    call_wsgi,
    close_answer,
    drop,
    drop_answer,
    encode_start,
    encoded_lengths,
    encoded_types,
    prepare,
    send_plain,
    send_streamed,
    short_answer,
)

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from ..app import Flask
    from ..engine.entry import ASGIApp
    from ..engine.route import Route
    from .body import Receive


async def serve_connection(  # noqa: C901 (the way of each request; a call for a part takes 0.06 µs)
    entry: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve one ASGI connection (ASGI 3.0): what :class:`.ASGIApp` does from its first call on.

    :param entry: the application as the server has it.
    :param scope: what is known of the connection.
    :param receive: gives the client's messages: of a request, the pieces of its body, and that it leaves.
    :param send: takes ours.
    """
    app = entry.app
    within = get_current(None)
    if within is not None:
        within = forget_what_is_over()
    if scope.get("type") != "http":
        await _serve_other(app, scope, receive, send)
        return
    try:
        method: str = scope["method"]
        path: str = scope["path"]
        if type(path) is not str or not (path.isascii() or path.encode()):
            raise TypeError("the path must be text")
        given = scope.get("headers")
        if type(given) is not list:  # any iterable will do
            given = scope["headers"] = list(given or ())
        headers: dict[bytes, bytes] = dict(given)
        is_odd = within is not None or _odd_hosts[headers.get(b"host")]
        if scope.get("root_path"):
            path = split_path(scope)[1]
        body = None
        if method not in _BODILESS or b"content-length" in headers or _CODING in headers:
            body = _body_of(app, scope, headers, receive)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        logger.warning("Malformed ASGI scope: %r", error)
        await send_plain(send, 400)
        return
    plan = app.engine_plan
    if plan.looked_at is not tables.mark:
        await _look(app)
    # Plain code that this request calls finds the loop here.
    loop = asyncio.get_running_loop()
    if server_loop.get() is not loop:
        server_loop.set(loop)
    try:
        found = _PLAIN if is_odd else _find(app, path, method, headers)
        if plan.limits is not None:
            await _serve_within_limits(app, scope, receive, send, (body, headers, found))
            return
        if type(found) is Pace:
            answer = await _answer_in_thread(app, scope, body, receive, found)
        else:
            answer = await _answer_on_loop(app, scope, body, headers, found, receive)
        status, pairs, pieces = answer
        if type(pieces) is list or type(pieces) is tuple:
            # PERF: as in `start_message` and `whole_message`, without the calls (0.1 µs).
            if type(status) is not int:
                status, pairs = encode_start(status, pairs)
            whole = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            try:
                await send({"type": "http.response.start", "status": status, "headers": pairs})
                await send({"type": "http.response.body", "body": whole, "more_body": False})
            except OSError:
                pass  # the client has left
        else:
            await send_streamed(send, answer, scope, receive, body)
    finally:
        if BODY_KEY in scope or JOBS_KEY in scope or (body is not None and body.is_open):
            await _end(scope, body)


async def _end(scope: Scope, body: Body | None) -> None:
    """Close what there is of a request's body, and start what waits for the end of the request."""
    try:
        body = scope.pop(BODY_KEY, body)
        if body is not None and body.is_open:
            await body.close()
    finally:
        if JOBS_KEY in scope:
            scope[JOBS_KEY].start()


async def _serve_other(app: Flask, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a connection that is no HTTP request."""
    kind = scope.get("type")
    if kind == "websocket":
        from .websocket import serve_websocket

        await serve_websocket(app, scope, receive, send)
    elif kind == "lifespan":
        from .endings import cancelled_requests_end

        with _looking_for_patches(app):
            await lifespan.serve_lifespan(app, scope, receive, send, cancelled_requests_end)
    else:
        logger.warning("Malformed ASGI scope: unknown type %r", kind)


@contextlib.contextmanager
def _looking_for_patches(app: Flask) -> t.Iterator[None]:
    """Look now and then whether an agent has patched a class, for the time of a ``with`` block.

    PERF: 15 µs each second, and nothing for a request.
    """
    if not is_on_loop():  # of asyncio's: the lifespan says so
        yield
        return
    loop = asyncio.get_running_loop()

    def look() -> None:
        app.engine_plan.look_for_patches(app)
        timers[0] = loop.call_later(BETWEEN_LOOKS, look)

    timers = [loop.call_later(BETWEEN_LOOKS, look)]
    try:
        yield
    finally:
        timers[0].cancel()


#: The seconds after which a patched class counts, while a server runs.
BETWEEN_LOOKS = 1.0


# -- HTTP -----------------------------------------------------------------------------------


async def _serve_within_limits(
    app: Flask, scope: Scope, receive: Receive, send: Send, asked: tuple[t.Any, ...]
) -> None:
    """Answer and send, where the program has configured what ends that early."""
    cancels, seconds = t.cast("tuple[bool, float | None]", app.engine_plan.limits)
    body, headers, found = asked
    answer: Answer | None
    if type(found) is Pace:
        answer = await _answer_in_thread(app, scope, body, receive, found)
    elif cancels:
        answering = _answer_on_loop(app, scope, body, headers, found, receive)
        answer = await answer_while_there(answering, watched(scope, body, receive))
    else:
        answer = await _answer_on_loop(app, scope, body, headers, found, receive)
    if answer is not None:
        sending = send_streamed(send, answer, scope, receive, body)
        await send_in_time(sending, seconds, scope["path"])


class _OddHosts(dict["bytes | None", bool]):
    """Whether a host is odd, as far as it was asked. PERF: 0.02 µs for a known one, 0.05 of a function's cache."""

    _MOST = 256

    def __missing__(self, host: bytes | None) -> bool:
        is_odd = host is not None and is_odd_host(host.decode("latin-1"))
        if len(self) < self._MOST:
            self[host] = is_odd
        return is_odd


_odd_hosts = _OddHosts()

_Headers: t.TypeAlias = dict[bytes, bytes]

#: Says that a request is to go the way of WSGI, as any pace does; to which view is not known.
_PLAIN = Pace()

_NO_METHODS: dict[str, t.Any] = {}

#: What the route index says of a path; or how long its plain view takes.
_Found: t.TypeAlias = "Found[Route] | NoRoute | Pace | None"


def _find(app: Flask, path: str, method: str, headers: dict[bytes, bytes]) -> _Found:
    """Look for a route to a coroutine function.

    :return: the route index's answer; or a pace where the way of the request, or the view at its end, is
        plain, and where the path is more than a path.
    """
    plan = app.engine_plan
    if (
        plan.quiet_at is not tables.mark
        and not (plan.short_way and app.config["TRUSTED_HOSTS"] is None)
    ) or (plan.entered_by is not None or b"upgrade" in headers):
        return _PLAIN
    index = plan.routes
    if index.url_map._remap is not index.stamp:  # a rule was added
        index = plan.index_routes(app)
    found: Found[Route] | NoRoute | None = index.exact.get(path, _NO_METHODS).get(method)
    if found is None:
        segments = path.split("/", MOST_SEGMENTS)
        # PERF: as `find`, without the call (0.06 µs), where the function is written already.
        found = index.finders[len(segments)](segments, method)
        if found is None:
            found = index.find(path, method)
    if found is None or found is NOT_FOUND:
        if is_absolute(path):
            return _PLAIN
        # A converter of the user's may expect the request's context, which is not in force yet.
        if found is not None or index.runs_user_code:
            return found
        found = index.search(path, method)
        if found is None or found is NOT_FOUND:
            return found
    route = found[3]
    if route.prepared_at is not tables.mark:
        route.prepare(app)
    if route.is_async or route.endpoint not in app.view_functions:
        return found
    return route.pace


#: Methods of which a request has no body unless a header announces one. In HTTP/1.1 that is so
#: for all (RFC 9112, section 6.3); in HTTP/2 a body needs no announcement.
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_CODING = b"transfer-encoding"


def _body_of(
    app: Flask, scope: Scope, headers: dict[bytes, bytes], receive: Receive
) -> Body | None:
    if type(scope["method"]) is not str:
        raise TypeError("the method must be text")
    length = headers.get(b"content-length")
    if _CODING in headers:
        length = None
    elif length == b"0" or (length is None and _is_http1(scope)):
        return None
    declared = int(length) if length is not None and length.isdigit() else None
    body = Body(receive, declared, app.config.get("BODY_TIMEOUT", limits.BODY_TIMEOUT))
    # Headers that come twice are joined, and say something else.
    if len(headers) == len(scope["headers"]) and b"content-encoding" not in headers:
        body.content_type = headers.get(b"content-type")
    return body


def _is_http1(scope: Scope) -> bool:
    return str(scope.get("http_version") or "1.1").startswith("1")


async def _look(app: Flask) -> None:
    """Find out what an application is, before its first request and after changes."""
    plan = app.engine_plan
    plan.look_for_patches(app)
    if plan.short_way is not None:
        return
    await lifespan.start_late(app)
    plan.decide(app)
    for pool in (workers, hook_workers):
        pool.limit = max(pool.limit, app.config.get("WORKER_THREADS", 0))


# -- the way of a plain view ----------------------------------------------------------------


async def _answer_in_thread(
    app: Flask, scope: Scope, body: Body | None, receive: Receive, pace: Pace
) -> Answer:
    """Answer in a worker thread, by the way of WSGI."""
    if body is not None and not _is_too_long(app, body):
        await body.first()
    args = app, scope, body, receive
    return await in_thread(_answer_plainly, *args, pool=workers, drop=close_answer, pace=pace)


def _answer_plainly(app: Flask, scope: Scope, body: Body | None, receive: Receive) -> Answer:
    try:
        environ = make_environ(scope, body, receive)
    except Exception as error:
        logger.warning("Malformed ASGI scope: %r", error)
        return "400 BAD REQUEST", [("Content-Length", "0")], []
    # What is put around `wsgi_app` is on the way of each request, on whichever server.
    wsgi_app: t.Any = partial(answer_request, app, send=WITHIN)
    if app.engine_plan.entered_by is not None:
        wsgi_app = app if has_own_call(app) else app.wsgi_app
    if body is None or body.complete:
        return call_wsgi(wsgi_app, environ)
    token = before_coroutine.set(partial(_read_ahead, app, body))
    try:
        return call_wsgi(wsgi_app, environ)
    finally:
        before_coroutine.reset(token)


def _read_ahead(app: Flask, body: Body) -> None:
    """Read the body for a hook or a view that is asynchronous, unless the view does that itself."""
    request = getattr(get_current(None), "request", None)
    if request is not None:
        view = app.view_functions.get(request.endpoint)
        if view is None or not streams_body(view):
            body.read_ahead(request.max_content_length)


def _is_too_long(app: Flask, body: Body) -> bool:
    """Tell whether a body is not worth receiving: a look at it answers 413."""
    maximum = app.config["MAX_CONTENT_LENGTH"]
    return maximum is not None and body.declared is not None and body.declared > maximum


# -- the way of a coroutine function --------------------------------------------------------


_NOTHING: t.Any = None


class _Environs(dict[str, "WSGIEnvironment"]):
    """What is asked of an environ while there is none: the method, and whether there is a cookie.

    PERF: made once for each usual method, as nothing writes to them: 0.06 µs.

    :param rest: what each has besides the method.
    """

    def __init__(self, **rest: str) -> None:
        self._rest = rest
        super().__init__(
            {method: self[method] for method in ("GET", "HEAD", "POST", "PUT", "DELETE")}
        )

    def __missing__(self, method: str) -> WSGIEnvironment:
        return {"REQUEST_METHOD": method, **self._rest}


_WITHOUT = _Environs()
_WITH_COOKIE = _Environs(HTTP_COOKIE="")


async def _answer_on_loop(  # noqa: C901 (one piece, from top to bottom, as its twin)
    app: Flask, scope: Scope, body: Body | None, headers: _Headers, found: t.Any, receive: Receive
) -> Answer:
    """Answer one request on the event loop; the twin of `kolben.engine.answer.answer_request`.

    :param app: the application, for which :func:`kolben.engine.plan.takes_short_way` holds.
    :param scope: what is known of the request.
    :param body: its body, None where there is none.
    :param headers: its headers.
    :param found: what the route index says of its path.
    :param receive: tells when the client leaves.
    :return: what to send.
    """
    context = ASGIRequestContext(app, scope, body, receive)
    context.entry_token = set_current(context)
    plan = app.engine_plan
    answer = result = unmatched = failure = route = _NOTHING
    try:
        try:
            if appcontext_pushed.receivers:
                await send_signal(app, appcontext_pushed)
            try:
                # Match.
                if not found:
                    route = plan.unrouted[0]
                    found = match_by_werkzeug(app, context, scope["method"], found)
                context.routing = _, values, unmatched, route = found
                if body is not None and not _has_come(app, body, route):
                    await _read_body(app, context, body, route)

                # Before hooks and view, or an error handler.
                # Where Werkzeug has matched, such as for //path, the view may be a plain one.
                if route.direct_at is tables.mark and route.is_async:
                    result = await route.view(*values)
                elif route.hooked_at is tables.mark:
                    # PERF: as in `_call_with_hooks`, which takes 0.15 µs to begin.
                    for hook in route.async_before:
                        if (result := await hook()) is not None:
                            break
                    else:
                        is_seen = context.seen_request or route.prepared_at is not tables.mark
                        result = await (_go_on(app, context) if is_seen else route.view(*values))
                else:
                    result = await _call_with_hooks(app, context)
            except Exception as raised:
                result = await _handle_user_exception(app, context, raised)
                if raised is unmatched:
                    # A circle otherwise: the context holds this error, and its traceback the context.
                    raised.__traceback__ = None

            # Response, after hooks, session.
            if route.plain_at is not tables.mark or context.touched or b"cookie" in headers:
                answer = await _finalize(app, context, headers, route, result)
            elif type(result) is str and (kind := Response.default_mimetype):
                content = result.encode()
                # PERF: with the headers as ASGI has them, and without a call (0.3 µs).
                answer = 200, [encoded_types[kind], encoded_lengths[len(content)]], [content]
            else:
                answer = result if type(result) is Response else _encode(context, headers, result)
                answer = answer or await _finalize(app, context, headers, route, result)
        except Exception as raised:
            failure = raised
            answer = await _handle_exception(app, context, raised, result)
        if type(answer) is not tuple:
            response, answer, result = answer, None, None  # which `prepare` closes if it fails
            answer = short_answer(response, scope["method"]) or await _respond(response, context)
    except BaseException as raised:
        await _leave_without(app, context, raised, result if answer is None else answer)
        raise
    request = context.seen_request
    # Now: a receiver may have been connected while the view waited.
    if tables.mark is not plan.quiet_at or failure is not None or PRESERVE in scope:
        return await _leave_with(app, context, failure, answer)
    if context.holds or (request is not None and request._has_files):
        return await _leave_with(app, context, failure, answer)
    reset_current(context.entry_token)
    context.entry_token = None
    if request is not None and ((unread := context.unread) is None or unread.environ is not None):
        # A circle otherwise, which keeps the body until the garbage collector comes.
        context.environ["werkzeug.request"] = None
    return answer  # type: ignore[no-any-return] # by now


def _encode(context: ASGIRequestContext, headers: _Headers, result: t.Any) -> t.Any:
    """Do what `encode` does, with the headers as ASGI has them; None where the result is a WSGI application,
    which has to be called.
    """
    app = context.app
    plan = app.engine_plan
    value, code, kind = result, 200, type(result)
    if kind is tuple and len(value) == 2 and type(value[1]) is int and value[1] in BODIES:
        value, code = value
        kind = type(value)
    if (kind is dict or kind is list) and plan.json_at is tables.mark:
        content = plan.write_json(value)
        return code, [encoded_types[plan.json_mimetype], encoded_lengths[len(content)]], [content]
    if kind is str and (mimetype := Response.default_mimetype):
        content = value.encode()
        return code, [encoded_types[mimetype], encoded_lengths[len(content)]], [content]
    if kind not in _NO_APPS and _is_wsgi_app(result):
        return None
    environ = (_WITH_COOKIE if b"cookie" in headers else _WITHOUT)[context.scope["method"]]
    made = encode(app, environ, result)
    # What made the response may have opened the session, or asked for a function after it.
    is_touched = context.touched and type(made) is not tuple
    return encode_and_save(app, context, environ, made) if is_touched else made


async def _leave_without(
    app: Flask, context: ASGIRequestContext, failure: BaseException, unsent: t.Any
) -> None:
    """Leave the context of a request that gets no answer, and close what there was of one."""
    with contextlib.suppress(Exception):  # which was logged
        try:
            await (drop_answer(unsent) if _is_answer(unsent) else drop(unsent))
        finally:
            await _leave(app, context, failure)


def _is_answer(result: t.Any) -> bool:
    return type(result) is tuple and len(result) == 3 and type(result[1]) is list


async def _leave_with(
    app: Flask, context: ASGIRequestContext, failure: BaseException | None, answer: Answer
) -> Answer:
    """Leave the context, and return the answer, or a 500 where a teardown function has failed."""
    try:
        error = await _leave(app, context, failure)
    except BaseException:
        await drop_answer(answer)
        raise
    if error is None or failure is not None:
        return answer
    await drop_answer(answer)
    return await prepare(failed_response(app, error, context), context.environ)


async def _respond(response: t.Any, context: ASGIRequestContext) -> Answer:
    """Return status, headers and body of a response."""
    if type(response) is Response:
        short = response.short_wsgi_response(_WITHOUT[context.scope["method"]])
        if short is not None and type(body := short[0]) in (list, tuple):
            return short[1], short[2], body
    return await prepare(response, context.environ)


def _has_come(app: Flask, body: Body, route: Route) -> bool:
    """Take the body, if it is there as a whole and the view is to have it.

    PERF: as :func:`_read_body`, without awaiting anything (0.6 µs).
    """
    maximum = app.config["MAX_CONTENT_LENGTH"]
    return (
        body.declared is not None
        and (maximum is None or body.declared <= maximum)
        and route.prepared_at is tables.mark
        and not (route.streams_body or route.has_limits)
        and body.comes_whole()
    )


async def _read_body(app: Flask, context: ASGIRequestContext, body: Body, route: Route) -> None:
    """Read the body, unless the view does that itself or it is too long."""
    if route.prepared_at is not tables.mark:
        route.prepare(app)
    if route.streams_body:
        return
    maximum = app.config["MAX_CONTENT_LENGTH"]
    if route.has_limits:
        own = limits.limit_of(app.view_functions.get(route.endpoint), "max_content_length")
        maximum = maximum if own is limits.UNSET else own
    if maximum is None or body.declared is None or body.declared <= maximum:
        await body.read(maximum)
    if context.made_environ is not None:  # made to find the route
        context.made_environ["wsgi.input"] = body.input


async def _call_with_hooks(app: Flask, context: ASGIRequestContext) -> t.Any:
    """Return what a before hook or the view has returned."""
    _, _, error, route = context.routing
    if request_started.receivers:
        await send_signal(app, request_started)
    if route.prepared_at is not tables.mark:
        route.prepare(app)
    if route.async_before is None:
        result = await in_thread(app.preprocess_request)
        if result is not None:
            return result
    else:
        for hook in route.async_before:
            result = await hook()
            if result is not None:
                return result
    if error is not None and context.seen_request is None:
        raise error  # PERF: here, as each coroutine that it passes takes 0.1 µs
    return await _go_on(app, context)


async def _go_on(app: Flask, context: ASGIRequestContext) -> t.Any:
    """Return what the view has returned, after hooks that have let it come to that."""
    _, values, _, route = context.routing
    if context.seen_request is not None:
        return await _dispatch(app, context)
    if route.is_careful and route.answers_options and context.scope["method"] == "OPTIONS":
        return app.make_default_options_response()
    if route.prepared_at is not tables.mark:
        route.prepare(app)
    return await route.view(*values)


async def _finalize(
    app: Flask,
    context: ASGIRequestContext,
    headers: dict[bytes, bytes],
    route: Route,
    result: t.Any,
) -> Answer | Response:
    """Turn what the view returned into what is sent, where hooks or signals see it before, or
    the program's plain code, of any length, may have to do it. The twin of `Flask.finalize_request`.
    """
    if type(result) not in _NO_APPS and _is_wsgi_app(result):
        result = await in_thread(app.make_response, result, pool=workers)
    if route.prepared_at is not tables.mark:
        route.prepare(app)
    hooks = route.async_after
    request = context.seen_request
    if request is not None and request.url_rule is not route.rule:
        hooks = None  # the view or a hook has given the request another rule
    if hooks or context.has_after_functions or (hooks is None and app.after_request_funcs):
        if context.has_after_functions and hooks is not None:
            functions = on_loop(context._after_request_functions)
            hooks = None if functions is None else (*functions, *hooks)
        if hooks is None or request_finished.receivers:
            return await in_thread(app.finalize_request, result)
        # PERF: as in the twin, without looking what it is (0.6 µs).
        is_text = type(result) is str and app.response_class is Response
        response = text_response(result) if is_text else app.make_response(result)
        for hook in hooks:
            response = await hook(response)
        # PERF: as in the twin; asking the scope for a cookie takes 0.6 µs.
        if context.touched or b"cookie" in headers or not app.engine_plan.opens_session_late:
            save_session(app, context, response)
        return response
    if request_finished.receivers:
        return await in_thread(app.finalize_request, result)
    environ = (_WITH_COOKIE if b"cookie" in headers else _WITHOUT)[context.scope["method"]]
    return encode_and_save(app, context, environ, result)


async def _dispatch(app: Flask, context: ASGIRequestContext) -> t.Any:
    """The twin of `Flask.dispatch_request`, for a request that was looked at."""
    request = context.request
    rule: t.Any = request.url_rule
    if request.routing_exception is None and rule is not None:
        view = limits.limit_time(app, app.view_functions[rule.endpoint])
        answers_options = getattr(rule, "provide_automatic_options", False)
        if is_coroutine_function(view) and not (request.method == "OPTIONS" and answers_options):
            return await t.cast("t.Any", view)(**(request.view_args or {}))
        if not never_blocks(view):
            return await in_thread(app.dispatch_request, pool=workers)
    return app.dispatch_request()


async def _handle_user_exception(
    app: Flask, context: ASGIRequestContext, error: Exception
) -> t.Any:
    """The twin of `Flask.handle_user_exception`, and of `Flask.handle_http_exception`."""
    if not app.engine_plan.handles_errors_itself:
        return await in_thread(while_handling, error, app.handle_user_exception)
    if isinstance(error, BadRequestKeyError) and (
        app.debug or app.config["TRAP_BAD_REQUEST_ERRORS"]
    ):
        error.show_exception = True
    is_answer = False
    if isinstance(error, HTTPException) and not app.trap_http_exception(error):
        is_answer = True
        if error.code is None or isinstance(error, RoutingException):
            return error
    names = context.blueprint_names()
    if not names and app.prefix_owners:
        names = owners_of(context, error)
    handler = app._find_error_handler(error, names)
    if handler is None:
        if is_answer:
            return error
        raise error
    given: t.Any = handler
    if is_coroutine_function(given):  # PERF: without a tuple of it (0.2 µs)
        return await given(error)
    if (awaited := on_loop((given,))) is not None:
        return await awaited[0](error)
    return await in_thread(while_handling, error, given)


async def _handle_exception(
    app: Flask, context: ASGIRequestContext, error: Exception, unsent: t.Any
) -> Response:
    """The twin of `Flask.handle_exception`.

    :param unsent: what the view has returned, if it was not the view that failed.
    """
    if context.holds:  # which what is not sent would keep
        await drop(unsent)
    return t.cast("Response", await in_thread(while_handling, error, app.handle_exception))


async def _leave(
    app: Flask, context: ASGIRequestContext, failure: BaseException | None
) -> Exception | None:
    """The twin of `kolben.engine.teardown.leave`."""
    token = t.cast("t.Any", context.entry_token)
    preserve_contexts(context.scope, context)
    error = to_report(app, failure)
    context.entry_token = None
    context._left = held = context.holds > 0
    try:
        try:
            if not held:
                await _tear_down_request(app, context, error)
        finally:
            reset_current(token)
            if not held:
                await tear_down_app_context(app, context, error)
    except Exception as raised:
        await in_thread(report, app, context, raised)
        return raised
    return None


async def _tear_down_request(
    app: Flask, context: ASGIRequestContext, error: BaseException | None
) -> None:
    try:
        if (
            app.teardown_request_funcs
            or request_tearing_down.receivers
            or not overrides_none(app, ("do_teardown_request",))
        ):
            names = (*context.blueprint_names(), None)
            reverse = {name: hooks[::-1] for name, hooks in app.teardown_request_funcs.items()}
            hooks = listed(reverse, names)
            await tear_down(app, app.do_teardown_request, hooks, request_tearing_down, error)
    finally:
        request = context.seen_request
        if request is not None:
            if hasattr(request, "close"):
                request.close()
            # As in the twin: apart, the two need no garbage collector.
            context.environ["werkzeug.request"] = None


# -- small questions ------------------------------------------------------------------------


def _is_wsgi_app(result: t.Any) -> bool:
    """Tell whether a view's result is a WSGI application, which has to be called."""
    if isinstance(result, tuple) and result:
        result = result[0]
    if type(result) in _NO_APPS:
        return False
    return callable(result) and not isinstance(result, (BaseResponse, HTTPException))


_NO_APPS = frozenset({str, dict, list, bytes, Response})
