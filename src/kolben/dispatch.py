"""The engine: the way of one request through an application that overrides none of its steps.

    match -> before hooks -> view -> finalise -> after hooks

`Flask.full_dispatch_request` and the methods it calls walk the same way one named step at a time:
they are the specification, and what runs where somebody has replaced one of them. `respond` gives
the same answer, to the byte, without the objects that nobody looks at on the way. Tests hold the two
together.

The engine knows no server: it takes a context and returns what is to be sent.
"""

from __future__ import annotations

import typing as t
from functools import lru_cache, partial
from inspect import CO_COROUTINE, iscoroutinefunction

from werkzeug.exceptions import NotFound

from . import tables
from .ctx import _scopes
from .routing import NOT_FOUND, NoRoute, RouteIndex
from .signals import request_finished, request_started
from .streaming import streams_body
from .wrappers import _BODIES, _STATUS, Response, _content_type, _decode_wsgi, text_response

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.routing import Rule

    from .app import Flask
    from .ctx import RequestContext

#: Status, headers and body, ready for a server.
Answer = tuple[str, list[tuple[str, str]], t.Iterable[bytes]]


class Route:
    """What the engine needs to know of a URL rule, found out once.

    :param rule: the rule.
    """

    __slots__ = (
        "after",
        "answers_options",
        "before",
        "call",
        "endpoint",
        "is_async",
        "mark",
        "rule",
        "streams_body",
    )

    def __init__(self, rule: Rule | None) -> None:
        self.rule = rule
        self.endpoint: str = "" if rule is None else rule.endpoint
        self.answers_options = bool(getattr(rule, "provide_automatic_options", False))
        # What the rest was prepared from is as it was then if this is still the tables' mark.
        self.mark: object = None
        # The view, and the hooks before and after it, all ready to be called plainly.
        self.call: t.Callable[..., t.Any]
        self.before: tuple[t.Callable[[], t.Any], ...] = ()
        self.after: tuple[t.Callable[[t.Any], t.Any], ...] = ()
        # What a server that is asynchronous itself has to know of the view.
        self.is_async = False
        self.streams_body = False

    def prepare(self, app: Flask) -> None:
        """Take over the view and the hooks that the application has for the endpoint now."""
        mark = tables.mark
        view = app.view_functions.get(self.endpoint)
        if view is None:
            self.call = partial(_no_view, self.endpoint)
        else:
            self.call = app.ensure_sync(view)
            self.is_async = is_coroutine_function(view)
            self.streams_body = streams_body(view)
        inwards = _scopes(self.endpoint)[0]
        before = tables.listed(app.before_request_funcs, inwards)
        if before is None or app.url_value_preprocessors:
            self.before = _STEP_BY_STEP
        else:
            self.before = tuple(app.ensure_sync(hook) for hook in before)
        after = tables.listed(app.after_request_funcs, inwards)
        if after is None:
            self.after = _STEP_BY_STEP
        else:
            self.after = tuple(app.ensure_sync(hook) for hook in reversed(after))
        self.mark = mark


#: Stands for hooks that can not be prepared: the named steps find out at each request.
_STEP_BY_STEP: tuple[t.Any, ...] = (None,)


def _no_view(endpoint: str, /, **values: t.Any) -> t.NoReturn:
    raise KeyError(endpoint)


def is_coroutine_function(function: t.Callable[..., t.Any]) -> bool:
    """Tell whether calling *function* gives a coroutine.

    PERF: ``inspect.iscoroutinefunction`` takes 0.7 us; the flags of a function's code, and the
    mark that ``inspect.markcoroutinefunction`` leaves, say it in 0.08 us.
    """
    try:
        plain = not function.__code__.co_flags & CO_COROUTINE
    except AttributeError:
        return iscoroutinefunction(function)
    return not plain or (_MARK in function.__dict__ and iscoroutinefunction(function))


_MARK = "_is_coroutine_marker"


def index_routes(app: Flask) -> RouteIndex[Route]:
    """Prepare the application's URL map for :func:`respond`."""
    index = RouteIndex(app.url_map, Route)
    # A server passes the path as bytes in latin-1 disguise (PEP 3333), which `respond` looks up
    # as it is: for ASCII that is the path itself, and other paths must not be hit by accident.
    for path in [path for path in index.exact if not path.isascii()]:
        del index.exact[path]
    return index


