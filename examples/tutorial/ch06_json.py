"""Chapter 6: JSON in, JSON out."""

from __future__ import annotations

from kolben import Blueprint, Flask, abort, render_template, request

chapter = Blueprint("json", __name__)


@chapter.get("/")
def index() -> str:
    return render_template("json/index.html")


@chapter.post("/add")
def add() -> dict[str, float]:
    match request.json:
        case {"a": int() | float() as a, "b": int() | float() as b}:
            total = a + b
        case _:
            abort(400, 'Send two numbers, like this: {"a": 1, "b": 2}')
    return {"sum": total}  # a dict becomes a JSON answer


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
