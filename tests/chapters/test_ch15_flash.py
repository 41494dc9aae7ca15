"""Chapter 15: flashed messages."""

from __future__ import annotations

import itertools

import pytest

from kolben import Flask, flash, get_flashed_messages, render_template_string


@pytest.fixture
def app():
    app = Flask(__name__)
    app.secret_key = "some_secret"
    counter = itertools.count(1)

    @app.route("/gen")
    def gen():
        info = f"access {next(counter)}"
        flash(info)
        return info

    @app.route("/categories")
    def categories():
        flash("show1 info", category="show1")
        flash("show2 info", category="show2")
        return "info"

    @app.route("/show1")
    def show1():
        return get_flashed_messages().__str__()

    @app.route("/with_categories")
    def with_categories():
        return str(get_flashed_messages(with_categories=True))

    @app.route("/filtered")
    def filtered():
        return str(get_flashed_messages(category_filter=["show1"]))

    @app.route("/bare")
    def bare():
        return str(get_flashed_messages(category_filter="show1"))

    @app.route("/twice")
    def twice():
        return str([get_flashed_messages(), get_flashed_messages()])

    @app.route("/template")
    def template():
        return render_template_string(
            "{% for message in get_flashed_messages() %}[{{ message }}]{% endfor %}"
        )

    return app


def test_two_messages_are_shown_once(app):
    client = app.test_client()
    assert client.get("/gen").text == "access 1"
    assert client.get("/gen").text == "access 2"
    shown = client.get("/show1")
    assert shown.text == "['access 1', 'access 2']"
    assert shown.headers["Set-Cookie"].startswith("session=; Expires=Thu, 01 Jan 1970")
    assert client.get_cookie("session") is None
    assert client.get("/show1").text == "[]"


def test_one_request_may_ask_twice(app):
    client = app.test_client()
    client.get("/gen")
    assert client.get("/twice").text == "[['access 1'], ['access 1']]"


def test_with_categories(app):
    client = app.test_client()
    client.get("/categories")
    client.get("/gen")
    expected = [("show1", "show1 info"), ("show2", "show2 info"), ("message", "access 1")]
    assert client.get("/with_categories").text == str(expected)


@pytest.mark.parametrize("path", ["/filtered", "/bare"], ids=["a list", "a bare string"])
def test_one_category_only_and_the_others_are_gone(app, path):
    client = app.test_client()
    client.get("/categories")
    assert client.get(path).text == "['show1 info']"
    assert client.get("/show1").text == "[]"


def test_in_a_template_with_escaping(app):
    app.add_url_rule("/bold", "bold", lambda: flash("<b>") or "")
    client = app.test_client()
    client.get("/gen")
    client.get("/bold")
    assert client.get("/template").text == "[access 1][&lt;b&gt;]"
