"""Errors as problem details (RFC 9457), and blueprints that own the errors below their prefix."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Conflict, HTTPException, NotFound

import kolben
from gateways import Asked, Gateway, Reply
from kolben import Blueprint, Flask, request
from kolben.problems import MIMETYPE, is_preferred
from test_faults import converse

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


class OutOfStock(Conflict):
    description = "Nothing is left."


def out_of_stock() -> Any:
    raise OutOfStock


def fails() -> Any:
    raise RuntimeError("secret")


#: What the application's views do, by their paths.
VIEWS: dict[str, Callable[[], Any]] = {
    "abort": lambda: kolben.abort(418, "No coffee: it is <b>tea</b> time."),
    "fails": fails,
    "json": lambda: request.get_json(),
    "key": lambda: request.form["missing"],
    "returned": Conflict,
    "class": out_of_stock,
    "made": lambda: kolben.abort(kolben.Response("own", 410)),
    "login": lambda: kolben.abort(401, www_authenticate=WWWAuthenticate("basic", {"realm": "x"})),
}


def make_app(choice: Any = None, is_async: bool = False, **settings: Any) -> Flask:
    app = Flask("program", static_folder=None)
    app.config.update(settings)
    if choice is not None:
        app.config["PROBLEM_DETAILS"] = choice

    def view(what: str) -> Any:
        return VIEWS.get(what, lambda: str(len(request.get_data())))()

    async def coroutine(what: str) -> Any:
        return view(what)

    app.add_url_rule("/<what>", "view", coroutine if is_async else view, methods=["GET", "POST"])
    app.add_url_rule("/folder/", "folder", lambda: "folder")
    return app


def problem(reply: Reply) -> dict[str, Any]:
    assert reply.header("Content-Type") == MIMETYPE
    document: dict[str, Any] = json.loads(reply.body)
    assert document["status"] == reply.status
    assert set(document) <= {"type", "title", "status", "detail"}
    return document


def is_page(reply: Reply) -> bool:
    return reply.header("Content-Type") == "text/html; charset=utf-8"


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_each_error_is_a_problem_where_the_application_says_so(
    gateway: Gateway, is_async: bool
) -> None:
    app = make_app(True, is_async, MAX_CONTENT_LENGTH=10)
    assert problem(gateway.get(app, "/no/where")) == {
        "type": "about:blank", "title": "Not Found", "status": 404,
    }  # fmt: skip
    reply = gateway.ask(app, Asked("/ok", "DELETE"))
    assert problem(reply)["title"] == "Method Not Allowed"
    assert set((reply.header("Allow") or "").split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert problem(gateway.get(app, "/abort")) == {
        "type": "about:blank", "title": "I'm a Teapot", "status": 418,
        "detail": "No coffee: it is <b>tea</b> time.",
    }  # fmt: skip
    assert problem(gateway.post(app, "/ok", b"x" * 11))["status"] == 413
    assert problem(gateway.post(app, "/json", b"x"))["status"] == 415
    kind = [("content-type", "application/json")]
    assert problem(gateway.post(app, "/json", b"{", headers=kind))["status"] == 400
    assert problem(gateway.post(app, "/key"))["status"] == 400
    assert problem(gateway.get(app, "/fails")) == {
        "type": "about:blank", "title": "Internal Server Error", "status": 500,
    }  # fmt: skip
    assert problem(gateway.get(app, "/returned"))["status"] == 409
    assert problem(gateway.get(app, "/class"))["detail"] == "Nothing is left."
    reply = gateway.get(app, "/login")
    assert problem(reply)["status"] == 401
    assert reply.header("WWW-Authenticate") == "Basic realm=x"
    assert reply.header("Vary") is None


def test_the_page_of_an_untrusted_host_is_one_too(gateway: Gateway) -> None:
    app = make_app(True, TRUSTED_HOSTS=["example.com"])
    assert problem(gateway.get(app, "/ok", headers=[("host", "evil.org")]))["status"] == 400


def test_what_is_no_error_or_is_answered_already_stays(gateway: Gateway) -> None:
    app = make_app(True)
    assert gateway.get(app, "/ok").text == "0"
    reply = gateway.get(app, "/folder")
    assert (reply.status, reply.header("Location")) == (308, "http://localhost/folder/")
    assert is_page(reply)
    assert (gateway.get(app, "/made").text, gateway.get(app, "/made").status) == ("own", 410)
    app = make_app(True)
    app.register_error_handler(404, lambda error: ("my own", 404))
    assert gateway.get(app, "/no/where").text == "my own"


def test_a_head_request_gets_the_headers_only(gateway: Gateway) -> None:
    reply = gateway.ask(make_app(True), Asked("/no/where", "HEAD"))
    assert (reply.status, reply.header("Content-Type"), reply.body) == (404, MIMETYPE, b"")


def test_the_error_of_a_teardown_function_is_one_too(gateway: Gateway) -> None:
    app = make_app(True)
    app.teardown_request(lambda error: 1 / 0)
    assert problem(gateway.get(app, "/ok"))["status"] == 500


def test_after_hooks_see_it(gateway: Gateway) -> None:
    app = make_app(True)

    @app.after_request
    def note(response: kolben.Response) -> kolben.Response:
        response.headers["X-Kind"] = response.mimetype or ""
        return response

    for path in ("/no/where", "/fails", "/abort"):
        assert gateway.get(app, path).header("X-Kind") == MIMETYPE


@pytest.mark.parametrize("choice", [None, False])
def test_it_is_off_unless_it_is_asked_for(gateway: Gateway, choice: Any) -> None:
    app = make_app(choice)
    for path in ("/no/where", "/abort", "/fails"):
        reply = gateway.get(app, path, headers=[("accept", MIMETYPE)])
        assert is_page(reply)
        assert reply.header("Vary") is None


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", False),
        ("*/*", False),
        (BROWSER, False),
        ("text/html", False),
        ("image/png", False),
        ("application/json", True),
        ("application/problem+json", True),
        ("application/json, text/plain, */*", True),
        ("application/problem+json, text/html;q=0.9", True),
        ("application/json;q=0.5, text/html", False),
        ("application/json;q=0", False),
        ("text/html;q=nan, application/json;q=9", False),
        ("application/*", True),
        (",;=" * 1000, False),
    ],
)
def test_the_client_says_by_its_accept_what_it_wants(accept: str, expected: bool) -> None:
    assert is_preferred(accept) is expected


def test_where_the_client_chooses_the_answer_varies(gateway: Gateway) -> None:
    app = make_app("accept")
    for path in ("/no/where", "/abort", "/fails"):
        reply = gateway.get(app, path, headers=[("accept", "application/json")])
        assert problem(reply)
        assert reply.header("Vary") == "Accept"
        reply = gateway.get(app, path, headers=[("accept", BROWSER)])
        assert is_page(reply)
        assert reply.header("Vary") == "Accept"
    assert gateway.get(app, "/ok").header("Vary") is None


def test_a_blueprint_chooses_for_its_views_and_an_inner_one_for_its_own(gateway: Gateway) -> None:
    app = make_app()
    outer, inner, plain = (Blueprint(name, "x", url_prefix=f"/{name}") for name in ("o", "i", "p"))
    outer.problem_details = True
    plain.problem_details = False
    for blueprint in (outer, inner, plain):
        blueprint.add_url_rule("/x", "x", lambda: kolben.abort(409))
        blueprint.add_url_rule("/fails", "fails", lambda: 1 / 0)
    inner.register_blueprint(plain)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    for path in ("/o/x", "/o/i/x", "/o/fails"):
        assert problem(gateway.get(app, path))
    for path in ("/o/i/p/x", "/o/i/p/fails", "/o/no/where", "/abort"):
        assert is_page(gateway.get(app, path))


def test_types_are_below_the_setting(gateway: Gateway) -> None:
    app = make_app(True, PROBLEM_TYPES="https://example.com/problems")
    assert problem(gateway.get(app, "/a/b"))["type"] == "https://example.com/problems/not-found"


def test_a_description_is_text_and_whatever_it_holds_can_be_sent(gateway: Gateway) -> None:
    app = make_app(True)
    values: list[Any] = ["é\u2028", "\ud800", {"a": 1}, 5, "<script>"]
    app.add_url_rule("/d/<int:n>", "d", lambda n: kolben.abort(400, values[n]))
    for number, value in enumerate(values):
        detail = problem(gateway.get(app, f"/d/{number}"))["detail"]
        assert detail == (str(value) if number != 1 else "\ud800")


def test_a_choice_that_is_none_is_told_with_its_name() -> None:
    with pytest.raises(ValueError, match="PROBLEM_DETAILS is 'yes'"):
        make_app("yes").test_client().get("/")
    app = make_app()
    blueprint = Blueprint("shop", "x")
    blueprint.problem_details = "json"  # type: ignore[assignment]
    app.register_blueprint(blueprint)
    with pytest.raises(ValueError, match="blueprint 'shop' is 'json'"):
        app.test_client().get("/")


def test_in_debug_mode_hints_are_part_of_the_problem(gateway: Gateway) -> None:
    app = make_app(True, DEBUG=True)
    reply = gateway.get(app, "/folde/r", headers=[("accept", BROWSER)])
    assert (reply.header("Content-Type") or "").startswith(MIMETYPE)
    assert json.loads(reply.body)["hints"]


# -- blueprints that own their prefix -----------------------------------------------------------


def answers(name: str) -> Any:
    return lambda error: (f"{name} {error.code}", error.code)


def blueprint_named(name: str, owns: bool = True, **options: Any) -> Blueprint:
    blueprint = Blueprint(name, "x", **options)
    blueprint.owns_prefix = owns
    blueprint.register_error_handler(404, answers(name))
    blueprint.register_error_handler(405, answers(name))
    blueprint.add_url_rule("/there", "there", lambda **values: "there")
    blueprint.add_url_rule("/aborts", "aborts", lambda **values: kolben.abort(404))
    return blueprint


def owned_app(**options: Any) -> Flask:
    app = Flask("program", static_folder=None, **options)
    app.register_error_handler(404, answers("app"))
    app.register_error_handler(405, answers("app"))
    app.add_url_rule("/shop/own", "own", lambda: kolben.abort(404))
    return app


def test_a_blueprint_answers_what_leads_nowhere_below_its_prefix(gateway: Gateway) -> None:
    app = owned_app()
    app.register_blueprint(blueprint_named("shop", url_prefix="/shop"))
    app.register_blueprint(blueprint_named("other", owns=False, url_prefix="/other"))
    for path, text in {
        "/shop": "shop 404",
        "/shop/": "shop 404",
        "/shop/nowhere": "shop 404",
        "/shop/no/where/": "shop 404",
        "/shop//x": "shop 404",
        "/shop/%0a": "shop 404",
        "/shop/\u00e9": "shop 404",
        "/shop/aborts": "shop 404",
        "/shop/there": "there",
        "/shopping": "app 404",
        "/": "app 404",
        "/other/nowhere": "app 404",
        "/other/aborts": "other 404",
        "/shop/own": "app 404",  # a route of the application's own leads there
    }.items():
        assert gateway.get(app, path).text == text, path
    assert gateway.post(app, "/shop/there").text == "shop 405"
    assert gateway.post(app, "/other/there").text == "app 405"
    reply = gateway.post(app, "/shop/own")
    assert (reply.status, reply.text) == (405, "shop 405")


def test_without_asking_it_is_as_in_flask(gateway: Gateway) -> None:
    app = owned_app()
    app.register_blueprint(blueprint_named("shop", owns=False, url_prefix="/shop"))
    assert gateway.get(app, "/shop/nowhere").text == "app 404"
    assert gateway.post(app, "/shop/there").text == "app 405"


@pytest.mark.parametrize(
    ("outer_owns", "inner_owns", "expected"),
    [
        (True, True, ("outer 404", "inner 404")),
        (True, False, ("outer 404", "outer 404")),
        (False, True, ("app 404", "inner 404")),
        (False, False, ("app 404", "app 404")),
    ],
)
def test_of_nested_ones_the_innermost_that_owns(
    gateway: Gateway, outer_owns: bool, inner_owns: bool, expected: tuple[str, str]
) -> None:
    app = owned_app()
    outer = blueprint_named("outer", outer_owns, url_prefix="/o")
    outer.register_blueprint(blueprint_named("inner", inner_owns, url_prefix="/i"))
    app.register_blueprint(outer)
    app.register_blueprint(outer, name="again", url_prefix="/again")
    for prefix in ("/o", "/again"):
        found = gateway.get(app, f"{prefix}/x").text, gateway.get(app, f"{prefix}/i/x").text
        assert found == expected


def test_an_inner_one_without_handlers_has_those_of_the_one_around_it(gateway: Gateway) -> None:
    app = owned_app()
    outer = blueprint_named("outer", owns=False, url_prefix="/o")
    inner = Blueprint("inner", "x", url_prefix="/i")
    inner.owns_prefix = True
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert gateway.get(app, "/o/i/x").text == "outer 404"
    assert gateway.get(app, "/o/x").text == "app 404"


def test_prefixes_may_have_variables(gateway: Gateway) -> None:
    app = owned_app()
    app.register_blueprint(blueprint_named("shop", url_prefix="/<lang>/shop/<int:number>"))
    assert gateway.get(app, "/de/shop/5/x").text == "shop 404"
    assert gateway.get(app, "/de/shop/x/x").text == "app 404"


def test_on_its_subdomain_only(gateway: Gateway) -> None:
    app = owned_app(subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.com"
    app.register_blueprint(blueprint_named("api", subdomain="api"))
    app.register_blueprint(blueprint_named("shop", url_prefix="/shop", subdomain="www"))
    for host, path, text in (
        ("api.example.com", "/nowhere", "api 404"),
        ("api.example.com", "/shop/nowhere", "api 404"),
        ("www.example.com", "/shop/nowhere", "shop 404"),
        ("www.example.com", "/nowhere", "app 404"),
        ("example.com", "/shop/nowhere", "app 404"),
    ):
        assert gateway.get(app, path, headers=[("host", host)]).text == text, (host, path)


def test_with_host_matching_on_each_host(gateway: Gateway) -> None:
    app = Flask("program", static_folder=None, host_matching=True)
    blueprint = Blueprint("shop", "x", url_prefix="/shop")
    blueprint.owns_prefix = True
    blueprint.register_error_handler(404, answers("shop"))
    blueprint.add_url_rule("/there", "there", lambda: "there", host="a.example")
    app.register_blueprint(blueprint)
    for host in ("a.example", "b.example"):
        assert gateway.get(app, "/shop/x", headers=[("host", host)]).text == "shop 404"


def test_the_request_belongs_to_no_blueprint_all_the_same(gateway: Gateway) -> None:
    app = owned_app()
    shop = blueprint_named("shop", url_prefix="/shop")
    seen: list[Any] = []
    shop.before_request(lambda: seen.append("before"))
    shop.register_error_handler(NotFound, lambda error: (str(request.blueprints), 404))
    app.register_blueprint(shop)
    assert gateway.get(app, "/shop/x").text == "[]"
    assert seen == []


def test_its_errors_are_problems_where_it_says_so(gateway: Gateway) -> None:
    app = make_app()
    api = Blueprint("api", "x", url_prefix="/api")
    api.owns_prefix, api.problem_details = True, True
    api.add_url_rule("/there", "there", lambda: "there")
    app.register_blueprint(api)
    assert problem(gateway.get(app, "/api/nowhere"))["status"] == 404
    assert problem(gateway.post(app, "/api/there"))["status"] == 405
    assert is_page(gateway.get(app, "/no/where"))


def test_an_async_handler_answers(gateway: Gateway) -> None:
    app = Flask("program", static_folder=None)
    shop = Blueprint("shop", "x", url_prefix="/shop")
    shop.owns_prefix = True

    @shop.errorhandler(HTTPException)
    async def handle(error: HTTPException) -> Any:
        return f"async {error.code}", error.code

    app.register_blueprint(shop)
    assert gateway.get(app, "/shop/x").text == "async 404"


def test_it_is_asked_for_before_the_registration() -> None:
    blueprint = Blueprint("shop", "x", url_prefix="/shop")
    Flask("program").register_blueprint(blueprint)
    with pytest.raises(AssertionError, match="owns_prefix"):
        blueprint.owns_prefix = True


def test_a_handshake_is_refused_in_the_same_ways() -> None:
    app = make_app(True)
    shop = blueprint_named("shop", url_prefix="/shop")

    async def refuse() -> None:
        kolben.abort(409)

    app.add_websocket("/ws", view_func=refuse)
    app.register_blueprint(shop)
    for path, status, body in (
        ("/ws", 409, b'{"type":"about:blank","title":"Conflict","status":409}'),
        ("/no/where", 404, b'{"type":"about:blank","title":"Not Found","status":404}'),
        ("/shop/no/where", 404, b"shop 404"),
    ):
        start, rest = converse(app, path)
        assert (start["status"], rest["body"]) == (status, body)
