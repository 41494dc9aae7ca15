"""A worker process of ``kolben serve``: the application is loaded here, and put behind the server.

Granian calls :func:`load_gateway` in each worker, and then what that returns for each request. The
main process never imports the application: that is why new workers have its new code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import typing as t
from dataclasses import dataclass
from itertools import chain

from ..loading.locate import NoAppException
from .memory import Caretaker
from .streams import makes_stream

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

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


class LoadError(Exception):
    """The application cannot be loaded; the message is one line for the user."""


# --- Loading --------------------------------------------------------------------------------------


def load(target: Target) -> Flask:
    """Import the application, with Kolben in place of Flask.

    :param target: says which.
    :return: the application.
    :raises LoadError: when that fails, for whatever reason.
    """
    from ..cli import ScriptInfo
    from ..loading.shadow import install_as_flask

    try:
        install_as_flask()
        return ScriptInfo(target.path, target.create_app).load_app()
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
    if any(rule.websocket for rule in app.url_map.iter_rules()):
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


def choose_interface(app: Flask) -> tuple[str, str]:
    """Choose the interface that an application is served by.

    :param app: the application.
    :return: ``"wsgi"`` or ``"asgi"``, and the reason.
    """
    awaits = needs_asgi(app)
    if awaits is None:
        return "wsgi", "nothing in it awaits"
    # Middleware around `wsgi_app` (ProxyFix, instrumentation) is not on the way of an ASGI request.
    # To leave it out silently would be wrong; async views are answered under WSGI, too.
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
    try:
        app = load(target)
        facts = Facts(None, *choose_interface(app), debug=app.debug)
    except LoadError as error:
        facts = Facts(problem=str(error))
    connection.send(facts)


# --- Inside a worker ------------------------------------------------------------------------------


def load_gateway(target: Target, listener: int, control: Connection) -> Callable[..., t.Any]:
    """Load the application and return what the server calls for each request.

    The main process is told when the worker is ready, or why it never will be.

    :param target: says which application, and what to put around it.
    :param listener: the inode of the socket that the workers accept from.
    :param control: the connection to the main process.
    :return: a WSGI or an ASGI application.
    :raises SystemExit: when the application cannot be loaded.
    """
    # Inherited from the main process, where they mean something else.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        app = wrap(load(target), target)
        if target.threads is not None:
            from ..concurrency import workers

            workers.limit = target.threads
    except LoadError as error:
        control.send(str(error))
        sys.exit(1)
    link = _Link(control, listener)
    threading.Thread(target=link.listen, name="kolben-control", daemon=True).start()
    return _asgi_gateway(app, link) if target.interface == "asgi" else _wsgi_gateway(app, link)


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


class _Link:
    """A worker's side of the connection to the main process."""

    #: How often to look whether there still is a main process, in seconds.
    LOOK = 1.0

    def __init__(self, control: Connection, listener: int) -> None:
        self.control = control
        self.listener = listener
        self.parent = os.getppid()
        #: Whether this worker is about to be stopped.
        self.leaving = False
        #: Called when it becomes so, in this object's thread.
        self.on_leave: Callable[[], None] | None = None

    def say_ready(self) -> None:
        """Tell the main process that requests can come."""
        try:
            self.control.send(None)
        except OSError:
            pass  # it has ended, which `listen` notices

    def listen(self) -> None:
        """Wait for the word that this worker is to leave, or for the end of the main process.

        Meanwhile, in this thread because it has time, give back memory that is not used.
        """
        caretaker = Caretaker()
        while os.getppid() == self.parent:
            try:
                if self.control.poll(self.LOOK):
                    self.control.recv()
                    self._leave()
                caretaker.look()
            except (EOFError, OSError):
                break
        os.kill(os.getpid(), signal.SIGTERM)

    def _leave(self) -> None:
        self.leaving = True
        _stop_accepting(self.listener)
        if self.on_leave is not None:
            self.on_leave()


def _stop_accepting(inode: int) -> None:
    """Leave the listening socket to the other workers.

    Granian accepts until it ends, and a connection that it accepts at that moment is lost. So each of
    this process' descriptors of the socket becomes one of another socket, which no client knows: to
    accept from it finds no connection.

    :param inode: the listening socket's.
    """
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    with socket.create_server(("127.0.0.1", 0)) as unknown:
        unknown.setblocking(False)
        for descriptor in map(int, os.listdir(folder)):
            # That of the listing itself is closed already.
            with contextlib.suppress(OSError):
                if os.fstat(descriptor).st_ino == inode:
                    os.dup2(unknown.fileno(), descriptor, inheritable=False)


