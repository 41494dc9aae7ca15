"""The OpenAPI document: valid, the same in every run, and true."""

import dataclasses
import datetime as dt
import decimal
import json
import re
import subprocess
import sys
import typing as t
import uuid
from pathlib import Path

import jsonschema
import pydantic
import pytest
from openapi_spec_validator import validate
from werkzeug.datastructures import FileStorage
from werkzeug.routing import BaseConverter

from api_shapes import Attrs, Colour, Named, Typed
from kolben import Flask
from kolben.api import (
    API,
    APIBlueprint,
    APIKey,
    Bearer,
    Body,
    Cookie,
    Created,
    Event,
    EventStream,
    Form,
    Header,
    Meta,
    Name,
    OAuth2,
    Page,
    Problem,
    Struct,
)
from kolben.views import MethodView

T = t.TypeVar("T")


class Cat(Struct, tag="cat"):
    lives: int = 9


class Dog(Struct, tag="dog"):
    """A dog."""

    name: t.Annotated[
        str, Meta(min_length=1, max_length=20, pattern="^[A-Z]", description="Its name.")
    ]


class Node(Struct):
    value: int
    children: list["Node"] = []


class Box(Struct, t.Generic[T]):
    content: T
    spare: T | None = None


class Camel(Struct, rename="camel"):
    first_name: str
    last_name: str | None = None


class Everything(Struct, kw_only=True):
    text: str
    number: t.Annotated[float, Meta(gt=0, lt=10)]
    ratio: t.Annotated[int, Meta(multiple_of=5)] = 5
    raw: bytes = b""
    when: dt.datetime | None = None
    aware: t.Annotated[dt.datetime, Meta(tz=True)] | None = None
    day: dt.date | None = None
    clock: dt.time | None = None
    span: dt.timedelta | None = None
    key: uuid.UUID | None = None
    cost: decimal.Decimal | None = None
    colour: Colour = Colour.RED
    kind: t.Literal["a", "b", 3] = "a"
    pets: list[Cat | Dog] = []
    pet: Cat | Dog | None = None
    by_name: dict[str, Node] = {}
    by_number: dict[int, str] = {}
    pair: tuple[int, str] = (1, "")
    many: tuple[int, ...] = ()
    unique: set[str] = set()
    anything: t.Any = None
    either: int | str | None = None
    camel: Camel | None = None
    limited: t.Annotated[list[int], Meta(max_length=3)] = []


class Array(Struct, array_like=True):
    a: int
    b: str = ""


class Closed(Struct, forbid_unknown_fields=True):
    a: int


@dataclasses.dataclass
class Data:
    a: int
    b: list[Closed] = dataclasses.field(default_factory=list)


class Line(pydantic.BaseModel):
    sku: str
    title: str = ""
    count: t.Annotated[int, pydantic.Field(ge=1, alias="howMany")] = 1

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return self.count * 2


class Basket(pydantic.BaseModel):
    lines: list[Line]
    kind: t.Literal["gift"] | None = None


class Upload(Struct):
    title: str
    photo: FileStorage
    others: list[FileStorage] = []


class Gone(Problem, status=410, title="Gone"):
    since: dt.date


class Letters(BaseConverter):
    regex = "[a-z]+"
    schema = {"type": "string", "pattern": "^[a-z]+$"}


class Doubled(BaseConverter):
    def to_python(self, value: str) -> int:
        return int(value) * 2


def user(token: Bearer) -> str:
    return token


def make() -> API:
    api = API(
        "document",
        title="Everything",
        version="2.0",
        description="All there is.",
        servers=["https://example.com"],
        security_schemes={"session": {"type": "apiKey", "in": "cookie", "name": "session"}},
        docs_tags={"pets": "Animals."},
    )
    api.url_map.converters.update(letters=Letters, doubled=Doubled)
    for number, converter in enumerate(
        (
            *("string", "string(length=2)", "string(minlength=2,maxlength=9)", "path", "uuid"),
            *("int", "int(min=2,max=9)", "int(signed=True)", "float", "float(min=0.5)"),
            *("any(b,a)", "letters", "doubled"),
        )
    ):
        api.get(f"/converters/{number}/<{converter}:value>", endpoint=f"c{number}")(converted())
    for kind in (Everything, Array, Closed, Data, Attrs, Typed, Named, Basket, Node, Box[Cat]):
        api.post(f"/kinds/{kind.__name__}", endpoint=f"k{kind.__name__}")(echo(kind))
    views(api)
    views_whose_order_might_change(api)
    return api


