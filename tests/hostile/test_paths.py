"""Paths that lead elsewhere, methods that are none, and pages that would say what they should not."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

import kolben
from hostile.ways import REFUSED_BY_SERVER, WAYS, Case, Served, by_environ
from kolben.debughelpers import DebugFilesKeyError

SECRET = (Path(__file__).parent / "peer.py").read_bytes()

#: Ways up and out of a folder, in bytes.
TRAVERSALS = [
    *("../peer.py", "..\\peer.py", "../../hostile/peer.py", "sub/../../peer.py", "sub/..\\../peer.py"),
    *("./../peer.py", ".//../peer.py", "..//peer.py", "/../peer.py", "//peer.py", "....//peer.py"),
    *("../peer.py\x00", "../peer.py\x00.txt", "file.txt\x00", "file.txt\x00/../../peer.py", "\x00"),
    *("%2e%2e/peer.py", "%2e%2e%2fpeer.py", "..%2fpeer.py", "..%5cpeer.py", "..%252fpeer.py"),
    *("\xc0\xae\xc0\xae/peer.py", "..\xc0\xafpeer.py", "\xe0\x80\xae./peer.py", "\uff0e.".encode().decode("latin-1")),
    *("/etc/passwd", "//etc/passwd", "///etc/passwd", "etc/passwd", "/proc/self/environ", "~root", "~"),
    *("C:/windows/win.ini", "C:\\windows\\win.ini", "c:peer.py", "\\\\host\\share", "//host/share"),
    *("CON", "NUL", "sub/aux.txt", "COM1", "file.txt::$DATA", "file.txt.", "file.txt ", "sub", "sub/", "", "."),
    *("..", "../", "...", "sub/..", "sub/../", "../files", "../files/file.txt", "-", "file.txt/", "file.txt/."),
    *("a" * 300, "a/" * 2000, "a" * 100_000, "../" * 30_000 + "etc/passwd", "\ud7ff".encode().decode("latin-1")),
]  # fmt: skip
CASES = [Case(prefix + path) for prefix in ("/static/", "/download/") for path in TRAVERSALS] + [
    Case(prefix + path, headers=[("Range", "bytes=0-10")])
    for prefix in ("/static/", "/download/")
    for path in TRAVERSALS[:20]
]


@pytest.mark.parametrize("way", WAYS)
def test_no_path_leads_out_of_a_folder(way: str) -> None:
    for case in CASES:
        answer = WAYS[way](case)
        assert answer.status in {200, 206, 308, 404}, case.path[:80]
        if answer.status in {200, 206}:
            assert answer.body in {b"a file\n", b"sub\n"}, case.path[:80]
        assert b"root:" not in answer.body
        assert SECRET[:60] not in answer.body


def test_no_path_leads_out_of_a_folder_over_a_socket(served: Served) -> None:
    for case in CASES:
        answer = served.ask(case)
        assert answer.status in REFUSED_BY_SERVER | {200, 206, 308}, (case.path[:80], served.said())
        if answer.status in {200, 206}:
            assert answer.body in {b"a file\n", b"sub\n"}, case.path[:80]
    for target in (
        b"/static/../peer.py",
        b"/static/..\\peer.py",
        b"/static/%00",
        b"*",
        b"http://x/",
        b"//x",
    ):
        answer = served.send(
            b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert answer.status in REFUSED_BY_SERVER | {200, 308}, target
        assert SECRET[:60] not in answer.body
    assert served.ask(Case("/")).status == 200


#: Paths for which a redirect to the one with a slash might be one to another host.
ELSEWHERE = [
    *("//evil.org", "///evil.org", "////evil.org/slash", "//evil.org/slash", "/\\evil.org", "/\\/evil.org"),
    *("\\\\evil.org", "//evil.org//slash", "/slash//evil.org", "//slash", "///slash", "/slash//", "/path//x"),
    *("/path///evil.org", "//path/x", "/@evil.org", "//user@evil.org/slash", "/%2f/evil.org"),
    *("/\tevil.org", "/\x00/evil.org", "//\xe9vil.org", "/.//evil.org", "/..//evil.org", "//", "///", "/\r\n/evil.org"),
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_no_redirect_leads_to_another_host(way: str) -> None:
    for path in ELSEWHERE:
        for query in ("", "a=//evil.org"):
            answer = WAYS[way](Case(path, query=query))
            assert answer.status in {200, 308, 404}, path
            location = answer.header("Location")
            if location is not None:
                assert urlsplit(location).netloc == "localhost", (path, location)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "host", ["evil.org", "user@evil.org", "evil.org:80:80", "localhost.evil.org"]
)
def test_a_whole_url_as_the_path_names_a_host_that_is_to_be_trusted(way: str, host: str) -> None:
    """Some ASGI servers pass a target with scheme and host on, which is then as good as a ``Host`` header."""
    trusted = {"TRUSTED_HOSTS": ["localhost"]}
    answer = WAYS[way](Case(f"http://{host}/slash", config=trusted))
    assert answer.status in {400, 404}
    assert answer.header("Location") is None


LONG = [
    "/" + "a" * 1_000_000,
    "/path/" + "a" * 1_000_000,
    "/path/" + "a/" * 500_000,
    "/int/" + "9" * 1_000_000,
    "/int/" + "9" * 4301,
    "/" * 1_000_000,
    "/slash/" + "/" * 100_000,
    "/path/" + "\xc3\xa9" * 500_000,
    "/path/" + "\xff" * 500_000,
    "/path/" + "%" * 500_000,
    "/" + "." * 500_000,
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", LONG, ids=lambda path: path[:12])
def test_a_path_of_a_megabyte_is_answered(way: str, path: str) -> None:
    assert WAYS[way](Case(path)).status in {200, 308, 404, 414}


@pytest.mark.parametrize("way", WAYS)
def test_a_query_and_cookies_of_a_megabyte_are_answered(way: str) -> None:
    for text in (
        "a" * 1_000_000,
        "a=1&" * 250_000,
        "&" * 1_000_000,
        "%" * 1_000_000,
        "%c3" * 300_000,
    ):
        assert WAYS[way](Case("/read/args", query=text)).status == 200
    for text in ("a=1;" * 250_000, ";" * 1_000_000, '"' * 1_000_000, 'a="' + "\\" * 500_000):
        headers = [("Cookie", text)]
        assert WAYS[way](Case("/read/cookies", headers=headers)).status == 200
        assert WAYS[way](Case("/session", headers=headers)).status == 200


METHODS = [
    "",
    " ",
    "get",
    "GET ",
    "TRACE",
    "CONNECT",
    "PRI",
    "X" * 100_000,
    "G\xc9T",
    "GET\x00",
    "()",
    "M-SEARCH",
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: repr(method)[:12])
def test_a_method_that_is_none_is_no_error(method: str) -> None:
    for path in ("/", "/int/5", "/static/file.txt", "/nowhere", "/slash"):
        assert by_environ(Case(path, method=method)).status in {200, 308, 400, 404, 405, 501}


SCRIPTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}",
    "{% raw %}",
    "'\"<>&",
    "${7*7}",
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("debug", [False, True])
def test_no_page_of_ours_runs_what_a_client_sends(way: str, debug: bool) -> None:
    config = {"DEBUG": debug, "PROPAGATE_EXCEPTIONS": False}
    for script in SCRIPTS:
        quoted = "".join(f"%{byte:02x}" for byte in script.encode())
        cases = [
            Case("/" + script),
            Case("/missing", query=f"{quoted}=1"),
            Case("/abort/404", query=f"v={quoted}"),
            Case("/abort/400", query=f"v={quoted}"),
            Case("/redirect", query=f"to={quoted}"),
            Case("/template", query=f"v={quoted}"),
            Case("/slash", query=script.replace("%", "")),
            Case("/", method=script.replace("<", "").replace(">", "")),
            Case("/json", method="POST", headers=[("Content-Type", script)], body=script.encode()),
        ]
        for case in cases:
            case.config = config
            answer = WAYS[way](case)
            kind = answer.header("Content-Type") or ""
            assert b"<script>alert" not in answer.body, case
            assert b"<img src=x" not in answer.body, case
            if case.path != "/template" and kind.startswith("text/html"):
                assert b"49" not in answer.body, case


def test_the_page_about_missing_files_says_no_more_than_it_is_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = kolben.Flask("program")
    app.debug = True
    app.testing = True
    app.post("/")(lambda: kolben.request.files["<script>"])
    with pytest.raises(DebugFilesKeyError):
        app.test_client().post("/", data={"<script>": "x"})
    caplog.clear()
