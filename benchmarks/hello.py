"""`python benchmarks/hello.py`: kolben against Flask 3.1.3, in a minute, with nothing but the
standard library here (each framework runs in an environment of its own).

Prints how many times faster kolben answers; exits with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import sys

from frameworks import start
from rounds import medians
from run import interleave

GOALS = {"hello": 15, "path": 10, "args": 10, "form": 10, "json": 10, "session": 10}


def main() -> int:
    """Measure and print one line a workload."""
    parser = argparse.ArgumentParser(description="kolben against Flask 3.1.3")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    missed = 0
    workers = start(["kolben", "flask"])
    try:
        print(f"{'':<8}  {'Flask µs':>9}  {'kolben µs':>9}  {'ratio':>6}  goal")
        for workload, goal in GOALS.items():
            times = medians(interleave(workers, workload, options.rounds, 0.05))
            if len(times) < 2:
                missed += 1
                continue
            ratio = times["flask"] / times["kolben"]
            verdict = "" if ratio >= goal else "  NOT MET"
            missed += ratio < goal
            print(
                f"{workload:<8}  {times['flask']:>9.1f}  {times['kolben']:>9.2f}"
                f"  {ratio:>5.1f}x  {goal}x{verdict}"
            )
    finally:
        for worker in workers:
            worker.close()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
