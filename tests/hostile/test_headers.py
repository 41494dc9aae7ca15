"""Headers, hosts and queries that no client should send."""

from __future__ import annotations

import io
import itertools
import logging

import pytest

import kolben
from hostile.ways import REFUSED_BY_SERVER, WAYS, Case, Served, application, by_environ
from kolben.serving.observability import AccessLogMiddleware, JSONFormatter

BIG = "9" * 5000
NO_DATE = "Thu, 01 Jan 99999999999 00:00:00 GMT"

#: Which header is read by what.
READ_BY = {
    "If-None-Match": "if_none_match",
    "If-Match": "if_match",
    "If-Modified-Since": "if_modified_since",
    "If-Unmodified-Since": "if_unmodified_since",
    "If-Range": "if_range",
    "Date": "date",
    "Range": "range",
    "Cache-Control": "cache_control",
    "Max-Forwards": "max_forwards",
    "Accept": "accept",
    "Accept-Language": "accept",
    "Accept-Encoding": "accept",
    "User-Agent": "user_agent",
    "X-Forwarded-For": "access_route",
    "Authorization": "authorization",
    "Cookie": "cookies",
    "Content-Type": "mimetype",
    "Content-Encoding": "content_encoding",
    "Content-MD5": "content_encoding",
    "Host": "host",
    "Pragma": "user_agent",
    "Access-Control-Request-Headers": "access_control",
    "Transfer-Encoding": "content_length",
}
VALUES = [
    *("", " ", ",", ";", "=", "*", '"a", W/"b", *', '"a"', 'W/"a', "a,b", '"a,b"', '""', "W/"),
    *("\t", "\xff", "\xc3\xa9", "%ff", "a=%zz", BIG, "-1", "+1", "1_000", "²", "0x10", "1.5", "1e5"),
    *("bytes=0-", "bytes=-5", f"bytes=0-{BIG}", "bytes=5-1", "bytes=0-1,5-6", "bytes= 0 - 1"),
    *("bytes=-0", "bytes=abc", "bytes=0-0,0-0,0-0", "items=0-1", f"bytes={BIG}-"),
    *(NO_DATE, "Thu, 01 Jan 9999 00:00:00 GMT", "Thu, 32 Jan 2020 00:00:00 GMT"),
    *("Thu, 01 Jan 2020 00:00:00 +9999", "Thu, 01 Jan 2020 00:00:00 +99999999999"),
    *("Thu, 01 Jan 0000 00:00:00 GMT", "Thu, 01 Jan 2020 99:99:99 GMT"),
    *(f"max-age={BIG}", "max-age=-1", "max-age", "max-age=", 'max-age="5"', "no-cache=x, max-stale"),
    *("text/html;q=2", "text/html;q=nan,*/*;q=inf", f"text/html;q={BIG}", "text/html;q=-1"),
    *("de;q=0.5,en;q=", "a b=c; d", "a=b; a=c;;=x", 'a="b\\"c"; d="\\377"', 'a="b\\012c"'),
    *("Basic AAAAAAAAAA", "Basic YTpi", "Basic \xff", "Basic ////", "Digest a=b, c"),
    *("Digest username=\"x\", x*=UTF-8''%zz", "Bearer", "Bearer ", "a" * 10000),
    *("multipart/form-data; boundary=\xff", 'text/html; a="b', "text/html; a*0=b; a*1=c"),
    *("text/html; a*=utf-8''%ff", "application/json; charset=utf-16", "gzip, chunked", "identity"),
    *("example.com:80:80", "[::1]", "[::1", f"example.com:{BIG}", "ex ample.com", "example..com"),
    *("-", "::", "@x", "a@b", "x/y", "x?y", "x#y", "x\\y", "a" * 64 + ".com", ".", "a." * 200),
    *("xn--", "a.xn--x.org", "xn--\xff", "Fri, 31 Dec 9999 23:59:59 -2359", '"a"b"', "\x00"),
]  # fmt: skip
CASES = [
    Case(path, headers=[(name, value)])
    for (name, reader), value in itertools.product(READ_BY.items(), VALUES)
    for path in (f"/read/{reader}", "/read/all", "/static/file.txt", "/slash", "/nowhere")
]


@pytest.mark.parametrize("way", WAYS)
def test_no_header_is_an_error_of_the_servers(way: str) -> None:
    right = {200, 206, 304, 308, 400, 404, 412, 416}
    cases = CASES if way == "environ" else CASES[::5]
    wrong = [(case, status) for case in cases if (status := WAYS[way](case).status) not in right]
    assert wrong == []


