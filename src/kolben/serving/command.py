"""``kolben serve``: an application behind Granian or uvicorn, with settings that suit it.

This module reads the command line and checks it, in a process that never imports the application.
:mod:`kolben.serving.supervisor` then starts the workers and :mod:`kolben.serving.worker` is what runs in them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import typing as t
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import click

from ..helpers import get_debug_flag
from ..listing import complete_target
from ..loading.locate import NoAppException, require_file, split_target
from ..logging import LOG_FORMAT
from ..options import host_option
from .address import explain_address
from .worker import Facts, Serving, Target, examine

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess

    from ..cli import ScriptInfo
    from .observability import LogFormat

#: Plain views that wait (for a database, another server) at the same time, in one worker.
DEFAULT_THREADS = {"wsgi": 8, "asgi": 40}

#: As many connections wait to be accepted.
_BACKLOG = 1024


@dataclass(frozen=True)
class Options:
    """What the command line says, by the names of its options."""

    host: str
    port: int
    server: str
    interface: str
    workers: int | None
    threads: int | None
    access_log: LogFormat | None
    request_id: bool
    reload: bool
    tls_cert: Path | None
    tls_key: Path | None
    proxy_count: int
    grace: float


_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


class _Command(click.Command):
    """A command that answers a mistake on its command line with one line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            _fail(" ".join(error.format_message().split()), 2)


@click.command("serve", cls=_Command, short_help="Run a production server.")
@click.argument("target", required=False, shell_complete=complete_target)
@host_option
@click.option(
    "--port",
    "-p",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    envvar="PORT",
    show_envvar=True,
    help="The port to listen on; 0 for any free one.",
)
@click.option(
    "--server",
    type=click.Choice(("granian", "uvicorn")),
    default="granian",
    show_default=True,
    help="What serves. uvicorn, of the extra 'uvicorn', passes on all that WebSockets may want, and"
    " serves over ASGI only.",
)
@click.option(
    "--interface",
    type=click.Choice(("auto", "wsgi", "asgi")),
    default="auto",
    show_default=True,
    help="How the server calls the application. By default ASGI when it has an async view or hook"
    " or a WebSocket route, and WSGI otherwise.",
)
@click.option(
    "--workers",
    "-w",
    type=click.IntRange(1),
    envvar="WEB_CONCURRENCY",
    show_envvar=True,
    help="How many processes to run.  [default: as many as there are processors]",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="How many plain views each worker runs at a time.  [default: 8, or 40 over ASGI]",
)
@click.option(
    "--access-log",
    type=click.Choice(("common", "json")),
    help="Write a line for each request to standard output. Gives request ids, too.",
)
@click.option(
    "--request-id/--no-request-id",
    default=False,
    help="Give each request an id, or take it from its 'X-Request-ID' header.",
)
@click.option(
    "--reload",
    is_flag=True,
    help="Load the application anew when a file in the current folder changes.",
)
@click.option("--tls-cert", type=_FILE, help="A certificate (PEM), to serve HTTPS.")
@click.option("--tls-key", type=_FILE, help="The certificate's private key (PEM, PKCS#8).")
@click.option(
    "--proxy-count",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="How many proxies are in front, whose 'X-Forwarded-*' headers are to be believed.",
)
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long requests in flight may take to finish when a worker is stopped.",
)
@click.pass_context
def serve_command(ctx: click.Context, /, target: str | None, **options: t.Any) -> None:
    """Run a production server.

    TARGET is the application, in the forms that '--app' takes, or a file such as 'server.py'. It is
    imported, so a call of app.run() under 'if __name__ == "__main__":' has no effect.

    SIGTERM and CTRL+C stop the server; SIGHUP loads the application anew, without a pause. Needs the
    extra 'serve', or with '--server uvicorn' the extra 'uvicorn': pip install "kolben[serve]".
    """
    told = Options(**options)
    _require_server(told)
    _leave_development_out(ctx)
    serve(_find_target(ctx, target), told)


def _fail(message: str, status: int = 1) -> t.NoReturn:
    click.echo(f"Error: {message}", err=True)
    sys.exit(status)


