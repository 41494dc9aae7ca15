"""Chapter 10: sending the browser somewhere else."""

from __future__ import annotations

from kolben import Blueprint, Flask, redirect, url_for
from kolben.typing import ResponseReturnValue

chapter = Blueprint("redirects", __name__)


@chapter.get("/")
def index() -> str:
    return "Ask for /test1 and watch the address."


@chapter.get("/test1")
def test1() -> ResponseReturnValue:
    return redirect(url_for(".test2"))


@chapter.get("/test2")
def test2() -> str:
    return "this is test2"


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
