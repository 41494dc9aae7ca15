"""How servers start and stop an application: SIGTERM with clients at hand, and starts that fail."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

PROGRAM = """
import asyncio, os, sys, time
from kolben import Flask, Response

app = Flask(__name__)
HOW = os.environ.get("HOW")


def say(text):
    os.write(1, text.encode() + b"\\n")  # at once, beside what others write


@app.before_serving
def before():
    if HOW == "exit":
        sys.exit("There is no database here.")
    if HOW == "status":
        sys.exit(7)
    if HOW == "error":
        raise ValueError("There is no database here.")


@app.while_serving
async def pool():
    yield
    await asyncio.sleep(0.2)  # so long takes a pool
    say("pool closed")


@app.after_serving
def after():
    say("after_serving")


@app.teardown_request
def teardown(error):
    say("teardown")


@app.get("/events")
async def events():
    async def pieces():
        try:
            while True:
                yield "data: x\\n\\n"
                await asyncio.sleep(0.1)
        finally:
            await asyncio.sleep(0)
            say("finally")

    return Response(pieces(), mimetype="text/event-stream")


@app.get("/plain-events")
def plain_events():
    def pieces():
        try:
            while True:
                yield "data: x\\n\\n"
                time.sleep(0.1)
        finally:
            say("finally")

    return Response(pieces(), mimetype="text/event-stream")


@app.get("/lines")
def lines():
    def pieces():
        try:
            while True:
                yield "line\\n"
                time.sleep(0.1)
        finally:
            say("finally")

    return Response(pieces(), mimetype="text/csv")


@app.get("/slow")
async def slow():
    say("begun")
    try:
        await asyncio.sleep(60)
    finally:
        say("finally")


@app.get("/sleep")
def sleep():
    say("begun")
    time.sleep(60)


@app.get("/text")
def text():
    return "text"


@app.post("/upload")
def upload():
    return "text"


@app.get("/task")
async def task():
    async def work():
        await asyncio.sleep(1)
        say("task done")

    app.add_background_task(work)
    return "text"
