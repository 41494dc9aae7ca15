"""The typed client: a handler is called as it is written, and what it returns comes back."""

from __future__ import annotations

import enum
import typing as t
from base64 import b64encode
from functools import partial
from io import BytesIO

import msgspec
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.exceptions import HTTPException, InternalServerError, default_exceptions
from werkzeug.http import dump_cookie
from werkzeug.test import EnvironBuilder

from . import kinds
from .markers import Basic
from .operations import Operation, operations_of
from .paging import Page
from .problems import Fault, InvalidRequest
from .sockets import write_message
from .streams import Event

if t.TYPE_CHECKING:
    from ..app import Flask
    from .answers import Answer
    from .plan import Param

P = t.ParamSpec("P")
R = t.TypeVar("R")


class Reply(t.NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Caller:
    """Calls handlers by requests; :class:`Client` and :class:`Remote` say how these are sent.

    :param headers: sent with every request.
    """

    def __init__(self, headers: t.Mapping[str, str] | None = None) -> None:
        self.headers = dict(headers or {})

    def send(self, builder: EnvironBuilder) -> Reply:
        """Send a request.

        :param builder: the request: method, path, query, headers and body.
        :return: the status and the body.
        """
        raise NotImplementedError

    def _operation(self, view: t.Any) -> Operation:
        found = operations_of(view)
        if not found:
            raise TypeError(f"{view!r} is not registered on an API.")
        return found[0]

    @t.overload
    def call(
        self, view: t.Callable[P, t.Coroutine[t.Any, t.Any, R]], *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @t.overload
    def call(self, view: t.Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R: ...
    def call(self, view: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Call a handler: its arguments are sent as its signature says.

        What providers fill need not be given, if its default is ``given``.

        :param view: the handler.
        :param args: its arguments.
        :param kwargs: its arguments by name.
        :return: what the handler returns.
        :raises Problem: as the handler raises it, if it is named in ``raises``.
        :raises InvalidRequest: for 422, with its ``errors``.
        :raises HTTPException: Werkzeug's for any other error.
        """
        operation = self._operation(view)
        values = dict(zip([one.name for one in operation.plan.params], args, strict=False))
        builder = self._request(operation, {**values, **kwargs})
        try:
            reply = self.send(builder)
        finally:
            builder.close()
        return _read(operation, reply)

    def _request(self, operation: Operation, values: dict[str, t.Any]) -> EnvironBuilder:
        parts = _Parts(operation, values)
        app = operation.app
        adapter = app.url_map.bind("localhost")
        method = operation.methods[0]
        path = adapter.build(operation.endpoint, parts.path, method=method)
        headers = Headers(self.headers)
        headers.update(parts.headers)
        if parts.cookies:
            headers["Cookie"] = "; ".join(parts.cookies)
        builder = EnvironBuilder(path, method=method, query_string=parts.query, headers=headers)
        if parts.body is not None:
            builder.content_type = "application/json"
            builder.content_length = len(parts.body)
            builder.input_stream = BytesIO(parts.body)
        for name, value in parts.form:
            if hasattr(value, "stream"):
                builder.files.add_file(name, value)
            else:
                builder.form.add(name, value)
        return builder


class _Parts:
    """The arguments of a call, each in its part of the request."""

    def __init__(self, operation: Operation, values: dict[str, t.Any]) -> None:
        self.path: dict[str, t.Any] = {}
        self.query: MultiDict[str, str] = MultiDict()
        self.headers: list[tuple[str, str]] = []
        self.cookies: list[str] = []
        self.form: list[tuple[str, t.Any]] = []
        self.body: bytes | None = None
        for param in operation.plan.params:
            if param.name in values and param.where not in ("provider", "socket"):
                self._put(param, values[param.name])

    def _put(self, param: Param, value: t.Any) -> None:
        if param.fields is not None and value is not None:
            take = value.get if isinstance(value, dict) else partial(getattr, value)
            for one in param.fields:
                self._put(one, take(one.name))
        elif param.where == "path":
            self.path[param.name] = value
        elif param.where == "body":
            self.body = write_message(value)
        elif value is not None and value != []:
            self._put_text(param, value)

    def _put_text(self, param: Param, value: t.Any) -> None:
        if param.security is not None:
            value = _credentials(param.security, value)
        texts = [value] if param.container is None else list(value)
        texts = texts if param.is_upload else [_text(one) for one in texts]
        if param.where == "query":
            self.query.setlist(param.wire, texts)
        elif param.where == "form":
            self.form += [(param.wire, one) for one in texts]
        elif param.where == "cookie":
            self.cookies.append(dump_cookie(param.wire, ",".join(texts), path=None))
        else:
            self.headers.append((param.wire, ", ".join(texts)))


def _credentials(security: t.Any, value: t.Any) -> str:
    if isinstance(value, Basic):
        return "Basic " + b64encode(f"{value.username}:{value.password}".encode()).decode()
    return f"Bearer {value}" if security.challenge == "Bearer" else str(value)


def _text(value: t.Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return str(value.value)
    return str(msgspec.to_builtins(value))


def _read(operation: Operation, reply: Reply) -> t.Any:
    """Return what the handler has returned, or raise what it has raised."""
    if reply.status >= 400:
        raise _error(operation, reply)
    answer = next((one for one in operation.answers if one.status == reply.status), None)
    if answer is None:
        return reply.body
    value = _value(answer, reply)
    return (value, answer.status) if answer.is_tuple else value


def _value(answer: Answer, reply: Reply) -> t.Any:
    if answer.media == "none":
        return None
    if answer.media in ("text", "any"):
        return reply.body.decode()
    if answer.media == "json":
        value = _decode(reply.body, answer.type)
        return Page(value.items, value.next) if answer.is_page else value
    if answer.media == "events":
        return iter([_event(one, answer) for one in reply.body.split(b"\n\n") if b"data: " in one])
    return iter([_decode(line, answer.type) for line in reply.body.splitlines() if line])


def _event(text: bytes, answer: Answer) -> t.Any:
    parts = (line.partition(b": ") for line in text.splitlines())
    fields = {name: value for name, _, value in parts}
    value = _decode(fields[b"data"], answer.type)
    if not answer.has_ids:
        return value
    number, retry = fields.get(b"id"), fields.get(b"retry")
    known = None if number is None else number.decode()
    return Event(value, known, None if retry is None else int(retry))


def _decode(body: bytes, kind: t.Any) -> t.Any:
    if kinds.holds_pydantic(kind):
        return kinds.adapter_of(kind).validate_json(body)
    return msgspec.json.decode(body, type=kind)


def _error(operation: Operation, reply: Reply) -> HTTPException:
    try:
        document = msgspec.json.decode(reply.body)
    except (msgspec.MsgspecError, ValueError):
        document = {}
    document = document if isinstance(document, dict) else {}
    if reply.status == 422 and "errors" in document:
        return InvalidRequest(msgspec.convert(document["errors"], list[Fault]))
    for kind in operation.settings.raises:
        if kind.code == reply.status and kind.title == document.get("title"):
            hints = t.get_type_hints(kind, include_extras=True)
            raw = msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
            members = {
                name: _decode(bytes(raw.get(name, b"null")), hints[name]) for name in kind.members
            }
            return kind(**members, detail=document.get("detail"))
    error = default_exceptions.get(reply.status, InternalServerError)
    return error(document.get("detail"))


class Client(Caller):
    """Calls the handlers of an application in this process, without a server.

    :param app: the application.
    :param headers: sent with every request.
    """

    def __init__(self, app: Flask, headers: t.Mapping[str, str] | None = None) -> None:
        super().__init__(headers)
        self._app = app
        self._client = app.test_client(use_cookies=False)

    def _operation(self, view: t.Any) -> Operation:
        for one in operations_of(view):
            if one.app is self._app:
                return one
        raise TypeError(f"{view!r} is not registered on this application.")

    def send(self, builder: EnvironBuilder) -> Reply:  # noqa: D102 (as in the base class)
        response = self._client.open(builder.get_environ())
        return Reply(response.status_code, response.get_data())


class Remote(Caller):
    """Calls the handlers of a program that is served elsewhere.

    :param url: where it is served, such as ``https://shop.example``.
    :param headers: sent with every request.
    :param timeout: for how many seconds to wait for an answer.
    """

    def __init__(
        self, url: str, headers: t.Mapping[str, str] | None = None, timeout: float = 30.0
    ) -> None:
        super().__init__(headers)
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is no URL of a server: it begins with http:// or https://.")
        from urllib.request import (  # with TLS, which most programs never load
            HTTPRedirectHandler,
            build_opener,
        )

        class Staying(HTTPRedirectHandler):
            """Leaves a redirect to the caller, as in this process: it may lead to another server."""

            def redirect_request(self, *_: t.Any) -> None:
                return None

        self._url = url.rstrip("/")
        self._timeout = timeout
        self._open = build_opener(Staying).open

    def send(self, builder: EnvironBuilder) -> Reply:  # noqa: D102
        from urllib.error import HTTPError
        from urllib.request import Request

        environ = builder.get_environ()
        body = environ["wsgi.input"].read()
        query = environ.get("QUERY_STRING")
        url = f"{self._url}{builder.request_uri.partition('?')[0]}{f'?{query}' if query else ''}"
        request = Request(url, body or None, dict(builder.headers), method=builder.method)  # noqa: S310
        if builder.content_type:
            request.add_header("Content-Type", environ["CONTENT_TYPE"])
        try:
            response: t.Any = self._open(request, timeout=self._timeout)
        except HTTPError as error:
            response = error
        with response:
            return Reply(response.status, response.read())
