"""Chapter 17: a chat, over WebSockets. It needs an ASGI server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from kolben import (
    Blueprint,
    Flask,
    WebSocketDisconnect,
    current_app,
    json,
    render_template,
    request,
    websocket,
)

chapter = Blueprint("chat", __name__)

RECENT = 20  # lines that a visitor who enters gets to see
FULL = 100_000  # bytes after which the room starts afresh


def room() -> Path:
    """The file of all that was said: whichever worker of the server writes, the others read it."""
    folder = Path(current_app.config.get("DATA_FOLDER") or Path(__file__).parent / "instance")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "chat.jsonl"


def tell(**line: str) -> None:
    """Tell all in the room."""
    with room().open("ab") as file:
        if file.tell() > FULL:
            file.truncate(0)
        file.write(json.dumps(line).encode() + b"\n")


async def listen() -> None:
    """Send the last lines to this browser, then each new one as it comes."""
    with suppress(WebSocketDisconnect), room().open("rb") as file:
        lines = file.readlines()[-RECENT:]
        while True:
            for line in lines:
                await websocket.send(line.decode())
            await asyncio.sleep(0.1)
            if room().stat().st_size < file.tell():
                file.seek(0)
            lines = file.readlines()


@chapter.get("/")
def index() -> str:
    return render_template("chat/index.html", asgi="asgi.scope" in request.environ)


@chapter.websocket("/ws")
async def talk() -> None:
    name = websocket.args.get("name", "").strip()[:30] or "Somebody"
    await websocket.accept()
    tell(kind="note", text=f"{name} has come in.")
    listening = asyncio.create_task(listen())  # one task listens, this one speaks
    try:
        async for message in websocket:  # ends when the browser leaves
            tell(kind="message", name=name, text=str(message)[:500])
    finally:
        listening.cancel()
        tell(kind="note", text=f"{name} has left.")


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
