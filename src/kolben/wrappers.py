"""The request and response objects: Werkzeug's classes, with the everyday paths made short.

A request does nothing until a program looks at one of its attributes. A response that is one piece
of text with ordinary headers takes a short way to the server; every other takes Werkzeug's.
"""

from __future__ import annotations

import sys
import typing as t
from copy import copy
from datetime import timedelta
from functools import lru_cache
from io import BytesIO
from time import time

from werkzeug.datastructures import EnvironHeaders, Headers, ImmutableMultiDict
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge
from werkzeug.http import dump_cookie
from werkzeug.wrappers import Request as RequestBase, Response as ResponseBase
from werkzeug.wsgi import get_content_length, get_input_stream

from . import json
from .debughelpers import attach_enctype_error_multidict
from .globals import current_app as current_app, get_current
from .http.connection import ConnectionReaders
from .http.fields import (
    PERCENT,
    parse_cookies,
    parse_escaped,
    parse_plain,
    parse_query,
    parse_urlencoded,
)
from .http.headers import (
    BODIES,
    MOST_ORDINARY_HEADERS,
    SPECIAL_HEADERS,
    STATUS,
    ResponseHeaders,
    body_headers,
    check_cookie_attributes,
    check_headers,
    check_status,
    cookie_attributes,
    decode_wsgi,
    escape_in_cookie,
    full_content_type,
    is_plain_in_cookie,
    is_plain_location,
    is_token,
    length_headers,
    new_headers,
    ordinary_headers,
    parse_content_type,
    split_locations,
    type_headers,
)
from .http.input import (
    CONNECTION,
    ServerInput,
    limit_body_time,
)
from .http.multipart import SMALL_BODY, FormDataParser
from .http.readers import without_impossible_dates
from .http.streaming import AsyncBody, WholeBody, as_iterable
from .http.unread import ENCODED, READ
from .json.refusals import is_nested_value
from .lazy import lazy, lazy_kept, put_back, replace
from .routing.index import value_names

if t.TYPE_CHECKING:
    from datetime import datetime
    from http import HTTPStatus

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from werkzeug.datastructures import FileStorage, MultiDict
    from werkzeug.routing import Rule

    from .asgi.context import Unread

#: The rule that matched, the values of its variables (without names until they are looked at), or why
#: none did; and what the engine knows of the rule.
Routing: t.TypeAlias = "tuple[Rule | None, t.Any, HTTPException | None, t.Any]"
NOT_ROUTED: Routing = (None, None, None, None)

HeadersInput = t.Mapping[str, "str | t.Iterable[str]"] | t.Iterable[tuple[str, str]]


@lru_cache(maxsize=512)
def split_blueprint_path(name: str) -> list[str]:
    """List a blueprint's name and those of the blueprints it is nested in, innermost first.

    :param name: its name, as in an endpoint: ``outer.inner``.
    """
    names = [name]
    while name := name.rpartition(".")[0]:
        names.append(name)
    return names


_URLENCODED = "application/x-www-form-urlencoded"

# The most bytes of a form that is read in one go: a longer one is counted as it comes.
_COUNTED_AT_ONCE = 99_999


def _declared_length(environ: WSGIEnvironment) -> int | None:
    declared: str = environ.get("CONTENT_LENGTH", "")
    if "HTTP_TRANSFER_ENCODING" not in environ and declared.isascii() and declared.isdigit():
        try:
            return int(declared)
        except ValueError:  # more digits than Python converts
            pass
    return get_content_length(environ)