def test_headers_over_a_socket(served: Served) -> None:
    right = {200, 206, 304, 308, 400, 404, 412, 416} | REFUSED_BY_SERVER
    wrong = []
    for case in CASES[::37]:
        status = served.ask(case).status
        if status not in right:
            wrong.append((case, status))
    assert wrong == [], served.said()
    assert served.ask(Case("/")).status == 200


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since", "If-Range", "Date"])
@pytest.mark.parametrize("way", WAYS)
def test_a_date_of_a_year_that_cannot_be_is_ignored(way: str, name: str) -> None:
    for path in ("/static/file.txt", "/download/file.txt"):
        for more in ([], [("Range", "bytes=0-1")]):
            answer = WAYS[way](Case(path, headers=[(name, NO_DATE), *more]))
            is_part = more and name != "If-Range"
            assert answer.status == (206 if is_part else 200)
    read = name.lower().replace("-", "_")
    answer = WAYS[way](Case(f"/read/{read}", headers=[(name, NO_DATE)]))
    # What is no date may be an entity tag to If-Range, as Python's parser sees it: one of no file.
    assert answer.body in {b"None", b"(None, None)", f"({NO_DATE!r}, None)".encode()}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("query", ["\xff", "a=\xff", "\xe9=1&b=%E9", "\x85", "a\xc3\xa9\xff"])
def test_raw_bytes_in_a_query_are_kept_by_every_way_to_read_it(way: str, query: str) -> None:
    def read(what: str) -> object:
        answer = WAYS[way](Case(f"/read/{what}", query=query))
        assert answer.status == 200
        return eval(answer.body)

    raw = query.encode("latin-1")
    kept = raw.decode("utf-8", "werkzeug.url_quote")
    assert read("query_string") == raw
    assert read("full_path") == f"/read/full_path?{kept}"
    assert read("url") == f"http://localhost/read/url?{kept}"
    name, _, value = kept.partition("&")[0].partition("=")
    assert (name, [value]) in read("args")  # type: ignore[operator]
    for path in ("/slash", "/missing", "/nowhere", "/"):
        assert WAYS[way](Case(path, query=query)).status < 500


def test_raw_bytes_in_a_query_are_logged_on_one_line() -> None:
    for form in ("json", "common"):
        log = logging.Logger("test")  # noqa: LOG001 (no other logger is to hear it)
        stream = io.StringIO()
        log.addHandler(logging.StreamHandler(stream))
        app = AccessLogMiddleware(application(), form, log)  # type: ignore[arg-type]
        for hostile in HOSTILE_TEXTS:
            case = Case(hostile, query=hostile, headers=[("User-Agent", hostile)])
            by_environ(case, app)
        assert_harmless(stream.getvalue(), len(HOSTILE_TEXTS))


#: In the bytes of UTF-8, and some that are none.
HOSTILE_TEXTS = [
    "/" + text.encode().decode("latin-1")
    for text in (
        "\r\nfake",
        "\n",
        "\x00",
        "\x1b[31m",
        "\u2028fake",
        "\u2029",
        "\x7f",
        "\x85",
        "\x9b",
    )
] + ["/\xff", "/\x85", "/\x9b"]


def assert_harmless(text: str, lines: int) -> None:
    assert text.count("\n") == lines
    assert all(c == "\n" or c.isprintable() for c in text), repr(text)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_path_cannot_forge_a_log_line(
    asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = kolben.Flask("program")

    def fail() -> None:
        raise ValueError("wrong")

    async def fail_later() -> None:
        raise ValueError("wrong")

    app.before_request(fail_later if asynchronous else fail)
    way = WAYS["scope" if asynchronous else "environ"]
    for hostile in HOSTILE_TEXTS:
        assert way(Case(hostile), app=app).status == 500  # type: ignore[call-arg]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == len(HOSTILE_TEXTS)
    assert_harmless("\n".join(messages) + "\n", len(messages))
    caplog.clear()


def test_a_method_and_a_host_cannot_forge_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    app = kolben.Flask("program")

    @app.before_request
    def fail() -> None:
        raise ValueError(kolben.request.host)

    for hostile in HOSTILE_TEXTS:
        by_environ(Case("/", method=f"GET{hostile}", headers=[("Host", hostile)]), app)
    messages = [record.getMessage() for record in caplog.records]
    assert_harmless("\n".join(messages) + "\n", len(HOSTILE_TEXTS))
    caplog.clear()


def test_a_json_log_line_has_no_control_characters() -> None:
    record = logging.LogRecord("a", logging.INFO, "", 1, "%s", ("\x7f\x1b\u2028\x85",), None)
    assert JSONFormatter().format(record).isprintable()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "value", ['"a"b"', '"a", "b"', "Fri, 31 Dec 9999 23:59:59 -2359", '"' * 9, 'W/ "a"']
)
def test_an_if_range_is_written_as_it_was_sent(way: str, value: str) -> None:
    answer = WAYS[way](Case("/read/if_range_written", headers=[("If-Range", value)]))
    assert (answer.status, answer.body.decode()) == (200, f"<IfRange {value!r}>")


