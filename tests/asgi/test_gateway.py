"""The application over ASGI: what it gives over WSGI, whatever is async in it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import itertools
import json
import re
import subprocess
import sys
import threading
import weakref

import pytest
from hypothesis import given, settings, strategies as st
from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequestKeyError, ClientDisconnected
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter, Rule

import kolben
from gateways import PATIENCE, Asked, Gateway, call_asgi
from kolben import Blueprint, Flask, Response, abort, current_app, g, request, session
from kolben.concurrency import async_to_sync
from kolben.http.streaming import stream_body
from kolben.views import MethodView, View
from pythons import lets_go_at_once

FORM = [("content-type", "application/x-www-form-urlencoded")]
JSON = [("content-type", "application/json")]
MULTIPART = [("content-type", "multipart/form-data; boundary=x")]


@pytest.fixture
def app():
    app = Flask("program", static_folder=None)
    app.secret_key = "secret"
    return app


numbers = itertools.count()


def both(name):
    """Run the decorated test with plain and with async functions."""
    return pytest.mark.parametrize(name, [False, True], ids=["plain", "async"])


def make(is_async, function):
    """Return *function*, or a coroutine function that does the same after a pause."""
    if function.__name__ == "<lambda>":
        # Views that share a name share an endpoint.
        function.__name__ = f"view{next(numbers)}"
    if not is_async:
        return function

    async def wrapper(*args, **kwargs):
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    wrapper.__name__ = function.__name__
    return wrapper


# -- the request ----------------------------------------------------------------------------


@both("is_async")
def test_request_reads_without_await(app, gateway, is_async):
    def view(name):
        return {
            "name": name,
            "args": request.args.to_dict(),
            "form": request.form.to_dict(),
            "cookie": request.cookies.get("c"),
            "url": request.url,
            "agent": request.headers["User-Agent"],
            "address": request.remote_addr,
        }

    app.post("/<name>")(make(is_async, view))
    headers = [*FORM, ("cookie", "c=1"), ("user-agent", "me")]
    reply = gateway.post(app, "/%C3%A9?a=1&b=%20", b"x=1&y=2", headers=headers)
    assert kolben.json.loads(reply.body) == {
        "name": "é",
        "args": {"a": "1", "b": " "},
        "form": {"x": "1", "y": "2"},
        "cookie": "1",
        "url": "http://localhost/é?a=1&b=%20",
        "agent": "me",
        "address": "127.0.0.1",
    }


@both("is_async")
def test_json_files_and_data(app, gateway, is_async):
    app.post("/json")(make(is_async, lambda: request.json))
    app.post("/data")(make(is_async, lambda: request.get_data()[::-1]))

    def file():
        return request.files["f"].read()

    app.post("/file")(make(is_async, file))
    assert gateway.post(app, "/json", b'[1, "a"]', headers=JSON).body == b'[1,"a"]\n'
    assert gateway.post(app, "/json", b"[1", headers=JSON).status == 400
    assert gateway.post(app, "/data", [b"abc", b"def"]).body == b"fedcba"
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\n\r\n'
    content = b"0123456789" * 100_000
    body = [head, content[:400_000], content[400_000:], b"\r\n--x--\r\n"]
    assert gateway.post(app, "/file", body, headers=MULTIPART).body == content


@both("is_async")
def test_too_long_body_is_413(app, gateway, is_async):
    app.config["MAX_CONTENT_LENGTH"] = 10
    app.post("/")(make(is_async, lambda: request.get_data()))
    app.post("/ignored")(make(is_async, lambda: "ok"))
    assert gateway.post(app, "/", [b"0123456789"]).body == b"0123456789"
    assert gateway.post(app, "/", [b"012345", b"678901"]).status == 413
    assert gateway.post(app, "/ignored", [b"012345", b"678901"]).status == 200


@pytest.mark.parametrize("pieces", [[b"012345678901"], [b"012345", b"678901"]], ids=len)
def test_body_that_passes_the_limit_unannounced_is_413(app, pieces):
    app.config["MAX_CONTENT_LENGTH"] = 10
    app.post("/")(make(True, lambda: request.get_data()))
    assert Gateway("asgi").post(app, "/", pieces, chunked=True).status == 413
    assert Gateway("asgi").post(app, "/", [b"0123", b"45"], chunked=True).body == b"012345"


@both("is_async")
def test_body_cut_off_is_400_and_nothing_is_left(app, is_async):
    statuses = []
    app.post("/")(make(is_async, lambda: request.get_data()))
    app.teardown_request(lambda error: statuses.append(request.path))

    @app.after_request
    def see(response):
        statuses.append(response.status_code)
        return response

    reply = Gateway("asgi").post(app, "/", [b"012", b"345"], missing=4)
    assert reply.status == 400
    assert statuses == [400, "/"]


@both("is_async")
def test_client_that_leaves_is_no_error_of_the_server(app, is_async, caplog):
    """Above all not one that asyncio reports, as an exception that no code has looked at."""

    @app.post("/")
    @stream_body
    def view():
        with pytest.raises(ClientDisconnected):
            request.get_data()
        return "seen"

    @app.post("/async")
    @stream_body
    async def async_view():
        with pytest.raises(ClientDisconnected):
            async for _ in request.body_stream():
                pass
        return "seen"

    path = "/async" if is_async else "/"
    assert Gateway("asgi").post(app, path, [b"012", b"345"], missing=4).text == "seen"
    gc.collect()
    assert not caplog.records


FILE = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\ncontent\r\n--x--\r\n'


@lets_go_at_once
@both("is_async")
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("view", ["data", "file", "stream", "missing"])
def test_request_is_freed_without_the_garbage_collector(app, is_async, pieces, view):
    """Until that comes, a circle would keep what a request holds: uploads and connections."""

    def stream():
        request.files["f"].read()
        return Response(iter(["some", "pieces"]))

    views = {
        "data": lambda: request.get_data(),
        "file": lambda: request.files["f"].read(),
        "stream": stream,
    }
    if view == "missing":
        app.errorhandler(404)(make(is_async, lambda error: ("not here", 404)))
    else:
        app.post("/")(make(is_async, views[view]))

    class Receive:
        """Gives the pieces of the body; the server's own would hold the connection."""

        def __init__(self):
            size = len(FILE) // pieces
            self.ends = [*range(size, size * pieces, size), len(FILE)]
            self.begin = 0

        async def __call__(self):
            if not self.ends:
                await asyncio.sleep(PATIENCE)
            await asyncio.sleep(0)
            begin, self.begin = self.begin, self.ends.pop(0)
            body = FILE[begin : self.begin]
            return {"type": "http.request", "body": body, "more_body": bool(self.ends)}

    statuses = []

    async def send(message):
        statuses.append(message.get("status"))

    async def main():
        length = (b"content-length", b"%d" % len(FILE))
        headers = [length, *((k.encode(), v.encode()) for k, v in MULTIPART)]
        receive = Receive()
        scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
        await app(scope, receive, send)
        scope.clear()
        return weakref.ref(receive)

    async def several():
        # The first one of an application makes what it keeps.
        await main()
        gc.collect()
        gc.disable()
        try:
            kept = await main()
            # A worker thread may have to let go of its job yet.
            for _ in range(100):
                if kept() is None:
                    break
                await asyncio.sleep(0.01)
            return kept() is None
        finally:
            gc.enable()

    assert asyncio.run(several())
    assert (404 if view == "missing" else 200) in statuses


