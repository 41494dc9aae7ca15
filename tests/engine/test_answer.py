"""The engine: which way a request takes, and that no client can tell from the answer."""

from __future__ import annotations

import functools
import gc
import inspect
import operator
import threading
import typing as t
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.test import EnvironBuilder, run_wsgi_app

import kolben
from kolben import request
from kolben.concurrency import is_coroutine_function
from kolben.engine import answer, plan


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__, static_folder=None)
    app.secret_key = "secret"
    app.add_url_rule("/", "index", lambda: "index")
    app.add_url_rule("/<int:x>", "number", lambda x: str(x + 1))
    return app


def send(app: t.Any, path: str = "/", **values: t.Any) -> tuple[str, t.Any, bytes]:
    """Status, headers, body, as a server gets them."""
    started: list[t.Any] = []
    body = app(EnvironBuilder(path, **values).get_environ(), lambda *given: started.append(given))
    text = b"".join(body)
    getattr(body, "close", lambda: None)()
    (status, headers), *more = started
    assert not more
    return status, headers, text


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that the engine was asked for."""
    asked: list[str] = []
    make_context = answer.RequestContext

    def spy(app: t.Any, environ: t.Any, *others: t.Any) -> t.Any:
        asked.append(environ["PATH_INFO"])
        return make_context(app, environ, *others)

    monkeypatch.setattr(answer, "RequestContext", spy)
    return asked


# -- which way -------------------------------------------------------------------------------


def test_a_plain_application_takes_the_short_way(app: kolben.Flask, engine: list[str]) -> None:
    assert send(app)[2] == b"index"
    assert send(app, "/7")[2] == b"8"
    assert send(app, "/missing")[0] == "404 NOT FOUND"
    assert engine == ["/", "/7", "/missing"]


def test_a_subclass_that_overrides_no_step_takes_it_too(engine: list[str]) -> None:
    class Own(kolben.Flask):
        def url_for(self, *arguments: t.Any, **values: t.Any) -> str:
            return super().url_for(*arguments, **values)

    app = Own(__name__)
    app.add_url_rule("/", view_func=lambda: "x")
    assert send(app)[2] == b"x"
    assert engine == ["/"]


@pytest.mark.parametrize("step", plan.STEPS)
def test_a_step_overridden_in_a_class_is_called(step: str, engine: list[str]) -> None:
    called: list[str] = []
    original = getattr(kolben.Flask, step)
    if inspect.isfunction(original):

        @functools.wraps(original)
        def own(*arguments: t.Any, **values: t.Any) -> t.Any:
            called.append(step)
            return original(*arguments, **values)

    elif inspect.isclass(original):
        own = type("Own", (original,), {})
    else:
        own = type(original)()
    app = type("OwnFlask", (kolben.Flask,), {step: own})(__name__)
    app.add_url_rule("/", view_func=lambda: "x")
    send(app, "/missing")
    assert send(app)[2] == b"x"
    assert engine == []
    if inspect.isfunction(original) and step not in {"async_to_sync", "should_ignore_error"}:
        assert called


@pytest.mark.parametrize("step", plan.STEPS)
def test_a_step_replaced_on_the_instance_is_called_from_the_next_request_on(
    app: kolben.Flask, step: str, engine: list[str]
) -> None:
    send(app)
    assert engine == ["/"]
    original = getattr(app, step)
    setattr(app, step, original)
    assert send(app)[2] == b"index"
    assert engine == ["/"]
    if step in app.__dict__:
        delattr(app, step)
    send(app)
    assert engine == ["/", "/"]


def test_subdomain_matching_takes_the_named_steps(app: kolben.Flask, engine: list[str]) -> None:
    send(app)
    app.subdomain_matching = True
    send(app)
    app.subdomain_matching = False
    send(app)
    assert engine == ["/", "/"]


@pytest.mark.parametrize("host", ["a..b", ".a", "a" * 64, "a" * 63 + ".b"])
def test_an_unusual_host_is_a_matter_for_werkzeug(
    app: kolben.Flask, engine: list[str], host: str
) -> None:
    status = send(app, headers={"Host": host})[0]
    app.dispatch_request = app.dispatch_request  # type: ignore[method-assign]
    assert send(app, headers={"Host": host})[0] == status
    assert engine == []


@pytest.mark.parametrize(("name", "status"), [("a..b", "400"), (".a", "400"), ("a", "200")])
def test_so_is_an_unusual_name_of_the_server_where_no_host_is_named(
    app: kolben.Flask, name: str, status: str
) -> None:
    environ = EnvironBuilder("/").get_environ() | {"SERVER_NAME": name}
    del environ["HTTP_HOST"]
    assert run_wsgi_app(app, environ)[1][:3] == status


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_what_middleware_takes_for_a_web_socket_is_none_of_a_plain_rules(
    app: kolben.Flask, scheme: str
) -> None:
    for status in ("200 OK", "400 BAD REQUEST"):
        environ = EnvironBuilder("/").get_environ()
        headers = {"X-Forwarded-Proto": scheme}
        assert run_wsgi_app(app, EnvironBuilder("/", headers=headers).get_environ())[1] == status
        assert run_wsgi_app(app, environ)[1] == "200 OK"
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]


def test_a_web_socket_is_a_matter_for_werkzeug(app: kolben.Flask, engine: list[str]) -> None:
    app.url_map.add(Rule("/ws", endpoint="index", websocket=True))
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert send(app, "/ws", headers=upgrade)[0] == "200 OK"
    assert send(app, "/ws")[0] == "400 BAD REQUEST"
    assert engine == ["/ws"]


def test_a_request_inside_a_context_takes_the_named_steps(
    app: kolben.Flask, engine: list[str]
) -> None:
    with app.app_context() as context:
        kolben.g.outside = 1
        app.add_url_rule("/g", view_func=lambda: str(kolben.g.outside))
        assert send(app, "/g")[2] == b"1"
        assert kolben.globals.app_ctx._get_current_object() is context  # type: ignore[attr-defined]
    assert engine == []


# -- what may change at any time -------------------------------------------------------------


def test_the_url_map_can_be_replaced_and_added_to(app: kolben.Flask) -> None:
    assert send(app)[2] == b"index"
    app.url_map = Map([Rule("/only/<x>", endpoint="only")])
    app.view_functions = {"only": lambda x: x}
    assert send(app, "/only/this")[2] == b"this"
    assert send(app)[0] == "404 NOT FOUND"
    app.url_map.add(Rule("/", endpoint="later"))
    app.view_functions["later"] = lambda: "later"
    assert send(app)[2] == b"later"


def test_a_view_can_be_replaced(app: kolben.Flask) -> None:
    assert send(app)[2] == b"index"
    app.view_functions["index"] = lambda: "new"
    assert send(app)[2] == b"new"

    async def coroutine() -> str:
        return "async"

    app.view_functions["index"] = coroutine
    assert send(app)[2] == b"async"
    del app.view_functions["index"]
    app.testing = True
    with pytest.raises(KeyError, match="index"):
        send(app)


def test_hooks_written_to_the_dictionaries_are_live(app: kolben.Flask) -> None:
    send(app)
    log: list[t.Any] = []

    def before() -> None:
        log.append("before")

    def after(response: kolben.Response) -> kolben.Response:
        log.append(response.status_code)
        return response

    def teardown(error: BaseException | None) -> None:
        log.append(error)

    def preprocess(endpoint: str | None, values: dict[str, t.Any] | None) -> None:
        log.append((endpoint, values))

    app.before_request_funcs.setdefault(None, []).append(before)
    app.after_request_funcs.setdefault(None, []).append(after)
    app.teardown_request_funcs.setdefault(None, []).append(teardown)
    app.teardown_appcontext_funcs.append(teardown)
    app.url_value_preprocessors.setdefault(None, []).append(preprocess)
    send(app, "/7")
    assert log == [("number", {"x": 7}), "before", 200, None, None]
    log.clear()
    app.before_request_funcs[None].remove(before)
    app.after_request_funcs[None].remove(after)
    app.teardown_request_funcs[None].remove(teardown)
    app.teardown_appcontext_funcs.remove(teardown)
    app.url_value_preprocessors[None].remove(preprocess)
    send(app, "/7")
    assert log == []
    app.error_handler_spec[None][404][NotFound] = lambda error: ("handled", 410)
    assert send(app, "/missing")[0] == "410 GONE"


def test_a_hook_may_change_what_was_matched(app: kolben.Flask) -> None:
    @app.before_request
    def change() -> None:
        if request.path == "/missing":
            request.url_rule = Rule("/x", endpoint="number")
            request.view_args = {"x": 1}
            request.routing_exception = None
        elif request.view_args:
            request.view_args = {"x": 5}

    assert send(app, "/7")[2] == b"6"
    assert send(app, "/missing")[2] == b"2"
    assert send(app)[2] == b"index"


def test_options_are_answered_unless_the_view_does(app: kolben.Flask) -> None:
    app.add_url_rule("/own", "own", lambda: "own", methods=["GET", "OPTIONS"])
    headers = dict(send(app, "/7", method="OPTIONS")[1])
    assert set(headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert send(app, "/own", method="OPTIONS")[2] == b"own"
    app.before_request_funcs[None].append(lambda: request.path and None)
    assert dict(send(app, "/7", method="OPTIONS")[1])["Allow"] == headers["Allow"]


def test_default_types_of_response_and_provider_are_read_at_use(
    app: kolben.Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.add_url_rule("/json", "json", lambda: {"a": 1})
    assert dict(send(app)[1])["Content-Type"] == "text/html; charset=utf-8"
    app.json.mimetype = "application/x+json"  # type: ignore[attr-defined]
    assert dict(send(app, "/json")[1])["Content-Type"] == "application/x+json"
    monkeypatch.setattr(kolben.Response, "default_mimetype", "text/plain")
    assert dict(send(app)[1])["Content-Type"] == "text/plain; charset=utf-8"
    monkeypatch.setattr(kolben.Response, "default_mimetype", None)
    assert "Content-Type" not in dict(send(app)[1])


def test_signals_connected_later_are_sent(app: kolben.Flask) -> None:
    send(app)
    log: list[t.Any] = []
    receivers: list[t.Any] = []
    names = (
        "appcontext_pushed", "request_started", "request_finished",
        "request_tearing_down", "appcontext_tearing_down", "appcontext_popped",
    )  # fmt: skip
    for name in names:

        def note(sender: t.Any, name: str = name, **values: t.Any) -> None:
            log.append((name, sender is app))

        receivers.append(note)
        getattr(kolben, name).connect(note)
    send(app)
    for name, receiver in zip(names, receivers, strict=True):
        getattr(kolben, name).disconnect(receiver)
    assert log == [(name, True) for name in names]
    send(app)
    assert len(log) == len(names)


def test_what_a_view_connects_or_registers_counts_for_its_own_request(app: kolben.Flask) -> None:
    log: list[str] = []
    receivers: list[t.Any] = []

    def after(response: kolben.Response) -> kolben.Response:
        log.append("after")
        return response

    def view() -> str:
        for name in (
            "request_started", "request_finished", "request_tearing_down",
            "appcontext_tearing_down", "appcontext_popped",
        ):  # fmt: skip
            receivers.append(lambda sender, name=name, **values: log.append(name))
            getattr(kolben, name).connect(receivers[-1], app)
        app.after_request_funcs[None].append(after)
        app.teardown_request_funcs[None].append(lambda error: log.append("teardown_request"))
        app.teardown_appcontext_funcs.append(lambda error: log.append("teardown_appcontext"))
        return "view"

    app.view_functions["index"] = view
    send(app, "/7")
    assert send(app)[2] == b"view"
    at_end = [
        "after", "request_finished", "teardown_request", "request_tearing_down",
        "teardown_appcontext", "appcontext_tearing_down", "appcontext_popped",
    ]  # fmt: skip
    assert log == at_end
    log.clear()
    send(app, "/7")
    assert log == ["request_started", *at_end]


LIST_ADDITIONS: dict[str, t.Callable[[list[t.Any], t.Any], None]] = {
    "append": lambda table, f: table.append(f),
    "extend": lambda table, f: table.extend([f]),
    "insert": lambda table, f: table.insert(0, f),
    "add in place": lambda table, f: operator.iadd(table, [f]),
    "slice": lambda table, f: table.__setitem__(slice(0, 0), [f]),
}


@pytest.mark.parametrize("add", LIST_ADDITIONS.values(), ids=LIST_ADDITIONS)
@pytest.mark.parametrize("table", ["teardown_appcontext_funcs", "teardown_request_funcs"])
def test_teardown_functions_count_from_the_next_request_on(
    app: kolben.Flask, table: str, add: t.Callable[[list[t.Any], t.Any], None]
) -> None:
    send(app)
    log: list[t.Any] = []
    functions = getattr(app, table)
    functions = functions[None] if isinstance(functions, dict) else functions
    add(functions, log.append)
    send(app)
    assert log == [None]
    functions.clear()
    send(app)
    assert log == [None]


def test_a_table_of_teardown_functions_may_be_replaced(app: kolben.Flask) -> None:
    send(app)
    log: list[t.Any] = []
    app.teardown_appcontext_funcs = []
    send(app)
    app.teardown_appcontext_funcs.append(log.append)
    send(app)
    assert log == [None]


SETTINGS: dict[str, t.Callable[[kolben.Flask, t.Any], None]] = {
    "item": lambda app, value: app.config.__setitem__("TRUSTED_HOSTS", value),
    "update": lambda app, value: app.config.update(TRUSTED_HOSTS=value),
    "or": lambda app, value: t.cast("None", app.config.__ior__({"TRUSTED_HOSTS": value})),
    "mapping": lambda app, value: t.cast("None", app.config.from_mapping(TRUSTED_HOSTS=value)),
    "another": lambda app, value: setattr(app, "config", {**app.config, "TRUSTED_HOSTS": value}),
}


@pytest.mark.parametrize("change", SETTINGS.values(), ids=SETTINGS)
def test_trusted_hosts_count_from_the_next_request_on(
    app: kolben.Flask, change: t.Callable[[kolben.Flask, t.Any], None]
) -> None:
    assert send(app)[0] == "200 OK"
    change(app, ["example.com"])
    assert send(app)[0] == "400 BAD REQUEST"
    assert send(app, base_url="http://example.com")[0] == "200 OK"
    change(app, None)
    assert send(app)[0] == "200 OK"


def test_another_response_class_counts_from_the_next_request_on(app: kolben.Flask) -> None:
    class Plain(kolben.Response):
        default_mimetype = "text/plain"

    send(app)
    app.response_class = Plain
    assert dict(send(app)[1])["Content-Type"] == "text/plain; charset=utf-8"
    app.response_class = kolben.Response
    assert dict(send(app)[1])["Content-Type"] == "text/html; charset=utf-8"


# -- matching -------------------------------------------------------------------------------


def test_a_converter_may_look_at_the_request() -> None:
    class Longer(BaseConverter):
        def to_python(self, value: str) -> str:
            assert request.view_args is None
            return f"{value} of {request.path}"

    app = kolben.Flask(__name__, static_folder=None)
    app.url_map.converters["longer"] = Longer

    @app.get("/<longer:a>/x")
    def view(a: str) -> str:
        return f"{a}, {request.view_args} {request.endpoint}"

    expected = b"q of /q/x, {'a': 'q of /q/x'} view"
    assert send(app, "/q/x")[2] == expected
    app.before_request_funcs[None].append(lambda: None)
    assert send(app, "/q/x")[2] == expected


def test_what_a_request_says_of_its_routing_can_be_changed(app: kolben.Flask) -> None:
    seen: list[t.Any] = []

    @app.get("/see/<x>")
    def see(x: str) -> str:
        own = request._get_current_object()  # type: ignore[attr-defined]
        seen.extend([own.url_rule.rule, own.view_args, own.view_args is own.view_args])
        own.view_args = {"x": "y"}
        seen.extend([own.url_rule.rule, own.view_args, own.routing_exception])
        own.routing_exception = error = NotFound()
        own.url_rule = None
        seen.extend([own.url_rule, own.view_args, own.routing_exception is error])
        return x

    assert send(app, "/see/x")[2] == b"x"
    assert seen[:3] == ["/see/<x>", {"x": "x"}, True]
    assert seen[3:] == ["/see/<x>", {"x": "y"}, None, None, {"x": "y"}, True]


# -- coroutine functions ---------------------------------------------------------------------


async def coroutine() -> None: ...
async def generator() -> t.AsyncIterator[int]:
    yield 1


class Callable_:
    async def __call__(self) -> None: ...
    async def method(self) -> None: ...
    def plain(self) -> None: ...


def marked() -> None: ...


inspect_mark = getattr(inspect, "markcoroutinefunction", lambda function: coroutine)
FUNCTIONS: dict[str, t.Callable[..., t.Any]] = {
    "plain": lambda: None,
    "coroutine": coroutine,
    "asynchronous generator": generator,
    "object": Callable_(),
    "method": Callable_().method,
    "plain method": Callable_().plain,
    "partial": functools.partial(coroutine),
    "plain partial": functools.partial(marked),
    "marked": inspect_mark(lambda: None),
    "builtin": len,
    "class": Callable_,
}


def with_attribute() -> None: ...


with_attribute.anything = 1  # type: ignore[attr-defined]
FUNCTIONS["with an attribute"] = with_attribute


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_coroutine_functions_are_those_of_inspect(kind: str, app: kolben.Flask) -> None:
    function = FUNCTIONS[kind]
    expected = inspect.iscoroutinefunction(function)
    assert is_coroutine_function(function) == expected
    assert (app.ensure_sync(function) is not function) == expected


# -- threads ---------------------------------------------------------------------------------


def test_first_requests_may_come_all_at_once() -> None:
    for _ in range(20):
        app = kolben.Flask(__name__)
        app.secret_key = "secret"
        for number in range(20):
            app.add_url_rule(f"/{number}/<x>", f"v{number}", lambda x, n=number: f"{n} {x}")
        barrier = threading.Barrier(8)

        def first(number: int, app: t.Any = app, barrier: t.Any = barrier) -> bytes:
            barrier.wait()
            return send(app, f"/{number}/a")[2]

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(first, range(8))) == [b"%d a" % n for n in range(8)]


def test_rules_may_be_added_and_methods_replaced_while_serving(app: kolben.Flask) -> None:
    done = threading.Event()
    wrong: list[t.Any] = []

    def serve() -> None:
        while not done.is_set():
            for path, body in (("/", b"index"), ("/7", b"8"), ("/added/0", b"0")):
                answer = send(app, path)
                if answer[2] != body:
                    wrong.append(answer)

    app.url_map.add(Rule("/added/<x>", endpoint="added"))
    app.view_functions["added"] = lambda x: x
    threads = [threading.Thread(target=serve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(100):
        app.url_map.add(Rule(f"/more/{number}", endpoint="added"))
        app.make_response = app.make_response  # type: ignore[method-assign]
        del app.make_response
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert send(app)[2] == b"index"


def test_each_thread_has_its_own_request(app: kolben.Flask) -> None:
    barrier = threading.Barrier(4)

    @app.get("/wait/<x>")
    def wait(x: str) -> str:
        kolben.g.x = x
        barrier.wait()
        return f"{request.path} {kolben.g.x} {kolben.url_for('number', x=x)}"

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda x: send(app, f"/wait/{x}")[2].decode(), range(4)))
    assert answers == [f"/wait/{x} {x} /{x}" for x in range(4)]


# -- the index -------------------------------------------------------------------------------


def test_paths_in_other_alphabets_are_found_whatever_their_disguise(app: kolben.Flask) -> None:
    app.add_url_rule("/ü", "umlaut", lambda: "umlaut")
    app.add_url_rule("/ü/<x>", "below", lambda x: x)
    assert send(app, "/ü")[2] == b"umlaut"
    assert send(app, "/ü/ß")[2] == "ß".encode()
    # In latin-1 this is the path of the rule, in UTF-8 it is no text at all.
    wrong = EnvironBuilder("/").get_environ() | {"PATH_INFO": "/\xfc"}
    started: list[t.Any] = []
    app(wrong, lambda *given: started.append(given))
    assert started[0][0] == "404 NOT FOUND"


def test_a_replaced_map_is_let_go(app: kolben.Flask) -> None:
    send(app)
    ref = weakref.ref(app.url_map)
    app.url_map = Map([Rule("/", endpoint="index")])
    send(app)
    gc.collect()
    assert ref() is None


# -- the session -----------------------------------------------------------------------------


def test_a_session_that_is_opened_while_the_response_is_made_is_saved(app: kolben.Flask) -> None:
    """A WSGI application that a view returns may look at it, after the view itself."""

    def inner(environ: t.Any, start_response: t.Any) -> list[bytes]:
        kolben.session["seen"] = "inner"
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"inner"]

    app.add_url_rule("/inner", "inner", lambda: inner)
    app.add_url_rule("/seen", "seen", lambda: kolben.session.get("seen", "nothing"))
    for has_cookie in (False, True):
        client = app.test_client()
        if has_cookie:
            client.set_cookie("other", "1")
        assert client.get("/inner").text == "inner"
        assert client.get("/seen").text == "inner"
