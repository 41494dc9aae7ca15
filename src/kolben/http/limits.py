"""How much a request may hold: the limits that the application sets, unless the request has its own."""

from __future__ import annotations

import typing as t

from werkzeug.wrappers import Request as RequestBase

from .. import limits
from ..globals import get_current
from .unread import LateEnviron


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
