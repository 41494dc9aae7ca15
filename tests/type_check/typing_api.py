"""Programs that type checkers accept, as users write them; and mistakes that they find."""

from __future__ import annotations

import typing as t
from typing import assert_type

from werkzeug.datastructures import FileStorage

from kolben import abort
from kolben.api import (
    API,
    APIBlueprint,
    APIKey,
    Basic,
    Bearer,
    Body,
    Cookie,
    Created,
    EventStream,
    Form,
    Header,
    Meta,
    Name,
    Page,
    Problem,
    Query,
    Remote,
    Socket,
    Struct,
    SyncEventStream,
    given,
)

api = API(__name__, title="Shop", version="1.0")
Size = t.Annotated[int, Meta(ge=1, le=100)]


class Paging(Struct):
    limit: Size = 20
    after: str | None = None


class Item(Struct):
    name: str


class Sum(Struct):
    sum: int


class Upload(Struct):
    title: str
    photo: FileStorage


class OutOfStock(Problem, status=409, title="Out of stock"):
    sku: str
    left: int


@api.get("/shops/<int:shop>/items")
def items(
    shop: int,
    page: Query[Paging],
    q: str,
    tag: list[str] = [],  # noqa: B006 (as programs write it)
    sort: t.Annotated[t.Literal["name", "price"], Name("sort-by")] = "name",
    x_request_id: Header[str | None] = None,
    theme: Cookie[str] = "light",
) -> list[Item]:
    assert_type(page, Paging)
    assert_type(theme, str)
    return [Item(q) for _ in range(page.limit)]


@api.post("/photos")
def photo(form: Upload) -> Created[Item]:
    return Item(form.title), 201


@api.put("/items/<int:id>")
def put(id: int, body: Item) -> Item | Created[Item]:
    if id:
        return body
    return body, 200  # type: ignore[return-value] # pyright: ignore[reportReturnType]


@api.delete("/items/<int:id>")
def drop(id: int) -> None: ...


@api.post("/orders", raises=[OutOfStock])
def order(body: Item, numbers: t.Annotated[int, Meta(ge=0)] = 0) -> Created[Item]:
    raise OutOfStock(sku="A-1", left=0, detail="None left.")


def mistaken() -> None:
    raise OutOfStock(sku="A-1")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


def session() -> t.Iterator[str]:
    yield "session"


def current_user(token: Bearer, db: t.Annotated[str, session]) -> str:
    assert_type(token, str)
    return db or abort(401)


DB = t.Annotated[str, session]
Me = t.Annotated[str, current_user]


@api.get("/me")
def me(user: Me = given, db: DB = given) -> Item:
    return Item(user + db)


@api.get("/key")
def key(key: t.Annotated[str, APIKey("X-Key")], who: Basic) -> str:
    return key + who.username


@api.post("/login")
async def login(form: Form[Item], more: Body[list[int]]) -> int:
    return sum(more) + len(form.name)


v1 = APIBlueprint("v1", __name__, url_prefix="/v1", auth=current_user, tags=["v1"])


@v1.get("/prices")
async def prices(last_event_id: Header[int] = 0) -> EventStream[Item | Sum]:
    yield Item("x")
    yield 3  # type: ignore[misc] # pyright: ignore[reportReturnType]


@v1.get("/plain")
def plain() -> SyncEventStream[Item]:
    yield Item("x")


@v1.get("/rows")
def rows() -> t.Iterator[Item]:
    yield Item("x")


@v1.get("/pages")
def pages(page: Query[Paging]) -> Page[Item]:
    return Page.of([], page)


@v1.websocket("/chat/<room>")
async def chat(room: str, socket: Socket[Item | Sum, Item], me: Me) -> None:
    async for message in socket:
        assert_type(message, Item | Sum)
    await socket.send(Item(room))
    await socket.send(Sum(1))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@api.webhook("order.shipped")
def shipped(body: Item) -> None: ...


@api.post("/add")
def add(body: Item, q: int = 1) -> Sum:
    return Sum(q)


client = api.client()
assert_type(client.call(add, Item("x"), q=3), Sum)
assert_type(client.call(me), Item)
assert_type(client.call(photo, t.cast("Upload", None)), tuple[Item, t.Literal[201]])
assert_type(Remote("https://shop.example").call(login, Item("x"), [1]), int)
client.call(add, Item("x"), q="3")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType, reportCallIssue]
wrong: str = client.call(add, Item("x"))  # type: ignore[assignment] # pyright: ignore[reportAssignmentType, reportArgumentType, reportCallIssue]

with api.replacing({current_user: lambda: "bob"}):
    pass
