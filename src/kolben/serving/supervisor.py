"""The main process of ``kolben serve``: Granian's, with another way of changing workers.

Granian starts and serves. What differs from its own supervisor, and why:

- All workers accept from one socket. With a socket for each, connections that wait at a worker which
  ends are reset; so new code can be taken over without a failed request.
- A worker says when it has loaded the application. Only then do old workers leave; when new code does
  not load, the old workers stay.
- A worker that leaves lets its clients know first (see :mod:`kolben.serving.worker`).
- A worker that dies is replaced, however often: at most once a second.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time
import typing as t
from functools import partial

from granian._granian import SocketHolder
from granian.server.mp import MPServer, WorkerProcess

from .worker import Target, load_gateway

if t.TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection
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


class Worker(WorkerProcess):  # type: ignore[misc]
    """A worker process, and the connection to it."""

    def __init__(
        self, parent: Supervisor, idx: int, target: t.Any, args: t.Any, pipe: tuple[Connection, ...]
    ) -> None:
        self.control, self._far_end = pipe
        self.gone = threading.Event()
        self.failure: str | None = None
        super().__init__(parent, idx, target, args)

    def start(self) -> None:
        """Start the process."""
        super().start()
        # Held by the worker alone, so that its end is noticed here.
        self._far_end.close()

    def _watcher(self) -> None:
        # Called in a thread of its own; the only place that waits for the process: two that do
        # can lose its end between them.
        self.inner.join()
        self.gone.set()
        if not self.interrupt_by_parent:
            supervisor: t.Any = self.parent
            supervisor.notice_death(self)

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
        self.interrupt_by_parent = True
        try:
            self.control.send(None)
        except OSError:
            pass  # it has ended


class Supervisor(MPServer):  # type: ignore[misc]
    """Starts, replaces and stops the workers.

    :param target: what the workers load.
    :param listener: the socket to accept from.
    :param grace: how long a leaving worker may take to finish its requests, in seconds.
    :param on_ready: called when all workers can take requests.
    :param reload_folders: where a changed file starts new workers; empty for nowhere.
    :param settings: passed to Granian.
    """

    def __init__(
        self,
        target: Target,
        listener: socket.socket,
        grace: float,
        on_ready: Callable[[], None],
        reload_folders: Sequence[Path] = (),
        **settings: t.Any,
    ) -> None:
        super().__init__(target.path or "", **settings)
        # Set by Granian's handler of SIGHUP.
        self.reload_signal = False
        self.wrks: list[t.Any] = []
        self.interrupt_children: list[t.Any] = []
        self.listener = listener
        self.grace = grace
        self._on_ready = on_ready
        self._reload_folders = reload_folders
        self._load = partial(load_gateway, target, os.fstat(listener.fileno()).st_ino)
        self._leaving: list[t.Any] = []
        self._due: dict[int, float] = {}
        self._in_a_hurry = False

    def run(self) -> None:
        """Serve until a signal ends it.

        :raises SystemExit: when the workers cannot be started.
        """
        self.serve(target_loader=self._load, wrap_loader=False)

    # --- Granian's steps, taken differently ---------------------------------------------------

    def _init_shared_socket(self) -> None:
        self._sso = self.listener
        # Its type stub leaves the arguments out: descriptor, whether it is a Unix socket, backlog.
        holder: t.Any = SocketHolder
        self._shd = holder(self.listener.fileno(), False, self.backlog)
        self._ssp = None

    def _spawn_worker(self, idx: int, target: t.Any, callback_loader: t.Any) -> Worker:
        near, far = multiprocessing.Pipe()
        arguments = super()._spawn_worker(idx, target, partial(callback_loader, far)).inner._args
        return Worker(self, idx, target, arguments, (near, far))

    def _spawn_workers(self, spawn_target: t.Any, target_loader: t.Any) -> None:
        workers = self._start_workers(spawn_target, target_loader, range(self.workers))
        self.wrks = workers
        if self._await(workers):
            self._on_ready()
            self._watch_files()
            return
        if not self.interrupt_signal:
            self._report(workers)
            self._stop_workers()
            raise SystemExit(1)

    def _serve_loop(self, spawn_target: t.Any, target_loader: t.Any) -> None:
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait(self._until_due())
            self.main_loop_interrupt.clear()
            if self.interrupt_signal:
                break
            if self.reload_signal:
                self.reload_signal = False
                self._hand_over(spawn_target, target_loader)
            self._replace_dead(spawn_target, target_loader)
        # What has died is of no interest any more, nor is an exit status for it.
        self.interrupt_children.clear()

    def _stop_workers(self) -> None:
        workers, self.wrks = [*self.wrks, *self._leaving], []
        self._dismiss(workers)

    def signal_handler_interrupt(self, *args: t.Any, **kwargs: t.Any) -> None:
        """End; at the second signal without waiting for requests in flight.

        :param args: signal and frame.
        :param kwargs: not used.
        """
        self._in_a_hurry = self.interrupt_signal
        super().signal_handler_interrupt(*args, **kwargs)

    # --- Starting ------------------------------------------------------------------------------

    def _start_workers(self, target: t.Any, loader: t.Any, indices: t.Any) -> list[Worker]:
        workers = [self._spawn_worker(idx, target, loader) for idx in indices]
        for worker in workers:
            worker.start()
        return workers

    def _await(self, workers: Sequence[Worker]) -> bool:
        """Wait until all of the workers are ready; False as soon as one of them fails."""
        return all(worker.wait_ready(lambda: not self.interrupt_signal) for worker in workers)

    def _report(self, workers: Sequence[Worker]) -> None:
        reasons = [worker.failure for worker in workers if worker.failure]
        logger.error(reasons[0] if reasons else "A worker ended before it could take requests.")

    def _watch_files(self) -> None:
        if self._reload_folders:
            threading.Thread(target=self._reload_on_change, daemon=True).start()

    def _reload_on_change(self) -> None:
        import watchfiles

        for _ in watchfiles.watch(*self._reload_folders, raise_interrupt=False):
            self.signal_handler_reload()

    # --- Replacing -----------------------------------------------------------------------------

    def _hand_over(self, target: t.Any, loader: t.Any) -> None:
        """Start new workers, which load the code as it is now; then let the old ones leave."""
        logger.info("Loading the application anew.")
        new = self._start_workers(target, loader, range(self.workers))
        if not self._await(new):
            if not self.interrupt_signal:
                self._report(new)
                logger.error("The new code was not taken over; the old one is still running.")
            self._dismiss(new, farewell=0)
            return
        old, self.wrks = self.wrks, new
        self._due.clear()
        self._leaving += old
        # In a thread: the next signal must not wait for a request that takes its time.
        threading.Thread(target=self._retire, args=(old,)).start()
        logger.info("New workers have taken over.")

    def _retire(self, workers: list[Worker]) -> None:
        self._dismiss(workers)
        self._leaving = [worker for worker in self._leaving if worker not in workers]

    def notice_death(self, worker: Worker) -> None:
        """Called from a worker's watcher when it has ended unasked.

        :param worker: the worker.
        """
        if self.interrupt_signal:
            return
        self.interrupt_children.append(worker)
        self.main_loop_interrupt.set()

    def _replace_dead(self, target: t.Any, loader: t.Any) -> None:
        while self.interrupt_children:
            worker = self.interrupt_children.pop()
            if worker in self.wrks:
                status = worker.inner.exitcode
                logger.error(
                    "Worker %s ended with status %s: replacing it.", worker.inner.pid, status
                )
                self._due[worker.idx] = worker.birth + _RESPAWN_INTERVAL
        now = time.monotonic()
        for idx in [idx for idx, due in self._due.items() if due <= now]:
            del self._due[idx]
            (self.wrks[idx],) = self._start_workers(target, loader, [idx])

    def _until_due(self) -> float | None:
        return max(0.0, min(self._due.values()) - time.monotonic()) if self._due else None

    # --- Ending --------------------------------------------------------------------------------

    def _dismiss(self, workers: Sequence[Worker], farewell: float = FAREWELL) -> None:
        """Let workers finish what they are at, and end them; by force when the time is up."""
        deadline = time.monotonic() + self.grace + LAST
        for worker in workers:
            worker.say_farewell()
        self._wait_gone(workers, time.monotonic() + min(farewell, self.grace))
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
        self._wait_gone(workers, deadline)
        for worker in workers:
            if worker.is_alive():
                logger.warning("Worker %s did not end by itself: killing it.", worker.inner.pid)
                worker.kill()
            worker.gone.wait()
            worker.control.close()

    def _wait_gone(self, workers: Sequence[Worker], deadline: float) -> None:
        for worker in workers:
            while time.monotonic() < deadline and not self._in_a_hurry:
                if worker.gone.wait(min(_GLANCE, max(0, deadline - time.monotonic()))):
                    break
