"""Types of all kinds, in every place that a value can come from or go to."""

import dataclasses
import datetime as dt
import enum
import functools
import ipaddress
import typing as t
import uuid

import attrs
import pydantic
import pytest
from attrs import validators
from pydantic_core import PydanticCustomError

from kolben.api import API, Body, Header, Meta, Name, Query, Struct, kinds
from kolben.testing import FlaskClient


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Cat(pydantic.BaseModel):
    kind: t.Literal["cat"]
    lives: int


class Dog(pydantic.BaseModel):
    kind: t.Literal["dog"]
    name: str


Pet = t.Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]


@attrs.define
class Limited:
    number: int = attrs.field(default=5, validator=validators.ge(1))
    name: str = attrs.field(default="x", validator=validators.matches_re("[a-z]+"))
    even: int = 2

    @t.no_type_check
    def __attrs_post_init__(self) -> None:
        if self.even % 2:
            raise ValueError("even must be even")


def client_of(view: t.Any, method: str = "GET") -> FlaskClient:
    api = API("api_kinds")
    api.testing = True
    api.add_url_rule("/", "view", view, methods=[method])
    return api.test_client()


@pytest.mark.parametrize(
    ("text", "status", "read"),
    [("me", 200, "me"), (str(uuid.UUID(int=3)), 200, str(uuid.UUID(int=3))), ("you", 422, None)],
)
def test_text_may_be_one_of_several_kinds(text: str, status: int, read: str | None) -> None:
    def view(who: uuid.UUID | t.Literal["me"]) -> dict[str, str]:
        return {"read": str(who)}

    client = client_of(view)
    answer = client.get("/", query_string={"who": text})
    assert (answer.status_code, answer.json.get("read")) == (status, read)
    assert text not in answer.text or status == 200
    (parameter,) = client.get("/openapi.json").json["paths"]["/"]["get"]["parameters"]
    assert parameter["schema"] == {
        "anyOf": [{"type": "string", "format": "uuid"}, {"type": "string", "enum": ["me"]}]
    }


def test_choices_and_numbers_may_stand_in_one_parameter() -> None:
    def view(what: Colour | t.Literal["all"] | int | None = None) -> dict[str, str]:
        return {"read": repr(what)}

    client = client_of(view)
    read = [
        client.get(f"/{query}").json["read"] for query in ("?what=red", "?what=all", "?what=3", "")
    ]
    assert read == ["<Colour.RED: 'red'>", "'all'", "3", "None"]


@pytest.mark.parametrize("kind", [list[uuid.UUID | t.Literal["me"]], complex, tuple[int, str]])
def test_what_text_cannot_hold_is_refused_at_registration(kind: t.Any) -> None:
    def view(what: t.Any) -> None: ...

    view.__annotations__["what"] = kind
    with pytest.raises(TypeError, match=r"test_kinds\.py:\d+ view\(\): .*'what'"):
        client_of(view)


