"""A chat that any number of processes serve together: nothing that a visitor sees is kept in one of them."""

import asyncio
import json
import os
import time
import uuid
from pathlib import Path

import redis
import redis.asyncio
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from kolben import (
    Flask,
    abort,
    redirect,
    render_template,
    request,
    send_from_directory,
    session,
    url_for,
    websocket,
)

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

app = Flask(__name__)
app.config.from_mapping(
    SESSION_STORE=REDIS_URL,
    SESSION_KEY_PREFIX="chat:session:",
    MAX_CONTENT_LENGTH=1_000_000,
    # A folder that all machines have mounted; on one machine, any.
    FOLDER="uploads",
)
app.config.from_prefixed_env("CHAT")  # CHAT_SECRET_KEY, CHAT_FOLDER: the same on each machine
store = redis.Redis.from_url(REDIS_URL, decode_responses=True)
limiter = Limiter(get_remote_address, app=app, storage_uri=REDIS_URL)


@app.get("/")
def index():
    session["visits"] = session.get("visits", 0) + 1
    return render_template("chat.html", name=session.get("name", ""), process=os.getpid())


@app.post("/name")
def set_name():
    session["name"] = request.form["name"][:40]
    return redirect(url_for("index"))


@app.get("/me")
def me():
    return {"name": session.get("name"), "client": request.remote_addr, "process": os.getpid()}


@app.get("/rare")
@limiter.limit("5 per minute")
def rare():
    return "You may ask for this five times a minute, whichever process answers.\n"


# -- a cache: JSON in Redis, for a minute


def cached(key, compute):
    """Give what is stored under a key, or compute it and store it."""
    found = store.get(f"chat:cache:{key}")
    if found is None:
        found = json.dumps(compute())
        store.set(f"chat:cache:{key}", found, ex=60)
    return json.loads(found)


@app.get("/report")
def report():
    return cached("report", lambda: {"made": time.time(), "by": os.getpid()})


# -- uploads: in a folder that all have


@app.post("/pictures")
def keep():
    picture = request.files["picture"]
    if picture.stream.read(8) != b"\x89PNG\r\n\x1a\n":
        abort(400, "That is not a picture.")
    picture.stream.seek(0)
    folder = Path(app.config["FOLDER"]).absolute()
    name = f"{uuid.uuid4().hex}.png"
    picture.save(folder / f"{name}.part")
    (folder / f"{name}.part").rename(folder / name)  # the others see it whole, or not at all
    return redirect(url_for("show", name=name))


@app.get("/pictures/<name>")
def show(name):
    return send_from_directory(Path(app.config["FOLDER"]).absolute(), name)


# -- what a balancer asks


@app.get("/health")
def health():
    return {"status": "ok"}


@app.get("/ready")
def ready():
    try:
        store.ping()
    except redis.RedisError:
        return {"status": "no Redis"}, 503
    return {"status": "ok"}


# -- a chat: what is said goes by Redis to all processes


@app.websocket("/chat")
async def chat():
    # The session was read when the socket was opened.
    name = session.get("name", "Somebody")
    client = redis.asyncio.from_url(REDIS_URL)
    async with client, client.pubsub() as channel:
        await channel.subscribe("chat")
        forward = asyncio.create_task(forward_messages(channel))
        try:
            async for text in websocket:
                await client.publish("chat", f"{name}: {text}")
        finally:
            forward.cancel()


async def forward_messages(channel):
    """Send what is said in any process to this socket."""
    async for message in channel.listen():
        if message["type"] == "message":
            await websocket.send(message["data"].decode())
