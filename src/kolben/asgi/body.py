"""The body of a request from an ASGI server."""

from __future__ import annotations

import asyncio
import contextvars
import io
import tempfile
import typing as t
from contextlib import suppress

from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    HTTPException,
    RequestEntityTooLarge,
    RequestTimeout,
)

from ..concurrency import ended, in_thread, run_on_loop
from ..http.streaming import BODY_KEY
from .deadlines import time_limit

if t.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .scope import Scope

    Receive = Callable[[], Awaitable[t.MutableMapping[str, t.Any]]]

#: Bytes from which on a body is kept on disk rather than in memory.
SPOOL_SIZE = 500_000


#: Bytes up to which a body is kept as it has come, until something looks at it.
SHORT = 100_000

# What a server knows already takes so many turns of the loop to arrive.
_TURNS = 3


class TooLong(BadRequest):
    """The client has sent more than it has declared."""

    description = "The body is longer than its declared length."


class Body:
    """Receives the body of one request.

    :param receive: the server's ``receive``.
    :param declared: its declared length in bytes; None if there is none.
    :param patience: for how many seconds to wait for more of it; None for ever.
    """

    #: What went wrong before the view has looked at the body.
    error: Exception | None = None

    # What most requests never change is a class attribute.
    #: What was read ahead, for a :class:`BodyInput` that has begun.
    rest: t.IO[bytes] | None = None
    #: Whether the client has left.
    gone = False
    _file: t.IO[bytes] | None = None
    # What waits for the next message; several may wait for it.
    _arrival: asyncio.Task[None] | None = None
    #: Whether the client's leaving is waited for while the body is read.
    is_watched = False
    _taken: asyncio.Event | None = None

    def __init__(self, receive: Receive, declared: int | None, patience: float | None) -> None:
        self.declared = declared
        self.loop = asyncio.get_running_loop()
        self._receive = receive
        self._patience = patience
        # PERF: set here, as CPython writes an attribute slowly that the class has, too.
        self.size = 0
        self.complete = False
        self._buffer = b""
        self._input: t.Any = None
        #: The body, where a short one of its declared length is there and nothing has looked at it.
        self.whole: bytes | None = None
        #: Its type and its length, where those are all that the headers say of it.
        self.content_type: bytes | None = None
        # A message that is waited for already.
        self._begun: _Begun | None = None

    @classmethod
    def empty(cls, receive: Receive) -> Body:
        """Return the body of a request that has none, which knows when the client leaves.

        :param receive: the server's ``receive``.
        """
        body = cls(receive, 0, None)
        body.complete = True
        return body

    # ---- all of it, before the view --------------------------------------------------------

    def _refuse(self) -> None:
        self.error = RequestEntityTooLarge()
        self.complete = True
        self._take()

    async def read(self, maximum: int | None) -> None:
        """Read the body, so that :attr:`input` has all of it.

        :param maximum: of a longer one nothing is kept, and a look at it answers 413.
        :raises ClientDisconnected: if the client leaves before the end.
        :raises RequestTimeout: if nothing comes for too long.
        """
        if not self.complete:  # before this, with a piece that is not all
            await self._receive_in_time()
        if maximum is not None and self.size > maximum:
            self._refuse()
        elif not self.complete:
            await self._read_on(maximum)
        elif self.size == self.declared and self.size < SHORT:
            # PERF: most are read without the file around it, 0.1 µs.
            self.whole, self._buffer = self._buffer, b""
        else:
            self._input = io.BytesIO(self._take())

    def comes_whole(self) -> bool:
        """Receive the first message, if it is there already: tell whether that is a short body of its declared
        length, which :attr:`whole` is then. What else may have come is kept for :meth:`read`.

        PERF: most bodies come so, and awaiting them in three coroutines takes 0.6 µs.

        :raises ClientDisconnected: if the client has left.
        """
        if self.is_watched or self.size:
            return False
        steps = self._receive().__await__()
        try:
            self._begun = _Begun(steps, next(steps))
        except StopIteration as came:
            message = came.value
            if message["type"] == "http.request":
                piece: bytes = message.get("body", b"")
                if len(piece) == self.declared and len(piece) < SHORT:
                    self.size = len(piece)
                    self.complete = True
                    self.whole = piece
                    return True
            self._accept(message)
        return False

    def read_ahead(self, maximum: int | None) -> None:
        """Receive the rest, in a worker thread, for a coroutine that is about to run on the loop.

        What goes wrong is raised at the first look at the body.

        :param maximum: of a longer one nothing is kept, and a look at it answers 413.
        """
        too_long = maximum is not None and self.declared is not None and self.declared > maximum
        if not (self.complete or self.error or too_long):
            run_on_loop(self.loop, self._read_rest(maximum), contextvars.copy_context())

    async def _read_rest(self, maximum: int | None) -> None:
        reader = self._input
        try:
            await self._read_on(maximum)
        except Exception as error:  # also what a server's own `receive` raises
            self.error = error
        else:
            self.rest = self._input if self.error is None else None
        self._input = reader

    async def _read_on(self, maximum: int | None) -> None:
        pieces = [self._take()]
        held = len(pieces[0])
        while not self.complete:
            await self._receive_in_time()
            if maximum is not None and self.size > maximum:
                self._refuse()
                return
            piece = self._take()
            pieces.append(piece)
            held += len(piece)
            if held > SPOOL_SIZE:
                await in_thread(self._store, pieces)
                pieces, held = [], 0
        if self._file is None:
            self._input = io.BytesIO(b"".join(pieces))
        else:
            await in_thread(self._store, pieces)
            self._file.seek(0)
            self._input = self._file

    @property
    def input(self) -> t.IO[bytes]:
        """The environ's ``wsgi.input``; before the body is read, one that waits for it."""
        if self.whole is not None:
            self._input, self.whole = io.BytesIO(self.whole), None
        elif self._input is None:
            self._input = BodyInput(self)
        file: t.IO[bytes] = self._input
        return file

    @property
    def is_read(self) -> bool:
        """Whether :attr:`input` has all of the body."""
        if self._input is None:
            return self.whole is not None
        return type(self._input) is not BodyInput

    def _store(self, pieces: list[bytes]) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the request)
        self._file.writelines(pieces)

    # ---- piece by piece --------------------------------------------------------------------

    async def first(self) -> None:
        """Receive the first piece. What goes wrong is raised at the first look at the body."""
        try:
            await self._receive_in_time()
        except HTTPException as error:
            self.error = error
        if self.complete and self.error is None and not self.is_read:
            self._input = io.BytesIO(self._take())

    async def piece(self) -> bytes:
        """Return the next piece; empty at the end.

        :raises ClientDisconnected: if the client leaves before the end.
        :raises RequestTimeout: if nothing comes for too long.
        """
        if self.error is not None:
            raise self.error
        while not self._buffer and not self.complete:
            if self.gone:
                raise ClientDisconnected
            await self._arrive(self._patience)
        return self._take()

    def check_length(self) -> None:
        """Check, at the end, that all came that was declared.

        :raises ClientDisconnected: if it did not.
        """
        if self.declared is not None and self.size < self.declared:
            raise ClientDisconnected

    async def client_leaves(self) -> None:
        """Wait, in a task of its own, until the client has left.

        When it no longer matters the task is cancelled, and ends without an error.

        Reads on for that, but no further than one piece ahead of who wants the body.
        """
        # A task that keeps the error of its end keeps, from Python 3.14 on, itself: asyncio.wait()
        # has a variable with the task that waits. What this reads from would be kept with it.
        with suppress(asyncio.CancelledError):
            while not self.gone:
                if self._buffer and not self.complete:
                    self._taken = asyncio.Event()
                    await self._taken.wait()
                else:
                    await self._arrive(None)

    async def has_left(self) -> bool:
        """Tell whether the client has left, as far as that is known without waiting.

        While more of the body waits to be read, it is not.
        """
        self.is_watched = True
        if self.gone or (self._buffer and not self.complete):
            return self.gone
        arrival = self._arrival
        if arrival is None:
            arrival = self._arrival = self.loop.create_task(self._receive_one())
        for _ in range(_TURNS):
            if arrival.done():
                break
            await asyncio.sleep(0)
        if arrival.done():
            if self._arrival is arrival:
                self._arrival = None
            error = arrival.exception()
            if isinstance(error, HTTPException) and not self.gone:
                self.error = error  # for the view, if it reads on
        return self.gone

    async def close(self) -> None:
        """Stop receiving, and drop what is stored."""
        # What this holds and what holds this would keep each other, and the server's `receive`,
        # until the garbage collector comes.
        self._input = None
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            await ended(arrival, cancel=True)
        if self._file is not None:
            self._file.close()

    @property
    def is_open(self) -> bool:
        """Whether there is something to close."""
        return self._arrival is not None or self._file is not None or type(self._input) is BodyInput

    def _take(self) -> bytes:
        if self._taken is not None:
            self._taken.set()
        data, self._buffer = self._buffer, b""
        return data

    async def _arrive(self, patience: float | None) -> None:
        """Wait for the next message; several may wait for the same one."""
        arrival = self._arrival
        if arrival is None:
            arrival = self._arrival = self.loop.create_task(self._receive_one())
        if patience is None:
            await asyncio.wait({arrival})
        else:
            try:
                await time_limit(self.loop, patience).wait_for(asyncio.wait({arrival}))
            except TimeoutError:
                raise RequestTimeout from None
        if self._arrival is arrival:
            self._arrival = None
        if self.gone:
            arrival.exception()  # looked at, so that it is not reported as forgotten
        else:
            arrival.result()

    async def _receive_in_time(self) -> None:
        """Receive a message; for as long as the client may take for one."""
        if self.is_watched:
            await self._arrive(self._patience)
            return
        begun, self._begun = self._begun, None
        if begun is None:
            # PERF: mostly it is there already, and need not be watched (0.9 µs).
            steps = self._receive().__await__()
            try:
                begun = _Begun(steps, next(steps))
            except StopIteration as came:
                self._accept(came.value)
                return
        if self._patience is None:
            self._accept(await begun)
            return
        try:
            message = await time_limit(self.loop, self._patience).wait_for(begun)
        except TimeoutError:
            raise RequestTimeout from None
        self._accept(message)

    async def _receive_one(self) -> None:
        self._accept(await self._receive())

    def _accept(self, message: t.MutableMapping[str, t.Any]) -> None:
        if message["type"] != "http.request":
            self.gone = True
            if not self.complete:
                raise ClientDisconnected
            return
        if self.complete:
            return
        piece: bytes = message.get("body", b"")
        self._buffer = self._buffer + piece if self._buffer else piece
        self.size += len(piece)
        self.complete = self.size == self.declared or not message.get("more_body", False)
        if self.declared is not None and self.size > self.declared:
            self.complete = True
            raise TooLong


