"""Header lines of responses, prepared once for what most responses have."""

from __future__ import annotations

import re
import typing as t
from functools import lru_cache
from urllib.parse import quote

from werkzeug.datastructures import Headers
from werkzeug.http import HTTP_STATUS_CODES, dump_cookie, parse_options_header
from werkzeug.utils import get_content_type

if t.TYPE_CHECKING:
    from datetime import datetime, timedelta


# RFC 9110, section 5.6.2.
is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
# Of the control characters, a field's value may have the tabulator only (RFC 9110, section 5.5).
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_IN_NAMES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_LINE_END = re.compile(r"[\r\n]")
# What Werkzeug turns into a URI before it is sent, with all of that escaped.
_URLS = frozenset({"location", "content-location"})
_ASCII = bytes(range(0x21, 0x7F)).decode()
# Names that are never among the ordinary ones.
_KNOWN = frozenset({"Location", "Content-Location", "Content-Length"})


def check_header(name: t.Any, value: str) -> None:
    """Refuse a header that no server may send.

    :param name: its name.
    :param value: its value.
    :raises ValueError: if the name is no token, or the value has control characters.
    """
    if isinstance(name, str) and not is_token(name):
        raise ValueError(
            f"{name!r} cannot be the name of a header: that is made of ASCII letters, digits and"
            " some signs, such as '-'."
        )
    if not value.isprintable() and _CONTROL.search(value):
        if isinstance(name, str) and name.lower() in _URLS and not _LINE_END.search(value):
            return
        raise ValueError(
            f"The header {name!r} must not contain newline or other control characters: {value!r}."
        )


def check_headers(headers: t.Iterable[tuple[str, str]]) -> None:
    """Refuse headers of which one cannot be sent.

    :param headers: names and values.
    :raises ValueError: as :func:`check_header`.
    """
    for name, value in headers:
        check_header(name, value)


def check_status(status: str, code: int) -> None:
    """Refuse a status that no server may send (RFC 9112, section 4).

    :param status: number and phrase.
    :param code: the number.
    :raises ValueError: if it is no status.
    """
    if not 100 <= code <= 999 or not status[:3].isdigit() or _CONTROL.search(status):
        raise ValueError(
            f"{status!r} cannot be the status of a response: that is a number from 100 to 999, and a"
            " phrase without control characters."
        )


def without_controls(text: str) -> str:
    """Return a URL with its control characters percent-encoded.

    :param text: the URL.
    """
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda found: f"%{ord(found[0]):02X}", text)


def split_locations(headers: t.Any) -> tuple[Headers, list[tuple[str, str]]]:
    """Split a response's headers into those that hold no URL, and those that do, in ASCII.

    :param headers: the headers.
    """
    others, locations = Headers(), {}
    for name, value in Headers(headers):
        if name.lower() in _URLS:
            text = without_controls(value).encode(errors="surrogatepass")
            locations[name.lower()] = name, quote(text, safe=_ASCII)
        else:
            others.add(name, value)
    return others, list(locations.values())


def safe_file_name(name: str) -> str:
    """Return a file's name with an underscore for each control character, and for each byte that is no UTF-8.

    :param name: the name.
    """
    return name if name.isprintable() else _NOT_IN_NAMES.sub("_", name)


class ResponseHeaders(Headers):
    """Werkzeug's headers, which take only what can be sent, and are quicker where text is set under a
    name that is text.

    PERF: setting one of three headers takes 0.5 µs, where Werkzeug's goes through five calls
    that allow for numbers, bytes and parameters (1.4 µs).
    """

    def __setitem__(self, key: t.Any, value: t.Any) -> None:
        if type(key) is str and type(value) is str and value.isprintable():  # so, no line breaks
            name, length = key.lower(), len(key)
            for present, _ in self._list:
                if len(present) == length and present.lower() == name:
                    break
            else:
                if key not in ordinary_headers and key not in _KNOWN:
                    check_header(key, value)
                self._list.append((key, value))
                return
        if type(key) is int:
            check_header(value[0], str(value[1]))
        elif type(key) is slice:
            value = list(value)
            check_headers([(one, str(text)) for one, text in value])
        _set_item(self, key, value)

    def add(self, key: str, value: t.Any, /, **kwargs: t.Any) -> None:
        """Add a header, beside others of its name.

        :param key: the name.
        :param value: the value.
        :param kwargs: parameters of the value.
        :raises ValueError: if it cannot be sent.
        """
        super().add(key, value, **kwargs)
        self._check(-1)

    def set(self, key: str, value: t.Any, /, **kwargs: t.Any) -> None:
        """Set a header, in place of those of its name.

        :param key: the name.
        :param value: the value.
        :param kwargs: parameters of the value.
        :raises ValueError: if it cannot be sent.
        """
        check_header(key, value if type(value) is str else "")
        super().set(key, value, **kwargs)
        if kwargs or type(value) is not str:
            name = key.lower()
            self._check([present.lower() for present, _ in self._list].index(name))

    def _check(self, index: int) -> None:
        name, value = self._list[index]
        if name in ordinary_headers and value.isprintable():
            return
        try:
            check_header(name, value)
        except ValueError:
            del self._list[index]
            raise

    def __eq__(self, other: object) -> bool:
        # Werkzeug's are equal only within one class; these are to be equal to its own too.
        if isinstance(other, Headers):
            return Headers(self) == Headers(other)
        return NotImplemented

    def __reduce__(self) -> tuple[t.Any, ...]:
        # A process that reads it from a cache need not have Kolben.
        return Headers, (list(self._list),)

    __hash__ = None


