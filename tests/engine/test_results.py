"""What a view may return, and how what it may not is named."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest
from werkzeug.datastructures import Headers, WWWAuthenticate
from werkzeug.exceptions import (
    Gone,
    HTTPException,
    MethodNotAllowed,
    NotFound,
    Unauthorized,
    default_exceptions,
)
from werkzeug.http import HTTP_STATUS_CODES
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


# -- the pages of HTTP errors ----------------------------------------------------------------


def sent_for(app: kolben.Flask) -> tuple[str, dict[str, str], bytes]:
    response = app.test_client().get("/")
    return response.status, dict(response.headers), response.data


def app_raising(error: t.Any, *, with_blueprint: bool = False) -> kolben.Flask:
    app = kolben.Flask(__name__)
    if with_blueprint:
        app.register_blueprint(kolben.Blueprint("shop", __name__))

    @app.get("/")
    def fail() -> str:
        raise error()

    return app


@pytest.mark.parametrize("with_blueprint", [False, True], ids=["application", "blueprint"])
@pytest.mark.parametrize("kind", [*default_exceptions.values()], ids=lambda kind: kind.__name__)
def test_the_page_of_an_error_is_werkzeugs(kind: t.Any, with_blueprint: bool) -> None:
    app = app_raising(kind, with_blueprint=with_blueprint)
    made = kind().get_response({"REQUEST_METHOD": "GET"})
    for _ in range(2):
        assert sent_for(app) == (made.status, dict(made.headers), made.data)


class OwnMissing(NotFound):
    description = "Not in this shop."


@pytest.mark.parametrize(
    "error",
    [
        OwnMissing,
        lambda: NotFound("Gone <for> good"),
        lambda: NotFound(response=BaseResponse("nothing", 404)),
        lambda: MethodNotAllowed(["PUT"]),
        lambda: Unauthorized(www_authenticate=WWWAuthenticate("basic", {"realm": "shop"})),
    ],
    ids=["class", "description", "response", "methods", "authenticate"],
)
def test_an_error_that_says_something_of_its_own_says_it(error: t.Any) -> None:
    made = error().get_response({"REQUEST_METHOD": "GET"})
    assert sent_for(app_raising(error)) == (made.status, dict(made.headers), made.data)


def test_what_a_program_changes_about_pages_holds_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = app_raising(NotFound)
    assert b"The requested URL" in sent_for(app)[2]
    monkeypatch.setattr(NotFound, "description", "Look elsewhere.")
    assert b"<p>Look elsewhere.</p>" in sent_for(app)[2]
    monkeypatch.setitem(HTTP_STATUS_CODES, 404, "Nothing")
    assert b"<h1>Nothing</h1>" in sent_for(app)[2]
    monkeypatch.setattr(HTTPException, "get_body", lambda self, *args: "by an agent")
    assert sent_for(app)[2] == b"by an agent"


def test_a_program_may_change_them_as_often_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_raising(NotFound)
    for number in range(100):
        monkeypatch.setattr(NotFound, "description", f"Look in room {number}.")
        for _ in range(2):
            assert f"<p>Look in room {number}.</p>".encode() in sent_for(app)[2]


def test_the_page_of_an_error_is_a_response_of_the_programs_class() -> None:
    class Own(kolben.Response):
        default_mimetype = "text/plain"

    app = app_raising(NotFound)
    app.response_class = Own
    seen = []
    app.after_request(lambda response: seen.append(type(response)) or response)
    assert sent_for(app)[1]["Content-Type"] == "text/html; charset=utf-8"
    assert seen == [Own]


def test_an_http_error_with_a_call_of_its_own_is_called() -> None:
    app = kolben.Flask(__name__)

    class Maintenance(HTTPException):
        code = 503

        def __call__(self, environ: t.Any, start_response: t.Any) -> t.Any:
            start_response(
                "503 Maintenance", [("Content-Type", "text/plain"), ("Retry-After", "9")]
            )
            return [environ["PATH_INFO"].encode()]

    @app.route("/raised")
    def raised() -> t.Any:
        raise Maintenance

    @app.route("/returned")
    def returned() -> t.Any:
        return Maintenance()

    for path in ("/raised", "/returned"):
        response = app.test_client().get(path)
        assert (response.status, response.text) == ("503 Maintenance", path)
        assert response.headers["Retry-After"] == "9"
