"""WebSockets, start, stop and background tasks on real servers, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from processes import ServerProcess

websockets = pytest.importorskip("websockets.asyncio.client")
from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402

PROGRAM = """
import asyncio
import time
from pathlib import Path

from kolben import Flask, WebSocketDisconnect, abort, request, websocket

app = Flask(__name__, static_folder=None)
app.config["WEBSOCKET_LEAVE_TIMEOUT"] = 0.2
log = Path(__file__).with_name("log")


def note(text):
    with log.open("a") as file:
        file.write(text + "\\n")


@app.while_serving
async def serving():
    note("begin")
    yield
    note("end")


async def later():
    await asyncio.sleep(0.2)
    note("task done")


@app.get("/task")
def task():
    app.add_background_task(later)
    return "task"


@app.get("/page")
def page():
    return "page"


@app.teardown_websocket
def torn_down(error):
    note(f"teardown {websocket.path} {websocket.close_code}")


@app.websocket("/echo")
async def echo():
    async for message in websocket:
        await websocket.send(message)


@app.websocket("/json")
async def json():
    await websocket.accept({"X-A": "b"}, subprotocol="v2")
    await websocket.send_json(await websocket.receive_json())
    await websocket.close(4001, "enough")


@app.websocket("/reason")
async def reason():
    try:
        await websocket.receive()
    except WebSocketDisconnect as error:
        note(f"left {error.code} {error.reason}")


@app.websocket("/push")
async def push():
    await websocket.send("hello")
    await asyncio.Event().wait()


@app.websocket("/flood/<int:count>")
async def flood(count):
    sent = 0
    try:
        for sent in range(count):
            await websocket.send("x" * 10_000)
    finally:
        note(f"sent {sent + 1}")


@app.websocket("/late")
async def late():
    await websocket.accept()
    await asyncio.sleep(0.5)
    await websocket.send("late")


@app.websocket("/boom")
async def boom():
    await websocket.accept()
    raise ValueError


@app.websocket("/teapot")
async def teapot():
    abort(418)


async def receive_by_timeout():
    async with asyncio.timeout(0.003):
        return await websocket.receive()


async def receive_by_wait_for():
    return await asyncio.wait_for(websocket.receive(), 0.003)


async def receive_by_task():
    task = asyncio.create_task(websocket.receive())
    done, _ = await asyncio.wait({task}, timeout=0.003)
    if not done and not task.cancel():
        return task.result()
    try:
        return await task
    except asyncio.CancelledError:
        raise TimeoutError from None


@app.websocket("/collect/<how>")
async def collect(how):
    await websocket.accept()
    receive = globals()[f"receive_by_{how}"]
    got = []
    while "end" not in got:
        try:
            got.append(await receive())
        except TimeoutError:
            pass
    await websocket.send_json(got)


@app.websocket("/early")
async def early():
    got = []
    while "end" not in got:
        try:
            async with asyncio.timeout(len(got) / 1000):
                got.append(await websocket.receive())
        except TimeoutError:
            got += [""] * (not got)
    await websocket.send_json(got[1:])


@app.websocket("/kept")
async def kept():
    await websocket.accept()
    await asyncio.sleep(0.6)  # what comes meanwhile is read ahead
    await websocket.send_json([await websocket.receive() for _ in range(300)])


@app.websocket("/endless")
async def endless():
    try:
        while True:
            await websocket.send("tick")
    finally:
        note("endless ended")
