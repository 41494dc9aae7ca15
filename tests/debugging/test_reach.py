"""Who can reach the debugger, and what its pages and lines say, over a socket to both development servers."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kolben.api import API

PROGRAM = """
from kolben import Flask, request
app = Flask(__name__)

@app.get("/")
def index():
    return "fine"

@app.get("/broken")
def broken():
    secret = "a local"
    raise ValueError("on purpose", request.args.get("v"))
"""
#: With it the program is served over ASGI.
WEBSOCKET = """
@app.websocket("/ws")
async def ws(): ...
"""
PIN = "123-456-789"


class Server:
    def __init__(self, folder: Path, program: str, *args: str) -> None:
        (folder / "program.py").write_text(program)
        self.output = folder / "output"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        with self.output.open("wb") as output:
            self.process = self._start(folder, args, output)
        for _ in range(200):
            try:
                assert self.ask("/")[0] == 200
                break
            except OSError:
                time.sleep(0.05)

    def _start(self, folder: Path, args: Sequence[str], output: Any) -> subprocess.Popen[bytes]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
        return subprocess.Popen(
            [sys.executable, "-m", "kolben", "--app", "program", "run", "--no-reload", "--port", str(self.port), *args],
            cwd=folder, env={**env, "WERKZEUG_DEBUG_PIN": PIN},
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def ask(self, path: str, **headers: str) -> tuple[int, str]:
        return self.ask_all(path, **headers)[:2]

    def ask_all(self, path: str, **headers: str) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {"Accept": "text/html", **{k.replace("_", "-"): v for k, v in headers.items()}}
        connection.request("GET", path, headers=sent)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
        connection.close()
        return response.status, text, response.getheader("Content-Type", "")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(
    scope="module",
    params=[(mode, kind) for kind in ("wsgi", "asgi") for mode in ("off", "on")],
    ids="-".join,
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Server]]:  # fmt: skip
    mode, kind = request.param
    options = ["--debug"] if mode == "on" else []
    program = PROGRAM + (WEBSOCKET if kind == "asgi" else "")
    server = Server(tmp_path_factory.mktemp(mode), program, *options)
    try:
        yield mode, server
    finally:
        server.stop()


def ask_debugger(server: Server, secret: str, cmd: str, **headers: str) -> tuple[int, str]:
    return server.ask(f"/?__debugger__=yes&cmd={cmd}&frm=0&s={secret}", **headers)


def secret_of(page: str) -> str:
    found = re.search(r"SECRET\s*=\s*\"(\w+)\"|data-secret=\"(\w+)\"", page)
    return (found[1] or found[2]) if found else "guessed"


def test_with_debug_off_nothing_of_it_is_there(server: tuple[str, Server]) -> None:
    mode, reached = server
    status, page = reached.ask("/broken")
    assert status == 500
    if mode == "on":
        assert "on purpose" in page
        return
    assert "on purpose" not in page
    assert "__debugger__" not in page
    for path in (
        "/?__debugger__=yes&cmd=resource&f=debugger.js",
        "/?__debugger__=yes&cmd=printpin",
    ):
        assert reached.ask(path) == (200, "fine")  # the program's own page
    assert reached.ask("/console")[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1"])
def test_a_foreign_host_reaches_no_pin_and_no_code(server: tuple[str, Server], host: str) -> None:
    mode, reached = server
    secret = secret_of(reached.ask("/broken")[1])
    for cmd in (f"pinauth&pin={PIN}", "printpin", "1%2B1"):
        status, text = ask_debugger(reached, secret, cmd, Host=host)
        assert '"auth": true' not in text
        assert (
            (status, text) == (200, "fine") if mode == "off" else "fine" not in text or status != 0
        )
        assert ">2<" not in text


def test_a_wrong_pin_and_no_pin_run_no_code(server: tuple[str, Server]) -> None:
    _, reached = server
    secret = secret_of(reached.ask("/broken")[1])
    assert '"auth": true' not in ask_debugger(reached, secret, "pinauth&pin=000-000-000")[1]
    assert ">2<" not in ask_debugger(reached, secret, "1%2B1")[1]
    # Without the page's secret not even the right one counts.
    assert '"auth": true' not in ask_debugger(reached, "guessed", f"pinauth&pin={PIN}")[1]


def test_the_right_pin_from_this_machine_opens_it(server: tuple[str, Server]) -> None:
    """Else the tests above would hold for a debugger that no developer can use."""
    mode, reached = server
    secret = secret_of(reached.ask("/broken")[1])
    opened = '"auth": true' in ask_debugger(reached, secret, f"pinauth&pin={PIN}")[1]
    assert opened == (mode == "on")


@pytest.mark.parametrize(
    "sent",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}],
)
def test_a_page_of_a_foreign_origin_does_not_open_it(
    server: tuple[str, Server], sent: dict[str, str]
) -> None:
    _, reached = server
    secret = secret_of(reached.ask("/broken")[1])
    assert '"auth": true' not in ask_debugger(reached, secret, f"pinauth&pin={PIN}", **sent)[1]


def test_the_server_is_the_one_that_the_program_needs(server: tuple[str, Server]) -> None:
    """Else the tests above would be about one server twice."""
    _, reached = server
    is_asgi = "ws()" in (reached.output.parent / "program.py").read_text()
    with socket.create_connection(("127.0.0.1", reached.port), 20) as client:
        client.sendall(
            b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        status = client.recv(1000).split(b" ")[1]
    assert (status in {b"101", b"403"}) == is_asgi


SCRIPT = "<script>alert(1)</script>"
QUOTED = "%3Cscript%3Ealert(1)%3C/script%3E"


@pytest.mark.parametrize("accept", ["text/html", "text/plain", "application/json", "*/*"])
@pytest.mark.parametrize(
    "path",
    [
        f"/broken?v={QUOTED}",
        f"/broken?{QUOTED}",
        f"/{QUOTED}",
        f"/?__debugger__=yes&cmd={QUOTED}&frm=0",
    ],
)
def test_no_page_of_a_development_server_runs_what_a_client_sends(
    server: tuple[str, Server], accept: str, path: str
) -> None:
    _, reached = server
    for headers in ({}, {"User_Agent": SCRIPT}, {"Cookie": f"a={SCRIPT}"}, {"Referer": SCRIPT}):
        for host in ("127.0.0.1", SCRIPT):
            status, page, kind = reached.ask_all(path, Accept=accept, Host=host, **headers)
            assert status in {200, 400, 404, 500}
            if "html" in kind:
                assert "<script>alert" not in page


def test_no_request_writes_to_the_terminal_of_a_development_server(
    server: tuple[str, Server],
) -> None:
    _, reached = server
    for target in (
        b"/\x1b[66mred",
        b"/\x9b66m",
        b"/%1b[66m",
        b"/?\x1b]0;title\x07",
        b"/broken?v=%1b[66m",
    ):
        for agent in (b"x", b"\x1b[66m"):
            with socket.create_connection(("127.0.0.1", reached.port), 20) as client:
                client.sendall(
                    b"GET " + target + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: " + agent
                    + b"\r\nConnection: close\r\n\r\n"
                )  # fmt: skip
                while client.recv(10_000):
                    pass
    said = reached.output.read_bytes().decode("latin-1")
    assert "[66m" in said
    # The server's own colours are others.
    assert [text for text in ("\x1b[66", "\x1b]", "\x9b", "\x07") if text in said] == []


def test_no_host_and_no_prefix_is_a_script_in_the_page_of_an_api() -> None:
    app = API("shop", title=f"{SCRIPT}&\"'", description=SCRIPT)

    @app.get("/add")
    def add(a: int, b: int) -> int:
        return a + b

    client = app.test_client()
    for path in ("/docs", "/docs/", "/openapi.json", "/add", f"/docs/{SCRIPT}", f"/add?a={SCRIPT}"):
        for environ in (
            {},
            {"SCRIPT_NAME": f"/{SCRIPT}"},
            {"SCRIPT_NAME": '/"onload=alert(1) x="'},
            {"HTTP_HOST": f'"{SCRIPT}'},
            {"HTTP_ACCEPT": SCRIPT, "HTTP_USER_AGENT": SCRIPT},
        ):
            reply = client.get(path, environ_overrides=environ)
            assert reply.status_code in {200, 308, 400, 404, 422}, (path, environ)
            if reply.mimetype == "text/html":
                assert "<script>alert" not in reply.text
                assert '/"onload' not in reply.text
            else:
                assert reply.mimetype in {"application/json", "application/problem+json"}
