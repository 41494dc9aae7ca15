"""Mistakes of the program's author get a clear sentence, those of a visitor a 4xx."""

from __future__ import annotations

import logging
import re
from io import BytesIO

import pytest

from kolben import Flask, flash, render_template, request, session

INSIDE = re.compile(r"Traceback|File \"|\.py|secret-marker|kolben|werkzeug", re.IGNORECASE)


def crash():
    raise LookupError("secret-marker")


def remember():
    session["a"] = 1
    return "remembered"


VIEWS = {
    "none": lambda: None,
    "number": lambda: 42,
    "wrong_tuple": lambda: ("text", 200, {}, "and more"),
    "empty_tuple": lambda: (),
    "nothing_in_tuple": lambda: (None, 200),
    "crash": crash,
    "missing_template": lambda: render_template("nowhere.html"),
    "remember": remember,
    "flashing": lambda: flash("hello") or "flashed",
}


@pytest.fixture
def app():
    app = Flask(__name__)
    for name, view in VIEWS.items():
        app.add_url_rule(f"/{name}", name, view)
    app.add_url_rule("/form", "form", lambda: request.form["name"], methods=["POST"])
    app.add_url_rule("/file", "file", lambda: request.files["image"].filename, methods=["POST"])
    app.add_url_rule("/json", "json", lambda: request.json, methods=["POST"])
    return app


def said(app, path):
    """What the author is told: the exception's words."""
    app.testing = True
    with pytest.raises(Exception) as caught:
        app.test_client().get(path)
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("none", ["TypeError", "None", "none"]),
        ("nothing_in_tuple", ["TypeError", "None", "nothing_in_tuple"]),
        ("number", ["TypeError", "int", "number"]),
        ("wrong_tuple", ["TypeError", "tuple"]),
        ("empty_tuple", ["TypeError", "tuple"]),
        ("missing_template", ["TemplateNotFound", "nowhere.html"]),
        ("remember", ["RuntimeError", "secret"]),
        ("flashing", ["RuntimeError", "secret"]),
    ],
)
def test_the_author_is_told_what_is_wrong(app, view, words):
    text = said(app, f"/{view}")
    assert [word for word in words if word.lower() not in text.lower()] == []


@pytest.mark.parametrize(
    "view", ["none", "number", "wrong_tuple", "crash", "missing_template", "remember", "flashing"]
)
def test_the_visitor_is_told_nothing_of_the_inside(app, view, caplog):
    with caplog.at_level(logging.ERROR):
        answer = app.test_client().get(f"/{view}")
    assert answer.status_code == 500
    assert answer.mimetype == "text/html"
    assert not INSIDE.search(answer.text)
    assert not INSIDE.search(str(answer.headers))
    assert caplog.records[0].exc_info


def test_an_endpoint_defined_twice_is_named(app):
    @app.route("/first", endpoint="doubled")
    def first():
        return "first"

    with pytest.raises(AssertionError, match="doubled"):

        @app.route("/second", endpoint="doubled")
        def second():
            return "second"


def test_setup_after_the_first_request_is_refused(app):
    app.test_client().get("/")
    with pytest.raises(AssertionError, match=r"route|add_url_rule"):
        app.route("/late")(lambda: "late")


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/nowhere", {}, 404),
        ("GET", "/form", {}, 405),
        ("POST", "/none", {}, 405),
        ("POST", "/form", {"data": {"other": "1"}}, 400),
        ("POST", "/file", {"data": {"image": "text, no file"}}, 400),
        ("POST", "/json", {"data": "{", "content_type": "application/json"}, 400),
        ("POST", "/json", {"data": b"\xff", "content_type": "application/json"}, 400),
        ("POST", "/json", {"data": "", "content_type": "application/json"}, 400),
        ("POST", "/json", {"data": "{}"}, 415),
        ("POST", "/form", {"data": {"name": "x" * 2000}}, 413),
        ("POST", "/json", {"json": "x" * 2000}, 413),
        ("POST", "/file", {"data": {"image": (BytesIO(b"x" * 2000), "a.png")}}, 413),
    ],
)
def test_bad_input_is_answered_4xx(app, method, path, options, status):
    app.config["MAX_CONTENT_LENGTH"] = 1000
    answer = app.test_client().open(path, method=method, **options)
    assert answer.status_code == status
    assert not INSIDE.search(answer.text)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--b\r\nbroken", "multipart/form-data; boundary=b"),
        (b"anything", "multipart/form-data"),
        (b"%zz=%", "application/x-www-form-urlencoded"),
        (b"\xff\xfe=\xff", "application/x-www-form-urlencoded"),
        (b"name", "text/plain; charset=nosuch"),
    ],
)
def test_a_broken_body_is_the_visitors_mistake(app, body, content_type):
    answer = app.test_client().post("/form", data=body, content_type=content_type)
    assert answer.status_code == 400


def test_too_many_parts(app):
    app.config["MAX_FORM_PARTS"] = 10
    answer = app.test_client().post(
        "/form",
        data={f"field{n}": "x" for n in range(11)} | {"name": "x"},
        content_type="multipart/form-data",
    )
    assert answer.status_code == 413


def test_too_much_text_in_a_form(app):
    app.config["MAX_FORM_MEMORY_SIZE"] = 100
    answer = app.test_client().post(
        "/form", data={"name": "x" * 200}, content_type="multipart/form-data"
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path", ["/%ff", "/%00", "/\u4e50", "/..%2f..%2fetc/passwd", "/static/../x"]
)
def test_odd_paths_are_not_found(app, path):
    assert app.test_client().get(path).status_code == 404
