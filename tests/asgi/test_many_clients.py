"""Hundreds of clients that leave, fail and wait, at once, on real ASGI servers: everything comes to one end."""

from __future__ import annotations

import asyncio
import collections
import importlib.util
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from processes import ServerProcess

PROGRAM = """
import asyncio
import collections
import sys

from kolben import Flask, Response, got_websocket_exception, request, websocket

CANCEL = "cancel" in sys.argv[0] or __name__ == "cancelling"
app = Flask(__name__, static_folder=None)
app.config["CANCEL_ON_DISCONNECT"] = CANCEL
app.config["RESPONSE_TIMEOUT"] = 1
app.logger.disabled = True
counts = collections.Counter()


@app.teardown_request
def teardown(error):
    if request.path.startswith("/wait"):
        counts["teardown"] += 1


@app.get("/counts")
async def show():
    return dict(counts)


@app.get("/wait/<float:seconds>/<name>")
async def wait(seconds, name):
    counts["begun"] += 1
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        counts["cancelled"] += 1
        raise
    finally:
        counts["ended"] += 1
    return name


@app.get("/ask")
async def ask():
    counts["asks"] += 1
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if await request.is_disconnected():
            counts["told"] += 1
            return ""
    return ""


@app.get("/endless/<kind>")
async def endless(kind):
    counts["streams"] += 1

    async def pieces():
        try:
            while True:
                yield "x" * 1000
                await asyncio.sleep(0 if kind == "fast" else 0.05)
        finally:
            counts["closed"] += 1

    return Response(pieces())


@app.post("/task/<int:number>")
async def task(number):
    async def work():
        await asyncio.sleep(number % 7 / 100)
        counts["tasks"] += 1
        counts[f"task {number}"] += 1

    app.add_background_task(work)
    return str(number)


@app.websocket("/fails")
async def fails():
    await websocket.accept()
    await websocket.receive()
    raise RuntimeError("on purpose")


@got_websocket_exception.connect_via(app)
def failed(sender, exception):
    counts["failures"] += 1


async def other(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    counts["mounted"] += 1
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"] + scope["root_path"]})
        await send({"type": "websocket.close"})
        return
    await asyncio.sleep(0.01)
    body = (scope["root_path"] + " " + scope["path"]).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


app.mount("/other", other)
"""

SERVERS = {
    "kolben-granian": [
        "-m", "kolben", "serve", "{program}:app", "--port", "{port}", "--workers", "1",
        "--interface", "asgi",
    ],
    "kolben-uvicorn": [
        "-m", "kolben", "serve", "{program}:app", "--port", "{port}", "--workers", "1",
        "--server", "uvicorn",
    ],
    "uvicorn": ["-m", "uvicorn", "--port", "{port}", "{program}:app.asgi_app"],
    "hypercorn": ["-m", "hypercorn", "-b", "127.0.0.1:{port}", "{program}:app.asgi_app"],
}  # fmt: skip

#: Clients in each test.
MANY = 200


class Server(ServerProcess):
    """A running server, whose program counts what happens."""

    def __init__(self, name: str, program: str, folder: Path) -> None:
        (folder / f"{program}.py").write_text(PROGRAM)
        command = [word.replace("{program}", program) for word in SERVERS[name]]
        super().__init__([sys.executable, *command], folder)
        self.wait()

    async def ask(self, path: str, method: str = "GET") -> tuple[bytes, bytes]:
        """Return the head and the body of an answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        writer.write(head.encode())
        answer = await reader.read()
        writer.close()
        head_, _, body = answer.partition(b"\r\n\r\n")
        return head_, body

    async def leave(self, path: str, after: float, *, abort: bool) -> None:
        """Ask, and leave without waiting for the answer."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        await asyncio.sleep(after)
        if abort:
            writer.transport.abort()
        writer.close()

    async def counts(self) -> collections.Counter[str]:
        return collections.Counter(json.loads((await self.ask("/counts"))[1]))

    async def until(
        self, condition: Callable[[collections.Counter[str]], bool]
    ) -> collections.Counter[str]:
        """Return the counts, as soon as a condition holds for them."""
        deadline = time.monotonic() + 20
        while not condition(counts := await self.counts()):
            assert time.monotonic() < deadline, (counts, self.said()[-3000:])
            await asyncio.sleep(0.05)
        return counts


