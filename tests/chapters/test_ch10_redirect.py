"""Chapter 10: redirects."""

from __future__ import annotations

import pytest

from kolben import Flask, redirect, url_for


@pytest.fixture
def client():
    app = Flask(__name__)

    @app.route("/test1")
    def test1():
        return redirect(url_for("test2"))

    @app.route("/moved")
    def moved():
        return redirect(url_for("test2"), code=301)

    @app.route("/test2")
    def test2():
        return "this is test2"

    return app.test_client()


def test_a_redirect_says_where_to_go(client):
    answer = client.get("/test1")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/test2"
    assert answer.mimetype == "text/html"
    assert answer.text.startswith("<!doctype html>")
    assert '<a href="/test2">/test2</a>' in answer.text


def test_the_client_goes_there(client):
    answer = client.get("/test1", follow_redirects=True)
    assert answer.request.path == "/test2"
    assert answer.text == "this is test2"


def test_another_status(client):
    assert client.get("/moved").status_code == 301
