"""Names and values that a client sends: query strings, urlencoded forms, cookies.

Werkzeug's results and limits, faster. What is ordinary is parsed here; whatever is odd (another
encoding, a quoted cookie) is left to Werkzeug's own code, so that there is one meaning.
"""

from __future__ import annotations

import typing as t
from binascii import a2b_qp
from contextlib import suppress
from types import MethodType
from urllib.parse import parse_qsl, unquote

# Imported for its effect: it registers the error handler that keeps undecodable bytes quoted.
import werkzeug.urls  # noqa: F401
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.sansio.http import parse_cookie

M = t.TypeVar("M", bound="MultiDict[str, t.Any]")


# Bytes that are no UTF-8 stay, or become, percent-encoded.
_KEEP_QUOTED = "werkzeug.url_quote"


@t.overload
def parse_query(query_string: str) -> ImmutableMultiDict[str, str]: ...


@t.overload
def parse_query(query_string: str, cls: type[M]) -> M: ...


def parse_query(query_string: str, cls: type[t.Any] = ImmutableMultiDict) -> t.Any:
    """Parse the query string of a URL.

    :param query_string: as in the WSGI environment: text of which each character is one byte.
    :param cls: the class of the result.
    :return: the arguments in the order sent. Bytes that are no UTF-8 stay percent-encoded.
    """
    if not query_string.isascii():
        query_string = query_string.encode("latin-1").decode("utf-8", _KEEP_QUOTED)
    return _parse(query_string, cls)


@t.overload
def parse_urlencoded(body: bytes) -> ImmutableMultiDict[str, str]: ...


@t.overload
def parse_urlencoded(body: bytes, cls: type[M]) -> M: ...


def parse_urlencoded(body: bytes, cls: type[t.Any] = ImmutableMultiDict) -> t.Any:
    """Parse a body of the type ``application/x-www-form-urlencoded``.

    :param body: the whole body.
    :param cls: the class of the result.
    :return: the fields in the order sent.
    :raises UnicodeDecodeError: if the body is not UTF-8.
    """
    return _parse(body.decode(), cls)


def _parse(text: str, cls: type[t.Any]) -> t.Any:
    if cls is ImmutableMultiDict:
        return parse_fields(text)
    if cls is MultiDict:
        return MultiDict(parse_fields(text))
    return cls(parse_qsl(text, keep_blank_values=True, errors=_KEEP_QUOTED))


def parse_fields(text: str) -> ImmutableMultiDict[str, str]:
    """Parse the fields of a query or a form.

    :param text: the fields, in which characters outside of ASCII may stand as they are.
    :return: the fields in the order sent. Bytes that are no UTF-8 stay percent-encoded.
    """
    return parse_escaped(text.encode()) if "%" in text else parse_plain(text)


def parse_plain(text: str) -> ImmutableMultiDict[str, str]:
    """Do as :func:`parse_fields`, for fields without escapes.

    :param text: the fields.
    """
    if len(text) > _SHORT and (found := _parse_many(text.encode())) is not None:
        return found
    values: dict[str, list[str]] = {}
    for field in text.replace("+", " ").split("&"):
        name, _, value = field.partition("=")
        if name not in values:
            values[name] = [value]
        else:
            values[name].append(value)
    # Nothing between two separators is no field; a value without a name is one.
    if "" in values:
        return _unquote_fields(text)
    # PERF: as in `multi_dict`, without the call (0.05 µs).
    fields: t.Any = _new_dict(ImmutableMultiDict)
    _update_dict(fields, values)
    if (
        ImmutableMultiDict.get is _werkzeug_get
        and ImmutableMultiDict.__getitem__ is _werkzeug_getitem
    ):
        fields.get = _bind_get(values)
    return fields  # type: ignore[no-any-return]


