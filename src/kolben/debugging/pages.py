"""Pages for developers: one content, as HTML for browsers, as text for terminals, as JSON for programs.

What is on a page is escaped, wherever it came from, and nothing is loaded from elsewhere.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from markupsafe import Markup
from werkzeug.datastructures import Headers, MIMEAccept
from werkzeug.http import parse_accept_header

#: The media types of a page, the one first that is meant where the client does not care.
TEXT, HTML, JSON = "text/plain", "text/html", "application/json"


@dataclass
class Table:
    """Rows with a heading."""

    heading: str
    columns: tuple[str, ...]
    rows: t.Sequence[tuple[str, ...]]
    #: The numbers of the rows that are marked.
    marked: frozenset[int] = frozenset()


@dataclass
class Page:
    """What a developer is told."""

    status: int
    #: The name of the error, such as ``Not Found``.
    title: str
    #: What happened, in a sentence.
    lead: str
    #: What to do about it, or what was meant.
    hints: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    #: The path that was probably meant, and the URL of it.
    suggestion: tuple[str, str] | None = None

    @property
    def advice(self) -> list[str]:
        """The hints as text, the suggestion first."""
        meant = [] if self.suggestion is None else [f"Did you mean {self.suggestion[0]}?"]
        return [*meant, *self.hints]


#: How programs begin their User-Agent that show what they get in a terminal, and accept anything.
_TERMINALS = ("curl/", "wget/", "httpie/", "xh/")


def negotiate(headers: Headers) -> str | None:
    """Choose the media type of a page by a request's ``Accept`` (RFC 9110, section 12.5.1).

    A client that accepts anything gets HTML, unless it is one that writes to a terminal.

    :param headers: the request's headers.
    :return: the type; None without the header, where the plain page of the framework is due.
    """
    accept = headers.get("Accept", "")
    if not accept:
        return None
    accepted = parse_accept_header(accept, MIMEAccept)
    names = [name for name, quality in accepted if quality]
    if any(name.endswith("+json") for name in names) and HTML not in names:
        return JSON
    if not any(name in {HTML, JSON, TEXT, "application/xhtml+xml"} for name in names):
        is_terminal = headers.get("User-Agent", "").lower().startswith(_TERMINALS)
        return TEXT if is_terminal else HTML
    return accepted.best_match([HTML, JSON, TEXT])


def render(page: Page, media_type: str) -> str:
    """Write a page.

    :param page: the page.
    :param media_type: one of those of :func:`negotiate`.
    """
    return {HTML: to_html, JSON: to_json}.get(media_type, to_text)(page)


def to_json(page: Page) -> str:
    """Write a page as JSON, in the manner of RFC 9457.

    :param page: the page.
    """
    content: dict[str, t.Any] = {
        "type": "about:blank",
        "title": page.title,
        "status": page.status,
        "detail": page.lead,
        "hints": page.advice,
    }
    for table in page.tables:
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        content[table.heading.lower().replace(" ", "_")] = rows
    return json.dumps(content, indent=2) + "\n"


def to_text(page: Page) -> str:
    """Write a page as plain text.

    :param page: the page.
    """
    lines = [f"{page.status} {page.title}", "", page.lead]
    lines += [f"  {hint}" for hint in page.advice]
    for table in page.tables:
        widths = [max(map(len, column)) for column in zip(table.columns, *table.rows, strict=True)]
        lines += ["", table.heading]
        for number, row in enumerate(table.rows):
            cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append(f"{'>' if number in table.marked else ' '} {cells}".rstrip())
    text = "\n".join(lines) + "\n"
    # What a terminal would obey is shown, not sent (a path may hold escape sequences).
    return "".join(c if c == "\n" or c.isprintable() else ascii(c)[1:-1] for c in text)


# -- HTML -----------------------------------------------------------------------------------


def to_html(page: Page) -> str:
    """Write a page as HTML.

    :param page: the page.
    """
    parts = [Markup("<p class=lead>{}</p>").format(page.lead)]
    items = [Markup("<li>{}</li>").format(hint) for hint in page.hints]
    if page.suggestion is not None:
        path, url = page.suggestion
        items.insert(0, Markup('<li>Did you mean <a href="{}">{}</a>?</li>').format(url, path))
    if items:
        parts.append(Markup("<ul class=hints>{}</ul>").format(Markup("").join(items)))
    parts += [_table(table) for table in page.tables]
    return document(
        f"{page.status} {page.title}", page.title, str(page.status), Markup("\n").join(parts)
    )


def _table(table: Table) -> Markup:
    head = Markup("").join(Markup("<th>{}").format(name) for name in table.columns)
    body = Markup("\n").join(
        Markup("<tr{}>{}").format(
            Markup(" class=near") if number in table.marked else "",
            Markup("").join(Markup("<td>{}").format(cell) for cell in row),
        )
        for number, row in enumerate(table.rows)
    )
    return Markup("<h2>{}</h2>\n<div class=wide><table>\n<tr>{}\n{}\n</table></div>").format(
        table.heading, head, body
    )


_NOTHING = Markup("")


def document(
    title: str, heading: str, badge: str, content: Markup, extra: Markup = _NOTHING
) -> str:
    """Return a whole page of ours.

    :param title: the title of the window.
    :param heading: the heading.
    :param badge: what stands small before it, such as the status.
    :param content: the body.
    :param extra: further elements of the head.
    """
    return _DOCUMENT.format(
        title=title, heading=heading, badge=badge, content=content, style=STYLE, extra=extra
    )


STYLE = Markup("""\
:root { color-scheme: light dark; --ink: #1d2733; --dim: #5d6b7a; --paper: #f6f7f9; --card: #fff;
  --line: #dde2e8; --mark: #fff3c9; --red: #b3261e; --blue: #0b5cad; --code: #f0f2f5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ee; --dim: #9aa7b5; --paper: #14181d;
  --card: #1c2229; --line: #313a44; --mark: #46390f; --red: #ff8a80; --blue: #8ec7ff; --code: #252c35; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .75rem; overflow-wrap: anywhere; }
h1 small { font-size: .9rem; font-weight: 600; color: #fff; background: var(--red); border-radius: .4rem;
  padding: .15rem .5rem; margin-right: .6rem; vertical-align: .25rem; }
@media (prefers-color-scheme: dark) { h1 small { color: #14181d; } }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
a { color: var(--blue); }
.lead { font-size: 1.1rem; margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
.hints { margin: 1rem 0 0; padding: .8rem 1rem .8rem 2rem; background: var(--mark); border-radius: .5rem; }
.hints li { overflow-wrap: anywhere; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); }
table { border-collapse: collapse; width: 100%; font: .86rem/1.5 ui-monospace, monospace; }
th, td { text-align: left; padding: .35rem .8rem; border-top: 1px solid var(--line); vertical-align: top; }
tr:first-child th { border-top: 0; font: 600 .78rem/1.5 system-ui, sans-serif; color: var(--dim); }
tr.near td { background: var(--mark); }
footer { color: var(--dim); font-size: .85rem; margin-top: 2.5rem; }
""")

_DOCUMENT = Markup("""\
<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel=icon href="data:,">
<style>
{style}</style>
{extra}<main>
<h1><small>{badge}</small>{heading}</h1>
{content}
<footer>This page is shown in debug mode only.</footer>
</main>
""")
