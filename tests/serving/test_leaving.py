"""The clock of a worker that leaves, with a pipe in place of the main process."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import textwrap
from multiprocessing import Pipe

import pytest

from kolben.serving.leaving import Link
from processes import SOURCE

PATIENCE = 20

#: A worker of which only the clock runs; it says which steps are taken.
WORKER = """
import logging, os, sys, time
from multiprocessing import Pipe
from kolben.serving.leaving import Link, exit_now

def say(text):  # print() writes the end of the line by itself, and another thread may come between
    os.write(1, f"{text}\\n".encode())

logging.basicConfig(stream=sys.stdout, format="%(message)s")
near, far = Pipe()
link = Link(far, 0, 0.3)
link.stop_accepting = lambda: say("stop")
link.on_leave = lambda: say("leave")
link.on_cut = lambda: say("cut")
"""


def run(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", WORKER + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": SOURCE},
        check=False,
    )
    assert done.stderr == ""
    return [re.sub(r"\d+", "N", line) for line in done.stdout.splitlines()]


def test_the_main_process_hears_that_it_is_ready_or_why_not() -> None:
    near, far = Pipe()
    link = Link(far, 0, 1.0)
    link.say_ready()
    link.say_failed("There is no program.")
    assert [near.recv(), near.recv()] == [None, "There is no program."]
    near.close()
    far.close()
    link.say_ready()  # to no one, which is no error


def test_leaving_has_its_steps_and_each_is_taken_once() -> None:
    steps = run("""
    link.on_end = lambda: (print("end", flush=True), time.sleep(0.2), exit_now())
    link.watch()
    near.send(None)
    near.send(None)
    time.sleep(30)
    """)
    assert steps == [
        "stop",
        "leave",
        "cut",
        "Worker N is stopped in the middle of a request.",
        "end",
    ]


def test_a_worker_that_ends_by_itself_is_not_ended_by_force() -> None:
    steps = run("""
    link.on_cut = lambda: setattr(link, "ending", True)
    link.on_end = lambda: print("end", flush=True)
    link.watch()
    near.send(None)
    time.sleep(0.6)
    """)
    assert steps == ["stop", "leave"]


def test_a_worker_whose_main_process_has_died_leaves_too() -> None:
    steps = run("""
    import signal
    signal.signal(signal.SIGTERM, lambda *_: say("asked to end"))
    link.on_end = exit_now
    link.watch()
    near.close()
    for _ in range(300):
        time.sleep(0.1)
    """)
    assert sorted(steps[:3]) == ["asked to end", "leave", "stop"]
    assert steps[3:] == ["cut", "Worker N is stopped in the middle of a request."]


def test_what_is_registered_for_the_end_is_called_though_threads_are_busy() -> None:
    steps = run("""
    import atexit, threading
    atexit.register(print, "at exit")
    threading.Thread(target=time.sleep, args=(30,)).start()
    exit_now()
    """)
    assert steps == ["at exit"]


def test_a_socket_that_is_left_to_the_others_accepts_nothing_here() -> None:
    """Its descriptor stays valid: what still accepts from it finds no connection."""
    near, far = Pipe()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        others = socket.socket(fileno=os.dup(listener.fileno()))
        link = Link(far, os.fstat(listener.fileno()).st_ino, 1.0)
        link.stop_accepting()
        with socket.create_connection(address, PATIENCE) if _is_open(address) else near:
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()
        others.close()
    near.close()
    far.close()


def _is_open(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == 0
