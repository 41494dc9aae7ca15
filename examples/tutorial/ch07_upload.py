"""Chapter 7: storing an uploaded picture, and showing it."""

from __future__ import annotations

import os
from pathlib import Path

from werkzeug.utils import secure_filename

from kolben import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from kolben.typing import ResponseReturnValue

chapter = Blueprint("upload", __name__)

# How files of each kind begin: a name can be made up, the first bytes cannot.
SIGNATURES = {
    ".png": b"\x89PNG\r\n\x1a\n",
    ".jpg": b"\xff\xd8\xff",
    ".jpeg": b"\xff\xd8\xff",
    ".gif": b"GIF8",
}


def folder() -> Path:
    """The folder of the pictures; in a test or in production, set UPLOAD_FOLDER."""
    path = Path(current_app.config.get("UPLOAD_FOLDER") or Path(__file__).parent / "uploads")
    path.mkdir(parents=True, exist_ok=True)
    return path.absolute()


@chapter.get("/")
def index() -> str:
    files = [f for f in folder().iterdir() if f.suffix.lower() in SIGNATURES]
    newest = sorted(files, key=os.path.getmtime, reverse=True)[:12]
    return render_template("upload/index.html", pictures=[f.name for f in newest])


@chapter.post("/")
def store() -> ResponseReturnValue:
    upload = request.files["image"]
    # Nothing of "../../cat.png" but "cat.png" survives this.
    name = secure_filename(upload.filename or "")
    signature = SIGNATURES.get(Path(name).suffix.lower())
    if signature is None or upload.stream.read(len(signature)) != signature:
        abort(400, "That is not a picture. PNG, JPEG and GIF are welcome.")
    upload.stream.seek(0)
    upload.save(folder() / name)
    return redirect(url_for(".index"))


@chapter.get("/pictures/<name>")
def picture(name: str) -> Response:
    return send_from_directory(folder(), name)


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 16 * 1024 * 1024
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
