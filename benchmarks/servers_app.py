"""The two applications that `servers.py` puts behind each server."""

import asyncio
import time

from kolben import Flask, websocket

app = Flask(__name__)


@app.get("/hello")
def hello():
    return "Hello World!"


@app.get("/wait")
def wait():
    time.sleep(0.01)
    return "waited"


async_app = Flask(__name__)


@async_app.get("/hello")
async def hello_async():
    return "Hello World!"


@async_app.get("/wait")
async def wait_async():
    await asyncio.sleep(0.01)
    return "waited"


@async_app.websocket("/echo")
async def echo():
    async for message in websocket:
        await websocket.send(message)
