"""A worker process of ``kolben serve``: the application is loaded here, and put behind the server.

Granian calls :func:`load_gateway` in each worker, and then what that returns for each request; uvicorn's
workers begin with :func:`prepare`. The main process never imports the application: that is why new workers
have its new code.
"""

from __future__ import annotations

import signal
import sys
import typing as t
from dataclasses import dataclass, replace
from functools import partial

from ..loading.locate import NoAppException
from .bodies import share_threads
from .gateways import asgi_gateway, wsgi_gateway
from .leaving import Link
from .memory import keep_reserve
from .streams import makes_stream

if t.TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

    from ..app import Flask
    from .observability import LogFormat


@dataclass(frozen=True)
class Target:
    """Which application to load, and what to put around it. Passed on to each worker."""

    #: As given to ``--app``; None to look for ``wsgi.py`` or ``app.py``.
    path: str | None = None
    #: A command line group's own factory, which goes before the path.
    create_app: Callable[..., Flask] | None = None
    interface: str = "wsgi"
    proxy_count: int = 0
    access_log: LogFormat | None = None
    request_id: bool = False
    #: How many plain views run at a time under ASGI; under WSGI the server sees to that.
    threads: int | None = None
    #: How long requests in flight may take to finish when a worker leaves, in seconds.
    grace: float = 10.0


@dataclass(frozen=True)
class Serving:
    """How an application is served, whichever server does it."""

    #: The socket that all workers accept from, and where it listens.
    listener: socket.socket
    host: str
    port: int
    workers: int
    #: How many plain views run at a time in each worker.
    threads: int
    #: How many connections wait to be accepted.
    backlog: int
    #: For :func:`logging.config.dictConfig`.
    log_config: dict[str, t.Any]
    tls_cert: Path | None = None
    tls_key: Path | None = None


class LoadError(Exception):
    """The application cannot be loaded; the message is one line for the user."""


# --- Loading --------------------------------------------------------------------------------------


def load(target: Target, sets_debug: bool = True) -> Flask:
    """Import the application, with Kolben in place of Flask.

    :param target: says which.
    :param sets_debug: set ``app.debug`` from ``FLASK_DEBUG``.
    :return: the application.
    :raises LoadError: when that fails, for whatever reason.
    """
    from ..cli import ScriptInfo
    from ..loading.shadow import install_as_flask

    try:
        install_as_flask()
        return ScriptInfo(target.path, target.create_app, sets_debug).load_app()
    except NoAppException as error:
        raise LoadError(_first_line(error)) from error
    except SystemExit as stop:
        raise LoadError(
            f"{_name(target)} ended itself with status {stop.code!r} while it was imported; put what"
            " a program does under 'if __name__ == \"__main__\":'."
        ) from stop
    except Exception as error:
        raise LoadError(f"{_name(target)} could not be loaded: {describe(error)}") from error


def _name(target: Target) -> str:
    return "The application" if target.path is None else repr(target.path)


def _first_line(error: NoAppException) -> str:
    """The message without the traceback that follows where an import inside the module failed."""
    cause = error.__context__
    message = error.format_message()
    first = message.partition("\n")[0]
    if first == message or not isinstance(cause, Exception):
        return first
    return f"{first.partition(',')[0]}: {describe(cause)}"


def describe(error: BaseException) -> str:
    """An exception in one line: what it is, and where it was raised.

    :param error: the exception.
    :return: the line.
    """
    what = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
    if isinstance(error, SyntaxError):
        return what
    place = None
    traceback = error.__traceback__
    while traceback is not None:
        place = f"{traceback.tb_frame.f_code.co_filename}, line {traceback.tb_lineno}"
        traceback = traceback.tb_next
    return f"{what} ({place})" if place and not place.startswith("<") else what


