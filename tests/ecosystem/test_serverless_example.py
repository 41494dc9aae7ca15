"""The program of `docs/how-to/serverless.md`: a function answers the events of a gateway."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from suite_environments import ROOT, environment

pytestmark = [pytest.mark.suite, pytest.mark.timeout(600)]

#: What the service does: it imports the program once, then calls the function for each event.
SERVICE = """
import json, sys
from app import handler

for line in sys.stdin:
    print(json.dumps(handler(json.loads(line), None)), flush=True)
"""
Call = Callable[..., Any]


@pytest.fixture
def call(tmp_path: Path) -> Any:
    python = environment("serverless", "ecosystem/serverless")
    process = subprocess.Popen(
        [python, "-c", SERVICE],
        cwd=ROOT / "examples" / "serverless",
        env=os.environ | {"SECRET_KEY": "only for tests", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    with process, process.stdin, process.stdout:

        def call(event: dict[str, Any]) -> Any:
            process.stdin.write(json.dumps(event) + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            return json.loads(process.stdout.readline())  # type: ignore[union-attr]

        yield call
        process.terminate()


def event(method: str, path: str, query: str = "", **more: Any) -> dict[str, Any]:
    """An event of API Gateway's, in its format 2.0."""
    host = {"host": "abc.execute-api.example", "x-forwarded-proto": "https"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": host | more.pop("headers", {}),
        "requestContext": {
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
            }
        },
        "isBase64Encoded": False,
        **more,
    }


def test_a_session_goes_on_in_its_cookie(call: Call) -> None:
    first = call(event("GET", "/", "name=Ada"))
    assert first["statusCode"] == 200
    assert json.loads(first["body"]) == {"hello": "Ada", "visits": 1}
    (cookie,) = first["cookies"]
    assert "; Secure;" in cookie
    again = call(event("GET", "/", cookies=[cookie.partition(";")[0]]))
    assert json.loads(again["body"]) == {"hello": "World", "visits": 2}


def test_a_file_comes_in_base64(call: Call) -> None:
    content = b"\x00\xff" * 100
    body = (
        b"--x\r\nContent-Disposition: form-data; name=file; filename=a.bin\r\n\r\n"
        + content
        + b"\r\n--x--\r\n"
    )
    answer = call(
        event(
            "POST",
            "/files",
            headers={"content-type": "multipart/form-data; boundary=x"},
            body=base64.b64encode(body).decode(),
            isBase64Encoded=True,
        )
    )
    assert json.loads(answer["body"]) == {"name": "a.bin", "size": 200}


def test_bytes_go_out_in_base64(call: Call) -> None:
    answer = call(event("GET", "/picture"))
    assert answer["isBase64Encoded"] is True
    assert base64.b64decode(answer["body"]) == b"\x89PNG\r\n\x1a\n\x00\xff"


def test_an_error_is_an_answer(call: Call) -> None:
    assert call(event("GET", "/nowhere"))["statusCode"] == 404
    assert call(event("POST", "/files"))["statusCode"] == 400
