"""The page of an error in debug mode: what it says, to whom, and that its console is guarded."""

from __future__ import annotations

import functools
import json
import re
import threading

import pytest
from jinja2 import UndefinedError
from werkzeug.test import Client

import kolben
from kolben.debugging.debugger import Debugger
from kolben.debugging.hints import hints_for

BROWSER = {"Accept": "text/html"}


@pytest.fixture
def app(tmp_path) -> kolben.Flask:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "home.html").write_text("home")
    app = kolben.Flask("shop", root_path=str(tmp_path))
    app.debug = True
    return app


@pytest.fixture
def client(app) -> Client:
    return Client(Debugger(app, find_app=lambda: app))


def page_of(client: Client, path: str, capsys, **headers: str) -> str:
    answer = client.get(path, headers={"Accept": "*/*", "User-Agent": "curl/8", **headers})
    assert answer.status_code == 500
    return answer.text


def test_the_frames_of_the_program_are_shown_and_those_of_the_framework_folded(app, client, capsys):
    @app.get("/")
    def total():
        return {"a": 1}["price"]

    page = page_of(client, "/", capsys, Accept="text/html")
    before, own = page.split("test_debugger.py", 1)
    assert re.search(r"<summary>\d+ frames? of the framework", before)
    assert "{&#34;a&#34;: 1}[&#34;price&#34;]" in own
    logged = capsys.readouterr().err
    assert "kolben/engine" not in logged
    assert "of the framework" in logged
    assert logged.rstrip().endswith("KeyError: 'price'")


def test_a_terminal_gets_text_and_a_program_json(app, client, capsys):
    @app.get("/")
    def fail():
        raise ValueError("<b>no</b>")

    text = page_of(client, "/", capsys)
    assert text.startswith("500 ValueError\n\n<b>no</b>\n")
    content = json.loads(page_of(client, "/", capsys, Accept="application/json"))
    assert content["detail"] == "<b>no</b>"
    assert content["frames"][-1]["function"] == "fail"
    assert "<b>no" not in page_of(client, "/", capsys, Accept="text/html")


def test_a_template_that_is_not_there_names_folders_and_near_names(app, client, capsys, tmp_path):
    app.add_url_rule("/", view_func=lambda: kolben.render_template("hone.html"))
    text = page_of(client, "/", capsys)
    assert str(tmp_path / "templates") in text
    assert "Did you mean 'home.html'?" in text


def test_a_forgotten_await_is_named(app, client, capsys):
    async def find():
        return []

    @app.get("/")
    def users():
        return find()

    assert "returned a coroutine: await it" in page_of(client, "/", capsys)
    assert "find() is an 'async def' function" in page_of(client, "/", capsys)


def test_a_coroutine_within_a_result_is_explained():
    error = TypeError("Object of type coroutine is not JSON serializable")
    assert "put 'await' before the call" in hints_for(error, None, None)[0]


def test_a_parameter_that_the_rule_lacks_is_named_with_the_rule(app, client, capsys):
    @app.get("/users/<int:number>")
    def user(number, name):
        return name

    @app.get("/groups/<group>")
    def groups():
        return ""

    text = page_of(client, "/users/3", capsys)
    assert (
        "The view user() has the parameter 'name', which its rule '/users/<int:number>' lacks"
        in text
    )
    text = page_of(client, "/groups/3", capsys)
    assert "has the variable <group>, which the view groups() does not take" in text


def test_an_endpoint_that_is_not_there_names_the_nearest(app, client, capsys):
    app.add_url_rule("/", "show", lambda: kolben.url_for("shwo_user"))
    app.add_url_rule("/<int:number>", "show_user", lambda number: kolben.url_for("show_user"))
    assert "Did you mean 'show_user'" in page_of(client, "/", capsys)
    assert "'/<int:number>' needs 'number'" in page_of(client, "/3", capsys).replace(
        "/<int:number> needs", "'/<int:number>' needs"
    )


def test_where_all_frames_are_the_frameworks_the_view_is_named(app, client, capsys):
    @app.get("/")
    def nothing():
        return None

    assert re.search(
        r"The view is nothing\(\), in .*test_debugger.py, line \d+", page_of(client, "/", capsys)
    )


