"""WebSockets through ASGI, without a server."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

import kolben
from kolben import (
    WebSocketDisconnect,
    abort,
    copy_current_websocket_context,
    current_app,
    g,
    has_websocket_context,
    request,
    session,
    url_for,
    websocket,
)
from kolben.async_testing import WebSocketDenied
from kolben.signals import got_request_exception
from kolben.websockets import InvalidMessage, is_origin_allowed


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__)
    app.secret_key = "key"

    @app.get("/page")
    def page():
        return "page"

    @app.websocket("/echo")
    async def echo():
        async for message in websocket:
            await websocket.send(message)

    return app


def run(coroutine):
    """Run an async test. Tasks that it leaves behind make it fail."""

    async def alone():
        await asyncio.wait_for(coroutine, 20)
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left

    asyncio.run(alone())


def connect(app, path, **options):
    return app.async_test_client().websocket(path, **options)


async def denial(app, path, **options):
    with pytest.raises(WebSocketDenied) as caught:
        async with connect(app, path, **options):
            pass
    return caught.value.response


# ---- messages -----------------------------------------------------------------------------


def test_text_and_bytes_are_echoed(app):
    async def test():
        async with connect(app, "/echo") as ws:
            await ws.send("grüße")
            assert await ws.receive() == "grüße"
            await ws.send(b"\xff\x00")
            assert await ws.receive() == b"\xff\x00"
            await ws.send("")
            assert await ws.receive() == ""

    run(test())


def test_json(app):
    @app.websocket("/json")
    async def json():
        data = await websocket.receive_json()
        await websocket.send_json({"got": data})
        await websocket.send_json(a=1)

    async def test():
        async with connect(app, "/json") as ws:
            await ws.send_json([1, "ä"])
            assert await ws.receive_json() == {"got": [1, "ä"]}
            assert await ws.receive_json() == {"a": 1}

    run(test())


@pytest.mark.parametrize("message", ["{", b"\xff", "", "[" * 100_000])
def test_what_is_not_json_closes_with_1007(app, caplog, message):
    @app.websocket("/json")
    async def json():
        await websocket.receive_json()

    async def test():
        async with connect(app, "/json") as ws:
            await ws.send(message)
            with pytest.raises(WebSocketDisconnect) as caught:
                await ws.receive()
            assert caught.value.code == 1007

    run(test())
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is None


def test_what_is_not_json_can_be_caught(app):
    @app.websocket("/json")
    async def json():
        try:
            await websocket.receive_json()
        except InvalidMessage:
            await websocket.send("again, please")

    async def test():
        async with connect(app, "/json") as ws:
            await ws.send("{")
            assert await ws.receive() == "again, please"

    run(test())


def test_only_text_and_bytes_are_sent(app):
    @app.websocket("/wrong")
    async def wrong():
        with pytest.raises(TypeError, match="send_json"):
            await websocket.send({"a": 1})
        await websocket.send(bytearray(b"right"))

    async def test():
        async with connect(app, "/wrong") as ws:
            assert await ws.receive() == b"right"

    run(test())


def test_sending_and_receiving_from_two_tasks(app):
    @app.websocket("/both")
    async def both():
        async def produce():
            for i in range(3):
                await websocket.send(str(i))

        async def consume():
            g.got = [await websocket.receive() for _ in range(3)]

        await asyncio.gather(produce(), consume())
        await websocket.send("".join(g.got))

    async def test():
        async with connect(app, "/both") as ws:
            assert [await ws.receive() for _ in range(3)] == ["0", "1", "2"]
            for letter in "abc":
                await ws.send(letter)
            assert await ws.receive() == "abc"

    run(test())


def test_a_server_never_sees_a_receive_that_is_given_up(app):
    """ASGI does not say that a cancelled receive() takes no message; here it does."""
    arrived = asyncio.Queue()
    sent = []

    async def receive():
        try:
            return await arrived.get()
        except asyncio.CancelledError:
            raise AssertionError("receive() was cancelled") from None

    async def send(message):
        sent.append(message.get("text"))

    @app.websocket("/impatient")
    async def impatient():
        await websocket.accept()
        message = ""
        while message != "end":
            with contextlib.suppress(TimeoutError):
                message = await asyncio.wait_for(websocket.receive(), 0.001)
                await websocket.send(message)

    async def test():
        arrived.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": "/impatient", "headers": [], "query_string": b""}
        task = asyncio.create_task(app.asgi_app(scope, receive, send))
        for n in range(100):
            arrived.put_nowait({"type": "websocket.receive", "text": str(n)})
            await asyncio.sleep(n % 4 / 1000)
        arrived.put_nowait({"type": "websocket.receive", "text": "end"})
        await task
        assert sent[1:-2] == [*map(str, range(100))]

    run(test())


def test_a_handler_that_only_sends_leaves_the_loop_to_others_and_hears_of_the_end(app):
    ended = []

    @app.websocket("/ticks")
    async def ticks():
        try:
            while True:
                await websocket.send("tick")
        finally:
            ended.append(websocket.close_code)

    async def test():
        async with connect(app, "/ticks") as ws:
            assert await ws.receive() == "tick"
        assert ended == [1000]

    run(test())


def test_send_waits_for_the_server(app):
    """A server that cannot get rid of its data does not return from send()."""
    sent = []

    @app.websocket("/flood")
    async def flood():
        while True:
            sent.append(await websocket.send("x" * 1000))

    async def test():
        gate = asyncio.Semaphore(5)

        async def send(message):
            await gate.acquire()

        task = asyncio.create_task(serve(app, "/flood", send=send))
        await asyncio.sleep(0.05)
        assert len(sent) == 4  # and one place for the accept
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run(test())


async def serve(app, path="/echo", receive=None, send=None, **scope):
    messages = asyncio.Queue()
    await messages.put({"type": "websocket.connect"})

    async def drop(message):
        pass

    await app.asgi_app(
        {"type": "websocket", "path": path, "headers": [(b"host", b"h")], **scope},
        receive or messages.get,
        send or drop,
    )


# ---- what a handler sees ------------------------------------------------------------------


def test_the_handshake_can_be_read(app):
    @app.websocket("/room/<int:number>")
    async def room(number):
        await websocket.send_json(
            number=number,
            path=websocket.path,
            url=websocket.url,
            args=websocket.args.to_dict(),
            cookie=websocket.cookies["c"],
            header=websocket.headers["X-A"],
            endpoint=websocket.endpoint,
            offered=websocket.requested_subprotocols,
            view_args=websocket.view_args,
            addr=websocket.remote_addr,
        )

    async def test():
        client = app.async_test_client()
        client.set_cookie("c", "v")
        async with client.websocket(
            "/room/7",
            query_string={"q": "ü"},
            headers={"X-A": "b"},
            subprotocols=["chat"],
        ) as ws:
            assert await ws.receive_json() == {
                "number": 7,
                "path": "/room/7",
                "url": "ws://localhost/room/7?q=ü",
                "args": {"q": "ü"},
                "cookie": "v",
                "header": "b",
                "endpoint": "room",
                "offered": ["chat"],
                "view_args": {"number": 7},
                "addr": "127.0.0.1",
            }

    run(test())


def test_contexts(app):
    @app.websocket("/contexts")
    async def contexts():
        g.a = 1
        assert current_app == app
        assert has_websocket_context()
        assert request.path == websocket.path == "/contexts"

        async def elsewhere():
            await websocket.send(url_for("page") + " " + url_for("echo") + f" {g.a}")

        await asyncio.create_task(elsewhere())

    async def test():
        async with connect(app, "/contexts") as ws:
            assert await ws.receive() == "/page ws://localhost/echo 1"
        assert not has_websocket_context()

    run(test())


def test_websocket_outside_of_a_handler_explains_itself(app):
    with pytest.raises(RuntimeError, match=r"@app\.websocket"):
        str(websocket.path)
    with app.test_request_context(), pytest.raises(RuntimeError, match=r"@app\.websocket"):
        str(websocket.path)
    assert not has_websocket_context()
    with pytest.raises(RuntimeError, match="handler"):
        copy_current_websocket_context(print)


def test_a_copied_context_is_seen_elsewhere(app):
    @app.websocket("/copied")
    async def copied():
        loop = asyncio.get_running_loop()
        outside = loop.run_in_executor  # threads of an executor have no context

        @copy_current_websocket_context
        def plain():
            return websocket.path

        @copy_current_websocket_context
        async def coroutine():
            return websocket.path

        assert await outside(None, plain) == "/copied"
        assert await outside(None, lambda: asyncio.run(coroutine())) == "/copied"
        await websocket.send("fine")

    async def test():
        async with connect(app, "/copied") as ws:
            assert await ws.receive() == "fine"

    run(test())


def test_subprotocols(app):
    @app.websocket("/protocol")
    async def protocol():
        with pytest.raises(ValueError, match="offers"):
            await websocket.accept(subprotocol="other")
        await websocket.accept({"X-A": "b"}, subprotocol=websocket.requested_subprotocols[1])
        with pytest.raises(RuntimeError, match="before"):
            await websocket.accept()
        assert websocket.subprotocol == "v2"

    async def test():
        async with connect(app, "/protocol", subprotocols=["v1", "v2"]) as ws:
            assert ws.subprotocol == "v2"
            assert ws.accept_headers["x-a"] == "b"

    run(test())


# ---- the session --------------------------------------------------------------------------


def test_the_session_is_read_and_saved_with_the_accept(app, caplog):
    @app.websocket("/session")
    async def with_session():
        session["n"] = session.get("n", 0) + 1
        await websocket.send(str(session["n"]))

    async def test():
        client = app.async_test_client()
        for n in "123":
            async with client.websocket("/session") as ws:
                assert await ws.receive() == n

    run(test())
    assert not caplog.records


def test_a_change_after_the_accept_is_warned_about(app, caplog):
    @app.websocket("/late")
    async def late():
        await websocket.accept()
        session["n"] = 1

    async def test():
        async with connect(app, "/late") as ws:
            assert "Set-Cookie" not in ws.accept_headers

    run(test())
    assert "before accept()" in caplog.text


def test_a_session_that_needs_no_cookie_is_saved_at_the_end(app):
    saved = []

    class Interface(kolben.sessions.SessionInterface):
        def open_session(self, app, request):
            return kolben.sessions.SecureCookieSession()

        def save_session(self, app, session, response):
            saved.append(dict(session))

    app.session_interface = Interface()

    @app.websocket("/late")
    async def late():
        await websocket.accept()
        session["n"] = 1

    async def test():
        async with connect(app, "/late"):
            pass

    run(test())
    assert saved[-1] == {"n": 1}


# ---- the end ------------------------------------------------------------------------------


async def code_of(ws):
    with pytest.raises(WebSocketDisconnect) as caught:
        await ws.receive()
    return caught.value.code, caught.value.reason


def test_a_handler_that_returns_closes_with_1000(app):
    @app.websocket("/end")
    async def end():
        await websocket.accept()

    async def test():
        async with connect(app, "/end") as ws:
            assert await code_of(ws) == (1000, "")

    run(test())


def test_a_handler_chooses_code_and_reason(app):
    @app.websocket("/end")
    async def end():
        await websocket.accept()
        for code in (999, 1004, 1005, 1006, 1015, 2000, 5000):
            with pytest.raises(ValueError, match="close code"):
                await websocket.close(code)
        with pytest.raises(ValueError, match="123"):
            await websocket.close(1000, "ä" * 62)
        await websocket.close(4001, "ä" * 61)
        await websocket.close(1000)
        with pytest.raises(WebSocketDisconnect):
            await websocket.send("too late")

    async def test():
        async with connect(app, "/end") as ws:
            assert await code_of(ws) == (4001, "ä" * 61)

    run(test())


def test_a_handler_reads_why_the_client_left(app):
    seen = []

    @app.websocket("/read")
    async def read():
        try:
            await websocket.receive()
        except WebSocketDisconnect as error:
            seen.append((error.code, error.reason, str(error)))
        seen.append((websocket.close_code, websocket.close_reason))
        with pytest.raises(WebSocketDisconnect):
            await websocket.receive()
        with pytest.raises(WebSocketDisconnect):
            await websocket.send("x")

    async def test():
        async with connect(app, "/read") as ws:
            await ws.close(4000, "bye")

    run(test())
    assert seen == [(4000, "bye", "The WebSocket is closed: 4000 bye"), (4000, "bye")]


def test_a_client_that_leaves_ends_the_handler_quietly(app, caplog):
    torn_down = []
    app.teardown_websocket(lambda error: torn_down.append(error))

    @app.websocket("/read")
    async def read():
        while True:
            await websocket.receive()

    async def test():
        async with connect(app, "/read") as ws:
            await ws.disconnect()

    run(test())
    assert torn_down == [None]
    assert not caplog.records


def test_a_handler_that_never_receives_is_cancelled_when_the_client_leaves(app, caplog):
    app.config["WEBSOCKET_LEAVE_TIMEOUT"] = 0.01
    ended = []

    @app.websocket("/push")
    async def push():
        await websocket.send("hello")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(websocket.path)

    async def test():
        async with connect(app, "/push") as ws:
            assert await ws.receive() == "hello"
            await ws.send("nobody reads this")

    run(test())
    assert ended == ["/push"]
    assert not caplog.records


def test_what_came_while_the_handler_was_busy_is_received(app):
    app.config["WEBSOCKET_LEAVE_TIMEOUT"] = 0.01

    @app.websocket("/busy")
    async def busy():
        await websocket.accept()
        await asyncio.sleep(0.05)
        got = [await websocket.receive() for _ in range(3)]
        await websocket.send("".join(got))
        await websocket.receive()

    async def test():
        async with connect(app, "/busy") as ws:
            await ws.send("a")
            await ws.send("b")
            await asyncio.sleep(0.1)
            await ws.send("c")
            assert await ws.receive() == "abc"
            await ws.close(4000)

    run(test())


def test_a_server_that_cannot_send_any_more_ends_the_handler(app):
    torn_down = []
    app.teardown_websocket(lambda error: torn_down.append(error))

    @app.websocket("/push")
    async def push():
        while True:
            await websocket.send("x")

    async def send(message):
        if message["type"] == "websocket.send":
            raise OSError("gone")

    run(serve(app, "/push", send=send))
    assert torn_down == [None]


# ---- errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), ("/page", 400), ("/strict", 404), ("/aborts", 418)]
)
def test_errors_before_the_accept_are_answered(app, path, status):
    @app.websocket("/strict/")
    async def strict():
        pass

    @app.websocket("/aborts")
    async def aborts():
        abort(418)

    async def test():
        response = await denial(app, path)
        assert response.status_code == status

    run(test())


def test_error_handlers_answer(app):
    class Broken(Exception):
        pass

    @app.errorhandler(404)
    async def not_found(error):
        return {"error": "not here"}, 404

    @app.errorhandler(Broken)
    def broken(error):
        return f"broken: {websocket.path}", 503, {"X-A": "b"}

    @app.websocket("/broken")
    async def breaks():
        raise Broken

    async def test():
        response = await denial(app, "/nowhere")
        assert (response.status_code, response.json) == (404, {"error": "not here"})
        response = await denial(app, "/broken")
        assert (response.status_code, response.text) == (503, "broken: /broken")
        assert response.headers["X-A"] == "b"

    run(test())


@pytest.mark.parametrize("accepted", [False, True])
def test_an_unhandled_error_is_logged_once(app, caplog, accepted):
    told = []

    def receiver(sender, exception):
        told.append(exception)

    got_request_exception.connect(receiver, app)

    @app.websocket("/boom")
    async def boom():
        if accepted:
            await websocket.accept()
        raise ValueError("boom")

    async def test():
        if not accepted:
            assert (await denial(app, "/boom")).status_code == 500
            return
        async with connect(app, "/boom") as ws:
            assert await code_of(ws) == (1011, "")

    run(test())
    (record,) = caplog.records
    assert record.getMessage() == "Exception on /boom [WEBSOCKET]"
    assert record.exc_info[0] is ValueError
    assert [str(error) for error in told] == ["boom"]


def test_errors_reach_the_test(app):
    app.testing = True

    @app.websocket("/boom")
    async def boom():
        await websocket.accept()
        raise ValueError("boom")

    async def test():
        with pytest.raises(ValueError, match="boom"):
            async with connect(app, "/boom") as ws:
                assert await code_of(ws) == (1011, "")

    run(test())


def test_an_http_error_after_the_accept_is_1008(app, caplog):
    @app.websocket("/late")
    async def late():
        await websocket.accept()
        abort(403)

    async def test():
        async with connect(app, "/late") as ws:
            assert await code_of(ws) == (1008, "403 Forbidden")

    run(test())
    assert not caplog.records


def test_a_handler_refuses_by_returning_a_response(app):
    @app.websocket("/secret")
    async def secret():
        return "no", 401

    async def test():
        response = await denial(app, "/secret")
        assert (response.status_code, response.text) == (401, "no")

    run(test())


@pytest.mark.parametrize("closes", [False, True])
def test_a_handler_that_does_not_accept_refuses(app, closes):
    @app.websocket("/nothing")
    async def nothing():
        if closes:
            await websocket.close()

    async def test():
        assert (await denial(app, "/nothing")).status_code == 403

    run(test())


def test_servers_that_cannot_deny_with_a_response_get_a_close(app):
    sent = []

    async def send(message):
        sent.append(message)

    run(serve(app, "/nowhere", send=send))
    assert sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]


def test_a_value_returned_too_late_is_warned_about(app, caplog):
    @app.websocket("/late")
    async def late():
        await websocket.accept()
        return "nobody gets this"

    async def test():
        async with connect(app, "/late") as ws:
            assert await code_of(ws) == (1000, "")

    run(test())
    assert "after the WebSocket was accepted" in caplog.text


# ---- hooks --------------------------------------------------------------------------------


def test_the_order_of_hooks(app):
    log = []
    blueprint = kolben.Blueprint("b", __name__, url_prefix="/b")

    def note(text, result=None):
        log.append(text)
        return result

    @app.before_websocket
    async def app_before():
        await asyncio.sleep(0)
        note(f"app before {websocket.endpoint}")

    blueprint.before_app_websocket(lambda: note("b app before"))
    blueprint.before_websocket(lambda: note("b before"))
    blueprint.after_websocket(lambda response: note(f"b after {response}"))
    blueprint.teardown_websocket(lambda error: note(f"b teardown {error}"))
    blueprint.after_app_websocket(lambda response: note("b app after"))
    blueprint.teardown_app_websocket(lambda error: note("b app teardown"))

    @app.after_websocket
    async def app_after(response):
        return note("app after", response)

    @app.teardown_websocket
    async def app_teardown(error):
        note("app teardown")

    @app.teardown_appcontext
    async def context_teardown(error):
        note("context teardown")

    @app.url_value_preprocessor
    def preprocess(endpoint, values):
        note(f"preprocess {endpoint} {values}")
        values["x"] += 1

    @blueprint.websocket("/ws/<int:x>")
    async def handler(x):
        await websocket.accept()
        note(f"handler {x}")

    app.register_blueprint(blueprint)

    async def test():
        async with connect(app, "/b/ws/1") as ws:
            assert await code_of(ws) == (1000, "")

    run(test())
    assert log == [
        "preprocess b.handler {'x': 1}",
        "app before b.handler",
        "b app before",
        "b before",
        "handler 2",
        "b after None",
        "b app after",
        "app after",
        "b teardown None",
        "b app teardown",
        "app teardown",
        "context teardown",
    ]


def test_a_before_hook_refuses(app):
    @app.before_websocket
    def log_in():
        return "Log in first.", 401

    async def test():
        response = await denial(app, "/echo")
        assert (response.status_code, response.text) == (401, "Log in first.")

    run(test())


def test_an_after_hook_changes_the_refusal(app):
    @app.after_websocket
    def add(response):
        response.headers["X-A"] = "b"
        return response

    async def test():
        assert (await denial(app, "/nowhere")).headers["X-A"] == "b"

    run(test())


def test_teardown_hears_of_the_error(app, caplog):
    heard = []
    app.teardown_websocket(heard.append)
    app.testing = True

    @app.websocket("/boom")
    async def boom():
        await websocket.accept()
        raise ValueError("boom")

    async def test():
        with pytest.raises(ValueError, match="boom"):
            async with connect(app, "/boom"):
                pass

    run(test())
    assert [type(error) for error in heard] == [ValueError]


# ---- registration -------------------------------------------------------------------------


def test_a_plain_handler_is_refused(app):
    with pytest.raises(TypeError, match="'plain' must be an 'async def'"):

        @app.websocket("/plain")
        def plain():
            pass

    with pytest.raises(TypeError, match="generator"):

        @app.websocket("/generator")
        async def generator():
            yield

    with pytest.warns(UserWarning, match="with a URL rule"):

        @app.websocket
        async def bare():
            pass

    with pytest.raises(TypeError, match="list"):

        @app.websocket("/origins", origins="https://example.com")
        async def origins():
            pass


def test_a_taken_endpoint_is_refused(app):
    with pytest.raises(AssertionError, match="'echo' is taken"):

        @app.websocket("/other")
        async def echo():
            pass

    with pytest.raises(AssertionError, match="'page' is taken"):

        @app.websocket("/other2", endpoint="page")
        async def other():
            pass


def test_one_handler_for_two_urls(app):
    @app.websocket("/one")
    @app.websocket("/two")
    async def handler():
        await websocket.send(websocket.path)

    async def test():
        for path in ("/one", "/two"):
            async with connect(app, path) as ws:
                assert await ws.receive() == path

    run(test())


def test_http_and_websocket_under_one_path(app):
    @app.get("/both")
    def http():
        return "http"

    @app.websocket("/both")
    async def ws():
        await websocket.send("ws")

    async def test():
        client = app.async_test_client()
        assert (await client.get("/both")).text == "http"
        async with client.websocket("/both") as ws:
            assert await ws.receive() == "ws"

    run(test())
    assert app.test_client().get("/both").text == "http"


# ---- plain HTTP ---------------------------------------------------------------------------

UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade"}


@pytest.mark.parametrize("headers", [{}, UPGRADE])
def test_plain_requests_are_answered_with_426(app, headers):
    response = app.test_client().get("/echo", headers=headers)
    assert response.status_code == 426
    assert response.headers["Upgrade"] == "websocket"
    for server in ("granian", "uvicorn", "hypercorn"):
        assert server in response.text


def test_plain_requests_over_asgi_are_answered_with_426(app):
    async def test():
        response = await app.async_test_client().get("/echo")
        assert response.status_code == 426
        assert response.headers["Upgrade"] == "websocket"

    run(test())


@pytest.mark.parametrize("server", ["waitress", "WSGIServer/0.2 CPython/3.13"])
def test_servers_that_forbid_the_header_are_spared_it(app, server):
    response = app.test_client().get("/echo", environ_overrides={"SERVER_SOFTWARE": server})
    assert response.status_code == 426
    assert "Upgrade" not in response.headers


def test_426_can_be_handled(app):
    @app.errorhandler(kolben.websockets.UpgradeRequired)
    def upgrade(error):
        return "use the app", 426

    assert app.test_client().get("/echo").text == "use the app"


def test_rules_of_the_users_own_stay_as_they_were(app):
    app.add_url_rule("/own", "own", lambda: "own", websocket=True)
    client = app.test_client()
    assert client.get("/own").status_code == 400
    assert client.get("/own", headers=UPGRADE).text == "own"
    assert client.get("/page", headers=UPGRADE).status_code == 400


# ---- origins ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "answer"),
    [
        (None, "a.example", [], True),
        ("https://a.example", "a.example", [], True),
        ("https://a.example:443", "A.example", [], True),
        ("https://a.example", "a.example:443", [], True),
        ("http://a.example:5000", "a.example:5000", [], True),
        ("http://a.example:5000", "a.example", [], False),
        ("https://b.example", "a.example", [], False),
        ("https://a.example.evil", "a.example", [], False),
        ("null", "a.example", [], False),
        ("http://[::1", "a.example", [], False),
        ("", "a.example", [], False),
        ("null", "a.example", ["null"], True),
        ("https://b.example", "a.example", ["https://b.example/"], True),
        ("http://b.example", "a.example", ["https://b.example"], False),
        ("https://x.b.example", "a.example", ["https://*.b.example"], True),
        ("https://b.example", "a.example", ["https://*.b.example"], False),
        ("https://evilb.example", "a.example", ["https://*.b.example"], False),
        ("https://b.example", "a.example", ["*"], True),
    ],
)
def test_which_origins_are_allowed(origin, host, allowed, answer):
    assert is_origin_allowed(origin, host, allowed) is answer


def test_a_foreign_origin_is_refused(app, caplog):
    @app.websocket("/open", origins=["*"])
    async def open_():
        await websocket.accept()

    async def test():
        foreign = {"Origin": "https://evil.example"}
        assert (await denial(app, "/echo", headers=foreign)).status_code == 403
        async with connect(app, "/echo", headers={"Origin": "https://localhost"}):
            pass
        async with connect(app, "/open", headers=foreign):
            pass
        app.config["WEBSOCKET_ORIGINS"] = ["https://evil.example"]
        async with connect(app, "/echo", headers=foreign):
            pass

    run(test())
    (record,) = caplog.records
    assert "WEBSOCKET_ORIGINS" in record.getMessage()


# ---- signals ------------------------------------------------------------------------------


@contextlib.contextmanager
def heard(app, *names):
    """Listen to signals: what is heard is noted with what came along."""
    notes = []
    receivers = []
    for name in names:

        def receive(sender, name=name, **values):
            notes.append((name, *values.values(), websocket.path))

        receivers.append(receive)
        getattr(kolben, name).connect(receive, app)
    try:
        yield notes
    finally:
        for name, receive in zip(names, receivers, strict=True):
            getattr(kolben, name).disconnect(receive, app)


SIGNALS = ["websocket_started", "websocket_finished", "websocket_tearing_down"]
SIGNALS += ["got_websocket_exception", "got_request_exception"]


def test_signals_of_a_websocket_that_ends_well(app):
    async def test():
        async with connect(app, "/echo") as ws:
            await ws.send("x")
            await ws.receive()

    with heard(app, *SIGNALS) as notes:
        run(test())
    assert notes == [
        ("websocket_started", "/echo"),
        ("websocket_finished", None, "/echo"),
        ("websocket_tearing_down", None, "/echo"),
    ]


def test_signals_of_a_websocket_that_fails(app, caplog):
    error = ValueError("broken")

    @app.websocket("/fails")
    async def fails():
        await websocket.accept()
        raise error

    async def test():
        async with connect(app, "/fails") as ws:
            with pytest.raises(WebSocketDisconnect):
                await ws.receive()

    with heard(app, *SIGNALS) as notes:
        run(test())
    assert notes == [
        ("websocket_started", "/fails"),
        ("got_websocket_exception", error, "/fails"),
        ("got_request_exception", error, "/fails"),
        ("websocket_tearing_down", error, "/fails"),
    ]


def test_the_signal_of_a_refusal_has_the_response(app):
    @app.websocket("/refuses")
    async def refuses():
        return "no", 409

    with heard(app, "websocket_finished") as notes:
        run(denial(app, "/refuses"))
    assert [(name, response.status_code) for name, response, _ in notes] == [
        ("websocket_finished", 409)
    ]


def test_receivers_may_be_coroutine_functions(app):
    seen = []

    async def receive(sender):
        await asyncio.sleep(0)
        seen.append(websocket.path)

    async def test():
        async with connect(app, "/echo"):
            pass

    with kolben.websocket_started.connected_to(receive, app):
        run(test())
    assert seen == ["/echo"]


# ---- servers that fail, tasks that are cancelled ------------------------------------------


class Pieces:
    def __init__(self, log):
        self.log = log
        self.left = [b"piece"]
        log.append("opened")

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        return self.left.pop()

    is_closed = False

    def close(self):
        if not self.is_closed:
            self.is_closed = True
            self.log.append("closed")


def program_that_notes():
    app = kolben.Flask(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    log = []

    @app.before_websocket
    async def begin():
        log.append("begin")
        await asyncio.sleep(0)

    @app.before_websocket
    def begin_plainly():
        pass

    @app.after_websocket
    async def after(response):
        await asyncio.sleep(0)
        return response

    @app.teardown_websocket
    async def torn_down(error):
        log.append("teardown")
        await asyncio.sleep(0)

    @app.teardown_appcontext
    def torn_down_plainly(error):
        log.append("teardown")

    add_handlers(app, log)
    return app, log


def add_handlers(app, log):
    @app.websocket("/echo")
    async def echo():
        async for message in websocket:
            await websocket.send(message)

    @app.websocket("/closes")
    async def closes():
        await websocket.receive()
        await websocket.close(4000)

    @app.websocket("/fails")
    async def fails():
        await websocket.receive()
        raise ValueError

    @app.websocket("/refuses")
    async def refuses():
        return kolben.Response(Pieces(log), 409)

    @app.websocket("/aborts")
    async def aborts():
        abort(kolben.Response(Pieces(log), 409))

    @app.websocket("/answers too late")
    async def answers_too_late():
        await websocket.receive()
        return Pieces(log)


PATHS = ["/echo", "/closes", "/fails", "/refuses", "/aborts", "/answers too late", "/nowhere"]


class Server:
    """Sends three messages; raises at the n-th call."""

    def __init__(self, where="", at=0, error=None):
        self.where = where
        self.left = at
        self.error = error
        self.has_raised = False
        self.messages = [{"type": "websocket.connect"}]
        self.messages += [{"type": "websocket.receive", "text": str(n)} for n in range(3)]
        self.messages.append({"type": "websocket.disconnect", "code": 1001})

    def _count(self, where):
        if where == self.where:
            self.left -= 1
            if self.left < 0:
                self.has_raised = True
                raise self.error

    async def receive(self):
        self._count("receive")
        await asyncio.sleep(0)
        return self.messages.pop(0) if self.messages else await asyncio.Event().wait()

    async def send(self, message):
        self._count("send")
        await asyncio.sleep(0)


def scope_of(path):
    return {
        "type": "websocket",
        "path": path,
        "headers": [],
        "query_string": b"",
        "extensions": {"websocket.http.response": {}},
    }


def check_that_all_ended(log):
    assert log.count("opened") == log.count("closed"), log
    if "begin" in log:
        assert log.count("teardown") == 2, log


@pytest.mark.parametrize("where", ["send", "receive"])
@pytest.mark.parametrize("path", PATHS)
def test_a_server_that_raises_anywhere_leaves_nothing_open(path, where):
    async def test():
        for error in (OSError("gone"), RuntimeError("closed")):
            at, has_raised = 0, True
            while has_raised:
                app, log = program_that_notes()
                server = Server(where, at, error)
                with contextlib.suppress(OSError, RuntimeError):
                    await app.asgi_app(scope_of(path), server.receive, server.send)
                check_that_all_ended(log)
                has_raised = server.has_raised
                at += 1

    run(test())


@pytest.mark.parametrize("path", PATHS)
def test_a_task_that_is_cancelled_anywhere_leaves_nothing_open(path):
    async def test():
        for turns in range(150):
            app, log = program_that_notes()
            server = Server()
            task = asyncio.create_task(app.asgi_app(scope_of(path), server.receive, server.send))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == {asyncio.current_task(), *outer}
            check_that_all_ended(log)

    outer = set()

    async def noting_tasks():
        outer.update(asyncio.all_tasks())
        await test()

    run(noting_tasks())


# ---- bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scope",
    [
        {"headers": [b"x"]},
        {"headers": [(b"host", None)]},
        {"path": None},
        {"query_string": 1},
    ],
    ids=lambda scope: next(iter(scope)),
)
def test_a_malformed_scope_is_closed(app, caplog, scope):
    sent = []

    async def send(message):
        sent.append(message["type"])

    run(serve(app, send=send, **scope))
    assert sent == ["websocket.close"]
    assert len(caplog.records) == 1


def test_an_untrusted_host_is_refused(app):
    app.config["TRUSTED_HOSTS"] = ["good.example"]

    async def test():
        assert (await denial(app, "/echo", headers={"Host": "bad.example"})).status_code == 400
        async with connect(app, "/echo", headers={"Host": "good.example"}):
            pass

    run(test())


def test_a_client_that_leaves_before_the_handshake_is_nothing(app, caplog):
    async def receive():
        return {"type": "websocket.disconnect", "code": 1006}

    run(serve(app, receive=receive))
    assert not caplog.records


def test_cancelling_the_server_task_tears_down(app, caplog):
    caplog.set_level(logging.DEBUG, "kolben")
    heard = []
    app.teardown_websocket(lambda error: heard.append(type(error)))

    async def test():
        task = asyncio.create_task(serve(app))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(test())
    assert heard == [asyncio.CancelledError]
