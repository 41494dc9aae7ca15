"""Requests a second and the slowest percent, over a socket, loaded by wrk from another process.

Granian serves everything with one worker, FastPySGI the WSGI apps. All servers of a table run
at the same time, idle but for the one that is being loaded, so that the rounds interleave.

The servers have one core for themselves and wrk another one. Granian hands each request from one thread to
the next; with wrk that makes three of them on two cores, and where the system puts them made more
difference than what the program does: a program with 15 % more work was served 8 % faster.
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import environments
from frameworks import Framework
from rounds import in_turn, medians
from workloads import BY_NAME, Workload

WORKLOADS = ("hello", "path", "json")
CONNECTIONS = 32
ROUNDS_OF_A_PROCESS = 3
SLICE = 0.25
"""For how many seconds a server is loaded before it is the next one's turn.

A shared machine changes its pace several times a second; what takes turns as quickly has an equal share of
each pace.
"""

_FASTPYSGI = """
import importlib, sys, fastpysgi
fastpysgi.server.hook_sigint = 2
app = importlib.import_module(sys.argv[1]).app
fastpysgi.run(app, "127.0.0.1", int(sys.argv[2]), loglevel=fastpysgi.LL_ERROR)
"""


def _on_core(which: int) -> Callable[[], None] | None:
    """Return what a new process calls to stay on the first or the second of the cores that there are.

    None where there is but one, or a system that cannot do it.
    """
    if not hasattr(os, "sched_setaffinity") or len(cores := sorted(os.sched_getaffinity(0))) < 2:
        return None
    return partial(os.sched_setaffinity, 0, {cores[which]})


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


def answers(port: int, workload: Workload) -> bool:
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
    running = launch(framework, partial(_command, server, framework, websockets=websockets))
    for name in () if websockets else WORKLOADS:
        if running.process.poll() is not None or not answers(running.port, BY_NAME[name]):
            running.stop()
            raise RuntimeError(f"{framework.label} on {server} does not answer {name}")
    return running


def launch(framework: Framework, command: Callable[[int], list[str]]) -> Server:
    """Start a server on the core that all of them share, and wait until it answers.

    :param framework: what it serves.
    :param command: makes the command line, for a port.
    """
    port = _free_port()
    process = subprocess.Popen(
        command(port),
        env=environments.variables(),
        cwd=environments.ROOT / "benchmarks",
        stdout=subprocess.DEVNULL,
        preexec_fn=_on_core(0),  # noqa: PLW1509 (there is one thread)
    )
    running = Server(framework, port, process)
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            answers(port, BY_NAME["hello"])
            return running
        time.sleep(0.1)
    running.stop()
    raise RuntimeError(f"{framework.label} has not started")


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


def script(workload: Workload, folder: Path) -> list[str]:
    """Return wrk's options for a request that is not a plain GET."""
    if workload.method == "GET" and not workload.headers:
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
    requests: int
    """How many requests there were."""
    cpu: float
    """CPU seconds that they took the server."""


def _interrupted(command: list[str], seconds: float) -> str:
    """Run wrk on the other core, interrupt it after some seconds, and return its report."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_on_core(1),  # noqa: PLW1509 (there is one thread)
    ) as wrk:
        try:
            time.sleep(seconds)
            wrk.send_signal(signal.SIGINT)
            return wrk.communicate(timeout=30)[0]
        except BaseException:
            wrk.kill()  # or leaving this block would wait for it
            raise


def load(server: Server, workload: Workload, seconds: float, options: list[str]) -> Load:
    """Load a server for some seconds."""
    url = f"http://127.0.0.1:{server.port}{workload.path}"
    # wrk takes whole seconds only, and ends early, with its report, when it is interrupted.
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d60s", "--latency", *options, url]
    for _ in range(3):
        before = _cpu_seconds(server.process.pid)
        report = _interrupted(command, seconds)
        # On a busy machine it may be interrupted before it has begun.
        if re.search(r"\b[1-9]\d* requests in", report):
            break
    cpu = _cpu_seconds(server.process.pid) - before
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s)", report)
    total = re.search(r"(\d+) requests in", report)
    if "Non-2xx" in report or not rate or not slowest or not total:
        raise RuntimeError(f"{server.framework.label}, {workload.name}: {report}")
    return Load(float(rate[1]), float(slowest[1]) * _UNITS[slowest[2]], int(total[1]), cpu)


Rates = dict[str, dict[str, dict[str, float]]]


def measure(
    server: str,
    frameworks: list[Framework],
    rounds: int,
    seconds: int,
    workloads: Sequence[str] = WORKLOADS,
) -> Rates:
    """Return, per workload and framework, the medians of each figure on *server*.

    Now and then all servers are started anew: one process is as much as 5 % faster than the next of the
    same program, for as long as it lives.

    :param rounds: how many rounds.
    :param seconds: for how long each server is loaded in each round, a slice at a time.
    """
    loads: dict[str, list[_Round]] = {name: [] for name in workloads}
    for start_round in range(0, rounds, ROUNDS_OF_A_PROCESS):
        left = min(ROUNDS_OF_A_PROCESS, rounds - start_round)
        with _serving(server, frameworks) as running, tempfile.TemporaryDirectory() as folder:
            for name in workloads:
                loads[name] += _rounds(running, BY_NAME[name], left, seconds, Path(folder))
    return {name: figures(loads[name]) for name in workloads}


_Round = list[dict[str, Load]]
"""The slices of a round."""


def _rounds(
    running: list[Server], workload: Workload, rounds: int, seconds: int, folder: Path
) -> list[_Round]:
    """Load each server in each round, after a load that warms it up."""
    options = script(workload, folder)
    for each in running:
        load(each, workload, 1, options)
    slices = round(seconds / SLICE)
    return [
        [
            {each.framework.name: load(each, workload, SLICE, options) for each in order}
            for order in in_turn(running, slices)
        ]
        for _ in range(rounds)
    ]


def figures(rounds: list[_Round]) -> dict[str, dict[str, float]]:
    """Return for each framework the requests a second, the 99th percentile in milliseconds, and the
    server's CPU microseconds for one request, which other work disturbs less.
    """
    slices = [each for one in rounds for each in one]
    found: dict[str, dict[str, float]] = {}
    for what, figures in (
        ("rps", [{name: load.rps for name, load in each.items()} for each in slices]),
        ("p99", [{name: load.p99 for name, load in each.items()} for each in slices]),
        ("cpu", [_cpu_of(one) for one in rounds]),
    ):
        for name, figure in medians(figures).items():
            found.setdefault(name, {})[what] = figure
    return found


def _cpu_of(one: _Round) -> dict[str, float]:
    # Of the whole round, since the system counts the time in hundredths of a second.
    return {
        name: sum(each[name].cpu for each in one) / sum(each[name].requests for each in one) * 1e6
        for name in one[0]
    }
