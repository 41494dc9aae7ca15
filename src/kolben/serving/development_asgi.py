"""The development server of programs that need ASGI: uvicorn, with what Werkzeug's server has.

WebSockets, async views on one loop, streams and the functions before and after serving work as in
production. Reloader, debugger and access lines are those of :mod:`kolben.serving.development`, which
starts this where a program has what only ASGI can do.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import typing as t
from importlib.util import find_spec
from types import SimpleNamespace

from werkzeug import serving
from werkzeug._internal import _log
from werkzeug.serving import is_running_from_reloader

from ..debugging.live_reload import PREFIX as LIVE_PREFIX

if t.TYPE_CHECKING:
    import ssl

    from ..app import Flask

#: Seconds that what runs has to end, before the program is started anew or the server is stopped.
GRACE = 3

# The descriptor of the listening socket, which the process that the reloader starts inherits. The name is
# Werkzeug's, whose server does the same.
_DESCRIPTOR = "WERKZEUG_SERVER_FD"


def is_installed() -> bool:
    """Tell whether uvicorn can be imported, with what it needs for WebSockets."""
    return find_spec("uvicorn") is not None and (
        find_spec("wsproto") is not None or find_spec("websockets") is not None
    )


def serve(app: Flask, host: str, port: int, options: dict[str, t.Any]) -> None:
    """Serve an application with uvicorn until it is stopped.

    :param app: the application.
    :param host: the address to listen on.
    :param port: the port to listen on.
    :param options: those of :func:`werkzeug.serving.run_simple` that a server in this process heeds.
    """
    context = _tls_context(options.get("ssl_context"))
    listener = _listen(host, port, context is not None)
    server = _make_server(app, context, options)
    if not options.get("use_reloader"):
        _run(server, listener)
        return
    if is_running_from_reloader():
        _serve_until_changed(server, listener, options)
        return
    try:
        sys.exit(_supervise(options))
    finally:
        listener.close()


def _supervise(options: dict[str, t.Any]) -> int:
    """Start the same command as the process that serves, again and again while files change.

    Werkzeug's supervisor kills that process when it is stopped itself; this one lets it end.

    :return: the exit status of the last one.
    """
    from werkzeug._reloader import _get_args_for_reloading

    from .development import RELOAD_STATUS, make_watcher

    environment = {**os.environ, "WERKZEUG_RUN_MAIN": "true"}
    child: subprocess.Popen[bytes] | None = None

    def stop(number: int, frame: t.Any) -> None:
        if child is not None:
            child.terminate()

    signal.signal(signal.SIGTERM, stop)
    while True:
        _log("info", f" * Restarting with {make_watcher(options).name}")
        child = subprocess.Popen(_get_args_for_reloading(), env=environment, close_fds=False)  # noqa: S603
        status = _wait(child)
        if status != RELOAD_STATUS:
            return status


def _wait(child: subprocess.Popen[bytes]) -> int:
    """Wait for a process to end; CTRL+C, which it gets as well, is not ours to obey before."""
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


def _serve_until_changed(server: t.Any, listener: socket.socket, options: dict[str, t.Any]) -> None:
    """Serve in a thread, watch files in this one; end what runs before the process ends."""
    from .development import make_watcher

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    serving_thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="kolben-server", daemon=True
    )
    try:
        with make_watcher(options) as watcher:
            serving_thread.start()
            watcher.run()
    except KeyboardInterrupt:
        pass
    finally:
        server.should_exit = True
        serving_thread.join(GRACE + 1)


def _run(server: t.Any, listener: socket.socket) -> None:
    """Serve in this thread. uvicorn ends on SIGINT and SIGTERM, then sends itself the same again."""
    # In another thread than the main one, as tests run it, the program has the signals to itself.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass


def _listen(host: str, port: int, has_tls: bool) -> socket.socket:
    """Open the listening socket, or take over that of the process that the reloader belongs to."""
    if is_running_from_reloader():
        return socket.socket(fileno=int(os.environ[_DESCRIPTOR]))
    family = serving.select_address_family(host, port)
    listener = socket.socket(family, socket.SOCK_STREAM)
    if os.name != "nt":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    address = serving.get_sockaddr(host, port, family)
    if host.startswith("unix://") and os.path.exists(t.cast("str", address)):
        os.unlink(t.cast("str", address))
    listener.bind(address)
    listener.listen(128)
    listener.set_inheritable(True)
    os.environ[_DESCRIPTOR] = str(listener.fileno())
    _announce(host, listener, has_tls)
    return listener


def _announce(host: str, listener: socket.socket, has_tls: bool) -> None:
    """Say where the server listens, in the words of Werkzeug's."""
    warning = (
        "WARNING: This is a development server. Do not use it in a production deployment."
        " 'kolben serve' is for production."
    )
    lines = [f"\033[31m\033[1m{warning}\033[0m" if sys.stderr.isatty() else warning]
    if listener.family == getattr(socket, "AF_UNIX", None):
        lines.append(f" * Running on {host}")
    else:
        port = listener.getsockname()[1]
        scheme = "https" if has_tls else "http"
        hosts = [host]
        if host in {"0.0.0.0", "::"}:  # noqa: S104 (what the caller asked for)
            lines.append(f" * Running on all addresses ({host})")
            loopback = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
            hosts = [loopback, serving.get_interface_ip(listener.family)]
        for name in hosts:
            shown = f"[{name}]" if ":" in name else name
            lines.append(f" * Running on {scheme}://{shown}:{port}")
    _log("info", "\n".join(lines))
    _log("info", "Press CTRL+C to quit")


