"""What a program may configure to end a request early: that its client leaves, or is too slow."""

from __future__ import annotations

import asyncio
import typing as t

from ..concurrency import ended
from .scope import logger
from .send import drop_answer

if t.TYPE_CHECKING:
    from .body import Body
    from .send import Answer


async def answer_while_there(
    answering: t.Coroutine[t.Any, t.Any, Answer], body: Body
) -> Answer | None:
    """Await an answer, which is cancelled when the client leaves (``CANCEL_ON_DISCONNECT``).

    :param answering: gives the answer.
    :param body: what hears that the client leaves.
    :return: the answer; None where the client waits for it no longer.
    """
    body.is_watched = True
    answer = asyncio.create_task(answering)
    leaving = asyncio.create_task(body.client_leaves())
    try:
        await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not body.gone:  # and the server's `receive`, if it was that, has failed
            await asyncio.wait({answer})
    except asyncio.CancelledError:
        await ended(answer, leaving, cancel=True)
        if not answer.cancelled() and answer.exception() is None:
            await drop_answer(answer.result())
        raise
    await ended(answer, leaving, cancel=True)
    return None if answer.cancelled() else answer.result()


async def send_in_time(
    sending: t.Coroutine[t.Any, t.Any, None], seconds: float | None, path: str
) -> None:
    """Send a response, for as long as that may take (``RESPONSE_TIMEOUT``).

    :param sending: sends it.
    :param seconds: the limit; None for none.
    :param path: the path of the request, for the log.
    """
    try:
        async with asyncio.timeout(seconds) as limit:
            await sending
    except TimeoutError:
        if not limit.expired():
            raise
        logger.warning(
            "%s: the response was not sent within %s seconds (RESPONSE_TIMEOUT), and is cut off.",
            path,
            seconds,
        )
