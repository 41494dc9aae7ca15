"""One program on each server that it is said to run on, over real sockets."""

from __future__ import annotations

import http.client
import importlib.util
import os
import shutil
import socket
import sys
import time
from pathlib import Path

import pytest

from processes import ServerProcess

PROGRAM = """
import asyncio
import os
import time
from pathlib import Path

from kolben import (
    Flask, Response, after_this_request, g, request, send_file, session, stream_with_context, stream_body
)
from kolben.sse import event_stream

app = Flask(__name__, static_folder=None)
app.secret_key = "secret"
app.config["BODY_TIMEOUT"] = 2
log = Path(__file__).with_name("log")


def note(text):
    with log.open("a") as file:
        file.write(text + "\\n")


@app.get("/")
def plain():
    return f"plain {request.args.get('q')} {request.headers['X-Test']}"


@app.get("/async/<name>")
async def later(name):
    await asyncio.sleep(0.001)
    return f"async {name}"


@app.post("/form")
async def form():
    return {"form": request.form.to_dict(), "seen": g.get("seen")}


@app.before_request
async def before():
    g.seen = request.path


@app.post("/upload")
@stream_body
async def upload():
    return str(sum([len(piece) async for piece in request.body_stream()]))


@app.post("/upload-plain")
def upload_plain():
    return str(sum(len(piece) for piece in request.body_stream()))


@app.get("/count")
async def count():
    session["n"] = session.get("n", 0) + 1
    return str(session["n"])


@app.get("/stream")
def stream():
    def pieces():
        for n in range(3):
            yield f"{n}\\n"

    return pieces()


@app.get("/astream")
async def astream():
    async def pieces():
        for n in range(3):
            await asyncio.sleep(0)
            yield f"{n}\\n"

    return pieces()


@app.get("/endless/<kind>")
def endless(kind):
    def plain():
        try:
            while True:
                yield "x" * 10_000
        finally:
            note(f"closed {request.path}")

    async def later():
        try:
            while True:
                if kind == "async":
                    await asyncio.sleep(0)
                yield "x" * 10_000
        finally:
            note(f"closed {request.path}")

    return stream_with_context((plain if kind == "plain" else later)())


@app.get("/busy/<kind>")
async def busy(kind):
    return endless(kind)


@app.get("/removed/<what>")
async def removed(what):
    name = request.query_string.decode()
    path, other = log.with_name(f"file{name}"), log.with_name(f"other{name}")
    path.write_bytes(b"x" * 900_000)
    other.write_bytes(b"y" * 900_000)
    if what == "removed":
        after_this_request(lambda response: os.remove(path) or response)
    elif what == "replaced":
        after_this_request(lambda response: os.replace(other, path) or response)
    else:
        app.add_background_task(os.remove, path)
    return send_file(path)


@app.get("/slowly")
async def slowly():
    def pieces():
        yield b"first"
        time.sleep(0.3)
        yield b"second"

    return Response(pieces(), headers={"Content-Length": "11"})


@app.get("/afterwards")
async def afterwards():
    response = Response("answered")
    response.call_on_close(lambda: (time.sleep(0.5), note("afterwards")))
    return response


@app.get("/events")
def events():
    async def source():
        try:
            for n in range(1000):
                await asyncio.sleep(0.01)
                yield str(n)
        finally:
            note("closed /events")

    return event_stream(source())


@app.get("/error")
async def error():
    raise ValueError
"""

PYTHON = sys.executable
UWSGI = shutil.which("uwsgi", path=f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}")
#: Seconds to wait for what should come at once.
PATIENCE = float(os.environ.get("SERVER_PATIENCE", "20"))
#: Command lines by name; {port} is filled in. The first word that is a module or program must be
#: installed.
SERVERS = {
    "gunicorn": [PYTHON, "-m", "gunicorn", "-b", "127.0.0.1:{port}", "--threads", "4", "program:app"],
    "waitress": [PYTHON, "-m", "waitress", "--listen=127.0.0.1:{port}", "program:app"],
    "uwsgi": [
        UWSGI or "uwsgi", "--http-socket", "127.0.0.1:{port}", "--module", "program:app", "--need-app",
        "--enable-threads", "--threads", "4", "--pyhome", sys.prefix, "--die-on-term",
    ],
    "granian-wsgi": [
        PYTHON, "-m", "granian", "--interface", "wsgi", "--port", "{port}", "program:app",
    ],
    "granian-asgi": [
        PYTHON, "-m", "granian", "--interface", "asgi", "--port", "{port}", "program:app",
    ],
    "fastpysgi": [
        PYTHON, "-c", "import fastpysgi, program; fastpysgi.run(program.app, '127.0.0.1', {port})",
    ],
    "uvicorn": [PYTHON, "-m", "uvicorn", "--port", "{port}", "program:app.asgi_app"],
    "uvicorn-app": [PYTHON, "-m", "uvicorn", "--port", "{port}", "program:app"],
    "hypercorn": [
        PYTHON, "-m", "hypercorn", "-b", "127.0.0.1:{port}", "program:app.asgi_app",
    ],
}  # fmt: skip
#: Servers that close a streamed body when the client leaves only at the next piece they send.
IS_ASGI = {"granian-asgi", "uvicorn", "uvicorn-app", "hypercorn"}


