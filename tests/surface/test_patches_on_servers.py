"""Functions that agents put around methods of the classes are called on real servers as on Flask."""

from __future__ import annotations

import copy
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from werkzeug.test import EnvironBuilder

import kolben
from surface import behaviour

FLASK: dict[str, Any] = json.loads(Path(__file__).with_name("behaviour-3.1.3.json").read_text())

#: What is called otherwise, and why.
EXCEPTIONS = {
    "DefaultJSONProvider.dumps": "the test client of the reference writes JSON, too",
    **{
        f"Response.{name}": "the test client of the reference makes a response of its own of each answer"
        for name in ("__init__", "call_on_close", "close", "iter_encoded", "make_sequence")
    },
}


class Uvicorn:
    """An ASGI server in a thread, for one application after another."""

    def __init__(self) -> None:
        self.app: Any = None
        self.socket = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(self.serve, interface="asgi3", log_level="critical", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True
        )
        self.thread.start()

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app.asgi_app(scope, receive, send)

    def send(self, app: Any, path: str, options: dict[str, Any]) -> tuple[int, bytes]:
        """Send a request, as `Behaviour.send` does."""
        self.app = app
        options = copy.copy(options)
        if isinstance(options.get("data"), dict):
            options["data"] = {
                key: (io.BytesIO(value[0]), value[1]) if isinstance(value, tuple) else value
                for key, value in options["data"].items()
            }
        environ = EnvironBuilder(path, **options).get_environ()
        body = environ["wsgi.input"].read()
        headers = {"Content-Type": environ["CONTENT_TYPE"]} if environ.get("CONTENT_TYPE") else {}
        client = http.client.HTTPConnection(*self.socket.getsockname(), timeout=10)
        try:
            client.request(environ["REQUEST_METHOD"], path, body or None, headers)
            response = client.getresponse()
            return response.status, response.read()
        finally:
            client.close()


@pytest.fixture(scope="module")
def tried() -> Iterator[behaviour.Behaviour]:
    server = Uvicorn()
    tried = behaviour.Behaviour("kolben")
    tried.send = server.send
    yield tried
    server.server.should_exit = True
    server.thread.join(10)


@pytest.mark.parametrize(
    "kind",
    [
        "Flask",
        "Blueprint",
        "Request",
        "Response",
        "SecureCookieSessionInterface",
        "DefaultJSONProvider",
    ],
)
def test_a_function_around_a_method_is_called_as_often_over_asgi(
    tried: behaviour.Behaviour, kind: str
) -> None:
    owner = tried.patched()[kind]
    differing = {}
    for name in tried.methods(owner):
        expected = FLASK["calls"]["before"].get(f"{kind}.{name}")
        if expected is None or f"{kind}.{name}" in EXCEPTIONS:
            continue
        if (counted := tried.count(owner, name, "before")) != expected:
            differing[name] = counted, expected
    assert not differing


PROGRAM = """
from kolben import Flask, Request, Response, request

app = Flask(__name__)
calls = []


@app.get("/")
def index():
    return request.headers.get("X-Any", "view")


@app.get("/patch/<method>")
def patch(method):
    owner, name = {"Flask": Flask, "Response": Response}[method.split(".")[0]], method.split(".")[1]
    inner = getattr(owner, name)

    def count(self, *args, **kwargs):
        calls.append(name)
        return inner(self, *args, **kwargs)

    setattr(owner, name, count)
    return "patched"


@app.get("/calls")
def count_calls():
    return str(len(calls))
"""

SERVERS = {
    "kolben serve, WSGI": ["kolben", "serve", "program", "--interface", "wsgi", "--workers", "1"],
    "kolben serve, ASGI": ["kolben", "serve", "program", "--interface", "asgi", "--workers", "1"],
    "kolben run": ["kolben", "run", "program"],
    "uvicorn": ["uvicorn", "program:app", "--interface", "asgi3"],
    "hypercorn": ["hypercorn", "asgi:program:app"],
}


def ask(port: int, path: str) -> str:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request("GET", path)
        return client.getresponse().read().decode()
    finally:
        client.close()


@pytest.fixture(params=SERVERS)
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    (tmp_path / "program.py").write_text(PROGRAM)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    source = str(Path(kolben.__file__).parents[1])
    by_address = request.param == "hypercorn"
    where = ["--bind", f"127.0.0.1:{port}"] if by_address else ["--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", *SERVERS[request.param], *where],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if ask(port, "/") == "view":
                    break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(15)


@pytest.mark.parametrize("method", ["Flask.dispatch_request", "Response.get_wsgi_headers"])
def test_what_is_patched_while_a_server_runs_counts_soon(port: int, method: str) -> None:
    assert ask(port, "/") == "view"
    assert ask(port, f"/patch/{method}") == "patched"
    deadline = time.monotonic() + 15
    while int(ask(port, "/calls")) == 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    before = int(ask(port, "/calls"))
    for _ in range(10):
        assert ask(port, "/") == "view"
    assert int(ask(port, "/calls")) - before in {10, 11}  # the last request's own may be among them
