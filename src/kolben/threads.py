"""The threads in which coroutines have plain functions called.

What is short is handed over in batches: the threads are woken where none is at it, the loop once for
all that was done meanwhile. A thread that is at it takes the next function, and tells of results when
there is none left. But any function may wait, for a database say, at any time: then those behind it need
another thread, and those before it must not wait to be told of. So the loop looks a millisecond later
whether anything has been left (:meth:`_Desk.look_later`); and a function that has been seen to take long is given
a thread at once, the next times (:class:`Pace`).
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
import typing as t
import weakref
from collections import deque
from time import monotonic

try:
    # PERF: as the module queue has it, which takes 0.5 ms more to import.
    from _queue import SimpleQueue
except ImportError:  # another interpreter than CPython
    from queue import SimpleQueue

if t.TYPE_CHECKING:
    import asyncio

    from .greenlets import RealThread


def call_of_greenlets() -> t.Callable[..., t.Any] | None:
    """How to call a function in a real thread, where gevent or eventlet has made threads greenlets.

    All greenlets are one thread, of which asyncio says that its loop is running as soon as one of them runs
    one; and to wait in a way that their hub does not know stops them all.

    :return: takes the function and its arguments, and lets other greenlets go on; None for true threads.
    """
    modules = sys.modules
    if "gevent.monkey" in modules and modules["gevent.monkey"].is_module_patched("threading"):
        from .greenlets import call_by_gevent

        return call_by_gevent
    if "eventlet.patcher" in modules and modules["eventlet.patcher"].is_monkey_patched("thread"):
        from .greenlets import call_by_eventlet

        return call_by_eventlet
    return None


def make_thread(
    target: t.Callable[..., t.Any], args: tuple[t.Any, ...], name: str
) -> threading.Thread | RealThread:
    """Make a thread that is a real one under gevent and eventlet, too; a daemon.

    :param target: what it runs.
    :param args: with which arguments.
    :param name: its name.
    """
    if call_of_greenlets() is None:
        return threading.Thread(target=target, args=args, name=name, daemon=True)
    from .greenlets import RealThread

    return RealThread(target, args)


_Done = t.Callable[[t.Any, BaseException | None], None]

#: A function that takes longer than this is not short, in seconds.
SHORT = 0.0001
#: For how many seconds results may be kept back, and how long a function may wait behind another.
LOOK = 0.001
#: So many times a function that has taken long gets a thread at once.
TIMES = 16

# Without the lock, threads do work at the same time; then each function gets one.
_HAS_LOCK: bool = getattr(sys, "_is_gil_enabled", lambda: True)()


class _PerThread(threading.local):
    desk: _Desk | None = None


_here = _PerThread()


class Pace:
    """What was seen of a plain function: whether it is short.

    So that it is, when nothing was seen of it yet, not taken to be short.
    """

    __slots__ = ("times",)

    def __init__(self) -> None:
        #: How many times more it is given a thread at once.
        self.times = TIMES


class _Job:
    """One call of a plain function.

    :param call: the call.
    :param pace: the function's.
    :param desk: where the result is left; None where a function is called with it.
    :param future: what waits for it on the loop of the desk.
    :param done: is called in the thread with the result and None, or None and the error.
    """

    __slots__ = ("call", "desk", "done", "error", "future", "is_late", "pace", "value")

    def __init__(
        self,
        call: t.Callable[[], t.Any],
        pace: Pace,
        desk: _Desk | None = None,
        future: asyncio.Future[t.Any] | None = None,
        done: _Done | None = None,
    ) -> None:
        #: None from when a thread is at it.
        self.call: t.Callable[[], t.Any] | None = call
        self.pace = pace
        self.desk = desk
        self.future: t.Any = future
        self.done = done
        self.value: t.Any = None
        self.error: BaseException | None = None
        #: Whether there is a result for which nothing has waited.
        self.is_late = False

    def settle(self) -> None:
        """Give the result to the future."""
        future, value, error = self.future, self.value, self.error
        if future.done():
            self.is_late = True  # cancelled; the task comes for the result
            return
        # From here on it is the future's: an error would hold what holds it.
        self.future = self.value = self.error = None
        if error is None:
            future.set_result(value)
        elif isinstance(error, StopIteration):
            future.set_exception(RuntimeError(f"A plain function has raised {error!r}."))
        else:
            future.set_exception(error)

    async def end(self) -> asyncio.Future[t.Any]:
        """Wait until the function has ended, where the future has been cancelled.

        :return: a future that has its result.
        """
        import asyncio

        future: asyncio.Future[t.Any]
        self.future = future = asyncio.get_running_loop().create_future()
        if self.is_late:
            self.settle()
        while not future.done():
            with contextlib.suppress(asyncio.CancelledError):  # once more
                await asyncio.wait({future})
        return future


class _Desk:
    """Where threads leave results for an event loop.

    :param loop: the loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.results: deque[_Job] = deque()
        # Whether the loop has been told that there are results, and whether it is going to look itself.
        self.is_told = False
        self.will_look = False
        # In which pools it is to look, and for which job.
        self._left: dict[Workers, _Job] = {}

    def tell(self) -> None:
        """Tell the loop, from a thread, that there are results; unless that was done."""
        if self.is_told:
            return
        self.is_told = True
        try:
            self.loop.call_soon_threadsafe(self.settle)
        except RuntimeError:
            self.results.clear()  # the loop was closed since: no task waits any more

    def settle(self) -> None:
        """Let the tasks know what was done for them. Called on the loop."""
        # Before, so that what is left from now on is told of.
        self.is_told = False
        results = self.results
        while results:
            results.popleft().settle()

    def look_later(self, pool: Workers, job: _Job) -> None:
        """Let the loop look in a moment whether a job is left, or a result. Called on the loop.

        :param pool: the pool of the job.
        :param job: the job.
        """
        self._left.setdefault(pool, job)
        if not self.will_look:
            self.will_look = True
            self.loop.call_later(LOOK, self._look)

    def _look(self) -> None:
        self.will_look = False
        self.settle()
        left, self._left = self._left, {}
        for pool, job in left.items():
            next_job = pool.help_out(job)
            if next_job is not None:
                self.look_later(pool, next_job)


