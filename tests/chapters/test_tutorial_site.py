"""The tutorial's site: every page, every form, every link."""

from __future__ import annotations

import html
import importlib.util
import os
import re
import sys
from io import BytesIO
from pathlib import Path

import pytest

from kolben import Flask

ROOT = Path(__file__).parents[2]
PNG = b"\x89PNG\r\n\x1a\n" + b"a picture"


@pytest.fixture(scope="module")
def site():
    if not (ROOT / "examples/tutorial").is_dir():
        pytest.skip("the examples are not part of this distribution")
    sys.path.insert(0, str(ROOT))
    try:
        yield importlib.import_module("examples.tutorial.app")
    finally:
        sys.path.remove(str(ROOT))


@pytest.fixture
def client(site, tmp_path, monkeypatch):
    monkeypatch.setitem(site.app.config, "UPLOAD_FOLDER", str(tmp_path / "uploads"))
    monkeypatch.setitem(site.app.config, "DATA_FOLDER", str(tmp_path / "data"))
    return site.app.test_client()


def test_the_package_is_the_application(site):
    assert isinstance(importlib.import_module("examples.tutorial").app, Flask)


def test_there_is_a_chapter_for_all_from_1_to_18(site):
    assert [chapter.number for chapter in site.CHAPTERS] == [*range(1, 19)]


def test_the_first_program_is_the_smallest(site):
    files = [chapter.files[0] for chapter in site.CHAPTERS if chapter.files]
    sizes = [(ROOT / "examples/tutorial" / file).stat().st_size for file in files]
    assert sizes[0] == min(sizes)


def test_every_chapter_has_a_page_with_its_source(site, client):
    for chapter in site.CHAPTERS:
        page = client.get(f"/chapters/{chapter.slug}")
        assert page.status_code == 200
        shown = re.findall(
            r'<pre class="code" tabindex[^>]*><code>(.*?)</code></pre>', page.text, re.DOTALL
        )
        shown = [html.unescape(re.sub(r"</?span[^>]*>", "", source)) for source in shown]
        files = [ROOT / "examples/tutorial" / file for file in chapter.files]
        assert shown == [file.read_text("utf-8") for file in files]


def addresses(page):
    for address in re.findall(r'(?:href|src)="(/[^"]*)"', page):
        yield html.unescape(address).partition("#")[0]


# The addresses that show an error on purpose.
ERRORS = {
    "/run/hello/crash": 500,
    "/run/form/register": 405,
    "/run/urls/user/letian/": 404,
    "/run/urls/page/asd": 404,
    "/run/errors/plain": 403,
    "/run/errors/user": 401,
    "/run/errors/tea": 503,
    "/run/chat/ws": 426,
}


def test_every_link_leads_somewhere(client):
    waiting, answered = ["/"], {}
    while waiting:
        address = waiting.pop()
        if address in answered:
            continue
        with client.get(address, follow_redirects=True) as answer:
            answered[address] = answer.status_code
            if answer.mimetype == "text/html":
                waiting.extend(addresses(answer.text))
    wrong = {a: s for a, s in answered.items() if s != ERRORS.get(a, 200)}
    assert wrong == {}
    assert set(ERRORS) <= set(answered)
    assert len(answered) > 50


def test_no_page_needs_another_host(site, client):
    for path in ["/", *(f"/chapters/{chapter.slug}" for chapter in site.CHAPTERS)]:
        assert re.findall(r'(?:href|src)="(?:https?:)?//[^"]*"', client.get(path).text) == []
    for file in (ROOT / "examples/tutorial/static").iterdir():
        assert not re.search(r"@import|url\(|fetch\(\"http", file.read_text("utf-8")), file


def test_arguments(client):
    assert client.get("/run/arguments/several?p=7&p=8").text == "get: 7\ngetlist: ['7', '8']"
    script = client.get("/run/arguments/info?info=<script>")
    assert (script.text, script.mimetype) == ("<script>", "text/plain")


def test_the_form(client):
    assert 'action="/run/form/register"' in client.get("/run/form/").text
    form = {"name": "<b>", "nickname": "", "language": ["C", "Lisp"]}
    page = client.post("/run/form/register", data=form).text
    assert "Welcome, &lt;b&gt;" in page
    assert "little apple" in page
    assert "C, Lisp" in page
    assert client.post("/run/form/register", data={}).status_code == 400


def test_json(client):
    assert client.post("/run/json/add", json={"a": 1, "b": 2}).json == {"sum": 3}
    for wrong in ('{"a": 1}', '{"a": 1, "b": null}', "[1, 2]", "7", "null", "{"):
        answer = client.post("/run/json/add", data=wrong, content_type="application/json")
        assert answer.status_code == 400
    assert client.post("/run/json/add", data="a=1").status_code == 415
    asked = client.post("/run/json/add", json={}, headers={"Accept": "application/json"})
    assert (asked.status_code, list(asked.json)) == (400, ["error"])


def upload(client, name, content):
    return client.post(
        "/run/upload/", data={"image": (BytesIO(content), name)}, follow_redirects=True
    )


