"""Workers of ``kolben serve`` that run Granian, which serves WSGI and ASGI."""

from __future__ import annotations

import os
import typing as t
from functools import partial

from granian._granian import SocketHolder
from granian.constants import Interfaces, SSLProtocols
from granian.log import LogLevels
from granian.server import mp

from .gateways import close_afterwards
from .worker import load_gateway

if t.TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from .worker import Serving, Target

#: Requests that one worker has at hand. Further connections are not accepted: under WSGI another worker
#: takes them, or they wait in the kernel at no cost.
_BACKPRESSURE = {"wsgi": 256, "asgi": 1024}


def supervise(
    target: Target, serving: Serving, run: Callable[[Callable[..., BaseProcess]], None]
) -> None:
    """Check Granian's settings, and run a supervisor of its workers.

    :param target: what the workers load.
    :param serving: how they serve.
    :param run: takes what makes a worker's process, and returns when the server has ended.
    """
    is_wsgi = target.interface == "wsgi"
    _Granian(
        target,
        serving.listener,
        run,
        address=serving.host,
        port=serving.port,
        interface=Interfaces.WSGI if is_wsgi else Interfaces.ASGI,
        workers=serving.workers,
        blocking_threads=serving.threads if is_wsgi else 1,
        backlog=serving.backlog,
        backpressure=_BACKPRESSURE[target.interface],
        websockets=not is_wsgi,
        # Its warnings are about figures that are chosen on purpose here.
        log_level=LogLevels.error,
        log_dictconfig=serving.log_config,
        ssl_cert=serving.tls_cert,
        ssl_key=serving.tls_key,
        # TLS 1.3 alone, which Granian asks for, leaves out clients that are still about.
        ssl_protocol_min=SSLProtocols.tls12,
    ).serve(target_loader=_loads_nothing, wrap_loader=False)


def _loads_nothing() -> t.NoReturn:
    raise AssertionError("Each worker has a loader of its own.")


def _load(target: Target, listener: int, control: Connection) -> Callable[..., t.Any]:
    """Load the application in a worker, and have what is done after an answer done after it."""
    server: t.Any = mp
    wrap = getattr(server, "_wsgi_call_wrap", None)
    if wrap is not None:  # a later one without it closes bodies a little too early
        server._wsgi_call_wrap = lambda *args: close_afterwards(wrap(*args))
    return load_gateway(target, listener, control)


class _Granian(mp.MPServer):  # type: ignore[misc]
    """Makes Granian's worker processes, and leaves the rest to our supervisor.

    :param target: what the workers load.
    :param listener: the socket to accept from.
    :param run: takes what makes a worker's process.
    :param settings: passed to Granian.
    """

    def __init__(
        self,
        target: Target,
        listener: socket.socket,
        run: Callable[[Callable[..., BaseProcess]], None],
        **settings: t.Any,
    ) -> None:
        super().__init__(target.path or "", **settings)
        self._listener = listener
        self._run = run
        self._load = partial(_load, target, os.fstat(listener.fileno()).st_ino)

    def _serve(self, spawn_target: t.Any, target_loader: t.Any) -> None:
        # Called when all settings were checked; Granian's own supervisor would begin here.
        self._sso = self._listener
        # Its type stub leaves the arguments out: descriptor, whether it is a Unix socket, backlog.
        holder: t.Any = SocketHolder
        self._shd = holder(self._listener.fileno(), False, self.backlog)
        self._ssp = None

        def make_process(idx: int, control: Connection) -> BaseProcess:
            process: BaseProcess = self._spawn_worker(
                idx, spawn_target, partial(self._load, control)
            ).inner
            return process

        self._run(make_process)
