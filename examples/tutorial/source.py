"""Shows a file of this folder as HTML, Python lightly coloured."""

from __future__ import annotations

import io
import keyword
import tokenize
from pathlib import Path

from markupsafe import Markup

HERE = Path(__file__).parent


def highlight(code: str) -> Markup:
    """Return Python source as HTML with ``<span class="...">`` around what deserves a colour."""
    starts = [0]
    for line in code.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    pieces, done = [], 0
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        kind = _kind(token)
        if kind is None:
            continue
        start = starts[token.start[0] - 1] + token.start[1]
        end = starts[token.end[0] - 1] + token.end[1]
        pieces.append(
            Markup("{}<span class={}>{}</span>").format(code[done:start], kind, code[start:end])
        )
        done = end
    return Markup("").join([*pieces, code[done:]])


def _kind(token: tokenize.TokenInfo) -> str | None:
    if token.type == tokenize.COMMENT:
        return "comment"
    if token.type == tokenize.STRING or tokenize.tok_name[token.type].startswith("FSTRING"):
        return "string"
    if token.type == tokenize.NUMBER:
        return "number"
    if token.type == tokenize.NAME and keyword.iskeyword(token.string):
        return "keyword"
    if token.type == tokenize.OP and token.string == "@":
        return "decorator"
    return None


def show(name: str) -> Markup:
    """Return the file ``name`` of this folder, ready for a ``<pre>``."""
    code = (HERE / name).read_text(encoding="utf-8")
    return highlight(code) if name.endswith(".py") else Markup.escape(code)
