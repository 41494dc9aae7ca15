"""A test for each published advisory of a web framework that could be true of this one.

Named by the number; docs/security.md lists them.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import tempfile
import threading
import tracemalloc
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

import kolben
from hostile.test_forms import MULTIPART, URLENCODED, part
from hostile.test_session_cookies import signer
from hostile.ways import Case, application, by_environ, by_scope
from kolben import Response
from kolben.debugging.debugger import Debugger

ROOT = Path(__file__).resolve().parents[2]


def upload(body: bytes, **config: object) -> int:
    return by_environ(
        Case("/form", method="POST", headers=MULTIPART, body=body, config=config)
    ).status


# -- Flask ------------------------------------------------------------------------------------


def test_cve_2018_1000656_json_in_other_encodings() -> None:
    """And CVE-2019-1010083: text in an encoding that is guessed takes much memory."""
    kind = [("Content-Type", "application/json; charset=utf-7")]
    for encoding in ("utf-16", "utf-32", "utf-8-sig"):
        body = json.dumps({"a": "ü"}).encode(encoding)
        answer = by_environ(Case("/json", method="POST", headers=kind, body=body))
        assert answer.status in {200, 400}
    body = b"\x00" * 100_000
    assert by_environ(Case("/json", method="POST", headers=kind, body=body)).status == 400


def test_cve_2023_30861_a_refreshed_session_varies_on_the_cookie() -> None:
    app = application()
    cookie = signer().dumps({"_permanent": True, "user": "ada"})
    for ask in (by_environ, by_scope):
        answer = ask(Case(headers=[("Cookie", f"session={cookie}")]), app=app)
        assert answer.all("Set-Cookie")
        assert answer.header("Vary") == "Cookie"


def test_cve_2025_47278_the_newest_key_signs() -> None:
    app = kolben.Flask("program")
    app.config.update(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old", "older"])
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    assert signer(key="new").loads(serializer.dumps({"a": 1})) == {"a": 1}
    assert serializer.loads(signer(key="older").dumps({"a": 2})) == {"a": 2}


@pytest.mark.parametrize("look", ["in", "len", "iter", "bool", "get"])
def test_cve_2026_27205_any_look_at_the_session_varies_on_the_cookie(look: str) -> None:
    ways = {
        "in": lambda: "a" in kolben.session,
        "len": lambda: len(kolben.session),
        "iter": lambda: list(kolben.session),
        "bool": lambda: bool(kolben.session),
        "get": lambda: kolben.session.get("a"),
    }
    app = kolben.Flask("program")
    app.secret_key = "key"
    app.add_url_rule("/", "index", lambda: str(ways[look]()))
    assert by_environ(Case(), app).header("Vary") == "Cookie"
    assert by_scope(Case(), app=app).header("Vary") == "Cookie"


# -- Werkzeug, Quart --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["C:/windows/win.ini", "C:\\windows\\win.ini", "\\\\host\\share", "//host/share", "c:x"]
)
def test_cve_2019_14322_and_2024_49766_and_2026_34515_drives_and_shares(path: str) -> None:
    """The last is aiohttp's."""
    assert by_environ(Case(f"/static/{path}")).status in {308, 404}
    assert by_environ(Case(f"/download/{path}")).status in {308, 404}


@pytest.mark.parametrize(
    "path",
    ["CON", "NUL", "COM1", "aux.txt", "sub/NUL", "CON.txt.html", "lpt1 .x", "NUL:", "a/nul:"],
)
def test_cve_2025_66221_and_2026_21860_and_2026_27199_and_2026_102598_names_of_devices(
    path: str,
) -> None:
    assert by_environ(Case(f"/static/{path}")).status == 404


@pytest.mark.parametrize(
    "path", ["//evil.org/slash", "//evil.org/..", "///evil.org", "//path//evil.org"]
)
def test_cve_2020_28724_double_slashes_do_not_redirect_elsewhere(path: str) -> None:
    location = by_environ(Case(path)).header("Location")
    assert location is None or urlsplit(location).netloc == "localhost"


def test_cve_2023_23934_a_cookie_without_a_name_is_no_other_cookie() -> None:
    answer = by_environ(Case("/read/cookies", headers=[("Cookie", "=__Host-test=bad; a=1; =x")]))
    assert eval(answer.body) == [("a", ["1"])]


