"""An API on each server, over real sockets."""

import asyncio
import importlib.util
import json
import time
import typing as t
from pathlib import Path

import pytest
import websockets

PROGRAM = """
import asyncio
import time
import typing as t
from pathlib import Path

from kolben.api import API, Bearer, EventStream, Meta, Socket, Struct

log = Path(__file__).with_name("log")
app = API(__name__, static_folder=None)


class Item(Struct):
    name: str
    count: t.Annotated[int, Meta(ge=1)] = 1


def note(text):
    with log.open("a") as file:
        file.write(text + "\\n")


def session() -> t.Iterator[str]:
    try:
        yield "db"
    finally:
        note("closed")


async def user(token: Bearer, db: t.Annotated[str, session]) -> str:
    await asyncio.sleep(0)
    return f"{token} {db}"


Me = t.Annotated[str, user]


@app.post("/plain")
def plain(body: Item, q: int = 1) -> Item:
    return Item(body.name, q)


@app.post("/async")
async def later(body: Item, me: Me) -> Item:
    return Item(f"{body.name} {me}", body.count)


@app.get("/lines")
def lines(n: int, db: t.Annotated[str, session]) -> t.Iterator[Item]:
    for number in range(n):
        yield Item("x" * 10_000, number)


@app.get("/lines-async")
async def lines_async(n: int, db: t.Annotated[str, session]) -> t.AsyncIterator[Item]:
    for number in range(n):
        await asyncio.sleep(0)
        yield Item("x" * 10_000, number)


@app.get("/events")
async def events() -> EventStream[Item]:
    yield Item("a")


@app.websocket("/chat/<room>")
async def chat(room: str, socket: Socket[Item, Item]) -> None:
    async for message in socket:
        await socket.send(Item(f"{room} {message.name}"))
"""


def _load() -> t.Any:
    path = Path(__file__).parents[1] / "serving" / "test_servers.py"
    spec: t.Any = importlib.util.spec_from_file_location("servers_of_kolben", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    t.cast("t.Any", module).PROGRAM = PROGRAM
    return module


servers = _load()
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module", params=[name for name in servers.SERVERS if name != "uvicorn-app"])
def server(request: pytest.FixtureRequest, tmp_path_factory: t.Any) -> t.Iterator[t.Any]:
    module = request.param.partition("-")[0]
    if not (servers.UWSGI if module == "uwsgi" else importlib.util.find_spec(module)):
        pytest.skip(f"{module} is not installed")
    server = servers.Server(request.param, tmp_path_factory.mktemp(request.param))
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def test_bodies_and_faults(server: t.Any) -> None:
    status, body, headers = server.ask("/plain?q=3", "POST", b'{"name":"lamp"}', JSON)
    assert (status, body) == (200, b'{"name":"lamp","count":3}'), server.said()
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == "25"
    status, body, headers = server.ask("/plain?q=x", "POST", b'{"count":0}', JSON)
    assert (status, headers["Content-Type"]) == (422, "application/problem+json")
    assert [one["in"] for one in json.loads(body)["errors"]] == ["query", "body", "body"]
    assert server.ask("/plain", "POST", b"{", JSON)[0] == 400
    assert server.ask("/plain", "POST", b"{}")[0] == 415
    assert server.ask("/nowhere")[2]["Content-Type"] == "application/problem+json"
    big = json.dumps({"name": "x" * 300_000}).encode()
    assert len(server.ask("/plain", "POST", big, JSON)[1]) > 300_000
    if server.name not in {"fastpysgi", "uwsgi"}:  # pass a chunked body on in ways of their own
        pieces = iter([b'{"name":', b'"lamp"}'])
        status, body, _ = server.ask("/plain", "POST", pieces, JSON, encode_chunked=True)
        assert (status, body) == (200, b'{"name":"lamp","count":1}')


def test_providers_and_credentials(server: t.Any) -> None:
    status, _, headers = server.ask("/async", "POST", b'{"name":"x"}', JSON)
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    given = {**JSON, "Authorization": "Bearer ann"}
    status, body, _ = server.ask("/async", "POST", b'{"name":"x"}', given)
    assert (status, body) == (200, b'{"name":"x ann db","count":1}'), server.said()


@pytest.mark.parametrize("path", ["/lines", "/lines-async"])
def test_streams_end_with_their_providers(server: t.Any, path: str) -> None:
    server.log.unlink(missing_ok=True)
    status, body, headers = server.ask(f"{path}?n=3")
    assert (status, headers["Content-Type"]) == (200, "application/jsonl"), server.said()
    assert [json.loads(line)["count"] for line in body.splitlines()] == [0, 1, 2]
    assert server.wait_for_log("closed")
    server.log.unlink()
    server.leave_in_the_middle(f"{path}?n=1000000")
    assert server.wait_for_log("closed"), server.said()
    time.sleep(0.1)
    assert server.log.read_text() == "closed\n"


def test_events(server: t.Any) -> None:
    body = server.ask("/events")[1]
    assert body == b'data: {"name":"a","count":1}\n\n'


def test_sockets(server: t.Any) -> None:
    if server.name not in servers.IS_ASGI:
        assert server.ask("/chat/blue")[0] == 426
        return

    async def talk() -> None:
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/chat/blue") as ws:
            await ws.send('{"name":"hi"}')
            assert await ws.recv() == '{"name":"blue hi","count":1}'
            await ws.send('{"name":7}')
            with pytest.raises(websockets.ConnectionClosedError) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1007
            assert caught.value.rcvd.reason == "#/name: Expected `str`, got `int`"

    asyncio.run(asyncio.wait_for(talk(), 30))
