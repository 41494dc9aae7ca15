"""The programs of docstrings, which the reference shows: each of them runs, and answers as it says."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import textwrap
import types
from pathlib import Path
from typing import Any, cast

import pytest

import kolben
import kolben.api
from pages import ROOT

SOURCE = ROOT / "src" / "kolben"
PROGRAM = re.compile(r"^( *)\.\. code-block:: python\n((?:\n|\1 +.*\n?)+)", re.MULTILINE)


def programs_of(path: Path) -> dict[str, str]:
    """The blocks in the docstrings of a file, by its name and that of what they are about."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{path.relative_to(SOURCE)}:{getattr(node, 'name', '')}"
            for number, match in enumerate(PROGRAM.finditer(ast.get_docstring(node) or "")):
                found[f"{name}{number or ''}"] = textwrap.dedent(match[2])
    return found


PROGRAMS = {
    name: text
    for path in sorted(SOURCE.rglob("*.py"))
    if "skeletons" not in path.parts
    for name, text in programs_of(path).items()
}

#: What a reader has around the block, where it needs anything beside the names of the package.
AROUND = {
    "api/app.py:API": "class Sum(Struct):\n    sum: int\n",
    "api/operations.py:replacing": """
class User(Struct):
    id: int
def current_user() -> User:
    abort(401)
api = app
@api.get("/me")
def me(user: t.Annotated[User, current_user]) -> User:
    return user
client = app.test_client()
""",
    "api/sockets.py:Socket": """
class Say(Struct, tag=True):
    text: str
class Leave(Struct, tag=True):
    pass
class Said(Struct):
    text: str
api = app
""",
    "async_testing.py:request": """
@app.get("/lines")
async def lines():
    async def produce():
        while True:
            yield "line"
    return produce()
client = app.async_test_client()
""",
    "async_testing.py:websocket": """
@app.websocket("/chat")
async def chat():
    async for message in websocket:
        await websocket.send(message)
client = app.async_test_client()
""",
    "concurrency.py:run_sync": "def make_report(month):\n    return f'report of {month}'\n",
    "ctx.py:_AppCtxGlobals": "app.add_url_rule('/who', view_func=lambda: str(g.user))\n",
    "engine/lifetime.py:mount": """
fastapi_app = Flask("other")
fastapi_app.add_url_rule("/x", view_func=lambda: "the other one")
""",
    "http/streaming.py:stream_body": "from kolben import stream_body\n",
    "json/tag.py:": "from kolben.json.tag import JSONTag\n",
    "sse.py:": """
import types
async def feed():
    yield types.SimpleNamespace(text="3", number=1)
""",
    "views.py:View": "from jinja2 import DictLoader\napp.jinja_loader = DictLoader({'imprint.html': 'We.'})\n",
    "views.py:MethodView": "notes = {1: 'milk'}\n",
}

