"""The tutorial's chapters on async views, WebSockets and event streams, up to a real browser."""

from __future__ import annotations

import asyncio
import contextlib
import html
import importlib
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

ROOT = Path(__file__).parents[2]
PATIENCE = 15  # seconds until something that should happen counts as missing


@pytest.fixture(scope="module")
def site():
    if not (ROOT / "examples/tutorial").is_dir():
        pytest.skip("the examples are not part of this distribution")
    sys.path.insert(0, str(ROOT))
    try:
        yield importlib.import_module("examples.tutorial.app")
    finally:
        sys.path.remove(str(ROOT))


@pytest.fixture
def app(site, tmp_path, monkeypatch):
    monkeypatch.setitem(site.app.config, "DATA_FOLDER", str(tmp_path))
    return site.app


def get(app, gateway, path):
    if gateway == "wsgi":
        return app.test_client().get(path).text

    async def ask():
        return (await app.async_test_client().get(path)).text

    return asyncio.run(ask())


# -- chapter 16 -----------------------------------------------------------------------------


both = pytest.mark.parametrize("gateway", ["wsgi", "asgi"])


def times(page):
    """When each step began and ended, in seconds."""
    return [
        [float(each) for each in step] for step in re.findall(r"from ([\d.]+) to ([\d.]+)", page)
    ]


@both
def test_what_is_gathered_is_awaited_together(app, gateway):
    tea, toast = times(get(app, gateway, "/run/async/"))
    assert toast[0] < tea[1] < toast[1]


@both
def test_what_is_awaited_one_by_one_takes_longer(app, gateway):
    tea, toast = times(get(app, gateway, "/run/async/one-by-one"))
    assert toast[0] >= tea[1]
    assert toast[1] >= 0.8


@both
def test_a_plain_view_stands_next_to_them(app, gateway):
    [coffee] = times(get(app, gateway, "/run/async/plain"))
    assert coffee[1] >= 0.4


# -- chapter 17 -----------------------------------------------------------------------------


def test_under_wsgi_the_chat_names_the_servers_it_needs(app):
    client = app.test_client()
    page = client.get("/run/chat/").text
    assert "needs an ASGI server" in page
    assert "kolben serve examples.tutorial:app" in page
    assert "<form" not in page
    answer = client.get("/run/chat/ws")
    assert answer.status_code == 426
    assert "'kolben serve'" in html.unescape(answer.text)
    assert answer.headers["Upgrade"] == "websocket"


def test_under_asgi_the_chat_has_a_door(app):
    page = get(app, "asgi", "/run/chat/")
    assert "Come in" in page
    assert "needs an ASGI server" not in page


def note(text):
    return {"kind": "note", "text": text}


def said(name, text):
    return {"kind": "message", "name": name, "text": text}


def test_all_in_the_room_hear_who_comes_speaks_and_leaves(app):
    async def visit():
        client = app.async_test_client()
        async with client.websocket("/run/chat/ws?name=Ada") as ada:
            assert await ada.receive_json() == note("Ada has come in.")
            async with client.websocket("/run/chat/ws?name=") as other:
                # What was said before is not lost on the one who comes later.
                assert await other.receive_json() == note("Ada has come in.")
                for each in (ada, other):
                    assert await each.receive_json() == note("Somebody has come in.")
                await ada.send("<b>你好</b>")
                for each in (ada, other):
                    assert await each.receive_json() == said("Ada", "<b>你好</b>")
                await other.send("x" * 600)
                for each in (ada, other):
                    assert await each.receive_json() == said("Somebody", "x" * 500)
            assert await ada.receive_json() == note("Somebody has left.")

    asyncio.run(asyncio.wait_for(visit(), PATIENCE))


def test_a_full_room_starts_afresh_for_those_who_are_in_it(app, monkeypatch):
    monkeypatch.setattr("examples.tutorial.ch17_chat.FULL", 200)

    async def visit():
        async with app.async_test_client().websocket("/run/chat/ws?name=Ada") as ada:
            assert await ada.receive_json() == note("Ada has come in.")
            for text in ("a" * 200, "b", "c"):
                await ada.send(text)
                assert await ada.receive_json() == said("Ada", text)

    asyncio.run(asyncio.wait_for(visit(), PATIENCE))


