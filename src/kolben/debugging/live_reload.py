"""Reloading the page in the browser when its program, a template or a stylesheet was saved.

A small script, which is added to the HTML that a browser navigates to, listens to server-sent events
(WHATWG HTML, section 9.2). A program that was saved starts anew: the script sees that another
process answers. For templates and static files a thread looks, while a page is open, whether one has
changed. A stylesheet is replaced without reloading the page.
"""

from __future__ import annotations

import os
import threading
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: The path below which the script and its events are.
PREFIX = "/__kolben__/live"
#: Seconds between two looks at the files.
INTERVAL = 0.4
#: Seconds for which a page is held that asks for changes. It asks again: a browser that waits for all of
#: a page (a headless one that takes a picture, say) is not kept waiting for longer.
HOLD = 1.0
#: Seconds after the last page has asked for which files are still looked at.
LINGER = 10.0
#: So many files are looked at; folders with more are not looked at further.
MOST_FILES = 5_000

_SCRIPT = b"""\
(() => {
  let known = null;
  const swapStyles = () => document.querySelectorAll("link[rel~=stylesheet]").forEach(link => {
    const url = new URL(link.href);
    if (url.origin !== location.origin) return;
    url.searchParams.set("__live__", Date.now());
    link.href = url;
  });
  const heed = state => {
    const [process, pages, styles] = state.split(" ");
    if (known !== null && (known[0] !== process || known[1] !== pages)) location.reload();
    else if (known !== null && known[2] !== styles) swapStyles();
    known = [process, pages, styles];
  };
  const listen = () => {
    const source = new EventSource("/__kolben__/live/events");
    source.addEventListener("state", event => heed(event.data));
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) setTimeout(listen, 1000); };
    addEventListener("pagehide", () => source.close());
  };
  addEventListener("pageshow", listen);
})();
"""
_TAG = b'\n<script src="/__kolben__/live/script.js" defer></script>\n'