def parse_escaped(raw: bytes) -> ImmutableMultiDict[str, str]:
    """Do as :func:`parse_fields`, for fields with escapes.

    PERF: quoted-printable text (RFC 2045, section 6.7) is percent-encoded text with ``=`` for the
    percent sign, and CPython has a decoder for it in C. Control characters stand in for the
    separators meanwhile, so that an escaped one is not taken for one. Five fields with an escape
    take 1.3 µs, where splitting each at its escapes takes 3.1.

    :param raw: the fields, in UTF-8.
    """
    if len(raw) > _SHORT_ESCAPED and (found := _parse_many(raw)) is not None:
        return found
    decoded = a2b_qp(raw.translate(_TO_QUOTED_PRINTABLE))
    # An escaped control character looks like a separator. A percent sign that is no escape is still there,
    # as an equals sign, or was the last; so is an escaped equals sign: then it is asked of the length.
    if raw.find(b"%1") >= 0 or (
        (_EQUALS in decoded or raw[-1] == PERCENT)
        and len(decoded) != len(raw) - 2 * raw.count(PERCENT)
    ):
        return _unquote_fields(raw.decode())
    try:
        plain = decoded.decode()
    except UnicodeDecodeError:
        return _unquote_fields(raw.decode())
    values: dict[str, list[str]] = {}
    for field in plain.split("\x1e"):
        name, _, value = field.partition("\x1f")
        if "\x1f" in value:
            value = value.replace("\x1f", "=")
        if name not in values:
            values[name] = [value]
        else:
            values[name].append(value)
    if "" in values:
        return _unquote_fields(raw.decode())
    # PERF: as in `multi_dict`, without the call (0.05 µs).
    fields: t.Any = _new_dict(ImmutableMultiDict)
    _update_dict(fields, values)
    if (
        ImmutableMultiDict.get is _werkzeug_get
        and ImmutableMultiDict.__getitem__ is _werkzeug_getitem
    ):
        fields.get = _bind_get(values)
    return fields  # type: ignore[no-any-return]


# PERF: longer texts, in characters, are worth a look at how they are made: those of some 20 fields, or of
# 12 with escapes.
_SHORT, _SHORT_ESCAPED = 300, 240

# A control character that is sent as it is becomes a byte that no UTF-8 has.
_TO_QUOTED_PRINTABLE = bytes.maketrans(b"&=%+\x1e\x1f\r\n", b"\x1e\x1f= \xff\xff\xff\xff")


def _parse_many(raw: bytes) -> ImmutableMultiDict[str, str] | None:
    """Do as :func:`parse_fields`, for a text of two fields or more; None where not all are pairs, or an
    escape is none.

    PERF: whether each field has one equals sign is asked of the separators alone, all at once
    (11 µs for 1,000 fields); then they need not be told apart: split as one list, 1,000 fields take
    25 µs less, with escapes 60.
    """
    separators = raw.translate(None, _NO_SEPARATORS)
    if len(separators) < 2 or separators != b"=&" * (len(separators) >> 1) + b"=":
        return None
    if PERCENT not in raw:
        both = raw.decode().replace("+", " ").replace("&", "=").split("=")
    else:
        decoded = a2b_qp(raw.translate(_PAIRS_TO_QUOTED))
        # A percent sign that is no escape is still there, as an equals sign. So is an escaped equals sign:
        # then it is asked of the length.
        if raw.endswith(b"%") or (
            _EQUALS in decoded and len(decoded) != len(raw) - 2 * raw.count(PERCENT)
        ):
            return None
        try:
            both = decoded.decode().split("\x1e")
        except UnicodeDecodeError:
            return None
        # An escaped control character is one separator more.
        if len(both) != len(separators) + 1:
            return None
    pairs = iter(both)
    values: dict[str, list[str]] = {}
    # PERF: as no name comes twice, mostly, that is asked of the length alone: 1.3 µs for 100 fields. Names
    # that come twice mostly stand side by side, as of boxes that are ticked: 7 µs for 100 of them.
    if both[0] != both[2] and both[-2] != both[-4]:
        values = {name: [value] for name, value in zip(pairs, pairs, strict=True)}
    if 2 * len(values) != len(both):
        values = {}
        pairs = iter(both)
        for name, value in zip(pairs, pairs, strict=True):
            if name not in values:
                values[name] = [value]
            else:
                values[name].append(value)
    fields: t.Any = multi_dict(values)
    if ImmutableMultiDict.getlist is _werkzeug_getlist:
        fields.getlist = MethodType(_get_list, values)
    return fields  # type: ignore[no-any-return]


# PERF: as numbers; looking for one byte by b"%" takes longer (0.05 µs).
PERCENT, _EQUALS = b"%="

_NO_SEPARATORS = bytes(set(range(256)) - set(b"=&"))
_PAIRS_TO_QUOTED = bytes.maketrans(b"&=%+\x1e\x1f\r\n", b"\x1e\x1e= \xff\xff\xff\xff")


def _unquote_fields(text: str) -> ImmutableMultiDict[str, str]:
    values: dict[str, list[str]] = {}
    for field in text.replace("+", " ").split("&"):
        if field:
            name, _, value = field.partition("=")
            if "%" in field:
                name, value = (
                    unquote(name, errors=_KEEP_QUOTED),
                    unquote(value, errors=_KEEP_QUOTED),
                )
            values.setdefault(name, []).append(value)
    return multi_dict(values)


