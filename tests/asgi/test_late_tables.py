"""What changes while a view runs counts for its answer, and a body is waited for as long as is allowed."""

from __future__ import annotations

import asyncio
import typing as t

import kolben


def ask(app: kolben.Flask, path: str, *pieces: bytes) -> list[dict[str, t.Any]]:
    """Send a request whose pieces of body come late, and return what the application sends."""
    sent: list[dict[str, t.Any]] = []
    waiting = list(pieces)

    async def receive() -> dict[str, t.Any]:
        for _ in range(3):
            await asyncio.sleep(0)
        body = waiting.pop(0) if waiting else b""
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message: t.Any) -> None:
        sent.append(message)

    length = str(sum(map(len, pieces))).encode()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-length", length)],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return sent


def test_a_body_may_take_its_time_where_none_is_set() -> None:
    app = kolben.Flask(__name__)
    app.config["BODY_TIMEOUT"] = None

    @app.post("/")
    async def view() -> bytes:
        return kolben.request.get_data()

    for _ in range(2):
        assert ask(app, "/", b"ab", b"cd")[1]["body"] == b"abcd"


def test_a_hook_that_a_view_adds_sees_its_answer() -> None:
    app = kolben.Flask(__name__)
    seen = []

    def after(response: kolben.Response) -> kolben.Response:
        seen.append(response.status_code)
        return response

    @app.post("/")
    async def view() -> kolben.Response:
        app.after_request_funcs.setdefault(None, []).append(after)
        return kolben.Response("x")

    @app.post("/app")
    async def foreign() -> t.Any:
        app.after_request_funcs.setdefault(None, []).append(after)
        return {"a": 1}, 201

    ask(app, "/", b"")
    assert seen == [200]
    ask(app, "/app", b"")
    assert seen[1:] == [201, 201]
