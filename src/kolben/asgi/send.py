"""Sending a response through an ASGI server, all at once or piece by piece."""

from __future__ import annotations

import asyncio
import contextvars
import typing as t
from functools import partial
from http import HTTPStatus
from time import monotonic

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse
from werkzeug.wsgi import FileWrapper, _RangeWrapper

from ..concurrency import TURN, ended, in_thread, run_in_thread
from ..http.headers import (
    BODIES,
    SHORT,
    ResponseHeaders,
    full_content_type,
    is_plain_location,
    ordinary_headers,
)
from ..http.streaming import AsyncBody, FileBody, WholeBody, is_event_stream, open_streams
from ..logging import shown_error
from ..threads import hook_workers, workers
from ..wrappers import Response
from .body import watched
from .scope import logger

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import WSGIEnvironment

    from .body import Body, Receive
    from .scope import Scope

Send = t.Callable[[t.MutableMapping[str, t.Any]], t.Awaitable[None]]

#: Status, headers and body, as WSGI has them; or, encoded already, the status's number and ASGI's headers.
Answer: t.TypeAlias = "tuple[t.Any, list[t.Any], t.Iterable[bytes]]"

#: Bodies of a known length up to this many bytes are sent in one piece.
ONE_PIECE = 256 * 1024

_END: t.Any = object()


class ClientGoneError(Exception):
    """The server could not send, because the client has left."""


async def send_plain(send: Send, code: int) -> None:
    """Answer a request that is not fit for the application.

    :param code: the status.
    """
    body = HTTPStatus(code).phrase.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


# -- what is to be sent ---------------------------------------------------------------------


class Settled(list[bytes]):
    """A body of which every piece is there, and what is to be done when it was sent.

    :param pieces: the pieces.
    :param body: the body that they come from, which is closed then.
    :param rest: its iterator, which is run to its end before, as a WSGI server does.
    """

    def __init__(
        self, pieces: list[bytes], body: t.Iterable[bytes], rest: t.Iterator[bytes] | None = None
    ) -> None:
        super().__init__(pieces)
        self._body = body
        self._rest = rest

    def close(self) -> None:
        """Do what is to be done after the response, in a worker thread."""
        rest, self._rest = self._rest, None
        try:
            if rest is not None:
                next(rest, None)
        finally:
            close_body(self._body)


async def prepare(response: t.Any, environ: WSGIEnvironment) -> Answer:
    """Return status, headers and body of a response object. Where it cannot, the response is closed.

    :param response: the response, or another WSGI application.
    :param environ: the request's environment.
    """
    call = type(response).__call__
    if call is not Response.__call__ and call is not BaseResponse.__call__:
        return await in_thread(call_wsgi, response, environ, pool=workers, drop=close_answer)
    try:
        body, status, headers = response.get_wsgi_response(environ)
    except BaseException:
        await drop(response)
        raise
    if type(body) is list or type(body) is tuple or isinstance(body, AsyncBody):
        return status, headers, body
    if isinstance(body, WholeBody):
        pieces = list(body)
        # Without functions to call, a response has nothing to close.
        return status, headers, Settled(pieces, body) if response._on_close else pieces
    pool = hook_workers if _is_file(body) else workers
    body = await in_thread(settle, status, headers, body, pool=pool, drop=close_body)
    return status, headers, body


def call_wsgi(app: t.Callable[..., t.Iterable[bytes]], environ: WSGIEnvironment) -> Answer:
    """Call a WSGI application, in a worker thread, and return what it wants to be sent.

    :param app: the application.
    :param environ: the request's environment.
    """
    started: list[t.Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[t.Any], exc_info: t.Any = None) -> t.Any:
        started[:] = status, headers
        return written.append

    body: Iterable[bytes] = app(environ, start_response)
    try:
        if not started or written:
            # It is a generator, which starts when it is asked for the first piece; or one of old.
            body = _begun(body, written)
        status, headers = started
    except BaseException:
        close_body(body)
        raise
    return status, headers, settle(status, headers, body)


