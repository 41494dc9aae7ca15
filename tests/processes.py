"""Servers in processes of their own, on a port that was free."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import kolben

#: Where this checkout's package is imported from, for `PYTHONPATH`.
SOURCE = str(Path(kolben.__file__).parents[1])


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


class ServerProcess:
    """A server in a process of its own; what it prints is kept in the file `output` of a folder.

    `{port}` in its command stands for the port. The folder is what its program is imported from.
    """

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.port = free_port()
        self.output = folder / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [word.replace("{port}", str(self.port)) for word in command],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{folder}"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the server did not start: {self.said()}")

    def said(self) -> str:
        """What it has printed."""
        return self.output.read_text(errors="replace")

    def stop(self) -> None:
        """End it, and wait for that."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
