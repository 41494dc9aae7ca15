"""Chapter 5: data sent with POST."""

from __future__ import annotations

import httpx
import pytest

from kolben import Flask, request

SOURCE = """
from kolben import Flask, request

app = Flask(__name__)


@app.route("/register", methods=["POST"])
def register():
    print(request.headers)
    print(request.stream.read())
    return "welcome"


if __name__ == "__main__":
    app.run(port={port})
"""
USER = {"name": "letian", "password": "123"}


@pytest.fixture
def app():
    app = Flask(__name__)

    @app.route("/register", methods=["POST"])
    def register():
        return request.stream.read()

    @app.route("/headers", methods=["POST"])
    def headers():
        return str(request.headers)

    @app.route("/both", methods=["GET", "POST"])
    def both():
        return request.method

    @app.route("/form", methods=["POST"])
    def form():
        return [
            repr(request.form),
            request.form["name"],
            request.form.get("name"),
            request.form.getlist("name"),
            request.form.get("nickname", default="little apple"),
        ]

    @app.route("/emptied", methods=["POST"])
    def emptied():
        request.stream.read()
        return repr(request.form)

    return app


def test_the_body_as_it_was_sent(app):
    assert app.test_client().post("/register", data=USER).data == b"name=letian&password=123"


def test_get_on_a_post_view_is_refused_with_what_is_allowed(app):
    answer = app.test_client().get("/register")
    assert answer.status_code == 405
    assert sorted(answer.headers["Allow"].split(", ")) == ["OPTIONS", "POST"]


def test_both_methods(app):
    client = app.test_client()
    assert client.get("/both").text == "GET"
    assert client.post("/both").text == "POST"


def test_headers_print_one_per_line(app):
    text = app.test_client().post("/headers", data=USER).text
    lines = text.replace("\r\n", "\n").splitlines()
    assert "Content-Type: application/x-www-form-urlencoded" in lines
    assert "Content-Length: 24" in lines


def test_the_form(app):
    answer = app.test_client().post("/form", data=USER).json
    assert answer == [
        "ImmutableMultiDict([('name', 'letian'), ('password', '123')])",
        "letian",
        "letian",
        ["letian"],
        "little apple",
    ]


def test_a_field_sent_twice(app):
    answer = app.test_client().post("/form", data={"name": ["letian", "letian2"]}).json
    assert answer[1:4] == ["letian", "letian", ["letian", "letian2"]]


def test_a_field_that_must_be_there(app):
    assert app.test_client().post("/form", data={"password": "123"}).status_code == 400


def test_after_the_stream_was_read_the_form_is_empty(app):
    assert app.test_client().post("/emptied", data=USER).text == "ImmutableMultiDict([])"


def test_on_a_real_server(start):
    server = start("server.py", source=SOURCE)
    answer = httpx.post(f"{server.url}/register", data=USER)
    assert (answer.status_code, answer.text) == (200, "welcome")
    output = server.wait_for("b'name=letian&password=123'")
    assert "Content-Type: application/x-www-form-urlencoded\n" in output.replace("\r", "")
    refused = httpx.get(f"{server.url}/register")
    assert refused.status_code == 405
    assert sorted(refused.headers["Allow"].split(", ")) == ["OPTIONS", "POST"]
