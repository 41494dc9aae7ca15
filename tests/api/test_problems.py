"""Errors of an API: problem details (RFC 9457), one shape for all."""

from __future__ import annotations

import typing as t

import pydantic
import pytest

from gateways import Gateway
from kolben import Blueprint, Flask, abort
from kolben.api import API, APIBlueprint, InvalidRequest, Problem, Struct


class OutOfStock(Problem, status=409, title="Out of stock"):
    sku: str
    left: int


class Order(Struct):
    sku: str


class OwnOrder(Order):
    password: str = "secret"


class Item(pydantic.BaseModel):
    sku: str


class OwnItem(Item):
    password: str = "secret"


class Twice(Problem, status=409, title="Twice"):
    orders: list[Order]
    item: Item | None
    count: int


def api() -> API:
    api = API("api_problems")

    @api.post("/orders", raises=[OutOfStock])
    def order(body: Order) -> Order:
        raise OutOfStock(sku=body.sku, left=0, detail="Come back tomorrow.")

    @api.get("/items/<int:id>")
    def item(id: int) -> Order:
        abort(404, "There is no item of that number.")

    @api.get("/broken")
    def broken() -> Order:
        raise ZeroDivisionError

    @api.get("/async")
    async def waits(n: int) -> Order:
        abort(403)

    return api


def test_a_problem_has_its_members(gateway: Gateway) -> None:
    headers = [("content-type", "application/json")]
    reply = gateway.post(api(), "/orders", b'{"sku":"A-1"}', headers=headers)
    assert (reply.status, reply.header("content-type")) == (409, "application/problem+json")
    assert reply.text == (
        '{"type":"about:blank","title":"Out of stock","status":409,"detail":"Come back tomorrow.",'
        '"sku":"A-1","left":0}'
    )


def test_the_members_of_a_problem_are_no_more_than_annotated(gateway: Gateway) -> None:
    api = API("api_problems")

    @api.get("/", raises=[Twice])
    def view() -> None:
        raise Twice(orders=[OwnOrder("A")], item=OwnItem(sku="B"), count=2)

    assert gateway.get(api, "/").text == (
        '{"type":"about:blank","title":"Twice","status":409,"orders":[{"sku":"A"}],'
        '"item":{"sku":"B"},"count":2}'
    )
    with pytest.raises(Twice) as caught:
        api.client().call(view)
    assert (caught.value.orders, caught.value.item) == ([Order("A")], Item(sku="B"))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/items/1", 404),
        ("GET", "/nowhere", 404),
        ("DELETE", "/orders", 405),
        ("GET", "/broken", 500),
        ("GET", "/async?n=1", 403),
        ("GET", "/async", 422),
    ],
)
def test_every_error_of_an_api_is_a_problem(
    gateway: Gateway, method: str, path: str, status: int
) -> None:
    app = api()
    reply = gateway.get(app, path, method=method, headers=[("accept", "text/html")])
    assert (reply.status, reply.header("content-type")) == (status, "application/problem+json")


def test_what_a_program_says_is_the_detail() -> None:
    reply = api().test_client().get("/items/1")
    assert reply.json == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no item of that number.",
    }


def test_405_names_the_methods() -> None:
    assert "POST" in api().test_client().delete("/orders").headers["Allow"]


def test_handlers_are_found_by_class_and_by_status() -> None:
    for key in (OutOfStock, 409):
        app = api()

        @app.errorhandler(key)
        def handle(error: t.Any) -> tuple[str, int]:
            return f"{error.sku} is out", 409

        assert app.test_client().post("/orders", json={"sku": "x"}).text == "x is out"
    for key in (InvalidRequest, 422):
        app = api()

        @app.errorhandler(key)
        def handle_invalid(error: t.Any) -> tuple[str, int]:
            return ",".join(one.pointer for one in error.errors), 400

        reply = app.test_client().post("/orders", json={})
        assert (reply.status_code, reply.text) == (400, "#/sku")


def test_a_handler_of_all_exceptions_is_one_of_these_too() -> None:
    app = api()

    @app.errorhandler(Exception)
    def handle(error: Exception) -> tuple[str, int]:
        return type(error).__name__, 500

    client = app.test_client()
    assert client.get("/nowhere").text == "NotFound"
    assert client.get("/broken").text == "ZeroDivisionError"


def test_types_of_problems_have_a_base() -> None:
    app = api()
    app.config["PROBLEM_TYPES"] = "https://shop.example/problems/"
    client = app.test_client()
    reply = client.post("/orders", json={"sku": "x"})
    assert reply.json["type"] == "https://shop.example/problems/out-of-stock"
    assert client.get("/nowhere").json["type"] == "https://shop.example/problems/not-found"


def test_members_are_checked() -> None:
    with pytest.raises(TypeError, match="needs its member 'left'"):
        OutOfStock(sku="x")
    with pytest.raises(TypeError, match="has no member 'colour'"):
        OutOfStock(sku="x", left=1, colour="red")


def test_pages_beside_the_api_keep_their_errors() -> None:
    app = api()
    pages = Blueprint("pages", __name__, url_prefix="/pages")

    @pages.get("/")
    def page() -> str:
        abort(404)

    app.register_blueprint(pages)
    assert "text/html" in app.test_client().get("/pages/").headers["Content-Type"]


def test_a_blueprint_on_a_plain_application() -> None:
    app = Flask("plain")
    v1 = APIBlueprint("v1", __name__, url_prefix="/v1")

    @v1.get("/items")
    def items(q: int) -> int:
        abort(409)

    app.register_blueprint(v1)
    client = app.test_client()
    for path, status in (("/v1/items", 422), ("/v1/items?q=1", 409), ("/v1/nowhere", 404)):
        reply = client.get(path)
        assert reply.status_code == status
        assert reply.headers["Content-Type"] == "application/problem+json"
    assert "text/html" in client.get("/nowhere").headers["Content-Type"]
    assert client.get("/v1/openapi.json").json["paths"].keys() == {"/v1/items"}


def test_a_member_may_be_called_as_a_property_of_werkzeugs_is() -> None:
    class Taken(Problem, status=409, title="Taken"):
        name: str

    api = API("members")

    @api.post("/", raises=[Taken])
    def add() -> None:
        raise Taken(name="lamp")

    assert api.test_client().post("/").json == {
        "type": "about:blank",
        "title": "Taken",
        "status": 409,
        "name": "lamp",
    }
    with pytest.raises(Taken) as raised:
        api.client().call(add)
    assert raised.value.name == "lamp"
    with pytest.raises(TypeError, match="needs its member 'name'"):
        Taken()
