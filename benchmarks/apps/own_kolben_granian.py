"""The same on Granian, as `kolben serve` runs it but for the core that all share."""

from __future__ import annotations

from apps.own_kolben import app as app


def serve(port: int) -> None:
    """Serve until the process is ended."""
    from granian.constants import Interfaces, RuntimeModes
    from granian.server import Server

    Server(
        "apps.own_kolben:app",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=1,
        runtime_mode=RuntimeModes.st,
        websockets=False,
        log_enabled=False,
    ).serve()
