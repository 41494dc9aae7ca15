"""Requests a second and the slowest percent, over a socket, loaded by wrk from another process.

Granian serves everything with one worker, FastPySGI the WSGI apps. All servers of a table run
at the same time, idle but for the one that is being loaded, so that the rounds interleave.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import environments
from frameworks import Framework
from rounds import in_turn, medians
from workloads import BY_NAME, Workload

WORKLOADS = ("hello", "path", "json")
CONNECTIONS = 32
ROUNDS_OF_A_PROCESS = 3

_FASTPYSGI = """
import importlib, sys, fastpysgi
fastpysgi.server.hook_sigint = 2
app = importlib.import_module(sys.argv[1]).app
fastpysgi.run(app, "127.0.0.1", int(sys.argv[2]), loglevel=fastpysgi.LL_ERROR)
"""


@dataclass
class Server:
    """A running server of one framework."""

    framework: Framework
    port: int
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        # A worker with connections open may outlive the process that started it.
        own = processes(self.process.pid)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        for pid in own:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def available() -> bool:
    """Return whether there is a wrk to load with; say so where there is none."""
    if shutil.which("wrk"):
        return True
    print("no socket tables: wrk is not installed (on Debian: apt install wrk)", file=sys.stderr)
    return False


def end_on_sigterm() -> None:
    """Let a SIGTERM unwind this process, so that the servers it started are stopped."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _command(server: str, framework: Framework, port: int, websockets: bool) -> list[str]:
    python = str(environments.ensure(framework.env))
    target = f"apps.{framework.name}"
    if server == "fastpysgi":
        return [python, "-c", _FASTPYSGI, target, str(port)]
    options = {
        "--interface": framework.served,
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
        # One core's worth of work at a time: more threads only wait for each other.
        "--blocking-threads": "1",
        "--loop": "asyncio",
        # What Granian's documentation has found best for a small number of processes. In its other mode one
        # worker hands each request from thread to thread, and a slower program may be served faster.
        "--runtime-mode": "st",
        "--log-level": "error",
    }
    pairs = [text for pair in options.items() for text in pair]
    return [
        python,
        "-m",
        "granian",
        *pairs,
        "--ws" if websockets else "--no-ws",
        "--no-access-log",
        f"{target}:app",
    ]


def _answer(port: int, workload: Workload) -> bool:
    """Return whether what listens on *port* answers *workload* as it should."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(workload.method, workload.path, workload.body, workload.headers)
        got = connection.getresponse()
        headers = {name.lower(): value for name, value in got.getheaders()}
        return workload.check(got.status, headers, got.read())
    finally:
        connection.close()


def start(server: str, framework: Framework, *, websockets: bool = False) -> Server:
    """Start a server and wait until it answers, rightly unless it serves only *websockets*."""
    port = _free_port()
    process = subprocess.Popen(
        _command(server, framework, port, websockets),
        env=environments.variables(),
        cwd=environments.ROOT / "benchmarks",
        stdout=subprocess.DEVNULL,
    )
    running = Server(framework, port, process)
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            _answer(port, BY_NAME["hello"])
            break
        time.sleep(0.1)
    for name in () if websockets else WORKLOADS:
        if process.poll() is not None or not _answer(port, BY_NAME[name]):
            running.stop()
            raise RuntimeError(f"{framework.label} on {server} does not answer {name}")
    return running


@contextlib.contextmanager
def _serving(server: str, frameworks: list[Framework]) -> Iterator[list[Server]]:
    running: list[Server] = []
    try:
        for framework in frameworks:
            try:
                running.append(start(server, framework))
            except (RuntimeError, OSError) as error:
                print(f"left out: {error}", file=sys.stderr)
        yield running
    finally:
        for each in running:
            each.stop()


def _script(workload: Workload, folder: Path) -> list[str]:
    """Return wrk's options for a request that is not a plain GET."""
    if workload.method == "GET":
        return []
    lines = [f"wrk.method = {json.dumps(workload.method)}"]
    lines += [
        f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in workload.headers.items()
    ]
    lines.append(f"wrk.body = {json.dumps(workload.body.decode())}")
    script = folder / f"{workload.name}.lua"
    script.write_text("\n".join(lines))
    return ["-s", str(script)]


