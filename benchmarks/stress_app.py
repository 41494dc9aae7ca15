"""The application that `stress.py` puts under stress; everything it answers can be checked."""

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
    return {"pid": os.getpid(), "objects": sys.getallocatedblocks(), "bytes": bytes_in_use()}


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

    @app.websocket("/socket")
    async def echo():
        async for message in websocket:
            await websocket.send(message)
