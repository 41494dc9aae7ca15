"""Limits of bodies and of time, by default and for each route."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from gateways import Asked, Gateway
from kolben import Flask, request, stream_body
from kolben.limits import limits

FORM = [("content-type", "application/x-www-form-urlencoded")]


def multipart(fields: int, size: int) -> tuple[bytes, list[tuple[str, str]]]:
    parts = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n%b\r\n' % (n, b"a" * size)
        for n in range(fields)
    )
    return parts + b"--x--\r\n", [("content-type", "multipart/form-data; boundary=x")]


def make_app(is_async: bool = False, **settings: Any) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(settings)

    def add(path: str, read: Any, *decorators: Any) -> None:
        if is_async:

            async def view() -> Any:
                return read()
        else:

            def view() -> Any:
                return read()

        for decorator in reversed(decorators):
            view = decorator(view)
        app.add_url_rule(path, path, view, methods=["GET", "POST"])

    def length() -> str:
        return str(len(request.get_data()))

    add("/plain", length)
    add("/small", length, limits(max_content_length=10))
    add("/large", length, limits(max_content_length=1000))
    add("/any", length, limits(max_content_length=None))
    add("/form", lambda: str(len(request.form)))
    add("/form-parts", lambda: str(len(request.form)), limits(max_form_parts=3))
    add("/form-memory", lambda: str(len(request.form)), limits(max_form_memory_size=100))
    add("/ignores", lambda: "not read")
    return app


@pytest.mark.parametrize(
    ("limit", "status"),
    [
        ({"max_form_parts": 2}, 413),
        ({"max_form_parts": 3}, 200),
        ({"max_form_memory_size": 2}, 413),
        ({"max_form_memory_size": 50}, 200),
        ({"max_form_parts": 3, "max_form_memory_size": 50}, 200),
    ],
)
def test_a_view_may_limit_the_fields_of_its_request(limit: dict[str, int], status: int) -> None:
    app = Flask(__name__)

    @app.post("/")
    def fields() -> str:
        for name, value in limit.items():
            setattr(request, name, value)
        return str(len(request.form))

    answer = app.test_client().post("/", data={"a": "1", "b": "2", "c": "3"})
    assert answer.status_code == status


# -- bodies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/plain", 100, 200),
        ("/plain", 101, 413),
        ("/small", 10, 200),
        ("/small", 11, 413),
        ("/large", 1000, 200),
        ("/large", 1001, 413),
        ("/any", 5000, 200),
    ],
)
def test_a_routes_own_limit_goes_before_that_of_the_settings(
    gateway: Gateway, is_async: bool, chunked: bool, path: str, size: int, status: int
) -> None:
    app = make_app(is_async, MAX_CONTENT_LENGTH=100)
    pieces = [b"x" * (size // 2), b"x" * (size - size // 2)]
    reply = gateway.post(app, path, pieces, chunked=chunked)
    assert reply.status == status
    if status == 200:
        assert reply.text == str(size)


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_the_limits_of_forms_are_a_routes_own_too(gateway: Gateway, is_async: bool) -> None:
    app = make_app(is_async)
    body, headers = multipart(4, 1)
    assert gateway.post(app, "/form", body, headers=headers).text == "4"
    assert gateway.post(app, "/form-parts", body, headers=headers).status == 413
    body, headers = multipart(1, 101)
    assert gateway.post(app, "/form", body, headers=headers).text == "1"
    assert gateway.post(app, "/form-memory", body, headers=headers).status == 413


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_so_they_are_of_urlencoded_forms(gateway: Gateway, is_async: bool, chunked: bool) -> None:
    fields, value = [b"a=1&b=2&c=3&d=4"], [b"a=" + b"x" * 101]
    app = make_app(is_async)
    assert gateway.post(app, "/form", fields, headers=FORM, chunked=chunked).text == "4"
    assert gateway.post(app, "/form-parts", fields, headers=FORM, chunked=chunked).status == 413
    assert gateway.post(app, "/form-memory", value, headers=FORM, chunked=chunked).status == 413
    # A route may also allow more than the settings do.
    app = make_app(is_async, MAX_FORM_PARTS=2, MAX_FORM_MEMORY_SIZE=50)
    assert gateway.post(app, "/form", fields, headers=FORM, chunked=chunked).status == 413
    fields = [b"a=1&b=2&c=3"]
    assert gateway.post(app, "/form-parts", fields, headers=FORM, chunked=chunked).text == "3"
    value = [b"a=" + b"x" * 90]
    assert gateway.post(app, "/form", value, headers=FORM, chunked=chunked).status == 413
    assert gateway.post(app, "/form-memory", value, headers=FORM, chunked=chunked).text == "1"


def test_with_hooks_and_with_overridden_steps_too(gateway: Gateway) -> None:
    class Own(Flask):
        def dispatch_request(self) -> Any:
            return super().dispatch_request()

    for kind in (Flask, Own):
        app = kind(__name__)
        app.before_request(lambda: None)

        @app.post("/")
        @limits(max_content_length=10)
        def view() -> str:
            return str(len(request.get_data()))

        assert gateway.post(app, "/", b"x" * 10).text == "10"
        assert gateway.post(app, "/", b"x" * 11).status == 413


def test_a_hook_can_set_the_limit_of_this_request_before_the_body_is_read() -> None:
    app = make_app(MAX_CONTENT_LENGTH=100)

    @app.before_request
    def allow() -> None:
        request.max_content_length = int(request.headers["X-Limit"])

    client = app.test_client()
    for path in ("/plain", "/small"):
        for limit, status in (("5", 413), ("500", 200)):
            reply = client.post(path, data=b"x" * 200, headers={"X-Limit": limit})
            assert reply.status_code == status


def test_a_view_that_reads_its_body_in_pieces_has_its_own_limit(gateway: Gateway) -> None:
    app = Flask(__name__)

    @app.post("/")
    @limits(max_content_length=10)
    @stream_body
    async def view() -> str:
        return str(sum([len(piece) async for piece in request.body_stream()]))

    assert gateway.post(app, "/", b"x" * 10).text == "10"
    assert gateway.post(app, "/", b"x" * 11).status == 413
    assert gateway.post(app, "/", [b"x" * 6] * 2, chunked=True).status == 413


def test_a_view_that_does_not_read_is_not_refused(gateway: Gateway) -> None:
    app = make_app(MAX_CONTENT_LENGTH=1)
    assert gateway.post(app, "/ignores", b"12345").text == "not read"


class Counted(io.RawIOBase):
    """An endless input, which notes how much was read of it."""

    def __init__(self) -> None:
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        assert size >= 0, "read without a limit"
        size = min(size, 1 << 16)
        self.count += size
        return b"a" * size


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart"])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_refusal_costs_the_same_whatever_the_size(kind: str, declared: bool) -> None:
    app = make_app(MAX_CONTENT_LENGTH=100_000)
    read = []
    for size in (200_000, 2_000_000_000):
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/plain" if kind == "text/plain" else "/form",
            "CONTENT_TYPE": "multipart/form-data; boundary=x" if kind == "multipart" else kind,
            "wsgi.input": Counted(),
            "wsgi.url_scheme": "http",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
        }
        if declared:
            environ["CONTENT_LENGTH"] = str(size)
        else:
            environ.update({"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True})
        statuses: list[str] = []
        app(environ, lambda status, headers, exc_info=None, to=statuses: to.append(status))
        assert statuses == ["413 REQUEST ENTITY TOO LARGE"]
        read.append(environ["wsgi.input"].count)  # type: ignore[attr-defined]
    assert read[0] == read[1]
    assert read[0] <= (0 if declared else 200_000)


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_under_asgi_a_body_that_is_refused_is_not_received(is_async: bool) -> None:
    app = make_app(is_async, MAX_CONTENT_LENGTH=100_000)
    counts = []
    for size in (1, 10, 100):
        pieces = [b"x" * 60_000] * size
        reply = Gateway("asgi").post(app, "/plain", pieces, chunked=True)
        counts.append(reply.status)
    assert counts == [200, 413, 413]


def _lines_run(call: Any) -> int:
    """How many lines of Python a call runs: a measure of its work that no busy machine disturbs."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()  # that of a coverage run goes on afterwards
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "kind", ["urlencoded", "parts", "multipart size", "json", "query", "cookies"]
)
def test_the_work_of_parsing_grows_no_faster_than_the_size(kind: str) -> None:
    app = Flask(__name__)
    app.config["MAX_FORM_PARTS"] = None
    app.config["MAX_FORM_MEMORY_SIZE"] = None

    @app.route("/", methods=["GET", "POST"])
    def view() -> str:
        json = request.get_json(silent=True)
        return str(len(request.form) + len(request.files) + len(request.args) + len(request.cookies)) + str(json is None)  # fmt: skip

    def work(size: int) -> int:
        asked: dict[str, Any] = {"headers": [], "body": b"", "method": "POST"}
        path = "/"
        if kind == "urlencoded":
            asked |= {"headers": FORM, "body": b"&".join(b"a%d=%%41" % n for n in range(size))}
        elif kind == "parts":
            body, headers = multipart(size, 1)
            asked |= {"headers": headers, "body": body}
        elif kind == "multipart size":
            body, headers = multipart(2, size * 500)
            asked |= {"headers": headers, "body": body}
        elif kind == "json":
            asked |= {
                "headers": [("content-type", "application/json")],
                "body": b"[" + b",".join([b"[1]"] * size) + b"]",
            }
        elif kind == "query":
            path += "?" + "&".join(f"a{n}=%41" for n in range(size))
        else:
            asked["headers"] = [("cookie", "; ".join(f"a{n}=1" for n in range(size)))]
        call = Asked(path, **asked)
        from gateways import call_wsgi

        return _lines_run(lambda: call_wsgi(app, call))

    work(10)
    small, large = work(100), work(1000)
    assert large <= 12 * small


