"""Chapter 14: cookies set and read by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from kolben import Flask, Response, make_response, request


@pytest.fixture
def client():
    app = Flask(__name__)

    @app.route("/add")
    def add():
        res = Response("add cookies")
        res.set_cookie(key="name", value="letian", expires=time.time() + 6 * 60)
        return res

    @app.route("/show")
    def show():
        return request.cookies.__str__()

    @app.route("/del")
    def del_cookie():
        res = Response("delete cookies")
        res.set_cookie("name", "", expires=0)
        return res

    @app.route("/delete")
    def delete_cookie():
        res = make_response("delete cookies")
        res.delete_cookie("name")
        return res

    return app.test_client()


def attributes(answer):
    [cookie] = answer.headers.getlist("Set-Cookie")
    return dict(part.partition("=")[::2] for part in cookie.split("; "))


def test_add_show_and_remove(client):
    assert client.get("/show").text == "ImmutableMultiDict([])"
    added = client.get("/add")
    assert added.text == "add cookies"
    found = attributes(added)
    left = parsedate_to_datetime(found.pop("Expires")) - datetime.now(UTC)
    assert timedelta(minutes=5, seconds=50) < left <= timedelta(minutes=6)
    assert found == {"name": "letian", "Path": "/"}
    assert client.get("/show").text == "ImmutableMultiDict([('name', 'letian')])"


@pytest.mark.parametrize("path", ["/del", "/delete"])
def test_both_ways_of_removing(client, path):
    client.get("/add")
    assert client.get(path).text == "delete cookies"
    assert client.get("/show").text == "ImmutableMultiDict([])"


def test_every_attribute():
    response = Response()
    response.set_cookie(
        key="name",
        value="letian",
        max_age=timedelta(minutes=6),
        expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        path="/here",
        domain="example.org",
        secure=True,
        httponly=True,
        samesite="None",
        partitioned=True,
    )
    assert set(response.headers["Set-Cookie"].split("; ")) == {
        "name=letian",
        "Max-Age=360",
        "Expires=Wed, 02 Jan 2030 03:04:05 GMT",
        "Path=/here",
        "Domain=example.org",
        "Secure",
        "HttpOnly",
        "SameSite=None",
        "Partitioned",
    }


@pytest.mark.parametrize(
    "moment",
    [datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), 1893553445, 1893553445.9],
    ids=["datetime", "unix time", "unix time with a fraction"],
)
def test_expires_as_a_datetime_or_as_unix_time(moment):
    response = Response()
    response.set_cookie("name", "letian", expires=moment)
    assert "Expires=Wed, 02 Jan 2030 03:04:05 GMT" in response.headers["Set-Cookie"]
