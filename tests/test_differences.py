"""What is done otherwise than in Flask 3.1.3, where no other test shows it; see docs/differences.md."""

from __future__ import annotations

import asyncio
from abc import ABC
from typing import Any, Generic, Protocol, TypeVar

import pytest
from werkzeug.test import EnvironBuilder, create_environ, run_wsgi_app
from werkzeug.wsgi import ClosingIterator

import kolben
from kolben.globals import _cv_app, _cv_request
from kolben.sessions import SecureCookieSessionInterface


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__)
    app.secret_key = "k"
    app.testing = True
    return app


@pytest.mark.parametrize("looked", [False, True])
def test_the_environ_has_a_request_only_where_a_program_looked(
    app: kolben.Flask, looked: bool
) -> None:
    app.add_url_rule("/", "index", lambda: kolben.request.path if looked else "/")
    environ = EnvironBuilder("/").get_environ()
    app(environ, lambda *args: None)
    assert ("werkzeug.request" in environ) == looked


def test_a_stream_is_torn_down_once_and_at_its_end(app: kolben.Flask) -> None:
    log: list[Any] = []
    app.teardown_request(lambda error: log.append("request"))
    app.teardown_appcontext(lambda error: log.append("app"))

    @app.get("/")
    def index():
        return kolben.stream_with_context(name for name in ["a", "b"])

    body, _, _ = run_wsgi_app(app, EnvironBuilder("/").get_environ())
    log.extend(body)
    body.close()
    assert log == [b"a", b"b", "request", "app"]


def test_an_interface_of_ones_own_opens_each_session(app: kolben.Flask) -> None:
    opened: list[str] = []

    class Interface(SecureCookieSessionInterface):
        def open_session(self, app, request):
            opened.append(request.path)
            return super().open_session(app, request)

    app.session_interface = Interface()
    app.add_url_rule("/", "index", lambda: "nobody looks")
    app.test_client().get("/")
    assert opened == ["/"]


@pytest.mark.parametrize(("length", "start"), [(40, "session=ey"), (80, "session=.e")])
def test_a_small_session_is_not_compressed(app: kolben.Flask, length: int, start: str) -> None:
    @app.get("/")
    def index():
        kolben.session["text"] = "x" * length
        return ""

    assert app.test_client().get("/").headers["Set-Cookie"].startswith(start)


def test_popping_out_of_order_tears_nothing_down(app: kolben.Flask) -> None:
    log: list[Any] = []
    app.teardown_request(log.append)
    with app.test_request_context("/1") as outer, app.test_request_context("/2"):
        with pytest.raises(AssertionError, match="cannot be popped"):
            outer.pop()
        assert log == []
    assert log == [None, None]
    with pytest.raises(AssertionError, match="cannot be popped"):
        app.app_context().pop()


def test_the_context_variables_are_for_reading(app: kolben.Flask) -> None:
    with app.test_request_context() as context:
        assert _cv_request.get() is context
        assert _cv_app.get().app is app
    assert not hasattr(_cv_app, "set")


def test_async_views_of_a_thread_share_a_loop(app: kolben.Flask) -> None:
    @app.get("/")
    async def index():
        return str(id(asyncio.get_running_loop()))

    client = app.test_client()
    assert client.get("/").text == client.get("/").text


