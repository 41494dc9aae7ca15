"""The body of a request as a file, on servers that end it themselves."""

from __future__ import annotations

import io
import sys
import typing as t

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, RequestTimeout

from .. import limits
from ..globals import get_current

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_PIECE = 64 * 1024  # bytes

#: Where gunicorn shows the socket that a body comes from.
CONNECTION = "gunicorn.socket"


def reading_errors() -> tuple[type[Exception], ...]:
    """Return the errors by which servers say that no more of a body can be read: the client is to blame.

    Asked for when there is an error. gunicorn has an own one, for chunks that are none.
    """
    gunicorn: t.Any = sys.modules.get("gunicorn.http.errors")
    return (
        (OSError, ValueError)
        if gunicorn is None
        else (OSError, ValueError, gunicorn.ParseException)
    )


class TimedInput:
    """A server's ``wsgi.input``, from which each read ends in 408 where nothing comes for too long.

    Of a server that shows its connection: a wait for it cannot be ended from outside.

    :param stream: the server's.
    :param connection: the socket that it reads from.
    :param seconds: for how long nothing may come.
    """

    def __init__(self, stream: t.Any, connection: t.Any, seconds: float) -> None:
        self._stream = stream
        self._connection = connection
        self._seconds = seconds

    def _in_time(self, read: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
        connection = self._connection
        before = connection.gettimeout()
        connection.settimeout(self._seconds)
        try:
            return read(*args)
        except TimeoutError as error:
            raise RequestTimeout from error
        finally:
            connection.settimeout(before)  # the response may take its time

    def read(self, *size: int) -> bytes:
        """Read from the body.

        :param size: the most bytes to return; without it, all of them.
        :raises RequestTimeout: if nothing comes for too long.
        """
        return t.cast("bytes", self._in_time(self._stream.read, *size))

    def readline(self, *size: int) -> bytes:
        """Read a line of the body.

        :param size: the most bytes to return.
        :raises RequestTimeout: if nothing comes for too long.
        """
        return t.cast("bytes", self._in_time(self._stream.readline, *size))

    def readlines(self, *hint: int) -> list[bytes]:
        """Read the lines of the body.

        :param hint: about how many bytes they have.
        :raises RequestTimeout: if nothing comes for too long.
        """
        return t.cast("list[bytes]", self._in_time(self._stream.readlines, *hint))

    def __iter__(self) -> t.Iterator[bytes]:
        return iter(self.readline, b"")


def limit_body_time(environ: WSGIEnvironment, connection: t.Any) -> None:
    """Let a client send nothing of its body for as long as ``BODY_TIMEOUT`` allows, and no longer.

    :param environ: a request's.
    :param connection: the socket that it comes from.
    """
    context = get_current(None)
    seconds: float | None = limits.BODY_TIMEOUT
    if context is not None:
        seconds = context.app.config.get("BODY_TIMEOUT", seconds)
    stream = environ["wsgi.input"]
    if seconds is not None and type(stream) is not TimedInput and hasattr(connection, "settimeout"):
        environ["wsgi.input"] = TimedInput(stream, connection, seconds)


class ServerInput(io.RawIOBase):
    """The body up to the end that the server finds, within a limit.

    Werkzeug's stream for this takes the limit for the end: what a view reads of a longer body looks
    like a whole one. This one says 413 instead. A server whose connection breaks is a client that
    has left.

    :param stream: the server's ``wsgi.input``, of a server that sets ``wsgi.input_terminated``.
    :param declared: the length that was declared, in bytes, before which it may not end.
    :param maximum: the most bytes that it may have; None for no limit.
    """

    def __init__(self, stream: t.IO[bytes], declared: int | None, maximum: int | None) -> None:
        self._stream = stream
        self._declared = declared or 0
        self._maximum = maximum
        self._position = 0
        #: What the server has given of a line beyond what was asked for: Granian gives whole ones.
        self._rest = b""

    def readable(self) -> bool:
        """A file to read from."""
        return True

    def tell(self) -> int:
        """How many bytes were read."""
        return self._position - len(self._rest)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read from the body.

        :param size: the most bytes to return; less than 0, or None, for all of them.
        :raises ClientDisconnected: if the body ends too early, or the connection is broken.
        :raises RequestEntityTooLarge: if it is longer than the limit.
        """
        if size is None or size < 0:
            return self.readall()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data or self._take(self._stream.read, size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a line.

        :param size: the most bytes to return; less than 0, or None, for the whole line.
        """
        limit = -1 if size is None else size
        line = self._rest or self._take(self._stream.readline, limit)
        end = line.find(b"\n") + 1 or len(line)
        if 0 <= limit < end:
            end = limit
        self._rest = line[end:]
        return line[:end]

    def readall(self) -> bytes:
        """Read all that is left."""
        pieces = [self._rest]
        self._rest = b""
        while piece := self._take(self._stream.read, _PIECE):
            pieces.append(piece)
        return b"".join(pieces)

    def readinto(self, buffer: t.Any, /) -> int:
        """Read into a buffer.

        :param buffer: takes as many bytes as it has room for.
        """
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _take(self, read: t.Callable[..., bytes], size: int) -> bytes:
        maximum = self._maximum
        if maximum is not None:
            if self._position > maximum:
                raise RequestEntityTooLarge
            # One more than may be: whether there is more is seen by asking for it.
            room = maximum + 1 - self._position
            size = room if size < 0 else min(size, room)
        try:
            data = read() if size < 0 else read(size)  # Granian's takes no negative size
        except reading_errors() as error:
            raise ClientDisconnected from error
        self._position += len(data)
        if maximum is not None and self._position > maximum:
            raise RequestEntityTooLarge
        if not data and size and self._position < self._declared:
            raise ClientDisconnected
        return data


def read_on(stream: t.IO[bytes], data: bytes, length: int) -> bytes:
    """Read the rest of a body that does not come all at once.

    :param stream: the server's ``wsgi.input``.
    :param data: what has come.
    :param length: the length of the whole, in bytes.
    :raises ClientDisconnected: if the body ends too early.
    """
    pieces, missing = [data], length - len(data)
    while missing > 0:
        piece = stream.read(missing)
        if not piece:
            raise ClientDisconnected
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def read_rest(stream: t.IO[bytes], data: bytes, maximum: int | None) -> bytes:
    """Read a body that is longer than was declared to its end, which the server knows.

    :param stream: the server's ``wsgi.input``.
    :param data: what has come.
    :param maximum: the most bytes that the body may have; None for no limit.
    :raises RequestEntityTooLarge: if it is longer.
    """
    rest = None if maximum is None else maximum - len(data)
    return data + ServerInput(stream, None, rest).readall()


def read_fields(stream: t.IO[bytes], memory: int | None, parts: int | None) -> bytes:
    """Read a urlencoded form, as far as the limits of a form allow.

    :param stream: the body.
    :param memory: the most bytes that a field may have, decoded; None for no limit.
    :param parts: the most fields; None for no limit.
    :raises RequestEntityTooLarge: as soon as a limit is passed.
    """
    pieces = []
    fields, size = 1, 0
    while piece := stream.read(_PIECE):
        fields += piece.count(b"&")
        if parts is not None and fields > parts:
            raise RequestEntityTooLarge
        if memory is not None:
            first, *others = piece.split(b"&")
            sizes = [size + _decoded_size(first), *map(_decoded_size, others)]
            if max(sizes) > memory:
                raise RequestEntityTooLarge
            size = sizes[-1]
        pieces.append(piece)
    return b"".join(pieces)


def _decoded_size(field: bytes) -> int:
    # Three bytes for one, at best: a percent sign may also stand for itself.
    return max(len(field) - 2 * field.count(b"%"), len(field) // 3)
