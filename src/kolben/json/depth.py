"""How deeply a JSON document is nested, found out before it is read, or after an error."""

from __future__ import annotations

import json
import sys
import typing as t
from urllib.parse import unquote

from werkzeug.exceptions import BadRequest

if t.TYPE_CHECKING:
    from werkzeug.wrappers import Request

# As deeply may a document be nested. The parser of Python 3.12 and 3.13 has this limit of its own, and
# that of 3.11 a lower one. From 3.14 on it goes on for as long as there is stack (65,000 lists), and to
# write the value again then takes more of that than there is (35,000 objects).
DEEPEST = 10_000

#: A text of fewer characters cannot be nested too deeply, as far as it matters on this Python.
LONG = 2 * DEEPEST if sys.version_info >= (3, 14) else sys.maxsize

# Where working with a document ends in a RecursionError, one of so many levels is the cause. To write it
# again takes some more calls than to read it; a copy, a template or a session takes two or three a level.
DEEP = 64

_ALL_OTHERS = bytes(set(range(256)) - {*b'[]{}"'})


def check_depth(text: str | bytes, deepest: int | None = None) -> None:
    """Refuse a document that is nested too deeply.

    :param text: the document; may be malformed, which is not said here.
    :param deepest: about how deeply it may be nested; :data:`DEEPEST` unless it is given.
    :raises RecursionError: if brackets are nested more deeply than that.
    """
    deepest = DEEPEST if deepest is None else deepest
    if not isinstance(text, str) and b"\0" in text[:4]:  # UTF-16 or UTF-32
        text = text.decode(json.detect_encoding(text), "replace")
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if data.count(b"[") + data.count(b"{") <= deepest:
        return
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # PERF: 4 ms for 12,000 records of 0.85 MB, whose reading takes 15. What is left are brackets and quotes;
    # pairs of both are taken out from within. Between a bracket and one in a string there is an odd
    # number of quotes, and stays one: no such pair is ever taken out.
    left = data.translate(None, _ALL_OTHERS)
    while len(left) > deepest:
        fewer = left.replace(b'""', b"").replace(b"[]", b"").replace(b"{}", b"")
        if len(fewer) > 0.9 * len(left):
            _walk(fewer, deepest)
            return
        left = fewer


def _walk(brackets: bytes, deepest: int) -> None:
    """Count as one reads, which is slow: for documents that have other things in mind."""
    depth = 0
    is_text = False
    for one in brackets:
        if one == 0x22:
            is_text = not is_text
        elif is_text:
            continue
        elif one in b"[{":
            depth += 1
            if depth > deepest:
                raise RecursionError
        else:
            depth -= 1


def is_nested(text: str | bytes) -> bool:
    """Tell whether a document is nested so deeply that to work with it may be too much.

    :param text: the document, or any other text.
    """
    try:
        check_depth(text, DEEP)
    except RecursionError:
        return True
    return False


def is_nested_value(value: t.Any) -> bool:
    """Tell whether what a document says is nested as deeply as :func:`is_nested` means it.

    :param value: what was read.
    """
    level: list[t.Any] = [[value]]
    for _ in range(DEEP):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def refusal_of(request: Request) -> BadRequest | None:
    """Return what is answered to a ``RecursionError`` that the client has caused, with what was read but
    is nested too deeply for whatever the program does with it.

    :param request: the request.
    :return: None if nothing in the request is nested.
    """
    known = vars(request)
    if getattr(request, "_has_read_nested", False) or is_nested(known.get("_cached_data") or ""):
        return BadRequest("The request is nested too deeply.")
    others = [
        request.path,
        unquote(request.query_string.decode("latin-1")),
        *request.headers.values(),
    ]
    others += _values(known.get("form"))
    # Without quotes: such a text need not begin where the document does.
    if any(is_nested(text.replace('"', "")) for text in others):
        return BadRequest("The request is nested too deeply.")
    return None


def _values(form: t.Any) -> t.Iterable[t.Any]:
    # Not parsed, if the program has not.
    return () if form is None else [value for _, value in form.items(multi=True)]