def test_a_patch_of_the_class_counts_at_once_for_test_clients(
    app: kolben.Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.add_url_rule("/", "index", lambda: "view")
    client = app.test_client()
    assert client.get("/").text == "view"
    with monkeypatch.context() as patch:
        patch.setattr(kolben.Flask, "dispatch_request", lambda self: "patched")
        assert client.get("/").text == "patched"
    assert client.get("/").text == "view"


@pytest.mark.parametrize("name", ["wsgi_app", "dispatch_request", "full_dispatch_request"])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_patch_of_the_class_counts_from_the_next_change_of_a_table_on(
    app: kolben.Flask, monkeypatch: pytest.MonkeyPatch, gateway: Any, name: str, is_async: bool
) -> None:
    """Agents that are started late connect receivers of signals, or register hooks, too."""
    calls: list[str] = []

    def receiver(sender: Any, **extra: Any) -> None:
        pass

    inner = getattr(kolben.Flask, name)

    def count(self: Any, *args: Any) -> Any:
        calls.append(name)
        return inner(self, *args)

    async def asynchronous() -> str:
        return "view"

    app.add_url_rule("/", "index", asynchronous if is_async else lambda: "view")
    fresh = kolben.Flask(__name__)
    fresh.add_url_rule("/", "index", lambda: "view")
    assert gateway.get(app, "/").text == "view"
    with monkeypatch.context() as patch:
        patch.setattr(kolben.Flask, name, count)
        assert gateway.get(app, "/").text == "view"
        assert calls == []
        assert gateway.get(fresh, "/").text == "view"  # its first request
        assert len(calls) == 1
        kolben.request_started.connect(receiver, app)
        for expected in (2, 3):
            assert gateway.get(app, "/").text == "view"
            assert len(calls) == expected
    kolben.request_started.disconnect(receiver, app)
    assert gateway.get(app, "/").text == "view"
    assert len(calls) == 3


@pytest.mark.parametrize("kind", ["Request", "Response"])
def test_a_patch_that_is_taken_back_leaves_nothing(
    app: kolben.Flask, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    app.add_url_rule("/", "index", lambda: kolben.request.get_data(as_text=True) or "view")
    client = app.test_client()
    name = {"Request": "get_data", "Response": "get_wsgi_headers"}[kind]
    inner, calls = getattr(getattr(kolben, kind), name), []

    def count(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return inner(self, *args, **kwargs)

    assert client.get("/").text == "view"
    with monkeypatch.context() as patch:
        patch.setattr(getattr(kolben, kind), name, count)
        assert client.get("/").text == "view"
        assert len(calls) == 1
    assert client.get("/").text == "view"
    assert app.engine_plan.short_way
    assert kolben.Response.has_short_ways


class OneOfAKind(type):
    """A metaclass of a program's own, as some give their application."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(*args, **kwargs)


class Named(Protocol):
    name: str


@pytest.mark.parametrize("name", ["Flask", "Blueprint", "Request", "Response"])
@pytest.mark.parametrize("mixed_in", [OneOfAKind("Own", (), {}), Named, ABC, Generic[TypeVar("T")]])
def test_a_class_of_a_programs_own_may_have_any_metaclass(name: str, mixed_in: Any) -> None:
    """So ours have none, which would tell of patches."""
    flask_class: Any = getattr(kolben, name)

    class Own(flask_class, mixed_in):
        pass

    assert issubclass(Own, flask_class)


def test_a_patch_of_the_class_counts_for_new_applications(
    app: kolben.Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = kolben.Flask(__name__)
    for each in (app, fresh):
        each.add_url_rule("/", "index", lambda: "view")
    environ = create_environ("/")
    assert b"".join(app(environ.copy(), lambda *args: None)) == b"view"  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(kolben.Flask, "dispatch_request", lambda self: "patched")
    assert b"".join(app(environ.copy(), lambda *args: None)) == b"view"  # type: ignore[arg-type, return-value]
    assert b"".join(fresh(environ.copy(), lambda *args: None)) == b"patched"  # type: ignore[arg-type, return-value]


def test_an_agent_around_the_entrance_is_given_the_body_that_flask_gives(
    app: kolben.Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New Relic reports how a body is closed by the name of its class."""
    inner, bodies = kolben.Flask.wsgi_app, []

    def wrapped(self: Any, environ: Any, start_response: Any) -> Any:
        bodies.append(inner(self, environ, start_response))
        return bodies[-1]

    app.add_url_rule("/", "text", lambda: "text")
    app.add_url_rule("/json", "json", lambda: {"a": 1})
    for path in ("/", "/json", "/none"):
        app.test_client().get(path)
    monkeypatch.setattr(kolben.Flask, "wsgi_app", wrapped)
    for path in ("/", "/json", "/none"):
        app.test_client().get(path)
    assert [type(body) for body in bodies] == [ClosingIterator] * 3
    monkeypatch.undo()
    assert app.test_client().get("/").text == "text"
    assert len(bodies) == 3
    assert app.engine_plan.short_way
    assert kolben.Response.has_short_ways


@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_around_the_call_is_on_the_way_over_asgi_with_wsgis_arguments(
    app: kolben.Flask, monkeypatch: pytest.MonkeyPatch, gateway: Any, is_async: bool
) -> None:
    """Sentry's, which takes two arguments, gives the report its request."""
    inner, calls = kolben.Flask.__call__, []

    def wrapped(self: Any, environ: Any, start_response: Any) -> Any:
        calls.append(environ["PATH_INFO"])
        return inner(self, environ, start_response)

    async def asynchronous() -> str:
        return "view"

    app.add_url_rule("/", "index", asynchronous if is_async else lambda: "view")
    monkeypatch.setattr(kolben.Flask, "__call__", wrapped)
    entered = app.asgi_app if gateway.is_asgi else app
    for expected in (1, 2):
        assert gateway.get(entered, "/").text == "view"
        assert len(calls) == expected
