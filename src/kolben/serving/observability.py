"""What can be seen of an application from outside: request ids and an access log.

Both are middleware around the application, for WSGI and ASGI servers alike. ``kolben serve`` puts
them on with ``--access-log`` and ``--request-id``; under another server a program does it itself::

    app.wsgi_app = AccessLogMiddleware(app.wsgi_app, "json")   # WSGI
    asgi_app = AccessLogMiddleware(app, "json")                # ASGI

An application without them runs not one instruction of this module.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
import typing as t
from contextvars import ContextVar

if t.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    Scope = MutableMapping[str, t.Any]
    Message = MutableMapping[str, t.Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

#: The forms of an access log line.
LogFormat = t.Literal["common", "json"]

#: The logger of the access log. ``kolben serve`` gives it a handler that writes to standard output.
access_logger = logging.getLogger("kolben.access")

_request_id: ContextVar[str | None] = ContextVar("kolben.request_id", default=None)

# What a client sends ends up in log lines and headers: short, and nothing that could end either.
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._~+/=@:-]{1,128}").fullmatch

# Not heard to the end: the status that nginx logs where the client left before there was an answer.
_CLIENT_LEFT = 499


def get_request_id() -> str | None:
    """The id of the request that is being answered.

    :return: the value of the request's ``X-Request-ID`` header, or the id it was given; None
        outside a request, or where no middleware of this module is in use.
    """
    return _request_id.get()


def _choose_id(sent: str | None) -> str:
    return sent if sent is not None and _ACCEPTABLE_ID(sent) else secrets.token_hex(16)


# --- The application's own log lines ------------------------------------------------------------


class RequestIdFilter(logging.Filter):
    """Gives each log record an attribute ``request_id``, for ``%(request_id)s`` in a format.

    Add it to a handler. Outside a request the attribute is ``-``.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the attribute.

        :param record: the record.
        :return: True: no record is dropped.
        """
        record.request_id = _request_id.get() or "-"
        return True


class JSONFormatter(logging.Formatter):
    """Writes a log record as one JSON object on one line.

    Its keys are ``time`` (UTC, ISO 8601), ``level``, ``logger``, ``message``, inside a request
    ``request_id``, and ``exception`` where there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write one record.

        :param record: the record.
        :return: the line, without its end.
        """
        fields = {
            "time": _iso_time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        request_id = _request_id.get()
        if request_id is not None:
            fields["request_id"] = request_id
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return _to_json(fields)


def _to_json(fields: dict[str, t.Any]) -> str:
    # DEL is the one control character that JSON writes as it is.
    return json.dumps(fields).replace("\x7f", "\\u007f")


def _iso_time(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


# --- Middleware -----------------------------------------------------------------------------------


class RequestIdMiddleware:
    """Gives each request an id, which the response carries back in ``X-Request-ID``.

    A request that comes with the header keeps its id, if that is at most 128 letters, digits and
    ``. _ ~ + / = @ : -``.

    :param app: a WSGI or an ASGI application.
    """

    def __init__(self, app: t.Any) -> None:
        self.app = app

    def __call__(self, *args: t.Any) -> t.Any:
        """Answer one request.

        :param args: ``environ, start_response`` of WSGI, or ``scope, receive, send`` of ASGI.
        :return: what the application returns.
        """
        return self._wsgi(*args) if len(args) == 2 else self._asgi(*args)

    def _wsgi(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        exchange = _WSGIExchange(environ, start_response, self._finish)
        return exchange.run(self.app)

    async def _asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        await _ASGIExchange(scope, send, self._finish).run(self.app, receive)

    def _finish(self, exchange: _Exchange) -> None:
        """Called once, when an answer has been sent or has failed."""


class AccessLogMiddleware(RequestIdMiddleware):
    """Logs one line for each request, when its answer is complete; gives ids as well.

    :param app: a WSGI or an ASGI application.
    :param format: ``"json"``, one object with the keys ``time`` (UTC, ISO 8601), ``client``,
        ``method``, ``path``, ``status``, ``bytes`` (of the body), ``duration`` (seconds) and
        ``request_id``; or ``"common"``, the Common Log Format of NCSA httpd.
    :param logger: gets the lines, with level ``INFO``.
    """

    def __init__(
        self, app: t.Any, format: LogFormat = "json", logger: logging.Logger = access_logger
    ) -> None:
        super().__init__(app)
        self._log = logger.info
        self._write = {"json": _json_line, "common": _common_line}[format]

    def _finish(self, exchange: _Exchange) -> None:
        self._log("%s", self._write(exchange))


def log_to_stdout(logger: logging.Logger = access_logger) -> None:
    """Let a logger write its messages to standard output, as they are.

    :param logger: the logger; its messages go nowhere else.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


# --- One request and its answer -------------------------------------------------------------------


class _RequestLine(t.NamedTuple):
    client: str
    method: str
    path: str
    query: str
    protocol: str


class _Exchange:
    """What is known of a request and its answer."""

    def __init__(self, finish: Callable[[t.Any], None]) -> None:
        self.started = time.time()
        self._clock = time.perf_counter()
        self.duration = 0.0
        self.status = 500
        self.sent = 0
        self.id = ""
        self._on_finish: Callable[[t.Any], None] | None = finish

    def finish(self) -> None:
        """The answer is complete: said once, whatever is said again."""
        on_finish, self._on_finish = self._on_finish, None
        if on_finish is not None:
            self.duration = time.perf_counter() - self._clock
            on_finish(self)

    def read_request(self) -> _RequestLine:
        """What was asked."""
        raise NotImplementedError


