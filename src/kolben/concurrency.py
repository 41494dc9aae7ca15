"""Plain code that calls coroutines, and coroutines that call plain code.

Plain code has `run_coroutine`: the coroutine runs on the event loop of the ASGI server, where there
is one, and otherwise on a loop that the calling thread keeps. Coroutines have `in_thread`: the
plain function runs in a worker thread, so that it cannot block the loop. Both ways the callee sees
the caller's context variables, and the caller sees those that the callee has set.

Programs that never await pay nothing: :mod:`asyncio` is imported by the first call that needs it.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import logging
import sys
import threading
import time
import typing as t
import weakref
from functools import partial, update_wrapper
from inspect import CO_COROUTINE, iscoroutinefunction
from time import monotonic

from .threads import Workers, call_of_greenlets, hook_workers, workers

if t.TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from .threads import Pace

P = t.ParamSpec("P")
R = t.TypeVar("R")
F = t.TypeVar("F", bound=t.Callable[..., t.Any])

logger = logging.getLogger(__name__)

#: The event loop of the server that is handling the current request, where plain code may leave
#: coroutines to it. Set for each request under ASGI.
server_loop: contextvars.ContextVar[asyncio.AbstractEventLoop | None] = contextvars.ContextVar(
    "kolben.server_loop", default=None
)

#: Called in a worker thread of an ASGI server before a coroutine runs on the server's loop: reads what the
#: coroutine could not wait for there.
before_coroutine: contextvars.ContextVar[t.Callable[[], None] | None] = contextvars.ContextVar(
    "kolben.before_coroutine", default=None
)

#: For how many seconds a coroutine of ours goes on, at most, before it lets the event loop take its
#: turn: awaiting need not mean to wait, and a server's ``send`` seldom does.
TURN = 0.005

_absent: t.Any = object()


def adopt_context(context: contextvars.Context) -> None:
    """Set, in the current context, each context variable to the value it has in *context*."""
    for variable, value in context.items():
        if variable.get(_absent) is not value:
            variable.set(value)


# -- from plain code to a coroutine ---------------------------------------------------------


def async_to_sync(
    function: t.Callable[..., t.Coroutine[t.Any, t.Any, R]],
) -> t.Callable[..., R]:
    """Wrap a coroutine function so that calling it runs it to its end."""

    def run(*args: t.Any, **kwargs: t.Any) -> R:
        return run_coroutine(function(*args, **kwargs))

    return update_wrapper(run, function)


def run_coroutine(coroutine: t.Coroutine[t.Any, t.Any, R]) -> R:
    """Run *coroutine* to its end and return its result.

    In a worker thread of an ASGI server it runs on the server's event loop. Elsewhere it runs on a
    loop that this thread keeps, so that what it leaves there (a connection pool, say) is still
    usable by the next one. In a thread whose event loop is running already, it runs on the loop of
    a helper thread meanwhile.

    :param coroutine: what a call of an ``async def`` function has returned.
    :raises Exception: whatever the coroutine raises.
    """
    context = contextvars.copy_context()
    loop = server_loop.get()
    is_elsewhere = loop is not None and loop.is_running()
    try:
        call = call_of_greenlets()
        if call is not None and not is_elsewhere:
            value, failure = call(_run_in_turn, coroutine, context)
            if failure is not None:
                raise failure
            return t.cast("R", value)
        if not (is_on_loop() or is_elsewhere):
            return _run_on_own_loop(coroutine, context)
        if is_elsewhere and not is_on_loop() and (prepare := before_coroutine.get()) is not None:
            try:
                prepare()
            except BaseException:
                coroutine.close()
                raise
        error = sys.exception()
        if error is not None:
            coroutine = _await_while_handling(error, coroutine)
        if is_on_loop():
            return _helper_thread().submit(context, _run_on_own_loop, coroutine, context).result()
        return run_on_loop(t.cast("asyncio.AbstractEventLoop", loop), coroutine, context)
    finally:
        adopt_context(context)


def wait_for(future: Future[R]) -> R:
    """Wait for what another thread is going to set, in a way that stops no greenlets.

    :param future: the future.
    :return: its result.
    """
    if call_of_greenlets() is not None:
        while not future.done():
            time.sleep(0.002)  # gevent's or eventlet's
    return future.result()


def _run_in_turn(
    coroutine: t.Coroutine[t.Any, t.Any, R], context: contextvars.Context
) -> tuple[R | None, BaseException | None]:
    """Run a coroutine in a real thread; return its result, or what it has raised, which gevent would print."""
    if is_on_loop():
        coroutine.close()
        return None, RuntimeError(
            "Under gevent and eventlet, plain code that a coroutine has called cannot run another"
            " coroutine: make it 'async def', and await it."
        )
    try:
        return _run_on_own_loop(coroutine, context), None
    except BaseException as error:
        return None, error


async def _await_while_handling(error: BaseException, coroutine: t.Coroutine[t.Any, t.Any, R]) -> R:
    """Run *coroutine* with *error* as the one that is being handled, as it is for its caller."""
    try:
        raise error
    except BaseException:
        return await coroutine


def run_on_loop(
    loop: asyncio.AbstractEventLoop,
    coroutine: t.Coroutine[t.Any, t.Any, R],
    context: contextvars.Context,
) -> R:
    """Run *coroutine* on a loop that runs in another thread, and wait for its result.

    :param loop: the loop.
    :param coroutine: what to run there.
    :param context: the context to run it in.
    :raises Exception: whatever the coroutine raises; ``concurrent.futures.CancelledError`` if it is
        cancelled, as at the end of the server.
    """
    from concurrent.futures import Future

    result: Future[R] = Future()

    def start() -> None:
        task = loop.create_task(coroutine, context=context)
        task.add_done_callback(partial(_pass_on, result))

    try:
        loop.call_soon_threadsafe(start)
    except RuntimeError:  # the loop was closed since
        coroutine.close()
        raise
    return result.result()


def _pass_on(result: Future[t.Any], task: asyncio.Task[t.Any]) -> None:
    if task.cancelled():
        result.cancel()
        result.set_running_or_notify_cancel()
    elif (error := task.exception()) is not None:
        result.set_exception(error)
    else:
        result.set_result(task.result())


def is_on_loop() -> bool:
    """Tell whether an event loop is running in this thread."""
    # Without asyncio there is none, whatever else is (uvloop imports it, too).
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


class _OwnLoop:
    """The event loop that a thread keeps; closed when the thread ends."""

    def __init__(self) -> None:
        import asyncio

        self.loop = asyncio.new_event_loop()
        _own_loops.add(self)
        if threading.current_thread() is threading.main_thread():
            # A thread drops what it keeps when it ends; the main thread ends too late for that.
            atexit.register(self.close)

    def cancel(self) -> None:
        """Cancel what runs on the loop now, from another thread."""
        import asyncio

        # Those of now: what begins before the loop has its turn, such as closing a generator, is let alone.
        running = asyncio.all_tasks(self.loop)
        if self.loop.is_running():
            with contextlib.suppress(RuntimeError):  # closed since
                self.loop.call_soon_threadsafe(lambda: [task.cancel() for task in running])

    def close(self) -> None:
        """Cancel what is left on the loop, and close it."""
        import asyncio

        # Not by asyncio.Runner, which may start a thread for it: too late in one that is ending.
        loop = self.loop
        if loop.is_closed():
            return
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.close()


_own_loops: weakref.WeakSet[_OwnLoop] = weakref.WeakSet()


def cancel_coroutines() -> None:
    """Cancel the coroutines that plain code waits for, in all threads: the process is to end."""
    for own in list(_own_loops):
        own.cancel()


class _PerThread(threading.local):
    loop: _OwnLoop | None = None
    helper: _Helper | None = None


_thread = _PerThread()


def _run_on_own_loop(coroutine: t.Coroutine[t.Any, t.Any, R], context: contextvars.Context) -> R:
    own = _thread.loop
    if own is None:
        own = _thread.loop = _OwnLoop()
    # PERF: asyncio.Runner installs and removes a signal handler around each call in the main
    # thread; running a task on a loop takes 17 µs where that takes 32.
    loop = own.loop
    return loop.run_until_complete(loop.create_task(coroutine, context=context))


def _helper_thread() -> _Helper:
    helper = _thread.helper
    if helper is None:
        helper = _thread.helper = _Helper()
    return helper


class _Helper:
    """A thread that runs coroutines for one that cannot, because its loop is running."""

    def __init__(self) -> None:
        self._workers = Workers(1)

    def submit(
        self,
        context: contextvars.Context,
        function: t.Callable[[t.Coroutine[t.Any, t.Any, R], contextvars.Context], R],
        *args: t.Any,
    ) -> Future[R]:
        """Run *function* there. The server's loop is blocked meanwhile, and so left alone."""
        from concurrent.futures import Future

        result: Future[R] = Future()

        def done(value: R | None, error: BaseException | None) -> None:
            if error is None:
                result.set_result(t.cast("R", value))
            else:
                result.set_exception(error)

        context.run(server_loop.set, None)
        self._workers.submit(partial(function, *args), done)
        return result

    def __del__(self) -> None:
        self._workers.close()


