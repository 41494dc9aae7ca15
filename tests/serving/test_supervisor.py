"""The main process of `kolben serve`, with workers that are threads: what it does with them, and when."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import pytest

from kolben.serving import supervisor as module
from kolben.serving.supervisor import Supervisor

PATIENCE = 20
_pids = itertools.count(1000)


class Process:
    """Stands for a process: a thread with the worker's end of the connection."""

    exitcode = 7

    def __init__(self, world: World, idx: int, control: Connection) -> None:
        self.world = world
        self.idx = idx
        self.pid = next(_pids)
        # The main process closes its own copy of this end.
        self.control = Connection(os.dup(control.fileno()))
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def start(self) -> None:
        self.world.note("started", self)
        self.thread.start()

    def run(self) -> None:
        try:
            self.world.behave(self)
        finally:
            self.control.close()
            self.ended.set()

    def join(self) -> None:
        self.ended.wait()

    def terminate(self) -> None:
        self.world.note("terminated", self)

    def kill(self) -> None:
        self.world.note("killed", self)
        self.ended.set()


class World:
    """What happens, in its order, and how workers behave."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.changed = threading.Condition()
        self.behave: Callable[[Process], None] = serves
        self.processes: list[Process] = []
        self.chance = threading.Event()  # never set: what waits for it gives way

    def make(self, idx: int, control: Connection) -> Any:
        self.processes.append(process := Process(self, idx, control))
        return process

    def note(self, what: str, process: Process | None = None) -> None:
        with self.changed:
            self.events.append(what if process is None else f"{what} {process.idx}")
            self.changed.notify_all()

    def wait_for(self, *events: str) -> None:
        with self.changed:
            assert self.changed.wait_for(
                lambda: all(self.events.count(e) >= events.count(e) for e in events), PATIENCE
            ), self.events


def serves(process: Process) -> None:
    """Be ready, and end when it is told to."""
    process.control.send(None)
    with contextlib.suppress(EOFError):  # after its death there is no more to be said
        process.control.recv()
        process.world.note("left", process)


def fails(process: Process) -> None:
    process.control.send("There is no program.")


def vanishes(process: Process) -> None:
    """End without a word."""


def hangs(process: Process) -> None:
    process.control.send(None)
    process.ended.wait()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(autouse=True)
def _own_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the main process does with signals is put back; and nothing here takes seconds."""
    names = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = [signal.getsignal(name) for name in names]
    monkeypatch.setattr(module, "_RESPAWN_INTERVAL", 0.05)
    monkeypatch.setattr(module, "_GLANCE", 0.01)
    monkeypatch.setattr(module, "LAST", 0.2)
    yield
    for name, handler in zip(names, before, strict=True):
        signal.signal(name, handler)


def run(world: World, steps: Callable[[Supervisor], None], **options: Any) -> Supervisor:
    """Run a supervisor of two workers; the steps are taken in another thread, and then it is stopped."""
    ready = threading.Event()

    def on_ready() -> None:
        world.note("ready")
        ready.set()

    supervisor = Supervisor(world.make, 2, options.pop("grace", 5.0), on_ready, **options)

    def go() -> None:
        try:
            assert ready.wait(PATIENCE)
            steps(supervisor)
        finally:
            supervisor.stop()

    thread = threading.Thread(target=go)
    thread.start()
    supervisor.run()
    thread.join()
    return supervisor


def test_it_is_ready_when_all_workers_are_and_ends_when_all_have_left(world: World) -> None:
    run(world, lambda supervisor: None)
    assert world.events[:3] == ["started 0", "started 1", "ready"]
    assert sorted(world.events[3:]) == ["left 0", "left 1"]


@pytest.mark.parametrize(
    ("behave", "reason"),
    [(fails, "There is no program."), (vanishes, "A worker ended before it could take requests.")],
)
def test_what_cannot_be_started_is_said_and_ends_the_command(
    world: World, caplog: pytest.LogCaptureFixture, behave: Any, reason: str
) -> None:
    world.behave = behave
    supervisor = Supervisor(world.make, 2, 1.0, lambda: world.note("ready"))
    with pytest.raises(SystemExit) as stop:
        supervisor.run()
    assert stop.value.code == 1
    assert reason in caplog.text
    assert "ready" not in world.events


