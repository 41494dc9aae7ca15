"""Chapter 18: a page that the server keeps up to date, with server-sent events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

from kolben import Blueprint, Flask, Response, current_app, render_template, request
from kolben.sse import ServerSentEvent, event_stream
from kolben.typing import ResponseReturnValue

chapter = Blueprint("live", __name__)


def counter() -> Path:
    """A file that each click makes one byte longer: all workers of the server count together."""
    folder = Path(current_app.config.get("DATA_FOLDER") or Path(__file__).parent / "instance")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "clicks"
    file.touch()
    return file


def latest(clicks: Path) -> dict[str, str]:
    return {"clock": time.strftime("%H:%M:%S"), "count": str(clicks.stat().st_size)}


async def news(clicks: Path, seen: str | None, seconds: float) -> AsyncIterator[ServerSentEvent]:
    shown = {"count": seen}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now = latest(clicks)
        for name, text in now.items():
            if shown.get(name) != text:
                yield ServerSentEvent(text, event=name, id=now["count"])
        shown |= now
        await asyncio.sleep(0.1)


@chapter.get("/")
def index() -> str:
    return render_template("live/index.html")


@chapter.get("/events")
def events() -> Response:
    # Each stream ends soon, and the browser comes back for the next, saying what it has seen last.
    # So a server that is told to stop need not wait, and the one thread of a small one gets free.
    seen = request.headers.get("Last-Event-ID")
    return event_stream(news(counter(), seen, 5 if request.is_multithread else 1), retry=200)


@chapter.get("/button")
def button() -> str:
    return render_template("live/button.html")


@chapter.post("/click")
def click() -> ResponseReturnValue:
    with counter().open("ab") as file:
        file.write(b".")
    return "", 204  # "no content": the browser stays on the page where it is


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
