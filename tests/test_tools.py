"""The tools that a contributor and CI call: what they refuse, and what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import commit_subject
import coverage_gate
import pytest

TOOLS = Path(commit_subject.__file__).parent


def call(tool: str, argument: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOLS / tool), str(argument)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("subject", "fault"),
    [
        ("x" * 73, "has 73 characters"),
        ("It is so.", "ends with a full stop"),
        ("", "is empty"),
    ],
)
def test_a_subject_that_is_wrong_is_told(tmp_path: Path, subject: str, fault: str) -> None:
    message = tmp_path / "COMMIT_EDITMSG"
    message.write_text(f"{subject}\n\nA body of any length: {'y' * 200}\n# a comment of git's\n")
    done = call("commit_subject.py", message)
    assert done.returncode == 1
    assert fault in done.stderr


def test_a_good_subject_passes(tmp_path: Path) -> None:
    message = tmp_path / "COMMIT_EDITMSG"
    message.write_text(f"# written by an editor\n{'x' * 72}\n")
    assert call("commit_subject.py", message).returncode == 0


def entry(covered: int, wanted: int, missed: list[list[int]] | None = None) -> dict[str, Any]:
    summary = {"num_statements": wanted, "covered_lines": covered}
    return {
        "summary": {**summary, "num_branches": 0, "covered_branches": 0},
        "missing_lines": list(range(1, wanted - covered + 1)),
        "missing_branches": missed or [],
    }


def test_the_gate_names_what_was_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    files = {
        f"src/kolben/{part}x.py": entry(9, 10) for part in coverage_gate.LEAST if part[-1:] == "/"
    }
    report.write_text(json.dumps({"files": files}))
    done = call("coverage_gate.py", report)
    assert done.returncode == 1
    assert "TOO LOW" in done.stdout
    assert "engine/x.py: 1" in done.stdout


def test_the_gate_lets_pass_what_was_run_throughout(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    names = [f"{part}x.py" if part[-1:] == "/" else part for part in coverage_gate.LEAST if part]
    files = {f"src/kolben/{name}": entry(10, 10) for name in names}
    report.write_text(json.dumps({"files": files}))
    done = call("coverage_gate.py", report)
    assert done.returncode == 0, done.stdout


def test_a_percentage_is_not_rounded_up() -> None:
    files = {"engine/x.py": entry(99_999, 100_000)}
    assert coverage_gate.percentage(files, "engine/") < 100


def test_branches_are_named_by_their_two_lines() -> None:
    assert coverage_gate.missing(entry(10, 10, [[3, 7], [4, -1]])) == "3->7 4->-1"
