"""What stands between the server and the application in a worker, without the server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wsgi import FileWrapper

import kolben
from kolben import Response, websocket
from kolben.serving import gateways
from kolben.serving.gateways import asgi_gateway, close_afterwards, wsgi_gateway
from kolben.sse import event_stream

PATIENCE = 20


class Link:
    """A worker's side of the connection to the main process, without a main process."""

    def __init__(self) -> None:
        self.leaving = self.cut = self.ending = False
        self.said: list[str | None] = []
        self.on_leave: Callable[[], None]
        self.on_cut: Callable[[], None]
        self.on_end: Callable[[], None]

    def say_ready(self) -> None:
        self.said.append(None)

    def say_failed(self, reason: str) -> None:
        self.said.append(reason)


@pytest.fixture
def link() -> Any:
    return Link()


@pytest.fixture
def app() -> kolben.Flask:
    return kolben.Flask(__name__, static_folder=None)


@pytest.fixture(autouse=True)
def _warn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateways, "_warned", set())


# -- WSGI -----------------------------------------------------------------------------------


class Start:
    """The server's ``start_response``, which knows the headers that it was given, as Granian's does."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []

    def __call__(self, status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        self.status = int(status[:3])
        self.headers = headers


def call(gateway: Any, path: str = "/", **environ: Any) -> tuple[Any, list[tuple[str, str]]]:
    start = Start()
    body = gateway(EnvironBuilder(path).get_environ() | environ, start)
    return body, start.headers


def test_a_wsgi_worker_is_ready_as_soon_as_it_is_loaded(app: kolben.Flask, link: Any) -> None:
    app.add_url_rule("/", view_func=lambda: "text")
    gateway = wsgi_gateway(app, link)
    assert link.said == [None]
    body, headers = call(gateway)
    assert (body, dict(headers).get("Connection")) == ([b"text"], None)


def test_a_worker_that_leaves_tells_its_clients_to_close_over_wsgi(
    app: kolben.Flask, link: Any
) -> None:
    app.add_url_rule("/", view_func=lambda: "text")
    gateway = wsgi_gateway(app, link)
    link.leaving = True
    assert dict(call(gateway)[1])["Connection"] == "close"


@pytest.mark.parametrize("size", [10, 3_000_000])
@pytest.mark.parametrize("start", [0, 4])
def test_a_file_is_read_ahead_to_its_end_where_that_is_near(
    app: kolben.Flask, link: Any, size: int, start: int
) -> None:
    content = bytes(range(200)) * (size // 200) + b"x" * (size % 200)
    file = io.BytesIO(content)

    @app.get("/")
    def view() -> Response:
        return kolben.send_file(file, "text/plain", conditional=True)

    environ = {"HTTP_RANGE": f"bytes={start}-"} if start else {}
    body, _ = call(wsgi_gateway(app, link), **{"wsgi.file_wrapper": FileWrapper}, **environ)
    assert (type(body) is list) is (size < 1_000_000)
    assert b"".join(body) == content[start:]
    if type(body) is not list:
        body.close()
    assert file.closed


class Pieces:
    def __init__(self, log: list[str]) -> None:
        self.log = log

    def __iter__(self) -> Iterator[str]:
        yield "one"
        yield "two"

    def close(self) -> None:
        self.log.append("closed")


@pytest.fixture
def streaming(app: kolben.Flask) -> list[str]:
    """A stream at /stream, one of events at /events, an asynchronous one at /async; which was closed."""
    log: list[str] = []

    async def later() -> Any:
        try:
            yield "one"
            yield "two"
        finally:
            log.append("closed")

    app.add_url_rule("/stream", "stream", lambda: Response(Pieces(log)))
    app.add_url_rule("/events", "events", lambda: event_stream(later(), heartbeat=None))
    app.add_url_rule("/async", "async", lambda: Response(later()))
    return log


@pytest.mark.parametrize("path", ["/stream", "/async"])
def test_a_stream_goes_on_while_its_worker_leaves(
    app: kolben.Flask, link: Any, streaming: list[str], path: str
) -> None:
    body, _ = call(wsgi_gateway(app, link), path)
    pieces = [next(body)]
    link.leaving = True
    pieces += body
    assert b"".join(pieces) == b"onetwo"
    for _ in range(2):
        body.close()
    assert streaming == ["closed"]


def test_a_stream_of_events_ends_when_its_worker_leaves(
    app: kolben.Flask, link: Any, streaming: list[str]
) -> None:
    """Its client asks again, and comes to a new worker."""
    body, _ = call(wsgi_gateway(app, link), "/events")
    assert next(body) == b"data: one\n\n"
    link.leaving = True
    assert list(body) == []
    body.close()
    assert streaming == ["closed"]


@pytest.mark.parametrize("error", [None, RuntimeError])
def test_a_stream_is_closed_when_its_client_has_all(
    app: kolben.Flask, link: Any, streaming: list[str], error: type[Exception] | None
) -> None:
    gateway = wsgi_gateway(app, link)

    def answer(path: str) -> str:
        body, _ = call(gateway, path)
        list(body)
        body.close()
        assert streaming == []
        if error is not None:
            raise error
        return path

    def in_thread() -> None:
        with contextlib.nullcontext() if error is None else pytest.raises(error):
            assert close_afterwards(answer)("/stream") == "/stream"
        assert streaming.pop() == "closed"
        _body, _ = call(gateway, "/stream")  # nothing is left for the next one
        assert close_afterwards(lambda: "next")() == "next"
        assert streaming == []

    with ThreadPoolExecutor() as pool:
        pool.submit(in_thread).result()


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "2"}, {"content-length": "2"}])
@pytest.mark.parametrize("status", [200, 204, 304, 413])
def test_an_answer_that_comes_early_says_its_length_and_reads_on(
    link: Any, monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str]
) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(f"{status} X", list(headers.items()))
        return [b"n", b"o"]

    sent = io.BytesIO(bytes(300_000))
    body, found = call(
        wsgi_gateway(app, link),
        REQUEST_METHOD="POST",
        CONTENT_LENGTH="300000",
        **{"wsgi.input": sent},
    )
    assert (next(body), next(body), sent.tell()) == (b"n", b"o", 0)
    assert next(body, None) is None
    assert sent.tell() == 300_000
    lengths = [value for name, value in found if name.lower() == "content-length"]
    assert lengths == (["2"] if headers or status in {200, 413} else [])


def test_a_stream_that_is_cut_is_closed_and_never_looks_whole(
    app: kolben.Flask, link: Any, streaming: list[str]
) -> None:
    """Granian would send the end of the body after an error, and so tell the client that it has all."""
    body, _ = call(wsgi_gateway(app, link), "/stream")
    assert next(body) == b"one"
    link.leaving = link.cut = True
    got: list[bytes] = []
    threading.Thread(target=lambda: got.append(next(body)), daemon=True).start()
    deadline = threading.Event()
    for _ in range(1000):
        if streaming:
            break
        deadline.wait(0.01)
    assert (streaming, got) == (["closed"], [])


def test_an_asynchronous_stream_that_holds_a_thread_is_warned_about_once(
    app: kolben.Flask, link: Any, streaming: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    gateway = wsgi_gateway(app, link)
    for _ in range(2):
        body, _ = call(gateway, "/async")
        assert b"".join(body) == b"onetwo"
        body.close()
    assert caplog.text.count("over WSGI it holds a thread") == 1


# -- ASGI -----------------------------------------------------------------------------------


def run(coroutine: Any) -> None:
    async def alone() -> None:
        async with asyncio.timeout(PATIENCE):
            await coroutine

    asyncio.run(alone())


class Server:
    """Calls a gateway as a server does: its lifespan first."""

    def __init__(self, gateway: Any) -> None:
        self.gateway = gateway
        self.to_app: asyncio.Queue[Any] = asyncio.Queue()
        self.from_app: asyncio.Queue[Any] = asyncio.Queue()

    async def start(self) -> str:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self.lifespan = asyncio.ensure_future(
            self.gateway(scope, self.to_app.get, self.from_app.put)
        )
        return await self.tell("startup")

    async def tell(self, step: str) -> str:
        self.to_app.put_nowait({"type": f"lifespan.{step}"})
        message: dict[str, str] = await self.from_app.get()
        return message["type"].rpartition(".")[2]

    async def stop(self) -> None:
        assert await self.tell("shutdown") == "complete"
        await self.lifespan

    async def get(self, path: str = "/", version: str = "1.1") -> dict[bytes, bytes]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        await self.gateway({**scope, "http_version": version}, receive, send)
        return dict(sent[0]["headers"])


class Socket:
    """One WebSocket of that server."""

    def __init__(self, server: Server, path: str) -> None:
        self.to_app: asyncio.Queue[Any] = asyncio.Queue()
        self.from_app: asyncio.Queue[Any] = asyncio.Queue()
        self.to_app.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": path, "headers": []}
        self.task = asyncio.ensure_future(server.gateway(scope, self.to_app.get, self.from_app.put))

    async def next(self) -> dict[str, Any]:
        message: dict[str, Any] = await self.from_app.get()
        return message

    async def leave(self) -> None:
        self.to_app.put_nowait({"type": "websocket.disconnect", "code": 1012})
        await self.task


def test_an_asgi_worker_is_ready_when_its_application_has_started(
    app: kolben.Flask, link: Any
) -> None:
    log: list[str] = []
    app.before_serving(lambda: log.append(f"before {link.said}"))

    async def test() -> None:
        server = Server(asgi_gateway(app, link))
        assert await server.start() == "complete"
        assert link.said == [None]
        await server.stop()
        assert link.ending

    run(test())
    assert log == ["before []"]


def test_the_main_process_is_told_why_an_application_does_not_start(
    app: kolben.Flask, link: Any
) -> None:
    @app.before_serving
    def fail() -> None:
        raise LookupError("no database")

    async def test() -> None:
        server = Server(asgi_gateway(app, link))
        assert await server.start() == "failed"
        await server.lifespan

    run(test())
    assert link.said == ["LookupError: no database"]


def test_a_worker_that_leaves_tells_its_clients_to_close_over_asgi(
    app: kolben.Flask, link: Any
) -> None:
    app.add_url_rule("/", view_func=lambda: "text")

    async def test() -> None:
        server = Server(asgi_gateway(app, link))
        assert b"connection" not in await server.get()
        link.leaving = True
        assert (await server.get())[b"connection"] == b"close"
        # HTTP/2 has no such header (RFC 9113, section 8.2.2).
        assert b"connection" not in await server.get(version="2")

    run(test())


def sockets(app: kolben.Flask) -> None:
    @app.websocket("/open")
    async def handler() -> None:
        await websocket.accept(headers={"X-A": "1"})
        async for _ in websocket:
            pass

    @app.websocket("/late")
    async def late() -> None:
        await asyncio.sleep(0.05)
        await websocket.accept()
        async for _ in websocket:
            pass


def test_websockets_are_closed_as_restarting_when_the_worker_leaves(
    app: kolben.Flask, link: Any
) -> None:
    """Those that are open, and those that are accepted a moment later."""
    sockets(app)

    async def test() -> None:
        server = Server(asgi_gateway(app, link, passes_headers=True))
        await server.start()
        first, second = Socket(server, "/open"), Socket(server, "/late")
        assert (await first.next())["type"] == "websocket.accept"
        await asyncio.to_thread(link.on_leave)
        for socket in (first, second):
            message = await socket.next()
            if message["type"] == "websocket.accept":
                message = await socket.next()
            assert (message["type"], message["code"]) == ("websocket.close", 1012)
            await socket.leave()
        await server.stop()

    run(test())


@pytest.mark.parametrize("passes_headers", [True, False])
def test_headers_of_an_accept_that_do_not_arrive_are_warned_about_once(
    app: kolben.Flask, link: Any, caplog: pytest.LogCaptureFixture, passes_headers: bool
) -> None:
    sockets(app)

    async def test() -> None:
        server = Server(asgi_gateway(app, link, passes_headers=passes_headers))
        for _ in range(2):
            socket = Socket(server, "/open")
            await socket.next()
            await socket.leave()

    run(test())
    expected = 0 if passes_headers else 1
    assert caplog.text.count("do not reach the client") == expected


def test_the_handlers_of_websockets_end_before_the_application_does(
    app: kolben.Flask, link: Any
) -> None:
    log: list[str] = []

    @app.websocket("/open")
    async def handler() -> None:
        await websocket.accept()
        try:
            await websocket.receive()
        finally:
            await asyncio.sleep(0.05)
            log.append("handler")

    app.after_serving(lambda: log.append("after"))

    async def test() -> None:
        server = Server(asgi_gateway(app, link))
        await server.start()
        socket = Socket(server, "/open")
        await socket.next()
        socket.to_app.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await server.stop()
        await socket.task

    run(test())
    assert log == ["handler", "after"]


def test_what_is_still_answered_is_cancelled_as_the_server_needs_it(
    app: kolben.Flask, link: Any
) -> None:
    log: list[str] = []

    async def test() -> None:
        server = Server(asgi_gateway(app, link, cancel_requests=lambda: log.append("cancelled")))
        await server.start()
        await asyncio.to_thread(link.on_cut)
        await server.stop()

    run(test())
    assert log == ["cancelled"]


def test_an_application_is_shut_down_by_force_where_the_server_still_waits(
    app: kolben.Flask, link: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    app.after_serving(lambda: log.append("after"))
    monkeypatch.setattr(gateways, "exit_now", lambda: log.append("exit"))

    async def test() -> None:
        server = Server(asgi_gateway(app, link))
        await server.start()
        await asyncio.to_thread(link.on_end)
        await server.lifespan

    run(test())
    assert log == ["after", "exit"]


def test_a_start_that_has_no_end_is_given_up_when_the_worker_leaves(
    app: kolben.Flask, link: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    monkeypatch.setattr(gateways, "exit_now", lambda: log.append("exit"))

    @app.before_serving
    async def waits() -> None:
        log.append("begun")
        try:
            await asyncio.sleep(1000)
        finally:
            log.append("given up")

    async def test() -> None:
        server = Server(asgi_gateway(app, link))
        starting = asyncio.ensure_future(server.start())
        while not log:  # noqa: ASYNC110 (a moment)
            await asyncio.sleep(0.01)
        await asyncio.to_thread(link.on_leave)
        with pytest.raises(asyncio.CancelledError):
            await server.lifespan
        starting.cancel()

    run(test())
    assert log == ["begun", "given up", "exit"]


def test_by_force_it_ends_at_once_where_nothing_has_begun(
    app: kolben.Flask, link: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave() -> None:
        raise SystemExit

    monkeypatch.setattr(gateways, "exit_now", leave)
    asgi_gateway(app, link)
    link.on_leave()
    link.on_cut()
    with pytest.raises(SystemExit):
        link.on_end()


@pytest.fixture(autouse=True)
def _hear_warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "kolben.serve")
