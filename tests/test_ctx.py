"""Contexts: what they hold, how they nest, who may keep them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import typing as t
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug.test import EnvironBuilder

import kolben
from kolben import g, request, session
from kolben.ctx import AppContext, RequestContext
from kolben.globals import _current, app_ctx, request_ctx
from pythons import frees_functions


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__, static_folder=None)
    app.secret_key = "secret"
    return app


@pytest.fixture(autouse=True)
def nothing_is_left() -> t.Iterator[None]:
    yield
    assert _current.get(None) is None


def itself(proxy: t.Any) -> t.Any:
    return proxy._get_current_object()


# -- g ---------------------------------------------------------------------------------------


def test_g_is_a_namespace_with_some_methods_of_a_dict(app: kolben.Flask) -> None:
    with app.app_context():
        assert g.get("x") is None
        assert g.get("x", 1) == 1
        assert g.setdefault("x", 2) == 2
        assert g.setdefault("x", 3) == 2
        assert g.pop("x") == 2
        assert g.pop("x", "gone") == "gone"
        with pytest.raises(KeyError):
            g.pop("x")
        g._login_user = "me"
        assert g.__dict__ == {"_login_user": "me"}
        assert repr(g) == "<flask.g of 'tests.test_ctx'>".replace("tests.test_ctx", app.name)
        kept = itself(g)
    assert object.__repr__(kept) == repr(kept)
    with pytest.raises(AttributeError):
        kept.missing  # noqa: B018


def test_g_is_of_the_class_that_the_application_names(app: kolben.Flask) -> None:
    class Own(kolben.Flask.app_ctx_globals_class):  # type: ignore[name-defined, misc]
        answer = 42

    app.app_ctx_globals_class = Own
    app.add_url_rule("/", view_func=lambda: str(g.answer))
    assert app.test_client().get("/").text == "42"
    with app.app_context():
        assert g.answer == 42


# -- application contexts --------------------------------------------------------------------


def test_an_application_context_can_be_pushed_more_than_once(app: kolben.Flask) -> None:
    ended: list[t.Any] = []
    app.teardown_appcontext(ended.append)
    context = app.app_context()
    with context:
        g.value = 1
        with context:
            assert g.value == 1
        assert ended == []
        assert itself(app_ctx) is context
    assert ended == [None]


def test_the_error_that_ends_the_work_is_told_to_teardown_functions(app: kolben.Flask) -> None:
    ended: list[t.Any] = []
    app.teardown_appcontext(ended.append)
    app.teardown_request(ended.append)
    error = ValueError()
    with pytest.raises(ValueError), app.app_context():
        raise error
    assert ended == [error]
    with pytest.raises(ValueError), app.test_request_context():
        raise error
    assert ended == [error] * 3


def test_pop_takes_the_error_being_handled_unless_it_is_told(app: kolben.Flask) -> None:
    ended: list[t.Any] = []
    app.teardown_appcontext(ended.append)
    error = ValueError()
    for context in (app.app_context(), app.test_request_context()):
        context.push()
        try:
            raise error
        except ValueError:
            context.pop()
        context.push()
        try:
            raise error
        except ValueError:
            context.pop(None)
    assert ended == [error, None, error, None]


@pytest.mark.parametrize("kind", ["app_context", "test_request_context"])
def test_only_the_context_on_top_can_be_popped(app: kolben.Flask, kind: str) -> None:
    first, second = getattr(app, kind)(), getattr(app, kind)()
    with pytest.raises(AssertionError, match="cannot be popped"):
        first.pop()
    with first, second:
        with pytest.raises(AssertionError, match="the current one is"):
            first.pop()


@pytest.mark.parametrize("kind", ["app_context", "test_request_context"])
def test_a_failing_teardown_leaves_no_context_behind(app: kolben.Flask, kind: str) -> None:
    @app.teardown_appcontext
    def fail(error: BaseException | None) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), getattr(app, kind)():
        pass


def test_a_failing_request_teardown_does_not_keep_the_others_from_running(
    app: kolben.Flask,
) -> None:
    ended: list[str] = []
    app.teardown_appcontext(lambda error: ended.append("app"))

    @app.teardown_request
    def fail(error: BaseException | None) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), app.test_request_context():
        pass
    assert ended == ["app"]


def test_an_application_context_has_no_session(app: kolben.Flask) -> None:
    with app.test_request_context():
        assert not hasattr(app_ctx, "session")
        assert not hasattr(app_ctx, "request")
        assert hasattr(request_ctx, "session")


def test_application_context_signals(app: kolben.Flask) -> None:
    seen: list[tuple[str, bool, bool]] = []
    names = ("appcontext_pushed", "appcontext_popped", "appcontext_tearing_down")
    receivers = []
    for name in names:

        def note(sender: t.Any, name: str = name, **values: t.Any) -> None:
            seen.append((name, kolben.has_app_context(), kolben.has_request_context()))

        receivers.append(note)
        getattr(kolben, name).connect(note, app)
    with app.app_context():
        pass
    expected = [
        ("appcontext_pushed", True, False),
        ("appcontext_tearing_down", True, False),
        ("appcontext_popped", False, False),
    ]
    assert seen == expected
    seen.clear()
    with app.test_request_context():
        pass
    assert seen == expected


# -- request contexts ------------------------------------------------------------------------


def test_a_request_context_from_a_bare_environ(app: kolben.Flask) -> None:
    """Of what PEP 3333 asks for, a web socket server gives the least."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/x",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "flask.app": app,
    }
    app.add_url_rule("/<name>", "x", lambda name: name)
    with environ["flask.app"].request_context(environ):  # type: ignore[attr-defined]
        assert request.path == "/x"
        assert request.endpoint == "x"
        assert request.view_args == {"name": "x"}
        assert request.url_rule is not None
        session["a"] = 1
        assert kolben.url_for("x", name="y") == "/y"
        assert request.environ["flask.app"] is app


