"""Chapter 8: variables in the path."""

from __future__ import annotations

import pytest
from werkzeug.routing import BaseConverter

from kolben import Flask, url_for


@pytest.fixture
def app():
    app = Flask(__name__)

    @app.route("/user/<username>")
    def user(username):
        return "hello " + username

    @app.route("/user/<username>/friends")
    def user_friends(username):
        return "hello " + username + ". They are your friends."

    @app.route("/page/<int:num>")
    @app.route("/float/<float:num>")
    @app.route("/path/<path:num>")
    @app.route("/uuid/<uuid:num>")
    @app.route("/any/<any(a,b):num>")
    def value(num):
        return f"{type(num).__name__} {num}"

    @app.route("/page/<int:num1>-<int:num2>")
    def pages(num1, num2):
        return [num1, num2]

    return app


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/user/letian", "hello letian"),
        ("/user/letian/friends", "hello letian. They are your friends."),
        ("/page/1", "int 1"),
        ("/float/1.5", "float 1.5"),
        ("/path/a/b/c", "str a/b/c"),
        (
            "/uuid/00000000-0000-0000-0000-000000000007",
            "UUID 00000000-0000-0000-0000-000000000007",
        ),
        ("/any/a", "str a"),
        ("/any/b", "str b"),
    ],
)
def test_the_value_arrives_in_its_type(app, path, expected):
    answer = app.test_client().get(path)
    assert (answer.status_code, answer.text) == (200, expected)


@pytest.mark.parametrize(
    "path",
    ["/user/letian/", "/page/asd", "/page/-1", "/float/1", "/uuid/7", "/any/c", "/page/11-"],
)
def test_what_does_not_fit_is_not_found(app, path):
    assert app.test_client().get(path).status_code == 404


def test_two_numbers_in_one_segment(app):
    assert app.test_client().get("/page/11-22").json == [11, 22]


class MyIntConverter(BaseConverter):
    def __init__(self, url_map):
        super().__init__(url_map)

    def to_python(self, value):
        return int(value)

    def to_url(self, value):
        return value * 2


@pytest.fixture
def converting_app():
    app = Flask(__name__)
    app.url_map.converters["my_int"] = MyIntConverter

    @app.route("/page/<my_int:num>")
    def page(num):
        return [num, url_for("page", num=123)]

    @app.route("/plain/<my_int:num>-<int:other>")
    def two(num, other):
        return [num, url_for("two", num=123, other=4)]

    return app


def test_a_converter_of_ones_own_works_in_both_directions(converting_app):
    """What its ``to_url`` returns need not be text, as in the tutorial."""
    client = converting_app.test_client()
    assert client.get("/page/123").json == [123, "/page/246"]
    assert client.get("/plain/5-6").json == [5, "/plain/246-4"]


def test_a_converter_that_returns_text():
    class Doubled(MyIntConverter):
        def to_url(self, value):
            return str(value * 2)

    app = Flask(__name__)
    app.url_map.converters["my_int"] = Doubled
    app.add_url_rule("/page/<my_int:num>", "page", lambda num: url_for("page", num=num))
    assert app.test_client().get("/page/123").text == "/page/246"
