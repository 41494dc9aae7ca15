"""Request ids and access logs, and the tools that look at Flask applications."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from suite_environments import environment

from kolben import Flask, stream_with_context
from kolben.serving.observability import (
    AccessLogMiddleware,
    JSONFormatter,
    RequestIdFilter,
    RequestIdMiddleware,
    get_request_id,
)

PROBES = Path(__file__).with_name("observability_probes.py")


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)

    @app.get("/")
    def index() -> str:
        return get_request_id() or "none"

    @app.get("/own")
    def own() -> tuple[str, dict[str, str]]:
        return "", {"X-Request-ID": "own"}

    @app.get("/stream")
    def stream() -> Any:
        return stream_with_context(f"{get_request_id()}," for _ in range(2))

    @app.get("/error")
    def error() -> str:
        raise RuntimeError

    return app


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def log(request: pytest.FixtureRequest) -> tuple[logging.Logger, list[str]]:
    logger = logging.getLogger(request.node.name)
    logger.setLevel(logging.INFO)
    handler = Lines()
    logger.addHandler(handler)
    return logger, handler.lines


def ask_asgi(app: Any, path: str, headers: list[tuple[bytes, bytes]] | None = None, **more: Any):
    """Send one request in the way of ASGI; returns status, headers and body."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), *(headers or [])],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        **more,
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    names = {name.lower().decode(): value.decode() for name, value in sent[0].get("headers", ())}
    return sent[0].get("status"), names, b"".join(m.get("body", b"") for m in sent[1:])


# --- Request ids ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/stream"])
def test_a_request_keeps_the_id_it_came_with(app: Flask, path: str) -> None:
    app.wsgi_app = RequestIdMiddleware(app.wsgi_app)
    response = app.test_client().get(path, headers={"X-Request-ID": "abc.1"})
    assert response.headers["X-Request-ID"] == "abc.1"
    assert response.text.startswith("abc.1")
    assert get_request_id() is None


@pytest.mark.parametrize("sent", ["", "a b", "a" * 129, 'a"', "ä"])
def test_an_id_that_could_harm_is_replaced(app: Flask, sent: str) -> None:
    app.wsgi_app = RequestIdMiddleware(app.wsgi_app)
    response = app.test_client().get("/", environ_base={"HTTP_X_REQUEST_ID": sent})
    assert re.fullmatch("[0-9a-f]{32}", response.text)
    assert response.headers.get_all("X-Request-ID") == [response.text]


def test_an_id_of_the_application_is_left_alone(app: Flask) -> None:
    app.wsgi_app = RequestIdMiddleware(app.wsgi_app)
    assert app.test_client().get("/own").headers.get_all("X-Request-ID") == ["own"]


def test_ids_under_asgi(app: Flask) -> None:
    asgi = RequestIdMiddleware(app)
    status, headers, body = ask_asgi(asgi, "/", [(b"x-request-id", b"abc")])
    assert (status, headers["x-request-id"], body) == (200, "abc", b"abc")
    assert len(ask_asgi(asgi, "/")[2]) == 32


def test_without_middleware_there_is_no_id(app: Flask) -> None:
    assert app.test_client().get("/", headers={"X-Request-ID": "abc"}).text == "none"


def test_the_applications_log_lines_know_the_id(app: Flask, log: Any) -> None:
    logger, lines = log
    logger.handlers[0].addFilter(RequestIdFilter())
    logger.handlers[0].setFormatter(logging.Formatter("%(request_id)s %(message)s"))

    @app.get("/log")
    def say() -> str:
        logger.warning("inside")
        return ""

    app.wsgi_app = RequestIdMiddleware(app.wsgi_app)
    app.test_client().get("/log", headers={"X-Request-ID": "abc"})
    logger.warning("outside")
    assert lines == ["abc inside", "- outside"]


def test_log_lines_as_json(app: Flask, log: Any) -> None:
    logger, lines = log
    logger.handlers[0].setFormatter(JSONFormatter())

    @app.get("/log")
    def say() -> str:
        try:
            raise ValueError("two\nlines")
        except ValueError:
            logger.exception("It %s.", "failed")
        return ""

    app.wsgi_app = RequestIdMiddleware(app.wsgi_app)
    app.test_client().get("/log", headers={"X-Request-ID": "abc"})
    (line,) = lines
    assert "\n" not in line
    fields = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields.pop("time"))
    assert "ValueError: two\nlines" in fields.pop("exception")
    assert fields == {
        "level": "ERROR",
        "logger": logger.name,
        "message": "It failed.",
        "request_id": "abc",
    }


