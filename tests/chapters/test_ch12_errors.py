"""Chapter 12: abort, and error pages."""

from __future__ import annotations

import pytest
from werkzeug.exceptions import HTTPException, Unauthorized

from kolben import Blueprint, Flask, abort, render_template_string


def program(app):
    """The tutorial's view, with a note of whether what follows ``abort`` ran."""
    ran = []

    @app.route("/user")
    def user():
        abort(401)
        ran.append("after abort")

    return ran


@pytest.fixture
def app():
    return Flask(__name__)


def page_unauthorized(error):
    return render_template_string(
        "<h1> Unauthorized </h1><h2>{{ error_info }}</h2>", error_info=error
    )


def test_abort_ends_the_view_with_the_standard_page(app):
    ran = program(app)
    answer = app.test_client().get("/user")
    assert answer.status_code == 401
    assert "<title>401 Unauthorized</title>" in answer.text
    assert ran == []


@pytest.mark.parametrize("what", [401, Unauthorized], ids=["code", "class"])
def test_a_page_of_ones_own(app, what):
    program(app)
    app.register_error_handler(what, lambda error: (page_unauthorized(error), 401))
    answer = app.test_client().get("/user")
    assert answer.status_code == 401
    assert answer.text.startswith("<h1> Unauthorized </h1><h2>401 Unauthorized: ")


def test_without_the_number_the_status_is_200(app):
    program(app)
    app.errorhandler(401)(page_unauthorized)
    answer = app.test_client().get("/user")
    assert answer.status_code == 200
    assert "<h1> Unauthorized </h1>" in answer.text


def test_a_handler_for_an_exception_of_ones_own(app):
    class OutOfTea(Exception):
        pass

    @app.route("/tea")
    def tea():
        raise OutOfTea

    @app.errorhandler(OutOfTea)
    def no_tea(error):
        return type(error).__name__, 503

    answer = app.test_client().get("/tea")
    assert (answer.status_code, answer.text) == (503, "OutOfTea")


@pytest.mark.parametrize("what", [401, Unauthorized], ids=["code", "class"])
def test_a_blueprints_handler_is_for_its_own_views_only(app, what):
    blueprint = Blueprint("inner", __name__, url_prefix="/inner")
    program(blueprint)
    program(app)
    blueprint.register_error_handler(what, lambda error: ("inner", 401))
    app.register_error_handler(what, lambda error: ("outer", 401))
    app.register_blueprint(blueprint)
    client = app.test_client()
    assert client.get("/inner/user").text == "inner"
    assert client.get("/user").text == "outer"


def test_a_code_is_nearer_than_a_base_class(app):
    program(app)
    app.register_error_handler(HTTPException, lambda error: ("any", error.code))
    app.register_error_handler(401, lambda error: ("this one", 401))
    client = app.test_client()
    assert client.get("/user").text == "this one"
    assert client.get("/nowhere").text == "any"
