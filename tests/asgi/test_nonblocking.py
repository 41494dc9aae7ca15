"""Plain functions that are marked as never blocking: on the loop under ASGI, and the same under WSGI."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time

import pytest

import kolben
from gateways import Gateway
from kolben import Blueprint, Flask, abort, after_this_request, g, nonblocking, request, session
from kolben.views import MethodView

FORM = [("content-type", "application/x-www-form-urlencoded")]


@pytest.fixture
def app():
    app = Flask("program", static_folder=None)
    app.secret_key = "secret"
    return app


@pytest.fixture
def places(app):
    """Where the functions of a program have run: on the loop or off it, by name."""
    found = {}

    def note(name):
        found[name] = threading.current_thread() is threading.main_thread()

    app.extensions["note"] = note
    return found


def test_all_kinds_of_functions_run_on_the_loop(app, places, gateway):
    note = app.extensions["note"]

    class Refused(Exception):
        pass

    @app.before_request
    @nonblocking
    def before():
        note("before")
        g.user = request.args["user"]

    @app.after_request
    @nonblocking
    def after(response):
        note("after")
        response.headers["X-User"] = g.user
        return response

    @app.teardown_request
    @nonblocking
    def teardown(error):
        note("teardown")

    @app.teardown_appcontext
    @nonblocking
    def teardown_appcontext(error):
        note("teardown_appcontext")

    @app.errorhandler(Refused)
    @nonblocking
    def refused(error):
        note("error")
        return "refused", 403

    @app.get("/<int:number>")
    @nonblocking
    def view(number):
        note("view")

        @after_this_request
        @nonblocking
        def once(response):
            note("once")
            return response

        if number == 0:
            raise Refused
        return f"{number} {g.user}"

    answer = gateway.get(app, "/1?user=Ada")
    assert (answer.status, answer.text, answer.header("X-User")) == (200, "1 Ada", "Ada")
    assert gateway.get(app, "/0?user=Ada").status == 403
    names = {"before", "after", "teardown", "teardown_appcontext", "error", "view", "once"}
    assert places == dict.fromkeys(names, True)


def test_one_that_may_block_takes_the_others_of_its_kind_to_a_thread(app, places):
    note = app.extensions["note"]
    gateway = Gateway("asgi")

    @app.before_request
    @nonblocking
    def first():
        note("first")

    @app.before_request
    def second():
        note("second")

    @app.get("/")
    @nonblocking
    def view():
        note("view")
        return "ok"

    assert gateway.get(app, "/").text == "ok"
    assert places == {"first": False, "second": False, "view": True}


def test_views_of_blueprints_classes_and_rules(app, places, gateway):
    note = app.extensions["note"]
    blueprint = Blueprint("shop", "shop", url_prefix="/shop")

    @blueprint.route("/", methods=["GET", "POST"])
    @nonblocking
    def index():
        note("blueprint")
        return request.form.get("name", "nothing")

    class Note(MethodView):
        decorators = [nonblocking]

        def get(self, number):
            note("class")
            return str(number)

    app.register_blueprint(blueprint)
    app.add_url_rule("/notes/<int:number>", view_func=Note.as_view("note"))
    app.add_url_rule("/rule", view_func=nonblocking(lambda: "rule"), endpoint="rule")
    assert gateway.get(app, "/shop/").text == "nothing"
    assert gateway.post(app, "/shop/", b"name=Ada", headers=FORM).text == "Ada"
    assert gateway.get(app, "/notes/7").text == "7"
    assert gateway.get(app, "/rule").text == "rule"
    assert gateway.get(app, "/rule", method="HEAD").status == 200
    assert "GET" in gateway.get(app, "/rule", method="OPTIONS").header("allow")
    assert places == {"blueprint": True, "class": True}


def test_what_has_looked_at_the_request_before(app, places, gateway):
    """The step with a name then calls the view."""
    note = app.extensions["note"]

    @app.before_request
    @nonblocking
    def before():
        return "no" if request.headers.get("X-No") else None

    @app.get("/<name>")
    @nonblocking
    def view(name):
        note("view")
        session["name"] = name
        return name

    answer = gateway.get(app, "/Ada")
    assert (answer.text, "session" in answer.header("Set-Cookie")) == ("Ada", True)
    assert gateway.get(app, "/Ada", headers=[("x-no", "1")]).text == "no"
    assert places == {"view": True}


def test_what_it_returns_may_be_anything(app, gateway):
    @app.get("/stream")
    @nonblocking
    @kolben.stream_body
    def stream():
        return (f"{n} " for n in range(3))

    @app.get("/abort")
    @nonblocking
    def refuse():
        abort(418)

    @app.get("/await")
    @nonblocking
    def later():
        async def answer():
            await asyncio.sleep(0)
            return "later"

        return app.ensure_sync(answer)()

    assert gateway.get(app, "/stream").text == "0 1 2 "
    assert gateway.get(app, "/abort").status == 418
    assert gateway.get(app, "/await").text == "later"


def test_the_mark_goes_with_wrappers_and_stays_off_what_has_no_room_for_it():
    @nonblocking
    def view():
        return "ok"

    @functools.wraps(view)
    def wrapper():
        return view()

    app = Flask("program", static_folder=None)
    app.add_url_rule("/", view_func=wrapper)
    where = []
    app.before_request(nonblocking(lambda: where.append(threading.current_thread())))
    assert Gateway("asgi").get(app, "/").text == "ok"
    assert where == [threading.main_thread()]
    with pytest.raises(TypeError, match="write a function that calls it"):
        nonblocking(len)


def test_one_that_holds_the_loop_is_warned_of_once(app, caplog):
    @app.get("/")
    @nonblocking
    def view():
        time.sleep(0.15)
        return "ok"

    gateway = Gateway("asgi")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert gateway.get(app, "/").text == "ok"
    (record,) = caplog.records
    assert "view" in record.getMessage()
    assert "held the event loop for 0." in record.getMessage()


@pytest.mark.parametrize("kind", ["before_request", "teardown_request", "errorhandler"])
def test_a_hook_that_holds_the_loop_is_warned_of_once(app, caplog, kind):
    """Whether it was prepared with the route, or is looked up for each request."""

    @nonblocking
    def hold(*args):
        time.sleep(0.15)
        return ("held", 404) if kind == "errorhandler" else None

    register = getattr(app, kind)
    register(404)(hold) if kind == "errorhandler" else register(hold)

    @app.get("/")
    async def view():
        return "ok"

    gateway = Gateway("asgi")
    path = "/nowhere" if kind == "errorhandler" else "/"
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            gateway.get(app, path)
    (record,) = caplog.records
    assert "has held the event loop" in record.getMessage()


def test_requests_that_interleave_get_their_own_answers_and_teardowns(app):
    """Views on the loop, in threads and on both, hundreds at a time."""
    torn_down = []

    @app.teardown_request
    def teardown(error):
        torn_down.append((g.number, type(error)))

    def answer(number):
        g.number = number
        if number % 5 == 0:
            raise KeyError(number)
        return f"{number} {request.args['number']}"

    @app.errorhandler(KeyError)
    def failed(error):
        return f"{g.number} {error.args[0]}", 400

    app.get("/loop/<int:number>", endpoint="loop")(nonblocking(lambda number: answer(number)))
    app.get("/thread/<int:number>", endpoint="thread")(lambda number: answer(number))

    @app.get("/wait/<int:number>")
    def wait(number):
        time.sleep(0.001 * (number % 3))
        return answer(number)

    @app.get("/async/<int:number>")
    async def later(number):
        await asyncio.sleep(0)
        return answer(number)

    kinds = ("loop", "thread", "wait", "async")

    async def main():
        client = app.async_test_client(use_cookies=False)

        async def one(number):
            path = f"/{kinds[number % 4]}/{number}?number={number}"
            return (await client.get(path)).text

        return await asyncio.gather(*map(one, range(600)))

    assert asyncio.run(main()) == [f"{number} {number}" for number in range(600)]
    assert sorted(torn_down) == [(number, type(None)) for number in range(600)]


def test_hooks_of_websockets(app, places):
    note = app.extensions["note"]

    @app.before_websocket
    @nonblocking
    def before():
        note("before")

    @app.websocket("/")
    async def handler():
        await kolben.websocket.send("hello")

    async def main():
        async with app.async_test_client().websocket("/") as ws:
            return await ws.receive()

    assert asyncio.run(main()) == "hello"
    assert places == {"before": True}


@pytest.mark.parametrize("where", ["application", "blueprint", "rule", "decorated", "class"])
def test_a_route_can_say_that_its_view_never_blocks(app, places, gateway, where):
    note = app.extensions["note"]

    def view(name):
        note("view")
        return f"{name} {request.path}"

    class Class(MethodView):
        def get(self, name):
            return view(name)

    blueprint = Blueprint("blueprint", __name__)
    if where == "application":
        app.get("/<name>", blocking=False)(view)
    elif where == "blueprint":
        blueprint.route("/<name>", blocking=False)(view)
    elif where == "rule":
        app.add_url_rule("/<name>", view_func=view, blocking=False)
    elif where == "decorated":

        @app.get("/<name>", blocking=False)
        @functools.wraps(view)
        def decorated(**values):
            return view(**values)
    else:
        app.add_url_rule("/<name>", view_func=Class.as_view("class"), blocking=False)
    app.register_blueprint(blueprint)
    for _ in range(2):
        assert gateway.get(app, "/ada").body == b"ada /ada"
    assert places == {"view": True}


def test_a_route_that_may_block_says_nothing_new(app, places):
    note = app.extensions["note"]
    app.get("/thread", blocking=True)(lambda: note("view") or "")
    Gateway("asgi").get(app, "/thread")
    assert places == {"view": False}


def test_a_view_that_cannot_be_marked_is_told(app):
    class Views:
        def view(self):
            return ""

    with pytest.raises(TypeError, match="write a function that calls it"):
        app.add_url_rule("/", view_func=Views().view, blocking=False)
