"""What is accepted is what the published schema allows; every fault is told, and where it is."""

import asyncio
import datetime as dt
import json
import typing as t
import uuid

import jsonschema
import msgspec
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from api_shapes import Colour, Named, Typed
from gateways import Asked, call_asgi, call_wsgi
from kolben.api import API, Meta, Struct
from kolben.api.faults import Found, JSONReader
from kolben.api.schemas import Schemas


class Cat(Struct, tag="cat"):
    lives: t.Annotated[int, Meta(ge=0, le=9)] = 9


class Dog(Struct, tag="dog"):
    name: t.Annotated[str, Meta(min_length=1, max_length=3)]


class Node(Struct):
    value: int
    next: "Node | None" = None


class Pair(Struct, array_like=True):
    a: int
    b: str = ""


class Closed(Struct, forbid_unknown_fields=True):
    a: int
    b: bool = False


SCALARS: list[t.Any] = [
    int,
    str,
    bool,
    float,
    None,
    Colour,
    t.Literal["a", "b", 3],
    t.Annotated[int, Meta(ge=2, lt=10)],
    t.Annotated[int, Meta(multiple_of=3)],
    t.Annotated[float, Meta(gt=0)],
    t.Annotated[str, Meta(min_length=1, max_length=2)],
    t.Annotated[str, Meta(pattern="^[a-c]+$")],
]
CLASSES: list[t.Any] = [Cat, Dog, Node, Pair, Closed, Typed, Named, Cat | Dog, Cat | Dog | None]
types = st.recursive(
    st.sampled_from([*SCALARS, *CLASSES]),
    lambda inner: st.one_of(
        inner.map(lambda one: list[one]),  # type: ignore[valid-type]
        inner.map(lambda one: dict[str, one]),  # type: ignore[valid-type]
        inner.map(lambda one: t.Union[one, None]),  # noqa: UP007 (None may be one)
        st.tuples(inner, inner).map(lambda pair: tuple[pair[0], pair[1]]),  # type: ignore[name-defined]
        inner.map(lambda one: t.Annotated[list[one], Meta(min_length=1, max_length=2)]),  # type: ignore[valid-type]
    ),
    max_leaves=4,
)
keys = st.sampled_from(["a", "b", "type", "lives", "name", "value", "next", "x/y", "~"])
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-12, 12),
    st.floats(-5, 5, allow_nan=False).filter(lambda number: not number.is_integer()),
    st.sampled_from(["", "a", "b", "red", "cat", "dog", "abcd", "3"]),
)
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)


def resolve(document: t.Any, pointer: str) -> bool:
    """Tell whether a pointer names a value, or a member that is missing from an object."""
    parts = pointer.removeprefix("#").split("/")[1:]
    for number, part in enumerate(parts):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list):
            if not int(name) < len(document):
                return number == len(parts) - 1
            document = document[int(name)]
        elif isinstance(document, dict):
            if name not in document:
                return number == len(parts) - 1
            document = document[name]
        else:
            return False
    return True


def schema_of(kind: t.Any, refuses: bool) -> dict[str, t.Any]:
    schemas = Schemas([(kind, False)])
    schema = schemas.of(kind, refuses=refuses)
    return {**schema, "components": {"schemas": schemas.components}}


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(kind=types, document=documents, refuses=st.booleans())
def test_accepted_is_what_the_schema_allows(kind: t.Any, document: t.Any, refuses: bool) -> None:
    try:
        reader = JSONReader(kind, refuses)
    except TypeError:
        return  # a union that msgspec cannot tell apart, which is refused at registration
    validator = jsonschema.Draft202012Validator(schema_of(kind, refuses))
    data = json.dumps(document).encode()
    try:
        reader.decode(data)
    except (ValueError, msgspec.MsgspecError):
        accepted = False
    else:
        accepted = True
    assert accepted == validator.is_valid(document)
    found = Found()
    reader.explain(data, found)
    assert bool(found.count) == (not accepted)
    for fault in found.faults:
        assert fault.pointer is not None
        assert resolve(document, fault.pointer), fault


