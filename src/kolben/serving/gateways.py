"""What stands between the server and the application in a worker of ``kolben serve``."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import typing as t
from functools import partial
from itertools import chain

from ..concurrency import cancel_coroutines
from ..engine.lifetime import AT_ONCE
from ..http.streaming import AsyncBody, end_streams, is_event_stream
from .bodies import BODILESS, Input, answer_and_read_on, declares_much, has_body
from .leaving import exit_now

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from .leaving import Link

logger = logging.getLogger("kolben.serve")

# --- WSGI -----------------------------------------------------------------------------------------


def wsgi_gateway(app: t.Any, link: Link) -> Callable[..., t.Any]:
    """Return what the server calls for each request over WSGI.

    :param app: the application.
    :param link: says when the worker leaves.
    :return: a WSGI application.
    """
    from multiprocessing.util import Finalize

    def gateway(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["SERVER_PROTOCOL"] == "HTTP/1":  # as Granian calls HTTP/1.0
            environ["SERVER_PROTOCOL"] = "HTTP/1.0"
        started = start_response
        if link.leaving:
            start_response = _closing(start_response)
        sent = Input(environ) if has_body(environ) else None
        body: Iterable[bytes] = app(environ, start_response)
        if type(body) is not list:
            body = _read_ahead(body, environ, started, link, sent)
        if sent is not None and type(body) is list and sent.is_left():
            return _Stream(_declared(body, started), link, False, sent)
        return body

    def note_the_end() -> None:
        link.ending = True

    link.on_cut = cancel_coroutines
    _quieten_granian(link)
    # The first thing that is done when the process ends as it should: it needs no help then.
    Finalize(None, note_the_end, exitpriority=1000)
    link.say_ready()
    return gateway


#: How much of a file is read before it is sent, and how much at a time after that, in bytes.
_AHEAD = 1024 * 1024
_PIECE = 256 * 1024


def _read_ahead(
    body: t.Any, environ: WSGIEnvironment, started: t.Any, link: Link, sent: Input | None
) -> Iterable[bytes]:
    """Read a file to its end, where that is near; leave everything else to be streamed.

    PERF: for each piece of an iterator, Granian's threads take turns at the interpreter. As a list,
    which it sends at once, a file of 10 bytes was served 6,800 times a second where it was 2,300,
    one of 1 MB 700 times where it was 270.
    """
    from werkzeug.wsgi import ClosingIterator, FileWrapper, _RangeWrapper

    if not isinstance(body, FileWrapper | _RangeWrapper):
        if isinstance(body, AsyncBody):
            _warn_of_thread(environ)
        headers = getattr(started, "headers", ())  # of Granian's `start_response`
        return _Stream(body, link, is_event_stream(headers), sent)
    file = body.iterable if isinstance(body, _RangeWrapper) else body
    if isinstance(file, FileWrapper):
        file.buffer_size = max(file.buffer_size, _PIECE)
    pieces: list[bytes] = []
    size = 0
    for piece in body:
        pieces.append(piece)
        size += len(piece)
        if size >= _AHEAD:
            return _Stream(ClosingIterator(chain(pieces, body), [body.close]), link, False, sent)
    body.close()
    return pieces


def _declared(body: list[bytes], started: t.Any) -> list[bytes]:
    """Declare the length of a body that is whole, as Granian does for lists: its client knows when it has all."""
    names = {name.lower() for name, _ in started.headers}
    if "content-length" not in names and started.status not in _WITHOUT_BODY:
        started.headers = [*started.headers, ("Content-Length", str(sum(map(len, body))))]
    return body


#: Statuses of answers that have no body (RFC 9110, section 6.4.1).
_WITHOUT_BODY = 204, 304


class _Calls(threading.local):
    """What is to be done at the end of a thread's call; None where it is not waited for."""

    ends: list[Callable[[], None]] | None = None


_calls = _Calls()


def close_afterwards(call: Callable[..., t.Any]) -> Callable[..., t.Any]:
    """Have bodies closed when a call of Granian's is over.

    It closes them before it sends the end of one that declares no length: the client would wait for
    what ``call_on_close`` does.

    :param call: answers a request.
    :return: the same, with that.
    """

    def answer(*args: t.Any) -> t.Any:
        ends = _calls.ends
        if ends is None:
            ends = _calls.ends = []
        try:
            return call(*args)
        finally:
            while ends:
                ends.pop()()

    return answer