_pools: weakref.WeakSet[Workers] = weakref.WeakSet()


@atexit.register
def _close_pools() -> None:
    # The threads are given the time to close what they keep, but not to finish what they do.
    for pool in list(_pools):
        pool.close(0.1)


class Workers:
    """A pool of threads that grows as it is needed, up to a limit.

    :param limit: the most threads at a time; further jobs wait.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._jobs: deque[_Job] = deque()
        self._threads: list[threading.Thread | RealThread] = []
        # One entry for each thread that waits, and one for each that is to wake up; False ends one.
        self._idle: list[None] = []
        self._wakes: SimpleQueue[bool] = SimpleQueue()
        self._lock = threading.Lock()
        # Of functions of which nothing is known.
        self._pace = Pace()
        _pools.add(self)

    def submit(self, call: t.Callable[[], t.Any], done: _Done) -> None:
        """Run a function in a thread.

        :param call: the function.
        :param done: called in that thread with the result and None, or None and the error.
        """
        self._jobs.append(_Job(call, self._pace, done=done))
        self._wake()

    def hand_over(
        self, loop: asyncio.AbstractEventLoop, call: t.Callable[[], t.Any], pace: Pace | None
    ) -> _Job:
        """Run a function in a thread, for a task of the loop that runs in this one.

        :param loop: the loop.
        :param call: the function.
        :param pace: what is known of it.
        :return: the job, whose future has the result in the end.
        """
        desk = _here.desk
        if desk is None or desk.loop is not loop:
            desk = _here.desk = _Desk(loop)
        if pace is None:
            pace = self._pace
        job = _Job(call, pace, desk, loop.create_future())
        self._jobs.append(job)
        if pace.times or not _HAS_LOCK:
            if pace.times:
                pace.times -= 1
            self._wake()
        elif len(self._idle) < len(self._threads):  # one is at it
            desk.look_later(self, job)
        else:
            self._wake()
        return job

    def help_out(self, job: _Job) -> _Job | None:
        """Wake more threads where a job has been left.

        :param job: the job.
        :return: one to look for later, where any are left that another thread could do.
        """
        is_left = job.call is not None
        try:
            for _ in range(len(self._jobs) if is_left else 0):
                if not self._wake():
                    return None
            return self._jobs[0]
        except IndexError:
            return None

    def _wake(self) -> bool:
        """Wake a thread, or start one; tell whether there was any."""
        try:
            self._idle.pop()
        except IndexError:
            return len(self._threads) < self.limit and self._start_thread()
        self._wakes.put(True)
        return True

    def _start_thread(self) -> bool:
        with self._lock:
            if len(self._threads) >= self.limit:
                return False
            # A daemon: a view that never ends must not keep the process from ending.
            name = f"kolben-worker-{len(self._threads)}"
            thread = make_thread(_work, (self._jobs, self._idle, self._wakes), name)
            try:
                thread.start()
            except RuntimeError:
                # From Python 3.12 on no thread starts while the interpreter ends.
                if not self._threads:
                    raise
                return False
            self._threads.append(thread)
            return True

    def close(self, timeout: float = 0) -> None:
        """End the threads, each after the jobs that are there.

        :param timeout: for how many seconds to wait for each.
        """
        threads, self._threads = self._threads, []
        for _ in threads:
            self._wakes.put(False)
        for thread in threads:
            if timeout:
                thread.join(timeout)


def _work(jobs: deque[_Job], idle: list[None], wakes: SimpleQueue[bool]) -> None:
    """Do jobs, in a thread of a pool, until it is closed."""
    while True:
        _work_off(jobs)
        idle.append(None)
        # Who has left a job just now may have seen this thread at it.
        if jobs:
            try:
                idle.pop()
            except IndexError:
                pass  # this thread has been told to wake up, besides
            else:
                continue
        if not wakes.get():
            return


def _work_off(jobs: deque[_Job]) -> None:
    """Do the jobs that are there."""
    kept: _Desk | None = None  # where results are that the loop was not told of
    now = kept_since = monotonic()
    while True:
        try:
            job = jobs.popleft()
        except IndexError:
            break
        pace = job.pace
        if kept is not None and (pace.times or kept is not job.desk):
            kept.tell()
            kept = None
        call: t.Any = job.call
        job.call = None  # tells that a thread is at it
        began = monotonic()
        try:
            job.value = call()
        except BaseException as error:
            job.error = error
        del call  # what it refers to must not live until the next job comes
        now = monotonic()
        if now - began > SHORT:
            pace.times = min(pace.times + TIMES // 4, TIMES)
        desk = job.desk
        if desk is None:
            t.cast("_Done", job.done)(job.value, job.error)
        else:
            desk.results.append(job)
            if kept is None:
                kept, kept_since = desk, now
            # Before the next job, which may take long, unless the loop is going to look anyway.
            if not (jobs and desk.will_look and now - kept_since < LOOK):
                desk.tell()
                kept = None
        del job, desk
    if kept is not None:
        kept.tell()


#: Where plain views run under ASGI, and what else may take as long as they do.
#: ``WORKER_THREADS`` of the configuration sets its limit.
workers = Workers(40)

#: Where plain hooks run, and what else is short. Apart from the views, of which those that wait may
#: have all threads: what an ``async def`` view needs of a thread must not wait for these.
hook_workers = Workers(40)
