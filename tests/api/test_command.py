"""``kolben openapi``: writes the document, and tells breaking changes from others."""

import copy
import json
import typing as t
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from kolben.api import API, APIBlueprint, Bearer, Created, Form, Meta, Page, Query, Socket, Struct
from kolben.api.compare import compare
from kolben.checking import check


class Line(Struct):
    sku: str
    count: t.Annotated[int, Meta(ge=1, le=10)] = 1


class Order(Struct):
    lines: list[Line]
    kind: t.Literal["a", "b"] = "a"
    note: str | None = None


def make() -> API:
    api = API("api_shop", title="Shop")

    @api.post("/orders")
    def order(body: Order, dry: bool = False) -> Created[Order]: ...

    @api.get("/orders/<int:id>")
    def read(id: int, deep: bool = False) -> Order: ...

    return api


def run(api: API, *arguments: str) -> t.Any:
    return api.test_cli_runner().invoke(args=["openapi", *arguments])


def test_it_is_written(tmp_path: Path) -> None:
    api = make()
    printed = run(api).output
    assert json.loads(printed) == api.test_client().get("/openapi.json").json
    assert run(api, "-o", str(tmp_path / "openapi.json")).exit_code == 0
    assert (tmp_path / "openapi.json").read_text() == printed
    assert run(make()).output == printed


def test_it_is_written_for_tools_that_know_no_newer_version(tmp_path: Path) -> None:
    """Python's generators know no OpenAPI 3.2, which is what tells of streams."""
    api = make()

    @api.get("/lines")
    def lines() -> t.Iterator[Line]: ...

    newer, older = json.loads(run(api).output), json.loads(run(api, "--openapi", "3.1").output)
    assert (newer["openapi"], older["openapi"]) == ("3.2.0", "3.1.1")
    validate(older)
    where = "/lines", "get", "responses", "200", "content", "application/jsonl"
    for document, name in ((newer, "itemSchema"), (older, "x-itemSchema")):
        found = document["paths"]
        for key in where:
            found = found[key]
        assert found == {name: {"$ref": "#/components/schemas/Line"}}
    file = tmp_path / "openapi.json"
    run(api, "--openapi", "3.1", "-o", str(file))
    assert run(api, "--openapi", "3.1", "--check", str(file)).exit_code == 0