class _Chain:
    """A body that was begun already.

    :param first: its first pieces.
    :param rest: gives the others.
    :param body: what is to be closed.
    """

    def __init__(
        self, first: list[bytes], rest: t.Iterator[bytes], body: t.Iterable[bytes]
    ) -> None:
        self._first = first[::-1]
        self._rest = rest
        self._body = body

    def __iter__(self) -> t.Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._first.pop() if self._first else next(self._rest)

    def close(self) -> None:
        close_body(self._body)


def _begun(body: t.Iterable[bytes], written: list[bytes]) -> t.Iterable[bytes]:
    """Begin the body of a WSGI application; what it writes meanwhile comes first."""
    rest = iter(body)
    first = next(rest, b"")
    return _Chain([b"".join(written), first], rest, body)


def settle(
    status: str, headers: list[tuple[str, str]], body: t.Iterable[bytes]
) -> t.Iterable[bytes]:
    """Get what can be had of a body without waiting, while in a worker thread, to spare further ones.

    Files are read, up to :data:`ONE_PIECE`; of other bodies of a known length, the first piece, which
    most often is all. What comes later is sent when it comes.

    :param status: the response's status.
    :param headers: its headers: only a declared length says that a body is short.
    :param body: its body, which is closed where it fails.
    """
    if type(body) is list or type(body) is tuple or isinstance(body, AsyncBody):
        return body
    if isinstance(body, WholeBody):
        return Settled(list(body), body)
    declared = next((value for name, value in headers if name.lower() == "content-length"), "")
    length = int(declared) if declared.isdecimal() else None
    if status[:3] in ("204", "304"):
        length = 0
    if length is None or length > ONE_PIECE:
        return body
    if _is_file(body):
        try:
            return [b"".join(body)]
        finally:
            close_body(body)
    try:
        rest = iter(body)
        first = next(rest, _END)
    except BaseException:
        close_body(body)
        raise
    if first is _END:
        return Settled([], body)
    if len(first) >= length:
        return Settled([first], body, rest)
    return _Chain([first], rest, body)


def _is_file(body: t.Any) -> bool:
    if isinstance(body, _RangeWrapper):
        body = body.iterable
    return isinstance(body, (FileBody, FileWrapper))


def close_body(body: t.Any) -> None:
    """Call a body's ``close``, which it may have (PEP 3333), or that of a response.

    :param body: the body.
    """
    close = getattr(body, "close", None)
    if close is not None:
        close()


def close_answer(answer: Answer) -> None:
    """Close the body of an answer that is not going to be sent, from a worker thread.

    :param answer: the answer.
    """
    close_body(answer[2])


async def drop_answer(answer: Answer) -> None:
    """Close the body of an answer that is not going to be sent.

    :param answer: the answer.
    """
    body = answer[2]
    if isinstance(body, AsyncBody):
        await _close_async(body)
    else:
        await in_thread(close_body, body)


async def _close_async(body: AsyncBody) -> None:
    try:
        await body.aclose()
    finally:
        on_close, body.on_close = body.on_close, None
        if on_close is not None:
            await in_thread(on_close)


async def drop(result: t.Any) -> None:
    """Close what a view has returned, or what was made of it, since it is not going to be sent.

    :param result: anything.
    """
    parts = result if isinstance(result, tuple) else (result,)
    for part in parts:
        if isinstance(part, HTTPException):  # of abort(response)
            part = part.response
        try:
            close: t.Any = getattr(part, "aclose", None)
            if close is not None:
                await close()
            elif isinstance(part, BaseResponse) or (
                hasattr(part, "close") and hasattr(part, "__next__")
            ):
                await in_thread(close_body, part)
        except Exception as error:
            logger.error(
                "A response that could not be sent was not closed properly.",
                exc_info=shown_error(error),
            )


# -- sending it -----------------------------------------------------------------------------


class _HeaderNames(dict[str, bytes]):
    """The names of headers as ASGI wants them. PERF: 0.03 µs for a known one instead of 0.15."""

    _MOST = 1000

    def __missing__(self, name: str) -> bytes:
        encoded = name.lower().encode("latin-1")
        if len(self) < self._MOST:
            self[name] = encoded
        return encoded


_names = _HeaderNames()


