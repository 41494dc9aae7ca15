"""The application that `stress.py` puts under stress; everything it answers can be checked."""

import collections
import ctypes
import gc
import hashlib
import os
import sys
import time

from kolben import Flask, Response, request, session, websocket

app = Flask(__name__)
app.secret_key = "stress"
app.config["MAX_CONTENT_LENGTH"] = 32 * 1024 * 1024
app.config["CANCEL_ON_DISCONNECT"] = True

#: What was begun and what was ended, of all that ends in a `finally` block.
counts = collections.Counter()


@app.while_serving
def pool():
    yield
    say_end("pool closed")


@app.after_serving
def after():
    say_end(f"after_serving, {counts['begun'] - counts['ended']} left")


def say_end(what):
    os.write(2, f"END {os.getpid()} {what}\n".encode())


@app.get("/text/<int:number>")
def text(number):
    return f"number {number}"


@app.post("/json")
def double():
    return {"double": [2 * number for number in request.get_json()]}


@app.get("/session/<int:number>")
def remember(number):
    before, session["number"] = session.get("number"), number
    return {"before": before}


@app.post("/upload")
def upload():
    digest = hashlib.sha256()
    for file in request.files.values():
        while piece := file.read(65536):
            digest.update(piece)
    return digest.hexdigest()


@app.get("/pieces/<int:count>")
def pieces(count):
    return Response((f"{number:09}\n" for number in range(count)), mimetype="text/plain")


@app.get("/endless")
def endless():
    def lines():
        counts["begun"] += 1
        try:
            while True:
                yield "x" * 500
                time.sleep(0.01)
        finally:
            counts["ended"] += 1

    return Response(lines(), mimetype="text/plain")


@app.get("/wait")
def wait():
    time.sleep(0.05)
    return "waited"


@app.get("/wrong")
def wrong():
    raise RuntimeError("on purpose")


# --- Memory ---------------------------------------------------------------------------------------


class MallocInfo(ctypes.Structure):
    """``struct mallinfo2`` of the GNU C library, mallinfo(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def bytes_in_use():
    """How many bytes malloc has given out in this process; 0 where it cannot tell (not glibc)."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return 0
    mallinfo2.restype = MallocInfo
    found = mallinfo2()
    return found.uordblks + found.hblkhd


@app.get("/memory")
def memory():
    """What is in use in this process, and not what the allocators keep in reserve."""
    gc.collect()
    left = counts["begun"] - counts["ended"]
    objects, in_bytes = sys.getallocatedblocks(), bytes_in_use()
    return {"pid": os.getpid(), "objects": objects, "bytes": in_bytes, "left": left}


if leak := int(os.environ.get("STRESS_LEAK", "0")):
    leaked = []

    @app.before_request
    def forget():
        leaked.append(bytes(leak))


app.logger.disabled = True

if os.environ.get("STRESS_ASYNC"):
    import asyncio

    @app.get("/await")
    async def awaits():
        await asyncio.sleep(0.05)
        return "waited"

    @app.get("/long")
    async def long():
        counts["begun"] += 1
        try:
            await asyncio.sleep(60)
        finally:
            counts["ended"] += 1

    @app.get("/endless-async")
    async def endless_async():
        async def lines():
            counts["begun"] += 1
            try:
                while True:
                    yield "x" * 500
            finally:
                counts["ended"] += 1

        return Response(lines(), mimetype="text/plain")

    @app.websocket("/ticks")
    async def ticks():
        counts["begun"] += 1
        try:
            while True:
                await websocket.send("tick" * 100)
        finally:
            counts["ended"] += 1

    @app.websocket("/collect")
    async def collect():
        got = []
        while "end" not in got:
            try:
                async with asyncio.timeout(0.003):
                    got.append(await websocket.receive())
            except TimeoutError:
                pass
        await websocket.send(" ".join(got))

    @app.websocket("/socket")
    async def echo():
        async for message in websocket:
            await websocket.send(message)
