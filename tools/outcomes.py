"""Run another project's pytest suite and compare its outcomes, test by test, with a reference."""

from __future__ import annotations

import json
import os
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

Outcomes = dict[str, str]
"""Test id ("module::class::name") -> "passed", "failed" or "skipped"."""


def run_suite(
    python: Path, folder: Path, *options: str, log: Path, search: Path | None = None
) -> Outcomes:
    """Run pytest in `folder` with `python`; the full output goes to `log`.

    `search` is one more folder to import from.
    """
    report = log.with_suffix(".xml")
    report.unlink(missing_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    inherited = ("FLASK_", "PYTEST_", "PYTHON", "CI", "COVERAGE")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(inherited)}
    # The suites start "flask" and "python" as programs: those of their environment come first.
    environ["PATH"] = os.pathsep.join([str(python.parent), environ.get("PATH", "")])
    if search:
        environ["PYTHONPATH"] = str(search)
    environ["VIRTUAL_ENV"] = str(python.parent.parent)
    command = [python, "-m", "pytest", f"--junitxml={report}", "-o", "junit_family=xunit1"]
    with log.open("w") as output:
        subprocess.run(
            [*map(str, command), "-q", "-p", "no:cacheprovider", *options],
            cwd=folder, env=environ, stdout=output, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    return _read_report(report) if report.is_file() else {}


def _read_report(report: Path) -> Outcomes:
    outcomes: Outcomes = {}
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        tags = {child.tag for child in case}
        failed = tags & {"failure", "error"} or outcomes.get(name) == "failed"
        outcomes[name] = "failed" if failed else "skipped" if "skipped" in tags else "passed"
    return outcomes


@dataclass
class Comparison:
    """What a suite did on kolben, beside the reference."""

    name: str
    reference: Outcomes
    seen: Outcomes
    regressions: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.regressions = [
            test
            for test, outcome in self.reference.items()
            if outcome == "passed" and self.seen.get(test) != "passed"
        ]

    def row(self) -> str:
        """One line of the table that is printed."""
        reference, seen = Counter(self.reference.values()), Counter(self.seen.values())
        return (
            f"{self.name:<28}{reference['passed']:>9}{seen['passed']:>9}{seen['failed']:>9}"
            f"{seen['skipped']:>9}{len(self.regressions):>13}"
        )


HEADER = f"{'':<28}{'on Flask':>9}{'passed':>9}{'failed':>9}{'skipped':>9}{'regressions':>13}"


def show(comparisons: list[Comparison], title: str) -> bool:
    """Print the table and the names of the regressions; True when there are none."""
    total = Comparison("total", {}, {})
    for one in comparisons:
        total.reference |= {f"{one.name}/{test}": result for test, result in one.reference.items()}
        total.seen |= {f"{one.name}/{test}": result for test, result in one.seen.items()}
        total.regressions += [f"{one.name}/{test}" for test in one.regressions]
    print(f"\n{title}\n{HEADER}")
    for one in [*comparisons, total]:
        print(one.row())
    for test in total.regressions:
        print(f"  passes on Flask, not on kolben: {test}")
    return not total.regressions


def load(path: Path) -> Outcomes:
    """Read a stored reference."""
    outcomes: Outcomes = json.loads(path.read_text())
    return outcomes


def store(path: Path, outcomes: Outcomes) -> None:
    """Write a reference: facts about the other suite, sorted for small diffs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(outcomes, indent=0, sort_keys=True) + "\n")
