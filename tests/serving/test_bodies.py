"""Bodies of requests in a worker: read as files are, and read on where the answer came early."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given, strategies as st

from kolben.serving import bodies
from kolben.serving.bodies import Input, answer_and_read_on, declares_much, has_body, share_threads


class Granians:
    """A stream as Granian 2.8.9 hands it out: what is in its buffer is not in `read()`, sizes of lines do not count."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = list(pieces)
        self._buffer = b""
        self.given = 0

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size and self._pieces:
            self._buffer += self._pieces.pop(0)

    def _take(self, size: int) -> bytes:
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        self.given += len(data)
        return data

    def read(self, size: int | None = None) -> bytes:
        if size is None:
            data, self._pieces = b"".join(self._pieces), []
            return data
        if size < 0:
            raise OverflowError("can't convert negative int to unsigned")
        self._fill(size)
        return self._take(size)

    def readline(self, size: int | None = None) -> bytes:
        if size is not None and size < 0:
            raise OverflowError("can't convert negative int to unsigned")
        while b"\n" not in self._buffer and self._pieces:
            self._buffer += self._pieces.pop(0)
        return self._take(self._buffer.find(b"\n") + 1 or len(self._buffer))


def environ(stream: Any, **more: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": stream,
        **more,
    }


SIZES = st.one_of(st.none(), st.integers(-2, 30))
CALLS = st.tuples(st.sampled_from(["read", "readline", "readlines", "next"]), SIZES)
PIECES = st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"a\nb", b"\n\n"]), max_size=8)


def call(file: Any, name: str, size: int | None) -> Any:
    if name == "next":
        return next(iter(file), None)
    return getattr(file, name)() if size == -2 else getattr(file, name)(size)


@given(PIECES, st.lists(CALLS, max_size=8), st.booleans())
def test_a_body_is_read_as_a_file_is(
    pieces: list[bytes], calls: list[tuple[str, int | None]], declared: bool
) -> None:
    data = b"".join(pieces)
    length = (
        {"CONTENT_LENGTH": str(len(data))} if declared else {"HTTP_TRANSFER_ENCODING": "chunked"}
    )
    given = environ(Granians(pieces), **length)
    body, file = Input(given), io.BytesIO(data)
    assert given["wsgi.input"] is body
    for name, size in [*calls, ("read", None)]:
        assert call(body, name, size) == call(file, name, size), (name, size)
    assert body.read(1) == body.readline() == b""
    assert not body.is_left()


def test_a_line_of_a_body_of_unknown_length_takes_no_more_memory_than_was_asked_for() -> None:
    stream = Granians([b"x" * 1000] * 100)
    body = Input(environ(stream, HTTP_TRANSFER_ENCODING="chunked"))
    assert body.readline(500) == b"x" * 500
    assert stream.given == 500


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("GET", {}, False),
        ("GET", {"CONTENT_LENGTH": "3"}, True),
        ("OPTIONS", {"HTTP_TRANSFER_ENCODING": "chunked"}, True),
        ("POST", {}, True),
    ],
)
def test_requests_without_a_body_are_left_alone(
    method: str, headers: dict[str, str], expected: bool
) -> None:
    assert has_body(environ(None, **headers) | {"REQUEST_METHOD": method}) is expected


@pytest.mark.parametrize(
    ("headers", "read", "expected"),
    [
        ({"CONTENT_LENGTH": "300000"}, 0, True),
        ({"CONTENT_LENGTH": "300000"}, 299_999, True),
        ({"CONTENT_LENGTH": "300000"}, 300_000, False),
        ({"CONTENT_LENGTH": "99999"}, 0, False),  # the system keeps that
        ({"CONTENT_LENGTH": "300000", "HTTP_EXPECT": "100-continue"}, 0, False),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 0, True),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 300_001, False),
        ({}, 0, False),
        ({"SERVER_PROTOCOL": "HTTP/2"}, 0, True),
    ],
)
def test_much_of_a_body_may_be_left(headers: dict[str, str], read: int, expected: bool) -> None:
    body = Input(environ(Granians([bytes(300_000)]), **headers))
    body.read(read)
    assert body.is_left() is expected


class Slow:
    """A stream from which 64 KiB come each time, with a pause before; a request that is over ends it."""

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self.over = threading.Event()
        self.taken = 0

    def read(self, size: int) -> bytes:
        if self.over.wait(self.pause):
            return b""
        self.taken += size
        return bytes(size)


@pytest.fixture
def _eight_threads() -> Iterator[None]:
    yield
    share_threads(8)


@pytest.mark.usefixtures("_eight_threads")
@pytest.mark.parametrize(
    ("pause", "limits", "least", "most"),
    [
        (0.0, {"LINGER_SIZE": 10 * 65536}, 10, 10),  # so much and no more
        (0.01, {"LINGER": 0.2}, 2, 25),  # so long and no longer
    ],
)
def test_what_a_client_still_sends_is_read_within_limits(
    monkeypatch: pytest.MonkeyPatch, pause: float, limits: dict[str, float], least: int, most: int
) -> None:
    for name, value in limits.items():
        monkeypatch.setattr(bodies, name, value)
    stream = Slow(pause)
    body = Input(environ(stream, HTTP_TRANSFER_ENCODING="chunked"))
    began = time.monotonic()
    body.read_on()
    assert time.monotonic() - began < 2
    assert least <= stream.taken / 65536 <= most


@pytest.mark.usefixtures("_eight_threads")
@pytest.mark.parametrize(("threads", "half"), [(1, 0), (2, 1), (5, 2)])
def test_no_more_than_half_of_the_threads_read_on(threads: int, half: int) -> None:
    share_threads(threads)
    streams = [Slow(60) for _ in range(5)]
    readers = [
        threading.Thread(target=Input(environ(stream, HTTP_TRANSFER_ENCODING="chunked")).read_on)
        for stream in streams
    ]
    for reader in readers:
        reader.start()
    time.sleep(2 * bodies._PATIENCE)
    assert sum(reader.is_alive() for reader in readers) == half
    for stream in streams:
        stream.over.set()
    for reader in readers:
        reader.join()
    assert sum(bodies._turns.acquire(blocking=False) for _ in range(5)) == half


@pytest.mark.parametrize(
    ("headers", "pieces", "read"),
    [
        ({"content-length": "3000000"}, 4, 4),
        ({"transfer-encoding": "chunked"}, 4, 4),
        ({"content-length": "3000000"}, 100, 6),  # no more than is allowed
        ({"content-length": "3000000"}, -3, 3),  # no longer than is allowed
        ({"content-length": "30"}, 4, 1),  # the system keeps that
        ({"content-length": "3000000", "expect": "100-continue"}, 4, 1),
    ],
)
def test_what_a_client_still_sends_is_read_for_a_while_over_asgi(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], pieces: int, read: int
) -> None:
    monkeypatch.setattr(bodies, "LINGER", 0.2)
    monkeypatch.setattr(bodies, "LINGER_SIZE", 50)
    answered: list[int] = []
    taken = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        answered.append(taken)

    async def receive() -> dict[str, Any]:
        nonlocal taken
        if taken == abs(pieces):
            if pieces < 0:  # and then it sends nothing any more
                await asyncio.sleep(60)
            return {"type": "http.disconnect"}
        taken += 1
        return {"type": "http.request", "body": bytes(10), "more_body": True}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "http_version": "1.1", "headers": raw}
    serve: Any = partial(answer_and_read_on, app) if declares_much(raw) else app
    asyncio.run(asyncio.wait_for(serve(scope, receive, None), 20))
    assert answered == [1]
    assert taken == read
