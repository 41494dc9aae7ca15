"""Testing an application through ASGI, without a server, from ``async def`` tests.

``app.async_test_client()`` answers an :class:`AsyncClient`: what a
:class:`~kolben.testing.FlaskClient` does, with an ``await`` before each request, and WebSockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import typing as t
from urllib.parse import urljoin, urlsplit

from werkzeug.datastructures import Headers
from werkzeug.http import HTTP_STATUS_CODES

from .ctx import PRESERVE
from .websockets import WebSocketDisconnect

if t.TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.test import TestResponse
    from werkzeug.wrappers import Request as BaseRequest

    from .app import Flask
    from .sessions import SessionMixin
    from .testing import FlaskClient

    Message = t.MutableMapping[str, t.Any]
    Scope = dict[str, t.Any]

_REDIRECTS = frozenset({301, 302, 303, 305, 307, 308})
_MOST_REDIRECTS = 20
_END_TIMEOUT = 5.0  # seconds

# As in Werkzeug's client: these repeat the request as it was, the others become a GET.
_KEEPS_METHOD = (307, 308)


class WebSocketDenied(Exception):
    """The application has refused the handshake of a WebSocket.

    :param response: what it has answered.
    """

    def __init__(self, response: TestResponse) -> None:
        super().__init__(f"The handshake was answered with {response.status}.")
        self.response = response

    @property
    def status_code(self) -> int:
        """The status it has answered with."""
        return self.response.status_code


def _method(method: str) -> t.Callable[..., t.Coroutine[t.Any, t.Any, TestResponse]]:
    """Make the method of :class:`AsyncClient` that is named after a method of HTTP."""

    async def send(self: AsyncClient, *args: t.Any, **kwargs: t.Any) -> TestResponse:
        return await self.open(*args, **kwargs, method=method)

    send.__name__ = method.lower()
    send.__qualname__ = f"AsyncClient.{send.__name__}"
    send.__doc__ = (
        f"Make {'an' if method[0] in 'AEIO' else 'a'} {method} request; see :meth:`open`."
    )
    return send


class AsyncClient:
    """Sends requests to an application through its ASGI side.

    In an ``async with`` block, the contexts of the last request stay in force until the next
    request or the end of the block, so that ``request``, ``session`` and ``g`` can be looked at.

    :param app: the application.
    :param use_cookies: keep cookies from one request to the next.
    """

    def __init__(self, app: Flask, use_cookies: bool = True) -> None:
        self.application = app
        # Builds requests and keeps cookies; it is never asked to send anything.
        self._client: FlaskClient = app.test_client(use_cookies=use_cookies)
        self.set_cookie = self._client.set_cookie
        self.get_cookie = self._client.get_cookie
        self.delete_cookie = self._client.delete_cookie

    # ---- requests ---------------------------------------------------------------------------

    async def open(
        self, *args: t.Any, follow_redirects: bool = False, **kwargs: t.Any
    ) -> TestResponse:
        """Make a request and wait for the whole of its answer.

        :param args: a builder, an environ, a request, or the arguments of
            :class:`~kolben.testing.EnvironBuilder`: path, ``method``, ``json``, ``headers``, ...
        :param follow_redirects: follow redirects; ``history`` of the response lists them.
        :param kwargs: arguments of :class:`~kolben.testing.EnvironBuilder`.
        """
        request = self._client.begin_request(args, kwargs)
        response = await self._send(request)
        history: list[TestResponse] = []
        while follow_redirects and response.status_code in _REDIRECTS:
            history.append(response)
            if len(history) > _MOST_REDIRECTS:
                raise RuntimeError(
                    f"More than {_MOST_REDIRECTS} redirects, last to {response.location}."
                )
            self._client.drop_preserved()
            response = await self._send(self._redirected(response))
        response.history = tuple(history)
        response.json_module = self.application.json  # type: ignore[assignment]
        self._client.enter_preserved()
        return response

    def _redirected(self, response: TestResponse) -> BaseRequest:
        before = response.request
        url = urljoin(before.url, response.location)
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        options: dict[str, t.Any] = {"base_url": f"{parts.scheme}://{parts.netloc}/"}
        if response.status_code in _KEEPS_METHOD:
            options["method"] = before.method
            options["data"] = getattr(before, "_sent_body", b"")
            options["content_type"] = before.content_type
        elif before.method == "HEAD":
            options["method"] = "HEAD"
        return self._client.request_from((path,), options)

    def request(self, path: str, *, method: str = "GET", **kwargs: t.Any) -> AsyncRequest:
        """Make a request whose body and answer go piece by piece, in an ``async with`` block.

        .. code-block:: python

            async with client.request("/lines") as connection:
                first = await connection.receive()
                await connection.disconnect()

        :param path: the path, or a whole URL.
        :param method: the method.
        :param kwargs: arguments of :class:`~kolben.testing.EnvironBuilder`. A body given here is sent;
            without one, it is what is sent with :meth:`AsyncRequest.send`.
        """
        return AsyncRequest(self, path, {**kwargs, "method": method})

    def _prepare(self, request: BaseRequest) -> tuple[Scope, bytes]:
        environ = request.environ
        self._client._add_cookies_to_wsgi(environ)
        body = environ["wsgi.input"].read()
        request._sent_body = body  # type: ignore[attr-defined]
        return _scope_from(environ, "http"), body

    async def _send(self, request: BaseRequest) -> TestResponse:
        scope, body = self._prepare(request)
        exchange = _Exchange(body)
        await asyncio.create_task(self.application.asgi_app(scope, exchange.receive, exchange.send))
        return self._response(exchange, request)

    def _response(self, exchange: _Exchange, request: BaseRequest) -> TestResponse:
        status, headers = exchange.status, exchange.headers
        self._keep_cookies(request, headers)
        phrase = HTTP_STATUS_CODES.get(status, "Unknown").upper()
        return self._client.response_wrapper(
            exchange.pieces, f"{status} {phrase}", headers, request=request
        )

    def _keep_cookies(self, request: BaseRequest, headers: Headers) -> None:
        self._client._update_cookies_from_response(
            request.host.partition(":")[0], request.path, headers.getlist("Set-Cookie")
        )

    get = _method("GET")
    post = _method("POST")
    put = _method("PUT")
    patch = _method("PATCH")
    delete = _method("DELETE")
    head = _method("HEAD")
    options = _method("OPTIONS")

    # ---- sessions and contexts --------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def session_transaction(
        self, *args: t.Any, **kwargs: t.Any
    ) -> t.AsyncIterator[SessionMixin]:
        """Open the session that the next request will see, to read and change it.

        :param args: arguments of :meth:`.Flask.test_request_context`.
        :param kwargs: arguments of :meth:`.Flask.test_request_context`.
        """
        with self._client.session_transaction(*args, **kwargs) as session:
            yield session

    async def __aenter__(self) -> t.Self:
        self._client.__enter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._client.__exit__(exc_type, exc_value, tb)

    # ---- WebSockets -------------------------------------------------------------------------

    def websocket(
        self, path: str, *, subprotocols: t.Iterable[str] = (), **kwargs: t.Any
    ) -> AsyncWebSocket:
        """Connect to a WebSocket, for the time of an ``async with`` block.

        .. code-block:: python

            async with client.websocket("/chat") as ws:
                await ws.send("hello")
                assert await ws.receive() == "hello"

        :param path: the path, or a whole URL.
        :param subprotocols: the subprotocols to offer.
        :param kwargs: arguments of :class:`~kolben.testing.EnvironBuilder`, such as ``headers``
            and ``query_string``.
        """
        return AsyncWebSocket(self, path, list(subprotocols), kwargs)

    def _websocket_scope(
        self, path: str, subprotocols: list[str], options: dict[str, t.Any]
    ) -> tuple[Scope, BaseRequest]:
        request = self._client.request_from((path,), options)
        self._client._add_cookies_to_wsgi(request.environ)
        scope = _scope_from(request.environ, "websocket")
        scope["scheme"] = "wss" if scope["scheme"] in ("https", "wss") else "ws"
        scope["subprotocols"] = subprotocols
        scope["extensions"] = {"websocket.http.response": {}}
        return scope, request


class _Exchange:
    """One request and its answer, as the messages of ASGI."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._answered = asyncio.Event()
        self.status = 0
        self.headers = Headers()
        self.pieces: list[bytes] = []

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._answered.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        kind = message["type"].rpartition(".")[2]
        if kind == "start":
            self.status = message["status"]
            self.headers = _decode_headers(message.get("headers", ()))
        elif kind == "body":
            self.pieces.append(message.get("body", b""))
            if not message.get("more_body", False):
                self._answered.set()


