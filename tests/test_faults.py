"""Whatever a program's own code raises, wherever it stands: the right status, one entry in the log, all
teardown functions called, and the next request served.
"""

from __future__ import annotations

import asyncio
import errno
import io
import logging
import tempfile
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import kolben
from gateways import Gateway
from kolben import Flask, g, request, session, stream_with_context
from kolben.sessions import SessionInterface


class Fault(Exception):
    """What the program raises."""


class Faulty:
    """An application in which one thing fails, when the path says so."""

    def __init__(self, is_async: bool = False) -> None:
        self.app = Flask("faulty", static_folder=None)
        self.app.secret_key = "a key"
        self.torn_down: list[str] = []
        self.is_async = is_async
        self.app.teardown_request(self._note("request"))
        self.app.teardown_appcontext(self._note("context"))
        self.view("/good", lambda: "good")

    def _note(self, name: str) -> Callable[[BaseException | None], None]:
        def note(error: BaseException | None) -> None:
            if kolben.has_request_context() or name == "context":
                self.torn_down.append(name)

        return note

    def make(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, or a coroutine function that does the same."""
        if not self.is_async:
            return function

        async def coroutine_function(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return coroutine_function

    def view(self, path: str, function: Callable[..., Any], **options: Any) -> None:
        self.app.add_url_rule(path, path, self.make(function), **options)


def fail(*args: Any, **kwargs: Any) -> Any:
    raise Fault("on purpose")


def fail_on_bad(*args: Any) -> Any:
    if request.path == "/bad":
        raise Fault("on purpose")
    return args[0] if args else None


def _in_view(faulty: Faulty) -> None:
    faulty.view("/bad", fail)


def _in_before_hook(faulty: Faulty) -> None:
    faulty.view("/bad", lambda: "never")
    faulty.app.before_request(faulty.make(fail_on_bad))


def _in_after_hook(faulty: Faulty) -> None:
    faulty.view("/bad", lambda: "lost")
    faulty.app.after_request(faulty.make(fail_on_bad))


def _in_after_this_request(faulty: Faulty) -> None:
    def view() -> str:
        kolben.after_this_request(fail)
        return "lost"

    faulty.view("/bad", view)


def _in_error_handler(faulty: Faulty) -> None:
    def view() -> str:
        kolben.abort(418)

    faulty.view("/bad", view)
    faulty.app.register_error_handler(418, faulty.make(fail))


def _in_url_value_preprocessor(faulty: Faulty) -> None:
    faulty.view("/bad", lambda: "never")
    faulty.app.url_value_preprocessor(lambda endpoint, values: fail_on_bad())


def _in_context_processor(faulty: Faulty) -> None:
    faulty.view("/bad", lambda: kolben.render_template_string("hello"))
    faulty.app.context_processor(faulty.make(fail))


def _in_template(faulty: Faulty) -> None:
    faulty.view("/bad", lambda: kolben.render_template_string("{{ broken() }}", broken=fail))


def _in_json(faulty: Faulty) -> None:
    faulty.view("/bad", lambda: {"no": object()})


def _nothing_returned(faulty: Faulty) -> None:
    faulty.view("/bad", lambda: None)


def _in_request_started(faulty: Faulty) -> None:
    faulty.view("/bad", lambda: "never")
    _receive(faulty, kolben.request_started)


def _in_request_finished(faulty: Faulty) -> None:
    faulty.view("/bad", lambda: "lost")
    _receive(faulty, kolben.request_finished)


def _receive(faulty: Faulty, signal: Any) -> None:
    def receiver(sender: Any, **values: Any) -> None:
        fail_on_bad()

    signal.connect(receiver, faulty.app)
    faulty.__dict__.setdefault("kept", []).append(receiver)


class StoreIsDown(SessionInterface):
    """A store of sessions that cannot be reached."""

    def __init__(self, on: str) -> None:
        self.on = on

    def open_session(self, app: Any, request: Any) -> Any:
        if self.on == "open" and request.path == "/bad":
            raise ConnectionError("the store is down")
        return kolben.sessions.SecureCookieSession()

    def save_session(self, app: Any, session: Any, response: Any) -> None:
        if self.on == "save" and request.path == "/bad":
            raise ConnectionError("the store is down")


def _session_not_opened(faulty: Faulty) -> None:
    faulty.app.session_interface = StoreIsDown("open")
    faulty.view("/bad", lambda: session.get("name", "nobody"))


def _session_not_saved(faulty: Faulty) -> None:
    faulty.app.session_interface = StoreIsDown("save")
    faulty.view("/bad", lambda: session.setdefault("name", "somebody"))


def _in_converter(faulty: Faulty) -> None:
    from werkzeug.routing import BaseConverter

    class Failing(BaseConverter):
        def to_python(self, value: str) -> str:
            raise Fault("on purpose")

    faulty.app.url_map.converters["failing"] = Failing
    faulty.view("/<failing:name>", lambda name: name)


def _in_first_teardown(faulty: Faulty) -> None:
    faulty.view("/bad", lambda: "lost")

    def teardown(error: BaseException | None) -> None:
        fail_on_bad()

    faulty.app.teardown_request(faulty.make(teardown))  # the last registered is called first


def _in_context_teardown(faulty: Faulty) -> None:
    faulty.view("/bad", lambda: g.setdefault("bad", "lost"))

    def teardown(error: BaseException | None) -> None:
        if "bad" in g:
            fail()

    faulty.app.teardown_appcontext(faulty.make(teardown))


def _in_tearing_down_receiver(faulty: Faulty) -> None:
    faulty.view("/bad", lambda: "lost")
    _receive(faulty, kolben.request_tearing_down)


FAULTS = [value for name, value in list(globals().items()) if name.startswith("_in_")] + [
    _nothing_returned,
    _session_not_opened,
    _session_not_saved,
]


def entries(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("arrange", FAULTS, ids=lambda function: function.__name__.strip("_"))
def test_a_fault_is_a_500_and_nothing_more(
    arrange: Callable[[Faulty], None],
    is_async: bool,
    gateway: Gateway,
    caplog: pytest.LogCaptureFixture,
) -> None:
    faulty = Faulty(is_async)
    arrange(faulty)
    reply = gateway.get(faulty.app, "/bad")
    assert reply.status == 500
    assert b"Internal Server Error" in reply.body
    assert b"purpose" not in reply.body
    assert b"Traceback" not in reply.body
    (entry,) = entries(caplog)
    assert entry.exc_info
    assert entry.exc_info[1] is not None
    assert "/bad" in entry.getMessage()
    assert faulty.torn_down == ["request", "context"]
    assert not kolben.has_app_context()
    if arrange is not _in_converter:
        reply = gateway.get(faulty.app, "/good")
        assert (reply.status, reply.text) == (200, "good")
        assert faulty.torn_down == ["request", "context"] * 2


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_a_fault_in_what_listens_to_faults_reaches_the_server(
    is_async: bool, gateway: Gateway
) -> None:
    """Only the server is left to answer then; the context is left all the same."""
    faulty = Faulty(is_async)
    faulty.view("/bad", fail)
    _receive(faulty, kolben.got_request_exception)
    with pytest.raises(Fault):
        gateway.get(faulty.app, "/bad")
    assert faulty.torn_down == ["request", "context"]
    assert not kolben.has_app_context()
    assert gateway.get(faulty.app, "/good").text == "good"


# -- several teardown functions ---------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_each_teardown_function_that_raises_is_logged(
    is_async: bool, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    faulty = Faulty(is_async)
    for number in range(3):

        def teardown(error: BaseException | None, number: int = number) -> None:
            raise Fault(f"number {number}")

        faulty.app.teardown_request(faulty.make(teardown))
    reply = gateway.get(faulty.app, "/good")
    assert reply.status == 500
    logged = sorted(str(entry.exc_info[1]) for entry in entries(caplog) if entry.exc_info)
    assert logged == ["number 0", "number 1", "number 2"]
    assert faulty.torn_down == ["request", "context"]


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_tests_see_the_error_of_a_teardown_function(is_async: bool, gateway: Gateway) -> None:
    faulty = Faulty(is_async)
    faulty.app.testing = True
    _in_first_teardown(faulty)
    with pytest.raises(Fault):
        gateway.get(faulty.app, "/bad")
    assert faulty.torn_down == ["request", "context"]
    assert gateway.get(faulty.app, "/good").text == "good"


def test_the_answer_to_an_error_stays_when_a_teardown_function_fails_too(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    faulty = Faulty()
    faulty.view("/bad", fail)
    faulty.app.register_error_handler(500, lambda error: ("our own page", 500))
    faulty.app.teardown_request(lambda error: fail())
    assert gateway.get(faulty.app, "/bad").text == "our own page"
    assert len(entries(caplog)) == 2


def test_outside_of_a_request_all_are_called_and_the_first_error_is_raised() -> None:
    faulty = Faulty()
    faulty.app.teardown_appcontext(lambda error: fail())
    with pytest.raises(Fault), faulty.app.app_context():
        pass
    assert faulty.torn_down == ["context"]
    assert not kolben.has_app_context()


def test_a_teardown_function_that_ends_the_process_does_so_after_the_others() -> None:
    faulty = Faulty()

    def stop(error: BaseException | None) -> None:
        raise SystemExit(3)

    faulty.app.teardown_request(stop)
    with pytest.raises(SystemExit):
        faulty.app.test_client().get("/good")
    assert faulty.torn_down == ["request", "context"]


# -- streams --------------------------------------------------------------------------------


@pytest.mark.parametrize("with_context", [False, True], ids=["bare", "with_context"])
def test_a_generator_that_raises_ends_the_response_and_no_other(
    with_context: bool, gateway: Gateway
) -> None:
    """Status and headers are sent by then: it is the server that has to break the connection off."""
    faulty = Faulty()

    def pieces() -> Iterator[str]:
        yield "first"
        raise Fault("on purpose")

    faulty.view("/bad", lambda: stream_with_context(pieces()) if with_context else pieces())
    with pytest.raises(Fault):
        gateway.get(faulty.app, "/bad")
    assert faulty.torn_down == ["request", "context"]
    assert not kolben.has_app_context()
    assert gateway.get(faulty.app, "/good").text == "good"


def test_a_teardown_function_that_fails_after_a_stream_is_logged(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    faulty = Faulty()

    def pieces() -> Iterator[str]:
        yield "all "
        yield request.path

    faulty.view("/bad", lambda: stream_with_context(pieces()))
    _in_first_teardown_of_streams(faulty)
    reply = gateway.get(faulty.app, "/bad")
    assert (reply.status, reply.text) == (200, "all /bad")
    (entry,) = entries(caplog)
    assert entry.exc_info
    assert isinstance(entry.exc_info[1], Fault)
    assert faulty.torn_down == ["request", "context"]


def _in_first_teardown_of_streams(faulty: Faulty) -> None:
    faulty.app.teardown_request(lambda error: fail_on_bad())


def test_streams_that_take_turns_in_one_thread_each_see_their_own_request() -> None:
    app = Flask("interleaved", static_folder=None)
    ended: list[str] = []

    @app.get("/<name>")
    def view(name: str) -> Any:
        g.name = name

        def pieces() -> Iterator[str]:
            for number in range(5):
                yield f"{request.view_args['name']}{g.name}{number} "  # type: ignore[index]

        return stream_with_context(pieces())

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        ended.append(g.name)

    bodies = {name: _start(app, f"/{name}") for name in "abc"}
    got: dict[str, bytes] = dict.fromkeys(bodies, b"")
    for _ in range(5):
        for name, body in bodies.items():
            got[name] += next(body)
            assert not kolben.has_app_context()
    assert ended == []
    assert list(bodies["a"]) == []
    for name in "bca":
        bodies[name].close()
    assert got == {name: b"".join(b"%b%b%d " % (x, x, n) for n in range(5)) for name, x in
                   ((name, name.encode()) for name in "abc")}  # fmt: skip
    assert ended == ["a", "b", "c"]
    assert not kolben.has_app_context()


def _start(app: Flask, path: str) -> Any:
    from werkzeug.test import create_environ

    # The wrapper's own iterator, so that each piece is asked for by hand.
    return _Body(app(create_environ(path), lambda status, headers, exc_info=None: None))


class _Body:
    def __init__(self, body: Any) -> None:
        self._body = body
        self._rest = iter(body)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> bytes:
        piece: bytes = next(self._rest)
        return piece

    def close(self) -> None:
        self._body.close()


# -- the disk ---------------------------------------------------------------------------------


class FullDisk(io.BytesIO):
    """A temporary file on a disk that is full."""

    closed_ones = 0

    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    writelines = write  # type: ignore[assignment]

    def close(self) -> None:
        type(self).closed_ones += 1
        super().close()


def test_a_full_disk_during_an_upload_is_a_500(
    gateway: Gateway, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import werkzeug.formparser

    faulty = Faulty()
    faulty.view("/bad", lambda: str(len(request.files)), methods=["POST"])

    def full(*args: Any, **kwargs: Any) -> FullDisk:
        return FullDisk()

    monkeypatch.setattr(werkzeug.formparser, "SpooledTemporaryFile", full)
    FullDisk.closed_ones = 0
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    body = head + b"a" * 600_000 + b"\r\n--x--\r\n"
    headers = [("content-type", "multipart/form-data; boundary=x")]
    reply = gateway.post(faulty.app, "/bad", body, headers=headers)
    assert reply.status == 500
    (entry,) = entries(caplog)
    assert entry.exc_info
    assert isinstance(entry.exc_info[1], OSError)
    assert faulty.torn_down == ["request", "context"]
    assert FullDisk.closed_ones == 1
    assert gateway.get(faulty.app, "/good").text == "good"


def test_a_full_disk_before_an_async_view_is_a_500(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long body is kept on disk before the view starts."""
    faulty = Faulty(is_async=True)
    faulty.view("/bad", lambda: str(len(request.get_data())), methods=["POST"])
    monkeypatch.setattr(tempfile, "TemporaryFile", FullDisk)
    pieces = [b"a" * 300_000] * 3
    reply = Gateway("asgi").post(faulty.app, "/bad", pieces)
    assert reply.status == 500
    (entry,) = entries(caplog)
    assert entry.exc_info
    assert isinstance(entry.exc_info[1], OSError)
    assert faulty.torn_down == ["request", "context"]


# -- signals of teardown ----------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("name", ["request_tearing_down", "appcontext_tearing_down", "appcontext_popped"])  # fmt: skip
def test_all_receivers_of_a_teardown_are_told_whatever_one_raises(
    name: str, is_async: bool, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    faulty = Faulty(is_async)
    told: list[int] = []

    def receiver(number: int) -> Any:
        def receive(sender: Any, **values: Any) -> None:
            told.append(number)
            raise Fault(f"number {number}")

        return faulty.make(receive)

    receivers = [receiver(number) for number in range(3)]
    for one in receivers:
        getattr(kolben, name).connect(one, faulty.app)
    # A function whose error must not be lost over theirs either.
    faulty.app.teardown_request(lambda error: fail())
    assert gateway.get(faulty.app, "/good").status == 500
    assert sorted(told) == [0, 1, 2]
    logged = "".join(
        "".join(traceback.format_exception(entry.exc_info[1]))
        for entry in entries(caplog)
        if entry.exc_info
    )
    assert all(f"Fault: {text}" in logged for text in ("number 0", "number 1", "number 2", "on p"))
    assert not kolben.has_app_context()


def test_outside_of_a_request_too() -> None:
    app = Flask("signals")
    told: list[int] = []

    def receiver(number: int) -> Any:
        def receive(sender: Any, **values: Any) -> None:
            told.append(number)
            raise Fault("on purpose")

        return receive

    receivers = [receiver(number) for number in range(2)]
    for one in receivers:
        kolben.appcontext_tearing_down.connect(one, app)
    with pytest.raises(Fault), app.app_context():
        pass
    assert sorted(told) == [0, 1]


# -- WebSockets -------------------------------------------------------------------------------


def converse(app: Flask, path: str) -> list[dict[str, Any]]:
    """Open a WebSocket as a server would, and return what it is sent."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("x", 80),
        "subprotocols": [], "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    messages = [{"type": "websocket.connect"}]

    async def talk() -> None:
        async def receive() -> Any:
            if messages:
                return messages.pop()
            return await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        async with asyncio.timeout(20):
            await app.asgi_app(scope, receive, send)

    asyncio.run(talk())
    return sent


def _ws_view(faulty: Faulty) -> int:
    return 1011


def _ws_before(faulty: Faulty) -> int:
    faulty.app.before_websocket(faulty.make(fail))
    return 500


def _ws_after(faulty: Faulty) -> int:
    faulty.app.after_websocket(faulty.make(fail))
    return 1011


def _ws_teardown(faulty: Faulty) -> int:
    faulty.app.teardown_websocket(faulty.make(fail))
    return 1000


def _ws_context_teardown(faulty: Faulty) -> int:
    faulty.app.teardown_appcontext(faulty.make(fail))
    return 1000


def _ws_started(faulty: Faulty) -> int:
    _listen(faulty, kolben.websocket_started)
    return 500


def _ws_finished(faulty: Faulty) -> int:
    _listen(faulty, kolben.websocket_finished)
    return 1011


def _ws_tearing_down(faulty: Faulty) -> int:
    _listen(faulty, kolben.websocket_tearing_down)
    return 1000


def _listen(faulty: Faulty, signal: Any) -> None:
    receiver = faulty.make(fail)
    signal.connect(receiver, faulty.app)
    faulty.__dict__.setdefault("kept", []).append(receiver)


WEBSOCKET_FAULTS = [value for name, value in list(globals().items()) if name.startswith("_ws_")]


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize(
    "arrange",
    WEBSOCKET_FAULTS,
    ids=lambda function: function.__name__.removeprefix("_ws_"),
)
def test_a_fault_of_a_websocket_is_logged_once_and_ends_nothing_else(
    arrange: Callable[[Faulty], int], is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    faulty = Faulty(is_async)
    torn_down: list[str] = []

    async def handler() -> None:
        await kolben.websocket.accept()
        if arrange is _ws_view:
            fail()

    faulty.app.add_websocket("/ws", view_func=handler)
    faulty.app.teardown_websocket(lambda error: torn_down.append("websocket"))
    expected = arrange(faulty)
    faulty.app.teardown_websocket(lambda error: torn_down.append("websocket too"))
    last = next(m for m in converse(faulty.app, "/ws") if m["type"] != "websocket.accept")
    assert last.get("code", last.get("status")) == expected
    (entry,) = entries(caplog)
    assert entry.exc_info
    assert isinstance(entry.exc_info[1], Fault)
    assert "/ws" in entry.getMessage()
    assert torn_down == ["websocket too", "websocket"]
    assert faulty.torn_down == ["context"]
    if arrange is not _ws_context_teardown:  # which ends requests, too
        assert Gateway("asgi").get(faulty.app, "/good").text == "good"


def test_all_that_a_websockets_teardown_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    faulty = Faulty()

    async def handler() -> None:
        await kolben.websocket.accept()

    def raiser(text: str) -> Any:
        def raise_it(*args: Any, **values: Any) -> None:
            raise Fault(text)

        return raise_it

    faulty.app.add_websocket("/ws", view_func=handler)
    receivers = [raiser("receiver one"), raiser("receiver two")]
    for receiver in receivers:
        kolben.websocket_tearing_down.connect(receiver, faulty.app)
    faulty.app.teardown_websocket(raiser("function"))
    faulty.app.teardown_appcontext(raiser("context"))
    converse(faulty.app, "/ws")
    logged = sorted(str(entry.exc_info[1]) for entry in entries(caplog) if entry.exc_info)
    assert logged == ["context", "function", "receiver one", "receiver two"]


def test_tests_see_the_error_of_a_websockets_teardown() -> None:
    faulty = Faulty()
    faulty.app.testing = True

    async def handler() -> None:
        await kolben.websocket.accept()

    faulty.app.add_websocket("/ws", view_func=handler)
    faulty.app.teardown_websocket(fail)
    with pytest.raises(Fault):
        converse(faulty.app, "/ws")


# -- stores of sessions -----------------------------------------------------------------------


class BrokenStore:
    """A cache that cannot be reached while the path says so."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.is_down = False

    def _reach(self) -> dict[str, Any]:
        if self.is_down:
            raise ConnectionError("the store is down")
        return self.kept

    def get(self, key: str) -> Any:
        return self._reach().get(key)

    def set(self, key: str, value: Any, timeout: int | None = None) -> Any:
        self._reach()[key] = value
        return True

    def delete(self, key: str) -> Any:
        return self._reach().pop(key, None) is not None


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_sessions_on_a_server_that_is_down_are_a_500_until_it_is_back(
    is_async: bool, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    faulty = Faulty(is_async)
    store = faulty.app.config["SESSION_STORE"] = BrokenStore()
    faulty.view("/set", lambda: session.__setitem__("name", "ada") or "set")  # type: ignore[func-returns-value]
    faulty.view("/get", lambda: session.get("name", "nobody"))
    reply = gateway.get(faulty.app, "/set")
    cookie = [("cookie", (reply.header("set-cookie") or "").partition(";")[0])]
    assert gateway.get(faulty.app, "/get", headers=cookie).text == "ada"
    store.is_down = True
    for path in ("/get", "/set"):
        caplog.clear()
        assert gateway.get(faulty.app, path, headers=cookie).status == 500
        (entry,) = entries(caplog)
        assert entry.exc_info
        assert isinstance(entry.exc_info[1], ConnectionError)
    for headers in ([], cookie):  # what never looks into the session does without
        assert gateway.get(faulty.app, "/good", headers=headers).text == "good"
    store.is_down = False
    assert gateway.get(faulty.app, "/get", headers=cookie).text == "ada"
    assert faulty.torn_down == ["request", "context"] * 7
