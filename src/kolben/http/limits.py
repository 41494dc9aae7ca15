"""How much a request may hold: the limits that the application sets, unless the request has its own."""

from __future__ import annotations

import typing as t
from io import BytesIO

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.wrappers import Request as RequestBase

from .. import limits
from ..globals import get_current
from .input import CONNECTION, limit_body_time, read_fields, read_on, read_rest, reading_errors
from .unread import ENCODED, READ, LateEnviron

# Bodies up to this many bytes are read in one go: some servers make room for all that is asked for.
_AT_ONCE = 1 << 20

# PERF: as a number; counting one byte by b"&" takes 0.03 µs more.
_AMPERSAND = ord("&")


class LimitedRequest(LateEnviron):
    """Werkzeug's request, with limits from the application's configuration."""

    _max_content_length: int | None = None
    _max_form_memory_size: int | None = None
    _max_form_parts: int | None = None

    # As :class:`kolben.Request` has them.
    _routing: t.Any
    url_rule: t.Any

    def _route_limit(self, name: str) -> t.Any:
        """A limit that the view has of its own, else ``UNSET``."""
        context, rule = get_current(None), self.url_rule
        if context is None or rule is None:
            return limits.UNSET
        return limits.limit_of(context.app.view_functions.get(rule.endpoint), name)

    def _limit(self, name: str) -> int | None:
        """A limit as the view has it, or else the current application; Werkzeug's default outside one."""
        route = self._routing[3]
        if route is None or route.has_limits:
            own = self._route_limit(name.lower())
            if own is not limits.UNSET:
                return t.cast("int | None", own)
        context = get_current(None)
        limit: int | None = (
            getattr(RequestBase, name.lower()) if context is None else context.app.config[name]
        )
        return limit

    @property
    def max_content_length(self) -> int | None:
        """The most bytes that are read of the body; None for no limit.

        ``MAX_CONTENT_LENGTH`` of the configuration, unless it is set for this request, or the view has
        its own (:func:`kolben.limits.limits`). A longer body is answered with 413.
        """
        own = self._max_content_length
        if own is not None:
            return own
        # PERF: what _limit() does, asked for each body (0.05 µs).
        route = self._routing[3]
        if route is None or route.has_limits:
            return self._limit("MAX_CONTENT_LENGTH")
        context = get_current(None)
        if context is None:
            return RequestBase.max_content_length
        configured: int | None = context.app.config["MAX_CONTENT_LENGTH"]
        return configured

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self._max_content_length = value

    @property
    def max_form_memory_size(self) -> int | None:
        """The most bytes that one field of a form may have; None for no limit.

        ``MAX_FORM_MEMORY_SIZE`` of the configuration, unless it is set for this request.
        """
        own = self._max_form_memory_size
        return self._limit("MAX_FORM_MEMORY_SIZE") if own is None else own

    @max_form_memory_size.setter
    def max_form_memory_size(self, value: int | None) -> None:
        self._max_form_memory_size = value

    @property  # type: ignore[override]
    def max_form_parts(self) -> int | None:
        """The most fields and files that a form may have; None for no limit.

        ``MAX_FORM_PARTS`` of the configuration, unless it is set for this request.
        """
        own = self._max_form_parts
        return self._limit("MAX_FORM_PARTS") if own is None else own

    @max_form_parts.setter
    def max_form_parts(self, value: int | None) -> None:
        self._max_form_parts = value

    def _read_declared_body(  # noqa: C901 (a call for a part takes 0.05 µs)
        self, most: int = _AT_ONCE
    ) -> bytes | None:
        """Read a body of declared length in one go; None if it must be read with care.

        PERF: 0.5 µs, where the limited stream that Werkzeug reads through takes 4 µs.

        :param most: the most bytes that are read so.
        """
        if self._stream is not None or self.shallow:
            return None
        route, context = self._routing[3], get_current(None)
        if (
            self._max_content_length is None
            and route is not None
            and not route.has_limits
            and context is not None
        ):
            # PERF: as the property has it, without the call (0.04 µs). There is a route where the class is
            # ours, as it is.
            maximum: int | None = context.app.config["MAX_CONTENT_LENGTH"]
        else:
            maximum = self.max_content_length
        environ = self._environ
        if environ is None:
            # What has come as a whole, and of its declared length.
            body = self._unread.body
            if body is not None and (whole := body.whole) is not None:
                if maximum is not None and body.size > maximum:
                    raise RequestEntityTooLarge
                self._stream, body.whole = READ, b""
                return whole
            environ = self.environ
        declared: str = environ.get("CONTENT_LENGTH", "")
        if (
            not declared.isdecimal()  # in latin-1, as headers are, no more than the ASCII digits are
            or "HTTP_TRANSFER_ENCODING" in environ
            or ENCODED in environ
        ):
            return None
        try:
            length = int(declared)
        except ValueError:  # more digits than Python converts
            return None
        if maximum is not None and length > maximum:
            raise RequestEntityTooLarge
        if length > most:
            return None
        if CONNECTION in environ:
            limit_body_time(environ, environ[CONNECTION])
        stream = environ["wsgi.input"]
        try:
            data: bytes = stream.read(length)
            if len(data) != length:
                data = read_on(stream, data, length)
            # Asked for apart: what comes at once may be less than all.
            if environ.get("wsgi.input_terminated") and (more := stream.read(1)):
                data = read_rest(stream, data + more, maximum)
        except reading_errors() as error:
            raise ClientDisconnected from error
        self._stream = READ
        return data

    def _check_short_form(self, body: bytes) -> None:
        """Check that a URL-encoded form that was read as a whole is within its limits.

        :raises RequestEntityTooLarge: if it is not.
        """
        # PERF: asked for here, not through the properties, which takes 0.3 µs more.
        context, route = get_current(None), self._routing[3]
        memory, parts = self._max_form_memory_size, self._max_form_parts
        if context is None or route is None or route.has_limits:
            memory, parts = self.max_form_memory_size, self.max_form_parts
        else:
            config = context.app.config
            if memory is None:
                memory = config["MAX_FORM_MEMORY_SIZE"]
            if parts is None:
                parts = config["MAX_FORM_PARTS"]
        size = len(body)
        # A body has not more fields than bytes, which need not be counted then.
        if (parts is not None and size >= parts and body.count(_AMPERSAND) >= parts) or (
            memory is not None and size > memory
        ):
            read_fields(BytesIO(body), memory, parts)
