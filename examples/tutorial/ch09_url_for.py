"""Chapter 9: asking for the address of a view instead of typing it."""

from __future__ import annotations

from kolben import Blueprint, Flask, Response, url_for

chapter = Blueprint("links", __name__)


@chapter.get("/")
def index() -> Response:
    addresses = [
        url_for(".index"),
        url_for(".user", name="letian"),
        url_for(".page", num=1, q="hadoop mapreduce 10%3"),
        url_for(".page", num=2, _anchor="comments"),
        url_for(".user", name="letian", _external=True),
        url_for("static", filename="style.css"),
    ]
    return Response("\n".join(addresses), mimetype="text/plain")


@chapter.get("/user/<name>")
def user(name: str) -> Response:
    return Response(f"the page of {name}", mimetype="text/plain")


@chapter.get("/page/<int:num>")
def page(num: int) -> str:
    return f"page {num}"


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