def test_where_all_frames_are_the_frameworks_the_view_is_shown(app, client, capsys):
    @app.get("/")
    def nothing():
        return {"<b>": 1}.get("value")

    page = page_of(client, "/", capsys, Accept="text/html")
    assert "<h2>The view</h2>" in page
    assert "def nothing():" in page
    assert "return {&#34;&lt;b&gt;&#34;: 1}.get(&#34;value&#34;)" in page


def test_a_generator_that_reads_the_request_hears_of_stream_with_context(app, client, capsys):
    def generate():
        yield "a"
        yield kolben.request.path

    app.add_url_rule("/", view_func=lambda: kolben.Response(generate()))
    assert client.get("/").data.startswith(b"a")
    logged = capsys.readouterr().err
    assert "stream_with_context" in logged


@pytest.mark.parametrize("name", ["request", "g"])
def test_a_generator_and_a_thread_hear_different_advice(app, client, capsys, name):
    def generate():
        yield "a"
        yield str(getattr(kolben, name).path)

    @app.get("/thread")
    def start():
        caught = []

        def work():
            try:
                getattr(kolben, name).path  # noqa: B018
            except RuntimeError as error:
                caught.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        raise caught[0]

    app.add_url_rule("/", view_func=lambda: kolben.Response(generate()))
    assert client.get("/").data.startswith(b"a")
    assert "A generator that is streamed" in capsys.readouterr().err
    text = page_of(client, "/thread", capsys)
    assert "copy_current_request_context(function)" in text
    assert "A generator that is streamed" not in text


def test_what_led_to_an_error_is_told_to_terminals_programs_and_browsers(app, client, capsys):
    @app.get("/")
    def convert():
        try:
            return str(1 / 0)
        except ZeroDivisionError as error:
            raise ValueError("no number") from error

    said = "Caused by ZeroDivisionError: division by zero"
    text = page_of(client, "/", capsys)
    assert said in text
    assert "Frames of cause 1" in text
    content = json.loads(page_of(client, "/", capsys, Accept="application/json"))
    assert said in content["hints"][-1]
    assert content["frames_of_cause_1"][-1]["line"] == "return str(1 / 0)"
    assert "ZeroDivisionError: division by zero" in page_of(client, "/", capsys, Accept="text/html")


def test_the_members_of_a_group_are_listed(app, client, capsys):
    @app.get("/")
    def fail():
        inner = ExceptionGroup("inner", [KeyError("b")])
        raise ExceptionGroup("outer", [ValueError("a"), inner])

    text = page_of(client, "/", capsys)
    assert "In the group: ValueError: a." in text
    assert "In the group: KeyError: 'b'." in text


def test_an_endless_recursion_is_a_short_page(app, client, capsys):
    @app.get("/")
    def again():
        return again()

    assert "further frames" in page_of(client, "/", capsys)
    assert capsys.readouterr().err.count("in again\n") < 100
    assert len(page_of(client, "/", capsys, Accept="text/html")) < 200_000


def test_the_parameters_of_views_of_every_kind_are_looked_at(app, client, capsys):
    class Note(kolben.views.MethodView):
        def get(self, number):
            return number

    class Caller:
        def __call__(self, number):
            return number

    def plain(number):
        return number

    @functools.wraps(plain)
    def wrapped(**values):
        return plain(**values)

    wrapped_twice = functools.partial(wrapped)
    app.add_url_rule("/method", view_func=Note.as_view("note"))
    app.add_url_rule("/object", "object", Caller())
    app.add_url_rule("/partial", "partial", functools.partial(plain))
    app.add_url_rule("/wrapped", "wrapped", wrapped_twice)
    for kind in ("method", "object", "partial", "wrapped"):
        text = page_of(client, f"/{kind}", capsys)
        assert f"has the parameter 'number', which its rule '/{kind}' lacks" in text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TypeError("object dict can't be used in 'await' expression"), "the 'await' away"),
        (TypeError("'list' object can't be awaited"), "is a list"),
        (AttributeError("'coroutine' object has no attribute 'id'"), "put 'await' before"),
        (UndefinedError("'coroutine object' has no attribute 'id'"), "put 'await' before"),
    ],
)
def test_an_await_too_few_or_too_many_is_explained(error, said):
    assert said in hints_for(error, None, None)[0]


