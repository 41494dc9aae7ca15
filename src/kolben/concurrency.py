"""Coroutine functions called from plain code: an event loop kept for each thread."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor
from functools import update_wrapper

R = t.TypeVar("R")

_thread = threading.local()


def run_coroutine(coroutine: t.Coroutine[t.Any, t.Any, R]) -> R:
    """Run *coroutine* to its end and return its result.

    It runs on an event loop that this thread keeps, so that what it leaves there (a connection
    pool, say) is still usable by the next one. In a thread whose event loop is running already,
    it runs on the loop of a helper thread meanwhile. Context variables that it sets are visible
    to the caller afterwards, as they would be after calling a plain function.

    :raises Exception: whatever the coroutine raises.
    """
    context = contextvars.copy_context()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        result = _run_on_own_loop(coroutine, context)
    else:
        result = _helper_thread().submit(_run_on_own_loop, coroutine, context).result()
    adopt_context(context)
    return result


def _run_on_own_loop(coroutine: t.Coroutine[t.Any, t.Any, R], context: contextvars.Context) -> R:
    runner: asyncio.Runner | None = getattr(_thread, "runner", None)
    if runner is None:
        runner = _thread.runner = asyncio.Runner()
    # PERF: Runner.run() installs and removes a signal handler around each call in the main
    # thread; running a task on its loop takes 17 us where that takes 32.
    loop = runner.get_loop()
    return loop.run_until_complete(loop.create_task(coroutine, context=context))


def _helper_thread() -> ThreadPoolExecutor:
    helper: ThreadPoolExecutor | None = getattr(_thread, "helper", None)
    if helper is None:
        helper = _thread.helper = ThreadPoolExecutor(1, thread_name_prefix="kolben-async")
    return helper


def adopt_context(context: contextvars.Context) -> None:
    """Set, in the current context, each context variable to the value it has in *context*."""
    for variable, value in context.items():
        if variable.get(_absent) is not value:
            variable.set(value)


_absent: t.Any = object()


def async_to_sync(
    function: t.Callable[..., t.Coroutine[t.Any, t.Any, R]],
) -> t.Callable[..., R]:
    """Wrap a coroutine function so that calling it runs it to its end."""

    def run(*args: t.Any, **kwargs: t.Any) -> R:
        return run_coroutine(function(*args, **kwargs))

    return update_wrapper(run, function)