# -- from a coroutine to plain code ---------------------------------------------------------


async def in_thread(
    function: t.Callable[..., R],
    *args: t.Any,
    pool: Workers | None = None,
    drop: t.Callable[[R], object] | None = None,
    pace: Pace | None = None,
) -> R:
    """Call a plain function in a worker thread, in this context, and wait for its result.

    Where the waiting task is cancelled, the function is still waited for: nothing can stop a
    thread, and what comes next must not run beside it.

    :param function: the function. It must not raise StopIteration, which no future can hold.
    :param args: its arguments.
    :param pool: the threads to use, by default :data:`hook_workers`.
    :param drop: called in a thread with the result, where the task that wanted it is gone.
    :param pace: what is known of the function; by default, of all those that the pool gets without.
    :raises Exception: whatever the function raises.
    """
    context = contextvars.copy_context()
    try:
        return await run_in_thread(context, function, *args, pool=pool, drop=drop, pace=pace)
    finally:
        adopt_context(context)


def run_sync(function: t.Callable[P, R]) -> t.Callable[P, t.Coroutine[t.Any, t.Any, R]]:
    """Wrap a plain function that may block, so that a coroutine can await it: as Quart's ``run_sync``.

    It runs in a worker thread, of which plain views have the others, and sees the request.

    .. code-block:: python

        @app.get("/report")
        async def report():
            return await run_sync(make_report)(request.args["month"])

    :param function: the plain function.
    :return: a coroutine function that takes the same arguments.
    """

    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return await in_thread(partial(function, *args, **kwargs), pool=workers)

    return update_wrapper(run, function)


