"""The program of `docs/how-to/celery.md`: a worker of Celery's does what a view has asked for."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from suite_environments import ROOT, environment

pytestmark = [
    pytest.mark.suite,
    pytest.mark.timeout(600),
    pytest.mark.needs_program("redis-server"),
]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def running(folder: Path, *command: str | Path, **variables: str) -> Iterator[Path]:
    log = folder / f"{Path(command[-1]).name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | variables, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        yield log
    finally:
        process.terminate()
        process.wait(30)


def wait_for(condition: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def test_a_worker_does_what_a_view_has_asked_for(
    tmp_path: Path, needs_program: Callable[..., str]
) -> None:
    python = environment("celery", "ecosystem/celery")
    (tmp_path / "orders.py").write_bytes((ROOT / "examples/celery/orders.py").read_bytes())
    store, port = free_port(), free_port()
    variables = {"ORDERS_REDIS": f"redis://127.0.0.1:{store}/0", "ORDERS_SHOP": "Kolben"}
    redis = [
        needs_program("redis-server"),
        "--port",
        str(store),
        "--save",
        "",
        "--bind",
        "127.0.0.1",
    ]
    celery = [python, "-m", "celery", "--app", "orders:celery", "worker", "--pool", "solo"]
    server = [python, "-m", "kolben", "run", "--port", str(port), "--no-reload", "orders.py"]
    with (
        running(tmp_path, *redis) as redis_log,
        running(tmp_path, *celery, **variables) as celery_log,
        running(tmp_path, *server, **variables) as server_log,
    ):
        wait_for(lambda: listens(store), redis_log)
        wait_for(lambda: listens(port), server_log)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            answer = client.post("/orders", data={"name": "Ada"})
            assert answer.status_code == 202
            address = answer.json()["status"]
            wait_for(lambda: bool(client.get(address).json()["ready"]), celery_log)
            assert client.get(address).json()["text"] == "Dear Ada, Kolben thanks you."
