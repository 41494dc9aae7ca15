"""`python benchmarks/pythons.py PYTHON PYTHON ...`: the same requests, on several versions of Python.

Kolben and Flask on each of them, all in turn, in one process without a server: what slows the machine slows
all. Prints a table for a page.
"""

from __future__ import annotations

import argparse
import subprocess

from frameworks import BY_NAME, Worker
from readme import LABELS
from rounds import in_turn, medians
from workloads import EVERY

NAMES = ("kolben", "flask")
PROCESSES = 2
"""How often all processes are started anew: each has a pace of its own."""


def version(python: str) -> str:
    """Return the version of a Python, as it says it itself."""
    code = "import platform; print(platform.python_version())"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def measure(pythons: list[str], rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return the microseconds a request, by workload, and by framework and version."""
    slices: dict[str, list[dict[str, float]]] = {name: [] for name in EVERY}
    for _ in range(PROCESSES):
        workers = {
            f"{name} {version(python)}": Worker(BY_NAME[name], python)
            for name in NAMES
            for python in pythons
        }
        try:
            for workload, found in slices.items():
                counts = {}
                for name, worker in workers.items():
                    worker.verify(workload)
                    counts[name] = worker.calibrate(workload, seconds)
                found += [
                    {name: workers[name].time(workload, counts[name]) for name in order}
                    for order in in_turn(list(workers), rounds)
                ]
        finally:
            for worker in workers.values():
                worker.close()
    return {workload: medians(found) for workload, found in slices.items()}


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    times = measure(options.pythons, options.rounds, 0.01)
    versions = [version(python) for python in options.pythons]
    heads = [f"Kolben, {one}" for one in versions] + [f"Flask / Kolben, {one}" for one in versions]
    print(f"| a request with | {' | '.join(heads)} |")
    print(f"| --- |{' ---: |' * len(heads)}")
    for workload, row in times.items():
        ours = [row[f"kolben {one}"] for one in versions]
        ratios = [row[f"flask {one}"] / row[f"kolben {one}"] for one in versions]
        cells = " | ".join(f"{figure:.1f}" for figure in ours + ratios)
        print(f"| {LABELS.get(workload, workload)} | {cells} |")


if __name__ == "__main__":
    main()