@both("is_async")
def test_body_longer_than_declared_is_400(app, is_async):
    app.post("/")(make(is_async, lambda: request.get_data()))
    reply = Gateway("asgi").post(app, "/", [b"012345"], missing=-3)
    assert reply.status == 400


async def post_five_bytes(app, receive):
    """Announce a body of five bytes, which *receive* gives; return what was sent."""
    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"content-length", b"5")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    await app(scope, receive, send)
    return sent


@both("is_async")
def test_client_that_sends_nothing_is_408(app, is_async):
    app.config["BODY_TIMEOUT"] = 0.01
    app.post("/")(make(is_async, lambda: request.get_data()))

    async def receive():
        await asyncio.sleep(1000)

    async def main():
        sent = await post_five_bytes(app, receive)
        assert len(asyncio.all_tasks()) == 1
        return sent

    assert asyncio.run(main())[0]["status"] == 408


@pytest.mark.parametrize("way", ["wsgi", "asgi"])
def test_session_and_hooks_of_an_application_that_an_async_view_returns(app, way):
    @app.get("/")
    async def view():
        def inner(environ, start_response):
            session["a"] = 1

            @kolben.after_this_request
            def mark(response):
                response.headers["X-After"] = "1"
                return response

            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"inner"]

        return inner

    for _ in range(2):
        reply = Gateway(way).get(app, "/")
        assert (reply.text, reply.header("X-After")) == ("inner", "1")
        assert reply.header("Set-Cookie")


def test_teardown_is_told_to_who_comes_to_listen_while_a_view_waits(app):
    ended = []

    @app.get("/<name>")
    async def view(name):
        if name == "slow":
            app.teardown_appcontext_funcs.append(lambda error: ended.append(error))
            # Another request of the route takes note of it.
            other = call_asgi(app, Asked("/quick"))
            await asyncio.create_task(other, context=contextvars.Context())
        return name

    for _ in range(2):
        Gateway("asgi").get(app, "/quick")
    Gateway("asgi").get(app, "/slow")
    assert len(ended) == 2


class Bare:
    """An awaitable as Granian's are: no generator, so that nothing can be thrown into it."""

    def __init__(self, future):
        self.future = future

    def __await__(self):
        return self

    def __next__(self):
        if self.future.done():
            raise StopIteration(self.future.result())
        self.future._asyncio_future_blocking = True
        return self.future


@both("is_async")
@pytest.mark.parametrize("comes", [True, False])
@pytest.mark.parametrize("begin", [b"", b"ab"])
def test_body_is_awaited_where_nothing_can_be_thrown_into_the_servers_awaitables(
    app, is_async, comes, begin
):
    app.config["BODY_TIMEOUT"] = 60 if comes else 0.01
    app.post("/")(make(is_async, lambda: request.get_data()))
    pieces = [begin] if begin else []
    if comes:
        pieces.append(b"abcde"[len(begin) :])

    def receive():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if pieces:
            message = {"type": "http.request", "body": pieces.pop(0), "more_body": True}
            loop.call_soon(future.set_result, message)
        return Bare(future)

    sent = asyncio.run(post_five_bytes(app, receive))
    assert sent[0]["status"] == (200 if comes else 408)
    assert not comes or sent[1]["body"] == b"abcde"


def test_receive_is_not_called_where_there_can_be_no_body(app):
    app.add_url_rule("/", view_func=make(True, lambda: "ok"), methods=["GET", "POST"])

    async def receive():
        raise AssertionError

    async def send(message):
        pass

    for method in ("GET", "POST"):
        scope = {"type": "http", "method": method, "path": "/", "headers": []}
        asyncio.run(app(scope, receive, send))


def test_http2_bodies_need_no_length(app):
    app.post("/")(make(True, lambda: request.get_data()))
    asked = Asked("/", "POST", body=[b"a", b"b"], scope={"http_version": "2"})
    asked.all_headers = list
    assert Gateway("asgi").ask(app, asked).body == b"ab"


def test_environ_from_scope(app):
    seen = {}

    @app.get("/<path:rest>")
    async def view(rest):
        seen.update(request.environ)
        return ""

    headers = [("cookie", "a=1"), ("cookie", "b=2"), ("accept", "x"), ("accept", "y")]
    headers.append(("x_forwarded_for", "evil"))
    scope = {"root_path": "/mount", "scheme": "https", "client": None, "server": ("h", None)}
    reply = Gateway("asgi").get(app, "/mount/%C3%A9?q", headers=headers, scope=scope)
    assert reply.status == 200
    expected = {
        "SCRIPT_NAME": "/mount",
        "PATH_INFO": "/Ã©",
        "QUERY_STRING": "q",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_ACCEPT": "x,y",
        "wsgi.url_scheme": "https",
        "SERVER_NAME": "h",
        "SERVER_PORT": "",
    }
    assert {key: seen[key] for key in expected} == expected
    assert "HTTP_X_FORWARDED_FOR" not in seen
    assert "REMOTE_ADDR" not in seen


