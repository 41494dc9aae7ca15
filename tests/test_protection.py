"""Security headers, the refusal of cross-site requests, and the settings that ask for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

import kolben
from gateways import Asked, Gateway
from kolben import Flask, render_template_string, stream_template_string
from kolben.protection import csp_nonce, csrf_exempt

HEADERS = {
    "SECURITY_HSTS": "strict-transport-security",
    "SECURITY_CSP": "content-security-policy",
    "SECURITY_NOSNIFF": "x-content-type-options",
    "SECURITY_FRAME": "x-frame-options",
    "SECURITY_REFERRER": "referrer-policy",
}
PAGE = '<script nonce="{{ csp_nonce() }}"></script>'


def make_app(*mappings: Any, is_async: bool = False, **settings: Any) -> Flask:
    app = Flask(__name__)
    for mapping in mappings:
        app.config.from_mapping(mapping)
    app.config.from_mapping(settings)

    def view(text: str) -> Any:
        if not is_async:
            return lambda: text

        async def later() -> str:
            return text

        return later

    app.add_url_rule("/", "index", view("hello"))
    app.add_url_rule("/form", "form", view("taken"), methods=["GET", "POST"])
    app.add_url_rule("/hook", "hook", csrf_exempt(view("taken")), methods=["POST"])
    app.add_url_rule("/page", "page", lambda: render_template_string(PAGE))
    app.add_url_rule("/stream", "stream", lambda: stream_template_string(PAGE))

    @app.get("/broken")
    def broken() -> str:
        raise ValueError

    return app


def over_https(gateway: Gateway, app: Flask, path: str) -> Any:
    if gateway.is_asgi:
        return gateway.get(app, path, scope={"scheme": "https"})
    return gateway.get(lambda e, s: app({**e, "wsgi.url_scheme": "https"}, s), path)


# -- headers ----------------------------------------------------------------------------------


def test_nothing_is_on_unless_asked_for(gateway: Gateway) -> None:
    app = make_app()
    reply = over_https(gateway, app, "/")
    assert {name.lower() for name, _ in reply.headers} == {"content-type", "content-length"}
    assert app.before_request_funcs == {}
    assert app.after_request_funcs == {}


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("path", ["/", "/missing", "/broken", "/page", "/stream"])
def test_each_response_has_all_of_them(gateway: Gateway, path: str, is_async: bool) -> None:
    app = make_app(kolben.secure_defaults, is_async=is_async)
    reply = over_https(gateway, app, path)
    for name in HEADERS.values():
        assert reply.header(name), name


@pytest.mark.parametrize("setting", HEADERS)
def test_each_is_turned_off_by_its_name(gateway: Gateway, setting: str) -> None:
    app = make_app()
    app.config.from_mapping(kolben.secure_defaults, **{setting: None})
    reply = over_https(gateway, app, "/")
    sent = {name for name in HEADERS.values() if reply.header(name)}
    assert sent == set(HEADERS.values()) - {HEADERS[setting]}


@pytest.mark.parametrize("setting", HEADERS)
def test_each_is_turned_on_by_its_name(gateway: Gateway, setting: str) -> None:
    app = make_app({setting: kolben.secure_defaults[setting]})
    reply = over_https(gateway, app, "/")
    assert {name for name in HEADERS.values() if reply.header(name)} == {HEADERS[setting]}


def test_over_http_there_is_no_hsts(gateway: Gateway) -> None:
    reply = gateway.get(make_app(kolben.secure_defaults), "/")
    assert reply.header("strict-transport-security") is None
    assert reply.header("x-content-type-options") == "nosniff"


def test_what_a_view_or_hook_has_set_stays(gateway: Gateway) -> None:
    app = make_app(kolben.secure_defaults)

    @app.get("/own")
    def own() -> Any:
        return "framed", {"Content-Security-Policy": "default-src *"}

    @app.after_request
    def frame(response: Any) -> Any:
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response

    reply = gateway.get(app, "/own")
    assert reply.header("content-security-policy") == "default-src *"
    assert reply.header("x-frame-options") == "SAMEORIGIN"


@pytest.mark.parametrize("path", ["/page", "/stream"])
def test_the_nonce_of_the_page_is_that_of_the_header(gateway: Gateway, path: str) -> None:
    app = make_app(kolben.secure_defaults)
    seen = set()
    for _ in range(3):
        reply = gateway.get(app, path)
        found = re.search(r'nonce="([\w-]{20,})"', reply.text)
        assert found
        policy = reply.header("content-security-policy") or ""
        assert policy.count(f"'nonce-{found[1]}'") == 2
        seen.add(found[1])
    assert len(seen) == 3


def test_a_page_that_asks_for_no_nonce_has_none_in_its_header(gateway: Gateway) -> None:
    policy = gateway.get(make_app(kolben.secure_defaults), "/").header("content-security-policy")
    assert policy is not None
    assert "nonce" not in policy
    assert "{" not in policy


def test_a_view_can_ask_for_the_nonce() -> None:
    app = make_app(SECURITY_CSP="script-src 'nonce-{nonce}'")
    app.add_url_rule("/mine", "mine", csp_nonce)
    reply = app.test_client().get("/mine")
    assert reply.headers["Content-Security-Policy"] == f"script-src 'nonce-{reply.text}'"


def test_a_stream_that_is_no_template_has_a_policy_too(gateway: Gateway) -> None:
    app = make_app(kolben.secure_defaults)

    @app.get("/pieces")
    def pieces() -> Iterator[str]:
        yield from ("a", "b")

    reply = gateway.get(app, "/pieces")
    assert reply.text == "ab"
    assert "{" not in (reply.header("content-security-policy") or "{")


# -- cross-site requests ----------------------------------------------------------------------

OWN = {"origin": "http://localhost"}
FOREIGN = {"origin": "https://evil.example"}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 200),  # no browser
        (OWN, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        # A proxy may have changed the host: what the browser itself says, counts.
        ({"sec-fetch-site": "same-origin", "origin": "https://public.example"}, 200),
        (FOREIGN, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://[::1"}, 403),
        ({"origin": "http://localhost.evil.example"}, 403),
        ({"origin": "http://localhost:81"}, 403),
        ({"origin": "file://localhost"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "https://other.localhost"}, 403),
        ({"sec-fetch-site": "cross-site", **OWN}, 403),
        ({"sec-fetch-site": "nonsense"}, 403),
        ({"origin": "https://friend.example"}, 200),
        ({"origin": "https://friend.example", "sec-fetch-site": "cross-site"}, 200),
        ({"origin": "http://friend.example"}, 403),
    ],
)
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_who_may_send_a_form(
    gateway: Gateway, sent: dict[str, str], status: int, is_async: bool
) -> None:
    app = make_app(
        CSRF_PROTECTION=True, CSRF_TRUSTED_ORIGINS=["https://friend.example"], is_async=is_async
    )
    reply = gateway.post(app, "/form", b"", headers=list(sent.items()))
    assert reply.status == status
    # A page may be asked for from anywhere: a link leads to it.
    assert gateway.ask(app, Asked("/form", headers=list(sent.items()))).status == 200
    assert gateway.post(app, "/hook", b"", headers=list(sent.items())).status == 200


def test_without_the_setting_any_site_may_send_a_form(gateway: Gateway) -> None:
    assert gateway.post(make_app(), "/form", b"", headers=list(FOREIGN.items())).status == 200


def test_it_is_turned_off_by_its_name(gateway: Gateway) -> None:
    app = make_app()
    app.config.from_mapping(kolben.secure_defaults, CSRF_PROTECTION=False)
    assert gateway.post(app, "/form", b"", headers=list(FOREIGN.items())).status == 200


def test_it_comes_before_the_programs_own_hooks() -> None:
    app = make_app(CSRF_PROTECTION=True)
    called: list[str] = []
    app.before_request(lambda: called.append("hook"))
    assert app.test_client().post("/form", headers=FOREIGN).status_code == 403
    assert called == []


# -- the settings -----------------------------------------------------------------------------


def test_a_form_in_a_page_of_the_sites_own_is_sent_with_all_defaults() -> None:
    app = make_app(kolben.secure_defaults, SECRET_KEY="k")
    app.add_url_rule("/put", "put", lambda: kolben.session.setdefault("a", "b"), methods=["POST"])
    reply = app.test_client().post(
        "/put", base_url="https://localhost", headers={"Origin": "https://localhost"}
    )
    assert reply.status_code == 200
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(reply.headers["Set-Cookie"].split("; "))


def test_the_defaults_are_not_changed_by_an_application() -> None:
    with pytest.raises(TypeError):
        kolben.secure_defaults["CSRF_PROTECTION"] = False  # type: ignore[index]
