"""Chapter 8: variables in the path of an address."""

from __future__ import annotations

from werkzeug.routing import BaseConverter

from kolben import Blueprint, Flask, Response, render_template, url_for
from kolben.blueprints import BlueprintSetupState

chapter = Blueprint("urls", __name__)


class PlusList(BaseConverter):
    """Turns ``red+green`` into ``["red", "green"]``, and back."""

    def to_python(self, value: str) -> list[str]:
        return value.split("+")

    def to_url(self, value: list[str]) -> str:
        return "+".join(value)


@chapter.record_once
def add_converter(state: BlueprintSetupState) -> None:
    state.app.url_map.converters["plus_list"] = PlusList


def text(value: str) -> Response:
    return Response(value, mimetype="text/plain")


@chapter.get("/")
def index() -> str:
    return render_template("urls/index.html")


@chapter.get("/user/<username>")
def user(username: str) -> Response:
    return text(f"hello {username}")


@chapter.get("/user/<username>/friends")
def friends(username: str) -> Response:
    return text(f"Hello {username}. They are your friends.")


@chapter.get("/page/<int:num>")
def page(num: int) -> Response:
    return text(f"page {num}, {type(num).__name__}")


@chapter.get("/page/<int:first>-<int:last>")
def pages(first: int, last: int) -> Response:
    return text(f"pages {first} to {last}")


@chapter.get("/file/<path:name>")
def file(name: str) -> Response:
    return text(f"the file {name}")


@chapter.get("/colours/<plus_list:names>")
def colours(names: list[str]) -> Response:
    again = url_for(".colours", names=reversed(names))
    return text(f"{names}\nthe other way round: {again}")


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
