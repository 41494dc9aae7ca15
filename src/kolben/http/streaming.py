"""Bodies that come and go piece by piece, on both kinds of server.

Requests: `stream_body` marks a view that reads its body itself, through
:meth:`.Request.body_stream`. Responses: an asynchronous iterator becomes an `AsyncBody`, which a WSGI
server takes for an ordinary iterator; a file becomes a `FileBody`.
"""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import ClosingIterator

from ..concurrency import run_coroutine

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Generator, Iterator

    from ..asgi.body import Body
    from ..wrappers import Request

F = t.TypeVar("F", bound=t.Callable[..., t.Any])

#: Where the environ of a request from an ASGI server holds its :class:`~kolben.asgi.body.Body`.
BODY_KEY = "kolben.body"

#: Where it holds the server's ``receive``.
RECEIVE_KEY = "kolben.receive"

_MARK = "_kolben_streams_body"
_PIECE = 64 * 1024  # bytes


#: What sends the bodies that are on their way to clients of an ASGI server; whether each is a stream of events.
open_streams: dict[asyncio.Task[None], bool] = {}

#: How long those that are ended may take for it, in seconds.
_END_OF_STREAMS = 1.0


def end_streams(*, events_only: bool) -> None:
    """Cancel what sends the bodies that are still under way on this event loop.

    :param events_only: only streams of events, whose clients ask again where they end.
    """
    loop = _running_loop()
    for task, is_events in list(open_streams.items()):
        # One that is cancelled already cleans up, and a second time would break that off.
        if (is_events or not events_only) and task.get_loop() is loop and not task.cancelling():
            task.cancel()


async def close_streams() -> None:
    """Cancel them all, and wait until they have cleaned up: some servers do neither before they end."""
    end_streams(events_only=False)
    loop = _running_loop()
    left = [task for task in open_streams if task.get_loop() is loop]
    if left:
        import asyncio

        await asyncio.wait(left, timeout=_END_OF_STREAMS)


def _running_loop() -> asyncio.AbstractEventLoop:
    import asyncio

    return asyncio.get_running_loop()


def is_event_stream(headers: t.Iterable[tuple[str, str]]) -> bool:
    """Tell whether a response is a stream of server-sent events.

    :param headers: its headers.
    """
    return any(
        name.lower() == "content-type" and value.startswith("text/event-stream")
        for name, value in headers
    )


# -- requests -------------------------------------------------------------------------------


def stream_body(view: F) -> F:
    """Mark an ``async def`` view that reads the request's body itself, piece by piece.

    Without it the body is read before the view starts, into memory or, where it is long, into a
    temporary file; so that ``request.form``, ``request.files`` and ``request.json`` need no
    ``await``. With it, the view reads :meth:`.Request.body_stream` and nothing else of the body.
    Plain views always read as they go; for them the mark changes nothing.

    .. code-block:: python

        @app.put("/files/<name>")
        @stream_body
        async def upload(name):
            size = 0
            async for piece in request.body_stream():
                size += len(piece)
            return {"size": size}

    :param view: the view function.
    :return: the same function.
    """
    setattr(view, _MARK, True)
    return view


def streams_body(view: t.Callable[..., t.Any]) -> bool:
    """Tell whether a view is marked with :func:`stream_body`.

    :param view: the view function.
    """
    return getattr(view, _MARK, False)


class BodyStream:
    """The body of a request in pieces of bytes, for ``for`` and for ``async for``; or all, for ``await``.

    What limits the body elsewhere limits it here: ``MAX_CONTENT_LENGTH`` ends it with 413, a client
    that leaves before its end with 400.

    :param request: the request.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._body: Body | None = request.environ.get(BODY_KEY)
        self._declared = request.content_length
        self._count = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        # At the declared end nothing more is asked for: a server that ends the input itself has
        # Werkzeug limit it, which takes a question at the very limit for one too many.
        piece = b"" if self._count == self._declared else self._request.stream.read(_PIECE)
        if not piece:
            raise StopIteration
        self._count += len(piece)
        return piece

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        body = self._body
        if body is None or body.is_read:
            # It is there already, or this is a WSGI server, whose thread may wait.
            return self._next_there()
        maximum = self._request.max_content_length
        if maximum is not None and (body.declared or 0) > maximum:
            raise RequestEntityTooLarge
        piece = await body.piece()
        if not piece:
            body.check_length()
            raise StopAsyncIteration
        self._count += len(piece)
        if maximum is not None and self._count > maximum:
            raise RequestEntityTooLarge
        return piece

    def __await__(self) -> Generator[t.Any, None, bytes]:
        return self._all().__await__()

    async def _all(self) -> bytes:
        return b"".join([piece async for piece in self])

    def _next_there(self) -> bytes:
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None


# -- responses ------------------------------------------------------------------------------


class AsyncBody:
    """The body of a response whose pieces come from an asynchronous iterator.

    For a WSGI server it is a plain iterator of bytes: each piece is produced on an event loop
    while the server waits. The ASGI gateway iterates it asynchronously.

    :param source: gives text or bytes.
    """

    #: Closes the response that this is the body of.
    on_close: t.Callable[[], t.Any] | None = None

    def __init__(self, source: t.AsyncIterable[str | bytes]) -> None:
        self._source = source.__aiter__()
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return run_coroutine(self.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._source.__anext__()
        return piece.encode() if isinstance(piece, str) else piece

    def close(self) -> None:
        """Close the iterator and the response, from plain code."""
        try:
            if not self._closed:
                run_coroutine(self.aclose())
        finally:
            on_close, self.on_close = self.on_close, None
            if on_close is not None:
                on_close()

    async def aclose(self) -> None:
        """Close the iterator: its ``finally`` blocks run."""
        if self._closed:
            return
        self._closed = True
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()


class WholeBody(ClosingIterator):
    """The body of a response whose pieces are all there; closing it closes the response.

    So a server of ours need not fear that one of them keeps it waiting.
    """


class FileBody:
    """A file as the body of a response under ASGI: ``wsgi.file_wrapper`` (PEP 3333).

    :param file: the file, open for reading bytes.
    :param size: how much to read at a time. What WSGI servers like is far too little where each
        piece takes a worker thread, so it is not heeded.
    """

    def __init__(self, file: t.IO[bytes], size: int = 8192) -> None:
        self.file = file
        # Asked for by Werkzeug, to send a part of the file.
        for name in ("seek", "tell", "seekable"):
            if hasattr(file, name):
                setattr(self, name, getattr(file, name))

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = self.file.read(4 * _PIECE)
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Close the file."""
        if hasattr(self.file, "close"):
            self.file.close()


def as_iterable(response: t.Any) -> t.Any:
    """Return what a response is made of, an asynchronous iterator as an `AsyncBody`.

    :param response: anything that a response may be made of.
    """
    if hasattr(response, "__aiter__") and not isinstance(response, AsyncBody):
        return AsyncBody(response)
    return response