@both("is_async")
@pytest.mark.parametrize(
    "scope",
    [
        {"path": None},
        {"path": b"/"},
        {"path": "/\ud800"},
        {"method": None},
        {"headers": [b"x"]},
        {"headers": [(b"cookie", "text")]},
        {"headers": [(b"host", None)]},
        {"query_string": 1, "headers": [(b"cookie", b"")]},
    ],
    ids=repr,
)
def test_malformed_scope_is_400_and_one_line_in_the_log(app, is_async, scope, caplog):
    app.get("/")(make(is_async, lambda: request.environ and "ok"))
    reply = Gateway("asgi").get(app, "/", scope=scope)
    assert reply.status == 400
    assert b"Traceback" not in reply.body
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@both("is_async")
@pytest.mark.parametrize(
    ("version", "protocol"),
    [
        ("1", "HTTP/1.0"),
        ("1.0", "HTTP/1.0"),
        ("1.1", "HTTP/1.1"),
        ("1.2", "HTTP/1.2"),
        ("2", "HTTP/2"),
        ("3", "HTTP/3"),
        ("4", "HTTP/4"),
        (None, "HTTP/1.1"),
    ],
)
def test_any_version_of_http_is_served(app, is_async, version, protocol):
    app.get("/")(make(is_async, lambda: request.environ["SERVER_PROTOCOL"]))
    gateway = Gateway("asgi")
    scope = {"http_version": version}
    assert gateway.get(app, "/", scope=scope).text == protocol
    assert gateway.get(app, "/nowhere", scope=scope).status == 404
    assert gateway.post(app, "/", b"x", scope=scope).status == 405


@both("is_async")
@pytest.mark.parametrize("method", ["M-SEARCH", "QUERY", "!#$%&'*+-.^_`|~09aZ"])
def test_any_method_is_served(app, is_async, method):
    app.get("/")(make(is_async, lambda: "ok"))
    gateway = Gateway("asgi")
    assert gateway.ask(app, Asked("/", method)).status == 405
    app = kolben.Flask(__name__)
    app.route("/", methods=[method])(make(is_async, lambda: request.method))
    assert gateway.ask(app, Asked("/", method)).text == method.upper()


OPTIONAL = ["http_version", "scheme", "raw_path", "query_string", "root_path", "headers"]
OPTIONAL += ["client", "server", "extensions", "asgi"]


@both("is_async")
@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize("name", OPTIONAL)
def test_a_scope_may_lack_what_the_specification_does_not_require(app, is_async, name, missing):
    app.get("/")(make(is_async, lambda: f"{request.url} {request.remote_addr} {request.args}"))
    app.get("/stream")(make(is_async, lambda: iter(["a", "b"])))

    async def ask(scope, receive, send):
        if missing:
            scope.pop(name, None)
        else:
            scope[name] = None
        await app(scope, receive, send)

    reply = Gateway("asgi").get(ask, "/")
    assert (reply.status, reply.text[:16]) == (200, "http://localhost")
    assert Gateway("asgi").get(ask, "/stream").text == "ab"


@both("is_async")
def test_headers_may_be_any_iterable(app, is_async):
    app.get("/")(make(is_async, lambda: request.headers["X-A"]))
    scope = {"headers": iter([[b"host", b"h"], [b"x-a", b"1"], (b"x-a", b"2")])}
    assert Gateway("asgi").get(app, "/", scope=scope).text == "1,2"


@pytest.mark.parametrize("scope", [{}, {"type": "other"}, {"type": None}], ids=repr)
def test_unknown_connection_gets_nothing(app, scope, caplog):
    async def never(*args):
        raise AssertionError

    asyncio.run(app(scope, never, never))
    assert len(caplog.records) == 1


def test_path_that_is_no_utf8(app, gateway):
    app.get("/<name>")(make(True, lambda name: name))
    assert gateway.get(app, "/%ff").text == "\ufffd"


# -- hooks, handlers, contexts --------------------------------------------------------------


@both("hooks_async")
@both("view_async")
def test_hooks_run_in_order_and_see_the_request(app, gateway, hooks_async, view_async):
    def hook(name, result=None):
        def function(*args):
            g.setdefault("calls", []).append(f"{name} {request.path}")
            return args[0] if args and result else None

        return make(hooks_async, function)

    torn_down = []

    def teardown(name):
        def function(error):
            torn_down.append((name, error, g.calls[0]))

        return make(hooks_async, function)

    bp = Blueprint("bp", __name__)
    app.before_request(hook("1"))
    bp.before_request(hook("2"))
    bp.after_request(hook("3", result=True))
    app.after_request(hook("4", result=True))

    @app.after_request
    async def report(response):
        response.headers["Calls"] = ", ".join(g.calls)
        return response

    app.teardown_request(teardown("a"))
    bp.teardown_request(teardown("b"))
    app.teardown_appcontext(teardown("c"))
    bp.get("/")(make(view_async, lambda: session.setdefault("x", "text")))
    app.register_blueprint(bp)
    reply = gateway.get(app, "/")
    assert reply.text == "text"
    # After-request functions run last registered first, so that `report` sees no "4".
    assert reply.header("Calls") == "1 /, 2 /, 3 /"
    assert reply.header("Set-Cookie").startswith("session=")
    assert torn_down == [(name, None, "1 /") for name in "bac"]


@both("hook_async")
@both("view_async")
def test_before_hook_answers_in_place_of_the_view(app, gateway, hook_async, view_async):
    app.before_request(make(hook_async, lambda: ("stopped", 403)))
    app.get("/")(make(view_async, lambda: 1 / 0))
    reply = gateway.get(app, "/")
    assert (reply.status, reply.text) == (403, "stopped")


@both("handler_async")
@both("view_async")
def test_errors_reach_the_same_handlers(app, gateway, handler_async, view_async):
    bp = Blueprint("bp", __name__, url_prefix="/bp")
    app.get("/key")(make(view_async, lambda: {}["missing"]))
    bp.get("/key")(make(view_async, lambda: {}["missing"]))
    app.get("/teapot")(make(view_async, lambda: abort(418)))
    app.get("/bug")(make(view_async, lambda: 1 / 0))

    def handler(name):
        return make(
            handler_async, lambda e: (f"{name} {type(e).__name__} {sys.exc_info()[1]!r}", 400)
        )

    app.register_error_handler(KeyError, handler("app"))
    bp.register_error_handler(LookupError, handler("bp"))
    app.register_error_handler(418, handler("teapot"))
    app.register_error_handler(404, handler("404"))
    app.register_blueprint(bp)
    assert gateway.get(app, "/key").text == "app KeyError KeyError('missing')"
    assert gateway.get(app, "/bp/key").text == "bp KeyError KeyError('missing')"
    assert gateway.get(app, "/teapot").text.startswith("teapot ImATeapot")
    assert gateway.get(app, "/nowhere").text.startswith("404 NotFound")
    assert gateway.get(app, "/bug").status == 500
    assert gateway.post(app, "/bug").status == 405


