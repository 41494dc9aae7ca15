"""Server-sent events: how they are written, sent, kept alive and closed."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import kolben
from kolben import stream_with_context
from kolben.sse import ServerSentEvent, event_stream
from streams import producer


@pytest.fixture
def app():
    return kolben.Flask("program", static_folder=None)


def both(name):
    return pytest.mark.parametrize(name, [False, True], ids=["plain", "async"])


def test_event_is_encoded():
    event = ServerSentEvent("two\nlines\r\nor\rmore é", event="kind", id=7, retry=2000)
    assert event.encode().decode() == (
        "event: kind\nid: 7\nretry: 2000\ndata: two\ndata: lines\ndata: or\ndata: more é\n\n"
    )
    assert ServerSentEvent().encode() == b"data: \n\n"
    assert ServerSentEvent(retry=1).encode() == b"retry: 1\n\n"
    with pytest.raises(ValueError, match="event of a server-sent event"):
        ServerSentEvent("x", event="a\nb")
    with pytest.raises(ValueError, match="id of a server-sent event"):
        ServerSentEvent("x", id="a\0")


@both("is_async")
def test_events_are_sent_with_their_headers(app, gateway, is_async):
    log = []
    events = ["one", ServerSentEvent("two", id=2)]
    app.get("/")(lambda: event_stream(producer(is_async, log, events)(), retry=500))
    reply = gateway.get(app, "/")
    assert reply.pieces == [b"retry: 500\n\n", b"data: one\n\n", b"id: 2\ndata: two\n\n"]
    assert reply.header("content-type").startswith("text/event-stream")
    assert reply.header("cache-control") == "no-store"
    assert [name for name, _ in log] == ["exhausted", "closed"]


@both("is_async")
def test_heartbeat_while_there_is_nothing_to_tell(app, gateway, is_async):
    go_on = threading.Event()

    @app.get("/")
    def view():
        async def later():
            await asyncio.to_thread(go_on.wait, 10)
            yield "now"

        def plain():
            go_on.wait(10)
            yield "now"

        return event_stream((later if is_async else plain)(), heartbeat=0.05)

    timer = threading.Timer(0.3, go_on.set)
    timer.start()
    reply = gateway.get(app, "/")
    timer.join()
    assert reply.pieces[:2] == [b":\n\n"] * 2
    assert reply.pieces[-1] == b"data: now\n\n"


@both("is_async")
@pytest.mark.parametrize("leave_after", [0, 1, 2])
def test_events_are_closed_when_the_client_leaves(app, gateway, is_async, leave_after):
    log = []
    threads = threading.active_count()

    def view():
        events = producer(is_async, log, ["x"] * 1000)()
        return event_stream(stream_with_context(events), heartbeat=None)

    app.get("/")(view)
    gateway.get(app, "/", leave_after=leave_after)
    assert log in ([("closed", "/")], [] if leave_after == 0 else None)
    deadline = time.monotonic() + 5
    while threading.active_count() > threads + 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= threads + 1


@both("is_async")
def test_error_in_the_source_reaches_the_server(app, gateway, is_async):
    log = []
    app.get("/")(lambda: event_stream(producer(is_async, log, "ab", ValueError("source"))()))
    with pytest.raises(ValueError, match="source"):
        gateway.get(app, "/")
    assert [name for name, _ in log] == ["closed"]


def test_what_is_no_generator_is_sent_too(app, gateway):
    """A list, and an asynchronous iterator without a way to close it."""

    class Numbers:
        left = 2

        def __aiter__(self):
            return self

        async def __anext__(self):
            if self.left == 0:
                raise StopAsyncIteration
            self.left -= 1
            return str(self.left)

    app.get("/list")(lambda: event_stream(["a", "b"]))
    app.get("/numbers", endpoint="numbers")(lambda: event_stream(Numbers()))
    assert gateway.get(app, "/list").body == b"data: a\n\ndata: b\n\n"
    assert gateway.get(app, "/numbers").body == b"data: 1\n\ndata: 0\n\n"


@both("is_async")
def test_a_head_request_begins_no_source(app, gateway, is_async):
    log = []
    app.get("/")(lambda: event_stream(producer(is_async, log, "ab")()))
    gateway.get(app, "/", method="HEAD")
    assert log == []  # it was never begun
