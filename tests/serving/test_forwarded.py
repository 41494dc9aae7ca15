"""What proxies have noted is believed as far as they are trusted, and alike under WSGI and ASGI."""

from __future__ import annotations

import asyncio
import typing as t

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

import kolben
from kolben.serving.forwarded import ForwardedMiddleware

Headers = list[tuple[str, str]]


def app() -> kolben.Flask:
    made = kolben.Flask(__name__, static_folder=None)

    @made.get("/where")
    def where() -> dict[str, t.Any]:
        request = kolben.request
        return {"client": request.remote_addr, "url": request.url, "root": request.root_path}

    return made


def over_wsgi(headers: Headers, count: int) -> t.Any:
    environ = EnvironBuilder(path="/where", headers=headers).get_environ()
    environ["REMOTE_ADDR"] = "10.0.0.1"
    body, _, _ = run_wsgi_app(ForwardedMiddleware(app(), count), environ, buffered=True)
    return kolben.json.loads(b"".join(body))


def over_asgi(headers: Headers, count: int) -> t.Any:
    sent: list[dict[str, t.Any]] = []
    pairs = [(b"host", b"localhost")]
    pairs += [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/where",
        "raw_path": b"/where",
        "query_string": b"",
        "root_path": "",
        "headers": pairs,
        "client": ("10.0.0.1", 5),
        "server": ("localhost", 80),
    }

    async def receive() -> dict[str, t.Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, t.Any]) -> None:
        sent.append(message)

    async def ask() -> None:
        await ForwardedMiddleware(app(), count)(scope, receive, send)

    asyncio.run(ask())
    return kolben.json.loads(b"".join(message.get("body", b"") for message in sent))


WAYS = {"WSGI": over_wsgi, "ASGI": over_asgi}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("headers", "count", "expected"),
    [
        ([], 1, {"client": "10.0.0.1", "url": "http://localhost/where", "root": ""}),
        ([("X-Forwarded-For", "1.2.3.4")], 1, {"client": "1.2.3.4"}),
        # What the client itself has put in front is not believed.
        ([("X-Forwarded-For", "6.6.6.6, 1.2.3.4")], 1, {"client": "1.2.3.4"}),
        ([("X-Forwarded-For", "6.6.6.6, 1.2.3.4, 10.0.0.2")], 2, {"client": "1.2.3.4"}),
        ([("X-Forwarded-For", "1.2.3.4")], 2, {"client": "10.0.0.1"}),
        (
            [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example")],
            1,
            {"url": "https://shop.example/where"},
        ),
        (
            [("X-Forwarded-Prefix", "/shop")],
            1,
            {"url": "http://localhost/shop/where", "root": "/shop"},
        ),
    ],
    ids=["none", "client", "not believed", "two proxies", "too few", "scheme, host", "prefix"],
)
def test_what_a_trusted_proxy_has_noted(
    way: str, headers: Headers, count: int, expected: dict[str, t.Any]
) -> None:
    seen = WAYS[way](headers, count)
    assert {name: seen[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("kind", "noted", "scheme"),
    [("http", b"https", "https"), ("websocket", b"https", "wss"), ("websocket", b"http", "ws")],
)
def test_a_websocket_gets_a_scheme_of_its_own(kind: str, noted: bytes, scheme: str) -> None:
    seen = pass_on({"type": kind, "path": "/", "headers": [(b"x-forwarded-proto", noted)]})
    assert seen["scheme"] == scheme


def pass_on(scope: dict[str, t.Any]) -> dict[str, t.Any]:
    """The scope that the application behind the middleware gets."""
    seen: list[dict[str, t.Any]] = []
    ForwardedMiddleware(lambda scope, receive, send: seen.append(scope))(scope, None, None)
    return seen[0]


def test_several_headers_of_one_name_are_one_list() -> None:
    headers = [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"1.2.3.4")]
    seen = pass_on({"type": "http", "path": "/", "headers": headers})
    assert seen["client"] == ("1.2.3.4", 0)


@pytest.mark.parametrize(
    "scope", [{"type": "lifespan"}, {"type": "http", "path": "/", "headers": [(b"host", b"a")]}]
)
def test_what_no_proxy_has_noted_is_passed_on_as_it_is(scope: dict[str, t.Any]) -> None:
    assert pass_on(scope) is scope
