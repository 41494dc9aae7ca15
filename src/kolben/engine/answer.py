"""The engine: the way of one request through an application that overrides none of its steps.

    match -> before hooks -> view -> encode or respond -> after hooks -> save the session

What a view returned is *encoded* where nothing wants to see a response object: status, headers and body
are made of it directly. Else there is a response, which the *after hooks* see, the session is *saved*
in it, and the server is *responded* to with its parts. To *finalize* is all of these together.

`Flask.full_dispatch_request` and the methods it calls walk the same way one named step at a time:
they are the specification, and what runs where one of them was replaced. `answer_request`
gives the same answer, to the byte, without the objects that are not looked at on the way. Tests hold the
two together.

`answer_request` is one function, longer than others are, so that a request for which nothing but its view is
to be called passes through no other: a call for each of its parts takes 0.06 µs of the 1.1 µs that it
takes in all. Whatever is less usual has a function of its own below.
"""

from __future__ import annotations

import typing as t
from functools import partial

from werkzeug.exceptions import NotFound

from .. import tables
from ..ctx import PRESERVE, RequestContext
from ..globals import get_current, reset_current, set_current
from ..http.headers import (
    BODIES,
    SHORT,
    STATUS,
    body_headers,
    decode_wsgi,
    length_header,
    length_headers,
    type_headers,
)
from ..routing.index import MOST_SEGMENTS, NOT_FOUND, OTHERS, NoRoute
from ..signals import (
    request_finished,
)
from ..wrappers import Response, text_response
from .plan import WITHIN
from .results import Payload
from .route import Route
from .saving import must_resend, save_session, session_headers
from .teardown import leave
from .urls import is_odd_host, plain_hosts

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ..app import Flask

#: Status, headers and body, ready for a server.
Answer = tuple[str, list[tuple[str, str]], t.Iterable[bytes]]

#: The same; or None, nothing, and a response object, to be called.
Sendable = tuple[t.Any, t.Any, t.Any]


_NO_HOOKS: tuple[()] = ()
_NO_METHODS: dict[str, t.Any] = {}


def answer_request(  # noqa: C901 (one piece, for it is the way of each request; see the top of the file)
    self: Flask, environ: t.Any, start_response: t.Any = None, send: t.Any = None
) -> t.Any:
    """Answer a request of a WSGI server (PEP 3333), or serve a connection of an ASGI server.

    Through :attr:`wsgi_app` or :attr:`asgi_app`, where a program has put something else there.

    PERF: servers call this itself; a function in between takes 0.25 µs on FastPySGI.

    :param environ: the WSGI environment, or the ASGI scope.
    :param start_response: WSGI's ``start_response``, or ASGI's ``receive``; None from servers that
        still ask in the way of ASGI 2.
    :param send: ASGI's ``send``.
    :return: the body, or what an ASGI server awaits.
    """
    plan = self.engine_plan
    # Is anything around the engine that was not called yet?
    if send is not plan.entered_by and send is not WITHIN:
        if send is not None:
            return self.asgi_app(environ, start_response, send)
        if start_response is None:
            return answer_by_steps(self, environ, None)
        return self.wsgi_app(environ, start_response)
    is_quiet = tables.mark is plan.quiet_at
    try:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    except KeyError:
        return answer_by_steps(self, environ, start_response)
    if (
        not (is_quiet or (plan.short_at is tables.mark and self.config["TRUSTED_HOSTS"] is None))
        or get_current(None) is not None
        or "HTTP_UPGRADE" in environ
        or (environ.get("HTTP_HOST") not in plain_hosts and is_odd_host(_host_of(environ)))
    ):
        return answer_by_steps(self, environ, start_response, send)
    # PERF: all four arguments, so that CPython calls the initialiser directly (0.1 µs).
    context = RequestContext(self, environ, None, None)
    context.entry_token = set_current(context)
    failure: BaseException | None = None
    result: t.Any
    try:
        try:
            if not is_quiet:
                context.announce_app_context()

            # Match.
            index = plan.routes
            if index.url_map._remap is not index.stamp:  # a rule was added
                index = plan.index_routes(self)
            found: t.Any = index.exact.get(path, _NO_METHODS).get(method)
            if found is None:
                if not path.isascii():
                    path = decode_wsgi(path)
                segments = path.split("/", MOST_SEGMENTS)
                found = index.finders[len(segments)](segments, method)
                if not found:
                    found = _match_slowly(self, context, method, found)
            context.routing = _, values, _, route = found

            # Before hooks and view, or an error handler.
            if route.direct_at is tables.mark:
                try:
                    result = route.call(*values)
                except Exception as raised:
                    result = self.handle_user_exception(raised)
            else:
                result = _call_with_hooks(self, context, method, found)

            # Response, after hooks, session.
            if route.plain_at is not tables.mark or context.touched or "HTTP_COOKIE" in environ:
                status, headers, body = _finalize(self, context, found, result)
                is_quiet = tables.mark is plan.quiet_at and not context.holds
            elif type(result) is str:
                content = result.encode()
                try:
                    # PERF: as in `body_headers`, without the call (0.06 µs).
                    kind = type_headers[Response.default_mimetype]
                    size = length_headers[n] if (n := len(content)) < SHORT else length_header(n)
                    status, headers, body = "200 OK", [kind, size], [content]
                except KeyError:  # the first of this type or length
                    status, headers, body = _respond(encode(self, environ, result), environ)
            elif (type(result) is dict or type(result) is list) and plan.json_at is tables.mark:
                # PERF: as in `encode`, which takes 0.3 µs to come to it.
                content = plan.write_json(result)
                size = length_headers[n] if (n := len(content)) < SHORT else length_header(n)
                headers = [plan.json_type, size]
                status, body = "200 OK", [content]
            elif type(result) is Payload:
                content, kind, status = result
                size = length_headers[n] if (n := len(content)) < SHORT else length_header(n)
                headers = [kind, size]
                body = [content]
            else:
                sent = encode(self, environ, result)
                status, headers, body = sent if type(sent) is tuple else _respond_to(context, sent)
        except BaseException as raised:
            failure, is_quiet = raised, False
            if not isinstance(raised, Exception):
                raise
            status, headers, body = None, (), self.handle_exception(raised)

        if status is None:
            response: t.Any = body
            body = response(environ, start_response)
        else:
            start_response(status, headers)
    except BaseException:
        leave(self, context, environ, failure)
        raise
    request = context.seen_request
    if not is_quiet or PRESERVE in environ or (request is not None and request._has_files):
        # Teardown functions are told what ended the request, not what its answer ran into.
        return leave(self, context, environ, failure, start_response, body)
    reset_current(context.entry_token)
    context.entry_token = None
    if request is not None:
        # PERF: apart, environ and request are freed at once; the collector takes 2 µs.
        environ["werkzeug.request"] = None
    return body