async def run_in_thread(
    context: contextvars.Context,
    function: t.Callable[..., R],
    *args: t.Any,
    pool: Workers | None = None,
    drop: t.Callable[[R], object] | None = None,
    pace: Pace | None = None,
) -> R:
    """Run a plain function in a worker thread, in a context that the caller keeps.

    :param context: the context to run it in.
    """
    loop = sys.modules["asyncio"].get_running_loop()
    call = partial(context.run, function, *args)
    job = (hook_workers if pool is None else pool).hand_over(loop, call, pace)
    del call
    future = job.future
    try:
        value: R = await future
        return value
    except sys.modules["asyncio"].CancelledError:
        # Nothing can stop the thread.
        if future.cancelled():
            future = await job.end()
        # Looked at, so that it is not reported as forgotten.
        if future.exception() is None and drop is not None:
            await run_in_thread(context, drop, future.result(), pool=pool)
        raise
    finally:
        # An error would hold this frame, and this frame the error.
        del future, job


async def ended(*tasks: asyncio.Task[t.Any], cancel: bool) -> None:
    """Wait until tasks have ended, also where this one is cancelled meanwhile.

    :param tasks: the tasks. What they have raised is left to the caller to look at.
    :param cancel: cancel them first.
    """
    import asyncio

    cancelled: asyncio.CancelledError | None = None
    if cancel:
        for task in tasks:
            task.cancel()
    while waiting := {task for task in tasks if not task.done()}:
        try:
            await asyncio.wait(waiting)
        except asyncio.CancelledError as error:
            cancelled = error
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported as forgotten
    if cancelled is not None:
        raise cancelled