class _Conversation:
    """The messages between a client and the application, which is called in a task.

    :param client: the client.
    """

    _task: asyncio.Future[None]

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message | None] = asyncio.Queue()

    def _begin(self, scope: Scope, receive: t.Callable[[], t.Awaitable[Message]]) -> None:
        app = self._client.application
        self._task = asyncio.ensure_future(app.asgi_app(scope, receive, self._from_app.put))
        self._task.add_done_callback(lambda _: self._from_app.put_nowait(None))

    async def _end(self) -> BaseException | None:
        """Wait for the application, but not for ever; return what it has raised."""
        _, running = await asyncio.wait({self._task}, timeout=_END_TIMEOUT)
        if running:
            self._task.cancel()
            await asyncio.wait(running)
        return None if self._task.cancelled() else self._task.exception()


class AsyncRequest(_Conversation):
    """A request that is being made; by :meth:`AsyncClient.request`.

    :param client: the client.
    :param path: the path, or a whole URL.
    :param options: further arguments for the request.
    """

    #: The status of the answer; None until it has begun.
    status_code: int | None = None
    #: The headers of the answer; None until it has begun.
    headers: Headers | None = None

    def __init__(self, client: AsyncClient, path: str, options: dict[str, t.Any]) -> None:
        super().__init__(client)
        self._request = client._client.request_from((path,), options)
        self._scope, body = client._prepare(self._request)
        self._gone = asyncio.Event()
        self._pieces: list[bytes] = []
        self._is_complete = self._is_sent = False
        if body:
            self._put(body, more=False)
        else:
            declared = [pair for pair in self._scope["headers"] if pair[0] != b"content-length"]
            self._scope["headers"] = declared
            if self._request.method not in ("GET", "HEAD", "OPTIONS", "DELETE"):
                # How long it is going to be is not known.
                declared.append((b"transfer-encoding", b"chunked"))

    async def __aenter__(self) -> t.Self:
        self._begin(self._scope, self._receive)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if exc_value is None and not self._gone.is_set():
            await self.send_complete()
        await self.disconnect()
        error = await self._end()
        if exc_value is None and error is not None:
            raise error  # what a view has raised is for the test to see

    async def _receive(self) -> Message:
        if self._to_app.empty() and self._gone.is_set():
            return {"type": "http.disconnect"}
        return await self._to_app.get()

    def _put(self, body: bytes, *, more: bool) -> None:
        self._is_sent = not more
        self._to_app.put_nowait({"type": "http.request", "body": body, "more_body": more})

    async def send(self, data: bytes) -> None:
        """Send a piece of the body.

        :param data: the piece.
        """
        self._put(data, more=True)

    async def send_complete(self) -> None:
        """End the body."""
        if not self._is_sent:
            self._put(b"", more=False)

    async def receive(self) -> bytes:
        """Wait for the next piece of the answer and return it; empty at its end.

        :raises Exception: what the application has raised.
        """
        while not self._is_complete:
            message = await self._from_app.get()
            if message is None:
                self._is_complete = True
                if not self._task.cancelled():
                    self._task.result()
            elif message["type"] == "http.response.start":
                self.status_code = message["status"]
                self.headers = _decode_headers(message.get("headers", ()))
                self._client._keep_cookies(self._request, self.headers)
            else:
                self._is_complete = not message.get("more_body", False)
                if piece := t.cast("bytes", message.get("body", b"")):
                    self._pieces.append(piece)
                    return piece
        return b""

    def __aiter__(self) -> t.AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.receive()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def disconnect(self) -> None:
        """Leave, as a client does that closes its connection or loses it."""
        if not self._gone.is_set():
            self._gone.set()
            self._to_app.put_nowait({"type": "http.disconnect"})

    async def as_response(self) -> TestResponse:
        """End the body, wait for the rest of the answer, and return all of it."""
        await self.send_complete()
        async for _ in self:
            pass
        exchange = _Exchange(b"")
        exchange.status, exchange.headers = self.status_code or 0, self.headers or Headers()
        exchange.pieces = self._pieces
        return self._client._response(exchange, self._request)


