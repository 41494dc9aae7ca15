"""Workers of ``kolben serve --server uvicorn``: ASGI alone, with all that WebSockets may want.

uvicorn serves; starting, changing and ending workers, access log, proxies and the end of what runs are those of
``kolben serve`` with Granian.
"""

from __future__ import annotations

import contextlib
import logging
import logging.config
import os
import signal
import ssl
import typing as t
from functools import partial
from importlib.util import find_spec

from .gateways import asgi_gateway, is_news
from .supervisor import worker_context
from .worker import prepare

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from .worker import Serving, Target

#: For how long a connection may stay unused, in seconds; as Granian's. With uvicorn's own 5 seconds, proxies
#: that keep connections would find theirs closed.
_KEEP_ALIVE = 30


def is_installed() -> bool:
    """Tell whether uvicorn can be imported, with what it needs for WebSockets."""
    return find_spec("uvicorn") is not None and (
        find_spec("websockets") is not None or find_spec("wsproto") is not None
    )


def supervise(
    target: Target, serving: Serving, run: Callable[[Callable[..., BaseProcess]], None]
) -> None:
    """Run a supervisor of uvicorn's workers.

    :param target: what the workers load.
    :param serving: how they serve.
    :param run: takes what makes a worker's process, and returns when the server has ended.
    """
    logging.config.dictConfig(serving.log_config)

    def make_process(idx: int, control: Connection) -> BaseProcess:
        context: t.Any = worker_context()
        process: BaseProcess = context.Process(
            name=f"kolben-worker-{idx + 1}", target=run_worker, args=(target, serving, control)
        )
        return process

    run(make_process)


def run_worker(target: Target, serving: Serving, control: Connection) -> None:
    """Serve, in a worker process, until it is told to end.

    :param target: says which application, and what to put around it.
    :param serving: how it is served.
    :param control: the connection to the main process.
    :raises SystemExit: when the application cannot be loaded or started.
    """
    import uvicorn

    logging.config.dictConfig(serving.log_config)
    app, link = prepare(target, os.fstat(serving.listener.fileno()).st_ino, control)
    gateway = asgi_gateway(app, link, cancel_requests=lambda: _cancel(server), passes_headers=True)
    config = uvicorn.Config(
        gateway,
        interface="asgi3",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="error",
        # Who the client is, only `--proxy-count` decides.
        proxy_headers=False,
        server_header=False,
        backlog=serving.backlog,
        timeout_keep_alive=_KEEP_ALIVE,
    )
    config.load()
    config.ssl = _tls_context(serving.tls_cert, serving.tls_key)
    server = uvicorn.Server(config)
    link.stop_accepting = partial(_stop_accepting, server)
    logging.getLogger("uvicorn.error").addFilter(partial(is_news, link))
    # A client that has left is noticed at the next turn of the event loop; asyncio warns of each write before.
    logging.getLogger("asyncio").addFilter(_is_no_late_write)
    # Once it has ended by them, uvicorn sends itself the signals again that it was sent.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    server.run(sockets=[serving.listener])


def _tls_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _is_no_late_write(record: logging.LogRecord) -> bool:
    return record.msg != "socket.send() raised exception."


def _cancel(server: t.Any) -> None:
    """Cancel the tasks in which uvicorn has called the application."""
    for task in list(server.server_state.tasks):
        task.cancel()


def _stop_accepting(server: t.Any) -> None:
    """Leave the listening socket to the other workers; called in another thread than the event loop's."""
    for each in getattr(server, "servers", ()):
        loop: asyncio.AbstractEventLoop = each.get_loop()
        with contextlib.suppress(RuntimeError):  # closed, and the socket with it
            loop.call_soon_threadsafe(each.close)