def test_one_who_enters_sees_the_last_lines_only(app, tmp_path):
    lines = [json.dumps(said("Ada", str(number))) for number in range(50)]
    (tmp_path / "chat.jsonl").write_text("".join(f"{line}\n" for line in lines))

    async def visit():
        async with app.async_test_client().websocket("/run/chat/ws?name=Bo") as bo:
            heard = [await bo.receive_json() for _ in range(20)]
        assert heard[0] == said("Ada", "31")
        assert heard[-1] == note("Bo has come in.")

    asyncio.run(asyncio.wait_for(visit(), PATIENCE))


# -- chapter 18 -----------------------------------------------------------------------------


def test_the_stream_tells_the_time_and_the_clicks(app):
    client = app.test_client()
    assert client.post("/run/live/click").status_code == 204
    answer = client.get("/run/live/events", buffered=False)
    assert answer.mimetype == "text/event-stream"
    events = (piece.decode() for piece in answer.response)
    assert next(events) == "retry: 200\n\n"
    first = [next(events), next(events)]
    assert "event: count\nid: 1\ndata: 1\n\n" in first
    assert any(re.fullmatch(r"event: clock\nid: 1\ndata: \d\d:\d\d:\d\d\n\n", e) for e in first)
    client.post("/run/live/click")
    assert "event: count\nid: 2\ndata: 2\n\n" in events
    # A server with one thread gets it back.
    assert sum(1 for _ in events) < 3
    answer.close()


def test_one_who_comes_back_gets_nothing_twice(app):
    answer = app.test_client().get("/run/live/events", headers={"Last-Event-ID": "0"})
    assert "event: clock" in answer.text
    assert "event: count" not in answer.text


# -- in a browser ---------------------------------------------------------------------------