def needs_asgi(app: Flask) -> str | None:
    """Say why an application is better served by ASGI: what it has that awaits.

    :param app: the application.
    :return: ``"a WebSocket route"`` or ``"the async view 'name'"`` and the like; None when
        everything in it is plain, and WSGI the faster way. Streams count: over WSGI each holds a
        thread for as long as it lasts.
    """
    if websocket_rules(app)[0]:
        return _WEBSOCKET
    for name, view in app.view_functions.items():
        if _is_async_view(view):
            return f"the async view {name!r}"
    if any(getattr(app, name, ()) for name in _SERVING):
        return _LIFESPAN
    hooks = (*_functions(app), *(f for b in app.blueprints.values() for f in _functions(b)))
    for hook in hooks:
        if _is_async(hook):
            return f"the async function {getattr(hook, '__name__', hook)!r}"
    for name, view in app.view_functions.items():
        if makes_stream(view):
            return f"the stream {name!r}"
    return None


def websocket_rules(app: Flask) -> tuple[list[str], list[str]]:
    """Return the rules of an application's WebSockets: of its own, and of those that need the socket itself.

    The others have a plain view, as flask-sock's, which takes the socket out of the WSGI environment.

    :param app: the application.
    :return: both lists.
    """
    from ..websockets import WebSocketView

    own: list[str] = []
    others: list[str] = []
    for rule in app.url_map.iter_rules():
        if rule.websocket:
            view = app.view_functions.get(rule.endpoint)
            is_own = isinstance(view, WebSocketView) or _is_async(view)
            (own if is_own else others).append(rule.rule)
    return own, others


def _warn_of_sockets(app: Flask) -> tuple[str, ...]:
    """Say which WebSockets of the application cannot work here, and where they do."""
    found = dict.fromkeys(websocket_rules(app)[1], "flask-sock")
    if "socketio" in app.extensions:
        found["/socket.io"] = "Flask-SocketIO"
    return tuple(
        f"The WebSocket {rule!r} of {name} is refused: {name} needs the socket itself, and this server"
        " hands out none. Start the program with 'kolben exec -- gunicorn --threads 100 ...', or"
        " use @app.websocket."
        for rule, name in found.items()
    )


# Called in answer to ASGI's lifespan messages, to which WSGI has nothing alike.
_SERVING = ("before_serving_funcs", "while_serving_gens", "after_serving_funcs")


def _is_async(function: t.Any) -> bool:
    from ..concurrency import is_coroutine_function

    return is_coroutine_function(function)


def _is_async_view(view: t.Any) -> bool:
    """Whether a view, or a method of a class-based view, is an ``async def``."""
    view_class = getattr(view, "view_class", None)
    if view_class is None:
        return _is_async(view)
    names = {"dispatch_request", *(method.lower() for method in view_class.methods or ())}
    return any(_is_async(getattr(view_class, name, None)) for name in names)


def _functions(scaffold: t.Any) -> Iterator[t.Any]:
    """Every function that an application or blueprint has registered besides its views."""
    for table in (
        scaffold.before_request_funcs,
        scaffold.after_request_funcs,
        scaffold.teardown_request_funcs,
    ):
        for hooks in table.values():
            yield from hooks
    for by_code in scaffold.error_handler_spec.values():
        for handlers in by_code.values():
            yield from handlers.values()
    yield from getattr(scaffold, "teardown_appcontext_funcs", ())


@dataclass(frozen=True)
class Facts:
    """What the main process has to know of the application before it starts."""

    #: Why it cannot be served; None when it can.
    problem: str | None = None
    #: The interface that suits it, and why.
    interface: str = "wsgi"
    reason: str = ""
    debug: bool = False
    #: What does not work here, a sentence each.
    warnings: tuple[str, ...] = ()
    #: Whether the threads of one process take turns, with what the application imports.
    has_gil: bool = True


def choose_interface(app: Flask) -> tuple[str, str]:
    """Choose the interface that an application is served by.

    :param app: the application.
    :return: ``"wsgi"`` or ``"asgi"``, and the reason.
    """
    awaits = needs_asgi(app)
    if awaits is None:
        return "wsgi", "nothing in it awaits"
    # With middleware around `wsgi_app` (ProxyFix, instrumentation) each request goes the way of WSGI,
    # over ASGI in a thread: then WSGI itself is the shorter way, and async views are answered there, too.
    if "wsgi_app" in vars(app) and "asgi_app" not in vars(app) and awaits not in _ASGI_ONLY:
        return "wsgi", "it has WSGI middleware"
    return "asgi", f"it has {awaits}"


_WEBSOCKET = "a WebSocket route"
_LIFESPAN = "functions to run at the server's start or end"
_ASGI_ONLY = {_WEBSOCKET, _LIFESPAN}


