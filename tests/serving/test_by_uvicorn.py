"""`kolben serve --server uvicorn`: what is promised with Granian holds with it, and WebSockets get all they want."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from kolben_serve import ASYNC, PLAIN, SAYS_GIL, Server, eventually, is_running

pytest.importorskip("uvicorn")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

UVICORN = ("--server", "uvicorn", "--workers", "1")


@pytest.mark.parametrize("program", [PLAIN, ASYNC], ids=["plain", "async"])
def test_it_serves_over_asgi(serve: Callable[..., Server], program: str, tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    content = os.urandom(3_000_000)
    (tmp_path / "static" / "big").write_bytes(content)
    server = serve(program, *UVICORN, "--threads", "3", "--proxy-count", "1")
    reason = "it has the async view 'awaits'" if program is ASYNC else "uvicorn serves nothing else"
    assert server.lines[:2] == [
        f" * Serving program:app over ASGI ({reason})\n",
        f" * Workers: 1, threads in each: 3{SAYS_GIL}\n",
    ]
    assert server.text("/") == "old"
    assert server.text("/module") == "True", "the workers' flask is not kolben"
    assert server.get("/server")[1].get_all("Server") == ["mine"]
    assert len(server.get("/")[1].get_all("Date") or ()) == 1
    with urllib.request.urlopen(server.url + "/static/big", timeout=20) as answer:
        assert answer.read() == content
    with urllib.request.urlopen(server.url + "/length", data=content, timeout=20) as answer:
        assert answer.read() == b"3000000"
    _, _, body = server.get(
        "/where",
        X_Forwarded_For="6.6.6.6, 1.2.3.4",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="example.com",
        X_Forwarded_Prefix="/below",
    )
    assert json.loads(body) == ["1.2.3.4", "https://example.com/below/"]
    assert server.stop() == 0


def test_a_client_is_not_believed_who_it_says_it_is(serve: Callable[..., Server]) -> None:
    server = serve(PLAIN, *UVICORN)
    body = server.get("/where", X_Forwarded_For="6.6.6.6", X_Forwarded_Proto="https")[2]
    assert json.loads(body) == ["127.0.0.1", server.url + "/"]


def test_reload_follows_files(serve: Callable[..., Server], tmp_path: Path) -> None:
    pytest.importorskip("watchfiles")
    server = serve(PLAIN, *UVICORN, "--reload")
    time.sleep(0.5)
    (tmp_path / "program.py").write_text(PLAIN.replace("old", "changed"))
    assert eventually(lambda: server.text("/") == "changed")


def test_workers_do_not_outlive_the_main_process(serve: Callable[..., Server]) -> None:
    server = serve(PLAIN, *UVICORN)
    pid = int(server.text("/pid"))
    server.signal(signal.SIGKILL)
    assert eventually(lambda: not is_running(pid))


def test_sigterm_finishes_what_is_in_flight(serve: Callable[..., Server]) -> None:
    server = serve(PLAIN, *UVICORN)
    answers: list[str] = []
    client = threading.Thread(target=lambda: answers.append(server.text("/slow?t=1.5")))
    client.start()
    time.sleep(0.4)
    assert server.stop() == 0
    client.join()
    assert answers == ["done"]
    assert len(server.lines) == 3, "no more than the banner"


@pytest.mark.parametrize("option", ["--access-log=json", "--request-id"])
def test_access_log_and_request_ids(serve: Callable[..., Server], option: str) -> None:
    server = serve(PLAIN, *UVICORN, option)
    assert server.get("/pid", X_Request_ID="abc-1")[1]["X-Request-ID"] == "abc-1"
    if option == "--request-id":
        server.stop()
        assert server.log == []
    else:
        line = json.loads(server.wait_for("abc-1", server.log))
        assert (line["status"], line["client"], line["path"]) == (200, "127.0.0.1", "/pid")


def test_https(serve: Callable[..., Server], certificates: Path) -> None:
    tls = ["--tls-cert", f"{certificates}/cert.pem", "--tls-key", f"{certificates}/key.pem"]
    server = serve(PLAIN, *UVICORN, *tls)
    assert server.url.startswith("https://")
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        context = ssl.create_default_context(cafile=certificates / "cert.pem")
        context.maximum_version = version
        url = f"https://localhost:{server.port}/where"
        with urllib.request.urlopen(url, context=context, timeout=20) as answer:
            assert json.load(answer)[1] == f"https://localhost:{server.port}/"


# --- WebSockets -------------------------------------------------------------------------------------

SOCKETS = """
from flask import Flask, WebSocketDisconnect, session, websocket
app = Flask(__name__)
app.secret_key = "secret"

