"""Requests made from the document, right ones and wrong ones: the answers are those that it says."""

import dataclasses
import datetime as dt
import typing as t
import uuid

import pydantic
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from api_shapes import Attrs, Colour, Typed
from kolben import abort
from kolben.api import (
    API,
    Bearer,
    Body,
    Cookie,
    Created,
    Form,
    Header,
    Meta,
    Name,
    Page,
    Query,
    Struct,
)


class Cat(Struct, tag="cat"):
    lives: t.Annotated[int, Meta(ge=0, le=9)] = 9


class Dog(Struct, tag="dog"):
    name: t.Annotated[str, Meta(min_length=1, max_length=5)]


class Order(Struct, kw_only=True):
    email: t.Annotated[str, Meta(pattern="^[a-z]+@[a-z]+$")]
    when: dt.datetime | None = None
    day: dt.date | None = None
    key: uuid.UUID | None = None
    colour: Colour = Colour.RED
    pets: list[Cat | Dog] = []
    tags: dict[str, int] = {}


@dataclasses.dataclass
class Data:
    a: int
    b: list[str] = dataclasses.field(default_factory=list)


class Line(pydantic.BaseModel):
    sku: t.Annotated[str, pydantic.Field(min_length=1)]
    count: t.Annotated[int, pydantic.Field(ge=1, alias="howMany")] = 1


class Basket(pydantic.BaseModel):
    lines: list[Line]
    kind: t.Literal["gift"] | None = None


class Paging(Struct):
    limit: t.Annotated[int, Meta(ge=1, le=100)] = 20
    after: str | None = None


class Login(Struct):
    user: str
    age: int = 1


def user(token: Bearer) -> str:
    if token != "right":
        abort(401)
    return token


def shop(
    shop: int,
    page: Query[Paging],
    q: str,
    tag: list[int] = [],  # noqa: B006
    sort: t.Annotated[t.Literal["name", "price"], Name("sort-by")] = "name",
    x_id: Header[int | None] = None,
    theme: Cookie[str] = "light",
    flag: bool = False,
    factor: float = 1.5,
) -> Page[Cat]:
    return Page([])


def order(body: Order) -> Order:
    return body


def login(form: Form[Login]) -> Created[Cat]:
    return Cat(), 201


def me(user: t.Annotated[str, user]) -> list[str]:
    return [user]


def drop(id: uuid.UUID) -> None: ...


def days(day: dt.date, kind: Colour) -> list[str]:
    return [str(day)]


# No tuples: schemathesis rewrites `prefixItems` to what it then takes for a wrong schema.
KINDS = {
    "order": Order,
    "data": Data,
    "attrs": Attrs,
    "typed": Typed,
    "basket": Basket,
    "list": list[int],
    "dict": dict[str, Cat],
    "pet": Cat | Dog,
}


def waiting(view: t.Any) -> t.Any:
    async def waits(*args: t.Any, **kwargs: t.Any) -> t.Any:
        return view(*args, **kwargs)

    waits.__wrapped__ = view  # type: ignore[attr-defined]
    waits.__name__ = view.__name__
    return waits


def make(is_async: bool) -> API:
    api = API("api_requests")
    api.config["API_CHECK_RESPONSES"] = True
    wrap = waiting if is_async else (lambda view: view)
    api.get("/shops/<int:shop>/items")(wrap(shop))
    api.post("/orders", unknown="refuse")(wrap(order))
    api.post("/login")(wrap(login))
    api.get("/me")(wrap(me))
    api.delete("/things/<uuid:id>")(wrap(drop))
    api.get("/days/<day>/<kind>")(wrap(days))
    for name, kind in KINDS.items():

        def echo(body: t.Any, dry: bool = False) -> t.Any:
            return body

        echo.__annotations__.update(body=Body[kind], **{"return": kind})
        api.post(f"/kinds/{name}", endpoint=f"kind-{name}")(wrap(echo))
    return api


def holds_whole_floats(value: t.Any) -> bool:
    """Tell of the one exception: 1.0 is an integer to JSON Schema, and none here."""
    if isinstance(value, dict):
        return any(map(holds_whole_floats, value.values()))
    if isinstance(value, list):
        return any(map(holds_whole_floats, value))
    return isinstance(value, float) and value.is_integer()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("gateway", ["wsgi", "asgi"])
def test_answers_are_those_of_the_document(gateway: str, mode: GenerationMode) -> None:
    app = make(gateway == "asgi")
    load: t.Any = getattr(schemathesis.openapi, f"from_{gateway}")
    schema = load("/openapi.json", app)
    count = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=12,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case: t.Any) -> None:
            nonlocal count
            if not holds_whole_floats(case.body):
                case.call_and_validate()
                count += 1

        if mode is GenerationMode.NEGATIVE and operation.path == "/things/{id}":
            continue  # any other text is another URL
        run()
    assert count > 100