class Request(ConnectionReaders):
    """The incoming request. Views find it as :data:`kolben.request`.

    .. code-block:: python

        @app.post("/notes")
        def add_note():
            note = request.get_json()  # or request.form["text"], request.files["picture"]
            return f"noted: {note['text']}"

    It is Werkzeug's request with what the application adds: the URL rule that matched (:attr:`url_rule`,
    :attr:`view_args`, :attr:`endpoint`), the limits of the configuration, and in debug mode JSON errors
    that explain themselves. A program's own subclass is set as ``app.request_class``.

    :param environ: the WSGI environment (PEP 3333).
    :param populate_request: store this object in it as ``werkzeug.request``.
    :param shallow: refuse to read the body.
    """

    form_data_parser_class = FormDataParser

    shallow = False

    #: What an ASGI server has sent, where this is made of that (:meth:`.ASGIRequestContext.make_request`).
    _unread: Unread

    _has_files = False  # which are closed with the request
    _has_unkept_nesting: bool | None = None  # whether JSON that was read and is not kept is nested

    def __init__(
        self, environ: WSGIEnvironment, populate_request: bool = True, shallow: bool = False
    ) -> None:
        # PERF: Werkzeug computes nine attributes here (3.4 µs); below each is computed when it
        # is first read, and most never are.
        self._environ: WSGIEnvironment | None = environ
        # PERF: CPython writes an attribute in 0.02 µs instead of 0.08 where the class has none of
        # that name, so what is written again at matching or at reading the body is set here.
        self._routing: Routing = NOT_ROUTED
        self._query_string: bytes | None = None
        self._json_module: t.Any = json
        self._cached_data: t.Any = None
        self._read_json: t.Any = ...
        self._stream: t.Any = None  # a stream, or READ
        if shallow:
            self.shallow = True
        elif populate_request:
            environ["werkzeug.request"] = self

    @property
    def json_module(self) -> t.Any:
        """Reads and writes JSON for this request: the application's provider."""
        return self._json_module

    @json_module.setter
    def json_module(self, value: t.Any) -> None:
        replace(self, "_json_module", value)

    @json_module.deleter
    def json_module(self) -> None:
        put_back(self, "_json_module")

    @property
    def url_rule(self) -> Rule | None:
        """The URL rule that matched; None where none did or before matching."""
        return self._routing[0]

    @url_rule.setter
    def url_rule(self, rule: Rule | None) -> None:
        replace(self, "_routing", (rule, *self._routing[1:]))

    @url_rule.deleter
    def url_rule(self) -> None:
        put_back(self, "_routing")

    @property
    def view_args(self) -> dict[str, t.Any] | None:
        """The values of the rule's variables, as passed to the view; None where no rule matched."""
        rule, values, error, route = self._routing
        if type(values) is tuple:
            values = dict(zip(value_names(t.cast("Rule", rule)), values, strict=True))
            self._routing = rule, values, error, route
        return t.cast("dict[str, t.Any] | None", values)

    @view_args.setter
    def view_args(self, values: dict[str, t.Any] | None) -> None:
        replace(self, "_routing", (self._routing[0], values, *self._routing[2:]))

    @view_args.deleter
    def view_args(self) -> None:
        put_back(self, "_routing")

    @property
    def routing_exception(self) -> HTTPException | None:
        """Why no URL rule matched, to be raised when the request is dispatched."""
        return self._routing[2]

    @routing_exception.setter
    def routing_exception(self, error: HTTPException | None) -> None:
        replace(self, "_routing", (*self._routing[:2], error, self._routing[3]))

    @routing_exception.deleter
    def routing_exception(self) -> None:
        put_back(self, "_routing")

    @lazy
    def method(self) -> str:
        """The HTTP method, in capitals."""
        environ = self._environ
        method = self._unread.method if environ is None else environ.get("REQUEST_METHOD", "GET")
        return method.upper()

    @lazy
    def scheme(self) -> str:
        """The URL scheme, ``http`` or ``https``."""
        return t.cast("str", self.environ.get("wsgi.url_scheme", "http"))

    @lazy
    def server(self) -> tuple[str, int | None] | None:
        """The server's address: host and port, or a socket's path and None."""
        name = self.environ.get("SERVER_NAME")
        if name is None:
            return None
        try:
            port: int | None = int(self.environ["SERVER_PORT"])
        except (KeyError, TypeError, ValueError):
            port = None  # a Unix socket
        return name, port

    @lazy
    def root_path(self) -> str:
        """The path under which the application is mounted, without a slash at its end."""
        return decode_wsgi(self.environ.get("SCRIPT_NAME") or "").rstrip("/")

    @lazy
    def path(self) -> str:
        """The path of the URL, below ``root_path``."""
        return "/" + decode_wsgi(self.environ.get("PATH_INFO") or "").lstrip("/")

    @lazy
    def headers(self) -> Headers:
        """The request's headers, read only."""
        return EnvironHeaders(self.environ)

    @lazy
    def remote_addr(self) -> str | None:
        """The address of the client."""
        return self.environ.get("REMOTE_ADDR")

    @lazy_kept
    def args(self) -> MultiDict[str, str]:
        """The parameters in the URL, after the ``?`` (WHATWG URL, section 5.1)."""
        given = self._query_string
        if given is None:
            text = (self._environ or self.environ).get("QUERY_STRING", "")
        else:
            text = given.decode("latin1")
        kind = self.parameter_storage_class
        # PERF: one call less (0.05 µs) than `parse_query`, for all but what no client sends.
        if kind is ImmutableMultiDict and text.isascii():
            args: MultiDict[str, str] = (
                parse_escaped(text.encode()) if "%" in text else parse_plain(text)
            )
        else:
            args = parse_query(text, t.cast("type[MultiDict[str, str]]", kind))
        self.args = args
        return args

    @lazy
    def cookies(self) -> ImmutableMultiDict[str, str]:
        """The cookies sent with the request (RFC 6265, section 5.4)."""
        storage: t.Any = self.dict_storage_class
        return parse_cookies(self.environ.get("HTTP_COOKIE", ""), storage)

    def _parse_content_type(self) -> None:
        # Werkzeug's properties mimetype and mimetype_params read this attribute.
        if "_parsed_content_type" not in self.__dict__:
            # PERF: few distinct values arrive; parsing one takes 4 µs, remembering 0.1 µs.
            # The parameters are handed out as a copy, because they are a mutable dict.
            value, parameters = parse_content_type(
                (self._environ or self.environ).get("CONTENT_TYPE", "")
            )
            self._parsed_content_type = value, parameters.copy()

    @lazy
    def content_length(self) -> int | None:
        """The declared length of the body, in bytes; None if there is none or it is chunked."""
        return _declared_length(self._environ or self.environ)

    @property
    def stream(self) -> t.IO[bytes]:
        """The body as a file, which ends where the body ends; what was read of it is gone.

        :raises RequestEntityTooLarge: if the body is longer than ``MAX_CONTENT_LENGTH``.
        :raises ClientDisconnected: from reading, if the body ends before its declared length.
        """
        stream: t.IO[bytes] | None = self._stream
        if stream is None or stream is READ:
            self._stream = stream = BytesIO() if stream is READ else self._open_stream()
        return stream

    @stream.setter
    def stream(self, value: t.IO[bytes]) -> None:
        self._stream = value

    @stream.deleter
    def stream(self) -> None:
        self._stream = None

    def _open_stream(self) -> t.IO[bytes]:
        if self.shallow:
            raise RuntimeError("A request that was made with shallow=True does not read its body.")
        environ = self._environ or self.environ
        if CONNECTION in environ:
            limit_body_time(environ, environ[CONNECTION])
        maximum = self.max_content_length
        if not environ.get("wsgi.input_terminated"):
            return get_input_stream(environ, max_content_length=maximum)
        length = _declared_length(environ)
        if length is not None and maximum is not None and length > maximum:
            raise RequestEntityTooLarge
        # Where the server ends the body, Werkzeug takes the end that it comes to for the right one.
        least = None if ENCODED in environ else length
        return t.cast("t.IO[bytes]", ServerInput(environ["wsgi.input"], least, maximum))

    def get_data(  # type: ignore[override]
        self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False
    ) -> bytes | str:
        """Return the body of the request.

        :param cache: keep it, so that a later call returns it again.
        :param as_text: decode it as UTF-8.
        :param parse_form_data: if it is a form, parse it into :attr:`form` and return nothing.
        :raises RequestEntityTooLarge: if the body is longer than ``MAX_CONTENT_LENGTH``.
        """
        if not parse_form_data and self._cached_data is None:
            data = self._read_declared_body()
            if data is not None:
                if cache:
                    self._cached_data = data
                return data.decode(errors="replace") if as_text else data
        return super().get_data(cache, as_text, parse_form_data)  # type: ignore[call-overload, no-any-return]

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> t.Any:
        """Return the body, read as JSON.

        :param force: whatever its content type says.
        :param silent: return None if it is not JSON.
        :param cache: keep the result, so that a later call returns it again.
        :raises BadRequest: if it is not JSON.
        :raises UnsupportedMediaType: if its content type does not say that it is.
        """
        # PERF: 1.0 µs of the 2.2 µs that Werkzeug takes around the parser, for the one content
        # type that clients send. It keeps the body, so Werkzeug can tell about an error.
        if cache:
            value = self._read_json
            if value is not ...:
                return value
            environ = self._environ
            kind = self._unread.content_type if environ is None else environ.get("CONTENT_TYPE")
            is_ours = type(self) is Request and Request.get_data is _get_data
            # A program's own get_data() is called once, by Werkzeug, whatever comes of it.
            if kind == "application/json" and (is_ours or type(self).get_data is _get_data):
                data = self._cached_data
                if data is None:
                    # PERF: as in `get_data`, without the call (0.06 µs).
                    if is_ours:
                        data = self._cached_data = self._read_declared_body()
                    if data is None:
                        data = self.get_data(cache=cache)
                try:
                    # PERF: without the property (0.03 µs), which a subclass may have another one of.
                    module = self._json_module if is_ours else self.json_module
                    value = module.loads(data)
                except (ValueError, RecursionError) as error:
                    if not silent and type(error) is not RecursionError:
                        return self.on_json_loading_failed(t.cast("ValueError", error))
                else:
                    self._read_json = value
                    return value
        try:
            value = super().get_json(force, silent, cache)
            # What is not kept cannot be looked at later on.
            self._has_unkept_nesting = None if cache else is_nested_value(value)
            return value
        except RecursionError:
            # Brackets in brackets, deeper than a parser goes.
            if silent:
                return None
            return self.on_json_loading_failed(ValueError("It is nested too deeply."))

    @lazy_kept
    def form(self) -> MultiDict[str, str]:  # type: ignore[override]
        """The fields of a form in the body; empty for a body of another type."""
        environ = self._environ
        kind = self._unread.content_type if environ is None else environ.get("CONTENT_TYPE")
        # PERF: a URL-encoded form of declared length: 2 µs for five fields, where the form parser and
        # its stream take 9 µs.
        if (
            (kind == _URLENCODED or self.mimetype == _URLENCODED)
            and self.form_data_parser_class is FormDataParser
            and type(self).make_form_data_parser is _make_form_data_parser
        ):
            body = self._cached_data
            if body is None:
                body = self._read_declared_body(_COUNTED_AT_ONCE)
            if body is not None:
                self._check_short_form(body)
                storage = self.parameter_storage_class
                form: MultiDict[str, str]
                try:
                    # PERF: two calls less (0.1 µs) than `parse_urlencoded`.
                    if storage is ImmutableMultiDict and body.isascii():
                        if PERCENT in body:
                            form = parse_escaped(body)
                        else:
                            form = parse_plain(body.decode())
                    else:
                        form = parse_urlencoded(body, storage)
                except ValueError:  # not UTF-8
                    form = storage()
                self.form = form
                return form
        self._load_long_form()
        return t.cast("MultiDict[str, str]", self.__dict__["form"])

    @lazy_kept
    def files(self) -> MultiDict[str, FileStorage]:  # type: ignore[override]
        """The files of a form in the body, each with ``filename`` and :meth:`save`."""
        self._load_form_data()
        files: MultiDict[str, FileStorage] | None = self.__dict__.get("files")
        if files is None:
            self.files = files = self.parameter_storage_class()
            self._explain_missing_files()
        return files

    @property
    def endpoint(self) -> str | None:
        """The endpoint of the URL rule that matched; None where none did."""
        rule = self.url_rule
        endpoint: str | None = None if rule is None else rule.endpoint
        return endpoint

    @property
    def blueprint(self) -> str | None:
        """The name of the blueprint that the view belongs to, with those it is nested in."""
        name, dot, _ = (self.endpoint or "").rpartition(".")
        return name if dot else None

    @property
    def blueprints(self) -> list[str]:
        """The names of the view's blueprint and of those it is nested in, innermost first."""
        name = self.blueprint
        return [] if name is None else split_blueprint_path(name)

    def _load_form_data(self) -> None:
        if "form" in self.__dict__:
            return
        _make_form(self)

    def _load_long_form(self) -> None:
        self._take_small_body()
        super()._load_form_data()
        self._stream = self.__dict__.pop("stream", None)
        self._has_files = bool(self.__dict__.get("files"))
        self._explain_missing_files()

    def _explain_missing_files(self) -> None:
        """Have ``files`` say in debug mode that a form without ``enctype="multipart/form-data"``
        sends the names of files only.
        """
        context = get_current(None)
        if (
            context is not None
            and context.app.debug
            and self.mimetype != "multipart/form-data"
            and not self.files
        ):
            attach_enctype_error_multidict(self)

    def _take_small_body(self) -> None:
        """Read a small body whose length is declared before the form parser asks for it.

        PERF: an upload of 100 kB takes 20 µs less than through Werkzeug's limited stream, which
        copies what it reads. Larger ones stay on the way in a buffer's size at a time.
        """
        environ = self._environ or self.environ
        if (
            self._cached_data is not None
            or not 0 < (self.content_length or 0) <= SMALL_BODY
            or not environ.get("CONTENT_TYPE", "").lower().startswith("multipart/form-data")
        ):
            return
        body = self._read_declared_body()
        if body is not None:
            self._stream = BytesIO(body)

    def on_json_loading_failed(self, e: ValueError | None) -> t.Any:
        """Answer 400 to a body that is not JSON, 415 to one that does not say it is.

        :param e: what the parser said; None where the content type is not JSON.
        :raises BadRequest: with that explanation in debug mode, without it otherwise.
        """
        try:
            return super().on_json_loading_failed(e)
        except BadRequest as error:
            context = get_current(None)
            if context is not None and context.app.debug:
                raise
            raise BadRequest from error


