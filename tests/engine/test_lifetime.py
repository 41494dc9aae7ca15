"""Start, stop and background tasks, through ASGI and through WSGI."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import kolben
from kolben import current_app, g, has_request_context, request


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__)

    @app.get("/")
    def index():
        return "index"

    return app


@pytest.fixture
def log(app):
    """Registers every kind of function, each of which adds a line to this list."""
    log = []

    def note(text):
        log.append(f"{text} {current_app.name == app.name}")

    @app.while_serving
    async def outer():
        note("outer begins")
        yield
        await asyncio.sleep(0)
        note("outer ends")

    @app.while_serving
    def inner():
        note("inner begins")
        yield
        note("inner ends")

    app.before_serving(lambda: note("plain before"))

    @app.before_serving
    async def before():
        await asyncio.sleep(0)
        note("async before")

    @app.after_serving
    async def after():
        note("async after")

    app.after_serving(lambda: note("plain after"))
    return log


BEGUN = ["plain before True", "async before True", "outer begins True", "inner begins True"]
ENDED = ["inner ends True", "outer ends True", "async after True", "plain after True"]


async def lifespan(app, *steps, between=None):
    """Send lifespan messages and return the answers."""
    to_app, answers = asyncio.Queue(), asyncio.Queue()
    task = asyncio.create_task(app.asgi_app({"type": "lifespan"}, to_app.get, answers.put))
    got = []
    for step in steps:
        to_app.put_nowait({"type": f"lifespan.{step}"})
        got.append(await answers.get())
        if step == "startup" and between is not None:
            await between()
    await task
    return got


def test_asgi_lifespan(app, log):
    async def between():
        assert log == BEGUN
        assert (await app.async_test_client().get("/")).text == "index"
        assert app.test_client().get("/").text == "index"
        assert log == BEGUN

    answers = asyncio.run(lifespan(app, "startup", "shutdown", between=between))
    assert [a["type"] for a in answers] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert log == BEGUN + ENDED


def test_test_app_runs_them(app, log):
    async def test():
        for _ in range(2):
            log.clear()
            async with app.test_app() as started:
                assert started is app
                assert log == BEGUN
            assert log == BEGUN + ENDED

    asyncio.run(test())


def first_file(record):
    """The file of the first frame that a log entry shows."""
    return record.exc_info[2].tb_frame.f_code.co_filename


def test_a_start_that_fails_is_told_to_the_server(app, caplog):
    log = []

    @app.while_serving
    async def begun():
        try:
            yield
        finally:
            log.append("closed")

    @app.while_serving
    def fails():
        raise OSError("no database")
        yield

    (answer,) = asyncio.run(lifespan(app, "startup"))
    assert answer == {"type": "lifespan.startup.failed", "message": "OSError: no database"}
    assert log == ["closed"]
    (record,) = caplog.records
    assert first_file(record) == __file__
    assert record.exc_info[0] is OSError


def test_an_end_that_fails_is_told_to_the_server(app, log, caplog):
    @app.after_serving
    def fails():
        raise OSError("gone")

    @app.after_serving
    def fails_too():
        raise ValueError("gone, too")

    answers = asyncio.run(lifespan(app, "startup", "shutdown"))
    assert answers[1] == {"type": "lifespan.shutdown.failed", "message": "OSError: gone"}
    assert log == BEGUN + ENDED
    assert "too" in caplog.text


@pytest.mark.parametrize("yields", [0, 2])
def test_while_serving_yields_once(app, yields):
    @app.while_serving
    async def wrong():
        for _ in range(yields):
            yield

    async def test():
        with pytest.raises(RuntimeError, match="'wrong'"):
            async with app.test_app():
                pass

    asyncio.run(test())


def test_only_fitting_functions_are_registered(app):
    with pytest.raises(TypeError, match="generator"):
        app.while_serving(lambda: None)
    with pytest.raises(TypeError, match="function"):
        app.before_serving("no")
    with pytest.raises(TypeError, match="function"):
        app.add_background_task(None)
    app.test_client().get("/")
    with pytest.raises(AssertionError, match="before_serving"):
        app.before_serving(print)


def test_blueprints_register_them_once(app):
    log = []
    blueprint = kolben.Blueprint("b", __name__)
    blueprint.before_app_serving(lambda: log.append("before"))
    blueprint.after_app_serving(lambda: log.append("after"))

    @blueprint.while_app_serving
    def around():
        log.append("begin")
        yield
        log.append("end")

    app.register_blueprint(blueprint)
    app.register_blueprint(blueprint, name="again")

    async def test():
        async with app.test_app():
            pass

    asyncio.run(test())
    assert log == ["before", "begin", "end", "after"]


def test_wsgi_starts_before_the_first_request_and_once(app, log):
    others = set(threading.enumerate())  # another test's loop may still be there
    slow = []

    @app.before_serving
    def wait():
        time.sleep(0.05)
        slow.append(1)

    seen = []

    def visit():
        app.test_client().get("/")
        seen.append(len(slow))

    threads = [threading.Thread(target=visit) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 5
    assert sorted(log) == sorted(BEGUN)
    asyncio.run(app.shutdown())
    assert log[len(BEGUN) :] == ENDED
    assert "kolben" not in {thread.name for thread in set(threading.enumerate()) - others}


def test_a_wsgi_start_that_fails_is_tried_again(app):
    tries = []

    @app.before_serving
    def flaky():
        tries.append(1)
        if len(tries) < 2:
            raise OSError("no database yet")

    client = app.test_client()
    with pytest.raises(OSError, match="yet"):
        client.get("/")
    assert client.get("/").text == "index"
    client.get("/")
    assert len(tries) == 2
    asyncio.run(app.shutdown())


def test_an_asgi_server_without_lifespan_starts_with_the_first_request(app, log):
    async def test():
        client = app.async_test_client()
        await client.get("/")
        await client.get("/")
        assert log == BEGUN
        await app.shutdown()

    asyncio.run(test())
    assert log == BEGUN + ENDED


def test_under_wsgi_the_end_is_that_of_the_process(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import asyncio, os, sys, time
            from kolben import Flask, current_app

            app = Flask(__name__)

            @app.while_serving
            async def around():
                print("begin", flush=True)
                yield
                await asyncio.sleep(0)
                print("end", flush=True)

            @app.after_serving
            def after():
                print("after", current_app.name, flush=True)

            async def later(text):
                await asyncio.sleep(0.05)
                os.write(1, f"{text}\\n".encode())

            def sleeps(text):
                time.sleep(0.05)
                os.write(1, f"{text}\\n".encode())

            @app.get("/")
            def index():
                app.add_background_task(later, "async task")
                app.add_background_task(sleeps, "plain task")
                return "index"

            print(app.test_client().get("/").text, flush=True)
            if os.fork() == 0:
                sys.exit()  # a child of the server ends without ending the application
            os.wait()
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    lines = done.stdout.split("\n")[:-1]
    assert lines[:2] == ["begin", "index"]
    assert sorted(lines[2:4]) == ["async task", "plain task"]
    assert lines[4:] == ["end", "after program"]


def run_program(folder, source, *arguments):
    """Run a program to its end; return what it has printed, and its errors."""
    program = folder / "program.py"
    program.write_text(textwrap.dedent(source))
    done = subprocess.run(
        [sys.executable, program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.split("\n")[:-1], done.stderr


def test_under_wsgi_an_end_that_fails_is_logged(tmp_path):
    lines, errors = run_program(
        tmp_path,
        """
        from kolben import Flask

        app = Flask(__name__)

        @app.after_serving
        def after():
            raise LookupError("the pool is gone")

        app.after_serving(lambda: print("after", flush=True))
        app.add_url_rule("/", view_func=lambda: "index")
        print(app.test_client().get("/").text, flush=True)
        """,
    )
    assert lines == ["index", "after"]
    assert "The application did not stop properly." in errors
    assert "LookupError: the pool is gone" in errors


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_end_of_a_child_that_serves_is_its_own(tmp_path, method):
    """Before Python 3.13 such a child calls no functions of atexit."""
    lines, errors = run_program(
        tmp_path,
        """
        import multiprocessing, sys
        from kolben import Flask

        app = Flask(__name__)
        app.before_serving(lambda: print("before", flush=True))
        app.after_serving(lambda: print("after", flush=True))
        app.add_url_rule("/", view_func=lambda: "index")

        def serve():
            print(app.test_client().get("/").text, flush=True)

        if __name__ == "__main__":
            worker = multiprocessing.get_context(sys.argv[1]).Process(target=serve)
            worker.start()
            worker.join()
        """,
        method,
    )
    assert lines == ["before", "index", "after"], errors


def test_starting_twice_is_starting_once(app, log):
    async def test():
        await app.startup()
        await app.startup({})
        assert log == BEGUN
        await app.shutdown()
        await app.shutdown()
        assert log == BEGUN + ENDED

    asyncio.run(test())


def test_what_was_begun_is_ended_where_a_later_function_fails(app):
    log = []

    def note(text):
        log.append(text)

    @app.while_serving
    def plain():
        try:
            yield
        finally:
            note("plain ended")

    @app.while_serving
    async def later():
        try:
            yield
        finally:
            note("async ended")

    @app.while_serving
    async def fails():
        raise LookupError
        yield

    async def test():
        with pytest.raises(LookupError):
            await app.startup()

    asyncio.run(test())
    assert log == ["async ended", "plain ended"]


def test_a_function_that_exits_at_the_end_keeps_none_from_its_end(app):
    log = []

    @app.after_serving
    async def leave():
        sys.exit(3)

    app.after_serving(lambda: log.append("after"))

    async def test():
        await app.startup()
        with pytest.raises(RuntimeError, match=r"sys\.exit\(3\) was called"):
            await app.shutdown()

    asyncio.run(test())
    assert log == ["after"]


def test_the_signals_of_the_application_context_are_sent_around_the_start(app):
    log = []
    app.before_serving(lambda: log.append("before"))
    app.teardown_appcontext(lambda error: log.append("teardown"))

    def pushed(sender):
        log.append("pushed")

    async def popped(sender):
        log.append("popped")

    async def test():
        await app.startup()
        assert log == ["pushed", "before", "teardown", "popped"]
        await app.shutdown()

    with (
        kolben.appcontext_pushed.connected_to(pushed, app),
        kolben.appcontext_popped.connected_to(popped, app),
    ):
        asyncio.run(test())


# ---- background tasks ---------------------------------------------------------------------


class Record(list):
    """What tasks have told, and a way to wait for it."""

    def wait_for(self, count):
        end = time.monotonic() + 5
        while len(self) < count and time.monotonic() < end:
            time.sleep(0.005)
        return self


@pytest.fixture
def tasks(app):
    record = Record()
    variable = contextvars.ContextVar("variable", default="unset")

    def told(kind, argument):
        record.append(
            (kind, argument, current_app.name == app.name, has_request_context(), variable.get())
        )
        g.fresh = g.get("fresh", 0) + 1
        assert g.fresh == 1

    async def coroutine(*, argument):
        await asyncio.sleep(0)
        told("async", argument)

    @app.get("/plain")
    def plain():
        variable.set("set")
        g.fresh = 10
        app.add_background_task(told, "plain", request.path)
        app.add_background_task(coroutine, argument=request.path)
        return "plain"

    @app.get("/async")
    async def asynchronous():
        variable.set("set")
        g.fresh = 10
        app.add_background_task(told, "plain", request.path)
        app.add_background_task(coroutine, argument=request.path)
        return "async"

    return record


def expected(path):
    return [("async", path, True, False, "set"), ("plain", path, True, False, "set")]


@pytest.mark.parametrize("path", ["/plain", "/async"])
def test_background_tasks_under_wsgi(app, tasks, path):
    response = app.test_client().get(path, buffered=True)
    assert response.text == path[1:]
    assert sorted(tasks.wait_for(2)) == expected(path)
    asyncio.run(app.shutdown())


@pytest.mark.parametrize("path", ["/plain", "/async"])
def test_background_tasks_under_asgi(app, tasks, path):
    async def test():
        async with app.test_app():
            assert (await app.async_test_client().get(path)).text == path[1:]
        assert sorted(tasks) == expected(path)

    asyncio.run(test())


@pytest.mark.parametrize("path", ["/plain", "/async"])
def test_they_begin_after_the_response_was_sent_under_asgi(app, path):
    log = []

    async def task():
        log.append("task")

    @app.get("/plain")
    def plain():
        app.add_background_task(task)
        return "x"

    @app.get("/async")
    async def asynchronous():
        app.add_background_task(task)
        return "x"

    async def send(message):
        await asyncio.sleep(0.01)
        log.append(message["type"])

    async def receive():
        await asyncio.Event().wait()

    async def test():
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        await app.asgi_app(scope, receive, send)
        await app.shutdown()

    asyncio.run(test())
    assert log == ["http.response.start", "http.response.body", "task"]


def test_they_begin_after_the_response_was_sent_under_wsgi(app):
    log = Record()

    @app.after_request
    def late(response):
        app.add_background_task(log.append, "task")
        return response

    response = app.test_client().get("/")
    time.sleep(0.05)
    assert log == []
    response.close()
    assert log.wait_for(1) == ["task"]
    asyncio.run(app.shutdown())


def test_they_begin_after_a_file_was_sent_under_wsgi(app, tmp_path):
    log = Record()
    tmp_path.joinpath("f.txt").write_text("file")

    @app.get("/file")
    def file():
        app.add_background_task(log.append, "task")
        return kolben.send_from_directory(tmp_path, "f.txt")

    with app.test_client().get("/file") as response:
        assert response.text == "file"
    assert log.wait_for(1) == ["task"]
    asyncio.run(app.shutdown())


def test_reading_a_response_to_its_end_is_enough(app):
    log = Record()

    @app.get("/task")
    def task():
        app.add_background_task(log.append, "task")
        return "x"

    assert app.test_client().get("/task").text == "x"
    assert log.wait_for(1) == ["task"]
    asyncio.run(app.shutdown())


def test_outside_of_a_request_they_begin_at_once(app):
    log = Record()
    app.add_background_task(log.append, 1)
    assert log.wait_for(1) == [1]
    asyncio.run(app.shutdown())


def test_a_websocket_handler_begins_them_at_once(app):
    @app.websocket("/ws")
    async def ws():
        done = asyncio.Event()

        async def task():
            done.set()

        await kolben.websocket.accept()
        app.add_background_task(task)
        await done.wait()
        await kolben.websocket.send("done")

    async def test():
        async with app.test_app(), app.async_test_client().websocket("/ws") as ws:
            assert await ws.receive() == "done"

    asyncio.run(test())


def test_their_errors_are_logged(app, caplog):
    def fails():
        raise ValueError("boom")

    async def test():
        async with app.test_app():
            app.add_background_task(fails)

    asyncio.run(test())
    (record,) = caplog.records
    assert first_file(record) == __file__
    assert record.exc_info[0] is ValueError
    assert "fails" in record.getMessage()


def test_their_context_is_torn_down(app):
    heard = []
    app.teardown_appcontext(lambda error: heard.append(type(error)))

    def fails():
        raise ValueError("boom")

    async def test():
        async with app.test_app():
            heard.clear()
            app.add_background_task(fails)
            await asyncio.sleep(0.05)
            assert heard == [ValueError]

    with contextlib.suppress(ValueError):
        asyncio.run(test())


def test_the_end_waits_for_them_up_to_a_limit(app, caplog):
    app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = 0.1
    log = []

    async def quick():
        await asyncio.sleep(0.02)
        log.append("quick")
        app.add_background_task(log.append, "nested")

    async def endless():
        try:
            await asyncio.Event().wait()
        finally:
            log.append("cancelled")

    @app.after_serving
    def after():
        log.append("after")

    async def test():
        async with app.test_app():
            app.add_background_task(quick)
            app.add_background_task(endless)

    asyncio.run(test())
    assert log == ["quick", "nested", "cancelled", "after"]
    (record,) = caplog.records
    assert "1 background task" in record.getMessage()


def test_programs_that_use_none_of_this_start_no_thread_and_no_loop():
    code = (
        "import sys, threading, kolben; from wsgiref.util import setup_testing_defaults;"
        "app = kolben.Flask('x'); app.add_url_rule('/', 'i', lambda: 'x'); environ = {};"
        # The test client of Python 3.14 has asyncio with it, by way of click's and pdb.
        "setup_testing_defaults(environ); assert app(environ, lambda *_: None) == [b'x'];"
        "assert 'asyncio' not in sys.modules; assert threading.active_count() == 1"
    )
    environ = {**os.environ}
    subprocess.run([sys.executable, "-c", code], check=True, env=environ)


# -- signals --------------------------------------------------------------------------------


def test_the_errors_of_a_background_task_are_told(app, caplog):
    heard = []

    def receive(sender, exception):
        heard.append(exception)

    async def test():
        error = ValueError("task")

        async def fail():
            raise error

        with kolben.got_background_exception.connected_to(receive, app):
            async with app.test_app():
                app.add_background_task(fail)
        assert heard == [error]

    asyncio.run(test())


def test_errors_at_the_start_and_at_the_end_are_told(app):
    heard = []

    async def receive(sender, exception):
        heard.append(str(exception))

    @app.after_serving
    async def fail_after():
        raise ValueError("after")

    async def test():
        with kolben.got_serving_exception.connected_to(receive, app):
            with pytest.raises(ValueError, match="after"):
                async with app.test_app():
                    pass
            app.before_serving_funcs.append(fail_before)
            with pytest.raises(ValueError, match="before"):
                await app.startup()

    def fail_before():
        raise ValueError("before")

    asyncio.run(test())
    assert heard == ["after", "before"]


@pytest.mark.parametrize(
    ("code", "said"),
    [("no database", "no database"), (3, "sys.exit(3) was called before serving.")],
)
def test_a_start_that_exits_is_told_to_the_server_without_a_traceback(app, caplog, code, said):
    app.before_serving(lambda: sys.exit(code))
    answers = asyncio.run(lifespan(app, "startup"))
    assert answers == [{"type": "lifespan.startup.failed", "message": said}]
    assert "Traceback" not in caplog.text


def test_an_event_loop_that_is_not_asyncios_is_said_at_the_start(app):
    """As under `hypercorn -k trio`, where each request would fail."""
    sent = []

    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        sent.append(message)

    with pytest.raises(StopIteration):  # awaited by hand, as another loop would
        app.asgi_app({"type": "lifespan"}, receive, send).send(None)
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "Kolben runs on asyncio" in sent[0]["message"]
