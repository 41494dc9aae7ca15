"""What typed views answer: as annotated, and nothing else."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import typing as t

import pydantic
import pytest

from gateways import Gateway
from kolben import Flask, Response, redirect
from kolben.api import API, Accepted, Created, Page, Query, Struct


class User(Struct):
    name: str
    age: int = 1


class Admin(User):
    password: str = "secret"


class Team(Struct):
    lead: User
    members: list[User] = []


@dataclasses.dataclass
class Row:
    name: str
    age: int
    password: str = "secret"


class Paging(Struct):
    limit: int = 2
    after: int = 0


class Part(Struct):
    name: str


class Whole(Struct):
    part: Part


class Node(Struct):
    children: list["Node"] = []  # noqa: UP037 (msgspec looks for it at run time)


class Secret(Node):
    password: str = "secret"


class Days(Struct):
    users: dict[dt.date, User]


class Picture(Struct):
    name: str


class Frame(Struct):
    part: Picture


def ask(view: t.Any, gateway: Gateway | None = None, **config: t.Any) -> t.Any:
    api = API("api_answers")
    api.config.update(config)
    api.get("/")(view)
    return (gateway or Gateway("wsgi")).get(api, "/")


def test_a_class_is_sent_as_json(gateway: Gateway) -> None:
    def view() -> User:
        return User("ann")

    reply = ask(view, gateway)
    assert (reply.status, reply.header("content-type")) == (200, "application/json")
    assert reply.header("content-length") == "22"
    assert reply.text == '{"name":"ann","age":1}'


@pytest.mark.parametrize("checked", [True, False])
def test_no_member_leaves_that_the_annotation_lacks(checked: bool) -> None:
    def top() -> User:
        return Admin("a")

    def listed() -> list[User]:
        return [User("a"), Admin("b")]

    def nested() -> Team:
        return Team(Admin("a"), [Admin("b")])

    def row() -> User:
        return Row("a", 2)  # type: ignore[return-value]

    def mapping() -> User:
        return {"name": "a", "password": "secret"}  # type: ignore[return-value]

    def mappings() -> dict[str, User]:
        return {"x": Admin("a")}

    for view in (top, listed, nested, row, mapping, mappings):
        reply = ask(view, API_CHECK_RESPONSES=checked)
        assert reply.status == 200
        assert "secret" not in reply.text, view
        assert '"name":"a"' in reply.text


def test_no_member_leaves_below_an_instance_of_the_same_class() -> None:
    def view() -> Node:
        return Node([Node([Secret()])])

    assert json.loads(ask(view).body) == {"children": [{"children": [{"children": []}]}]}


def test_keys_that_are_dates_pass_where_members_are_filtered() -> None:
    def view() -> Days:
        return Days({dt.date(2026, 1, 1): Admin("ann")})

    assert json.loads(ask(view).body) == {"users": {"2026-01-01": {"name": "ann", "age": 1}}}


def test_a_class_that_is_defined_after_the_first_answer_counts_too() -> None:
    api = API("api_later")
    held = [Part("a")]

    @api.get("/")
    def view() -> Whole:
        return Whole(held[0])

    client = api.test_client()
    assert client.get("/").json == {"part": {"name": "a"}}

    class Secretive(Part):
        password: str = "secret"

    held[0] = Secretive("b")
    assert client.get("/").json == {"part": {"name": "b"}}


def test_the_status_is_annotated(gateway: Gateway) -> None:
    def view() -> User | Created[User] | Accepted[None]:
        return User("ann"), 201

    assert ask(view, gateway).status == 201


def test_either_of_several_statuses_is_annotated(gateway: Gateway) -> None:
    def view() -> tuple[User, t.Literal[200, 201]]:
        return User("ann"), 201

    assert ask(view, gateway).status == 201
    api = API("statuses")
    api.get("/")(view)
    document = api.test_client().get("/openapi.json").json
    assert [*document["paths"]["/"]["get"]["responses"]] == ["200", "201"]
    assert api.client().call(view) == (User("ann"), 201)


def test_none_is_204(gateway: Gateway) -> None:
    def view() -> None: ...

    reply = ask(view, gateway)
    assert (reply.status, reply.body, reply.header("content-type")) == (204, b"", None)


def test_flask_s_own_results_stay_what_they_are(gateway: Gateway) -> None:
    def text() -> str:
        return "hello"

    def response() -> User | Response:
        return t.cast("t.Any", Response("x", 418))

    def moved() -> User:
        return redirect("/x")  # type: ignore[return-value]

    assert ask(text, gateway).header("content-type") == "text/html; charset=utf-8"
    assert ask(response, gateway).status == 418
    assert ask(moved, gateway).status == 302


def test_headers_may_be_returned() -> None:
    def view() -> tuple[User, t.Literal[201], dict[str, str]]:
        return User("a"), 201, {"X-Seen": "1"}

    reply = ask(view)
    assert (reply.status, reply.header("x-seen")) == (201, "1")


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (lambda: User("a", "x"), "$.age"),
        (lambda: User("a", math.nan), "$.age"),
        (lambda: {"age": 3}, "name"),
        (lambda: 7, "User"),
    ],
)
def test_a_result_that_does_not_fit_is_told_in_tests(made: t.Any, named: str) -> None:
    def view() -> User:
        return made()

    with pytest.raises(TypeError, match="The result is no User") as caught:
        ask(view, TESTING=True)
    assert named in str(caught.value)
    assert ask(view, API_CHECK_RESPONSES=True).status == 500


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (User("ann"), r"no member 'age' - at `\$\.part`"),
        (Row("ann", 3), r"no member 'age' - at `\$\.part`"),
        (type("Other", (), {"name": "ann"})(), "Other is unsupported"),
    ],
)
def test_an_object_of_another_class_inside_is_told_in_tests(part: t.Any, told: str) -> None:
    def view() -> Frame:
        return Frame(part)

    with pytest.raises(TypeError, match=f"The result is no Frame, as is annotated: .*{told}"):
        ask(view, TESTING=True)


def test_a_status_that_is_not_annotated_is_told_in_tests() -> None:
    def view() -> User:
        return User("a"), 202  # type: ignore[return-value]

    with pytest.raises(TypeError, match="202"):
        ask(view, TESTING=True)
    assert ask(view).status == 202


def test_pages_name_the_next() -> None:
    api = API("api_pages")
    users = [User(str(n), n) for n in range(1, 6)]

    @api.get("/users")
    def view(page: Query[Paging], kind: str = "") -> Page[User]:
        rest = [one for one in users if one.age > page.after]
        return Page.of(rest, page, cursor=lambda one: one.age)

    client = api.test_client()
    reply = client.get("/users?kind=x")
    assert [one["name"] for one in reply.json["items"]] == ["1", "2"]
    assert reply.headers["Link"] == '<http://localhost/users?kind=x&after=2>; rel="next"'
    last = client.get("/users?after=3")
    assert last.json == {"items": [{"name": "4", "age": 4}, {"name": "5", "age": 5}], "next": None}
    assert "Link" not in last.headers


def test_pages_of_rows_are_filtered() -> None:
    api = API("api_pages")

    @api.get("/users")
    def view(page: Query[Paging]) -> Page[User]:
        return Page.of([Row("a", 1), Admin("b")], page, cursor=lambda one: one.age)

    assert "secret" not in api.test_client().get("/users").text


def test_models_of_pydantic_come_in_pages_too(gateway: Gateway) -> None:
    class Item(pydantic.BaseModel):
        id: int

    class Own(Item):
        password: str = "secret"

    api = API("api_answers")

    def view(page: t.Any) -> t.Any:
        return Page.of((Own(id=number) for number in range(page.after + 1, 4)), page)

    view.__annotations__.update(page=Query[Paging], **{"return": Page[Item]})
    api.get("/items")(view)
    first = gateway.get(api, "/items?limit=2")
    assert json.loads(first.body) == {"items": [{"id": 1}, {"id": 2}], "next": "2"}
    headers = {name.lower(): value for name, value in first.headers}
    assert headers["link"].endswith('/items?limit=2&after=2>; rel="next"')
    assert api.client().call(view, Paging(after=2)) == Page([Item(id=3)])
    schemas = api.test_client().get("/openapi.json").json["components"]["schemas"]
    assert schemas["Page_Item"]["properties"]["items"]["items"] == {
        "$ref": "#/components/schemas/Item"
    }


def test_hooks_see_a_response() -> None:
    api = API("api_hooks")
    seen = []

    @api.get("/")
    def view() -> User:
        return User("a")

    @api.after_request
    def after(response: Response) -> Response:
        seen.append((response.status_code, response.json, response.mimetype))
        return response

    reply = api.test_client().get("/")
    assert seen == [(200, {"name": "a", "age": 1}, "application/json")]
    assert reply.json == {"name": "a", "age": 1}
    assert api.test_client().head("/").headers["Content-Length"] == "20"


def test_a_plain_application_is_as_it_was() -> None:
    app = Flask("plain")

    @app.get("/<int:id>")
    def view(id: int) -> dict[str, int]:
        return {"id": id}

    assert app.view_functions["view"] is view