def is_coroutine_function(function: t.Callable[..., t.Any]) -> bool:
    """Tell whether calling *function* gives a coroutine.

    PERF: ``inspect.iscoroutinefunction`` takes 0.7 µs; the flags of a function's code, and the
    mark that ``inspect.markcoroutinefunction`` leaves, say it in 0.08 µs.
    """
    try:
        plain = not function.__code__.co_flags & CO_COROUTINE
    except AttributeError:
        return iscoroutinefunction(function)
    return not plain or (_MARK in function.__dict__ and iscoroutinefunction(function))


_MARK = "_is_coroutine_marker"


# -- plain code on the loop -----------------------------------------------------------------


def nonblocking(function: F) -> F:
    """Mark a plain view, hook, handler or provider that never waits: ASGI servers then need no thread for it.

    It runs on the event loop, as an ``async def`` function does, and nothing else is answered meanwhile: no
    database, no file, no other service, no ``time.sleep``, no long calculation. Under WSGI the mark changes
    nothing. Decorators that stand above it and keep the function's attributes, as :func:`functools.wraps`
    does, are on the loop, too.

    .. code-block:: python

        @app.get("/health")
        @nonblocking
        def health():
            return {"status": "ok"}

    :param function: the function.
    :return: the same function.
    :raises TypeError: for what cannot be marked.
    """
    try:
        setattr(function, _NEVER_BLOCKS, True)
    except AttributeError:
        raise TypeError(f"{function!r} cannot be marked: write a function that calls it.") from None
    return function


def never_blocks(function: t.Any) -> bool:
    """Tell whether a function is marked with :func:`nonblocking`.

    :param function: the function.
    """
    return getattr(function, _NEVER_BLOCKS, False) is True


def may_block(function: F) -> F:
    """Take back the mark of :func:`nonblocking`, which a function has taken over from another one.

    :param function: the function.
    :return: the same function.
    """
    setattr(function, _NEVER_BLOCKS, False)
    return function


_NEVER_BLOCKS = "_kolben_nonblocking"

#: A marked function that holds the loop for longer than this is warned of, in seconds.
HELD = 0.1


def awaitable(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Awaitable[t.Any]]:
    """Return a coroutine function that calls a plain function, on the loop.

    :param function: the function, which never blocks.
    """

    async def call(*args: t.Any) -> t.Any:
        began = monotonic()
        try:
            return function(*args)
        finally:
            if (held := monotonic() - began) > HELD and _is_news(function):
                logger.warning(
                    "%r is marked as nonblocking and has held the event loop for %.1f s: nothing else was"
                    " answered meanwhile. Without the mark it runs in a thread.",
                    function,
                    held,
                )

    return call


def _is_news(function: t.Any) -> bool:
    """Tell whether a function is warned of for the first time."""
    known = getattr(function, "__func__", function)  # methods are made anew at each look
    try:
        is_news = known not in _warned_of
        _warned_of.add(known)
    except TypeError:  # a callable object that cannot be remembered
        return True
    return is_news


_warned_of: weakref.WeakSet[t.Any] = weakref.WeakSet()


def on_loop(functions: t.Iterable[t.Any]) -> tuple[t.Any, ...] | None:
    """Return what an event loop can await in place of each of some functions.

    :param functions: coroutine functions, and plain ones.
    :return: None where one of them may block.
    """
    found = []
    for function in functions:
        if is_coroutine_function(function):
            found.append(function)
        elif never_blocks(function):
            found.append(awaitable(function))
        else:
            return None
    return tuple(found)
