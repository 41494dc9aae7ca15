"""Bodies of requests in a worker of ``kolben serve``: Granian's over WSGI, and what is left of one that was answered early.

Granian closes the connection of a body that is not read, and the system then takes back an answer that the client,
still writing, has not seen: a 413 becomes the 502 of the proxy (RFC 9112, section 9.6). So such a body is read
on for a while. Over WSGI Granian gives no more of it once its call of the application has returned, and waits for a
read that waits; so the thread of the request reads, when the answer has been sent.
"""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIEnvironment

#: How long, in seconds, and how much, in bytes, of a body that the application has not read is read and thrown
#: away after the answer.
LINGER = 2.0
LINGER_SIZE = 128 * 1024 * 1024

#: What is smaller, in bytes, the system keeps: the client has sent it all when it looks for the answer.
_MUCH = 100_000

#: How much is read at a time, in bytes.
_PIECE = 64 * 1024

#: Requests with these methods have no body, as a rule.
BODILESS = frozenset(("GET", "HEAD", "OPTIONS"))

# --- WSGI -----------------------------------------------------------------------------------------


def has_body(environ: WSGIEnvironment) -> bool:
    """Tell whether a request may have a body.

    :param environ: the request's.
    :return: false where it has none, certainly.
    """
    return (
        environ["REQUEST_METHOD"] not in BODILESS
        or "CONTENT_LENGTH" in environ
        or "HTTP_TRANSFER_ENCODING" in environ
    )


class Input:
    """The ``wsgi.input`` of a request, as PEP 3333 has it.

    Of Granian's own, ``read()`` after ``read(n)`` loses bytes, a negative size is an error, and ``readline(n)``
    returns longer lines.

    :param environ: the request's; this takes the place of the server's stream in it.
    """

    __slots__ = ("_declared", "_is_much", "_missing", "_rest", "_server")

    def __init__(self, environ: WSGIEnvironment) -> None:
        self._server = environ["wsgi.input"]
        declared = environ.get("CONTENT_LENGTH")
        self._declared = declared is not None
        #: How much the server has yet to give, in bytes; less than 0 where that is not known.
        self._missing = -1 if declared is None else int(declared)
        #: Whether it is so much, and on its way unasked, that an answer that comes early could be lost.
        self._is_much = "HTTP_EXPECT" not in environ and (
            self._missing >= _MUCH
            if self._declared
            else "HTTP_TRANSFER_ENCODING" in environ or environ["SERVER_PROTOCOL"] == "HTTP/2"
        )
        #: What it gave beyond what was asked for.
        self._rest = b""
        environ["wsgi.input"] = self

    def read(self, size: int | None = -1) -> bytes:
        """Read from the body.

        :param size: the most bytes to return; less than 0, or None, for all of them.
        :return: less than that only at the end of the body.
        """
        if size is None or size < 0:
            return b"".join(iter(self._read_piece, b""))
        if self._rest:
            return self._read_with_rest(size)
        if not size:
            return b""
        data: bytes = self._server.read(size)
        self._note(len(data), ended=len(data) < size)
        return data

    def _note(self, size: int, ended: bool) -> None:
        """Note how much the server has given, and whether it has come to its end."""
        if ended:
            self._missing = 0
        elif self._missing > 0:
            self._missing -= size

    def _read_piece(self) -> bytes:
        return self.read(_PIECE)

    def _read_with_rest(self, size: int) -> bytes:
        data, self._rest = self._rest[:size], self._rest[size:]
        return data if self._rest or len(data) == size else data + self.read(size - len(data))

    def readline(self, size: int | None = -1) -> bytes:
        """Read a line.

        :param size: the most bytes to return; less than 0, or None, for the whole line.
        :return: the line, with its end; nothing at the end of the body.
        """
        limit = -1 if size is None else size
        if b"\n" not in self._rest:
            if limit >= 0 and not self._declared:
                return self._read_short_line(limit)
            line: bytes = self._server.readline()
            self._note(len(line), ended=not line.endswith(b"\n"))
            self._rest += line
        end = self._rest.find(b"\n") + 1 or len(self._rest)
        if 0 <= limit < end:
            end = limit
        line, self._rest = self._rest[:end], self._rest[end:]
        return line

    def _read_short_line(self, limit: int) -> bytes:
        """Read a line byte by byte: of a body of unknown length, the server keeps in memory what has no end of line."""
        line = bytearray()
        while len(line) < limit and (byte := self.read(1)):
            line += byte
            if byte == b"\n":
                break
        return bytes(line)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """Read lines.

        :param hint: about how many bytes they are to have together; less than 1, or None, for all of them.
        :return: the lines.
        """
        lines: list[bytes] = []
        size = 0
        for line in self:
            lines.append(line)
            size += len(line)
            if hint is not None and 0 < hint <= size:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def is_left(self) -> bool:
        """Tell whether the client may still be sending so much that it would not see an answer."""
        return self._is_much and self._missing != 0

    def read_on(self) -> None:
        """Read for a while what the client still sends, and throw it away. The answer has been sent."""
        if not self.is_left() or not _turns.acquire(timeout=_PATIENCE):
            return
        try:
            end = time.monotonic() + LINGER
            for _ in range(LINGER_SIZE // _PIECE):
                if len(self._server.read(_PIECE)) < _PIECE or time.monotonic() > end:
                    break
        finally:
            _turns.release()


#: Who may read on: a read cannot be ended, and a client that sends nothing and stays holds its thread. For so long,
#: in seconds, it is waited for a turn.
_turns = threading.BoundedSemaphore(4)
_PATIENCE = 0.1


def share_threads(threads: int) -> None:
    """Let half of the threads that serve requests read on at a time, and no more.

    :param threads: how many there are; with one alone, it never does.
    """
    global _turns, _PATIENCE
    _turns = threading.BoundedSemaphore(threads // 2)
    _PATIENCE = 0.1 if threads > 1 else 0


# --- ASGI -----------------------------------------------------------------------------------------


def declares_much(headers: t.Any) -> bool:
    """Tell whether a request says that it has a body of 100,000 bytes or more, and sends it unasked.

    :param headers: those of its scope.
    :return: whether it does.
    """
    found = False
    for name, value in headers:
        if name == b"content-length":
            found = len(value) >= len(str(_MUCH))
        elif name == b"transfer-encoding":
            found = True
        elif name == b"expect":  # it waits for the word to send it
            return False
    return found


class _Body:
    """A request's messages, of which is known how far its body has come.

    :param receive: gives them.
    """

    def __init__(self, receive: t.Any) -> None:
        self._receive = receive
        self._ended = False
        self.size = 0

    def has_ended(self) -> bool:
        return self._ended

    async def receive(self) -> t.Any:
        message = await self._receive()
        self.size += len(message.get("body", b""))
        self._ended = message["type"] != "http.request" or not message.get("more_body")
        return message


async def answer_and_read_on(app: t.Any, scope: t.Any, receive: t.Any, send: t.Any) -> None:
    """Serve a request; where it was answered early, read for a while what its client still sends.

    :param app: the application.
    :param scope: the request's.
    :param receive: gives its messages.
    :param send: takes the answer's.
    """
    body = _Body(receive)
    await app(scope, body.receive, send)
    if body.has_ended():
        return
    import asyncio

    most = body.size + LINGER_SIZE
    with contextlib.suppress(Exception):  # of a server that has no more to give, and of the time
        async with asyncio.timeout(LINGER):
            while not body.has_ended() and body.size < most:
                await body.receive()