def _tls_context(given: t.Any) -> ssl.SSLContext | None:
    if given is None:
        return None
    if given == "adhoc":
        return serving.generate_adhoc_ssl_context()
    if isinstance(given, tuple):
        return serving.load_ssl_context(*given)
    return t.cast("ssl.SSLContext", given)


def _make_server(app: Flask, context: ssl.SSLContext | None, options: dict[str, t.Any]) -> t.Any:
    import uvicorn

    config = uvicorn.Config(
        AccessLines(app),
        http="h11",
        ws="wsproto" if find_spec("wsproto") is not None else "websockets",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    config.load()
    config.ssl = context
    return uvicorn.Server(config)


class AccessLines:
    """Logs each request in the format of Werkzeug's development server.

    Errors of WebSockets, for which there is no page, are explained in the log.

    :param app: the application.
    """

    def __init__(self, app: Flask) -> None:
        self.flask = app
        self.app = app.asgi_app

    async def __call__(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        """Serve one connection.

        :param scope: what is known of it.
        :param receive: gives the client's messages.
        :param send: takes ours.
        """
        if scope["type"] == "lifespan" or scope["path"].startswith(LIVE_PREFIX):
            await self.app(scope, receive, send)
            return

        async def send_logged(message: t.Any) -> None:
            kind = message["type"]
            if kind in {"http.response.start", "websocket.http.response.start"}:
                _log_access(scope, message["status"])
            elif kind == "websocket.accept":
                _log_access(scope, 101)
            await send(message)

        try:
            await self.app(scope, receive, send_logged)
        except Exception as error:
            if scope["type"] != "websocket":
                raise
            # The gateway has closed the WebSocket before it raised the error.
            from ..debugging.debugger import explain_in_log

            sys.stderr.write(explain_in_log(error, self.flask, _what_was_asked(self.flask, scope)))


def _what_was_asked(app: Flask, scope: t.Any) -> t.Any:
    """Find the rule of a WebSocket whose context is gone."""
    from werkzeug.exceptions import HTTPException

    host = dict(scope.get("headers", ())).get(b"host", b"localhost").decode("latin-1")
    try:
        adapter = app.url_map.bind(host)
        rule, _ = adapter.match(scope["path"], method="GET", return_rule=True, websocket=True)
    except (HTTPException, ValueError):
        return None
    return SimpleNamespace(url_rule=rule, endpoint=rule.endpoint, method="GET")


def _log_access(scope: t.Any, status: int) -> None:
    from time import localtime, strftime

    method = scope.get("method", "GET")
    raw = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string") or b""
    target = (raw + b"?" + query if query else raw).decode("latin-1")
    line = f"{method} {target} HTTP/{scope.get('http_version', '1.1')}"
    # As Werkzeug escapes what a terminal would obey.
    line = line.translate({code: rf"\x{code:02x}" for code in (*range(32), *range(127, 160))})
    if sys.stderr.isatty() or os.environ.get("FORCE_COLOR"):
        line = _coloured(line, status)
    client = (scope.get("client") or ("-",))[0]
    when = strftime("%d/%b/%Y %H:%M:%S", localtime())
    _log("info", f'{client} - - [{when}] "{line}" {status} -')


_COLOURS = {"1": "\033[1m", "3": "\033[32m", "4": "\033[31m\033[1m", "5": "\033[35m\033[1m"}


def _coloured(line: str, status: int) -> str:
    if status in {304, 404}:
        start = "\033[36m" if status == 304 else "\033[33m"
    else:
        start = _COLOURS.get(str(status)[0], "")
    return f"{start}{line}\033[0m" if start else line
