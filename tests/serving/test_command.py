"""`kolben serve`: a real server, started as a user starts it."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import platform
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import kolben.sse
from kolben import Blueprint, Flask, Response
from kolben.cli import cli
from kolben.serving import bodies, command
from kolben.serving.worker import choose_interface
from kolben.sse import event_stream
from kolben.views import MethodView
from kolben_serve import ASYNC, PLAIN, SAYS_GIL, Load, Server, eventually, is_running
from pythons import uses_malloc

pytest.importorskip("granian")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

# --- Which interface --------------------------------------------------------------------------------


async def nothing(*args: object) -> None: ...


def with_hook(register: Callable[[Flask], object]) -> Flask:
    app = Flask(__name__)
    register(app)
    return app


def blueprint_hook(app: Flask) -> None:
    blueprint = Blueprint("b", __name__)
    blueprint.before_request(nothing)
    app.register_blueprint(blueprint)


class AsyncMethod(MethodView):
    async def get(self) -> str:
        return ""


@pytest.mark.parametrize(
    "register",
    [
        pytest.param(lambda app: app.add_url_rule("/", view_func=nothing), id="view"),
        pytest.param(
            lambda app: app.add_url_rule("/", view_func=AsyncMethod.as_view("m")), id="method-view"
        ),
        pytest.param(lambda app: app.before_request(nothing), id="before-request"),
        pytest.param(lambda app: app.after_request(nothing), id="after-request"),
        pytest.param(lambda app: app.teardown_request(nothing), id="teardown-request"),
        pytest.param(lambda app: app.teardown_appcontext(nothing), id="teardown-appcontext"),
        pytest.param(lambda app: app.register_error_handler(404, nothing), id="error-handler"),
        pytest.param(blueprint_hook, id="blueprint"),
        pytest.param(lambda app: app.before_serving(nothing), id="before-serving"),
        pytest.param(
            lambda app: app.add_url_rule("/", "socket", nothing, websocket=True), id="websocket"
        ),
    ],
)
def test_what_awaits_is_served_by_asgi(register: Callable[[Flask], object]) -> None:
    assert choose_interface(with_hook(register))[0] == "asgi"


async def pieces() -> AsyncIterator[str]:
    yield ""


def made_elsewhere() -> Response:
    return Response(pieces())


def nested() -> object:
    async def own() -> AsyncIterator[str]:
        yield ""

    return own()


class Streaming(MethodView):
    def get(self) -> Response:
        return made_elsewhere()


@functools.wraps(nested)
def decorated(*args: object, **kwargs: object) -> object:
    return nested(*args, **kwargs)


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda: pieces(), id="function-of-the-module"),
        pytest.param(lambda: Response(x async for x in pieces()), id="expression"),
        pytest.param(made_elsewhere, id="one-call-away"),
        pytest.param(nested, id="nested"),
        pytest.param(decorated, id="decorated"),
        pytest.param(functools.partial(made_elsewhere), id="partial"),
        pytest.param(Streaming.as_view("s"), id="method-view"),
        pytest.param(lambda: event_stream(iter(())), id="events"),
        pytest.param(lambda: kolben.sse.event_stream(iter(())), id="events-by-module"),
    ],
)
def test_streams_that_await_are_served_by_asgi(view: Callable[..., object]) -> None:
    app = with_hook(lambda app: app.add_url_rule("/", "s", view))
    assert choose_interface(app) == ("asgi", "it has the stream 's'")


def test_plain_streams_are_served_by_wsgi() -> None:
    app = with_hook(lambda app: app.add_url_rule("/", "s", lambda: (str(n) for n in range(3))))
    assert choose_interface(app)[0] == "wsgi"


DEVELOPMENT = """
from flask import Flask
app = Flask(__name__)

@app.get("/")
def index():
    return {"debug": app.debug}