def test_a_discriminator_chooses_the_model() -> None:
    def view(pet: Pet) -> Pet:
        return pet

    client = client_of(view, "POST")
    assert client.post("/", json={"kind": "cat", "lives": 9}).json == {"kind": "cat", "lives": 9}
    faults = client.post("/", json={"kind": "cat"}).json["errors"]
    assert faults == [{"in": "body", "detail": "Required, but missing", "pointer": "#/lives"}]
    operation = client.get("/openapi.json").json["paths"]["/"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["discriminator"]["propertyName"] == "kind"


@pytest.mark.parametrize("sent", [{"number": -77123}, {"name": "HUNTER2"}])
def test_what_a_validator_of_attrs_refuses_is_told_without_the_value(
    sent: dict[str, t.Any],
) -> None:
    def from_body(body: Limited) -> None: ...

    def from_query(limits: Query[Limited]) -> None: ...

    def nested(body: Body[list[Limited]]) -> None: ...

    answers = [
        client_of(from_body, "POST").post("/", json=sent),
        client_of(nested, "POST").post("/", json=[{}, sent]),
        client_of(from_query).get("/", query_string=sent),
    ]
    (name, value), *_ = sent.items()
    for answer in answers:
        (fault,) = answer.json["errors"]
        assert answer.status_code == 422
        assert fault["detail"].startswith(f"{name!r} is refused by <")
        assert str(value) not in answer.text
    assert answers[1].json["errors"][0]["pointer"] == "#/1"


def test_what_a_class_of_attrs_says_itself_is_told() -> None:
    def view(body: Limited) -> None: ...

    (fault,) = client_of(view, "POST").post("/", json={"even": 1}).json["errors"]
    assert fault["detail"] == "even must be even"


def test_keys_of_a_dictionary_are_of_their_type_in_both_directions() -> None:
    class Table(Struct):
        days: dict[dt.date, int]
        colours: dict[Colour, int]

    def view(body: Table) -> Table:
        return body

    client = client_of(view, "POST")
    sent = {"days": {"2026-01-01": 1}, "colours": {"red": 2}}
    assert client.post("/", json=sent).json == sent
    faults = client.post("/", json={"days": {"x": 1}, "colours": {"green": 2}}).json["errors"]
    assert [(one["pointer"], one["detail"]) for one in faults] == [
        ("#/days/x", "Invalid RFC3339 encoded date"),
        ("#/colours/green", "Expected one of 'red', 'blue'"),
    ]


def test_each_request_has_defaults_of_its_own() -> None:
    def view(tags: list[str] = [], body: dict[str, int] = {}) -> list[str]:  # noqa: B006 (the point)
        tags.append("one")
        body["more"] = len(tags)
        return [*tags, *body]

    client = client_of(view, "POST")
    assert [client.post("/").json for _ in range(2)] == [["one", "more"]] * 2


def shift(number: int, extra: int, by: int = 1) -> dict[str, int]:
    return {"number": number + extra * by}


class Shifter:
    def __init__(self, extra: int) -> None:
        self.extra = extra

    def __call__(self, number: int, by: int = 1) -> dict[str, int]:
        return shift(number, self.extra, by)

    def method(self, number: int, by: int = 1) -> dict[str, int]:
        return shift(number, self.extra, by)

    @classmethod
    def of_class(cls, number: int, by: int = 1) -> dict[str, int]:
        return cls(10).method(number, by)


@pytest.mark.parametrize(
    "view",
    [
        functools.partial(shift, extra=10),
        functools.update_wrapper(functools.partial(shift, extra=10), shift),
        Shifter(10),
        Shifter(10).method,
        Shifter.of_class,
        functools.lru_cache(functools.partial(shift, extra=10)),
    ],
)
def test_whatever_is_called_is_typed(view: t.Any) -> None:
    api = API("api_kinds")
    api.add_url_rule("/<int:number>", "view", view)
    client = api.test_client()
    assert client.get("/1?by=2").json == {"number": 21}
    assert client.get("/1?by=two").status_code == 422
    (operation,) = client.get("/openapi.json").json["paths"].values()
    assert [one["name"] for one in operation["get"]["parameters"]] == ["number", "by"]


def test_constraints_of_the_items_and_of_the_list_hold() -> None:
    Few = t.Annotated[list[t.Annotated[int, Meta(ge=1)]], Meta(max_length=2)]

    def view(few: Few) -> None: ...

    client = client_of(view)
    assert client.get("/?few=1&few=2").status_code == 204
    assert [client.get(q).status_code for q in ("/?few=0", "/?few=1&few=2&few=3")] == [422, 422]


class Endless:
    """As ``type Endless = dict[str, Endless]`` is, from Python 3.12 on."""

    __value__: t.Any


def test_an_alias_that_names_itself_is_refused_at_registration() -> None:
    alias = Endless()
    alias.__value__ = dict[str, alias]  # type: ignore[valid-type]

    def view(body: t.Any) -> None: ...

    view.__annotations__["body"] = Body[alias]  # type: ignore[valid-type]
    with pytest.raises(TypeError, match=r"test_kinds\.py:\d+ view\(\): an alias names itself"):
        client_of(view, "POST")


class DateInside(Struct):
    day: str

    def __post_init__(self) -> None:
        dt.date.fromisoformat(self.day)


@dataclasses.dataclass
class NumberInside:
    day: str

    def __post_init__(self) -> None:
        int(self.day)


@attrs.define
class AddressInside:
    day: str = attrs.field()

    @day.validator
    def check(self, attribute: t.Any, value: str) -> None:
        ipaddress.ip_address(value)


class ValidatedInside(pydantic.BaseModel):
    day: str

    @pydantic.field_validator("day")
    @classmethod
    def check(cls, value: str) -> str:
        if value == "special":
            raise PydanticCustomError("own", "This is {what}.", {"what": value})
        return str(int(value))


class AddressModel(pydantic.BaseModel):
    day: ipaddress.IPv4Address


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (DateInside, "Invalid isoformat string: '…'"),
        (NumberInside, "invalid literal for int() with base 10: '…'"),
        (AddressInside, "'…' does not appear to be an IPv4 or IPv6 address"),
        (ValidatedInside, "Value error, invalid literal for int() with base 10: '…'"),
    ],
)
@pytest.mark.parametrize("sent", ["hunter2 \n%", "abc", "0x7"])
def test_what_python_says_of_a_value_is_told_without_it(kind: t.Any, said: str, sent: str) -> None:
    def from_body(body: t.Any) -> None: ...

    def nested(body: t.Any) -> None: ...

    def from_query(of: t.Any) -> None: ...

    from_body.__annotations__ = {"body": kind, "return": None}
    nested.__annotations__ = {"body": list[kind], "return": None}
    from_query.__annotations__ = {"of": Query[kind], "return": None}
    for reply in (
        client_of(from_body, "POST").post("/", json={"day": sent}),
        client_of(nested, "POST").post("/", json=[{"day": sent}]),
        client_of(from_query).get("/", query_string={"day": sent}),
    ):
        assert reply.json is not None
        told = [one["detail"].replace("'…'", "…") for one in reply.json["errors"]]
        assert told == [said.replace("'…'", "…")]


