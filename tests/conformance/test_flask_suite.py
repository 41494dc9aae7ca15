"""Flask's own test suite passes on kolben."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "conformance.py"


@pytest.mark.suite
@pytest.mark.timeout(900)
def test_what_passes_on_flask_passes_on_kolben() -> None:
    done = subprocess.run([sys.executable, TOOL], capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