"""


@pytest.mark.parametrize(
    ("before", "env", "is_on"),
    [
        ([], {}, False),
        (["--env-file", ".flaskenv"], {}, False),
        (["--debug"], {}, True),
        ([], {"FLASK_DEBUG": "1"}, True),
        ([], {"FLASK_DEBUG": "0"}, False),
    ],
    ids=["files", "named-file", "option", "environment", "environment-off"],
)
@pytest.mark.parametrize("name", [".flaskenv", ".env"])
def test_debug_mode_is_never_turned_on_by_a_file(
    tmp_path: Path, name: str, before: list[str], env: dict[str, str], is_on: bool
) -> None:
    pytest.importorskip("dotenv")
    (tmp_path / name).write_text("FLASK_DEBUG=1\nFLASK_APP=program\n")
    (tmp_path / ".flaskenv").write_text("FLASK_DEBUG=1\nFLASK_APP=program\n")
    (tmp_path / "program.py").write_text(DEVELOPMENT)
    server = Server(tmp_path, "--port", "0", "--workers", "1", env=env, before=before)
    try:
        assert json.loads(server.text("/")) == {"debug": is_on}
        assert any("Debug mode stays off" in line for line in server.lines) == (
            not is_on and not env
        )
    finally:
        server.stop()


def test_plain_applications_are_served_by_wsgi() -> None:
    app = with_hook(lambda app: app.add_url_rule("/", view_func=lambda: ""))
    assert choose_interface(app) == ("wsgi", "nothing in it awaits")


def test_wsgi_middleware_is_not_left_out_for_async_views() -> None:
    app = with_hook(lambda app: app.add_url_rule("/", view_func=nothing))
    app.wsgi_app = print
    assert choose_interface(app) == ("wsgi", "it has WSGI middleware")


# --- Serving ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", [PLAIN, ASYNC], ids=["wsgi", "asgi"])
def test_serves_on_the_interface_that_suits(
    serve: Callable[..., Server], program: str, tmp_path: Path
) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "file.txt").write_text("0123456789")
    server = serve(program, "--workers", "1", "--threads", "3", "--proxy-count", "1")

    assert server.text("/") == "old"
    interface, reason, holds = (
        ("ASGI", "it has the async view 'awaits'", "")
        if program is ASYNC
        else ("WSGI", "nothing in it awaits", " (each request holds one, a stream too)")
    )
    assert server.lines[:2] == [
        f" * Serving program:app over {interface} ({reason})\n",
        f" * Workers: 1, threads in each: 3{holds}{SAYS_GIL}\n",
    ]
    assert server.text("/module") == "True", "the workers' flask is not kolben"
    if program is ASYNC:
        assert server.text("/async") == "awaited"

    # One Server header, the application's where it has one.
    assert server.get("/server")[1].get_all("Server") == ["mine"]
    assert server.get("/")[1].get_all("Server") == ["granian"]

    status, headers, body = server.get("/static/file.txt")
    assert (status, body) == (200, "0123456789")
    assert server.get("/static/file.txt", If_None_Match=headers["ETag"])[0] == 304
    status, headers, body = server.get("/static/file.txt", Range="bytes=2-4")
    assert (status, body, headers["Content-Range"]) == (206, "234", "bytes 2-4/10")
    assert server.get("/static/file.txt", Range="bytes=20-")[0] == 416

    # Files that are sent at once, and those that are sent in pieces.
    for size in 70_000, 3_000_000:
        content = os.urandom(size)
        (tmp_path / "static" / "big").write_bytes(content)
        with urllib.request.urlopen(server.url + "/static/big", timeout=20) as answer:
            assert answer.read() == content
        part = urllib.request.Request(server.url + "/static/big", headers={"Range": "bytes=9-"})
        with urllib.request.urlopen(part, timeout=20) as answer:
            assert answer.read() == content[9:]

    # What one proxy says is believed, what it was told is not.
    _, _, body = server.get(
        "/where",
        X_Forwarded_For="6.6.6.6, 1.2.3.4",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="example.com",
        X_Forwarded_Prefix="/below",
    )
    assert json.loads(body) == ["1.2.3.4", "https://example.com/below/"]
    assert json.loads(server.text("/where")) == ["127.0.0.1", server.url + "/"]

    big = os.urandom(3_000_000)
    with urllib.request.urlopen(server.url + "/length", data=big, timeout=20) as answer:
        assert answer.read() == b"3000000"
    assert server.stop() == 0


def test_settings_of_the_environment(serve: Callable[..., Server], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "app.py").write_text(PLAIN)
    env = {"PORT": str(port), "WEB_CONCURRENCY": "1"}
    server = Server(tmp_path, env=env)
    try:
        assert server.port == port
        assert any(" * Workers: 1, threads in each: 8" in line for line in server.lines)
        assert server.text("/") == "old"
    finally:
        server.stop()


def test_a_file_is_a_target(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(PLAIN + "if __name__ == '__main__':\n    app.run(port=1)\n")
    server = Server(tmp_path, "server.py", "--port", "0", "--workers", "1")
    try:
        assert server.text("/") == "old"
    finally:
        server.stop()


NODELAY = """
import os, socket, stat
from flask import Flask, request
app = Flask(__name__)

