"""The body of a request, as a server hands it over: in pieces, late, too long, or not to its end."""

from __future__ import annotations

import asyncio
import functools
import io
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateways import Asked, Gateway, Reply
from kolben import Flask, request, stream_body
from kolben.limits import limits as limited


@pytest.fixture
def app() -> Flask:
    return Flask("program", static_folder=None)


@pytest.fixture
def asgi() -> Gateway:
    return Gateway("asgi")


def run(app: Flask, messages: Iterator[dict[str, Any]], declared: int) -> Reply:
    """Send a POST whose body comes in these messages, and wait for what is answered."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(b"host", b"localhost"), (b"content-length", b"%d" % declared)],
    }

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def serve() -> None:
        async with asyncio.timeout(20):
            await app.asgi_app(scope, receive, send)

    asyncio.run(serve())
    return Reply(sent[0]["status"], [], [message.get("body", b"") for message in sent[1:]])


def pieces_of(*pieces: bytes, ends: bool = True) -> Iterator[dict[str, Any]]:
    for number, piece in enumerate(pieces, 1):
        more = number < len(pieces) or not ends
        yield {"type": "http.request", "body": piece, "more_body": more}
    yield from itertools.repeat({"type": "http.disconnect"})


READERS: dict[str, Callable[[Any], bytes]] = {
    "read": lambda file: file.read(),
    "read, None": lambda file: file.read(None),
    "read, in pieces": lambda file: b"".join(iter(lambda: file.read(7), b"")),
    "buffered": lambda file: io.BufferedReader(file).read(),
    "buffered, in pieces": lambda file: b"".join(
        iter(functools.partial(io.BufferedReader(file).read, 7), b"")
    ),
    "text": lambda file: io.TextIOWrapper(io.BufferedReader(file)).read().encode(),
}


@pytest.mark.parametrize("kind", READERS)
def test_plain_code_reads_the_body_as_any_file_while_it_comes(
    app: Flask, asgi: Gateway, kind: str
) -> None:
    @app.post("/")
    def view() -> bytes:
        file = request.environ["wsgi.input"]
        assert file.readable()
        return READERS[kind](file)

    sent = [b"%04d" % number for number in range(100)]
    assert asgi.post(app, "/", sent).body == b"".join(sent)
    assert asgi.post(app, "/", [b"once"]).body == b"once"


def test_peeking_takes_nothing(app: Flask, asgi: Gateway) -> None:
    @app.post("/")
    def view() -> bytes:
        file = request.environ["wsgi.input"]
        assert file.peek(1) == file.peek(1) == b"first"
        return file.read()

    assert asgi.post(app, "/", [b"first", b", second"]).body == b"first, second"


def test_reading_on_the_loop_what_was_not_read_before_is_explained(app: Flask) -> None:
    app.testing = True

    @app.post("/")
    @stream_body
    async def view() -> bytes:
        return request.get_data()

    with pytest.raises(RuntimeError, match="async for piece in request"):
        run(app, pieces_of(b"first", b"second"), declared=11)


def test_a_body_may_take_for_ever_where_it_is_so_configured(app: Flask, asgi: Gateway) -> None:
    app.config["BODY_TIMEOUT"] = None
    app.post("/async")(stream_or_not(marked=False))
    app.post("/stream")(stream_or_not(marked=True))
    app.post("/plain", endpoint="plain")(lambda: request.get_data())
    for path in ("/async", "/stream", "/plain"):
        assert asgi.post(app, path, [b"a", b"b", b"c"]).body == b"abc", path


def stream_or_not(*, marked: bool) -> Callable[..., Any]:
    async def read() -> bytes:
        return request.get_data()

    @stream_body
    async def stream() -> bytes:
        return await request.body_stream()

    return stream if marked else read


def test_a_body_that_ends_before_its_declared_length_is_400(app: Flask) -> None:
    """HTTP/2 servers can hand that over: the stream has ended, without a word of the client's leaving."""
    app.post("/")(stream_or_not(marked=True))
    assert run(app, pieces_of(b"abc"), declared=10).status == 400
    assert run(app, pieces_of(b"abc"), declared=3).body == b"abc"


