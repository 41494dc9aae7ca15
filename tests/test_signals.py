"""The signals: their names, and when an application sends them."""

from __future__ import annotations

import typing as t

import pytest
from blinker import NamedSignal

import kolben
from kolben import signals

NAMES = [
    "template-rendered",
    "before-render-template",
    "request-started",
    "request-finished",
    "request-tearing-down",
    "got-request-exception",
    "appcontext-tearing-down",
    "appcontext-pushed",
    "appcontext-popped",
    "message-flashed",
]


@pytest.mark.parametrize("name", NAMES)
def test_each_signal_is_an_attribute_named_like_it(name: str) -> None:
    signal = getattr(signals, name.replace("-", "_"))
    assert isinstance(signal, NamedSignal)
    assert signal.name == name
    assert getattr(kolben, name.replace("-", "_")) is signal


def test_an_extension_makes_its_own_namespace() -> None:
    mine = signals.Namespace().signal("request-started")
    assert mine is not signals.request_started


def test_a_request_sends_its_signals_in_order() -> None:
    app = kolben.Flask(__name__)
    app.add_url_rule("/", "index", lambda: "hello")
    heard: list[str] = []
    names = ["appcontext-pushed", "request-started", "request-finished", "appcontext-popped"]
    receivers: list[t.Any] = []
    for name in names:

        def receive(sender: t.Any, name: str = name, **extra: t.Any) -> None:
            assert sender is app
            heard.append(name)

        receivers.append(receive)
        getattr(signals, name.replace("-", "_")).connect(receive, app)
    assert app.test_client().get("/").text == "hello"
    assert heard == names


def test_an_unhandled_error_is_announced() -> None:
    app = kolben.Flask(__name__)

    @app.route("/")
    def index() -> str:
        raise ZeroDivisionError

    heard: list[BaseException] = []

    def receive(sender: t.Any, exception: BaseException, **extra: t.Any) -> None:
        heard.append(exception)

    with signals.got_request_exception.connected_to(receive, app):
        assert app.test_client().get("/").status_code == 500
    assert [type(error) for error in heard] == [ZeroDivisionError]


def test_ensure_sync_is_asked_for_receivers_that_are_coroutine_functions_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = kolben.Flask(__name__)
    app.add_url_rule("/", "view", lambda: "text")
    asked: list[str] = []
    told: list[str] = []
    ensure_sync = app.ensure_sync

    def watch(function: t.Any) -> t.Any:
        asked.append(function.__name__)
        return ensure_sync(function)

    def plain(sender: object, **values: object) -> None:
        told.append("plain")

    async def awaited(sender: object, **values: object) -> None:
        told.append("awaited")

    monkeypatch.setattr(app, "ensure_sync", watch)
    for signal in (kolben.request_tearing_down, kolben.appcontext_tearing_down):
        with signal.connected_to(plain, app), signal.connected_to(awaited, app):
            app.test_client().get("/")
        assert sorted(told) == ["awaited", "plain"]
        assert asked == ["<lambda>", "awaited"]
        asked.clear()
        told.clear()
