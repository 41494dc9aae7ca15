"""The context of a request from an ASGI server, beside that of one from a WSGI server."""

from __future__ import annotations

import pytest

import kolben
from gateways import Gateway
from kolben.asgi.context import ASGIRequestContext
from kolben.ctx import RequestContext


def test_both_kinds_of_context_begin_alike() -> None:
    app = kolben.Flask("app")
    plain = vars(RequestContext(app, {}))
    other = vars(ASGIRequestContext(app, {"method": "GET", "path": "/", "headers": []}))
    assert plain.pop("environ") == {}
    assert other.pop("scope")["path"] == "/"
    assert other.pop("body") is None
    assert other.pop("receive") is None
    lacks = [name for name in sorted(other) if name.endswith(("environ", "unread"))]
    assert [other.pop(name) for name in lacks] == [None, None]
    assert other == plain


@pytest.mark.parametrize("root", ["", "/", "/shop", "/caf\u00e9"])
@pytest.mark.parametrize("looks", [False, True], ids=["not-looked-at", "looked-at"])
def test_urls_are_the_same_without_the_environ(root: str, looks: bool) -> None:
    app = kolben.Flask("app")

    @app.get("/user/<name>", endpoint="user")
    async def user(name: str) -> str:
        if looks:
            assert kolben.request.path == "/user/Ada"
        return kolben.url_for("user", name="Bob")

    path = root.rstrip("/") + "/user/Ada"
    reply = Gateway("asgi").get(app, path, scope={"root_path": root, "path": path})
    environ = {"SCRIPT_NAME": root.rstrip("/").encode().decode("latin-1"), "PATH_INFO": "/user/Ada"}
    with app.test_request_context("/user/Ada", environ_overrides=environ):
        assert reply.text == kolben.url_for("user", name="Bob")


@pytest.mark.parametrize("fails", [False, True], ids=["answered", "failed"])
def test_a_session_that_lasts_is_sent_anew_after_an_asynchronous_hook(fails: bool) -> None:
    """Whether or not anything has looked at the environ before."""
    app = kolben.Flask("app")
    app.secret_key = "secret"

    @app.after_request
    async def after(response: kolben.Response) -> kolben.Response:
        return response

    @app.get("/begin")
    async def begin() -> str:
        kolben.session.permanent = True
        return "begun"

    @app.get("/")
    async def view() -> str:
        if fails:
            raise ValueError
        return "ok"

    gateway = Gateway("asgi")
    cookie = str(gateway.get(app, "/begin").header("set-cookie")).partition(";")[0]
    assert gateway.get(app, "/").header("set-cookie") is None
    answer = gateway.get(app, "/", headers=[("cookie", cookie)])
    assert answer.status == (500 if fails else 200)
    assert str(answer.header("set-cookie")).startswith("session=")
