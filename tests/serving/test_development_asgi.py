"""`kolben run` for programs that need ASGI: what Werkzeug's server has, and WebSockets."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import websockets

from processes import ServerProcess

pytest.importorskip("uvicorn")
connect = pytest.importorskip("websockets.sync.client").connect

PROGRAM = """
import asyncio
import os
import threading

from kolben import Flask, Response, request, stream_with_context, websocket

app = Flask(__name__)


@app.before_serving
async def start():
    print("started", flush=True)


@app.after_serving
async def stop():
    print("stopped", flush=True)


@app.websocket("/echo")
async def echo():
    while True:
        await websocket.send(await websocket.receive())


@app.websocket("/rooms/<int:number>")
async def room(name):
    await websocket.accept()


@app.websocket("/broken")
async def broken():
    await websocket.accept()
    await websocket.send({"a": 1})


@app.get("/plain")
def plain():
    return "VERSION"


@app.get("/loop")
async def loop():
    return str(id(asyncio.get_running_loop()))


@app.get("/stream")
async def stream():
    async def pieces():
        for number in range(3):
            yield f"{number} "
            await asyncio.sleep(0)
    return Response(pieces())


@app.post("/upload")
def upload():
    return str(len(request.get_data()))


@app.get("/fail")
def fail():
    return str(1 / 0)


@app.get("/async-fail")
async def async_fail():
    return str(1 / 0)
"""


class Running:
    """A development server, as a developer starts it."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        self.file = folder / "chat.py"
        self.file.write_text(PROGRAM)
        command = [sys.executable, "-m", "kolben", "run", "chat.py", "--port", str(self.port)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "WERKZEUG_DEBUG_PIN": "123-456-789"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *options], cwd=folder, stdout=log, stderr=log, env=environment
            )

    def wait_for(self, text: str, count: int = 1) -> str:
        end = time.monotonic() + 20
        while (said := self.log.read_text()).count(text) < count:
            assert time.monotonic() < end, said
            assert self.process.poll() is None or text in said, said
            time.sleep(0.05)
        return said

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(15)


@pytest.fixture
def start(tmp_path) -> Iterator[type[Running]]:
    running: list[Running] = []

    def start(*options: str) -> Running:
        running.append(Running(tmp_path, *options))
        running[-1].wait_for("started")
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.mark.parametrize("options", [["--no-reload"], ["--reload"], ["--debug"]])
def test_all_that_kolben_can_do_is_served(start, options):
    server = start(*options)
    with connect(f"ws://127.0.0.1:{server.port}/echo") as chat:
        for number in range(200):
            chat.send(str(number))
        assert [chat.recv(10) for _ in range(200)] == [str(number) for number in range(200)]
    with httpx.Client(base_url=server.url, timeout=10) as client:
        assert client.get("/plain").text == "VERSION"
        assert len({client.get("/loop").text for _ in range(5)}) == 1
        assert client.get("/stream").text == "0 1 2 "
        assert client.post("/upload", content=b"x" * 1_000_000).text == "1000000"
    said = server.wait_for('"POST /upload HTTP/1.1" 200 -')
    assert '"GET /echo HTTP/1.1" 101 -' in said
    assert f" * Running on {server.url}" in said
    assert "Press CTRL+C to quit" in said


