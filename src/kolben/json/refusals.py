"""What a client has sent that can be read as JSON, but not worked with: the program's errors are then the client's."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import unquote

from werkzeug.exceptions import BadRequest

from .depth import check_depth

if t.TYPE_CHECKING:
    from werkzeug.wrappers import Request

# Where working with a document ends in a RecursionError, one of so many levels is the cause. To write it
# again takes some more calls than to read it; a copy, a template or a session takes two or three a level.
DEEP = 64

# Half of a surrogate pair: as the escape of JSON, and as the bytes that json.loads takes for one.
_find_surrogate = re.compile(rb"\\u[dD][89abcdefABCDEF]|\xed[\xa0-\xbf]").search


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


def has_surrogate(text: str | bytes) -> bool:
    """Tell whether there may be half of a surrogate pair in a document, which no UTF-8 can be made of.

    :param text: the document, or any other text.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return _find_surrogate(data) is not None


def refusal_of(error: Exception, request: Request) -> BadRequest | None:
    """Return what is answered to an error that the client has caused, with JSON that was read and is
    nested too deeply for whatever the program does with it, or has half a surrogate pair in it.

    :param error: what nothing has handled.
    :param request: the request.
    :return: None for all other errors.
    """
    known = vars(request)
    unkept = getattr(request, "_has_unkept_nesting", None)
    kept = known.get("_cached_data") or ""
    if isinstance(error, RecursionError):
        # Without quotes: such a text need not begin where the document does.
        if (
            is_nested(kept)
            or unkept
            or any(is_nested(text.replace('"', "")) for text in _others(request))
        ):
            return BadRequest("The request is nested too deeply.")
    elif isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":  # noqa: SIM102
        if unkept is not None or has_surrogate(kept) or any(map(has_surrogate, _others(request))):
            return BadRequest("The request has half of a surrogate pair in it.")
    return None


def _others(request: Request) -> t.Iterator[str]:
    """The texts of a request besides its body, and those of its form, if the program has read one."""
    yield request.path
    yield unquote(request.query_string.decode("latin-1"))
    yield from request.headers.values()
    form = vars(request).get("form")
    if form is not None:
        yield from (value for _, value in form.items(multi=True))
