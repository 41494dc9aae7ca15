"""The test suites of extensions and programs pass on kolben wherever they pass on Flask."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in Path(__file__).with_name("outcomes").glob("*.json"))


@pytest.mark.suite
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_what_passes_on_flask_passes_on_kolben(name: str) -> None:
    command = [sys.executable, ROOT / "tools" / "ecosystem.py", name]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