def _wsgi_gateway(app: t.Any, link: _Link) -> Callable[..., t.Any]:
    def gateway(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if link.leaving:
            start_response = _closing(start_response)
        body: Iterable[bytes] = app(environ, start_response)
        return body if type(body) is list else _read_ahead(body)

    link.say_ready()
    return gateway


#: How much of a file is read before it is sent, and how much at a time after that, in bytes.
_AHEAD = 1024 * 1024
_PIECE = 256 * 1024


def _read_ahead(body: t.Any) -> Iterable[bytes]:
    """Read a file to its end, where that is near; leave everything else to be streamed.

    PERF: for each piece of an iterator, Granian's threads take turns at the interpreter. As a list,
    which it sends at once, a file of 10 bytes was served 6,800 times a second where it was 2,300,
    one of 1 MB 700 times where it was 270.
    """
    from werkzeug.wsgi import ClosingIterator, FileWrapper, _RangeWrapper

    if not isinstance(body, FileWrapper | _RangeWrapper):
        return t.cast("Iterable[bytes]", body)
    file = body.iterable if isinstance(body, _RangeWrapper) else body
    if isinstance(file, FileWrapper):
        file.buffer_size = max(file.buffer_size, _PIECE)
    pieces: list[bytes] = []
    size = 0
    for piece in body:
        pieces.append(piece)
        size += len(piece)
        if size >= _AHEAD:
            return ClosingIterator(chain(pieces, body), [body.close])
    body.close()
    return pieces


# A client that is told to close its connection sends no request on it at the moment at which the
# worker ends: this is what makes a change of workers pass unnoticed.
_CLOSE = "Connection", "close"


def _closing(start_response: t.Any) -> t.Any:
    def start(status: str, headers: list[tuple[str, str]], *exc_info: t.Any) -> t.Any:
        return start_response(status, [*headers, _CLOSE], *exc_info)

    return start


def _asgi_gateway(app: t.Any, link: _Link) -> Callable[..., t.Any]:
    sockets = _OpenSockets()
    link.on_leave = sockets.close_all

    def gateway(scope: t.Any, receive: t.Any, send: t.Any) -> t.Any:
        kind = scope["type"]
        if kind == "lifespan":
            receive, send = sockets.before_shutdown(receive), _announcing(send, link)
        elif kind == "websocket":
            return sockets.run(app, scope, receive, send)
        elif link.leaving and scope["http_version"] != "2":
            send = _asgi_closing(send)
        return app(scope, receive, send)

    return gateway


#: What a WebSocket of a worker that leaves is closed with: Service Restart (IANA's registry of the
#: close codes of RFC 6455). Its client knows that it can connect again at once.
_RESTART = {"type": "websocket.close", "code": 1012, "reason": "restarting"}


#: How long the handlers of closed WebSockets may take to end when the worker does, in seconds.
_HANDLERS_END = 2.0


class _OpenSockets:
    """The WebSockets of a worker, which are closed when it leaves."""

    def __init__(self) -> None:
        self.leaving = False
        self._open: set[_Socket] = set()
        self._loop: t.Any = None

    async def run(self, app: t.Any, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        if self._loop is None:
            import asyncio

            self._loop = asyncio.get_running_loop()
        own = _Socket(self, send)
        self._open.add(own)
        try:
            await app(scope, receive, own.send)
        finally:
            self._open.discard(own)

    def before_shutdown(self, receive: t.Any) -> t.Any:
        """Hold back the news of the shutdown until their handlers have come to an end.

        :param receive: the lifespan's; the loop ends when the application has shut down, and what
            a handler does at its end (``finally``, teardown) would be lost then.
        """

        async def wait() -> t.Any:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                import asyncio

                deadline = time.monotonic() + _HANDLERS_END
                while self._open and time.monotonic() < deadline:  # noqa: ASYNC110 (at the end only)
                    await asyncio.sleep(0.01)
            return message

        return wait

    def close_all(self) -> None:
        """Close them, from another thread."""
        self.leaving = True
        if self._loop is not None:
            import asyncio

            asyncio.run_coroutine_threadsafe(self._close_all(), self._loop)

    async def _close_all(self) -> None:
        for each in list(self._open):
            if each.accepted:
                await each.restart()


class _Socket:
    """One of them. It is closed when it is open and the worker leaves, in whichever order."""

    def __init__(self, sockets: _OpenSockets, send: t.Any) -> None:
        self._sockets = sockets
        self._send = send
        self.accepted = False

    async def send(self, message: t.Any) -> None:
        await self._send(message)
        if not self.accepted and message["type"] == "websocket.accept":
            self.accepted = True
            if self._sockets.leaving:
                await self.restart()

    async def restart(self) -> None:
        # One that was closed already may say so.
        with contextlib.suppress(Exception):
            await self._send(_RESTART)


def _announcing(send: t.Any, link: _Link) -> t.Any:
    """Pass messages on; say that the worker is ready when the application has started up."""

    async def announce(message: t.Any) -> None:
        await send(message)
        if message["type"] == "lifespan.startup.complete":
            link.say_ready()

    return announce


def _asgi_closing(send: t.Any) -> t.Any:
    name, value = (part.lower().encode() for part in _CLOSE)

    async def close(message: t.Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (name, value)]}
        await send(message)

    return close