def test_an_error_of_a_websocket_is_explained_in_the_log(start):
    server = start("--debug")
    with connect(f"ws://127.0.0.1:{server.port}/broken") as chat:
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            chat.recv(10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
    said = server.wait_for("there is send_json()")
    assert "frames of the framework\n" in said
    assert "await websocket.send(" in said
    assert "asgi/websocket.py" not in said
    with pytest.raises(websockets.InvalidStatus):
        connect(f"ws://127.0.0.1:{server.port}/rooms/3")
    server.wait_for("has the variable <number>, which the view room() does not take")


@pytest.mark.parametrize("path", ["/fail", "/async-fail"])
def test_errors_are_shown_by_the_debugger_with_its_console(start, path):
    server = start("--debug")
    page = httpx.get(f"{server.url}{path}", headers={"Accept": "text/html"}, timeout=10)
    assert page.status_code == 500
    assert "EVALEX = true" in page.text
    secret = page.text.partition('SECRET = "')[2].partition('"')[0]
    frame = page.text.rpartition('id="frame-')[2].partition('"')[0]
    with httpx.Client(base_url=server.url, timeout=10) as client:

        def ask(command: str, **more: str) -> httpx.Response:
            query = {"__debugger__": "yes", "cmd": command, "s": secret, **more}
            return client.get(path, params=query)

        assert "1764" not in ask("42 * 42", frm=frame).text
        assert ask("pinauth", pin="123-456-789").json()["auth"] is True
        assert "1764" in ask("42 * 42", frm=frame).text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", [["--no-reload"], ["--reload"]])
def test_what_runs_is_ended_when_the_server_is_stopped(start, options, number):
    server = start(*options)
    with connect(f"ws://127.0.0.1:{server.port}/echo") as chat:
        chat.send("one")
        assert chat.recv(10) == "one"
        if number == signal.SIGINT and options == ["--reload"]:
            # A terminal sends it to the whole group; here, to both.
            for child in Path(f"/proc/{server.process.pid}/task").glob("*/children"):
                for pid in child.read_text().split():
                    os.kill(int(pid), number)
        status = server.stop(number)
    assert status == 0
    assert "stopped" in server.log.read_text()
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_a_saved_program_is_started_anew_after_its_ends_have_run(start):
    server = start("--reload")
    server.file.write_text(PROGRAM.replace("VERSION", "the second"))
    said = server.wait_for("started", 2)
    assert said.index("stopped") < said.rindex("started")
    assert httpx.get(f"{server.url}/plain", timeout=10).text == "the second"


def test_a_broken_program_is_shown_until_it_is_mended(start):
    server = start("--debug")
    server.file.write_text(PROGRAM + "\nthis is no Python\n")
    server.wait_for("SyntaxError")
    page = httpx.get(server.url, headers={"Accept": "text/html"}, timeout=10)
    assert (page.status_code, "SyntaxError" in page.text) == (500, True)
    server.file.write_text(PROGRAM)
    server.wait_for("started", 2)
    with connect(f"ws://127.0.0.1:{server.port}/echo") as chat:
        chat.send("mended")
        assert chat.recv(10) == "mended"


def test_without_the_server_for_them_a_line_says_what_to_install(tmp_path):
    (tmp_path / "chat.py").write_text(PROGRAM)
    code = (
        "import sys, importlib.util as u; find = u.find_spec;"
        "import kolben.serving.development_asgi as d; d.find_spec = lambda n: None;"
        "import kolben.serving.development as s; s.serving.run_simple = s._werkzeug_run_simple = "
        "lambda *a, **k: print('werkzeug');"
        "sys.argv = ['kolben', 'run', 'chat.py', '--port', '0']; from kolben.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert 'pip install "kolben[dev]"' in done.stderr
    assert done.stdout.rstrip().endswith("werkzeug")


TLS_PROGRAM = """
from kolben import Flask, request, websocket
app = Flask(__name__)

@app.get("/")
def index():
    return request.scheme

@app.websocket("/ws")
async def ws():
    async for message in websocket:
        await websocket.send(f"{websocket.scheme} {message}")
"""


def test_a_certificate_for_the_moment_serves_pages_and_websockets(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(TLS_PROGRAM)
    command = [sys.executable, "-m", "kolben", "--app", "program", "run", "--no-reload"]
    server = ServerProcess([*command, "--port", "{port}", "--cert", "adhoc"], tmp_path)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    async def converse() -> str:
        url = f"wss://127.0.0.1:{server.port}/ws"
        async with websockets.connect(url, ssl=trusting) as client:
            await client.send("hello")
            return str(await client.recv())

    try:
        server.wait()
        page = httpx.get(f"https://127.0.0.1:{server.port}/", verify=trusting, timeout=20)
        assert (page.status_code, page.text) == (200, "https")
        assert asyncio.run(asyncio.wait_for(converse(), 20)) == "wss hello"
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{server.port}/", timeout=20)
    finally:
        server.stop()
    assert f"Running on https://127.0.0.1:{server.port}" in server.said()


IN_A_THREAD = """
import sys
import threading
import time
import urllib.request

from kolben import Flask

app = Flask(__name__)


@app.get("/")
async def index():
    return app.config["SERVED_BY"]


@app.before_request
def look():
    app.config["SERVED_BY"] = "uvicorn" if "uvicorn" in sys.modules else "werkzeug"


if "websocket" in sys.argv:
    app.websocket("/echo", endpoint="echo")(index)


def serve():
    app.run(port=PORT, debug=True, use_reloader=False)


threading.Thread(target=serve, name="serving", daemon=True).start()
for _ in range(200):
    try:
        with urllib.request.urlopen("http://127.0.0.1:PORT/", timeout=10) as response:
            print(response.read().decode())
        break
    except OSError:
        time.sleep(0.05)
"""


@pytest.mark.parametrize(
    ("argument", "server"), [("none", "werkzeug"), ("websocket", "uvicorn")], ids=str
)
def test_a_thread_of_the_program_may_serve(tmp_path: Path, argument: str, server: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "threaded.py").write_text(IN_A_THREAD.replace("PORT", str(port)))
    done = subprocess.run(
        [sys.executable, "threaded.py", argument],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.endswith(f"{server}\n"), done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 0
