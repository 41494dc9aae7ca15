"""What agents put around methods is called, of Werkzeug's classes, too."""

from __future__ import annotations

import subprocess
import sys
import typing as t
from collections.abc import Callable
from functools import partial

import pytest
import werkzeug.datastructures
import werkzeug.exceptions
import werkzeug.sansio.request
import werkzeug.wrappers
from werkzeug.test import EnvironBuilder, run_wsgi_app

import kolben
from kolben.http.headers import ResponseHeaders
from kolben.http.streaming import AsyncBody


class Around:
    """A function around another one that says that it is equal to it, as those of wrapt do."""

    def __init__(self, inner: t.Any) -> None:
        self.inner = inner
        self.calls = 0

    def __eq__(self, other: object) -> bool:
        return other is self or other == self.inner

    def __hash__(self) -> int:
        return hash(self.inner)

    def __get__(self, instance: t.Any, kind: type) -> Callable[..., t.Any]:
        return self if instance is None else partial(self, instance)

    def __call__(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
        self.calls += 1
        return self.inner(*args, **kwargs)


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__)

    @app.post("/json")
    def read_json() -> t.Any:
        response = kolben.jsonify(kolben.request.get_json())
        response.set_cookie("a", "1")
        return response

    @app.post("/data")
    def read_data() -> t.Any:
        request = kolben.request
        return [request.method, request.full_path, request.get_data(as_text=True), request.host]

    return app


def send(app: t.Any) -> list[tuple[str, bytes]]:
    answers = []
    for path, kind in (("/json", "application/json"), ("/data?q=1", "text/plain"), ("/none", "")):
        builder = EnvironBuilder(path, method="POST", data=b'{"a": 1}', content_type=kind)
        body, status, _ = run_wsgi_app(app, builder.get_environ())
        answers.append((status, b"".join(body)))
    return answers


@pytest.mark.parametrize(
    ("kind", "name", "times"),
    [
        (werkzeug.wrappers.Request, "__init__", 3),
        (werkzeug.sansio.request.Request, "__init__", 3),
        (werkzeug.wrappers.Request, "get_json", 1),
        (werkzeug.wrappers.Request, "get_data", 2),
        # On Flask the page of an HTTP error is called to be made a response of the application's class.
        (werkzeug.wrappers.Response, "__call__", 4),
        (werkzeug.wrappers.Response, "get_wsgi_headers", 4),
        (werkzeug.wrappers.Response, "get_wsgi_response", 4),
        (werkzeug.wrappers.Response, "set_cookie", 1),
        (kolben.Request, "get_json", 1),
        (kolben.Response, "get_wsgi_headers", 3),
        (werkzeug.exceptions.NotFound, "get_body", 1),
    ],
)
def test_what_says_that_it_is_equal_to_a_method_is_called(
    app: kolben.Flask, monkeypatch: pytest.MonkeyPatch, kind: t.Any, name: str, times: int
) -> None:
    plain = send(app)
    around = Around(getattr(kind, name))
    monkeypatch.setattr(kind, name, around)
    app.before_request_funcs.setdefault(None, []).append(lambda: None)  # which makes it look again
    assert send(app) == plain
    assert around.calls == times
    monkeypatch.undo()
    app.before_request_funcs.clear()
    assert send(app) == plain
    assert around.calls == times


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("__init__", ["environ"]),
        ("get_json", ["silent", "force"]),
        ("get_data", ["as_text"]),
    ],
)
def test_what_is_put_around_werkzeugs_method_sees_flasks_arguments(
    monkeypatch: pytest.MonkeyPatch, method: str, arguments: list[str]
) -> None:
    app = kolben.Flask(__name__)

    @app.post("/")
    def read() -> t.Any:
        request = kolben.request
        return [request.get_data(as_text=True), request.get_json(silent=True, force=True)]

    inner: t.Any = getattr(werkzeug.wrappers.Request, method)
    seen: list[tuple[int, list[str]]] = []

    def around(self: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
        seen.append((len(args), list(kwargs)))
        return inner(self, *args, **kwargs)

    monkeypatch.setattr(werkzeug.wrappers.Request, method, around)
    assert app.test_client().post("/", data=b"{}").json == ["{}", {}]
    assert seen[0] == ((1, []) if method == "__init__" else (0, arguments))


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("__init__", (0, ["status", "headers"])),
        ("set_cookie", (2, ["httponly"])),
        ("make_conditional", (1, ["accept_ranges"])),
    ],
)
def test_what_is_put_around_werkzeugs_responses_sees_flasks_arguments(
    monkeypatch: pytest.MonkeyPatch, method: str, arguments: tuple[int, list[str]]
) -> None:
    app = kolben.Flask(__name__)

    @app.get("/")
    def view() -> t.Any:
        response = kolben.Response(status=201, headers={"X-A": "1"})
        response.set_cookie("a", "b", httponly=True)
        with pytest.raises(ValueError, match="cannot"):
            response.set_cookie("a;b", "c")
        with pytest.raises(ValueError, match="X-B"):
            response.headers["X-B"] = "a\nb"
        return response.make_conditional(kolben.request, accept_ranges=True)

    plain = app.test_client().get("/")
    inner: t.Any = getattr(werkzeug.wrappers.Response, method)
    seen: list[tuple[int, list[str]]] = []

    def around(self: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
        seen.append((len(args), list(kwargs)))
        return inner(self, *args, **kwargs)

    monkeypatch.setattr(werkzeug.wrappers.Response, method, around)
    patched = app.test_client().get("/")
    assert (patched.status, patched.headers, patched.data) == (
        plain.status,
        plain.headers,
        plain.data,
    )
    assert seen[0] == arguments


def test_a_response_made_in_werkzeugs_way_is_ours_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = kolben.Flask(__name__)
    inner: t.Any = werkzeug.wrappers.Response.__init__
    monkeypatch.setattr(
        werkzeug.wrappers.Response, "__init__", lambda self, *a, **k: inner(self, *a, **k)
    )
    app.add_url_rule("/", "view", lambda: "text")
    assert app.test_client().get("/").data == b"text"

    async def pieces() -> t.AsyncIterator[bytes]:
        yield b"piece"

    assert isinstance(kolben.Response("text").headers, ResponseHeaders)
    assert isinstance(kolben.Response(response="text", headers={"A": "b"}).headers, ResponseHeaders)
    headers = werkzeug.datastructures.Headers({"A": "b"})
    assert kolben.Response("text", 200, headers).headers is headers
    assert isinstance(kolben.Response(response=pieces()).response, AsyncBody)
    with pytest.raises(ValueError, match="'X-A'"):
        kolben.Response("text", headers={"X-A": "a\0b"})
    with pytest.raises(ValueError, match="'a b'"):
        kolben.Response("text", 200, werkzeug.datastructures.Headers({"a b": "c"}))


def test_a_condition_that_no_clock_has_is_ignored_in_werkzeugs_way_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = kolben.Flask(__name__)

    @app.get("/")
    def view() -> t.Any:
        return kolben.Response("text").make_conditional(kolben.request.environ)

    inner: t.Any = werkzeug.wrappers.Response.make_conditional
    monkeypatch.setattr(
        werkzeug.wrappers.Response, "make_conditional", lambda self, *a, **k: inner(self, *a, **k)
    )
    date = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
    assert app.test_client().get("/", headers={"If-Modified-Since": date}).status_code == 200


def test_a_programs_own_response_class_may_be_patched_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Own(kolben.Response):
        pass

    class Inner(Own):
        pass

    app = kolben.Flask(__name__)
    app.response_class = Inner
    app.add_url_rule("/", "view", lambda: "text")
    client = app.test_client()
    assert client.get("/").data == b"text"
    calls: list[str] = []
    for owner, name in (
        (Own, "get_wsgi_headers"),
        (Inner, "get_app_iter"),
        (kolben.Response, "get_wsgi_response"),
        (werkzeug.wrappers.Response, "iter_encoded"),
    ):
        inner: t.Any = getattr(owner, name)

        def around(self: t.Any, *args: t.Any, name: str = name, inner: t.Any = inner) -> t.Any:
            calls.append(name)
            return inner(self, *args)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, around)
            assert client.get("/").data == b"text"
        assert calls[:1] == [name]
        calls.clear()
        assert client.get("/").data == b"text"
        assert calls == []


