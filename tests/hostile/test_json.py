"""JSON that is deeper, longer or stranger than anybody writes it."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel

import kolben
from hostile.ways import WAYS, Case, Served, by_environ
from kolben.api import API, Struct

DEEP = b"[" * 100_000 + b"]" * 100_000
BAD = [
    DEEP,
    b"[" * 100_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b"",
    b"{",
    b"\xff",
    b'"\xff"',
    b"\x00",
    b"9" * 5000,
    b"-",
    b"01",
    b"'a'",
    b'{"a": 1,}',
    b"\xef\xbb\xbf",
    b'{"a" 1}',
    b'["a\nb"]',
    b'"\\u12"',
    b"nul",
]
CASES = [
    Case(path, method="POST", headers=[("Content-Type", kind)], body=body)
    for body in BAD
    for kind in ("application/json", "application/problem+json")
    for path in ("/json", "/read/json", "/read/json_forced")
]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_json_is_400(way: str) -> None:
    wrong = [(case.path, case.body[:20]) for case in CASES if WAYS[way](case).status != 400]
    assert wrong == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("body", [DEEP, b"[" * 100_000, b"{", b"9" * 5000], ids=len)
def test_silently_what_is_no_json_is_none(way: str, body: bytes) -> None:
    for kind in ("application/json", "text/plain"):
        case = Case("/read/json_silent", method="POST", headers=[("Content-Type", kind)], body=body)
        answer = WAYS[way](case)
        assert (answer.status, answer.body) == (200, b"None")


def test_brackets_in_brackets_are_400_with_msgspec() -> None:
    from kolben.json.provider import MsgspecJSONProvider

    app = kolben.Flask("program")
    app.json = MsgspecJSONProvider(app)
    app.post("/")(lambda: str(kolben.request.get_json()))
    case = Case("/", method="POST", headers=[("Content-Type", "application/json")], body=DEEP)
    assert by_environ(case, app).status == 400


def test_in_debug_mode_the_reason_is_said() -> None:
    app = kolben.Flask("program")
    app.debug = True
    app.post("/")(lambda: str(kolben.request.get_json()))
    case = Case("/", method="POST", headers=[("Content-Type", "application/json")], body=DEEP)
    assert b"nested too deeply" in by_environ(case, app).body


def test_json_over_a_socket(served: Served) -> None:
    for case in CASES[::2]:
        assert served.ask(case).status in {400, 413}, (case.body[:20], served.said())
    assert served.ask(Case("/")).status == 200


class Nest(Struct):
    """May have itself as a part."""

    number: int
    part: Nest | None = None
    parts: list[Nest] | None = None


class Model(BaseModel):
    """The same."""

    number: int
    part: Model | None = None


@pytest.mark.parametrize("unknown", ["ignore", "refuse"])
def test_a_typed_view_is_given_no_error_by_what_is_nested(
    unknown: Literal["ignore", "refuse"],
) -> None:
    api = API("program", unknown=unknown)

    @api.post("/nest")
    def nest(body: Nest) -> Nest:
        return body

    @api.post("/model")
    def model(body: Model) -> str:
        return str(body.number)

    answers = {}
    for depth in (2, 100, 250, 320, 500, 900, 990, 1100, 20_000):
        for start in ('{"number":1,"part":', '{"part":', '{"number":1,"parts":[', '{"x":1,"part":'):
            end = "]}" if start.endswith("[") else "}"
            body = (
                start * depth + "{}" * (end == "]}") + "null" * (end == "}") + end * depth
            ).encode()
            for path in ("/nest", "/model"):
                kind = [("Content-Type", "application/json")]
                answer = by_environ(Case(path, method="POST", headers=kind, body=body), api)
                answers[depth, start, path] = answer.status
    assert set(answers.values()) <= {200, 400, 422}
    assert answers[100, '{"number":1,"part":', "/nest"] == 200
    assert answers[100, '{"part":', "/nest"] == 422
    assert answers[500, '{"part":', "/nest"] == 400