@pytest.mark.parametrize("is_async", [True, False])
def test_a_hook_that_loses_the_response_is_named(app, client, capsys, is_async):
    async def show():
        return ""

    app.add_url_rule("/", view_func=show if is_async else lambda: "")
    app.after_request(lambda response: None)
    assert "An after_request function has returned None" in page_of(client, "/", capsys)


def test_a_field_that_the_request_lacks_is_told_beside_those_it_has(app, client, capsys):
    app.add_url_rule("/", view_func=lambda: kolben.request.args["page"])
    text = page_of(client, "/?pagge=3", capsys)
    assert "The request has no 'page' there: request.args has 'pagge'" in text


def test_a_value_that_no_url_can_hold_is_named(app, client, capsys):
    app.add_url_rule("/<int:number>", "show", lambda number: str(number))
    app.add_url_rule("/", view_func=lambda: kolben.url_for("show", number="x"))
    assert "The URL of 'show' cannot be made of number='x'" in page_of(client, "/", capsys)


@pytest.mark.parametrize("mistyped", ["item", "shop.itmes", "shpo.items", "store.itms"])
def test_a_mistyped_endpoint_is_found_whatever_part_is_mistyped(app, client, capsys, mistyped):
    shop = kolben.Blueprint("shop", __name__, url_prefix="/shop")
    shop.add_url_rule("/", "items", lambda: "")
    shop.add_url_rule("/about", "about_us", lambda: "")
    app.register_blueprint(shop)
    app.add_url_rule("/", view_func=lambda: kolben.url_for(mistyped))
    hint = f"There is no endpoint {mistyped!r}. Did you mean 'shop.items'?"
    assert hint in page_of(client, "/", capsys)


def test_names_that_are_alike_by_their_ending_alone_are_not_suggested(app, client, capsys):
    app.add_url_rule("/", view_func=lambda: kolben.render_template("list.html"))
    assert "Did you mean" not in page_of(client, "/", capsys)


def test_code_runs_in_a_frame_only_with_secret_pin_and_a_trusted_host(app, capsys):
    @app.get("/")
    def fail():
        number = 41_000
        raise ValueError(number)

    debugger = Debugger(app)
    debugger.pin = "123-456"
    client = Client(debugger)
    page = client.get("/", headers=BROWSER).text
    secret = re.search(r'SECRET = "(\w+)"', page)[1]
    frame = re.findall(r'id="frame-(\d+)"', page)[-1]

    def ask(command: str, host: str = "localhost", **more: str):
        query = {"__debugger__": "yes", "cmd": command, "s": secret, **more}
        return client.get("/", query_string=query, headers={"Host": host})

    assert "41023" not in ask("number + 23", frm=frame).text
    assert json.loads(ask("pinauth", pin="000-000").text)["auth"] is False
    assert ask("pinauth", host="evil.example", pin="123-456").status_code == 400
    assert json.loads(ask("pinauth", pin="123-456").text)["auth"] is True
    assert "41023" in ask("number + 23", frm=frame).text
    assert "41023" not in ask("number + 23", frm=frame, s="wrong").text
    cookie = client.get_cookie(debugger.pin_cookie_name)
    client.set_cookie(debugger.pin_cookie_name, cookie.value, domain="evil.example")
    assert ask("number + 23", host="evil.example", frm=frame).status_code == 400


def test_the_pin_is_the_same_for_a_program_that_is_broken(app, monkeypatch):
    monkeypatch.delenv("WERKZEUG_DEBUG_PIN", raising=False)

    def broken(environ, start_response):
        raise SyntaxError

    assert Debugger(broken).pin == Debugger(app).pin
    assert Debugger(broken).pin_cookie_name == Debugger(app).pin_cookie_name
