"""`python benchmarks/readme.py FIGURES.json`: put the figures of a run into the README's table.

FIGURES.json is what `make bench ARGS="--json FIGURES.json"` writes, or `benchmarks/typed.py --json` for the
table of typed views. Every workload has its row, also where kolben is not first.
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
BEGIN, END = "<!-- {0}:begin -->", "<!-- {0}:end -->"

LABELS = {
    "hello": "a text",
    "path": "two path variables",
    "args": "5 query arguments",
    "query": "arguments with an escape and repeats",
    "many_args": "100 arguments, read as integers",
    "form": "a form of 5 fields",
    "long_form": "a form of 100 fields",
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


TYPED = {
    "a": "three checked arguments into a model",
    "b": "a body of 10 fields into a model of 12",
    "c": "the same body with five faults",
    "d": "200 models of six fields",
    "i": "three providers, one of which yields",
}
START = {
    "start": "1,000 routes, 600 classes: import and registration, ms",
    "document": "their document, ms",
    "memory": "their memory over the import, MB",
}


def _typed_rows(figures: dict[str, Any]) -> Iterator[str]:
    yield "| | Kolben | Kolben, ASGI | FastAPI | Litestar | fastest other | place |"
    yield "| --- | ---: | ---: | ---: | ---: | --- | ---: |"
    table = {label: figures["times_us"][name] for name, label in TYPED.items()}
    for name, label in START.items():
        table[label] = {
            who: row["memory"]
            if name == "memory"
            else 1000 * (row["import"] + row["register"] if name == "start" else row["document"])
            for who, row in figures["routes"].items()
        }
    for label, row in table.items():
        peers = {who: x for who, x in row.items() if not who.startswith(("Kolben", "floor"))}
        best = min(peers, key=peers.__getitem__)
        place = 1 + sum(x < row["Kolben"] for x in peers.values())
        digits = 1 if row["Kolben"] < 100 else 0
        named = ("Kolben", "Kolben, ASGI", "FastAPI", "Litestar, msgspec")
        cells = [f"{row[who]:.{digits}f}" if who in row else "" for who in named]
        yield (
            f"| {label} | {' | '.join(cells)} | {_plain(best)} {peers[best]:.{digits}f} | {place} of"
            f" {len(peers) + 1} |"
        )


def _plain(label: str) -> str:
    return label.partition(",")[0]


def typed_block(figures: dict[str, Any]) -> str:
    """Return the README's part about typed views.

    :param figures: what a run of ``typed.py`` has written.
    """
    times = figures["times_us"]
    labels = {who for row in times.values() for who in row}
    others = sorted(_plain(who) for who in labels if not who.startswith(("Kolben", "floor")))
    taken = f"{figures['when'][:10]}, Python {figures['python']}, {figures['machine']}"
    floors = ", ".join(f"{times[name]['floor, msgspec']:.1f}" for name in "abd")
    return "\n".join(
        [
            f"Views of `kolben.api`, in microseconds as above where nothing else is said; {taken}.",
            "",
            *_typed_rows(figures),
            "",
            f"Measured beside {', '.join(others)}. Falcon's views call msgspec",
            "themselves, tell one fault, and look at no result; msgspec alone takes",
            f"{floors} for the first, second and fourth row.",
        ]
    )


def main() -> int:
    """Rewrite the block in the README."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    figures = json.loads(Path(sys.argv[1]).read_text())
    name, text = (
        ("typed", typed_block(figures)) if "routes" in figures else ("speed", block(figures))
    )
    begin, end = BEGIN.format(name), END.format(name)
    before = README.read_text()
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    after, count = pattern.subn(lambda _: f"{begin}\n{text}\n{end}", before)
    if count != 1:
        print(f"README.md must have one {begin} and one {end}.", file=sys.stderr)
        return 1
    README.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
