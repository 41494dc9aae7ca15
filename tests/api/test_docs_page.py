"""The page of an API: works offline under a strict policy, in a real browser."""

import json
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest
from websockets.sync.client import connect
from werkzeug.serving import make_server

from kolben import Flask
from kolben.api import API, APIBlueprint, APIKey, Bearer, Cookie, Meta, Problem, Socket, Struct


class Line(Struct):
    sku: str
    count: t.Annotated[int, Meta(ge=1)] = 1


class Order(Struct):
    """What is ordered."""

    lines: list[Line]
    note: str | None = None


class Gone(Problem, status=410):
    since: str


def make() -> API:
    api = API("api_shop", title="Shop <b>& Co", description="All that is `sold`.", version="3.1")

    @api.get("/items/<int:number>", tags=["items"])
    def item(number: int, q: str, token: Bearer = "") -> Order:
        """Look an item up."""
        return Order([Line(q, number)], token)

    @api.post("/orders", tags=["orders"], raises=[Gone])
    def order(body: Order) -> Order:
        """Order something."""
        return body

    return api


def test_it_says_what_it_shows() -> None:
    reply = make().test_client().get("/docs")
    assert "<title>Shop &lt;b&gt;&amp; Co</title>" in reply.text
    policy = reply.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "http://" not in reply.text
    assert "https://" not in reply.text


def test_its_files_are_its_own() -> None:
    client = make().test_client()
    for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css")):
        reply = client.get(f"/docs/{name}")
        assert reply.mimetype == kind
        assert "http://" not in reply.text
        assert "https://" not in reply.text
        assert "innerHTML" not in reply.text
    assert client.get("/docs/other.js").status_code == 404


def test_it_knows_where_it_is_mounted() -> None:
    app = Flask("mounted")
    app.register_blueprint(APIBlueprint("v1", __name__, url_prefix="/v1"))
    reply = app.test_client().get("/v1/docs", environ_overrides={"SCRIPT_NAME": "/app"})
    assert 'src="/app/v1/docs/page.js"' in reply.text
    assert 'data-document="/app/v1/openapi.json" data-root="/app"' in reply.text


def test_it_can_be_left_out() -> None:
    client = API("api_none", docs=None).test_client()
    assert client.get("/docs").status_code == 404
    assert client.get("/openapi.json").status_code == 200
    assert API("api_none", openapi=None).test_client().get("/openapi.json").status_code == 404


