"""What a program must not be able to send, whatever a client made it say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.datastructures import Headers
from werkzeug.http import parse_options_header
from werkzeug.wrappers import Response as BaseResponse

import kolben
from hostile.ways import WAYS, Case, Served, by_environ, by_scope
from kolben import Response

NAMES = ["", " ", "X Y", "X:Y", "X\r\nY", "X\n", "X\x00", "X\x7f", "Ü", "X\u2028", "X(", 'X"', "X,"]
VALUES = ["a\r\nX: y", "a\n", "a\r", "a\x00", "\x01", "a\x1bb", "\x7f", "\x0b", "\x0c"]
STATUSES: list[Any] = [
    "x",
    "0",
    "99",
    99,
    0,
    -1,
    1000,
    "1000 X",
    "20 OK",
    "200 O\r\nX: y",
    "2e2",
    "+200 X",
]


def set_item(r: Response, name: str, value: str) -> None:
    r.headers[name] = value


def replace(r: Response, name: str, value: str) -> None:
    r.headers["X-Present"] = "a"
    r.headers[0] = (name, value)


def put_slice(r: Response, name: str, value: str) -> None:
    r.headers[:1] = [(name, value)]


def merge(r: Response, name: str, value: str) -> None:
    r.headers |= {name: value}


#: Every public way to set a header.
SETTERS: dict[str, Callable[[Response, str, str], Any]] = {
    "[]": set_item,
    "[0]": replace,
    "[:]": put_slice,
    "|=": merge,
    "add": lambda r, n, v: r.headers.add(n, v),
    "add_header": lambda r, n, v: r.headers.add_header(n, v),
    "add with parameter": lambda r, n, v: r.headers.add(n, "a", b=v),
    "set": lambda r, n, v: r.headers.set(n, v),
    "set with parameter": lambda r, n, v: r.headers.set(n, "a", b=v),
    "setdefault": lambda r, n, v: r.headers.setdefault(n, v),
    "setlist": lambda r, n, v: r.headers.setlist(n, ["a", v]),
    "setlistdefault": lambda r, n, v: r.headers.setlistdefault(n, ["a", v]),
    "extend": lambda r, n, v: r.headers.extend({n: v}),
    "extend pairs": lambda r, n, v: r.headers.extend([(n, v)]),
    "update": lambda r, n, v: r.headers.update({n: v}),
    "update list": lambda r, n, v: r.headers.update({n: ["a", v]}),
    "constructor dict": lambda r, n, v: Response("", headers={n: v}),
    "constructor list": lambda r, n, v: Response("", headers=[(n, v)]),
    "constructor headers": lambda r, n, v: Response("", headers=raw_headers(n, v)),
}


def raw_headers(name: str, value: str) -> Headers:
    headers = Headers()
    headers._list.append((name, value))
    return headers


@pytest.mark.parametrize("way", SETTERS)
def test_a_header_that_cannot_be_sent_is_refused_where_it_is_set(way: str) -> None:
    for name in NAMES:
        with pytest.raises(ValueError, match=r"name of a header|newline"):
            SETTERS[way](Response("x"), name, "a")
    for value in VALUES:
        if "parameter" in way:
            continue  # quoted, some of them
        response = Response("x")
        with pytest.raises(ValueError, match="newline"):
            SETTERS[way](response, "X-A", value)
        assert all(text.isprintable() for _, text in response.headers)


@pytest.mark.parametrize("way", SETTERS)
def test_what_can_be_sent_is_taken(way: str) -> None:
    for name, value in [
        ("X-A", "a\tb"),
        ("x_!#$%&'*+-.^`|~1", "ä"),
        ("X", ""),
        ("Server", "ü\x85"),
    ]:
        SETTERS[way](Response("x"), name, value)


#: How a view can hand on headers without setting them on a response of ours.
RESULTS: dict[str, Callable[[str, str], Any]] = {
    "pair": lambda n, v: ("x", {n: v}),
    "list": lambda n, v: ("x", [(n, v)]),
    "three": lambda n, v: ("x", 200, {n: v}),
    "dict": lambda n, v: ({"a": 1}, {n: v}),
    "response and headers": lambda n, v: (Response("x"), {n: v}),
    "werkzeug": lambda n, v: BaseResponse("x", headers=raw_headers(n, v)),
    "raw headers": lambda n, v: with_headers(Response("x"), raw_headers(n, v)),
    "private list": lambda n, v: with_pair(Response("x"), n, v),
    "wsgi": lambda n, v: lambda environ, start: (start("200 OK", [(n, v)]) and []) or [b"x"],
    "stream": lambda n, v: (iter(["x"]), {n: v}),
}


def with_headers(response: Response, headers: Headers) -> Response:
    response.headers = headers
    return response


def with_pair(response: Response, name: str, value: str) -> Response:
    response.headers._list.append((name, value))
    return response


def send(result: Callable[[], Any], way: str) -> Any:
    app = kolben.Flask("program")
    app.add_url_rule("/", "index", result)
    if way == "environ":
        return by_environ(Case(), app)
    return by_scope(Case(), app=app)


@pytest.mark.parametrize("gateway", ["environ", "scope"])
@pytest.mark.parametrize("way", RESULTS)
def test_no_such_header_leaves(way: str, gateway: str, caplog: pytest.LogCaptureFixture) -> None:
    pairs = [(name, "a") for name in NAMES if name.isascii() and name] + [
        ("X-A", v) for v in VALUES
    ]
    for name, value in pairs:
        if way == "private list" and name == "X-A":
            continue  # not what is tested
        try:
            answer = send(lambda name=name, value=value: RESULTS[way](name, value), gateway)
        except AssertionError as error:
            assert "ValueError" in str(error)  # noqa: PT017 (raised to the server)
            continue
        except ValueError:
            continue
        assert answer.status == 500, (name, value)
        assert all(n.isascii() and v.isprintable() for n, v in answer.headers)
    caplog.clear()


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_that_is_none_is_refused_where_it_is_set(
    status: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="status"):
        Response("x", status=status)
    with pytest.raises(ValueError, match="status"):
        Response("x", status, {"X": "y"})
    response = Response("x")
    with pytest.raises(ValueError, match="status"):
        response.status = status
    if isinstance(status, int):
        with pytest.raises(ValueError, match="status"):
            response.status_code = status
    assert (response.status_code, response.status) == (200, "200 OK")
    for gateway in ("environ", "scope"):
        assert send(lambda: ("x", status), gateway).status == 500
        assert send(lambda: (Response("x"), status), gateway).status == 500
        assert send(lambda: ({"a": 1}, status), gateway).status == 500
    caplog.clear()


@pytest.mark.parametrize(
    "status", ["200 OK", "200", 200, 299, 599, 999, "418 I'm a teapot", "600 Späße"]
)
def test_any_status_of_three_digits_is_taken(status: Any) -> None:
    assert 200 <= Response("x", status).status_code <= 999


def test_cookies_cannot_carry_further_headers_or_attributes() -> None:
    response = Response("x")
    for hostile in [*VALUES, "a; Domain=evil.org", "a\r\nSet-Cookie: b=c", "a,b"]:
        response.set_cookie("name", hostile)
    for key in ["a;b", "a; Domain=evil.org", "a\r\nb", "a\x00", "\x7f"]:
        with pytest.raises(ValueError, match=r"name of a cookie|newline"):
            response.set_cookie(key, "value")
    for option in (
        {"domain": "a\r\nb"}, {"domain": "a\x00"}, {"expires": "a\r\nb"}, {"domain": "a.com; HttpOnly"},
        {"domain": "a.com;x"}, {"expires": "x; Secure"}, {"samesite": "Lax; x"},
    ):  # fmt: skip
        for value in ("value", "a b\x00", 'quoted "x"'):  # each goes another way
            with pytest.raises((ValueError, UnicodeError)):
                response.set_cookie("name", value, **option)
        with pytest.raises((ValueError, UnicodeError, TypeError)):
            response.delete_cookie("name", **option)
    response.set_cookie("name", "value", path="/; Secure")
    for cookie in response.headers.getlist("Set-Cookie"):
        assert cookie.isprintable()
        assert cookie.count(";") == 1, cookie


@pytest.mark.parametrize("way", WAYS)
def test_a_cookie_can_carry_any_character(way: str) -> None:
    for sent, text in [("a%1bb", "a\x1bb"), ("%00%0d%0a%1f%7f", "\0\r\n\x1f\x7f"), ("%c3%bc", "ü")]:
        cookie = WAYS[way](Case("/cookie", query=f"value={sent}")).header("Set-Cookie")
        assert cookie is not None
        back = Case("/read/cookies", headers=[("Cookie", cookie.partition("; ")[0])])
        assert eval(WAYS[way](back).body) == [("name", [text])]


#: What a client may have put into `?next=` and its like, of which no URL can be made.
NO_URLS = [
    *("http://[", "//[", "http://]", "http://[]", "http://[x]/", "http://a:99999/", "http://a:x/"),
    *("http://\xe9..b/", "http://xn--\xe9/", "http://" + "\xe9" * 70, "//\u2100.com/", "http://\uff0e/"),
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("to", NO_URLS)
def test_a_redirect_to_what_is_no_url_is_sent_as_it_is(way: str, to: str) -> None:
    """In Flask the error is raised to the server."""
    answer = WAYS[way](Case("/redirect", query=f"to={quote(to)}"))
    assert (answer.status, answer.all("Location")) == (302, [quote(to, safe="/:[]")])


@pytest.mark.parametrize("name", ["Location", "Content-Location"])
@pytest.mark.parametrize("headers", [list, dict, Headers])
def test_no_response_fails_for_what_is_no_url(name: str, headers: Any) -> None:
    response = Response("text")
    response.headers = headers([(name, "http://[\ud800 \t"), ("X", "y")])
    sent = response.get_wsgi_headers({"REQUEST_METHOD": "GET"})
    assert sent[name] == "http://[%ED%A0%80%20%09"
    assert (sent["X"], sent["Content-Length"]) == ("y", "4")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "to", ["/a%0d%0aX:%20y", "/a%00", "//evil.org/%0aX", "%0d%0a%0d%0a<b>", "%e2%80%a8"]
)
def test_a_redirect_cannot_carry_further_headers(way: str, to: str) -> None:
    answer = WAYS[way](Case("/redirect", query=f"to={to}"))
    assert answer.status == 302
    assert [name for name, _ in answer.headers if name.lower() == "x"] == []
    location = answer.header("Location")
    assert location is not None
    assert location.isascii()
    assert location.isprintable()
    assert b"<b>" not in answer.body


ODD_NAMES = [
    *("a b.txt", 'a"b.txt', "a\\b.txt", 'a\\"b.txt', "a;b.txt", "a'b", "a%b", "a=b", "a,b", "*", "(a)"),
    *("\xe9.txt", "\u20ac.txt", "\U0001f600", "\u202e.txt", "\u2028", "\xff", "\x85", "\ufeffx"),
    *("../x", "/etc/passwd", "C:\\x", "..", " ", "UTF-8''x", "=?utf-8?q?a?=", "filename*=x"),
    *("a" * 10_000, "\xe9" * 10_000, '"' * 10_000, "\\" * 10_000),
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "name", ["a%0d%0aX:%20y", "a%00b", "%1b", "a%22;%20x=%22b", "%e2%80%a8", "%ff"]
)
def test_a_file_name_cannot_carry_further_headers(way: str, name: str) -> None:
    answer = WAYS[way](Case("/attachment", query=f"name={name}"))
    assert answer.status == 200
    value = answer.header("Content-Disposition")
    assert value is not None
    assert value.isprintable()
    assert value.startswith("attachment; filename")
    assert answer.header("X") is None


@pytest.mark.parametrize("pathlike", [str, Path])
@pytest.mark.parametrize("name", ["a\x1b[31m.txt", "\x7f", "a\nb.txt", "\r\nX: y"])
def test_a_file_on_disk_may_have_any_name(
    name: str, pathlike: Callable[[str], Any], tmp_path: Path
) -> None:
    (tmp_path / name).write_text("content")
    app = kolben.Flask("program", static_folder=str(tmp_path))
    path = pathlike(str(tmp_path / name))
    calls: list[Callable[[], Response]] = [
        lambda: kolben.send_file(path),
        lambda: kolben.send_file(path, as_attachment=True),
        lambda: kolben.send_file(path, etag="own"),
        lambda: kolben.send_from_directory(tmp_path, pathlike(name)),
        lambda: kolben.send_from_directory(tmp_path, pathlike(name), etag="own"),
        lambda: kolben.send_from_directory(tmp_path, pathlike(name), download_name=name),
        lambda: app.send_static_file(name),
    ]
    for number, call in enumerate(calls):
        app.add_url_rule(f"/{number}", str(number), call)
    for number in range(len(calls)):
        with app.test_client().get(f"/{number}") as response:
            assert (response.status_code, response.text) == (200, "content"), number
            disposition = response.headers["Content-Disposition"]
        assert disposition.isprintable()
        read = parse_options_header(disposition)[1]["filename"]
        assert read == "".join(c if c.isprintable() else "_" for c in name)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_is_read_as_it_was_written(name: str) -> None:
    """By RFC 6266, as browsers read it: no quote ends it, and no path is made of it."""
    answer = by_environ(Case("/attachment", query=f"name={quote(name)}"))
    value = answer.header("Content-Disposition") or ""
    assert value.isascii()
    assert value.startswith("attachment; filename")
    assert parse_options_header(value)[1]["filename"] == name


@pytest.mark.parametrize("way", WAYS)
def test_a_view_that_echoes_into_a_header_cannot_be_made_to_split_it(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    for value in ["%0d%0aX:%20y", "%0a", "%00", "a%0db"]:
        answer = WAYS[way](Case("/header", query=f"value={value}"))
        assert (answer.status, answer.header("X")) == (500, None)
        assert "newline or other control" in caplog.text
    caplog.clear()


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("gateway", ["environ", "scope"])
def test_a_session_opened_while_the_body_streams_has_its_vary(
    gateway: str, asynchronous: bool
) -> None:
    def pieces() -> Iterator[str]:
        yield "a"
        yield str(kolben.session.get("user"))

    def view() -> Any:
        return kolben.stream_with_context(pieces())

    async def later() -> Any:
        return kolben.stream_with_context(pieces())

    cases = [("key", "Cookie", False), ("key", "Cookie", True), (None, None, False)]
    for key, right, with_hook in cases:
        app = kolben.Flask("program")
        app.secret_key = key
        if with_hook:
            app.after_request(lambda response: response)
        app.add_url_rule("/", "index", later if asynchronous else view)
        for headers in ([], [("Cookie", "session=x")]):
            ask = by_environ if gateway == "environ" else by_scope
            answer = ask(Case(headers=headers), app=app)
            assert (answer.header("Vary"), answer.body) == (right, b"aNone")


def test_what_is_sent_over_a_socket(served: Served) -> None:
    for path, query in [
        ("/redirect", "to=/a%0d%0aX:%20y"),
        ("/attachment", "name=a%0d%0aX:%20y"),
        ("/cookie", "value=a%0d%0aX:%20y"),
        ("/header", "value=a%0d%0aX:%20y"),
    ]:
        answer = served.ask(Case(path, query=query))
        assert answer.status in {200, 302, 500}
        assert answer.header("X") is None
    assert served.ask(Case("/")).status == 200


def test_a_response_that_cannot_be_sent_leaves_the_server_alive(served: Served) -> None:
    for status in ("x", "0", "1000", "-1"):
        assert served.ask(Case("/status", query=f"status={status}")).status == 500, served.said()
    assert served.ask(Case("/")).status == 200