def _require_server(options: Options) -> None:
    """Say at once what the server lacks, or cannot do."""
    if options.server == "uvicorn":
        from .by_uvicorn import is_installed

        if not is_installed():
            _fail(
                "'--server uvicorn' needs uvicorn and a library for WebSockets: install them with"
                " 'pip install \"kolben[uvicorn]\"'."
            )
        if options.interface == "wsgi":
            _fail(
                "uvicorn serves over ASGI only, plain views too: leave '--interface wsgi' out, or"
                " '--server uvicorn'.",
                2,
            )
    elif find_spec("granian") is None:
        _fail("'kolben serve' needs Granian: install it with 'pip install \"kolben[serve]\"'.")
    if options.reload and find_spec("watchfiles") is None:
        _fail(
            "'--reload' needs watchfiles: install it with"
            f" 'pip install \"kolben[{_EXTRAS[options.server]}]\"'."
        )


#: Which extra brings a server.
_EXTRAS = {"granian": "serve", "uvicorn": "uvicorn"}


def _leave_development_out(ctx: click.Context) -> None:
    """Keep debug mode off where only a file for development, such as ``.flaskenv``, asks for it."""
    from ..cli import ScriptInfo

    info: ScriptInfo = ctx.ensure_object(ScriptInfo)
    group = ctx.find_root()
    if (
        "FLASK_DEBUG" not in info.variables_of_files
        or group.get_parameter_source("debug") is click.core.ParameterSource.COMMANDLINE
    ):
        return
    asked = get_debug_flag()
    del os.environ["FLASK_DEBUG"]
    if asked:
        click.echo(
            " * Debug mode stays off: FLASK_DEBUG in a file such as .flaskenv is for 'kolben run'",
            err=True,
        )


def _find_target(ctx: click.Context, target: str | None) -> Target:
    from ..cli import ScriptInfo

    info: ScriptInfo = ctx.ensure_object(ScriptInfo)
    if target is None:
        return Target(info.app_import_path, info.create_app)
    if info.create_app is not None:
        _fail(f"This command has its application already; leave out {target!r}.", 2)
    try:
        require_file(split_target(target)[0])
    except NoAppException as error:
        _fail(error.format_message(), 2)
    return Target(target)


# --- Serving --------------------------------------------------------------------------------------


def serve(target: Target, options: Options) -> None:
    """Serve an application until a signal ends it.

    :param target: says which application.
    :param options: what the command line says.
    :raises SystemExit: with status 1 or 2, after one line on standard error, when it cannot be.
    """
    # Until there is a supervisor to obey it. As process 1 of a container it would be ignored otherwise, and the
    # process killed after some seconds.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        _serve(target, options)
    finally:
        signal.signal(signal.SIGTERM, before)


def _serve(target: Target, options: Options) -> None:
    _check_tls(options)
    listener = _listen(options.host, options.port)
    facts = _examine(target)
    while facts.problem is not None and options.reload:
        click.echo(f"Error: {facts.problem}", err=True)
        click.echo(" * It is tried again when a file is saved; press CTRL+C to quit.", err=True)
        _wait_for_change()
        facts = _examine(target)
    if facts.problem is not None:
        _fail(facts.problem, 2)
    if options.interface != "auto":
        facts = replace(facts, interface=options.interface, reason="as told")
    elif options.server == "uvicorn" and facts.interface != "asgi":
        facts = replace(facts, interface="asgi", reason="uvicorn serves nothing else")
    target = replace(
        target,
        interface=facts.interface,
        proxy_count=options.proxy_count,
        access_log=options.access_log,
        request_id=options.request_id,
        threads=options.threads,
        grace=options.grace,
    )
    workers, threads = _share_out(options, facts)
    options = replace(options, threads=threads)
    banner = _banner(target, options, facts, workers, listener)

    _start(target, options, workers, listener, banner)


def _share_out(options: Options, facts: Facts) -> tuple[int, int]:
    """Choose how many workers there are, and how many threads in each.

    Without the GIL the threads of one worker use all processors: over WSGI one worker has the threads of all.
    """
    threads = options.threads or DEFAULT_THREADS[facts.interface]
    if options.workers is not None:
        return options.workers, threads
    processors = count_processors()
    if facts.has_gil or facts.interface != "wsgi":
        return processors, threads
    return 1, options.threads or threads * processors


def _wait_for_change() -> None:
    """Return when a file below the current folder was saved."""
    from watchfiles import watch

    try:
        next(watch(Path.cwd(), raise_interrupt=True))
    except KeyboardInterrupt:
        sys.exit(130)


