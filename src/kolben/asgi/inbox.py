"""What a WebSocket's client has sent, until the handler takes it."""

from __future__ import annotations

import typing as t
from time import monotonic

from ..concurrency import ended

if t.TYPE_CHECKING:
    import asyncio

    from ..websockets import Message, Receive

#: Bytes of messages that are kept for a handler that does not receive them.
READ_AHEAD = 64 * 1024


class Inbox:
    """The messages of one WebSocket, in the order in which they have come.

    A handler that gives up waiting (``asyncio.timeout``, a task that is cancelled) takes no message
    with it. ASGI does not promise that of a server's ``receive``, and Granian's loses what comes just
    then; so each ``receive`` runs in a task of its own, which outlives the handler's wait.

    :param receive: gives the server's messages.
    :param loop: the running event loop.
    :param leave: called at once with the message that says that the client has left.
    """

    # PERF: with these, and a list rather than a deque, an idle WebSocket takes 0.8 kB less.
    __slots__ = (
        "_error",
        "_is_over",
        "_is_paused",
        "_leave",
        "_loop",
        "_messages",
        "_reader",
        "_reads_ahead",
        "_receive",
        "_size",
        "_waiters",
        "sent",
        "turn",
    )

    def __init__(
        self,
        receive: Receive,
        loop: asyncio.AbstractEventLoop,
        leave: t.Callable[[Message], None],
    ) -> None:
        self._receive = receive
        self._loop = loop
        self._leave = leave
        #: How many messages were sent since one was taken, and when the event loop had its last turn.
        self.sent = 0
        self.turn = monotonic()
        self._messages: list[Message] = []
        self._size = 0
        self._reader: asyncio.Task[None] | None = None
        # Those who wait for a message: nearly always one, or none.
        self._waiters: list[asyncio.Future[None]] = []
        self._error: Exception | None = None
        self._reads_ahead = False
        self._is_paused = False
        self._is_over = False

    def __bool__(self) -> bool:
        """Whether there is a message that can be taken without waiting."""
        return bool(self._messages)

    @property
    def is_awaited(self) -> bool:
        """Whether a coroutine waits for a message."""
        return bool(self._waiters)

    async def next(self) -> Message:
        """Wait for the next message and take it.

        :raises Exception: what the server's ``receive`` has raised.
        """
        while not self._messages:
            if self._error is not None:
                raise self._error
            # PERF: here, and not in a coroutine of its own, which an idle WebSocket would keep (0.2 kB).
            self._read_on()
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._waiters:  # the wait was given up
                    self._waiters.remove(waiter)
        self.sent = 0
        self.turn = monotonic()
        message = self._messages.pop(0)
        self._size -= _size(message)
        if self._reads_ahead:
            self._read_on()
        return message

    def read_ahead(self) -> None:
        """Read also what the handler does not wait for, to hear when the client leaves."""
        self._reads_ahead = True
        self._read_on()

    def _read_on(self) -> None:
        if self._reader is None and not (self._is_over or self._is_paused):
            self._reader = self._loop.create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                message = await self._receive()
                self._messages.append(message)
                self._size += _size(message)
                if message["type"] != "websocket.receive":
                    self._is_over = True
                    self._leave(message)
                    return
                if not self._reads_ahead or self._size > READ_AHEAD:
                    return
                self._wake()
        except Exception as error:
            self._error, self._is_over = error, True
        finally:
            self._reader = None
            if not self._is_paused:
                self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def pause(self) -> None:
        """Stop reading: while a coroutine waits for a message, Granian sends no close."""
        self._is_paused = True
        if self._reader is not None:
            await ended(self._reader, cancel=True)

    def resume(self) -> None:
        """Read on, for those who wait."""
        self._is_paused = False
        if self._messages or self._error is not None:
            self._wake()
        elif self._reads_ahead or self._waiters:
            self._read_on()


def _size(message: Message) -> int:
    return len(message.get("text") or message.get("bytes") or "")