def says_web_socket(environ: WSGIEnvironment) -> bool:
    """Tell whether middleware takes a request for a WebSocket's, which no plain rule is for.

    :param environ: the WSGI environment.
    """
    return environ.get("wsgi.url_scheme") in ("ws", "wss")


def _host_of(environ: WSGIEnvironment) -> str | None:
    # Of a request without one: the name that the server gives itself.
    return environ.get("HTTP_HOST", environ.get("SERVER_NAME"))


def answer_by_steps(
    app: Flask,
    environ: WSGIEnvironment,
    start_response: StartResponse | None,
    send: t.Any = WITHIN,
) -> t.Any:
    """Answer a request by way of the named steps, any of which may have been replaced.

    :param app: the application.
    :param environ: the WSGI environment; or the ASGI scope, from a server that asks in the way of
        ASGI 2.
    :param start_response: WSGI's ``start_response``; None from such a server.
    :param send: :data:`.WITHIN` where whatever is around ``wsgi_app`` was called already.
    :return: the body, or what such a server calls next.
    """
    if start_response is None:
        return partial(app.asgi_app, environ)
    plan = app.engine_plan
    if plan.looked_at is not tables.mark:
        entered_by = plan.entered_by
        plan.look_for_patches(app)
        if plan.short_way is None:
            app._start_serving()
            plan.decide(app)
        # Unless another thread changes tables all the time: then these steps are right, too.
        is_settled = plan.looked_at is tables.mark or plan.entered_by is not entered_by
        if is_settled and not says_web_socket(environ):
            # Again, and not through the instance: its own wsgi_app may be middleware, which was called already.
            return answer_request(app, environ, start_response, send)
    context = app.request_context(environ)
    failure: BaseException | None = None
    try:
        try:
            context.push()
            response = app.full_dispatch_request()
        except Exception as error:
            failure = error
            response = app.handle_exception(error)
        except BaseException as error:
            failure = error
            raise
        body = response(environ, start_response)
    except BaseException:
        leave(app, context, environ, failure)
        raise
    return leave(app, context, environ, failure, start_response, body)


