"""The application: what it answers, what may be replaced on it, what it says of mistakes."""

from __future__ import annotations

import asyncio
import copy
import functools
import io
import logging
import typing as t
from datetime import timedelta

import pytest
from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    HTTPException,
    InternalServerError,
    MethodNotAllowed,
    NotFound,
)
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BuildError, RequestRedirect, Rule
from werkzeug.test import Client, EnvironBuilder, create_environ, run_wsgi_app
from werkzeug.wrappers import Response as WerkzeugResponse

import kolben
from kolben import g, request, session, tables
from kolben.globals import _current, request_ctx


@pytest.fixture
def app() -> t.Iterator[kolben.Flask]:
    app = kolben.Flask(__name__, static_folder=None)
    app.secret_key = "secret"
    app.add_url_rule("/", "index", lambda: "index")
    app.add_url_rule("/fail", "fail", lambda: 1 / 0)
    yield app
    app.logger.disabled = False  # loggers outlive their application


@pytest.fixture(autouse=True)
def nothing_is_left() -> t.Iterator[None]:
    yield
    assert _current.get(None) is None


def get(app: kolben.Flask, path: str = "/", **values: t.Any) -> t.Any:
    return app.test_client().open(path, **values)


# -- what a view may return ------------------------------------------------------------------

RESULTS: dict[str, tuple[t.Callable[[], t.Any], int, str, bytes]] = {
    "text": (lambda: "ü", 200, "text/html; charset=utf-8", "ü".encode()),
    "bytes": (lambda: b"\xff", 200, "text/html; charset=utf-8", b"\xff"),
    "bytearray": (lambda: bytearray(b"x"), 200, "text/html; charset=utf-8", b"x"),
    "dict": (lambda: {"a": 1}, 200, "application/json", b'{"a":1}\n'),
    "list": (lambda: [1], 200, "application/json", b"[1]\n"),
    "generator": (lambda: (c for c in "ab"), 200, "text/html; charset=utf-8", b"ab"),
    "status": (lambda: ("x", 201), 201, "text/html; charset=utf-8", b"x"),
    "phrase": (lambda: ("x", "299 OWN"), 299, "text/html; charset=utf-8", b"x"),
    "headers": (lambda: ("x", {"Content-Type": "text/plain"}), 200, "text/plain", b"x"),
    "pairs": (lambda: ("x", [("Content-Type", "a/b")]), 200, "a/b", b"x"),
    "all": (lambda: ("x", 202, {"Content-Type": "a/b"}), 202, "a/b", b"x"),
    "dict and status": (lambda: ({"a": 1}, 201), 201, "application/json", b'{"a":1}\n'),
    "response": (lambda: kolben.Response("x", 203, mimetype="a/b"), 203, "a/b", b"x"),
    "changed": (lambda: (kolben.Response("x"), 203, {"Content-Type": "a/b"}), 203, "a/b", b"x"),
    "werkzeug": (lambda: WerkzeugResponse("x", 203), 203, "text/plain; charset=utf-8", b"x"),
    "callable": (
        lambda: WerkzeugResponse("x", 203).__call__,
        203,
        "text/plain; charset=utf-8",
        b"x",
    ),
}


@pytest.mark.parametrize("kind", RESULTS)
@pytest.mark.parametrize("way", ["short", "general"])
def test_a_view_may_return(app: kolben.Flask, kind: str, way: str) -> None:
    make, status, content_type, body = RESULTS[kind]
    app.add_url_rule("/it", "it", make)
    if way == "general":
        app.make_response = app.make_response  # type: ignore[method-assign]
    answer = get(app, "/it")
    assert (answer.status_code, answer.content_type, answer.data) == (status, content_type, body)
    assert get(app, "/it", method="HEAD").data == b""


