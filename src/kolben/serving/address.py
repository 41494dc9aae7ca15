"""Why a server cannot listen on an address, said in one sentence."""

from __future__ import annotations

import errno
import socket


def explain_address(host: str, port: int, error: OSError) -> str:
    """Say why nothing can listen there, and what to do.

    :param host: the name or address of the host.
    :param port: the port.
    :param error: what the operating system has said.
    """
    where = f"Cannot listen on {host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where}: another program uses this port. Stop it, or choose another port."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{where}: ports below 1024 need special rights. Choose a higher port, such as 8080."
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{where}: this machine has no such address. Use 127.0.0.1, or 0.0.0.0 for all."
    return f"{where}: {error.strerror or error}."
