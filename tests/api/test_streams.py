"""Answers that come piece by piece, and WebSockets with typed messages."""

import asyncio
import typing as t
from contextlib import suppress

import pytest

from gateways import Gateway
from kolben import Response, request
from kolben.api import API, Event, EventStream, Header, Socket, Struct, SyncEventStream
from kolben.async_testing import WebSocketDisconnect

seen: list[str] = []


class Price(Struct, tag="price"):
    value: int


class Halt(Struct, tag="halt"):
    reason: str


class Say(Struct, tag=True):
    text: str


class Leave(Struct, tag=True):
    pass


class Said(Struct):
    text: str


def session() -> t.Iterator[str]:
    seen.append("open")
    try:
        yield "db"
    finally:
        seen.append("close")


DB = t.Annotated[str, session]


def api() -> API:
    seen.clear()
    api = API("api_streams")

    @api.get("/lines")
    def lines(db: DB, n: int = 2) -> t.Iterator[Price]:
        for number in range(n):
            seen.append(f"{request.path} {number}")
            yield Price(number)

    @api.get("/lines-async")
    async def lines_async(db: DB) -> t.AsyncIterator[Price]:
        for number in range(2):
            seen.append(f"{request.path} {number}")
            yield Price(number)

    @api.get("/events")
    async def events(last_event_id: Header[int] = 0) -> EventStream[Price | Halt]:
        yield Price(last_event_id)
        yield Halt("over")

    @api.get("/events-plain")
    def events_plain() -> SyncEventStream[Price | Halt]:
        yield Price(1)
        yield Halt("over")

    @api.websocket("/chat/<room>")
    async def chat(room: str, socket: Socket[Say | Leave, Said], loud: bool = False) -> None:
        async for message in socket:
            if isinstance(message, Leave):
                break
            text = message.text.upper() if loud else message.text
            await socket.send(Said(f"{room}: {text}"))

    @api.websocket("/lenient")
    async def lenient(socket: Socket[Say, Said]) -> None:
        async for message in socket(invalid="skip"):
            await socket.send(Said(message.text))

    return api


def test_lines_of_json(gateway: Gateway) -> None:
    for path in ("/lines", "/lines-async"):
        reply = gateway.get(api(), path)
        assert reply.header("content-type") == "application/jsonl"
        assert reply.text == '{"type":"price","value":0}\n{"type":"price","value":1}\n'
        assert seen == ["open", f"{path} 0", f"{path} 1", "close"]


def test_providers_go_on_when_the_client_leaves() -> None:
    gateway = Gateway("asgi")
    for path in ("/lines?n=100000", "/lines-async"):
        gateway.get(api(), path, leave_after=1)
        assert seen[-1] == "close"
        assert seen.count("close") == 1


def test_providers_go_on_for_a_stream_that_never_starts(gateway: Gateway) -> None:
    gateway.get(api(), "/lines", method="HEAD")
    assert seen in (["open", "close"], [])


def test_all_providers_of_a_stream_go_on(gateway: Gateway) -> None:
    """Plain and asynchronous ones, also where the view yields nothing, or fails."""
    ends: list[str] = []

    def plain() -> t.Iterator[int]:
        try:
            yield 1
        finally:
            ends.append("plain")

    async def waits(plain: t.Annotated[int, plain]) -> t.AsyncIterator[int]:
        try:
            yield plain
        finally:
            ends.append("waits")

    api = API("api_ends")

    @api.get("/<how>")
    def rows(how: str, number: t.Annotated[int, waits]) -> t.Iterator[Halt]:
        if how == "response":
            return Response("none")  # type: ignore[return-value] # pyright: ignore[reportReturnType]
        return iter([Halt("a")]) if how == "list" else failing()

    def failing() -> t.Iterator[Halt]:
        yield Halt("a")
        raise ValueError("in the middle")

    assert gateway.get(api, "/response").text == "none"
    assert gateway.get(api, "/list").text == '{"type":"halt","reason":"a"}\n'
    with suppress(ValueError):
        gateway.get(api, "/failing")
    assert ends == ["waits", "plain"] * 3