#: What is asked of the application after the block, and what that is answered.
ASKED: dict[str, list[tuple[str, dict[str, Any], int, str]]] = {
    "api/app.py:API": [("/openapi.json", {}, 200, '"title":"Shop"')],
    "app.py:Flask": [("/", {}, 200, "Hello World!")],
    "blueprints.py:Blueprint": [("/admin/", {}, 200, "The admin pages")],
    "concurrency.py:run_sync": [("/report?month=May", {}, 200, "report of May")],
    "concurrency.py:nonblocking": [("/health", {}, 200, '"status":"ok"')],
    "ctx.py:_AppCtxGlobals": [("/who", {}, 200, "None")],
    "http/streaming.py:stream_body": [
        ("/files/x", {"method": "PUT", "data": b"xy"}, 200, '{"size":2}')
    ],
    "limits.py:": [
        ("/avatar", {"method": "POST", "data": b"x" * 200_000}, 200, "200000 bytes"),
        ("/avatar", {"method": "POST", "data": b"x" * 200_001}, 413, ""),
    ],
    "sansio/scaffold.py:route": [
        ("/user/ada", {}, 200, "Hello, ada!"),
        ("/user/ada", {"method": "POST"}, 200, "Hello, ada!"),
    ],
    "sansio/scaffold.py:errorhandler": [("/nothing", {}, 404, "This page does not exist")],
    "sse.py:": [("/prices", {}, 200, "event: price\nid: 1\ndata: 3\n\n")],
    "views.py:View": [("/imprint", {}, 200, "We.")],
    "views.py:MethodView": [
        ("/notes/1", {}, 200, "milk"),
        ("/notes/1", {"method": "DELETE"}, 204, ""),
    ],
    "wrappers.py:Request": [
        ("/notes", {"method": "POST", "json": {"text": "milk"}}, 200, "noted: milk")
    ],
    "wrappers.py:Response": [("/report.csv", {}, 200, "name,size")],
}
#: WebSockets that the block has: what is sent, and what comes back.
TALKS = {
    "api/sockets.py:Socket": ("/chat/blue", '{"type":"Say","text":"hi"}', '{"text":"hi"}'),
    "sansio/scaffold.py:websocket": ("/echo", "hello", "hello"),
    "websockets.py:WebSocket": ("/echo", "hello", "hello"),
}
#: Statements after which there is nothing to ask: that they run is all that they say, or they ask themselves.
BY_THEMSELVES = {
    *("api/operations.py:replacing", "api/problems.py:Problem"),
    *("async_testing.py:request", "async_testing.py:websocket"),
    *("engine/lifetime.py:mount", "engine/lifetime.py:test_app"),
    *("json/tag.py:", "protection.py:", "server_sessions.py:"),
}


def run(name: str) -> kolben.Flask:
    """Run a block as a part of a program, in a coroutine where it awaits something."""
    module = types.ModuleType(__name__)
    names = vars(module)
    for package in (kolben.api, kolben):
        names |= {name: value for name, value in vars(package).items() if name[0] != "_"}
    names["kolben"] = kolben
    exec("import typing as t\nfrom kolben.views import MethodView, View", names)
    names["app"] = kolben.api.API("documented")
    names["app"].secret_key = "only for tests"
    if "test_app" in name:
        names["app"].add_url_rule("/", view_func=lambda: "ok")
    exec(AROUND.get(name, ""), names)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(PROGRAMS[name], name, "exec", flags=flags, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(cast(Any, types.FunctionType(code, names)()))
    else:
        exec(code, names)
    app: kolben.Flask = names["api"] if name == "api/app.py:API" else names["app"]
    return app


def test_each_block_is_run_and_asked() -> None:
    assert len(PROGRAMS) >= 25
    asked = [*ASKED, *TALKS, *BY_THEMSELVES]
    assert sorted(asked) == sorted(set(asked)) == sorted(PROGRAMS)
    assert AROUND.keys() <= PROGRAMS.keys()


@pytest.mark.parametrize("name", ASKED)
def test_a_program_answers_as_it_says(name: str) -> None:
    app = run(name)

    async def ask(path: str, options: dict[str, Any]) -> tuple[int, str]:
        answer = await app.async_test_client().open(path, **options)
        return answer.status_code, answer.text

    for path, options, status, text in ASKED[name]:
        answered = asyncio.run(ask(path, options))
        assert (answered[0], text in answered[1]) == (status, True), answered


@pytest.mark.parametrize("name", TALKS)
def test_a_websocket_answers_as_it_says(name: str) -> None:
    app = run(name)
    path, sent, received = TALKS[name]

    async def talk() -> Any:
        async with app.async_test_client().websocket(path) as ws:
            await ws.send(sent)
            return await ws.receive()

    assert asyncio.run(talk()) == received


@pytest.mark.parametrize("name", sorted(BY_THEMSELVES - {"api/problems.py:Problem"}))
def test_statements_run(name: str) -> None:
    app = run(name)
    if name == "engine/lifetime.py:mount":

        async def ask() -> str:
            return (await app.async_test_client().get("/api/x")).text

        assert asyncio.run(ask()) == "the other one"


def test_a_problem_is_raised_as_it_says() -> None:
    with pytest.raises(kolben.api.Problem) as raised:
        run("api/problems.py:Problem")
    assert (raised.value.code, cast(Any, raised.value).sku) == (409, "A-1")