def respond(  # noqa: C901 (one piece, from top to bottom: a call for each step costs 0.06 us)
    app: Flask, context: RequestContext, environ: WSGIEnvironment
) -> Answer | Response:
    """Answer one request.

    :param app: the application, for which :func:`takes_short_way` holds.
    :param context: the request's context; it is the current one.
    :param environ: the request's WSGI environment.
    :return: what to send, or a response object to be called as a WSGI application.
    :raises Exception: whatever no error handler has dealt with.
    """
    index = app._routes
    if index.url_map._remap is not index.stamp:  # a rule was added
        index = app._routes = index_routes(app)
    method = environ["REQUEST_METHOD"]
    path = environ.get("PATH_INFO", "")
    by_method = index.exact.get(path)
    if by_method is not None and (static := by_method.get(method)) is not None:
        route: Route = static
        values: dict[str, t.Any] = {}
        context._routing = (route.rule, values, None)
    else:
        found = index.match(path if path.isascii() else _decode_wsgi(path), method)
        if found is None or found is NOT_FOUND:
            route, values = _match_slowly(app, context, found)
        else:
            route, values = found
            context._routing = (route.rule, values, None)

    try:
        if request_started.receivers:
            request_started.send(app, _async_wrapper=app.ensure_sync)
        if route.mark is not tables.mark:
            route.prepare(app)
        result = _call_before(app, route.before) if route.before else None
        if result is not None:
            pass
        elif context._request is not None:
            # A hook that has seen the request may have changed what was matched, and the errors
            # of unusual paths are found with its help: both are the named step's business.
            result = app.dispatch_request()
        elif route.rule is None:
            error: t.Any = context._routing[2]
            raise error
        elif method == "OPTIONS" and route.answers_options:
            result = app.make_default_options_response()
        else:
            # PERF: a call with an empty dictionary of arguments takes 0.1 us more.
            result = route.call(**values) if values else route.call()
    except Exception as raised:
        result = app.handle_user_exception(raised)
        if raised is context._routing[2]:
            # PERF: the context holds this error, whose traceback holds the context: a circle that
            # the garbage collector has to look for (1.5 us a request).
            raised.__traceback__ = error = None
    after = route.after
    request = context._request
    if request is not None and request._routing is not context._routing:
        after = _STEP_BY_STEP  # whoever has seen the request has given it another rule
    return _finish(app, context, environ, result, after)


def _call_before(app: Flask, hooks: tuple[t.Callable[[], t.Any], ...]) -> t.Any:
    """Do as `Flask.preprocess_request`, with the hooks of the route."""
    if hooks is _STEP_BY_STEP:
        return app.preprocess_request()
    for hook in hooks:
        result = hook()
        if result is not None:
            return result
    return None


def _call_after(
    app: Flask,
    context: RequestContext,
    response: Response,
    hooks: tuple[t.Callable[[t.Any], t.Any], ...],
) -> Response:
    """Do as `Flask.process_response`, with the hooks of the route."""
    prepared = hooks is not _STEP_BY_STEP and not context._has_after_functions
    if not prepared:
        return app.process_response(response)
    for hook in hooks:
        response = hook(response)
    if (
        context._opened_session is not None
        or context._has_after_functions
        or "HTTP_COOKIE" in context.environ
        or not app._opens_session_late
    ):
        app._conclude(context, response)
    return response


def _match_slowly(
    app: Flask, context: RequestContext, found: NoRoute | None
) -> tuple[Route, dict[str, t.Any]]:
    """Deal with a path for which the index has no route.

    What the index can not prove is asked of Werkzeug: redirects, 405 and whatever is rare.

    :param found: the index's answer: that there is no route, or None for not knowing.
    """
    if found is NOT_FOUND:
        context._routing = (None, None, NotFound())
        return app._unrouted, {}
    if context.url_adapter is not None:
        context.match_request()
    request = context.request
    context._routing = request._routing
    rule = request.url_rule
    if rule is None or request.routing_exception is not None:
        return app._unrouted, {}
    return Route(rule), t.cast("dict[str, t.Any]", request.view_args)


