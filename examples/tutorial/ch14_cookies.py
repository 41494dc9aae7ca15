"""Chapter 14: cookies, set and read by hand."""

from __future__ import annotations

import time

from kolben import Blueprint, Flask, Response, request

chapter = Blueprint("cookies", __name__)


@chapter.get("/")
def index() -> Response:
    # The session's cookie is not to be seen, so only ours is shown.
    return Response(f"name = {request.cookies.get('name')!r}", mimetype="text/plain")


@chapter.get("/add")
def add() -> Response:
    response = Response("cookie added, for six minutes", mimetype="text/plain")
    response.set_cookie("name", "letian", expires=time.time() + 6 * 60, samesite="Lax")
    return response


@chapter.get("/delete")
def delete() -> Response:
    response = Response("cookie deleted", mimetype="text/plain")
    response.delete_cookie("name", samesite="Lax")
    return response


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