HOSTS = [
    *("example.com:80:80", "example.com:443:80", "example.com:80:443", "example.com:8080:80"),
    *("example.com::80", "example.com:", "[::1]:80:80", "example.com@evil.org", "evil.org"),
    *("example.com.evil.org", "evil.org/example.com", "evil.org#example.com", "example.com:99999"),
    *("evil.org\texample.com", "example.com,evil.org", "", ":80", "example.com:0x50", "example.com:-1"),
    *("evil.org?.example.com", "evilexample.com", "example.com\\evil.org", "ex\xe4mple.com"),
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", ["/", "/slash", "/nowhere", "/read/host", "/url_for"])
def test_only_trusted_hosts_are_answered_and_before_any_redirect(way: str, path: str) -> None:
    config = {"TRUSTED_HOSTS": ["example.com", ".example.org"]}
    for host in HOSTS:
        answer = WAYS[way](Case(path, headers=[("Host", host)], config=config))
        assert (answer.status, answer.header("Location")) == (400, None), host
    for host in ("example.com", "example.com:80", "a.example.org", "example.com:8080"):
        answer = WAYS[way](Case(path, headers=[("Host", host)], config=config))
        assert answer.status in {200, 404, 308}, host


@pytest.mark.parametrize("way", WAYS)
def test_a_host_with_two_ports_is_no_host(way: str) -> None:
    answer = WAYS[way](Case("/read/host", headers=[("Host", "example.com:80:80")]))
    assert (answer.status, answer.body) == (200, b"''")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", ["[:50]:4900", "[1.2.3.4]", "[::1::2]", "[:]", "[.]:80", "[::g]"])
def test_brackets_hold_an_address_or_it_is_no_host(way: str, host: str) -> None:
    """Found by atheris: `request.url` was a ValueError, on Flask it is."""
    headers = [("Host", host)]
    assert WAYS[way](Case("/read/host", headers=headers)).body == b"''"
    for path in ("/read/url", "/read/base_url", "/read/url_root", "/slash", "/url_for", "/nowhere"):
        assert WAYS[way](Case(path, headers=headers)).status in {200, 308, 404}
    config = {"TRUSTED_HOSTS": ["example.com"]}
    assert WAYS[way](Case("/", headers=headers, config=config)).status == 400
    assert WAYS[way](Case("/read/host", headers=[("Host", "[::1]:5000")])).body == b"'[::1]:5000'"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", ["xn--", "xn--.org", "A.xn--x:81", "xn--\x7e"])
def test_a_host_that_is_no_punycode_stays_as_it_is(way: str, host: str) -> None:
    """Before Python 3.13, `request.url` is a UnicodeError in Flask."""
    for name, rest in {
        "url": "/read/url?a=1",
        "base_url": "/read/base_url",
        "url_root": "/",
        "root_url": "/",
        "host_url": "/",
    }.items():
        answer = WAYS[way](Case(f"/read/{name}", query="a=1", headers=[("Host", host)]))
        assert answer.status == 200
        assert eval(answer.body) == (
            f"http://{host.lower()}{rest}" if "~" not in host else f"http://{rest}"
        )


@pytest.mark.parametrize(
    "path", ["/", "/slash", "/nowhere", "/read/url", "/static/file.txt", "/session"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_an_environ_without_its_scheme_is_answered_as_http(path: str, method: str) -> None:
    app = application()
    with_it = Case(path, method=method).as_peer()
    without = {**with_it, "without": [*with_it["without"], "wsgi.url_scheme"]}
    from hostile.peer import exchange

    assert exchange(app, without) == exchange(app, with_it)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("query", ["\r\nX: y", "\n", "\x00", "\x1b", "\x7f"])
def test_a_slash_redirect_escapes_what_would_end_its_header(way: str, query: str) -> None:
    answer = WAYS[way](Case("/slash", query=query))
    assert answer.status == 308
    location = answer.header("Location")
    assert location is not None
    assert location.startswith("http://localhost/slash/?%")
    assert location.isprintable()
    assert answer.header("X") is None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", ["Basic \xff", "Basic \xc3\xa9", "Basic =", "Basic a"])
def test_credentials_that_are_no_base64_are_none(way: str, value: str) -> None:
    answer = WAYS[way](Case("/read/authorization", headers=[("Authorization", value)]))
    assert (answer.status, answer.body) == (200, b"None")
