"""From an ASGI scope to the environ that a request is made of: names, paths, what comes twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import kolben.asgi.scope as module
from gateways import Asked, call_asgi
from kolben import Flask, request
from kolben.asgi.scope import make_environ, split_path


def environ_of(**scope: Any) -> dict[str, Any]:
    return make_environ({"method": "GET", "path": "/", "headers": [], **scope}, None)


@pytest.mark.parametrize(
    ("path", "root", "split"),
    [
        ("/a", "", ("", "/a")),
        ("/app/a", "/app", ("/app", "/a")),
        ("/app", "/app", ("/app", "")),
        ("/app/a", "/app/", ("/app", "/a")),
        # A server of an older kind leaves the root out of the path.
        ("/a", "/app", ("/app", "/a")),
        ("/apple", "/app", ("/app", "/apple")),
    ],
)
def test_the_path_holds_the_root_path_or_does_not(
    path: str, root: str, split: tuple[str, str]
) -> None:
    assert split_path({"path": path, "root_path": root}) == split
    environ = environ_of(path=path, root_path=root)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == split


def test_text_that_is_not_ascii_is_disguised_as_wsgi_wants_it() -> None:
    environ = environ_of(path="/grüße/é", root_path="/grüße")
    assert environ["SCRIPT_NAME"].encode("latin-1").decode() == "/grüße"
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/é"


def test_headers_get_the_names_of_cgi() -> None:
    environ = environ_of(headers=[(b"content-type", b"a/b"), (b"x-a", b"1"), (b"X-B", b"2")])
    assert environ["CONTENT_TYPE"] == "a/b"
    assert (environ["HTTP_X_A"], environ["HTTP_X_B"]) == ("1", "2")


def test_a_header_that_comes_twice_is_joined_and_a_cookie_in_its_own_way() -> None:
    headers = [(b"x-a", b"1"), (b"cookie", b"a=1"), (b"x-a", b"2"), (b"cookie", b"b=2")]
    environ = environ_of(headers=headers)
    assert environ["HTTP_X_A"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"


@pytest.mark.parametrize("times", [1, 2])
def test_a_header_with_an_underscore_does_not_pass_for_one_with_a_hyphen(times: int) -> None:
    environ = environ_of(headers=[(b"x_forwarded_for", b"1.2.3.4")] * times)
    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert "" not in environ


def test_names_of_headers_are_remembered_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients choose them: one that sends ever new ones must not fill the memory."""
    names = module._EnvironNames()
    monkeypatch.setattr(module, "_environ_names", names)
    headers = [(b"x-%d" % number, b"%d" % number) for number in range(3 * names._MOST)]
    environ = environ_of(headers=headers)
    assert all(environ[f"HTTP_X_{number}"] == str(number) for number in range(len(headers)))
    assert len(names) == names._MOST


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({"server": ("host", 8000)}, ("host", "8000")),
        ({"server": ("/run/socket", None)}, ("/run/socket", "")),
        ({"server": None}, ("localhost", "")),
        ({}, ("localhost", "")),
    ],
)
def test_the_server_may_be_a_socket_or_unknown(given: Any, seen: tuple[str, str]) -> None:
    environ = environ_of(**given)
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == seen


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({"client": ("1.2.3.4", 5)}, ("1.2.3.4", "5")),
        ({"client": ("1.2.3.4", None)}, ("1.2.3.4", "")),
        ({"client": None}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_the_client_may_be_without_a_port_or_unknown(given: Any, seen: tuple[Any, Any]) -> None:
    environ = environ_of(**given)
    assert (environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT")) == seen


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        ("http://other.example/a/b", "/a/b", "other.example"),
        ("HTTPS://other.example:81/", "/", "other.example:81"),
        ("http://user:secret@other.example/é", "/Ã©", "other.example"),
        ("http://other.example", "/", "other.example"),
        ("http:///a", "http:///a", "first.example"),
        ("ftp://other.example/a", "ftp://other.example/a", "first.example"),
        ("a", "a", "first.example"),
        ("*", "*", "first.example"),
        ("/http://other.example/a", "/http://other.example/a", "first.example"),
    ],
)
def test_a_path_that_is_a_whole_url_is_taken_apart(target: str, path: str, host: str) -> None:
    """RFC 9112, section 3.2.2: servers must take it, and its host is the one that counts."""
    environ = environ_of(path=target, headers=[(b"host", b"first.example")])
    assert (environ["PATH_INFO"], environ["HTTP_HOST"]) == (path, host)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("has_hook", [False, True])
def test_a_view_is_found_by_a_whole_url(is_async: bool, has_hook: bool) -> None:
    app = Flask(__name__)

    def view(name: str) -> str:
        return f"{name} {request.url}"

    async def awaits(name: str) -> str:
        return view(name)

    app.add_url_rule("/hello/<name>", view_func=awaits if is_async else view)
    if has_hook:
        app.before_request(lambda: None)
    scope = {"path": "http://other.example/hello/Ada"}
    reply = asyncio.run(call_asgi(app, Asked("/", scope=scope)))
    assert (reply.status, reply.text) == (200, "Ada http://other.example/hello/Ada")
    missing = asyncio.run(call_asgi(app, Asked("/", scope={"path": "http://other.example/no"})))
    assert missing.status == 404