def converted() -> t.Any:
    def view(value: t.Any) -> None: ...

    return view


def echo(kind: t.Any) -> t.Any:
    def view(body: kind) -> kind:
        """Give back what was given.

        Without a change.
        """
        return body

    return view


def views(api: API) -> None:
    @api.get("/boxes", tags=["pets"], deprecated=True)
    def boxes(
        page: t.Annotated[int, Meta(ge=1)] = 1,
        tag: list[Colour] = [],  # noqa: B006
        x_id: Header[uuid.UUID | None] = None,
        theme: Cookie[str] = "light",
        order: t.Annotated[t.Literal["up", "down"], Name("sort-by")] = "up",
    ) -> Page[Box[Cat | Dog]]: ...

    @api.put("/gone/<int:id>", raises=[Gone], security="session", unknown="refuse")
    def gone(id: int, body: Data) -> Data | Created[Data]: ...

    @api.post("/photos")
    def photos(form: Upload) -> Created[None]: ...

    @api.post("/form")
    def form(form: Form[Camel], who: t.Annotated[str, user]) -> None: ...

    @api.get("/key")
    def key(
        key: t.Annotated[str, APIKey("X-Key")],
        token: t.Annotated[str, OAuth2(token_url="/t", scopes={"read": "Read."})],
    ) -> list[Basket]: ...

    @api.post("/optional")
    def optional(body: Body[Closed | None] = None) -> str: ...

    @api.webhook("order.shipped", tags=["hooks"])
    def shipped(body: Cat) -> None:
        """Sent when an order leaves."""

    @api.post("/subscribe", callbacks={"{$request.body#/a}": shipped})
    def subscribe(body: Closed) -> Created[Closed]: ...

    @api.get("/hidden", document=False)
    def hidden(q: int) -> None: ...

    @api.get("/shown", document=True)
    def shown():  # type: ignore[no-untyped-def]
        return "x"


def views_whose_order_might_change(api: API) -> None:
    class ByMethod(MethodView):
        def get(self) -> Data: ...
        def put(self, body: Data) -> Data: ...
        def post(self, body: Data) -> Created[Data]: ...
        def delete(self) -> None: ...

    api.add_url_rule("/by-method", view_func=ByMethod.as_view("by_method"))

    @api.get("/sets")
    def sets(names: frozenset[str] = frozenset("abc"), other: Cookie[list[int]] = []) -> None: ...  # noqa: B006


def document(api: API) -> dict[str, t.Any]:
    made: dict[str, t.Any] = api.test_client().get("/openapi.json").json
    return made


def references(node: t.Any) -> t.Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in (node.get("mapping") or {}).values() if "propertyName" in node else ():
            yield value
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_it_is_valid() -> None:
    made = document(make())
    validate(made)
    assert made["openapi"] == "3.1.1"
    ids = re.findall(r'"operationId": "(\w+)"', json.dumps(made))
    assert len(ids) == len(set(ids)) > 30


def test_every_component_has_a_legal_name_and_a_user() -> None:
    made = document(make())
    used = set(references(made))
    for kind, components in made["components"].items():
        for name in components:
            assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
            if kind != "securitySchemes":
                assert f"#/components/{kind}/{name}" in used, name
    for ref in used:
        _, _, kind, name = ref.split("/")
        assert name in made["components"][kind]


def test_two_classes_of_one_name_have_components_of_their_own() -> None:
    def local() -> type[Struct]:
        class Cat(Struct):
            colour: str

        return Cat

    api = API("api_names")
    for number, kind in enumerate((Cat, local(), local())):
        api.post(f"/{number}", endpoint=str(number))(echo(kind))
    made = document(api)
    validate(made)
    assert [name for name in made["components"]["schemas"] if "Cat" in name] == [
        "test_document.Cat",
        "test_document.Cat_2",
        "test_document.Cat_3",
    ]


