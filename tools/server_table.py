"""What servers pass on to an application and to its clients, tried on each: the table of docs/deployment.md.

    make servers                    prints the table
    make servers ARGS=uvicorn       only the servers with this in their names

Each server is started twice: once with a program whose start fails, and once to be asked for everything and then ended by
SIGTERM while a slow view runs. Needs what
`requirements/servers.txt` lists; servers that cannot be imported are left out.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

PROGRAM = """
import asyncio, os, sys, time
from kolben import Flask, Response, WebSocketDisconnect, request, session, websocket

app = Flask(__name__)
app.secret_key = "secret"


def say(text):
    os.write(1, f"\\nSAID {text}\\n".encode())


@app.before_serving
def before():
    if os.environ.get("FAILS"):
        sys.exit("no database")


@app.while_serving
async def pool():
    yield
    await asyncio.sleep(0.2)
    say("pool closed")


app.after_serving(lambda: say("after_serving"))


@app.teardown_request
def teardown(error):
    if request.path == "/slow":
        say("teardown")


@app.get("/")
def index():
    return "text"


@app.get("/pathsend")
async def pathsend():
    scope = request.scope or {}
    return str("http.response.pathsend" in (scope.get("extensions") or {}))


@app.get("/slow")
async def slow():
    say("begun")
    try:
        await asyncio.sleep(40)
    finally:
        await asyncio.sleep(0)
        say("finally")


@app.get("/waits")
async def waits():
    say("waits")
    for _ in range(100):
        await asyncio.sleep(0.05)
        if await request.is_disconnected():
            say("view told")
            return ""
    return ""


@app.get("/stream")
def stream():
    def pieces():
        try:
            for _ in range(100):
                yield "x" * 100
                time.sleep(0.05)
        finally:
            say("stream closed")

    return pieces()


@app.get("/fails")
def fails():
    def pieces():
        yield "begun"
        time.sleep(0.2)
        raise RuntimeError("in the middle")

    return pieces()


@app.websocket("/accept")
async def accept():
    session["name"] = "Ada"
    await websocket.accept(headers={"X-Own": "1"})
    await websocket.close(4001, "because")


@app.websocket("/left")
async def left():
    try:
        await websocket.receive()
    except WebSocketDisconnect as gone:
        say(f"left {gone.code} {gone.reason}")
