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
from inspect import CO_COROUTINE, iscoroutinefunction
from types import FunctionType

from werkzeug.exceptions import NotFound

from . import tables
from .ctx import _scopes
from .globals import _get_current
from .routing import NOT_FOUND, NoRoute, RouteIndex, value_names
from .signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_finished,
    request_started,
    request_tearing_down,
)
from .streaming import streams_body
from .wrappers import (
    _BODIES,
    _STATUS,
    Response,
    _content_type,
    _decode_wsgi,
    _default_types,
    text_response,
)

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.routing import Rule

    from .app import Flask
    from .ctx import RequestContext

#: Status, headers and body, ready for a server.
Answer = tuple[str, list[tuple[str, str]], t.Iterable[bytes]]


class Route:
    """What the engine needs to know of a URL rule, found out once.

    :param rule: the rule; None for what has none.
    """

    __slots__ = (
        "after",
        "answers_options",
        "before",
        "call",
        "endpoint",
        "is_async",
        "is_direct",
        "mark",
        "names",
        "plain_mark",
        "rule",
        "streams_body",
        "view",
    )

    def __init__(self, rule: Rule | None) -> None:
        self.rule = rule
        self.names: tuple[str, ...] = () if rule is None else value_names(rule)
        self.endpoint: str = "" if rule is None else rule.endpoint
        self.answers_options = bool(getattr(rule, "provide_automatic_options", False))
        # What the rest was prepared from is as it was then if this is still the tables' mark.
        self.mark: object = None
        # The view, to be called with the values in the order of their names.
        self.view: t.Callable[..., t.Any]
        # The same, and the hooks before and after it, all ready to be called plainly; None for hooks
        # that can not be prepared, which the named step looks up at each request.
        self.call: t.Callable[..., t.Any]
        self.before: tuple[t.Callable[[], t.Any], ...] = ()
        self.after: tuple[t.Callable[[t.Any], t.Any], ...] | None = ()
        # The view is all that is called before there is a response.
        self.is_direct = False
        # The tables' mark while nobody sees the response of this or any other route.
        self.plain_mark: object = None
        # What a server that is asynchronous itself has to know of the view.
        self.is_async = False
        self.streams_body = False

    def prepare(self, app: Flask) -> None:
        """Take over the view and the hooks that the application has for the endpoint now, and who
        listens to it.
        """
        mark = tables.mark
        view = app.view_functions.get(self.endpoint)
        if view is None:
            self.call = self.view = _missing_view(self.endpoint)
        else:
            self.view = by_position(view, self.names)
            self.call = by_position(app.ensure_sync(view), self.names)
            self.is_async = is_coroutine_function(view)
            self.streams_body = streams_body(view)
        inwards = _scopes(self.endpoint)[0]
        before = tables.listed(app.before_request_funcs, inwards)
        if before is None or app.url_value_preprocessors:
            before = [_preprocess]
        announce = [_announce_start] if request_started.receivers else []
        self.before = (*announce, *map(app.ensure_sync, before))
        self.is_direct = not self.before and self.rule is not None
        after = tables.listed(app.after_request_funcs, inwards)
        self.after = None if after is None else tuple(map(app.ensure_sync, reversed(after)))
        is_plain = (
            not app.after_request_funcs
            and not request_finished.receivers
            and app.response_class is Response
        )
        self.plain_mark = mark if is_plain else None
        app._quiet = mark if _is_quiet(app) else None
        self.mark = mark


def _is_quiet(app: Flask) -> bool:
    """Tell whether a request of this application begins and ends with nothing to be done."""
    config: t.Any = app.config
    return bool(app._short_way and isinstance(config, tables.Table)) and not (
        config["TRUSTED_HOSTS"] is not None
        or app.teardown_request_funcs
        or app.teardown_appcontext_funcs
        or appcontext_pushed.receivers
        or request_tearing_down.receivers
        or appcontext_tearing_down.receivers
        or appcontext_popped.receivers
    )


_NO_HOOKS: tuple[()] = ()

# These two find the application themselves: a route that held it would keep it from being freed.


def _announce_start() -> None:
    app = _get_current().app
    request_started.send(app, _async_wrapper=app.ensure_sync)


