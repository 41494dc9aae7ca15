"""Before serving, after it, and beside it: what an application does outside of requests.

Under ASGI the server says when it starts and stops (ASGI lifespan specification 2.0). A WSGI server
does not: there the start is before the first request that the process gets, and the end is that
of the process (:mod:`atexit`); coroutines run on an event loop in a thread of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import inspect
import os
import sys
import threading
import time
import typing as t
from collections.abc import Mapping
from functools import partial

from werkzeug.exceptions import abort
from werkzeug.wsgi import ClosingIterator

from ..concurrency import in_thread, is_coroutine_function, server_loop, wait_for
from ..ctx import announce_popped
from ..globals import current_request_context, reset_current, set_current
from ..http.streaming import close_streams
from ..logging import shown_error
from ..sansio.app import App
from ..sansio.scaffold import F, require_callable, setupmethod
from ..signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    got_background_exception,
    got_serving_exception,
)
from ..threads import make_thread, workers

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator

    from blinker import NamedSignal

    from ..app import Flask
    from ..greenlets import RealThread
    from ..wrappers import Response

    Message = t.MutableMapping[str, t.Any]
    Job = partial[t.Any]

#: For how many seconds the end waits for background tasks, unless
#: ``BACKGROUND_TASK_SHUTDOWN_TIMEOUT`` is configured.
SHUTDOWN_TIMEOUT = 5.0

#: True in a message of shutdown when what still runs has had its time, and is left behind.
AT_ONCE = "kolben.at_once"

#: Where an ASGI scope holds the tasks that wait for the end of its response.
JOBS_KEY = "kolben.background"

_ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# A cancelled task gets this many seconds to clean up.
_CLEAN_UP_TIMEOUT = 1.0


class ServedApp(App):
    """An application that does something before it serves, after it, and after responses."""

    _lifetime: Lifetime | None = None
    asgi_app: t.Any

    def _make_registries(self) -> None:
        super()._make_registries()
        #: Functions called before the first request.
        self.before_serving_funcs: list[Callable[[], t.Any]] = []
        #: Functions called at the end.
        self.after_serving_funcs: list[Callable[[], t.Any]] = []
        #: Generator functions that are begun before the first request, and continued at the end.
        self.while_serving_gens: list[Callable[[], t.Any]] = []

    # ---- registration -----------------------------------------------------------------------

    @setupmethod
    def before_serving(self, f: F) -> F:
        """Call ``f()`` once in each process, before its first request; plain or ``async def``.

        If it raises, the server does not start; under WSGI each request fails until it succeeds.
        """
        require_callable("before_serving", f)
        self.before_serving_funcs.append(f)
        return f

    @setupmethod
    def after_serving(self, f: F) -> F:
        """Call ``f()`` once in each process, after its last request; plain or ``async def``."""
        require_callable("after_serving", f)
        self.after_serving_funcs.append(f)
        return f

    @setupmethod
    def while_serving(self, f: F) -> F:
        """Run a generator function, ``async def`` or plain, around the time of serving.

        What is before its ``yield`` runs as :meth:`before_serving` functions do, and after those;
        what is behind it runs before the :meth:`after_serving` functions, in reverse order of
        registration. A dictionary that it yields is what each request has as ``request.state``.

        :raises TypeError: if it is not a generator function.
        """
        if not (inspect.isasyncgenfunction(f) or inspect.isgeneratorfunction(f)):
            raise TypeError(
                f"while_serving() needs a generator function with one yield, not {f!r}."
            )
        self.while_serving_gens.append(f)
        return f

    @setupmethod
    def mount(self, path: str, app: t.Any) -> None:
        """Serve what is below a path by another ASGI application, WebSockets included.

        .. code-block:: python

            app.mount("/api", fastapi_app)

        It gets the path as its ``root_path``, is started and stopped with this application, and none
        of the hooks here are called for it. Under WSGI the path answers 501.

        :param path: where it is mounted, such as ``/api``.
        :param app: the ASGI 3 application.
        :raises ValueError: if the path does not begin with a slash, or is nothing else.
        """
        from ..asgi.mounts import Mount

        path = path.rstrip("/")
        if not path.startswith("/"):
            raise ValueError(f"A path to mount at begins with a slash, as '/api' does: {path!r}.")
        self.asgi_app = mounted = Mount(self.asgi_app, path, app)
        self.while_serving(mounted.serve_lifespan)

        # That it takes whatever there is makes it no typed view, which an API would describe.
        def refuse(**rest: str) -> t.NoReturn:
            abort(
                501,
                f"{path} is an ASGI application: it needs an ASGI server, such as"
                " 'kolben serve --interface asgi'.",
            )

        for rule in (path, f"{path}/", f"{path}/<path:rest>"):
            self.add_url_rule(rule, f"mount {path}", refuse, methods=_ALL_METHODS)

    # ---- start and end ----------------------------------------------------------------------

    async def startup(self, state: t.MutableMapping[str, t.Any] | None = None) -> None:
        """Call the functions that run before serving, unless they were called before.

        The gateway does this when the server starts.

        :param state: takes what the :meth:`while_serving` functions yield: the server's, which it
            gives to each request.
        """
        lifetime = self._lifetime
        if lifetime is None or not lifetime.is_alive():
            import asyncio

            lifetime = self._lifetime = Lifetime(self, asyncio.get_running_loop())
        if state is not None:
            lifetime.state = state
        await lifetime.run(lifetime.start)

    async def shutdown(self) -> None:
        """Wait for the background tasks, and call the functions that run after serving.

        The gateway does this when the server ends.
        """
        lifetime, self._lifetime = self._lifetime, None
        if lifetime is not None and lifetime.is_alive():
            await lifetime.run(lifetime.stop)
            lifetime.end()

    @contextlib.asynccontextmanager
    async def test_app(self) -> AsyncIterator[t.Self]:
        """Start and stop the application around a test, as a server does.

        .. code-block:: python

            async with app.test_app():
                response = await app.async_test_client().get("/")
        """
        await self.startup()
        try:
            yield self
        finally:
            await self.shutdown()

    def _start_serving(self) -> None:
        """Start under WSGI, before the first request; others wait until it is through."""
        if not (self.before_serving_funcs or self.after_serving_funcs or self.while_serving_gens):
            return
        with _starting:
            lifetime = self._lifetime
            if lifetime is None or not lifetime.is_alive():
                lifetime = self._lifetime = _lifetime_of_process(self)
            if not lifetime.started:
                lifetime.run_in_thread(lifetime.start())

    # ---- background tasks -------------------------------------------------------------------

    def add_background_task(
        self, func: Callable[..., t.Any], *args: t.Any, **kwargs: t.Any
    ) -> None:
        """Call a function after the response has been sent; outside of a request, at once.

        A coroutine function runs on the server's event loop, or under WSGI on one in a thread; a
        plain function runs in a worker thread. Both have an application context of their own,
        but no request: pass on what is needed. Errors are logged. At the end they are waited for,
        up to ``BACKGROUND_TASK_SHUTDOWN_TIMEOUT`` seconds.

        :param func: the function.
        :param args: its arguments.
        :param kwargs: its keyword arguments.
        """
        require_callable("add_background_task", func)
        waiting = self._waiting_jobs() or WaitingJobs(self, sent=True)
        waiting.add(partial(func, *args, **kwargs))

    def _waiting_jobs(self) -> WaitingJobs | None:
        """Return the tasks that wait for the end of the current request; None outside of one."""
        context = current_request_context()
        if (
            context is None
            or t.cast("t.Any", context.app) is not self
            or hasattr(context, "websocket")
        ):
            return None
        scope = context.environ.get("asgi.scope")
        if scope is not None:
            return t.cast("WaitingJobs", scope.setdefault(JOBS_KEY, WaitingJobs(self)))
        # Having been looked at, this brings the response to process_response(), which knows us.
        context._after_request_functions  # noqa: B018
        return t.cast("WaitingJobs", context.__dict__.setdefault(JOBS_KEY, WaitingJobs(self)))

    def _launch(self, job: Job) -> None:
        """Start a background task: on the server's loop if there is one."""
        loop = server_loop.get()
        with _starting:
            lifetime = self._lifetime
            if lifetime is None or not lifetime.is_alive():
                on_loop = loop is not None and loop.is_running()
                lifetime = Lifetime(self, loop) if on_loop else _lifetime_of_process(self)
                self._lifetime = lifetime
        lifetime.launch(job)


