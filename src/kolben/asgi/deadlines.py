"""Limits of time that many waits share."""

from __future__ import annotations

import asyncio
import contextvars
import typing as t
import weakref

T = t.TypeVar("T")


class TimeLimit:
    """How long each of the waits may take that are given to it, on one event loop.

    PERF: ``asyncio.timeout`` has a timer for each wait, which took 20 µs of 116 of a small POST over
    Granian; and the loop keeps a timer, with the context of its request, long after it was cancelled.
    Nearly all waits end in time, so here one timer watches them all, and looks again when the oldest
    one that is left would be over.

    :param loop: the event loop.
    :param seconds: the limit.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self.loop = weakref.ref(loop)
        self.seconds = seconds
        # In the order in which the waits have begun, which is that of their ends.
        self._ends: dict[asyncio.Task[t.Any], float] = {}
        self._overdue: set[asyncio.Task[t.Any]] = set()
        self._is_watched = False

    async def wait_for(self, awaitable: t.Awaitable[T]) -> T:
        """Wait for an awaitable. A task waits for one at a time.

        :param awaitable: what to wait for; it is cancelled when the time is over.
        :return: its result.
        :raises TimeoutError: when the time is over.
        """
        task: t.Any = asyncio.current_task()
        loop = task.get_loop()
        cancelled = task.cancelling()
        self._ends[task] = loop.time() + self.seconds
        if not self._is_watched:
            self._watch(loop)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if task in self._overdue:
                self._overdue.discard(task)
                # The task may have been cancelled from elsewhere as well, and that goes first.
                if task.uncancel() <= cancelled:
                    raise TimeoutError from None
            raise
        finally:
            self._ends.pop(task, None)
            if task in self._overdue:  # and the wait ended with something else all the same
                self._overdue.discard(task)
                task.uncancel()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel who is overdue, and come again when the next one would be."""
        now = loop.time()
        while self._ends:
            task, end = next(iter(self._ends.items()))
            if end > now:
                # In a context of its own: this one would live as long, with the request that it holds.
                loop.call_at(end, self._watch, loop, context=contextvars.Context())
                self._is_watched = True
                return
            del self._ends[task]
            self._overdue.add(task)
            task.cancel()
        self._is_watched = False


_limits: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[float, TimeLimit]] = (
    weakref.WeakKeyDictionary()
)
# PERF: the one that was asked for last, which in most programs is the only one: 0.1 µs in place of 1.
_latest: TimeLimit | None = None


def time_limit(loop: asyncio.AbstractEventLoop, seconds: float) -> TimeLimit:
    """Return the limit of that length that all waits on *loop* share.

    :param loop: the running event loop.
    :param seconds: the limit.
    """
    global _latest
    limit = _latest
    if limit is None or limit.seconds != seconds or limit.loop() is not loop:
        limits = _limits.setdefault(loop, {})
        if seconds not in limits:
            limits[seconds] = TimeLimit(loop, seconds)
        limit = _latest = limits[seconds]
    return limit
