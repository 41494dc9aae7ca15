"""Generators that note how they have ended, for the tests of streams."""

from __future__ import annotations

import asyncio

from kolben import has_request_context, request


def producer(is_async, log, pieces=("a", "b", "c"), error=None):
    """A generator function that notes in *log* how it ended, and whether it saw the request."""

    def note(name):
        seen = request.path if has_request_context() else None
        log.append((name, seen))

    if is_async:

        async def generate():
            try:
                for piece in pieces:
                    await asyncio.sleep(0)
                    yield piece
                if error:
                    raise error
                note("exhausted")
            finally:
                await asyncio.sleep(0)
                note("closed")
    else:

        def generate():
            try:
                yield from pieces
                if error:
                    raise error
                note("exhausted")
            finally:
                note("closed")

    return generate
