"""The program: pages for people, an API for programs, beside each other."""

from __future__ import annotations

import os
import typing as t

from werkzeug.wrappers import Response

from kolben import Flask, redirect, url_for

from . import live  # noqa: F401 (its views are of the API)
from .api import api
from .pages import shop

shop.register_blueprint(api)


def create_app(**settings: t.Any) -> Flask:
    app = Flask(__name__)
    app.config.update(
        # Signs tokens and the session's cookie. "dev" is for this machine only.
        SECRET_KEY=os.environ.get("SECRET_KEY", "dev"),
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=1024 * 1024,
    )
    app.config.update(settings)
    app.register_blueprint(shop)

    @app.get("/")
    def home() -> Response:
        return redirect(url_for("shop.index"))

    return app


app = create_app()
