"""Answers requests of real pages on command: `python pages_worker.py kolben|flask`.

Reads one JSON command a line, `{"page": name, "n": times}`, and answers one JSON line with the CPU time in
nanoseconds that the process took for them; with `"profile": true`, in which shares whose code took it. Each
answer was checked before the first.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlencode

HERE = Path(__file__).resolve().parent


class Page:
    """One request of one program."""

    def __init__(self, app: Any, path: str, sees: str, cookie: str = "", form: bytes = b"") -> None:
        self.app, self.sees, self.form = app, sees, form
        self.environ = {
            "REQUEST_METHOD": "POST" if form else "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "127.0.0.1:8000",
            "HTTP_USER_AGENT": "benchmark/1.0",
            "HTTP_ACCEPT": "*/*",
            "HTTP_COOKIE": cookie,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }
        if form:
            self.environ["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
            self.environ["CONTENT_LENGTH"] = str(len(form))

    def ask(self) -> tuple[str, list[tuple[str, str]], bytes]:
        """Make the request; return status, headers and body."""
        got: list[Any] = []

        def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
            got[:] = status, headers

        chunks = self.app({**self.environ, "wsgi.input": io.BytesIO(self.form)}, start_response)
        body = b"".join(chunks)
        if hasattr(chunks, "close"):
            chunks.close()
        return got[0], got[1], body

    def check(self) -> None:
        """Raise an error unless the answer is the right one."""
        status, headers, body = self.ask()
        if status[0] not in "23" or self.sees not in f"{headers} {body.decode(errors='replace')}":
            raise RuntimeError(f"{self.environ['PATH_INFO']}: {status} {headers} {body[:500]!r}")


def cookie_of(answer: tuple[str, list[tuple[str, str]], bytes]) -> str:
    """Return what a client sends back of the cookies that it was sent."""
    return "; ".join(v.partition(";")[0] for name, v in answer[1] if name == "Set-Cookie")


def pages_of_our_own() -> dict[str, Page]:
    """The program of `pages_app.py`."""
    from pages_app import build

    app = build(str(HERE / "templates"))
    cookie = cookie_of(Page(app, "/log-in", "").ask())
    form = Page(app, "/write", "csrf_token", cookie)
    answer = form.ask()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', answer[2].decode())
    assert token is not None, answer
    sent = {"csrf_token": token[1], "title": "A title", "text": "Straße & more"}
    return {
        "list": Page(app, "/", "28 notes.", cookie),
        "form": form,
        "save": Page(app, "/write", "/notes/1", cookie_of(answer), urlencode(sent).encode()),
        "note": Page(app, "/notes/3", "Ada", cookie),
    }


def pages_of_others() -> dict[str, Page]:
    """Three programs as they are on PyPI."""
    import dash
    import httpbin
    from sqlite_web import sqlite_web

    folder = Path(tempfile.mkdtemp())
    with sqlite3.connect(folder / "notes.db") as database:
        database.execute("create table notes (id integer primary key, title text)")
        titles = [(f"Note {n}",) for n in range(50)]
        database.executemany("insert into notes (title) values (?)", titles)
    sqlite_web.initialize_app([str(folder / "notes.db")])
    board = dash.Dash("board")
    board.layout = dash.html.Div([dash.html.P(f"Line {n}") for n in range(50)])
    return {
        "httpbin": Page(httpbin.app, "/get", "benchmark/1.0"),
        "dash": Page(board.server, "/_dash-layout", "Line 49"),
        "sqlite-web": Page(sqlite_web.app, "/notes/content/", "Note 7"),
    }


#: Whose code a package is. What is in none of them is the program's; the standard library's, signing and what
#: is written in C is whose code called it: the sessions' of the framework, the tokens' of Flask-WTF.
OWNERS = {
    "framework": "kolben flask werkzeug blinker",
    "templates": "jinja2 markupsafe",
    "database": "sqlalchemy peewee playhouse",
    "extensions": "flask_login flask_wtf wtforms flask_sqlalchemy flask_compress flasgger dash plotly",
}
OWNER_OF = {package: owner for owner, packages in OWNERS.items() for package in packages.split()}
LIBRARIES = {*sys.stdlib_module_names, "itsdangerous"}
#: Seconds of processor time between two looks.
INTERVAL = 0.0005


def owner_of(frame: FrameType | None) -> str:
    """Say whose code runs: that of the innermost frame which is not the standard library's."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        package = name.partition(".")[0]
        if "__jinja_template__" in frame.f_globals or "blocks" in frame.f_globals:
            return "templates"  # what Jinja2 has made of a template
        if name == "__main__" or package not in LIBRARIES:
            return OWNER_OF.get(package, "program")
        frame = frame.f_back
    return "program"


def profile(page: Page, n: int) -> dict[str, float]:
    """Answer a page *n* times, and return which share of the time is whose.

    A timer looks where the process is, which costs the short functions no more than the long ones.
    """
    seen: Counter[str] = Counter()
    signal.signal(signal.SIGPROF, lambda number, frame: seen.update((owner_of(frame),)))
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        for _ in range(n):
            page.ask()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return {owner: count / seen.total() for owner, count in seen.items()}


def main() -> None:
    """Serve commands until the input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr
    if sys.argv[1] == "kolben":
        import kolben

        kolben.install_as_flask()
    logging.disable()
    pages = {**pages_of_our_own(), **pages_of_others()}
    for page in pages.values():
        page.check()
        page.check()
    print(json.dumps(list(pages)), file=answers, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        page = pages[command["page"]]
        if command.get("profile"):
            print(json.dumps(profile(page, command["n"])), file=answers, flush=True)
            continue
        start = time.process_time_ns()
        for _ in range(command["n"]):
            page.ask()
        print(json.dumps(time.process_time_ns() - start), file=answers, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