def examine(target: Target, connection: Connection) -> None:
    """Load the application in this process, and send its :class:`Facts`.

    :param target: says which application.
    :param connection: takes the facts.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        app = load(target)
        _try_session_store(app)
        warnings = _warn_of_sockets(app)
        facts = Facts(
            None,
            *choose_interface(app),
            debug=app.debug,
            warnings=warnings,
            # Asked afterwards: a module that is not made for threads without it turns it on.
            has_gil=getattr(sys, "_is_gil_enabled", lambda: True)(),
        )
    except LoadError as error:
        facts = Facts(problem=str(error))
    connection.send(facts)


def _try_session_store(app: Flask) -> None:
    """Make the store of sessions once, so that a mistake ends the start and not each request.

    :param app: the application; it is not the one that serves.
    :raises LoadError: where the setting names no store, or what it needs is not installed.
    """
    from ..app import Flask

    chosen = "session_interface" in vars(app), type(app).session_interface
    if app.config.get("SESSION_STORE") is None or chosen != (False, Flask.session_interface):
        return
    from ..server_sessions import use_configured_store

    try:
        use_configured_store(app)
    except (RuntimeError, ValueError) as error:
        raise LoadError(str(error)) from error


# --- Inside a worker ------------------------------------------------------------------------------


def load_gateway(target: Target, listener: int, control: Connection) -> Callable[..., t.Any]:
    """Load the application and return what Granian calls for each request.

    The main process is told when the worker is ready, or why it never will be.

    :param target: says which application, and what to put around it.
    :param listener: the inode of the socket that the workers accept from.
    :param control: the connection to the main process.
    :return: a WSGI or an ASGI application.
    :raises SystemExit: when the application cannot be loaded.
    """
    app, link = prepare(target, listener, control)
    return asgi_gateway(app, link) if target.interface == "asgi" else wsgi_gateway(app, link)


def prepare(target: Target, listener: int, control: Connection) -> tuple[t.Any, Link]:
    """Load the application, put around it what was asked for, and listen to the main process.

    :param target: says which application, and what to put around it.
    :param listener: the inode of the socket that the workers accept from.
    :param control: the connection to the main process.
    :return: a WSGI or an ASGI application, and our side of the connection.
    :raises SystemExit: when the application cannot be loaded.
    """
    # Inherited from the main process, where they mean something else.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    keep_reserve()
    try:
        app = load(target)
        if target.interface == "wsgi":
            start(app)
    except LoadError as error:
        control.send(str(error))
        sys.exit(1)
    if target.threads is not None:
        from ..threads import workers

        workers.limit = target.threads
        share_threads(target.threads)
    link = Link(control, listener, target.grace)
    link.on_look = partial(app.engine_plan.look_for_patches, app)
    link.watch()
    # Tools for WSGI replace `Flask.__call__` by a function of WSGI's two arguments.
    proxy_count = target.proxy_count or app.config.get("PROXY_COUNT") or 0
    target = replace(target, proxy_count=proxy_count)
    return wrap(app.asgi_app if target.interface == "asgi" else app, target), link


def start(app: Flask) -> None:
    """Call the functions that run before serving, where the server's protocol has no word for it.

    :param app: the application.
    :raises LoadError: when one of them raises.
    """
    from ..engine.lifetime import StartRefused

    try:
        app._start_serving()
    except StartRefused as error:
        raise LoadError(str(error)) from error
    except Exception as error:
        raise LoadError(f"The application could not be started: {describe(error)}") from error


def wrap(app: t.Any, target: Target) -> t.Any:
    """Put the middleware around an application that the command line asked for.

    :param app: the application.
    :param target: says which middleware.
    :return: the application, or the outermost middleware.
    """
    if target.access_log is not None:
        from .observability import AccessLogMiddleware, log_to_stdout

        log_to_stdout()
        app = AccessLogMiddleware(app, target.access_log)
    elif target.request_id:
        from .observability import RequestIdMiddleware

        app = RequestIdMiddleware(app)
    if target.proxy_count:
        from .forwarded import ForwardedMiddleware

        app = ForwardedMiddleware(app, target.proxy_count)
    return app
