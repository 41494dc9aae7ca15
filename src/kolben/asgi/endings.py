"""Requests that have not come to their end when the server shuts the application down."""

from __future__ import annotations

import asyncio
import typing as t

#: How long requests that were cancelled may take to clean up, in seconds.
CLEAN_UP = 2.0


async def cancelled_requests_end() -> None:
    """Wait until the requests that the server has cancelled have cleaned up.

    uvicorn cancels what still runs when its grace is over, and shuts the application down in the same
    turn of the event loop: ``finally`` blocks and teardown functions would find the pool closed.
    """
    others = asyncio.all_tasks() - {asyncio.current_task()}
    tasks = [task for task in others if task.cancelling() and _answers(task)]
    if tasks:
        await asyncio.wait(tasks, timeout=CLEAN_UP)


def _answers(task: asyncio.Task[t.Any]) -> bool:
    """Tell whether a task of the server's is in our hands.

    Known by what it awaits: to note each request would cost each request.
    """
    from .gateway import serve_connection
    from .websocket import serve_websocket

    ours = serve_connection.__code__, serve_websocket.__code__
    awaited: t.Any = task.get_coro()
    while awaited is not None:
        if getattr(awaited, "cr_code", None) in ours:
            return True
        awaited = getattr(awaited, "cr_await", None)
    return False
