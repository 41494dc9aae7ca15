"""What is refused at registration: with file, line and function, and what to do."""

import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from werkzeug.datastructures import FileStorage

from kolben.api import API, APIBlueprint, Bearer, Body, Form, Meta, Problem, Query, Struct


class Filter(Struct):
    name: str


class Order(Struct):
    number: int


class Session:
    pass


class Gone(Problem, status=410):
    pass


def refused(register: t.Callable[[API], object]) -> str:
    with pytest.raises(TypeError) as caught:
        register(API("api_mistakes"))
    place, _, text = str(caught.value).partition("(): ")
    assert re.fullmatch(re.escape(__file__) + r":\d+ view", place)
    line = int(place.split(":")[-1].split()[0])
    source = Path(__file__).read_text().splitlines()[line - 1]
    assert source.strip().startswith(("def view", "async def view"))
    return text


def test_what_no_request_holds() -> None:
    def register(api: API) -> None:
        @api.get("/")
        def view(db: Session) -> None: ...

    assert refused(register) == (
        "'db' is a Session, which no request holds. Name a function that provides it:"
        " Annotated[Session, open_session]."
    )


def test_two_bodies() -> None:
    def register(api: API) -> None:
        @api.post("/")
        def view(a: Order, b: Filter) -> None: ...

    assert refused(register) == (
        "'a' and 'b' both want the body, of which there is one. Put them into one class, or mark"
        " one: Query[Filter]."
    )


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_body_where_there_is_none(method: str) -> None:
    def register(api: API) -> None:
        @api.route("/", methods=[method])
        def view(filter: Filter) -> None: ...

    assert refused(register) == (
        f"{method} has no body for 'filter'. Query[Filter] reads its fields from the query."
    )


@pytest.mark.parametrize("kind", [FileStorage, Form[int], Body[int], list[Order]])
def test_what_no_query_can_hold_either_is_not_advised(kind: t.Any) -> None:
    def register(api: API) -> None:
        def view(of: t.Any) -> None: ...

        view.__annotations__["of"] = kind
        api.get("/")(view)

    assert refused(register) == "GET has no body for 'of'. Register it for POST."


def test_a_file_beside_a_body() -> None:
    def register(api: API) -> None:
        @api.post("/")
        def view(order: Order, file: FileStorage) -> None: ...

    assert refused(register) == (
        "'order' and 'file' both want the body, of which there is one. Put them into one class."
    )


def test_constraints_of_another_type() -> None:
    def register(api: API) -> None:
        @api.get("/")
        def view(q: t.Annotated[str, Meta(ge=3)]) -> None: ...

    assert refused(register).startswith("'q' is str: Can only set `ge` on a numeric type")


@pytest.mark.parametrize("auth", ["current_user", Order])
def test_what_asks_who_is_a_function(auth: t.Any) -> None:
    with pytest.raises(TypeError, match="'auth' is the function that provides who asks, or None"):
        APIBlueprint("b", __name__, auth=auth)


def test_none_without_a_default() -> None:
    def register(api: API) -> None:
        @api.get("/")
        def view(q: int | None) -> None: ...

    assert refused(register) == (
        "'q' may be None but has no default, and a query cannot say null: write q: int | None ="
        " None."
    )


def test_lists_of_lists_in_text() -> None:
    def register(api: API) -> None:
        @api.get("/")
        def view(m: list[list[int]]) -> None: ...

    assert refused(register) == (
        "'m' is list[list[int]]; a query holds lists of plain values only."
    )


def test_a_converter_of_another_type() -> None:
    def register(api: API) -> None:
        @api.get("/<int:id>")
        def view(id: str) -> None: ...

    assert refused(register) == "<int:id> gives an int, but 'id' is annotated str."


def test_a_status_that_is_not_said() -> None:
    def register(api: API) -> None:
        @api.get("/")
        def view() -> tuple[Order, int]: ...

    assert refused(register) == (
        "tuple[Order, int] does not say which status: tuple[Order, Literal[201]]."
    )


def test_types_are_named_as_they_are_written() -> None:
    def register(api: API) -> None:
        @api.get("/")
        def view() -> tuple[dict[str, list[Order]] | None, int, dict[str, str]]: ...

    assert refused(register) == (
        "tuple[dict[str, list[Order]] | None, int, dict[str, str]] does not say which status:"
        " tuple[dict[str, list[Order]] | None, Literal[201]]."
    )


def test_a_result_without_a_schema() -> None:
    def register(api: API) -> None:
        @api.get("/")
        def view() -> object: ...

    assert refused(register) == (
        "the result's type object has no schema. Annotate a class with fields, or return a"
        " Response."
    )


def test_providers_that_need_each_other() -> None:
    def current_user(db: t.Any) -> str:
        return ""

    def session(user: t.Annotated[str, current_user]) -> str:
        return ""

    current_user.__annotations__["db"] = t.Annotated[str, session]

    def register(api: API) -> None:
        @api.get("/")
        def view(user: t.Annotated[str, current_user]) -> None: ...

    assert (
        refused(register) == "current_user -> session -> current_user: providers need each other."
    )


