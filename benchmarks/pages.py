"""`python benchmarks/pages.py`: pages as people have them, on Kolben and on Flask 3.1.3.

A program of our own with what Flask's users take with it (Flask-Login, Flask-WTF with CSRF, SQLAlchemy on
SQLite, a template with inheritance and macros, 30 URLs a page, flashed messages), and three programs as
they are on PyPI. All are the same installed packages; Kolben is put in Flask's place.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import typing as t
from datetime import date
from pathlib import Path
from statistics import median

import environments
from rounds import in_turn, medians

NAMES = ("kolben", "flask")
LABELS = {
    "list": "30 URLs, a user, 28 rows of SQLAlchemy, a template with macros",
    "form": "a form of WTForms with its CSRF token",
    "save": "that form sent, validated, redirected",
    "note": "a user and a row of SQLAlchemy as JSON",
    "httpbin": "httpbin 0.10: /get",
    "dash": "Dash 4.4: the layout",
    "sqlite-web": "sqlite-web 0.8: 50 rows of a table",
}
PATIENCE = 60  # seconds
README = Path(__file__).resolve().parents[1] / "README.md"


class Worker:
    """A process that answers the requests on one of the two."""

    def __init__(self, name: str) -> None:
        python = environments.ensure("pages")
        program = Path(__file__).with_name("pages_worker.py")
        self.process = subprocess.Popen(
            [str(python), str(program), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=environments.variables(),
        )
        self.pages: list[str] = self._read()

    def _read(self) -> t.Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the worker ended ({self.process.wait(PATIENCE)})")
        return json.loads(line)

    def time(self, page: str, n: int) -> float:
        """Return the CPU time of one request in microseconds, over *n* of them."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"page": page, "n": n}) + "\n")
        return float(self._read()) / n / 1000

    def profile(self, page: str, n: int) -> dict[str, float]:
        """Return whose code takes which share of *n* requests."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"page": page, "n": n, "profile": True}) + "\n")
        return dict(t.cast("dict[str, float]", self._read()))

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(PATIENCE)


def measure(rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return the microseconds of each page on each of the two.

    :param rounds: how often each is timed, in turn.
    :param seconds: about how long each time.
    """
    workers = {name: Worker(name) for name in NAMES}
    found = {}
    try:
        for page in workers["flask"].pages:
            n = max(4, round(seconds * 1e6 / workers["flask"].time(page, 20)))
            found[page] = medians(
                [
                    {name: workers[name].time(page, n) for name in order}
                    for order in in_turn(NAMES, rounds)
                ]
            )
    finally:
        for worker in workers.values():
            worker.close()
    return found


OWNERS = ("framework", "templates", "database", "extensions", "program")


def profile(rounds: int, seconds: float) -> dict[str, float]:
    """Print whose code takes how many microseconds of each page, on each of the two.

    :param rounds: how often each is looked at, in turn.
    :param seconds: about how long each time.
    :return: of each page, how many times as long Flask takes for its own part as Kolben.
    """
    workers = {name: Worker(name) for name in NAMES}
    ratios = {}
    print(f"{'':<12} {'':<7}" + "".join(f"{owner:>12}" for owner in OWNERS) + f"{'all':>8}")
    try:
        for page in workers["flask"].pages:
            n = max(4, round(seconds * 1e6 / max(1, workers["flask"].time(page, 50))))
            times: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}
            for order in in_turn(NAMES, rounds):
                for name in order:
                    all_of_it = workers[name].time(page, n)
                    shares = workers[name].profile(page, n)
                    taken = {one: shares.get(one, 0) * all_of_it for one in OWNERS}
                    times[name].append({**taken, "all": all_of_it})
            found = {
                name: {one: median(each[one] for each in times[name]) for one in (*OWNERS, "all")}
                for name in NAMES
            }
            for name in NAMES:
                cells = "".join(f"{found[name][one]:>12.0f}" for one in OWNERS)
                print(f"{page:<12} {name:<7}{cells}{found[name]['all']:>8.0f}")
            ratios[page] = found["flask"]["framework"] / max(1, found["kolben"]["framework"])
            print(f"{'':<12} {'':<7}{ratios[page]:>11.2f}x")
    finally:
        for worker in workers.values():
            worker.close()
    return ratios


def rewrite_readme(found: dict[str, dict[str, float]], ratios: dict[str, float]) -> None:
    """Put the figures of a run into the README's table.

    :param found: what :func:`measure` returned.
    :param ratios: what :func:`profile` returned.
    """
    version = subprocess.run(
        [str(environments.ensure("pages")), "-V"], capture_output=True, text=True, check=True
    ).stdout.strip()
    rows = [
        "What a real page gains, in microseconds of processor time a request, in one process, without a",
        f"server: {version}, {date.today()}, one run (`python benchmarks/pages.py --readme`). Most",
        "of a page is the templates', the database's, the extensions' and the program's own, which is the same",
        "on both. The last column compares what is left, Flask's own part with Kolben's, as a profile by samples",
        "tells them apart (`--profile` shows all parts).",
        "",
        "| a page | Kolben | Flask | saved | Flask / Kolben | the framework's part |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for page, times in found.items():
        flask, kolben = times["flask"], times["kolben"]
        # With less than a tenth left there are too few samples to say more.
        own = f"{ratios[page]:.1f}" if ratios[page] < 10 else "> 10"
        rows.append(
            f"| {LABELS[page]} | {kolben:.0f} | {flask:.0f} | {flask - kolben:.0f}"
            f" | {flask / kolben:.2f} | {own} |"
        )
    before, begin, rest = README.read_text().partition("<!-- pages:begin -->\n")
    _, end, after = rest.partition("<!-- pages:end -->")
    README.write_text(before + begin + "\n".join(rows) + "\n" + end + after)


def main() -> int:
    """Measure and print one line a page."""
    parser = argparse.ArgumentParser(description="real pages on Kolben and on Flask")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.15)
    parser.add_argument("--readme", action="store_true", help="put the figures into the README")
    parser.add_argument("--profile", action="store_true", help="show whose code takes the time")
    options = parser.parse_args()
    if options.profile:
        profile(options.rounds, options.seconds)
        return 0
    found = measure(options.rounds, options.seconds)
    print(f"\n{'':<64} {'Flask µs':>9} {'Kolben µs':>9} {'saved':>6}  ratio")
    for page, times in found.items():
        flask, kolben = times["flask"], times["kolben"]
        print(
            f"{LABELS[page]:<64} {flask:>9.0f} {kolben:>9.0f} {flask - kolben:>6.0f}"
            f"  {flask / kolben:.2f}x"
        )
    if options.readme:
        rewrite_readme(found, profile(5, 0.5))
    return 0 if all(times["kolben"] < times["flask"] for times in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
