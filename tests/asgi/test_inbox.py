"""What a WebSocket's client has sent, until the handler takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from kolben.asgi.inbox import READ_AHEAD, Inbox

PATIENCE = 20


class Server:
    """Gives what is put in; an error is raised."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.asked = 0
        self.left: list[Any] = []

    async def receive(self) -> Any:
        self.asked += 1
        message = await self.queue.get()
        if isinstance(message, Exception):
            raise message
        return message

    def send(self, text: str) -> None:
        self.queue.put_nowait({"type": "websocket.receive", "text": text})

    def leave(self) -> None:
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1001})


def run(test: Callable[[Server, Inbox], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        server = Server()
        inbox = Inbox(server.receive, asyncio.get_running_loop(), server.left.append)
        async with asyncio.timeout(PATIENCE):
            await test(server, inbox)
            await inbox.pause()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_messages_come_in_their_order_and_nothing_is_asked_for_unasked() -> None:
    async def test(server: Server, inbox: Inbox) -> None:
        server.send("one")
        server.send("two")
        await turns()
        assert (server.asked, bool(inbox)) == (0, False)
        assert [(await inbox.next())["text"] for _ in range(2)] == ["one", "two"]

    run(test)


def test_a_wait_that_is_given_up_takes_no_message() -> None:
    async def test(server: Server, inbox: Inbox) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await inbox.next()
        assert not inbox.is_awaited
        server.send("one")
        assert (await inbox.next())["text"] == "one"

    run(test)


def test_what_is_read_ahead_is_no_more_than_a_little() -> None:
    async def test(server: Server, inbox: Inbox) -> None:
        inbox.read_ahead()
        for _ in range(10):
            server.send("x" * (READ_AHEAD // 3))
        await turns(30)
        assert server.asked == 4
        for _ in range(10):
            await inbox.next()
        server.leave()
        await turns()
        assert [message["code"] for message in server.left] == [1001]

    run(test)


def test_it_is_said_at_once_that_the_client_has_left_and_read_after_what_came_before() -> None:
    async def test(server: Server, inbox: Inbox) -> None:
        server.send("one")
        server.leave()
        inbox.read_ahead()
        await turns()
        assert len(server.left) == 1
        assert [(await inbox.next())["type"] for _ in range(2)] == [
            "websocket.receive",
            "websocket.disconnect",
        ]

    run(test)


def test_an_error_of_the_server_is_raised_to_each_who_waits() -> None:
    async def test(server: Server, inbox: Inbox) -> None:
        waiting = [asyncio.create_task(inbox.next()) for _ in range(2)]
        await turns()
        server.queue.put_nowait(OSError("broken"))
        for wait in waiting:
            with pytest.raises(OSError, match="broken"):
                await wait
        with pytest.raises(OSError, match="broken"):
            await inbox.next()

    run(test)


@pytest.mark.parametrize("ahead", [True, False])
def test_a_pause_stops_the_reading_and_who_waits_goes_on_after_it(ahead: bool) -> None:
    """Granian sends no close while a coroutine of ours waits for a message."""

    async def test(server: Server, inbox: Inbox) -> None:
        waiting = asyncio.create_task(inbox.next())
        await turns()
        if ahead:
            inbox.read_ahead()
        await inbox.pause()
        server.send("one")
        await turns()
        assert not waiting.done()
        inbox.resume()
        assert (await waiting)["text"] == "one"

    run(test)


def test_what_has_come_before_the_pause_is_there_after_it() -> None:
    async def test(server: Server, inbox: Inbox) -> None:
        server.send("one")
        inbox.read_ahead()
        await turns()
        await inbox.pause()
        inbox.resume()
        assert inbox
        assert (await inbox.next())["text"] == "one"

    run(test)


def test_after_a_pause_nothing_is_asked_for_unasked() -> None:
    async def test(server: Server, inbox: Inbox) -> None:
        await inbox.pause()
        inbox.resume()
        await turns()
        assert server.asked == 0

    run(test)
