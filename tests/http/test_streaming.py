"""Bodies that come and go piece by piece, and what is left when a client leaves: nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

import pytest
from werkzeug.exceptions import RequestEntityTooLarge

import kolben
from gateways import Gateway
from kolben import (
    Flask,
    Response,
    g,
    has_request_context,
    request,
    session,
    stream_body,
    stream_with_context,
)
from kolben.globals import _current
from streams import producer


@pytest.fixture
def app():
    app = Flask("program", static_folder=None)
    app.secret_key = "secret"
    return app


@pytest.fixture(autouse=True)
def _clean_world():
    """After each test this thread has no context, and nothing waits to be closed."""
    yield
    assert _current.get(None) is None
    gc.collect()


def both(name):
    return pytest.mark.parametrize(name, [False, True], ids=["plain", "async"])


# -- responses ------------------------------------------------------------------------------


@both("body_async")
@both("view_async")
@both("wrapped")
def test_generator_is_sent_piece_by_piece_and_closed(app, gateway, body_async, view_async, wrapped):
    log = []
    generate = producer(body_async, log)

    def view():
        stream = generate()
        return Response(stream, mimetype="text/plain") if wrapped else (stream, 201)

    async def later():
        return view()

    app.get("/")(later if view_async else view)
    reply = gateway.get(app, "/")
    assert reply.pieces == [b"a", b"b", b"c"]
    assert reply.status == (200 if wrapped else 201)
    assert [name for name, _ in log] == ["exhausted", "closed"]


@both("body_async")
@both("view_async")
@pytest.mark.parametrize("leave_after", [0, 1, None])
def test_client_that_leaves_closes_the_generator_with_its_context(
    app, gateway, body_async, view_async, leave_after
):
    log = []
    torn_down = []
    closed = []
    app.teardown_request(lambda error: torn_down.append(request.path))
    app.teardown_appcontext(lambda error: torn_down.append(g.get("x")))

    def view():
        g.x = "x"
        response = Response(stream_with_context(producer(body_async, log, "x" * 100)()))
        response.call_on_close(lambda: closed.append(threading.current_thread()))
        return response

    async def later():
        return view()

    app.get("/")(later if view_async else view)
    gateway.get(app, "/", leave_after=leave_after)
    assert torn_down == ["/", "x"]
    assert len(closed) == 1
    expected = [("exhausted", "/"), ("closed", "/")]
    if leave_after == 0:
        # Where nothing was asked of it, a generator has not begun and has nothing to end.
        assert log in ([], expected[1:])
    else:
        assert log == (expected if leave_after is None else expected[1:])


@both("body_async")
def test_thread_is_clean_after_a_client_has_left(app, gateway, body_async):
    """In Flask 3.1.3 the context of the request stays on the worker thread."""
    log = []
    seen = []

    @app.get("/stream")
    def stream():
        session["secret"] = "of the first client"
        return stream_with_context(producer(body_async, log, "x" * 100)())

    @app.get("/next")
    def following():
        seen.append((threading.current_thread(), session.get("secret"), "x" in g))
        return "ok"

    before = threading.active_count()
    for _ in range(5):
        gateway.get(app, "/stream", leave_after=1)
        assert not has_request_context()
        assert gateway.get(app, "/next").text == "ok"
    assert {(secret, x) for _, secret, x in seen} == {(None, False)}
    assert [name for name, _ in log] == ["closed"] * 5
    assert threading.active_count() <= before + 2  # the workers


@both("body_async")
def test_error_in_the_middle_ends_the_stream_and_reaches_the_server(app, gateway, body_async):
    log = []
    torn_down = []
    app.teardown_request(lambda error: torn_down.append(error))
    error = ValueError("half-way")
    app.get("/")(lambda: stream_with_context(producer(body_async, log, "ab", error)()))
    with pytest.raises(ValueError, match="half-way"):
        gateway.get(app, "/")
    assert log == [("closed", "/")]
    assert torn_down == [error]


def test_waiting_async_generator_is_closed_when_the_client_leaves(app):
    log = []

    @app.get("/")
    async def view():
        async def generate():
            try:
                yield "a"
                await asyncio.sleep(1000)
            finally:
                log.append("closed")

        return generate()

    start = time.monotonic()
    Gateway("asgi").get(app, "/", leave_after=1)
    assert log == ["closed"]
    assert time.monotonic() - start < 5


def test_async_generator_runs_in_one_task(app, gateway):
    """So that `asyncio.timeout` and task groups may span its pieces."""

    @app.get("/")
    async def view():
        async def generate():
            async with asyncio.timeout(60):
                yield "a"
                await asyncio.sleep(0)
                yield "b"

        return generate()

    if gateway.is_asgi:
        assert gateway.get(app, "/").text == "ab"


def test_plain_generator_does_not_block_the_loop(app):
    go = threading.Event()

    @app.get("/slow")
    async def slow():
        def generate():
            yield "a"
            yield str(go.wait(10))

        return generate()

    @app.get("/go")
    async def release():
        go.set()
        return "ok"

    async def both_at_once():
        sent = []

        async def send(message):
            sent.append(message)

        async def receive():
            await asyncio.sleep(1000)

        scope = {"type": "http", "method": "GET", "headers": []}
        task = asyncio.create_task(app({**scope, "path": "/slow"}, receive, send))
        await asyncio.sleep(0.02)
        await app({**scope, "path": "/go"}, receive, send)
        await task
        return b"".join(message.get("body", b"") for message in sent)

    assert sorted(asyncio.run(both_at_once()).decode()) == sorted("aTrueok")


def test_head_and_empty_statuses_send_nothing_and_close_the_stream(app, gateway):
    log = []
    app.get("/")(lambda: producer(True, log)())
    app.get("/none", endpoint="none")(lambda: (producer(True, log)(), 204))
    assert gateway.get(app, "/", method="HEAD").body == b""
    assert gateway.get(app, "/none").body == b""


@both("is_async")
def test_stream_template(app, gateway, is_async):
    def view():
        g.name = "Ada"
        return kolben.stream_template_string(
            "{% for n in range(3) %}{{ n }}{% endfor %}{{ g.name }}"
        )

    async def later():
        return view()

    app.get("/")(later if is_async else view)
    assert gateway.get(app, "/").text == "012Ada"


def test_send_that_fails_closes_the_stream(app):
    """A server may tell by an OSError that the client has left (ASGI 2.4)."""
    log = []
    app.get("/")(lambda: producer(True, log, "abc")())

    async def receive():
        await asyncio.sleep(1000)

    async def send(message):
        if message.get("body"):
            raise OSError

    async def main():
        await app({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert log == [("closed", None)]


@both("body_async")
def test_cancelled_server_task_closes_the_stream(app, body_async):
    log = []
    app.get("/")(lambda: stream_with_context(producer(body_async, log, "abc")()))
    started = asyncio.Event()

    async def receive():
        await asyncio.sleep(1000)

    async def send(message):
        if message.get("body"):
            started.set()
            await asyncio.sleep(1000)

    async def main():
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        task = asyncio.create_task(app(scope, receive, send))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert log == [("closed", "/")]


def test_a_stream_that_cleans_up_is_not_cancelled_again_by_the_end_of_the_server(app):
    """As on hypercorn, which cancels what runs and shuts the application down at once."""
    log = []
    ending = asyncio.Event()

    @app.get("/")
    async def index():
        async def pieces():
            try:
                yield "piece"
                await asyncio.sleep(1000)
            finally:
                ending.set()
                await asyncio.sleep(0.05)
                log.append("ended")

        return Response(pieces())

    async def main():
        started = asyncio.Event()
        messages = asyncio.Queue()
        answers = asyncio.Queue()

        async def send(message):
            if message.get("body"):
                started.set()

        lifespan = asyncio.create_task(app({"type": "lifespan"}, messages.get, answers.put))
        messages.put_nowait({"type": "lifespan.startup"})
        await answers.get()
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        serving = asyncio.create_task(app(scope, asyncio.Event().wait, send))
        await started.wait()
        serving.cancel()
        await ending.wait()
        messages.put_nowait({"type": "lifespan.shutdown"})
        await lifespan
        assert log == ["ended"]
        with pytest.raises(asyncio.CancelledError):
            await serving

    asyncio.run(main())


# -- requests -------------------------------------------------------------------------------


@both("chunked")
def test_body_is_read_piece_by_piece(app, gateway, chunked):
    pieces = [b"a" * 1000, b"b" * 1000, b"c" * 1000]

    @app.post("/plain")
    def plain():
        return {"sizes": [len(piece) for piece in request.body_stream()]}

    @app.post("/async")
    @kolben.stream_body
    async def later():
        return {"sizes": [len(piece) async for piece in request.body_stream()]}

    @app.post("/unmarked")
    async def unmarked():
        return {"sizes": [len(piece) async for piece in request.body_stream()]}

    @app.post("/read")
    def read():
        found = []
        while data := request.stream.read(600):
            found.append(data)
        return b"".join(found)

    for path in ("/plain", "/async", "/unmarked"):
        sizes = kolben.json.loads(gateway.post(app, path, pieces, chunked=chunked).body)["sizes"]
        assert sum(sizes) == 3000
        if gateway.is_asgi and path != "/unmarked":
            assert sizes == [1000] * 3
    assert gateway.post(app, "/read", pieces, chunked=chunked).body == b"".join(pieces)
    assert gateway.post(app, "/async", []).body == b'{"sizes":[]}\n'


@both("is_async")
def test_streamed_body_keeps_its_limits(app, gateway, is_async):
    app.config["MAX_CONTENT_LENGTH"] = 5
    reached = []

    def fail(piece):
        reached.append(piece)

    @app.post("/plain")
    def plain():
        for piece in request.body_stream():
            fail(piece)
        return "ok"

    @app.post("/async")
    @kolben.stream_body
    async def later():
        async for piece in request.body_stream():
            fail(piece)
        return "ok"

    path = "/async" if is_async else "/plain"
    assert gateway.post(app, path, [b"123", b"45"]).text == "ok"
    reached.clear()
    assert gateway.post(app, path, [b"123", b"456"]).status == 413
    assert reached == []
    if is_async and gateway.is_asgi:
        assert gateway.post(app, path, [b"123", b"456"], chunked=True).status == 413
        assert reached == [b"123"]
    app.config["MAX_CONTENT_LENGTH"] = None
    if gateway.is_asgi:
        assert gateway.post(app, path, [b"123"], missing=3).status == 400


@both("is_async")
def test_view_may_raise_the_limit_for_its_own_stream(app, gateway, is_async):
    app.config["MAX_CONTENT_LENGTH"] = 5

    @app.post("/plain")
    def plain():
        request.max_content_length = 100
        return str(sum(len(piece) for piece in request.body_stream()))

    @app.post("/async")
    @kolben.stream_body
    async def later():
        request.max_content_length = 100
        return str(sum([len(piece) async for piece in request.body_stream()]))

    assert gateway.post(app, "/async" if is_async else "/plain", [b"x" * 50]).text == "50"


def test_blocking_read_on_the_loop_is_refused(app):
    @app.post("/")
    @kolben.stream_body
    async def view():
        with pytest.raises(RuntimeError, match="async for"):
            request.stream.read()
        return "refused"

    assert Gateway("asgi").post(app, "/", [b"a", b"b"]).text == "refused"


@both("is_async")
def test_upload_need_not_fit_into_memory(app, is_async):
    """A long body is on disk before an async view starts, and not at all read for a plain one."""
    piece = b"x" * 65536

    def view():
        data = request.stream
        count = 0
        while got := data.read(65536):
            count += len(got)
        return str(count)

    async def later():
        assert not hasattr(request.environ["wsgi.input"], "getvalue")
        return view()

    app.post("/")(later if is_async else view)
    assert Gateway("asgi").post(app, "/", [piece] * 100).text == str(100 * 65536)


def test_echo_while_the_request_is_still_coming(app):
    @app.post("/")
    @kolben.stream_body
    async def echo():
        body = request.body_stream()

        async def generate():
            async for piece in body:
                yield piece.upper()

        return stream_with_context(generate())

    assert Gateway("asgi").post(app, "/", [b"a", b"b", b"c"]).pieces == [b"A", b"B", b"C"]
    # The listener for the client's leaving takes none of the pieces.
    reply = Gateway("asgi").post(app, "/", [b"a", b"b", b"c"], leave_after=2)
    assert reply.pieces[:2] == [b"A", b"B"]


def test_plain_generator_reads_the_request_while_it_answers(app, gateway):
    @app.post("/")
    def echo():
        stream = request.stream

        def generate():
            while piece := stream.read(100):
                yield piece.upper()

        return generate()

    assert gateway.post(app, "/", [b"a", b"b", b"c"]).body == b"ABC"


# -- limits ---------------------------------------------------------------------------------


def test_limit_is_an_http_error_for_handlers(app, gateway):
    app.config["MAX_CONTENT_LENGTH"] = 1
    app.register_error_handler(RequestEntityTooLarge, lambda e: ("too much", 413))

    @app.post("/")
    @kolben.stream_body
    async def view():
        return str([piece async for piece in request.body_stream()])

    assert gateway.post(app, "/", b"123").text == "too much"


@pytest.mark.parametrize("marked", [True, False])
def test_the_body_can_be_awaited_and_iterated_as_on_quart(gateway, marked):
    app = kolben.Flask(__name__)

    async def whole():
        return await request.body

    async def pieces():
        return b"".join([piece async for piece in request.body])

    for view in (whole, pieces):
        app.post(f"/{view.__name__}")(stream_body(view) if marked else view)
    for path in ("/whole", "/pieces"):
        assert gateway.post(app, path, [b"one", b"two"]).body == b"onetwo"
    app.config["MAX_CONTENT_LENGTH"] = 3
    for path in ("/whole", "/pieces"):
        assert gateway.post(app, path, [b"one", b"two"]).status == 413