class _Stream:
    """A body that is sent in pieces, for as long as its worker lasts.

    :param body: the body.
    :param link: says when the worker leaves.
    :param is_events: whether the client asks again where it ends, so that it ends at once.
    :param sent: the request's body, where it may have one.
    """

    def __init__(
        self, body: Iterable[bytes], link: Link, is_events: bool, sent: Input | None
    ) -> None:
        self._closed = False
        self._body = body
        self._pieces = iter(body)
        self._link = link
        self._is_events = is_events
        self._sent = sent

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._link.leaving:
            if self._is_events:
                raise StopIteration
            if self._link.cut:
                self._close_body()
                # Granian sends the end of a body that raises as if it were whole. So nothing is sent any
                # more, until the process ends and the connection breaks.
                threading.Event().wait()
        try:
            return next(self._pieces)
        except StopIteration:
            if self._sent is not None:
                self._sent.read_on()
            raise

    def close(self) -> None:
        """Close the body: when the client knows that it has all, where that can be waited for."""
        if _calls.ends is None:
            self._close_body()
        else:
            _calls.ends.append(self._close_body)

    def _close_body(self) -> None:
        """Close the body, once."""
        if self._closed:
            return
        self._closed = True
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


_warned: set[str] = set()


def _warn_of_lost_headers() -> None:
    """Say once that the server does not pass on what a WebSocket is accepted with."""
    if "headers" not in _warned:
        _warned.add("headers")
        logger.warning(
            "Headers of websocket.accept(), and with them the session cookie, do not reach the client:"
            " Granian leaves them out. 'kolben serve --server uvicorn' passes them on."
        )


def _warn_of_thread(environ: WSGIEnvironment) -> None:
    path = environ.get("PATH_INFO", "")
    if "thread" not in _warned:
        _warned.add("thread")
        logger.warning(
            "The answer for %r is made by an asynchronous generator: over WSGI it holds a thread for as"
            " long as it lasts. '--interface asgi' needs none.",
            path,
        )


# A client that is told to close its connection sends no request on it at the moment at which the
# worker ends: this is what makes a change of workers pass unnoticed.
_CLOSE = "Connection", "close"


def _closing(start_response: t.Any) -> t.Any:
    def start(status: str, headers: list[tuple[str, str]], *exc_info: t.Any) -> t.Any:
        return start_response(status, [*headers, _CLOSE], *exc_info)

    return start


# --- ASGI -----------------------------------------------------------------------------------------


def asgi_gateway(
    app: t.Any,
    link: Link,
    cancel_requests: Callable[[], None] | None = None,
    passes_headers: bool = False,
) -> Callable[..., t.Any]:
    """Return what the server calls for each connection over ASGI.

    :param app: the application.
    :param link: says when the worker leaves.
    :param cancel_requests: cancels what is still being answered, on the event loop; by default as Granian
        needs it.
    :param passes_headers: whether the headers that a WebSocket is accepted with reach the client.
    :return: an ASGI application.
    """
    sockets = _OpenSockets(passes_headers)
    lifespan = _Lifespan(link, sockets, cancel_requests or _cancel_granians_tasks)
    link.on_leave = lifespan.close_what_has_no_end
    link.on_cut = lifespan.cancel_requests
    link.on_end = lifespan.end_by_force
    _quieten_granian(link)

    def gateway(scope: t.Any, receive: t.Any, send: t.Any) -> t.Any:
        kind = scope["type"]
        if kind == "lifespan":
            return lifespan.run(app, scope, receive, send)
        if kind == "websocket":
            return sockets.run(app, scope, receive, send)
        if link.leaving and scope["http_version"] != "2":
            send = _asgi_closing(send)
        if scope["method"] not in BODILESS and declares_much(scope["headers"]):
            return answer_and_read_on(app, scope, receive, send)
        return app(scope, receive, send)

    return gateway


#: What servers log of requests that were cancelled: Granian an error with its traceback, uvicorn these.
_OF_CANCELLED = "Exception in ASGI", "ASGI callable"


def is_news(link: Link, record: logging.LogRecord) -> bool:
    """Tell whether a record of the server's is to be logged: not that what we have cancelled came to no end.

    :param link: says whether the worker leaves.
    :param record: the record.
    """
    if not link.leaving:
        return True
    text = record.getMessage()
    last = text.rstrip().rpartition("\n")[2]  # as a traceback ends, with what the exception says
    return not (text.startswith(_OF_CANCELLED) or "CancelledError" in last.partition(":")[0])


def _quieten_granian(link: Link) -> None:
    for handler in logging.getLogger("_granian").handlers:
        handler.addFilter(partial(is_news, link))


