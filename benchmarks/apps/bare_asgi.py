"""The floor: an ASGI callable with no framework, but the same work."""

from __future__ import annotations

from collections.abc import Callable
from json import dumps, loads
from typing import Any

KIND = "asgi"
WORKLOADS = ("hello", "path", "json")


async def app(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """Answer the socket's three workloads doing their work and no more."""
    if scope["type"] == "lifespan":
        for _ in ("startup", "shutdown"):
            await send({"type": f"{(await receive())['type']}.complete"})
        return
    path = scope["path"]
    kind = b"text/html; charset=utf-8"
    if path == "/":
        body = b"Hello, World!"
    elif path == "/json":
        received, more = b"", True
        while more:
            message = await receive()
            received += message.get("body", b"")
            more = message.get("more_body", False)
        data = loads(received)
        kind = b"application/json"
        answer = {"hello": data["name"], "next": data["age"] + 1, "tags": data["tags"]}
        body = dumps(answer).encode()
    else:
        _, _, user_id, _, slug = path.split("/")
        body = f"{user_id} {slug}".encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
