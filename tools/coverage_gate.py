"""Hold the coverage of the suite to what is asked: `python tools/coverage_gate.py report.json`.

The report is that of `coverage json`, with branches. A part of the package is a folder or a module; its figure is that of
lines and branches together.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

#: The least percentage of each part; "" is the whole package.
LEAST: dict[str, float] = {
    "engine/": 100,
    "routing/": 100,
    "asgi/": 100,
    "ctx.py": 100,
    "app.py": 100,
    "wrappers.py": 100,
    "": 96.5,
}


def gather(files: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the files by their place in the package."""
    return {name.partition("kolben/")[2]: found for name, found in files.items()}


def percentage(files: dict[str, dict[str, Any]], part: str) -> float:
    """Return what of the lines and branches of a part was run."""
    covered = wanted = 0
    for name, found in files.items():
        if name.startswith(part):
            summary = found["summary"]
            covered += summary["covered_lines"] + summary["covered_branches"]
            wanted += summary["num_statements"] + summary["num_branches"]
    return 100 * covered / wanted if wanted else 0.0


def missing(found: dict[str, Any]) -> str:
    """Name the lines that were not run, and the branches that were not taken."""
    lines = [str(line) for line in found["missing_lines"]]
    branches = [
        f"{start}->{end}"
        for start, end in found["missing_branches"]
        if start not in found["missing_lines"] and end not in found["missing_lines"]
    ]
    return " ".join(lines + branches)


def main() -> int:
    """Print the figures; exit with 1 where one is too low."""
    files = gather(json.loads(Path(sys.argv[1]).read_text())["files"])
    failed = False
    for part, least in LEAST.items():
        # Rounded down: 99.996 is not all of it.
        reached = int(100 * percentage(files, part)) / 100
        failed |= reached < least
        verdict = "" if reached >= least else "  TOO LOW"
        print(f"{part or 'all':<12} {reached:6.2f} %  at least {least} %{verdict}")
        if part and reached < 100:
            for name, found in sorted(files.items()):
                if name.startswith(part) and (gaps := missing(found)):
                    print(f"    {name}: {gaps}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
