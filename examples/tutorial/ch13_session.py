"""Chapter 13: remembering who is logged in."""

from __future__ import annotations

import os
from datetime import timedelta

from kolben import Blueprint, Flask, redirect, render_template, request, session, url_for
from kolben.typing import ResponseReturnValue

chapter = Blueprint("sessions", __name__)


@chapter.get("/")
def index() -> str:
    if "user_name" in session:
        session["visits"] = session.get("visits", 0) + 1
    return render_template("sessions/index.html")


@chapter.post("/login")
def login() -> ResponseReturnValue:
    session.permanent = True  # the cookie outlives the browser, for five minutes
    session["user_name"] = request.form["user_name"]
    return redirect(url_for(".index"))


@chapter.post("/logout")
def logout() -> ResponseReturnValue:
    session.pop("user_name", None)
    session.pop("visits", None)
    return redirect(url_for(".index"))


def create_app() -> Flask:
    app = Flask(__name__)
    # The key signs the cookie. "dev" is for trying things out; a real site sets its own.
    app.secret_key = os.environ.get("SECRET_KEY", "dev")
    app.permanent_session_lifetime = timedelta(minutes=5)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
