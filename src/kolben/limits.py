"""Limits of one route, and the time that a view may take.

.. code-block:: python

    from kolben.limits import limits

    @app.post("/avatar")
    @limits(max_content_length=200_000, timeout=5)
    def avatar():
        return f"{len(request.get_data())} bytes"

What a route does not limit itself is limited by the settings: ``MAX_CONTENT_LENGTH``, ``MAX_FORM_MEMORY_SIZE``,
``MAX_FORM_PARTS`` and ``VIEW_TIMEOUT``.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import typing as t
from functools import update_wrapper

from werkzeug.exceptions import ServiceUnavailable

from . import tables
from .concurrency import is_coroutine_function
from .globals import get_current

if t.TYPE_CHECKING:
    from .app import Flask

F = t.TypeVar("F", bound=t.Callable[..., t.Any])

#: Stands for a limit that is left to the settings, since None stands for no limit.
UNSET: t.Any = ...

#: For how many seconds a client may send nothing of its body, unless ``BODY_TIMEOUT`` is configured.
BODY_TIMEOUT = 60.0

_MARK = "_kolben_limits"


def limits(
    *,
    max_content_length: int | None = UNSET,
    max_form_memory_size: int | None = UNSET,
    max_form_parts: int | None = UNSET,
    timeout: float | None = UNSET,
) -> t.Callable[[F], F]:
    """Give a view limits of its own, in place of those of the settings.

    They hold before the body is read: a longer one is refused, 413, whatever its size is. Decorators that
    stand above this one must keep the function's attributes, as :func:`functools.wraps` does.

    :param max_content_length: the most bytes of the body; None for no limit.
    :param max_form_memory_size: the most bytes of a field of a form; None for no limit.
    :param max_form_parts: the most parts of a multipart form; None for no limit.
    :param timeout: for how many seconds the view may run; None for no limit.
    :return: a decorator, which returns the same function.
    :raises ValueError: if a limit is negative.
    """
    given = {
        "max_content_length": max_content_length,
        "max_form_memory_size": max_form_memory_size,
        "max_form_parts": max_form_parts,
        "timeout": timeout,
    }
    given = {name: value for name, value in given.items() if value is not UNSET}
    for name, value in given.items():
        if value is not None and not value >= 0:
            raise ValueError(
                f"limits({name}={value!r}): a limit is not negative; None is no limit."
            )

    def decorate(view: F) -> F:
        setattr(view, _MARK, {**getattr(view, _MARK, {}), **given})
        tables.touch()  # what was prepared before holds no longer
        return view

    return decorate


def has_limits(view: t.Any) -> bool:
    """Tell whether a view has limits of its own.

    :param view: the view function.
    """
    return hasattr(view, _MARK)


def limit_of(view: t.Any, name: str) -> t.Any:
    """Return a limit that a view has of its own, else ``UNSET``.

    :param view: the view function.
    :param name: the limit, by the name of the parameter of :func:`limits`.
    """
    return getattr(view, _MARK, {}).get(name, UNSET)


# -- time -------------------------------------------------------------------------------------


def limit_time(app: Flask, view: F) -> F:
    """Return a view that is ended when it takes longer than it may, or the same one without a limit.

    :param app: the application.
    :param view: the view function.
    """
    seconds = limit_of(view, "timeout")
    if seconds is UNSET:
        seconds = app.config.get("VIEW_TIMEOUT")
    if not seconds:
        return view
    make = _limited_coroutine if is_coroutine_function(view) else _limited
    return t.cast("F", update_wrapper(make(view, float(seconds)), view))


def _limited_coroutine(
    view: t.Callable[..., t.Any], seconds: float
) -> t.Callable[..., t.Awaitable[t.Any]]:
    async def limited(*args: t.Any, **kwargs: t.Any) -> t.Any:
        import asyncio

        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await view(*args, **kwargs)
        except TimeoutError as error:
            if limit.expired():
                raise _too_slow(view, seconds, error) from None
            raise

    return limited


def _limited(view: t.Callable[..., t.Any], seconds: float) -> t.Callable[..., t.Any]:
    def limited(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            with _timer(seconds):
                return view(*args, **kwargs)
        except _Overtime as error:
            raise _too_slow(view, seconds, error) from None

    return limited


def _too_slow(view: t.Any, seconds: float, error: BaseException) -> ServiceUnavailable:
    """Log where the view was when its time was over, and make the answer."""
    get_current().app.logger.error(
        "The view %r was ended after %g seconds, which is all that it may take (VIEW_TIMEOUT).",
        getattr(view, "__name__", view),
        seconds,
        exc_info=error,
    )
    return ServiceUnavailable("The server has taken too long to answer.")


class _Overtime(BaseException):
    """Raised in a plain view whose time is over; no error, so that no ``except Exception`` keeps it."""


def _timer(seconds: float) -> t.ContextManager[t.Any]:
    monkey: t.Any = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        # Its greenlets share one thread, of which only gevent knows who runs.
        gevent: t.Any = sys.modules["gevent"]
        return t.cast("t.ContextManager[t.Any]", gevent.Timeout(seconds, _Overtime()))
    watch = _watches.get(seconds)
    if watch is None:
        watch = _watches.setdefault(seconds, _Watch(seconds))
    return _Job(watch)


class _Job:
    """A view that runs in this thread."""

    __slots__ = ("is_over", "lock", "thread", "was_ended", "watch")

    def __init__(self, watch: _Watch) -> None:
        self.watch = watch
        self.thread = threading.get_ident()
        self.lock = threading.Lock()
        self.is_over = self.was_ended = False

    def __enter__(self) -> None:
        self.watch.add(self)

    def __exit__(self, *error: object) -> None:
        try:
            self._finish()
        except _Overtime:  # it has come just now, and only once
            self._finish()
            raise

    def _finish(self) -> None:
        with self.lock:
            self.is_over = True
        if self.was_ended:
            # If it is on its way, it comes at the next step, and must do so here. To take it back instead
            # leaves CPython 3.11 looking for it for ever.
            for _ in range(100):
                pass
        self.watch.remove(self)

    def end(self) -> None:
        """Raise :class:`_Overtime` where the view is, unless that is over."""
        with self.lock:
            if not self.is_over:
                self.was_ended = True
                _raise_in(self.thread)


class _Watch:
    """A thread that ends the views whose time is over.

    :param seconds: how long each may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        # In the order in which they have begun, which is that of their ends.
        self._ends: dict[_Job, float] = {}
        self._thread: threading.Thread | None = None

    def add(self, job: _Job) -> None:
        with self._changed:
            self._ends[job] = time.monotonic() + self._seconds
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="kolben-view-timeout", daemon=True
                )
                self._thread.start()
            elif len(self._ends) == 1:
                self._changed.notify()

    def remove(self, job: _Job) -> None:
        with self._changed:
            self._ends.pop(job, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                job, end = next(iter(self._ends.items()), (None, 0.0))
                left = end - time.monotonic()
                if job is None:
                    self._changed.wait()
                    continue
                if left > 0:
                    # Not to be woken by each that ends: it looks again when the first would be over.
                    self._changed.wait(left)
                    continue
                del self._ends[job]
            job.end()


_watches: dict[float, _Watch] = {}
if hasattr(os, "register_at_fork"):
    # A child has no threads but the one that has forked.
    os.register_at_fork(after_in_child=_watches.clear)


def _raise_in(thread: int) -> None:
    """Raise an error in another thread, at its next step in Python."""
    import ctypes

    python: t.Any = getattr(ctypes, "pythonapi", None)
    if python is not None:  # else another interpreter than CPython
        python.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_Overtime))
