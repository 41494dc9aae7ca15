"""`python benchmarks/readme.py FIGURES.json`: put the figures of a run into the README's table.

FIGURES.json is what `make bench ARGS="--json FIGURES.json"` writes. Every workload has its row,
also where kolben is not first.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import report
from frameworks import BY_NAME
from workloads import WORKLOADS

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"

LABELS = {
    "hello": "a text",
    "path": "two path variables",
    "args": "5 query arguments",
    "form": "a form of 5 fields",
    "json": "small JSON in and out",
    "records": "200 records as JSON",
    "upload": "upload of 100 kB",
    "redirect": "redirect with `url_for`",
    "template": "a template page, 20 rows",
    "missing": "404 with a handler",
    "session": "session read and written",
    "cookie": "set a cookie",
    "flash": "flash and read",
    "hooks": "hooks, 200 routes",
    "static": "static file of 10 kB",
}


def _ours(row: dict[str, float], name: str) -> str:
    return f"{row[name]:.1f}" if name in row else "-"


def _rows(times: report.Times) -> Iterator[str]:
    yield "| a request with | Kolben | Kolben, ASGI | Flask | Flask / Kolben | fastest other | place |"
    yield "| --- | ---: | ---: | ---: | ---: | --- | ---: |"
    for workload in WORKLOADS:
        row = times.get(workload.name, {})
        if "kolben" not in row or "flask" not in row:
            continue
        peers = {
            name: value
            for name, value in row.items()
            if not (BY_NAME[name].is_floor or BY_NAME[name].is_ours)
        }
        best = min(peers, key=peers.__getitem__)
        place = 1 + sum(value < row["kolben"] for value in peers.values())
        yield (
            f"| {LABELS.get(workload.name, workload.name)} | {row['kolben']:.1f}"
            f" | {_ours(row, 'kolben_asgi')} | {row['flask']:.1f}"
            f" | {row['flask'] / row['kolben']:.1f} | {BY_NAME[best].label} {peers[best]:.1f}"
            f" | {place} of {len(peers) + 1} |"
        )


def block(figures: dict[str, Any]) -> str:
    """Return the README's part between the two markers.

    :param figures: what a run has written.
    """
    times: report.Times = figures["times_us"]
    names = {name for row in times.values() for name in row}
    others = sorted(
        BY_NAME[name].label.removesuffix(" (ASGI)")
        for name in names
        if not (BY_NAME[name].is_floor or BY_NAME[name].is_ours)
    )
    taken = f"{figures['when'][:10]}, Python {figures['python']}, {figures['machine']}"
    lines = [
        "Microseconds of processor time a request, in one process, without a server. Medians of one",
        f"run: {taken}.",
        "",
        *_rows(times),
        "",
        f"Measured beside {', '.join(dict.fromkeys(others))}.",
        "Not every framework has every workload: the last column says how many were compared.",
    ]
    msgspec = times.get("records", {}).get("kolben_msgspec")
    if msgspec:
        lines += [f"With `MsgspecJSONProvider` the 200 records take {msgspec:.1f}."]
    lines += ["The same on your machine, and over a socket: `make bench`."]
    return "\n".join(lines)


def main() -> int:
    """Rewrite the block in the README."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    text = block(json.loads(Path(sys.argv[1]).read_text()))
    before = README.read_text()
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    after, count = pattern.subn(lambda _: f"{BEGIN}\n{text}\n{END}", before)
    if count != 1:
        print(f"README.md must have one {BEGIN} and one {END}.", file=sys.stderr)
        return 1
    README.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