class _Codes(dict[str, int]):
    """The number that a status begins with. PERF: 0.03 µs for a known one instead of 0.11."""

    _MOST = 1000

    def __missing__(self, status: str) -> int:
        code = int(status[:3])
        if len(self) < self._MOST:
            self[status] = code
        return code


_codes = _Codes()


def start_message(status: t.Any, headers: list[t.Any]) -> dict[str, t.Any]:
    """Return the message that starts a response.

    :param status: the status, as WSGI has it; or its number, where the headers are encoded already.
    :param headers: the headers.
    """
    if type(status) is not int:
        status, headers = encode_start(status, headers)
    return {"type": "http.response.start", "status": status, "headers": headers}


def encode_start(
    status: str, headers: list[tuple[str, str]]
) -> tuple[int, list[tuple[bytes, bytes]]]:
    """Return status and headers as ASGI wants them.

    :param status: the status, as WSGI has it.
    :param headers: the headers.
    """
    names = _names
    return _codes[status], [(names[name], value.encode("latin-1")) for name, value in headers]


class _OrdinaryNames(dict[str, bytes]):
    """The names of headers that need no attention, as ASGI wants them; and of those that are looked at here."""

    def __missing__(self, name: str) -> bytes:
        if name not in ordinary_headers:
            raise KeyError(name)
        self[name] = encoded = name.lower().encode("latin-1")
        return encoded


_LENGTH = "Content-Length"
_ordinary_names = _OrdinaryNames({_LENGTH: b"content-length"})
_names_of_redirects = _OrdinaryNames({_LENGTH: b"content-length", "Location": b"location"})
_REDIRECTS = frozenset({301, 302, 303, 305, 307, 308})


def short_answer(response: t.Any, method: str) -> Answer | None:
    """Return what :meth:`.Response.short_wsgi_response` does, as ASGI wants it; None for what may need a closer
    look.

    PERF: 0.3 µs; to encode what that method returns takes 0.5 more.

    :param response: the response.
    :param method: the request's.
    """
    if type(response) is not Response or method == "HEAD":
        return None
    code, body, headers = response._status_code, response.response, response.headers
    if (
        type(body) is not list
        or type(headers) is not ResponseHeaders
        or response.direct_passthrough
        or response._on_close
        or code not in BODIES
    ):
        return None
    names, pairs = _ordinary_names, headers._list
    if code in _REDIRECTS:
        located = [value for name, value in pairs if name == "Location"]
        if len(located) != 1 or not is_plain_location(located[0]):
            return None
        names = _names_of_redirects
    try:
        [piece] = body
        if type(piece) is not bytes or (pairs[1][0] != _LENGTH and not _has_length(pairs)):
            return None
        return code, [(names[name], value.encode("latin-1")) for name, value in pairs], body
    except (IndexError, KeyError, ValueError):
        return None  # not one piece, a name that needs attention, or a value that ASCII and its like lack


def _has_length(pairs: list[tuple[str, str]]) -> bool:
    return any(name == _LENGTH for name, _ in pairs)


class _EncodedTypes(dict[str, tuple[bytes, bytes]]):
    """The header of each type that the application's bodies have by default, as ASGI wants it."""

    def __missing__(self, mimetype: str) -> tuple[bytes, bytes]:
        header = b"content-type", full_content_type(mimetype).encode("latin-1")
        if len(self) < _MOST_TYPES:
            self[mimetype] = header
        return header


class _EncodedLengths(dict[int, tuple[bytes, bytes]]):
    """The header of each length, as ASGI wants it; of long ones none is remembered."""

    def __missing__(self, length: int) -> tuple[bytes, bytes]:
        header = b"content-length", b"%d" % length
        if length < SHORT:
            self[length] = header
        return header


_MOST_TYPES = 64

#: PERF: encoded once, the two headers that most bodies have take 0.05 µs; anew for each answer 0.25.
encoded_types = _EncodedTypes()
encoded_lengths = _EncodedLengths()


def whole_message(pieces: t.Sequence[bytes]) -> dict[str, t.Any]:
    """Return the message with a body that is there as a whole.

    :param pieces: the body.
    """
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return {"type": "http.response.body", "body": data, "more_body": False}


