"""Werkzeug's request, with an environ that need not be there before something looks at it."""

from __future__ import annotations

import typing as t

from werkzeug.wrappers import Request as RequestBase

from ..globals import get_current
from ..lazy import put_back, replace

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from ..asgi.context import Unread

#: With a body of this kind, middleware may have put the decoded one in its place, whose length is not
#: declared.
ENCODED = "HTTP_CONTENT_ENCODING"

#: Stands for the stream of a body that was read in one go, of which nothing is left.
READ: t.Any = object()


class LateEnviron(RequestBase):
    """A request that is made of an environ, or of what an ASGI server has sent: then the environ is made
    at the first look at it.

    PERF: where that is often, as ``self._environ or self.environ``, which spares a call (0.05 µs).
    """

    _environ: WSGIEnvironment | None
    _unread: Unread
    _stream: t.Any
    _routing: t.Any
    _query_string: bytes | None
    _json_module: t.Any
    _cached_data: t.Any
    _read_json: t.Any

    @property
    def environ(self) -> WSGIEnvironment:
        """The WSGI environment of the request (PEP 3333); under ASGI, made of the scope."""
        environ = self._environ
        return self._make_environ() if environ is None else environ

    @environ.setter
    def environ(self, environ: WSGIEnvironment) -> None:
        replace(self, "_environ", environ)

    @environ.deleter
    def environ(self) -> None:
        put_back(self, "_environ")

    def _make_environ(self) -> WSGIEnvironment:
        self._environ, error = self._unread.make_environ()
        context = get_current(None)
        if context is not None and context.seen_request is self:  # which parts the two at its end
            self._environ["werkzeug.request"] = self
        if error is not None:
            raise error
        return self._environ


def unread_request(
    kind: type[T], unread: Unread, query: bytes, json_module: t.Any, routing: t.Any
) -> T:
    """Make the request of an ASGI server, whose environ is made when it is looked at.

    PERF: as the initialiser does, in place of it (0.1 µs).

    :param kind: our class of requests.
    :param unread: what the server has sent.
    :param query: the query string.
    :param json_module: the application's provider of JSON.
    :param routing: what was found for its path.
    """
    request: T = _new_request(kind)
    request._environ = None
    request._unread = unread
    request._routing = routing
    request._query_string = query
    request._json_module = json_module
    request._cached_data = None
    request._read_json = ...
    request._stream = None
    return request


T = t.TypeVar("T", bound=LateEnviron)
_new_request: t.Any = LateEnviron.__new__
