"""`kolben serve` as a user starts it: programs, servers, clients and certificates for the tests of it."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest

from pythons import HAS_GIL

#: How the line about workers and threads ends.
SAYS_GIL = "" if HAS_GIL else ", without the GIL"

PLAIN = """
import os, time
from flask import Flask, request
app = Flask(__name__)
VERSION = "old"

@app.get("/")
def index():
    return VERSION

@app.get("/pid")
def pid():
    return str(os.getpid())

@app.get("/slow")
def slow():
    time.sleep(float(request.args["t"]))
    return "done"

@app.get("/server")
def server():
    return "x", {"Server": "mine"}

@app.get("/where")
def where():
    return [request.remote_addr, request.url_root]

@app.post("/length")
def length():
    return str(len(request.get_data()))

@app.get("/module")
def module():
    import kolben
    return str(Flask is kolben.Flask)
"""

ASYNC = (
    PLAIN
    + """
@app.get("/async")
async def awaits():
    return "awaited"
"""
)


class Server:
    """A running `kolben serve`."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        env: dict[str, str] | None = None,
        before: Sequence[str] = (),
        command: Sequence[str] = (),
    ) -> None:
        self.process = subprocess.Popen(
            command or [sys.executable, "-m", "kolben", *before, "serve", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        )
        self.lines: list[str] = []
        self.log: list[str] = []
        self.readers: list[threading.Thread] = []
        for stream, lines in (self.process.stderr, self.lines), (self.process.stdout, self.log):
            reader = threading.Thread(target=self._read, args=(stream, lines))
            reader.start()
            self.readers.append(reader)
        try:
            banner = self.wait_for("Running on")
        except AssertionError:
            self.stop()
            raise
        self.url = banner.split("Running on ")[1].split(" ")[0]
        self.port = int(self.url.rpartition(":")[2])

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        with stream:
            lines.extend(stream)

    def wait_for(self, text: str, lines: list[str] | None = None) -> str:
        """Wait for a line with a text in it, and return it."""
        lines = self.lines if lines is None else lines
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for line in list(lines):
                if text in line:
                    return line.rstrip()
            if self.process.poll() is not None and not any(text in line for line in lines):
                time.sleep(0.2)
                if not any(text in line for line in lines):
                    break
            time.sleep(0.02)
        raise AssertionError(f"{text!r} is not in {''.join(self.lines)}")

    def get(self, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, str]:
        wanted = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url + path, headers=wanted), timeout=20
            ) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def text(self, path: str) -> str:
        return self.get(path)[2]

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()
            for reader in self.readers:
                reader.join(20)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(program: str, *arguments: str, env: dict[str, str] | None = None) -> Server:
        (tmp_path / "program.py").write_text(program)
        server = Server(tmp_path, "program:app", "--port", "0", *arguments, env=env)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie of the test's own container is not running.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return sys.platform != "linux"


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


class Load:
    """Clients that ask without a pause, each on one connection as long as the server keeps it."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.port = port
        self.answers: set[tuple[int, bytes]] = set()
        self.errors: list[str] = []
        self.count = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        while not self._stop.is_set():
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                self.answers.add((answer.status, answer.read()))
                self.count += 1
            except Exception as error:
                self.errors.append(repr(error))
                connection.close()
        connection.close()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate, its key, and another key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("tls")
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    for name, key in zip(("key", "other"), keys, strict=True):
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / f"{name}.pem").write_bytes(pem)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(keys[0].public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(keys[0], hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return folder
