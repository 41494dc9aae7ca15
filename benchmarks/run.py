"""`make bench`: kolben and its peers on the same work, interleaved, medians, and the goals.

In-process: CPU microseconds a request, driver included (the bare rows say how much that is).
Over a socket (`--socket`): requests a second and the 99th percentile.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import environments
import own_servers
import report
import sockets
from frameworks import BY_NAME, FRAMEWORKS, Failed, Worker, start
from rounds import in_turn, medians
from workloads import EVERY

SLICES = 3
"""In-process, each round is cut into so many: the less time a round takes, the more of it is of one pace."""
ROUNDS_OF_A_PROCESS = 3
CLOSER = 4
"""How many times as long as before those that lead a table are loaded, when they are compared again."""


Rounds = list[dict[str, float]]
"""The microseconds a request of each framework, slice by slice."""


def interleave(workers: list[Worker], workload: str, rounds: int, seconds: float) -> Rounds:
    """Return the microseconds a request of each worker, in each slice of each round."""
    counts: dict[str, int] = {}
    for worker in workers:
        if workload not in worker.workloads:
            continue
        try:
            worker.verify(workload)
            counts[worker.framework.name] = worker.calibrate(workload, seconds / SLICES)
        except Failed as error:
            print(f"left out: {error}", file=sys.stderr)
    timed = [worker for worker in workers if worker.framework.name in counts]
    if not timed:
        return []
    return [
        {w.framework.name: w.time(workload, counts[w.framework.name]) for w in order}
        for order in in_turn(timed, rounds * SLICES)
    ]


def in_process(names: list[str], workloads: list[str], rounds: int, seconds: float) -> report.Times:
    """Return the median microseconds a request per workload and framework.

    Now and then all processes are started anew: one is as much as 8 % faster than the next of the same
    program, for as long as it lives.
    """
    slices: dict[str, Rounds] = {workload: [] for workload in workloads}
    for first in range(0, rounds, ROUNDS_OF_A_PROCESS):
        workers = start(names)
        try:
            for workload in workloads:
                print(f"{workload} ...", file=sys.stderr, flush=True)
                left = min(ROUNDS_OF_A_PROCESS, rounds - first)
                slices[workload] += interleave(workers, workload, left, seconds)
        finally:
            for worker in workers:
                worker.close()
    return {workload: medians(found) for workload, found in slices.items() if found}


def over_sockets(names: list[str], rounds: int, seconds: int) -> dict[str, report.Rates]:
    """Return the rates per server, workload and framework."""
    if not sockets.available():
        return {}
    served = [BY_NAME[name] for name in names if BY_NAME[name].served]
    found = {}
    for server in ("granian", "fastpysgi"):
        on_it = [f for f in served if server == "granian" or f.served == "wsgi"]
        print(f"{server}: {', '.join(f.label for f in on_it)} ...", file=sys.stderr, flush=True)
        found[server] = sockets.measure(server, on_it, rounds, seconds)
    return found


def look_closer(
    rates: dict[str, report.Rates], rounds: int, seconds: int
) -> dict[str, report.Rates]:
    """Return the rates of those that lead each table, measured again without all the others.

    In a round of twenty servers a shared machine is fast for one and slow for the next. In a short one
    it is mostly the same for all.
    """
    found: dict[str, report.Rates] = {}
    for server, of_server in rates.items():
        found[server] = {}
        for name in of_server:
            leaders = [BY_NAME[leader] for leader in report.leaders(of_server, name)]
            print(f"{server}, {name}: {', '.join(f.label for f in leaders)} ...", file=sys.stderr)
            found[server] |= sockets.measure(server, leaders, rounds, seconds, (name,))
    return found


def versions(names: list[str]) -> dict[str, str]:
    """Return what is installed beside each framework, by environment."""
    found = {}
    for env in sorted({BY_NAME[name].env for name in names}):
        lines = (environments.REQUIREMENTS / f"{env}.txt").read_text().splitlines()
        pins = [line.split()[0] for line in lines if "==" in line and not line.startswith(" ")]
        found[env] = " ".join(pins)
    return found


def machine() -> dict[str, Any]:
    """Return what the figures were taken on."""
    code = "import platform; print(platform.python_version())"
    python = subprocess.run(
        [environments.base_python(), "-c", code], capture_output=True, text=True, check=True
    )
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": python.stdout.strip(),
        "machine": platform.machine(),
        "system": platform.system(),
    }


def arguments() -> argparse.Namespace:
    """Return the command line, parsed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frameworks", nargs="+", choices=list(BY_NAME), metavar="NAME")
    parser.add_argument("--workloads", nargs="+", choices=EVERY, metavar="NAME")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, rough figures")
    parser.add_argument("--socket", action="store_true", help="also over a socket")
    parser.add_argument("--only-socket", action="store_true", help="nothing but over a socket")
    return parser.parse_args()


def main() -> int:
    """Measure, print tables and goals; return 1 where a goal is not met."""
    options = arguments()
    sockets.end_on_sigterm()
    names = options.frameworks or [framework.name for framework in FRAMEWORKS]
    rounds = options.rounds or (3 if options.quick else 9)
    times: report.Times = {}
    rates: dict[str, report.Rates] = {}
    closer: dict[str, report.Rates] = {}
    if not options.only_socket:
        seconds = 0.015 if options.quick else 0.06
        times = in_process(names, options.workloads or list(EVERY), rounds, seconds)
        print("\nCPU µs a request, in-process (* best peer)\n")
        print(report.times_table(times))
    if options.socket or options.only_socket:
        rates = over_sockets(names, rounds, 1)
        for server, of_server in rates.items():
            print(f"\nOver a socket, {server}, one worker, {sockets.CONNECTIONS} connections\n")
            print(report.rates_table(of_server))
        closer = look_closer(rates, rounds, 1 if options.quick else CLOSER)
        for server, of_server in closer.items():
            print(f"\nThe first ones again, {server}\n")
            print(report.rates_table(of_server))
    own: report.Rates = {}
    if (options.socket or options.only_socket) and rates and not options.frameworks:
        own = own_servers.measure(own_servers.SERVED, 2 if options.quick else 6)
        print("\nBeside those that bring a server of their own, one core\n")
        print(own_servers.table(own))
    goals = report.goals(times, rates, closer) + own_servers.goals(own)
    met = sum(goal.met for goal in goals)
    print("\n" + "\n".join(goal.line() for goal in goals))
    print(f"\n{met} of {len(goals)} goals met")
    if options.json:
        figures = {
            **machine(),
            "times_us": times,
            "socket": rates,
            "socket_leaders": closer,
            "own_servers": own,
            "goals": [asdict(goal) for goal in goals],
            "versions": versions(names),
        }
        options.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    return 0 if met == len(goals) else 1


if __name__ == "__main__":
    sys.exit(main())
