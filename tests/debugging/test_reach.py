"""Who can reach the debugger, asked over a socket."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = """
from kolben import Flask
app = Flask(__name__)

@app.get("/")
def index():
    return "fine"

@app.get("/broken")
def broken():
    secret = "a local"
    raise ValueError("on purpose")
"""
PIN = "123-456-789"


class Server:
    def __init__(self, folder: Path, *args: str) -> None:
        (folder / "program.py").write_text(PROGRAM)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        env = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kolben", "--app", "program", "run", "--no-reload", "--port", str(self.port), *args],
            cwd=folder, env={**env, "WERKZEUG_DEBUG_PIN": PIN},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(200):
            try:
                assert self.ask("/")[0] == 200
                break
            except OSError:
                time.sleep(0.05)

    def ask(self, path: str, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {"Accept": "text/html", **{k.replace("_", "-"): v for k, v in headers.items()}}
        connection.request("GET", path, headers=sent)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
        connection.close()
        return response.status, text

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module", params=["off", "on"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Server]]:  # fmt: skip
    options = ["--debug"] if request.param == "on" else []
    server = Server(tmp_path_factory.mktemp(request.param), *options)
    try:
        yield request.param, server
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
    """Else the tests above would hold for a debugger that nobody can use."""
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
