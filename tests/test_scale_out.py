"""`examples/scale-out`: what two processes behind nginx share, and what one of them can lose."""

from __future__ import annotations

import contextlib
import http.client
import http.cookies
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from suite_environments import environment
from websockets.sync.client import connect

UP = Path(__file__).parents[1] / "examples" / "scale-out" / "up.py"

pytestmark = [
    pytest.mark.suite,
    pytest.mark.timeout(300),
    pytest.mark.needs_program("nginx"),
    pytest.mark.needs_program("redis-server"),
]


class Site:
    """The running example."""

    def __init__(self) -> None:
        python = environment("scale-out", "../examples/scale-out/requirements")
        # Elsewhere on purpose: it has to find its files by itself.
        self.process = subprocess.Popen(
            [python, UP], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.port = int(self.wait_for(r"http://127\.0\.0\.1:(\d+) - press"))
            # By their names: which of them is the first to listen is chance.
            pids = [self.wait_for(rf"kolben {n}: PID (\d+)") for n in (1, 2)]
            running = r"Running on http://\S+:(\d+) \(PID {}\)"
            self.backends = [int(self.wait_for(running.format(pid))) for pid in pids]
        except BaseException:
            self.stop()
            raise

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            self.lines.extend(stream)

    def wait_for(self, pattern: str, nth: int = 0) -> str:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = [match for line in list(self.lines) if (match := re.search(pattern, line))]
            if len(found) > nth:
                return found[nth][1]
            time.sleep(0.05)
        raise AssertionError(f"{pattern} is not in {''.join(self.lines)}")

    def last_process(self, name: str) -> int:
        """The process of this name that was started last."""
        return [int(m[1]) for line in self.lines if (m := re.match(rf"{name}: PID (\d+)", line))][
            -1
        ]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(40)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join(20)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    pids = [int(match[1]) for line in site.lines if (match := re.search(r": PID (\d+)", line))]
    assert site.stop() == 0
    assert len(pids) >= 4
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


class Visitor:
    """A browser, as far as cookies go."""

    def __init__(self) -> None:
        self.cookies = http.cookies.SimpleCookie()

    def ask(self, port: int, path: str, body: str | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {"Cookie": self.header}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        for value in answer.headers.get_all("Set-Cookie", ()):
            self.cookies.load(value)
        content = answer.read()
        connection.close()
        return answer.status, content

    @property
    def header(self) -> str:
        return "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())

    def me(self, port: int) -> dict[str, object]:
        status, body = self.ask(port, "/me")
        assert status == 200
        answer: dict[str, object] = json.loads(body)
        return answer


def test_both_processes_answer(site: Site) -> None:
    visitor = Visitor()
    assert len({visitor.me(site.port)["process"] for _ in range(10)}) == 2
    # nginx is the one proxy that is believed.
    assert visitor.me(site.port)["client"] == "127.0.0.1"
    assert b"<h1>Chat</h1>" in visitor.ask(site.port, "/")[1]


def test_an_address_that_a_client_has_made_up_is_not_believed(site: Site) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{site.port}/me", headers={"X-Forwarded-For": "192.0.2.7"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)["client"] == "127.0.0.1"


def test_what_one_has_computed_the_other_does_not_compute_again(site: Site) -> None:
    first, second = (Visitor().ask(port, "/report") for port in site.backends)
    assert first == second
    assert first[0] == 200


def test_a_picture_that_one_has_taken_is_shown_by_the_other(site: Site) -> None:
    first, second = site.backends
    picture = b"\x89PNG\r\n\x1a\n" + bytes(1000)
    sent = httpx.post(f"http://127.0.0.1:{first}/pictures", files={"picture": ("a.png", picture)})
    assert sent.status_code == 302
    shown = httpx.get(f"http://127.0.0.1:{second}{sent.headers['Location']}")
    assert (shown.content, shown.headers["Content-Type"]) == (picture, "image/png")
    refused = httpx.post(f"http://127.0.0.1:{first}/pictures", files={"picture": ("a.png", b"x")})
    assert refused.status_code == 400


def test_a_balancer_is_told_whether_a_process_lives_and_may_have_requests(site: Site) -> None:
    for port in site.backends:
        assert Visitor().ask(port, "/health")[0] == 200
        assert Visitor().ask(port, "/ready")[0] == 200


def test_nginx_serves_the_files(site: Site) -> None:
    url = f"http://127.0.0.1:{site.port}/static/chat.js"
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert answer.headers["Server"].startswith("nginx")
        assert answer.headers["Accept-Ranges"] == "bytes"


def test_a_session_written_at_one_is_read_at_the_other(site: Site) -> None:
    visitor = Visitor()
    first, second = site.backends
    assert visitor.ask(first, "/name", "name=Ada")[0] == 302
    assert visitor.me(second)["name"] == "Ada"
    assert visitor.me(second)["process"] != visitor.me(first)["process"]
    assert visitor.ask(second, "/name", "name=Grace")[0] == 302
    assert visitor.me(first)["name"] == "Grace"


def test_the_rate_is_limited_across_both(site: Site) -> None:
    visitor = Visitor()
    answers = [visitor.ask(site.backends[n % 2], "/rare")[0] for n in range(7)]
    assert answers == [200] * 5 + [429] * 2


def test_a_message_crosses(site: Site) -> None:
    visitor = Visitor()
    visitor.ask(site.port, "/name", "name=Ada")
    cookie = {"Cookie": visitor.header}
    first, second = (f"ws://127.0.0.1:{port}/chat" for port in site.backends)
    with connect(first, additional_headers=cookie) as one, connect(second) as other:
        # Subscriptions take effect a moment after the handshake.
        time.sleep(0.5)
        one.send("Hello over there")
        assert other.recv(timeout=10) == "Ada: Hello over there"
        assert one.recv(timeout=10) == "Ada: Hello over there"
        other.send("Hello yourself")
        assert one.recv(timeout=10) == "Somebody: Hello yourself"


def test_a_socket_passes_nginx(site: Site) -> None:
    url = f"ws://127.0.0.1:{site.port}/chat"
    with connect(url) as one:
        time.sleep(0.5)
        one.send("through")
        assert one.recv(timeout=10) == "Somebody: through"


@contextlib.contextmanager
def load(site: Site) -> Iterator[list[int]]:
    """Visitors who read and write until the end; none may meet with an error, or with another's session.

    :return: how many requests each has made.
    """
    visitor = Visitor()
    visitor.ask(site.port, "/name", "name=Ada")
    stop = threading.Event()
    wrong: list[object] = []
    count = [0] * 4

    def visit(number: int) -> None:
        while not stop.is_set():
            try:
                name = visitor.me(site.port)["name"]
            except Exception as error:
                wrong.append(repr(error))
            else:
                if name != "Ada":
                    wrong.append(name)
                count[number] += 1

    threads = [threading.Thread(target=visit, args=(n,)) for n in range(len(count))]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        yield count
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len({visitor.me(site.port)["process"] for _ in range(20)}) == 2


def test_killing_one_process_loses_no_request_and_no_session(site: Site) -> None:
    with load(site) as count:
        os.kill(int(site.wait_for(r"kolben 1: PID (\d+)")), signal.SIGKILL)
        # Started again, and found again by nginx.
        site.wait_for(r"kolben 1: PID (\d+)", nth=1)
        time.sleep(4)
    assert sum(count) > 200


def test_new_code_on_one_after_the_other_loses_no_request(site: Site) -> None:
    workers = {Visitor().me(port)["process"] for port in site.backends}
    writer = Visitor()
    statuses: list[int] = []
    with load(site):
        for name, port in zip(("kolben 1", "kolben 2"), site.backends, strict=True):
            before = Visitor().me(port)["process"]
            os.kill(site.last_process(name), signal.SIGHUP)
            end = time.monotonic() + 30
            while Visitor().me(port)["process"] == before:
                # A POST is not asked of the other one where it was lost.
                statuses.append(writer.ask(site.port, "/name", "name=Grace")[0])
                assert time.monotonic() < end
    assert set(statuses) == {302}
    assert not workers & {Visitor().me(port)["process"] for port in site.backends}