def test_what_is_found_out_while_asking_for_the_client_is_told_to_who_reads_on(app: Flask) -> None:
    """A body that is longer than declared shows itself while the view asks whether its client has left."""
    asked: list[bool] = []

    @app.post("/")
    @stream_body
    async def view() -> bytes:
        asked.append(await request.is_disconnected())
        return await request.body_stream()

    assert run(app, pieces_of(b"abcdef", ends=False), declared=3).status == 400
    assert asked == [False]


def test_several_tasks_may_ask_for_the_client_at_once(app: Flask) -> None:
    asked: list[bool] = []

    @app.post("/")
    @stream_body
    async def view() -> str:
        assert await request.body_stream() == b"abc"
        asked.extend(await asyncio.gather(*[request.is_disconnected() for _ in range(3)]))
        return ""

    assert run(app, pieces_of(b"abc"), declared=3).status == 200
    assert asked == [True] * 3


@pytest.mark.parametrize("size", [400_000, 2_000_000])
def test_a_long_body_is_there_as_a_whole_wherever_it_is_kept(
    app: Flask, asgi: Gateway, size: int
) -> None:
    @app.post("/")
    async def view() -> str:
        return str(sum(request.get_data()))

    body = bytes(range(250)) * (size // 250)
    sent = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
    assert asgi.ask(app, Asked("/", "POST", body=sent)).text == str(sum(body))


def test_a_client_that_falls_silent_while_its_leaving_is_watched_is_408(app: Flask) -> None:
    app.config["BODY_TIMEOUT"] = 0.05
    asked: list[bool] = []

    @app.post("/")
    @stream_body
    async def view() -> bytes:
        asked.append(await request.is_disconnected())
        return await request.body_stream()

    sent: list[dict[str, Any]] = []
    messages = [{"type": "http.request", "body": b"abc", "more_body": True}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def serve() -> None:
        headers = [(b"host", b"localhost"), (b"content-length", b"10")]
        scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
        async with asyncio.timeout(20):
            await app.asgi_app(scope, receive, send)

    asyncio.run(serve())
    assert (sent[0]["status"], asked) == (408, [False])


@pytest.mark.parametrize("limits", [{}, {"max_content_length": 100}])
@pytest.mark.parametrize("setting", [None, 100])
@pytest.mark.parametrize("messages", [1, 2, 3])
def test_a_short_body_is_the_same_however_it_comes(
    app: Flask, limits: dict[str, int], setting: int | None, messages: int
) -> None:
    app.config["MAX_CONTENT_LENGTH"] = setting

    async def view() -> str:
        first = request.get_data(cache=False)
        return f"{first!r} {request.get_data()!r} {request.stream.read()!r}"

    app.post("/")(limited(**limits)(view) if limits else view)
    pieces = {1: [b"abcde"], 2: [b"", b"abcde"], 3: [b"ab", b"", b"cde"]}[messages]
    for _ in range(2):
        reply = run(app, pieces_of(*pieces), 5)
        assert (reply.status, reply.body) == (200, b"b'abcde' b'' b''")


@pytest.mark.parametrize("pieces", [[b"abcdef"], [b"abc"], []])
def test_a_body_of_another_length_is_400_at_its_first_message(
    app: Flask, pieces: list[bytes]
) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 100

    @app.post("/")
    async def view() -> bytes:
        return request.get_data()

    for _ in range(2):
        assert run(app, pieces_of(*pieces), 5).status == 400


def test_a_body_that_is_watched_already_is_read(app: Flask) -> None:
    """Its messages are received by what waits for the client to leave."""
    app.config["CANCEL_ON_DISCONNECT"] = True

    @app.post("/")
    async def view() -> bytes:
        return request.get_data()

    for _ in range(2):
        reply = run(app, pieces_of(b"abcde", ends=False), 5)
        assert (reply.status, reply.body) == (200, b"abcde")
