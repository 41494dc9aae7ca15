"""Chapter 3: the smallest program there is."""

from __future__ import annotations

from kolben import Blueprint, Flask

chapter = Blueprint("hello", __name__)


@chapter.get("/")
def index() -> str:
    return "Hello World!"


@chapter.get("/crash")
def crash() -> str:
    return f"never shown: {1 / 0}"


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