def _match_slowly(
    app: Flask, context: RequestContext, method: str, found: NoRoute | None
) -> tuple[t.Any, ...]:
    """Deal with a path for which the index has no quick answer.

    :param found: that there is no route, or None for not knowing.
    :return: as :func:`match_by_werkzeug`.
    """
    searched: t.Any = found
    if found is None:
        index = app.engine_plan.routes
        path = decode_wsgi(context.environ.get("PATH_INFO", ""))
        searched = index.find(path, method) or index.search(path, method)
    if searched is None or searched is NOT_FOUND:
        return match_by_werkzeug(app, context, method, searched)
    if context.seen_request is not None:  # a converter has looked at it
        context.seen_request._routing = searched
    return t.cast("tuple[t.Any, ...]", searched)


def match_by_werkzeug(
    app: Flask, context: RequestContext, method: str, found: NoRoute | None
) -> tuple[t.Any, ...]:
    """Deal with a path for which the index has no route.

    What the index cannot prove is asked of Werkzeug: redirects, 405 and whatever is rare.

    :param found: the index's answer: that there is no route, or None for not knowing.
    :return: as the index's where there is a route; with the error in it where there is none.
    """
    is_careful = method in OTHERS
    if found is NOT_FOUND:
        return None, None, NotFound(), app.engine_plan.unrouted[is_careful]
    context.match_if_bound()
    request = context.request
    rule, error = request.url_rule, request.routing_exception
    if rule is None or error is not None:
        return rule, None, error, app.engine_plan.unrouted[is_careful]
    route = Route(rule, is_careful)
    values = t.cast("dict[str, t.Any]", request.view_args)
    return rule, tuple(values[name] for name in route.names), None, route


def _call_with_hooks(
    app: Flask, context: RequestContext, method: str, found: tuple[t.Any, ...]
) -> t.Any:
    """Return what a before hook, the view or an error handler has returned.

    :param found: what the index has found, or the error in place of it.
    """
    rule, values, error, route = found
    try:
        if route.prepared_at is not tables.mark:
            route.prepare(app)
        for hook in route.before:
            result = hook()
            if result is not None:
                return result
        if context.seen_request is not None:
            # A hook that has seen the request may have changed what was matched, and the errors
            # of unusual paths are found with its help: both are the named step's business.
            return app.dispatch_request()
        if rule is None:
            raise error
        if method == "OPTIONS" and route.answers_options:
            return app.make_default_options_response()
        if route.prepared_at is not tables.mark:  # a hook has put another view there
            route.prepare(app)
        return route.call(*values)
    except Exception as raised:
        result = app.handle_user_exception(raised)
        if raised is error:
            # PERF: the context holds this error, whose traceback holds the context: a circle that
            # the garbage collector has to look for (1.5 µs a request).
            raised.__traceback__ = None
        return result


def _finalize(
    app: Flask, context: RequestContext, found: tuple[t.Any, ...], result: t.Any
) -> Sendable:
    """Turn what the view returned into what is sent, where hooks or signals see it before.

    :param found: what the index has found.
    :return: as :func:`_respond`.
    """
    rule, _, _, route = found
    environ = context.environ
    # The view may have registered a hook, or a receiver of signals.
    if route.prepared_at is not tables.mark:
        route.prepare(app)
    after = route.after
    request = context.seen_request
    if request is not None and request.url_rule is not rule:
        after = None  # the view or a hook has given the request another rule
    # PERF: identity, as there is one empty tuple (0.02 µs); with another one it is only slower.
    if after is _NO_HOOKS:
        answer = encode_and_save(app, context, environ, result)
        return answer if type(answer) is tuple else _respond(answer, environ)
    response = _run_after_hooks(app, context, environ, result, after)
    # PERF: as in `_respond`, without the call (0.06 µs).
    if type(response) is Response and (short := response.short_wsgi_response(environ)):
        body, status, headers = short
        return status, headers, body
    return None, (), response


def _respond(answer: Answer | Response, environ: WSGIEnvironment) -> Sendable:
    """Say how an answer is sent.

    :return: status, headers and body; or None, nothing, and a response object, to be called.
    """
    if type(answer) is tuple:
        return answer
    if type(answer) is Response and (short := answer.short_wsgi_response(environ)):
        body, status, headers = short
        return status, headers, body
    return None, (), answer


