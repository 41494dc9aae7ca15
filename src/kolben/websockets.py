"""WebSockets: what a handler works with, and what is registered for it.

A WebSocket begins as an HTTP request, the handshake, so a `WebSocket` is a request object that can
also receive and send. `kolben.asgi.websocket` is what runs the handlers.
"""

from __future__ import annotations

import typing as t
from functools import update_wrapper
from inspect import iscoroutinefunction
from time import monotonic
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, WebsocketMismatch

from .concurrency import TURN, ended
from .globals import current_request_context
from .http.headers import ResponseHeaders
from .json.refusals import DEEP, has_surrogate, is_nested
from .wrappers import Request

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from _typeshed.wsgi import WSGIEnvironment

    from .app import Flask
    from .asgi.context import WebSocketContext
    from .asgi.inbox import Inbox

    Message = t.MutableMapping[str, t.Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[dict[str, t.Any]], t.Any]

F = t.TypeVar("F", bound="Callable[..., t.Any]")

#: How many seconds a handler has to notice that the client has left, before it is cancelled; unless
#: ``WEBSOCKET_LEAVE_TIMEOUT`` is configured.
LEAVE_TIMEOUT = 5.0

#: A handler that has sent so many messages in a row is one that does not receive.
_SENT_IN_A_ROW = 64

# RFC 6455, section 7.4.1: the others are reserved, or are only ever seen and never sent.
_CODES = frozenset((*range(1000, 1004), *range(1007, 1015)))
_LONGEST_REASON = 123  # bytes (RFC 6455, section 5.5)


