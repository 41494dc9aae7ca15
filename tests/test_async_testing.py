"""The client for ``async def`` tests, and the plain client inside a running loop."""

from __future__ import annotations

import asyncio

import pytest

import kolben
from kolben import g, jsonify, redirect, request, session, url_for
from kolben.async_testing import WebSocketDenied


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__)
    app.config.update(TESTING=True, SECRET_KEY="key")

    @app.get("/plain/<name>")
    def plain(name):
        g.seen = name
        return f"plain {name} {request.args.get('q', '')}"

    @app.get("/async/<name>")
    async def asynchronous(name):
        g.seen = name
        await asyncio.sleep(0)
        return f"async {name} {request.args.get('q', '')}"

    @app.post("/json")
    async def json():
        return jsonify(got=request.json)

    @app.post("/form")
    def form():
        return request.form["a"] + request.files["f"].read().decode()

    @app.get("/count")
    async def count():
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    @app.route("/old", methods=["GET", "POST"])
    def old():
        return redirect(url_for("count"), 302)

    @app.post("/moved")
    def moved():
        return redirect(url_for("json"), 307)

    @app.get("/loop")
    def loop():
        return redirect("/loop")

    @app.get("/boom")
    async def boom():
        raise ValueError("boom")

    return app


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_request_is_awaited(app, kind):
    async def test():
        response = await app.async_test_client().get(f"/{kind}/ä b", query_string={"q": "ö"})
        assert response.status == "200 OK"
        assert response.text == f"{kind} ä b ö"
        assert response.request.path == f"/{kind}/ä b"

    asyncio.run(test())


def test_json_and_forms(app):
    async def test():
        client = app.async_test_client()
        response = await client.post("/json", json={"a": [1]})
        assert response.json == {"got": {"a": [1]}}
        from io import BytesIO

        response = await client.post("/form", data={"a": "x", "f": (BytesIO(b"file"), "f.txt")})
        assert response.text == "xfile"

    asyncio.run(test())


def test_cookies_are_kept(app):
    async def test():
        client = app.async_test_client()
        assert [(await client.get("/count")).text for _ in range(3)] == ["1", "2", "3"]
        async with client.session_transaction() as s:
            assert s["n"] == 3
            s["n"] = 41
        assert (await client.get("/count")).text == "42"
        assert client.get_cookie("session") is not None

    asyncio.run(test())


def test_redirects_are_followed(app):
    async def test():
        client = app.async_test_client()
        response = await client.get("/old", follow_redirects=True)
        assert response.text == "1"
        assert [r.status_code for r in response.history] == [302]
        assert (await client.get("/old")).status_code == 302
        response = await client.post("/moved", json=[1], follow_redirects=True)
        assert response.json == {"got": [1]}
        with pytest.raises(RuntimeError, match="redirects"):
            await client.get("/loop", follow_redirects=True)

    asyncio.run(test())


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_contexts_are_preserved_in_the_block(app, kind):
    async def test():
        async with app.async_test_client() as client:
            await client.get(f"/{kind}/one")
            assert request.path == f"/{kind}/one"
            assert g.seen == "one"
            await client.get(f"/{kind}/two")
            assert request.path == f"/{kind}/two"
        assert not kolben.has_request_context()

    asyncio.run(test())


def test_errors_reach_the_test(app):
    async def test():
        with pytest.raises(ValueError, match="boom"):
            await app.async_test_client().get("/boom")

    asyncio.run(test())


def test_all_methods(app):
    @app.route("/m", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def m():
        return request.method

    async def test():
        client = app.async_test_client()
        for name in ("get", "post", "put", "patch", "delete"):
            assert (await getattr(client, name)("/m")).text == name.upper()
        assert (await client.head("/m")).status_code == 200
        assert "PUT" in (await client.options("/m")).headers["Allow"]

    asyncio.run(test())


def test_the_plain_client_works_in_a_running_loop(app):
    async def test():
        client = app.test_client()
        assert client.get("/async/x").text == "async x "
        assert client.get("/plain/x").text == "plain x "

    asyncio.run(test())


def test_streamed_answers_are_gathered(app):
    @app.get("/stream")
    async def stream():
        async def pieces():
            for i in range(3):
                yield str(i)

        return pieces()

    async def test():
        assert (await app.async_test_client().get("/stream")).text == "012"

    asyncio.run(test())


def test_middleware_is_passed(app):
    inner = app.asgi_app

    async def outer(scope, receive, send):
        scope["headers"] = [*scope["headers"], (b"x-by", b"middleware")]
        await inner(scope, receive, send)

    app.asgi_app = outer

    @app.get("/by")
    async def by():
        return request.headers["X-By"]

    async def test():
        assert (await app.async_test_client().get("/by")).text == "middleware"

    asyncio.run(test())


def test_a_denied_websocket_says_so(app):
    async def test():
        with pytest.raises(WebSocketDenied, match="404 NOT FOUND") as caught:
            async with app.async_test_client().websocket("/nowhere"):
                pass
        assert caught.value.status_code == 404
        assert "Not Found" in caught.value.response.text

    asyncio.run(test())


# -- piece by piece -------------------------------------------------------------------------


def run_to_end(coroutine):
    asyncio.run(asyncio.wait_for(coroutine, 20))


def test_an_endless_answer_is_read_piece_by_piece_and_left():
    app = kolben.Flask(__name__)
    ended = []

    @app.get("/")
    async def endless():
        async def pieces():
            try:
                n = 0
                while True:
                    yield f"{n};"
                    n += 1
            finally:
                ended.append(True)

        return pieces(), 201, {"X-A": "b", "Set-Cookie": "a=1"}

    async def test():
        client = app.async_test_client()
        async with client.request("/") as connection:
            assert connection.status_code is None
            assert await connection.receive() == b"0;"
            assert connection.status_code == 201
            assert connection.headers["X-A"] == "b"
            assert await connection.receive() == b"1;"
            await connection.disconnect()
        assert ended == [True]
        assert client.get_cookie("a").value == "1"

    run_to_end(test())


def test_a_body_is_sent_piece_by_piece():
    app = kolben.Flask(__name__)

    @app.post("/")
    @kolben.stream_body
    async def echo():
        async def pieces():
            async for piece in body:
                yield piece.upper()

        body = kolben.request.body
        return pieces()

    async def test():
        client = app.async_test_client()
        async with client.request("/", method="POST") as connection:
            await connection.send(b"one")
            assert await connection.receive() == b"ONE"
            await connection.send(b"two")
            assert await connection.receive() == b"TWO"
            await connection.send_complete()
            assert [piece async for piece in connection] == []
        async with client.request("/", method="POST", data=b"three") as connection:
            response = await connection.as_response()
        assert (response.status_code, response.data) == (200, b"THREE")

    run_to_end(test())


def test_what_a_view_raises_reaches_the_block():
    app = kolben.Flask(__name__)
    app.testing = True

    @app.get("/")
    async def fail():
        raise ValueError("broken")

    async def test():
        with pytest.raises(ValueError, match="broken"):
            async with app.async_test_client().request("/") as connection:
                await connection.receive()
        with pytest.raises(ValueError, match="broken"):
            async with app.async_test_client().request("/"):
                pass

    run_to_end(test())
