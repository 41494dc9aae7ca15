"""Real servers, raw sockets and a browser for the chapters' tests."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE = 20  # seconds until something that should happen counts as missing


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A program in a process of its own, with all that it prints."""

    def __init__(self, arguments, folder, port, **environment):
        self.port = port
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / f"output-{port}.txt"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
                start_new_session=True,
            )

    @property
    def output(self):
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text):
        """Wait until the program has printed ``text``; return all that it has printed."""
        return self.wait_until(lambda: self.output if text in self.output else "", text)

    def wait_until(self, condition, what="the condition"):
        """Wait until ``condition()`` is true, and return its value."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if value := condition():
                return value
            time.sleep(0.05)
        pytest.fail(f"{what!r} did not come; the program printed:\n{self.output}")

    def wait_until_it_listens(self):
        self.wait_until(self._listens, "a listening server")

    def _listens(self):
        if self._process.poll() is not None:
            pytest.fail(f"the program ended by itself:\n{self.output}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def text(self, path="/"):
        """GET ``path`` and return the body, or what went wrong on the way."""
        try:
            return httpx.get(self.url + path, timeout=5).text
        except httpx.HTTPError as error:
            return repr(error)

    def send(self, data, pieces=()):
        """Send bytes as they are, then ``pieces`` as long as they are taken; return the answer.

        It has ``status``, ``headers`` and ``body``; the connection may stay open on both sides.
        """
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(data)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in pieces:
                    connection.sendall(piece)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return SimpleNamespace(status=answer.status, headers=answer.headers, body=answer.read())

    def get_raw(self, target):
        """GET ``target`` as it is, in UTF-8, where an HTTP client would quote it."""
        return self.send(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Start ``python <arguments>``; ``{port}`` in an argument or in the source is a free port.

    ``source`` is written to ``server.py`` in a new folder, or ``program`` names a file below
    ``programs`` whose folder is copied. Everything is stopped when the module's tests are done.
    """
    servers = []

    def start(*arguments, source=None, program=None, listens=True, port=None, **environment):
        port = port or _free_port()
        folder = tmp_path_factory.mktemp("program")
        if program:
            shutil.copytree(PROGRAMS / program, folder, dirs_exist_ok=True)
        else:
            (folder / "server.py").write_text(source.replace("{port}", str(port)), "utf-8")
        arguments = [each.replace("{port}", str(port)) for each in arguments]
        server = Server(arguments, folder, port, **environment)
        servers.append(server)
        if listens:
            server.wait_until_it_listens()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def free_port():
    return _free_port()


CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


@pytest.fixture
def chromium(tmp_path, needs_program):
    """Open an address in headless Chromium: ``chromium(url)`` gives the page's text after scripts.

    With ``picture=path`` a screenshot is written instead.
    """
    program = needs_program("chromium", "chromium-browser")

    def open_page(url, picture=None, size=(1280, 900)):
        profile = tmp_path / f"profile-{time.monotonic_ns()}"
        what = f"--screenshot={picture}" if picture else "--dump-dom"
        done = subprocess.run(
            [
                program,
                *CHROMIUM,
                f"--user-data-dir={profile}",
                f"--window-size={size[0]},{size[1]}",
                "--virtual-time-budget=4000",
                what,
                url,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return open_page