def _respond_to(context: RequestContext, response: t.Any) -> Sendable:
    """Say how a response is sent whose making may have opened the session, or asked for a function
    after it.

    :return: as :func:`_respond`.
    """
    environ = context.environ
    if context.touched:
        response = _run_after_hooks(context.app, context, environ, response, _NO_HOOKS)
    # PERF: as in `_respond`, without the call (0.06 µs).
    if type(response) is Response and (short := response.short_wsgi_response(environ)):
        body, status, headers = short
        return status, headers, body
    return None, (), response


def encode_and_save(
    app: Flask, context: RequestContext, environ: WSGIEnvironment, result: t.Any
) -> Answer | Response:
    """Turn what the view returned into what is sent, where the route has no hooks for after it."""
    saved: list[tuple[str, str]] | None = None
    if (
        context.opened_session is not None
        or context.has_after_functions
        or request_finished.receivers
        or ("HTTP_COOKIE" in environ and must_resend(app, context))
        or context.holds
    ) and (saved := _save_alone(app, context, result)) is None:
        return _run_after_hooks(app, context, environ, result, _NO_HOOKS)
    is_ours = app.response_class is Response
    answer: t.Any = encode(app, environ, result, saved) if is_ours else app.make_response(result)
    if context.touched and saved is None and type(answer) is not tuple:
        # What made the response may have opened the session, or asked for a function after it.
        return _run_after_hooks(app, context, environ, answer, _NO_HOOKS)
    made: Answer | Response = answer
    return made


def _run_after_hooks(
    app: Flask,
    context: RequestContext,
    environ: WSGIEnvironment,
    result: t.Any,
    hooks: tuple[t.Callable[[t.Any], t.Any], ...] | None,
) -> Response:
    """Turn what the view returned into a response, and show it to those who want to see it.

    :param hooks: the after-request functions of the route, as :class:`Route` has them.
    """
    # PERF: text straight into the response class spares 0.6 µs of looking what it is.
    if type(result) is str and app.response_class is Response:
        response = text_response(result)
    else:
        response = app.make_response(result)
    if hooks is None or context.has_after_functions:
        response = app.process_response(response)
    else:
        for hook in hooks:
            response = hook(response)
        if (
            context.opened_session is not None
            or context.has_after_functions  # type: ignore[redundant-expr] # set by a hook
            or "HTTP_COOKIE" in environ
            or context.holds
            or not app.engine_plan.opens_session_late
        ):
            save_session(app, context, response)
    if request_finished.receivers:
        request_finished.send(app, _async_wrapper=app.ensure_sync, response=response)
    return response


def encode(
    app: Flask,
    environ: WSGIEnvironment,
    result: t.Any,
    saved: list[tuple[str, str]] | None = None,
) -> Answer | Response:
    """Turn what the view returned into what is sent, where no hook or signal sees it before.

    PERF: text and JSON need no response object then: 0.35 µs against 1.9 µs with the object.

    :param saved: the headers that save the session.
    """
    status = "200 OK"
    value = result
    kind = type(value)
    if kind is tuple and len(value) == 2 and type(value[1]) is int and value[1] in BODIES:
        value, code = result
        status = STATUS[code][0]
        kind = type(value)
    if kind is dict or kind is list:
        plan = app.engine_plan
        if plan.json_at is not tables.mark and not plan.prepare_json(app):
            return app.make_response(result)
        body = plan.write_json(value)
        size = length_headers[n] if (n := len(body)) < SHORT else length_header(n)
        headers = [plan.json_type, size]
    elif kind is Payload:
        body, header, status = value
        size = length_headers[n] if (n := len(body)) < SHORT else length_header(n)
        headers = [header, size]
    elif kind is str and (mimetype := Response.default_mimetype):
        body = value.encode()
        headers = body_headers(mimetype, len(body))
    else:
        made: Response = result if type(result) is Response else app.make_response(result)
        return made
    if saved is not None:
        headers += saved
    return status, headers, ([] if environ["REQUEST_METHOD"] == "HEAD" else [body])


def _save_alone(app: Flask, context: RequestContext, result: t.Any) -> list[tuple[str, str]] | None:
    """Return the headers that save the session, None unless this is all that is left to do for a
    result that needs no response object.

    PERF: a text with a session changed is sent in 10 µs, where the object takes 14.
    """
    kind = type(result)
    plan = app.engine_plan
    if (
        context.has_after_functions
        or request_finished.receivers
        or app.response_class is not Response
        or not (
            kind is Payload
            or (kind is str and Response.default_mimetype)
            or (
                (kind is dict or kind is list)
                and (plan.json_at is tables.mark or plan.prepare_json(app))
            )
        )
    ):
        return None
    return session_headers(app, context)
