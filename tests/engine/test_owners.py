"""Who handles the error of a path that leads nowhere: the blueprint that owns what is below its prefix."""

from __future__ import annotations

import typing as t

import pytest
from werkzeug.exceptions import HTTPException

import kolben
from gateways import Gateway
from kolben import Blueprint


def owner(name: str, **options: t.Any) -> Blueprint:
    blueprint = Blueprint(name, __name__, **options)
    blueprint.owns_prefix = True
    for code in (404, 405):
        blueprint.errorhandler(code)(lambda error: (f"{name} {error.code}", error.code))
    return blueprint


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__, static_folder=None)
    inner = owner("inner", url_prefix="/inner")
    inner.add_url_rule("/there/<int:x>", "there", lambda x: str(x))
    outer = owner("outer", url_prefix="/outer")
    outer.register_blueprint(inner)
    outer.register_blueprint(Blueprint("plain", __name__, url_prefix="/plain"))
    app.register_blueprint(outer)
    return app


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("GET", "/outer", "outer 404"),
        ("GET", "/outer/", "outer 404"),
        ("GET", "/outer/no//where", "outer 404"),
        ("GET", "/outer/plain/x", "outer 404"),
        ("GET", "/outer/inner", "inner 404"),
        ("GET", "/outer/inner/there/x", "inner 404"),
        ("POST", "/outer/inner/there/1", "inner 405"),
        ("GET", "/outer/inner/there/1", "1"),
        ("GET", "/outside", None),
        ("GET", "/outer2", None),
        ("GET", "/", None),
    ],
)
def test_the_innermost_owner_of_a_path_handles_its_error(
    app: kolben.Flask, gateway: Gateway, method: str, path: str, text: str | None
) -> None:
    reply = gateway.get(app, path, method=method)
    if text is None:
        assert "404 Not Found" in reply.text
    else:
        assert reply.text == text


def test_the_owner_of_all_has_what_no_other_owns(app: kolben.Flask, gateway: Gateway) -> None:
    app.register_blueprint(owner("all"))
    assert gateway.get(app, "/outer/x").text == "outer 404"
    assert gateway.get(app, "/outside").text == "all 404"
    assert gateway.get(app, "/").text == "all 404"


def test_a_blueprint_that_is_registered_later_owns_its_paths(
    app: kolben.Flask, gateway: Gateway
) -> None:
    assert "404 Not Found" in gateway.get(app, "/late/x").text
    app._got_first_request = False
    app.register_blueprint(owner("late", url_prefix="/late"))
    assert gateway.get(app, "/late/x").text == "late 404"


def test_other_errors_belong_to_no_one(app: kolben.Flask, gateway: Gateway) -> None:
    seen: list[HTTPException] = []
    app.config["TRUSTED_HOSTS"] = ["elsewhere.example"]

    @app.errorhandler(400)
    def refused(error: HTTPException) -> str:
        seen.append(error)
        return "refused"

    assert gateway.get(app, "/outer/x").text == "refused"
    assert len(seen) == 1
