"""A request from an ASGI server that has no environ yet: it is read as one that has it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from typing import Any

import pytest

import kolben
from gateways import Asked, Gateway, call_asgi
from kolben import Flask, request, session
from kolben.http.streaming import stream_body

FORM = b"name=Ada&town=L%C3%B6ndon&name=Bob"
URLENCODED = ("content-type", "application/x-www-form-urlencoded")
JSON = ("content-type", "application/json")

#: Each reads one thing, and says what it was or what was raised.
LOOKS: dict[str, Any] = {
    "environ": lambda: request.environ["QUERY_STRING"],
    "args": lambda: request.args.to_dict(flat=False),
    "query": lambda: request.query_string.decode("latin-1"),
    "method": lambda: request.method,
    "form": lambda: request.form.to_dict(flat=False),
    "json": lambda: request.get_json(silent=True),
    "data": lambda: request.get_data().decode("latin-1"),
    "taken": lambda: request.get_data(cache=False).decode("latin-1"),
    "input": lambda: request.environ["wsgi.input"].read().decode("latin-1"),
    "stream": lambda: request.stream.read().decode("latin-1"),
    "files": lambda: len(request.files),
    "length": lambda: request.content_length,
    "type": lambda: [request.mimetype, request.mimetype_params],
    "session": lambda: session.get("user"),
    "shallow": lambda: setattr(request, "shallow", True),
    "maximum": lambda: setattr(request, "max_content_length", 3),
}


def look(name: str) -> Any:
    try:
        return LOOKS[name]()
    except Exception as error:
        return type(error).__name__


class Eager(kolben.Request):
    """A class of a program's own is made of an environ."""


def make_app(names: tuple[str, ...], kind: type[kolben.Request] = kolben.Request) -> Flask:
    app = Flask("program")
    app.request_class = kind
    app.secret_key = "secret"

    @app.route("/", methods=["GET", "POST"])
    async def view() -> Any:
        return {"seen": [look(name) for name in names]}

    return app


BODIES: dict[str, dict[str, Any]] = {
    "form": {"body": FORM, "headers": [URLENCODED]},
    "json": {"body": b'{"a": [1, "\xc3\xa4"]}', "headers": [JSON]},
    "pieces": {"body": [FORM[:5], FORM[5:]], "headers": [URLENCODED]},
    "chunked": {"body": [FORM[:5], FORM[5:]], "headers": [URLENCODED], "chunked": True},
    "long": {"body": b"a=" + b"x" * 100_001, "headers": [URLENCODED]},
    "twice": {"body": FORM, "headers": [URLENCODED, JSON]},
    "encoded": {"body": FORM, "headers": [URLENCODED, ("content-encoding", "gzip")]},
    "of-no-type": {"body": FORM},
    "empty": {"body": b"", "headers": [JSON]},
    "no-body": {},
    "charset": {"body": FORM, "headers": [("content-type", URLENCODED[1] + "; charset=utf-8")]},
}


@pytest.mark.parametrize("kind", BODIES)
def test_two_looks_see_what_they_see_with_an_environ(kind: str) -> None:
    """Whichever two these are, in either order."""

    async def compare(names: tuple[str, ...]) -> None:
        asked = Asked("/?a=1&b=%20&a", "POST" if "body" in BODIES[kind] else "GET", **BODIES[kind])
        apps = [make_app(names, of) for of in (kolben.Request, Eager)]
        seen = [(await call_asgi(app.asgi_app, asked)).text for app in apps]
        assert seen[0] == seen[1], names

    async def compare_all() -> None:
        for names in itertools.permutations(LOOKS, 2):
            await compare(names)

    asyncio.run(compare_all())


@pytest.mark.parametrize("limit", [0, 5, len(FORM) - 1, len(FORM), None])
@pytest.mark.parametrize("name", ["form", "data", "stream", "json"])
def test_limit_is_that_of_one_with_an_environ(name: str, limit: int | None) -> None:
    apps = [make_app((name, name), kind) for kind in (kolben.Request, Eager)]
    for app in apps:
        app.config["MAX_CONTENT_LENGTH"] = limit
    asked = {"method": "POST", **BODIES["form"]}
    seen = [Gateway("asgi").get(app, "/", **asked).text for app in apps]
    assert seen[0] == seen[1]


@pytest.mark.parametrize("cookies", [[], ["a=1"], ["a=1", "b=2"]])
def test_session_needs_no_environ(cookies: list[str]) -> None:
    app = make_app(("session", "args"))
    headers = [("cookie", cookie) for cookie in cookies]
    assert Gateway("asgi").get(app, "/", headers=headers).text == '{"seen":[null,{}]}\n'


def test_environ_and_request_know_each_other_while_it_is_handled() -> None:
    app = Flask("program")
    kept: list[Any] = []

    @app.get("/<first>")
    async def view(first: str) -> str:
        context = kolben.globals.request_ctx._get_current_object()  # type: ignore[attr-defined]
        made = request._get_current_object()  # type: ignore[attr-defined]
        environ = context.environ if first == "context" else made.environ
        assert made.environ is environ is context.environ
        assert environ["werkzeug.request"] is made
        kept.append((environ, made, context))
        return ""

    for first in ("context", "request"):
        assert Gateway("asgi").get(app, f"/{first}").status == 200
    for environ, made, context in kept:
        assert environ["werkzeug.request"] is None
        assert made.environ is environ is context.environ


def test_request_that_is_kept_can_be_read_later() -> None:
    app = Flask("program")
    kept: list[Any] = []

    @app.post("/")
    async def view() -> str:
        kept.append(request._get_current_object())  # type: ignore[attr-defined]
        return ""

    for _ in range(2):
        Gateway("asgi").post(app, "/?a=1", FORM, headers=[URLENCODED])
    first, second = kept
    assert first.environ["QUERY_STRING"] == "a=1"
    assert first.environ.get("werkzeug.request") is None
    assert first.form == second.form
    assert second.form.getlist("name") == ["Ada", "Bob"]


def test_environ_can_be_replaced() -> None:
    app = Flask("program")

    @app.get("/")
    async def view() -> str:
        request.environ = {"REQUEST_METHOD": "PUT"}
        return request.method

    assert Gateway("asgi").get(app, "/").text == "PUT"


def test_request_is_freed_without_the_garbage_collector() -> None:
    app = Flask("program")
    seen: list[Any] = []

    @app.post("/")
    async def view() -> str:
        seen.append(weakref.ref(request._get_current_object()))  # type: ignore[attr-defined]
        return f"{request.args} {request.form}"

    async def ask() -> None:
        asked = Asked("/?a=1", "POST", [URLENCODED], FORM)
        await call_asgi(app.asgi_app, asked)
        gc.disable()
        try:
            await call_asgi(app.asgi_app, asked)
            assert [each() for each in seen[1:]] == [None]
        finally:
            gc.enable()

    asyncio.run(ask())


def test_view_that_reads_the_body_itself_has_all_of_it() -> None:
    app = Flask("program")

    @app.post("/stream")
    @stream_body
    async def stream() -> bytes:
        return await request.body

    @app.post("/")
    async def view() -> bytes:
        return b"".join([piece async for piece in request.body_stream()])

    for path in ("/", "/stream"):
        assert Gateway("asgi").post(app, path, FORM).body == FORM