class WaitingJobs:
    """The background tasks of one request, which wait until its response is sent.

    :param app: the application.
    :param sent: whether there is nothing to wait for.
    """

    def __init__(self, app: ServedApp, sent: bool = False) -> None:
        self._app = app
        self._sent = sent
        self._jobs: list[Job] = []

    def add(self, job: Job) -> None:
        """Add a task; it starts at once if the response was sent."""
        if self._sent:
            self._app._launch(job)
        else:
            self._jobs.append(job)

    def follow(self, response: Response) -> None:
        """Start the tasks when a WSGI server has sent a response, to its end or not.

        :param response: the response.
        """
        if response.direct_passthrough:
            # The server gets what the response was made of, and closes that alone.
            response.response = ClosingIterator(t.cast("t.Any", response.response), self.start)
            return
        response.call_on_close(self.start)
        get_app_iter = response.get_app_iter

        def get_app_iter_then_start(environ: t.Any) -> t.Iterable[bytes]:
            body = get_app_iter(environ)
            if hasattr(body, "__aiter__"):
                return body
            return ClosingIterator(self._pieces_then_start(body), getattr(body, "close", None))

        # A test client reads responses without closing them.
        response.get_app_iter = get_app_iter_then_start  # type: ignore[method-assign]

    def _pieces_then_start(self, body: t.Iterable[bytes]) -> Iterator[bytes]:
        yield from body
        self.start()

    def start(self) -> None:
        """Start the tasks, because the response was sent."""
        self._sent = True
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            self._app._launch(job)


