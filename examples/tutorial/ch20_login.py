"""Chapter 20: accounts with passwords, and a page for those who are logged in."""

from __future__ import annotations

import functools
import os
import sqlite3
import typing as t
from pathlib import Path

from werkzeug.security import check_password_hash, generate_password_hash

from kolben import (
    Blueprint,
    Flask,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from kolben.typing import ResponseReturnValue

chapter = Blueprint("login", __name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS user (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL
)
"""
# Compared where there is no such user, so that the time an answer takes does not tell.
NOBODY = generate_password_hash("nobody has this password")


def database() -> sqlite3.Connection:
    if "database" not in g:
        folder = Path(current_app.config.get("DATA_FOLDER") or Path(__file__).parent / "instance")
        folder.mkdir(parents=True, exist_ok=True)
        g.database = sqlite3.connect(folder / "users.sqlite")
        g.database.row_factory = sqlite3.Row
        g.database.execute(SCHEMA)
    connection: sqlite3.Connection = g.database
    return connection


def close_database(error: BaseException | None) -> None:
    if "database" in g:
        g.database.close()


@chapter.before_request
def load_user() -> None:
    g.user = None
    if "user" in session:
        find = "SELECT id, name FROM user WHERE id = ?"
        g.user = database().execute(find, (session["user"],)).fetchone()


def login_required(
    view: t.Callable[..., ResponseReturnValue],
) -> t.Callable[..., ResponseReturnValue]:
    @functools.wraps(view)
    def guarded(**values: t.Any) -> ResponseReturnValue:
        if g.user is None:
            return redirect(url_for(".index"))
        return view(**values)

    return guarded


@chapter.get("/")
def index() -> str:
    return render_template("login/index.html")


@chapter.get("/diary")
@login_required
def diary() -> ResponseReturnValue:
    return render_template("login/diary.html")


@chapter.post("/join")
def join() -> ResponseReturnValue:
    name, password = request.form["name"].strip(), request.form["password"]
    if not name or len(password) < 8:
        flash("A name, please, and a password of at least 8 characters.")
        return redirect(url_for(".index"))
    try:
        with database() as connection:
            add = "INSERT INTO user (name, password) VALUES (?, ?)"
            connection.execute(add, (name, generate_password_hash(password)))
    except sqlite3.IntegrityError:
        flash("That name is taken.")
        return redirect(url_for(".index"))
    return log_in()


@chapter.post("/log-in")
def log_in() -> ResponseReturnValue:
    find = "SELECT id, password FROM user WHERE name = ?"
    user = database().execute(find, (request.form["name"].strip(),)).fetchone()
    fits = check_password_hash(user["password"] if user else NOBODY, request.form["password"])
    if user is None or not fits:
        flash("Name or password is wrong.")
        return redirect(url_for(".index"))
    session.regenerate()  # nothing of a session that an attacker may have prepared
    session["user"] = user["id"]
    return redirect(url_for(".diary"))


@chapter.post("/log-out")
def log_out() -> ResponseReturnValue:
    session.clear()
    return redirect(url_for(".index"))


def create_app() -> Flask:
    app = Flask(__name__)
    # The key signs the cookie. "dev" is for trying things out; a real site sets its own.
    app.config.from_mapping(
        SECRET_KEY=os.environ.get("SECRET_KEY", "dev"), SESSION_COOKIE_SAMESITE="Lax"
    )
    app.teardown_appcontext(close_database)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
