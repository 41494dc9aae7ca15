"""Verifies the answers of apps, with one rough timing each: `python benchmarks/check.py [name ...]`."""

from __future__ import annotations

import sys

from frameworks import BY_NAME, Failed, start


def main(names: list[str]) -> int:
    """Verify each workload of each app; return 1 where one was wrong."""
    wrong = 0
    for worker in start(names or list(BY_NAME)):
        right = []
        for workload in worker.workloads:
            try:
                worker.verify(workload)
                right.append(workload)
            except Failed as error:
                wrong = 1
                print(error)
        each = {w: round(worker.time(w, worker.calibrate(w, 0.02)), 1) for w in right}
        print(worker.framework.label, each)
        worker.close()
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
