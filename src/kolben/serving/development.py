"""The development server: Werkzeug's, with clear failures and a reloader that outlives mistakes.

:func:`run` is what ``app.run()`` does. :func:`serve_target` and :func:`run_program` are the two ways
of ``kolben run``: to import an application and serve it, and to run a program file as ``__main__``.

With the reloader there are two processes: the first one holds the listening socket and starts the
same command again as the second, which serves, and ends with status 3 when a file has changed.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import typing as t
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.machinery import SourceFileLoader
from types import ModuleType

import click
from werkzeug import serving
from werkzeug.serving import WSGIRequestHandler, is_running_from_reloader

from ..debugging.live_reload import PREFIX as LIVE_PREFIX
from ..helpers import get_debug_flag, get_load_dotenv
from ..loading.locate import NoAppException, find_best_app, prepare_import
from .address import explain_address

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from ..app import Flask
    from ..cli import ScriptInfo

_DEFAULT_HOST = "127.0.0.1"
_DEFAULT_PORT = 5000

#: The exit status by which Werkzeug's serving process asks to be started again.
RELOAD_STATUS = 3

_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")

# Kept to tell whether a test or a profiler has put another function in its place.
_werkzeug_run_simple = serving.run_simple


# --- What the command line says about a program ---------------------------------------------------


@dataclass
class CommandLine:
    """What ``kolben run`` was told, under the names of :func:`werkzeug.serving.run_simple`."""

    #: All options, with their default values.
    defaults: dict[str, t.Any] = field(default_factory=dict)
    #: Those typed: they hold over what the program says.
    given: dict[str, t.Any] = field(default_factory=dict)
    #: Those set by ``FLASK_RUN_*``: they hold where the program says nothing.
    from_environment: dict[str, t.Any] = field(default_factory=dict)
    #: Whether the program has called ``app.run()``.
    served: bool = False
    #: Debug mode of the application that the program defined.
    app_debug: bool = False

    def override(self, said: dict[str, t.Any]) -> dict[str, t.Any]:
        """Join what the program said with what the command line says.

        :param said: the program's arguments; None means not said.
        :return: the arguments that hold.
        """
        spoken = {name: value for name, value in said.items() if value is not None}
        return {**self.from_environment, **spoken, **self.given}

    def debug(self) -> bool:
        """Debug mode as the command line, the program and the environment have it.

        :return: whether it is on.
        """
        return bool(self.given.get("debug", self.app_debug or get_debug_flag()))

    def server_options(self) -> dict[str, t.Any]:
        """All arguments for a server, what depends on debug mode filled in.

        :return: the arguments.
        """
        debug = self.debug()
        options = {name: value for name, value in self.defaults.items() if name != "debug"}
        for name in ("use_reloader", "use_debugger"):
            if options.get(name) is None:
                options[name] = debug
        return options


#: Set while ``kolben run`` runs a program file.
_command_line: CommandLine | None = None


# --- app.run() --------------------------------------------------------------------------------


def run(
    app: Flask,
    host: str | None = None,
    port: int | None = None,
    debug: bool | None = None,
    load_dotenv: bool = True,
    **options: t.Any,
) -> None:
    """Serve an application until it is stopped: the work of ``app.run()``.

    :param app: the application.
    :param host: the address to listen on; by default that of ``SERVER_NAME``, or ``127.0.0.1``.
    :param port: the port to listen on, 0 for any free one; by default that of ``SERVER_NAME``, or
        5000.
    :param debug: sets ``app.debug``.
    :param load_dotenv: read ``.env`` and ``.flaskenv`` first.
    :param options: passed to :func:`werkzeug.serving.run_simple`.
    """
    from .. import cli

    if _refuses_to_run():
        return
    if _command_line is not None:
        _command_line.served = True
        options = _command_line.override({"host": host, "port": port, "debug": debug, **options})
        host, port, debug = (options.pop(name, None) for name in ("host", "port", "debug"))
    if get_load_dotenv(load_dotenv):
        cli.load_dotenv()
        if "FLASK_DEBUG" in os.environ:
            app.debug = get_debug_flag()
    if debug is not None:
        app.debug = bool(debug)
    host, port = _address(app, host, port)
    options.setdefault("use_reloader", app.debug)
    options.setdefault("use_debugger", app.debug)
    options.setdefault("threaded", True)
    cli.show_server_banner(app.debug, app.name)
    try:
        serve_development(app, host, port, **options)
    finally:
        # A program may serve, stop, register more and serve again.
        app._got_first_request = False


def _refuses_to_run() -> bool:
    """Whether ``app.run()`` is called while a command imports the application, and must not block."""
    if os.environ.get("FLASK_RUN_FROM_CLI") != "true":
        return False
    if not is_running_from_reloader():
        click.secho(
            " * Ignoring a call to 'app.run()': it would block the command that is running.\n"
            "   Put it under 'if __name__ == \"__main__\":'.",
            fg="red",
        )
    return True


def _address(app: Flask, host: str | None, port: int | None) -> tuple[str, int]:
    """Fill in what was not given from ``SERVER_NAME``, then from the defaults."""
    name, _, number = (app.config.get("SERVER_NAME") or "").partition(":")
    if port is None:
        port = int(number) if number else _DEFAULT_PORT
    return host or name or _DEFAULT_HOST, int(port)


# --- Serving ----------------------------------------------------------------------------------


class RequestHandler(WSGIRequestHandler):
    """Werkzeug's handler, with two corrections.

    The application's ``Server`` and ``Date`` are sent in place of the server's, not besides them;
    and a target whose text was not percent-encoded is read as UTF-8, as a browser would send it.
    """

    raw_requestline: bytes
    _sent: set[str] | None = None

    def parse_request(self) -> bool:
        """Read the request line.

        :return: whether there is a request to answer.
        """
        # Raw UTF-8 has bytes at which the standard library would split the line (0x85, 0xA0), and
        # Werkzeug would encode the others a second time.
        self.raw_requestline = _BEYOND_ASCII.sub(
            lambda byte: b"%%%02X" % ord(byte[0]), self.raw_requestline
        )
        return super().parse_request()

    def log_request(self, code: t.Any = "-", size: t.Any = "-") -> None:
        """Write the access line, but not for pages that ask each second whether to reload.

        :param code: the status.
        :param size: not known.
        """
        if not getattr(self, "path", "").startswith(LIVE_PREFIX):
            super().log_request(code, size)

    def send_response(self, code: t.Any, message: str | None = None) -> None:
        """Begin a response: access line and status line.

        :param code: the status.
        :param message: the reason phrase.
        """
        self._sent = set()
        self.log_request(code)
        self.send_response_only(code, message)

    def send_header(self, keyword: str, value: str) -> None:
        """Send one header.

        :param keyword: its name.
        :param value: its value.
        """
        if self._sent is not None:
            self._sent.add(keyword.lower())
        super().send_header(keyword, value)

    def end_headers(self) -> None:
        """Add the headers that the application left to the server, and end the block."""
        sent, self._sent = self._sent, None
        if sent is not None and "server" not in sent:
            self.send_header("Server", self.version_string())
        if sent is not None and "date" not in sent:
            self.send_header("Date", self.date_time_string())
        super().end_headers()


def serve_development(app: WSGIApplication, host: str, port: int, **options: t.Any) -> None:
    """Serve a WSGI application with Werkzeug's development server until it is stopped.

    An address that cannot be listened on ends the process with one line and status 1. With the
    reloader, a program that stops with an error is waited for: the next change starts it again.

    :param app: the application.
    :param host: the address to listen on.
    :param port: the port to listen on.
    :param options: passed to :func:`werkzeug.serving.run_simple`; but ``live_reload`` tells whether
        pages are reloaded in the browser when a file was saved, by default with the reloader.
    """
    options.setdefault("request_handler", RequestHandler)
    live_reload = options.pop("live_reload", None)
    if serving.run_simple is not _werkzeug_run_simple:
        serving.run_simple(host, port, app, **options)
        return
    run = _choose_server(app, host, port, options, live_reload)
    if is_running_from_reloader():
        # The socket is open already.
        run()
        return
    _check_address(host, port)
    while True:
        try:
            run()
        except SystemExit as stop:
            if not options.get("use_reloader") or not _is_failure(stop.code):
                raise
            try:
                _wait_for_change(host, port, stop.code, options)
            except KeyboardInterrupt:
                return
        else:
            return


def _choose_server(
    app: WSGIApplication,
    host: str,
    port: int,
    options: dict[str, t.Any],
    live_reload: bool | None,
) -> Callable[[], None]:
    """Return what serves an application: Werkzeug's server, or uvicorn where it needs ASGI."""
    if _needs_asgi(app, options):
        from . import development_asgi

        inner: t.Any = app
        inner.wsgi_app = _for_developers(inner.wsgi_app, inner, host, options, live_reload)
        return partial(development_asgi.serve, inner, host, port, options)
    around = _for_developers(app, app, host, options, live_reload)
    return partial(serving.run_simple, host, port, around, **options)