def test_cve_2023_25577_and_2023_30798_and_2023_24580_and_2026_31958_parts_are_counted() -> None:
    """Also Starlette's, Django's and Tornado's."""
    assert upload(part("a", b"1") * 1001 + b"--b--\r\n") == 413
    assert upload(part("f", b"", "f") * 1001 + b"--b--\r\n") == 413


def test_cve_2023_46136_a_part_of_line_ends_is_read_in_linear_time() -> None:
    for content in (b"\r" * 2_000_000, b"\n" * 2_000_000, b"\r\n" * 1_000_000, b"\r\n--" * 500_000):
        assert upload(part("f", content, "f") + b"--b--\r\n") == 200


def test_cve_2024_49767_and_2024_47874_and_2026_34517_a_field_has_a_limit() -> None:
    """Of Werkzeug and Quart; Starlette's and aiohttp's are the same."""
    assert upload(part("a", b"x" * 500_001) + b"--b--\r\n") == 413
    assert upload(b"--b\r\nX: " + b"x" * 500_001) == 413


def test_cve_2016_10516_the_page_of_an_error_is_escaped() -> None:
    app = kolben.Flask("program")
    app.debug = True
    app.before_request(lambda: {}[kolben.request.args["v"]])
    script = "<script>alert(1)</script>"
    case = Case("/", query=f"v={quote(script)}", headers=[("Accept", "text/html")])
    answer = by_environ(case, Debugger(app, find_app=lambda: app))
    assert answer.status == 500
    assert b"alert(1)" in answer.body
    assert script.encode() not in answer.body


def test_cve_2024_34069_the_debugger_obeys_this_machines_pages_only() -> None:
    debugger = Debugger(kolben.Flask("program"))
    own = {"HTTP_HOST": "127.0.0.1:5000", "wsgi.url_scheme": "http"}
    assert debugger.check_host_trust(own)
    for foreign in (
        {"HTTP_HOST": "evil.example"},
        {"HTTP_ORIGIN": "https://evil.example"},
        {"HTTP_SEC_FETCH_SITE": "cross-site"},
    ):
        assert not debugger.check_host_trust({**own, **foreign})


# -- Starlette --------------------------------------------------------------------------------


