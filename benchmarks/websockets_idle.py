"""Memory of idle WebSockets, in Kolben and in Starlette.

    python benchmarks/websockets_idle.py                5,000 connections without a server
    python benchmarks/websockets_idle.py --server 1000  so many through uvicorn, over sockets

Each row is a process of its own. Its connections are accepted, have exchanged one message, and wait
for the next. "traced" is what Python objects take (tracemalloc), "resident" what the process
grew by (VmRSS); without a server both are the framework's share, with one they have the server's
in them. Needs starlette; the second form needs uvicorn and websockets too, and enough file
descriptors (ulimit -n).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import socket
import subprocess
import sys
import time
import tracemalloc


def kolben_app():
    from kolben import Flask, websocket

    app = Flask(__name__, static_folder=None)

    @app.websocket("/ws/<room>")
    async def ws(room):
        while True:
            await websocket.send(await websocket.receive())

    return app.asgi_app


def kolben_session_app():
    from kolben import Flask, session, websocket

    app = Flask(__name__, static_folder=None)
    app.secret_key = "secret"

    @app.websocket("/ws/<room>")
    async def ws(room):
        session.get("user")
        while True:
            await websocket.send(await websocket.receive())

    return app.asgi_app


def starlette_app():
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute

    async def ws(websocket):
        await websocket.accept()
        while True:
            await websocket.send_text(await websocket.receive_text())

    return Starlette(routes=[WebSocketRoute("/ws/{room}", ws)])


def bare_app():
    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})

    return app


APPS = {
    "bare ASGI": bare_app,
    "kolben": kolben_app,
    "kolben, session read": kolben_session_app,
    "starlette": starlette_app,
}


def resident() -> int:
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
    raise OSError("no VmRSS")


# ---- without a server ---------------------------------------------------------------------


def scope(number: int) -> dict:
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": f"/ws/{number}",
        "raw_path": f"/ws/{number}".encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"example.com"),
            (
                b"user-agent",
                b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0 " + b"%d" % number,
            ),
            (b"origin", b"https://example.com"),
            (b"sec-websocket-version", b"13"),
            (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            (b"connection", b"Upgrade"),
            (b"upgrade", b"websocket"),
        ],
        "client": ("127.0.0.1", 1024 + number),
        "server": ("127.0.0.1", 8000),
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }


class Client:
    """As little of a server as there can be: one connection that sends one message."""

    __slots__ = ("echoed", "step")

    def __init__(self) -> None:
        self.step = 0
        self.echoed = False

    async def receive(self):
        self.step += 1
        if self.step == 1:
            return {"type": "websocket.connect"}
        if self.step == 2:
            return {"type": "websocket.receive", "text": "hello"}
        return await asyncio.get_running_loop().create_future()

    async def send(self, message):
        if message["type"] == "websocket.send":
            self.echoed = True


async def measure(app, count: int) -> tuple[int, int]:
    async def open_some(first: int, number: int):
        clients = [Client() for _ in range(number)]
        tasks = [
            asyncio.create_task(app(scope(first + n), client.receive, client.send))
            for n, client in enumerate(clients)
        ]
        while not all(client.echoed for client in clients):  # noqa: ASYNC110 (a simple wait)
            await asyncio.sleep(0.01)
        return tasks

    kept = [await open_some(0, 50)]  # what is made once, at the first connections
    gc.collect()
    before = resident(), tracemalloc.get_traced_memory()[0]
    kept.append(await open_some(50, count))
    # Kolben looks once, after five seconds, whether a handler receives; none is left then.
    gc.collect()
    after = resident(), tracemalloc.get_traced_memory()[0]
    for tasks in kept:
        for task in tasks:
            task.cancel()
    await asyncio.gather(*(task for tasks in kept for task in tasks), return_exceptions=True)
    return (after[0] - before[0]) // count, (after[1] - before[1]) // count


def child(name: str, count: int, traced: bool) -> None:
    if traced:
        tracemalloc.start()
    app = APPS[name]()
    rss, objects = asyncio.run(measure(app, count))
    print(objects if traced else rss)


# ---- through uvicorn ----------------------------------------------------------------------


def serve(name: str, port: int) -> None:
    import uvicorn

    uvicorn.run(APPS[name](), port=port, log_level="warning", ws_ping_interval=None)


def memory_of(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


async def grown_by(pid: int, port: int, count: int) -> int:
    """Open connections and return by how many bytes the server has grown."""
    from websockets.asyncio.client import connect

    async def talk(number: int):
        url = f"ws://127.0.0.1:{port}/ws/{number}"
        ws = await connect(url, proxy=None, ping_interval=None, compression=None)
        await ws.send("hello")
        await ws.recv()
        return ws

    open_ones = [await talk(n) for n in range(20)]
    before = memory_of(pid)
    open_ones += [await talk(n) for n in range(count)]
    await asyncio.sleep(1)
    grown = memory_of(pid) - before
    for ws in open_ones:
        ws.transport.abort()
    return grown


def through_uvicorn(name: str, count: int) -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, __file__, "--serve", name, str(port)])
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)

        return asyncio.run(grown_by(server.pid, port, count)) // count
    finally:
        server.terminate()
        server.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--server", type=int, metavar="COUNT")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, count, traced = options.child
        child(name, int(count), traced == "traced")
    elif options.serve:
        serve(options.serve[0], int(options.serve[1]))
    elif options.server:
        print(f"{options.server:,} idle WebSockets through uvicorn, bytes a connection, resident")
        for name in APPS:
            print(f"{name:22}{through_uvicorn(name, options.server):>10,}", flush=True)
    else:
        print(f"{options.count:,} idle WebSockets, bytes a connection")
        print(f"{'':22}{'traced':>10}{'resident':>10}")
        for name in APPS:
            row = [
                int(
                    subprocess.check_output(
                        [sys.executable, __file__, "--child", name, str(options.count), kind]
                    )
                )
                for kind in ("traced", "resident")
            ]
            print(f"{name:22}{row[0]:>10,}{row[1]:>10,}", flush=True)


if __name__ == "__main__":
    main()
