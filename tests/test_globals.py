"""The names that follow the current context."""

from __future__ import annotations

import pydoc
import re
import threading
import typing as t

import pytest

import kolben
from kolben import current_app, g, request, session
from kolben.ctx import AppContext, RequestContext
from kolben.globals import _cv_app, _cv_request, app_ctx, request_ctx


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__)
    app.secret_key = "secret"
    return app


APP_BOUND = {"current_app": current_app, "g": g, "app_ctx": app_ctx}
REQUEST_BOUND = {"request": request, "session": session, "request_ctx": request_ctx}


@pytest.mark.parametrize("name", APP_BOUND)
def test_outside_of_everything_the_error_says_what_to_do(name: str) -> None:
    with pytest.raises(
        RuntimeError, match=r"outside of application context.*\n.*\n.*app_context\(\)"
    ):
        APP_BOUND[name]._get_current_object()


@pytest.mark.parametrize("name", REQUEST_BOUND)
def test_outside_of_a_request_the_error_says_what_to_do(name: str, app: kolben.Flask) -> None:
    proxy: t.Any = REQUEST_BOUND[name]
    with pytest.raises(RuntimeError, match="outside of request context"):
        proxy._get_current_object()
    with app.app_context(), pytest.raises(RuntimeError, match="test_request_context"):
        proxy._get_current_object()


@pytest.mark.parametrize("name", [*APP_BOUND, *REQUEST_BOUND])
def test_unbound_proxies_can_be_tested_and_shown(name: str) -> None:
    proxy: t.Any = {**APP_BOUND, **REQUEST_BOUND}[name]
    assert not proxy
    assert repr(proxy) == "<LocalProxy unbound>"
    with pytest.raises(RuntimeError):
        proxy.anything  # noqa: B018
    with pytest.raises(RuntimeError):
        proxy.anything = 1
    with pytest.raises(RuntimeError):
        proxy["anything"]
    with pytest.raises(RuntimeError):
        "anything" in proxy  # noqa: B015


def test_proxies_stand_for_the_objects_of_the_request(app: kolben.Flask) -> None:
    with app.test_request_context("/path?a=1") as context:
        assert current_app._get_current_object() is app  # type: ignore[attr-defined]
        assert request_ctx._get_current_object() is context  # type: ignore[attr-defined]
        assert request._get_current_object() is context.request  # type: ignore[attr-defined]
        assert session._get_current_object() is context.session  # type: ignore[attr-defined]
        assert app_ctx._get_current_object() is context.app_context  # type: ignore[attr-defined]
        assert g._get_current_object() is context.app_context.g  # type: ignore[attr-defined]
        assert isinstance(request, kolben.Request)
        assert isinstance(current_app, kolben.Flask)
        assert request == context.request
        assert hash(current_app) == hash(app)


def test_proxies_pass_on_every_operation(app: kolben.Flask) -> None:
    with app.test_request_context("/"):
        session["a"] = 1
        assert session["a"] == 1
        assert "a" in session
        assert len(session) == 1
        assert list(session) == ["a"]
        del session["a"]
        assert not session
        g.name = "value"
        assert g.name == "value"
        assert "name" in g
        assert list(g) == ["name"]
        del g.name
        assert "name" not in g
        request.sid = 7  # type: ignore[attr-defined]
        assert request.sid == 7  # type: ignore[attr-defined]
        assert "sid" in dir(request)


def test_an_application_context_inside_a_request_leaves_the_request_in_force(
    app: kolben.Flask,
) -> None:
    other = kolben.Flask("other")
    with app.test_request_context("/path") as context:
        with other.app_context():
            assert current_app.name == "other"
            assert request.path == "/path"
            assert session is not None
            assert not session
            assert request_ctx._get_current_object() is context  # type: ignore[attr-defined]
            g.only_here = 1
        assert current_app.name == app.name
        assert "only_here" not in g


def test_the_context_views_answer_as_context_variables_do(app: kolben.Flask) -> None:
    default = object()
    for view in (_cv_app, _cv_request):
        assert view.get(None) is None
        assert view.get(default) is default
        with pytest.raises(LookupError, match=view.name):
            view.get()
    with app.app_context() as context:
        assert _cv_app.get() is context
        assert _cv_request.get(None) is None
        with app.test_request_context() as inner:
            assert _cv_app.get() is context
            assert _cv_request.get() is inner
    assert isinstance(context, AppContext)
    assert isinstance(inner, RequestContext)


def test_another_thread_sees_nothing_of_a_context(app: kolben.Flask) -> None:
    seen = []

    def look() -> None:
        seen.append((kolben.has_app_context(), kolben.has_request_context(), bool(request)))

    with app.test_request_context():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [(False, False, False)]


def test_an_attribute_error_inside_a_property_is_not_mistaken_for_a_missing_request(
    app: kolben.Flask,
) -> None:
    class Broken(kolben.Request):
        @property
        def own(self) -> str:
            raise AttributeError("inside")

    app.request_class = Broken
    with app.test_request_context():
        with pytest.raises(AttributeError, match="inside"):
            request.own  # type: ignore[attr-defined] # noqa: B018


def test_an_error_while_opening_the_session_is_the_one_that_is_seen(app: kolben.Flask) -> None:
    from kolben.sessions import SecureCookieSessionInterface

    class Broken(SecureCookieSessionInterface):
        opened = 0

        def open_session(self, app: kolben.Flask, request: kolben.Request) -> t.Any:
            self.opened += 1
            raise AttributeError("inside open_session")

    app.test_client().get("/")
    with app.test_request_context():
        app.session_interface = broken = Broken()
        with pytest.raises(AttributeError, match="inside open_session"):
            session["a"]
    assert broken.opened == 1


def test_an_error_while_making_the_request_is_the_one_that_is_seen(app: kolben.Flask) -> None:
    class Broken(kolben.Request):
        def __init__(self, *arguments: t.Any) -> None:
            raise AttributeError("inside __init__")

    app.request_class = Broken
    with pytest.raises(AttributeError, match="inside __init__"):
        with app.test_request_context():
            request.path  # noqa: B018
    assert not kolben.has_app_context()


FOR_USERS = [
    "request",
    "g",
    "session",
    "current_app",
    "websocket",
    "Flask",
    "Blueprint",
    "Request",
    "Response",
    "WebSocket",
]


@pytest.mark.parametrize("name", FOR_USERS)
def test_help_says_what_it_is_and_how_it_is_used(name: str) -> None:
    """Also outside a context, where most who ask are."""
    text = pydoc.plain(pydoc.render_doc(getattr(kolben, name)))
    doc = getattr(kolben, name).__doc__
    first, *rest = doc.split("\n\n")
    assert first in text
    assert not re.search(r"PERF|µs|\b(frame|descriptor|lookup|slot|callback)s?\b", first)
    assert any(".. code-block:: python" in part for part in rest)
    assert ":meth:`_" not in doc


def test_help_inside_a_context_is_about_the_object() -> None:
    app = kolben.Flask(__name__, static_folder=None)
    with app.test_request_context():
        assert kolben.request.__doc__ == kolben.Request.__doc__
        assert kolben.current_app.__doc__ == kolben.Flask.__doc__
        assert not hasattr(kolben.request, "__name__")
    assert "LocalProxy unbound" in repr(kolben.request)
