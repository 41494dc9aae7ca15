"""The views: the list with its form, and the photos."""

from __future__ import annotations

import uuid
from pathlib import Path

from werkzeug.datastructures import FileStorage

from kolben import (
    Blueprint,
    Response,
    abort,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from kolben.typing import ResponseReturnValue

from .db import database

blueprint = Blueprint("entries", __name__)

# How photos begin, and the ending under which they are kept.
KINDS = {b"\x89PNG\r\n\x1a\n": ".png", b"\xff\xd8\xff": ".jpg"}


def photos() -> Path:
    return Path(current_app.config["FOLDER"], "photos")


@blueprint.get("/")
def index() -> str:
    rows = database().execute("SELECT * FROM entry ORDER BY id DESC LIMIT 50").fetchall()
    return render_template("journal/index.html", entries=rows)


@blueprint.post("/")
def add() -> ResponseReturnValue:
    text = request.form["text"].strip()
    if not text:
        abort(400, "An entry needs a text.")
    photo = request.files.get("photo")
    name = keep(photo) if photo else None
    with database() as connection:
        connection.execute("INSERT INTO entry (text, photo) VALUES (?, ?)", (text, name))
    flash("Written.")
    return redirect(url_for(".index"))


def keep(photo: FileStorage) -> str:
    start = photo.stream.read(8)
    photo.stream.seek(0)
    ending = next((end for begin, end in KINDS.items() if start.startswith(begin)), None)
    if ending is None:
        abort(400, "That is not a photo. PNG and JPEG are welcome.")
    name = uuid.uuid4().hex + ending  # a name of our own
    photo.save(photos() / name)
    return name


@blueprint.get("/photos/<name>")
def photo(name: str) -> Response:
    return send_from_directory(photos(), name)


@blueprint.get("/health")
def health() -> dict[str, str]:
    database().execute("SELECT 1")
    return {"status": "ok"}
