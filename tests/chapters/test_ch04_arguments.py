"""Chapter 4: the arguments of an address."""

from __future__ import annotations

import logging

import pytest

from kolben import Flask, request

ENCODED = "%E8%BF%99%E6%98%AF%E7%88%B1%EF%BC%8C"


@pytest.fixture
def app():
    app = Flask(__name__)

    @app.route("/")
    def hello_world():
        return str(request.args)

    @app.route("/address")
    def address():
        return {"path": request.path, "full_path": request.full_path, "info": request.args["info"]}

    @app.route("/info")
    def info():
        return request.args.get("info")

    @app.route("/default")
    def default():
        return request.args.get("info", "hi")

    @app.route("/first")
    def first():
        return request.args.get("p")

    @app.route("/several")
    def several():
        return str(request.args.getlist("p"))

    return app


def test_all_arguments_in_order(app):
    answer = app.test_client().get("/?user=Flask&time&p=7&p=8")
    assert (
        answer.text
        == "ImmutableMultiDict([('user', 'Flask'), ('time', ''), ('p', '7'), ('p', '8')])"
    )


@pytest.mark.parametrize("typed", ["这是爱，", ENCODED], ids=["raw", "percent-encoded"])
def test_text_in_any_script_arrives_as_text(app, typed):
    client = app.test_client()
    assert client.get(f"/?info={typed}").text == "ImmutableMultiDict([('info', '这是爱，')])"


def test_full_path_is_what_the_client_sent(app):
    answer = app.test_client().get(f"/address?info={ENCODED}").json
    assert answer == {
        "path": "/address",
        "full_path": f"/address?info={ENCODED}",
        "info": "这是爱，",
    }


def test_a_view_that_returns_none_is_named_in_the_log_only(app, caplog):
    with caplog.at_level(logging.ERROR):
        answer = app.test_client().get("/info")
    assert answer.status_code == 500
    assert "None" not in answer.text
    said = "\n".join(str(record.exc_info[1]) for record in caplog.records if record.exc_info)
    assert "None" in said
    assert "info" in said


def test_an_argument_that_is_there(app):
    assert app.test_client().get("/info?info=hello").text == "hello"


def test_a_default_for_one_that_is_not(app):
    client = app.test_client()
    assert client.get("/default").text == "hi"
    assert client.get("/default?info=hello").text == "hello"


def test_one_of_several_or_all_of_them(app):
    client = app.test_client()
    assert client.get("/first?user=Flask&time&p=7&p=8").text == "7"
    assert client.get("/several?user=Flask&time&p=7&p=8").text == "['7', '8']"