def _finish(
    app: Flask,
    context: RequestContext,
    environ: WSGIEnvironment,
    result: t.Any,
    hooks: tuple[t.Callable[[t.Any], t.Any], ...] = (),
) -> Answer | Response:
    """Turn what the view returned into what is sent, after the hooks that want to see it."""
    saved: list[tuple[str, str]] | None = None
    if (
        hooks
        or context._opened_session is not None
        or context._has_after_functions
        or request_finished.receivers
        or ("HTTP_COOKIE" in environ and app._must_resend_session(environ))
    ) and (hooks or (saved := _session_alone(app, context, result)) is None):
        # PERF: text straight into the response class spares 0.6 us of looking what it is.
        plain = type(result) is str and app.response_class is Response
        response = text_response(result) if plain else app.make_response(result)
        response = _call_after(app, context, response, hooks)
        if request_finished.receivers:
            request_finished.send(app, _async_wrapper=app.ensure_sync, response=response)
        return response

    if app.response_class is not Response:
        return app.make_response(result)
    # PERF: text and JSON need no response object where nobody has asked for one: 0.35 us
    # against 1.9 us with the object.
    status = "200 OK"
    value = result
    kind = type(value)
    if kind is Response:
        made: Response = result
        return made
    if kind is tuple and len(value) == 2 and type(value[1]) is int and value[1] in _BODIES:
        value, code = result
        status = _STATUS[code][0]
        kind = type(value)
    if kind is str and (mimetype := Response.default_mimetype):
        body = value.encode()
    elif (kind is dict or kind is list) and (provider := app.json).has_body:
        body = provider.body(value)
        mimetype = provider.mimetype
    else:
        return app.make_response(result)
    headers = [_type_header(mimetype), ("Content-Length", str(len(body)))]
    if saved is not None:
        headers += saved
    return status, headers, ([] if environ["REQUEST_METHOD"] == "HEAD" else [body])


def _session_alone(
    app: Flask, context: RequestContext, result: t.Any
) -> list[tuple[str, str]] | None:
    """Return the headers that save the session, None unless this is all that is left to do for a
    result that needs no response object.

    PERF: a text with a session changed is sent in 10 us, where the object takes 14.
    """
    kind = type(result)
    if (
        context._has_after_functions
        or request_finished.receivers
        or app.response_class is not Response
        or not (
            (kind is str and Response.default_mimetype)
            or ((kind is dict or kind is list) and app.json.has_body)
        )
    ):
        return None
    return app._session_headers(context)


@lru_cache(maxsize=64)
def _type_header(mimetype: str) -> tuple[str, str]:
    return "Content-Type", _content_type(mimetype)


#: The steps of the named way, and what they are made of. Where an application's class or the
#: application itself has another one of these, it is not ours to skip.
STEPS = (
    "request_context",
    "app_context",
    "full_dispatch_request",
    "preprocess_request",
    "dispatch_request",
    "raise_routing_exception",
    "finalize_request",
    "make_response",
    "process_response",
    "ensure_sync",
    "async_to_sync",
    "do_teardown_request",
    "do_teardown_appcontext",
    "should_ignore_error",
    "create_url_adapter",
    "request_class",
    "session_interface",
)

#: The tables that :meth:`Route.prepare` reads. Others in their place would not tell of changes.
TABLES = {
    "view_functions": tables.ViewTable,
    "before_request_funcs": tables.HookTable,
    "after_request_funcs": tables.HookTable,
    "url_value_preprocessors": tables.HookTable,
}

#: The attributes of an application that decide whether it takes the short way.
DECIDES = frozenset((*STEPS, *TABLES, "url_map", "subdomain_matching", "_got_first_request"))


def takes_short_way(app: Flask, steps: t.Mapping[str, t.Any]) -> bool:
    """Tell whether :func:`respond` may answer for *app*: whether it overrides no step.

    :param app: the application.
    :param steps: the steps that :func:`respond` knows, by their names.
    """
    own = app.__dict__
    kind = type(app)
    return (
        not app.subdomain_matching
        and all(name not in own and getattr(kind, name) is step for name, step in steps.items())
        and all(type(getattr(app, name)) is table for name, table in TABLES.items())
    )