def _needs_asgi(app: WSGIApplication, options: dict[str, t.Any]) -> bool:
    """Tell whether uvicorn is to serve; say so in a line where it would have to and is not there."""
    from ..app import Flask
    from .worker import choose_interface, websocket_rules

    chosen_otherwise = options["request_handler"] is not RequestHandler or options.get("processes")
    if not isinstance(app, Flask) or chosen_otherwise or not options.get("threaded"):
        return False
    # Tests that serve from a thread of theirs know how to end Werkzeug's server, as Dash's runner does.
    is_in_thread = threading.current_thread() is not threading.main_thread()
    if is_in_thread and not websocket_rules(app)[0]:
        return False
    interface, reason = choose_interface(app)
    if interface != "asgi":
        return False
    from .development_asgi import is_installed

    if is_installed():
        return True
    if any(rule.websocket for rule in app.url_map.iter_rules()) and not is_running_from_reloader():
        click.secho(
            f" * This program is served without its WebSockets, because {reason}:"
            ' pip install "kolben[dev]" brings the server for them.',
            fg="yellow",
            err=True,
        )
    return False


def _for_developers(
    wsgi_app: WSGIApplication,
    app: WSGIApplication,
    host: str,
    options: dict[str, t.Any],
    live_reload: bool | None,
) -> WSGIApplication:
    """Put our debugger, in place of Werkzeug's, and the reloading of pages around an application.

    :param wsgi_app: what they are put around.
    :param app: the application that it answers for.
    """
    from ..app import Flask

    found = app if isinstance(app, Flask) else None
    if found is not None:
        wsgi_app = _looking_for_patches(wsgi_app, found)
    if options.pop("use_debugger", False):
        from ..debugging.debugger import Debugger

        debugger = Debugger(wsgi_app, options.pop("use_evalex", True), lambda: found)
        debugger.trusted_hosts.append(host)
        wsgi_app = debugger
    if live_reload or (live_reload is None and options.get("use_reloader")):
        from ..debugging.live_reload import LiveReload, folders_of

        wsgi_app = LiveReload(wsgi_app, lambda: [] if found is None else folders_of(found))
    return wsgi_app


