"""A Flask application moves over: by one changed import, and by nothing changed at all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from suite_environments import source

# The first run fetches the application.
pytestmark = pytest.mark.timeout(600)

AS_FLASK = Path(__file__).parents[1] / "conformance"


@pytest.fixture
def flaskr(tmp_path: Path) -> Path:
    """A copy of the application of Flask's tutorial, with its tests."""
    target = tmp_path / "tutorial"
    shutil.copytree(source("flask") / "examples" / "tutorial", target)
    return target


def run(folder: Path, *command: str, search: Path | None = None) -> str:
    """Run `python -m ...` on a copy, in an environment that holds no Flask."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environ["PYTHONPATH"] = os.pathsep.join(str(path) for path in (folder, search) if path)
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_by_changing_the_import(flaskr: Path) -> None:
    for path in flaskr.rglob("*.py"):
        path.write_text(re.sub(r"\bfrom flask import\b", "from kolben import", path.read_text()))
    assert "24 passed" in run(flaskr, "pytest", "-p", "no:cacheprovider")
    assert "Initialized the database." in run(flaskr, "kolben", "--app", "flaskr", "init-db")


def test_by_changing_nothing(flaskr: Path) -> None:
    output = run(
        flaskr, "pytest", "-p", "no:cacheprovider", "-p", "kolben_as_flask", search=AS_FLASK
    )
    assert "24 passed" in output
    assert "Initialized the database." in run(flaskr, "kolben", "--app", "flaskr", "init-db")
    assert "auth.login" in run(flaskr, "kolben", "--app", "flaskr", "routes")
