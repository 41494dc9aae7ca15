"""The floor: a WSGI callable with no framework, but the same work."""

from __future__ import annotations

from collections.abc import Callable
from json import dumps, loads
from typing import Any

KIND = "wsgi"
WORKLOADS = ("hello", "path", "json")


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer the socket's three workloads doing their work and no more."""
    path = environ["PATH_INFO"]
    kind = "text/html; charset=utf-8"
    if path == "/":
        body = b"Hello, World!"
    elif path == "/json":
        data = loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        kind = "application/json"
        answer = {"hello": data["name"], "next": data["age"] + 1, "tags": data["tags"]}
        body = dumps(answer).encode()
    else:
        _, _, user_id, _, slug = path.split("/")
        body = f"{user_id} {slug}".encode()
    start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
