"""What is accepted is what the published schema allows; every fault is told, and where it is."""

import asyncio
import dataclasses
import datetime as dt
import decimal
import json
import typing as t
import uuid

import jsonschema
import msgspec
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from api_shapes import Attrs, Colour, Named, Typed
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


@dataclasses.dataclass
class Data:
    a: t.Annotated[int, Meta(ge=0)]
    b: list[str] = dataclasses.field(default_factory=list)


class Renamed(Struct, rename="camel"):
    last_name: str
    next: decimal.Decimal | None = None


T = t.TypeVar("T")


class Box(Struct, t.Generic[T]):
    value: T


SCALARS: list[t.Any] = [
    bytes,
    decimal.Decimal,
    dt.date,
    dt.datetime,
    dt.time,
    dt.timedelta,
    uuid.UUID,
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
CLASSES: list[t.Any] = [
    *(Cat, Dog, Node, Pair, Closed, Typed, Named, Cat | Dog, Cat | Dog | None),
    *(Data, Attrs, Renamed, Box[int], Box[Cat | None]),
]
types = st.recursive(
    st.sampled_from([*SCALARS, *CLASSES]),
    lambda inner: st.one_of(
        inner.map(lambda one: list[one]),  # type: ignore[valid-type]
        inner.map(lambda one: dict[str, one]),  # type: ignore[valid-type]
        inner.map(lambda one: dict[int, one]),  # type: ignore[valid-type]
        inner.map(lambda one: dict[Colour, one]),  # type: ignore[valid-type]
        inner.map(lambda one: tuple[one, ...]),  # type: ignore[valid-type]
        st.sampled_from([set[int], frozenset[str], set[t.Literal["a", "b"]]]),
        inner.map(lambda one: t.Union[one, None]),  # noqa: UP007 (None may be one)
        st.tuples(inner, inner).map(lambda pair: tuple[pair[0], pair[1]]),  # type: ignore[name-defined]
        inner.map(lambda one: t.Annotated[list[one], Meta(min_length=1, max_length=2)]),  # type: ignore[valid-type]
    ),
    max_leaves=4,
)
keys = st.sampled_from(
    ["a", "b", "type", "lives", "name", "value", "next", "lastName", "red", "7", "x/y", "~"]
)
WRITTEN = [
    *("YQ==", "YQ", "1.5", "-3e2", "1.", "2026-02-28", "2026-02-30", "20260228"),
    *(
        "2026-02-28T10:00:00Z",
        "2026-02-28T10:00:00+01:00",
        "2026-02-28T25:00:00Z",
        "10:00:00",
        "10:00",
    ),
    *(
        "00000000-0000-4000-8000-000000000000",
        "0000",
        "PT1H",
        "P1DT0.5S",
        "-P2D",
        "P1Y",
        "P1W",
        "PT",
    ),
]
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-12, 12),
    st.floats(-5, 5, allow_nan=False).filter(lambda number: not number.is_integer()),
    st.sampled_from(["", "a", "b", "red", "cat", "dog", "abcd", "3", *WRITTEN]),
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


def formats() -> jsonschema.FormatChecker:
    """What the formats of RFC 3339 and RFC 9562 are; a time zone may be left out."""
    checker = jsonschema.FormatChecker(formats=())
    readers: dict[str, t.Callable[[str], object]] = {
        "date": lambda text: len(text) == 10 and dt.date.fromisoformat(text),
        "date-time": lambda text: len(text) > 10 and dt.datetime.fromisoformat(text),
        "time": lambda text: text[2:6:3] == "::" and dt.time.fromisoformat(text) is not None,
        "uuid": lambda text: len(text) == 36 and uuid.UUID(text),
    }
    for name, read in readers.items():
        checker.checks(name, raises=ValueError)(
            lambda value, read=read: not isinstance(value, str) or bool(read(value))
        )
    return checker


def schema_of(kind: t.Any, refuses: bool) -> dict[str, t.Any]:
    schemas = Schemas([(kind, False)])
    schema = schemas.of(kind, refuses=refuses)
    return {**schema, "components": {"schemas": schemas.components}}


