"""What still runs when an ASGI server shuts the application down."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import kolben.asgi.endings
from kolben import Flask, websocket
from kolben.engine.lifetime import AT_ONCE

SCOPES: dict[str, dict[str, Any]] = {
    "http": {"type": "http", "method": "GET", "path": "/", "headers": []},
    "websocket": {"type": "websocket", "path": "/", "headers": []},
}


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def app(log: list[str]) -> Flask:
    app = Flask(__name__)

    async def slowly() -> str:
        app.extensions["begun"] = True
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            log.append("finally")
        return ""

    app.get("/")(slowly)

    @app.websocket("/")
    async def socket() -> None:
        await websocket.accept()
        await slowly()

    app.teardown_request(lambda error: log.append("teardown"))
    app.teardown_websocket(lambda error: log.append("teardown"))
    app.after_serving(lambda: log.append("after_serving"))
    return app


async def stop_in_the_middle(app: Flask, kind: str, *, cancel: bool, at_once: bool = False) -> None:
    """Shut the application down in the same turn of the loop in which its request is cancelled."""
    to_app: asyncio.Queue[Any] = asyncio.Queue()
    answers: asyncio.Queue[Any] = asyncio.Queue()
    lifespan = asyncio.create_task(app.asgi_app({"type": "lifespan"}, to_app.get, answers.put))
    to_app.put_nowait({"type": "lifespan.startup"})
    await answers.get()
    messages = (
        [{"type": "websocket.connect"}] if kind == "websocket" else [{"type": "http.request"}]
    )

    async def receive() -> Any:
        if messages:
            return messages.pop()
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        pass

    async def server() -> None:
        await app.asgi_app({**SCOPES[kind]}, receive, send)

    request = asyncio.create_task(server())
    while "begun" not in app.extensions:  # noqa: ASYNC110 (from whichever loop)
        await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    if cancel:
        request.cancel()
    to_app.put_nowait({"type": "lifespan.shutdown", AT_ONCE: at_once})
    await asyncio.wait_for(lifespan, 10)
    if not cancel:
        request.cancel()
    await asyncio.wait({request})


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_what_the_server_has_cancelled_cleans_up_first(
    app: Flask, log: list[str], kind: str
) -> None:
    asyncio.run(stop_in_the_middle(app, kind, cancel=True))
    assert log == ["finally", "teardown", "after_serving"]


def test_what_takes_too_long_for_that_is_not_waited_for(
    app: Flask, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kolben.asgi.endings, "CLEAN_UP", 0.01)
    asyncio.run(stop_in_the_middle(app, "http", cancel=True))
    assert log.index("after_serving") < log.index("finally")


def test_where_the_time_is_over_it_is_not_waited_for(app: Flask, log: list[str]) -> None:
    asyncio.run(stop_in_the_middle(app, "http", cancel=True, at_once=True))
    assert log.index("after_serving") < log.index("finally")


def test_what_is_not_cancelled_is_not_waited_for(app: Flask, log: list[str]) -> None:
    asyncio.run(stop_in_the_middle(app, "http", cancel=False))
    assert log.index("after_serving") < log.index("finally")
