"""Requests that are made to hurt: always a 4xx, within limits, in a time that grows with their length."""

import json
import time
import typing as t

import pydantic
import pytest

from kolben.api import API, Body, Form, Meta, Query, Struct


class Item(Struct):
    name: str
    count: t.Annotated[int, Meta(ge=1)] = 1


class Tree(Struct):
    children: list["Tree"] = []


class Model(pydantic.BaseModel):
    name: str


def api() -> API:
    api = API(__name__)

    @api.post("/item")
    def item(body: Item) -> None: ...

    @api.post("/items")
    def items(body: list[Item]) -> None: ...

    @api.post("/tree")
    def tree(body: Tree) -> None: ...

    @api.post("/model")
    def model(body: Model) -> None: ...

    @api.post("/models")
    def models(body: list[Model]) -> None: ...

    @api.post("/any")
    def anything(body: Body[t.Any]) -> None: ...

    @api.post("/closed", unknown="refuse")
    def closed(body: Item) -> None: ...

    @api.post("/closed-model", unknown="refuse")
    def closed_model(body: Model) -> None: ...

    @api.get("/query")
    def query(q: int, tags: list[int] = []) -> None: ...  # noqa: B006

    @api.get("/closed-query", unknown="refuse")
    def closed_query(page: Query[Item]) -> None: ...

    @api.post("/form")
    def form(form: Form[Item]) -> None: ...

    return api


LONG = 100_000
MANY = 1_000_000


@pytest.mark.parametrize(
    "path", ["/item", "/items", "/tree", "/model", "/models", "/any", "/closed"]
)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * LONG,
        b'{"a":' * LONG,
        b'{"children":[' * LONG,
        b'{"name":' + b"[" * LONG,
        b'"' + b"x" * LONG,
        b"9" * LONG,
        b"1e" + b"9" * LONG,
        b"\x00" * LONG,
        b"\xff\xfe" * LONG,
    ],
    ids=["lists", "objects", "trees", "members", "text", "digits", "exponents", "zeros", "bytes"],
)
def test_a_body_that_is_too_deep_or_too_long(path: str, body: bytes) -> None:
    began = time.process_time()
    reply = api().test_client().post(path, data=body, content_type="application/json")
    assert reply.status_code in (400, 422)
    assert len(reply.data) < 2000
    assert time.process_time() - began < 10


def test_ten_megabytes_of_brackets() -> None:
    for path in ("/item", "/tree", "/model"):
        reply = (
            api().test_client().post(path, data=b"[" * 10 * MANY, content_type="application/json")
        )
        assert (reply.status_code, len(reply.data) < 2000) == (400, True)


def test_a_million_members_that_no_class_has() -> None:
    members = ",".join(f'"k{n}":1' for n in range(MANY))
    body = "{" + members + "}"
    client = api().test_client()
    for path in ("/item", "/model", "/closed"):
        reply = client.post(path, data=body, content_type="application/json")
        assert reply.status_code == 422
        assert len(reply.data) < 20_000


@pytest.mark.parametrize("path", ["/items", "/models"])
def test_faults_are_counted_and_a_hundred_are_told(path: str) -> None:
    body = json.dumps([{"name": 1}] * 100_000)
    reply = api().test_client().post(path, data=body, content_type="application/json")
    assert reply.status_code == 422
    assert len(reply.json["errors"]) == 100
    assert reply.json["detail"] == "100000 faults in the request."


def test_unknown_members_are_refused_where_that_is_said() -> None:
    client = api().test_client()
    for path in ("/closed", "/closed-model"):
        reply = client.post(path, json={"name": "x", "more": 1})
        assert [one["pointer"] for one in reply.json["errors"]] == ["#/more"]
        assert client.post(path, json={"name": "x"}).status_code == 204
    assert client.post("/item", json={"name": "x", "more": 1}).status_code == 204
    assert client.get("/closed-query?name=x").status_code == 204
    assert client.get("/closed-query?name=x&more=1").json["errors"][0]["name"] == "more"


def test_a_million_arguments() -> None:
    client = api().test_client()
    query = "&".join(f"k{n}={n}" for n in range(MANY))
    for path in ("/query", "/closed-query"):
        assert client.get(path, query_string=query).status_code == 400
    fewer = "&".join(f"k{n}={n}" for n in range(9_000))
    reply = client.get("/closed-query", query_string=fewer)
    assert reply.status_code == 422
    assert len(reply.json["errors"]) == 100


def test_a_form_of_a_million_fields() -> None:
    body = "&".join(f"k{n}={n}" for n in range(MANY))
    reply = (
        api()
        .test_client()
        .post("/form", data=body, content_type="application/x-www-form-urlencoded")
    )
    assert reply.status_code in (413, 422)
    assert len(reply.data) < 20_000


@pytest.mark.parametrize(
    "query",
    ["q=%", "q=%00", "q=%ff", "q=%F0%9F", "q=1%0d%0a", "q", "=", "&&&", "q=1&tags=%", "q\xff=1"],
)
def test_odd_queries(query: str) -> None:
    environ = {"QUERY_STRING": query}
    reply = api().test_client().get("/query", environ_overrides=environ)
    assert reply.status_code in (204, 422)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": 'application/json;;;="', "Content-Length": "3"},
        {"Content-Type": "\xff"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/json", "Content-Length": "-1"},
        {"Content-Type": "application/json", "Content-Length": "\xb2"},
        {"Content-Type": "multipart/form-data; boundary="},
    ],
)
def test_odd_headers(headers: dict[str, str]) -> None:
    for path in ("/item", "/form", "/model"):
        reply = api().test_client().post(path, data=b"{}x", headers=headers)
        assert 400 <= reply.status_code < 500