@both("view_async")
def test_unhandled_error_is_logged_reported_and_raised_where_configured(
    app, gateway, view_async, caplog
):
    seen = []
    kolben.got_request_exception.connect(lambda app, exception: seen.append(exception), app, False)
    app.get("/")(make(view_async, lambda: 1 / 0))
    app.teardown_request(lambda error: seen.append(error))
    app.register_error_handler(500, make(view_async, lambda e: (repr(e.original_exception), 500)))
    reply = gateway.get(app, "/")
    assert (reply.status, reply.text) == (500, "ZeroDivisionError('division by zero')")
    assert [type(error) for error in seen] == [ZeroDivisionError] * 2
    assert caplog.records[0].exc_info[0] is ZeroDivisionError

    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ZeroDivisionError):
        gateway.get(app, "/")


def test_replaced_methods_are_called(app, gateway):
    app.get("/")(make(True, lambda: 1 / 0))
    app.handle_user_exception = lambda e: f"handled {e}"
    assert gateway.get(app, "/").text == "handled division by zero"
    app.process_response = lambda response: Response("processed")
    assert gateway.get(app, "/").text == "processed"


@both("is_async")
def test_class_views(app, gateway, is_async):
    class Method(MethodView):
        get = make(is_async, lambda self: "get")
        post = make(is_async, lambda self: "post")

    class Plain(View):
        decorators = [lambda f: f]
        dispatch_request = make(is_async, lambda self, n: str(n))

    app.add_url_rule("/m", view_func=Method.as_view("m"))
    app.add_url_rule("/p/<int:n>", view_func=Plain.as_view("p"))
    assert gateway.get(app, "/m").text == "get"
    assert gateway.post(app, "/m").text == "post"
    assert gateway.get(app, "/p/7").text == "7"
    assert gateway.get(app, "/m", method="OPTIONS").header("allow") is not None


@both("is_async")
def test_context_processors(app, gateway, is_async):
    app.context_processor(make(is_async, lambda: {"name": request.args["name"]}))

    @app.get("/")
    def view():
        return kolben.render_template_string("Hello {{ name }}")

    assert gateway.get(app, "/?name=Ada").text == "Hello Ada"


def test_contexts_after_await_in_gather_in_tasks_and_threads(app, gateway):
    async def name():
        await asyncio.sleep(0)
        return f"{request.args['n']}{current_app.name}{g.x}"

    @app.get("/")
    async def view():
        g.x = "x"
        parts = [await name()]
        parts += await asyncio.gather(name(), name())
        parts.append(await asyncio.create_task(name()))
        parts.append(await asyncio.to_thread(lambda: request.args["n"]))
        parts.append(await asyncio.to_thread(app.ensure_sync(name)))
        return " ".join(parts)

    assert gateway.get(app, "/?n=1").text == " ".join(["1programx"] * 4 + ["1"] + ["1programx"])


def test_contexts_of_concurrent_requests_are_apart(app):
    @app.get("/async/<int:n>")
    async def view(n):
        g.n = n
        session["n"] = n
        await asyncio.sleep(0.001 * (n % 3))
        return f"{g.n} {session['n']} {request.args['n']}"

    @app.get("/plain/<int:n>")
    def plain(n):
        g.n = n
        return f"{g.n} {n} {request.args['n']}"

    async def main():
        kinds = ("async", "plain")
        asked = [Asked(f"/{kinds[n % 2]}/{n}?n={n}") for n in range(60)]
        calls = [call_asgi_alone(app, each) for each in asked]
        return await asyncio.gather(*calls)

    async def call_asgi_alone(app, asked):
        sent = []

        async def send(message):
            sent.append(message)

        path, _, query = asked.path.partition("?")
        scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode()}
        await app({**scope, "headers": []}, None, send)
        return sent[1]["body"].decode()

    assert asyncio.run(main()) == [f"{n} {n} {n}" for n in range(60)]


def test_async_functions_run_on_the_servers_loop_and_plain_ones_off_it(app):
    where = {}

    def note(name):
        def function(*args):
            try:
                where[name] = asyncio.get_running_loop()
            except RuntimeError:
                where[name] = threading.current_thread() is threading.main_thread()
            return args[0] if args and isinstance(args[0], Response) else None

        return function

    app.before_request(note("plain before"))
    app.before_request(make(True, note("async before")))
    app.after_request(note("plain after"))
    app.after_request(make(True, note("async after")))
    app.teardown_request(note("plain teardown"))
    app.teardown_request(make(True, note("async teardown")))
    app.get("/plain")(lambda: note("plain view")() or "ok")

    @app.get("/async")
    async def view():
        note("async view")()
        return "ok"

    async def main():
        loop = asyncio.get_running_loop()
        for path in ("/plain", "/async"):
            assert (await call_asgi(app, Asked(path))).text == "ok"
        for name, place in where.items():
            assert place is (loop if name.startswith("async") else False), name
        assert len(where) == 8

    asyncio.run(main())


def test_context_variables_pass_between_hooks_and_views(app, gateway):
    variable = contextvars.ContextVar("variable", default="unset")

    @app.before_request
    def plain():
        variable.set("plain")

    @app.before_request
    async def later():
        assert variable.get() == "plain"
        variable.set("async")

    app.get("/a")(make(True, lambda: variable.get()))
    app.get("/p")(make(False, lambda: variable.get()))
    assert gateway.get(app, "/a").text == "async"
    assert gateway.get(app, "/p").text == "async"


def test_plain_view_does_not_block_the_loop(app):
    go = threading.Event()
    app.get("/wait")(lambda: str(go.wait(10)))

    @app.get("/go")
    async def release():
        go.set()
        return "ok"

    async def main():
        first = asyncio.create_task(call_asgi_quietly(app, "/wait"))
        await asyncio.sleep(0.01)
        await call_asgi_quietly(app, "/go")
        assert await first == b"True"

    async def call_asgi_quietly(app, path):
        sent = []

        async def send(message):
            sent.append(message)

        await app({"type": "http", "method": "GET", "path": path, "headers": []}, None, send)
        return sent[1]["body"]

    asyncio.run(main())


def test_cancelled_view_is_torn_down(app):
    torn_down = []
    app.teardown_request(lambda error: torn_down.append(type(error)))
    app.teardown_appcontext(make(True, lambda error: torn_down.append(type(error))))

    @app.get("/")
    async def view():
        await asyncio.sleep(1000)

    async def main():
        task = asyncio.create_task(call_asgi(app, Asked("/")))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert torn_down == [asyncio.CancelledError] * 2