new_headers: t.Any = ResponseHeaders.__new__
_set_item: t.Any = Headers.__setitem__


def decode_wsgi(value: str) -> str:
    """Undo the latin-1 disguise in which PEP 3333 passes bytes; wrong UTF-8 is replaced."""
    return value if value.isascii() else value.encode("latin1").decode(errors="replace")


@lru_cache(maxsize=256)
def parse_content_type(value: str) -> tuple[str, dict[str, str]]:
    """Split a ``Content-Type`` into media type and parameters.

    :param value: the value of the header.
    """
    return parse_options_header(value)


@lru_cache(maxsize=256)
def full_content_type(mimetype: str) -> str:
    """Return the ``Content-Type`` of a response, with the charset where it is text.

    :param mimetype: the media type.
    """
    content_type = get_content_type(mimetype, "utf-8")
    check_header("Content-Type", content_type)
    return content_type


# The headers that bodies of a default type and of a short length have, as far as they were sent before.
# PERF: 0.15 µs for making a number into text and a pair of it.
type_headers: dict[str | None, tuple[str, str]] = {}


class _LengthHeaders(dict[int, tuple[str, str]]):
    """The headers of lengths.

    PERF: to be asked with an index: without the GIL `get` waits for other threads, 20 µs for a number above 256, where
    an index takes 0.1.
    """

    def __missing__(self, length: int) -> tuple[str, str]:
        return length_header(length)


length_headers = _LengthHeaders()


#: Lengths from this one on, in bytes, are not remembered.
SHORT = 4096


def length_header(length: int) -> tuple[str, str]:
    """Return the header of a length, in bytes, that was not sent before."""
    header = ("Content-Length", str(length))
    if length < SHORT:
        length_headers[length] = header
    return header


def body_headers(mimetype: str, length: int) -> list[tuple[str, str]]:
    """Return the headers of a body.

    :param mimetype: its type, which is the default type of something: such types are remembered.
    :param length: its length, in bytes.
    """
    kind = type_headers.get(mimetype)
    if kind is None:
        kind = type_headers[mimetype] = ("Content-Type", full_content_type(mimetype))
    return [kind, length_headers[length] if length < SHORT else length_header(length)]


STATUS = {code: (f"{code} {name.upper()}", code) for code, name in HTTP_STATUS_CODES.items()}


#: The status codes whose responses have the body that they are given.
BODIES = frozenset(code for code in STATUS if code >= 200 and code not in {204, 304})


# The headers that need attention on the way to the server, and names of others that were sent: most
# applications send few. Those beyond the limit are not remembered.
SPECIAL_HEADERS = frozenset({"content-length", "location", "content-location"})


#: A dictionary, for the reason of `engine/urls.py:plain_hosts`.
ordinary_headers: dict[str, None] = {}


MOST_ORDINARY_HEADERS = 256


# Typed, because the integer 1 is written out where True is only a flag.
@lru_cache(maxsize=256, typed=True)
def cookie_attributes(
    max_age: timedelta | int | None,
    expires: str | datetime | float | None,
    path: str | None,
    domain: str | None,
    secure: bool,
    httponly: bool,
    samesite: str | None,
    partitioned: bool,
) -> str:
    """What follows name and value in a ``Set-Cookie`` header.

    PERF: an application sends few kinds of cookies, and a time of expiry is the same for a
    second: remembered 0.2 µs, written anew by Werkzeug 3.5 µs.
    """
    check_cookie_attributes(domain, expires)
    cookie = dump_cookie(
        "k",
        "v",
        max_age,
        expires,
        path,
        domain,
        secure,
        httponly,
        max_size=0,
        samesite=samesite,
        partitioned=partitioned,
    )
    check_header("Set-Cookie", cookie)
    return cookie.removeprefix("k=v")


def check_cookie_attributes(domain: str | None, expires: object) -> None:
    """Refuse what would end an attribute of a cookie, and begin another (RFC 6265, section 4.1.1).

    Werkzeug quotes the path, and checks ``SameSite``.

    :param domain: its domain.
    :param expires: when it ends.
    :raises ValueError: if one of them has a semicolon in it.
    """
    for name, value in (("domain", domain), ("expires", expires)):
        if isinstance(value, str) and ";" in value:
            raise ValueError(f"{value!r} cannot be the {name!r} of a cookie: a ';' ends it.")


def escape_in_cookie(cookie: str) -> str:
    """Return a ``Set-Cookie`` header with the control characters of its value escaped, as others are.

    :param cookie: the header, in which such a value stands in quotes.
    """
    return re.sub(r"[\x1a-\x1f]", lambda found: f"\\{ord(found[0]):03o}", cookie)


is_plain_in_cookie = re.compile(r"[A-Za-z0-9_.~+/-]+").fullmatch


# A Location that is a URI already, so that converting it from an IRI would change nothing.
is_plain_location = re.compile(r"/(?!/)[A-Za-z0-9_.~/-]*(\?[A-Za-z0-9_.~=&+-]*)?").fullmatch