async def send_streamed(
    send: Send, answer: Answer, scope: Scope, receive: Receive, request_body: Body | None
) -> None:
    """Send a response whose body has to be closed, and may come piece by piece.

    Whatever becomes of it, its body is closed at once.

    :param send: takes the messages.
    :param answer: the response.
    :param scope: the scope of the request.
    :param receive: tells when the client leaves.
    :param request_body: the body of the request.
    """
    status, headers, body = answer
    outgoing = _Outgoing(send, body)
    request_body = watched(scope, request_body, receive)
    try:
        await outgoing.pass_on(start_message(status, headers))
        if isinstance(body, (list, tuple)):
            await outgoing.pass_on(whole_message(body))
        else:
            await _stream(outgoing, request_body, is_event_stream(headers))
    except ClientGoneError:
        pass
    finally:
        try:
            await outgoing.close()
        finally:
            if request_body.is_open:
                await request_body.close()


async def _stream(outgoing: _Outgoing, request_body: Body, is_events: bool) -> None:
    """Send a body piece by piece, for as long as the client is there.

    The pieces are produced in a task of their own: however long one takes, it can be cancelled
    when the client leaves, and what produces them is closed.
    """
    producer = asyncio.create_task(outgoing.produce())
    open_streams[producer] = is_events
    producer.add_done_callback(open_streams.pop)
    leaving = asyncio.create_task(request_body.client_leaves())
    try:
        await asyncio.wait({producer, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not request_body.gone:  # and the server's `receive`, if it was that, has failed
            await asyncio.wait({producer})
    finally:
        leaving.cancel()
        # Once all is sent, that the client leaves is no reason to disturb what comes after.
        await ended(producer, cancel=not outgoing.is_sent)
        await ended(leaving, cancel=False)
    error = None if producer.cancelled() else producer.exception()
    if error is not None:
        raise error


class _Outgoing:
    """A body on its way to the client.

    :param send: takes the messages.
    :param body: the body.
    """

    #: Whether all of it was sent.
    is_sent = False
    _is_closed = False

    def __init__(self, send: Send, body: t.Iterable[bytes]) -> None:
        self._send = send
        self._body = body
        self._context = contextvars.copy_context()

    async def produce(self) -> None:
        """Send the body piece by piece, and close it."""
        body = self._body
        try:
            if isinstance(body, AsyncBody):
                await self._produce_async(body)
            else:
                await self._produce_in_threads(body)
            await self._pass_piece(b"", more=False)
            self.is_sent = True
        finally:
            # Here, because some generators must end in the task that they have begun in.
            await self.close()

    async def _produce_async(self, body: AsyncBody) -> None:
        turn = monotonic()
        async for piece in body:
            if piece:
                await self._pass_piece(piece, more=True)
            if monotonic() - turn > TURN:
                # Neither the generator nor the server's `send` need ever wait, and then no
                # other task would get the loop, nor would be heard that the client has left.
                await asyncio.sleep(0)
                turn = monotonic()

    async def _produce_in_threads(self, body: t.Iterable[bytes]) -> None:
        # Reading files is short; what else a plain program does may take as long as its views.
        pool = hook_workers if _is_file(body) else workers
        call = partial(run_in_thread, self._context, pool=pool)
        pieces: t.Iterator[t.Any] = iter(body)
        while (piece := await call(next, pieces, _END)) is not _END:
            if piece:
                await self._pass_piece(t.cast("bytes", piece), more=True)

    async def _pass_piece(self, piece: bytes, *, more: bool) -> None:
        await self.pass_on({"type": "http.response.body", "body": piece, "more_body": more})

    async def pass_on(self, message: dict[str, t.Any]) -> None:
        """Give a message to the server.

        :param message: the message.
        :raises ClientGoneError: if it cannot be sent any more.
        """
        try:
            await self._send(message)
        except OSError as error:
            raise ClientGoneError from error

    async def close(self) -> None:
        """Close the body, unless it was closed before."""
        if self._is_closed:
            return
        self._is_closed = True
        body = self._body
        if isinstance(body, AsyncBody):
            await _close_async(body)
        else:
            await run_in_thread(self._context, close_body, body)
