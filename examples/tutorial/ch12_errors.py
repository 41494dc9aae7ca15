"""Chapter 12: error pages, the standard ones and your own."""

from __future__ import annotations

from werkzeug.exceptions import HTTPException

from kolben import Blueprint, Flask, abort, render_template

chapter = Blueprint("errors", __name__)


@chapter.get("/")
def index() -> str:
    return "This page has no error. Try the others."


@chapter.get("/plain")
def plain() -> str:
    abort(403)  # nothing after this line runs


@chapter.get("/user")
def user() -> str:
    abort(401)


@chapter.errorhandler(401)
def unauthorized(error: HTTPException) -> tuple[str, int]:
    return render_template("errors/unauthorized.html", error=error), 401


class OutOfTea(Exception):
    """Any exception of a program can have a page."""


@chapter.get("/tea")
def tea() -> str:
    raise OutOfTea("Earl Grey")


@chapter.errorhandler(OutOfTea)
def out_of_tea(error: OutOfTea) -> tuple[str, int]:
    return f"We have run out of {error}.", 503


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
