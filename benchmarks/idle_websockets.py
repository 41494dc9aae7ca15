"""`python benchmarks/idle_websockets.py`: what a WebSocket costs that has nothing to say.

Opens 5,000 of them to one Granian worker, for kolben and for Starlette, lets some echo a message,
and states the memory that each connection took.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import resource
import socket
import sys
import time
from pathlib import Path

import sockets
from frameworks import Framework

FRAMEWORKS = [
    Framework("idle_kolben", "kolben", "kolben", "asgi"),
    Framework("idle_starlette", "Starlette", "starlette", "asgi"),
]


def connect(port: int) -> socket.socket:
    """Open a WebSocket (RFC 6455, section 4.1)."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(1024)
        if not piece:
            break
        answer += piece
    if not answer.startswith(b"HTTP/1.1 101"):
        raise RuntimeError(f"no WebSocket: {answer[:100]!r}")
    return connection


def echo(connection: socket.socket) -> bool:
    """Send a short text frame and return whether the same text comes back."""
    text, mask = b"still there?", os.urandom(4)
    masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(text))
    connection.sendall(bytes([0x81, 0x80 | len(text)]) + mask + masked)
    wanted = bytes([0x81, len(text)]) + text
    got = b""
    while len(got) < len(wanted) and (piece := connection.recv(64)):
        got += piece
    return got == wanted


def resident_kb(pid: int) -> int:
    """Return the resident memory of a server and the processes below it."""
    total = 0
    for each in sockets.processes(pid):
        for line in Path(f"/proc/{each}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total


def measure(framework: Framework, count: int) -> dict[str, float]:
    """Return kilobytes a connection, and seconds to open them all."""
    server = sockets.start("granian", framework, websockets=True)
    connections: list[socket.socket] = []
    try:
        # What the first connections load is not the price of a connection.
        connections += [connect(server.port) for _ in range(50)]
        before = resident_kb(server.process.pid)
        start = time.perf_counter()
        connections += [connect(server.port) for _ in range(count)]
        took = time.perf_counter() - start
        time.sleep(1)
        after = resident_kb(server.process.pid)
        if not all(echo(connection) for connection in connections[:: max(1, count // 50)]):
            raise RuntimeError(f"{framework.label} did not echo")
        return {"kb_each": (after - before) / count, "seconds": took}
    finally:
        for connection in connections:
            connection.close()
        server.stop()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    sockets.end_on_sigterm()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = {}
    for framework in FRAMEWORKS:
        try:
            figures = found[framework.label] = measure(framework, options.count)
        except (OSError, RuntimeError) as error:
            print(f"left out: {framework.label}: {error}", file=sys.stderr)
            continue
        print(
            f"{framework.label:<10} {options.count:,} idle WebSockets: "
            f"{figures['kb_each']:.1f} kB each, opened in {figures['seconds']:.1f} s"
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if len(found) == len(FRAMEWORKS) else 1


if __name__ == "__main__":
    sys.exit(main())