class StartRefused(RuntimeError):
    """A function that runs before serving has called :func:`sys.exit`: the server must not start.

    :param code: what it was called with, a status or a message.
    """

    def __init__(self, code: object) -> None:
        is_message = isinstance(code, str)
        super().__init__(code if is_message else f"sys.exit({code!r}) was called before serving.")


# Held while an application is being started, so that its first requests wait for that.
_starting = threading.RLock()


class Lifetime:
    """The time in which an application serves, in one process.

    :param app: the application.
    :param loop: the event loop that it lives on.
    """

    #: The thread of the loop, if it is our own.
    thread: threading.Thread | RealThread | None = None

    def __init__(self, app: ServedApp, loop: asyncio.AbstractEventLoop | None) -> None:
        assert loop is not None
        self.app = t.cast("Flask", app)
        self.loop = loop
        self.started = False
        self.state: t.MutableMapping[str, t.Any] = {}
        self._process = os.getpid()
        self._generators: list[t.Any] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def is_alive(self) -> bool:
        """Tell whether this is the process and the loop that it was started in."""
        return self._process == os.getpid() and self.loop.is_running()

    # ---- where coroutines run ---------------------------------------------------------------

    async def run(self, step: Callable[[], Coroutine[t.Any, t.Any, None]]) -> None:
        """Run :meth:`start` or :meth:`stop` on the loop, from whatever loop this is called on."""
        import asyncio

        if asyncio.get_running_loop() is self.loop:
            await step()
        else:
            future = asyncio.run_coroutine_threadsafe(step(), self.loop)
            await asyncio.wrap_future(future)

    def run_in_thread(self, coroutine: Coroutine[t.Any, t.Any, None]) -> None:
        """Run a coroutine on the loop's own thread, and wait for it."""
        import asyncio

        context = _clean_context()
        context.run(server_loop.set, self.loop)
        future = context.run(asyncio.run_coroutine_threadsafe, coroutine, self.loop)
        wait_for(future)

    def end(self) -> None:
        """End the loop's own thread, if there is one."""
        if self.thread is not None:
            atexit.unregister(self.stop_at_exit)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(_CLEAN_UP_TIMEOUT)

    def stop_at_exit(self) -> None:
        """Stop at the end of the process, under WSGI."""
        if not self.is_alive():
            return
        try:
            self.run_in_thread(self.stop())
        except Exception as error:
            self.app.logger.error(
                "The application did not stop properly.", exc_info=shown_error(error)
            )
        self.end()

    # ---- start and stop ---------------------------------------------------------------------

    async def start(self) -> None:
        """Call the functions that run before serving, once.

        :raises Exception: what one of them raises; what was begun is ended before.
        :raises StartRefused: where one calls :func:`sys.exit`.
        """
        if self.started:
            return
        app = self.app
        async with app_context(app):
            try:
                for function in app.before_serving_funcs:
                    await _call(function)
                for make in app.while_serving_gens:
                    generator = make()
                    given = await _continue(generator)
                    if isinstance(given, Mapping):
                        self.state.update(given)
                    self._generators.append(generator)
            except BaseException as error:
                while self._generators:
                    await _close(self._generators.pop())
                await _announce(app, got_serving_exception, error)
                if isinstance(error, SystemExit):
                    # Let through, it would end an event loop with all that waits for it, and be taken by
                    # some servers for an application without a lifespan.
                    raise StartRefused(error.code) from error
                raise
        self.started = True

    async def stop(self) -> None:
        """Wait for the background tasks, end the generators, and call the functions for after serving.

        :raises Exception: the first that one of them raises; all are called.
        """
        await self._finish_tasks()
        if not self.started:
            return
        self.started = False
        app = self.app
        errors: list[Exception] = []
        async with app_context(app):
            # What was begun last ends first, as on Quart: generators were begun after `before_serving`.
            generators = reversed(self._generators)
            steps: list[t.Any] = [partial(_finish, generator) for generator in generators]
            steps += [partial(_call, f) for f in app.after_serving_funcs]
            for step in steps:
                try:
                    await step()
                except Exception as error:
                    errors.append(error)
                    await _announce(app, got_serving_exception, error)
                except SystemExit as stop:
                    errors.append(RuntimeError(f"sys.exit({stop.code!r}) was called."))
        self._generators = []
        for further in errors[1:]:
            app.logger.error("An after_serving step failed, too.", exc_info=shown_error(further))
        if errors:
            raise errors[0]

    # ---- background tasks -------------------------------------------------------------------

    def launch(self, job: Job) -> None:
        """Start a background task, from any thread."""
        context = _clean_context()
        context.run(server_loop.set, self.loop)
        self.loop.call_soon_threadsafe(self._create_task, job, context)

    def _create_task(self, job: Job, context: contextvars.Context) -> None:
        task = self.loop.create_task(self._do(job), context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, job: Job) -> None:
        try:
            async with app_context(self.app):
                await _call(job)
        except (Exception, SystemExit) as error:
            name = getattr(job.func, "__qualname__", repr(job.func))
            shown = shown_error(error)
            self.app.logger.error("Exception in the background task %s", name, exc_info=shown)
            await _announce(self.app, got_background_exception, error)

    async def _finish_tasks(self) -> None:
        import asyncio

        # Those that were just launched are created in the loop's next turn.
        await asyncio.sleep(0)
        timeout = self.app.config.get("BACKGROUND_TASK_SHUTDOWN_TIMEOUT", SHUTDOWN_TIMEOUT)
        end = self.loop.time() + timeout
        while self._tasks and (left := end - self.loop.time()) > 0:
            # A task may have launched another one.
            await asyncio.wait(self._tasks, timeout=left)
        if not self._tasks:
            return
        self.app.logger.warning(
            "%d background task(s) did not end within %s seconds and were cancelled.",
            len(self._tasks),
            timeout,
        )
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks, timeout=_CLEAN_UP_TIMEOUT)


