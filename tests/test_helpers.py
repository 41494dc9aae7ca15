"""Functions that views call: streaming, flashed messages, responses, files, places."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import io
import sys
import threading
import typing as t

import pytest
from werkzeug.exceptions import Aborter, NotFound, Unauthorized
from werkzeug.test import EnvironBuilder
from werkzeug.utils import redirect as werkzeug_redirect

import kolben
from kolben import helpers


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__)
    app.secret_key = "secret"
    return app


# -- streaming -------------------------------------------------------------------------------


class Stream:
    """A request whose response is streamed, and the record of what happened when."""

    def __init__(self, app: kolben.Flask) -> None:
        self.app = app
        self.log: list[t.Any] = []
        app.teardown_request(lambda error: self.log.append(("teardown", error)))
        app.teardown_appcontext(lambda error: self.log.append(("app teardown", error)))
        app.add_url_rule("/", view_func=self.view)
        self.make: t.Callable[[], t.Any] = self.pieces

    def pieces(self) -> t.Iterator[str]:
        try:
            yield kolben.request.args["a"]
            yield kolben.request.path
            if "fail" in kolben.request.args:
                raise LookupError("broken")
        finally:
            self.log.append(f"end, context: {kolben.has_request_context()}")

    def view(self) -> t.Any:
        return kolben.Response(kolben.stream_with_context(self.make()))

    def start(self, url: str = "/?a=1") -> t.Any:
        return self.app(EnvironBuilder(url).get_environ(), lambda *args: None)


@pytest.fixture
def stream(app: kolben.Flask) -> Stream:
    return Stream(app)


def test_a_stream_sees_its_request_and_is_torn_down_at_its_end(stream):
    body = stream.start()
    assert stream.log == []
    assert list(body) == [b"1", b"/"]
    body.close()
    assert stream.log == ["end, context: True", ("teardown", None), ("app teardown", None)]


def test_between_two_pieces_nothing_is_left_on_the_thread(stream):
    body = stream.start()
    for _ in body:
        assert not kolben.has_app_context()
    body.close()
    assert not kolben.has_app_context()


def test_a_client_that_leaves_ends_the_stream_with_the_context_active(stream):
    body = stream.start()
    assert next(iter(body)) == b"1"
    body.close()
    (end, (_, error), (_, app_error)) = stream.log
    assert end == "end, context: True"
    assert type(error) is type(app_error) is GeneratorExit
    assert not kolben.has_app_context()


def test_a_stream_that_is_not_read_is_torn_down_when_it_is_closed(stream):
    stream.start().close()
    assert [entry[0] for entry in stream.log] == ["teardown", "app teardown"]


def test_a_stream_that_is_not_read_or_closed_is_torn_down_when_it_is_collected(stream):
    stream.start()
    gc.collect()
    assert [entry[0] for entry in stream.log] == ["teardown", "app teardown"]


def test_teardown_learns_of_an_error_in_the_stream(stream):
    body = stream.start("/?a=1&fail=1")
    with pytest.raises(LookupError, match="broken"):
        list(body)
    body.close()
    assert [repr(entry[1]) for entry in stream.log[1:]] == ["LookupError('broken')"] * 2


def test_streams_of_two_requests_may_take_turns(stream):
    bodies = [iter(stream.start(f"/?a={n}")) for n in (1, 2)]
    assert [next(body) for body in bodies] == [b"1", b"2"]
    assert [next(body) for body in bodies] == [b"/", b"/"]
    assert [next(body, None) for body in bodies] == [None, None]
    assert len(stream.log) == 6


def test_a_stream_may_be_read_in_another_thread(stream):
    body = stream.start()
    read: list[bytes] = []
    thread = threading.Thread(target=lambda: read.extend(body))
    thread.start()
    thread.join()
    body.close()
    assert read == [b"1", b"/"]
    assert len(stream.log) == 3


def test_an_iterator_with_its_own_close_is_closed_once(stream):
    closed: list[bool] = []

    class Source:
        def __init__(self) -> None:
            self.rest = ["a", "b"]

        def __iter__(self) -> Source:
            return self

        def __next__(self) -> str:
            if not self.rest:
                raise StopIteration
            return self.rest.pop(0) + kolben.request.path

        def close(self) -> None:
            closed.append(kolben.has_request_context())

    stream.make = Source
    body = stream.start()
    assert list(body) == [b"a/", b"b/"]
    body.close()
    assert closed == [True]


def test_a_list_can_be_streamed(stream):
    stream.make = lambda: ["a", "b"]
    assert list(stream.start()) == [b"a", b"b"]


def test_a_generator_function_can_be_decorated(app):
    @app.route("/<word>")
    def view(word):
        @kolben.stream_with_context
        def generate(greeting):
            """Greet."""
            yield greeting
            yield kolben.request.view_args["word"]

        assert generate.__doc__ == "Greet."
        return generate("hello ")

    assert app.test_client().get("/world").text == "hello world"


def test_a_stream_keeps_the_session(app):
    @app.route("/")
    def view():
        kolben.session["a"] = "kept"
        return kolben.stream_with_context(kolben.session[name] for name in "a")

    response = app.test_client().get("/")
    assert response.text == "kept"
    assert "session=" in response.headers["Set-Cookie"]


@pytest.mark.parametrize("source", [iter("a"), (c for c in "a")])
def test_outside_of_a_request_there_is_nothing_to_keep(app, source):
    with app.app_context(), pytest.raises(RuntimeError, match="view function"):
        kolben.stream_with_context(source)


class AsyncStream:
    """An asynchronous stream of a request that has ended."""

    def __init__(self, app: kolben.Flask) -> None:
        self.log: list[t.Any] = []
        app.teardown_request(lambda error: self.log.append(type(error)))
        with app.test_request_context("/?a=1"):
            self.stream = kolben.stream_with_context(self.pieces)()
        assert self.log == []

    async def pieces(self) -> t.AsyncIterator[str]:
        try:
            yield kolben.request.args["a"]
            await asyncio.sleep(0)
            yield kolben.request.path
        finally:
            self.log.append(kolben.has_request_context())


def test_an_asynchronous_stream_sees_its_request(app):
    source = AsyncStream(app)

    async def read() -> None:
        async for piece in source.stream:
            source.log.append((piece, kolben.has_request_context()))

    asyncio.run(read())
    assert source.log == [("1", False), ("/", False), True, type(None)]


def test_an_asynchronous_stream_that_is_closed_early_is_torn_down_once(app):
    source = AsyncStream(app)

    async def read() -> None:
        assert await anext(source.stream) == "1"
        await source.stream.aclose()
        await source.stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(source.stream)

    asyncio.run(read())
    assert source.log == [True, GeneratorExit]


def test_an_asynchronous_stream_that_fails_or_is_cancelled_is_torn_down(app):
    source = AsyncStream(app)

    async def read() -> None:
        await anext(source.stream)
        task = asyncio.ensure_future(source.stream.__anext__())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(read())
    assert source.log == [True, asyncio.CancelledError]


def test_an_asynchronous_stream_that_is_not_started_is_torn_down_when_it_is_collected(app):
    source = AsyncStream(app)
    source.stream = None
    gc.collect()
    assert source.log == [GeneratorExit]


def test_an_asynchronous_iterator_needs_no_aclose(app):
    class Source:
        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> str:
            raise StopAsyncIteration

    async def read(stream: t.Any) -> list[str]:
        return [piece async for piece in stream]

    with app.test_request_context():
        assert asyncio.run(read(kolben.stream_with_context(Source()))) == []


# -- flashed messages ------------------------------------------------------------------------


@pytest.fixture
def flashed(app: kolben.Flask) -> t.Iterator[None]:
    with app.test_request_context():
        kolben.flash("plain")
        kolben.flash("bad", "error")
        kolben.flash("good", "info")
        yield


def test_flashed_messages_leave_the_session_and_stay_for_the_request(flashed):
    assert kolben.session["_flashes"][1] == ("error", "bad")
    assert kolben.get_flashed_messages() == ["plain", "bad", "good"]
    assert "_flashes" not in kolben.session
    assert kolben.get_flashed_messages(with_categories=True)[0] == ("message", "plain")


@pytest.mark.parametrize(
    ("category_filter", "expected"),
    [
        (["error", "info"], ["bad", "good"]),
        (("info",), ["good"]),
        ({"none"}, []),
        ("error", ["bad"]),
        ("error message", ["plain", "bad"]),
        (iter(["info", "message"]), ["plain", "good"]),
        ((), ["plain", "bad", "good"]),
    ],
)
def test_flashed_messages_can_be_filtered(flashed, category_filter, expected):
    assert kolben.get_flashed_messages(category_filter=category_filter) == expected


def test_looking_for_messages_does_not_change_a_session_without_them(app):
    with app.test_request_context():
        assert kolben.get_flashed_messages() == []
        assert not kolben.session.modified


def test_a_flashed_message_is_announced(app):
    seen: list[tuple[str, str]] = []

    def receive(sender: t.Any, message: str, category: str) -> None:
        assert sender is app
        seen.append((category, message))

    with kolben.message_flashed.connected_to(receive), app.test_request_context():
        kolben.flash("hello", "greeting")
    assert seen == [("greeting", "hello")]


# -- responses -------------------------------------------------------------------------------


def test_a_response_is_made_from_what_a_view_may_return(app):
    with app.test_request_context():
        assert kolben.make_response().status_code == 200
        assert kolben.make_response("a").data == b"a"
        assert kolben.make_response("a", 201, {"X": "y"}).headers["X"] == "y"
        assert kolben.make_response(("a", 404)).status_code == 404
        with pytest.raises(TypeError, match="None"):
            kolben.make_response(None)


def test_redirect_and_abort_work_without_an_application():
    assert kolben.redirect("/a", 307).status_code == 307
    with pytest.raises(Unauthorized):
        kolben.abort(401)
    with pytest.raises(LookupError):
        kolben.abort(900)


@pytest.mark.parametrize("attributes", [{}, {"automatically_set_content_length": False}])
def test_redirects_are_werkzeugs_to_the_byte(app, monkeypatch, attributes):
    for name, value in attributes.items():
        monkeypatch.setattr(kolben.Response, name, value)
    with app.app_context():
        for code, location in [(302, "/a/b?c=d"), (308, "/"), (301, "/ä ö"), (303, "http://x/")]:
            ours = kolben.redirect(location, code)
            theirs = werkzeug_redirect(location, code, kolben.Response)
            assert ours.get_data() == theirs.get_data()
            assert (ours.status, dict(ours.headers)) == (theirs.status, dict(theirs.headers))


def test_redirect_and_abort_ask_the_application(app):
    app.redirect = lambda location, code: (location, code)

    class Gone(NotFound):
        code = 900

    assert isinstance(app.aborter, Aborter)
    app.aborter.mapping[900] = Gone
    with app.app_context():
        assert kolben.redirect("/a", code=303) == ("/a", 303)
        with pytest.raises(Gone, match="why"):
            kolben.abort(900, "why")


def test_url_for_asks_the_application(app):
    app.url_for = lambda endpoint, **values: (endpoint, values)
    with app.app_context():
        endpoint, values = kolben.url_for("page", _anchor="a", num=1)
    assert endpoint == "page"
    assert values == {
        "_anchor": "a",
        "_method": None,
        "_scheme": None,
        "_external": None,
        "num": 1,
    }


# -- files -----------------------------------------------------------------------------------


@pytest.fixture
def folder(app, tmp_path):
    app.root_path = str(tmp_path)
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.txt").write_text("hello")
    (tmp_path / "secret.txt").write_text("secret")
    with app.test_request_context():
        yield tmp_path


def test_a_file_is_sent_from_the_root_path(app, folder):
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 60
    with kolben.send_file("static/a.txt", as_attachment=True) as response:
        assert response.direct_passthrough
        assert response.mimetype == "text/plain"
        assert response.headers["Content-Disposition"] == "attachment; filename=a.txt"
        assert response.cache_control.max_age == 60
        assert isinstance(response, app.response_class)


def test_an_open_file_and_its_age_can_be_given(app, folder):
    with kolben.send_file(io.BytesIO(b"x"), "text/x-thing", max_age=5, etag="e") as response:
        assert (response.mimetype, response.cache_control.max_age) == ("text/x-thing", 5)


def test_a_file_below_a_directory_is_sent_and_no_other(folder):
    with kolben.send_from_directory("static", "a.txt", download_name="b.html") as response:
        assert response.mimetype == "text/html"
    for path in "../secret.txt", "none.txt", "/etc/passwd", ".":
        with pytest.raises(NotFound):
            kolben.send_from_directory("static", path)


# -- names and places ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "debug"),
    [(None, False), ("", False), ("0", False), ("FALSE", False), ("no", False), ("1", True)],
)
def test_the_debug_flag_comes_from_the_environment(monkeypatch, value, debug):
    monkeypatch.delenv("FLASK_DEBUG", raising=False)
    if value is not None:
        monkeypatch.setenv("FLASK_DEBUG", value)
    assert helpers.get_debug_flag() is debug


@pytest.mark.parametrize(("value", "load"), [("", None), ("0", True), ("No", True), ("1", False)])
def test_dotenv_files_can_be_skipped(monkeypatch, value, load):
    monkeypatch.setenv("FLASK_SKIP_DOTENV", value)
    for default in True, False:
        assert helpers.get_load_dotenv(default) is (default if load is None else load)


def test_the_root_path_is_found_without_importing(tmp_path, monkeypatch):
    (tmp_path / "explodes.py").write_text("raise SystemExit")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir("/")
    assert helpers.get_root_path("explodes") == str(tmp_path)
    assert helpers.get_root_path("package") == str(tmp_path / "package")
    assert helpers.get_root_path("no_such_module") == "/"
    assert helpers.get_root_path("no_such.module") == "/"


def test_a_built_in_module_has_no_root_path():
    with pytest.raises(RuntimeError, match="root_path"):
        helpers.get_root_path("sys")


def test_a_loader_that_knows_no_file_leaves_it_to_the_module(monkeypatch):
    class Finder:
        @staticmethod
        def find_spec(name: str, path: t.Any = None, target: t.Any = None) -> t.Any:
            return importlib.util.spec_from_loader(name, Loader()) if name == "hooked" else None

    class Loader:
        @staticmethod
        def create_module(spec: t.Any) -> None:
            return None

        @staticmethod
        def exec_module(module: t.Any) -> None:
            module.__file__ = "/somewhere/hooked.py"

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert helpers.get_root_path("hooked") == "/somewhere"
    del sys.modules["hooked"]


def test_the_names_of_nested_blueprints():
    assert helpers._split_blueprint_path("a.b.c") == ["a.b.c", "a.b", "a"]
    assert helpers._split_blueprint_path("a") == ["a"]
