"""Callers that take one request to an application, as a WSGI and as an ASGI server would."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

#: Seconds after which a request that does not end has failed.
PATIENCE = 20


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    pieces: list[bytes]

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def text(self) -> str:
        return self.body.decode()

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def comparable(self) -> tuple[Any, ...]:
        """The same for both gateways: ASGI's names of headers are in small letters."""
        return self.status, [(key.lower(), value) for key, value in self.headers], self.body


@dataclass
class Asked:
    """One request."""

    path: str
    method: str = "GET"
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | Sequence[bytes] | None = None
    #: Leave after so many pieces of the response.
    leave_after: int | None = None
    #: Leave in the middle of the body: these bytes are announced and do not come.
    missing: int = 0
    #: Do not announce the length.
    chunked: bool = False
    scope: dict[str, Any] = field(default_factory=dict)

    @property
    def pieces(self) -> list[bytes]:
        if self.body is None:
            return []
        return [self.body] if isinstance(self.body, bytes) else list(self.body)

    def all_headers(self) -> list[tuple[str, str]]:
        headers = list(self.headers)
        if not any(name == "host" for name, _ in headers):
            headers.insert(0, ("host", "localhost"))
        if self.chunked:
            headers.append(("transfer-encoding", "chunked"))
        elif self.body is not None:
            headers.append(("content-length", str(sum(map(len, self.pieces)) + self.missing)))
        return headers


def call_wsgi(app: Any, asked: Asked) -> Reply:
    path, _, query = asked.path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": asked.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(b"".join(asked.pieces)),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in asked.all_headers():
        key = name.upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = value
    started: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        started[:] = status, headers

    body = app(environ, start_response)
    pieces = []
    try:
        if asked.leave_after != 0:
            for piece in body:
                pieces.append(piece)
                if asked.leave_after is not None and len(pieces) >= asked.leave_after:
                    break
    finally:
        if hasattr(body, "close"):
            body.close()
    return Reply(int(started[0][:3]), started[1], pieces)


async def call_asgi(app: Any, asked: Asked) -> Reply:
    """Call on the running loop. Afterwards nothing may be left running on it."""
    before = asyncio.all_tasks()
    path, _, query = asked.path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": unquote_to_bytes(path).decode(errors="replace"),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(k.encode(), v.encode("latin-1")) for k, v in asked.all_headers()],
        "client": ("127.0.0.1", 50000),
        "server": ("localhost", 80),
        **asked.scope,
    }
    pieces = asked.pieces
    more = [True] * (len(pieces) - 1) + [bool(asked.missing)]
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": m}
        for piece, m in zip(pieces, more, strict=False)
    ] or [{"type": "http.request"}]
    if asked.missing:
        messages.append({"type": "http.disconnect"})
    start: dict[str, Any] = {}
    got: list[bytes] = []
    ended = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert not start, "started twice"
            start.update(message)
            if asked.leave_after == 0:
                ended.set()
            return
        assert start
        if message.get("body"):
            got.append(message["body"])
        over = asked.leave_after is not None and len(got) >= asked.leave_after
        if over or not message.get("more_body"):
            ended.set()

    async with asyncio.timeout(PATIENCE):
        await app(scope, receive, send)
    assert asyncio.all_tasks() == before, "something was left running"
    if asked.missing and not start:
        return Reply(0, [], [])
    headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in start["headers"]]
    return Reply(start["status"], headers, got)


class Gateway:
    """Takes requests to an application: `gateway.get(app, "/path")`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_asgi = name == "asgi"

    def ask(self, app: Any, asked: Asked) -> Reply:
        if self.is_asgi:
            return asyncio.run(call_asgi(app, asked))
        return call_wsgi(app, asked)

    def get(self, app: Any, path: str, **asked: Any) -> Reply:
        return self.ask(app, Asked(path, **asked))

    def post(self, app: Any, path: str, body: Any = b"", **asked: Any) -> Reply:
        return self.ask(app, Asked(path, "POST", body=body, **asked))


@pytest.fixture(params=["wsgi", "asgi"])
def gateway(request: pytest.FixtureRequest) -> Gateway:
    """Each test that asks for it runs over both."""
    return Gateway(request.param)
