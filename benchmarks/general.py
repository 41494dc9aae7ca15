"""`python benchmarks/general.py`: kolben against Flask where the shortest way is not open.

With an after-request hook, a connected signal, a custom Response class or a teardown function in
both, each goal against Flask may halve at worst.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from frameworks import BY_NAME, Framework, Worker
from rounds import medians
from run import interleave
from workloads import WORKLOADS

VARIANTS = ("after_request", "signal", "response_class", "teardown")


def measure(variant: str, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return microseconds per workload and framework, both with *variant*."""
    workers = [
        Worker(Framework(f"{name}+{variant}", f"{BY_NAME[name].label}, {variant}", name))
        for name in ("kolben", "flask")
    ]
    try:
        named = [w.name for w in WORKLOADS if w.over_flask]
        return {name: medians(interleave(workers, name, rounds, seconds)) for name in named}
    finally:
        for worker in workers:
            worker.close()


def main() -> int:
    """Measure and report; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="rough figures in half a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    rounds, seconds = (3, 0.015) if options.quick else (options.rounds, 0.05)
    found = {variant: measure(variant, rounds, seconds) for variant in VARIANTS}
    missed = 0
    print(f"{'':<10}{'goal':>7}" + "".join(f"{variant:>18}" for variant in VARIANTS))
    for workload in WORKLOADS:
        if not workload.over_flask:
            continue
        goal = workload.over_flask / 2
        cells = []
        for variant in VARIANTS:
            row = found[variant][workload.name]
            if len(row) < 2:
                missed += 1
                cells.append("wrong answer")
                continue
            ratio = row[f"flask+{variant}"] / row[f"kolben+{variant}"]
            missed += ratio < goal
            cells.append(f"{ratio:.1f}x" + (" NOT MET" if ratio < goal else ""))
        print(f"{workload.name:<10}{goal:>6g}x" + "".join(f"{cell:>18}" for cell in cells))
    print("all met" if not missed else f"{missed} not met")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