def _examine(target: Target) -> Facts:
    """Load the application in a process of its own, which ends with that."""
    near, far = multiprocessing.Pipe()
    process = multiprocessing.Process(target=examine, args=(target, far), name="kolben-examine")
    process.start()
    far.close()
    try:
        facts: Facts = near.recv()
    except EOFError:
        process.join()
        facts = Facts(
            problem=f"The process that imported the application ended with status {process.exitcode}."
        )
    except KeyboardInterrupt:
        process.kill()
        sys.exit(130)
    except SystemExit:  # by a signal
        process.kill()
        raise
    near.close()
    process.join()
    return facts


def _start(
    target: Target, options: Options, workers: int, listener: socket.socket, banner: str
) -> None:
    from .supervisor import Supervisor

    if options.server == "uvicorn":
        from .by_uvicorn import supervise
    else:
        from .by_granian import supervise
    serving = Serving(
        listener,
        options.host,
        listener.getsockname()[1],
        workers,
        t.cast("int", options.threads),
        _BACKLOG,
        _log_config(),
        options.tls_cert,
        options.tls_key,
    )

    def run(make_process: Callable[..., BaseProcess]) -> None:
        Supervisor(
            make_process,
            workers,
            options.grace,
            on_ready=lambda: click.echo(banner, err=True),
            reload_folders=[Path.cwd()] if options.reload else (),
        ).run()

    supervise(target, serving, run)


def _log_config() -> dict[str, t.Any]:
    """The server's messages go to standard error: standard output is the access log's."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"generic": {"format": LOG_FORMAT}},
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "generic",
                "stream": "ext://sys.stderr",
            }
        },
        "loggers": {
            "_granian": {"handlers": ["console"], "propagate": False},
            "uvicorn": {"handlers": ["console"], "propagate": False},
            "kolben.serve": {"handlers": ["console"], "level": "INFO", "propagate": False},
        },
    }


def count_processors() -> int:
    """How many processors this process may use: of its affinity and its control group the smaller.

    :return: the number, 1 or more.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min(count, round(_cgroup_limit() or count)))


def _cgroup_limit() -> float | None:
    """The processors that a container may use (cgroup v2); None for all."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _banner(
    target: Target, options: Options, facts: Facts, workers: int, listener: socket.socket
) -> str:
    name = target.path or "the application"
    scheme = "https" if options.tls_cert else "http"
    host = f"[{options.host}]" if ":" in options.host else options.host
    threads = options.threads
    holds = " (each request holds one, a stream too)" if target.interface == "wsgi" else ""
    lines = [
        f" * Serving {name} over {target.interface.upper()} ({facts.reason})",
        f" * Workers: {workers}, threads in each: {threads}{holds}{'' if facts.has_gil else ', without the GIL'}",
        f" * Running on {scheme}://{host}:{listener.getsockname()[1]} (PID {os.getpid()})",
    ]
    lines += [f" * Warning: {warning}" for warning in facts.warnings]
    if facts.debug:
        lines.append(" * Debug mode is on: unset FLASK_DEBUG where others can reach this server")
    return "\n".join(lines)


# --- Checks ---------------------------------------------------------------------------------------


def _listen(host: str, port: int) -> socket.socket:
    """Open the socket that all workers accept from."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        _fail(explain_address(host, port, error))
    # What is accepted from it inherits this. A body in pieces is several writes, and without it the
    # second one waits for the client's delayed acknowledgement of the first, 40 ms (RFC 9293, 3.7.4).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    return listener


def _check_tls(options: Options) -> None:
    cert, key = options.tls_cert, options.tls_key
    if cert is None and key is None:
        return
    if cert is None or key is None:
        _fail("'--tls-cert' and '--tls-key' belong together: give both.", 2)
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Asked for on the terminal otherwise, by each worker.
        context.load_cert_chain(cert, key, password=_refuse_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            _fail(f"The key in {str(key)!r} does not belong to the certificate in {str(cert)!r}.")
        _fail(
            f"{str(cert)!r} and {str(key)!r} are not a certificate and its key, both in PEM format."
        )
    except ValueError:
        _fail(
            f"The key in {str(key)!r} is encrypted; decrypt it with 'openssl pkcs8 -topk8 -nocrypt'."
        )


def _refuse_password() -> str:
    raise ValueError("encrypted")