def test_it_is_compared(tmp_path: Path) -> None:
    file = tmp_path / "openapi.json"
    run(make(), "-o", str(file))
    same = run(make(), "--check", str(file))
    assert (same.exit_code, same.output) == (0, "Nothing has changed.\n")
    document = json.loads(file.read_text())
    document["paths"]["/old"] = {"get": {"responses": {}}}
    file.write_text(json.dumps(document))
    broken = run(make(), "--check", str(file))
    assert (broken.exit_code, broken.output) == (1, "breaking: GET /old is gone.\n")
    del document["paths"]["/old"], document["paths"]["/orders/{id}"]
    file.write_text(json.dumps(document))
    grown = run(make(), "--check", str(file))
    assert (grown.exit_code, grown.output) == (0, "compatible: GET /orders/{id} is new.\n")


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"openapi": "3.1.1", "paths": 3}'])
def test_a_file_that_cannot_be_read_is_2(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "openapi.json"
    if content is not None:
        file.write_text(content)
    assert run(make(), "--check", str(file)).exit_code == 2


def test_kolben_check_resolves_what_could_not_be_at_registration() -> None:
    app = make()
    assert "api-document" not in {one.id for one in check(app)}

    def view(order): ...  # type: ignore[no-untyped-def]

    view.__annotations__["order"] = "Missing"
    app.post("/late")(view)
    (found,) = [one for one in check(app) if one.id == "api-document"]
    assert "view(): 'Missing' is not defined at run time" in found.what


def test_the_blueprint_is_named() -> None:
    api = make()
    first = APIBlueprint("first", __name__, url_prefix="/first")
    api.register_blueprint(first)
    assert run(api, "--blueprint", "third").exit_code == 2


SCHEMAS = "components|schemas|"
ORDER = "paths|/orders|post|"
READ = "paths|/orders/{id}|get|"


@pytest.mark.parametrize(
    ("path", "value", "verdicts"),
    [
        (SCHEMAS + "Order|properties|extra", {"type": "string"}, {"compatible"}),
        (SCHEMAS + "Order|required", ["lines", "note"], {"breaking", "compatible"}),
        (SCHEMAS + "Order|required", [], {"breaking", "compatible"}),
        (SCHEMAS + "Order|properties|note", None, {"breaking", "compatible"}),
        (SCHEMAS + "Line|properties|sku|type", "integer", {"breaking", "compatible"}),
        (SCHEMAS + "Line|properties|count|maximum", 5, {"breaking", "compatible"}),
        (SCHEMAS + "Line|properties|count|minimum", 0, {"breaking", "compatible"}),
        (SCHEMAS + "Order|properties|kind|enum", ["a"], {"breaking", "compatible"}),
        (SCHEMAS + "Order|properties|kind|enum", ["a", "b", "c"], {"breaking", "compatible"}),
        (ORDER + "parameters|0|required", True, {"breaking"}),
        (ORDER + "parameters|0|schema|type", ["boolean", "integer"], {"compatible"}),
        (ORDER + "parameters|0|schema|type", "integer", {"breaking", "compatible"}),
        (ORDER + "parameters|0|name", "wet", {"breaking", "compatible"}),
        (ORDER + "requestBody", None, {"breaking"}),
        (ORDER + "requestBody|required", False, set()),
        (ORDER + "responses|201", None, {"breaking"}),
        (ORDER + "responses|409", {"description": "x"}, {"compatible"}),
        (ORDER + "security", [{"bearer": []}], {"breaking"}),
        (READ + "responses|200|content|application/json|schema", {"type": "object"}, {"breaking"}),
        (READ + "summary", "Other words", set()),
    ],
)
def test_changes(path: str, value: t.Any, verdicts: set[str]) -> None:
    old = json.loads(run(make()).output)
    new = copy.deepcopy(old)
    holder, last = at(new, path)
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    changes = compare(old, new)
    assert {str(one).partition(":")[0] for one in changes} == verdicts, changes


def at(document: t.Any, path: str) -> tuple[t.Any, t.Any]:
    *parts, last = path.split("|")
    for part in parts:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document, last


def described() -> dict[str, t.Any]:
    """A document with all that is compared beside views and their schemas."""
    api = API("described")

    class Sent(Struct):
        word: str
        tags: set[int] = set()
        more: dict[str, int] = {}

    class Told(Struct):
        word: str

    class Login(Struct):
        user: str
        remember: bool = False

    class Paging(Struct):
        limit: int = 10
        after: str | None = None

    def sent(body: t.Any) -> None: ...

    def subscribe(body: t.Any, token: Bearer) -> None: ...

    def listed(page: t.Any, tag: list[str] = []) -> t.Any: ...  # noqa: B006

    def login(login: t.Any = None) -> None: ...

    async def chat(socket: t.Any) -> None: ...

    sent.__annotations__["body"] = Told
    subscribe.__annotations__["body"] = Sent
    listed.__annotations__ = {"page": Query[Paging], "tag": list[str], "return": Page[Sent]}
    login.__annotations__["login"] = Form[Login | None]
    chat.__annotations__["socket"] = Socket[Sent, Login]
    api.webhook("sent")(sent)
    api.post("/subscribe", callbacks={"{$request.body#/url}": sent})(subscribe)
    api.get("/list")(listed)
    api.post("/login")(login)
    api.websocket("/chat")(chat)
    return t.cast("dict[str, t.Any]", api.test_client().get("/openapi.json").json)


SENT = "components|schemas|Sent|"
LIST = "paths|/list|get|"
SUBSCRIBE = "paths|/subscribe|post|"
FORM = "paths|/login|post|requestBody|content|multipart/form-data|schema|"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("webhooks|sent", None, "breaking: the webhook sent is gone."),
        ("webhooks|other", {"post": {}}, "compatible: the webhook other is new."),
        (SUBSCRIBE + "callbacks", None, "breaking: the callback sent of POST /subscribe is gone."),
        ("x-websockets|/chat", None, "breaking: the WebSocket /chat is gone."),
        (
            "components|schemas|Login|properties|user",
            None,
            "breaking: the WebSocket /chat: the answer 101, .user is gone.",
        ),
        (
            "components|schemas|Told|properties|word",
            None,
            "breaking: the callback sent of POST /subscribe: the body, .word is gone.",
        ),
        (
            SENT + "properties|tags|uniqueItems",
            True,
            "breaking: POST /subscribe: the body, .tags has no item twice.",
        ),
        (
            SENT + "properties|more|propertyNames",
            {"pattern": "^x"},
            "breaking: POST /subscribe: the body, .more: each name has pattern ^x, not None.",
        ),
        (
            FORM + "dependentRequired|user",
            ["user", "remember"],
            "breaking: POST /login: the body: user needs remember now.",
        ),
        (
            FORM + "dependentRequired|remember",
            [],
            "compatible: POST /login: the body: remember may come without user now.",
        ),
        (
            LIST + "parameters|0|schema|default",
            20,
            "breaking: GET /list: query 'limit' is 20 where it is not sent, not 10.",
        ),
        (
            LIST + "parameters|2|explode",
            False,
            "breaking: GET /list: query 'tag' is written in another way.",
        ),
        (
            LIST + "responses|200|headers",
            None,
            "breaking: GET /list: the answer 200: Link is gone.",
        ),
        (SUBSCRIBE + "security", None, "compatible: POST /subscribe asks for fewer credentials."),
        (
            SUBSCRIBE + "security",
            [{"bearer": []}, {"key": []}],
            "compatible: POST /subscribe asks for fewer credentials.",
        ),
        (
            SUBSCRIBE + "security",
            [{"bearer": ["write"]}],
            "breaking: POST /subscribe asks for other credentials.",
        ),
        (LIST + "security", [{"key": []}], "breaking: GET /list asks for other credentials."),
    ],
)
def test_what_stands_beside_views_is_compared(path: str, value: t.Any, said: str) -> None:
    old = described()
    new = copy.deepcopy(old)
    holder, last = at(new, path)
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    changes = [str(one) for one in compare(old, new)]
    assert said in changes, changes
    assert compare(old, copy.deepcopy(old)) == []
