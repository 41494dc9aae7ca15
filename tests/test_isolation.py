"""Requests that are handled at the same time never see each other's request, session, g or flashes."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
import unittest.mock as mock
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import kolben
from gateways import Asked, call_asgi, call_wsgi
from kolben import Flask, flash, g, get_flashed_messages, request, session, stream_with_context

#: Requests of one test; `make endurance` asks for more.
COUNT = int(os.environ.get("KOLBEN_ENDURANCE", "2000"))


def make_app() -> Flask:
    app = Flask("isolated", static_folder=None)
    app.secret_key = "k"

    def begin(name: str) -> None:
        assert "name" not in g
        assert "name" not in session
        g.name = name
        flash(name)
        session["name"] = name

    def end(name: str) -> dict[str, Any]:
        return {
            "asked": name,
            "path": request.path,
            "argument": request.args["a"],
            "g": g.name,
            "session": session["name"],
            "before": request.cookies.get("who"),
            "flashes": get_flashed_messages(),
        }

    @app.get("/plain/<name>")
    def plain(name: str) -> Any:
        begin(name)
        time.sleep(0)  # another thread or greenlet goes on
        return end(name)

    @app.get("/async/<name>")
    async def later(name: str) -> Any:
        begin(name)
        await asyncio.sleep(0)
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(2)))
        return end(name)

    @app.get("/stream/<name>")
    def stream(name: str) -> Any:
        begin(name)

        def pieces() -> Any:
            yield app.json.dumps(end(name))

        return stream_with_context(pieces())

    @app.post("/form/<name>")
    def form(name: str) -> Any:
        begin(name)
        return {**end(name), "argument": request.form["a"]}

    @app.post("/upload/<name>")
    def upload(name: str) -> Any:
        begin(name)
        time.sleep(0)
        file = request.files["file"]
        content = file.read()
        assert (file.filename, len(content), set(content)) == (name, SIZE, {len(name)})
        return {**end(name), "argument": request.form["a"]}

    @app.post("/async-upload/<name>")
    async def async_upload(name: str) -> Any:
        begin(name)
        await asyncio.sleep(0)
        content = request.files["file"].read()
        assert (len(content), set(content)) == (SIZE, {len(name)})
        return {**end(name), "argument": request.form["a"]}

    return app


#: Of an upload, in bytes: it goes to a temporary file.
SIZE = 600_000
KINDS = ("plain", "async", "stream", "form") * 5 + ("upload", "async-upload")


def asked(number: int) -> Asked:
    kind = KINDS[number % len(KINDS)]
    name = f"n{number}"
    headers = [("cookie", f"who={name}")]
    path = f"/{kind}/{name}?a={name}"
    if "upload" in kind:
        headers.append(("content-type", "multipart/form-data; boundary=x"))
        field = f'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n{name}\r\n'
        head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        content = bytes([len(name)]) * SIZE
        pieces = [(field + head).encode(), content, b"\r\n--x--\r\n"]
        return Asked(path, "POST", headers=headers, body=pieces)
    if kind != "form":
        return Asked(path, headers=headers)
    headers.append(("content-type", "application/x-www-form-urlencoded"))
    return Asked(path, "POST", headers=headers, body=f"a={name}".encode())


def wrong(app: Flask, number: int, text: str) -> Any:
    got, name = app.json.loads(text), f"n{number}"
    kind = KINDS[number % len(KINDS)]
    want = dict.fromkeys(("asked", "argument", "g", "session", "before"), name)
    want |= {"path": f"/{kind}/{name}", "flashes": [name]}  # type: ignore[dict-item]
    return None if got == want else (got, want)


def test_threads_never_see_each_other() -> None:
    app = make_app()

    def ask(number: int) -> Any:
        found = wrong(app, number, call_wsgi(app, asked(number)).text)
        return found or kolben.has_app_context() or None

    with ThreadPoolExecutor(16) as pool:
        assert [one for one in pool.map(ask, range(COUNT)) if one] == []


def test_tasks_of_one_loop_never_see_each_other() -> None:
    app = make_app()

    async def ask(number: int) -> Any:
        return wrong(app, number, (await call_asgi(app, asked(number))).text)

    async def ask_all() -> list[Any]:
        found: list[Any] = []
        # To `call_asgi` the tasks of the other requests would be forgotten ones.
        with mock.patch.object(asyncio, "all_tasks", set):
            for start in range(0, COUNT, 100):
                found += await asyncio.gather(*map(ask, range(start, start + 100)))
        return found

    assert [one for one in asyncio.run(ask_all()) if one] == []


GREENLETS = """
from gevent import monkey
monkey.patch_all()
from gevent.pool import Pool
import kolben, test_isolation as tests

app = tests.make_app()

def ask(number):
    found = tests.wrong(app, number, tests.call_wsgi(app, tests.asked(number)).text)
    return found or kolben.has_app_context() or None

print([one for one in Pool(50).imap_unordered(ask, range(tests.COUNT)) if one])
"""


def test_greenlets_never_see_each_other() -> None:
    pytest.importorskip("gevent")
    done = subprocess.run(
        [sys.executable, "-c", GREENLETS],
        cwd=Path(__file__).parent, capture_output=True, text=True, timeout=3000, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("is_asgi", [False, True], ids=["wsgi", "asgi"])
def test_memory_descriptors_and_temporary_files_stay(
    is_asgi: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()

    def run(count: int) -> None:
        if is_asgi:

            async def ask_all() -> None:
                for number in range(count):
                    await call_asgi(app, asked(number))

            asyncio.run(ask_all())
        else:
            for number in range(count):
                call_wsgi(app, asked(number))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run(440)  # caches fill
    gc.collect()
    tracemalloc.start()
    try:
        files, (before, _) = open_files(), tracemalloc.get_traced_memory()
        run(COUNT // 2)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 300_000
    assert open_files() <= files + 3
    assert list(tmp_path.iterdir()) == []
