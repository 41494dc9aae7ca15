"""One plain and one async application behind each server: what `docs/deployment.md` says.

    python benchmarks/servers.py [--seconds 4] [--rounds 2] [name ...]

Each server is started by the command line that the page shows, with two workers, loaded by wrk with 32
connections, and stopped. Printed as a table: requests a second and the slowest percent for a view that
only answers, requests a second for a view that waits for 10 ms, the memory of all processes together
(each shared page counted once), and whether a WebSocket can be opened.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import environments

HERE = Path(__file__).resolve().parent

#: name -> application -> command line; PORT stands for the port.
COMMANDS = {
    "kolben serve": {
        "sync": "kolben serve servers_app:app --port PORT --workers 2",
        "async": "kolben serve servers_app:async_app --port PORT --workers 2",
    },
    "Granian": {
        "sync": "granian --interface wsgi --port PORT --workers 2 --blocking-threads 8 servers_app:app",
        "async": "granian --interface asgi --port PORT --workers 2 servers_app:async_app",
    },
    "FastPySGI": {
        "sync": "python -c \"import fastpysgi, servers_app;"
        " fastpysgi.run(servers_app.app, '127.0.0.1', PORT, workers=2)\"",
        "async": "python -c \"import fastpysgi, servers_app;"
        " fastpysgi.run(servers_app.async_app.asgi_app, '127.0.0.1', PORT, workers=2)\"",
    },
    "gunicorn": {
        "sync": "gunicorn --bind 127.0.0.1:PORT --workers 2 --threads 8 servers_app:app",
        "async": "gunicorn --bind 127.0.0.1:PORT --workers 2 --worker-class asgi servers_app:async_app",
    },
    "uvicorn": {
        "async": "uvicorn --port PORT --workers 2 --no-access-log servers_app:async_app.asgi_app",
    },
    "hypercorn": {
        "async": "hypercorn --bind 127.0.0.1:PORT --workers 2 servers_app:async_app.asgi_app",
    },
    "waitress": {
        "sync": "waitress-serve --listen 127.0.0.1:PORT --threads 8 servers_app:app",
    },
    "uWSGI": {
        "sync": "uwsgi --http11-socket 127.0.0.1:PORT --module servers_app:app --master --processes 2"
        " --threads 8 --need-app --die-on-term --disable-logging --listen 100",
    },
}  # fmt: skip


@dataclass
class Result:
    """What was measured of one server with one application."""

    hello: list[float] = field(default_factory=list)
    slowest: list[float] = field(default_factory=list)
    wait: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    websockets: bool = False
    failed: int = 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def measure(command: str, python: Path, seconds: float, result: Result) -> None:
    port = free_port()
    arguments = shlex.split(command.replace("PORT", str(port)))
    environment = environments.variables()
    environment["PATH"] = f"{python.parent}{os.pathsep}{environment['PATH']}"
    if arguments[0] == "kolben":
        arguments[:1] = [str(python), "-m", "kolben"]
    process = subprocess.Popen(
        arguments, cwd=HERE, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(port, process)
        load(port, "/hello", 1)
        rate, slowest, failed = load(port, "/hello", seconds)
        result.hello.append(rate)
        result.slowest.append(slowest)
        result.failed += failed
        result.memory.append(memory(process.pid))
        rate, _, failed = load(port, "/wait", seconds)
        result.wait.append(rate)
        result.failed += failed
        result.websockets = opens_websocket(port)
    finally:
        stop(process)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/hello", timeout=5) as answer:
                if answer.read() == b"Hello World!":
                    return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server has not started")


def load(port: int, path: str, seconds: float) -> tuple[float, float, int]:
    """Requests a second, the slowest percent in ms, and how many requests failed."""
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", done.stdout)
    if rate is None or slowest is None:
        raise RuntimeError(done.stdout)
    unit = {"us": 0.001, "ms": 1, "s": 1000}[slowest[2]]
    errors = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", done.stdout
    )
    statuses = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    failed = sum(map(int, errors.groups())) if errors else 0
    return float(rate[1]), float(slowest[1]) * unit, failed + (int(statuses[1]) if statuses else 0)


def memory(session: int) -> float:
    """The memory of a session's processes in MiB, each shared page counted once."""
    total = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if os.getsid(int(folder.name)) != session:
                continue
            found = re.search(r"Pss:\s+(\d+) kB", (folder / "smaps_rollup").read_text())
        except (OSError, ProcessLookupError):
            continue
        total += int(found[1]) if found else 0
    return total / 1024


def opens_websocket(port: int) -> bool:
    key = base64.b64encode(os.urandom(16)).decode()
    request = (
        f"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(request.encode())
        return connection.recv(100).startswith(b"HTTP/1.1 101")


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def table(results: dict[tuple[str, str], Result]) -> None:
    for kind in "sync", "async":
        print(f"\n{kind}\n")
        print(
            "| server | requests/s | p99, ms | waiting 10 ms: requests/s | memory, MiB | WebSockets |"
        )
        print("| --- | ---: | ---: | ---: | ---: | --- |")
        rows = [(name, r) for (name, k), r in results.items() if k == kind and r.hello]
        for name, r in sorted(rows, key=lambda row: -median(row[1].hello)):
            print(
                f"| {name} | {median(r.hello):,.0f} | {median(r.slowest):.1f} |"
                f" {median(r.wait):,.0f} | {median(r.memory):.0f} | {'yes' if r.websockets else 'no'} |"
                + (f" {r.failed} failed" if r.failed else "")
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="servers; all without any")
    parser.add_argument("--seconds", type=int, default=4, help="of each load")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    python = environments.ensure("servers")
    results: dict[tuple[str, str], Result] = {}
    for _ in range(options.rounds):
        for name, commands in COMMANDS.items():
            if options.names and name not in options.names:
                continue
            for kind, command in commands.items():
                result = results.setdefault((name, kind), Result())
                try:
                    measure(command, python, min(options.seconds, 30), result)
                except (RuntimeError, OSError) as error:
                    print(f"{name}, {kind}: {error}", file=sys.stderr)
    table(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
