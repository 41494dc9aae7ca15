"""One hostile request, sent in each way that a request can come.

A case says what is sent; `ask` sends it through the raw environ of WSGI, the raw scope of ASGI (to plain
views and to `async def` views), or a socket to a real server; a test says what must hold.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import kolben
from processes import ServerProcess

from .application import build
from .peer import exchange

HERE = Path(__file__).resolve().parent
PATIENCE = 20  # seconds

#: What a server may answer by itself to what it does not understand; 0: nothing, it hangs up.
REFUSED_BY_SERVER = frozenset({0, 400, 403, 404, 405, 408, 411, 413, 414, 417, 421, 431, 501, 505})


@dataclass
class Case:
    """One request. Texts have one character for each byte."""

    path: str = "/"
    query: str = ""
    method: str = "GET"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    #: Declared; None for what is right, "" for not at all.
    length: str | None = None
    #: As PEP 3333 has it, of an unkind server: see `peer.Input`.
    piece: int = 0
    terminated: bool = False
    fails: bool = False
    config: dict[str, Any] = field(default_factory=dict)

    def all_headers(self) -> list[tuple[str, str]]:
        headers = list(self.headers)
        if not any(name.lower() == "host" for name, _ in headers):
            headers.insert(0, ("Host", "localhost"))
        if self.length is None and self.body:
            headers.append(("Content-Length", str(len(self.body))))
        elif self.length:
            headers.append(("Content-Length", self.length))
        return headers

    def as_peer(self) -> dict[str, Any]:
        """The case as `peer.exchange` takes it."""
        environ = {
            "PATH_INFO": self.path,
            "QUERY_STRING": self.query,
            "REQUEST_METHOD": self.method,
        }
        for name, value in self.all_headers():
            key = name.upper().replace("-", "_")
            key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return {
            "environ": environ,
            "without": [] if "CONTENT_LENGTH" in environ else ["CONTENT_LENGTH"],
            "body": self.body.decode("latin-1"),
            "piece": self.piece,
            "terminated": self.terminated,
            "fails": self.fails,
            "config": self.config,
        }


@dataclass
class Answer:
    """What came back; the status 0 stands for a connection that was closed."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


def application(asynchronous: bool = False, **config: Any) -> kolben.Flask:
    return _application(asynchronous, json.dumps(config, sort_keys=True))


@cache
def _application(asynchronous: bool, config: str) -> kolben.Flask:
    app: kolben.Flask = build(kolben, asynchronous, **json.loads(config))
    return app


def by_environ(case: Case, app: Any = None) -> Answer:
    answer = exchange(app or application(**case.config), case.as_peer())
    assert "raised" not in answer, answer["raised"]
    headers = [(name, value) for name, value in answer["headers"]]
    return Answer(int(answer["status"][:3]), headers, answer["body"].encode("latin-1"))


def by_scope(case: Case, asynchronous: bool = False, app: Any = None) -> Answer:
    app = app or application(asynchronous, **case.config)
    messages = _messages(case)
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": case.method,
        "scheme": "http",
        "path": case.path.encode("latin-1").decode(errors="replace"),
        "raw_path": case.path.encode("latin-1"),
        "query_string": case.query.encode("latin-1"),
        "root_path": "",
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in case.all_headers()
        ],
        "client": ("127.0.0.1", 50000),
        "server": ("localhost", 80),
    }

    async def talk() -> None:
        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop(0)
            if case.fails:
                return {"type": "http.disconnect"}
            await asyncio.sleep(PATIENCE)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        async with asyncio.timeout(PATIENCE):
            await app(scope, receive, send)

    asyncio.run(talk())
    start = sent[0]
    body = b"".join(message.get("body", b"") for message in sent[1:])
    headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in start["headers"]]
    return Answer(start["status"], headers, body)


def _messages(case: Case) -> list[dict[str, Any]]:
    size = case.piece or len(case.body) or 1
    pieces = [case.body[at : at + size] for at in range(0, len(case.body), size)] or [b""]
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages[-1]["more_body"] = case.fails
    return messages


#: How users serve an application; `{port}` stands for the port.
SERVERS = {
    "granian-wsgi": "kolben serve program:app --port {port} --workers 1 --access-log json",
    "granian-asgi": "kolben serve program:app --port {port} --workers 1 --interface asgi",
    "uvicorn": "uvicorn program:app --port {port} --no-access-log",
    "hypercorn": "hypercorn program:app.asgi_app --bind 127.0.0.1:{port}",
    "gunicorn": "gunicorn program:app --bind 127.0.0.1:{port} --worker-class gthread --threads 2",
    "waitress": "waitress --listen 127.0.0.1:{port} program:app",
}


class Served(ServerProcess):
    """The application on a real server, in a process of its own.

    :param folder: takes the program, and what the server says.
    :param name: the server, of `SERVERS`.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        (folder / "program.py").write_text(
            f"import sys\nsys.path.insert(0, {str(HERE)!r})\nfrom served import app as app\n"
        )
        super().__init__([sys.executable, "-m", *SERVERS[name].split()], folder)

    def ask(self, case: Case, patience: float = PATIENCE) -> Answer:
        target = quote(case.path, safe="/%:@!$&'()*+,;=~", encoding="latin-1")
        if case.query:
            target += "?" + case.query
        lines = [f"{case.method} {target} HTTP/1.1", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in case.all_headers()]
        return self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + case.body, patience)

    def send(self, data: bytes, patience: float = PATIENCE) -> Answer:
        """Send bytes, and read what comes until the server hangs up, or waits for more.

        :param patience: seconds after which it is taken to wait, where it may do so.
        """
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
            client.settimeout(patience)
            try:
                client.sendall(data)
                while not _is_whole(received) and (piece := client.recv(100_000)):
                    received += piece
            except ConnectionError:
                pass
            except TimeoutError:
                if patience == PATIENCE:
                    raise
        head, _, body = received.partition(b"\r\n\r\n")
        if not head:
            return Answer(0)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [(n, v.strip()) for n, _, v in (line.partition(":") for line in lines)]
        return Answer(int(first.split(" ")[1]), headers, body)


def _is_whole(received: bytes) -> bool:
    """Whether an answer of a declared length has come: Hypercorn stays, where it was sent more than it read."""
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return length is not None and len(body) >= int(length[1])


#: How a case can be sent within this process, by name.
WAYS = {
    "environ": by_environ,
    "scope": by_scope,
    "async": lambda case: by_scope(case, asynchronous=True),
}
