"""Answers requests with the application on real Flask: a process that reads and writes JSON lines.

Run by the Python of an environment that has Flask; `exchange` is used on both sides.
"""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import Any


class Input:
    """A server's `wsgi.input`, as bad as the case wants it.

    :param data: the body.
    :param piece: the most bytes that a read returns.
    :param fails: raise OSError in place of the end.
    """

    def __init__(self, data: bytes, piece: int = 0, fails: bool = False) -> None:
        self._file = io.BytesIO(data)
        self._piece = piece
        self._fails = fails

    def read(self, size: int = -1) -> bytes:
        if self._piece and (size < 0 or size > self._piece):
            size = self._piece
        data = self._file.read(size)
        if not data and size and self._fails:
            raise OSError("the connection is gone")
        return data

    def readline(self, size: int = -1) -> bytes:
        return self._file.readline(size)

    def readlines(self, hint: int = -1) -> list[bytes]:
        return self._file.readlines(hint)

    def __iter__(self) -> Any:
        return iter(self._file)


def make_environ(case: dict[str, Any]) -> dict[str, Any]:
    """Make the environ of a case: texts of latin-1 characters, which JSON can carry."""
    body = case.get("body", "").encode("latin-1")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": Input(body, case.get("piece", 0), case.get("fails", False)),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if case.get("terminated"):
        environ["wsgi.input_terminated"] = True
    if body and "CONTENT_LENGTH" not in case.get("environ", {}):
        environ["CONTENT_LENGTH"] = str(len(body))
    environ.update(case.get("environ", {}))
    for name in case.get("without", ()):
        environ.pop(name, None)
    return environ


def exchange(app: Any, case: dict[str, Any]) -> dict[str, Any]:
    """Send a case to an application and return what came back."""
    started: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        started[:] = status, headers
        return lambda data: None

    try:
        body = app(make_environ(case), start_response)
        try:
            content = b"".join(body)
        finally:
            if hasattr(body, "close"):
                body.close()
    except Exception as error:
        return {"raised": f"{type(error).__name__}: {error}"}
    status, headers = started
    return {
        "status": status,
        "headers": sorted([name, _order(name, value)] for name, value in headers if name != "Date"),
        "body": content.decode("latin-1"),
    }


def _order(name: str, value: str) -> str:
    # A set of methods has no order.
    return ", ".join(sorted(value.split(", "))) if name == "Allow" else value


def main() -> None:
    import flask
    from application import build

    logging.disable(logging.CRITICAL)
    apps: dict[str, Any] = {}
    for line in sys.stdin:
        case = json.loads(line)
        config = case.get("config", {})
        key = json.dumps(config, sort_keys=True)
        if key not in apps:
            apps[key] = build(flask, **config)
        print(json.dumps(exchange(apps[key], case)), flush=True)


if __name__ == "__main__":
    main()