@pytest.mark.parametrize(
    ("number", "schema"),
    enumerate(
        [
            {"type": "string", "pattern": "^[^/]+$", "minLength": 1},
            {"type": "string", "pattern": "^[^/]+$", "minLength": 2, "maxLength": 2},
            {"type": "string", "pattern": "^[^/]+$", "minLength": 2, "maxLength": 9},
            {"type": "string", "minLength": 1, "x-path": True},
            {"type": "string", "format": "uuid"},
            {"type": "integer", "minimum": 0},
            {"type": "integer", "minimum": 2, "maximum": 9},
            {"type": "integer"},
            {"type": "number", "minimum": 0},
            {"type": "number", "minimum": 0.5},
            {"type": "string", "enum": ["a", "b"]},
            {"type": "string", "pattern": "^[a-z]+$"},
            {"type": "integer"},
        ]
    ),
)
def test_converters_are_described(number: int, schema: object) -> None:
    path = document(make())["paths"][f"/converters/{number}/{{value}}"]
    assert path["get"]["parameters"][0]["schema"] == schema


@pytest.mark.parametrize(
    ("rule", "annotation", "fits", "misfits"),
    [
        ("<v>", t.Annotated[str, Meta(pattern="^[a-z]+$")], "ab", "a_b"),
        ("<string(minlength=2):v>", t.Annotated[str, Meta(max_length=3)], "abc", "a"),
        ("<v>", int, 7, "x"),
        ("<int(min=3, max=9):v>", t.Annotated[int, Meta(ge=5, le=20)], 5, 4),
        ("<int(min=3, max=9):v>", t.Annotated[int, Meta(ge=1, le=7)], 7, 2),
        ("<int:v>", float, 1, 1.5),
        ("<any(a, b):v>", t.Literal["b", "c"], "b", "c"),
        ("<path:v>", t.Annotated[str, Meta(pattern="^a")], "a/b", "b/a"),
    ],
)
def test_a_converter_and_an_annotation_are_both_in_the_schema(
    rule: str, annotation: t.Any, fits: object, misfits: object
) -> None:
    api = API("api_both")

    def read(v: t.Any) -> str:
        return ""

    read.__annotations__["v"] = annotation
    api.get(f"/{rule}")(read)
    made = document(api)
    validate(made)
    judge = jsonschema.Draft202012Validator(made["paths"]["/{v}"]["get"]["parameters"][0]["schema"])
    assert judge.is_valid(fits)
    assert not judge.is_valid(misfits)
    client = api.test_client()
    assert client.get(f"/{fits}").status_code == 200
    assert client.get(f"/{misfits}").status_code in (404, 422)


def test_what_it_says_of_an_operation() -> None:
    paths = document(make())["paths"]
    boxes = paths["/boxes"]["get"]
    assert boxes["tags"] == ["pets"]
    assert boxes["deprecated"] is True
    named = {one["name"]: one for one in boxes["parameters"]}
    assert named["page"]["schema"] == {"type": "integer", "minimum": 1, "default": 1}
    assert named["sort-by"]["schema"] == {
        "type": "string",
        "enum": ["down", "up"],
        "default": "up",
    }
    assert named["x-id"]["schema"] == {"type": "string", "format": "uuid"}
    assert named["theme"]["in"] == "cookie"
    gone = paths["/gone/{id}"]["put"]
    assert gone["responses"].keys() == {*("200", "201", "400", "404", "410", "413", "415", "422")}
    assert gone["security"] == [{"session": []}]
    echo = paths["/kinds/Data"]["post"]
    assert (echo["summary"], echo["description"]) == (
        "Give back what was given.",
        "Without a change.",
    )
    assert "/hidden" not in paths
    assert "/shown" in paths
    assert "/openapi.json" not in paths