class Browser:
    """A headless Chromium without a network, driven by its own protocol."""

    def __init__(self, program: str, folder: Path) -> None:
        options = [
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--disable-background-networking", "--disable-extensions"),
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder}",
            "about:blank",
        ]
        self.process = subprocess.Popen(
            [program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self._open(folder / "DevToolsActivePort")
        except BaseException:
            self.process.kill()
            raise

    def _open(self, port: Path) -> None:
        for _ in range(300):
            if port.exists() and len(port.read_text().splitlines()) == 2:
                break
            time.sleep(0.1)
        number, path = port.read_text().split()
        self.events: list[t.Any] = []
        self._count = 0
        self._session: str | None = None
        self._connection = connect(f"ws://127.0.0.1:{number}{path}", max_size=None)
        self._socket = self._connection.__enter__()
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: t.Any) -> t.Any:
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            got = json.loads(self._socket.recv(timeout=30))
            if got.get("id") == self._count:
                assert "error" not in got, got
                return got["result"]
            self.events.append(got)

    def run(self, script: str) -> t.Any:
        result = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, script: str) -> t.Any:
        for _ in range(200):
            if value := self.run(script):
                return value
            time.sleep(0.05)
        raise AssertionError(f"never: {script}")

    def close(self) -> None:
        self._connection.__exit__(None, None, None)
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def served() -> t.Iterator[str]:
    server = make_server("127.0.0.1", 0, make(), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def browser(tmp_path: Path, needs_program: t.Callable[..., str]) -> t.Iterator[Browser]:
    browser = Browser(needs_program("chromium", "chromium-browser"), tmp_path / "profile")
    try:
        yield browser
    finally:
        browser.close()


def test_a_request_can_be_tried(served: str, browser: Browser) -> None:
    browser.send("Page.navigate", url=f"{served}/docs")
    assert browser.wait("document.querySelector('main h1')?.innerText").startswith("Shop <b>& Co")
    text = browser.run("document.body.innerText")
    for part in ("3.1", "All that is sold.", "Look an item up.", "Order something."):
        assert part in text
    assert browser.run("document.querySelector('main p code').innerText") == "sold"
    item = "document.getElementById('item')"
    browser.run(f"{item}.firstChild.open = true")
    for name, value in (("number", "7"), ("q", "a b&c"), ("bearer", "t0ken")):
        browser.run(f"{item}.querySelector('[aria-label={name}]').value = {value!r}")
    browser.run(f"{item}.querySelector('.send').click()")
    answer = browser.wait(f"{item}.querySelector('pre')?.innerText")
    assert json.loads(answer) == {"lines": [{"sku": "a b&c", "count": 7}], "note": "t0ken"}
    order = "document.getElementById('order')"
    browser.run(f"{order}.firstChild.open = true; {order}.querySelector('.send').click()")
    answer = browser.wait(f"{order}.querySelector('pre')?.innerText")
    assert json.loads(answer) == {"lines": [{"sku": "", "count": 1}], "note": None}
    before = browser.run("getComputedStyle(document.body).backgroundColor")
    browser.run("document.querySelector('main button').click()")
    assert browser.run("getComputedStyle(document.body).backgroundColor") != before
    browser.run("document.querySelector('[type=search]').value = 'order'")
    browser.run("document.querySelector('[type=search]').dispatchEvent(new Event('input'))")
    assert browser.run("[...document.querySelectorAll('nav a')].map(a => a.offsetHeight > 0)") == [
        False,
        True,
    ]
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert len(asked) >= 6
    assert [url for url in asked if not url.startswith(served)] == []
    logged = [e["params"]["entry"] for e in browser.events if e["method"] == "Log.entryAdded"]
    wrong = [one["text"] for one in logged if one["level"] in ("error", "warning")]
    assert wrong == []


def test_it_shows_sockets_credentials_and_words_in_the_system_s_colours(browser: Browser) -> None:
    api = API(
        "api_rest", description="All *that* is **sold**, [here](/there), and [not](javascript:1)."
    )
    Key = t.Annotated[str, APIKey("X-Key")]

    @api.get("/ways")
    def ways(key: Key, token: Bearer | None = None, theme: Cookie[str] = "") -> None:
        """Ways to show who asks.

        Of several.

        :param key: needed.
        """

    @api.websocket("/chat")
    async def chat(socket: Socket[Line, Order]) -> None: ...

    server = make_server("127.0.0.1", 0, api, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        browser.send("Page.navigate", url=f"http://127.0.0.1:{server.server_port}/docs")
        assert browser.wait("document.querySelector('main h1')?.innerText")
        links = browser.run("[...document.querySelectorAll('main > p')].map(p => p.innerHTML)[0]")
        assert links == (
            'All <em>that</em> is <strong>sold</strong>, <a href="/there" rel="noreferrer">here</a>,'
            " and [not](javascript:1)."
        )
        labels = "[...document.querySelectorAll('#ways [aria-label]')].map(i => i.ariaLabel)"
        assert browser.run(labels) == ["key-header-x-key", "bearer", "theme"]
        assert browser.run("document.querySelector('#ways [aria-label=theme]').disabled")
        assert ":param" not in browser.run("document.getElementById('ways').textContent")
        browser.run("document.getElementById('chat').firstChild.open = true")
        assert "Messages from it\nOrder" in browser.run("document.getElementById('chat').innerText")
        seen = []
        for colours in ("light", "dark", "light"):
            feature = {"name": "prefers-color-scheme", "value": colours}
            browser.send("Emulation.setEmulatedMedia", features=[feature])
            browser.wait(f"document.documentElement.dataset.theme === '{colours}'")
            seen.append(browser.run("getComputedStyle(document.body).backgroundColor"))
        assert seen[0] == seen[2] != seen[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
