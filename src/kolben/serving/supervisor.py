"""The main process of ``kolben serve``: it starts the workers, changes them and ends them.

It knows no server: what runs in a worker is made by :mod:`kolben.serving.by_granian` or
:mod:`kolben.serving.by_uvicorn`. What it promises with either:

- All workers accept from one socket. With a socket for each, connections that wait at a worker which
  ends are reset; so new code can be taken over without a failed request.
- A worker says when it has loaded the application. Only then do old workers leave; when new code does
  not load, the old workers stay.
- A worker that leaves lets its clients know first (see :mod:`kolben.serving.leaving`).
- A worker that dies is replaced, however often: at most once a second.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import queue
import signal
import sys
import threading
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess
    from pathlib import Path

logger = logging.getLogger("kolben.serve")

#: For how long a leaving worker still answers, telling each client to close, in seconds.
FAREWELL = 0.5

#: For how long after the time for requests a worker may shut its application down, in seconds. It ends by
#: itself; by force does only one whose event loop or interpreter is blocked.
LAST = 10.0

#: The shortest time between two starts of the same worker, in seconds.
_RESPAWN_INTERVAL = 1.0

#: How often to look for a signal while waiting for something else, in seconds.
_GLANCE = 0.1

#: For how long to wait for one in one go, in seconds. Python hears of a signal that comes in the instant before a
#: wait begins only when that wait is over.
_ATTENTION = 0.5


def worker_context() -> BaseContext:
    """How worker processes are started: as is usual here, but for ``forkserver``.

    That one, Python 3.14's default on Linux, does not pass the listening socket on.

    :return: a context of :mod:`multiprocessing`.
    """
    method = multiprocessing.get_start_method()
    return multiprocessing.get_context(method if method in {"fork", "spawn"} else "spawn")


class Worker:
    """A worker process, and the connection to it.

    :param idx: its number.
    :param process: the process, which was not started yet.
    :param pipe: our end of the connection, and the worker's.
    :param on_death: called when it has ended unasked, in a thread.
    """

    def __init__(
        self,
        idx: int,
        process: BaseProcess,
        pipe: tuple[Connection, Connection],
        on_death: Callable[[Worker], None],
    ) -> None:
        self.idx = idx
        self.process = process
        self.control, self._far_end = pipe
        self.birth = time.monotonic()
        self.gone = threading.Event()
        self.failure: str | None = None
        self._on_death = on_death
        self._is_dismissed = False
        # Two threads may let a worker go at once: the one of a reload, and the main one, which ends. A number that
        # both close may be another file's by then.
        self._letting_go = threading.Lock()

    def start(self) -> None:
        """Start the process."""
        self.process.start()
        # Held by the worker alone, so that its end is noticed here.
        self._far_end.close()
        threading.Thread(target=self._watch).start()

    def _watch(self) -> None:
        # The only place that waits for the process: two that do can lose its end between them.
        self.process.join()
        self.gone.set()
        if not self._is_dismissed:
            self._on_death(self)

    def is_alive(self) -> bool:
        """Tell whether the process runs.

        :return: False once it has ended.
        """
        return not self.gone.is_set()

    def wait_ready(self, keep_waiting: Callable[[], bool]) -> bool:
        """Wait until the worker can take requests.

        :param keep_waiting: asked now and then; False ends the wait.
        :return: whether it can; if not, ``failure`` may say why.
        """
        try:
            while keep_waiting():
                if self.control.poll(_GLANCE):
                    self.failure = self.control.recv()
                    return self.failure is None
        except (EOFError, OSError):
            pass
        return False

    def say_farewell(self) -> None:
        """Let the worker tell its clients to close their connections."""
        self._is_dismissed = True
        # It may have ended.
        with self._letting_go, contextlib.suppress(OSError):
            self.control.send(None)

    def close(self) -> None:
        """Close the connection to a worker that has ended."""
        with self._letting_go:
            self.control.close()

    def terminate(self) -> None:
        """Ask the process to end."""
        self.process.terminate()

    def kill(self) -> None:
        """End the process by force."""
        self.process.kill()


class Supervisor:
    """Starts, replaces and stops the workers.

    :param make_process: makes a worker's process, which was not started yet, of its number and its end of
        the connection to this process.
    :param workers: how many workers to run.
    :param grace: how long a leaving worker may take to finish its requests, in seconds.
    :param on_ready: called when all workers can take requests.
    :param reload_folders: where a changed file starts new workers; empty for nowhere.
    """

    def __init__(
        self,
        make_process: Callable[[int, Connection], BaseProcess],
        workers: int,
        grace: float,
        on_ready: Callable[[], None],
        reload_folders: Sequence[Path] = (),
    ) -> None:
        self.workers: list[Worker] = []
        self._make_process = make_process
        self._count = workers
        self._grace = grace
        self._on_ready = on_ready
        self._reload_folders = reload_folders
        self._leaving: list[Worker] = []
        self._dead: list[Worker] = []
        # When a worker that has died is started again, by its number.
        self._due: dict[int, float] = {}
        # What is put in is not read, only that there is something. No event: to set one from a signal's
        # handler while the same thread is about to wait for it is to wait for ever.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_stopped = False
        self._is_changed = False
        self._in_a_hurry = False

    def run(self) -> None:
        """Serve until a signal ends it.

        :raises SystemExit: when the workers cannot be started.
        """
        self._obey_signals()
        self.workers = self._start(range(self._count))
        if self._await(self.workers):
            self._on_ready()
            self._watch_files()
        elif not self._is_stopped:
            self._report(self.workers)
            self._dismiss(self.workers)
            raise SystemExit(1)
        self._loop()
        self._dismiss([*self.workers, *self._leaving])

    def _loop(self) -> None:
        while True:
            with contextlib.suppress(queue.Empty):
                self._wake.get(timeout=self._until_due())
            if self._is_stopped:
                return
            if self._is_changed:
                self._is_changed = False
                self._hand_over()
            self._replace_dead()

    # --- Signals -------------------------------------------------------------------------------

    def _obey_signals(self) -> None:
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self.stop)
        if sys.platform != "win32":
            signal.signal(signal.SIGHUP, self.reload)

    def stop(self, *signal_and_frame: t.Any) -> None:
        """End; at the second call without waiting for requests in flight.

        :param signal_and_frame: not used.
        """
        self._in_a_hurry = self._is_stopped
        self._is_stopped = True
        self._wake.put(None)

    def reload(self, *signal_and_frame: t.Any) -> None:
        """Load the application anew, in new workers.

        :param signal_and_frame: not used.
        """
        self._is_changed = True
        self._wake.put(None)

    # --- Starting ------------------------------------------------------------------------------

    def _start(self, indices: Iterable[int]) -> list[Worker]:
        workers = [self._make(idx) for idx in indices]
        for worker in workers:
            worker.start()
        return workers

    def _make(self, idx: int) -> Worker:
        near, far = multiprocessing.Pipe()
        return Worker(idx, self._make_process(idx, far), (near, far), self._notice_death)

    def _await(self, workers: Sequence[Worker]) -> bool:
        """Wait until all of the workers are ready; False as soon as one of them fails."""
        return all(worker.wait_ready(lambda: not self._is_stopped) for worker in workers)

    def _report(self, workers: Sequence[Worker]) -> None:
        reasons = [worker.failure for worker in workers if worker.failure]
        logger.error(reasons[0] if reasons else "A worker ended before it could take requests.")

    def _watch_files(self) -> None:
        if self._reload_folders:
            threading.Thread(target=self._reload_on_change, daemon=True).start()

    def _reload_on_change(self) -> None:
        import watchfiles

        for _ in watchfiles.watch(*self._reload_folders, raise_interrupt=False):
            self.reload()

    # --- Replacing -----------------------------------------------------------------------------

    def _hand_over(self) -> None:
        """Start new workers, which load the code as it is now; then let the old ones leave."""
        logger.info("Loading the application anew.")
        new = self._start(range(self._count))
        if not self._await(new):
            if not self._is_stopped:
                self._report(new)
                logger.error("The new code was not taken over; the old one is still running.")
            self._dismiss(new, farewell=0)
            return
        old, self.workers = self.workers, new
        self._due.clear()
        self._leaving += old
        # In a thread: the next signal must not wait for a request that takes its time.
        threading.Thread(target=self._retire, args=(old,)).start()
        logger.info("New workers have taken over.")

    def _retire(self, workers: list[Worker]) -> None:
        self._dismiss(workers)
        self._leaving = [worker for worker in self._leaving if worker not in workers]

    def _notice_death(self, worker: Worker) -> None:
        if not self._is_stopped:
            self._dead.append(worker)
            self._wake.put(None)

    def _replace_dead(self) -> None:
        while self._dead:
            worker = self._dead.pop()
            if worker in self.workers:
                status, pid = worker.process.exitcode, worker.process.pid
                logger.error("Worker %s ended with status %s: replacing it.", pid, status)
                self._due[worker.idx] = worker.birth + _RESPAWN_INTERVAL
        now = time.monotonic()
        for idx in [idx for idx, due in self._due.items() if due <= now]:
            del self._due[idx]
            (self.workers[idx],) = self._start([idx])

    def _until_due(self) -> float:
        now = time.monotonic()
        return max(0.0, min([now + _ATTENTION, *self._due.values()]) - now)

    # --- Ending --------------------------------------------------------------------------------

    def _dismiss(self, workers: Sequence[Worker], farewell: float = FAREWELL) -> None:
        """Let workers finish what they are at, and end them; by force when the time is up."""
        deadline = time.monotonic() + self._grace + LAST
        for worker in workers:
            worker.say_farewell()
        self._wait_gone(workers, time.monotonic() + min(farewell, self._grace))
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
        self._wait_gone(workers, deadline)
        for worker in workers:
            if worker.is_alive():
                logger.warning("Worker %s did not end by itself: killing it.", worker.process.pid)
                worker.kill()
            worker.gone.wait()
            worker.close()

    def _wait_gone(self, workers: Sequence[Worker], deadline: float) -> None:
        for worker in workers:
            while time.monotonic() < deadline and not self._in_a_hurry:
                if worker.gone.wait(min(_GLANCE, max(0, deadline - time.monotonic()))):
                    break
