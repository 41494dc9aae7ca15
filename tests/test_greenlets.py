"""Async views where threads are greenlets: gunicorn's gevent worker."""

from __future__ import annotations

import http.client
import importlib.util
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = """
import asyncio
from kolben import Flask
app = Flask(__name__)
begun = []

@app.before_serving
async def before():
    await asyncio.sleep(0.01)
    begun.append(1)

@app.after_serving
async def after():
    print("after_serving", flush=True)

@app.get("/")
async def index():
    await asyncio.sleep(0.3)
    return f"begun {len(begun)}"

@app.get("/stream")
def stream():
    async def pieces():
        for number in range(3):
            await asyncio.sleep(0.01)
            yield str(number)
    return pieces()

@app.get("/plain")
def plain():
    return "plain"
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    for module in "gunicorn", "gevent":
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    (tmp_path / "program.py").write_text(PROGRAM)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "-b", f"127.0.0.1:{port}"]
    process = subprocess.Popen(
        [*command, "--graceful-timeout", "3", "program:app"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port, process
    finally:
        process.kill()
        process.communicate()


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def test_async_views_under_gevent_are_answered_at_the_same_time(
    server: tuple[int, subprocess.Popen[str]],
) -> None:
    port, process = server
    answers: list[tuple[int, bytes]] = []
    clients = [threading.Thread(target=lambda: answers.append(get(port, "/"))) for _ in range(10)]
    for client in clients:
        client.start()
    assert get(port, "/plain") == (200, b"plain")
    for client in clients:
        client.join()
    assert answers == [(200, b"begun 1")] * 10
    assert get(port, "/stream") == (200, b"012")
    process.terminate()
    output, _ = process.communicate(timeout=20)
    assert "after_serving" in output
    assert "Traceback" not in output
