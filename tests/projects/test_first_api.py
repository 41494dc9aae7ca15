"""`docs/first-api.md`: each file is written as the page has it, each command run as it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "first-api.md"
STEP = re.compile(r"(?:^`([\w/.]+)`\n\n)?^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Of the commands: what the environment of the tests has already, and servers.
LEFT_OUT = ("python3 -m venv", "pip install", "cd ", "kolben run", "kolben serve")


def run(command: str, folder: Path) -> str:
    words = command.partition("  #")[0].split()
    assert words[0] in ("kolben", "python"), command
    words[0:1] = [sys.executable, *(["-m", "kolben"] if words[0] == "kolben" else [])]
    environment = {**os.environ, "PYTHONPATH": ".", "JOTTER_SECRET_KEY": "x"}
    environment.pop("CI", None)
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not in this distribution")
def test_every_step_of_the_page_works(tmp_path: Path) -> None:
    printed = []
    for file, language, text in STEP.findall(PAGE.read_text()):
        if language == "python":
            (tmp_path / "jotter" / file).write_text(text)
            continue
        for command in text.splitlines():
            if not command.startswith(LEFT_OUT):
                folder = tmp_path if command.startswith("kolben new") else tmp_path / "jotter"
                printed.append(run(command, folder))
    assert len(printed) == 6
    assert "3 passed" in printed[1]
    assert "4 passed" in printed[2]
    assert "Nothing has changed." in printed[4]


@pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not in this distribution")
def test_every_program_of_the_page_has_a_file() -> None:
    steps = STEP.findall(PAGE.read_text())
    assert [text for file, language, text in steps if language == "python" and not file] == []
