"""Werkzeug's request, where a header that is no header must not be an error of the server's."""

from __future__ import annotations

import typing as t

import werkzeug.http
from werkzeug.datastructures import Authorization, IfRange as IfRangeBase
from werkzeug.exceptions import SecurityError
from werkzeug.sansio.utils import get_current_url, get_host
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


def url_of(scheme: str, host: str, *rest: t.Any) -> str:
    """Return a URL as it is read, with its host in Unicode where it has such a form (RFC 3492).

    A host that has none stays as it is. Before Python 3.13, Werkzeug fails on a label that begins as
    Punycode does and is none, such as ``xn--``.

    :param scheme: the URL's scheme.
    :param host: its host and port.
    :param rest: what else `werkzeug.sansio.utils.get_current_url` takes.
    """
    try:
        return get_current_url(scheme, host, *rest)
    except ValueError:
        before, _, after = get_current_url(scheme, "", *rest).partition("://")
        return f"{before}://{host.lower()}{after}"


class IfRange(IfRangeBase):
    """An ``If-Range`` header that is neither an entity tag nor a date that can be: it is written as it was sent.

    :param sent: the header.
    :param read: what it was read as.
    """

    def __init__(self, sent: str, read: IfRangeBase) -> None:
        super().__init__(read.etag, read.date)
        self._sent = sent

    def to_header(self) -> str:
        """Return the header."""
        return self._sent


class HeaderReaders(LimitedRequest):
    """Readers of headers that take what cannot be understood for missing."""

    _query_string: bytes | None

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
    def if_range(self) -> IfRangeBase:
        """The ``If-Range`` header (RFC 9110, section 13.1.5)."""
        try:
            read = super().if_range
        except OverflowError:
            return IfRangeBase()
        try:
            read.to_header()
        except (ValueError, OverflowError):
            return IfRange(self.headers["If-Range"], read)
        return read

    @cached_property
    def url(self) -> str:
        """The whole URL that was asked for, with its query, as an IRI: see :func:`url_of`."""
        return url_of(self.scheme, self.host, self.root_path, self.path, self.query_string)

    @cached_property
    def base_url(self) -> str:
        """The URL without its query."""
        return url_of(self.scheme, self.host, self.root_path, self.path)

    @cached_property
    def root_url(self) -> str:
        """The URL of the application's root."""
        return url_of(self.scheme, self.host, self.root_path)

    @cached_property
    def host_url(self) -> str:
        """The URL of the host's root."""
        return url_of(self.scheme, self.host)

    @cached_property
    def full_path(self) -> str:
        """The path with the query string, and with a ``?`` where there is none. Bytes that are no
        UTF-8 are percent-encoded.
        """
        return f"{self.path}?{self.query_string.decode('utf-8', _KEEP_QUOTED)}"