class _Lifespan:
    """The lifespan of the application, which ends by the server's word or by force."""

    def __init__(
        self, link: Link, sockets: _OpenSockets, cancel_requests: Callable[[], None]
    ) -> None:
        self._link = link
        self._sockets = sockets
        self._cancel_requests = cancel_requests
        self._loop: t.Any = None
        self._force: asyncio.Event
        self._forced = False
        self._task: t.Any = None
        self._is_starting = True
        self._is_given_up = False

    async def run(self, app: t.Any, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        """Pass messages on; note the application's start and end.

        :param app: the application.
        :param scope: the lifespan's.
        :param receive: gives the server's messages.
        :param send: takes the application's.
        """
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._force = asyncio.Event()
        self._task = asyncio.current_task()

        async def announce(message: t.Any) -> None:
            self._is_starting = False
            if message["type"] == "lifespan.startup.failed":
                self._link.say_failed(message.get("message") or "The application did not start.")
            if self._forced and message["type"].startswith("lifespan.shutdown."):
                exit_now()
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self._link.say_ready()

        async def wait() -> t.Any:
            message = await self._message(receive)
            if message["type"] == "lifespan.shutdown":
                self._link.ending = True
                await self._sockets.ended()
            return message

        try:
            await app(scope, wait, announce)
        except asyncio.CancelledError:
            if self._is_given_up:
                exit_now()
            raise

    async def _message(self, receive: t.Any) -> t.Any:
        """The server's next message, or that of the end where it is late."""
        import asyncio

        theirs = asyncio.ensure_future(receive())
        ours = asyncio.ensure_future(self._force.wait())
        try:
            await asyncio.wait({theirs, ours}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ours.cancel()
        if theirs.done():
            return theirs.result()
        theirs.cancel()
        self._forced = True
        return {"type": "lifespan.shutdown", AT_ONCE: True}

    def close_what_has_no_end(self) -> None:
        """Close WebSockets and streams of events, and give up a start, from another thread."""
        self._call_on_loop(self._give_up_start)
        self._sockets.close_all()
        self._call_on_loop(partial(end_streams, events_only=True))

    def _give_up_start(self) -> None:
        """Cancel a start that is under way: no request waits for it, and the server would, for ever."""
        if self._is_starting:
            self._is_given_up = True
            self._task.cancel()

    def cancel_requests(self) -> None:
        """Cancel what is still being answered, from another thread."""
        self._call_on_loop(self._cancel_requests)

    def end_by_force(self) -> None:
        """Shut the application down, from another thread, though the server still waits."""
        if self._loop is None:
            exit_now()
        self._call_on_loop(self._force.set)

    def _call_on_loop(self, function: Callable[[], t.Any]) -> None:
        # Where the loop is closed the server has come to its end by itself, and all of this with it.
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function)


def _cancel_granians_tasks() -> None:
    """Cancel the tasks in which Granian has called the application."""
    import asyncio

    from granian._futures import _future_watcher_wrapper

    # Known by their code: to note each request would cost each request. What else there is belongs to the
    # application, which ends it at its own shutdown.
    watcher = _future_watcher_wrapper(None).__code__
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "cr_code", None) is watcher:
            task.cancel()


#: What a WebSocket of a worker that leaves is closed with: Service Restart (IANA's registry of the
#: close codes of RFC 6455). Its client knows that it can connect again at once.
_RESTART = {"type": "websocket.close", "code": 1012, "reason": "restarting"}


#: How long the handlers of closed WebSockets may take to end when the worker does, in seconds.
_HANDLERS_END = 2.0


class _OpenSockets:
    """The WebSockets of a worker, which are closed when it leaves."""

    def __init__(self, passes_headers: bool) -> None:
        self.leaving = False
        self.passes_headers = passes_headers
        self._open: set[_Socket] = set()
        self._loop: t.Any = None
        self._closing: asyncio.Future[None]

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

    async def ended(self) -> None:
        """Wait until their handlers have come to an end.

        The loop ends when the application has shut down, and what a handler does at its end (``finally``,
        teardown) would be lost then.
        """
        import asyncio

        deadline = time.monotonic() + _HANDLERS_END
        while self._open and time.monotonic() < deadline:  # noqa: ASYNC110 (at the end only)
            await asyncio.sleep(0.01)

    def close_all(self) -> None:
        """Close them, from another thread."""
        self.leaving = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # closed, and they with it
                self._loop.call_soon_threadsafe(self._close_soon)

    def _close_soon(self) -> None:
        import asyncio

        self._closing = asyncio.ensure_future(self._close_all())

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
        is_accept = message["type"] == "websocket.accept"
        if is_accept and message.get("headers") and not self._sockets.passes_headers:
            _warn_of_lost_headers()
        await self._send(message)
        if is_accept and not self.accepted:
            self.accepted = True
            if self._sockets.leaving:
                await self.restart()

    async def restart(self) -> None:
        # One that was closed already may say so.
        with contextlib.suppress(Exception):
            await self._send(_RESTART)


def _asgi_closing(send: t.Any) -> t.Any:
    name, value = (part.lower().encode() for part in _CLOSE)

    async def close(message: t.Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (name, value)]}
        await send(message)

    return close