def test_a_picture_is_stored_and_shown(client, tmp_path):
    page = upload(client, "../../Lenna.png", PNG)
    assert page.status_code == 200
    assert (tmp_path / "uploads/Lenna.png").read_bytes() == PNG
    [source] = set(re.findall(r'<img src="([^"]+)"', page.text))
    with client.get(source) as picture:
        assert (picture.data, picture.mimetype) == (PNG, "image/png")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("page.html", b"<script>"),
        ("page.png", b"<script>"),
        ("..png", b""),
        ("png", PNG),
        ("", PNG),
        ("a.svg", b"<svg>"),
    ],
)
def test_what_is_no_picture_is_refused(client, tmp_path, name, content):
    assert upload(client, name, content).status_code == 400
    folder = tmp_path / "uploads"
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_picture_outside_of_the_folder_is_not_found(client):
    assert client.get("/run/upload/pictures/..%2F..%2Fapp.py").status_code == 404


def test_too_large_a_picture_gets_a_friendly_page(client):
    answer = client.post(
        "/run/upload/",
        input_stream=BytesIO(),
        content_type="multipart/form-data; boundary=b",
        environ_overrides={"CONTENT_LENGTH": str(16 * 1024 * 1024 + 1)},
    )
    assert answer.status_code == 413
    assert "16 MiB" in answer.text


def test_the_error_pages_keep_their_headers(client):
    refused = client.get("/run/form/register")
    assert sorted(refused.headers["Allow"].split(", ")) == ["OPTIONS", "POST"]
    assert "style.css" in refused.text
    assert "style.css" in client.get("/nowhere").text


def test_a_crash_tells_nothing_of_the_inside(client):
    page = client.get("/run/hello/crash")
    assert page.status_code == 500
    assert "ZeroDivisionError" not in page.text


def test_log_in_and_out(client):
    assert "Who are you?" in client.get("/run/sessions/").text
    form = {"user_name": "letian"}
    page = client.post("/run/sessions/login", data=form, follow_redirects=True)
    assert "Hello, letian" in page.text
    assert "1 time since" in page.text
    assert "2 times since" in client.get("/run/sessions/").text
    page = client.post("/run/sessions/logout", follow_redirects=True)
    assert "Who are you?" in page.text


def test_cookies(client):
    client.get("/run/cookies/add")
    assert client.get("/run/cookies/").text == "name = 'letian'"
    client.get("/run/cookies/delete")
    assert client.get("/run/cookies/").text == "name = None"


def test_flashed_messages_are_shown_once(client):
    form = {"message": "Saved <all>.", "category": "success"}
    waiting = client.post("/run/flashes/", data=form | {"stay": "1"}, follow_redirects=True)
    assert "Saved" not in waiting.text
    page = client.post("/run/flashes/", data=form | {"message": "Two"}, follow_redirects=True).text
    assert page.count('class="flash success"') == 2
    assert "Saved &lt;all&gt;." in page
    assert 'class="flash' not in client.get("/run/flashes/").text


def chapter_files():
    return sorted(path.name for path in (ROOT / "examples/tutorial").glob("ch*.py"))


@pytest.mark.parametrize("name", chapter_files())
def test_every_chapter_is_a_program_of_its_own(name, monkeypatch, tmp_path):
    file = ROOT / "examples/tutorial" / name
    spec = importlib.util.spec_from_file_location(f"alone_{file.stem}", file)
    program = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, program)
    spec.loader.exec_module(program)
    app = program.create_app()
    app.config.update(UPLOAD_FOLDER=str(tmp_path), DATA_FOLDER=str(tmp_path))
    assert app.test_client().get("/").status_code == 200


def test_a_chapter_served_on_its_own(start):
    file = ROOT / "examples/tutorial/ch03_hello.py"
    server = start("-m", "kolben", "run", str(file), "--port", "{port}", "--no-reload", source="")
    assert server.text() == "Hello World!"


# The site, with a script added to the page at one address that does what a visitor would.
VISITOR = """
from kolben import request
from examples.tutorial import app


@app.after_request
def visit(response):
    if request.full_path == {address!r} and response.mimetype == "text/html":
        response.data += b"<script>" + {script!r}.encode() + b"</script>"
    return response


app.run(port={{port}})
"""


@pytest.fixture(scope="module")
def visited(start, site, tmp_path_factory):
    """Start the site with a visitor's ``script`` at ``address``, and a new folder for pictures."""

    def visited(address="", script=""):
        return start(
            "server.py",
            source=VISITOR.format(address=f"{address}?", script=script),
            PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            UPLOAD_FOLDER=str(tmp_path_factory.mktemp("uploads")),
        )

    return visited


def test_the_frame_in_a_browser_says_how_the_program_answered(visited, chromium):
    page = chromium(f"{visited().url}/chapters/hello")
    assert '<output id="address">/run/hello/</output>' in page
    assert '<output id="status" class="good">200</output>' in page


def test_adding_numbers_in_a_browser(visited, chromium):
    script = "document.querySelector('form').requestSubmit()"
    page = chromium(f"{visited('/run/json/', script).url}/run/json/")
    assert '{"sum":3}' in page


UPLOAD = """
if (!document.querySelector("img")) {
  const bytes = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);
  const files = new DataTransfer();
  files.items.add(new File([bytes], "lenna.png", { type: "image/png" }));
  document.querySelector("[type=file]").files = files.files;
  document.querySelector("form").requestSubmit();
}
"""


def test_uploading_in_a_browser(visited, chromium):
    page = chromium(f"{visited('/run/upload/', UPLOAD).url}/run/upload/")
    assert '<img src="/run/upload/pictures/lenna.png"' in page
