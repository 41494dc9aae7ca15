"""Bodies on their way to the client: sent as they come, closed whatever happens, files as they were opened."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from contextlib import suppress

import pytest

import kolben
import kolben.asgi.send
from kolben import Response, abort, after_this_request, request, send_file, stream_with_context
from kolben.sse import event_stream

PATIENCE = 20


@pytest.fixture
def app() -> kolben.Flask:
    return kolben.Flask(__name__)


def make(is_async, function):
    """Make a view of a plain function."""

    async def view(**values):
        return function(**values)

    return view if is_async else lambda **values: function(**values)


both = pytest.mark.parametrize("is_async", [True, False], ids=["async", "plain"])


def scope(path="/", method="GET", headers=(), **more):
    return {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(b"host", b"localhost"), *headers],
        "query_string": b"",
        "http_version": "1.1",
        **more,
    }


# -- files ----------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("what", ["removed", "replaced", "removed in the background"])
@pytest.mark.parametrize("size", [10, 100_000, 900_000])
def test_the_file_that_the_view_has_opened_is_sent(app, gateway, tmp_path, is_async, what, size):
    """Whatever becomes of its name, and whatever a server could do with that."""
    path, other = tmp_path / "file.bin", tmp_path / "other.bin"
    path.write_bytes(b"x" * size)
    other.write_bytes(b"y" * size)

    def view():
        if what == "removed":
            after_this_request(lambda response: os.remove(path) or response)
        elif what == "replaced":
            after_this_request(lambda response: os.replace(other, path) or response)
        else:
            app.add_background_task(os.remove, path)
        return send_file(path)

    app.get("/")(make(is_async, view))
    reply = gateway.get(app, "/", scope={"extensions": {"http.response.pathsend": {}}})
    asyncio.run(app.shutdown())
    assert (reply.status, reply.body) == (200, b"x" * size)


# -- bodies that come slowly ----------------------------------------------------------------


@both
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_body_of_known_length_is_sent_as_it_comes(app, is_async, kind):
    arrived = threading.Event()

    def slow():
        yield b"first"
        assert arrived.wait(PATIENCE)
        yield b"second"

    async def slow_async():
        yield b"first"
        while not arrived.is_set():  # noqa: ASYNC110 (of a thread)
            await asyncio.sleep(0.001)
        yield b"second"

    def view():
        return Response(
            slow() if kind == "plain" else slow_async(), headers={"Content-Length": "11"}
        )

    app.get("/")(make(is_async, view))
    got = []

    async def send(message):
        if message.get("body"):
            got.append(message["body"])
            arrived.set()

    async def receive():
        await asyncio.sleep(PATIENCE)

    asyncio.run(app.asgi_app(scope(), receive, send))
    assert got == [b"first", b"second"]


class Whole:
    """An iterator whose last piece is all of the body, and that has something to do after it."""

    def __init__(self, log):
        self.log = log
        self.left = [b"whole"]

    def __iter__(self):
        return self

    def __next__(self):
        if self.left:
            return self.left.pop()
        self.log.append("exhausted")
        raise StopIteration

    def close(self):
        self.log.append("closed")


@both
def test_a_body_is_run_to_its_end_after_it_was_sent(app, is_async):
    log = []
    app.get("/")(make(is_async, lambda: Response(Whole(log), headers={"Content-Length": "5"})))

    async def send(message):
        if message["type"] == "http.response.body":
            log.append((message["body"], message["more_body"]))

    asyncio.run(app.asgi_app(scope(), None, send))
    assert log == [(b"whole", False), "exhausted", "closed"]


# -- what is to be done after the answer ----------------------------------------------------


def later():
    yield "hello"


async def later_async():
    yield "hello"


AFTER = {
    "text": lambda: Response("hello"),
    "pieces": lambda: Response(["hel", "lo"]),
    "generator": lambda: Response(later()),
    "generator of known length": lambda: Response(later(), headers={"Content-Length": "5"}),
    "async generator": lambda: Response(later_async()),
}


@both
@pytest.mark.parametrize("kind", AFTER)
def test_what_is_to_be_done_after_the_answer_is_done_after_it(app, gateway, is_async, kind):
    """In Flask's order: teardown, the body, the functions in the order in which they were added."""
    log = []
    done = threading.Event()

    @app.teardown_request
    def torn_down(error):
        log.append("teardown")

    def view():
        app.add_background_task(lambda: (log.append("task"), done.set()))
        response = AFTER[kind]()
        response.call_on_close(lambda: log.append("close 1"))
        response.call_on_close(lambda: log.append("close 2"))
        return response

    app.get("/")(make(is_async, view))
    if gateway.is_asgi:

        async def send(message):
            if message["type"] == "http.response.body" and message["body"]:
                log.append("sent")

        async def ask():
            async with app.test_app():
                await app.asgi_app(scope(), Client().receive, send)

        asyncio.run(ask())
    else:
        gateway.get(app, "/")
        assert done.wait(PATIENCE)
        asyncio.run(app.shutdown())
        log.insert(1, "sent")
    # A task may begin before the second function has ended: both are after the answer.
    assert log[:2] == ["teardown", "sent"] or log[:3] == ["teardown", "sent", "sent"]
    rest = [entry for entry in log if entry.startswith("close")]
    assert rest == ["close 1", "close 2"]
    assert "task" in log