def test_signals(app, gateway):
    seen = []
    receivers = []
    for name in ("appcontext_pushed", "request_started", "request_finished"):

        def receiver(app, name=name, **kwargs):
            seen.append(name)

        receivers.append(receiver)
        getattr(kolben, name).connect(receiver, app)

    async def tearing(app, **kwargs):
        seen.append("request_tearing_down")

    kolben.request_tearing_down.connect(tearing, app)
    app.get("/")(make(True, lambda: "ok"))
    assert gateway.get(app, "/").text == "ok"
    assert seen == [
        "appcontext_pushed",
        "request_started",
        "request_finished",
        "request_tearing_down",
    ]


def test_after_this_request(app, gateway):
    @app.get("/")
    async def view():
        @kolben.after_this_request
        async def add(response):
            response.headers["X"] = "1"
            return response

        return "ok"

    assert gateway.get(app, "/").header("X") == "1"


@both("is_async")
def test_converter_may_look_at_the_request(app, gateway, is_async):
    class Longer(BaseConverter):
        def to_python(self, value):
            return f"{value} of {request.path}"

    app.url_map.converters["longer"] = Longer
    view = make(is_async, lambda a: f"{a}, {request.view_args}")
    app.add_url_rule("/<longer:a>/x", "view", view)

    assert gateway.get(app, "/q/x").text == "q of /q/x, {'a': 'q of /q/x'}"


# -- responses ------------------------------------------------------------------------------


@both("is_async")
def test_response_of_a_class_that_is_called(app, gateway, is_async):
    class Called(Response):
        def __call__(self, environ, start_response):
            start_response("202 ACCEPTED", [("X-Called", environ["PATH_INFO"])])
            yield b"called"

    app.get("/")(make(is_async, lambda: Called("unseen")))
    reply = gateway.get(app, "/")
    assert (reply.status, reply.header("X-Called"), reply.text) == (202, "/", "called")


@both("is_async")
def test_wsgi_application_as_result(app, gateway, is_async):
    def inner(environ, start_response):
        assert threading.current_thread() is not threading.main_thread() or not gateway.is_asgi
        start_response("200 OK", [("X", "1")])
        return [b"in", b"ner"]

    app.get("/")(make(is_async, lambda: inner))
    reply = gateway.get(app, "/")
    assert (reply.header("X"), reply.text) == ("1", "inner")


@both("is_async")
def test_files_ranges_and_conditional_requests(app, gateway, is_async, tmp_path):
    path = tmp_path / "file.bin"
    content = bytes(range(256)) * 4000
    path.write_bytes(content)
    app.get("/")(make(is_async, lambda: kolben.send_file(path, conditional=True)))
    reply = gateway.get(app, "/")
    assert reply.body == content
    assert reply.header("content-length") == str(len(content))
    assert gateway.get(app, "/", method="HEAD").body == b""
    part = gateway.get(app, "/", headers=[("range", "bytes=1000-600000")])
    assert (part.status, part.body) == (206, content[1000:600001])
    etag = reply.header("etag")
    assert gateway.get(app, "/", headers=[("if-none-match", etag)]).comparable[::2] == (304, b"")


def test_async_views_with_plain_hooks_do_not_wait_for_plain_views(app, tmp_path):
    """However many threads those hold: hooks, error handlers, teardown functions and files."""
    go_on = threading.Event()
    (tmp_path / "file").write_bytes(b"x" * 300_000)
    app.before_request(lambda: None)
    app.after_request(lambda response: response)
    app.teardown_request(lambda error: None)
    app.teardown_appcontext(lambda error: None)
    app.errorhandler(ValueError)(lambda error: "handled")

    @app.get("/wait")
    def wait():
        return str(go_on.wait(20))

    @app.get("/fail")
    async def fail():
        raise ValueError

    @app.get("/file")
    async def file():
        return kolben.send_file(tmp_path / "file")

    async def test():
        client = app.async_test_client(use_cookies=False)
        waiting = [asyncio.create_task(client.get("/wait")) for _ in range(60)]
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(10):
                assert (await client.get("/fail")).text == "handled"
                assert len((await client.get("/file")).data) == 300_000
            assert not any(task.done() for task in waiting)
        finally:
            go_on.set()
        assert {response.text for response in await asyncio.gather(*waiting)} == {"True"}

    asyncio.run(test())


# -- the application as an object -----------------------------------------------------------


def test_both_gateways_can_be_wrapped(app):
    app.get("/")(make(True, lambda: request.remote_addr))
    app.wsgi_app = ProxyFix(app.wsgi_app)
    inner = app.asgi_app

    async def middleware(scope, receive, send):
        await inner({**scope, "client": ("1.1.1.1", 1)}, receive, send)

    app.asgi_app = middleware
    assert Gateway("asgi").get(app, "/").text == "1.1.1.1"
    headers = [("x-forwarded-for", "2.2.2.2")]
    assert Gateway("wsgi").get(app, "/", headers=headers).text == "2.2.2.2"


def test_asgi_2_servers_and_bare_asgi_app(app):
    app.get("/")(make(True, lambda: "ok"))

    async def old(scope, receive, send):
        await app(scope)(receive, send)

    assert Gateway("asgi").get(old, "/").text == "ok"
    assert Gateway("asgi").get(app.asgi_app, "/").text == "ok"
    # Which is how uvicorn and hypercorn tell.
    assert inspect.iscoroutinefunction(app.asgi_app.__call__)


def test_import_does_not_import_asyncio():
    code = "import sys, kolben; print([m for m in ('asyncio', 'concurrent.futures') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


# -- the same answer over both gateways -----------------------------------------------------

RESULTS = {
    "text": lambda: "text é",
    "empty": lambda: "",
    "bytes": lambda: b"bytes",
    "dict": lambda: {"a": [1, None]},
    "list": lambda: [1],
    "tuple": lambda: ("t", 201, {"X-A": "1"}),
    "status": lambda: ("t", "299 ODD"),
    "headers": lambda: ("t", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]),
    "no content": lambda: ("", 204),
    "response": lambda: Response("r", mimetype="text/plain"),
    "pieces": lambda: Response(["a", "b"]),
    "iterator": lambda: iter(["a", b"b", ""]),
    "redirect": lambda: kolben.redirect("/elsewhere"),
    "session": lambda: session.update(n=1) or "s",
    "looks": lambda: request.path,
    "aborts": lambda: abort(409, "no"),
    "raises": lambda: 1 / 0,
    "none": lambda: None,
    "number": lambda: 5,
    "closing": lambda: closing(Response("c")),
}


