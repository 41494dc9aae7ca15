"""WebSockets whose messages are typed."""

from __future__ import annotations

import typing as t

import msgspec

from ..globals import get_current
from ..websockets import WebSocketDisconnect
from . import kinds
from .faults import Found, JSONReader
from .problems import MalformedBody

In = t.TypeVar("In")
Out = t.TypeVar("Out")

_LONGEST_REASON = 123  # bytes (RFC 6455, section 5.5)


class Socket(t.Generic[In, Out]):
    """The WebSocket of a handler, which takes messages of one type and sends those of another.

    .. code-block:: python

        @api.websocket("/chat/<room>")
        async def chat(room: str, socket: Socket[Say | Leave, Said]) -> None:
            async for message in socket:
                await socket.send(Said(message.text))

    A message that does not fit closes it with 1007, and says why. ``socket(invalid="skip")`` passes
    over such messages.

    :param reader: reads the messages.
    :param write: writes a message as JSON.
    """

    def __init__(self, reader: JSONReader, write: t.Callable[[t.Any], bytes]) -> None:
        context: t.Any = get_current()
        #: The WebSocket itself.
        self.websocket = context.websocket
        self._reader = reader
        self._write = write
        self._skips = False

    def __call__(self, invalid: str = "close") -> Socket[In, Out]:
        """Say what becomes of messages that do not fit.

        :param invalid: ``close`` or ``skip``.
        :return: the same socket.
        """
        self._skips = invalid == "skip"
        return self

    async def receive(self) -> In:
        """Wait for the next message.

        :raises WebSocketDisconnect: if the client has left, or has sent what does not fit.
        """
        while True:
            data = await self.websocket.receive()
            try:
                return t.cast("In", self._reader.decode(data))
            except (msgspec.MsgspecError, ValueError, RecursionError):
                if not self._skips:
                    await self._refuse(data)

    async def _refuse(self, data: str | bytes) -> t.NoReturn:
        found = Found("message")
        try:
            self._reader.explain(data.encode() if isinstance(data, str) else data, found)
            fault = found.faults[0]
            reason = f"{fault.pointer}: {fault.detail}"
        except MalformedBody:
            reason = "The message is not JSON."
        short = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
        await self.websocket.close(1007, short)
        raise WebSocketDisconnect(1007, short)

    async def send(self, message: Out) -> None:
        """Send a message as JSON.

        :param message: what is sent, of the annotated class.
        :raises WebSocketDisconnect: if the WebSocket is closed, on either side.
        """
        await self.websocket.send(self._write(message).decode())

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the WebSocket.

        :param code: the close code (RFC 6455, section 7.4).
        :param reason: at most 123 bytes of text.
        """
        await self.websocket.close(code, reason)

    def __aiter__(self) -> Socket[In, Out]:
        return self

    async def __anext__(self) -> In:
        try:
            return await self.receive()
        except WebSocketDisconnect:
            raise StopAsyncIteration from None


def write_message(message: t.Any) -> bytes:
    """Return a message as JSON."""
    if kinds.is_pydantic(type(message)):
        return t.cast("bytes", message.__pydantic_serializer__.to_json(message, by_alias=True))
    return msgspec.json.encode(message)


def maker(taken: t.Any, write: t.Callable[[t.Any], bytes]) -> t.Callable[[], Socket[t.Any, t.Any]]:
    """Return what makes the socket of a connection.

    :param taken: the type of the messages that it takes.
    :param write: writes those that it sends.
    """
    reader = JSONReader(taken)
    return lambda: Socket(reader, write)