def test_what_a_program_says_of_a_value_is_told_without_it() -> None:
    def view(body: ValidatedInside) -> None: ...

    reply = client_of(view, "POST").post("/", json={"day": "special"})
    assert reply.json is not None
    assert reply.json["errors"][0]["detail"] == "This is …."


def test_what_is_said_of_very_much_is_that_it_is_refused() -> None:
    class Long(Struct):
        words: list[str]

        def __post_init__(self) -> None:
            raise ValueError(f"No {self.words[-1]}.")

    def view(body: Long) -> None: ...

    words = [f"word{number}" for number in range(20_000)]
    reply = client_of(view, "POST").post("/", json={"words": words})
    assert reply.json is not None
    assert reply.json["errors"][0]["detail"] == "The value is refused"
    reply = client_of(view, "POST").post("/", json={"words": [7777, "hunter2"]})
    assert "hunter2" not in reply.text


class Contact(pydantic.BaseModel):
    site: pydantic.HttpUrl
    since: pydantic.PastDate = dt.date(2020, 1, 1)


def test_types_of_pydantic_are_read_from_text() -> None:
    def view(site: pydantic.HttpUrl, of: Query[Contact], key: Header[pydantic.SecretStr]) -> str:
        return f"{site.host} {of.site.port} {of.since} {key.get_secret_value()}"

    view.__annotations__["site"] = t.Annotated[pydantic.HttpUrl, Name("at")]
    client = client_of(view)
    query = {"at": "https://a.example", "site": "http://b.example:81", "since": "2021-01-02"}
    reply = client.get("/", query_string=query, headers={"Key": "k"})
    assert reply.text == "a.example 81 2021-01-02 k"
    wrong = {"at": "hunter2", "site": "hunter2", "since": "2999-01-01"}
    reply = client.get("/", query_string=wrong, headers={"Key": "k"})
    assert reply.json is not None
    assert "hunter2" not in reply.text
    assert [one["name"] for one in reply.json["errors"]] == ["at", "site", "since"]
    document = client.get("/openapi.json").json
    assert document is not None
    schemas = [one["schema"] for one in document["paths"]["/"]["get"]["parameters"]]
    assert [one.get("format") for one in schemas] == ["uri", "uri", "date", "password"]


def test_no_more_refusals_of_a_program_are_worded_than_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def view(body: list[ValidatedInside]) -> None: ...

    worded = []
    without = kinds.without

    def counted(texts: list[str], message: str) -> str:
        worded.append(message)
        return without(texts, message)

    monkeypatch.setattr(kinds, "without", counted)
    days = [{"day": f"word{number}"} for number in range(3_000)]
    reply = client_of(view, "POST").post("/", json=days)
    assert reply.json is not None
    assert reply.json["detail"] == "3000 faults in the request."
    assert len(reply.json["errors"]) == len(worded) == 100
    assert "word" not in reply.text
