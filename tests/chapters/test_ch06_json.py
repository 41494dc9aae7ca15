"""Chapter 6: JSON in requests and in answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.util import find_spec
from uuid import UUID

import httpx
import pytest

from kolben import Flask, Response, jsonify, request

SOURCE = """
import json

from kolben import Flask, Response, request

app = Flask(__name__)


@app.route("/add", methods=["POST"])
def add():
    result = {"sum": request.json["a"] + request.json["b"]}
    resp = Response(json.dumps(result), mimetype="application/json")
    if "plain" not in request.args:
        resp.headers.add("Server", "python flask")
    return resp


if __name__ == "__main__":
    app.run(host="127.0.0.1", port={port})
"""


@dataclass
class Point:
    x: int
    y: int


class Rich:
    def __html__(self):
        return "<b>rich</b>"


@pytest.fixture
def app():
    app = Flask(__name__)

    @app.route("/add", methods=["POST"])
    def add():
        return str(request.json["a"] + request.json["b"])

    @app.route("/response", methods=["POST"])
    def response():
        result = {"sum": request.json["a"] + request.json["b"]}
        return Response(json.dumps(result), mimetype="application/json")

    @app.route("/server", methods=["POST"])
    def server():
        answer = response()
        answer.headers.add("Server", "python flask")
        return answer

    @app.route("/jsonify", methods=["POST"])
    def with_jsonify():
        return jsonify({"sum": request.json["a"] + request.json["b"]})

    @app.route("/dict", methods=["POST"])
    def as_dict():
        return {"sum": request.json["a"] + request.json["b"]}

    return app


def test_the_body_as_python_objects(app):
    assert app.test_client().post("/add", json={"a": 1, "b": 2}).text == "3"


def test_another_content_type_is_refused(app):
    assert app.test_client().post("/add", data='{"a": 1, "b": 2}').status_code == 415


def test_malformed_json_is_refused(app):
    answer = app.test_client().post("/add", data='{"a": 1,', content_type="application/json")
    assert answer.status_code == 400
    assert "Expecting" not in answer.text


def test_in_debug_mode_the_refusal_says_what_was_wrong(app):
    app.debug = True
    answer = app.test_client().post("/add", data='{"a": 1,', content_type="application/json")
    assert answer.status_code == 400
    assert "Expecting" in answer.text or "Illegal trailing comma" in answer.text


def test_a_response_with_the_mimetype_of_json(app):
    answer = app.test_client().post("/response", json={"a": 1, "b": 2})
    assert answer.text == '{"sum": 3}'
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == "10"


def test_a_server_header_of_ones_own(app):
    answer = app.test_client().post("/server", json={"a": 1, "b": 2})
    assert answer.headers.getlist("Server") == ["python flask"]


@pytest.mark.parametrize("path", ["/jsonify", "/dict"])
def test_jsonify_and_a_dict_are_the_same(app, path):
    answer = app.test_client().post(path, json={"a": 1, "b": 2})
    assert answer.data == b'{"sum":3}\n'
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == "10"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(date(2014, 5, 16), "Fri, 16 May 2014 00:00:00 GMT", id="date"),
        pytest.param(
            datetime(2014, 5, 16, 10, 29, 8, tzinfo=UTC),
            "Fri, 16 May 2014 10:29:08 GMT",
            id="datetime",
        ),
        pytest.param(UUID(int=7), "00000000-0000-0000-0000-000000000007", id="UUID"),
        pytest.param(Decimal("1.10"), "1.10", id="Decimal"),
        pytest.param(Point(1, 2), {"x": 1, "y": 2}, id="dataclass"),
        pytest.param(Rich(), "<b>rich</b>", id="__html__"),
    ],
)
def test_more_than_json_knows(app, value, expected):
    app.add_url_rule("/value", "value", lambda: {"value": value})
    assert app.test_client().get("/value").json == {"value": expected}


@pytest.fixture(scope="module")
def server(start):
    return start("server.py", source=SOURCE)


def test_a_server_header_of_ones_own_on_the_development_server(server):
    answer = httpx.post(f"{server.url}/add", json={"a": 1, "b": 2})
    assert answer.text == '{"sum": 3}'
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == "10"
    assert answer.headers.get_list("Server") == ["python flask"]


def test_exactly_one_server_header_on_the_wire(server):
    body = b'{"a": 1, "b": 2}'
    for query, expected in [(b"", "python flask"), (b"?plain=1", "Werkzeug")]:
        answer = server.send(
            b"POST /add" + query + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: 16\r\n\r\n" + body
        )
        [name] = answer.headers.get_all("Server")
        assert expected in name


@pytest.mark.skipif(find_spec("granian") is None, reason="granian is not installed")
def test_exactly_one_server_header_on_the_production_server(start):
    server = start(
        *("-m", "granian", "--interface", "wsgi", "--port", "{port}", "server:app"), source=SOURCE
    )
    answer = httpx.post(f"{server.url}/add", json={"a": 1, "b": 2})
    assert answer.headers.get_list("Server") == ["python flask"]