def test_a_second_member_that_is_patched_counts_as_the_first_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = kolben.Flask(__name__)
    app.secret_key = "k"
    app.add_url_rule("/", "view", lambda: str(kolben.session.setdefault("n", 1)))
    client = app.test_client()
    interface: t.Any = kolben.sessions.SecureCookieSessionInterface
    calls: list[str] = []
    for name in ("get_expiration_time", "get_cookie_partitioned", "get_cookie_path"):
        inner = getattr(interface, name)

        def around(*args: t.Any, name: str = name, inner: t.Any = inner) -> t.Any:
            calls.append(name)
            return inner(*args)

        monkeypatch.setattr(interface, name, around)
        client.delete_cookie("session")
        client.get("/")
        assert name in calls
        calls.clear()


def test_json_that_is_nested_too_deeply_is_400_through_werkzeugs_method_too(
    app: kolben.Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner: t.Any = werkzeug.wrappers.Request.get_json
    monkeypatch.setattr(werkzeug.wrappers.Request, "get_json", Around(inner))
    app.add_url_rule(
        "/silent", "silent", lambda: [kolben.request.get_json(silent=True)], methods=["POST"]
    )
    by_position = lambda: [kolben.request.get_json(False, True)]  # noqa: E731
    app.add_url_rule("/by-position", "by_position", by_position, methods=["POST"])
    client = app.test_client()
    deep = "[" * 200_000
    assert client.post("/json", data=deep, content_type="application/json").status_code == 400
    for path in ("/silent", "/by-position"):
        assert client.post(path, data=deep, content_type="application/json").json == [None]


def test_what_was_put_around_werkzeugs_methods_before_kolben_was_imported_is_called() -> None:
    program = """
import werkzeug.wrappers
from werkzeug.test import EnvironBuilder, run_wsgi_app

calls = []

def put_around(kind, name):
    inner = getattr(kind, name)

    def wrapper(self, *args, **kwargs):
        calls.append(name)
        return inner(self, *args, **kwargs)

    setattr(kind, name, wrapper)

put_around(werkzeug.wrappers.Request, "get_json")
put_around(werkzeug.wrappers.Response, "__call__")
import kolben

app = kolben.Flask("program")
app.post("/")(lambda: kolben.request.get_json())
builder = EnvironBuilder("/", method="POST", json={"a": 1})
assert b"".join(run_wsgi_app(app, builder.get_environ())[0]) == b'{"a":1}\\n'
print(*calls)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["get_json", "__call__"], done.stderr
