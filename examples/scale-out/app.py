"""A chat that any number of processes serve together: what they share is in Redis."""

import asyncio
import os

import redis
import redis.asyncio
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_session import Session

from kolben import Flask, redirect, render_template, request, session, url_for, websocket

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

app = Flask(__name__)
app.config["SESSION_TYPE"] = "redis"
app.config["SESSION_REDIS"] = redis.Redis.from_url(REDIS_URL)
Session(app)
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