def test_pushing_opens_the_url_but_calls_no_hook(app: kolben.Flask) -> None:
    app.before_request(lambda: pytest.fail("called"))
    with app.test_request_context("/missing"):
        assert request.url_rule is None
        assert request.routing_exception is not None
        assert request.routing_exception.code == 404
        assert request.endpoint is None
        assert request.blueprint is None
        assert request.blueprints == []


def test_a_host_that_is_not_trusted_is_a_routing_error(app: kolben.Flask) -> None:
    app.config["TRUSTED_HOSTS"] = ["example.org"]
    with app.test_request_context("/") as context:
        assert context.url_adapter is None
        assert context.request.routing_exception is not None
        assert context.request.routing_exception.code == 400
        with pytest.raises(RuntimeError, match="not trusted"):
            kolben.url_for("x")


def test_looking_at_the_session_marks_it(app: kolben.Flask) -> None:
    with app.test_request_context() as context:
        opened = context._session
        assert not opened.accessed
        assert context.session is opened
        assert opened.accessed


def test_the_session_can_be_replaced(app: kolben.Flask) -> None:
    @app.get("/")
    def view() -> str:
        context = itself(request_ctx)
        assert hasattr(context, "_session")
        context._session = {"mine": True}.copy()  # type: ignore[assignment]
        return "done"

    with app.test_request_context() as context:

        class Own(dict):  # type: ignore[type-arg]
            accessed = modified = False

        context._session = own = Own(user=1)
        assert session["user"] == 1
        assert itself(session) is own
        assert own.accessed


