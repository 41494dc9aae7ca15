"""Coroutines called from plain code, and plain code called from coroutines."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
import time
import weakref

import pytest

from kolben import Flask, request, run_sync
from kolben.concurrency import (
    async_to_sync,
    cancel_coroutines,
    in_thread,
    run_coroutine,
    server_loop,
)
from kolben.threads import Workers
from pythons import lets_go_at_once

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


async def loop_of(value=None):
    await asyncio.sleep(0)
    return asyncio.get_running_loop()


def in_new_thread(function):
    """Call a function in a thread that ends afterwards, and return its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(10)
    return results[0]


# -- from plain code ------------------------------------------------------------------------


def test_thread_keeps_its_loop():
    first = run_coroutine(loop_of())
    assert run_coroutine(loop_of()) is first
    assert in_new_thread(lambda: run_coroutine(loop_of())) is not first


def test_loop_is_closed_when_its_thread_ends():
    loop = in_new_thread(lambda: run_coroutine(loop_of()))
    assert loop.is_closed()


def test_what_is_left_on_the_loop_is_cancelled_when_the_thread_ends():
    ended = []

    async def background():
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(True)

    async def start():
        start.task = asyncio.create_task(background())
        await asyncio.sleep(0)

    in_new_thread(lambda: run_coroutine(start()))
    assert ended == [True]


def test_nothing_is_reported_at_exit():
    code = """
import asyncio, threading
from kolben.concurrency import in_thread, run_coroutine
async def f():
    return await in_thread(len, "abc")
assert run_coroutine(f()) == 3
thread = threading.Thread(target=lambda: run_coroutine(f()), daemon=True)
thread.start(); thread.join()
async def inside():
    return run_coroutine(f())
assert asyncio.run(inside()) == 3
"""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_context_variables_go_in_and_come_back():
    async def change():
        assert variable.get() == "before"
        variable.set("after")

    def run():
        variable.set("before")
        run_coroutine(change())
        return variable.get()

    assert contextvars.copy_context().run(run) == "after"


def test_errors_come_out_also_out_of_a_context_variables_reset():
    async def fail():
        variable.set("set")
        raise KeyError("x")

    def run():
        with pytest.raises(KeyError):
            run_coroutine(fail())
        return variable.get()

    assert contextvars.copy_context().run(run) == "set"


def test_inside_a_running_loop_another_thread_helps():
    async def main():
        here = asyncio.get_running_loop()
        inner = run_coroutine(loop_of())
        assert inner is not here
        assert run_coroutine(loop_of()) is inner
        return threading.get_ident() != await asyncio.to_thread(threading.get_ident)

    assert asyncio.run(main())


def test_server_loop_is_used_from_worker_threads_and_threads_of_asyncio():
    async def main():
        loop = asyncio.get_running_loop()
        server_loop.set(loop)
        assert await in_thread(lambda: run_coroutine(loop_of())) is loop
        assert await asyncio.to_thread(lambda: run_coroutine(loop_of())) is loop

    asyncio.run(main())


def test_server_loop_is_left_alone_while_it_is_blocked():
    """Code on the loop that waits for a coroutine must not wait for one that waits for the loop."""

    async def deep():
        return await asyncio.to_thread(lambda: run_coroutine(loop_of()))

    async def main():
        server_loop.set(asyncio.get_running_loop())
        return run_coroutine(deep()) is not asyncio.get_running_loop()

    assert asyncio.run(asyncio.wait_for(main(), 10))


def test_server_loop_that_has_ended_is_not_used():
    async def main():
        server_loop.set(asyncio.get_running_loop())
        return contextvars.copy_context()

    context = asyncio.run(main())
    assert context.run(lambda: run_coroutine(loop_of())).is_running() is False


def test_error_being_handled_is_seen_by_the_coroutine():
    async def current():
        return sys.exception()

    def handle():
        error = ValueError()
        try:
            raise error
        except ValueError:
            return run_coroutine(current()) is error

    async def main():
        server_loop.set(asyncio.get_running_loop())
        return handle(), await in_thread(handle)

    assert handle()
    assert asyncio.run(main()) == (True, True)


def test_wrapped_function_keeps_its_name():
    async def view(a, *, b):
        """Doc."""
        return a, b

    plain = async_to_sync(view)
    assert (plain.__name__, plain.__doc__) == ("view", "Doc.")
    assert plain(1, b=2) == (1, 2)


# -- from coroutines ------------------------------------------------------------------------


def test_plain_function_runs_in_a_thread_with_the_context():
    def change(value):
        before = variable.get()
        variable.set(value)
        return before, threading.current_thread() is threading.main_thread()

    async def main():
        variable.set("first")
        assert await in_thread(change, "second") == ("first", False)
        assert variable.get() == "second"

    asyncio.run(main())