def test_a_client_goes_on_after_the_last_event(gateway: Gateway) -> None:
    numbers = API("api_numbers")

    @numbers.get("/numbered")
    async def numbered(last_event_id: Header[int] = 0) -> EventStream[Event[Price | Halt]]:
        for number in range(last_event_id + 1, 3):
            yield Event(Price(number), id=number)
        yield Event(Halt("over"), retry=10)

    first = 'event: price\nid: 1\ndata: {"type":"price","value":1}\n\n'
    rest = (
        'event: price\nid: 2\ndata: {"type":"price","value":2}\n\n'
        'event: halt\nretry: 10\ndata: {"type":"halt","reason":"over"}\n\n'
    )
    assert gateway.get(numbers, "/numbered").text == first + rest
    again = gateway.get(numbers, "/numbered", headers=[("Last-Event-ID", "1")])
    assert again.text == rest
    assert gateway.get(numbers, "/numbered", headers=[("Last-Event-ID", "x")]).status == 422


def test_events_are_named_by_their_tags(gateway: Gateway) -> None:
    reply = gateway.get(api(), "/events", headers=[("last-event-id", "7")])
    assert reply.header("content-type").startswith("text/event-stream")
    assert reply.text == (
        'event: price\ndata: {"type":"price","value":7}\n\n'
        'event: halt\ndata: {"type":"halt","reason":"over"}\n\n'
    )
    assert gateway.get(api(), "/events-plain").text.startswith("event: price\n")
    assert gateway.get(api(), "/events", headers=[("last-event-id", "x")]).status == 422


def test_messages_are_typed() -> None:
    async def talk() -> None:
        client = api().async_test_client()
        async with client.websocket("/chat/blue?loud=1") as ws:
            await ws.send_json({"type": "Say", "text": "hi"})
            assert await ws.receive_json() == {"text": "blue: HI"}
            await ws.send_json({"type": "Say", "text": 3})
            with pytest.raises(WebSocketDisconnect) as caught:
                await ws.receive()
            assert caught.value.code == 1007
            assert caught.value.reason == "#/text: Expected `str`, got `int`"
        async with client.websocket("/lenient") as ws:
            await ws.send("nonsense")
            await ws.send_json({"type": "Say", "text": "ok"})
            assert await ws.receive_json() == {"text": "ok"}

    asyncio.run(talk())


def test_a_message_has_no_member_that_its_type_lacks() -> None:
    class Own(Said):
        password: str = "secret"

    async def one(socket: t.Any) -> None:
        await socket.send(Own("hi"))
        await socket.send({"text": "row", "password": "secret"})

    async def two(socket: t.Any) -> None:
        await socket.send(Halt("over"))
        await socket.send(Own("hi"))

    one.__annotations__["socket"] = Socket[Say, Said]
    two.__annotations__["socket"] = Socket[Say, t.Any]
    api = API("api_streams")
    api.websocket("/one")(one)
    api.websocket("/two")(two)

    async def talk() -> list[t.Any]:
        async with api.async_test_client().websocket("/one") as ws:
            heard = [await ws.receive_json() for _ in range(2)]
        async with api.async_test_client().websocket("/two") as ws:
            return [*heard, *[await ws.receive_json() for _ in range(2)]]

    said = [
        {"text": "hi"},
        {"text": "row"},
        {"type": "halt", "reason": "over"},
        {"text": "hi", "password": "secret"},
    ]
    assert asyncio.run(talk()) == said


def test_streams_are_in_the_document() -> None:
    document = api().test_client().get("/openapi.json").json
    assert document["openapi"] == "3.2.0"
    content = document["paths"]["/lines"]["get"]["responses"]["200"]["content"]
    assert content == {"application/jsonl": {"itemSchema": {"$ref": "#/components/schemas/Price"}}}
    socket = document["x-websockets"]["/chat/{room}"]
    assert socket["receive"]["discriminator"]["propertyName"] == "type"
    assert socket["send"] == {"$ref": "#/components/schemas/Said"}
    assert "/chat/{room}" not in document["paths"]