# -- clients that leave ---------------------------------------------------------------------


class Client:
    """A client that leaves after so many messages."""

    def __init__(self, leave_after=None, body=()):
        self.sent = []
        self.body = list(body)
        self.leave_after = leave_after
        self.gone = asyncio.Event()

    async def receive(self):
        if self.body:
            return {"type": "http.request", "body": self.body.pop(0), "more_body": bool(self.body)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message["type"])
        if self.leave_after is not None and len(self.sent) >= self.leave_after:
            self.gone.set()


@both
def test_an_async_producer_that_never_waits_leaves_the_loop_to_others(app, is_async):
    log = []

    def view():
        async def endless():
            try:
                while True:
                    yield b"x" * 10
            finally:
                log.append("closed")

        return Response(endless())

    app.get("/")(make(is_async, view))

    async def test():
        client = Client(leave_after=1000)
        await asyncio.wait_for(app.asgi_app(scope(), client.receive, client.send), PATIENCE)
        assert log == ["closed"]

    asyncio.run(test())


# -- a send that raises, a task that is cancelled, anywhere ---------------------------------


class Pieces:
    """A body that says when it was made and when it is closed."""

    def __init__(self, log, count=3):
        self.log = log
        self.left = count
        log.append("opened")

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        self.left -= 1
        return "piece"

    is_closed = False

    def close(self):
        if not self.is_closed:
            self.is_closed = True
            self.log.append("closed")


class AsyncPieces(Pieces):
    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self):
        self.close()
        await asyncio.sleep(0)

    __iter__ = None


class File(io.BytesIO):
    def __init__(self, log, size):
        super().__init__(b"x" * size)
        self.log = log
        log.append("opened")

    def close(self):
        if not self.closed:
            self.log.append("closed")
        super().close()


def with_callback(log, *args, **kwargs):
    response = Response(*args, **kwargs)
    log.append("opened")
    response.call_on_close(lambda: log.append("closed"))
    return response


def raised(log):
    abort(with_callback(log, "no", 409))


LENGTH = {"Content-Length": "15"}
KINDS = {
    "text": lambda log: "text",
    "called on close": lambda log: with_callback(log, "text"),
    "several called on close": lambda log: with_callback(log, ["a", "b"]),
    "raised": raised,
    "iterator": Pieces,
    "iterator and called on close": lambda log: with_callback(log, Pieces(log)),
    "iterator of known length": lambda log: Response(Pieces(log), headers=LENGTH),
    "async iterator": AsyncPieces,
    "async iterator and called on close": lambda log: with_callback(log, AsyncPieces(log)),
    "with context": lambda log: Response(stream_with_context(Pieces(log))),
    "async with context": lambda log: Response(stream_with_context(AsyncPieces(log))),
    "small file": lambda log: send_file(File(log, 100), "text/plain"),
    "large file": lambda log: send_file(File(log, 900_000), "text/plain"),
    "part of a file": lambda log: send_file(File(log, 900_000), "text/plain", conditional=True),
    "events": lambda log: event_stream(AsyncPieces(log), heartbeat=None),
    "status and headers": lambda log: (Pieces(log), 201, {"X-A": "b"}),
}