def _looking_for_patches(wsgi_app: WSGIApplication, app: Flask) -> WSGIApplication:
    def look_first(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        app.engine_plan.look_for_patches(app)
        return wsgi_app(environ, start_response)

    return look_first


def _check_address(host: str, port: int) -> None:
    """End the process with one clear line when the address cannot be listened on.

    Werkzeug says so in up to four lines, of which the first does not name the address.
    """
    import socket

    if host.startswith("unix://"):
        return
    if not 0 <= port <= 65535:
        # The resolver would take the number modulo 65536.
        click.echo(f"Error: {port} is no port number; use one from 0 to 65535.", err=True)
        sys.exit(1)
    family = serving.select_address_family(host, port)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if os.name != "nt":
                # As the server does: a port whose last connections linger is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(serving.get_sockaddr(host, port, family))
            probe.listen()
    except OSError as error:
        click.echo(f"Error: {explain_address(host, port, error)}", err=True)
        sys.exit(1)


# --- Outliving a program that stops with an error -------------------------------------------------


def _is_failure(status: object) -> bool:
    """Whether the serving process ended itself with an error; a signal means: stop."""
    return isinstance(status, int) and status > 0


def _wait_for_change(host: str, port: int, status: object, options: dict[str, t.Any]) -> None:
    """Answer every request with a hint to the terminal until a watched file changes."""
    from threading import Thread

    click.secho(
        f" * The program stopped with exit status {status}. It is started again when a file is"
        " saved; press CTRL+C to quit.",
        fg="red",
        err=True,
    )
    server = serving.make_server(
        host, port, _stopped_page, threaded=True, ssl_context=options.get("ssl_context")
    )
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        _watch(options)
    finally:
        server.shutdown()
        server.server_close()


def make_watcher(options: dict[str, t.Any]) -> t.Any:
    """Make what watches the program's files.

    :param options: those of :func:`werkzeug.serving.run_simple`.
    :return: a watcher of Werkzeug's: a context manager, whose ``run`` ends the process with status 3.
    """
    # Werkzeug has no public name for its watchers, and writing another one would watch otherwise.
    from werkzeug._reloader import reloader_loops

    return reloader_loops[options.get("reloader_type", "auto")](
        extra_files=options.get("extra_files"),
        exclude_patterns=options.get("exclude_patterns"),
        interval=options.get("reloader_interval", 1),
    )


def _watch(options: dict[str, t.Any]) -> None:
    """Return when a watched file changes."""
    watcher = make_watcher(options)
    try:
        with watcher:
            watcher.run()
    except SystemExit as stop:
        if stop.code != RELOAD_STATUS:
            raise


_STOPPED_PAGE = b"""\
<!doctype html>
<html lang=en>
<title>The program has stopped</title>
<meta http-equiv=refresh content=2>
<h1>The program has stopped</h1>
<p>It ended with an error, which the terminal shows. Correct it and save: this page reloads by itself.
"""


def _stopped_page(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The application that answers while the real one cannot be started."""
    headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(_STOPPED_PAGE))),
        ("Cache-Control", "no-store"),
    ]
    start_response("503 Service Unavailable", headers)
    return [_STOPPED_PAGE]


# --- kolben run -------------------------------------------------------------------------------


def serve_target(info: ScriptInfo, command_line: CommandLine) -> None:
    """Import the application that a command line names, and serve it.

    :param info: knows the application.
    :param command_line: the options.
    """
    _serve_loaded(info.load_app, info.app_import_path, command_line)


def run_program(path: str, command_line: CommandLine) -> None:
    """Run a program file as ``__main__``; when it serves nothing itself, serve its application.

    :param path: the file.
    :param command_line: the options, which hold over what the program gives to ``app.run()``.
    """
    global _command_line
    _command_line = command_line
    # The program is run for its app.run(), which no command has to be protected from.
    os.environ.pop("FLASK_RUN_FROM_CLI", None)
    path = os.path.abspath(path)
    if sys.path[:1] != [os.path.dirname(path)]:
        sys.path.insert(0, os.path.dirname(path))
    sys.argv = [path]
    command_line.defaults["extra_files"] = [*(command_line.defaults.get("extra_files") or ()), path]

    def load() -> Flask | None:
        module = _run_as_main(path)
        return None if command_line.served else _app_of_program(module, command_line)

    _serve_loaded(load, os.path.basename(path), command_line)


def _run_as_main(path: str) -> ModuleType:
    """Run a file as ``python file`` does: as the module ``__main__``, compiled afresh.

    A file of a package is run as ``python -m`` would run it, so that its relative imports work.
    """
    module = ModuleType("__main__")
    package = prepare_import(path).rpartition(".")[0]
    if package:
        import_module(package)
        module.__package__ = package
    loader = SourceFileLoader("__main__", path)
    module.__file__ = path
    module.__loader__ = loader
    module.__dict__["__builtins__"] = __builtins__
    # Kept by the module table: helpers and pickles look for __main__ there.
    sys.modules["__main__"] = module
    exec(loader.source_to_code(loader.get_data(path), path), module.__dict__)  # noqa: S102
    return module


def _app_of_program(module: ModuleType, command_line: CommandLine) -> Flask:
    app = find_best_app(module)
    command_line.app_debug = app.debug
    app.debug = command_line.debug()
    return app


def _serve_loaded(
    load: Callable[[], Flask | None], name: str | None, command_line: CommandLine
) -> None:
    """Load an application and serve it; one that fails to load is shown, and reloaded, too.

    :param load: loads the application; None when that has served it already.
    :param name: what the banner calls it.
    :param command_line: the options.
    """
    from ..cli import show_server_banner

    app: WSGIApplication | None
    try:
        app = load()
    except NoAppException:
        if not is_running_from_reloader():
            raise
        app = _show_failure()
    except Exception:
        if not is_running_from_reloader() and not command_line.server_options()["use_reloader"]:
            raise
        app = _show_failure()
    if app is None:
        return
    options = command_line.server_options()
    show_server_banner(command_line.debug(), name)
    serve_development(app, options.pop("host"), options.pop("port"), **options)


def _show_failure() -> WSGIApplication:
    """An application that raises the exception being handled, for the debugger to show it.

    The process that serves prints it too; the one that only watches leaves that to the other.
    """
    failure = sys.exception()
    assert failure is not None
    raised_at = failure.__traceback__
    if is_running_from_reloader():
        from ..debugging.frames import format_from_program_on

        sys.stderr.write(format_from_program_on(sys.exc_info()))

    def failed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # Each time with its own traceback: raised as it is, it would gain frames by each request.
        raise failure.with_traceback(raised_at) from failure.__cause__

    return failed