def _preprocess() -> t.Any:
    return _get_current().app.preprocess_request()


def _missing_view(endpoint: str) -> t.Callable[..., t.NoReturn]:
    def raise_error(*values: t.Any) -> t.NoReturn:
        raise KeyError(endpoint)

    return raise_error


def by_position(view: t.Callable[..., t.Any], names: tuple[str, ...]) -> t.Callable[..., t.Any]:
    """Return what calls *view* with values for its parameters *names*, given in that order.

    PERF: a function that begins with these parameters is called directly: 0.04 us, where making a
    dictionary and calling with that takes 0.2.
    """
    if not names:
        return view
    if type(view) is FunctionType:
        code = view.__code__
        first = code.co_varnames[: len(names)]
        if first == names and not code.co_posonlyargcount and len(names) <= code.co_argcount:
            return view
    return lambda *values: view(**dict(zip(names, values, strict=True)))


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
    found: t.Any = None if by_method is None else by_method.get(method)
    if found is None:
        found = index.find(path if path.isascii() else _decode_wsgi(path), method)
        if found is None or found is NOT_FOUND:
            found = _match_slowly(app, context, method, found)
    context._routing = found
    rule, values, error, route = found

    try:
        if route.mark is not tables.mark:
            route.prepare(app)
        if route.is_direct and method != "OPTIONS":
            # PERF: a call that unpacks nothing takes 0.02 us less.
            result = route.call(*values) if values else route.call()
        else:
            result = _call_with_hooks(app, context, method, found)
    except Exception as raised:
        result = app.handle_user_exception(raised)
        if raised is error:
            # PERF: the context holds this error, whose traceback holds the context: a circle that
            # the garbage collector has to look for (1.5 us a request).
            raised.__traceback__ = None
    if (
        route.plain_mark is tables.mark
        and context._opened_session is None
        and not context._has_after_functions
        and "HTTP_COOKIE" not in environ
    ):
        # PERF: text, which most views return, with headers that were sent before takes 0.2 us less here.
        if type(result) is str and method != "HEAD":
            body = result.encode()
            try:
                headers = [_default_types[Response.default_mimetype], _length_headers[len(body)]]
            except KeyError:
                pass
            else:
                return "200 OK", headers, [body]
        return _answer(app, environ, result)
    if route.mark is not tables.mark:  # the view has registered a hook, or somebody who listens
        route.prepare(app)
    after = route.after
    request = context._request
    if request is not None and request.url_rule is not rule:
        after = None  # whoever has seen the request has given it another rule
    # PERF: identity, as there is one empty tuple (0.02 us); with another one it is only slower.
    if after is _NO_HOOKS:
        return _finish(app, context, environ, result)
    return _finish_with_hooks(app, context, environ, result, after)


def _match_slowly(
    app: Flask, context: RequestContext, method: str, found: NoRoute | None
) -> tuple[t.Any, ...]:
    """Deal with a path for which the index has no quick answer.

    :param found: that there is no route, or None for not knowing.
    :return: as :func:`_match_by_werkzeug`.
    """
    searched: t.Any = found
    if found is None:
        searched = app._routes.search(_decode_wsgi(context.environ.get("PATH_INFO", "")), method)
    if searched is None or searched is NOT_FOUND:
        return _match_by_werkzeug(app, context, searched)
    if context._request is not None:  # a converter has looked at it
        context._request._routing = searched
    return t.cast("tuple[t.Any, ...]", searched)


def _match_by_werkzeug(
    app: Flask, context: RequestContext, found: NoRoute | None
) -> tuple[t.Any, ...]:
    """Deal with a path for which the index has no route.

    What the index can not prove is asked of Werkzeug: redirects, 405 and whatever is rare.

    :param found: the index's answer: that there is no route, or None for not knowing.
    :return: as the index's where there is a route; with the error in it where there is none.
    """
    if found is NOT_FOUND:
        return None, None, NotFound(), app._unrouted
    if context.url_adapter is not None:
        context.match_request()
    request = context.request
    rule, error = request.url_rule, request.routing_exception
    if rule is None or error is not None:
        return rule, None, error, app._unrouted
    route = Route(rule)
    values = t.cast("dict[str, t.Any]", request.view_args)
    return rule, tuple(values[name] for name in route.names), None, route


