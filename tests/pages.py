"""The pages of the manual, for the tests that hold them: their text, their blocks, and a reader who does as they say."""

from __future__ import annotations

import contextlib
import doctest
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in path.parts),
]
TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in PAGES if path.is_file()}

FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


ROW = re.compile(
    r"^\| `(GET|POST|PUT|DELETE) (\S+?)(?: (.+?))?` \| (\d+) \| `(.*)` \|$", re.MULTILINE
)
#: What a picture that is uploaded begins with.
PNG = b"\x89PNG\r\n\x1a\n"


def blocks(page: str, language: str) -> list[str]:
    return [textwrap.dedent(m[3]) for m in FENCE.finditer(TEXTS[page]) if m[2] == language]


def prose(page: str) -> str:
    return FENCE.sub("", TEXTS[page])


def lines_of(text: str) -> list[str]:
    """The commands of a block, without what is said about them; one may go on in the next line."""
    joined = re.sub(r"(\||\\)\n", lambda m: m[1].replace("\\", ""), text)
    return [line.split("  #")[0].strip() for line in joined.splitlines() if line.strip()]


def conversations(text: str) -> list[tuple[str, str]]:
    """The commands of a `console` block, each with what it prints."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    assert parts[0] == "", "a session begins with a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


def says(expected: str, printed: str) -> bool:
    """Whether this was printed; `...` stands for anything."""
    return doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS)


class Reader:
    """Someone who types the commands of a page, in a folder, with an environment that lasts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ours = ("CI", "FLASK_", "KOLBEN_", "APP_", "COV_", "PYTEST_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        self.environment = kept | {"PATH": programs, "COLUMNS": "80", "PYTHONUNBUFFERED": "1"}

    def type(self, line: str, *statuses: int) -> str:
        """Type a line and wait for its end; where it leads and what it exports holds for the next one."""
        state = self.folder / ".state"
        script = f"{line}\nstatus=$?\n{{ pwd; env -0; }} > '{state}'\nexit $status"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
        )
        assert done.returncode in (statuses or (0,)), f"{line}: {done.returncode}\n{done.stdout}"
        folder, _, variables = state.read_text().partition("\n")
        state.unlink()
        self.folder = Path(folder)
        self.environment = dict(each.split("=", 1) for each in variables.split("\0") if "=" in each)
        return done.stdout

    @contextlib.contextmanager
    def serving(self, line: str) -> Iterator[str]:
        """Type a line that starts a server, and give the server's address until it is stopped."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        ports = {"PORT": str(port), "FLASK_RUN_PORT": str(port)}
        log = self.folder / ".log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {line}"],
                cwd=self.folder,
                env=self.environment | ports,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            for _ in range(1200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                assert process.poll() is None, f"{line}\n{log.read_text()}"
                time.sleep(0.05)
            else:
                raise AssertionError(f"{line} does not listen\n{log.read_text()}")
            yield f"http://127.0.0.1:{port}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise


def copy_examples(folder: Path) -> None:
    """Put the programs of the manual into a folder, as in a clone."""
    ignored = shutil.ignore_patterns("instance", "uploads", "node_modules", "__pycache__")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=ignored)


def body_of(words: str | None) -> dict[str, Any]:
    """What a request sends: JSON, or a form as curl writes it, `image=@cat.png` being a file."""
    if words is None:
        return {}
    if words.startswith("{"):
        return {"json": json.loads(words)}
    form: dict[str, Any] = {}
    for name, value in parse_qsl(words, keep_blank_values=True):
        content = PNG if value.endswith(".png") else b"A list of notes."
        form[name] = (BytesIO(content), value[1:]) if value.startswith("@") else value
    return {"data": form}


def ask(address: str, text: str) -> int:
    """Make the requests of a page's table, in order, as one visitor who keeps the cookies.

    :return: how many there are.
    """
    rows = ROW.findall(text)
    with httpx.Client(base_url=address, timeout=60) as client:
        for method, path, words, status, shown in rows:
            body = body_of(words or None)
            data = body.pop("data", {})
            files = {name: value[::-1] for name, value in data.items() if isinstance(value, tuple)}
            fields = {name: value for name, value in data.items() if name not in files}
            answer = client.request(method, path, data=fields or None, files=files or None, **body)
            assert answer.status_code == int(status), (path, answer.text[:300])
            headers = "\n".join(f"{name.title()}: {each}" for name, each in answer.headers.items())
            assert shown in f"{headers}\n{answer.text}", (path, answer.text[:300])
    return len(rows)


def nginx_file(folder: Path, servers: str) -> Path:
    """Write a configuration of nginx that runs as any user, with all that it writes in one folder.

    :param folder: the folder.
    :param servers: its ``server`` blocks.
    """
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind}; "
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/log; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{servers} }}"
    )
    return file