def closing(response):
    response.call_on_close(lambda: None)
    return response


HOOKS = {
    "nothing": lambda: None,
    "looks": lambda: request.args.get("x") and None,
    "session": lambda: session.setdefault("hook", 1) and None,
    "answers": lambda: ("hook", 202),
    "raises": lambda: abort(403),
}


def after(name):
    def function(response):
        response.headers.add("X-After", name)
        return response

    return function


def without_time(comparable):
    """Leave out when a session was signed, which may be in two different seconds."""
    status, headers, body = comparable
    kept = [(k, re.sub(r"(session=[^.;]+)\.[^;]+", r"\1", v)) for k, v in headers]
    return status, kept, body


hook_lists = st.lists(st.tuples(st.sampled_from(sorted(HOOKS)), st.booleans()), max_size=2)
after_lists = st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=2)


@settings(max_examples=150, deadline=None)
@given(
    result=st.sampled_from(sorted(RESULTS)),
    view_async=st.booleans(),
    before_hooks=hook_lists,
    after_hooks=after_lists,
    handlers=st.lists(
        st.tuples(st.sampled_from([409, 404, 500, ZeroDivisionError]), st.booleans())
    ),
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "PUT"]),
    path=st.sampled_from(["/v", "/v/", "/s", "/none", "/n/5", "/n/x", "//v"]),
    cookie=st.booleans(),
)
def test_answers_equal_those_of_wsgi(
    result, view_async, before_hooks, after_hooks, handlers, method, path, cookie
):
    app = Flask("random_program", static_folder=None)
    app.secret_key = "secret"
    app.logger.disabled = True
    for name, is_async in before_hooks:
        app.before_request(make(is_async, HOOKS[name]))
    for name, is_async in after_hooks:
        app.after_request(make(is_async, after(name)))
    for kind, is_async in handlers:
        app.register_error_handler(kind, make(is_async, lambda e: (f"handled {e}", 400)))
    view = make(view_async, RESULTS[result])
    app.add_url_rule("/v", "v", view, methods=["GET", "POST"])
    app.add_url_rule("/s/", "s", view)
    app.add_url_rule("/n/<int:n>", "n", make(view_async, lambda n: str(n)))
    headers = [("cookie", "session=x; theme=dark")] if cookie else []
    body = b"" if method == "POST" else None
    asked = Asked(path, method, headers=headers, body=body)
    replies = [Gateway(name).ask(app, asked).comparable for name in ("asgi", "wsgi")]
    assert without_time(replies[0]) == without_time(replies[1])


# -- what changes on the way ------------------------------------------------------------------


@both("is_async")
def test_rules_that_are_added_later_are_found(app, gateway, is_async):
    app.get("/")(make(is_async, lambda: "first"))
    assert gateway.get(app, "/").text == "first"
    app.view_functions["second"] = make(is_async, lambda x: f"second {x}")
    app.url_map.add(Rule("/second/<x>", endpoint="second"))
    assert gateway.get(app, "/second/x").text == "second x"


@both("hook_async")
@both("view_async")
def test_after_hooks_are_those_of_the_rule_that_the_view_leaves(
    app, gateway, hook_async, view_async
):
    """As Flask has it: the blueprints of a request are those of its rule at that moment."""
    blueprint = Blueprint("other", __name__)

    def after(response):
        response.headers["X-Other"] = "other"
        return response

    def view():
        request.url_rule = next(app.url_map.iter_rules("other.view"))
        return "view"

    blueprint.after_request(make(hook_async, after))
    blueprint.add_url_rule("/other", "view", lambda: "other")
    app.register_blueprint(blueprint)
    app.get("/")(make(view_async, view))
    assert gateway.get(app, "/").header("X-Other") == "other"


@both("hook_async")
@both("view_async")
def test_a_stream_is_closed_where_an_after_hook_fails(app, gateway, hook_async, view_async):
    log = []

    class Pieces:
        def __iter__(self):
            return self

        def __next__(self):
            raise AssertionError("it is never sent")

        def close(self):
            log.append("closed")

    def fail(response):
        raise LookupError

    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.logger.disabled = True  # a record holds the traceback, and that the stream
    app.teardown_request(lambda error: log.append("teardown"))
    app.after_request(make(hook_async, fail))
    app.get("/")(make(view_async, lambda: kolben.stream_with_context(Pieces())))
    assert gateway.get(app, "/").status == 500
    gc.collect()
    assert log == ["closed", "teardown"]


@both("view_async")
def test_the_signal_of_a_context_that_ends_is_sent(app, gateway, view_async):
    log = []

    def popped(sender):
        log.append("popped")

    app.get("/")(make(view_async, lambda: log.append("view") or "view"))
    with kolben.appcontext_popped.connected_to(popped, app):
        assert gateway.get(app, "/").text == "view"
    assert log == ["view", "popped"]


@both("view_async")
def test_a_missing_field_is_named_in_debug_mode(app, gateway, view_async):
    app.post("/")(make(view_async, lambda: request.form["the_field"]))
    app.register_error_handler(BadRequestKeyError, lambda error: (error.description, 400))
    assert "the_field" not in gateway.post(app, "/", b"a=1", headers=FORM).text
    app.debug = True
    assert "the_field" in gateway.post(app, "/", b"a=1", headers=FORM).text


