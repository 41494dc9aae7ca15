"""What reads requests, under inputs that a fuzzer finds by the branches they take.

Each target of `guided.py` for some seconds; `make fuzz` takes longer. What was found is a test by name elsewhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hostile import guided

HERE = Path(__file__).resolve().parent
SECONDS = int(os.environ.get("FUZZ_SECONDS", "2"))

pytestmark = pytest.mark.timeout(120 + 2 * SECONDS)


@pytest.mark.parametrize("target", [target.__name__ for target in guided.TARGETS])
def test_no_input_that_a_fuzzer_finds_is_misread(target: str, tmp_path: Path) -> None:
    corpus = os.environ.get("FUZZ_CORPUS", str(tmp_path))
    done = subprocess.run(
        [sys.executable, HERE / "guided.py", target, str(SECONDS), corpus],
        capture_output=True, text=True, check=False, env=without_coverage(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    said = done.stdout + done.stderr
    assert " runs in " in said or "at random" in said, said[-2000:]


def without_coverage() -> dict[str, str]:
    # Both put their own code into that of the package.
    return {name: value for name, value in os.environ.items() if "COVERAGE" not in name}


@pytest.mark.parametrize("target", guided.TARGETS, ids=lambda target: target.__name__)
def test_where_no_fuzzer_is_installed_inputs_are_changed_at_random(target: object) -> None:
    assert guided.at_random(target, guided.TARGETS[target], 0.1) > 0  # type: ignore[arg-type, index]


def test_what_is_misread_is_found() -> None:
    """A reader that is wrong about one input in some hundred thousand."""

    def wrong(data: bytes) -> None:
        if b"%" in data and data.endswith(b"\xff"):
            raise guided.Wrong("found")

    with pytest.raises(guided.Wrong):
        guided.at_random(wrong, [b"a=1"], 20)