def test_cve_2023_29159_a_folder_of_a_longer_name_is_not_below(tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static_secret").mkdir()
    (tmp_path / "static_secret" / "file").write_text("secret")
    app = kolben.Flask("program", "/static", static_folder=str(tmp_path / "static"))
    assert by_environ(Case("/static/../static_secret/file"), app).status == 404


def test_cve_2025_62727_ranges_without_number_are_read_in_linear_time() -> None:
    for ranges in (
        "0-1," * 100_000 + "2-3",
        "0-0," * 100_000,
        ",".join(f"{n}-{n}" for n in range(100_000)),
    ):
        answer = by_environ(Case("/static/file.txt", headers=[("Range", f"bytes={ranges}")]))
        assert answer.status in {200, 206, 416}


def test_cve_2025_54121_a_long_body_is_written_to_disk_by_another_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event loop waits for no disk."""
    writers: list[int] = []

    class Noted(io.BytesIO):
        def write(self, data: Any) -> int:
            writers.append(threading.get_ident())
            return super().write(data)

        def writelines(self, lines: Any) -> None:
            for line in lines:
                self.write(line)

    monkeypatch.setattr(tempfile, "TemporaryFile", Noted)
    case = Case("/read/data", method="POST", body=b"x" * 2_000_000, piece=100_000)
    case.headers = [("Content-Type", "text/plain")]
    assert by_scope(case, asynchronous=True).status == 200
    assert writers
    assert threading.get_ident() not in writers


@pytest.mark.parametrize(
    "host", ["a/admin?", "a/x", "a?x", "a#x", "a\\x", "u@a", "a/../..", "a:80/x"]
)
def test_cve_2026_48710_no_host_changes_the_path_of_a_url(host: str) -> None:
    answer = by_environ(Case("/read/url", headers=[("Host", host)]))
    assert urlsplit(eval(answer.body)).path == "/read/url"
    assert eval(by_environ(Case("/read/path", headers=[("Host", host)])).body) == "/read/path"


# -- Django -----------------------------------------------------------------------------------


def test_cve_2018_14574_and_2021_21330_and_2023_28370_no_redirect_to_another_host() -> None:
    """Of Django, aiohttp and Tornado."""
    for path in (
        "//evil.org/slash",
        "/\\evil.org",
        "//static",
        "/static//evil.org",
        "//evil.org%2f..",
    ):
        location = by_environ(Case(path)).header("Location")
        assert location is None or urlsplit(location).netloc == "localhost"


def test_cve_2019_3498_a_page_about_a_missing_path_does_not_repeat_it() -> None:
    assert b"visit-evil" not in by_environ(Case("/visit-evil.org")).body


def test_cve_2021_28658_and_2026_24486_a_name_of_an_upload_is_made_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django's and python-multipart's: and no file is named by the client, not even a temporary one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    for name in ("/../written", str(tmp_path / "written"), "../written"):
        assert upload(part("f", b"x" * 600_000, name) + b"--b--\r\n") == 200
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]
    from werkzeug.utils import secure_filename

    for name in ("../../etc/passwd", "..\\..\\x", "/abs", "C:\\x", "\x00", "..", "a/../b"):
        safe = secure_filename(name)
        assert not set(safe) & set("/\\:\x00")
        assert safe not in {".", ".."}


def test_cve_2022_36359_a_file_name_cannot_end_its_quotes() -> None:
    answer = by_environ(Case("/attachment", query='name=a.bat";dummy=".txt'))
    value = answer.header("Content-Disposition") or ""
    assert value.replace('\\"', "").count('"') == 2


def test_cve_2025_48432_a_path_cannot_forge_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    app = kolben.Flask("program")
    app.before_request(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    by_environ(Case("/\n\x1b[1mERROR fake"), app)
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    caplog.clear()


# -- Bottle -----------------------------------------------------------------------------------


def test_cve_2014_3137_only_the_type_itself_is_json() -> None:
    for kind in (
        "text/plain;application/json",
        "text/plain; x=application/json",
        "application/jsonx",
    ):
        case = Case("/json", method="POST", headers=[("Content-Type", kind)], body=b"{}")
        assert by_environ(case).status == 415


def test_cve_2016_9964_a_redirect_has_one_line() -> None:
    answer = by_environ(Case("/redirect", query="to=/%0d%0aX:y"))
    assert (answer.header("X"), answer.status) == (None, 302)


def test_cve_2020_28473_and_2026_53538_a_semicolon_separates_nothing() -> None:
    """The second is python-multipart's."""
    assert eval(by_environ(Case("/read/args", query="a=1;b=2")).body) == [("a", ["1;b=2"])]
    form = Case("/read/form", method="POST", headers=URLENCODED, body=b"a=1;b=2")
    assert eval(by_environ(form).body) == [("a", ["1;b=2"])]


def test_cve_2022_31799_a_request_that_cannot_be_begun_is_answered() -> None:
    for host in ("\xff", "a" * 100_000, ".." * 1000):
        assert by_environ(Case("/read/url", headers=[("Host", host)])).status < 500


# -- Tornado ----------------------------------------------------------------------------------


def test_cve_2012_2374_a_header_has_one_line() -> None:
    with pytest.raises(ValueError, match="newline"):
        Response("x").headers["X"] = "a\r\nb: c"


@pytest.mark.parametrize("name", ["domain", "path", "samesite", "expires"])
def test_cve_2026_35536_an_attribute_of_a_cookie_begins_no_other(name: str) -> None:
    """And GHSA-wwv5-g3v4-889x. Flask lets `domain` and `expires` do so."""
    response = Response("x")
    with contextlib.suppress(ValueError):
        response.set_cookie("name", "value", **{name: "a; Secure"})  # type: ignore[arg-type]
    assert not any("; Secure" in cookie for cookie in response.headers.getlist("Set-Cookie"))


def test_ghsa_8423_8fgw_73vq_parts_are_counted_before_they_take_memory() -> None:
    body = part("a", b"") * 100_000
    upload(body[:1000])
    tracemalloc.start()
    try:
        assert upload(body) == 413
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(body)


def test_cve_2024_52804_cookies_are_read_in_linear_time() -> None:
    for cookie in (
        'a="' + "\\" * 200_000,
        'a="' + '\\"' * 100_000 + '"',
        "\\" * 200_000,
        '"' * 200_000,
    ):
        assert by_environ(Case("/read/cookies", headers=[("Cookie", cookie)])).status == 200


def test_cve_2025_47287_a_broken_form_is_not_logged_in_each_part(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    upload(b"--b\r\nX: y\r\n\r\n1\r\n" * 500 + b"--b--\r\n")
    assert len([r for r in caplog.records if r.name.startswith(("kolben", "hostile"))]) <= 1


def test_cve_2025_67724_a_reason_has_one_line() -> None:
    for status in ("200 a\r\nX: y", "200 a\x00", "404 <b>\n<i>"):
        with pytest.raises(ValueError, match="status"):
            Response("x", status=status)


def test_cve_2025_67725_and_2025_67726_and_2025_14550_repeated_headers_are_read_in_linear_time() -> (
    None
):
    """Parameters of headers, too. The third is Django's: repeated headers in an ASGI scope."""
    many = [("X-A", "x" * 10)] * 20_000
    assert by_scope(Case("/read/headers", headers=many)).status == 200
    for kind in (
        "a; " + "b=c; " * 20_000,
        'a; b="' + "\\" * 100_000,
        "a" + ";" * 100_000,
        'a; b="' + ";" * 100_000,
    ):
        assert by_environ(Case("/read/mimetype", headers=[("Content-Type", kind)])).status == 200


# -- aiohttp, python-multipart ----------------------------------------------------------------


def test_cve_2024_23334_a_link_out_of_a_folder_needs_no_dots(tmp_path: Path) -> None:
    """What leads out by dots is refused; a link that the program's owner has made is his own."""
    (tmp_path / "static").mkdir()
    (tmp_path / "secret").write_text("secret")
    app = kolben.Flask("program", "/static", static_folder=str(tmp_path / "static"))
    for path in ("../secret", "/../secret", "x/../../secret", str(tmp_path / "secret")):
        assert by_environ(Case(f"/static/{path}"), app).status in {308, 404}


def test_cve_2024_24762_and_2026_28356_a_content_type_is_read_in_linear_time() -> None:
    """The second is that of multipart, Bottle's parser."""
    for kind in (
        'multipart/form-data; boundary="' + '\\"' * 50_000,
        'multipart/form-data; boundary="' + "\\a" * 50_000 + "x",
        "multipart/form-data; " + 'a="b"' * 20_000,
        'application/x-www-form-urlencoded; !="' + "\\" * 100_000,
        'multipart/form-data; boundary="' + "\\" * 100_000,
    ):
        case = Case("/read/form", method="POST", headers=[("Content-Type", kind)], body=b"a=1")
        assert by_environ(case).status in {200, 400}


def test_cve_2024_30251_a_form_that_is_cut_ends() -> None:
    whole = part("f", b"x" * 100, "f") + part("a", b"1") + b"--b--\r\n"
    for end in range(len(whole)):
        assert upload(whole[:end]) in {200, 400}


def test_cve_2024_53981_and_2026_40347_what_stands_before_and_behind_a_form_is_passed_over() -> (
    None
):
    form = part("a", b"1") + b"--b--\r\n"
    assert upload(b"\r\n" * 100_000 + form) in {200, 400, 413}
    assert upload(form + b"\r\n" * 500_000) in {200, 400, 413}


def test_cve_2026_42561_and_2026_34516_the_headers_of_a_part_have_a_limit() -> None:
    """Of python-multipart and aiohttp: many headers, or a long one, before the blank line."""
    for headers in (
        b"X: y\r\n" * 200_000,
        b"X: " + b"y" * 1_000_000,
        b"X: y\r\n" * 200_000 + b"\r\n",
    ):
        assert upload(b"--b\r\n" + headers) == 413
    whole = (
        b"--b\r\n" + b"X: y\r\n" * 90_000 + b'Content-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    )
    assert upload(whole + b"--b--\r\n") == 413


def test_cve_2026_53539_semicolons_are_read_in_linear_time() -> None:
    for body in (b"a;" * 240_000, b";" * 499_000):
        case = Case("/read/form", method="POST", headers=URLENCODED, body=body)
        assert len(eval(by_environ(case).body)) == 1


def test_cve_2026_53540_a_length_below_0_is_not_until_the_end() -> None:
    for headers, body in ((MULTIPART, part("a", b"1") + b"--b--\r\n"), (URLENCODED, b"a=1")):
        for length in ("-1", "-9999999999"):
            case = Case("/read/form", method="POST", headers=headers, body=body, length=length)
            assert by_environ(case).body in {b"[]", b""} or by_environ(case).status == 400


@pytest.mark.parametrize("ask", [by_environ, by_scope])
def test_cve_2026_54283_urlencoded_forms_have_the_limits_of_others(ask: Any) -> None:
    """Of Starlette."""
    for body in (b"a=1&" * 1001, b"a=" + b"1" * 500_001):
        case = Case("/form", method="POST", headers=URLENCODED, body=body)
        assert ask(case).status == 413
    fits = Case("/form", method="POST", headers=URLENCODED, body=b"a=1&" * 999 + b"a=1")
    assert ask(fits).status == 200


@pytest.mark.parametrize(
    "path", ["@evil.org", "evil.org", ":80@evil.org/", ".evil.org", "//evil.org"]
)
@pytest.mark.parametrize("ask", [by_environ, by_scope])
def test_pysec_2026_248_a_path_does_not_move_the_host(ask: Any, path: str) -> None:
    """Of Starlette: one that does not begin with a slash, which is put behind the host."""
    app = kolben.Flask("program")
    app.register_error_handler(404, lambda error: kolben.request.url)
    url = urlsplit(ask(Case(path), app=app).body.decode())
    assert url.netloc == "localhost"


def test_cve_2025_69225_digits_of_other_scripts_are_no_range() -> None:
    digits = "bytes=\u0660-\u0663".encode().decode("latin-1")
    for ask in (by_environ, by_scope):
        answer = ask(Case("/static/file.txt", headers=[("Range", digits)]))
        assert answer.status in {200, 416}


def test_cve_2025_69228_the_limit_of_a_body_is_that_of_all_its_parts() -> None:
    body = part("a", b"x" * 900) * 10 + b"--b--\r\n"
    assert upload(body, MAX_CONTENT_LENGTH=1000) == 413
    assert upload(part("f", b"x" * 900, "f") * 10 + b"--b--\r\n", MAX_CONTENT_LENGTH=1000) == 413


def test_cve_2025_69229_a_body_in_20_000_pieces_is_read_in_linear_time() -> None:
    case = Case("/read/data", method="POST", body=b"x" * 20_000, piece=1, length="")
    case.headers = [("Transfer-Encoding", "chunked")]
    assert by_scope(case).body == repr(b"x" * 20_000).encode()


def test_cve_2025_69230_cookies_that_are_none_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    by_environ(Case("/read/cookies", headers=[("Cookie", "a b=1; @=2; " * 1000)]))
    assert [r for r in caplog.records if r.name.startswith(("kolben", "hostile"))] == []


@pytest.mark.parametrize("asynchronous", [False, True])
def test_cve_2026_54280_a_file_is_closed_when_the_client_leaves(
    tmp_path: Path, asynchronous: bool
) -> None:
    (tmp_path / "big").write_bytes(b"x" * 3_000_000)
    opened: list[io.BufferedReader] = []

    def view() -> Any:
        opened.append((tmp_path / "big").open("rb"))
        return kolben.send_file(opened[-1], mimetype="text/plain")

    async def later() -> Any:
        return view()

    app = kolben.Flask("program")
    app.add_url_rule("/", "view", later if asynchronous else view)

    async def talk() -> None:
        sent = 0

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            nonlocal sent
            sent += 1
            if sent == 3:
                raise OSError("the client has left")

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        with contextlib.suppress(OSError):
            await app(scope, receive, send)

    asyncio.run(talk())
    body = app.test_client().get("/", buffered=False)
    next(body.iter_encoded())
    body.close()
    assert [file.closed for file in opened] == [True, True]


# -- the list ---------------------------------------------------------------------------------


def test_the_documentation_lists_each() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    numbers = {
        f"CVE-{name.split('_')[at]}-{name.split('_')[at + 1]}"
        for name in globals()
        if name.startswith("test_cve_")
        for at in range(len(name.split("_")) - 1)
        if name.split("_")[at].startswith("20")
        and name.split("_")[at + 1].isdigit()
        and len(name.split("_")[at]) == 4
    }
    assert {number for number in numbers if number not in page} == set()
