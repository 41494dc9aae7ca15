"""Forms with files (multipart/form-data, RFC 7578), and the parser of a request's form.

Werkzeug's results and limits, faster. What is ordinary is parsed here; whatever is odd (another
encoding, a body with bare line feeds) is left to Werkzeug's own code, so that there is one meaning.
"""

from __future__ import annotations

import re
import typing as t
from io import BytesIO

from werkzeug import formparser as _werkzeug
from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
    Preamble,
    State,
)
from werkzeug.wsgi import LimitedStream

from .fields import gather_fields, parse_urlencoded
from .input import read_fields, reading_errors


class FormDataParser(_werkzeug.FormDataParser):
    """Parses the body of a form, for :attr:`.Request.form_data_parser_class`.

    Takes the same options as :class:`werkzeug.formparser.FormDataParser`, keeps the same limits,
    and gives the same results.
    """

    def _parse_urlencoded(
        self,
        stream: t.IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str],
    ) -> _werkzeug.t_parse_result:
        body = read_fields(stream, self.max_form_memory_size, self.max_form_parts)
        return stream, parse_urlencoded(body, self.cls), self.cls()

    def _parse_multipart(
        self,
        stream: t.IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str],
    ) -> _werkzeug.t_parse_result:
        boundary = options.get("boundary", "").encode("ascii")
        if not boundary:
            raise ValueError("The multipart form names no boundary.")
        parser = MultiPartParser(
            stream_factory=self.stream_factory,
            max_form_memory_size=self.max_form_memory_size,
            max_form_parts=self.max_form_parts,
            cls=self.cls,
        )
        form, files = parser.parse(stream, boundary, content_length)
        return stream, form, files


class MultiPartParser(_werkzeug.MultiPartParser):
    """Parses a ``multipart/form-data`` body (RFC 7578) in constant memory."""

    def parse(
        self, stream: t.IO[bytes], boundary: bytes, content_length: int | None
    ) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
        """Read the body to its end.

        :param stream: the body, limited to its length.
        :param boundary: what separates the parts.
        :param content_length: the body's length in bytes, if known.
        :return: the fields and the files.
        :raises ValueError: if the body is malformed or cut short.
        :raises werkzeug.exceptions.RequestEntityTooLarge: if a limit is passed.
        """
        parts = _Parts(self, content_length)
        try:
            if not self._take_at_once(stream, boundary, parts):
                self._feed(stream, boundary, parts)
        except BaseException:
            parts.close()
            raise
        return gather_fields(parts.fields, self.cls), gather_fields(parts.files, self.cls)

    def start_file_streaming(self, event: File, total_content_length: int | None) -> t.IO[bytes]:
        """Open what a file is written to.

        :param event: the name and headers of the file.
        :param total_content_length: the length of the whole body in bytes, if known.
        """
        # PERF: asking for a header that is not there costs an exception (2 µs).
        for name, _ in event.headers:
            if name.lower() == "content-length":
                return super().start_file_streaming(event, total_content_length)
        return self.stream_factory(
            total_content_length=total_content_length,
            filename=event.filename,
            content_type=event.headers.get("Content-Type"),
            content_length=0,
        )

    def _take_at_once(self, stream: t.IO[bytes], boundary: bytes, parts: _Parts) -> bool:
        """Take an ordinary body that is in memory already; tell whether it was one.

        PERF: a 100 kB file with two fields: 32 µs, where the decoder takes 70.
        """
        if type(stream) is not BytesIO or stream.tell() != 0:
            return False
        body = stream.getvalue()
        limit = self.max_form_memory_size
        if len(body) > SMALL_BODY or (limit is not None and len(body) > limit):
            return False
        found = _split(body, boundary, self.max_form_parts)
        if found is None:
            return False
        stream.seek(len(body))
        for part, start, end in found:
            parts.begin(part)
            parts.add(body[start:end], more=False)
        return True

    def _feed(self, stream: t.IO[bytes], boundary: bytes, parts: _Parts) -> None:
        limit = self.max_form_memory_size
        decoder = _Decoder(boundary, limit, max_parts=self.max_form_parts)
        # PERF: most of a big file goes past the buffer, at a search and a write for each chunk,
        # in chunks that are larger and end with a page of the file: 47 ms for 100 MB, where
        # Werkzeug's parser takes 77 and reading and writing alone 34. Not so where the limit is
        # near the size of a chunk: then what the buffer holds is counted.
        pass_on = decoder.pass_on if limit is None or limit > 4 * self.buffer_size else _look_closer
        size = self.buffer_size
        read = _reader(stream)
        while chunk := read(size):
            data = pass_on(chunk)
            size = self.buffer_size
            if data is None:
                decoder.receive_data(chunk)
                self._drain(decoder, parts)
            elif data:
                parts.add(data, more=True)
                size = 3 * size - (parts.size + len(decoder.buffer)) % min(size, _PAGE)
        decoder.receive_data(None)
        self._drain(decoder, parts)

    def _drain(self, decoder: _Decoder, parts: _Parts) -> None:
        while True:
            event = decoder.next_event()
            if isinstance(event, Data):
                parts.add(event.data, more=event.more_data)
            elif isinstance(event, (Field, File)):
                parts.begin(event)
            elif isinstance(event, (NeedData, Epilogue)):
                return


