"""The rows of the tables, and the driver's end of a worker."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import environments

PATIENCE = 60
"""Seconds after which a worker that does not answer is given up."""


@dataclass(frozen=True)
class Framework:
    """One row: its `name` is that of its app file, `env` that of its environment.

    `served` is what it is on a socket ("wsgi", "asgi", "rsgi", or "" where it is not served).
    """

    name: str
    label: str
    env: str
    served: str = ""

    @property
    def is_floor(self) -> bool:
        return self.name.startswith("bare_")

    @property
    def is_ours(self) -> bool:
        return self.name.startswith("kolben")


FRAMEWORKS = [
    Framework("bare_wsgi", "bare WSGI", "bare", "wsgi"),
    Framework("bare_asgi", "bare ASGI", "bare", "asgi"),
    Framework("bare_jinja2", "bare Jinja2", "kolben"),
    Framework("bare_json", "bare json", "kolben"),
    Framework("bare_msgspec", "bare msgspec", "kolben"),
    Framework("kolben", "kolben", "kolben", "wsgi"),
    Framework("kolben_msgspec", "kolben, MsgspecJSONProvider", "kolben"),
    Framework("kolben_asgi", "kolben (ASGI)", "kolben", "asgi"),
    Framework("kolben_asgi_msgspec", "kolben (ASGI), MsgspecJSONProvider", "kolben"),
    Framework("flask", "Flask", "flask", "wsgi"),
    Framework("quart", "Quart", "quart", "asgi"),
    Framework("falcon", "Falcon", "falcon", "wsgi"),
    Framework("falcon_asgi", "Falcon (ASGI)", "falcon", "asgi"),
    Framework("bottle", "Bottle", "bottle", "wsgi"),
    Framework("django", "Django", "django", "wsgi"),
    Framework("starlette", "Starlette", "starlette", "asgi"),
    Framework("fastapi", "FastAPI", "fastapi", "asgi"),
    Framework("litestar", "Litestar", "litestar", "asgi"),
    Framework("blacksheep", "BlackSheep", "blacksheep", "asgi"),
    Framework("sanic", "Sanic", "sanic", "asgi"),
    Framework("emmett55", "Emmett55", "emmett55", "rsgi"),
]
BY_NAME = {framework.name: framework for framework in FRAMEWORKS}


class Failed(Exception):
    """A worker that ended, or could not do what it was told."""


class Worker:
    """A long-lived process with one framework's app in it, on one Python or on that of all."""

    def __init__(self, framework: Framework, base: str | None = None) -> None:
        self.framework = framework
        python = environments.ensure(framework.env, base)
        self._process = subprocess.Popen(
            [str(python), str(environments.ROOT / "benchmarks" / "worker.py"), framework.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=environments.variables(),
        )
        ready = self._read()
        self.kind: str = ready["kind"]
        self.workloads: tuple[str, ...] = tuple(ready["workloads"])

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        # Each answer is one line, so a select on the pipe never misses one that is buffered.
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            self._process.kill()
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"{self.framework.label}: the worker ended ({self._process.wait()})")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Failed(f"{self.framework.label}: {answer['error']}")
        return answer

    def _tell(self, workload: str, n: int) -> dict[str, Any]:
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps({"workload": workload, "n": n}) + "\n")
        return self._read()

    def verify(self, workload: str) -> None:
        """Raise Failed unless the answer to *workload* is what it should be."""
        self._tell(workload, 0)

    def time(self, workload: str, n: int) -> float:
        """Return the CPU time of one request in microseconds, over *n* requests."""
        ns: int = self._tell(workload, n)["ns"]
        return ns / n / 1000

    def calibrate(self, workload: str, seconds: float) -> int:
        """Return how many requests take about *seconds*; this also warms up."""
        n, each = 4, 0.0
        while n * each < seconds * 1e6 / 4:
            n *= 4
            each = self.time(workload, n)
        return max(4, round(seconds * 1e6 / each))

    def close(self) -> None:
        """End the process and wait for it."""
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start(names: list[str]) -> list[Worker]:
    """Start a worker for each name; one that can't start is reported and left out."""
    workers = []
    for name in names:
        try:
            workers.append(Worker(BY_NAME[name]))
        except (Failed, subprocess.CalledProcessError) as error:
            print(f"left out: {error}", file=sys.stderr)
    return workers
