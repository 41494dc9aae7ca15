"""Counting what code calls, and the programs of the benchmarks to count it in."""

from __future__ import annotations

import contextlib
import sys
import typing as t
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@contextlib.contextmanager
def benchmarks_importable() -> t.Iterator[None]:
    """Let the modules of the benchmarks be imported; skip where they are not there."""
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are not part of the source distribution")
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield
    finally:
        sys.path.remove(str(BENCHMARKS))


def count_calls(function: t.Callable[[], object]) -> int:
    """Count the Python functions called while *function* runs, itself not included."""
    calls = 0

    def profile(frame: t.Any, event: str, argument: object) -> None:
        nonlocal calls
        # Python 3.11 runs comprehensions as functions, later versions do not.
        calls += event == "call" and not frame.f_code.co_name.endswith("comp>")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls - 1
