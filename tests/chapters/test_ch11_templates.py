"""Chapter 11: templates."""

from __future__ import annotations

import pytest

from kolben import (
    Flask,
    flash,
    g,
    get_template_attribute,
    render_template,
    render_template_string,
    session,
)

DEFAULT = """\
<html><head><title>{% if page_title %}{{ page_title }}{% endif %}</title></head>
<body>{% block body %}{% endblock %}</body></html>
"""
USER_INFO = """\
{% extends "default.html" %}
{% block body %}
{% for key in user_info %}
{{ key }}: {{ user_info[key] }} <br/>
{% endfor %}
{% endblock %}
"""
MACROS = "{% macro hello(name) %}Hello {{ name }}!{% endmacro %}{% set answer = 42 %}"


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "default.html").write_text(DEFAULT)
    (folder / "user_info.html").write_text(USER_INFO)
    (folder / "_macros.html").write_text(MACROS)
    app = Flask("server", root_path=str(tmp_path))
    app.secret_key = "for the session"

    @app.route("/user")
    def user():
        return render_template(
            "user_info.html",
            page_title="letian's info",
            user_info={"name": "letian", "github": "https://github.com/letiantian"},
        )

    @app.route("/untitled")
    def untitled():
        return render_template("user_info.html", user_info={})

    return app


def test_inheritance_if_for_and_escaping(app):
    page = app.test_client().get("/user").text
    assert "<title>letian&#39;s info</title>" in page
    assert "name: letian <br/>" in page
    assert "github: https://github.com/letiantian <br/>" in page


def test_without_a_title(app):
    assert "<title></title>" in app.test_client().get("/untitled").text


def test_a_template_from_a_string_is_escaped_too(app):
    with app.test_request_context():
        page = render_template_string("<p>{{ name }}</p>", name="<b>&")
    assert page == "<p>&lt;b&gt;&amp;</p>"


def test_a_macro_or_a_variable_of_a_template(app):
    with app.app_context():
        assert get_template_attribute("_macros.html", "hello")("World") == "Hello World!"
        assert get_template_attribute("_macros.html", "answer") == 42


def test_what_every_template_knows(app):
    app.config["COLOUR"] = "red"

    @app.route("/known")
    def known():
        g.friend = "g"
        session["user_name"] = "letian"
        flash("flashed")
        return render_template_string(
            "{{ request.path }} {{ session.user_name }} {{ g.friend }} {{ url_for('user') }}"
            " {{ get_flashed_messages()[0] }} {{ config.COLOUR }}"
        )

    assert app.test_client().get("/known").text == "/known letian g /user flashed red"
