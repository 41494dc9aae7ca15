"""JSON that is deeper, longer or stranger than anybody writes it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import sqlite3
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import quote

import pytest
from pydantic import BaseModel

import kolben
from hostile.ways import WAYS, Case, Served, by_environ, by_scope
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


def copied(value: object) -> object:
    return copy.deepcopy(value)


#: What a program does with JSON that it has read.
USES: dict[str, Callable[[], Any]] = {
    "echo": lambda: kolben.request.get_json(),
    "in an object": lambda: {"got": [kolben.request.get_json()]},
    "jsonify": lambda: kolben.jsonify(got=kolben.request.json),
    "not kept": lambda: {"got": copied(kolben.request.get_json(cache=False))},
    "forced": lambda: {"got": copied(kolben.request.get_json(force=True))},
    "as data": lambda: {"got": copied(kolben.json.loads(kolben.request.data))},
    "copied": lambda: {"got": copied(kolben.request.get_json())},
    "compared": lambda: str(kolben.request.get_json() == copied(kolben.request.get_json())),
    "as text": lambda: repr(kolben.request.get_json()),
    "in a session": lambda: str(kolben.session.update(got=kolben.request.get_json())),
    "in a template": lambda: kolben.render_template_string(
        "{{ got | tojson }}", got=kolben.request.get_json()
    ),
}
DEPTHS = [50, 300, 480, 500, 900, *range(940, 995, 6), 5000, 9900, 20_000]


def program(use: str, **config: Any) -> kolben.Flask:
    app = kolben.Flask("program")
    app.secret_key = "a secret"
    app.config.update(config)
    view = USES[use]

    async def later() -> Any:
        return view()

    app.add_url_rule("/plain", "plain", lambda: view(), methods=["POST"])
    app.add_url_rule("/async", "async", later, methods=["POST"])
    return app


@pytest.mark.parametrize(
    ("use", "config"),
    [*((use, {}) for use in USES), ("echo", {"DEBUG": True}), ("copied", {"TESTING": True})],
    ids=str,
)
def test_what_is_read_of_json_and_is_too_deep_for_its_use_is_400(
    use: str, config: dict[str, bool]
) -> None:
    app = program(use, **config)
    kind = [("Content-Type", "application/json")]
    for begin, end in (("[", "]"), ('{"a":', "}")):
        seen = {}
        for depth in DEPTHS:
            body = (begin * depth + "1" + end * depth).encode()
            for path, ask in (("/plain", by_environ), ("/async", by_environ), ("/plain", by_scope)):
                case = Case(path, method="POST", headers=kind, body=body)
                seen[depth, path, ask.__name__] = ask(case, app=app).status
        assert set(seen.values()) == {200, 400}
        assert {status for (depth, *_), status in seen.items() if depth <= 300} == {200}


def test_what_can_be_written_again_is_written() -> None:
    app = program("echo")
    deepest = {}
    for begin, end in (("[", "]"), ('{"a":', "}")):
        for depth in DEPTHS:
            body = (begin * depth + "1" + end * depth).encode()
            headers = [("Content-Type", "application/json")]
            answer = by_environ(Case("/plain", method="POST", headers=headers, body=body), app)
            if answer.status == 200:
                assert answer.body.strip() == body
                deepest[begin] = depth
    assert min(deepest.values()) >= 940


DEEP_TEXT = "[" * 700 + "]" * 700


@pytest.mark.parametrize(
    "case",
    [
        Case("/", query=f"v={DEEP_TEXT}"),
        Case("/", query=f'b="&v={quote(DEEP_TEXT)}'),
        Case("/" + DEEP_TEXT),
        Case("/", headers=[("X-Filter", DEEP_TEXT)]),
        Case("/", headers=[("Cookie", f'v="{DEEP_TEXT}"')]),
        Case(
            "/",
            method="POST",
            headers=[("Content-Type", "application/x-www-form-urlencoded")],
            body=f"v={DEEP_TEXT}".encode(),
        ),
    ],
    ids=["query", "quoted query", "path", "header", "cookie", "form"],
)
@pytest.mark.parametrize("way", [by_environ, by_scope])
def test_json_that_comes_otherwise_than_as_a_body_is_400_too(way: Any, case: Case) -> None:
    app = kolben.Flask("program")

    @app.route("/", methods=["GET", "POST"])
    @app.route("/<text>")
    def view(text: str = "") -> Any:
        request = kolben.request
        texts = [text, request.headers.get("X-Filter", ""), *request.cookies.values()]
        texts += request.values.values()
        return str(copied(kolben.json.loads(max(texts, key=len))))

    assert way(case, app=app).status == 400


def run(query: str, *values: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        return database.execute(query, values).fetchall()


#: What needs UTF-8 for a text that it has read.
TEXT_USES: dict[str, Callable[[str], Any]] = {
    "as text": lambda text: text,
    "encoded": lambda text: text.encode(),
    "in a template": lambda text: kolben.render_template_string("{{ text }}", text=text),
    "in a response": lambda text: kolben.Response(text),
    "in a url": lambda text: kolben.url_for("view", use="as text", text=text),
    "in a redirect": lambda text: kolben.redirect(text),
    "in a database": lambda text: str(run("select ?", text)),
}


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("use", TEXT_USES)
def test_half_of_a_surrogate_pair_in_json_is_400_where_it_needs_utf8(
    use: str, kept: bool, asynchronous: bool
) -> None:
    app = kolben.Flask("program")

    def view() -> Any:
        request = kolben.request
        if request.args or request.form:
            return TEXT_USES[use](kolben.json.loads(request.values["v"]))
        return TEXT_USES[use](request.get_json(cache=kept))

    async def later() -> Any:
        return view()

    app.add_url_rule("/", "view", later if asynchronous else view, methods=["GET", "POST"])
    kind = [("Content-Type", "application/json")]
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    for ask in (by_environ, by_scope):
        for body in (b'"\\ud800"', b'"a\\uDFffb"', b'"\xed\xa0\x80"'):
            assert ask(Case("/", method="POST", headers=kind, body=body), app=app).status == 400
        case = Case("/", query="v=%22%5Cud800%22")
        assert ask(case, app=app).status == 400
        case = Case("/", method="POST", headers=form, body=b"v=%22%5Cud800%22")
        assert ask(case, app=app).status == 400
        case = Case("/", method="POST", headers=kind, body=b'"\\ud83d\\ude00"')
        assert ask(case, app=app).status in {200, 302}


def test_a_text_of_the_programs_that_has_no_utf8_is_500(caplog: pytest.LogCaptureFixture) -> None:
    app = kolben.Flask("program")
    app.post("/")(lambda: f"{kolben.request.get_json()}\ud800")
    kind = [("Content-Type", "application/json")]
    for ask in (by_environ, by_scope):
        assert ask(Case("/", method="POST", headers=kind, body=b'"a"'), app=app).status == 500
    assert "UnicodeEncodeError" in caplog.text
    caplog.clear()


def test_a_program_that_recurses_without_end_is_500(caplog: pytest.LogCaptureFixture) -> None:
    app = kolben.Flask("program")

    @app.post("/")
    def view() -> Any:
        data = kolben.request.get_json(cache="cache" in kolben.request.args)
        data["self"] = data
        return data

    for query in ("", "cache"):
        for body in (b"{}", b'{"a": [{"b": "[[[["}]}', b'{"a":' * 40 + b"1" + b"}" * 40):
            headers = [("Content-Type", "application/json")]
            case = Case("/", query=query, method="POST", headers=headers, body=body)
            assert by_environ(case, app).status == 500
            assert "RecursionError" in caplog.text or "Circular" in caplog.text
            caplog.clear()


def test_its_400_is_handled_and_logged_as_such(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")
    app = program("copied", PROBLEM_DETAILS=True)
    seen: list[Any] = []
    headers = [("Content-Type", "application/json")]
    case = Case("/plain", method="POST", headers=headers, body=b"[" * 700 + b"]" * 700)
    answer = by_environ(case, app)
    assert (answer.status, answer.header("Content-Type")) == (400, "application/problem+json")
    assert caplog.text.startswith("WARNING")
    assert "/plain [POST] is answered with 400 after an error in" in caplog.text
    assert "test_json.py, line" in caplog.text

    handlers: list[tuple[Any, Any, int]] = [
        (400, lambda error: (f"ours: {error.description}", 418), 418),
        (RecursionError, lambda error: ("theirs", 419), 419),
        (400, lambda error: 1 / 0, 500),
    ]
    for what, handler, status in handlers:
        app = program("copied")
        app.register_error_handler(what, handler)
        watched = kolben.got_request_exception.connected_to
        with watched(lambda _, exception: seen.append(exception), app):
            assert by_environ(case, app).status == status
    assert [type(one) for one in seen] == [ZeroDivisionError]
    caplog.clear()


def test_a_websocket_is_closed_for_it_as_for_a_bad_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = kolben.Flask("program")

    @app.websocket("/echo")
    async def echo() -> None:
        while True:
            await kolben.websocket.send_json(copied(await kolben.websocket.receive_json()))

    @app.websocket("/text")
    async def text() -> None:
        await kolben.websocket.send((await kolben.websocket.receive_json()).encode())

    @app.websocket("/faulty")
    async def faulty() -> None:
        value = await kolben.websocket.receive_json()
        value.append(value)
        await kolben.websocket.send_json(value)

    async def talk() -> None:
        async with app.async_test_client() as client:
            async with client.websocket("/echo") as ws:
                await ws.send_json([1])
                assert await ws.receive_json() == [1]
                await ws.send("[" * 700 + "]" * 700)
                with pytest.raises(kolben.WebSocketDisconnect) as caught:
                    await ws.receive()
                assert caught.value.code == 1008
            async with client.websocket("/text") as ws:
                await ws.send('"\\ud800"')
                with pytest.raises(kolben.WebSocketDisconnect) as caught:
                    await ws.receive()
                assert caught.value.code == 1008
            async with client.websocket("/faulty") as ws:
                await ws.send_json(["[" * 200])
                with pytest.raises(kolben.WebSocketDisconnect) as caught:
                    await ws.receive()
                assert caught.value.code == 1011

    asyncio.run(talk())
    assert "/faulty" in caplog.text
    caplog.clear()


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