class AsyncWebSocket(_Conversation):
    """The client's end of a WebSocket; made by :meth:`AsyncClient.websocket`.

    :param client: the client.
    :param path: the path, or a whole URL.
    :param subprotocols: the subprotocols to offer.
    :param options: further arguments for the handshake.
    """

    #: The headers of the accepted handshake.
    accept_headers: Headers
    #: The subprotocol that the application has chosen, or None.
    subprotocol: str | None = None
    #: The code that the application has closed it with; None while it is open.
    close_code: int | None = None
    #: The reason it has given.
    close_reason: str = ""

    def __init__(
        self, client: AsyncClient, path: str, subprotocols: list[str], options: dict[str, t.Any]
    ) -> None:
        super().__init__(client)
        self._scope, self._request = client._websocket_scope(path, subprotocols, options)
        self._left = False

    async def __aenter__(self) -> t.Self:
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._begin(self._scope, self._to_app.get)
        try:
            message = await self._next()
            if message["type"] != "websocket.accept":
                raise WebSocketDenied(await self._denial(message))
        except BaseException:
            await self._end()
            raise
        self.accept_headers = _decode_headers(message.get("headers", ()))
        self.subprotocol = message.get("subprotocol")
        self._client._keep_cookies(self._request, self.accept_headers)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.close()
        error = await self._end()
        if exc_value is None and error is not None:
            raise error  # what the handler has raised is for the test to see

    async def _next(self) -> Message:
        """The next message of the application's; its error, if it has raised one."""
        message = await self._from_app.get()
        if message is None:
            self._from_app.put_nowait(None)
            self._task.result()
            raise WebSocketDisconnect(self.close_code or 1006, self.close_reason)
        return message

    async def _denial(self, message: Message) -> TestResponse:
        exchange = _Exchange(b"")
        if message["type"] == "websocket.close":
            exchange.status = 403  # what servers make of it
        else:
            await exchange.send(message)
            while not exchange._answered.is_set():
                await exchange.send(await self._next())
        return self._client._response(exchange, self._request)

    # ---- messages ---------------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        """Wait for the next message of the application's.

        :raises WebSocketDisconnect: if it closes the WebSocket, with the code it gives.
        """
        message = await self._next()
        if message["type"] == "websocket.close":
            code: int = message.get("code", 1000)
            reason: str = message.get("reason") or ""
            self.close_code, self.close_reason = code, reason
            self._leave(code, reason)
            raise WebSocketDisconnect(code, reason)
        text = message.get("text")
        return t.cast("bytes", message["bytes"]) if text is None else t.cast("str", text)

    async def send(self, data: str | bytes) -> None:
        """Send a message: text, or bytes for a binary one.

        :param data: the message, text or bytes.
        """
        key = "text" if isinstance(data, str) else "bytes"
        self._to_app.put_nowait({"type": "websocket.receive", key: data})

    async def receive_json(self) -> t.Any:
        """Wait for the next message and return what its JSON says."""
        return self._client.application.json.loads(await self.receive())

    async def send_json(self, data: t.Any) -> None:
        """Send data as JSON.

        :param data: what the application's JSON provider can write.
        """
        await self.send(self._client.application.json.dumps(data))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Leave, as a client does that closes the WebSocket.

        :param code: the close code.
        :param reason: the reason.
        """
        self._leave(code, reason)

    async def disconnect(self) -> None:
        """Leave without a word, as a client does that loses its connection."""
        self._leave(1006, "")

    def _leave(self, code: int, reason: str) -> None:
        if not self._left:
            self._left = True
            self._to_app.put_nowait(
                {"type": "websocket.disconnect", "code": code, "reason": reason}
            )


def _decode_headers(pairs: t.Iterable[tuple[bytes, bytes]]) -> Headers:
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs])


def _scope_from(environ: WSGIEnvironment, kind: str) -> Scope:
    """Make the ASGI scope that says the same as a WSGI environ."""
    path = (environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"]).encode("latin-1")
    headers = [
        (name.removeprefix("HTTP_").lower().replace("_", "-").encode(), value.encode("latin-1"))
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    ]
    scope: Scope = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": environ["SERVER_PROTOCOL"].rpartition("/")[2],
        "scheme": environ["wsgi.url_scheme"],
        "path": path.decode(errors="replace"),
        "raw_path": path,
        "root_path": environ.get("SCRIPT_NAME", "").encode("latin-1").decode(errors="replace"),
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "headers": headers,
        "client": (environ.get("REMOTE_ADDR", "127.0.0.1"), int(environ.get("REMOTE_PORT", 0))),
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
        "extensions": {},
    }
    if kind == "http":
        scope["method"] = environ["REQUEST_METHOD"]
    if PRESERVE in environ:
        scope[PRESERVE] = environ[PRESERVE]
    return scope
