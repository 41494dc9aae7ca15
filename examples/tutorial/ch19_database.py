"""Chapter 19: keeping notes in a database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from kolben import (
    Blueprint,
    Flask,
    abort,
    current_app,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from kolben.typing import ResponseReturnValue

chapter = Blueprint("notes", __name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS note (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL,
    written TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
)
"""


def database() -> sqlite3.Connection:
    """The connection of this request, which is opened when it is first asked for."""
    if "database" not in g:
        folder = Path(current_app.config.get("DATA_FOLDER") or Path(__file__).parent / "instance")
        folder.mkdir(parents=True, exist_ok=True)
        g.database = sqlite3.connect(folder / "notes.sqlite")
        g.database.row_factory = sqlite3.Row  # row["text"], not row[1]
        g.database.execute(SCHEMA)
    connection: sqlite3.Connection = g.database
    return connection


def close_database(error: BaseException | None) -> None:
    if "database" in g:
        g.database.close()


@chapter.get("/")
def index() -> str:
    rows = database().execute("SELECT * FROM note ORDER BY id DESC LIMIT 100").fetchall()
    return render_template("notes/index.html", notes=rows)


@chapter.post("/")
def add() -> ResponseReturnValue:
    text = request.form["text"].strip()
    if not text:
        abort(400, "A note needs a text.")
    with database() as connection:  # all of it, or with an error none of it
        connection.execute("INSERT INTO note (text) VALUES (?)", (text,))
    return redirect(url_for(".index"))


@chapter.post("/<int:number>/delete")
def delete(number: int) -> ResponseReturnValue:
    with database() as connection:
        if connection.execute("DELETE FROM note WHERE id = ?", (number,)).rowcount == 0:
            abort(404)
    return redirect(url_for(".index"))


def create_app() -> Flask:
    app = Flask(__name__)
    app.teardown_appcontext(close_database)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