# In bytes; from this size on Werkzeug puts an uploaded file on disk.
SMALL_BODY = 500_000

# A multiple of what systems and Python's file objects write at a time, in bytes.
_PAGE = 8192


def _reader(stream: t.IO[bytes]) -> t.Callable[[int], bytes]:
    """Return what reads a stream as its own ``read`` does.

    PERF: Werkzeug's limited stream copies all it reads twice: 13 ms for 100 MB.
    """
    limited: t.Any = stream
    if type(limited) is not LimitedStream:
        return stream.read
    source = limited._stream.read

    def read(size: int) -> bytes:
        rest = limited.limit - limited._pos
        if rest <= 0:
            limited.on_exhausted()
            return b""
        try:
            data: bytes = source(min(size, rest))
        except reading_errors() as error:
            limited.on_disconnect(error)
            return b""
        if not data:
            limited.on_disconnect()
        limited._pos += len(data)
        return data

    return read


def _look_closer(chunk: bytes) -> None:
    return None


class _Parts:
    """Collects fields and files from the events of a decoder."""

    def __init__(self, parser: MultiPartParser, content_length: int | None) -> None:
        self.parser = parser
        self.content_length = content_length
        self.fields: list[tuple[str, str]] = []
        self.files: list[tuple[str, FileStorage]] = []
        self.limit = parser.max_form_memory_size
        # The part that data belongs to, and its bytes so far; a file has a stream, a field pieces.
        self._part: t.Any = None
        self._stream: t.Any = None
        self._pieces: list[bytes] = []
        self.size = 0

    def begin(self, part: Field | File) -> None:
        """Begin a part."""
        self._part = part
        self._pieces = []
        self.size = 0
        self._stream = None
        if isinstance(part, File):
            self._stream = self.parser.start_file_streaming(part, self.content_length)

    def add(self, data: bytes, *, more: bool) -> None:
        """Add data to the part; without *more*, end it."""
        self.size += len(data)
        if self._stream is not None:
            self._stream.write(data)
        elif self.limit is not None and self.size > self.limit:
            raise RequestEntityTooLarge
        else:
            self._pieces.append(data)
        if not more:
            self._end()

    def _end(self) -> None:
        part, stream = self._part, self._stream
        if stream is not None:
            stream.seek(0)
            file = FileStorage(stream, part.filename, part.name, headers=part.headers)
            self.files.append((part.name, file))
        else:
            # PERF: see start_file_streaming.
            plain = part.headers is _NO_HEADERS
            charset = "utf-8" if plain else self.parser.get_part_charset(part.headers)
            self.fields.append((part.name, b"".join(self._pieces).decode(charset, "replace")))

    def close(self) -> None:
        """Close the files, which the view will not get to see."""
        for _, storage in self.files:
            storage.close()
        if hasattr(self._stream, "close"):
            self._stream.close()


