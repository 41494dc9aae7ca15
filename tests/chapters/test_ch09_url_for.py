"""Chapter 9: addresses from the names of views."""

from __future__ import annotations

import pytest

from kolben import Flask, url_for


@pytest.fixture
def app_with_two_rules():
    app = Flask(__name__)

    def thing():
        return "thing"

    app.add_url_rule("/thing", "thing", thing, methods=["GET"])
    app.add_url_rule("/thing/change", "thing", thing, methods=["POST"])
    return app


@pytest.mark.parametrize(
    ("endpoint", "values", "expected"),
    [
        ("hello_world", {}, "/"),
        ("user", {"name": "letian"}, "/user/letian"),
        ("user", {"name": "乐天 ?"}, "/user/%E4%B9%90%E5%A4%A9%20%3F"),
        (
            "page",
            {"num": 1, "q": "hadoop mapreduce 10%3"},
            "/page/1?q=hadoop+mapreduce+10%253",
        ),
        ("static", {"filename": "uploads/01.jpg"}, "/static/uploads/01.jpg"),
        ("page", {"num": 1, "_external": True}, "http://localhost/page/1"),
        ("page", {"num": 1, "_anchor": "the end"}, "/page/1#the%20end"),
        ("page", {"num": 1, "_external": True, "_scheme": "https"}, "https://localhost/page/1"),
        ("page", {"num": 1, "_scheme": "https"}, "https://localhost/page/1"),
        ("page", {"num": 1, "q": ["a", "b"]}, "/page/1?q=a&q=b"),
    ],
)
def test_url_for(endpoint, values, expected):
    app = Flask(__name__)
    app.add_url_rule("/", "hello_world", lambda: "")
    app.add_url_rule("/user/<name>", "user", lambda name: name)
    app.add_url_rule("/page/<int:num>", "page", lambda num: str(num))
    with app.test_request_context():
        assert url_for(endpoint, **values) == expected


def test_the_method_chooses_between_the_rules_of_one_view(app_with_two_rules):
    with app_with_two_rules.test_request_context():
        assert url_for("thing", _method="GET") == "/thing"
        assert url_for("thing", _method="POST") == "/thing/change"
