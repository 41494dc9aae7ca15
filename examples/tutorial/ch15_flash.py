"""Chapter 15: a message for the next page."""

from __future__ import annotations

import os

from kolben import Blueprint, Flask, flash, redirect, render_template, request, url_for
from kolben.typing import ResponseReturnValue

chapter = Blueprint("flashes", __name__)


@chapter.get("/")
def index() -> str:
    return render_template("flashes/index.html")


@chapter.post("/")
def leave_message() -> ResponseReturnValue:
    flash(request.form["message"], category=request.form.get("category", "message"))
    if "stay" not in request.form:
        return redirect(url_for(".index"))
    return redirect(url_for(".waiting"))


@chapter.get("/waiting")
def waiting() -> str:
    return render_template("flashes/waiting.html")


def create_app() -> Flask:
    app = Flask(__name__)
    # The messages travel in the signed session cookie; a real site sets a key of its own.
    app.secret_key = os.environ.get("SECRET_KEY", "dev")
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