def _lifetime_of_process(app: ServedApp) -> Lifetime:
    """Make a lifetime with a loop in a thread of its own, which ends with the process."""

    made: list[asyncio.AbstractEventLoop] = []
    # A daemon: otherwise the interpreter would wait for it before it calls atexit functions. The loop is made
    # there: with gevent, what it waits by belongs to the thread that has made it.
    thread = make_thread(_run_loop, (made,), "kolben")
    thread.start()
    while not (made and made[0].is_running()):
        time.sleep(0.001)
    lifetime = Lifetime(app, made[0])
    lifetime.thread = thread
    # At the end, when no thread can be started any more, plain functions need one that is there.
    workers.submit(bool, lambda value, error: None)
    _call_at_exit(lifetime.stop_at_exit)
    return lifetime


def _call_at_exit(function: Callable[[], None]) -> None:
    """Call a function, which a second call does no harm, when this process ends.

    Before Python 3.13 the end of a :mod:`multiprocessing` child, which the workers of some servers
    are, is known to that module alone.
    """
    atexit.register(function)
    multiprocessing: t.Any = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, function, exitpriority=10)


def _run_loop(made: list[asyncio.AbstractEventLoop]) -> None:
    import asyncio

    loop = asyncio.new_event_loop()
    made.append(loop)
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _clean_context() -> contextvars.Context:
    """Copy the current context variables, without our own."""
    context = contextvars.copy_context()
    context.run(set_current, t.cast("t.Any", None))
    context.run(server_loop.set, None)
    return context


