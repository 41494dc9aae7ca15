"""The pages of 404 and 405 in debug mode."""

from __future__ import annotations

import json

import pytest
from werkzeug.exceptions import NotFound

import kolben
from kolben import abort

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
TERMINAL = {"Accept": "*/*", "User-Agent": "curl/8.10.1"}
PROGRAM = {"Accept": "application/json"}


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask("shop")
    app.debug = True

    @app.get("/users")
    def users():
        return "users"

    @app.get("/users/<int:number>")
    def user(number):
        if number == 9:
            abort(404)
        return str(number)

    @app.post("/users/<int:number>/orders/<path:rest>")
    def orders(number, rest):
        return rest

    return app


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/user", "Did you mean /users?"),
        ("/user/3", "Did you mean /users/3?"),
        ("/users/3/", "Did you mean /users/3?"),
        ("/users/lamp", "segment 2 is 'lamp', where the rule has <int:number>"),
        ("/users/3/orders", "the path ends where the rule goes on with '<path:rest>'"),
        ("/users/3/odres/4", "segment 3 is 'odres', where the rule has 'orders'"),
        ("/users/3/what", "the rule ends before 'what'"),
    ],
)
def test_a_404_says_what_was_meant_and_why_it_does_not_match(app, path, said):
    answer = app.test_client().get(path, headers=TERMINAL)
    assert answer.status_code == 404
    assert answer.mimetype == "text/plain"
    assert said in answer.text
    assert "/users/<int:number>" in answer.text


def test_each_client_gets_the_page_that_it_can_show(app):
    client = app.test_client()
    page = client.get("/user", headers=BROWSER)
    assert page.mimetype == "text/html"
    assert '<a href="/users">/users</a>' in page.text
    content = json.loads(client.get("/user", headers=PROGRAM).text)
    assert (content["status"], content["title"]) == (404, "Not Found")
    assert content["hints"][0] == "Did you mean /users?"
    assert {"rule": "/users", "methods": "GET, HEAD, OPTIONS", "endpoint": "users"} in content[
        "routes"
    ]


@pytest.mark.parametrize(
    ("accept", "agent", "media_type"),
    [
        ("*/*", "curl/8", "text/plain"),
        ("*/*", "Wget/1.25", "text/plain"),
        ("*/*", "python-requests/2", "text/html"),
        ("application/json, text/plain, */*", "axios", "application/problem+json"),
        ("application/json;q=0.5, text/html", "x", "text/html"),
        ("application/vnd.api+json", "x", "application/problem+json"),
        ("application/problem+json", "x", "application/problem+json"),
        ("image/avif,image/webp,*/*", "Mozilla/5.0", "text/html"),
    ],
)
def test_the_media_type_is_chosen_by_what_the_client_accepts(app, accept, agent, media_type):
    answer = app.test_client().get("/user", headers={"Accept": accept, "User-Agent": agent})
    assert answer.mimetype == media_type
    assert answer.headers["Vary"] == "Accept"


def test_a_client_that_names_no_media_type_gets_what_production_sends(app):
    plain = kolben.Flask("shop").test_client().get("/user").text
    assert app.test_client().get("/user").text == plain


@pytest.mark.parametrize("headers", [BROWSER, TERMINAL, PROGRAM])
def test_without_debug_mode_no_route_is_told(app, headers):
    app.debug = False
    assert "int:number" not in app.test_client().get("/user", headers=headers).text


def test_what_the_client_sent_is_escaped(app):
    client = app.test_client()
    page = client.get("/<script>alert(1)</script>", headers=BROWSER).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    text = client.get("/%1b[31m%0d%0aX", headers=TERMINAL).text
    assert "\x1b" not in text
    assert "\r" not in text


def test_a_405_names_the_methods_and_what_to_do(app):
    answer = app.test_client().delete("/users", headers=TERMINAL)
    assert answer.status_code == 405
    assert answer.allow == {"GET", "HEAD", "OPTIONS"}
    assert "'/users' does not take DELETE. It takes GET, HEAD, OPTIONS." in answer.text
    assert "@app.delete(...)" in answer.text


def test_a_404_of_the_program_itself_names_its_line(app):
    text = app.test_client().get("/users/9", headers=TERMINAL).text
    assert "A route matched: the view 'user' answered this by itself" in text
    assert "test_refusals.py" in text


def test_handlers_of_the_program_come_first(app):
    app.register_error_handler(404, lambda error: ("mine", 404))
    assert app.test_client().get("/user", headers=BROWSER).text == "mine"


def test_a_handler_that_returns_the_error_gets_the_page(app):
    app.register_error_handler(NotFound, lambda error: error)
    assert "Did you mean" in app.test_client().get("/user", headers=BROWSER).text


def test_below_a_mount_point_the_link_leads_to_the_application(app):
    page = app.test_client().get("/user", base_url="http://localhost/shop", headers=BROWSER).text
    assert '<a href="/shop/users">/users</a>' in page


def test_hundreds_of_routes_are_cut(app):
    for number in range(400):
        app.add_url_rule(f"/generated/{number}", endpoint=str(number))
    text = app.test_client().get("/user", headers=TERMINAL).text
    assert "Routes (the first 300 of 404)" in text


def test_a_websockets_url_opened_in_a_browser_says_what_it_takes(app):
    @app.websocket("/chat")
    async def chat():
        await kolben.websocket.accept()

    answer = app.test_client().get("/chat", headers=BROWSER)
    assert answer.status_code == 426
    assert "This page is shown in debug mode only." in answer.text
    assert "It takes a WebSocket client" in answer.text
    assert answer.headers["Upgrade"] == "websocket"
    assert "WebSocket client" in app.test_client().get("/chat", headers=TERMINAL).text