"""

PYTHON = sys.executable
KOLBEN = [PYTHON, "-m", "kolben", "serve", "program:app", "--port", "{port}", "--workers", "1"]
KOLBEN += ["--grace", "3"]
GUNICORN = [PYTHON, "-m", "gunicorn", "-b", "127.0.0.1:{port}", "--graceful-timeout", "3"]


class Server(NamedTuple):
    """A server as a user would start it, and the module that must be there for it."""

    command: list[str]
    module: str
    is_asgi: bool = True


SERVERS = {
    "kolben serve, WSGI": Server([*KOLBEN, "--interface", "wsgi"], "granian", False),
    "kolben serve, ASGI": Server([*KOLBEN, "--interface", "asgi"], "granian"),
    "kolben serve --server uvicorn": Server([*KOLBEN, "--server", "uvicorn"], "uvicorn"),
    "Granian, WSGI": Server(
        [PYTHON, "-m", "granian", "--interface", "wsgi", "--port", "{port}",
         "--workers-kill-timeout", "3", "program:app"], "granian", False,
    ),
    "Granian, ASGI": Server(
        [PYTHON, "-m", "granian", "--interface", "asgi", "--port", "{port}",
         "--workers-kill-timeout", "3", "program:app"], "granian",
    ),
    "uvicorn": Server(
        [PYTHON, "-m", "uvicorn", "--port", "{port}", "--timeout-graceful-shutdown", "3",
         "program:app.asgi_app"], "uvicorn",
    ),
    "hypercorn": Server(
        [PYTHON, "-m", "hypercorn", "-b", "127.0.0.1:{port}", "--graceful-timeout", "3",
         "program:app.asgi_app"], "hypercorn",
    ),
    "daphne": Server([PYTHON, "-m", "daphne", "-p", "{port}", "program:app.asgi_app"], "daphne"),
    "gunicorn, asgi": Server([*GUNICORN, "-k", "asgi", "program:app"], "gunicorn"),
    "gunicorn, sync": Server([*GUNICORN, "program:app"], "gunicorn", False),
    "gunicorn, threads": Server([*GUNICORN, "--threads", "8", "program:app"], "gunicorn", False),
    "gunicorn, gevent": Server([*GUNICORN, "-k", "gevent", "program:app"], "gevent", False),
    "waitress": Server(
        [PYTHON, "-m", "waitress", "--listen=127.0.0.1:{port}", "--threads=8", "program:app"],
        "waitress", False,
    ),
    "uWSGI": Server(
        [shutil.which("uwsgi", path=str(Path(PYTHON).parent)) or "uwsgi", "--http11-socket",
         "127.0.0.1:{port}", "--module", "program:app", "--master", "--threads", "8",
         "--die-on-term", "--pyhome", sys.prefix, "--worker-reload-mercy", "3"],
        "uwsgi", False,
    ),
    "FastPySGI": Server(
        [PYTHON, "-c",
         "import fastpysgi, program; fastpysgi.run(program.app, '127.0.0.1', {port})"],
        "fastpysgi", False,
    ),
}  # fmt: skip

COLUMNS = (
    "WebSocket headers",
    "close seen by the client",
    "close seen by the handler",
    "path-send",
    "HTTP/1.0",
    "HTTP/2",
    "start that fails",
    "SIGTERM, after the grace",
    "client that leaves",
    "body that fails",
)

#: What is said at the end, where all is well.
ENDS = ["finally", "teardown", "pool closed", "after_serving"]


def is_installed(server: Server) -> bool:
    """Tell whether a server can be started."""
    if server.module == "uwsgi":
        return os.access(server.command[0], os.X_OK)
    return importlib.util.find_spec(server.module) is not None


class Running:
    """A server that runs; its program prints what happens to it."""

    def __init__(self, server: Server, *, fails: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "program.py").write_text(PROGRAM)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        own = {"PYTHONPATH": os.pathsep.join([str(self.folder), *filter(None, sys.path)])}
        self.process = subprocess.Popen(
            [word.replace("{port}", str(self.port)) for word in server.command],
            cwd=self.folder,
            env={**os.environ, **own, "PYTHONUNBUFFERED": "1", "FAILS": "1" if fails else ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("SAID "):
                self.said.append(line[5:].strip())

    def wait_for(self, text: str, seconds: float = 15) -> str | None:
        """Return what the program says that begins so; None where that does not come."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in list(self.said):
                if line.startswith(text):
                    return line
            time.sleep(0.05)
        return None

    def connect(self) -> socket.socket:
        """Return a connection, as soon as there can be one."""
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", self.port), 10)
            time.sleep(0.1)
        raise ConnectionError

    def ask(self, path: str, version: str = "1.1") -> bytes:
        """Return all that is sent; what breaks the connection raises."""
        with self.connect() as client:
            head = f"GET {path} HTTP/{version}\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            client.sendall(head.encode())
            received = b""
            while piece := client.recv(10_000):
                received += piece
        return received

    def wait_ready(self) -> None:
        """Return when it answers: a server that has just begun to listen may reset a connection."""
        for _ in range(20):
            with contextlib.suppress(OSError):
                if self.ask("/"):
                    return
            time.sleep(0.2)
        raise ConnectionError("The server does not answer.")

    def end(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, 9)
        self.process.wait()
        self._reader.join(5)
        shutil.rmtree(self.folder, ignore_errors=True)


def try_websocket(running: Running) -> tuple[str, str, str]:
    """Try what a WebSocket is accepted and closed with, in both directions."""
    from websockets.exceptions import ConnectionClosed, WebSocketException
    from websockets.sync.client import connect

    base = f"ws://127.0.0.1:{running.port}"
    try:
        with connect(f"{base}/accept", proxy=None, open_timeout=15) as client:
            headers = client.response.headers if client.response else {}
            has_headers = "X-Own" in headers and "Set-Cookie" in headers
            with contextlib.suppress(ConnectionClosed):
                client.recv(timeout=10)
            ours = _parts(client.close_code == 4001, client.close_reason == "because")
        with connect(f"{base}/left", proxy=None, open_timeout=15) as client:
            client.close(4002, "bye")
    except (WebSocketException, OSError, TimeoutError):
        return ("no WebSockets", "", "")
    line = running.wait_for("left") or ""
    return "yes" if has_headers else "no", ours, _parts("4002" in line, "bye" in line)