def _call_with_hooks(
    app: Flask, context: RequestContext, method: str, found: tuple[t.Any, ...]
) -> t.Any:
    """Call the before hooks, and the view unless one of them has answered.

    :param found: what the index has found, or the error in place of it.
    """
    rule, values, error, route = found
    for hook in route.before:
        result = hook()
        if result is not None:
            return result
    if context._request is not None:
        # A hook that has seen the request may have changed what was matched, and the errors
        # of unusual paths are found with its help: both are the named step's business.
        return app.dispatch_request()
    if rule is None:
        raise error
    if method == "OPTIONS" and route.answers_options:
        return app.make_default_options_response()
    return route.call(*values)


def _finish(
    app: Flask, context: RequestContext, environ: WSGIEnvironment, result: t.Any
) -> Answer | Response:
    """Turn what the view returned into what is sent, where the route has no hooks for after it."""
    saved: list[tuple[str, str]] | None = None
    if (
        context._opened_session is not None
        or context._has_after_functions
        or request_finished.receivers
        or ("HTTP_COOKIE" in environ and app._must_resend_session(environ))
    ) and (saved := _session_alone(app, context, result)) is None:
        return _finish_with_hooks(app, context, environ, result, _NO_HOOKS)
    if app.response_class is not Response:
        return app.make_response(result)
    return _answer(app, environ, result, saved)


def _finish_with_hooks(
    app: Flask,
    context: RequestContext,
    environ: WSGIEnvironment,
    result: t.Any,
    hooks: tuple[t.Callable[[t.Any], t.Any], ...] | None,
) -> Response:
    """Turn what the view returned into a response, and show it to those who want to see it.

    :param hooks: the after-request functions of the route, as :class:`Route` has them.
    """
    # PERF: text straight into the response class spares 0.6 us of looking what it is.
    plain = type(result) is str and app.response_class is Response
    response = text_response(result) if plain else app.make_response(result)
    if hooks is None or context._has_after_functions:
        response = app.process_response(response)
    else:
        for hook in hooks:
            response = hook(response)
        if (
            context._opened_session is not None
            or context._has_after_functions  # type: ignore[redundant-expr] # set by a hook
            or "HTTP_COOKIE" in environ
            or not app._opens_session_late
        ):
            app._conclude(context, response)
    if request_finished.receivers:
        request_finished.send(app, _async_wrapper=app.ensure_sync, response=response)
    return response


def _answer(
    app: Flask,
    environ: WSGIEnvironment,
    result: t.Any,
    saved: list[tuple[str, str]] | None = None,
) -> Answer | Response:
    """Turn what the view returned into what is sent, where nobody wants to see it before.

    PERF: text and JSON need no response object then: 0.35 us against 1.9 us with the object.

    :param saved: the headers that save the session.
    """
    status = "200 OK"
    value = result
    kind = type(value)
    if kind is not str:
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
    try:
        type_header = _default_types[mimetype]
    except KeyError:
        type_header = _default_types[mimetype] = ("Content-Type", _content_type(mimetype))
    headers = [type_header, _length_header(len(body))]
    if saved is not None:
        headers += saved
    return status, headers, ([] if environ["REQUEST_METHOD"] == "HEAD" else [body])


#: The header for each length that was sent before, as far as lengths are short.
#: PERF: 0.1 us for making a number into text and a pair of it.
_length_headers: dict[int, tuple[str, str]] = {}
_SHORT = 4096


def _length_header(length: int) -> tuple[str, str]:
    header = _length_headers.get(length)
    if header is None:
        header = ("Content-Length", str(length))
        if length < _SHORT:
            _length_headers[length] = header
    return header


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
    "view_functions": tables.Table,
    "before_request_funcs": tables.HookTable,
    "after_request_funcs": tables.HookTable,
    "url_value_preprocessors": tables.HookTable,
    "teardown_request_funcs": tables.HookTable,
    "teardown_appcontext_funcs": tables.HookList,
}

#: The attributes of an application that decide whether it takes the short way.
DECIDES = frozenset(
    (
        *STEPS,
        *TABLES,
        "config",
        "response_class",
        "url_map",
        "subdomain_matching",
        "_got_first_request",
    )
)


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
