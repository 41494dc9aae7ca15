"""Answers that come piece by piece: JSON lines and server-sent events."""

from __future__ import annotations

import typing as t

import msgspec

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


#: Lets providers go on: takes their generators, and the error or None.
Unwind = t.Callable[[list[t.Any], BaseException | None], t.Any]


def maker(answer: t.Any) -> t.Callable[..., t.Any]:
    """Return what makes the response of a view that yields.

    :param answer: what the view's annotation says.
    """
    return _make_events_of(answer) if answer.media == "events" else _make_lines_of(answer)


def _make_lines_of(answer: Answer) -> t.Callable[..., t.Any]:
    def make(source: t.Any, exits: t.Any = None, unwind: Unwind | None = None) -> t.Any:
        if not _is_iterator(source):
            return source
        pieces = _pieces(source, lambda item: answer.write(item) + b"\n", exits, unwind)
        return Response(stream_with_context(pieces), mimetype="application/jsonl")

    return make


def _make_events_of(answer: Answer) -> t.Callable[..., t.Any]:
    def make(source: t.Any, exits: t.Any = None, unwind: Unwind | None = None) -> t.Any:
        if not _is_iterator(source):
            return source
        pieces = _pieces(source, lambda item: _event(answer, item), exits, unwind)
        return event_stream(stream_with_context(pieces))

    return make


def _is_iterator(source: t.Any) -> bool:
    return hasattr(source, "__anext__") or hasattr(source, "__next__")


def _event(answer: Answer, item: t.Any) -> ServerSentEvent:
    if isinstance(item, ServerSentEvent):
        return item
    number = retry = None
    if isinstance(item, Event):
        item, number, retry = item.data, item.id, item.retry
    config = getattr(type(item), "__struct_config__", None)
    tag = None if config is None or config.tag is None else str(config.tag)
    return ServerSentEvent(answer.write(item).decode(), tag, number, retry)


def _pieces(source: t.Any, write: t.Callable[[t.Any], t.Any], exits: t.Any, unwind: t.Any) -> t.Any:
    if hasattr(source, "__anext__"):
        return _AsyncPieces(source, write, exits, unwind)
    return _Pieces(source, write, exits, unwind)


class _Pieces:
    """The pieces of a plain generator. A class, so that it is closed even before its first piece.

    :param source: gives the items.
    :param write: turns an item into a piece.
    :param exits: the providers that go on after the last piece.
    :param unwind: lets them.
    """

    def __init__(self, source: t.Any, write: t.Any, exits: t.Any, unwind: t.Any) -> None:
        self._source = source
        self._write = write
        self._exits = exits or []
        self._unwind = unwind

    def __iter__(self) -> t.Any:
        return self

    def __next__(self) -> t.Any:
        try:
            return self._write(next(self._source))
        except StopIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise

    def _end(self, error: BaseException | None) -> None:
        if self._exits:
            exits, self._exits = self._exits, []
            from .compile import unwind

            unwind(exits, error)

    def close(self) -> None:
        """End before the last piece, because the client has left."""
        try:
            if hasattr(self._source, "close"):
                self._source.close()
        finally:
            if self._exits:
                try:
                    self._end(GeneratorExit())
                except GeneratorExit:
                    pass


class _AsyncPieces(_Pieces):
    """The pieces of an asynchronous generator."""

    def __aiter__(self) -> t.Any:
        return self

    async def __anext__(self) -> t.Any:
        try:
            return self._write(await self._source.__anext__())
        except StopAsyncIteration:
            await self._end_async(None)
            raise
        except BaseException as error:
            await self._end_async(error)
            raise

    async def _end_async(self, error: BaseException | None) -> None:
        if self._exits:
            exits, self._exits = self._exits, []
            from .compile import unwind_async

            await unwind_async(exits, error)

    async def aclose(self) -> None:
        """End before the last piece, because the client has left."""
        try:
            if hasattr(self._source, "aclose"):
                await self._source.aclose()
        finally:
            if self._exits:
                try:
                    await self._end_async(GeneratorExit())
                except GeneratorExit:
                    pass