# --- The access log ---------------------------------------------------------------------------------


@pytest.mark.parametrize("gateway", ["wsgi", "asgi"])
@pytest.mark.parametrize(
    ("path", "status", "size"),
    [("/", 200, 3), ("/stream", 200, 8), ("/nowhere", 404, None), ("/error", 500, None)],
)
def test_one_object_for_each_request(
    app: Flask, log: Any, gateway: str, path: str, status: int, size: int | None
) -> None:
    logger, lines = log
    if gateway == "wsgi":
        app.wsgi_app = AccessLogMiddleware(app.wsgi_app, "json", logger)
        response = app.test_client().get(path, headers={"X-Request-ID": "abc"})
        body = response.data
        response.close()
    else:
        app.asgi_app = AccessLogMiddleware(app.asgi_app, "json", logger)
        body = ask_asgi(app, path, [(b"x-request-id", b"abc")])[2]
    (line,) = lines
    fields = json.loads(line)
    assert 0 <= fields.pop("duration") < 5
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields.pop("time"))
    assert fields == {
        "client": "127.0.0.1",
        "method": "GET",
        "path": path,
        "status": status,
        "bytes": len(body) if size is None else size,
        "request_id": "abc",
    }


def test_a_failure_is_logged_and_passed_on(log: Any) -> None:
    logger, lines = log

    def broken(environ: object, start_response: object) -> list[bytes]:
        raise RuntimeError

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    with pytest.raises(RuntimeError):
        AccessLogMiddleware(broken, "json", logger)(environ, print)
    assert json.loads(lines[0])["status"] == 500


def test_a_client_that_left_early(log: Any) -> None:
    logger, lines = log

    async def silent(scope: object, receive: object, send: object) -> None:
        raise asyncio.CancelledError

    with pytest.raises((asyncio.CancelledError, IndexError)):
        ask_asgi(AccessLogMiddleware(silent, "json", logger), "/")
    assert json.loads(lines[0])["status"] == 499


def test_a_websocket_is_one_line(log: Any) -> None:
    logger, lines = log

    async def talk(scope: object, receive: object, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "hello"})
        await send({"type": "websocket.close"})

    async def refuse(scope: object, receive: object, send: Any) -> None:
        await send({"type": "websocket.close"})

    for app in talk, refuse:
        ask_asgi(AccessLogMiddleware(app, "json", logger), "/", type="websocket")
    first, second = map(json.loads, lines)
    assert (first["status"], first["bytes"]) == (101, 5)
    assert second["status"] == 403


def test_common_log_format(app: Flask, log: Any) -> None:
    logger, lines = log
    app.wsgi_app = AccessLogMiddleware(app.wsgi_app, "common", logger)
    client = app.test_client()
    client.get("/?a=1", headers={"X-Request-ID": "abc"})
    client.get('/"%0a"')
    assert re.fullmatch(
        r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /\?a=1 HTTP/1\.1" 200 3',
        lines[0],
    )
    assert r'"GET /\x22\x0a\x22 HTTP/1.1" 404 ' in lines[1]


def test_the_lifespan_is_passed_on(log: Any) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: object, send: object) -> None:
        seen.append(scope["type"])

    asyncio.run(AccessLogMiddleware(app, "json", log[0])({"type": "lifespan"}, None, None))
    assert (seen, log[1]) == (["lifespan"], [])


# --- Others' tools ----------------------------------------------------------------------------------


@pytest.mark.suite
@pytest.mark.timeout(300)
@pytest.mark.parametrize("tool", ["opentelemetry", "prometheus", "sentry"])
def test_tools_from_pypi_work_unmodified(tool: str) -> None:
    python = environment("observability", "ecosystem/observability", shadow=True)
    done = subprocess.run([python, PROBES, tool], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"{tool} works\n"


def test_the_module_is_loaded_by_those_who_use_it() -> None:
    code = "import sys, kolben; kolben.Flask('x'); print('kolben.serving.observability' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