class LiveReload:
    """Middleware that adds the script to pages, and serves it and its events.

    :param app: the WSGI application.
    :param folders: lists the folders whose files are watched.
    """

    def __init__(self, app: WSGIApplication, folders: Callable[[], Iterable[str]]) -> None:
        self.app = app
        self.watch = Watch(folders)
        self.process = f"{os.getpid()}-{time.time_ns()}"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request.

        :param environ: the WSGI environment.
        :param start_response: takes status and headers.
        """
        path = environ.get("PATH_INFO", "")
        if path.startswith(PREFIX):
            return self._own(path, start_response)
        if not _is_navigation(environ):
            return self.app(environ, start_response)
        page = _Page(start_response)
        return page.extend(self.app(environ, page.start))

    def _own(self, path: str, start_response: StartResponse) -> Iterable[bytes]:
        headers = [("Cache-Control", "no-store")]
        if path == f"{PREFIX}/script.js":
            headers.append(("Content-Type", "text/javascript; charset=utf-8"))
            headers.append(("Content-Length", str(len(_SCRIPT))))
            start_response("200 OK", headers)
            return [_SCRIPT]
        if path == f"{PREFIX}/events":
            headers.append(("Content-Type", "text/event-stream; charset=utf-8"))
            start_response("200 OK", headers)
            return self._events()
        start_response("404 NOT FOUND", [*headers, ("Content-Length", "0")])
        return []

    def _events(self) -> Iterator[bytes]:
        yield b"retry: 500\n\n"
        state = self.watch.state()
        yield self._event(state)
        changed = self.watch.wait_for_change(state, HOLD)
        if changed != state:
            yield self._event(changed)

    def _event(self, state: State) -> bytes:
        return f"event: state\ndata: {self.process} {state[0]} {state[1]}\n\n".encode()


def _is_navigation(environ: WSGIEnvironment) -> bool:
    """Tell whether a browser wants a page, and not a part of one or data."""
    if environ.get("REQUEST_METHOD") not in {"GET", "POST"} or "HTTP_RANGE" in environ:
        return False
    wanted = environ.get("HTTP_SEC_FETCH_DEST")  # sent by browsers to secure origins and localhost
    if wanted is not None:
        return wanted in {"document", "iframe", "frame"}
    is_script = "HTTP_X_REQUESTED_WITH" in environ
    return "text/html" in environ.get("HTTP_ACCEPT", "") and not is_script


class _Page:
    """Adds the script to a response that turns out to be HTML.

    :param start_response: the server's.
    """

    def __init__(self, start_response: StartResponse) -> None:
        self._start_response = start_response
        self._is_html = False

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: t.Any = None
    ) -> t.Callable[[bytes], object]:
        named = {name.lower(): value for name, value in headers}
        self._is_html = (
            named.get("content-type", "").lower().startswith("text/html")
            and "content-encoding" not in named
            and status[:3] not in {"204", "206", "304"}
        )
        if self._is_html:
            headers = [
                (name, str(int(value) + len(_TAG)) if name.lower() == "content-length" else value)
                for name, value in headers
            ]
        return self._start_response(status, headers, exc_info)

    def extend(self, body: t.Any) -> Iterator[bytes]:
        try:
            yield from body
            if self._is_html:
                yield _TAG
        finally:
            if hasattr(body, "close"):
                body.close()


#: How often files were changed because of which a page is reloaded, and how often stylesheets.
State = tuple[int, int]


class Watch:
    """Looks for changed files, for as long as pages ask for changes.

    :param folders: lists the folders.
    """

    def __init__(self, folders: Callable[[], Iterable[str]]) -> None:
        self._folders = folders
        self._changed = threading.Condition()
        self._state: State = (0, 0)
        self._asked_at = 0.0
        self._thread: threading.Thread | None = None

    def state(self) -> State:
        """Return what has been changed so far, and begin to look."""
        with self._changed:
            self._asked_at = time.monotonic()
            if self._thread is None:
                seen = _snapshot(self._folders())
                self._thread = threading.Thread(
                    target=self._run, args=(seen,), name="kolben-live", daemon=True
                )
                self._thread.start()
            return self._state

    def wait_for_change(self, state: State, timeout: float) -> State:
        """Wait until something has changed.

        :param state: what is known to have changed.
        :param timeout: for how many seconds to wait.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._state != state, timeout)
            return self._state

    def _run(self, seen: dict[str, tuple[int, int]]) -> None:
        while True:
            time.sleep(INTERVAL)
            now = _snapshot(self._folders())
            changed = {path for path in seen.keys() | now.keys() if seen.get(path) != now.get(path)}
            seen = now
            with self._changed:
                if changed:
                    pages, styles = self._state
                    if all(path.endswith(".css") for path in changed):
                        self._state = pages, styles + 1
                    else:
                        self._state = pages + 1, styles
                    self._changed.notify_all()
                if time.monotonic() - self._asked_at > LINGER:
                    self._thread = None
                    return


def _snapshot(folders: Iterable[str]) -> dict[str, tuple[int, int]]:
    """List the files below folders, with the time of their change and their size."""
    files: dict[str, tuple[int, int]] = {}
    for folder in folders:
        for path, _, names in os.walk(folder):
            for name in names:
                if len(files) == MOST_FILES:
                    return files
                file = os.path.join(path, name)
                try:
                    about = os.stat(file)
                except OSError:  # removed just now
                    continue
                files[file] = (about.st_mtime_ns, about.st_size)
    return files


def folders_of(app: t.Any) -> list[str]:
    """List the folders of an application's templates and static files, and of its blueprints'.

    :param app: the application.
    """
    folders: dict[str, None] = {}
    for owner in (app, *app.iter_blueprints()):
        folders.update(dict.fromkeys(getattr(owner.jinja_loader, "searchpath", ())))
        if owner.has_static_folder:
            folders[owner.static_folder] = None
    return [folder for folder in map(str, folders) if os.path.isdir(folder)]
