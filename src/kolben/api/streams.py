"""Answers that come piece by piece: JSON lines and server-sent events."""

from __future__ import annotations

import typing as t
from contextlib import suppress
from functools import partial

import msgspec

from ..concurrency import async_to_sync, in_thread
from ..ctx import RequestContext
from ..globals import get_current
from ..helpers import stream_with_context
from ..sse import ServerSentEvent, event_stream
from ..wrappers import Response

if t.TYPE_CHECKING:
    from .answers import Answer

T = t.TypeVar("T")


class Event(msgspec.Struct, t.Generic[T]):
    """An event that the client can go on after: ``EventStream[Event[Price]]`` yields such.

    The client that comes back sends the last ``id`` as ``Last-Event-ID``, which a view reads by
    ``last_event_id: Header[int] = 0``.

    :param data: what is sent.
    :param id: its number or name.
    :param retry: after how many milliseconds the client is to come back.
    """

    data: T
    id: str | int | None = None
    retry: int | None = None


def maker(answer: Answer) -> t.Callable[..., t.Any]:
    """Return what makes the response of a view that yields."""

    def make(source: t.Any, exits: list[t.Any] | None = None) -> t.Any:
        is_async = hasattr(source, "__anext__")
        if not is_async and not hasattr(source, "__next__"):
            return source  # a response of the view's own
        write = _event if answer.media == "events" else _line
        pieces = (_AsyncPieces if is_async else _Pieces)(source, answer, write, exits or [])
        if answer.media == "events":
            return event_stream(stream_with_context(pieces))
        return Response(stream_with_context(pieces), mimetype="application/jsonl")

    return make


def _line(answer: Answer, item: t.Any) -> bytes:
    return answer.write(item) + b"\n"


def _event(answer: Answer, item: t.Any) -> ServerSentEvent:
    if isinstance(item, ServerSentEvent):
        return item
    number = retry = None
    if isinstance(item, Event):
        item, number, retry = item.data, item.id, item.retry
    config = getattr(type(item), "__struct_config__", None)
    tag = None if config is None or config.tag is None else str(config.tag)
    return ServerSentEvent(answer.write(item).decode(), tag, number, retry)


class _Pieces:
    """The pieces of a plain generator. A class, so that it is closed even before its first piece.

    :param source: gives the items.
    :param answer: what the view's annotation says.
    :param write: turns an item into a piece.
    :param exits: the providers that go on after the last piece; they are taken out.
    """

    def __init__(self, source: t.Any, answer: Answer, write: t.Any, exits: list[t.Any]) -> None:
        self._source = source
        self._write = partial(write, answer)
        self._exits = exits[:]
        exits.clear()

    def __iter__(self) -> t.Any:
        return self

    def __next__(self) -> t.Any:
        try:
            return self._write(next(self._source))
        except BaseException as error:
            unwind(self._exits, None if isinstance(error, StopIteration) else error)
            raise

    def close(self) -> None:
        """End before the last piece, because the client has left."""
        try:
            if hasattr(self._source, "close"):
                self._source.close()
        finally:
            with suppress(GeneratorExit):
                unwind(self._exits, GeneratorExit() if self._exits else None)


class _AsyncPieces(_Pieces):
    """The pieces of an asynchronous generator."""

    def __aiter__(self) -> t.Any:
        return self

    async def __anext__(self) -> t.Any:
        try:
            return self._write(await self._source.__anext__())
        except BaseException as error:
            await unwind_async(
                self._exits, None if isinstance(error, StopAsyncIteration) else error
            )
            raise

    async def aclose(self) -> None:
        """End before the last piece, because the client has left."""
        try:
            if hasattr(self._source, "aclose"):
                await self._source.aclose()
        finally:
            with suppress(GeneratorExit):
                await unwind_async(self._exits, GeneratorExit() if self._exits else None)


# -- providers that go on -------------------------------------------------------------------


def unwind(exits: list[t.Any], error: BaseException | None) -> None:
    """Let the providers that have yielded go on, the last one first.

    :param exits: their generators; taken out.
    :param error: what the view has raised.
    :raises BaseException: *error*, or what a provider has raised since.
    """
    while exits:
        generator = exits.pop()
        try:
            if hasattr(generator, "__anext__"):
                async_to_sync(_leave_async)(generator, error)
                continue
            if error is None:
                next(generator)
            else:
                generator.throw(error)
            raise RuntimeError(_ONCE)
        except StopIteration:
            pass
        except BaseException as raised:
            error = raised
    if error is not None:
        raise error


async def unwind_async(exits: list[t.Any], error: BaseException | None) -> None:
    """End providers, as :func:`unwind` does, from a coroutine: plain generators go on in a worker thread.

    :param exits: their generators; taken out.
    :param error: what the view has raised.
    :raises BaseException: *error*, or what a provider has raised since.
    """
    while exits:
        plain: list[t.Any] = []
        while exits and not hasattr(exits[-1], "__anext__"):
            plain.insert(0, exits.pop())
        try:
            await (hop(unwind, plain, error) if plain else _leave_async(exits.pop(), error))
        except BaseException as raised:
            error = raised
    if error is not None:
        raise error


_ONCE = "A provider has to yield once."


async def _leave_async(generator: t.Any, error: BaseException | None) -> None:
    try:
        await (generator.__anext__() if error is None else generator.athrow(error))
    except StopAsyncIteration:
        if error is not None:
            raise error from None
        return
    raise RuntimeError(_ONCE)


async def hop(function: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
    """Call a plain function from a coroutine: under ASGI in a worker thread."""
    if type(get_current(None)) is RequestContext:
        return function(*args)  # a WSGI server's thread, whose loop no other request waits for
    return await in_thread(function, *args)