def multi_dict(values: dict[str, list[t.Any]]) -> ImmutableMultiDict[str, t.Any]:
    """Make a dictionary of fields that does not change.

    PERF: a MultiDict is a dictionary of lists; its constructor would copy each of them (2.8 µs for
    five, where this takes 0.2). It gets a ``get`` of its own, as Werkzeug's looks a name up in three
    steps, and makes an exception for one that was not sent: 0.05 µs instead of 0.17, or 0.76.

    :param values: the values of each name, which the dictionary takes over.
    """
    fields: t.Any = _new_dict(ImmutableMultiDict)
    _update_dict(fields, values)
    # What a program or an agent has put in place of the class's methods is called as ever.
    if (
        ImmutableMultiDict.get is _werkzeug_get
        and ImmutableMultiDict.__getitem__ is _werkzeug_getitem
    ):
        fields.get = _bind_get(values)
    return fields  # type: ignore[no-any-return]


_new_dict: t.Any = dict.__new__
_update_dict: t.Any = dict.update
_werkzeug_get: t.Any = ImmutableMultiDict.get
_werkzeug_getitem: t.Any = ImmutableMultiDict.__getitem__
_werkzeug_getlist: t.Any = ImmutableMultiDict.getlist


def _get(
    values: dict[str, list[t.Any]], key: str, default: t.Any = None, type: t.Any = None
) -> t.Any:
    # PERF: asked for once, which takes 0.01 µs less than asking whether it is there first.
    found = values.get(key)
    if found is None:
        return default
    if type is None:
        return found[0]
    try:
        return type(found[0])
    except (ValueError, TypeError):
        return default


# PERF: as `MethodType` does, without making a tuple of its arguments (0.01 µs).
_bind_get: t.Any = _get.__get__


def _get_list(values: dict[str, list[t.Any]], key: str, type: t.Any = None) -> list[t.Any]:
    found = values.get(key)
    if found is None:
        return []
    if type is None:
        return found.copy()
    converted = []
    for value in found:
        with suppress(ValueError, TypeError):
            converted.append(type(value))
    return converted


# What they are called where they are used.
_get.__name__ = _get.__qualname__ = "get"
_get_list.__name__ = _get_list.__qualname__ = "getlist"


def gather_fields(pairs: list[tuple[str, t.Any]], cls: type[t.Any]) -> t.Any:
    """Make a dictionary of fields, with each value of a name that came more than once.

    :param pairs: the names and values.
    :param cls: the class of the dictionary.
    """
    if cls is not ImmutableMultiDict:
        return cls(pairs)
    values: dict[str, list[t.Any]] = {}
    for name, value in pairs:
        if name in values:
            values[name].append(value)
        else:
            values[name] = [value]
    return multi_dict(values)


@t.overload
def parse_cookies(header: str) -> ImmutableMultiDict[str, str]: ...


@t.overload
def parse_cookies(header: str, cls: type[M]) -> M: ...


def parse_cookies(header: str, cls: type[t.Any] = ImmutableMultiDict) -> t.Any:
    """Parse a ``Cookie`` header (RFC 6265, section 4.2).

    :param header: the header's value, of several headers joined by ``;``.
    :param cls: the class of the result.
    :return: the cookies in the order sent; what is no cookie is skipped.
    """
    plain = header.replace("; ", ";")
    if _has_unusual_cookie(plain) or cls is not ImmutableMultiDict:
        return parse_cookie(header, cls)
    values: dict[str, list[str]] = {}
    for cookie in plain.split(";"):
        name, _, value = cookie.partition("=")
        if name in values:
            values[name].append(value)
        elif name:
            values[name] = [value]
    return multi_dict(values)


def _has_unusual_cookie(plain: str) -> bool:
    # PERF: a search for each of the three takes 0.1 µs, one with a regular expression 0.4.
    return " " in plain or '"' in plain or "\t" in plain


def find_cookie(header: str, name: str) -> str | None:
    """Return the value of one cookie: the first of its name, as :func:`parse_cookies` finds it.

    PERF: 0.4 µs, where the table of all cookies takes 1.6.

    :param header: the ``Cookie`` header.
    :param name: the cookie's name, which has no ``=`` and ``;``.
    :return: the value, None if there is no such cookie.
    """
    plain = header.replace("; ", ";")
    if _has_unusual_cookie(plain):
        return parse_cookies(header).get(name)
    start = f"{name}="
    for cookie in plain.split(";"):
        if cookie.startswith(start):
            return cookie[len(start) :]
        if cookie == name:
            return ""
    return None