class Page:
    """A page in the browser, driven through Chromium's DevTools protocol."""

    def __init__(self, connection):
        self._connection = connection
        self._numbers = itertools.count(1)

    def call(self, method, **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        self._connection.send(json.dumps(message))
        while (answer := json.loads(self._connection.recv(PATIENCE))).get("id") != number:
            pass
        return answer["result"]

    def run(self, script):
        """Run JavaScript in the page and return its value."""
        done = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def text(self):
        return self.run("document.readyState === 'complete' ? document.body.innerText : ''")

    def wait_for(self, text):
        deadline = time.monotonic() + PATIENCE
        while text not in self.text():
            assert time.monotonic() < deadline, f"{text!r} did not come; there is:\n{self.text()}"
            time.sleep(0.05)


class Browser:
    """Headless Chromium."""

    def __init__(self, program, folder):
        self._process = subprocess.Popen(
            [
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--remote-debugging-port=0",
                f"--user-data-dir={folder}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        told = folder / "DevToolsActivePort"
        deadline = time.monotonic() + PATIENCE
        while not told.exists() or not told.read_text():
            assert time.monotonic() < deadline, "Chromium did not start"
            time.sleep(0.05)
        self._control = f"http://127.0.0.1:{told.read_text().split()[0]}/json/new"
        self.pages = contextlib.ExitStack()

    def open(self, url):
        answer = httpx.put(f"{self._control}?{url}", trust_env=False, timeout=PATIENCE)
        address = answer.json()["webSocketDebuggerUrl"]
        page = Page(self.pages.enter_context(connect(address, max_size=None, proxy=None)))
        self.pages.callback(page.call, "Page.close")
        return page

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="module")
def chromium_process(tmp_path_factory):
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    browser = Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.stop()


@pytest.fixture
def browser(chromium_process):
    with chromium_process.pages:
        yield chromium_process


SERVERS = {
    "granian": ("granian", "--interface", "asgi", "--port", "{port}", "examples.tutorial:app"),
    "uvicorn": ("uvicorn", "--port", "{port}", "examples.tutorial:app.asgi_app"),
    "kolben-serve": (
        *("kolben", "serve", "examples.tutorial:app"),
        *("--workers", "2", "--port", "{port}"),
    ),
    "gunicorn": ("gunicorn", "--bind", "127.0.0.1:{port}", "--threads", "8", "examples.tutorial:app"),
    "gunicorn-1": ("gunicorn", "--bind", "127.0.0.1:{port}", "examples.tutorial:app"),
    "kolben-run": ("kolben", "run", "examples.tutorial:app", "--port", "{port}", "--no-reload"),
}  # fmt: skip
NEEDS = {
    "kolben-serve": "granian",
    "uvicorn": "uvicorn",
    "granian": "granian",
    "kolben-run": "uvicorn",
}


@pytest.fixture(scope="module")
def serve(start, site, tmp_path_factory):
    """Serve the site: ``serve(name)`` starts the server of that name once."""
    servers = {}

    def serve(name):
        if name not in servers:
            module = SERVERS[name][0]
            module = {"kolben": NEEDS.get(name, "kolben")}.get(module, module)
            if importlib.util.find_spec(module) is None:
                pytest.skip(f"{module} is not installed")
            servers[name] = start(
                "-m",
                *SERVERS[name],
                source="",
                PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
                DATA_FOLDER=str(tmp_path_factory.mktemp("data")),
            )
        return servers[name]

    return serve


in_chromium = pytest.mark.needs_program("chromium", "chromium-browser")
on_asgi = pytest.mark.parametrize("server", ["granian", "uvicorn", "kolben-serve", "kolben-run"])
on_wsgi = pytest.mark.parametrize("server", ["gunicorn"])
on_all = pytest.mark.parametrize("server", SERVERS)


def come_in(page, name):
    page.wait_for("Come in")
    page.run(f"""
        document.querySelector("#door [name=name]").value = {json.dumps(name)};
        document.querySelector("#door").requestSubmit()
    """)
    page.wait_for(f"{name} has come in.")


def say(page, text):
    page.run(f"""
        document.querySelector("#speak [name=text]").value = {json.dumps(text)};
        document.querySelector("#speak").requestSubmit()
    """)


@in_chromium
@on_asgi
def test_two_pages_talk_to_each_other(serve, browser, server):
    address = f"{serve(server).url}/run/chat/"
    ada, bo = browser.open(address), browser.open(address)
    come_in(ada, "Ada")
    come_in(bo, "Bo")
    ada.wait_for("Bo has come in.")
    say(ada, "Hello, <b>Bo</b>")
    bo.wait_for("Ada Hello, <b>Bo</b>")
    say(bo, "你好")
    ada.wait_for("Bo 你好")
    bo.call("Page.navigate", url="about:blank")
    ada.wait_for("Bo has left.")


@in_chromium
@on_wsgi
def test_on_a_wsgi_server_the_page_of_the_chat_explains_itself(serve, browser, server):
    running = serve(server)
    page = browser.open(f"{running.url}/run/chat/")
    page.wait_for("This chapter needs an ASGI server.")
    page.wait_for("kolben serve examples.tutorial:app")
    answer = httpx.get(f"{running.url}/run/chat/ws")
    assert (answer.status_code, "'kolben serve'" in html.unescape(answer.text)) == (426, True)


@in_chromium
@on_all
def test_a_click_on_one_page_is_counted_on_another(serve, browser, server):
    site = f"{serve(server).url}/run/live"
    live, button = browser.open(f"{site}/"), browser.open(f"{site}/button")
    live.wait_for("Clicks so far\n0")
    time_before = live.run("document.querySelector('#clock').textContent")
    assert re.fullmatch(r"\d\d:\d\d:\d\d", time_before)
    button.wait_for("The button")
    for clicks in (1, 2):
        button.run("document.querySelector('form').requestSubmit()")
        live.wait_for(f"Clicks so far\n{clicks}")
    live.run(
        f"new Promise(done => {{ const clock = document.querySelector('#clock'); const look = () =>"
        f" clock.textContent !== '{time_before}' ? done() : setTimeout(look, 50); look(); }})"
    )


@on_all
def test_the_pages_of_the_chapters_are_there(serve, server):
    running = serve(server)
    for slug in ("async", "chat", "live"):
        page = httpx.get(f"{running.url}/chapters/{slug}")
        assert page.status_code == 200
    assert "Ready after" in running.text("/run/async/")
