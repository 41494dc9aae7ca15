"""How a worker of ``kolben serve`` leaves.

When the main process says so, the worker accepts no more, asks its clients to close their connections, and
closes what has no end to wait for: WebSockets and streams of events. Requests have their time. Shortly
before that is over, those that still run are cancelled, so that all clean up; what cannot be cancelled,
such as a plain view that sleeps, is left behind: the application is shut down without it, and the process
ends.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
import typing as t
from functools import partial

from .memory import Caretaker

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

logger = logging.getLogger("kolben.serve")

#: How often to look whether there still is a main process, in seconds.
_LOOK = 1.0

#: The same for the time of a worker that leaves.
_TICK = 0.05

#: The end of the time for requests in which those that are cancelled clean up: so many seconds, but not
#: more than this share of it.
_CLEAN_UP = 1.0
_CLEAN_UP_SHARE = 0.25


class Link:
    """A worker's side of the connection to the main process, and the clock of its leaving.

    :param control: the connection.
    :param listener: the inode of the socket that the workers accept from.
    :param grace: how long requests in flight may take, in seconds.
    """

    def __init__(self, control: Connection, listener: int, grace: float) -> None:
        self.control = control
        #: Called first when the worker leaves, in the thread that watches.
        self.stop_accepting: Callable[[], None] = partial(_stop_accepting, listener)
        self.parent = os.getppid()
        self._cut_after = grace - min(_CLEAN_UP, grace * _CLEAN_UP_SHARE)
        self._end_after = grace
        self._left_at = 0.0
        #: Whether this worker is about to be stopped.
        self.leaving = False
        #: Whether what still runs has been cancelled.
        self.cut = False
        #: Whether the worker is ending, by itself or by force.
        self.ending = False
        #: Called each second, in the thread that watches.
        self.on_look: Callable[[], None] = _do_nothing
        # Called when it becomes so, in the thread that watches.
        self.on_leave: Callable[[], None] = _do_nothing
        self.on_cut: Callable[[], None] = _do_nothing
        self.on_end: Callable[[], None] = exit_now

    def watch(self) -> None:
        """Listen to the main process, in a thread of its own."""
        threading.Thread(target=self._listen, name="kolben-control", daemon=True).start()

    def say_ready(self) -> None:
        """Tell the main process that requests can come."""
        self._say(None)

    def say_failed(self, reason: str) -> None:
        """Tell the main process why they never will.

        :param reason: one line for the user.
        """
        self._say(reason)

    def _say(self, word: str | None) -> None:
        try:
            self.control.send(word)
        except OSError:
            pass  # it has ended, which `_listen` notices

    def _listen(self) -> None:
        # Meanwhile, in this thread because it has time, memory is given back that is not used.
        caretaker = Caretaker()
        while os.getppid() == self.parent:
            try:
                if self.control.poll(_TICK if self.leaving else _LOOK):
                    self.control.recv()
                    self._leave()
            except (EOFError, OSError):
                break
            if self.leaving:
                self._look_at_the_clock()
            else:
                caretaker.look()
                self.on_look()
        os.kill(os.getpid(), signal.SIGTERM)
        self._leave()
        while True:
            time.sleep(_TICK)
            self._look_at_the_clock()

    def _leave(self) -> None:
        if self.leaving:
            return
        self._left_at = time.monotonic()
        self.leaving = True
        self.stop_accepting()
        self.on_leave()

    def _look_at_the_clock(self) -> None:
        since = time.monotonic() - self._left_at
        if since >= self._cut_after and not self.cut:
            # First, because streams that see that they are cut clean up, which is not to be cancelled.
            self.on_cut()
            self.cut = True
        if since >= self._end_after and not self.ending:
            self.ending = True
            logger.warning("Worker %s is stopped in the middle of a request.", os.getpid())
            self.on_end()


def _do_nothing() -> None:
    pass


def exit_now() -> t.NoReturn:
    """End the process though some of its threads are busy; functions for its end are called before."""
    from multiprocessing import util

    try:
        util._exit_function()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(0)


def _stop_accepting(inode: int) -> None:
    """Leave the listening socket to the other workers.

    Granian accepts until it ends, and a connection that it accepts at that moment is lost. So each of
    this process' descriptors of the socket becomes one of another socket, which no client knows: to
    accept from it finds no connection.

    :param inode: the listening socket's.
    """
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    with socket.create_server(("127.0.0.1", 0)) as unknown:
        unknown.setblocking(False)
        for descriptor in map(int, os.listdir(folder)):
            # That of the listing itself is closed already.
            with contextlib.suppress(OSError):
                if os.fstat(descriptor).st_ino == inode:
                    os.dup2(unknown.fileno(), descriptor, inheritable=False)
