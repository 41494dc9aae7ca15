"""When a session is saved with a response, and when that is known to be needless."""

from __future__ import annotations

import typing as t

import pytest

import kolben
from kolben import session


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__, static_folder=None)
    app.secret_key = "secret"
    app.add_url_rule("/quiet", "quiet", lambda: "quiet")
    app.add_url_rule("/read", "read", lambda: str(session.get("a")))
    app.add_url_rule("/write/<kind>", "write", lambda kind: write(kind))
    return app


def write(kind: str) -> str:
    session["a"] = 1
    session.permanent = kind == "permanent"
    return "written"


def cookies(response: t.Any) -> list[str]:
    return response.headers.getlist("Set-Cookie")


def test_a_session_that_is_not_looked_at_is_not_sent(app: kolben.Flask) -> None:
    client = app.test_client()
    assert cookies(client.get("/quiet")) == []
    assert len(cookies(client.get("/write/passing"))) == 1
    assert cookies(client.get("/quiet")) == cookies(client.get("/read")) == []


def test_a_permanent_one_is_sent_anew_to_postpone_its_end(app: kolben.Flask) -> None:
    client = app.test_client()
    client.get("/write/permanent")
    assert len(cookies(client.get("/quiet"))) == 1
    assert len(cookies(client.get("/read"))) == 1
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    assert cookies(client.get("/quiet")) == []


@pytest.mark.parametrize("before", ["", "other=1; ", "mysession=x; ", "session=; "])
def test_the_cookie_is_found_among_others(app: kolben.Flask, before: str) -> None:
    client = app.test_client(use_cookies=False)
    value = cookies(client.get("/write/permanent"))[0].partition(";")[0]
    reply = client.get("/quiet", headers={"Cookie": before + value})
    # As with Werkzeug's own parser, the first of one name counts.
    assert len(cookies(reply)) == (0 if before.startswith("session=") else 1)


def test_a_session_without_a_key_is_saved_by_no_one(app: kolben.Flask) -> None:
    app.secret_key = None
    reply = app.test_client().get("/read")
    assert (reply.text, cookies(reply)) == ("None", [])


def test_a_stream_that_may_look_at_the_session_says_so_beforehand(app: kolben.Flask) -> None:
    """When it does, it is too late to tell caches that the answer depends on the cookie."""
    app.add_url_rule("/s", "s", lambda: kolben.stream_with_context(iter([str(session)])))
    app.add_url_rule("/t", "t", lambda: kolben.stream_with_context(str(n) for n in range(3)))
    client = app.test_client()
    assert client.get("/t").headers["Vary"] == "Cookie"
    assert client.get("/s").headers["Vary"] == "Cookie"