def _parts(code: bool, reason: bool) -> str:
    return ", ".join([*(["code"] if code else []), *(["reason"] if reason else [])]) or "no"


def try_old_http(running: Running) -> str:
    """Try a request of HTTP/1.0."""
    answer = running.ask("/", "1.0")
    return "yes" if answer.split(b" ")[1:2] == [b"200"] and answer.endswith(b"text") else "no"


def try_new_http(running: Running) -> str:
    """Try the preface of HTTP/2 with prior knowledge (RFC 9113, 3.4): SETTINGS must come."""
    with running.connect() as client:
        client.settimeout(3)
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        try:
            frame = client.recv(9)
        except OSError:
            return "no"
    return "yes" if len(frame) == 9 and frame[3] == 4 else "no"


def try_leaving(running: Running) -> str:
    """Leave in the middle of an async view, and of a stream."""
    told = []
    with running.connect() as client:
        client.sendall(b"GET /waits HTTP/1.1\r\nHost: localhost\r\n\r\n")
        running.wait_for("waits")
    if running.wait_for("view told", 4):
        told.append("view")
    with running.connect() as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.recv(200)
    if running.wait_for("stream closed", 4):
        told.append("stream")
    return ", ".join(told) or "not seen"


def try_failing_body(running: Running) -> str:
    """Fail in the middle of a body: does it look whole?"""
    try:
        answer = running.ask("/fails")
    except OSError:
        return "breaks off"
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"chunked" in head.lower():
        return "looks whole" if body.endswith(b"0\r\n\r\n") else "breaks off"
    return "looks whole" if b" 200 " in head.splitlines()[0] else "breaks off"


def try_sigterm(running: Running) -> str:
    """End the server while a slow view runs; what is said, in which order?"""
    with running.connect() as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if running.wait_for("begun") is None:
            return "?"
        begun = len(running.said)
        running.process.terminate()
        try:
            running.process.wait(20)
        except subprocess.TimeoutExpired:
            return "waits for it"
    time.sleep(0.5)
    said = [line for line in running.said[begun:] if line in ENDS]
    if said == ENDS:
        return "all, in order"
    if sorted(said) == sorted(ENDS):
        return f"all: {', '.join(said)}"
    return ", ".join(said) or "killed"


def try_failing_start(server: Server) -> str:
    """Start a program whose `before_serving` calls `sys.exit`."""
    running = Running(server, fails=True)
    try:
        deadline = time.monotonic() + 15
        empty = 0
        while time.monotonic() < deadline and running.process.poll() is None and empty < 2:
            try:
                if answer := running.ask("/"):
                    return f"requests are {answer.split(b' ')[1].decode()}"
            except OSError:
                pass
            empty += running.process.poll() is None
            time.sleep(0.2)
        if empty == 2:
            return "requests get no answer"
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.process.wait(10)
        status = running.process.poll()
        if status is None:
            return "starts again and again"
        return "stops" if status else "stops, with status 0"
    finally:
        running.end()


def try_all(name: str) -> list[str]:
    """Return the cells of one server's row."""
    server = SERVERS[name]
    running = Running(server)
    try:
        running.wait_ready()
        headers, ours, theirs = (
            try_websocket(running) if server.is_asgi else ("no WebSockets", "", "")
        )
        path_send = "yes" if running.ask("/pathsend").endswith(b"True") else "no"
        cells = [
            headers,
            ours,
            theirs,
            path_send if server.is_asgi else "",
            try_old_http(running),
            try_new_http(running),
            try_failing_start(server),
        ]
        leaving, failing = try_leaving(running), try_failing_body(running)
        return [*cells, try_sigterm(running), leaving, failing]
    finally:
        running.end()


def table(names: list[str]) -> list[str]:
    """Return the table's lines for these servers."""
    with ThreadPoolExecutor(3) as pool:
        rows = list(pool.map(try_all, names))
    head = f"| server | {' | '.join(COLUMNS)} |"
    lines = [head, f"| {' | '.join(['---'] * (len(COLUMNS) + 1))} |"]
    lines += [f"| {name} | {' | '.join(row)} |" for name, row in zip(names, rows, strict=True)]
    return lines


def main() -> None:
    """Print the table."""
    words = sys.argv[1:] or [""]
    names = [
        name
        for name, server in SERVERS.items()
        if is_installed(server) and any(word in name for word in words)
    ]
    print("\n".join(table(names)))


if __name__ == "__main__":
    main()
