"""The floor: an ASGI callable with no framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

KIND = "asgi"
WORKLOADS = ("hello", "path", "json")


async def app(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """Answer the socket's three workloads with as little as a server accepts."""
    if scope["type"] == "lifespan":
        for _ in ("startup", "shutdown"):
            await send({"type": f"{(await receive())['type']}.complete"})
        return
    path = scope["path"]
    kind = b"text/html; charset=utf-8"
    if path == "/":
        body = b"Hello, World!"
    elif path == "/json":
        while (await receive())["more_body"]:
            pass
        kind = b"application/json"
        body = b'{"hello":"Ada","next":37,"tags":["maths","poetry"]}\n'
    else:
        _, _, user_id, _, slug = path.split("/")
        body = f"{user_id} {slug}".encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
