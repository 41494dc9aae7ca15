"""Server-sent events: a response that goes on telling the client what happens (WHATWG HTML, 9.2).

.. code-block:: python

    from kolben.sse import ServerSentEvent, event_stream

    @app.get("/prices")
    def prices():
        async def events():
            async for price in feed():
                yield ServerSentEvent(price.text, event="price", id=price.number)

        return event_stream(events())

On the client: ``new EventSource("/prices").addEventListener("price", ...)``. After a broken
connection the browser asks again, with the last ``id`` it has seen in the header ``Last-Event-ID``.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .concurrency import ended, in_thread
from .threads import Workers
from .wrappers import Response

if t.TYPE_CHECKING:
    import asyncio

#: What a source of events may give: an event, or its data alone.
EventLike = t.Union["ServerSentEvent", str]

_END: t.Any = object()


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event.

    :param data: its text, of any number of lines.
    :param event: its type, which ``addEventListener`` names; ``message`` if None.
    :param id: what the client sends as ``Last-Event-ID`` when it comes back.
    :param retry: after how many milliseconds the client is to come back.
    :raises ValueError: if *event* or *id* holds a line break.
    """

    data: str = ""
    event: str | None = None
    id: str | int | None = None
    retry: int | None = None

    def __post_init__(self) -> None:
        for name in ("event", "id"):
            if not {"\r", "\n", "\0"}.isdisjoint(str(getattr(self, name))):
                raise ValueError(f"The {name} of a server-sent event must be one line of text.")

    def encode(self) -> bytes:
        """Return the event as it is sent."""
        fields: list[str] = []
        if self.event is not None:
            fields.append(f"event: {self.event}")
        if self.id is not None:
            fields.append(f"id: {self.id}")
        if self.retry is not None:
            fields.append(f"retry: {self.retry}")
        # All three kinds of line break end a line there.
        lines = self.data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        if self.data or not fields:
            fields.extend(f"data: {line}" for line in lines)
        return ("\n".join(fields) + "\n\n").encode()


def event_stream(
    source: t.Iterable[EventLike] | t.AsyncIterable[EventLike],
    heartbeat: float | None = 15.0,
    retry: int | None = None,
) -> Response:
    """Make a response that sends events as they come.

    When the client leaves, *source* is closed: the ``finally`` blocks of a generator run. A plain
    generator that waits is closed as soon as it goes on; while it waits it takes a thread.

    :param source: a generator or an asynchronous one (or any iterable) of events, or of texts,
        which are the data of an event each. Wrap it in :func:`~kolben.stream_with_context` to use
        ``request``, ``session`` and ``g`` in it.
    :param heartbeat: after how many seconds without an event a comment is sent, which keeps
        proxies from hanging up and lets a WSGI server notice that the client has left; None for
        never.
    :param retry: after how many milliseconds the client is to come back; by default what the
        browser likes, some seconds.
    :return: the response. Its headers also tell proxies to neither store nor delay it.
    """
    response = Response(_Events(source, heartbeat, retry), mimetype="text/event-stream")  # type: ignore[arg-type]
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


class _Events:
    """The pieces of an event stream, heartbeats included.

    The source runs in a task of its own, that is the same one from its first event to its last:
    what it uses (``asyncio.timeout``, task groups) may depend on that. The task waits with an event
    until it is wanted, so that a slow client slows the source.
    """

    def __init__(self, source: t.Any, heartbeat: float | None, retry: int | None) -> None:
        self._source = _AsyncSource(source) if hasattr(source, "__aiter__") else _Source(source)
        self._heartbeat = heartbeat
        self._first = None if retry is None else ServerSentEvent(retry=retry).encode()
        self._task: asyncio.Task[None] | None = None
        self._queue: asyncio.Queue[bytes]

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> bytes:
        import asyncio

        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._task is None:
            self._queue = asyncio.Queue(1)
            self._task = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(self._heartbeat):
                piece = await self._queue.get()
        except TimeoutError:
            return b":\n\n"
        if piece is _END:
            await self._task
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Close the source."""
        if self._task is None:
            await self._source.close()
        else:
            await ended(self._task, cancel=True)

    async def _run(self) -> None:
        try:
            await self._pass_on_all()
        except Exception:
            await self._queue.put(_END)
            raise
        await self._queue.put(_END)

    async def _pass_on_all(self) -> None:
        try:
            while (event := await self._source.next()) is not _END:
                if not isinstance(event, ServerSentEvent):
                    event = ServerSentEvent(event)
                await self._queue.put(event.encode())
        finally:
            await self._source.close()


class _AsyncSource:
    """An asynchronous iterator, for `_Events`."""

    def __init__(self, source: t.AsyncIterable[EventLike]) -> None:
        self._source = source.__aiter__()

    async def next(self) -> t.Any:
        """Return the next event, or ``_END``."""
        try:
            return await self._source.__anext__()
        except StopAsyncIteration:
            return _END

    async def close(self) -> None:
        """Close the iterator."""
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()


class _Source:
    """A plain iterator, for `_Events`; it waits for its events in a thread of its own.

    Those of the server's pool would soon all be waiting, and none be left for views.
    """

    def __init__(self, source: t.Iterable[EventLike]) -> None:
        self._source = iter(source)
        self._thread = Workers(1)

    async def next(self) -> t.Any:
        """Return the next event, or ``_END``."""
        return await in_thread(next, self._source, _END, pool=self._thread)

    async def close(self) -> None:
        """Close the iterator and end the thread."""
        try:
            close = getattr(self._source, "close", None)
            if close is not None:
                await in_thread(close, pool=self._thread)
        finally:
            self._thread.close()
