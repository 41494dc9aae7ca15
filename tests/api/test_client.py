"""The typed client: handlers are called as they are written."""

import dataclasses
import enum
import io
import threading
import typing as t

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import NotFound
from werkzeug.serving import make_server

from kolben import Response, abort, redirect
from kolben.api import (
    API,
    Basic,
    Bearer,
    Cookie,
    Created,
    Event,
    EventStream,
    Form,
    Header,
    InvalidRequest,
    Meta,
    Name,
    Problem,
    Query,
    Remote,
    Struct,
    given,
)


class Colour(enum.Enum):
    RED = "red"


class Add(Struct):
    a: int
    b: int


class Sum(Struct):
    sum: int


class Paging(Struct):
    limit: int = 10
    after: str | None = None


class Upload(Struct):
    title: str
    photo: FileStorage


@dataclasses.dataclass
class Login:
    name: str


class TooMuch(Problem, status=409, title="Too much"):
    most: int


api = API(__name__)


def whoever(token: Bearer) -> str:
    return token


@api.post("/add", raises=[TooMuch])
def add(body: Add, q: t.Annotated[int, Meta(ge=0)] = 1) -> Sum:
    if body.a > 100:
        raise TooMuch(most=100, detail="Less.")
    return Sum((body.a + body.b) * q)


@api.get("/everything/<name>/<int:n>")
async def everything(
    n: int,
    name: str,
    page: Query[Paging],
    tag: list[str] = [],  # noqa: B006
    colour: t.Annotated[Colour, Name("col-our")] = Colour.RED,
    x_id: Header[int] = 0,
    theme: Cookie[str] = "",
    flag: bool = False,
) -> list[t.Any]:
    return [n, name, page.limit, page.after, tag, colour.value, x_id, theme, flag]


@api.put("/created")
def created(body: Add) -> Created[Sum]:
    return Sum(1), 201


@api.delete("/none")
def none() -> None: ...


@api.get("/missing")
def missing() -> Sum:
    abort(404, "Nothing there.")


@api.get("/me")
def me(user: t.Annotated[str, whoever] = given) -> str:
    return user


@api.get("/basic")
def basic(who: Basic) -> str:
    return who.username


@api.post("/upload")
def upload(form: Upload) -> str:
    return f"{form.title} {form.photo.filename} {form.photo.read().decode()}"


@api.post("/login")
def login(form: Form[Login]) -> str:
    return form.name


@api.get("/lines")
def lines() -> t.Iterator[Sum]:
    yield Sum(1)
    yield Sum(2)


@api.get("/events")
async def events() -> EventStream[Sum]:
    yield Sum(3)


@api.get("/numbered")
async def numbered() -> EventStream[Event[Sum]]:
    yield Event(Sum(3), id="a")
    yield Event(Sum(4))


class Preferences(t.TypedDict, total=False):
    names: list[str]
    theme: str


@api.get("/cookies")
def cookies(preferences: Cookie[Preferences], numbers: Cookie[list[int]] = []) -> list[t.Any]:  # noqa: B006
    return [preferences.get("names"), preferences.get("theme"), numbers]


@api.get("/moved")
def moved() -> Response:
    return redirect("/none")


@pytest.fixture(params=["here", "remote"])
def client(request: pytest.FixtureRequest) -> t.Iterator[t.Any]:
    headers = {"Authorization": "Bearer ann"}
    if request.param == "here":
        yield api.client(headers)
        return
    server = make_server("127.0.0.1", 0, api, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Remote(f"http://127.0.0.1:{server.server_port}", headers)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_handlers_are_called_over_http(client: t.Any) -> None:
    assert client.call(add, Add(1, 2), q=3) == Sum(9)
    assert client.call(created, Add(1, 2)) == (Sum(1), 201)
    assert client.call(none) is None
    page = Paging(5, "x y")
    got = client.call(everything, 3, "a b", page, tag=["u", "v"], x_id=7, theme="t", flag=True)
    assert got == [3, "a b", 5, "x y", ["u", "v"], "red", 7, "t", True]
    assert client.call(me) == "ann"
    assert client.call(basic, Basic("bob", "p")) == "bob"
    assert client.call(login, Login("ann")) == "ann"
    photo = FileStorage(io.BytesIO(b"png"), "a.png", "photo")
    assert client.call(upload, Upload("t", photo)) == "t a.png png"
    assert list(client.call(lines)) == [Sum(1), Sum(2)]
    assert list(client.call(events)) == [Sum(3)]
    assert list(client.call(numbered)) == [Event(Sum(3), "a"), Event(Sum(4))]


def test_a_redirect_is_the_answer_and_not_followed(client: t.Any) -> None:
    assert b"/none" in client.call(moved)


def test_cookies_hold_any_text_and_lists(client: t.Any) -> None:
    odd = 'a; b="c" é'
    sent = Preferences(names=["x", "y"], theme=odd)
    assert client.call(cookies, sent, numbers=[1, 2]) == [["x", "y"], odd, [1, 2]]
    assert client.call(cookies, Preferences(), numbers=[]) == [None, None, []]


def test_errors_are_raised_as_themselves(client: t.Any) -> None:
    with pytest.raises(TooMuch) as problem:
        client.call(add, Add(101, 1))
    assert (problem.value.most, problem.value.detail) == (100, "Less.")
    with pytest.raises(InvalidRequest) as invalid:
        client.call(add, Add(1, 1), q=-1)
    assert [one.name for one in invalid.value.errors] == ["q"]
    with pytest.raises(NotFound, match="Nothing there"):
        client.call(missing)


def test_what_is_not_registered_cannot_be_called() -> None:
    with pytest.raises(TypeError, match="not registered"):
        API("api_other").client().call(add, Add(1, 2))
    with pytest.raises(ValueError, match="no URL"):
        Remote("shop.example")