class Server(ServerProcess):
    """A running server."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log = folder / "log"
        (folder / "program.py").write_text(PROGRAM)
        super().__init__(SERVERS[name], folder)

    def ask(self, path, method="GET", body=None, headers=(), **kwargs):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {"X-Test": "x", **dict(headers)}, **kwargs)
            response = connection.getresponse()
            return response.status, response.read(), response.headers
        finally:
            connection.close()

    def leave_in_the_middle(self, path):
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Test: x\r\n\r\n".encode())
            received = b""
            while len(received) < 300:
                received += client.recv(100)
        return received

    def wait_for_log(self, line):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.log.exists() and line in self.log.read_text().splitlines():
                return True
            time.sleep(0.05)
        return False


@pytest.fixture(scope="module", params=list(SERVERS))
def server(request, tmp_path_factory):
    module = request.param.partition("-")[0]
    if not (UWSGI if module == "uwsgi" else importlib.util.find_spec(module)):
        pytest.skip(f"{module} is not installed")
    server = Server(request.param, tmp_path_factory.mktemp(request.param))
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def test_plain_and_async_views(server):
    status, body, _ = server.ask("/?q=%C3%A9")
    assert (status, body.decode()) == (200, "plain é x"), server.said()
    status, body, _ = server.ask("/async/%C3%A9")
    if server.name != "fastpysgi":  # does not disguise the path as PEP 3333 wants it
        assert (status, body.decode()) == (200, "async é"), server.said()
    assert server.ask("/nowhere")[0] == 404
    assert server.ask("/", "POST")[0] == 405
    assert server.ask("/", "HEAD")[:2] == (200, b"")
    assert server.ask("/error")[0] == 500


def test_forms_and_sessions(server):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    status, body, _ = server.ask("/form", "POST", b"a=1&b=%20", kind)
    assert (status, body) == (200, b'{"form":{"a":"1","b":" "},"seen":"/form"}\n')
    _, body, headers = server.ask("/count")
    assert body == b"1"
    assert server.ask("/count", headers={"Cookie": headers["Set-Cookie"]})[1] == b"2"


@pytest.mark.parametrize("path", ["/upload", "/upload-plain"])
def test_uploads(server, path):
    assert server.ask(path, "POST", b"x" * 1_500_000)[1] == b"1500000"
    if server.name in {"fastpysgi", "uwsgi"}:
        return  # pass a chunked body on in ways of their own
    pieces = iter([b"x" * 70_000] * 10)
    status, body, _ = server.ask(path, "POST", pieces, encode_chunked=True)
    assert (status, body) == (200, b"700000")


@pytest.mark.parametrize("path", ["/form", "/upload-plain"])
@pytest.mark.parametrize("begin", [b"", b"a=1"])
def test_client_that_sends_no_more_is_answered(server, path, begin):
    if server.name not in IS_ASGI:
        return  # a WSGI server has limits of its own
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nX-Test: x\r\nContent-Length: 10\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
        client.sendall(head.encode() + begin)
        assert client.recv(1000).split(b" ")[1] == b"408", server.said()


@pytest.mark.parametrize("path", ["/stream", "/astream"])
def test_streams(server, path):
    assert server.ask(path)[1] == b"0\n1\n2\n"


@pytest.mark.parametrize(
    "path", ["/endless/plain", "/endless/async", "/endless/busy", "/busy/busy", "/events"]
)
def test_client_that_leaves_closes_the_stream(server, path):
    assert server.leave_in_the_middle(path).split(b" ")[1] == b"200"
    assert server.wait_for_log(f"closed {path}"), server.said()
    assert server.ask("/async/x")[1] == b"async x"


@pytest.mark.parametrize("what", ["removed", "replaced", "background"])
def test_the_file_that_the_view_has_opened_is_sent(server, what):
    for n in range(5):
        status, body, _ = server.ask(f"/removed/{what}?{n}")
        assert (status, body) == (200, b"x" * 900_000), server.said()


def test_a_body_of_known_length_is_sent_as_it_comes(server):
    if server.name == "fastpysgi":
        return  # gathers such a body itself
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
        client.sendall(b"GET /slowly HTTP/1.1\r\nHost: x\r\nX-Test: x\r\n\r\n")
        received = b""
        while not received.endswith((b"first", b"second")):
            received += client.recv(10_000)
        assert received.endswith(b"first")


def test_the_client_does_not_wait_for_what_is_done_after_the_answer(server):
    assert server.ask("/afterwards")[1] == b"answered"
    assert not (server.log.exists() and "afterwards" in server.log.read_text())
    assert server.wait_for_log("afterwards")


@pytest.mark.parametrize("path", ["/", "/async/x", "/astream", "/nowhere"])
def test_http_1_0(server, path):
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
        client.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\nX-Test: x\r\n\r\n".encode())
        answer = b""
        while piece := client.recv(10_000):
            answer += piece
    assert answer.split(b" ")[1] == (b"404" if path == "/nowhere" else b"200"), server.said()


def test_several_requests_over_one_connection(server):
    if server.name == "uwsgi":
        return  # closes the connection after each, unless told otherwise
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    for n in range(5):
        connection.request("GET", f"/async/{n}", headers={"X-Test": "x"})
        assert connection.getresponse().read() == f"async {n}".encode()
    connection.close()
