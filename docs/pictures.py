"""Pictures of what a program shows, made while the manual is built: from the program itself, as it runs.

    :::{picture} ch05_form.py /
    :alt: The page that greets a new user
    :height: 260
    document.forms[0].submit();
    :::

The lines below the options are done by a visitor, as a script in the page. Each picture is made by headless
Chromium, once for light pages and once for dark ones, and is kept until the program changes. Where there is no
Chromium, the page has the text of the answer in its place. No network is needed either way.
"""

from __future__ import annotations

import contextlib
import hashlib
import html.parser
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"
PICTURES = HERE / "_build" / "pictures"
WIDTH = 680
#: For how many seconds a server may start, and a browser may draw.
PATIENCE = 60.0

BROWSER = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=2",
    "--virtual-time-budget=4000",
]

#: The program, with a visitor's script in the first page that it shows at one address.
VISITED = """
import {program}
from kolben import request

app = getattr({program}, "app", None) or {program}.create_app()
SCRIPT = "if (!sessionStorage.visited) {{ sessionStorage.visited = 1;" + {script!r} + "}}"


@app.after_request
def visit(response):
    if {script!r} and request.method == "GET" and response.mimetype == "text/html":
        response.direct_passthrough = False
        response.data += b"<script>" + SCRIPT.encode() + b"</script>"
    return response
"""

log = logging.getLogger(__name__)


class Words(html.parser.HTMLParser):
    """The text of a page, without its scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: t.Any) -> None:
        """Note what the following text is in."""
        self._inside = tag

    def handle_data(self, data: str) -> None:
        """Keep text that a reader would see."""
        if self._inside not in {"script", "style"} and data.strip():
            self.found.append(" ".join(data.split()))


class Program:
    """A program, served by ``kolben run`` from a copy of its folder.

    :param file: it.
    :param script: what a visitor does in the page.
    :param debug: whether it runs in debug mode.
    """

    def __init__(self, file: Path, script: str, debug: bool) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="running-", dir=PICTURES))
        ignored = shutil.ignore_patterns("uploads", "instance", "__pycache__")
        shutil.copytree(file.parent, self._folder, ignore=ignored, dirs_exist_ok=True)
        (self._folder / "__init__.py").unlink(missing_ok=True)
        visited = VISITED.format(program=file.stem, script=script)
        (self._folder / "visited.py").write_text(visited)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        mode = "--debug" if debug else "--no-debug"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "kolben", "run", "visited.py", mode, "--no-reload"),
                *("--port", str(self.port)),
            ],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(self._folder), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> t.Self:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        self.__exit__()
        raise RuntimeError("the program has not started")

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        shutil.rmtree(self._folder, ignore_errors=True)

    def text(self, path: str) -> str:
        """Give the text of what is answered at an address."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Accept": "text/html"})
            answer = connection.getresponse()
            body = answer.read().decode()
        if answer.headers.get_content_type() != "text/html":
            return body
        words = Words()
        words.feed(body)
        return "\n".join(words.found)

    def draw(self, browser: str, path: str, height: int, file: Path, *, dark: bool) -> None:
        """Have the browser draw what is shown at an address, on port 5000 as far as it knows."""
        subprocess.run(
            [
                *(browser, *BROWSER, *(["--force-dark-mode"] if dark else [])),
                f"--host-resolver-rules=MAP 127.0.0.1:5000 127.0.0.1:{self.port}, MAP * ~NOTFOUND",
                f"--user-data-dir={self._folder / 'profile'}",
                f"--window-size={WIDTH},{height}",
                f"--screenshot={file}",
                f"http://127.0.0.1:5000{path}",
            ],
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        if not file.is_file():
            raise RuntimeError("the browser has drawn nothing")


def file_of(name: str) -> Path:
    """Give the file of a program: one of the tutorial's, or with a slash, of another example."""
    return EXAMPLES / name if "/" in name else EXAMPLES / "tutorial" / name


def key_of(file: Path, *parts: object) -> str:
    """Give a name that changes with the programs, with this file, and with what is asked for."""
    digest = hashlib.sha256(repr((file.name, *parts)).encode())
    names = [path for path in file.parent.rglob("*") if path.suffix in {".py", ".html", ".css"}]
    for path in [Path(__file__), *sorted(names)]:
        if not {"uploads", "instance", "chapters"} & set(path.parts):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def make(name: str, path: str, script: str, height: int, debug: bool) -> list[Path] | str:
    """Make the pictures of a page.

    :param name: the program's file, as :func:`file_of` takes it.
    :param path: the address at which the visitor begins.
    :param script: what the visitor does.
    :param height: of the picture, in pixels.
    :param debug: whether the program runs in debug mode.
    :return: the light picture and the dark one; where no browser can draw them, the page's text.
    """
    program_file = file_of(name)
    key = key_of(program_file, path, script, height, debug)
    files = [PICTURES / f"{key}-{kind}.png" for kind in ("light", "dark")]
    if all(file.is_file() for file in files):
        return files
    browser = shutil.which("chromium") or shutil.which("chromium-browser")

    def draw(dark: bool) -> None:
        with Program(program_file, script, debug) as program:
            program.draw(browser, path, height, files[dark], dark=dark)

    if browser is not None:
        try:
            with ThreadPoolExecutor(2) as both:
                list(both.map(draw, (False, True)))
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            log.info("no picture of %s: %s", name, error)
        else:
            return files
    text = PICTURES / f"{key}.txt"
    if not text.is_file():
        with Program(program_file, script, debug) as program:
            text.write_text(program.text(path), "utf-8")
    return text.read_text("utf-8")


class Picture(SphinxDirective):
    """A picture of a page: the program's file, and the address."""

    required_arguments = 2
    has_content = True
    option_spec: t.ClassVar[dict[str, t.Any]] = {
        "alt": directives.unchanged_required,
        "height": directives.positive_int,
        "shows": directives.unchanged,
        "debug": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """Give the figure: the address above, the page below."""
        name, path = self.arguments
        script = " ".join(self.content)
        height = self.options.get("height", 240)
        self.env.note_dependency(str(file_of(name)))
        made = make(name, path, script, height, "debug" in self.options)
        figure = nodes.container(classes=["picture"])
        address = f"127.0.0.1:5000{self.options.get('shows', path)}"
        figure += nodes.container("", nodes.inline("", address), classes=["picture-bar"])
        if isinstance(made, str):
            figure += nodes.literal_block(made, made, language="text")
            return [figure]
        for file, kind in zip(made, ("light", "dark"), strict=True):
            uri = "/" + str(file.relative_to(HERE))
            figure += nodes.image(
                uri=uri, alt=self.options["alt"], width=f"{WIDTH}px", classes=[f"only-{kind}"]
            )
        return [figure]


def setup(app: t.Any) -> dict[str, t.Any]:
    """Add the directive to Sphinx."""
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": False, "version": "1"}
