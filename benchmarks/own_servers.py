"""Frameworks that bring a server of their own, beside Kolben on two: requests a second on one core.

    python benchmarks/own_servers.py [--quick] [--json FILE] [name ...]

Each is set up as its documentation says for production, with one process, request logging off. All servers
have one core for themselves and wrk has another one; they take turns, a slice at a time, as in the other tables
over a socket. `make bench` runs it, too.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import environments
import report
import sockets
from frameworks import Framework
from rounds import in_turn
from workloads import BY_NAME, Workload

SERVED = [
    Framework("own_kolben", "kolben on FastPySGI", "kolben"),
    Framework("own_kolben_granian", "kolben on Granian", "kolben"),
    Framework("own_django_bolt", "django-bolt", "django-bolt"),
    Framework("own_robyn", "Robyn", "robyn"),
    Framework("own_zan", "zan", "zan"),
]
#: For how many seconds a server is loaded before it is the next one's turn.
SLICE = 0.5
_JSON = BY_NAME["json"]
#: JSON read into a class, and written from one.
VALIDATED = replace(_JSON, name="validated", path="/validated")
ASKED = [*(BY_NAME[name] for name in ("hello", "path", "json")), VALIDATED]
ASKED += [BY_NAME[name] for name in ("template", "session")]
#: Robyn takes the command line for its own.
_SERVE = "import importlib, sys; _, name, port = sys.argv; importlib.import_module(name).serve(int(port))"


def start(framework: Framework) -> sockets.Server:
    """Start a server, and wait until it answers."""
    python = environments.ensure(framework.env)

    def command(port: int) -> list[str]:
        return [str(python), "-c", _SERVE, f"apps.{framework.name}", str(port)]

    return sockets.launch(framework, command)


def prepared(server: sockets.Server, workload: Workload) -> Workload | None:
    """Return a workload with the cookies that it needs; None where the server has no such thing."""
    if workload.prime:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("GET", workload.prime)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        cookies = [value.split(";")[0] for value in answer.headers.get_all("Set-Cookie", [])]
        workload = replace(workload, headers={**workload.headers, "cookie": "; ".join(cookies)})
    return workload if sockets.answers(server.port, workload) else None


def measure(frameworks: list[Framework], rounds: int) -> report.Rates:
    """Return, per workload and framework, the medians of each figure.

    :param rounds: how many rounds of a second each.
    """
    running: list[sockets.Server] = []
    found: report.Rates = {}
    try:
        for framework in frameworks:
            try:
                running.append(start(framework))
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                print(f"left out: {error}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            for workload in ASKED:
                print(f"{workload.name} ...", file=sys.stderr, flush=True)
                found[workload.name] = _rounds(running, workload, rounds, Path(folder))
    finally:
        for each in running:
            each.stop()
    return found


def _rounds(
    running: list[sockets.Server], workload: Workload, rounds: int, folder: Path
) -> dict[str, dict[str, float]]:
    asked: dict[str, tuple[Workload, list[str]]] = {}
    for each in running:
        own = prepared(each, workload)
        if own is None:
            print(f"{each.framework.label} does not answer {workload.name}", file=sys.stderr)
            continue
        own_folder = folder / each.framework.name
        own_folder.mkdir(exist_ok=True)
        asked[each.framework.name] = own, sockets.script(own, own_folder)
    those = [each for each in running if each.framework.name in asked]
    for each in those:
        sockets.load(each, asked[each.framework.name][0], 1, asked[each.framework.name][1])
    return sockets.figures(
        [
            [
                {
                    name: sockets.load(each, asked[name][0], SLICE, asked[name][1])
                    for each in order
                    for name in (each.framework.name,)
                }
                for order in in_turn(those, 2)
            ]
            for _ in range(rounds)
        ]
    )


def table(rates: report.Rates) -> str:
    """Return the table: requests a second, and the CPU time of one."""
    columns = [f"{name} {what}" for name in rates for what in ("req/s", "CPU µs")]
    rows = []
    for framework in SERVED:
        figures = [of.get(framework.name) for of in rates.values()]
        cells = []
        for one in figures:
            cells += ["-", "-"] if one is None else [f"{one['rps']:.0f}", f"{one['cpu']:.1f}"]
        if any(figures):
            rows.append((framework.label, cells))
    return report.table(columns, rows)


def goals(rates: report.Rates) -> list[report.Goal]:
    """Return for each workload whether Kolben is ahead of each of the others.

    By the CPU time of a request: where other work is on the machine, a server of many threads gets more of
    the core than one of few, and more requests done at a higher cost.
    """
    found = []
    for name, rows in rates.items():
        cpu = {key: one["cpu"] for key, one in rows.items()}
        ours = min((cpu[key] for key in cpu if key.startswith("own_kolben")), default=0)
        others = {key: time for key, time in cpu.items() if not key.startswith("own_kolben")}
        if ours and others:
            best = min(others, key=others.__getitem__)
            label = next(one.label for one in SERVED if one.name == best)
            text = f"{ours:.1f} to {others[best]:.1f} µs ({label})"
            found.append(report.Goal(f"own servers, {name}", "first", text, ours < others[best]))
    return found


def main() -> int:
    """Measure, print the table and the goals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="of the modules in apps; all without any")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, rough figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    if not sockets.available():
        return 1
    sockets.end_on_sigterm()
    frameworks = [one for one in SERVED if not options.names or one.name in options.names]
    rates = measure(frameworks, 2 if options.quick else 6)
    print("\n" + table(rates))
    found = goals(rates)
    print("\n" + "\n".join(goal.line() for goal in found))
    if options.json:
        options.json.write_text(json.dumps(rates, indent=1) + "\n")
    return 0 if all(goal.met for goal in found) else 1


if __name__ == "__main__":
    sys.exit(main())