class WebSocketDisconnect(Exception):
    """The WebSocket is closed: nothing comes from it any more, and nothing can be sent.

    A handler may let it pass: it ends the handler without any further ado.

    :param code: the close code (RFC 6455, section 7.4.1); 1006 where the client left without one.
    :param reason: what the client gave as the reason.
    """

    def __init__(self, code: int = 1006, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"The WebSocket is closed: {self.code} {self.reason}".rstrip()


class InvalidMessage(ValueError):
    """The client has sent what is not JSON, where JSON was expected.

    Unless the handler catches it, it closes the WebSocket with the code 1007.
    """


class UpgradeRequired(HTTPException):
    """426: the URL is that of a WebSocket, and the request did not ask for one, or could not."""

    code = 426
    description = (
        "This URL is a WebSocket. It takes a WebSocket client, and a server that speaks ASGI:"
        " 'kolben serve', 'kolben run' with the extra kolben[dev], uvicorn, hypercorn or granian."
    )

    def get_headers(self, environ: t.Any = None, scope: t.Any = None) -> list[tuple[str, str]]:
        """Return the headers of the response.

        :param environ: the request's environment.
        :param scope: not used.
        """
        headers = super().get_headers(environ, scope)
        if environ is None or _may_name_upgrade(environ):
            headers.append(("Upgrade", "websocket"))
        return headers


def _may_name_upgrade(environ: WSGIEnvironment) -> bool:
    # RFC 9110 (section 15.5.22) asks for the header, PEP 3333 forbids it, and these two servers
    # answer 500 to it. HTTP/2 has no such header.
    software: str = environ.get("SERVER_SOFTWARE", "")
    is_http1 = environ.get("SERVER_PROTOCOL", "HTTP/1.1").startswith("HTTP/1")
    return is_http1 and not software.startswith(("waitress", "WSGIServer"))


class WebSocket(Request):
    """A WebSocket. Its handler finds it as :data:`kolben.websocket`.

    .. code-block:: python

        @app.websocket("/echo")
        async def echo():
            async for message in websocket:
                await websocket.send(message)

    It has what the handshake has, as a :class:`~kolben.Request`: ``headers``, ``args``, ``cookies``,
    ``path``, ``url``, ``view_args``, ... While it is open, `async for` gives its messages until
    the client leaves.
    """

    #: The code it was closed with; None while it is open.
    close_code: int | None = None
    #: The reason it was closed for.
    close_reason: str = ""
    #: Whether the handshake was answered: whether it can receive and send.
    accepted = False
    #: The subprotocol that was agreed on; None if there is none.
    subprotocol: str | None = None

    _context: WebSocketContext
    # True once the client has left, or cannot be reached any more.
    _gone = False
    # True once the handler knows it.
    _told = False
    # Looks whether the client has left, or cancels a handler that does not notice that it has.
    _timer: asyncio.TimerHandle | None = None
    # Answers the handshake; sends the close.
    _opening: asyncio.Task[None] | None = None
    _closing: asyncio.Task[None] | None = None

    @property
    def requested_subprotocols(self) -> list[str]:
        """The subprotocols that the client offers, the one it likes best first."""
        return list(self._context.scope.get("subprotocols") or ())

    # ---- the handshake ----------------------------------------------------------------------

    async def accept(
        self,
        headers: t.Mapping[str, str] | t.Iterable[tuple[str, str]] | None = None,
        subprotocol: str | None = None,
    ) -> None:
        """Accept the handshake. The first receive or send does it, if the handler has not.

        What was changed in the session until now goes with it.

        :param headers: further headers for the answer.
        :param subprotocol: one of :attr:`requested_subprotocols`.
        :raises RuntimeError: if the handshake was answered before.
        :raises ValueError: if the client has not offered the subprotocol.
        """
        if self.accepted or self.close_code is not None:
            raise RuntimeError("This WebSocket was accepted, or closed, before.")
        if subprotocol is not None and subprotocol not in self.requested_subprotocols:
            raise ValueError(
                f"The subprotocol {subprotocol!r} is not one that the client offers:"
                f" {self.requested_subprotocols!r}."
            )
        await self._open(ResponseHeaders(headers or ()), subprotocol)

    async def _open(self, headers: Headers, subprotocol: str | None) -> None:
        """Accept the handshake, in a task of its own.

        A handler that gives up waiting (``asyncio.timeout`` around its first ``receive``) would leave it half
        done, and the server would refuse the next try. Two tasks that both begin by sending wait for one.
        """
        import asyncio

        if self._opening is None:
            self._opening = self._context.loop.create_task(self._accept(headers, subprotocol))
            self._opening.add_done_callback(self._opened)
        await asyncio.shield(self._opening)

    async def _handshake_ends(self) -> None:
        """Wait for a handshake that the handler has not waited for."""
        if self._opening is not None:
            await ended(self._opening, cancel=False)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # which nothing asks for where the handler has given up

    async def _accept(self, headers: Headers, subprotocol: str | None) -> None:
        context = self._context
        for cookie in await context.save_session():
            headers.add("Set-Cookie", cookie)
        pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        await self._pass({"type": "websocket.accept", "subprotocol": subprotocol, "headers": pairs})
        self.subprotocol = subprotocol
        self.accepted = True
        context.drop_what_matching_needed()
        self._watch()

    async def _ensure_open(self) -> None:
        if self.accepted:
            return
        if self.close_code is None:
            await self._open(Headers(), None)

    # ---- messages ---------------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        """Wait for the next message and return it: text, or bytes if it is a binary one.

        A wait that is cancelled, as by ``asyncio.timeout``, takes no message.

        :raises WebSocketDisconnect: if the client has left, or leaves meanwhile.
        """
        await self._ensure_open()
        inbox = self._context.inbox
        if self._gone and not inbox:
            await self._tell()
        self._stop_timer()
        message = await inbox.next()
        if message["type"] == "websocket.receive":
            self._watch()
            text = message.get("text")
            return t.cast("str | bytes", message["bytes"] if text is None else text)
        await self._tell()
        raise AssertionError  # for type checkers: _tell() never returns

    async def send(self, data: str | bytes) -> None:
        """Send a message, and wait until the server has taken it.

        A client that does not read what it is sent makes this wait.

        :param data: text, or bytes for a binary message.
        :raises WebSocketDisconnect: if the WebSocket is closed, on either side.
        """
        if isinstance(data, str):
            message: dict[str, t.Any] = {"type": "websocket.send", "text": data}
        elif isinstance(data, (bytes, bytearray, memoryview)):
            message = {"type": "websocket.send", "bytes": bytes(data)}
        else:
            raise TypeError(
                f"send() takes text or bytes, not {type(data).__name__}; for others there is"
                " send_json()."
            )
        await self._ensure_open()
        inbox = self._context.inbox
        inbox.sent += 1
        if inbox.sent > _SENT_IN_A_ROW or monotonic() - inbox.turn > TURN:
            await self._give_way(inbox)
        if self.close_code is not None:
            await self._tell()
        await self._pass(message)

    async def _give_way(self, inbox: Inbox) -> None:
        """Let the event loop take its turn: a server's ``send`` need not.

        Without it a handler that only sends would keep all others waiting, and never hear that its
        client has left.
        """
        import asyncio

        if inbox.sent > _SENT_IN_A_ROW:
            inbox.sent = 0
            inbox.read_ahead()
        await asyncio.sleep(0)
        inbox.turn = monotonic()

    async def receive_json(self) -> t.Any:
        """Wait for the next message and return what its JSON says.

        :raises InvalidMessage: if it is not JSON.
        :raises WebSocketDisconnect: if the client has left, or leaves meanwhile.
        """
        data = await self.receive()
        try:
            value = self.json_module.loads(data)
            if len(data) > 2 * DEEP and is_nested(data):
                self._has_unkept_nesting = True
            elif self._has_unkept_nesting is None and has_surrogate(data):
                self._has_unkept_nesting = False
            return value
        except (ValueError, RecursionError) as error:
            raise InvalidMessage("The message is not JSON.") from error

    async def send_json(self, *args: t.Any, **kwargs: t.Any) -> None:
        """Send data as JSON, in a message of text.

        :param args: the data, as for :func:`kolben.jsonify`.
        :param kwargs: in place of ``args``: the members of an object.
        :raises WebSocketDisconnect: if the WebSocket is closed, on either side.
        """
        provider = self.json_module
        await self.send(provider.dumps(provider._prepare_response_obj(args, kwargs)))

    async def is_disconnected(self) -> bool:
        """Tell whether the client has left, without waiting for it."""
        import asyncio

        if self.accepted and not self._gone:
            self._context.inbox.read_ahead()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return self._gone

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except WebSocketDisconnect:
            raise StopAsyncIteration from None

    # ---- the end ----------------------------------------------------------------------------

    async def close(self, code: int = 1000, reason: str = "") -> None:  # type: ignore[override]
        """Close the WebSocket; before it is accepted that means to answer 403.

        :param code: the close code (RFC 6455, section 7.4): 1000 for the normal end, 1001, 1003,
            1007 to 1014, or one of your own from 3000 to 4999.
        :param reason: at most 123 bytes of text.
        :raises ValueError: for a code that cannot be sent, or a reason that is too long.
        """
        if code not in _CODES and not 3000 <= code <= 4999:
            raise ValueError(
                f"{code} is no close code to send: use 1000 to 1003, 1007 to 1014, or one of your"
                " own from 3000 to 4999."
            )
        if len(reason.encode()) > _LONGEST_REASON:
            raise ValueError(f"The reason may have {_LONGEST_REASON} bytes, not more.")
        import asyncio

        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
            if self._gone:
                return
            # In a task of its own, as the handshake: a handler that gives up waiting would leave it half done,
            # and the client without the code.
            message = {"type": "websocket.close", "code": code, "reason": reason}
            self._closing = self._context.loop.create_task(self._close(message))
            self._closing.add_done_callback(self._closed)
        if self._closing is not None:
            await asyncio.shield(self._closing)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing = None
        if not task.cancelled():
            task.exception()  # which nothing asks for where the handler has given up

    async def _close(self, message: dict[str, t.Any]) -> None:
        inbox: Inbox | None = self._context.__dict__.get("inbox")
        if inbox is None:
            await self._pass(message)
            return
        await inbox.pause()
        try:
            if not self._gone:
                await self._pass(message)
        finally:
            inbox.resume()

    async def _pass(self, message: dict[str, t.Any]) -> None:
        """Give a message to the server."""
        try:
            await self._context.send(message)
        except (OSError, RuntimeError) as error:
            # What a server raises that has seen the client go (ASGI specification, "Disconnected
            # Client": an OSError; Granian's is a RuntimeError). The code comes with the message
            # about it.
            if not (self.accepted or isinstance(error, OSError)):
                raise
            self._gone = True
            if self.close_code is None:
                self.close_code = 1006
            if message["type"] != "websocket.close":
                await self._tell()

    def _leave(self, message: Message) -> None:
        """Take notice that the client has left."""
        self._gone = True
        if self.close_code is None or self.close_code == 1006:
            self.close_code = message.get("code") or 1005
            self.close_reason = message.get("reason") or ""
        if not self._context.inbox.is_awaited:
            self._stop_timer()
            self._watch()

    async def _tell(self) -> t.NoReturn:
        if self._told:
            # A handler that catches this in an endless loop must not stop all others, too.
            import asyncio

            await asyncio.sleep(0)
        self._told = True
        raise WebSocketDisconnect(self.close_code or 1006, self.close_reason)

    # ---- handlers that do not receive -------------------------------------------------------

    def _watch(self) -> None:
        """See to it that the client's leaving is noticed, if the handler does not receive.

        PERF: a handler that waits in receive() needs nothing for this. Reading always, for a handler
        that is at something else, would cost it 1.5 kB.
        """
        if self._timer is None:
            loop = self._context.loop
            timeout = self._context.leave_timeout
            self._timer = loop.call_later(timeout, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._gone:
            self._context.inbox.read_ahead()
        elif not self._told:
            self._context.cancel()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _stop_watching(self) -> None:
        self._stop_timer()
        if self._closing is not None:  # and the handler was cancelled
            await ended(self._closing, cancel=True)
        inbox: Inbox | None = self._context.__dict__.get("inbox")
        if inbox is not None:
            await inbox.pause()
            self._stop_timer()  # set again where the client has left meanwhile


# -- registration ---------------------------------------------------------------------------


class WebSocketView:
    """What is registered as the view of a WebSocket: answers 426 to plain HTTP requests.

    :param handler: the handler, a coroutine function.
    :param origins: the origins from which browsers may connect, beside the site's own.
    :raises TypeError: if the handler is not a coroutine function.
    """

    #: OPTIONS is not answered for a WebSocket.
    provide_automatic_options = False

    def __init__(self, handler: Callable[..., t.Any], origins: t.Any = None) -> None:
        name = getattr(handler, "__name__", repr(handler))
        if isinstance(origins, str):
            raise TypeError(f"'origins' must be a list: write origins=[{origins!r}].")
        if not iscoroutinefunction(handler):
            raise TypeError(
                f"The WebSocket handler {name!r} must be an 'async def' function with awaits, not a"
                " plain one or a generator. If a decorator made it plain, do the decorator's work"
                " in a @before_websocket function instead."
            )
        update_wrapper(t.cast("t.Any", self), handler)
        self.handler = handler
        self.origins: tuple[str, ...] | None = None if origins is None else tuple(origins)

    def __call__(self, **values: t.Any) -> t.NoReturn:
        """Answer a request that asked for no WebSocket, or could not.

        :param values: the variables of the URL.
        :raises UpgradeRequired: always.
        """
        raise UpgradeRequired

    # The same handler may be registered for several URLs under one endpoint.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, WebSocketView) and other.handler is self.handler

    def __hash__(self) -> int:
        return hash(self.handler)


def explain_mismatch(app: Flask, adapter: MapAdapter | None, error: HTTPException) -> HTTPException:
    """Return what to answer to a plain request for the URL of a WebSocket.

    :param app: the application.
    :param adapter: the request's URL adapter.
    :param error: why no URL rule matched.
    :return: 426 for a WebSocket that was registered as one; *error* for anything else.
    """
    if isinstance(error, WebsocketMismatch) and adapter is not None:
        try:
            rule, _ = adapter.match(return_rule=True, websocket=True)
        except HTTPException:
            return error
        if isinstance(app.view_functions.get(rule.endpoint), WebSocketView):
            return UpgradeRequired()
    return error


# -- origins --------------------------------------------------------------------------------


def is_origin_allowed(origin: str | None, host: str, allowed: t.Iterable[str]) -> bool:
    """Tell whether a page of an origin may connect (RFC 6455, section 10.2).

    A browser sends the cookies of the site with a handshake that any page of the web asks for, so
    only the site's own pages may connect unless others are named.

    :param origin: the handshake's ``Origin``; None for a client that is no browser, which may.
    :param host: the host that the handshake is for.
    :param allowed: further origins, such as ``https://example.com``, ``https://*.example.com`` for
        its subdomains, or ``*`` for any.
    """
    if origin is None:
        return True
    origin = origin.lower()
    if _bare_host(urlsplit_netloc(origin)) == _bare_host(host.lower()):
        return True
    return any(_matches(origin, pattern.lower().rstrip("/")) for pattern in allowed)


def urlsplit_netloc(url: str) -> str:
    """Return host and port of a URL; "" if it is none.

    :param url: the URL.
    """
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def _bare_host(host: str) -> str:
    return host.removesuffix(":80").removesuffix(":443")


def _matches(origin: str, pattern: str) -> bool:
    if pattern == "*":
        return True
    before, wildcard, after = pattern.partition("://*.")
    if not wildcard:
        return origin == pattern
    return origin.startswith(f"{before}://") and origin.endswith(f".{after}")


# -- contexts -------------------------------------------------------------------------------


def has_websocket_context() -> bool:
    """Tell whether a WebSocket is being handled, so that :data:`kolben.websocket` can be used."""
    return hasattr(current_request_context(), "websocket")


def copy_current_websocket_context(f: F) -> F:
    """Wrap *f* so that it sees the current WebSocket wherever it is called.

    Tasks see it anyway; this is for what runs elsewhere, such as a callback of another thread.

    :param f: a function, plain or ``async def``.
    :raises RuntimeError: outside of a WebSocket's handler.
    """
    context: t.Any = current_request_context()
    if not hasattr(context, "websocket"):
        raise RuntimeError(
            "'copy_current_websocket_context' can only be used in a WebSocket's handler."
        )

    async def call_async(*args: t.Any, **kwargs: t.Any) -> t.Any:
        with context.activate():
            return await f(*args, **kwargs)

    def call(*args: t.Any, **kwargs: t.Any) -> t.Any:
        with context.activate():
            return f(*args, **kwargs)

    wrapper: t.Any = call_async if iscoroutinefunction(f) else call
    return t.cast("F", update_wrapper(wrapper, f))