# The headers that browsers write for a part, and nothing that needs thought.
_PLAIN_HEADERS = re.compile(
    rb'Content-Disposition: (form-data; name="([^"\\%\r\n]*)"(?:; filename="([^"\\%\r\n]*)")?)'
    rb"(?:\r\nContent-Type: ([!-~](?:[ -~]*[!-~])?))?\r\n(?=\r\n)"
).match
_NO_HEADERS = Headers()

# What the end of a read can leave of the line of a boundary, behind the boundary itself.
_is_cut = re.compile(rb"-?\Z|[^\S\n\r]{0,80}\r?\Z").match


def _split(
    body: bytes, boundary: bytes, max_parts: int | None
) -> list[tuple[Field | File, int, int]] | None:
    """Find the parts of a body, and where the content of each begins and ends; None if any of it
    is not as browsers write it.

    Whatever looks like a boundary has to be one: with CRLF before and after it, at the very start,
    and at the very end. Then no way to read the body finds other parts.
    """
    delimiter = b"--" + boundary
    at = 2 if body.startswith(b"\r\n") else 0
    if not body.startswith(delimiter, at):
        return None
    found: list[tuple[Field | File, int, int]] = []
    at += len(delimiter)
    while body[at : at + 5] not in (b"--\r\n", b"--"):
        end = body.find(delimiter, at)
        headers = _PLAIN_HEADERS(body, at + 2, end - 2)
        if headers is None or body[at : at + 2] != b"\r\n" or body[end - 2 : end] != b"\r\n":
            return None
        try:
            found.append((_plain_part(headers), headers.end() + 2, end - 2))
        except UnicodeDecodeError:
            return None
        if max_parts is not None and len(found) > max_parts:
            return None
        at = end + len(delimiter)
    return found


def _plain_part(match: re.Match[bytes]) -> Field | File:
    disposition, name, filename, content_type = match.groups()
    headers = _NO_HEADERS
    if filename is not None or content_type is not None:
        headers = Headers()
        headers._list.append(("Content-Disposition", disposition.decode()))
        if content_type is not None:
            headers._list.append(("Content-Type", content_type.decode()))
    if filename is None:
        return Field(name=name.decode(), headers=headers)
    return File(name=name.decode(), filename=filename.decode(), headers=headers)


