"""Why nothing can listen on an address, said in one sentence."""

from __future__ import annotations

import errno
import socket

import pytest

from kolben.serving.address import explain_address


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EADDRINUSE, "in use"), "another program uses this port"),
        (OSError(errno.EACCES, "denied"), "ports below 1024 need special rights"),
        (OSError(errno.EPERM, "denied"), "ports below 1024 need special rights"),
        (OSError(errno.EADDRNOTAVAIL, "none"), "this machine has no such address"),
        (socket.gaierror(-2, "unknown"), "this machine has no such address"),
        (OSError(errno.EINVAL, "Invalid argument"), "Invalid argument."),
        (OSError("something odd"), "something odd."),
    ],
)
def test_the_reason_and_the_remedy_are_named(error: OSError, said: str) -> None:
    text = explain_address("host", 80, error)
    assert text.startswith("Cannot listen on host:80: ")
    assert said in text


def test_a_port_that_is_taken_is_known_by_what_the_system_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use") as caught:
            socket.create_server(("127.0.0.1", port))
    assert "another program uses this port" in explain_address("127.0.0.1", port, caught.value)