def test_error_of_a_plain_function():
    async def main():
        with pytest.raises(ZeroDivisionError):
            await in_thread(lambda: 1 / 0)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await in_thread(next, iter(()))

    asyncio.run(main())


def test_cancelled_task_waits_for_its_thread():
    ended = []

    def work():
        time.sleep(0.1)
        ended.append("work")

    async def main():
        task = asyncio.create_task(in_thread(work))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ended.append("task")

    asyncio.run(main())
    assert ended == ["work", "task"]


@pytest.mark.parametrize("turns", range(4))
def test_result_of_a_task_that_was_cancelled_is_dropped(turns):
    """However far the result has come meanwhile."""
    pool = Workers(2)
    dropped = []

    async def main():
        task = asyncio.create_task(in_thread(lambda: "result", pool=pool, drop=dropped.append))
        await asyncio.sleep(0)
        for _ in range(turns):
            time.sleep(0.01)  # noqa: ASYNC251 (the thread goes on, and not the loop)
            await asyncio.sleep(0)
        has_ended = task.done()
        task.cancel()
        try:
            assert await task == "result"
        except asyncio.CancelledError:
            assert not has_ended
            return ["result"]
        return []

    assert asyncio.run(main()) == dropped
    pool.close(5)


@lets_go_at_once
def test_error_is_freed_without_the_garbage_collector():
    class OwnError(Exception):
        pass

    def fail():
        raise OwnError

    async def main():
        try:
            await in_thread(fail)
        except OwnError as error:
            return weakref.ref(error)

    gc.disable()
    try:
        assert asyncio.run(main())() is None
    finally:
        gc.enable()


def test_number_of_worker_threads_is_configured():
    from kolben.threads import workers

    before = workers.limit
    app = Flask("program")
    app.config["WORKER_THREADS"] = before + 5
    app.get("/")(lambda: "ok")

    async def send(message):
        pass

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    try:
        asyncio.run(app(scope, None, send))
        assert workers.limit == before + 5
    finally:
        workers.limit = before


def test_client_works_inside_a_running_loop():
    app = Flask("program")

    @app.get("/")
    async def view():
        await asyncio.sleep(0)
        return "ok"

    async def main():
        return app.test_client().get("/").text

    assert asyncio.run(main()) == "ok"


def test_asgirefs_adapters_see_the_contexts():
    sync = pytest.importorskip("asgiref.sync")
    from kolben import g, request

    app = Flask("program")

    @app.get("/async")
    async def later():
        g.x = "x"
        return await sync.sync_to_async(lambda: request.path + g.x, thread_sensitive=False)()

    @app.get("/plain")
    def plain():
        g.x = "y"

        async def inner():
            return request.path + g.x

        return sync.async_to_sync(inner)()

    assert app.test_client().get("/async").text == "/asyncx"
    assert app.test_client().get("/plain").text == "/plainy"

    async def ask(path):
        sent = []

        async def send(message):
            sent.append(message)

        await app({"type": "http", "method": "GET", "path": path, "headers": []}, None, send)
        return sent[1]["body"]

    assert asyncio.run(ask("/async")) == b"/asyncx"
    assert asyncio.run(ask("/plain")) == b"/plainy"


def test_a_plain_function_can_be_awaited_and_sees_the_request(gateway):
    app = Flask(__name__)

    def slow(word, *, mark):
        time.sleep(0.01)
        return f"{word}{mark} {request.path} {threading.current_thread().name[:13]}"

    @app.get("/x")
    async def view():
        return await run_sync(slow)("word", mark="!")

    assert gateway.get(app, "/x").text == "word! /x kolben-worker"


@pytest.mark.parametrize("blocks", [True, False])
def test_only_what_runs_is_cancelled_and_not_what_cleans_up_after_it(blocks):
    """The end of the first may come before the loop hears of it; then the second is not to pay for that."""
    begun = threading.Event()
    log = []

    async def first():
        begun.set()
        if blocks:
            time.sleep(0.2)  # noqa: ASYNC251 (a loop that is busy)
        else:
            await asyncio.sleep(10)

    async def second():
        await asyncio.sleep(0.01)
        log.append("cleaned up")

    def stream():
        try:
            run_coroutine(first())
        except asyncio.CancelledError:
            log.append("cancelled")
        run_coroutine(second())

    thread = threading.Thread(target=stream)
    thread.start()
    begun.wait(10)
    time.sleep(0.05)
    cancel_coroutines()
    thread.join(10)
    assert log == (["cleaned up"] if blocks else ["cancelled", "cleaned up"])