def processes(pid: int) -> list[int]:
    """Return *pid* and the processes below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += processes(int(child))
    return found


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time that a server and the processes below it have taken so far."""
    ticks = 0
    for each in processes(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """What one run of wrk found."""

    rps: float
    """Requests a second."""
    p99: float
    """The 99th percentile, in milliseconds."""
    cpu: float
    """CPU microseconds of the server for one request, which other work disturbs less."""


def _load(server: Server, workload: Workload, seconds: int, options: list[str]) -> Load:
    """Load a server for some seconds."""
    url = f"http://127.0.0.1:{server.port}{workload.path}"
    before = _cpu_seconds(server.process.pid)
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", *options, url],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 30,
    )
    cpu = _cpu_seconds(server.process.pid) - before
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)
    total = re.search(r"(\d+) requests in", done.stdout)
    if "Non-2xx" in done.stdout or not rate or not slowest or not total:
        raise RuntimeError(f"{server.framework.label}, {workload.name}: {done.stdout}")
    return Load(
        float(rate[1]), float(slowest[1]) * _UNITS[slowest[2]], cpu / int(total[1]) * 1_000_000
    )


Rates = dict[str, dict[str, dict[str, float]]]


def measure(
    server: str,
    frameworks: list[Framework],
    rounds: int,
    seconds: int,
    workloads: Sequence[str] = WORKLOADS,
    tries: int = 1,
) -> Rates:
    """Return, per workload and framework, the medians of each figure of `Load` on *server*.

    Now and then all servers are started anew: one process is as much as 5 % faster than the next of the
    same program, for as long as it lives. Of *tries* for a round the one counts during which the machine
    kept the steadiest pace.
    """
    loads: dict[str, list[dict[str, Load]]] = {name: [] for name in workloads}
    for start_round in range(0, rounds, ROUNDS_OF_A_PROCESS):
        left = min(ROUNDS_OF_A_PROCESS, rounds - start_round)
        with _serving(server, frameworks) as running, tempfile.TemporaryDirectory() as folder:
            for name in workloads:
                loads[name] += _rounds(running, BY_NAME[name], left, seconds, tries, Path(folder))
    return {name: _figures(loads[name]) for name in workloads}


def _rounds(
    running: list[Server],
    workload: Workload,
    rounds: int,
    seconds: int,
    tries: int,
    folder: Path,
) -> list[dict[str, Load]]:
    """Load each server in each round, after a load that warms it up."""
    options = _script(workload, folder)
    for each in running:
        _load(each, workload, 1, options)
    found = []
    for orders in zip(*[in_turn(running, rounds * tries)] * tries, strict=True):
        done = []
        for order in orders:
            paces, loads = [_pace()], {}
            for each in order:
                loads[each.framework.name] = _load(each, workload, seconds, options)
                paces.append(_pace())
            done.append((max(paces) / min(paces), loads))
        found.append(min(done, key=itemgetter(0))[1])
    return found


def _pace() -> float:
    """Return how long the same work takes now, in seconds: on a shared machine now twice as long as then."""
    begin = time.perf_counter()
    for _ in range(500_000):
        pass
    return time.perf_counter() - begin


def _figures(loads: list[dict[str, Load]]) -> dict[str, dict[str, float]]:
    """Return the medians of each framework."""
    found: dict[str, dict[str, float]] = {}
    for what in ("rps", "p99", "cpu"):
        rounds = [{name: getattr(load, what) for name, load in each.items()} for each in loads]
        for name, figure in medians(rounds).items():
            found.setdefault(name, {})[what] = figure
    return found
