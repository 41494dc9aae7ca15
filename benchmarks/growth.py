"""`python benchmarks/growth.py`: what happens when things get large.

Match cost with up to 10,000 routes, query strings and forms of up to 1,000 fields, an upload of
100 MB, and the time and memory that the import takes beside Flask's. Each part runs in a process
of its own, in the environment of the framework.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import environments

Figures = dict[str, Any]
PLACES = ("first", "middle", "last", "404")

# -- inside the environment of kolben --------------------------------------------------------


def _best(function: Callable[[], object], times: int, repeats: int = 15) -> float:
    """Return the CPU microseconds of one call: the least of *repeats*, which noise disturbs least."""
    from time import process_time_ns

    found = []
    for _ in range(repeats):
        start = process_time_ns()
        for _ in range(times):
            function()
        found.append(process_time_ns() - start)
    return min(found) / times / 1000


def measure_routes() -> Figures:
    """Microseconds of a match, by number of routes and place of the route among them."""
    from kolben import Flask
    from kolben.engine.route import index_routes

    found: Figures = {}
    for count in (10, 100, 1_000, 10_000):
        app = Flask("growth", static_folder=None)
        for n in range(count):
            app.add_url_rule(f"/section{n}/<int:number>/<name>", f"view{n}", lambda **_: "")
        match = index_routes(app).match
        sections = {"first": 0, "middle": count // 2, "last": count - 1, "404": count}
        found[str(count)] = {
            place: _best(partial(match, f"/section{n}/42/title", "GET"), 2_000)
            for place, n in sections.items()
        }
    return found


def measure_fields() -> Figures:
    """Microseconds of reading a query string or a form, by number of fields."""
    from io import BytesIO

    from kolben import Request

    found: Figures = {"query": {}, "form": {}}
    for count in (10, 100, 1_000):
        text = "&".join(f"name{n}=value+{n}%21" for n in range(count))

        def query(text: str = text) -> object:
            return Request({"QUERY_STRING": text}).args

        def form(body: bytes = text.encode()) -> object:
            return Request(
                {
                    "REQUEST_METHOD": "POST",
                    "CONTENT_TYPE": "application/x-www-form-urlencoded",
                    "CONTENT_LENGTH": str(len(body)),
                    "wsgi.input": BytesIO(body),
                }
            ).form

        found["query"][str(count)] = _best(query, 20_000 // count)
        found["form"][str(count)] = _best(form, 20_000 // count)
    return found


class _Body:
    """A long request body that takes no memory: the same piece over and over."""

    def __init__(self, head: bytes, piece: bytes, times: int, tail: bytes) -> None:
        self.length = len(head) + len(piece) * times + len(tail)
        self._parts = iter([head, *([piece] * times), tail])
        self._part = b""
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        # As from a socket, less than asked for may come.
        if self._at == len(self._part):
            self._part, self._at = next(self._parts, b""), 0
        found = self._part[self._at : self._at + size]
        self._at += len(found)
        return found


def _upload(megabytes: int = 100) -> tuple[_Body, str]:
    import os

    # As long as browsers make it; the search for a short one takes longer.
    edge = "----kolbenbenchmark7MA4YWxkTrZu0gW"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n'
    head += "Content-Type: application/octet-stream\r\n\r\n"
    tail = f"\r\n--{edge}--\r\n"
    # Random bytes, line ends among them as in any file.
    return _Body(head.encode(), os.urandom(1_000_000), megabytes, tail.encode()), edge


def measure_upload() -> Figures:
    """CPU seconds and added memory of a 100 MB upload, and of reading and writing the same bytes."""
    import resource
    import sys
    import tempfile
    from time import process_time

    from kolben import Flask, request

    app = Flask("growth", static_folder=None)

    @app.post("/")
    def upload() -> str:
        stream = request.files["file"].stream
        return str(stream.seek(0, 2))

    def through_app(megabytes: int = 100) -> float:
        body, edge = _upload(megabytes)
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": f"multipart/form-data; boundary={edge}",
            "CONTENT_LENGTH": str(body.length),
            "wsgi.input": body,
            "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
        }
        start = process_time()
        answer = b"".join(app(environ, lambda status, headers, error=None: None))
        took = process_time() - start
        assert answer == b"%d000000" % megabytes, answer
        return took

    def plainly() -> float:
        body, _ = _upload()
        start = process_time()
        with tempfile.TemporaryFile("wb+") as file:
            while chunk := body.read(64 * 1024):
                file.write(chunk)
        return process_time() - start

    # What any upload needs does not count, only what a longer one needs more of.
    through_app(5)
    plainly()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rounds = [(through_app(), plainly()) for _ in range(7)]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "kolben_s": median(ours for ours, _ in rounds),
        "plain_s": median(plain for _, plain in rounds),
        "added_mb": (after - before) / 1024,
    }


PARTS: dict[str, Callable[[], Figures]] = {
    "routes": measure_routes,
    "fields": measure_fields,
    "upload": measure_upload,
}

# -- outside ---------------------------------------------------------------------------------

_IMPORT = """
import resource, time
start = time.process_time()
import {0}
took = time.process_time() - start
print(took * 1000, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def measure_import(rounds: int = 15) -> Figures:
    """CPU milliseconds and peak megabytes of importing kolben and Flask, interleaved."""
    found: dict[str, list[tuple[float, float]]] = {"kolben": [], "flask": []}
    for _ in range(rounds):
        for name, of_name in found.items():
            done = subprocess.run(
                [str(environments.ensure(name)), "-c", _IMPORT.format(name)],
                env=environments.variables(),
                capture_output=True,
                text=True,
                check=True,
            )
            took, memory = done.stdout.split()
            of_name.append((float(took), float(memory)))
    return {
        name: {"ms": median(ms for ms, _ in of_name), "mb": median(mb for _, mb in of_name)}
        for name, of_name in found.items()
    }


def inside(part: str) -> Figures:
    """Return the figures of *part*, measured in kolben's environment."""
    done = subprocess.run(
        [str(environments.ensure("kolben")), __file__, "--inside", part],
        env=environments.variables(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: Figures = json.loads(done.stdout)
    return figures


def verdict(name: str, value: float, limit: float, unit: str) -> bool:
    """Print one line and return whether *value* keeps to *limit*."""
    met = value <= limit
    print(f"{'met    ' if met else 'NOT MET'}  {name}: {value:.2f} {unit} (at most {limit:g})")
    return met


def report(found: Figures) -> bool:
    """Print the figures beside their goals; return whether all are met."""
    results = []
    print("Match, µs:     " + "  ".join(f"{place:>7}" for place in PLACES))
    for count, places in found["routes"].items():
        print(f"{count:>7} routes " + "  ".join(f"{places[place]:7.2f}" for place in PLACES))
    few = found["routes"]["10"]
    for place in PLACES:
        worst = max(places[place] for places in found["routes"].values()) / few[place]
        results.append(verdict(f"match, {place}", worst, 1.2, "x of 10 routes"))
    for kind, counts in found["fields"].items():
        print(f"{kind}, µs: " + ", ".join(f"{n} fields {us:.1f}" for n, us in counts.items()))
        ratio = counts["1000"] / counts["100"] / 10
        results.append(verdict(f"{kind} of 1,000 fields", ratio, 1.2, "x of linear"))
    upload = found["upload"]
    speed = upload["kolben_s"] / upload["plain_s"]
    print(f"upload of 100 MB: {upload['kolben_s']:.3f} s, plain {upload['plain_s']:.3f} s")
    results.append(verdict("upload, time", speed, 1 / 0.8, "x of reading and writing"))
    results.append(verdict("upload, memory", upload["added_mb"], 4, "MB added"))
    ours, theirs = found["import"]["kolben"], found["import"]["flask"]
    for unit in ("ms", "mb"):
        print(f"import: kolben {ours[unit]:.1f} {unit}, Flask {theirs[unit]:.1f} {unit}")
        results.append(verdict(f"import, {unit}", ours[unit] / theirs[unit], 1, "x of Flask"))
    return all(results)


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inside", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(PARTS[options.inside]()))
        return 0
    found = {part: inside(part) for part in PARTS}
    found["import"] = measure_import()
    met = report(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
