"""What the engine has found out about an application, and when it finds out anew."""

from __future__ import annotations

import copy
import typing as t

import pytest

import kolben
from kolben.engine import plan


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__, static_folder=None)
    app.add_url_rule("/", "index", lambda: {"a": 1})
    return app


def test_nothing_is_decided_before_the_first_request(app: kolben.Flask) -> None:
    assert app.engine_plan.short_way is None
    assert app.test_client().get("/").json == {"a": 1}
    assert app.engine_plan.short_way is True


@pytest.mark.parametrize("name", sorted(plan.DECIDES - {"config", "url_map", "session_interface"}))
def test_assigning_what_decides_has_it_decided_again(app: kolben.Flask, name: str) -> None:
    app.test_client().get("/")
    setattr(app, name, getattr(app, name))
    assert app.engine_plan.short_way is None
    assert app.test_client().get("/").json == {"a": 1}


def test_assigning_anything_else_changes_nothing(app: kolben.Flask) -> None:
    app.test_client().get("/")
    app.anything = 1  # type: ignore[attr-defined]
    assert app.engine_plan.short_way is True


def test_a_subclass_may_assign_before_it_is_initialised() -> None:
    class Early(kolben.Flask):
        def __init__(self) -> None:
            self.response_class = kolben.Response
            super().__init__("early")

    app = Early()
    app.add_url_rule("/", "index", lambda: "index")
    assert app.test_client().get("/").text == "index"


def test_a_copy_has_a_plan_of_its_own(app: kolben.Flask) -> None:
    app.test_client().get("/")
    other = copy.copy(app)
    assert other.engine_plan is not app.engine_plan
    other.make_response = lambda rv: kolben.Response("other")  # type: ignore[method-assign]
    assert other.test_client().get("/").text == "other"
    assert app.test_client().get("/").json == {"a": 1}


def test_a_class_that_is_patched_between_two_requests_of_a_test_is_seen(
    app: kolben.Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = app.test_client()
    client.get("/")
    assert app.engine_plan.short_way is True
    monkeypatch.setattr(kolben.Flask, "preprocess_request", lambda self: "patched")
    assert client.get("/").text == "patched"
    monkeypatch.undo()
    assert client.get("/").json == {"a": 1}


def test_a_provider_that_writes_its_own_way_is_asked_once_for_each_change(
    app: kolben.Flask,
) -> None:
    asked: list[str] = []

    class Own:
        mimetype = "application/json"

        def body_writer(self) -> None:
            asked.append("writer")

        def response(self, *args: t.Any, **kwargs: t.Any) -> kolben.Response:
            return kolben.Response(f"own {args}")

    app.json = t.cast("t.Any", Own())
    client = app.test_client()
    for _ in range(3):
        assert client.get("/").text == "own ({'a': 1},)"
    assert asked == ["writer"]
    app.config["ANYTHING"] = 1
    client.get("/")
    assert asked == ["writer"] * 2


def test_a_provider_needs_no_more_than_flasks_methods(app: kolben.Flask) -> None:
    class Bare:
        def response(self, *args: t.Any, **kwargs: t.Any) -> kolben.Response:
            return kolben.Response("bare")

    app.json = t.cast("t.Any", Bare())
    assert [app.test_client().get("/").text for _ in range(2)] == ["bare"] * 2
