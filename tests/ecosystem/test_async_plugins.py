"""The snippets of `docs/how-to/testing.md`: with each, the tests of `docs/async.md` are run by its plug-in."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from suite_environments import environment

from pages import blocks

SNIPPETS = {
    "asyncio": "-p no:anyio",
    "anyio": "-p no:asyncio",
}


@pytest.mark.suite
@pytest.mark.timeout(600)
@pytest.mark.parametrize("plugin", SNIPPETS)
def test_async_tests_are_run_as_the_page_says(plugin: str, tmp_path: Path) -> None:
    (snippet,) = [
        text for text in blocks("docs/how-to/testing.md", "toml") if f"{plugin}_mode" in text
    ]
    (program,) = [text for text in blocks("docs/async.md", "python") if "test_sum" in text]
    (tmp_path / "pyproject.toml").write_text(snippet)
    (tmp_path / "test_app.py").write_text(program)
    python = environment("pytest-asyncio", "ecosystem/pytest-asyncio")
    command = [str(python), "-m", "pytest", "-q", "-W", "error", *SNIPPETS[plugin].split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr
    (tmp_path / "pyproject.toml").unlink()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "1 passed" in done.stdout  # that it is the snippet