class _Decoder(MultipartDecoder):
    """Werkzeug's decoder, with short ways through what browsers send.

    PERF: a boundary is new in every form, so the two patterns that Werkzeug compiles for it cost
    0.3 ms each time; here they are compiled only for an unusual body, and a search for bytes
    takes the place of matching them. A 100 kB file with two fields: 76 µs instead of 570.
    """

    def __init__(
        self, boundary: bytes, max_form_memory_size: int | None, *, max_parts: int | None
    ) -> None:
        self.buffer = bytearray()
        self.complete = False
        self.max_form_memory_size = max_form_memory_size
        self.max_parts = max_parts
        self.state = State.PREAMBLE
        self.boundary = boundary
        self._search_position = 0
        self._parts_decoded = 0
        self._delimiter = b"--" + boundary

    def __getattr__(self, name: str) -> t.Any:
        if name in ("preamble_re", "boundary_re"):
            patterns = MultipartDecoder(self.boundary)
            self.preamble_re = patterns.preamble_re
            self.boundary_re = patterns.boundary_re
            return getattr(patterns, name)
        raise AttributeError(name)

    def pass_on(self, chunk: bytes) -> bytes | None:
        """Receive a chunk that lies within one part as a whole, past the buffer.

        :return: the data to add to the part, or None if the chunk needs a closer look.
        """
        if self.state is not State.DATA:
            return None
        data = bytes(self.buffer) + chunk if self.buffer else chunk
        if self._delimiter in data:
            return None
        end = self._begin_of_boundary(data)
        if end == len(data) and not self.buffer:
            return data
        self.buffer[:] = data[end:]
        return data[:end]

    def _begin_of_boundary(self, data: bytes) -> int:
        """Tell where a boundary begins that *data* ends in the middle of, or else its length."""
        tail = len(data) - len(self._delimiter) - 2
        last = max(data.rfind(b"\n", max(0, tail)), data.rfind(b"\r", max(0, tail)))
        if last < 0 or not self._delimiter.startswith(data[last + 1 :]):
            return len(data)
        return last - 1 if data[last - 1 : last + 1] == b"\r\n" else last

    def next_event(self) -> Event:
        """Return what comes next in the data received so far."""
        event: Event | None = None
        if self.state is State.PART:
            event = self._plain_part()
        elif self.state is State.PREAMBLE:
            event = self._plain_start()
        return super().next_event() if event is None else event

    def _plain_start(self) -> Preamble | None:
        for start in (self._delimiter + b"\r\n", b"\r\n" + self._delimiter + b"\r\n"):
            if self.buffer.startswith(start):
                del self.buffer[: len(start)]
                self.state = State.PART
                self._search_position = 0
                return Preamble(b"")
        return None

    def _plain_part(self) -> Field | File | None:
        match = _PLAIN_HEADERS(self.buffer)
        if match is None:
            return None
        event = _plain_part(match)
        del self.buffer[: match.end()]
        self.state = State.DATA_START
        self._search_position = 0
        self._parts_decoded += 1
        if self.max_parts is not None and self._parts_decoded > self.max_parts:
            raise RequestEntityTooLarge
        return event

    def _parse_data(self, data: bytes | bytearray, *, start: bool) -> tuple[bytes, int, bool]:
        index = data.find(self._delimiter)
        begin = (2 if data.startswith(b"\r\n") else 1) if start else 0
        if index < 0:
            # Only in the tail can a boundary begin that the next chunk completes.
            tail = max(begin, len(data) - len(self._delimiter) - 2)
            end = tail + self._last_partial_boundary_index(data[tail:])
            return _copy(data, begin, end), end, True
        after = self._plain_end(data, index)
        if after < 0:
            end = self._begin_of_cut(data, index)
            if end < 0:
                return super()._parse_data(data, start=start)
            return _copy(data, begin, max(begin, end)), end, True
        return _copy(data, begin, index - 2), after, False

    def _begin_of_cut(self, data: bytes | bytearray, index: int) -> int:
        """Tell where a boundary begins whose line the data ends in, or -1 if it does not.

        The line break before it belongs to the boundary (RFC 2046, section 5.1.1); Werkzeug takes a
        part of it for data.
        """
        if self.complete or _is_cut(data, index + len(self._delimiter)) is None:
            return -1
        if data.startswith(b"\r\n", max(0, index - 2), index):
            return index - 2
        return index - 1 if data[max(0, index - 1) : index] in (b"\n", b"\r") else -1

    def _plain_end(self, data: bytes | bytearray, index: int) -> int:
        """Tell where the boundary at *index* ends, or -1 if it takes Werkzeug to say."""
        if not data.startswith(b"\r\n", max(0, index - 2), index):
            return -1
        after = index + len(self._delimiter)
        if data.startswith(b"\r\n", after):
            self.state = State.PART
            return after + 2
        if data.startswith(b"--", after) and data[after + 2 : after + 4] in (b"\r\n", b""):
            self.state = State.EPILOGUE
            return min(after + 4, len(data))
        return -1


def _copy(data: bytes | bytearray, start: int, end: int) -> bytes:
    # PERF: through a view the bytes are copied once; a slice would copy them twice.
    with memoryview(data) as view:
        return bytes(view[start:end])