"""

# Each with what it takes for a small limit of the size of messages.
SERVERS = {
    "uvicorn": ["-m", "uvicorn", "--port", "{port}", "--ws-max-size", "100000", "program:app"],
    "uvicorn-wsproto": [
        "-m", "uvicorn", "--port", "{port}", "--ws", "wsproto", "--ws-max-size", "100000",
        "program:app",
    ],
    "hypercorn": ["-m", "hypercorn", "-b", "127.0.0.1:{port}", "-c", "limit.toml", "program:app.asgi_app"],
    "granian": ["-m", "granian", "--interface", "asgi", "--port", "{port}", "program:app"],
}  # fmt: skip


class Server(ServerProcess):
    """A running server."""

    def __init__(self, name: str, folder: Path, command: list[str]) -> None:
        self.name = name
        self.folder = folder
        (folder / "program.py").write_text(PROGRAM)
        (folder / "limit.toml").write_text("websocket_max_message_size = 100000")
        (folder / "log").touch()
        super().__init__([sys.executable, *command], folder)
        self.wait()

    def lines(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()

    def wait_for(self, line: str, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while line not in self.lines():
            assert time.monotonic() < deadline, f"no {line!r} in {self.lines()}; {self.said()}"
            time.sleep(0.02)

    def wait_for_start(self, start: str) -> None:
        deadline = time.monotonic() + 10
        while not any(line.startswith(start) for line in self.lines()):
            assert time.monotonic() < deadline, f"no {start!r} in {self.lines()}; {self.said()}"
            time.sleep(0.02)

    def forget(self) -> None:
        (self.folder / "log").write_text("")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)  # longer is a failure

    def connect(self, path, **options):
        options.setdefault("compression", None)
        return websockets.connect(f"ws://127.0.0.1:{self.port}{path}", proxy=None, **options)

    async def get(self, path: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer


def start(name: str, folder: Path) -> Server:
    for module in name.split("-"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    return Server(name, folder, SERVERS[name])


@pytest.fixture(scope="module", params=SERVERS)
def running(request, tmp_path_factory) -> Iterator[Server]:
    server = start(request.param, tmp_path_factory.mktemp("program"))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def server(running: Server) -> Server:
    running.forget()
    return running


def run(coroutine):
    asyncio.run(asyncio.wait_for(coroutine, 30))


def test_echo(server):
    async def test():
        async with server.connect("/echo") as ws:
            for message in ("grüße", "", b"\xff\x00", b"", "x" * 50_000):
                await ws.send(message)
                assert await ws.recv() == message

    run(test())
    # Hypercorn tells no application which code the client gave.
    server.wait_for(f"teardown /echo {1006 if server.name == 'hypercorn' else 1000}")


def test_json_subprotocol_headers_and_code(server):
    async def test():
        async with server.connect("/json", subprotocols=["v1", "v2"]) as ws:
            assert ws.subprotocol == "v2"
            if server.name != "granian":  # which sends no headers with it
                assert ws.response.headers["X-A"] == "b"
            await ws.send('{"a": [1]}')
            assert json.loads(await ws.recv()) == {"a": [1]}
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert (ws.close_code, ws.close_reason) == (4001, "enough")

    run(test())


def test_the_handler_reads_code_and_reason(server):
    async def test():
        async with server.connect("/reason") as ws:
            await ws.close(4002, "bye")

    run(test())
    # What the client gave, as far as the server passes it on.
    seen = {"granian": "left 4002 ", "hypercorn": "left 1006 "}
    server.wait_for(seen.get(server.name, "left 4002 bye"))


@pytest.mark.parametrize("path", ["/echo", "/push"])
def test_a_connection_that_breaks_ends_the_handler(server, path):
    async def test():
        ws = await server.connect(path)
        if path == "/push":
            assert await ws.recv() == "hello"
        else:
            await ws.send("x")
            await ws.recv()
        ws.transport.abort()
        await ws.wait_closed()

    run(test())
    server.wait_for_start(f"teardown {path} 100")


def test_text_that_is_not_utf8_closes_with_1007(server):
    async def test():
        async with server.connect("/echo") as ws:
            await ws.send(b"\xff\xfe", text=True)
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.close_code in (1005, 1006, 1007)

    run(test())


def test_a_message_over_the_limit_closes(server):
    # Granian's is 64 MiB and cannot be set.
    size = 65 * 2**20 if server.name == "granian" else 200_000

    async def test():
        async with server.connect("/echo", max_size=None) as ws:
            with contextlib.suppress(ConnectionClosed):
                await ws.send("x" * size)
                await ws.recv()
            assert ws.close_code in (1005, 1006, 1009)

    run(test())


def test_json_that_is_none_closes_with_1007(server):
    async def test():
        async with server.connect("/json", subprotocols=["v2"]) as ws:
            await ws.send("{")
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1007

    run(test())


def test_an_error_closes_with_1011_and_one_traceback(server):
    before = server.said().count("Traceback")

    async def test():
        async with server.connect("/boom") as ws:
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1011

    run(test())
    server.wait_for("teardown /boom 1011")
    assert server.said().count("Traceback") == before + 1


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/page", 400), ("/teapot", 418)])
def test_refusals(server, path, status):
    async def test():
        with pytest.raises(InvalidStatus) as caught:
            await server.connect(path)
        got = caught.value.response.status_code
        assert got == status

    run(test())


def test_a_foreign_origin_is_refused(server):
    async def test():
        with pytest.raises(InvalidStatus) as caught:
            await server.connect("/echo", origin="https://evil.example")
        assert caught.value.response.status_code == 403
        async with server.connect("/echo", origin=f"http://127.0.0.1:{server.port}") as ws:
            await ws.send("x")
            assert await ws.recv() == "x"

    run(test())


def test_a_slow_reader_slows_the_handler_down(server):
    """What the handler has sent when the client leaves is about what buffers hold."""

    async def test():
        ws = await server.connect("/flood/100000", max_queue=1)
        await asyncio.sleep(1)
        assert "sent" not in str(
            server.lines()
        )  # it is still at it: a gigabyte does not fit into buffers
        ws.transport.abort()
        await ws.wait_closed()

    run(test())
    server.wait_for_start("teardown /flood")


def test_all_messages_arrive(server):
    async def test():
        count = 0
        async with server.connect("/flood/500") as ws:
            async for _ in ws:
                count += 1
                if count % 100 == 0:
                    await asyncio.sleep(0.01)
        assert count == 500

    run(test())


def test_handler_that_only_sends_closes_after_the_timeout_for_leaving(server):
    async def test():
        async with server.connect("/late") as ws:
            assert await ws.recv() == "late"
            async with asyncio.timeout(10):
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
            assert ws.close_code == 1000

    run(test())


@pytest.mark.parametrize("how", ["timeout", "wait_for", "task"])
def test_a_wait_that_is_given_up_takes_no_message(server, how):
    async def test():
        async with server.connect(f"/collect/{how}") as ws:
            for n in range(300):
                await ws.send(str(n))
                await asyncio.sleep(n % 7 / 1000)
            await ws.send("end")
            assert json.loads(await ws.recv()) == [*map(str, range(300)), "end"]

    run(test())


def test_a_handshake_is_not_given_up_with_the_first_wait(server):
    async def one(count):
        async with server.connect("/early") as ws:
            sent = [*map(str, range(count)), "end"]
            for text in sent:
                await ws.send(text)
            assert json.loads(await ws.recv()) == sent

    async def test():
        for _ in range(10):
            await asyncio.gather(*[one(count) for count in range(20)])

    run(test())


def test_what_comes_while_the_handler_does_not_receive_is_kept_in_order(server):
    async def test():
        async with server.connect("/kept") as ws:
            for n in range(300):
                await ws.send(str(n))
                await asyncio.sleep(0.001)
            assert json.loads(await ws.recv()) == [*map(str, range(300))]

    run(test())


def test_a_handler_that_only_sends_ends_when_its_client_leaves(server):
    """The others are served meanwhile."""
    before = server.said().count("Traceback")

    async def test():
        ws = await server.connect("/endless", max_queue=1)
        for _ in range(500):
            assert await ws.recv() == "tick"
        assert (await server.get("/page")).endswith(b"page")
        ws.transport.abort()
        await ws.wait_closed()
        assert (await server.get("/page")).endswith(b"page")

    run(test())
    server.wait_for("endless ended")
    server.wait_for_start("teardown /endless 100")
    assert server.said().count("Traceback") == before


def test_plain_requests_are_answered_with_426(server):
    async def test():
        head, _, body = (await server.get("/echo")).partition(b"\r\n\r\n")
        assert b" 426 " in head.split(b"\r\n")[0]
        assert b"upgrade: websocket" in head.lower()
        assert b"hypercorn" in body

    run(test())


@pytest.mark.parametrize("name", [name for name in SERVERS if "wsproto" not in name])
def test_the_server_starts_and_stops_the_application(name, tmp_path):
    server = start(name, tmp_path)
    try:
        run(server.get("/page"))
        assert server.lines() == ["begin"]
        run(server.get("/task"))
    finally:
        server.stop()
    assert server.lines() == ["begin", "task done", "end"]


@pytest.mark.parametrize("name", ["gunicorn", "waitress", "granian"])
def test_under_wsgi_too(name, tmp_path):
    commands = {
        "gunicorn": ["-m", "gunicorn", "-b", "127.0.0.1:{port}", "--threads", "4", "program:app"],
        "waitress": ["-m", "waitress", "--listen=127.0.0.1:{port}", "program:app"],
        "granian": ["-m", "granian", "--interface", "wsgi", "--port", "{port}", "program:app"],
    }
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    server = Server(name, tmp_path, commands[name])
    try:
        for _ in range(3):
            run(server.get("/page"))
        assert server.lines() == ["begin"]
        run(server.get("/task"))
        answer = asyncio.run(server.get("/echo"))
        assert b" 426 " in answer.split(b"\r\n")[0]
    finally:
        if name == "waitress":
            server.process.send_signal(signal.SIGINT)  # SIGTERM ends it on the spot
            server.process.wait(10)
        server.stop()
    assert server.lines() == ["begin", "task done", "end"]