class _WSGIExchange(_Exchange):
    """An exchange under WSGI."""

    def __init__(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        finish: Callable[[t.Any], None],
    ) -> None:
        super().__init__(finish)
        self.environ = environ
        self._start_response = start_response
        self.id = _choose_id(environ.get("HTTP_X_REQUEST_ID"))
        environ["kolben.request_id"] = self.id

    def read_request(self) -> _RequestLine:
        environ = self.environ
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        return _RequestLine(
            environ.get("REMOTE_ADDR") or "-",
            environ["REQUEST_METHOD"],
            path.encode("latin-1").decode(errors="replace"),
            environ.get("QUERY_STRING", ""),
            environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
        )

    def run(self, app: WSGIApplication) -> Iterable[bytes]:
        token = _request_id.set(self.id)
        try:
            body = app(self.environ, self.start_response)
        except BaseException:
            self.finish()
            raise
        else:
            if type(body) is not list:
                return _CountedBody(self, body)
            # Kept a list: servers send one in a single write.
            self.sent += sum(map(len, body))
            self.finish()
            return body
        finally:
            _request_id.reset(token)

    def start_response(
        self, status: str, headers: list[tuple[str, str]], *exc_info: t.Any
    ) -> Callable[[bytes], object]:
        self.status = int(status[:3])
        if all(name.lower() != "x-request-id" for name, _ in headers):
            headers.append(("X-Request-ID", self.id))
        return self._start_response(status, headers, *exc_info)


class _CountedBody:
    """A response body that ends its exchange when the server closes it."""

    def __init__(self, exchange: _Exchange, body: Iterable[bytes]) -> None:
        self._exchange = exchange
        self._body = body
        self._next = iter(body).__next__

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        # Some servers ask for each piece in another thread: the id is set for each anew.
        token = _request_id.set(self._exchange.id)
        try:
            piece = self._next()
        except StopIteration:
            self._exchange.finish()
            raise
        finally:
            _request_id.reset(token)
        self._exchange.sent += len(piece)
        return piece

    def close(self) -> None:
        token = _request_id.set(self._exchange.id)
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            _request_id.reset(token)
            self._exchange.finish()


class _ASGIExchange(_Exchange):
    """An exchange under ASGI; a WebSocket is one exchange, from its request to its end."""

    def __init__(self, scope: Scope, send: Send, finish: Callable[[t.Any], None]) -> None:
        super().__init__(finish)
        self.scope = scope
        self._send = send
        self._begun = False
        sent = next((v for k, v in scope["headers"] if k == b"x-request-id"), None)
        self.id = _choose_id(None if sent is None else sent.decode("latin-1"))

    def read_request(self) -> _RequestLine:
        scope = self.scope
        return _RequestLine(
            (scope.get("client") or ("-",))[0],
            scope.get("method", "GET"),
            scope["path"],
            scope.get("query_string", b"").decode("latin-1"),
            f"HTTP/{scope.get('http_version', '1.1')}",
        )

    async def run(self, app: t.Any, receive: Receive) -> None:
        import asyncio

        token = _request_id.set(self.id)
        try:
            await app(self.scope, receive, self.send)
        except asyncio.CancelledError:
            if not self._begun:
                self.status = _CLIENT_LEFT
            raise
        else:
            if not self._begun:
                self.status = _CLIENT_LEFT
        finally:
            _request_id.reset(token)
            self.finish()

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            self.sent += len(message.get("body", b""))
        elif kind == "websocket.send":
            self.sent += len(message.get("bytes") or (message.get("text") or "").encode())
        elif kind in _BEGINNINGS:
            self._begin(kind, message)
        elif kind == "websocket.close" and not self._begun:
            self._begun, self.status = True, 403
        elif kind == "http.response.pathsend":
            import os

            self.sent += os.stat(message["path"]).st_size
        await self._send(message)

    def _begin(self, kind: str, message: Message) -> None:
        self._begun = True
        self.status = message.get("status", _BEGINNINGS[kind])
        headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        if all(name.lower() != b"x-request-id" for name, _ in headers):
            headers.append((b"x-request-id", self.id.encode("latin-1")))
        message["headers"] = headers


#: The messages that begin an answer, and the status of those that carry none.
_BEGINNINGS = {
    "http.response.start": 200,
    "websocket.accept": 101,
    "websocket.http.response.start": 403,
}


# --- Lines ----------------------------------------------------------------------------------------


def _json_line(exchange: _Exchange) -> str:
    request = exchange.read_request()
    return _to_json(
        {
            "time": _iso_time(exchange.started),
            "client": request.client,
            "method": request.method,
            "path": request.path,
            "status": exchange.status,
            "bytes": exchange.sent,
            "duration": round(exchange.duration, 6),
            "request_id": exchange.id,
        }
    )


# Written as \xhh, as Apache does: what could end the line or the quoted request in it.
_UNPRINTABLE = re.compile(r'[^\x20-\x7e]|["\\]')


def _common_line(exchange: _Exchange) -> str:
    client, method, path, query, protocol = exchange.read_request()
    when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(exchange.started))
    target = f"{path}?{query}" if query else path
    request = _UNPRINTABLE.sub(_escape, f"{method} {target} {protocol}")
    client = _UNPRINTABLE.sub(_escape, client)
    return f'{client} - - [{when}] "{request}" {exchange.status} {exchange.sent or "-"}'


def _escape(character: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character[0].encode())
