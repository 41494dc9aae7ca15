"""The programs of `docs/how-to/flask-extensions.md` and `logging.md`, each in the environment of the extension's own suite."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from suite_environments import ROOT, environment

PROGRAMS = {
    "with_flask_login": "flask-login",
    "with_flask_sqlalchemy": "flask-migrate",
    "with_flask_wtf": "flask-wtf",
    "with_opentelemetry": "observability",
    "with_prometheus": "observability",
}


def test_each_program_has_its_environment() -> None:
    assert {path.stem for path in (ROOT / "examples" / "extensions").glob("*.py")} == set(PROGRAMS)


@pytest.mark.suite
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_tests_of_a_program_pass(name: str, tmp_path: Path) -> None:
    extension = PROGRAMS[name]
    python = environment(f"ecosystem-{extension}-on-kolben", f"ecosystem/{extension}", shadow=True)
    program = tmp_path / f"test_{name}.py"
    program.write_bytes((ROOT / "examples" / "extensions" / f"{name}.py").read_bytes())
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-W", "ignore", program.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert " passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout
