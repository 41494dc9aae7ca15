"""What changes while a view runs counts for its answer, and a body is waited for as long as is allowed."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

import kolben
from kolben.engine import members
from kolben.signals import websocket_tearing_down


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


def test_a_cookie_of_odd_text_is_escaped_where_the_method_is_patched() -> None:
    response = kolben.Response()
    members._set_cookie(response, "a", "b\tc")
    assert response.headers["Set-Cookie"] == 'a="b\\011c"; Path=/'


def test_an_application_without_url_adapters_answers_as_it_can() -> None:
    class App(kolben.Flask):
        def create_url_adapter(self, request: t.Any) -> t.Any:
            return None

    app = App(__name__)
    app.add_url_rule("/", view_func=lambda: "")
    assert app.test_client().get("/").status_code == 500


def test_a_receiver_that_cancels_ends_no_teardown() -> None:
    app = kolben.Flask(__name__)
    torn: list[str] = []

    @app.websocket("/")
    async def view() -> None:
        await kolben.websocket.send("x")

    @app.teardown_appcontext
    def teardown(error: BaseException | None) -> None:
        torn.append("app")

    def cancel(sender: kolben.Flask, **values: t.Any) -> None:
        raise asyncio.CancelledError

    async def talk() -> None:
        with contextlib.suppress(BaseException):
            async with app.async_test_client().websocket("/") as socket:
                await socket.receive()

    with websocket_tearing_down.connected_to(cancel, app):
        asyncio.run(talk())
    assert torn == ["app"]