def program(kind, hooks, is_async, reads):
    app = kolben.Flask(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    log = []

    async def pause():
        await asyncio.sleep(0)

    def before():
        log.append("begin")

    def after(response):
        return response

    def torn_down(error):
        log.append("teardown")

    async def before_async():
        log.append("begin")
        await pause()

    async def after_async(response):
        await pause()
        return response

    async def torn_down_async(error):
        log.append("teardown")
        await pause()

    app.before_request(before_async if hooks == "async" else before)
    if hooks != "few":
        app.after_request(after_async if hooks == "async" else after)
        app.teardown_appcontext(torn_down_async if hooks == "async" else torn_down)
    app.teardown_request(torn_down_async if hooks == "async" else torn_down)

    def view():
        if reads:
            assert request.get_data() == b"abc" * reads
        return KINDS[kind](log)

    async def view_async():
        await pause()
        return view()

    app.post("/")(view_async if is_async else view)
    return app, log


def check(log, hooks):
    expected = 1 if hooks == "few" else 2
    assert log.count("opened") == log.count("closed"), log
    if "begin" in log:
        assert log.count("teardown") == expected, log


class Broken(Client):
    """A server that raises at the n-th call."""

    def __init__(self, at, where, error, body):
        super().__init__(body=body)
        self.left = at
        self.where = where
        self.error = error
        self.has_raised = False

    def count(self, where):
        if where == self.where:
            self.left -= 1
            if self.left < 0:
                self.has_raised = True
                raise self.error

    async def receive(self):
        self.count("receive")
        return await super().receive()

    async def send(self, message):
        self.count("send")
        await super().send(message)


def request_of(kind, reads):
    headers = [(b"content-length", b"%d" % (3 * reads))]
    if kind == "part of a file":
        headers.append((b"range", b"bytes=100-500000"))
    return scope(method="POST", headers=headers)


async def one_call(app, asked, client):
    before = asyncio.all_tasks()
    with suppress(OSError, RuntimeError):
        await asyncio.wait_for(app.asgi_app(asked, client.receive, client.send), PATIENCE)
    assert asyncio.all_tasks() == before, "something was left running"


@both
@pytest.mark.parametrize("hooks", ["few", "plain", "async"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_raises_anywhere_leaves_nothing_open(kind, hooks, is_async):
    async def test():
        for reads in (0, 2):
            for where in ("send", "receive"):
                for error in (OSError("gone"), RuntimeError("closed")):
                    at = 0
                    has_raised = True
                    while has_raised:
                        app, log = program(kind, hooks, is_async, reads)
                        client = Broken(at, where, error, [b"abc"] * reads)
                        await one_call(app, request_of(kind, reads), client)
                        check(log, hooks)
                        has_raised = client.has_raised
                        at += 1

    asyncio.run(test())


class Counted:
    """Awaits a coroutine, and cancels the task that does at the n-th time that it waits."""

    def __init__(self, coroutine, at):
        self.coroutine = coroutine
        self.at = at
        self.has_cancelled = False

    def __await__(self):
        task = asyncio.current_task()
        inner = self.coroutine.__await__()
        error = None
        waits = 0
        while True:
            try:
                waited = inner.send(None) if error is None else inner.throw(error)
            except StopIteration as stop:
                return stop.value
            if waits == self.at:
                self.has_cancelled = True
                asyncio.get_running_loop().call_soon(task.cancel)
            waits += 1
            error = None
            try:
                yield waited
            except BaseException as thrown:
                error = thrown


async def wait_for(counted):
    await counted


@both
@pytest.mark.parametrize("hooks", ["few", "plain", "async"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_task_that_is_cancelled_at_any_await_leaves_nothing_open(kind, hooks, is_async):
    async def test():
        for reads in (0, 2):
            at = 0
            has_cancelled = True
            while has_cancelled:
                app, log = program(kind, hooks, is_async, reads)
                client = Client(body=[b"abc"] * reads)
                before = asyncio.all_tasks()
                counted = Counted(
                    app.asgi_app(request_of(kind, reads), client.receive, client.send), at
                )
                with suppress(asyncio.CancelledError):
                    await asyncio.create_task(wait_for(counted))
                assert asyncio.all_tasks() == before, "something was left running"
                check(log, hooks)
                has_cancelled = counted.has_cancelled
                at += 1

    asyncio.run(test())


@both
@pytest.mark.parametrize("kind", ["async iterator", "async with context", "iterator", "events"])
def test_a_task_that_is_cancelled_at_any_time_leaves_nothing_open(kind, is_async):
    """Also where what produces the body is waiting, and not the task that is cancelled."""

    async def test():
        for turns in range(60):
            app, log = program(kind, "async", is_async, 0)
            client = Client()
            before = asyncio.all_tasks()
            task = asyncio.create_task(
                app.asgi_app(request_of(kind, 0), client.receive, client.send)
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == before, "something was left running"
            check(log, "async")

    asyncio.run(test())


def test_a_receive_that_raises_does_not_end_the_response(app):
    app.get("/")(make(True, lambda: iter([b"a", b"b"])))
    sent = []

    async def receive():
        raise RuntimeError("no such thing")

    async def send(message):
        sent.append(message.get("body"))

    asyncio.run(app.asgi_app(scope(), receive, send))
    assert sent == [None, b"a", b"b", b""]


# -- what cannot be sent --------------------------------------------------------------------


class Unwritable(Response):
    """Fails when its headers are written."""

    def get_wsgi_headers(self, environ):
        raise ValueError("its headers cannot be written")


def failing(log):
    try:
        raise ValueError("its first piece cannot be made")
        yield b""
    finally:
        log.append("closed")


def unwritable(log):
    response = Unwritable(iter([b"a", b"b"]))
    response.call_on_close(lambda: log.append("closed"))
    return response


@pytest.mark.parametrize(
    ("is_async", "make_result"),
    [
        (True, unwritable),
        (True, lambda log: Response(failing(log), headers={"Content-Length": "5"})),
        (False, lambda log: Response(failing(log), headers={"Content-Length": "5"})),
    ],
    ids=["headers", "first piece", "first piece of a plain view"],
)
def test_what_fails_before_it_is_sent_is_closed(app, is_async, make_result):
    log, sent = [], []
    app.get("/")(make(is_async, lambda: make_result(log)))

    async def send(message):
        sent.append(message)

    async def ask():
        # As under WSGI, what the response itself raises is the server's to log.
        with pytest.raises(ValueError, match="cannot be"):
            await app.asgi_app(scope(), Client().receive, send)

    asyncio.run(ask())
    assert (log, sent) == (["closed"], [])


class NeverStarted:
    """A WSGI application that forgets to call ``start_response``."""

    def __init__(self, log):
        self.log = log

    def __call__(self, environ, start_response):
        return self

    def __iter__(self):
        return iter([b"body"])

    def close(self):
        self.log.append("closed")


@pytest.mark.parametrize("inner", [NeverStarted, failing], ids=["never", "failing"])
def test_middleware_that_never_starts_its_answer_is_closed(app, inner):
    log = []
    app.wsgi_app = lambda environ, start_response: wsgi(environ, start_response)

    def wsgi(environ, start_response):
        return inner(log) if inner is failing else inner(log)(environ, start_response)

    async def ask():
        with pytest.raises(ValueError, match=r"piece|unpack"):
            await app.asgi_app(scope(), Client().receive, Client().send)

    asyncio.run(ask())
    assert log == ["closed"]


def test_a_response_whose_close_fails_too_is_logged(app, caplog):
    @app.get("/")
    async def view():
        response = Unwritable("text")
        response.call_on_close(lambda: 1 / 0)
        return response

    async def ask():
        with pytest.raises(ValueError, match=r"its headers cannot be written"):
            await app.asgi_app(scope(), Client().receive, Client().send)

    asyncio.run(ask())
    assert "was not closed properly" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def some_empty():
    for piece in (b"", b"a", b"", b"b", b""):
        yield piece


@both
@pytest.mark.parametrize(
    "make_pieces",
    [some_empty, lambda: iter([b"", b"a", b"", b"b", b""])],
    ids=["async pieces", "plain pieces"],
)
def test_empty_pieces_are_not_sent(app, gateway, is_async, make_pieces):
    """An empty chunk would end the body for the client (RFC 9112, section 7.1)."""
    app.get("/")(make(is_async, lambda: Response(make_pieces())))
    pieces = gateway.get(app, "/").pieces
    if gateway.is_asgi:
        assert pieces == [b"a", b"b"]
    assert b"".join(pieces) == b"ab"


@both
def test_pieces_that_are_passed_through_are_closed(app, is_async):
    log = []

    async def pieces():
        try:
            yield b"piece"
        finally:
            log.append("closed")

    app.get("/")(make(is_async, lambda: Response(pieces(), direct_passthrough=True)))

    async def ask(client):
        await app.asgi_app(scope(), client.receive, client.send)

    asyncio.run(ask(client := Client()))
    assert client.sent == ["http.response.start"] + ["http.response.body"] * 2
    assert log == ["closed"]


def test_names_and_statuses_are_remembered_to_an_end(app, monkeypatch):
    """Programs may make them of what clients send, which must not fill the memory."""
    names, codes = kolben.asgi.send._HeaderNames(), kolben.asgi.send._Codes()
    monkeypatch.setattr(kolben.asgi.send, "_names", names)
    monkeypatch.setattr(kolben.asgi.send, "_codes", codes)
    monkeypatch.setattr(kolben.wrappers, "ordinary_headers", {})  # kept from filling up, too

    @app.get("/<int:number>")
    async def view(number):
        return Response("", f"200 Number {number}", {f"X-{number}-{n}": "y" for n in range(10)})

    async def ask():
        client = app.async_test_client()
        for number in range(codes._MOST + 10):
            reply = await client.get(f"/{number}")
            assert reply.status_code == 200
            assert reply.headers[f"x-{number}-9"] == "y"

    asyncio.run(ask())
    assert (len(names), len(codes)) == (names._MOST, codes._MOST)


def test_types_are_remembered_to_an_end():
    types = kolben.asgi.send._EncodedTypes()
    headers = [types[f"text/x-{number}"] for number in range(kolben.asgi.send._MOST_TYPES + 5)]
    assert headers[-1] == (
        b"content-type",
        f"text/x-{len(headers) - 1}; charset=utf-8".encode(),
    )
    assert len(types) == kolben.asgi.send._MOST_TYPES