def test_contexts_and_requests_take_any_attribute_and_weak_references(app: kolben.Flask) -> None:
    with app.test_request_context() as context:
        request_ctx._limiter_request_context = 1  # type: ignore[attr-defined]
        assert context._limiter_request_context == 1  # type: ignore[attr-defined]
        assert weakref.ref(itself(request_ctx))() is context
        assert weakref.ref(itself(app_ctx))() is context.app_context
        assert weakref.ref(itself(request))() is context.request
        request.csp_nonce = "x"  # type: ignore[attr-defined]
        assert vars(context.request)["csp_nonce"] == "x"


def test_identities_are_stable_in_a_request_and_new_in_the_next(app: kolben.Flask) -> None:
    kept: list[tuple[t.Any, t.Any, t.Any]] = []

    @app.get("/")
    def view() -> str:
        first = itself(app_ctx), itself(request_ctx), itself(request)
        again = itself(app_ctx), itself(request_ctx), itself(request)
        assert [id(one) for one in first] == [id(one) for one in again]
        kept.append(first)
        return ""

    client = app.test_client()
    client.get("/")
    client.get("/")
    for one, other in zip(*kept, strict=True):
        assert one is not other


def test_the_context_in_teardown_is_that_of_the_request(app: kolben.Flask) -> None:
    seen: list[int] = []
    app.teardown_appcontext(lambda error: seen.append(id(itself(app_ctx))))
    app.add_url_rule("/", view_func=lambda: seen.append(id(itself(app_ctx))) or "")
    app.test_client().get("/")
    assert len(seen) == 2
    assert seen[0] == seen[1]


def test_a_request_inside_an_application_context_shares_it(app: kolben.Flask) -> None:
    with app.app_context() as outer:
        g.value = 1
        with app.test_request_context() as context:
            assert context.app_context is outer
            assert g.value == 1
        assert itself(app_ctx) is outer
    other = kolben.Flask("other")
    with other.app_context(), app.test_request_context():
        assert "value" not in g


def test_a_context_pushed_twice_is_torn_down_once(app: kolben.Flask) -> None:
    ended: list[t.Any] = []
    app.teardown_request(ended.append)
    with app.test_request_context() as context:
        with context:
            assert itself(request_ctx) is context
        assert ended == []
    assert ended == [None]


def test_repr_names_url_method_and_application(app: kolben.Flask) -> None:
    context = app.test_request_context("/x?a=1", method="PUT")
    assert repr(context) == f"<RequestContext 'http://localhost/x?a=1' [PUT] of {app.name}>"


def test_flashed_messages_are_kept_for_the_whole_request(app: kolben.Flask) -> None:
    with app.test_request_context() as context:
        assert context.flashes is None
        kolben.flash("hello")
        assert kolben.get_flashed_messages() == ["hello"]
        assert kolben.get_flashed_messages() == ["hello"]
        assert context.flashes == [("message", "hello")]


def test_uploads_are_closed_with_the_request(app: kolben.Flask) -> None:
    kept: list[t.Any] = []

    @app.post("/")
    def view() -> str:
        kept.append(request.files["f"])
        return ""

    app.test_client().post("/", data={"f": (__import__("io").BytesIO(b"x"), "name")})
    assert kept[0].stream.closed


# -- functions -------------------------------------------------------------------------------


def test_after_this_request_outside_of_a_request(app: kolben.Flask) -> None:
    with app.app_context(), pytest.raises(RuntimeError, match="when a request context is active"):
        kolben.after_this_request(lambda response: response)


def test_after_this_request_may_replace_the_response(app: kolben.Flask) -> None:
    @app.get("/")
    def view() -> str:
        @kolben.after_this_request
        def replace(response: kolben.Response) -> kolben.Response:
            return kolben.Response(response.get_data() + b"!", 201)

        return "text"

    answer = app.test_client().get("/")
    assert (answer.status_code, answer.text) == (201, "text!")


def test_copy_current_request_context_outside_of_a_request() -> None:
    with pytest.raises(RuntimeError, match="when a request context is active"):
        kolben.copy_current_request_context(lambda: None)