def check_agreement(kind: t.Any, refuses: bool, documents: t.Iterable[t.Any]) -> set[bool]:
    """Hold what is read to the published schema; return which answers there were."""
    try:
        reader = JSONReader(kind, refuses)
    except TypeError:
        return set()  # a union that msgspec cannot tell apart, which is refused at registration
    schema = schema_of(kind, refuses)
    validator = jsonschema.Draft202012Validator(schema, format_checker=formats())
    answers = set()
    for document in documents:
        data = json.dumps(document).encode()
        try:
            reader.decode(data)
        except (ValueError, msgspec.MsgspecError):
            accepted = False
        else:
            accepted = True
        answers.add(accepted)
        assert accepted == validator.is_valid(document), document
        found = Found()
        reader.explain(data, found)
        assert bool(found.count) == (not accepted)
        for fault in found.faults:
            assert fault.pointer is not None
            assert resolve(document, fault.pointer), fault
    return answers


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(kind=types, document=documents, refuses=st.booleans())
def test_accepted_is_what_the_schema_allows(kind: t.Any, document: t.Any, refuses: bool) -> None:
    check_agreement(kind, refuses, [document])


LEAVES: list[t.Any] = [None, True, 0, 3, -7, 0.5, 12, "", "a", "b", "red", "abcd", "3", *WRITTEN]


@pytest.mark.parametrize("kind", [*SCALARS, *CLASSES], ids=str)
def test_each_type_takes_what_its_schema_allows(kind: t.Any) -> None:
    """Every value by itself, and where a class, a list or a dictionary may have it."""
    names = ("a", "value", "lives", "name", "lastName", "7", "red")
    objects = [{"a": 1, name: one} for name in names for one in LEAVES]
    tagged = [
        {"type": tag, name: one} for tag in ("cat", "dog") for name in names for one in LEAVES
    ]
    arrays = [[], *([one] for one in LEAVES), *([1, one] for one in LEAVES)]
    objects += [{name: one} for name in names for one in LEAVES]
    for refuses in (False, True):
        for part in (kind, list[kind], kind | None if kind is not None else None):
            sent = [*LEAVES, {}, *objects, *tagged, *arrays]
            if part == list[kind]:
                sent = [[one] for one in sent]
            assert check_agreement(part, refuses, sent) == {True, False}
        check_agreement(dict[str, kind], refuses, objects)  # type: ignore[valid-type]
        check_agreement(dict[int, kind], refuses, objects)  # type: ignore[valid-type]


class PydanticCat(pydantic.BaseModel):
    type: t.Literal["cat"]
    lives: t.Annotated[int, pydantic.Field(ge=0, le=9)] = 9


class PydanticDog(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    type: t.Literal["dog"]
    name: t.Annotated[str, pydantic.Field(min_length=1, max_length=3)]


class PydanticNode(pydantic.BaseModel):
    value: int
    next: "PydanticNode | None" = None


class PydanticRenamed(pydantic.BaseModel):
    name: t.Annotated[str, pydantic.Field(alias="lastName")]
    a: int = 1


#: No dates: pydantic takes "0000" for one, as a number of seconds, which its schema does not say.
PYDANTIC: list[t.Any] = [
    *(int, str, bool, float, Colour, t.Literal["a", "b", 3], uuid.UUID),
    t.Annotated[int, pydantic.Field(ge=2, lt=10, multiple_of=3)],
    t.Annotated[float, pydantic.Field(gt=0)],
    t.Annotated[str, pydantic.Field(min_length=1, max_length=2, pattern="^[a-c]+$")],
    *(list[int], dict[str, int], tuple[int, str], int | None, set[str]),
    *(PydanticCat, PydanticDog, PydanticNode, PydanticRenamed),
    t.Annotated[PydanticCat | PydanticDog, pydantic.Field(discriminator="type")],
]


@pytest.mark.parametrize("kind", PYDANTIC, ids=str)
def test_each_model_of_pydantic_takes_what_its_schema_allows(kind: t.Any) -> None:
    held = pydantic.create_model("Held", a=(kind, ...), red=(kind | None, None))
    names = ("a", "value", "lives", "name", "lastName", "7", "red")
    plain: list[t.Any] = [
        *LEAVES,
        {},
        [],
        *([1, one] for one in LEAVES),
        *([one] for one in LEAVES),
    ]
    plain += [{name: one} for name in names for one in LEAVES]
    plain += [
        {"type": tag, name: one} for tag in ("cat", "dog") for name in names for one in LEAVES
    ]
    plain += [{"value": 1, "next": {"value": one}} for one in LEAVES]
    for refuses in (False, True):
        sent = [{"a": one} for one in plain] + [{"a": one, "red": one, "b": 1} for one in plain]
        assert check_agreement(held, refuses, [*plain, *sent]) == {True, False}


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