WRONG: dict[str, tuple[t.Callable[[], t.Any], str]] = {
    "None": (lambda: None, "'view' for 'it'.*returned None or ended without a return"),
    "None with status": (lambda: (None, 200), "returned None or ended without a return"),
    "a number": (lambda: 7, "'view' for 'it'.*but it was a int"),
    "four": (lambda: ("a", 200, {}, 1), "not return a valid response tuple"),
    "one": (lambda: ("a",), "not return a valid response tuple"),
    "a set": (lambda: {1}, "but it was a set"),
    "not WSGI": (lambda: lambda: "x", "but it was a function"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_result_is_explained(app: kolben.Flask, kind: str) -> None:
    app.testing = True
    make, message = WRONG[kind]

    def view() -> t.Any:
        return make()

    app.add_url_rule("/it", "it", view)
    with pytest.raises(TypeError, match=f"(?s){message}"):
        get(app, "/it")


def test_make_response_outside_of_a_view(app: kolben.Flask) -> None:
    assert app.make_response("x").data == b"x"
    with pytest.raises(TypeError, match=r"^The view function did not return"):
        app.make_response(None)  # type: ignore[arg-type]
    with app.test_request_context("/"):
        assert kolben.make_response().status_code == 200
        assert kolben.make_response("x", 201).status_code == 201


def test_nothing_of_a_mistake_is_told_to_the_client(app: kolben.Flask) -> None:
    app.logger.disabled = True
    app.add_url_rule("/none", "none", lambda: None)
    answer = get(app, "/none")
    assert answer.status_code == 500
    assert "TypeError" not in answer.text
    assert "none" not in answer.text


# -- errors ----------------------------------------------------------------------------------


def test_an_error_without_a_handler_is_logged_and_answered_with_500(
    app: kolben.Flask, caplog: pytest.LogCaptureFixture
) -> None:
    assert get(app, "/fail").status_code == 500
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "Exception on /fail [GET]"
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize(
    ("changes", "raised"),
    [
        ({}, False),
        ({"DEBUG": True}, True),
        ({"TESTING": True}, True),
        ({"DEBUG": True, "PROPAGATE_EXCEPTIONS": False}, False),
        ({"PROPAGATE_EXCEPTIONS": True}, True),
    ],
    ids=str,
)
def test_errors_are_raised_again_where_a_program_wants_to_see_them(
    app: kolben.Flask, changes: dict[str, bool], raised: bool
) -> None:
    app.config.update(changes)
    app.logger.disabled = True
    try:
        assert get(app, "/fail").status_code == 500
        assert not raised
    except ZeroDivisionError:
        assert raised


def test_a_handler_for_500_sees_the_error_it_stands_for(app: kolben.Flask) -> None:
    app.logger.disabled = True
    seen: list[t.Any] = []

    @app.errorhandler(500)
    def handle(error: InternalServerError) -> tuple[str, int]:
        seen.append(error.original_exception)
        return "sorry", 503

    assert get(app, "/fail").status_code == 503
    assert isinstance(seen[0], ZeroDivisionError)


def test_a_failing_after_hook_does_not_hide_the_error_page(
    app: kolben.Flask, caplog: pytest.LogCaptureFixture
) -> None:
    @app.after_request
    def fail(response: kolben.Response) -> kolben.Response:
        raise KeyError("after")

    assert get(app).status_code == 500
    # It fails for the error page as it did before, which is logged once.
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [KeyError]


def test_handlers_are_found_by_code_by_class_and_by_blueprint(app: kolben.Flask) -> None:
    blueprint = kolben.Blueprint("b", __name__, url_prefix="/b")
    blueprint.add_url_rule("/<int:code>", "it", lambda code: kolben.abort(code))
    blueprint.errorhandler(403)(lambda error: "blueprint")
    blueprint.errorhandler(ZeroDivisionError)(lambda error: "division")
    blueprint.add_url_rule("/fail", "fail", lambda: 1 / 0)
    app.register_blueprint(blueprint)
    app.errorhandler(403)(lambda error: ("app", 403))
    app.errorhandler(HTTPException)(lambda error: ("any", error.code))
    app.add_url_rule("/403", "403", lambda: kolben.abort(403))
    assert get(app, "/b/403").text == "blueprint"
    assert get(app, "/403").text == "app"
    assert get(app, "/b/410").text == "any"
    assert get(app, "/b/missing").text == "any"
    assert get(app, "/b/fail").text == "division"
    assert get(app, "/", method="DELETE").status_code == 405


def test_a_missing_key_is_named_in_debug_mode_only(app: kolben.Flask) -> None:
    app.add_url_rule("/key", "key", lambda: request.args["wanted"])
    assert "wanted" not in get(app, "/key").text
    app.config["TRAP_BAD_REQUEST_ERRORS"] = True
    app.logger.disabled = True
    assert get(app, "/key").status_code == 500
    app.config["TRAP_BAD_REQUEST_ERRORS"] = None
    app.debug = True
    with pytest.raises(BadRequest):
        get(app, "/key")
    app.config["TRAP_BAD_REQUEST_ERRORS"] = False
    assert "wanted" in get(app, "/key").text


def test_http_errors_can_be_trapped(app: kolben.Flask) -> None:
    app.config["TRAP_HTTP_EXCEPTIONS"] = True
    app.testing = True
    with pytest.raises(NotFound):
        get(app, "/missing")


def test_a_redirect_that_loses_a_form_is_explained_in_debug_mode(app: kolben.Flask) -> None:
    app.add_url_rule("/slash/", "slash", lambda: "x", methods=["GET", "POST"])
    assert get(app, "/slash", method="POST").status_code == 308
    app.debug = True
    assert get(app, "/slash", method="POST").status_code == 308
    assert get(app, "/slash").headers["Location"] == "http://localhost/slash/"


def test_a_redirect_that_really_loses_a_form_names_the_url_to_use(app: kolben.Flask) -> None:
    class Moved(RequestRedirect):
        code = 302

    app.debug = True
    app.before_request(lambda: setattr(request, "routing_exception", Moved("/new")))
    with pytest.raises(AssertionError, match="/new"):
        get(app, "/", method="POST")
    assert get(app, "/").status_code == 302


def test_an_error_on_the_way_of_an_error_page_is_logged(
    app: kolben.Flask, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(sender: t.Any, **values: t.Any) -> None:
        raise KeyError

    with kolben.request_finished.connected_to(fail, app):
        assert get(app, "/").status_code == 500
        assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [KeyError]


def test_the_log_of_an_unhandled_error_begins_with_the_program(
    app: kolben.Flask, caplog: pytest.LogCaptureFixture
) -> None:
    app.add_url_rule("/boom", "boom", lambda: 1 / 0)
    assert get(app, "/boom").status_code == 500
    lines = caplog.text.splitlines()
    first = next(line for line in lines if line.startswith('  File "'))
    assert "test_app.py" in first
    assert "kolben/engine" not in caplog.text


def test_where_all_frames_are_ours_all_are_logged(
    app: kolben.Flask, caplog: pytest.LogCaptureFixture
) -> None:
    app.add_url_rule("/nothing", "nothing", lambda: None)  # type: ignore[arg-type, return-value]
    assert get(app, "/nothing").status_code == 500
    assert "kolben/engine" in caplog.text
    assert "'nothing'" in caplog.text.splitlines()[-1]


def test_another_error_on_the_way_of_an_error_page_is_logged_too(
    app: kolben.Flask, caplog: pytest.LogCaptureFixture
) -> None:
    app.add_url_rule("/boom", "boom", lambda: 1 / 0)

    @app.after_request
    def fail(response: kolben.Response) -> kolben.Response:
        raise KeyError

    assert get(app, "/boom").status_code == 500
    logged = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert logged == [ZeroDivisionError, KeyError]


def test_the_steps_can_be_called_by_hand(app: kolben.Flask) -> None:
    """As tests of extensions do, inside a context of their own."""
    ended: list[t.Any] = []
    app.teardown_request(ended.append)
    app.teardown_appcontext(ended.append)
    with app.test_request_context("/"):
        assert app.full_dispatch_request().data == b"index"
        assert app.preprocess_request() is None
        assert app.dispatch_request() == "index"
        error = ValueError()
        with pytest.raises(ValueError) as caught:
            app.handle_user_exception(error)
        assert caught.value is error
        app.testing = True
        with pytest.raises(ValueError) as caught:
            app.handle_exception(error)
        assert caught.value is error
        app.do_teardown_request()
        app.do_teardown_appcontext()
        try:
            raise error
        except ValueError:
            app.do_teardown_request()
            app.do_teardown_appcontext()
    assert ended == [None, None, error, error, None, None]
    with pytest.raises(AssertionError, match="after its first request"):
        app.before_request(lambda: None)


def test_a_handler_that_is_no_answer_to_an_http_error_without_a_code(app: kolben.Flask) -> None:
    app.register_error_handler(HTTPException, lambda error: pytest.fail("called"))
    proxied = HTTPException(response=WerkzeugResponse("as it is", 299))
    app.view_functions["index"] = lambda: kolben.abort(WerkzeugResponse("as it is", 299))
    assert get(app).status_code == 299
    with app.test_request_context():
        assert app.handle_http_exception(proxied) is proxied


def test_jinja_options_have_the_last_word(app: kolben.Flask) -> None:
    app.jinja_options = {"auto_reload": True}
    assert app.jinja_env.auto_reload


def test_a_server_with_an_unusual_name_of_its_own(app: kolben.Flask) -> None:
    environ = EnvironBuilder("/nothing/").get_environ() | {"SERVER_NAME": "a..b"}
    del environ["HTTP_HOST"]
    started: list[t.Any] = []
    app.add_url_rule("/slash/", "slash", lambda: "x")
    app(environ | {"PATH_INFO": "/slash"}, lambda *given: started.append(given))
    assert started[0][0] == "400 BAD REQUEST"


def test_an_exit_goes_through_with_teardown(app: kolben.Flask) -> None:
    ended: list[t.Any] = []
    app.teardown_request(ended.append)
    app.teardown_appcontext(ended.append)

    def leave() -> str:
        raise SystemExit(3)

    app.add_url_rule("/exit", "exit", leave)
    for _ in range(2):
        with pytest.raises(SystemExit):
            get(app, "/exit")
        assert [type(error) for error in ended] == [SystemExit] * 2
        ended.clear()
        app.dispatch_request = app.dispatch_request  # type: ignore[method-assign]


def test_teardown_is_told_of_the_first_error(app: kolben.Flask) -> None:
    app.logger.disabled = True
    ended: list[t.Any] = []
    app.teardown_request(ended.append)

    @app.errorhandler(500)
    def fail(error: Exception) -> str:
        raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            get(app, "/fail")
        assert [type(error) for error in ended] == [ZeroDivisionError]
        ended.clear()
        app.dispatch_request = app.dispatch_request  # type: ignore[method-assign]


def test_errors_can_be_ignored_by_teardown(app: kolben.Flask) -> None:
    app.logger.disabled = True
    ended: list[t.Any] = []
    app.teardown_request(ended.append)
    app.should_ignore_error = lambda error: True  # type: ignore[method-assign]
    get(app, "/fail")
    assert ended == [None]


# -- what extensions replace -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["handle_exception", "handle_user_exception"])
def test_error_handling_replaced_after_the_first_request_is_used(
    app: kolben.Flask, name: str
) -> None:
    assert get(app).text == "index"
    original = getattr(app, name)

    def handle(original: t.Any, error: Exception) -> t.Any:
        return app.make_response((f"{type(error).__name__} {callable(original)}", 418))

    setattr(app, name, functools.partial(handle, original))
    answer = get(app, "/fail")
    assert (answer.status_code, answer.text) == (418, "ZeroDivisionError True")


def test_dispatch_can_be_written_anew(app: kolben.Flask) -> None:
    """With the parts that a debugging toolbar uses."""
    get(app)

    def dispatch_request() -> t.Any:
        req = request_ctx.request
        if req.routing_exception is not None:
            app.raise_routing_exception(req)
        rule: t.Any = req.url_rule
        if getattr(rule, "provide_automatic_options", False) and req.method == "OPTIONS":
            return app.make_default_options_response()
        view = app.view_functions[rule.endpoint]
        return "own " + app.ensure_sync(view)(**(req.view_args or {}))

    app.dispatch_request = dispatch_request  # type: ignore[method-assign]
    assert get(app).text == "own index"
    assert get(app, "/missing").status_code == 404
    assert get(app, method="OPTIONS").headers["Allow"]


def test_classes_assigned_on_the_instance_are_used(app: kolben.Flask) -> None:
    get(app)
    mixin = type("Mixin", (), {"json_of": lambda self: self.get_json()})
    app.response_class = type("JSONResponse", (app.response_class, mixin), {})
    app.request_class = type("OwnRequest", (app.request_class,), {"own": "own request"})
    app.view_functions["index"] = lambda: {"own": request.own}  # type: ignore[attr-defined]
    assert get(app).json_of() == {"own": "own request"}
    app.test_client_class = type("OwnClient", (kolben.testing.FlaskClient,), {"own": 1})
    assert app.test_client().own == 1  # type: ignore[attr-defined]
    app.json = type("Own", (type(app.json),), {"dumps": lambda self, value, **more: "own"})(app)
    assert get(app).data == b"own\n"


def test_a_session_interface_assigned_on_the_instance_is_used(app: kolben.Flask) -> None:
    get(app)
    log: list[str] = []

    class Own(kolben.sessions.SessionInterface):
        def open_session(self, app: kolben.Flask, request: kolben.Request) -> t.Any:
            log.append("open")
            return kolben.sessions.SecureCookieSession({"a": 1})

        def save_session(self, app: t.Any, session: t.Any, response: t.Any) -> None:
            log.append(f"save {dict(session)}")

    app.session_interface = Own()
    get(app)
    assert log == ["open", "save {'a': 1}"]


def test_middleware_is_called_once_for_each_request(app: kolben.Flask) -> None:
    calls: list[str] = []
    inner = app.wsgi_app

    def middleware(environ: t.Any, start_response: t.Any) -> t.Any:
        calls.append(environ["PATH_INFO"])
        return inner(environ, start_response)

    app.wsgi_app = middleware  # type: ignore[method-assign]
    get(app, "/")
    get(app, "/missing")
    assert calls == ["/", "/missing"]
    app.wsgi_app = ProxyFix(inner, x_host=1)  # type: ignore[method-assign]
    app.view_functions["index"] = lambda: request.host
    assert get(app, headers={"X-Forwarded-Host": "example.org"}).text == "example.org"


def test_middleware_may_come_and_go_between_requests(app: kolben.Flask) -> None:
    calls: list[str] = []

    def around(name: str, inner: t.Any) -> t.Any:
        def middleware(environ: t.Any, start_response: t.Any) -> t.Any:
            calls.append(name)
            return inner(environ, start_response)

        return middleware

    def called() -> list[str]:
        calls.clear()
        assert get(app).status_code == 200
        return list(calls)

    assert called() == []
    app.wsgi_app = around("a", app.wsgi_app)  # type: ignore[method-assign]
    assert called() == ["a"]
    app.wsgi_app = around("b", app.wsgi_app)  # type: ignore[method-assign]
    app.before_request_funcs.clear()  # what the engine knows of the application is found out anew
    assert called() == called() == ["b", "a"]
    del app.wsgi_app
    assert called() == []


def test_middleware_that_comes_during_a_request_is_called_for_the_next(
    app: kolben.Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    inner, touch = app.wsgi_app, tables.touch

    def middleware(environ: t.Any, start_response: t.Any) -> t.Any:
        calls.append(environ["PATH_INFO"])
        return inner(environ, start_response)

    def touch_amid_requests() -> None:
        touch()
        monkeypatch.setattr(tables, "touch", touch)
        get(app, "/during")  # as another thread might ask, when this one has got so far

    get(app)
    monkeypatch.setattr(tables, "touch", touch_amid_requests)
    app.wsgi_app = middleware  # type: ignore[method-assign]
    get(app, "/after")
    assert calls[-1] == "/after"


def test_a_subclass_may_answer_around_the_application() -> None:
    class Wrapped(kolben.Flask):
        def wsgi_app(self, environ: t.Any, start_response: t.Any) -> t.Any:
            environ["PATH_INFO"] = "/inner"
            return super().wsgi_app(environ, start_response)

    class Called(kolben.Flask):
        def __call__(self, environ: t.Any, start_response: t.Any) -> t.Any:  # type: ignore[override]
            environ["PATH_INFO"] = "/inner"
            return super().__call__(environ, start_response)

    for kind in Wrapped, Called:
        app = kind(__name__)
        app.add_url_rule("/inner", view_func=lambda: "inner")
        assert get(app).text == get(app).text == "inner"


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_servers_that_ask_in_the_way_of_asgi_2_are_answered(
    app: kolben.Flask, is_wrapped: bool
) -> None:
    if is_wrapped:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    sent: list[t.Any] = []

    async def receive() -> t.Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: t.Any) -> None:
        sent.append(message)

    for _ in range(2):  # when nothing is known of the application yet, and later
        sent.clear()
        asyncio.run(app(scope)(receive, send))
        assert sent[0]["status"] == 200
        assert get(app).status_code == 200


def test_url_defaults_are_asked_before_it_shows_that_a_host_has_no_urls() -> None:
    class ByNamedSteps(kolben.Flask):
        def dispatch_request(self) -> t.Any:
            return super().dispatch_request()

    for kind in kolben.Flask, ByNamedSteps:
        app, asked = kind(__name__), list[str]()
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.add_url_rule("/", "index", lambda: "text")
        app.url_defaults(lambda endpoint, values, asked=asked: asked.append(endpoint))
        app.register_error_handler(400, lambda error: kolben.url_for("index"))
        assert get(app, headers={"Host": "a..b"}).status_code == 500
        assert asked == ["index"]


def test_a_mounted_application_may_have_no_path(app: kolben.Flask) -> None:
    environ = create_environ("/")
    del environ["PATH_INFO"]
    body, status, _ = run_wsgi_app(app, environ)
    assert (status, b"".join(body)) == ("200 OK", get(app).data)


@pytest.mark.parametrize("result", ["text", {"a": 1}])
@pytest.mark.parametrize("path", ["/any", "/any/x", "/get", "/get/x", "/nowhere"])
def test_head_and_options_have_no_body_whatever_the_rule(
    app: kolben.Flask, path: str, result: t.Any
) -> None:
    app.url_map.add(Rule("/any", endpoint="view"))  # of every method
    app.url_map.add(Rule("/any/<name>", endpoint="view"))
    app.view_functions["view"] = lambda name=None: result
    app.add_url_rule("/get", "view")
    app.add_url_rule("/get/<name>", "view")
    app.register_error_handler(404, lambda error: (result, 404))

    for _ in range(2):
        plain, head = get(app, path), get(app, path, method="HEAD")
        assert (head.data, head.status, head.headers) == (b"", plain.status, plain.headers)
        options = get(app, path, method="OPTIONS")
        if path.startswith("/get"):
            assert (options.data, set(options.allow)) == (b"", {"GET", "HEAD", "OPTIONS"})
        else:
            assert (options.data, options.status) == (plain.data, plain.status)


def test_routes_go_through_the_instances_add_url_rule(app: kolben.Flask) -> None:
    seen: list[str] = []
    original = app.add_url_rule

    def add_url_rule(rule: str, *arguments: t.Any, **options: t.Any) -> None:
        seen.append(rule)
        original(rule, *arguments, **options)

    app.add_url_rule = add_url_rule  # type: ignore[method-assign]
    app.get("/a")(lambda: "a")
    assert seen == ["/a"]
    assert get(app, "/a").text == "a"


def test_methods_overridden_in_a_subclass_are_called() -> None:
    class Own(kolben.Flask):
        def make_response(self, rv: t.Any) -> kolben.Response:
            return super().make_response((rv, 299))

        def process_response(self, response: kolben.Response) -> kolben.Response:
            response.headers["X-Own"] = "1"
            return super().process_response(response)

    app = Own(__name__)
    app.add_url_rule("/", view_func=lambda: "x")
    answer = get(app)
    assert (answer.status_code, answer.headers["X-Own"]) == (299, "1")


def test_a_response_class_with_its_own_call_is_called(app: kolben.Flask) -> None:
    class Own(kolben.Response):
        def __call__(self, environ: t.Any, start_response: t.Any) -> t.Any:
            start_response("299 OWN", [])
            return [b"own"]

    app.view_functions["index"] = lambda: Own("x")
    answer = get(app)
    assert (answer.status, answer.data) == ("299 OWN", b"own")


def test_the_classes_name_in_the_package_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    own = type("InstrumentedFlask", (kolben.Flask,), {})
    monkeypatch.setattr(kolben, "Flask", own)
    from kolben import Flask

    assert Flask is own
    assert type(kolben.Flask(__name__)) is own


def test_the_context_is_preserved_for_who_asks(app: kolben.Flask) -> None:
    for _ in range(2):
        kept: list[t.Any] = []
        environ = EnvironBuilder("/").get_environ()
        environ["werkzeug.debug.preserve_context"] = kept.append
        assert list(app(environ, lambda *arguments: None)) == [b"index"]
        assert sorted(type(one).__name__ for one in kept) == ["AppContext", "RequestContext"]
        app.dispatch_request = app.dispatch_request  # type: ignore[method-assign]


def test_a_foreign_client_is_served(app: kolben.Flask) -> None:
    assert Client(app).get("/").text == "index"


# -- hooks -----------------------------------------------------------------------------------


def test_hooks_run_in_their_order(app: kolben.Flask) -> None:
    log: list[str] = []
    outer = kolben.Blueprint("outer", __name__, url_prefix="/o")
    inner = kolben.Blueprint("inner", __name__)
    inner.add_url_rule("/i", "view", lambda: log.append("view") or "x")

    for name, place in (("app", app), ("outer", outer), ("inner", inner)):
        for number in "12":

            def note(*arguments: t.Any, text: str) -> t.Any:
                log.append(text)
                return arguments[0] if text.startswith("after") else None

            for kind in ("before_request", "after_request", "teardown_request"):
                hook = functools.partial(note, text=f"{kind.partition('_')[0]} {name} {number}")
                getattr(place, kind)(hook)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    get(app, "/o/i")
    assert log == [
        *(f"before {name} {number}" for name in ("app", "outer", "inner") for number in "12"),
        "view",
        *(f"after {name} {number}" for name in ("inner", "outer", "app") for number in "21"),
        *(f"teardown {name} {number}" for name in ("inner", "outer", "app") for number in "21"),
    ]


def test_a_before_hook_that_answers_ends_it(app: kolben.Flask) -> None:
    app.before_request(lambda: ("stopped", 203))
    app.before_request(lambda: pytest.fail("called"))
    assert get(app, "/fail").text == "stopped"


# -- settings and places ---------------------------------------------------------------------


def test_the_age_of_files_is_configured(app: kolben.Flask) -> None:
    assert app.get_send_file_max_age("x") is None
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 7
    assert app.get_send_file_max_age("x") == 7
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = timedelta(minutes=1)
    assert app.get_send_file_max_age("x") == 60


def test_a_static_folder_is_served(tmp_path: t.Any) -> None:
    (tmp_path / "file.txt").write_text("text")
    app = kolben.Flask(__name__, static_folder=tmp_path, static_url_path="/s")
    with get(app, "/s/file.txt") as answer:
        assert answer.data == b"text"
    assert get(app, "/s/missing").status_code == 404
    app = kolben.Flask(__name__, static_folder=None)
    with pytest.raises(RuntimeError, match="static_folder"):
        app.send_static_file("x")
    for options in ({"host_matching": True}, {"static_host": "x"}):
        with pytest.raises(AssertionError, match="static_host"):
            kolben.Flask(__name__, static_folder=tmp_path, **options)  # type: ignore[arg-type]


def test_resources_are_opened_beside_the_program(tmp_path: t.Any) -> None:
    app = kolben.Flask(__name__, root_path=str(tmp_path), instance_path=str(tmp_path))
    (tmp_path / "file.txt").write_text("ü", encoding="utf-8")
    with app.open_resource("file.txt") as binary:
        assert binary.read() == "ü".encode()
    with app.open_resource("file.txt", "r", encoding="utf-8") as text:
        assert text.read() == "ü"
    with pytest.raises(ValueError, match="reading"):
        app.open_resource("file.txt", "w")
    with app.open_instance_resource("new.txt", "w") as new:
        new.write("ü")
    with app.open_instance_resource("new.txt") as binary:
        assert binary.read() == "ü".encode()


def test_a_shell_starts_with_the_application(app: kolben.Flask) -> None:
    app.shell_context_processor(lambda: {"own": 1})
    assert app.make_shell_context() == {"app": app, "g": g, "own": 1}


def test_commands_can_be_run_in_tests(app: kolben.Flask) -> None:
    app.cli.command("hello")(lambda: print("hello"))
    assert app.test_cli_runner().invoke(args=["hello"]).output == "hello\n"


# -- URLs ------------------------------------------------------------------------------------


def test_urls_inside_a_request(app: kolben.Flask) -> None:
    blueprint = kolben.Blueprint("b", __name__, url_prefix="/b")
    blueprint.add_url_rule("/<x>", "view", lambda x: x)
    app.register_blueprint(blueprint)
    for way in ("before the first request", "after it"):
        with app.test_request_context("/b/1", base_url="http://localhost/app"):
            url_for = kolben.url_for
            assert url_for("index") == "/app/", way
            assert url_for(".view", x="a b", q=[1, 2]) == "/app/b/a%20b?q=1&q=2"
            assert url_for("index", _anchor="ä b") == "/app/#%C3%A4%20b"
            assert url_for("index", _external=True) == "http://localhost/app/"
            assert url_for("index", _scheme="https") == "https://localhost/app/"
            assert url_for("index", _scheme="https", _external=True) == "https://localhost/app/"
            with pytest.raises(ValueError, match="_external"):
                url_for("index", _scheme="https", _external=False)
            with pytest.raises(BuildError):
                url_for("missing")
            with pytest.raises(BuildError):
                url_for("b.view")
        with app.test_request_context("/"):
            assert kolben.url_for(".index") == "/"
        get(app)


def test_urls_under_a_mount_point_in_another_alphabet(app: kolben.Flask) -> None:
    app.add_url_rule("/url", "url", lambda: kolben.url_for("index"))
    assert get(app, "/url", base_url="http://localhost/ü").text == "/ü/"


def test_urls_outside_of_a_request(app: kolben.Flask) -> None:
    with app.app_context(), pytest.raises(RuntimeError, match="SERVER_NAME"):
        kolben.url_for("index")
    with pytest.raises(RuntimeError, match="SERVER_NAME"):
        app.url_for("index")
    app.config.update(
        SERVER_NAME="example.org", APPLICATION_ROOT="/app", PREFERRED_URL_SCHEME="https"
    )
    assert app.url_for("index") == "https://example.org/app/"
    with app.app_context():
        assert kolben.url_for("index", _external=False) == "/app/"


def test_url_defaults_and_build_errors_have_their_say(app: kolben.Flask) -> None:
    app.add_url_rule("/<lang>/x", "x", lambda lang: lang)
    app.url_defaults(lambda endpoint, values: values.setdefault("lang", "de"))
    app.url_build_error_handlers.append(lambda error, endpoint, values: f"no {endpoint}")
    with app.test_request_context():
        assert kolben.url_for("x") == "/de/x"
        assert kolben.url_for("missing") == "no missing"


@pytest.mark.parametrize(
    ("host", "text"),
    [("example.org", "root"), ("a.example.org", "a"), ("EXAMPLE.org:80", "root")],
)
def test_subdomains_are_matched_below_the_servers_name(host: str, text: str) -> None:
    app = kolben.Flask(__name__, subdomain_matching=True, static_folder=None)
    app.config["SERVER_NAME"] = "example.org"
    app.add_url_rule("/", "root", lambda: "root")
    app.add_url_rule("/", "sub", lambda sub: sub, subdomain="<sub>")
    assert get(app, headers={"Host": host}).text == text


def test_a_host_that_is_not_the_servers_is_warned_about() -> None:
    app = kolben.Flask(__name__, subdomain_matching=True, static_folder=None)
    app.config["SERVER_NAME"] = "example.org"
    app.add_url_rule("/", "root", lambda: "root")
    with pytest.warns(UserWarning, match="doesn't match configured server name"):
        assert get(app, headers={"Host": "other.org"}).status_code == 404


def test_hosts_are_matched(app: kolben.Flask) -> None:
    app = kolben.Flask(__name__, host_matching=True, static_folder=None)
    app.add_url_rule("/", "one", lambda: "one", host="one.org")
    app.add_url_rule("/", "any", lambda host: host, host="<host>")
    app.config["SERVER_NAME"] = "ignored.org"
    assert get(app, base_url="http://one.org").text == "one"
    assert get(app, base_url="http://two.org").text == "two.org"


# -- sessions through the application --------------------------------------------------------


def test_a_session_lives_in_its_cookie(app: kolben.Flask) -> None:
    app.add_url_rule("/set", "set", lambda: session.update(a=1) or "set")
    app.add_url_rule("/read", "read", lambda: str(session.get("a")))
    app.add_url_rule("/clear", "clear", lambda: session.clear() or "cleared")
    client = app.test_client()
    assert "Set-Cookie" in client.get("/set").headers
    answer = client.get("/read")
    assert (answer.text, answer.headers["Vary"]) == ("1", "Cookie")
    assert "Set-Cookie" not in answer.headers
    assert "Vary" not in client.get("/").headers
    assert "Max-Age=0" in client.get("/clear").headers["Set-Cookie"]
    assert client.get("/read").text == "None"


def test_a_permanent_session_is_sent_again_unless_told_otherwise(app: kolben.Flask) -> None:
    def keep() -> str:
        session.permanent = True
        return "kept"

    app.add_url_rule("/keep", "keep", keep)
    client = app.test_client()
    client.get("/keep")
    assert "Expires" in client.get("/").headers["Set-Cookie"]
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    assert "Set-Cookie" not in client.get("/").headers


def test_without_a_secret_key_the_session_says_so(app: kolben.Flask) -> None:
    app.secret_key = None
    app.testing = True
    app.add_url_rule("/set", "set", lambda: session.update(a=1) or "set")
    app.add_url_rule("/read", "read", lambda: str(session.get("a")))
    assert get(app, "/read").text == "None"
    with pytest.raises(RuntimeError, match="secret_key"):
        get(app, "/set")


def test_uploads_reach_the_view(app: kolben.Flask) -> None:
    app.add_url_rule(
        "/up",
        "up",
        lambda: request.files["f"].read() + request.form["a"].encode(),
        methods=["POST"],
    )
    sent = {"f": (io.BytesIO(b"file"), "n"), "a": "1"}
    assert get(app, "/up", method="POST", data=sent).data == b"file1"


def test_methods_that_a_route_does_not_take(app: kolben.Flask) -> None:
    seen: list[t.Any] = []
    app.register_error_handler(MethodNotAllowed, lambda error: seen.append(error) or ("no", 405))
    app.register_error_handler(Forbidden, lambda error: "never")
    assert get(app, method="PUT").text == "no"
    assert sorted(seen[0].valid_methods) == ["GET", "HEAD", "OPTIONS"]


def test_a_copy_of_an_application_is_changed_by_itself() -> None:
    app = kolben.Flask("original")
    app.add_url_rule("/", "index", lambda: "original")
    assert app.test_client().get("/").text == "original"
    other = copy.copy(app)
    other.view_functions = {**app.view_functions, "index": lambda: "copy"}
    assert other.test_client().get("/").text == "copy"
    assert app.test_client().get("/").text == "original"
    assert app.engine_plan is not other.engine_plan
