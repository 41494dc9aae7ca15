"""Chapter 4: what stands after the question mark of an address."""

from __future__ import annotations

from kolben import Blueprint, Flask, Response, request

chapter = Blueprint("arguments", __name__)


def text(value: object) -> Response:
    # What a visitor typed goes back as plain text, so a browser never reads it as HTML.
    return Response(str(value), mimetype="text/plain")


@chapter.get("/")
def index() -> Response:
    return text(request.args)


@chapter.get("/info")
def info() -> Response:
    return text(request.args.get("info", "hi"))


@chapter.get("/several")
def several() -> Response:
    return text(f"get: {request.args.get('p')}\ngetlist: {request.args.getlist('p')}")


@chapter.get("/address")
def address() -> Response:
    return text(f"path: {request.path}\nfull_path: {request.full_path}")


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
