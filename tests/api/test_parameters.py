"""Where the values of a typed view come from, and what is said of those that do not fit."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import io
import json
import typing as t
import uuid

import attrs
import pydantic
import pytest
from werkzeug.datastructures import FileStorage

from gateways import Gateway
from kolben import request
from kolben.api import (
    API,
    APIKey,
    Basic,
    Bearer,
    Body,
    Cookie,
    Form,
    Header,
    Meta,
    Name,
    Query,
    Struct,
)

Size = t.Annotated[int, Meta(ge=1, le=100)]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Paging(Struct):
    limit: Size = 20
    after: str | None = None


class Item(Struct):
    name: str
    price: float = 0.0


class Upload(Struct):
    title: str
    photo: FileStorage
    others: list[FileStorage] = []


@dataclasses.dataclass
class Trace:
    request_id: str
    depth: int = 0


class Login(Struct):
    user: str
    agent: Header[str] = ""
    remember: bool = False


def api() -> API:
    api = API("api_parameters")

    @api.get("/shops/<int:shop>")
    def shop(
        shop: int,
        page: Query[Paging],
        q: str,
        tag: list[str] = [],  # noqa: B006 (as programs write it)
        sort: t.Annotated[t.Literal["name", "price"], Name("sort-by")] = "name",
        x_request_id: Header[str | None] = None,
        theme: Cookie[str] = "light",
    ) -> dict[str, t.Any]:
        return {
            "shop": shop,
            "page": [page.limit, page.after],
            "q": q,
            "tag": tag,
            "sort": sort,
            "id": x_request_id,
            "theme": theme,
        }

    @api.get("/kinds")
    def kinds(
        i: int | None = None,
        f: float | None = None,
        b: bool | None = None,
        c: Colour | None = None,
        d: dt.date | None = None,
        u: uuid.UUID | None = None,
        n: list[int] = [],  # noqa: B006
    ) -> list[t.Any]:
        return [i, f, b, None if c is None else c.name, str(d), str(u), n]

    @api.post("/items")
    def items(item: Item, dry: bool = False) -> list[t.Any]:
        return [item.name, item.price, dry, request.get_data(as_text=True)]

    @api.post("/numbers")
    def numbers(numbers: Body[list[int]]) -> int:
        return sum(numbers)

    @api.post("/uploads")
    def uploads(form: Upload) -> list[t.Any]:
        return [form.title, form.photo.filename, [one.filename for one in form.others]]

    @api.post("/login")
    def login(form: Form[Login]) -> list[t.Any]:
        return [form.user, form.agent, form.remember]

    @api.get("/trace")
    def trace(trace: Header[Trace]) -> list[t.Any]:
        return [trace.request_id, trace.depth]

    @api.get("/days/<day>")
    async def day(day: dt.date) -> str:
        return day.isoformat()

    return api


def faults(reply: t.Any) -> list[tuple[str, str]]:
    import json

    assert reply.status == 422, reply.text
    assert reply.header("content-type") == "application/problem+json"
    return [
        (one["in"], one.get("name") or one.get("pointer"))
        for one in json.loads(reply.text)["errors"]
    ]


def test_each_value_is_read_from_its_place(gateway: Gateway) -> None:
    headers = [("x-request-id", "7"), ("cookie", "theme=dark")]
    path = "/shops/3?q=a%20b&limit=5&tag=x&tag=y&sort-by=price"
    reply = gateway.get(api(), path, headers=headers)
    assert reply.text == (
        '{"shop":3,"page":[5,null],"q":"a b","tag":["x","y"],"sort":"price","id":"7","theme":"dark"}'
    )


def test_defaults_stand_in_for_what_was_not_sent(gateway: Gateway) -> None:
    reply = gateway.get(api(), "/shops/3?q=a")
    assert reply.text == (
        '{"shop":3,"page":[20,null],"q":"a","tag":[],"sort":"name","id":null,"theme":"light"}'
    )


def test_every_fault_is_told(gateway: Gateway) -> None:
    reply = gateway.get(api(), "/shops/3?limit=500&sort-by=size")
    assert faults(reply) == [("query", "limit"), ("query", "q"), ("query", "sort-by")]
    assert "500" not in reply.text
    assert "size" not in reply.text


def test_the_first_of_repeated_values_counts(gateway: Gateway) -> None:
    assert gateway.get(api(), "/kinds?i=1&i=2").text.startswith("[1,")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("i=-12", -12),
        ("f=1.5e3", 1500.0),
        ("b=true", True),
        ("b=0", False),
        ("c=blue", "BLUE"),
        ("d=2026-02-03", "2026-02-03"),
        ("u=12345678-1234-5678-1234-567812345678", "12345678-1234-5678-1234-567812345678"),
        ("n=1&n=2", [1, 2]),
    ],
)
def test_text_is_read_as_its_type(query: str, expected: object) -> None:
    reply = api().test_client().get(f"/kinds?{query}")
    assert expected in reply.json


@pytest.mark.parametrize(
    "query",
    [
        *("i=", "i=1.0", "i=+1", "i=1_0", "i=%D9%A1", "i=null", "i=--1", "i=-", f"i={'9' * 5000}"),
        *("f=nan", "f=inf", "f=1e999", "f=+1", "f=.5", "f=1_0", "f=null"),
        *("b=yes", "b=True", "b=", "c=RED", "d=2026-13-01", "u=x", "n=1&n=x"),
    ],
)
def test_text_that_is_no_such_value_is_refused(query: str) -> None:
    reply = api().test_client().get(f"/kinds?{query}")
    assert reply.status_code == 422
    assert [one["name"] for one in reply.json["errors"]] == [query[0]]


def test_a_body_is_read_and_still_there_for_the_request(gateway: Gateway) -> None:
    headers = [("content-type", "application/json")]
    reply = gateway.post(api(), "/items?dry=1", b'{"name":"lamp"}', headers=headers)
    assert reply.text == '["lamp",0.0,true,"{\\"name\\":\\"lamp\\"}"]'


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.shop+json"])
def test_every_type_of_json_is_taken(gateway: Gateway, kind: str) -> None:
    reply = gateway.post(api(), "/numbers", b"[1,2]", headers=[("content-type", kind)])
    assert reply.text == "3"


def test_a_chunked_body_is_read(gateway: Gateway) -> None:
    headers = [("content-type", "application/json")]
    reply = gateway.post(api(), "/numbers", [b"[1,", b"2]"], headers=headers)
    assert reply.text == "3"


def test_a_body_of_another_type_is_415(gateway: Gateway) -> None:
    reply = gateway.post(api(), "/items", b"{}", headers=[("content-type", "text/plain")])
    assert (reply.status, reply.header("content-type")) == (415, "application/problem+json")


@pytest.mark.parametrize("body", [b"", b"{", b"[[", b"\xff", b'{"name": NaN}', b"{}x"])
def test_what_is_no_json_is_400(gateway: Gateway, body: bytes) -> None:
    reply = gateway.post(api(), "/items", body, headers=[("content-type", "application/json")])
    assert (reply.status, reply.header("content-type")) == (400, "application/problem+json")


def test_a_body_that_is_too_long_is_413(gateway: Gateway) -> None:
    app = api()
    app.config["MAX_CONTENT_LENGTH"] = 5
    reply = gateway.post(
        app, "/items", b'{"name":"x"}', headers=[("content-type", "application/json")]
    )
    assert (reply.status, reply.header("content-type")) == (413, "application/problem+json")


def test_faults_of_all_sources_are_told_together(gateway: Gateway) -> None:
    headers = [("content-type", "application/json")]
    reply = gateway.post(api(), "/items?dry=maybe", b'{"price":"x"}', headers=headers)
    assert faults(reply) == [("query", "dry"), ("body", "#/name"), ("body", "#/price")]


def test_files_come_with_their_form() -> None:
    client = api().test_client()
    data = {"title": "t", "photo": (io.BytesIO(b"1"), "a.png")}
    assert client.post("/uploads", data=data).json == ["t", "a.png", []]
    data = {
        "title": "t",
        "photo": (io.BytesIO(b"1"), "a.png"),
        "others": [(io.BytesIO(b"2"), "b.png"), (io.BytesIO(b"3"), "c.png")],
    }
    assert client.post("/uploads", data=data).json == ["t", "a.png", ["b.png", "c.png"]]
    reply = client.post("/uploads", data={"title": "t"})
    assert reply.json["errors"] == [
        {"in": "form", "name": "photo", "detail": "Required, but missing"}
    ]


def test_a_class_may_have_fields_of_several_places(gateway: Gateway) -> None:
    headers = [("content-type", "application/x-www-form-urlencoded"), ("agent", "007")]
    reply = gateway.post(api(), "/login", b"user=ann&remember=true", headers=headers)
    assert reply.text == '["ann","007",true]'


def test_json_is_no_form(gateway: Gateway) -> None:
    reply = gateway.post(api(), "/login", b"{}", headers=[("content-type", "application/json")])
    assert reply.status == 415


def test_a_class_is_read_from_headers(gateway: Gateway) -> None:
    reply = gateway.get(api(), "/trace", headers=[("request-id", "r"), ("depth", "2")])
    assert reply.text == '["r",2]'
    assert faults(gateway.get(api(), "/trace")) == [("header", "request-id")]


def test_variables_of_the_url_are_read_as_their_type(gateway: Gateway) -> None:
    assert gateway.get(api(), "/days/2026-01-02").text == "2026-01-02"
    assert faults(gateway.get(api(), "/days/today")) == [("path", "day")]


class PydanticPaging(pydantic.BaseModel):
    limit: t.Annotated[int, pydantic.Field(ge=1, le=100, alias="max")] = 20
    tags: list[str] = []


@attrs.define
class AttrsPaging:
    limit: t.Annotated[int, Meta(ge=1, le=100)] = 20
    tags: list[str] = attrs.field(factory=list)


class NamedPaging(t.NamedTuple):
    limit: Size = 20
    tags: list[str] = []


class TypedPaging(t.TypedDict):
    limit: t.NotRequired[Size]
    tags: t.NotRequired[list[str]]


@dataclasses.dataclass
class DataPaging:
    limit: Size = 20
    tags: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        if self.limit == 13:
            raise ValueError("Not that one.")


@pytest.mark.parametrize(
    "kind",
    [PydanticPaging, AttrsPaging, NamedPaging, TypedPaging, DataPaging],
    ids=lambda k: k.__name__,
)
def test_classes_of_all_kinds_are_read_field_by_field(gateway: Gateway, kind: t.Any) -> None:
    api = API("api_kinds")

    def view(page: t.Any, q: str = "") -> list[t.Any]:
        given = page if isinstance(page, dict) else {n: getattr(page, n) for n in ("limit", "tags")}
        return [given.get("limit", 20), given.get("tags", []), q]

    view.__annotations__["page"] = Query[kind]
    api.get("/")(view)
    name = "max" if kind is PydanticPaging else "limit"
    assert gateway.get(api, "/").text == '[20,[],""]'
    assert gateway.get(api, f"/?{name}=5&tags=a&tags=b&q=c").text == '[5,["a","b"],"c"]'
    assert faults(gateway.get(api, f"/?{name}=500")) == [("query", name)]
    assert faults(gateway.get(api, f"/?{name}=x")) == [("query", name)]
    document = api.test_client().get("/openapi.json").json
    parameters = {one["name"]: one["schema"] for one in document["paths"]["/"]["get"]["parameters"]}
    assert parameters[name]["maximum"] == 100


def test_what_a_class_refuses_itself_is_a_fault(gateway: Gateway) -> None:
    api = API("api_refuses")

    @api.get("/")
    def view(page: Query[DataPaging]) -> None: ...

    reply = gateway.get(api, "/?limit=13")
    assert reply.status == 422
    assert '"errors":[{"in":"query","detail":"Not that one."}]' in reply.text


def test_dates_and_texts_of_other_kinds(gateway: Gateway) -> None:
    api = API("api_dates")

    @api.get("/")
    def view(
        at: dt.datetime,
        either: int | str = 0,
        cost: decimal.Decimal = decimal.Decimal(1),
        colours: set[Colour] = set(),  # noqa: B006
        x_ids: Header[list[int]] = [],  # noqa: B006
    ) -> list[t.Any]:
        return [at.isoformat(), either, str(cost), len(colours), x_ids]

    path = "/?at=2026-01-02T03:04:05Z&either=7&cost=1.50&colours=red&colours=blue&colours=red"
    reply = gateway.get(api, path, headers=[("x-ids", "1, 2")])
    assert reply.text == '["2026-01-02T03:04:05+00:00","7","1.50",2,[1,2]]'
    reply = gateway.get(api, "/?at=now&cost=NaN&colours=green", headers=[("x-ids", "1, x")])
    assert faults(reply) == [
        ("query", "at"),
        ("query", "cost"),
        ("query", "colours"),
        ("header", "x-ids"),
    ]


def test_local_names_are_found() -> None:
    api = API("api_local")

    class Local(Struct):
        number: int

    @api.post("/")
    def view(body: Local) -> Local:
        return body

    assert api.test_client().post("/", json={"number": 1}).json == {"number": 1}


class Point(Struct):
    x: float
    y: float
    label: str = ""


FIVE = Paging(5, "k")


def defaults_api() -> API:
    api = API("defaults")

    @api.get("/page")
    def page(page: Query[Paging] = FIVE) -> t.Any:
        return [page.limit, page.after]

    @api.get("/near")
    def near(q: str = "", at: Query[Point | None] = None, w: Header[str] = "") -> t.Any:
        return [q, at and [at.x, at.y, at.label], w]

    @api.post("/form")
    def form(title: Form[str], login: Form[Login | None] = None) -> t.Any:
        return [title, login and [login.user, login.remember]]

    return api


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/page", [5, "k"]),
        ("/page?limit=7", [7, "k"]),
        ("/near?q=a", ["a", None, ""]),
        ("/near?x=1&y=2", ["", [1.0, 2.0, ""], ""]),
    ],
)
def test_what_is_not_sent_of_a_class_is_as_in_its_default(
    gateway: Gateway, path: str, expected: object
) -> None:
    assert json.loads(gateway.get(defaults_api(), path).text) == expected


def test_the_fields_of_a_class_that_may_be_none_come_together(gateway: Gateway) -> None:
    assert faults(gateway.get(defaults_api(), "/near?x=1")) == [("query", "y")]
    assert faults(gateway.get(defaults_api(), "/near?label=a")) == [("query", "x"), ("query", "y")]
    headers = [("content-type", "application/x-www-form-urlencoded")]
    reply = gateway.post(defaults_api(), "/form", b"title=a", headers=headers)
    assert reply.text.strip() == '["a",null]'
    reply = gateway.post(defaults_api(), "/form", b"title=a&remember=1", headers=headers)
    assert faults(reply) == [("form", "user")]
    reply = gateway.post(defaults_api(), "/form", b"title=a&user=b", headers=headers)
    assert reply.text.strip() == '["a",["b",false]]'


@pytest.mark.parametrize("kind", ["dataclass", "pydantic", "typed"])
def test_the_default_of_a_class_may_be_of_any_kind(kind: str) -> None:
    classes = {"dataclass": Dated, "pydantic": Modelled, "typed": Counted}
    default = {"n": 3} if kind == "typed" else classes[kind](n=3)
    api = API("kinds_of_defaults")

    def view(of: t.Any = default) -> t.Any:
        return of

    view.__annotations__ = {"of": Query[classes[kind]], "return": classes[kind]}  # type: ignore[valid-type]
    api.get("/")(view)
    client = api.test_client()
    for _ in range(2):
        assert client.get("/").json["n"] == 3
    assert client.get("/?n=4").json["n"] == 4
    assert client.get("/?n=x").status_code == 422


@dataclasses.dataclass
class Dated:
    n: int
    tags: list[str] = dataclasses.field(default_factory=list)


class Modelled(pydantic.BaseModel):
    n: int
    tags: list[str] = pydantic.Field(default_factory=list)


class Counted(t.TypedDict):
    n: int
    tags: t.NotRequired[list[str]]


def test_the_client_leaves_out_what_is_none() -> None:
    api = API("client")

    @api.get("/near")
    def near(at: Query[Point | None] = None) -> float:
        return 0.0 if at is None else at.x

    client = api.client()
    assert client.call(near) == client.call(near, None) == 0.0
    assert client.call(near, Point(1.5, 2)) == 1.5


def test_the_document_says_which_fields_come_together() -> None:
    api = defaults_api()
    document = api.test_client().get("/openapi.json").json
    assert [p.get("required") for p in document["paths"]["/near"]["get"]["parameters"]] == [
        None
    ] * 5
    limit = document["paths"]["/page"]["get"]["parameters"][0]["schema"]
    assert (limit["default"], limit["minimum"]) == (5, 1)
    content = document["paths"]["/form"]["post"]["requestBody"]["content"]
    schema = content["application/x-www-form-urlencoded"]["schema"]
    assert schema["required"] == ["title"]
    assert schema["dependentRequired"] == {"user": ["user"], "remember": ["user"]}


def test_a_class_that_may_be_none_needs_a_default() -> None:
    def near(at: Query[Point | None]) -> None: ...

    with pytest.raises(TypeError, match=r"write at: Point \| None = None\.$"):
        API("refused").get("/")(near)


def asked() -> Item:
    return Item("asked")


def test_what_marks_a_member_of_a_union_marks_all_of_it(gateway: Gateway) -> None:
    api = API("marked")

    class Fields(Struct):
        trace: Header[str] | None = None

    @api.get("/")
    def view(
        token: Bearer | None = None,
        who: Basic | None = None,
        agent: Header[str] | None = None,
        n: t.Annotated[int, Name("n-n")] | None = None,
        item: t.Annotated[Item, asked] | None = None,
        fields: Query[Fields] | None = None,
    ) -> t.Any:
        name = None if who is None else who.username
        return [token, name, agent, n, item and item.name, fields and fields.trace]

    @api.post("/")
    def post(body: Body[int] | None = None) -> t.Any:
        return [body]

    assert json.loads(gateway.get(api, "/").text) == [None, None, None, None, "asked", None]
    headers = [("authorization", "Bearer b"), ("agent", "a"), ("trace", "t")]
    reply = gateway.get(api, "/?n-n=3&token=x&agent=x", headers=headers)
    assert json.loads(reply.text) == ["b", None, "a", 3, "asked", "t"]
    reply = gateway.get(api, "/", headers=[("authorization", "Basic YTpi")])
    assert json.loads(reply.text) == [None, "a", None, None, "asked", None]
    assert faults(gateway.get(api, "/?n-n=x")) == [("query", "n-n")]
    json_type = [("content-type", "application/json")]
    assert json.loads(gateway.post(api, "/", b"4", headers=json_type).text) == [4]
    document = api.test_client().get("/openapi.json").json
    found = [(p["in"], p["name"]) for p in document["paths"]["/"]["get"]["parameters"]]
    assert found == [("header", "agent"), ("query", "n-n"), ("header", "trace")]


def test_a_parameter_is_marked_for_one_place() -> None:
    def view(x: Query[int] | Header[str]) -> None: ...

    with pytest.raises(TypeError, match=r"'x' is marked twice, and is read from one place"):
        API("twice").get("/")(view)


def test_the_document_says_which_credentials_may_be_left_out() -> None:
    api = API("credentials")
    Key = t.Annotated[str, APIKey("X-Key")]

    @api.get("/both")
    def both(key: Key, token: Bearer | None = None) -> None: ...

    @api.get("/either")
    def either(key: Key | None = None, token: Bearer | None = None) -> None: ...

    paths = api.test_client().get("/openapi.json").json["paths"]
    key, token = {"key-header-x-key": []}, {"bearer": []}
    assert paths["/both"]["get"]["security"] == [{**key, **token}, key]
    assert paths["/either"]["get"]["security"] == [key, token, {}]
