"""The site: an index, a page for each chapter, and each chapter's program under /run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from kolben import Blueprint, Flask, abort, json, render_template, request, send_from_directory
from kolben.websockets import UpgradeRequired

from . import (
    ch03_hello,
    ch04_arguments,
    ch05_form,
    ch06_json,
    ch07_upload,
    ch08_urls,
    ch09_url_for,
    ch10_redirect,
    ch11_templates,
    ch12_errors,
    ch13_session,
    ch14_cookies,
    ch15_flash,
    ch16_async,
    ch17_chat,
    ch18_live,
)
from .source import show


@dataclass(frozen=True)
class Chapter:
    """One chapter: its page is ``templates/chapters/<slug>.html``; the first two have no program."""

    number: int
    title: str
    summary: str
    program: Blueprint | None
    files: tuple[str, ...]
    name: str = ""

    @property
    def slug(self) -> str:
        return self.name if self.program is None else self.program.name


# A new chapter is one program, one page in templates/chapters, and one entry here.
CHAPTERS = [
    Chapter(1, "Beginning", "What a web framework does.", None, (), "beginning"),
    Chapter(2, "Installing", "Python, an environment, and one package.", None, (), "installing"),
    Chapter(
        3,
        "Hello World",
        "The smallest program, and what happens when it fails.",
        ch03_hello.chapter,
        ("hello.py", "ch03_hello.py"),
    ),
    Chapter(
        4,
        "Arguments",
        "Reading what stands after the question mark.",
        ch04_arguments.chapter,
        ("ch04_arguments.py",),
    ),
    Chapter(
        5,
        "Forms",
        "Fields sent with POST, one by one or in lists.",
        ch05_form.chapter,
        ("ch05_form.py", "templates/form/index.html", "templates/form/welcome.html"),
    ),
    Chapter(
        6,
        "JSON",
        "An object in, an object out, and a script that talks to it.",
        ch06_json.chapter,
        ("ch06_json.py", "templates/json/index.html"),
    ),
    Chapter(
        7,
        "Uploads",
        "A picture stored under a safe name, and shown.",
        ch07_upload.chapter,
        ("ch07_upload.py", "templates/upload/index.html"),
    ),
    Chapter(
        8,
        "Addresses",
        "Variables in the path, and converters for them.",
        ch08_urls.chapter,
        ("ch08_urls.py", "templates/urls/index.html"),
    ),
    Chapter(
        9,
        "Links",
        "Addresses built from the names of views.",
        ch09_url_for.chapter,
        ("ch09_url_for.py",),
    ),
    Chapter(
        10,
        "Redirects",
        "Sending the browser somewhere else.",
        ch10_redirect.chapter,
        ("ch10_redirect.py",),
    ),
    Chapter(
        11,
        "Templates",
        "Inheritance, conditions, loops, and escaping.",
        ch11_templates.chapter,
        (
            "ch11_templates.py",
            "templates/templates/user.html",
            "templates/templates/default.html",
            "templates/templates/badge.html",
        ),
    ),
    Chapter(
        12,
        "Errors",
        "Stopping a view, and pages for what went wrong.",
        ch12_errors.chapter,
        ("ch12_errors.py", "templates/errors/unauthorized.html"),
    ),
    Chapter(
        13,
        "Sessions",
        "Logging in, being remembered, logging out.",
        ch13_session.chapter,
        ("ch13_session.py", "templates/sessions/index.html"),
    ),
    Chapter(
        14,
        "Cookies",
        "Set, read and deleted by hand.",
        ch14_cookies.chapter,
        ("ch14_cookies.py",),
    ),
    Chapter(
        15,
        "Flashes",
        "A message that is shown once, on the next page.",
        ch15_flash.chapter,
        ("ch15_flash.py", "templates/flashes/index.html", "templates/flashes/waiting.html"),
    ),
    Chapter(
        16,
        "Async",
        "Waiting for two things at once.",
        ch16_async.chapter,
        ("ch16_async.py", "templates/async/index.html"),
    ),
    Chapter(
        17,
        "Chat",
        "A WebSocket, and a room where all hear each other.",
        ch17_chat.chapter,
        ("ch17_chat.py", "templates/chat/index.html"),
    ),
    Chapter(
        18,
        "Live",
        "A clock and a counter that the server keeps up to date.",
        ch18_live.chapter,
        ("ch18_live.py", "templates/live/index.html", "templates/live/button.html"),
    ),
]

# The sentence on the page for each error that a visitor can cause.
ERRORS = {
    400: "The request was not what the program expects.",
    404: "There is nothing at this address.",
    405: "This address does not answer that method.",
    413: "That was more than 16 MiB. Please choose a smaller file.",
    415: "This address wants another kind of content.",
    500: "Something broke on our side. Run the site with --debug to see what.",
}

app = Flask(__name__)
app.config.update(
    # Signs the session's cookie. "dev" is for this machine only; a site on the internet sets its own.
    SECRET_KEY=os.environ.get("SECRET_KEY", "dev"),
    SESSION_COOKIE_SAMESITE="Lax",
    PERMANENT_SESSION_LIFETIME=timedelta(minutes=5),
    MAX_CONTENT_LENGTH=16 * 1024 * 1024,
    UPLOAD_FOLDER=os.environ.get("UPLOAD_FOLDER"),
    DATA_FOLDER=os.environ.get("DATA_FOLDER"),
)
for each in CHAPTERS:
    if each.program is not None:
        app.register_blueprint(each.program, url_prefix=f"/run/{each.slug}")


@app.context_processor
def menu() -> dict[str, object]:
    # Of the programs beside the tutorial, `examples.everything` has the shop.
    return {"chapters": CHAPTERS, "shop": "shop" in app.blueprints}


@app.get("/")
def index() -> str:
    return render_template("index.html")


@app.get("/chapters/<slug>")
def chapter(slug: str) -> str:
    slugs = [each.slug for each in CHAPTERS]
    if slug not in slugs:
        abort(404)
    place = slugs.index(slug)
    return render_template(
        f"chapters/{slug}.html",
        chapter=CHAPTERS[place],
        before=CHAPTERS[place - 1] if place else None,
        after=CHAPTERS[place + 1] if place + 1 < len(CHAPTERS) else None,
        show=show,
    )


# Where `make docs` puts the manual.
MANUAL = Path(__file__).resolve().parents[2] / "docs" / "_build" / "html"


@app.get("/manual/")
@app.get("/manual/<path:page>")
def manual(page: str = "index.html") -> WerkzeugResponse | str:
    """Show the documentation, if it was built."""
    if not MANUAL.is_dir():
        return render_template("manual.html")
    return send_from_directory(MANUAL, f"{page}index.html" if page.endswith("/") else page)


def error_page(error: HTTPException) -> WerkzeugResponse:
    """Answer an error in plain words, as a page or as JSON, keeping headers such as ``Allow``."""
    code = error.code or 500
    words = ERRORS.get(code) or error.description or ""
    if code == 400 and error.description != BadRequest.description:
        words = error.description or words
    response = error.get_response()
    if request.accept_mimetypes.best == "application/json":
        response.data = json.dumps({"error": words})
        response.mimetype = "application/json"
    else:
        response.data = render_template("error.html", error=error, words=words)
    return response


for status in ERRORS:
    app.register_error_handler(status, error_page)
app.register_error_handler(UpgradeRequired, error_page)