@app.get("/<int:port>")
def option(port):
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.stat(int(name)).st_mode):
                with socket.socket(fileno=os.dup(int(name))) as own:
                    if own.getpeername()[1:2] == (port,):
                        return str(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        except OSError:
            pass
    return "no such connection"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/fd")
@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_a_body_in_pieces_does_not_wait_for_acknowledgements(
    serve: Callable[..., Server], interface: str
) -> None:
    server = serve(NODELAY, "--workers", "1", "--interface", interface)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.connect()
    connection.request("GET", f"/{connection.sock.getsockname()[1]}")
    assert connection.getresponse().read() == b"1"
    connection.close()


# --- Changing workers -------------------------------------------------------------------------------


SERVERS = ["--interface=wsgi", "--interface=asgi", "--server=uvicorn"]


REFUSING = """
from flask import Flask, request
app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 1000

@app.post("/plain")
def plain():
    return str(len(request.get_data()))

@app.post("/async")
async def awaits():
    return str(len(request.get_data()))

@app.post("/unread")
async def unread():
    return "no", 401
"""


@pytest.mark.parametrize("option", SERVERS)
def test_an_answer_before_the_end_of_the_body_reaches_a_client_that_writes_on(
    serve: Callable[..., Server], option: str
) -> None:
    """As a proxy does that looks for the answer when it has sent the request."""
    server = serve(REFUSING, "--workers", "1", option)
    expected = {"/plain": 413, "/async": 413, "/unread": 401, "/nowhere": 404}
    wrong: list[object] = []
    for number in range(200):
        path = list(expected)[number % 4]
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        try:
            connection.request("POST", path, bytes(3_000_000))
            status = connection.getresponse().status
        except OSError as error:
            wrong.append((path, error))
        else:
            if status != expected[path]:
                wrong.append((path, status))
        connection.close()
    assert wrong == []


@pytest.mark.parametrize("option", SERVERS)
def test_who_sends_no_body_is_answered_at_once(serve: Callable[..., Server], option: str) -> None:
    server = serve(REFUSING, "--workers", "1", option)
    for expect in ("", "Expect: 100-continue\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
            began = time.monotonic()
            client.sendall(
                f"POST /async HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n{expect}\r\n".encode()
            )
            assert client.recv(100).startswith(b"HTTP/1.1 413")
            assert time.monotonic() - began < bodies.LINGER


def test_clients_that_announce_a_body_and_stay_silent_leave_threads_to_others(
    serve: Callable[..., Server],
) -> None:
    server = serve(REFUSING, "--workers", "1", "--interface=wsgi", "--threads=2")
    head = b"POST /plain HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            for _ in range(10)
        ]
        for client in silent:
            client.sendall(head)
        for client in silent:
            assert client.recv(100).startswith(b"HTTP/1.1 413")
        assert server.get("/nowhere")[0] == 404


LINES = """
from flask import Flask, request
app = Flask(__name__)

@app.post("/lines")
def lines():
    return [line.decode() for line in request.stream]

@app.post("/async")
async def awaits():
    return [line.decode() for line in request.stream]

@app.post("/rest")
def rest():
    body = request.environ["wsgi.input"]
    return [body.read(2).decode(), body.readline().decode(), body.read().decode()]
"""


@pytest.mark.parametrize("option", SERVERS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_read_by_lines(serve: Callable[..., Server], option: str, chunked: bool) -> None:
    server = serve(LINES, "--workers", "1", option)
    for path, expected in {
        "/lines": ["one\n", "\n", "two two\n", "three"],
        "/async": ["one\n", "\n", "two two\n", "three"],
        "/rest": ["on", "e\n", "\ntwo two\nthree"],
    }.items():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        body: Any = b"one\n\ntwo two\nthree"
        connection.request("POST", path, iter([body[:6], body[6:]]) if chunked else body)
        answer = connection.getresponse()
        assert json.loads(answer.read()) == expected
        connection.close()


AFTERWARDS = """
import time
from flask import Flask, Response
app = Flask(__name__)

def with_end(body, **headers):
    response = Response(body, headers=headers)
    response.call_on_close(lambda: time.sleep(1))
    return response

@app.get("/text")
def text():
    return with_end("text")

@app.get("/pieces")
def pieces():
    return with_end(iter(["te", "xt"]))

@app.get("/declared")
def declared():
    return with_end(iter(["te", "xt"]), **{"Content-Length": "4"})

@app.get("/async")
async def awaits():
    async def later():
        yield "te"
        yield "xt"
    return with_end(later())

@app.get("/task")
def task():
    app.add_background_task(time.sleep, 1)
    return "text"
"""


@pytest.mark.parametrize("option", SERVERS)
def test_no_client_waits_for_what_is_done_after_its_answer(
    serve: Callable[..., Server], option: str
) -> None:
    """Neither for its end, nor for the next answer on the same connection."""
    # What is done afterwards holds a thread.
    server = serve(AFTERWARDS, "--workers", "1", option, "--threads=20")
    for path in ("/text", "/pieces", "/declared", "/async", "/task"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        began = time.monotonic()
        for _ in range(2):
            connection.request("GET", path)
            assert connection.getresponse().read() == b"text"
        assert time.monotonic() - began < 0.9, path
        connection.close()


@pytest.mark.parametrize("option", SERVERS)
def test_sighup_takes_over_new_code_without_a_failed_request(
    serve: Callable[..., Server], tmp_path: Path, option: str
) -> None:
    server = serve(PLAIN, "--workers", "2", option)
    old: set[str] = set()

    def seen_both() -> bool:
        old.add(server.text("/pid"))  # of the worker that takes the new connection
        return len(old) == 2

    load = Load(server.port)
    try:
        assert eventually(seen_both)
        (tmp_path / "program.py").write_text("nonsense(")
        server.signal(signal.SIGHUP)
        server.wait_for("The new code was not taken over")
        assert server.text("/") == "old"

        # Of another size: Python takes the bytecode of a file as long, and of the same second, for its own.
        (tmp_path / "program.py").write_text(PLAIN.replace("old", "new") + "# new")
        server.signal(signal.SIGHUP)
        server.wait_for("New workers have taken over")
        assert eventually(lambda: not any(is_running(int(pid)) for pid in old))
        assert server.text("/") == "new"
    finally:
        load.stop()
    assert load.errors == []
    assert load.answers == {(200, b"old"), (200, b"new")}
    assert load.count > 100


@pytest.mark.parametrize("option", SERVERS)
def test_a_worker_that_dies_is_replaced(serve: Callable[..., Server], option: str) -> None:
    server = serve(PLAIN, "--workers", "1", option)
    pids = {server.text("/pid")}
    for _ in range(2):
        os.kill(int(max(pids, key=int)), signal.SIGKILL)
        server.wait_for("replacing it")
        assert eventually(lambda: _pid_or_none(server) not in (None, *pids))
        pids.add(server.text("/pid"))
    assert len(pids) == 3
    assert server.process.poll() is None


FILLED = """
from kolben.serving import memory

memory.Caretaker.INTERVAL = memory.Caretaker.WORK = 0
kept = []

@app.get("/fill")
def fill():
    # What is kept stands between the holes.
    kept.append([bytes(8192) for _ in range(5000)][::20])
    return ""

@app.get("/resident")
def resident():
    with open("/proc/self/statm") as statm:
        return statm.read().split()[1]
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim of glibc")
@uses_malloc
@pytest.mark.parametrize("program", [PLAIN, ASYNC], ids=["wsgi", "asgi"])
def test_workers_give_back_memory_that_they_do_not_use(
    serve: Callable[..., Server], program: str
) -> None:
    server = serve(program + FILLED, "--workers", "1")

    def is_given_back() -> bool:
        server.text("/fill")
        filled = int(server.text("/resident"))
        # Of 10,000 pages those go that are not kept.
        return eventually(lambda: int(server.text("/resident")) < filled - 5000, 5)

    assert is_given_back()
    old = server.text("/pid")
    server.signal(signal.SIGHUP)
    server.wait_for("New workers have taken over")
    assert eventually(lambda: server.text("/pid") != old)
    assert is_given_back()


SOCKET = (
    PLAIN
    + """
import asyncio

from flask import websocket

@app.websocket("/echo")
async def echo():
    try:
        async for message in websocket:
            await websocket.send(message)
    finally:
        await asyncio.sleep(0.2)
        print("The handler has cleaned up.", flush=True)
"""
)


def test_a_worker_that_leaves_tells_its_websockets(serve: Callable[..., Server]) -> None:
    websockets = pytest.importorskip("websockets")
    client = pytest.importorskip("websockets.sync.client")
    server = serve(SOCKET, "--workers", "1")
    with client.connect(f"ws://127.0.0.1:{server.port}/echo") as socket:
        socket.send("hello")
        assert socket.recv(timeout=10) == "hello"
        server.signal(signal.SIGHUP)
        server.wait_for("New workers have taken over")
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            socket.recv(timeout=10)
        assert socket.close_code == 1012
    server.wait_for("The handler has cleaned up.", server.log)
    with client.connect(f"ws://127.0.0.1:{server.port}/echo") as socket:
        socket.send("again")
        assert socket.recv(timeout=10) == "again"


HEADERS = """
from flask import Flask, websocket
app = Flask(__name__)

@app.websocket("/")
async def handler():
    await websocket.accept(headers={"X-Own": "1"})
    await websocket.close(4001, "because")
"""


def test_headers_that_the_server_leaves_out_are_warned_of_once(
    serve: Callable[..., Server],
) -> None:
    websockets = pytest.importorskip("websockets")
    client = pytest.importorskip("websockets.sync.client")
    server = serve(HEADERS, "--workers", "1")
    for _ in range(2):
        with client.connect(f"ws://127.0.0.1:{server.port}/") as socket:
            with pytest.raises(websockets.exceptions.ConnectionClosed):
                socket.recv(timeout=10)
            assert (socket.close_code, socket.close_reason) == (4001, "because")
            assert "X-Own" not in socket.response.headers, "then the warning can go"
    server.wait_for("do not reach the client")
    assert sum("do not reach the client" in line for line in server.lines) == 1


@pytest.mark.parametrize(
    "how",
    [["--interface", "wsgi"], ["--interface", "asgi"], ["--server", "uvicorn"]],
    ids=" ".join,
)
def test_http_1_0_has_its_name(serve: Callable[..., Server], how: list[str]) -> None:
    program = PLAIN + "app.get('/version')(lambda: request.environ['SERVER_PROTOCOL'])"
    server = serve(program, "--workers", "1", *how)
    for version in b"1.0", b"1.1":
        with socket.create_connection(("127.0.0.1", server.port), 20) as client:
            client.sendall(
                b"GET /version HTTP/%b\r\nHost: x\r\nConnection: close\r\n\r\n" % version
            )
            answer = b""
            while piece := client.recv(10_000):
                answer += piece
        assert answer.endswith(b"HTTP/" + version)


FAILING = (
    PLAIN
    + """
def pieces():
    for _ in range(3):
        yield "begun"
    raise RuntimeError("in the middle")

@app.get("/fails")
def fails():
    return pieces()
"""
)


@pytest.mark.parametrize(
    "how",
    [["--interface", "wsgi"], ["--interface", "asgi"], ["--server", "uvicorn"]],
    ids=" ".join,
)
def test_a_body_that_fails_does_not_look_whole(
    serve: Callable[..., Server], how: list[str]
) -> None:
    server = serve(FAILING, "--workers", "1", *how)
    for _ in range(30):
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            server.text("/fails")


SOCK = (
    PLAIN
    + """
# As flask-sock and Flask-SocketIO leave it.
app.add_url_rule("/echo", "echo", lambda: "", websocket=True)
app.extensions["socketio"] = object()
"""
)


def test_websockets_that_need_the_socket_itself_are_warned_of(
    serve: Callable[..., Server],
) -> None:
    server = serve(SOCK, "--workers", "1")
    warnings = [line for line in server.lines if "Warning" in line]
    assert len(warnings) == 2
    assert "'/echo' of flask-sock" in warnings[0]
    assert "of Flask-SocketIO" in warnings[1]
    assert all("kolben exec -- gunicorn --threads" in line for line in warnings)
    assert "over WSGI (nothing in it awaits)" in server.lines[0]


def _pid_or_none(server: Server) -> str | None:
    try:
        return server.text("/pid")
    except (OSError, http.client.HTTPException):
        return None


def test_reload_follows_files(serve: Callable[..., Server], tmp_path: Path) -> None:
    pytest.importorskip("watchfiles")
    server = serve(PLAIN, "--workers", "1", "--reload")
    time.sleep(0.5)
    (tmp_path / "program.py").write_text(PLAIN.replace("old", "changed"))
    assert eventually(lambda: server.text("/") == "changed")


# --- Ending -----------------------------------------------------------------------------------------


def test_sigterm_finishes_what_is_in_flight(serve: Callable[..., Server]) -> None:
    server = serve(PLAIN, "--workers", "1")
    answers: list[str] = []
    client = threading.Thread(target=lambda: answers.append(server.text("/slow?t=1.5")))
    client.start()
    time.sleep(0.4)
    assert server.stop() == 0
    client.join()
    assert answers == ["done"]


def test_sigterm_ends_a_server_that_is_still_starting(tmp_path: Path) -> None:
    """Not by its default action: process 1 of a container has none, and would go on."""
    (tmp_path / "slow.py").write_text(
        "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(30)\n"
    )
    command = [sys.executable, "-m", "kolben", "serve", "slow:app", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        importing = int(process.stdout.readline())
        process.terminate()
        assert process.wait(10) == 0
    assert eventually(lambda: not is_running(importing))


def test_sigterm_does_not_wait_longer_than_told(serve: Callable[..., Server]) -> None:
    server = serve(PLAIN, "--workers", "1", "--grace", "0.5")
    pid = int(server.text("/pid"))

    def ask() -> None:
        with pytest.raises((OSError, http.client.HTTPException)):
            server.get("/slow?t=30")

    client = threading.Thread(target=ask)
    client.start()
    time.sleep(0.4)
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < 5
    client.join()
    assert not is_running(pid)


def test_workers_do_not_outlive_the_main_process(serve: Callable[..., Server]) -> None:
    server = serve(PLAIN, "--workers", "1")
    pid = int(server.text("/pid"))
    server.signal(signal.SIGKILL)
    assert eventually(lambda: not is_running(pid))


# --- Access log and request ids ---------------------------------------------------------------------


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_structured_access_log(serve: Callable[..., Server], interface: str) -> None:
    server = serve(PLAIN, "--workers", "1", "--access-log", "json", "--interface", interface)
    _, headers, _ = server.get("/pid?secret=1", X_Request_ID="abc-1")
    assert headers["X-Request-ID"] == "abc-1"
    line = json.loads(server.wait_for("abc-1", server.log))
    assert set(line) == {
        "time", "client", "method", "path", "status", "bytes", "duration", "request_id",
    }  # fmt: skip
    assert line["method"] == "GET"
    assert line["path"] == "/pid"
    assert (line["status"], line["client"], line["request_id"]) == (200, "127.0.0.1", "abc-1")
    assert server.get("/nowhere")[0] == 404
    assert json.loads(server.wait_for("/nowhere", server.log))["status"] == 404


def test_request_ids_alone(serve: Callable[..., Server]) -> None:
    server = serve(PLAIN, "--workers", "1", "--request-id")
    assert len(server.get("/")[1]["X-Request-ID"]) == 32
    server.stop()
    assert server.log == []


# --- Bad input --------------------------------------------------------------------------------------

MISTAKES = {
    "no-module": (["nothing:app"], "Could not import 'nothing'"),
    "no-file": (["nothing.py"], "There is no file 'nothing.py'"),
    "no-name": (["plain:nothing"], "There is no attribute 'nothing' in module 'plain'"),
    "no-application": (["number:app"], "'number:app' is not an application but an object of type"),
    "raises": (["raises:app"], "ZeroDivisionError: division by zero ("),
    "missing-import": (["imports:app"], "No module named 'not_there'"),
    "syntax": (["syntax:app"], "SyntaxError: "),
    "exits": (["exits:app"], "ended itself with status 3"),
    "crashes": (["crashes:app"], "ended with status 4"),
    "address": (["plain:app", "--host", "192.0.2.1"], "this machine has no such address"),
    "half-tls": (["plain:app", "--tls-cert", "plain.py"], "belong together"),
    "no-cert": (["plain:app", "--tls-cert", "plain.py", "--tls-key", "plain.py"], "PEM format"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line(tmp_path: Path, case: str) -> None:
    for name, text in {
        "plain": PLAIN,
        "number": "app = 5",
        "raises": "1 / 0",
        "imports": "import not_there",
        "syntax": "def f(:",
        "exits": "import sys; sys.exit(3)",
        "crashes": "import os; os._exit(4)",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    arguments, message = MISTAKES[case]
    refused(tmp_path, arguments, message)


def refused(folder: Path, arguments: list[str], message: str) -> None:
    command = [sys.executable, "-m", "kolben", "serve", *arguments]
    if "--port" not in arguments:
        command += ["--port", "0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20)
    assert message in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert done.returncode in (1, 2)
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--workers", "0"],
        ["--threads", "x"],
        ["--port", "99999"],
        ["--interface", "rsgi"],
        ["--access-log", "xml"],
        ["--proxy-count", "-1"],
        ["--grace", "-1"],
        ["--tls-key", "nothing.pem"],
        ["--what"],
    ],
    ids=" ".join,
)
def test_an_unknown_value_is_one_line(arguments: list[str]) -> None:
    done = CliRunner().invoke(cli, ["serve", "program:app", *arguments])
    assert done.exit_code == 2
    assert done.output.startswith("Error: ")
    assert arguments[0] in done.output
    assert done.output.count("\n") == 1


def test_a_port_in_use(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(PLAIN)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        refused(tmp_path, ["plain:app", "--port", port], "another program uses this port")


def test_without_granian_it_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['granian'] = None; from kolben.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "program:app"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=20)
    assert done.stderr.count("\n") == 1
    assert 'pip install "kolben[serve]"' in done.stderr
    assert done.returncode == 1


# --- TLS --------------------------------------------------------------------------------------------


def test_https(serve: Callable[..., Server], certificates: Path) -> None:
    tls = ["--tls-cert", f"{certificates}/cert.pem", "--tls-key", f"{certificates}/key.pem"]
    server = serve(PLAIN, "--workers", "1", *tls)
    assert server.url.startswith("https://")
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        context = ssl.create_default_context(cafile=certificates / "cert.pem")
        context.maximum_version = version
        url = f"https://localhost:{server.port}/where"
        with urllib.request.urlopen(url, context=context, timeout=20) as answer:
            assert json.load(answer)[1] == f"https://localhost:{server.port}/"


def test_a_key_of_another_certificate(certificates: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(PLAIN)
    tls = ["--tls-cert", f"{certificates}/cert.pem", "--tls-key", f"{certificates}/other.pem"]
    refused(tmp_path, ["plain:app", *tls], "does not belong to the certificate")


@pytest.mark.parametrize(
    ("has_gil", "interface", "told", "expected"),
    [
        (True, "wsgi", (None, None), (3, 8)),
        (False, "wsgi", (None, None), (1, 24)),
        (False, "wsgi", (None, 5), (1, 5)),
        (False, "wsgi", (2, None), (2, 8)),
        (False, "asgi", (None, None), (3, 40)),
    ],
)
def test_without_the_gil_one_worker_has_the_threads_of_all(
    monkeypatch: pytest.MonkeyPatch,
    has_gil: bool,
    interface: str,
    told: tuple[int | None, int | None],
    expected: tuple[int, int],
) -> None:
    facts = command.Facts(interface=interface, reason="so", has_gil=has_gil)
    started: list[tuple[int, int | None, str]] = []

    def start(
        target: object,
        options: command.Options,
        workers: int,
        listener: socket.socket,
        banner: str,
    ) -> None:
        listener.close()
        started.append((workers, options.threads, banner))

    monkeypatch.setattr(command, "_examine", lambda target: facts)
    monkeypatch.setattr(command, "_start", start)
    monkeypatch.setattr(command, "count_processors", lambda: 3)
    options = command.Options(
        host="127.0.0.1", port=0, server="granian", interface="auto", workers=told[0], threads=told[1],
        access_log=None, request_id=False, reload=False, tls_cert=None, tls_key=None, proxy_count=0,
        grace=1.0,
    )  # fmt: skip
    command.serve(command.Target("program:app"), options)
    ((workers, threads, banner),) = started
    assert (workers, threads) == expected
    assert f"Workers: {workers}, threads in each: {threads}" in banner
    assert ("without the GIL" in banner) is not has_gil