"""

PYTHON = sys.executable
KOLBEN = [PYTHON, "-m", "kolben", "serve", "program:app", "--workers", "1", "--port", "{port}"]
KOLBEN += ["--grace", "{grace}"]
SERVERS = {
    "kolben-wsgi": [*KOLBEN, "--interface", "wsgi"],
    "kolben-asgi": [*KOLBEN, "--interface", "asgi"],
    "kolben-uvicorn": [*KOLBEN, "--server", "uvicorn"],
    "uvicorn": [
        PYTHON, "-m", "uvicorn", "program:app.asgi_app", "--port", "{port}",
        "--timeout-graceful-shutdown", "2",
    ],
    "hypercorn": [
        PYTHON, "-m", "hypercorn", "program:app.asgi_app", "--bind", "127.0.0.1:{port}",
        "--graceful-timeout", "2",
    ],
    "granian-asgi": [
        PYTHON, "-m", "granian", "--interface", "asgi", "--port", "{port}", "program:app",
    ],
    "gunicorn": [
        PYTHON, "-m", "gunicorn", "-b", "127.0.0.1:{port}", "--threads", "4", "program:app",
        "--graceful-timeout", "2",
    ],
    "gunicorn-asgi": [
        PYTHON, "-m", "gunicorn", "-b", "127.0.0.1:{port}", "-k", "asgi", "program:app",
        "--graceful-timeout", "2",
    ],
}  # fmt: skip
MODULES = {"kolben-wsgi": "granian", "kolben-asgi": "granian", "kolben-uvicorn": "uvicorn"}


class Server:
    """A server, which may fail to start."""

    def __init__(self, name: str, folder: Path, how: str = "", grace: int = 2) -> None:
        module = MODULES.get(name, name.partition("-")[0])
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
        (folder / "program.py").write_text(PROGRAM)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [word.format(port=self.port, grace=grace) for word in SERVERS[name]],
            cwd=folder,
            env={**os.environ, "HOW": how, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines.extend(line.strip() for line in output)

    def connect(self) -> socket.socket:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 20)
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"no server: {self.lines}")

    def wait_for(self, line: str) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if line in self.lines:
                return
            time.sleep(0.02)
        raise AssertionError(f"{line!r} did not come: {self.lines}")

    def stop(self) -> float:
        """Ask the server to end; return how many seconds that took."""
        begin = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(25)
        finally:
            self.kill()
        return time.monotonic() - begin

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(20)

    @property
    def said(self) -> list[str]:
        """What the application has printed, in its order."""
        own = ("finally", "teardown", "pool closed", "after_serving", "task done")
        return [line for line in self.lines if line in own]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(name: str, how: str = "", grace: int = 2) -> Server:
        server = Server(name, tmp_path, how, grace)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.kill()


def receive(client: socket.socket, wanted: bytes) -> bytes:
    """Read until a text has come."""
    received = b""
    while wanted not in received:
        piece = client.recv(10_000)
        assert piece, received
        received += piece
    return received


def read_all(client: socket.socket) -> bytes:
    received = b""
    while piece := client.recv(10_000):
        received += piece
    return received


OURS = ["kolben-wsgi", "kolben-asgi", "kolben-uvicorn"]
CANCELS = [*OURS, "uvicorn", "hypercorn"]
#: From Python 3.12.1 on Hypercorn does not end while a response of any application goes on: it waits for the
#: listening socket, which waits for all connections since.
ENDS_STREAMS = CANCELS if sys.version_info < (3, 12, 1) else CANCELS[:-1]
ENDS = ["pool closed", "after_serving"]


#: A worker that ends by itself calls, until Python 3.12, what the main process had registered for its own
#: end: coverage, where that watches, whose object there has no part in the worker's.
OF_COVERAGE = re.compile(
    r"^Exception ignored in atexit callback: <bound method Coverage.*?^AssertionError:\s*$",
    re.MULTILINE | re.DOTALL,
)


def said_of_errors(server: Server) -> str:
    return OF_COVERAGE.sub("", "\n".join(server.lines))


@pytest.mark.parametrize("path", ["/events", "/plain-events", "/slow", "/lines"])
@pytest.mark.parametrize("name", ENDS_STREAMS)
def test_what_runs_is_cleaned_up_before_the_server_ends(
    serve: Callable[..., Server], name: str, path: str
) -> None:
    server = serve(name)
    with server.connect() as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        if path == "/slow":
            server.wait_for("begun")
        else:
            receive(client, b"line" if path == "/lines" else b"data")
        assert server.stop() < 11
    # The view of a stream has returned, and with it its request is torn down, as on Flask.
    first = ["finally", "teardown"] if path == "/slow" else ["teardown", "finally"]
    assert server.said == [*first, *ENDS], server.lines
    if name.startswith("kolben"):
        assert server.process.returncode == 0
        log = said_of_errors(server)
        assert "Traceback" not in log, log
        assert "ERROR" not in log, log


@pytest.mark.parametrize("name", [*CANCELS, "granian-asgi"])
def test_idle_connections_do_not_keep_a_server_from_its_end(
    serve: Callable[..., Server], name: str
) -> None:
    server = serve(name)
    with server.connect() as unused, server.connect() as idle, server.connect() as half:
        unused.sendall(b"")
        idle.sendall(b"GET /text HTTP/1.1\r\nHost: x\r\n\r\n")
        receive(idle, b"text")
        half.sendall(b"GET /text HTTP/1.1\r\nHo")
        if name == "granian-asgi":
            half.close()
        assert server.stop() < 11
    assert server.said == ["teardown", *ENDS], server.lines


@pytest.mark.parametrize("name", [name for name in OURS if name != "kolben-wsgi"])
def test_a_body_that_does_not_come_keeps_no_server_from_its_end(
    serve: Callable[..., Server], name: str
) -> None:
    server = serve(name)
    with server.connect() as client, server.connect() as other:
        client.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
        other.sendall(b"GET /text HTTP/1.1\r\nHost: x\r\n\r\n")
        receive(other, b"text")
        assert server.stop() < 11
    assert server.said == ["teardown", *ENDS], server.lines
    log = said_of_errors(server)
    assert "Traceback" not in log, log
    assert "ERROR" not in log, log


@pytest.mark.parametrize("name", OURS)
def test_a_view_that_no_one_can_stop_keeps_nothing_else_from_its_end(
    serve: Callable[..., Server], name: str
) -> None:
    server = serve(name)
    with server.connect() as client:
        client.sendall(b"GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n")
        server.wait_for("begun")
        assert server.stop() < 11
    assert server.said == ENDS
    assert any("in the middle of a request" in line for line in server.lines)
    assert server.process.returncode == 0


@pytest.mark.parametrize("name", OURS)
def test_a_stream_that_is_cut_off_does_not_look_whole(
    serve: Callable[..., Server], name: str
) -> None:
    server = serve(name)
    with server.connect() as client:
        client.sendall(b"GET /lines HTTP/1.1\r\nHost: x\r\n\r\n")
        received = receive(client, b"line")
        server.stop()
        try:
            received += read_all(client)
        except ConnectionError:
            pass  # reset, which says it, too
    assert received.count(b"line") > 10, "it had its time"
    assert not received.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("path", ["/plain-events", "/events"])
@pytest.mark.parametrize("name", OURS)
def test_events_end_at_once(serve: Callable[..., Server], name: str, path: str) -> None:
    server = serve(name, grace=18)
    with server.connect() as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        receive(client, b"data")
        assert server.stop() < 12


@pytest.mark.parametrize("name", OURS)
def test_background_tasks_are_waited_for(serve: Callable[..., Server], name: str) -> None:
    server = serve(name)
    with server.connect() as client:
        client.sendall(b"GET /task HTTP/1.1\r\nHost: x\r\n\r\n")
        receive(client, b"text")
        server.stop()
    assert server.said == ["teardown", "task done", *ENDS]


# --- Starts that fail -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["exit", "status", "error"])
@pytest.mark.parametrize("name", [*CANCELS, "granian-asgi", "gunicorn-asgi"])
def test_a_start_that_fails_stops_the_server_with_its_message(
    serve: Callable[..., Server], name: str, how: str
) -> None:
    server = serve(name, how)
    server.process.wait(25)
    server.kill()
    if name != "hypercorn":  # which prints the error, and has 0
        assert server.process.returncode != 0
    message = "sys.exit(7) was called" if how == "status" else "There is no database here."
    assert message in "\n".join(server.lines)
    if how != "error" and name.startswith("kolben"):
        log = said_of_errors(server)
        assert "Traceback" not in log, log


@pytest.mark.parametrize("how", ["exit", "error"])
def test_a_start_that_fails_fails_each_request_where_the_server_cannot_be_told(
    serve: Callable[..., Server], how: str
) -> None:
    server = serve("gunicorn", how)
    for _ in range(2):
        with server.connect() as client:
            client.sendall(b"GET /text HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert read_all(client).split(b" ")[1] == b"500"
    server.stop()
    assert "There is no database here." in "\n".join(server.lines)