class Line(pydantic.BaseModel):
    sku: t.Annotated[str, pydantic.Field(min_length=1)]
    count: t.Annotated[int, pydantic.Field(ge=1)] = 1


class Basket(pydantic.BaseModel):
    name: str
    lines: list[Line] = []


@pytest.mark.parametrize("kind", ["struct", "pydantic"])
def test_independent_faults_are_told_each(kind: str) -> None:
    class Item(Struct):
        sku: t.Annotated[str, Meta(min_length=1)]
        count: t.Annotated[int, Meta(ge=1)] = 1

    class Order(Struct):
        name: str
        lines: list[Item] = []

    reader = JSONReader(Order if kind == "struct" else Basket)
    wrong = {"lines": [{"sku": "", "count": 0}, {"count": "x"}, {"sku": "a"}, 7]}
    found = Found()
    reader.explain(json.dumps(wrong).encode(), found)
    assert [one.pointer for one in found.faults] == [
        "#/name",
        "#/lines/0/sku",
        "#/lines/0/count",
        "#/lines/1/sku",
        "#/lines/1/count",
        "#/lines/3",
    ]


SECRET = "s3cr3t-v4lue"


@pytest.mark.parametrize("value", [SECRET, [SECRET], {"a": SECRET}, {"type": SECRET}])
@pytest.mark.parametrize(
    "kind", [*SCALARS, *CLASSES, list[int], dict[int, int], Basket, Line, dt.date]
)
def test_nothing_that_was_sent_is_sent_back(kind: t.Any, value: t.Any) -> None:
    if kind is str:
        return  # which takes it
    api = API("api_echo")

    def view(body: t.Any, q: int = 0) -> None: ...

    view.__annotations__["body"] = t.Annotated[kind, *t.get_args(_body())[1:]]
    api.post("/")(view)
    reply = api.test_client().post(f"/?q={SECRET}", json=value)
    assert reply.status_code == 422
    assert SECRET not in reply.text
    assert "v4lue" not in reply.text


class Odd(pydantic.BaseModel):
    key: uuid.UUID | None = None
    raw: t.Annotated[bytes, pydantic.Field()] = b""
    data: pydantic.Json[t.Any] = None
    url: pydantic.AnyUrl | None = None
    model_config = pydantic.ConfigDict(val_json_bytes="base64")


@pytest.mark.parametrize("name", ["key", "raw", "data", "url"])
def test_messages_of_pydantic_hold_no_part_of_what_was_sent(name: str) -> None:
    reader = JSONReader(Odd)
    found = Found()
    reader.explain(json.dumps({name: "\u2603zq!"}).encode(), found)
    (fault,) = found.faults
    assert fault.pointer == f"#/{name}"
    assert not {"\u2603", "zq", "33", "`z`"} & set(fault.detail.split())
    assert "\u2603" not in fault.detail


def _body() -> t.Any:
    from kolben.api import Body

    return Body[int]


def test_both_gateways_send_the_same_bytes() -> None:
    for is_async in (False, True):
        api = API("api_same")

        def plain(body: Node, n: int = 0) -> Node:
            return body

        async def waits(body: Node, n: int = 0) -> Node:
            return body

        api.post("/")(waits if is_async else plain)
        headers = [("content-type", "application/json")]
        for path, body in (
            ("/", b'{"value":1,"next":{"value":2}}'),
            ("/?n=x", b'{"value":1}'),
            ("/", b'{"value":"x"}'),
            ("/", b"{"),
            ("/", b""),
        ):
            asked = Asked(path, "POST", headers, body)
            one = call_wsgi(api, asked)
            other = asyncio.run(call_asgi(api, asked))
            assert one.comparable == other.comparable