@contextlib.asynccontextmanager
async def app_context(app: Flask) -> AsyncIterator[None]:
    """Be in an application context, on an event loop that its teardown must not block.

    :param app: the application.
    """
    context = app.app_context()
    token = set_current(context)
    failure: BaseException | None = None
    try:
        if appcontext_pushed.receivers:
            await in_thread(partial(appcontext_pushed.send, app, _async_wrapper=app.ensure_sync))
        yield
    except BaseException as error:
        failure = error
        raise
    finally:
        try:
            if app.teardown_appcontext_funcs or appcontext_tearing_down.receivers:
                await in_thread(app.do_teardown_appcontext, failure)
        finally:
            reset_current(token)
        if appcontext_popped.receivers:
            await in_thread(announce_popped, app)


async def _announce(app: Flask, signal: NamedSignal, error: BaseException) -> None:
    if signal.receivers:
        send = partial(signal.send, app, _async_wrapper=app.ensure_sync, exception=error)
        await in_thread(send)


async def _call(function: Callable[[], t.Any]) -> None:
    called = function.func if isinstance(function, partial) else function
    if is_coroutine_function(called):
        await function()
    else:
        await in_thread(function, pool=workers)


_END: t.Any = object()


async def _continue(generator: t.Any) -> t.Any:
    """Run a generator to its yield, and return what it gives there."""
    if hasattr(generator, "__anext__"):
        given = await anext(generator, _END)
    else:
        given = await in_thread(next, generator, _END)
    if given is _END:
        raise RuntimeError(f"The while_serving function {generator.__name__!r} did not yield.")
    return given


async def _finish(generator: t.Any) -> None:
    """Run a generator from its yield to its end."""
    if hasattr(generator, "__anext__"):
        ended = await anext(generator, _END) is _END
    else:
        ended = await in_thread(next, generator, _END) is _END
    if not ended:
        await _close(generator)
        raise RuntimeError(
            f"The while_serving function {generator.__name__!r} yielded more than once."
        )


async def _close(generator: t.Any) -> None:
    if hasattr(generator, "__anext__"):
        await generator.aclose()
    else:
        await in_thread(generator.close)


# -- gateway --------------------------------------------------------------------------------


async def serve_lifespan(
    app: Flask,
    scope: t.MutableMapping[str, t.Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[dict[str, t.Any]], t.Any],
    requests_end: Callable[[], Awaitable[None]],
) -> None:
    """Start and stop the application when the ASGI server says so (lifespan specification 2.0).

    :param app: the application.
    :param scope: what is known of the server.
    :param receive: gives the server's messages.
    :param send: takes ours.
    :param requests_end: waits for requests that are being ended, before the application is stopped.
    """
    while True:
        message = await receive()
        step = message["type"].rpartition(".")[2]
        if not _is_on_asyncio():
            text = (
                "Kolben runs on asyncio: start this server without another event loop ('-k trio')."
            )
            await send({"type": f"lifespan.{step}.failed", "message": text})
            return
        if step == "shutdown" and not message.get(AT_ONCE):
            await close_streams()
            await requests_end()
        try:
            await (app.startup(scope.get("state")) if step == "startup" else app.shutdown())
        except Exception as error:
            if isinstance(error, StartRefused):
                text = str(error)
            else:
                shown = shown_error(error)
                app.logger.error("The application failed at %s.", step, exc_info=shown)
                text = f"{type(error).__name__}: {error}"
            await send({"type": f"lifespan.{step}.failed", "message": text})
            return
        await send({"type": f"lifespan.{step}.complete"})
        if step == "shutdown":
            return


def _is_on_asyncio() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def start_late(app: ServedApp) -> None:
    """Start with the first request, where the ASGI server said nothing about its start.

    :param app: the application.
    """
    if not (app.before_serving_funcs or app.while_serving_gens or app.after_serving_funcs):
        return
    lifetime = app._lifetime
    if lifetime is None or not lifetime.started or not lifetime.is_alive():
        await app.startup()
