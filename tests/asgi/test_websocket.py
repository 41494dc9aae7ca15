"""The way of a WebSocket through the gateway: what hooks and errors make of its handshake and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import pytest
from werkzeug.wrappers import Response as BaseResponse

import kolben
from kolben import abort, request, session, websocket
from kolben.async_testing import WebSocketDenied
from kolben.globals import request_ctx
from kolben.signals import appcontext_popped, appcontext_pushed, websocket_tearing_down


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


def run(coroutine: Any) -> Any:
    async def alone() -> Any:
        async with asyncio.timeout(20):
            result = await coroutine
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    return asyncio.run(alone())


async def denial(app: kolben.Flask, path: str = "/ws") -> Any:
    """What the handshake is answered with in place of being accepted."""
    with pytest.raises(WebSocketDenied) as caught:
        async with app.async_test_client().websocket(path):
            pass
    return caught.value.response


async def first_message(app: kolben.Flask, path: str = "/ws") -> str | bytes:
    async with app.async_test_client().websocket(path) as ws:
        return await ws.receive()


# -- contexts and signals -------------------------------------------------------------------


def test_the_signals_of_the_application_context_are_sent(app: kolben.Flask) -> None:
    log: list[str] = []

    @app.websocket("/ws")
    async def handler() -> None:
        log.append("handler")
        await websocket.send("hello")

    def pushed(sender: object) -> None:
        log.append("pushed")

    async def popped(sender: object) -> None:
        log.append("popped")

    with appcontext_pushed.connected_to(pushed, app), appcontext_popped.connected_to(popped, app):
        assert run(first_message(app)) == "hello"
    assert log == ["pushed", "handler", "popped"]


def test_the_request_of_its_context_can_be_replaced_and_given_back(app: kolben.Flask) -> None:
    """It is the WebSocket itself; an extension may have its own there for a while."""

    @app.websocket("/ws")
    async def handler() -> None:
        own: Any = object.__new__(kolben.Request)
        own.__init__({"PATH_INFO": "/own"})
        request_ctx.request = own
        seen = [request.path]
        del request_ctx.request
        seen += [request.path, repr(request_ctx._get_current_object())]
        await websocket.send_json(seen)

    own, path, text = kolben.json.loads(run(first_message(app)))
    assert (own, path) == ("/own", "/ws")
    assert text.startswith("<WebSocketContext 'ws://localhost/ws' of ")


def test_a_session_that_cannot_be_kept_sends_no_cookie(app: kolben.Flask) -> None:
    """Without a secret key the session is there to be read, and empty."""

    @app.websocket("/ws")
    async def handler() -> None:
        await websocket.send(str(session.get("name")))

    assert run(first_message(app)) == "None"


# -- refusals -------------------------------------------------------------------------------


def test_a_refusal_sends_what_was_changed_in_the_session(app: kolben.Flask) -> None:
    app.secret_key = "secret"

    @app.websocket("/ws")
    async def handler() -> None:
        session["refused"] = 1
        abort(409)

    @app.get("/")
    async def view() -> Any:
        return str(session.get("refused"))

    async def test() -> None:
        client = app.async_test_client()
        with pytest.raises(WebSocketDenied) as caught:
            async with client.websocket("/ws"):
                pass
        assert caught.value.status_code == 409
        assert (await client.get("/")).text == "1"

    run(test())


def test_a_plain_view_behind_a_websocket_rule_is_refused_and_named(
    app: kolben.Flask, caplog: pytest.LogCaptureFixture
) -> None:
    app.add_url_rule("/ws", "chat", lambda: "plain", websocket=True)
    assert run(denial(app)).status_code == 500
    assert "The view for 'chat' is no WebSocket handler" in caplog.text


def test_an_unhandled_error_before_the_accept_reaches_the_handler_for_500(
    app: kolben.Flask,
) -> None:
    @app.websocket("/ws")
    async def handler() -> None:
        raise LookupError("lost")

    @app.errorhandler(500)
    async def failed(error: Any) -> Any:
        return f"because of {error.original_exception!r}", 503

    response = run(denial(app))
    assert (response.status_code, response.text) == (503, "because of LookupError('lost')")


def test_an_after_hook_that_fails_answers_500_and_the_refusal_is_closed(
    app: kolben.Flask, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[str] = []

    @app.websocket("/ws")
    async def handler() -> Any:
        response = kolben.Response("refused", 409)
        response.call_on_close(lambda: closed.append("closed"))
        return response

    @app.after_websocket
    async def after(response: BaseResponse | None) -> Any:
        if closed == []:
            raise ZeroDivisionError("in the hook")
        return response

    assert run(denial(app)).status_code == 500
    assert closed == ["closed"]
    assert "in the hook" in caplog.text


def test_an_error_after_a_close_before_the_accept_is_handled_and_sends_nothing_more(
    app: kolben.Flask,
) -> None:
    handled: list[Exception] = []

    @app.websocket("/ws")
    async def handler() -> None:
        await websocket.close(4000)
        raise LookupError

    @app.errorhandler(LookupError)
    def lost(error: LookupError) -> str:
        handled.append(error)
        return "handled"

    assert run(denial(app)).status_code == 403
    assert len(handled) == 1


# -- the end --------------------------------------------------------------------------------


def test_all_that_fails_at_the_end_is_told(
    app: kolben.Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """A hook, and a receiver of the signal."""
    log: list[str] = []

    @app.websocket("/ws")
    async def handler() -> None:
        await websocket.send("hello")

    @app.teardown_websocket
    async def torn_down(error: BaseException | None) -> None:
        raise LookupError("the hook")

    @app.teardown_appcontext
    def left(error: BaseException | None) -> None:
        log.append("left")

    def tearing_down(sender: object, exc: object) -> None:
        raise ZeroDivisionError("the receiver")

    with websocket_tearing_down.connected_to(tearing_down, app):
        run(first_message(app))
    assert "LookupError: the hook" in caplog.text
    assert "ZeroDivisionError: the receiver" in caplog.text
    assert log == ["left"]


def test_a_client_that_leaves_while_the_handler_ends_does_not_disturb_the_teardown(
    app: kolben.Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """A server may have the news ready just when it is not asked for it any more."""
    app.config["WEBSOCKET_LEAVE_TIMEOUT"] = 0.01
    log: list[str] = []
    messages = [{"type": "websocket.connect"}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return {"type": "websocket.disconnect", "code": 1001}

    async def send(message: dict[str, Any]) -> None:
        log.append(message["type"])

    @app.websocket("/ws")
    async def handler() -> None:
        await websocket.send("hello")
        await websocket.is_disconnected()  # from now on it is read

    @app.after_websocket
    async def after(response: Any) -> Any:
        # Without a close of ours, the client's leaving is what the reading ends with.
        websocket.close_code = 1000
        return response

    @app.teardown_websocket
    async def torn_down(error: BaseException | None) -> None:
        await asyncio.sleep(0.1)
        log.append(f"torn down: {error}")

    scope = {"type": "websocket", "path": "/ws", "headers": []}
    caplog.set_level(logging.WARNING)
    run(app.asgi_app(scope, receive, send))
    assert log == ["websocket.accept", "websocket.send", "torn down: None"]
    assert caplog.text == ""


# -- a handshake that the handler does not wait for -----------------------------------------


async def talk_slowly(app: kolben.Flask, *texts: str) -> list[str]:
    """What the handler sends, to a server that takes a while to accept; the texts are there at once."""
    messages: list[dict[str, Any]] = [{"type": "websocket.connect"}]
    messages += [{"type": "websocket.receive", "text": text} for text in texts]
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: Any) -> None:
        kind = message["type"].partition(".")[2]
        if kind == "accept":
            await asyncio.sleep(0.05)
        sent.append(message.get("text") or kind)

    await app.asgi_app({"type": "websocket", "path": "/ws", "headers": []}, receive, send)
    return sent


def test_a_wait_that_is_given_up_does_not_break_the_handshake_off(app: kolben.Flask) -> None:
    @app.websocket("/ws")
    async def handler() -> None:
        for _ in range(3):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await websocket.send(str(await websocket.receive()))
        await websocket.send(str(await websocket.receive()))

    assert run(talk_slowly(app, "one", "two", "three")) == ["accept", "one", "two", "close"]


def test_a_handler_that_ends_meanwhile_waits_for_its_handshake(app: kolben.Flask) -> None:
    @app.websocket("/ws")
    async def handler() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await websocket.accept()

    assert run(talk_slowly(app)) == ["accept", "close"]


async def close_slowly(app: kolben.Flask, *, cancel_after: float | None = None) -> list[Any]:
    """Serve a WebSocket where sending the close takes its time; return what was sent of it."""
    sent: list[Any] = []
    messages: asyncio.Queue[Any] = asyncio.Queue()
    messages.put_nowait({"type": "websocket.connect"})

    async def send(message: Any) -> None:
        if message["type"] == "websocket.close":
            sent.append("closing")
            await asyncio.sleep(0.1)
            sent.append(message["code"])

    scope = {"type": "websocket", "path": "/ws", "headers": []}
    serving = asyncio.create_task(app.asgi_app(scope, messages.get, send))
    await asyncio.wait({serving}, timeout=cancel_after)
    if cancel_after is not None:
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
    else:
        await serving
    return sent


@pytest.mark.parametrize("then", ["return", "send", "raise", "close"])
@pytest.mark.parametrize("receives", [False, True])
def test_a_close_that_the_handler_gives_up_waiting_for_is_sent(
    app: kolben.Flask, then: str, *, receives: bool
) -> None:
    @app.websocket("/ws")
    async def handler() -> None:
        await websocket.accept()
        if receives:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await websocket.receive()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await websocket.close(4001)
        if then == "send":
            await websocket.send("too late")
        elif then == "raise":
            raise ValueError
        elif then == "close":
            await websocket.close(4002)

    assert run(close_slowly(app)) == ["closing", 4001]


def test_a_handler_that_is_cancelled_does_not_wait_for_its_close(app: kolben.Flask) -> None:
    @app.websocket("/ws")
    async def handler() -> None:
        await websocket.accept()
        await websocket.close(4001)

    assert run(close_slowly(app, cancel_after=0.02)) == ["closing"]


def test_a_handshake_that_fails_may_be_tried_again(app: kolben.Flask) -> None:
    @app.websocket("/ws")
    async def handler() -> None:
        with pytest.raises(UnicodeEncodeError):
            await websocket.accept({"X-Name": "\u4e00"})
        await websocket.accept()

    assert run(talk_slowly(app)) == ["accept", "close"]