def test_classes_of_two_kinds_in_one_body() -> None:
    pydantic = pytest.importorskip("pydantic")
    Line = pydantic.create_model("Line", sku=(str, ...))

    class Basket(Struct):
        line: Line  # type: ignore[valid-type]

    def register(api: API) -> None:
        @api.post("/")
        def view(body: Basket) -> None: ...

    assert refused(register) == (
        "Basket (Struct) holds Line (pydantic): use one kind within a body."
    )


def test_msgspec_is_named_where_it_is_missing() -> None:
    program = (
        "import sys; sys.modules['msgspec'] = None\n"
        "try:\n import kolben.api\n"
        "except ImportError as error:\n print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == 'kolben.api needs msgspec: pip install "kolben[api]".\n'


def test_a_blueprint_tells_mistakes_where_they_are_made() -> None:
    blueprint = APIBlueprint("v1", __name__)
    with pytest.raises(TypeError, match=r"view\(\): 'db' is a Session"):

        @blueprint.get("/")
        def view(db: Session) -> None: ...


#: From Python 3.14 on annotations are evaluated late by themselves (PEP 649).
LATE = "" if sys.version_info >= (3, 14) else "from __future__ import annotations\n"


def test_names_that_are_defined_later_are_resolved_before_the_first_request() -> None:
    source = (
        LATE
        + """
import typing as t
from kolben.api import API, Header, Problem, Query, Socket, Struct
api = API("late")
class Gone(Problem, status=410):
    item: Item
    since: Number
def provide(q: Number) -> t.Iterator[Item]:
    yield Item(q, None)
@api.get("/<int:number>", raises=[Gone])
def late(number: int, q: Number, given: t.Annotated[Item, provide], page: Query[Paging]) -> Item:
    if q == 0:
        raise Gone(item=given, since=1)
    return Item(number, given)
@api.post("/")
def post(body: list[Item], x_id: Header[Number] = 1) -> list[Item]: return body
@api.websocket("/")
async def chat(socket: Socket[Item, Item]) -> None: ...
class Paging(Struct):
    limit: Number = 1
class Item(Struct):
    number: int
    inner: Item | None
Number = int
"""
    )
    program: dict[str, t.Any] = {"__name__": "late"}
    sys.modules["late"] = t.cast("t.Any", type(sys)("late"))
    sys.modules["late"].__dict__.update(program)
    try:
        # The annotations of this module itself are text, which compile() would hand on.
        exec(compile(source, "late.py", "exec", dont_inherit=True), sys.modules["late"].__dict__)
        client = sys.modules["late"].api.test_client()
        inner = {"number": 1, "inner": None}
        assert client.get("/3?q=1").json == {"number": 3, "inner": inner}
        assert client.get("/3?q=x&limit=y").status_code == 422
        assert client.get("/3?q=0").json["item"] == {"number": 0, "inner": None}
        assert client.post("/", json=[inner]).json == [inner]
        document = client.get("/openapi.json").json
        assert "Gone" in document["components"]["schemas"]
        assert list(document["x-websockets"]) == ["/"]
    finally:
        del sys.modules["late"]


def test_names_that_are_never_defined_are_told_at_the_first_client() -> None:
    api = API("api_never")

    def view(order): ...  # type: ignore[no-untyped-def]

    view.__annotations__["order"] = "Missing"
    api.post("/")(view)
    with pytest.raises(TypeError, match="'Missing' is not defined at run time; import it outside"):
        api.test_client()


def test_views_without_annotations_are_left_alone() -> None:
    api = API("api_plain")

    def view():  # type: ignore[no-untyped-def]
        return "x"

    api.get("/")(view)
    assert api.view_functions["view"] is view


def test_the_decorator_returns_the_function_itself() -> None:
    api = API("api_same")

    def view(q: int) -> int:
        return q

    assert api.get("/")(view) is view
    assert view(2) == 2
    assert t.cast("t.Any", api.view_functions["view"]).__wrapped__ is view


@pytest.mark.parametrize(
    ("raises", "text"),
    [
        ([ValueError], "raises=[ValueError] is no class of a problem"),
        (Gone, "'raises' must be a list: write raises=[Gone]."),
        ([Gone()], "is no class of a problem"),
    ],
)
def test_what_is_raised_is_named_by_classes(raises: t.Any, text: str) -> None:
    with pytest.raises(TypeError, match=re.escape(text)):
        API("api_mistakes", raises=raises)
    with pytest.raises(TypeError, match=re.escape(text)):
        API("api_mistakes").get("/", raises=raises)(lambda: "")


def test_marked_parameters_may_stand_beside_a_body() -> None:
    api = API("api_marked")

    @api.post("/")
    def view(a: Order, b: Query[Filter], token: Bearer = "") -> list[t.Any]:
        return [a.number, b.name, token]

    reply = api.test_client().post("/?name=x", json={"number": 1})
    assert reply.json == [1, "x", ""]


def test_a_body_may_be_left_out_where_it_has_a_default() -> None:
    api = API("api_optional")

    @api.post("/")
    def view(body: Body[Order | None] = None) -> bool:
        return body is None

    client = api.test_client()
    assert client.post("/").json is True
    assert client.post("/", json={"number": 1}).json is False
    assert client.post("/", json={}).status_code == 422