@app.get("/")
def index():
    return str(session.get("name"))

@app.websocket("/accept")
async def accept():
    session["name"] = "Ada"
    await websocket.accept(headers={"X-Own": "1"})
    await websocket.close(4001, "because")

@app.websocket("/reason")
async def reason():
    try:
        await websocket.receive()
    except WebSocketDisconnect as left:
        print("left", left.code, left.reason, flush=True)

@app.websocket("/echo")
async def echo():
    async for message in websocket:
        await websocket.send(message)
"""


def test_websockets_have_headers_session_code_and_reason(serve: Callable[..., Server]) -> None:
    websockets = pytest.importorskip("websockets")
    client = pytest.importorskip("websockets.sync.client")
    server = serve(SOCKETS, *UVICORN)
    base = f"ws://127.0.0.1:{server.port}"
    with client.connect(f"{base}/accept") as socket:
        assert socket.response.headers["X-Own"] == "1"
        cookie = socket.response.headers["Set-Cookie"].partition(";")[0]
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            socket.recv(timeout=10)
        assert (socket.close_code, socket.close_reason) == (4001, "because")
    assert server.get("/", Cookie=cookie)[2] == "Ada"
    with client.connect(f"{base}/reason") as socket:
        socket.close(4002, "bye")
    server.wait_for("left 4002 bye", server.log)
    assert not any("do not reach" in line for line in server.lines)


def test_a_worker_that_leaves_tells_its_websockets(serve: Callable[..., Server]) -> None:
    websockets = pytest.importorskip("websockets")
    client = pytest.importorskip("websockets.sync.client")
    server = serve(SOCKETS, *UVICORN)
    with client.connect(f"ws://127.0.0.1:{server.port}/echo") as socket:
        socket.send("hello")
        assert socket.recv(timeout=10) == "hello"
        server.signal(signal.SIGHUP)
        server.wait_for("New workers have taken over")
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            socket.recv(timeout=10)
        assert (socket.close_code, socket.close_reason) == (1012, "restarting")
    with client.connect(f"ws://127.0.0.1:{server.port}/echo") as socket:
        socket.send("again")
        assert socket.recv(timeout=10) == "again"


ENDLESS = (
    PLAIN
    + """
@app.get("/endless")
async def endless():
    async def pieces():
        while True:
            yield "x" * 1000
    return pieces()
"""
)


def test_a_client_that_leaves_an_endless_stream_is_nothing_to_log(
    serve: Callable[..., Server],
) -> None:
    server = serve(ENDLESS, *UVICORN)
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", server.port), 20) as client:
            client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            client.recv(1000)
    assert server.text("/") == "old"
    server.stop()
    assert len(server.lines) == 3, "no more than the banner"


# --- What it cannot do ------------------------------------------------------------------------------


def refused(folder: Path, code: str, *arguments: str) -> str:
    """Return the one line that is said."""
    command = [sys.executable, "-c", f"{code}; from kolben.cli import main; main()"]
    command += ["serve", "program:app", "--port", "0", "--server", "uvicorn", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20)
    assert done.returncode in (1, 2)
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_wsgi_is_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, "pass", "--interface", "wsgi")
    assert said.startswith("Error: uvicorn serves over ASGI only")


@pytest.mark.parametrize("missing", [["uvicorn"], ["websockets", "wsproto"]], ids=" ".join)
def test_what_is_missing_is_said(tmp_path: Path, missing: list[str]) -> None:
    code = f"import sys; sys.modules.update(dict.fromkeys({missing}))"
    assert 'pip install "kolben[uvicorn]"' in refused(tmp_path, code)


def test_granian_is_not_needed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PLAIN)
    code = "import sys; sys.modules['granian'] = None; from kolben.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "program:app", "--port", "0", *UVICORN]
    server = Server(tmp_path, command=command)
    try:
        assert server.text("/") == "old"
    finally:
        server.stop()


def test_reload_without_watchfiles_says_what_to_install(tmp_path: Path) -> None:
    said = refused(tmp_path, "import sys; sys.modules['watchfiles'] = None", "--reload")
    assert 'pip install "kolben[uvicorn]"' in said
