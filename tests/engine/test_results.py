"""What a view may return, and how what it may not is named."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest
from werkzeug.datastructures import Headers
from werkzeug.exceptions import Gone
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response as BaseResponse

import kolben


def answer(result: t.Any, **settings: t.Any) -> TestResponse:
    app = kolben.Flask(__name__, static_folder=None)
    app.config.update(settings)
    app.testing = True
    app.add_url_rule("/", "the_view", lambda: result() if callable(result) else result)
    return app.test_client().get("/")


def pieces() -> Iterator[str]:
    yield "a"
    yield "b"


RESULTS = {
    "text": ("é", 200, "é"),
    "bytes": (b"x", 200, "x"),
    "bytearray": (bytearray(b"x"), 200, "x"),
    "iterator": (pieces, 200, "ab"),
    "dict": ({"a": 1}, 200, '{"a":1}\n'),
    "list": ([1], 200, "[1]\n"),
    "status": (("x", 201), 201, "x"),
    "status text": (("x", "299 Odd"), 299, "x"),
    "status of JSON": (({}, 202), 202, "{}\n"),
    "status of JSON, text": (({}, "299 Odd"), 299, "{}\n"),
    "response": (lambda: kolben.Response("x", 203), 203, "x"),
    "another response": (lambda: BaseResponse("x", 203), 203, "x"),
    "exception": (lambda: Gone("over"), 410, None),
    "WSGI application": (lambda: BaseResponse("app"), 200, "app"),
}


@pytest.mark.parametrize("kind", RESULTS)
def test_what_a_view_may_return(kind: str) -> None:
    result, status, text = RESULTS[kind]
    response = answer(result)
    assert response.status_code == status
    assert text is None or response.text == text


@pytest.mark.parametrize("headers", [{"X-A": "1"}, [("X-A", "1")], Headers({"X-A": "1"})])
@pytest.mark.parametrize("body", ["x", {}, kolben.Response("x")], ids=["text", "JSON", "response"])
def test_headers_of_any_kind_go_with_a_body_of_any_kind(body: t.Any, headers: t.Any) -> None:
    assert answer((body, headers)).headers["X-A"] == "1"
    both = answer((body, 202, headers))
    assert (both.status_code, both.headers["X-A"]) == (202, "1")


def coroutine() -> t.Any:
    async def forgotten() -> str:
        return "x"

    return forgotten()


WRONG = {
    "None": (None, "'the_view'.*did not return a valid response. It returned None"),
    "None with a status": ((None, 200), "It returned None"),
    "number": (5, "'the_view'.*but it was a int"),
    "long tuple": (("a", 1, {}, 4), "valid response tuple"),
    "short tuple": (("a",), "valid response tuple"),
    "coroutine": (coroutine, "returned a coroutine: await it.*forgotten"),
    "function": (lambda: len, "but it was a builtin_function_or_method"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_a_view_may_not_return_is_named(kind: str) -> None:
    result, said = WRONG[kind]
    with pytest.raises(TypeError, match=said):
        answer(result)