@pytest.fixture(params=SERVERS)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Server]]:
    module = request.param.removeprefix("kolben-")
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    servers: list[Server] = []

    def start(program: str) -> Server:
        servers.append(Server(request.param, program, tmp_path))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def run(coroutine: Awaitable[Any]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 60))


async def limited(jobs: list[Awaitable[Any]], at_once: int = 40) -> list[Any]:
    """Await them all, so many at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one(job: Awaitable[Any]) -> Any:
        async with gate:
            return await job

    return await asyncio.gather(*map(one, jobs))


def test_clients_that_leave_cancel_their_own_views_and_no_others(
    start: Callable[[str], Server],
) -> None:
    server = start("cancelling")
    random.seed(1)

    async def stay(number: int) -> None:
        head, body = await server.ask(f"/wait/{random.random() / 10 + 0.001:.4f}/n{number}")
        assert (head.split(b" ")[1], body) == (b"200", b"n%d" % number)

    async def test() -> None:
        jobs: list[Awaitable[Any]] = []
        for number in range(MANY):
            abort = number % 2 == 0
            jobs.append(server.leave("/wait/30.0/gone", random.random() / 10, abort=abort))
            jobs.append(stay(number))
        await limited(jobs)
        counts = await server.until(lambda c: c["ended"] == c["begun"] == c["teardown"])
        assert counts["begun"] >= MANY, "all who stayed"
        assert counts["cancelled"] == counts["begun"] - MANY
        assert counts["cancelled"] > MANY / 4, "of those whose request was read"

    run(test())


def test_views_that_ask_are_told(start: Callable[[str], Server]) -> None:
    server = start("asking")

    async def test() -> None:
        await limited(
            [server.leave("/ask", random.random() / 10, abort=n % 2 == 0) for n in range(MANY)]
        )
        counts = await server.until(lambda c: c["asks"] == c["told"])
        assert counts["told"] > MANY / 4

    run(test())


@pytest.mark.parametrize("kind", ["slow", "fast"])
def test_responses_that_take_too_long_are_cut_off(
    start: Callable[[str], Server], kind: str
) -> None:
    server = start("streaming")

    async def cut_off() -> None:
        try:
            _, body = await server.ask(f"/endless/{kind}")
        except ConnectionError:
            return
        assert not body.endswith(b"0\r\n\r\n"), "it looks whole"

    async def test() -> None:
        many = 40 if kind == "slow" else 6
        await limited([cut_off() for _ in range(many)])
        counts = await server.until(lambda c: c["closed"] == c["streams"])
        assert counts["streams"] == many
        assert (await server.ask("/task/1", "POST"))[1] == b"1"

    run(test())


def test_each_background_task_runs_once(start: Callable[[str], Server]) -> None:
    server = start("tasks")

    async def test() -> None:
        answers = await limited([server.ask(f"/task/{n}", "POST") for n in range(MANY)])
        assert [body for _, body in answers] == [str(n).encode() for n in range(MANY)]
        counts = await server.until(lambda c: c["tasks"] == MANY)
        assert all(counts[f"task {n}"] == 1 for n in range(MANY))

    run(test())


def test_mounted_applications_and_failing_websockets(start: Callable[[str], Server]) -> None:
    client = pytest.importorskip("websockets.asyncio.client")
    from websockets.exceptions import ConnectionClosed

    server = start("mounted")
    url = f"ws://127.0.0.1:{server.port}"

    async def fails() -> int | None:
        async with client.connect(f"{url}/fails", proxy=None) as ws:
            await ws.send("x")
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            code: int | None = ws.close_code
            return code

    async def talks() -> None:
        async with client.connect(f"{url}/other/ws", proxy=None) as ws:
            await ws.send("x")
            assert await ws.recv() == "x/other"

    async def asks(number: int) -> None:
        assert (await server.ask(f"/other/{number}"))[1] == f"/other /other/{number}".encode()

    async def test() -> None:
        some = MANY // 2
        jobs: list[Awaitable[Any]] = [fails() for _ in range(some)]
        jobs += [job for n in range(some) for job in (talks(), asks(n))]
        results = await limited(jobs, 20)
        assert results[:some] == [1011] * some
        counts = await server.until(lambda c: c["failures"] == some)
        assert counts["mounted"] == 2 * some

    run(test())
