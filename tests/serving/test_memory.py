"""Memory that is given back to the system: what is freed goes, and seldom enough not to be felt."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from kolben.serving import memory
from kolben.serving.memory import Caretaker, give_back
from pythons import uses_malloc

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim of glibc")


def resident() -> int:
    """What this process occupies, in pages of 4 KiB."""
    return int(Path("/proc/self/statm").read_text().split()[1])


def make_holes(count: int = 5000) -> list[bytes]:
    """Use 8 KiB for each of *count*, and free all but every twentieth of them."""
    return [bytes(8192) for _ in range(count)][::20]


@needs_glibc
@uses_malloc
def test_what_is_freed_goes_back_to_the_system() -> None:
    kept = make_holes()
    before = resident()
    assert give_back()
    assert before - resident() > 5000
    assert kept[-1] == bytes(8192)


def fresh_copy() -> ModuleType:
    """The module as a new process has it."""
    spec = importlib.util.spec_from_file_location("memory_of_another_system", memory.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


READ_PIECES = """
import resource, sys
from kolben.serving.memory import keep_reserve
set_ = sys.argv[1] == "set" and keep_reserve()
def read():
    for _ in range(3):
        pieces = [b"x" * (256 * 1024) for _ in range(4)]
        del pieces
read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    read()
print(set_, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def read_pieces(how: str, **env: str) -> tuple[str, int]:
    """Use and free pieces of 256 KiB in a new process; was it set, and how many page faults were there?"""
    command = [sys.executable, "-c", READ_PIECES, how]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **env}
    )
    was_set, faults = done.stdout.split()
    return was_set, int(faults)


@needs_glibc
@uses_malloc
def test_pieces_of_files_are_not_new_memory_each_time() -> None:
    assert read_pieces("not")[1] > 1000
    was_set, faults = read_pieces("set")
    assert was_set == "True"
    assert faults < 500


@needs_glibc
@uses_malloc
def test_what_the_user_has_chosen_for_malloc_stays() -> None:
    was_set, faults = read_pieces("set", MALLOC_MMAP_THRESHOLD_="65536")
    assert was_set == "False"
    assert faults > 1000


def test_a_c_library_without_malloc_trim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert fresh_copy().give_back() is False
    assert fresh_copy().keep_reserve() is False


def test_a_python_without_ctypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert fresh_copy().give_back() is False


def test_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert fresh_copy().give_back() is False


# --- When -----------------------------------------------------------------------------------------


class World:
    """Clocks that are set by hand, and the times at which memory was given back."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.worked = 5.0
        self.takes = 0.0
        self.given_back: list[float] = []

    def give_back(self) -> bool:
        self.given_back.append(self.now)
        self.now += self.takes
        return True

    def run(self, caretaker: Caretaker, seconds: int, work: float) -> None:
        """Let *seconds* pass, with so much work in each, and look after each."""
        for _ in range(seconds):
            self.now += 1
            self.worked += work
            caretaker.look()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(memory, "give_back", world.give_back)
    monkeypatch.setattr(time, "monotonic", lambda: world.now)
    monkeypatch.setattr(time, "process_time", lambda: world.worked)
    return world


def test_a_process_at_work_gives_back_every_ten_seconds(world: World) -> None:
    world.run(Caretaker(), 39, work=0.3)
    assert world.given_back == [1010, 1020, 1030]


def test_an_idle_process_does_nothing(world: World) -> None:
    caretaker = Caretaker()
    world.run(caretaker, 600, work=0.00005)
    assert world.given_back == []
    # What it has done before is not forgotten, nor is it done twice.
    world.run(caretaker, 1, work=0.1)
    world.run(caretaker, 60, work=0)
    assert world.given_back == [1610]


def test_where_it_takes_long_it_is_done_less_often(world: World) -> None:
    world.takes = 0.125
    world.run(Caretaker(), 300, work=0.3)
    assert world.given_back == [1010, 1135.125, 1260.25]
