"""Werkzeug's request, where a header that is no header must not be an error of the server's."""

from __future__ import annotations

import typing as t

import werkzeug.http
from werkzeug.datastructures import Authorization, IfRange
from werkzeug.exceptions import SecurityError
from werkzeug.sansio.utils import get_host
from werkzeug.utils import cached_property

from ..lazy import lazy
from .limits import LimitedRequest

if t.TYPE_CHECKING:
    from datetime import datetime

    from _typeshed.wsgi import WSGIEnvironment

# What has no UTF-8 form stays percent-encoded; registered by werkzeug.urls.
_KEEP_QUOTED = "werkzeug.url_quote"

_DATES = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE")
_NO_DATE = "-"


def parse_date(value: str | None) -> datetime | None:
    """Parse a date in a header (RFC 9110, section 5.6.7).

    :param value: the header.
    :return: the date; None for what is none, and for a year that no calendar has.
    """
    try:
        return werkzeug.http.parse_date(value)
    except OverflowError:
        return None


def without_impossible_dates(environ: WSGIEnvironment) -> WSGIEnvironment:
    """Return an environ in which conditions with dates that cannot be are none.

    :param environ: a request's, which stays as it is.
    """
    clean = dict(environ)
    for name in _DATES:
        if name in clean and parse_date(clean[name]) is None:
            try:
                werkzeug.http.parse_date(clean[name])
            except OverflowError:
                clean[name] = _NO_DATE
    return clean


def is_no_host(host: str) -> bool:
    """Tell whether a ``Host`` header is none that Werkzeug takes for one (RFC 3986, section 3.2.2).

    With a port after the port, it drops the last. With anything in brackets but an IPv6 address, no URL
    can be made of it.

    :param host: the header.
    """
    if host.rpartition("]")[2].count(":") > 1:
        return True
    if host[:1] != "[":
        return False
    from ipaddress import IPv6Address  # what few requests need

    try:
        IPv6Address(host[1:].partition("]")[0])
    except ValueError:
        return True
    return False


def refuse_no_host(host: str | None, trusted: t.Collection[str] | None) -> bool:
    """Tell whether a host is none, where Werkzeug takes it for one.

    :param host: the ``Host`` header.
    :param trusted: the hosts that are trusted, if only some are.
    :raises SecurityError: if it is none and only some are trusted.
    """
    if host is None or not is_no_host(host):
        return False
    if trusted:
        raise SecurityError(f"Host {host!r} is not trusted.")
    return True


class HeaderReaders(LimitedRequest):
    """Readers of headers that take what cannot be understood for missing."""

    _query_string: bytes | None = None

    @property
    def query_string(self) -> bytes:
        """What follows the ``?`` of the URL, as the client sent it."""
        given = self._query_string
        if given is None:
            sent: str = self.environ.get("QUERY_STRING", "")
            return sent.encode("latin1")
        return given

    @query_string.setter
    def query_string(self, value: bytes) -> None:
        self._query_string = value

    @query_string.deleter
    def query_string(self) -> None:
        self._query_string = None

    @lazy
    def host(self) -> str:
        """The host that the request is for, with its port where that is not the scheme's own.

        Empty where the client names none, or what is none.

        :raises SecurityError: if it is not one of ``trusted_hosts``.
        """
        header = self.environ.get("HTTP_HOST")
        if refuse_no_host(header, self.trusted_hosts):
            return ""
        return get_host(self.scheme, header, self.server, self.trusted_hosts)

    @cached_property
    def authorization(self) -> Authorization | None:
        """The ``Authorization`` header; None where there is none, or none of a known form."""
        try:
            return super().authorization
        except ValueError:  # Base64 that is not ASCII
            return None

    @property
    def date(self) -> datetime | None:  # type: ignore[override]
        """When the request was made, if the client says so."""
        return parse_date(self.headers.get("Date"))

    @cached_property
    def if_modified_since(self) -> datetime | None:
        """The ``If-Modified-Since`` header (RFC 9110, section 13.1.3)."""
        return parse_date(self.headers.get("If-Modified-Since"))

    @cached_property
    def if_unmodified_since(self) -> datetime | None:
        """The ``If-Unmodified-Since`` header (RFC 9110, section 13.1.4)."""
        return parse_date(self.headers.get("If-Unmodified-Since"))

    @cached_property
    def if_range(self) -> IfRange:
        """The ``If-Range`` header (RFC 9110, section 13.1.5)."""
        try:
            return super().if_range
        except OverflowError:
            return IfRange()

    @cached_property
    def full_path(self) -> str:
        """The path with the query string, and with a ``?`` where there is none. Bytes that are no
        UTF-8 are percent-encoded.
        """
        return f"{self.path}?{self.query_string.decode('utf-8', _KEEP_QUOTED)}"