def test_refused_members_are_refused_in_the_schema() -> None:
    made = document(make())
    body = made["paths"]["/gone/{id}"]["put"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/Data.closed"}
    schemas = made["components"]["schemas"]
    assert schemas["Data.closed"]["additionalProperties"] is False
    assert schemas["Data.closed"]["properties"]["b"]["items"]["$ref"].endswith("/Closed.closed")
    assert "additionalProperties" not in schemas["Data"]
    api = API("document", unknown="refuse")

    @api.get("/")
    def without_arguments() -> None: ...

    assert api.test_client().get("/?more=1").status_code == 422
    assert "422" in document(api)["paths"]["/"]["get"]["responses"]


def test_models_of_pydantic_are_split_only_where_they_differ() -> None:
    made = document(make())
    body = made["paths"]["/kinds/Basket"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/BasketInput"}
    schemas = made["components"]["schemas"]
    assert "twice" in schemas["Line"]["properties"]
    assert "twice" not in schemas["LineInput"]["properties"]
    assert schemas["Line"]["properties"]["title"] == {"default": "", "type": "string"}


def test_webhooks_and_callbacks() -> None:
    made = document(make())
    hook = made["webhooks"]["order.shipped"]["post"]
    assert hook["summary"] == "Sent when an order leaves."
    callbacks = made["paths"]["/subscribe"]["post"]["callbacks"]
    assert callbacks["shipped"].keys() == {"{$request.body#/a}"}


def test_it_is_the_same_in_every_run() -> None:
    program = "import test_document as t; print(t.make().test_client().get('/openapi.json').text)"
    seen = set()
    for seed in ("0", "1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parent,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            check=True,
        )
        seen.add(done.stdout)
    assert len(seen) == 1


def test_it_has_an_entity_tag() -> None:
    client = make().test_client()
    first = client.get("/openapi.json")
    tag = first.headers["ETag"]
    again = client.get("/openapi.json", headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    other = client.get("/openapi.json", headers={"If-None-Match": '"x", W/"y"'})
    assert other.status_code == 200
    listed = client.get("/openapi.json", headers={"If-None-Match": f'"x", W/{tag}'})
    assert listed.status_code == 304


def test_a_scheme_that_is_not_defined_is_told() -> None:
    api = API("api_schemes")

    @api.get("/", security="session")
    def view(q: int) -> None: ...

    api.config.update(TESTING=True)
    client = api.test_client()
    with pytest.raises(TypeError, match="security='session' names no scheme"):
        client.get("/openapi.json")


def test_blueprints_of_one_application_have_documents_of_their_own() -> None:
    api = API("api_two")
    first = APIBlueprint("first", __name__, url_prefix="/first")

    @first.get("/<int:n>")
    def view(n: int) -> int:
        return n

    api.register_blueprint(first)
    api.register_blueprint(first, name="second", url_prefix="/second")
    made = document(api)
    assert made["paths"].keys() == {"/first/{n}", "/second/{n}"}
    validate(made)


def test_streams_need_3_2() -> None:
    api = API("api_streams")

    @api.get("/")
    async def view() -> EventStream[Cat | Dog]:
        yield Cat()

    @api.get("/numbered")
    async def numbered() -> EventStream[Event[Cat]]:
        yield Event(Cat(), 1)

    made = document(api)
    assert made["openapi"] == "3.2.0"
    content = made["paths"]["/numbered"]["get"]["responses"]["200"]["content"]
    item = content["text/event-stream"]["itemSchema"]["properties"]
    assert item["id"] == {"type": "string"}
    assert item["data"]["contentSchema"] == {"$ref": "#/components/schemas/Cat"}


def test_docstrings_are_told_without_the_fields_of_sphinx() -> None:
    api = API("told")

    class Told(Struct):
        """A ``word``.

        :param word: the word.
        """

        word: str

    @api.get("/")
    def view(q: str = "") -> Told:
        """Say a word.

        In ``q``, or elsewhere.

        :param q: which.
        :raises ValueError: never.
        """
        return Told(q)

    @api.get("/pages")
    def pages() -> Page[Told]: ...

    document = api.test_client().get("/openapi.json").json
    operation = document["paths"]["/"]["get"]
    assert operation["summary"] == "Say a word."
    assert operation["description"] == "In `q`, or elsewhere."
    assert document["components"]["schemas"]["Told"]["description"] == "A `word`."
    assert ":param" not in json.dumps(document)


def test_a_blueprint_that_is_registered_twice_has_two_documents() -> None:
    blueprint = APIBlueprint("things", __name__)

    @blueprint.get("/things/<int:id>")
    def thing(id: int) -> int:
        return id

    app = Flask("twice")
    app.register_blueprint(blueprint, url_prefix="/v1", name="v1")
    app.register_blueprint(blueprint, url_prefix="/v2", name="v2")
    client = app.test_client()
    for prefix in ("v1", "v2"):
        assert client.get(f"/{prefix}/things/3").json == 3
        document = client.get(f"/{prefix}/openapi.json").json
        assert [*document["paths"]] == [f"/{prefix}/things/{{id}}"]
