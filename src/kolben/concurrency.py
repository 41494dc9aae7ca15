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
import sys
import threading
import time
import typing as t
import weakref
from functools import partial, update_wrapper
from inspect import CO_COROUTINE, iscoroutinefunction

try:
    # PERF: as the module queue has it, which takes 0.5 ms more to import.
    from _queue import SimpleQueue
except ImportError:  # another interpreter than CPython
    from queue import SimpleQueue

if t.TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from .greenlets import RealThread

P = t.ParamSpec("P")
R = t.TypeVar("R")

#: The event loop of the server that is handling the current request, where plain code may leave
#: coroutines to it. Set for each request under ASGI.
server_loop: contextvars.ContextVar[asyncio.AbstractEventLoop | None] = contextvars.ContextVar(
    "kolben.server_loop", default=None
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
        call = _call_of_greenlets()
        if call is not None and not is_elsewhere:
            value, failure = call(_run_in_turn, coroutine, context)
            if failure is not None:
                raise failure
            return t.cast("R", value)
        if not (is_on_loop() or is_elsewhere):
            return _run_on_own_loop(coroutine, context)
        error = sys.exception()
        if error is not None:
            coroutine = _await_while_handling(error, coroutine)
        if is_on_loop():
            return _helper_thread().submit(context, _run_on_own_loop, coroutine, context).result()
        return run_on_loop(t.cast("asyncio.AbstractEventLoop", loop), coroutine, context)
    finally:
        adopt_context(context)


def _call_of_greenlets() -> t.Callable[..., t.Any] | None:
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


def wait_for(future: Future[R]) -> R:
    """Wait for what another thread is going to set, in a way that stops no greenlets.

    :param future: the future.
    :return: its result.
    """
    if _call_of_greenlets() is not None:
        while not future.done():
            time.sleep(0.002)  # gevent's or eventlet's
    return future.result()


def make_thread(
    target: t.Callable[..., t.Any], args: tuple[t.Any, ...], name: str
) -> threading.Thread | RealThread:
    """Make a thread that is a real one under gevent and eventlet, too; a daemon.

    :param target: what it runs.
    :param args: with which arguments.
    :param name: its name.
    """
    if _call_of_greenlets() is None:
        return threading.Thread(target=target, args=args, name=name, daemon=True)
    from .greenlets import RealThread

    return RealThread(target, args)


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

        def cancel_all() -> None:
            for task in asyncio.all_tasks():
                task.cancel()

        if self.loop.is_running():
            with contextlib.suppress(RuntimeError):  # closed since
                self.loop.call_soon_threadsafe(cancel_all)

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

_Done = t.Callable[[t.Any, BaseException | None], None]
_Job = tuple[t.Callable[[], t.Any], _Done]


_pools: weakref.WeakSet[Workers] = weakref.WeakSet()


@atexit.register
def _close_pools() -> None:
    # The threads are given the time to close what they keep, but not to finish what they do.
    for pool in list(_pools):
        pool.close(0.1)


class Workers:
    """A pool of threads that grows as it is needed, up to a limit.

    PERF: a job of an event loop takes 28 µs there and back, where one of a
    ``ThreadPoolExecutor`` takes 73: it has one future less and no lock.

    :param limit: the most threads at a time; further jobs wait.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[threading.Thread | RealThread] = []
        # One entry for each thread that waits for a job.
        self._idle: list[None] = []
        _pools.add(self)

    def submit(self, job: t.Callable[[], t.Any], done: _Done) -> None:
        """Run *job* in a thread.

        :param job: the job.
        :param done: called in that thread with the result and None, or None and the error.
        """
        try:
            self._idle.pop()
        except IndexError:
            if len(self._threads) < self.limit:
                self._start_thread()
        self._jobs.put((job, done))

    def _start_thread(self) -> None:
        # A daemon: a view that never ends must not keep the process from ending.
        name = f"kolben-worker-{len(self._threads)}"
        thread = make_thread(_work, (self._jobs, self._idle), name)
        try:
            thread.start()
        except RuntimeError:
            # From Python 3.12 on no thread starts while the interpreter ends.
            if not self._threads:
                raise
            return
        self._threads.append(thread)

    def close(self, timeout: float = 0) -> None:
        """End the threads, each after the job it has.

        :param timeout: for how many seconds to wait for each.
        """
        threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            if timeout:
                thread.join(timeout)


def _work(jobs: SimpleQueue[_Job | None], idle: list[None]) -> None:
    while (work := jobs.get()) is not None:
        job, done = work
        try:
            value = job()
        except BaseException as error:
            idle.append(None)
            done(None, error)
            del error
        else:
            idle.append(None)
            done(value, None)
            del value
        # What the job refers to must not live until the next one comes.
        del work, job, done


#: Where plain views run under ASGI, and what else may take as long as they do.
#: ``WORKER_THREADS`` of the configuration sets its limit.
workers = Workers(40)

#: Where plain hooks run, and what else is short. Apart from the views, of which those that wait may
#: have all threads: what an ``async def`` view needs of a thread must not wait for these.
hook_workers = Workers(40)


async def in_thread(
    function: t.Callable[..., R],
    *args: t.Any,
    pool: Workers | None = None,
    drop: t.Callable[[R], object] | None = None,
) -> R:
    """Call a plain function in a worker thread, in this context, and wait for its result.

    Where the waiting task is cancelled, the function is still waited for: nothing can stop a
    thread, and what comes next must not run beside it.

    :param function: the function. It must not raise StopIteration, which no future can hold.
    :param args: its arguments.
    :param pool: the threads to use, by default :data:`hook_workers`.
    :param drop: called in a thread with the result, where the task that wanted it is gone.
    :raises Exception: whatever the function raises.
    """
    context = contextvars.copy_context()
    try:
        return await run_in_thread(context, function, *args, pool=pool, drop=drop)
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
) -> R:
    """Run a plain function in a worker thread, in a context that the caller keeps.

    :param context: the context to run it in.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    future: asyncio.Future[R] = loop.create_future()

    def done(value: R | None, error: BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(_settle, future, value, error)
        except RuntimeError:
            pass  # the loop was closed since: no task waits any more

    (hook_workers if pool is None else pool).submit(partial(context.run, function, *args), done)
    try:
        # The cancellation must not reach the future, which the thread is going to set.
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            await _ended_future(future)
        # Looked at, so that it is not reported as forgotten.
        if future.exception() is None and drop is not None:
            await run_in_thread(context, drop, future.result(), pool=pool)
        raise


async def _ended_future(future: asyncio.Future[t.Any]) -> None:
    import asyncio

    try:
        await asyncio.wait({future})
    except asyncio.CancelledError:
        pass  # once more; the thread still cannot be stopped


def _settle(future: asyncio.Future[t.Any], value: t.Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(value)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError(f"A plain function has raised {error!r}."))
    else:
        future.set_exception(error)


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


def all_async(functions: t.Iterable[t.Any]) -> tuple[t.Any, ...] | None:
    """Return the functions where all of them are coroutine functions, else None.

    :param functions: the functions.
    """
    listed = tuple(functions)
    return listed if all(map(is_coroutine_function, listed)) else None


_MARK = "_is_coroutine_marker"