class _Begun:
    """What is left of an awaitable, the first step of which was made.

    :param steps: its iterator.
    :param first: what that step has given, for the event loop.
    """

    def __init__(self, steps: t.Iterator[t.Any], first: t.Any) -> None:
        self._steps = steps
        self._firsts = [first]

    def __await__(self) -> t.Any:
        return self

    def __next__(self) -> t.Any:
        return self._firsts.pop() if self._firsts else next(self._steps)

    def __getattr__(self, name: str) -> t.Any:
        # To throw an error into it, or to close it, as far as it knows that.
        return getattr(self._steps, name)


def watched(scope: Scope, body: Body | None, receive: Receive) -> Body:
    """Return the body of a request, or, where it has none, what stands for it and hears that the
    client leaves.

    There is one for each request, as only one at a time may call the server's ``receive``. It is
    kept in the scope until the request ends.

    :param scope: the scope of the request.
    :param body: its body.
    :param receive: the server's ``receive``.
    """
    if body is None:
        body = scope.get(BODY_KEY)
    if body is None:
        body = scope[BODY_KEY] = Body.empty(receive)
    return body


class BodyInput(io.RawIOBase):
    """The body as a file for plain code, which waits for what has not come yet.

    Not buffered: a read returns what is there, at least one byte, at most as many as asked for.

    :param body: the body.
    """

    def __init__(self, body: Body) -> None:
        self._body = body
        self._rest = b""

    def readable(self) -> bool:
        """A file to read from."""
        return True

    def peek(self, size: int = 0) -> bytes:
        """Return what can be read without waiting, or else what comes next.

        :param size: not heeded.
        """
        if not self._rest:
            self._rest = self._next()
        return self._rest

    def read(self, size: int | None = -1, /) -> bytes:
        """Read from the body.

        :param size: the most bytes to return; less than 0, or None, for all of them.
        :raises ClientDisconnected: if the client leaves before the end.
        """
        if size is None or size < 0:
            return self.readall()
        data = self.peek()
        self._rest = data[size:]
        return data[:size] if self._rest else data

    def readall(self) -> bytes:
        """Read all that is left."""
        pieces = []
        while piece := self.read(1 << 30):
            pieces.append(piece)
        return b"".join(pieces)

    def readinto(self, buffer: t.Any, /) -> int:
        """Read into a buffer.

        :param buffer: takes as many bytes as it has room for.
        """
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _next(self) -> bytes:
        body = self._body
        if body.error is not None:
            raise body.error
        if body.rest is not None:
            return body.rest.read(SPOOL_SIZE)
        if body.complete:
            return body._take()
        try:
            on_loop = asyncio.get_running_loop() is body.loop
        except RuntimeError:
            on_loop = False
        if on_loop:
            raise RuntimeError(
                "The body of this request was not read before the view, and reading it here would"
                " block the event loop. Use 'async for piece in request.body_stream()', in a view"
                " marked with 'stream_body'; a body above MAX_CONTENT_LENGTH can only be read so."
            )
        return run_on_loop(body.loop, body.piece(), contextvars.copy_context())