def test_a_copied_context_carries_the_request_into_a_thread(app: kolben.Flask) -> None:
    seen: list[t.Any] = []

    @app.get("/<name>")
    def view(name: str) -> str:
        session["a"] = name
        g.own = 1

        @kolben.copy_current_request_context
        def work(extra: int) -> None:
            """Work."""
            seen.append((request.path, session["a"], extra, "own" in g, request.view_args))

        assert work.__doc__ == "Work."
        thread = threading.Thread(target=work, args=(5,))
        thread.start()
        thread.join()
        work(6)
        return ""

    app.test_client().get("/x")
    assert seen == [
        ("/x", "x", 5, False, {"name": "x"}),
        ("/x", "x", 6, True, {"name": "x"}),
    ]


def test_a_copied_context_works_after_the_request(app: kolben.Flask) -> None:
    kept: list[t.Callable[[], str]] = []

    @app.get("/<name>")
    def view(name: str) -> str:
        kept.append(kolben.copy_current_request_context(lambda: request.path))
        return ""

    app.test_client().get("/x")
    assert kept[0]() == "/x"
    assert kept[0]() == "/x"


def test_a_coroutine_function_can_be_copied_too(app: kolben.Flask) -> None:
    async def work() -> str:
        return request.path

    with app.test_request_context("/x"):
        copied = kolben.copy_current_request_context(work)
    assert copied() == "/x"  # type: ignore[comparison-overlap]


def test_has_contexts(app: kolben.Flask) -> None:
    assert (kolben.has_app_context(), kolben.has_request_context()) == (False, False)
    with app.app_context():
        assert (kolben.has_app_context(), kolben.has_request_context()) == (True, False)
        with app.test_request_context():
            assert (kolben.has_app_context(), kolben.has_request_context()) == (True, True)


def test_contexts_follow_context_variables_into_tasks(app: kolben.Flask) -> None:
    """What runs in a copy of the context sees the request, and changes nothing outside."""
    with app.test_request_context("/x"):
        copied = contextvars.copy_context()
    assert copied.run(lambda: request.path) == "/x"

    def push() -> None:
        app.app_context().push()

    copied.run(push)


def test_work_that_takes_turns_in_one_thread_has_contexts_of_its_own(app: kolben.Flask) -> None:
    """As tasks and greenlets do, each of which runs in its own copy of the context variables."""

    def work(path: str) -> t.Iterator[str]:
        with app.test_request_context(path):
            yield request.path
            yield request.path

    runs = [contextvars.Context() for _ in range(2)]
    works = [work("/1"), work("/2")]
    seen = []
    for _ in range(2):
        for run, one in zip(runs, works, strict=True):
            seen.append(run.run(next, one))
            assert not kolben.has_request_context()
    assert seen == ["/1", "/2", "/1", "/2"]
    for run, one in zip(runs, works, strict=True):
        run.run(list, one)


# -- holding ---------------------------------------------------------------------------------


def test_a_held_context_is_torn_down_when_it_is_released(app: kolben.Flask) -> None:
    ended: list[t.Any] = []
    app.teardown_request(lambda error: ended.append((request.path, error)))
    app.teardown_appcontext(lambda error: ended.append((g.value, error)))
    error = ValueError()
    with app.test_request_context("/x") as context:
        g.value = 1
        context.hold()
        context.hold()
    assert ended == []
    context.release()
    assert ended == []
    context.release(error)
    assert ended == [("/x", error), (1, error)]


def test_releasing_before_the_end_leaves_teardown_to_the_end(app: kolben.Flask) -> None:
    ended: list[t.Any] = []
    app.teardown_request(ended.append)
    with app.test_request_context() as context:
        context.hold()
        context.release()
        assert ended == []
    assert ended == [None]