class Upload(io.RawIOBase):
    """The body of a form with one file, as long as it is said to be, which takes no memory itself."""

    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    tail = b"\r\n--x--\r\n"

    def __init__(self, size: int) -> None:
        self.parts = [self.head, size, self.tail]
        self.length = len(self.head) + size + len(self.tail)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._next(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _next(self, size: int) -> bytes:
        while self.parts:
            part: Any = self.parts[0]
            if isinstance(part, int):
                piece, rest = b"a" * min(size, part), part - min(size, part)
            else:
                piece, rest = part[:size], part[size:]
            self.parts[0] = rest
            if not rest:
                del self.parts[0]
            if piece:
                return piece
        return b""


@pytest.mark.parametrize("how", ["file", "data", "stream"])
def test_the_work_and_the_memory_of_a_body_of_100_megabytes_are_in_proportion(how: str) -> None:
    app = Flask(__name__)

    @app.post("/")
    def view() -> str:
        if how == "file":
            file = request.files["f"]
            file.seek(0, io.SEEK_END)
            return str(file.tell())
        if how == "data":
            request.headers  # noqa: B018 (the body is not taken for a form then)
            return str(len(request.get_data(cache=False)))
        return str(sum(len(piece) for piece in iter(lambda: request.stream.read(1 << 16), b"")))

    def work(size: int) -> tuple[int, int]:
        body = Upload(size)
        kind = "multipart/form-data; boundary=x" if how == "file" else "application/octet-stream"
        environ = {
            "REQUEST_METHOD": "POST", "PATH_INFO": "/", "CONTENT_TYPE": kind, "SERVER_NAME": "x",
            "SERVER_PORT": "80", "wsgi.input": body, "wsgi.url_scheme": "http",
            "CONTENT_LENGTH": str(body.length),
        }  # fmt: skip
        said: list[bytes] = []

        def call() -> None:
            answer = app(environ, lambda status, headers, exc_info=None: None)
            said.extend(answer)
            if hasattr(answer, "close"):
                answer.close()

        tracemalloc.start()
        try:
            lines = _lines_run(call)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert int(said[0]) == (size if how == "file" else body.length)
        return lines, peak

    work(1_000_000)
    (small, _), (large, peak) = work(10_000_000), work(100_000_000)
    assert large <= 11 * small
    # What is not asked for at once is not in memory at once.
    assert peak <= (210_000_000 if how == "data" else 3_000_000)


# -- time -------------------------------------------------------------------------------------


def never_ends() -> str:
    while True:
        try:
            time.sleep(0.001)
        except Exception:  # what swallows errors does not swallow this
            continue


def make_slow(**settings: Any) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(settings)
    app.add_url_rule("/plain", "plain", never_ends)
    app.add_url_rule("/own", "own", limits(timeout=0.05)(lambda: never_ends()))
    app.add_url_rule("/without", "without", limits(timeout=None)(lambda: time.sleep(0.2) or "done"))
    app.add_url_rule("/quick/<int:number>", "quick", lambda number: f"quick {number}")

    @app.get("/async")
    async def never() -> str:
        await asyncio.sleep(60)
        return "never"

    @app.get("/stream")
    def stream() -> Iterator[str]:
        yield "a"
        time.sleep(0.2)
        yield "b"

    return app


@pytest.mark.parametrize("path", ["/plain", "/async"])
def test_a_view_that_never_ends_is_ended(
    gateway: Gateway, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_slow(VIEW_TIMEOUT=0.1)
    ended: list[BaseException | None] = []
    app.teardown_request(ended.append)
    reply = gateway.get(app, path)
    assert reply.status == 503
    assert ended == [None]
    (entry,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert "VIEW_TIMEOUT" in entry.getMessage()
    assert entry.exc_info
    assert gateway.get(app, "/quick/7").text == "quick 7"


def test_a_route_has_a_time_of_its_own(gateway: Gateway) -> None:
    app = make_slow()
    assert gateway.get(app, "/own").status == 503
    app = make_slow(VIEW_TIMEOUT=0.05)
    assert gateway.get(app, "/without").text == "done"


def test_the_time_of_a_view_is_not_that_of_its_stream(gateway: Gateway) -> None:
    assert gateway.get(make_slow(VIEW_TIMEOUT=0.1), "/stream").text == "ab"


def test_an_error_handler_answers_it() -> None:
    app = make_slow(VIEW_TIMEOUT=0.05)
    app.register_error_handler(503, lambda error: ("come back later", 503))
    assert app.test_client().get("/plain").text == "come back later"


def test_with_overridden_steps_too() -> None:
    class Own(Flask):
        def make_response(self, rv: Any) -> Any:
            return super().make_response(rv)

    app = Own(__name__)
    app.config["VIEW_TIMEOUT"] = 0.05
    app.add_url_rule("/", "index", never_ends)
    assert app.test_client().get("/").status_code == 503


def test_the_error_hits_nothing_but_the_view() -> None:
    """Views that end just when their time is over, in several threads, hundreds of times."""
    app = Flask(__name__)
    app.config["VIEW_TIMEOUT"] = 0.01

    @app.get("/<int:number>")
    def view(number: int) -> str:
        end = time.perf_counter() + 0.008 + number * 0.0001
        while time.perf_counter() < end:
            pass
        return "done"

    wrong: list[Any] = []

    def ask() -> None:
        try:
            client = app.test_client()
            for number in range(60):
                reply = client.get(f"/{number}")
                if (reply.status_code, reply.text) != (200, "done") and reply.status_code != 503:
                    wrong.append(reply.status)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_child_process_watches_for_itself() -> None:
    program = """
import os, kolben, time
app = kolben.Flask("forked")
app.config["VIEW_TIMEOUT"] = 0.1
@app.get("/<int:seconds>")
def view(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end: pass
    return "done"
assert app.test_client().get("/0").text == "done"
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
else:
    os._exit(app.test_client().get("/20").status_code != 503)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)


def test_a_limit_is_not_negative() -> None:
    with pytest.raises(ValueError, match="max_form_parts=-1"):
        limits(max_form_parts=-1)
