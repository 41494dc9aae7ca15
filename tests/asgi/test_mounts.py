"""ASGI applications below a path of ours, and the state that start and requests share."""

from __future__ import annotations

import asyncio

import pytest

import kolben
import kolben.api
from kolben import request, websocket


class Other:
    """An ASGI application that says what it gets."""

    def __init__(self, *, lifespan="works"):
        self.lifespan = lifespan
        self.log = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self.live(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": scope["path"]})
            await send({"type": "websocket.close"})
        else:
            pool = scope["state"].get("pool")
            text = f"{scope['root_path']} {scope['path']} {scope['method']} {pool}"
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": text.encode()})

    async def live(self, scope, receive, send):
        if self.lifespan == "unknown":
            raise ValueError(scope["type"])
        self.log.append((await receive())["type"])
        if self.lifespan == "fails":
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            return
        scope["state"]["pool"] = "pool"
        await send({"type": "lifespan.startup.complete"})
        self.log.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})
        if self.lifespan == "stays":
            try:
                await asyncio.Event().wait()
            finally:
                self.log.append("ended")


def program(other):
    app = kolben.Flask(__name__)
    app.mount("/api", other)

    @app.get("/apis")
    async def apis():
        return "ours"

    return app


def run(coroutine):
    asyncio.run(asyncio.wait_for(coroutine, 20))


def test_what_is_below_its_path_is_the_mounted_applications():
    app = program(other := Other())

    async def test():
        async with app.test_app():
            client = app.async_test_client()
            assert (await client.get("/apis")).text == "ours"
            assert (await client.get("/nowhere")).status_code == 404
            assert (await client.get("/api")).text == "/api /api GET pool"
            assert (await client.put("/api/a/b")).text == "/api /api/a/b PUT pool"
            below = await client.get("/api/x", base_url="http://localhost/site")
            assert below.text == "/site/api /site/api/x GET pool"
            async with client.websocket("/api/ws") as ws:
                assert await ws.receive() == "/api/ws"

    run(test())
    assert other.log == ["lifespan.startup", "lifespan.shutdown"]


def test_an_application_that_knows_no_lifespan_is_served():
    app = program(Other(lifespan="unknown"))

    async def test():
        async with app.test_app():
            assert (await app.async_test_client().get("/api/x")).text == "/api /api/x GET None"

    run(test())


def test_the_server_starts_and_stops_it_through_us():
    app = program(other := Other())
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message["type"])

    run(app.asgi_app({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert other.log == ["lifespan.startup", "lifespan.shutdown"]


def test_one_that_goes_on_after_its_end_is_ended():
    app = program(other := Other(lifespan="stays"))

    async def test():
        async with app.test_app():
            pass

    run(test())
    assert other.log == ["lifespan.startup", "lifespan.shutdown", "ended"]


def test_one_that_does_not_start_stops_the_start():
    app = program(Other(lifespan="fails"))

    async def test():
        with pytest.raises(RuntimeError, match="'/api' failed at startup: no database"):
            await app.startup()

    run(test())


def test_another_kolben_application_is_mounted_with_its_urls():
    app = kolben.Flask(__name__)
    inner = kolben.Flask("inner")
    app.mount("/inner/", inner.asgi_app)

    @inner.get("/page/<name>", endpoint="page")
    async def page(name):
        return f"{name} {kolben.url_for('page', name='x')} {request.script_root}"

    @inner.websocket("/ws")
    async def ws():
        await websocket.send(websocket.path)

    async def test():
        client = app.async_test_client()
        assert (await client.get("/inner/page/a")).text == "a /inner/page/x /inner"
        async with client.websocket("/inner/ws") as socket:
            assert await socket.receive() == "/ws"

    run(test())


def test_under_wsgi_it_is_501():
    app = program(Other())
    for path in ("/api", "/api/", "/api/a/b"):
        reply = app.test_client().post(path)
        assert reply.status_code == 501
        assert "needs an ASGI server" in reply.text
    asyncio.run(app.shutdown())


@pytest.mark.parametrize("path", ["", "/", "api"])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(ValueError, match="begins with a slash"):
        kolben.Flask(__name__).mount(path, Other())


# -- state ----------------------------------------------------------------------------------


@pytest.fixture
def stateful():
    app = kolben.Flask(__name__)

    @app.while_serving
    async def pool():
        yield {"pool": ["connection"]}

    @app.while_serving
    def plain():
        yield {"number": 1}

    @app.get("/")
    async def view():
        request.state.number += 1
        return f"{request.state.pool} {request.state.number} {'other' in request.state}"

    return app


def test_requests_have_the_state_that_the_start_has_made(stateful, gateway):
    async def through_asgi():
        async with stateful.test_app():
            client = stateful.async_test_client()
            return [(await client.get("/")).text for _ in range(2)]

    if gateway.is_asgi:
        texts = asyncio.run(through_asgi())
    else:
        texts = [stateful.test_client().get("/").text for _ in range(2)]
        asyncio.run(stateful.shutdown())
    # What a request sets is its own.
    assert texts == ["['connection'] 2 False"] * 2


def test_the_state_is_the_servers_where_it_has_one(stateful):
    seen = []

    async def test():
        state = {"other": 1}
        to_app, answers = asyncio.Queue(), asyncio.Queue()
        scope = {"type": "lifespan", "state": state}
        task = asyncio.create_task(stateful.asgi_app(scope, to_app.get, answers.put))
        to_app.put_nowait({"type": "lifespan.startup"})
        await answers.get()
        assert state == {"other": 1, "pool": ["connection"], "number": 1}
        request_scope = {"type": "http", "method": "GET", "path": "/", "headers": []}

        async def send(message):
            seen.append(message.get("body"))

        await stateful.asgi_app({**request_scope, "state": state.copy()}, None, send)
        to_app.put_nowait({"type": "lifespan.shutdown"})
        await task

    run(test())
    assert seen[1] == b"['connection'] 2 True"


def test_a_name_that_is_not_there_explains_itself():
    app = kolben.Flask(__name__)
    with app.test_request_context():
        with pytest.raises(AttributeError, match="while_serving"):
            request.state.pool  # noqa: B018
        with pytest.raises(AttributeError, match="no 'pool'"):
            del request.state.pool
        request.state.pool = 1
        assert (request.state.pool, "pool" in request.state) == (1, True)
        assert repr(request.state) == "<State {'pool': 1}>"
        del request.state.pool
        assert request.scope is None


def test_a_program_may_have_its_own_attributes_of_these_names():
    app = kolben.Flask(__name__)
    with app.test_request_context():
        for name in ("state", "scope", "body"):
            setattr(request, name, name)
            assert getattr(request, name) == name
    app.state = app.mount = "own"
    assert (app.state, app.mount) == ("own", "own")


def test_an_api_takes_a_mounted_application_and_does_not_describe_it():
    app = kolben.api.API(__name__)
    app.mount("/old", Other())

    @app.get("/new")
    def new() -> list[str]:
        return ["new"]

    client = app.test_client()
    assert client.get("/new").json == ["new"]
    assert client.get("/old/x").status_code == 501
    assert list(client.get("/openapi.json").json["paths"]) == ["/new"]