_make_form: t.Any = Request.__dict__["form"].compute


_get_data: t.Any = Request.get_data
_make_form_data_parser: t.Any = Request.make_form_data_parser


class Response(ResponseBase):
    """The outgoing response. Most views return text or a dictionary, and one is made of it.

    .. code-block:: python

        @app.get("/report.csv")
        def report():
            response = Response("name,size", mimetype="text/csv")
            response.headers["Cache-Control"] = "no-store"
            return response

    It is Werkzeug's response, with ``text/html`` as the default type. :func:`kolben.make_response` makes one
    of whatever a view may return. A program's own subclass is set as ``app.response_class``.

    :param response: the body: text, bytes, or an iterable of pieces.
    :param status: a number, or a number and a phrase.
    :param headers: a mapping or a list of pairs.
    :param mimetype: the type, without its parameters.
    :param content_type: the whole ``Content-Type`` header.
    :param direct_passthrough: hand the iterable to the server as it is.
    """

    default_mimetype: str | None = "text/html"
    json_module = json
    autocorrect_location_header = False

    direct_passthrough = False

    # Whether the short ways below mean the same as Werkzeug's for this class.
    has_short_ways = True

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        super().__init_subclass__(**kwargs)
        if not keeps_short_ways(cls):
            cls.has_short_ways = False

    def __init__(
        self,
        response: t.Iterable[bytes] | bytes | t.Iterable[str] | str | None = None,
        status: int | str | HTTPStatus | None = None,
        headers: HeadersInput | None = None,
        mimetype: str | None = None,
        content_type: str | None = None,
        direct_passthrough: bool = False,
    ) -> None:
        if (
            headers
            or content_type is not None
            or (status is not None and type(status) is not int)
            or not self.has_short_ways
        ):
            if isinstance(headers, Headers):
                check_headers(headers)
            else:
                headers = ResponseHeaders(headers or ())
            super().__init__(
                as_iterable(response), status, headers, mimetype, content_type, direct_passthrough
            )
            return
        # PERF: adding headers one by one through Headers checks each name against those before
        # (2.6 µs for two); here the list is written once (0.8 µs for the whole object).
        self.headers = own_headers = new_headers(ResponseHeaders)
        pairs: list[tuple[str, str]] = []
        own_headers._list = pairs
        if mimetype is None:
            mimetype = self.default_mimetype
        if mimetype is not None:
            pairs.append(("Content-Type", full_content_type(mimetype)))
        code = self.default_status if status is None else status
        self._status, self._status_code = STATUS.get(code) or self._clean_status(code)
        if direct_passthrough:
            self.direct_passthrough = True
        self._on_close: list[t.Callable[[], t.Any]] = []
        if type(response) is str:
            response = response.encode()
        if type(response) is bytes:
            self.response = [response]
            if self.automatically_set_content_length:
                pairs.append(("Content-Length", str(len(response))))
        elif response is None:
            self.response = []
        elif isinstance(response, (str, bytes, bytearray)):
            self.set_data(response)
        else:
            self.response = as_iterable(response)

    def _clean_status(self, value: str | int | HTTPStatus) -> tuple[str, int]:
        cleaned = super()._clean_status(value)
        check_status(*cleaned)
        return cleaned

    @property
    def max_cookie_size(self) -> int:  # type: ignore[override]
        """The size in bytes above which a cookie is warned about: ``MAX_COOKIE_SIZE``."""
        context = get_current(None)
        if context is None:
            return ResponseBase.max_cookie_size
        size: int = context.app.config["MAX_COOKIE_SIZE"]
        return size

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: timedelta | int | None = None,
        expires: str | datetime | float | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = None,
        partitioned: bool = False,
    ) -> None:
        """Send a cookie for the browser to keep (RFC 6265, section 4.1).

        :param key: its name.
        :param value: its value.
        :param max_age: how long it is kept, in seconds; by default until the browser closes.
        :param expires: when it ends, as a datetime or as seconds since 1970.
        :param path: the path below which it is sent back.
        :param domain: the domain in which it is sent back; by default this host alone.
        :param secure: send it back over HTTPS only.
        :param httponly: hide it from scripts.
        :param samesite: ``"Strict"``, ``"Lax"`` or ``"None"``: whether it goes with requests
            from other sites.
        :param partitioned: keep it apart for each site that this one is embedded in.
        """
        if expires is None and max_age is not None:
            # Browsers that do not know Max-Age are told the same as a date.
            seconds = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
            expires = int(time() + seconds)
        if is_plain_in_cookie(key) and is_plain_in_cookie(value):
            cookie = f"{key}={value}" + cookie_attributes(
                max_age, expires, path, domain, secure, httponly, samesite, partitioned
            )
            if (
                len(cookie) <= self.max_cookie_size
                and type(self.headers) is ResponseHeaders
                and self.has_short_ways
            ):
                self.headers._list.append(("Set-Cookie", cookie))
                return
        if ";" in key:
            raise ValueError(f"{key!r} cannot be the name of a cookie: a ';' ends it.")
        check_cookie_attributes(domain, expires)
        if not value.isprintable():
            # Werkzeug escapes only some of the control characters.
            cookie = dump_cookie(
                *(key, value, max_age, expires, path, domain, secure, httponly),
                max_size=self.max_cookie_size,
                samesite=samesite,
                partitioned=partitioned,
            )
            self.headers.add("Set-Cookie", escape_in_cookie(cookie))
            return
        super().set_cookie(
            key, value, max_age, expires, path, domain, secure, httponly, samesite, partitioned
        )

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Return the headers to send for this request.

        A ``Location`` that is no URL, such as ``http://[``, is sent as it is, with all but ASCII
        percent-encoded: the program may have it from the client.

        :param environ: the request's environment.
        """
        try:
            return super().get_wsgi_headers(environ)
        except ValueError:
            twin = copy(self)
            twin.headers, locations = split_locations(self.headers)
            headers = super(Response, twin).get_wsgi_headers(environ)
            headers.extend(locations)
            return headers

    def get_wsgi_response(
        self, environ: WSGIEnvironment
    ) -> tuple[t.Iterable[bytes], str, list[tuple[str, str]]]:
        """Return the body, status and headers to send for this request (PEP 3333).

        :param environ: the request's environment: HEAD, for one, has no body.
        """
        if self.has_short_ways:
            short = self.short_wsgi_response(environ)
            if short is not None:
                return short
        body, status, headers = super().get_wsgi_response(environ)
        check_headers(headers)
        check_status(status, self.status_code)
        return body, status, headers

    def short_wsgi_response(  # noqa: C901 (a call for each header costs 0.05 µs)
        self, environ: WSGIEnvironment
    ) -> tuple[t.Iterable[bytes], str, list[tuple[str, str]]] | None:
        """Return what :meth:`get_wsgi_response` does, for a body in one piece or one that is handed
        through as it is, with headers that can be sent as they are; None for others.

        PERF: 0.5 µs; Werkzeug copies the headers and looks at each for 7 µs.

        :param environ: the WSGI environment.
        """
        body: t.Any = self.response
        if self._status_code not in BODIES:
            return None
        if self.direct_passthrough:
            if isinstance(body, (list, tuple)) or environ["REQUEST_METHOD"] == "HEAD":
                return None
            measured = True  # by the function that made it, or not at all
        elif (
            type(body) is not list or len(body) != 1 or type(body[0]) is not bytes or self._on_close
        ):
            return None
        else:
            measured = False
        headers = self.headers
        try:
            pairs = headers._list[:]
        except AttributeError:  # the program has put a dictionary or a list there
            return None
        # Those of another class were not checked when they were set.
        is_checked = type(headers) is ResponseHeaders
        located = False
        for name, value in pairs:
            if not is_checked and not value.isprintable():
                return None
            if name in ordinary_headers:
                continue
            if name == "Content-Length":
                measured = True
                continue
            lower = name.lower()
            if lower == "content-length":
                measured = True
            elif lower == "location" and not located and is_plain_location(value):
                located = True  # of several, Werkzeug sends one
            elif lower in SPECIAL_HEADERS or not is_token(name):
                return None
            elif len(ordinary_headers) < MOST_ORDINARY_HEADERS:
                ordinary_headers[sys.intern(str(name))] = None
        if not measured:
            return None
        if environ["REQUEST_METHOD"] == "HEAD":
            return (), self._status, pairs
        return body, self._status, pairs

    def make_conditional(
        self,
        request_or_environ: WSGIEnvironment | RequestBase,
        accept_ranges: bool | str = False,
        complete_length: int | None = None,
    ) -> Response:
        """Answer 304, 206 or 416 where the request's conditions and ranges ask for that.

        :param request_or_environ: the request.
        :param accept_ranges: whether a part may be sent, or the unit that parts are counted in.
        :param complete_length: the length of the whole body, in bytes.
        """
        given: t.Any = request_or_environ
        try:
            super().make_conditional(given, accept_ranges, complete_length)
        except OverflowError:
            environ = without_impossible_dates(getattr(given, "environ", given))
            super().make_conditional(environ, accept_ranges, complete_length)
        return self

    def get_app_iter(self, environ: WSGIEnvironment) -> t.Iterable[bytes]:
        """Return the body to send for this request, which closes the response when closed.

        :param environ: the request's environment: HEAD, for one, has no body.
        """
        body = self.response
        if (
            self.direct_passthrough
            or environ["REQUEST_METHOD"] == "HEAD"
            or self.status_code < 200
            or self.status_code in {204, 304}
        ):
            return super().get_app_iter(environ)
        if isinstance(body, AsyncBody):
            # As it is, so that an ASGI server can iterate it asynchronously.
            body.on_close = self.close
            return body
        if isinstance(body, (list, tuple)) and self.has_short_ways:
            return WholeBody(self.iter_encoded(), self.close)
        return super().get_app_iter(environ)

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> t.Iterable[bytes]:
        """Send this response as a WSGI application."""
        if not self.has_short_ways:
            return super().__call__(environ, start_response)
        body, status, headers = self.get_wsgi_response(environ)
        start_response(status, headers)
        return body


def text_response(text: str, status: int | None = None, location: str | None = None) -> Response:
    """Make what ``Response(text, status)`` makes.

    PERF: 0.6 µs, where the initialiser that allows for everything else takes 1.0.

    :param location: a ``Location`` that may be sent as it is.
    """
    mimetype = Response.default_mimetype
    if (
        mimetype is None
        or not Response.automatically_set_content_length
        or not Response.has_short_ways
    ):
        more = None if location is None else {"Location": location}
        return Response(text, status=status, headers=more)  # as every view's text is made into one
    body = text.encode()
    response: t.Any = _new_response(Response)
    response.headers = headers = new_headers(ResponseHeaders)
    try:
        # PERF: as in `body_headers`, without the call (0.06 µs).
        headers._list = [type_headers[mimetype], length_headers[len(body)]]
    except KeyError:  # the first of this type or length
        headers._list = body_headers(mimetype, len(body))
    if location is not None:
        headers._list.append(("Location", location))
    response._status, response._status_code = STATUS[status or Response.default_status]
    response.response = [body]
    response._on_close = []
    made: Response = response
    return made


def keeps_short_ways(kind: type[Response]) -> bool:
    """Tell whether a class has the methods that the short ways are in place of.

    :param kind: a class of responses.
    """
    return all(getattr(kind, name) is getattr(Response, name) for name in _SHORTENED)


_new_response: t.Any = Response.__new__

# What the short ways do in place of: a subclass that overrides one of these takes the long way.
_SHORTENED = (
    "status",
    "status_code",
    "_clean_status",
    "set_data",
    "data",
    "get_wsgi_headers",
    "get_app_iter",
    "iter_encoded",
    "close",
    "get_wsgi_response",
    "autocorrect_location_header",
)