def test_a_held_context_inside_an_application_context_leaves_that_one_alone(
    app: kolben.Flask,
) -> None:
    ended: list[str] = []
    app.teardown_request(lambda error: ended.append("request"))
    app.teardown_appcontext(lambda error: ended.append("app"))
    with app.app_context():
        with app.test_request_context() as context:
            context.hold()
        context.release()
        assert ended == ["request"]
    assert ended == ["request", "app"]


def test_activating_is_no_pushing(app: kolben.Flask) -> None:
    ended: list[t.Any] = []
    app.teardown_request(ended.append)
    context = app.test_request_context("/x")
    with context.activate():
        assert request.path == "/x"
    assert ended == []


# -- nothing is kept -------------------------------------------------------------------------

ENDINGS: dict[str, t.Callable[[], t.Any]] = {
    "text": lambda: "text",
    "response": lambda: kolben.Response("x"),
    "json": lambda: {"a": 1},
    "look": lambda: request.url + str(session.get("a")) + str(g.get("x")),
    "stream": lambda: kolben.stream_with_context(iter([request.path])),
    "not found": lambda: kolben.abort(404),
    "error": lambda: 1 / 0,
    "None": lambda: None,
    "after": lambda: kolben.after_this_request(lambda response: response) and "x",
    "form": lambda: request.form.to_dict(),
    "template": lambda: kolben.render_template_string("{{ request.path }}{{ g.x }}"),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("way", ["short", "general"])
def test_no_context_or_request_outlives_its_request(
    app: kolben.Flask, ending: str, way: str
) -> None:
    kept: list[weakref.ref[t.Any]] = []
    counted = (AppContext, RequestContext, kolben.Request, kolben.Response)
    if way == "general":
        app.dispatch_request = app.dispatch_request  # type: ignore[method-assign]
    app.logger.disabled = True

    @app.route("/", methods=["GET", "POST"])
    def view() -> t.Any:
        kept.extend(weakref.ref(itself(proxy)) for proxy in (app_ctx, request_ctx, request))
        return ENDINGS[ending]()

    def send() -> None:
        environ = EnvironBuilder("/", method="POST", data={"a": "1"}).get_environ()
        body: t.Any = app(environ, lambda *arguments: None)
        list(body)
        getattr(body, "close", lambda: None)()

    send()
    gc.collect()
    before = Counter(type(one) for one in gc.get_objects() if issubclass(type(one), counted))
    for _ in range(10):
        send()
    gc.collect()
    assert [ref() for ref in kept] == [None] * 33
    after = Counter(type(one) for one in gc.get_objects() if issubclass(type(one), counted))
    assert after == before


def test_a_plain_request_leaves_nothing_to_the_garbage_collector(app: kolben.Flask) -> None:
    """A request without an error makes no circle of references, so nothing waits for gc."""
    kept: list[weakref.ref[t.Any]] = []

    @app.get("/")
    def view() -> str:
        session["a"] = 1
        g.x = 1
        kept.extend(weakref.ref(itself(proxy)) for proxy in (app_ctx, request_ctx, request))
        return request.url

    environ = EnvironBuilder("/").get_environ(), EnvironBuilder("/").get_environ()
    gc.disable()
    try:
        for one in environ:
            app(one, lambda *arguments: None)
            one.pop("werkzeug.request")
        assert [ref() for ref in kept] == [None] * 6
    finally:
        gc.enable()


@frees_functions
def test_an_application_that_was_dropped_is_freed() -> None:
    app = kolben.Flask(__name__)
    app.secret_key = "secret"
    blueprint = kolben.Blueprint("b", __name__)
    blueprint.add_url_rule("/<int:x>", view_func=lambda x: str(x))
    app.register_blueprint(blueprint)
    app.add_url_rule(
        "/", view_func=lambda: session.get("a", "") + kolben.url_for("b.<lambda>", x=1)
    )
    client = app.test_client()
    assert client.get("/").text == "/1"
    assert client.get("/nothing").status_code == 404
    assert client.get("/7").text == "7"
    with app.test_request_context():
        assert kolben.render_template_string("{{ 1 }}") == "1"
    ref = weakref.ref(app)
    del app, client, blueprint
    gc.collect()
    assert ref() is None


def test_an_application_that_never_ran_is_freed_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        app = kolben.Flask(__name__)
        ref = weakref.ref(app)
        del app
        assert ref() is None
    finally:
        gc.enable()


def test_g_is_that_of_the_application_context_whichever_looks_first() -> None:
    app = kolben.Flask(__name__)
    seen = []

    @app.get("/")
    def index() -> str:
        kolben.g.first = 1
        seen.append(app_ctx.g.first)
        app_ctx.g.second = 2
        seen.append(kolben.g.second)
        with app.app_context():
            seen.append(kolben.g.get("first"))
        seen.append(kolben.g.get("first"))
        return ""

    @app.teardown_appcontext
    def teardown(error: BaseException | None) -> None:
        seen.append(kolben.g.get("first"))

    app.test_client().get("/")

    assert seen == [1, 2, None, None, 1, 1]


def test_a_copied_context_of_a_coroutine_function_is_awaited_where_a_loop_is_running(gateway):
    app = kolben.Flask(__name__)
    torn_down = []

    @app.teardown_appcontext
    def tear_down(error):
        torn_down.append(str(error))

    @app.get("/<name>")
    async def view(name):
        @kolben.copy_current_request_context
        async def later(word):
            await asyncio.sleep(0)
            kolben.g.word = word
            if word == "fail":
                raise ValueError(word)
            return f"{word} {kolben.request.path}"

        results = await asyncio.gather(
            later("a"), later("b"), later("fail"), return_exceptions=True
        )
        # A context each, which is torn down when its function has ended.
        assert torn_down == ["None", "None", "fail"]
        assert not hasattr(kolben.g, "word")
        task = asyncio.create_task(later("task"))
        return f"{results[:2]} {await task} {kolben.request.path}"

    assert gateway.get(app, "/x").text == "['a /x', 'b /x'] task /x /x"
    assert len(torn_down) == 5


def test_a_copied_context_of_a_coroutine_function_is_run_in_a_thread():
    """As on Flask."""
    app = kolben.Flask(__name__)

    with app.test_request_context("/x"):

        @kolben.copy_current_request_context
        async def later():
            await asyncio.sleep(0)
            return kolben.request.path

        with ThreadPoolExecutor() as pool:
            assert pool.submit(later).result() == "/x"


def test_an_application_context_may_be_left_while_a_request_goes_on(app: kolben.Flask) -> None:
    """As by a client that keeps the contexts of its last request, and is left last."""
    ended: list[str] = []
    app.teardown_appcontext(lambda error: ended.append("application"))
    app.teardown_request(lambda error: ended.append("request"))
    app.add_url_rule("/", "index", lambda: "text")
    with app.test_client() as client:
        with app.app_context():
            client.get("/")
            del ended[:]
        assert kolben.request.path == "/"
        assert ended == []
    assert ended == ["request", "application"]
    assert not kolben.has_app_context()


def test_an_application_context_below_a_request_is_torn_down_when_it_is_popped(
    app: kolben.Flask,
) -> None:
    ended: list[str] = []
    app.teardown_appcontext(lambda error: ended.append("application"))
    outer, inner = app.app_context(), app.test_request_context("/")
    outer.push()
    inner.push()
    outer.pop()
    assert ended == ["application"]
    assert kolben.has_request_context()
    inner.pop()
    assert ended == ["application"]
    assert not kolben.has_app_context()


@pytest.mark.parametrize("again", [False, True])
def test_a_request_may_be_left_while_an_application_context_in_it_goes_on(
    app: kolben.Flask, again: bool
) -> None:
    ended: list[str] = []
    app.teardown_appcontext(lambda error: ended.append("application"))
    app.teardown_request(lambda error: ended.append("request"))
    with app.app_context() as outer:
        request_context = app.test_request_context("/")
        request_context.push()
        with outer if again else app.app_context():
            assert kolben.request.path == "/"
            request_context.pop()
            assert ended == ["request"]
            assert not kolben.has_request_context()
        assert kolben.current_app == app
        assert not kolben.has_request_context()
    assert ended == ["request", "application", *([] if again else ["application"])]
    assert not kolben.has_app_context()


def test_below_another_request_the_outer_one_is_in_force_again(app: kolben.Flask) -> None:
    with app.app_context(), app.test_request_context("/outer"):
        inner = app.test_request_context("/inner")
        inner.push()
        with app.app_context():
            inner.pop()
            assert kolben.request.path == "/outer"
        assert kolben.request.path == "/outer"


def test_in_a_view_the_views_own_request_is_in_force_again(app: kolben.Flask) -> None:
    @app.get("/view")
    def view() -> list[str]:
        inner = app.test_request_context("/inner")
        inner.push()
        with app.app_context():
            paths = [kolben.request.path]
            inner.pop()
            paths.append(kolben.request.path)
        return [*paths, kolben.request.path]

    assert app.test_client().get("/view").json == ["/inner", "/view", "/view"]


def test_a_request_pushed_twice_and_left_once_is_in_force(app: kolben.Flask) -> None:
    ended: list[str] = []
    app.teardown_request(lambda error: ended.append("request"))
    with app.app_context():
        twice = app.test_request_context("/twice")
        twice.push()
        twice.push()
        with app.app_context():
            twice.pop()
            assert kolben.request.path == "/twice"
        assert kolben.request.path == "/twice"
        assert ended == []
        twice.pop()
        assert ended == ["request"]
        assert not kolben.has_request_context()


def test_two_requests_are_left_one_after_the_other_below_an_application_context(
    app: kolben.Flask,
) -> None:
    with app.app_context():
        outer, inner = app.test_request_context("/outer"), app.test_request_context("/inner")
        outer.push()
        inner.push()
        with app.app_context():
            inner.pop()
            assert kolben.request.path == "/outer"
            outer.pop()
            assert not kolben.has_request_context()
        assert not kolben.has_request_context()


def test_a_request_that_brought_its_application_context_is_not_left_below_another(
    app: kolben.Flask,
) -> None:
    with app.test_request_context("/") as context, app.app_context():
        with pytest.raises(AssertionError, match="cannot be popped"):
            context.pop()
        assert kolben.request.path == "/"


def test_an_application_context_that_is_pushed_again_in_a_request_has_none_after_it(
    app: kolben.Flask,
) -> None:
    context = app.app_context()
    with context:
        with app.test_request_context("/"):
            with context:
                assert kolben.request.path == "/"
            assert kolben.request.path == "/"
        assert not kolben.has_request_context()


def test_of_a_muted_signal_no_receiver_is_told(app: kolben.Flask) -> None:
    told: list[object] = []
    signal = kolben.appcontext_tearing_down

    def receive(sender: object, **values: object) -> None:
        told.append(sender)

    with signal.connected_to(receive, app):
        with signal.muted(), app.app_context():
            pass
        assert told == []
        with app.app_context():
            pass
    assert told == [app]


def test_a_request_that_was_deleted_is_not_made_again() -> None:
    app = kolben.Flask(__name__)
    with app.test_request_context("/x") as context:
        assert context.request.path == "/x"
        del context.request
        with pytest.raises(AttributeError, match="was deleted"):
            context.request  # noqa: B018
        context.request = kolben.Request({"PATH_INFO": "/y", "wsgi.url_scheme": "http"})
        assert context.request.path == "/y"


class Watched(AppContext):
    """An application context of a program's own, that notes when it is pushed and popped."""

    def push(self) -> None:
        self.app.extensions["steps"].append("push")
        super().push()

    def pop(self, exc: BaseException | None = None) -> None:
        self.app.extensions["steps"].append("pop")
        super().pop(exc)


class WatchedApp(kolben.Flask):
    def app_context(self) -> AppContext:
        return Watched(self)


def test_an_application_context_of_ones_own_is_pushed_and_popped_by_requests() -> None:
    app = WatchedApp(__name__)
    steps = app.extensions["steps"] = []
    app.teardown_request(lambda error: steps.append("teardown_request"))
    app.teardown_appcontext(lambda error: steps.append("teardown_appcontext"))
    app.add_url_rule("/", "view", lambda: steps.append("view") or "text")
    app.test_client().get("/")
    assert steps == ["push", "view", "teardown_request", "pop", "teardown_appcontext"]
    assert not kolben.has_app_context()
    del steps[:]
    with app.app_context(), app.test_request_context("/"):
        steps.append("shared")
    assert steps == ["push", "shared", "teardown_request", "pop", "teardown_appcontext"]


def test_an_application_context_of_ones_own_is_popped_before_a_stream_and_torn_down_after_it() -> (
    None
):
    app = WatchedApp(__name__)
    steps = app.extensions["steps"] = []
    app.teardown_appcontext(lambda error: steps.append("teardown_appcontext"))

    @app.route("/")
    def view() -> kolben.Response:
        return kolben.Response(kolben.stream_with_context(iter(["a", "b"])))

    response = app.test_client().get("/", buffered=False)
    pieces = iter(response.response)
    assert next(pieces) == b"a"
    assert not kolben.has_app_context()
    assert steps == ["push", "pop"]
    response.close()
    assert steps == ["push", "pop", "teardown_appcontext"]


@pytest.mark.parametrize("kind", [AppContext, RequestContext])
def test_a_context_class_that_is_patched_has_its_functions_called_by_requests(
    app: kolben.Flask, monkeypatch: pytest.MonkeyPatch, kind: t.Any
) -> None:
    app.add_url_rule("/", "view", lambda: "text")
    app.test_client().get("/")
    calls = []

    def around(name: str, inner: t.Any) -> t.Any:
        return lambda self, *args: calls.append(name) or inner(self, *args)

    for name in ("push", "pop"):
        monkeypatch.setattr(kind, name, around(name, getattr(kind, name)))
    app.test_client().get("/")
    assert calls == ["push", "pop"]
    monkeypatch.undo()
    app.test_client().get("/")
    assert calls == ["push", "pop"]


def test_application_contexts_below_a_request_are_left_one_after_the_other(
    app: kolben.Flask,
) -> None:
    torn_down = []
    app.teardown_appcontext(lambda error: torn_down.append(error))
    outer, inner = app.app_context(), app.app_context()
    within = app.test_request_context("/within")

    @app.route("/")
    def view() -> str:
        outer.push()
        inner.push()
        within.push()
        with pytest.raises(AssertionError):
            outer.pop()
        inner.pop()
        outer.pop()
        assert len(torn_down) == 2
        with pytest.raises(AssertionError):
            outer.pop()
        assert request.path == "/within"
        within.pop()
        return request.path

    assert app.test_client().get("/").text == "/"
    assert len(torn_down) == 3


def test_an_app_context_is_not_popped_below_a_request_of_another_application():
    app, other = kolben.Flask("one"), kolben.Flask("other")
    outer = app.app_context()
    outer.push()
    request = other.test_request_context()
    request.push()
    with pytest.raises(AssertionError, match="cannot be popped"):
        outer.pop()
    request.pop()
    outer.pop()


def test_an_app_context_is_not_popped_where_nothing_was_pushed():
    context = kolben.Flask("one").app_context()
    there = contextvars.copy_context()
    there.run(context.push)
    with pytest.raises(AssertionError, match="cannot be popped: the current one is None"):
        context.pop()
    there.run(context.pop)
