"""The interactive debugger: Werkzeug's, with a page of our own.

Consoles in frames, the PIN, the trusted hosts and the secret of the page are Werkzeug's, and so is
the script that runs in the browser. What is ours is what a developer reads: the program's frames
first, those of the framework folded, what the error most likely means; as text for terminals and
as JSON for programs.
"""

from __future__ import annotations

import linecache
import typing as t
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup, escape
from werkzeug.datastructures import EnvironHeaders
from werkzeug.debug import DebuggedApplication, get_pin_and_cookie_name
from werkzeug.debug.tbtools import DebugFrameSummary, DebugTraceback
from werkzeug.wrappers import Response

from .frames import is_framework, is_own, short_path
from .hints import causes_of, hints_for
from .pages import HTML, Page, Table, document, negotiate, render
from .views import find_view

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from traceback import TracebackException
    from types import CodeType

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from ..app import Flask
    from ..wrappers import Request

#: So many lines of the program are shown before and after the one that failed.
_AROUND = 5

#: So many frames are shown at either end of a traceback that is longer than both together.
_MOST_FRAMES = 30


class Debugger(DebuggedApplication):
    """Answers an error with a page that explains it, with a console in each frame.

    :param app: the WSGI application, whose errors reach it.
    :param evalex: whether code can be run in the frames.
    :param find_app: finds the Kolben application behind *app*; None where there is none.
    """

    def __init__(
        self,
        app: WSGIApplication,
        evalex: bool = True,
        find_app: Callable[[], Flask | None] = lambda: None,
    ) -> None:
        self._find_app = find_app
        super().__init__(app, evalex=evalex)

    @property
    def pin(self) -> str | None:
        """The PIN, which is the same for as long as machine and user are: also while the program
        is broken, when there is no application that it could be made of.
        """
        if not hasattr(self, "_pin"):
            found = get_pin_and_cookie_name(t.cast("t.Any", _Anchor()))
            self._pin, self._pin_cookie = t.cast("t.Any", found)
        return self._pin

    @pin.setter
    def pin(self, value: str | None) -> None:
        self._pin = value

    @property
    def pin_cookie_name(self) -> str:
        """The name of the cookie of those who have entered the PIN."""
        if not hasattr(self, "_pin_cookie"):
            self._pin_cookie = t.cast("t.Any", get_pin_and_cookie_name(t.cast("t.Any", _Anchor())))[
                1
            ]
        return self._pin_cookie

    def check_host_trust(self, environ: WSGIEnvironment) -> bool:
        """Tell whether a request may use the console or the PIN: from this machine's own pages alone.

        :param environ: the environment.
        """
        return super().check_host_trust(environ) and not _is_foreign(environ)

    def debug_application(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterator[bytes]:
        """Run the application; answer its error, and keep the frames for the consoles.

        :param environ: the WSGI environment.
        :param start_response: takes status and headers.
        """
        contexts: list[t.ContextManager[t.Any]] = []
        if self.evalex:
            environ["werkzeug.debug.preserve_context"] = contexts.append
        body: t.Any = None
        try:
            body = self.app(environ, start_response)
            yield from body
        except Exception as error:
            yield from self._explain(error, contexts, environ, start_response)
        finally:
            if hasattr(body, "close"):
                body.close()

    def _explain(
        self,
        error: Exception,
        contexts: list[t.Any],
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterator[bytes]:
        traceback = DebugTraceback(error, skip=1, hide=not self.show_hidden_frames)
        for frame in traceback.all_frames:
            self.frames[id(frame)] = frame
            self.frame_contexts[id(frame)] = contexts
        media_type = negotiate(EnvironHeaders(environ)) or HTML
        request = next((c.request for c in contexts if hasattr(c, "request")), None)
        page = _page_of(error, self._find_app(), request)
        view = None
        if not any(map(_is_own, traceback.all_frames)):
            function = find_view(self._find_app(), request)
            view = None if function is None else function.__code__
        if view is not None:
            where = f"{short_path(view.co_filename)}, line {view.co_firstlineno}"
            page.hints.append(f"The view is {view.co_name}(), in {where}.")
        log = _as_text(traceback, page.hints)
        if media_type != HTML:  # where all tracebacks are shown as they are in the log
            page.hints += causes_of(error)
        response = Response(
            self._render(page, traceback, view, media_type, environ),
            500,
            content_type=f"{media_type}; charset=utf-8",
        )
        response.headers["Vary"] = "Accept"
        try:
            yield from response(environ, start_response)
        except Exception:
            environ["wsgi.errors"].write(
                "The response had begun when the error was raised: the page of the debugger"
                " cannot be shown.\n"
            )
        environ["wsgi.errors"].write(log)

    def _render(
        self,
        page: Page,
        traceback: DebugTraceback,
        view: CodeType | None,
        media_type: str,
        environ: WSGIEnvironment,
    ) -> str:
        if media_type != HTML:
            page.tables += _frames_as_tables(traceback)
            return render(page, media_type)
        evalex = self.evalex and self.check_host_trust(environ)
        head = _HEAD.format(
            evalex="true" if evalex else "false",
            trusted="true" if self.check_pin_trust(environ) else "false",
            secret=self.secret,
        )
        hints = Markup("").join(Markup("<li>{}</li>").format(hint) for hint in page.hints)
        content = _CONTENT.format(
            message=page.lead,
            hints=Markup("<ul class=hints>{}</ul>").format(hints) if hints else "",
            view="" if view is None else _view_as_html(view),
            frames=_frames_as_html(traceback),
            plain=_as_text(traceback, page.hints),
        )
        return document(f"{page.title}: {page.lead}"[:200], page.title, "500", content, head)


def explain_in_log(error: BaseException, app: Flask, request: t.Any = None) -> str:
    """Write an error that no page shows, such as that of a WebSocket, for a terminal.

    :param error: the error.
    :param app: the application.
    :param request: what was being answered, with ``url_rule``, ``endpoint`` and ``method``.
    :return: the traceback, the frames of the framework counted, and what the error most likely means.
    """
    return _as_text(DebugTraceback(error), hints_for(error, app, request))


class _Anchor:
    """What the PIN is made of, in place of the application: the same in each run."""

    __module__ = "kolben.app"
    __name__ = "Flask"


def _is_foreign(environ: WSGIEnvironment) -> bool:
    """Tell whether the browser says that a page of another origin has sent the request."""
    if environ.get("HTTP_SEC_FETCH_SITE", "same-origin") not in {"same-origin", "none"}:
        return True
    origin: str | None = environ.get("HTTP_ORIGIN")
    return origin is not None and origin.partition("://")[2] != environ.get("HTTP_HOST")


def _page_of(error: Exception, app: Flask | None, request: Request | None) -> Page:
    name = type(error).__name__
    return Page(500, name, str(error) or name, hints_for(error, app, request))


# -- frames ---------------------------------------------------------------------------------


def _is_own(frame: DebugFrameSummary) -> bool:
    return is_own(frame.filename, str(frame.global_ns.get("__name__", "")))


def _is_framework(frame: t.Any) -> bool:
    return is_framework(str(frame.global_ns.get("__name__", "")))


def _frames_as_tables(traceback: DebugTraceback) -> list[Table]:
    """The frames of the error, and in a table each those of the errors that led to it."""
    tables = []
    for number, (_, part) in enumerate(traceback.all_tracebacks):
        rows = []
        stack, left_out = _shortened(part)
        shown = [frame for frame in stack if not _is_framework(frame)]
        if not shown and stack:
            rows.append(("...", "", f"{_counted(stack[:-1])} of the framework"))
            shown = stack[-1:]
        for frame in shown:
            where = f"{short_path(frame.filename)}:{frame.lineno}"
            rows.append((where, frame.name, (frame.line or "").strip()))
            if frame is left_out.last_before:
                rows.append(("...", "", left_out.said))
        heading = "Frames" if number == 0 else f"Frames of cause {number}"
        tables.append(Table(heading, ("where", "function", "line"), rows))
    return tables


@dataclass
class _LeftOut:
    """Frames in the middle of a long traceback, as of an endless recursion."""

    #: The frame behind which they would stand; None where nothing is left out.
    last_before: DebugFrameSummary | None
    said: str


def _shortened(part: TracebackException) -> tuple[list[DebugFrameSummary], _LeftOut]:
    """Return the frames that are shown, and what is left out between them."""
    frames = t.cast("list[DebugFrameSummary]", part.stack)
    if len(frames) <= 2 * _MOST_FRAMES:
        return frames, _LeftOut(None, "")
    count = len(frames) - 2 * _MOST_FRAMES
    shown = frames[:_MOST_FRAMES] + frames[-_MOST_FRAMES:]
    return shown, _LeftOut(shown[_MOST_FRAMES - 1], f"{count} further frames")


def _as_text(traceback: DebugTraceback, hints: list[str]) -> str:
    """The traceback for a terminal, the frames of the framework counted and not shown."""
    lines: list[str] = []
    for message, part in reversed(traceback.all_tracebacks):
        if message is not None:
            lines.append(f"\n{message}:\n\n")
        lines.append("Traceback (most recent call last):\n")
        stack, left_out = _shortened(part)
        for is_ours, run in groupby(stack, _is_framework):
            frames = list(run)
            if is_ours:
                lines.append(f"  ... {_counted(frames)} of the framework\n")
                continue
            for frame in frames:
                lines.append(part.stack.format_frame_summary(frame))
                if frame is left_out.last_before:
                    lines.append(f"  ... {left_out.said}\n")
        lines += part.format_exception_only()
    lines += [f"\n{hint}\n" for hint in hints if f"{hint}\n" not in lines]
    return "".join(lines)


def _counted(frames: list[t.Any]) -> str:
    return "1 frame" if len(frames) == 1 else f"{len(frames)} frames"


def _frames_as_html(traceback: DebugTraceback) -> Markup:
    """All tracebacks, the first cause first; runs of the framework's frames are folded."""
    parts = []
    for message, part in reversed(traceback.all_tracebacks):
        if message is not None:
            parts.append(Markup("<p class=divider>{}:</p>").format(message))
        parts += _folded(part)
        if part is not traceback.all_tracebacks[0][1]:
            text = "".join(part.format_exception_only()).rstrip()
            parts.append(Markup("<pre class=cause>{}</pre>").format(text))
    return Markup("\n").join(parts)


def _folded(part: TracebackException) -> Iterator[Markup]:
    waiting: list[DebugFrameSummary] = []
    frames, left_out = _shortened(part)
    for frame in frames:
        if _is_framework(frame):
            waiting.append(frame)
            continue
        yield from _fold(waiting)
        waiting = []
        yield _frame(frame)
        if frame is left_out.last_before:
            yield Markup("<p class=divider>{}</p>").format(left_out.said)
    yield from _fold(waiting)
    if getattr(part, "filename", None):  # a syntax error has no frame of its own
        yield Markup("<pre class=syntax>{}</pre>").format("".join(part.format_exception_only()))


def _fold(frames: list[DebugFrameSummary]) -> Iterator[Markup]:
    if frames:
        yield Markup(
            "<details class=fold><summary>{} of the framework</summary>\n{}\n</details>"
        ).format(_counted(frames), Markup("\n").join(map(_frame, frames)))


def _frame(frame: DebugFrameSummary) -> Markup:
    return Markup(
        '<div class="frame{}" id="frame-{}">\n'
        "<h4><cite>{}</cite>, line <em>{}</em>, in <code>{}</code></h4>\n"
        '<div class="source">{}</div>\n</div>'
    ).format(
        " own" if _is_own(frame) else "",
        id(frame),
        short_path(frame.filename),
        frame.lineno,
        frame.name,
        _source(frame),
    )


def _source(frame: DebugFrameSummary) -> Markup:
    lines = linecache.getlines(frame.filename)
    current = (frame.lineno or 0) - 1
    if not 0 <= current < len(lines):
        return Markup("<pre class='line current'> </pre>")
    shown = range(max(0, current - _AROUND), min(len(lines), current + _AROUND + 1))
    return Markup("").join(
        _line(number, _marked(frame, lines[number].rstrip("\n")), "current")
        if number == current
        else _line(number, lines[number].rstrip("\n"))
        for number in shown
    )


def _line(number: int, content: str, kind: str = "around") -> Markup:
    return Markup('<pre class="line {}"><i>{}</i>{}</pre>').format(kind, number + 1, content)


def _view_as_html(code: CodeType) -> Markup:
    """The beginning of a view, looking like a frame without a console."""
    first = code.co_firstlineno - 1
    last = max((line for *_, line in code.co_lines() if line), default=first + 1)
    lines = linecache.getlines(code.co_filename)[first : min(last, first + 4 * _AROUND)]
    return Markup(
        "<h2>The view</h2>\n<div class='frame own'>\n"
        "<h4><cite>{}</cite>, line <em>{}</em>, in <code>{}</code></h4>\n"
        "<div class=code>{}</div>\n</div>"
    ).format(
        short_path(code.co_filename),
        first + 1,
        code.co_name,
        Markup("").join(_line(first + n, line.rstrip("\n")) for n, line in enumerate(lines)),
    )


def _marked(frame: DebugFrameSummary, line: str) -> Markup:
    """The line that failed, with the expression marked that did."""
    start, end = getattr(frame, "colno", None), getattr(frame, "end_colno", None)
    if start is None or end is None or end <= start or not line.isascii():
        return escape(line)
    return Markup("{}<mark>{}</mark>{}").format(line[:start], line[start:end], line[end:])


# The names of the elements are those that Werkzeug's script looks for.
_HEAD = Markup("""\
<script src="?__debugger__=yes&amp;cmd=resource&amp;f=debugger.js"></script>
<script>var CONSOLE_MODE = false, EVALEX = {evalex}, EVALEX_TRUSTED = {trusted}, SECRET = "{secret}";</script>
<style>
.frame {{ background: var(--card); border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0; }}
.frame h4 {{ margin: 0; padding: .5rem .8rem; font-weight: 400; font-size: .9rem; overflow-wrap: anywhere;
  color: var(--dim); }}
.frame.own h4 {{ color: var(--ink); }}
.frame cite, .frame em, .frame code {{ font-style: normal; font-weight: 600; }}
.source, .code {{ overflow-x: auto; border-top: 1px solid var(--line); padding: .3rem 0; }}
.source {{ cursor: pointer; }}
.source pre, .code pre {{ margin: 0; padding: 0 .8rem; font: .85rem/1.55 ui-monospace, monospace; min-width: max-content; }}
.source pre i, .code pre i {{ display: inline-block; width: 3.2em; color: var(--dim); font-style: normal; user-select: none; }}
.source pre.around {{ display: none; }}
.own .source pre.around, .source.expanded pre.around {{ display: block; }}
.own .source.expanded pre.around {{ display: none; }}
.source pre.current {{ background: var(--mark); }}
.source mark {{ background: none; color: inherit; text-decoration: underline wavy var(--red);
  text-underline-offset: .2em; }}
.source img {{ width: 1rem; height: 1rem; margin-left: .8rem; vertical-align: -.15rem; opacity: .55; cursor: pointer;
  background: #fff; border-radius: .2rem; }}
.source img:hover {{ opacity: 1; }}
.source pre.around img {{ display: none; }}
pre.console {{ display: none; margin: 0; padding: .6rem .8rem; background: var(--code); max-height: 24rem;
  overflow: auto; font: .85rem/1.5 ui-monospace, monospace; border-top: 1px solid var(--line); }}
pre.console.active {{ display: block; }}
pre.console form {{ display: flex; gap: .3rem; }}
pre.console input {{ flex: 1; border: 0; outline: 0; background: none; color: inherit; font: inherit; }}
pre.console table {{ width: auto; font: inherit; }}
.fold {{ margin: .6rem 0; color: var(--dim); font-size: .9rem; }}
.fold summary {{ cursor: pointer; }}
.divider {{ color: var(--dim); margin: 1.2rem 0 .4rem; }}
pre.syntax, pre.cause, .plain pre {{ overflow-x: auto; background: var(--code); border-radius: .5rem; padding: .8rem;
  font: .85rem/1.5 ui-monospace, monospace; }}
.plain {{ margin-top: 2rem; }}
.pin-prompt {{ display: none; position: fixed; inset: 0; background: rgb(0 0 0 / 55%); z-index: 9; }}
.pin-prompt .inner {{ background: var(--card); max-width: 26rem; margin: 18vh auto 0; padding: 1.2rem 1.5rem;
  border-radius: .6rem; }}
.pin-prompt input {{ font: inherit; padding: .3rem .6rem; }}
</style>
""")

_CONTENT = Markup("""\
<p class=lead>{message}</p>
{hints}
{view}
<h2>Traceback, most recent call last</h2>
<div class=traceback>
{frames}
</div>
<details class=plain-text><summary>As text</summary>
<div class=plain><textarea readonly>{plain}</textarea></div>
</details>
<div class=pin-prompt><div class=inner>
<h2>The console is locked</h2>
<p>Enter the PIN that the terminal shows in which the server runs.
<form><p>PIN: <input type=text name=pin size=14 autocomplete=off> <input type=submit name=btn value="Unlock"></form>
</div></div>
""")
