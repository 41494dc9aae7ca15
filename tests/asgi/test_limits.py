"""Clients that leave while a view is at work, and those that take too long."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

import kolben
from kolben import request, websocket

PATIENCE = 20


@pytest.fixture
def app() -> kolben.Flask:
    return kolben.Flask(__name__)


def run(coroutine):
    """Run an async test. Tasks that it leaves behind make it fail."""

    async def alone():
        await asyncio.wait_for(coroutine, PATIENCE)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(alone())


# -- asking whether the client has left -----------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("marked", [True, False])
def test_a_view_can_ask_whether_its_client_has_left(app, method, marked):
    answers = []

    @app.route("/", methods=[method])
    async def view():
        assert await request.body == (b"body" if method == "POST" else b"")
        answers.append(await request.is_disconnected())
        answers.append(await request.is_disconnected())
        started.set()
        while not await request.is_disconnected():  # noqa: ASYNC110 (what is tested)
            await asyncio.sleep(0.001)
        answers.append(await request.is_disconnected())
        return "nobody"

    if marked:
        kolben.stream_body(app.view_functions["view"])

    async def test():
        client = app.async_test_client()
        options = {"data": b"body"} if method == "POST" else {}
        async with client.request("/", method=method, **options) as connection:
            await started.wait()
            await connection.disconnect()

    started = asyncio.Event()
    run(test())
    assert answers == [False, False, True]


def test_a_stream_can_ask_too(app):
    answers = []

    @app.get("/")
    async def view():
        @kolben.stream_with_context
        async def pieces():
            for _ in range(3):
                answers.append(await request.is_disconnected())
                yield "piece"

        return pieces()

    async def test():
        response = await app.async_test_client().get("/")
        assert response.text == "piece" * 3

    run(test())
    assert answers == [False] * 3


def test_under_wsgi_it_is_not_known(app):
    @app.get("/")
    async def view():
        return str(await request.is_disconnected())

    assert app.test_client().get("/").text == "False"


def test_a_plain_way_to_an_async_view_knows(app):
    app.config["TRUSTED_HOSTS"] = ["localhost"]
    answers = []

    @app.get("/")
    async def view():
        started.set()
        while not await request.is_disconnected():  # noqa: ASYNC110 (what is tested)
            await asyncio.sleep(0.001)
        answers.append(True)
        return "nobody"

    async def test():
        async with app.async_test_client().request("/") as connection:
            await started.wait()
            await connection.disconnect()

    started = asyncio.Event()
    run(test())
    assert answers == [True]


def test_the_handler_of_a_websocket_can_ask(app):
    answers = []

    @app.websocket("/")
    async def handler():
        await websocket.accept()
        answers.append(await websocket.is_disconnected())
        await websocket.send("hello")
        while not await websocket.is_disconnected():  # noqa: ASYNC110 (what is tested)
            await asyncio.sleep(0.001)
        answers.append(True)
        # What has come before it is still there.
        answers.append(await websocket.receive())

    async def test():
        async with app.async_test_client().websocket("/") as ws:
            assert await ws.receive() == "hello"
            await ws.send("last")

    run(test())
    assert answers == [False, True, "last"]


# -- CANCEL_ON_DISCONNECT -------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_view_is_cancelled_when_its_client_leaves(app, method):
    app.config["CANCEL_ON_DISCONNECT"] = True
    log = []

    @app.teardown_request
    async def torn_down(error):
        log.append(type(error).__name__)

    @app.route("/", methods=[method])
    async def view():
        started.set()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            log.append("ended")
        return "nobody"

    async def test():
        client = app.async_test_client()
        options = {"data": b"body"} if method == "POST" else {}
        async with client.request("/", method=method, **options) as connection:
            await started.wait()
            await connection.disconnect()

    started = asyncio.Event()
    run(test())
    assert log == ["ended", "CancelledError"]


@pytest.mark.parametrize("size", [0, 1, 10, 1_000_000])
def test_clients_that_stay_are_answered(app, size):
    app.config["CANCEL_ON_DISCONNECT"] = True

    @app.post("/")
    async def view():
        await asyncio.sleep(0.001)
        return str(len(request.get_data()))

    @app.get("/plain")
    def plain():
        return "plain"

    @app.get("/stream")
    async def stream():
        return iter(["a", "b"])

    @app.get("/boom")
    async def boom():
        raise ValueError

    async def test():
        client = app.async_test_client()
        assert (await client.post("/", data=b"x" * size)).text == str(size)
        async with client.request("/", method="POST") as connection:
            for _ in range(4):
                await connection.send(b"x" * size)
                await asyncio.sleep(0)
            assert (await connection.as_response()).text == str(4 * size)
        assert (await client.get("/plain")).text == "plain"
        assert (await client.get("/stream")).text == "ab"
        assert (await client.get("/boom")).status_code == 500

    run(test())


def test_without_the_setting_a_view_runs_to_its_end(app):
    log = []

    @app.get("/")
    async def view():
        started.set()
        await asyncio.sleep(0.01)
        log.append("ended")
        return "nobody"

    async def test():
        async with app.async_test_client().request("/") as connection:
            await started.wait()
            await connection.disconnect()

    started = asyncio.Event()
    run(test())
    assert log == ["ended"]


def test_a_server_that_cancels_is_heard(app):
    app.config["CANCEL_ON_DISCONNECT"] = True
    log = []

    @app.get("/")
    async def view():
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            log.append("ended")

    async def test():
        async def never():
            await asyncio.Event().wait()

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        task = asyncio.create_task(app.asgi_app(scope, never, never))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(test())
    assert log == ["ended"]


def test_an_answer_that_is_ready_when_the_server_cancels_is_closed(app):
    app.config["CANCEL_ON_DISCONNECT"] = True
    log = []

    @app.get("/")
    async def view():
        async def pieces():
            yield "never sent"

        response = kolben.Response(pieces())
        response.call_on_close(lambda: log.append("closed"))
        tasks[0].cancel()
        return response

    async def test():
        async def never(message=None):
            await asyncio.Event().wait()

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        tasks.append(asyncio.create_task(app.asgi_app(scope, never, never)))
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]

    tasks = []
    run(test())
    assert log == ["closed"]


# -- RESPONSE_TIMEOUT -----------------------------------------------------------------------


def stream():
    try:
        while True:
            yield b"x" * 1000
    finally:
        closed.set()


closed = threading.Event()
BODIES = {
    "text": lambda: "text",
    "generator": stream,
    "async generator": lambda: async_stream(),
}


async def async_stream():
    for piece in stream():
        yield piece


@pytest.mark.parametrize("kind", BODIES)
def test_a_client_that_takes_too_long_is_given_up(app, caplog, kind):
    app.config["RESPONSE_TIMEOUT"] = 0.02
    app.get("/slow")(BODIES[kind])

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET", "path": "/slow", "headers": []}
    closed.clear()
    run(app.asgi_app(scope, receive, send))
    assert [(record.levelno, record.args[0]) for record in caplog.records] == [
        (logging.WARNING, "/slow")
    ]
    if kind == "generator":
        assert closed.is_set()


def test_an_answer_in_time_is_sent_whole(app):
    app.config["RESPONSE_TIMEOUT"] = PATIENCE
    app.get("/")(lambda: "text")
    app.get("/stream", endpoint="stream")(lambda: iter(["a", "b"]))

    async def test():
        client = app.async_test_client()
        assert (await client.get("/")).text == "text"
        assert (await client.get("/stream")).text == "ab"

    run(test())


def test_a_timeout_of_the_programs_own_is_its_own(app):
    app.config["RESPONSE_TIMEOUT"] = PATIENCE

    @app.get("/")
    async def view():
        async def pieces():
            yield "a"
            raise TimeoutError("mine")

        return pieces()

    async def test():
        with pytest.raises(TimeoutError, match="mine"):
            await app.async_test_client().get("/")

    run(test())
