"""A WebSocket that waits, on kolben."""

from __future__ import annotations

from kolben import Flask, websocket

_app = Flask("idle", static_folder=None)


@_app.websocket("/ws")
async def wait() -> None:
    await websocket.accept()
    while True:
        await websocket.send(await websocket.receive())


app = _app.asgi_app