def test_new_workers_take_over_before_the_old_ones_leave(world: World) -> None:
    def steps(supervisor: Supervisor) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGHUP)
        world.wait_for("left 0", "left 1")

    run(world, steps)
    assert world.events[:5] == ["started 0", "started 1", "ready", "started 0", "started 1"]
    assert sorted(world.events[5:7]) == ["left 0", "left 1"]
    assert sorted(world.events[7:]) == ["left 0", "left 1"]


def test_an_end_in_the_middle_of_a_change_closes_each_connection_once() -> None:
    """Two threads let the old workers go at once; the number that the second one closes may be another file's."""
    for _ in range(100):
        world = World()

        def steps(supervisor: Supervisor, world: World = world) -> None:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGHUP)
            world.wait_for("started 0", "started 0", "started 1", "started 1")
            world.wait_for("left 0")

        run(world, steps)


@pytest.mark.parametrize("behave", [fails, vanishes])
def test_new_code_that_does_not_load_leaves_the_old_workers_where_they_are(
    world: World, caplog: pytest.LogCaptureFixture, behave: Any
) -> None:
    def steps(supervisor: Supervisor) -> None:
        world.behave = behave
        supervisor.reload()
        world.wait_for("started 0", "started 0", "started 1", "started 1")
        while "was not taken over" not in caplog.text:
            assert world.processes[2].thread.join(PATIENCE) is None
        assert all(process.thread.is_alive() for process in world.processes[:2])

    run(world, steps)
    assert "The new code was not taken over; the old one is still running." in caplog.text


def test_a_worker_that_dies_is_replaced(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def steps(supervisor: Supervisor) -> None:
        world.processes[1].ended.set()
        world.wait_for("started 1", "started 1")

    supervisor = run(world, steps)
    first, dead, new = world.processes
    assert [worker.process for worker in supervisor.workers] == [first, new]
    assert f"Worker {dead.pid} ended with status 7: replacing it." in caplog.text


def test_a_worker_that_does_not_end_is_ended_by_force(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.behave = hangs
    run(world, lambda supervisor: None, grace=0.05)
    assert sorted(world.events[3:5]) == ["terminated 0", "terminated 1"]
    assert sorted(world.events[5:]) == ["killed 0", "killed 1"]
    assert "did not end by itself" in caplog.text


@pytest.fixture
def no_collection() -> Iterator[None]:
    """No collection in between: of all that a run of tests holds it takes long, and signals come meanwhile."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_no_signal_is_lost_whenever_it_comes(world: World) -> None:
    """Not in the instant before the main process waits, and not while it is about to."""
    main = threading.main_thread().ident or 0

    def steps(supervisor: Supervisor) -> None:
        for _ in range(300):
            signal.pthread_kill(main, signal.SIGHUP)
            world.chance.wait(0.001)
        world.wait_for("left 0", "left 1")
        seen = len(world.processes)
        signal.pthread_kill(main, signal.SIGHUP)
        world.wait_for(*["started 0"] * (seen // 2 + 1))

    run(world, steps)
    started = [event for event in world.events if event.startswith("started")]
    left = [event for event in world.events if event.startswith("left")]
    assert len(started) == len(left)


def test_who_asks_twice_is_in_a_hurry(world: World) -> None:
    world.behave = hangs

    def steps(supervisor: Supervisor) -> None:
        supervisor.stop()  # and then once more

    run(world, steps, grace=60.0)
    assert sorted(world.events[5:]) == ["killed 0", "killed 1"]


def test_workers_are_no_forks_of_a_server_that_does_not_pass_the_socket_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for method, chosen in {"fork": "fork", "spawn": "spawn", "forkserver": "spawn"}.items():
        monkeypatch.setattr(
            module.multiprocessing, "get_start_method", lambda method=method: method
        )
        assert module.worker_context().get_start_method() == chosen