def test_what_an_agent_has_put_around_the_entrance_stays_there():
    code = """if True:
        import asyncio, kolben
        from kolben.engine.entry import ASGIApp

        app, seen = kolben.Flask("program"), []
        inner = ASGIApp.__call__

        async def traced(self, scope, receive, send):
            seen.append(scope["path"])
            await inner(self, scope, receive, send)

        ASGIApp.__call__ = traced

        @app.get("/")
        async def index():
            return "ok"

        async def send(message):
            seen.append(message["type"])

        async def ask():
            for _ in range(2):
                scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
                await app.asgi_app(scope, None, send)

        asyncio.run(ask())
        assert seen == ["/", "http.response.start", "http.response.body"] * 2, seen
        assert ASGIApp.__call__ is traced
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PROPFIND"])
@pytest.mark.parametrize(
    "result",
    [
        "ä" * 5000, "", ["ä" * 5000], {"a": 1}, b"bytes", ("text", 201), ({"a": 1}, 404), ("x", {"X-A": "b"}),
        ("no", 204), ("no", 304),
    ],
)  # fmt: skip
def test_headers_are_those_of_wsgi(app, method, result):
    async def view():
        return result

    app.add_url_rule("/", view_func=view, methods=["GET", "PROPFIND"])
    replies = [Gateway(kind).get(app, "/", method=method).comparable for kind in ("wsgi", "asgi")]
    assert replies[0] == replies[1]


def response_with(*pairs, status=200, body="body"):
    response = kolben.Response(body, status)
    for name, value in pairs:
        response.headers.add(name, value)
    return response


RESPONSES = {
    "its own headers": lambda: response_with(("X-One", "ä"), ("x-two", "b"), ("X-One", "c")),
    "a cookie": lambda: response_with(("Set-Cookie", "a=b"), ("Set-Cookie", "c=d; Path=/")),
    "a place": lambda: response_with(("Location", "/there?a=b"), status=303),
    "a place that is no URI": lambda: response_with(("Location", "/ä ö"), status=302),
    "two places": lambda: response_with(("Location", "/a"), ("Location", "/b"), status=302),
    "no place": lambda: response_with(status=302),
    "a place that was made": lambda: response_with(("Location", "/made"), status=201),
    "a place besides": lambda: response_with(("Location", "/ä")),
    "several pieces": lambda: kolben.Response(["a", b"b"]),
    "one piece of unknown length": lambda: kolben.Response([b"a"], headers={"X-One": "b"}),
    "nothing": kolben.Response,
    "another length": lambda: response_with(("content-length", "4")),
    "only a length": lambda: kolben.Response(b"abc", mimetype=""),
    "a status of its own": lambda: kolben.Response("a", "299 Odd"),
    "no body": lambda: kolben.Response("a", 304),
    "plain headers": lambda: replaced(headers=Headers({"Content-Length": "4", "X-One": "a"})),
    "text for a piece": lambda: replaced(response=["body"]),
    "what is passed through": lambda: kolben.Response(iter([b"a"]), direct_passthrough=True),
    "what is closed": lambda: closed_response(),
}


def replaced(**attributes):
    response = kolben.Response("body")
    for name, value in attributes.items():
        setattr(response, name, value)
    return response


def closed_response():
    response = kolben.Response("body")
    response.call_on_close(lambda: None)
    return response


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("kind", RESPONSES)
def test_responses_have_the_headers_of_wsgi(app, method, kind):
    @app.get("/")
    async def view():
        return RESPONSES[kind]()

    kinds = ("wsgi", "asgi", "asgi", "asgi")
    first, *others = [Gateway(kind).get(app, "/", method=method).comparable for kind in kinds]
    assert all(other == first for other in others)


def test_a_value_that_no_header_can_have_is_refused_as_by_a_server(app):
    @app.get("/")
    async def view():
        return response_with(("X-Name", "Ж"))

    with pytest.raises(UnicodeEncodeError):
        Gateway("asgi").get(app, "/")


@pytest.mark.parametrize("what", ["view", "request", "error"])
def test_what_an_async_hook_changes_counts_for_this_request(app, gateway, what):
    """It has seen the request, replaced the view, or failed."""

    @app.before_request
    async def look():
        if what == "request":
            request.view_args["name"] = "other"
        elif what == "view":
            app.view_functions["view"] = other
        else:
            raise KeyError

    @app.errorhandler(KeyError)
    async def failed(error):
        return "failed"

    @app.get("/<name>")
    async def view(name):
        return name

    async def other(name):
        return f"another's {name}"

    expected = {"view": "another's ada", "request": "other", "error": "failed"}[what]
    for _ in range(2):
        assert gateway.get(app, "/ada").body.decode() == expected


def test_hosts_are_remembered_to_an_end(app, monkeypatch):
    hosts = kolben.asgi.gateway._OddHosts()
    monkeypatch.setattr(kolben.asgi.gateway, "_odd_hosts", hosts)
    monkeypatch.setattr(kolben.engine.urls, "plain_hosts", {})  # kept from filling up, too
    app.get("/")(make(True, lambda: request.host))

    async def ask():
        client = app.async_test_client()
        for number in range(hosts._MOST + 10):
            reply = await client.get("/", headers={"Host": f"host-{number}.example"})
            assert reply.text == f"host-{number}.example"
        assert (await client.get("/", headers={"Host": "a..b"})).status_code == 400

    asyncio.run(ask())
    assert len(hosts) == hosts._MOST


def test_json_of_another_type_has_the_headers_of_wsgi(app):
    app.json.mimetype = "text/json"

    @app.get("/")
    async def view():
        return {"a": 1}

    replies = [Gateway(kind).get(app, "/").comparable for kind in ("wsgi", "asgi", "asgi")]
    assert replies[1] == replies[0] == replies[2]


def test_session_is_saved_that_the_making_of_the_response_has_opened(app, gateway):
    class Provider(kolben.json.provider.DefaultJSONProvider):
        def response(self, *args, **kwargs):
            session["made"] = True
            return super().response(*args, **kwargs)

    app.json = Provider(app)

    @app.get("/")
    async def view():
        return {"a": 1}

    for _ in range(2):
        assert "session=" in (gateway.get(app, "/").header("Set-Cookie") or "")


def test_what_is_patched_while_a_lifespan_goes_on_counts_soon(monkeypatch):
    monkeypatch.setattr("kolben.asgi.gateway.BETWEEN_LOOKS", 0.005)
    app = kolben.Flask(__name__)
    app.add_url_rule("/", "view", lambda: "text")

    async def serve():
        to_app = asyncio.Queue()
        answers = asyncio.Queue()
        running = asyncio.create_task(app.asgi_app({"type": "lifespan"}, to_app.get, answers.put))
        to_app.put_nowait({"type": "lifespan.startup"})
        assert (await answers.get())["type"] == "lifespan.startup.complete"
        app.engine_plan.decide(app)
        assert app.engine_plan.short_way
        dispatch = kolben.Flask.dispatch_request
        monkeypatch.setattr(kolben.Flask, "dispatch_request", lambda self: dispatch(self))
        async with asyncio.timeout(10):
            while app.engine_plan.short_way:  # noqa: ASYNC110 (nothing tells that it was looked)
                await asyncio.sleep(0.005)
        to_app.put_nowait({"type": "lifespan.shutdown"})
        await running

    asyncio.run(serve())


@both("is_async")
def test_context_of_an_earlier_request_of_the_connection_is_forgotten(app, is_async):
    """uvicorn goes on reading in the context variables of a request whose body is long."""

    def view():
        before = g.get("seen", "nothing")
        g.seen = "something"
        return f"{before} {len(request.get_data())}"

    app.post("/")(make(is_async, view))
    left = []

    @app.post("/first")
    async def first():
        g.seen = "the first's"
        left.append(contextvars.copy_context())
        return ""

    async def ask(path):
        return await call_asgi(app.asgi_app, Asked(path, "POST", body=[b"a" * 10, b"b" * 10]))

    async def test():
        await ask("/first")
        task = asyncio.get_running_loop().create_task(ask("/"), context=left[0])
        return (await task).text

    assert asyncio.run(test()) == "nothing 20"


def test_a_context_that_is_not_over_stays_in_force_behind_a_request_within_it(app):
    @app.get("/")
    async def view():
        return g.get("seen", "nothing")

    async def test():
        with app.app_context():
            g.seen = "something"
            reply = await call_asgi(app.asgi_app, Asked("/"))
            assert g.seen == "something"
        return reply.text

    assert asyncio.run(test()) == "something"


class Shouted(BaseConverter):
    def to_python(self, value):
        return value.upper()


@both("is_async")
def test_what_werkzeug_matches_may_be_a_plain_view(app, gateway, is_async):
    """A path that the route index does not have, such as one with two slashes in front."""
    app.url_map.converters["shouted"] = Shouted
    app.get("/text")(make(is_async, lambda: "text"))
    app.get("/response/<name>")(make(is_async, lambda name: Response(name)))
    app.post("/body")(make(is_async, lambda: request.get_data(as_text=True)))
    app.get("/json/<int:number>")(make(is_async, lambda number: {"number": number}))
    app.get("/shout/<shouted:word>")(make(is_async, lambda word: word))
    asked = [("GET", "text", "text"), ("GET", "response/a", "a"), ("GET", "shout/a", "A")]
    asked += [("GET", "json/1", '{"number":1}\n'), ("POST", "body", "sent")]
    for _ in range(3):  # the first prepares the route
        for slashes in ("/", "//", "///"):
            for method, path, body in asked:
                sent = b"sent" if method == "POST" else b""
                answer = gateway.ask(app, Asked(slashes + path, method, body=sent))
                assert (answer.status, answer.text) == (200, body)


def trust(app):
    app.config["TRUSTED_HOSTS"] = ["localhost"]


def wrap(app):
    app.wsgi_app = ProxyFix(app.wsgi_app)


def replace_a_step(app):
    app.dispatch_request = app.dispatch_request


#: What has a request go the way of WSGI under ASGI, too: settings, and what a client sends.
PLAIN_WAYS = {
    "trusted hosts": (trust, []),
    "middleware": (wrap, []),
    "replaced step": (replace_a_step, []),
    "subdomains": (lambda app: setattr(app, "subdomain_matching", True), []),
    "upgrade": (lambda app: None, [("upgrade", "h2c"), ("connection", "upgrade")]),
}


@pytest.fixture(params=PLAIN_WAYS)
def plain_way(request, app):
    change, headers = PLAIN_WAYS[request.param]
    change(app)
    return headers


def post_in_pieces(app, path, pieces, headers, **asked):
    return asyncio.run(call_asgi(app, Asked(path, "POST", body=pieces, headers=headers, **asked)))


@pytest.mark.parametrize("size", [2, 99_999, 1_200_000])
def test_an_async_view_reads_a_body_in_pieces_on_the_way_of_wsgi(app, plain_way, size):
    app.post("/data")(make(True, lambda: request.get_data()))
    app.post("/form")(make(True, lambda: request.form["a"]))
    text = b"x" * size
    pieces = [b"a=", text[: size // 2], text[size // 2 :]]
    form = [*plain_way, *FORM]
    app.config["MAX_FORM_MEMORY_SIZE"] = None
    for _ in range(2):
        assert post_in_pieces(app, "/data", pieces, plain_way).body == b"a=" + text
        assert post_in_pieces(app, "/form", pieces, form).body == text


def test_so_does_an_async_hook_of_a_plain_view(app, plain_way):
    @app.before_request
    async def look():
        kolben.g.name = request.form["a"]

    app.post("/")(lambda: kolben.g.name + request.form["a"])
    for pieces in ([b"a=1"], [b"a", b"=", b"1"]):
        assert post_in_pieces(app, "/", pieces, [*plain_way, *FORM]).text == "11"


def test_a_body_over_the_limit_is_413_on_the_way_of_wsgi(app, plain_way):
    app.config["MAX_CONTENT_LENGTH"] = 10
    app.post("/")(make(True, lambda: request.get_data()))
    pieces = [b"12345"] * 5
    assert post_in_pieces(app, "/", pieces, plain_way).status == 413
    assert post_in_pieces(app, "/", pieces, plain_way, chunked=True).status == 413
    assert post_in_pieces(app, "/", pieces[:2], plain_way, chunked=True).body == b"1234512345"


def test_a_body_that_is_cut_off_is_400_on_the_way_of_wsgi(app, plain_way):
    app.post("/")(make(True, lambda: request.get_data()))
    app.post("/other")(make(True, lambda: "not looked at"))
    assert post_in_pieces(app, "/", [b"01", b"2"], plain_way, missing=4).status == 400
    assert post_in_pieces(app, "/other", [b"01", b"2"], plain_way, missing=4).status == 200


def test_a_view_that_streams_its_body_does_so_on_the_way_of_wsgi(app, plain_way):
    @app.post("/")
    @kolben.stream_body
    async def view():
        return {"pieces": [piece.decode() async for piece in request.body_stream()]}

    reply = post_in_pieces(app, "/", [b"one", b"two", b"three"], plain_way)
    assert "".join(json.loads(reply.body)["pieces"]) == "onetwothree"


def test_middleware_may_run_a_coroutine_before_there_is_a_request(app):
    async def nothing():
        await asyncio.sleep(0)

    inner = app.wsgi_app

    def middleware(environ, start_response):
        async_to_sync(nothing)()
        return inner(environ, start_response)

    app.wsgi_app = middleware
    app.post("/")(make(True, lambda: request.get_data()))
    assert post_in_pieces(app, "/", [b"one", b"two"], []).body == b"onetwo"
