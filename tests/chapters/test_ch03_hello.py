"""Chapter 3: hello world, its server, debug mode, addresses and ports."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import httpx
import pytest
import werkzeug.serving

from kolben import Flask, render_template

HELLO = """
from kolben import Flask

app = Flask("my-app")


@app.route("/")
def hello_world():
    return "Hello World!"


if __name__ == "__main__":
    app.run(port={port})
"""

FAILING = """
from kolben import Flask

app = Flask(__name__)


@app.route("/")
def hello_world():
    return "Hello World!"


@app.route("/boom")
def boom():
    number = 7
    return number / 0


if __name__ == "__main__":
    app.run(port={port}, debug=True, reloader_interval=0.2)
"""

COMMANDS = {
    "python": ("server.py",),
    "kolben run": ("-m", "kolben", "run", "server.py", "--port", "{port}", "--debug"),
}


# 3.1 Hello World


@pytest.fixture(scope="module")
def hello(start):
    return start("server.py", source=HELLO)


def test_the_banner_says_where_it_runs(hello):
    hello.wait_for(f" * Running on http://127.0.0.1:{hello.port}")


def test_hello_world(hello):
    answer = httpx.get(hello.url)
    assert (answer.status_code, answer.text) == (200, "Hello World!")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_one_access_line_per_request(hello):
    for path in ("/one", "/two?a=1"):
        httpx.get(hello.url + path)
        hello.wait_for(f"GET {path} ")
    lines = [line for line in hello.output.splitlines() if "GET /one" in line or "GET /two" in line]
    assert len(lines) == 2
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    time = r"\[\d\d/[A-Z][a-z]{2}/\d{4} \d\d:\d\d:\d\d\]"
    assert re.fullmatch(rf'127\.0\.0\.1 - - {time} "GET /one HTTP/1\.1" 404 -', plain[0])
    assert re.fullmatch(rf'127\.0\.0\.1 - - {time} "GET /two\?a=1 HTTP/1\.1" 404 -', plain[1])


ECHO = """
from kolben import Flask, request

app = Flask(__name__)


@app.route("/")
def echo():
    return [request.args["info"], request.path, request.full_path]


app.run(port={port})
"""


def test_a_raw_utf8_query_is_answered(start):
    server = start("server.py", source=ECHO)
    encoded = "%E8%BF%99%E6%98%AF%E7%88%B1%EF%BC%8C"
    for query in ("这是爱，", encoded):
        answer = server.get_raw(f"/?info={query}")
        assert answer.status == 200
        assert json.loads(answer.body) == ["这是爱，", "/", f"/?info={encoded}"]
    # Latin and Greek letters contain bytes that look like spaces to a careless reader.
    assert json.loads(server.get_raw("/?info=àΠ").body)[0] == "àΠ"


# 3.2 Folders


def test_static_files_and_templates_in_the_usual_folders(tmp_path):
    (tmp_path / "static").mkdir()
    (tmp_path / "static/style.css").write_text("body {}")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/page.html").write_text("a {{ 'template' }}")
    app = Flask("my-app", root_path=str(tmp_path))
    app.add_url_rule("/", "page", lambda: render_template("page.html"))
    client = app.test_client()
    assert client.get("/").text == "a template"
    with client.get("/static/style.css") as answer:
        assert (answer.text, answer.mimetype) == ("body {}", "text/css")


def test_static_files_and_templates_in_the_folders_named(tmp_path):
    for folder in ("path1", "path2"):
        (tmp_path / folder).mkdir()
    (tmp_path / "path1/style.css").write_text("body {}")
    (tmp_path / "path2/page.html").write_text("a {{ 'template' }}")
    app = Flask(
        "my-app",
        root_path=str(tmp_path),
        static_folder="path1",
        template_folder="path2",
        static_url_path="/assets",
    )
    app.add_url_rule("/", "page", lambda: render_template("page.html"))
    client = app.test_client()
    assert client.get("/").text == "a template"
    with client.get("/assets/style.css") as answer:
        assert answer.text == "body {}"
    assert client.get("/path1/style.css").status_code == 404


def test_the_static_path_is_named_after_the_static_folder(tmp_path):
    (tmp_path / "path1").mkdir()
    (tmp_path / "path1/style.css").write_text("body {}")
    app = Flask("my-app", root_path=str(tmp_path), static_folder="path1")
    with app.test_client().get("/path1/style.css") as answer:
        assert answer.text == "body {}"


# 3.3 Debug mode


@pytest.fixture(scope="module", params=COMMANDS.values(), ids=COMMANDS)
def failing(request, start):
    return start(*request.param, source=FAILING, WERKZEUG_DEBUG_PIN="123-45-678")


def boom(server):
    answer = httpx.get(f"{server.url}/boom")
    assert answer.status_code == 500
    return answer.text


def evaluate(client, server, secret, frame, command):
    arguments = {"__debugger__": "yes", "cmd": command, "frm": frame, "s": secret}
    return client.get(f"{server.url}/boom", params=arguments)


def unlock(client, server, secret, pin):
    arguments = {"__debugger__": "yes", "cmd": "pinauth", "pin": pin, "s": secret}
    return client.get(f"{server.url}/boom", params=arguments)


def test_an_exception_shows_the_interactive_traceback(failing):
    page = boom(failing)
    assert "ZeroDivisionError: division by zero" in page
    assert "return number / 0" in page
    assert "EVALEX = true" in page


def test_the_console_asks_for_the_pin(failing):
    page = boom(failing)
    secret = re.search(r'SECRET = "(\w+)"', page)[1]
    frame = re.findall(r'id="frame-(\d+)"', page)[-1]
    with httpx.Client() as client:
        locked = evaluate(client, failing, secret, frame, "number * 6")
        assert "42" not in locked.text.partition("<!--")[0][:200]
        assert unlock(client, failing, secret, "999-99-999").json()["auth"] is False
        assert unlock(client, failing, secret, "123-45-678").json()["auth"] is True
        opened = evaluate(client, failing, secret, frame, "number * 6")
        assert opened.status_code == 200
        assert "42" in opened.text


def test_the_console_is_for_trusted_hosts_only(failing):
    secret = re.search(r'SECRET = "(\w+)"', boom(failing))[1]
    headers = {"Host": "evil.example"}
    with httpx.Client(headers=headers) as client:
        refused = unlock(client, failing, secret, "123-45-678")
        assert refused.status_code == 400
        assert "auth" not in refused.text
        assert httpx.get(f"{failing.url}/console", headers=headers).status_code == 400
        page = httpx.get(f"{failing.url}/boom", headers=headers)
        assert "EVALEX = true" not in page.text


def test_the_traceback_in_a_browser(failing, chromium, tmp_path):
    page = chromium(f"{failing.url}/boom")
    assert "ZeroDivisionError" in page
    assert 'class="console' in page or "Open an interactive python shell" in page
    picture = tmp_path / "debugger.png"
    chromium(f"{failing.url}/boom", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000


def save(server, text):
    (server.folder / "server.py").write_text(text.replace("{port}", str(server.port)), "utf-8")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_saved_file_restarts_the_program_and_a_syntax_error_is_survived(start, command):
    server = start(*command, source=FAILING)
    server.wait_until(lambda: server.text() == "Hello World!")

    save(server, FAILING.replace("Hello World!", "Hello again!"))
    server.wait_until(lambda: server.text() == "Hello again!", "the saved text")

    save(server, FAILING.replace("return number", "return return number"))
    server.wait_for("SyntaxError")
    server.wait_until(lambda: "Hello" not in server.text(), "no answer of the old program")

    save(server, FAILING.replace("Hello World!", "Hello for good!"))
    server.wait_until(lambda: server.text() == "Hello for good!", "the corrected program")


def test_a_syntax_error_at_the_start_is_shown_without_an_inside_of_the_server(tmp_path):
    (tmp_path / "server.py").write_text("def broken(:\n")
    done = run("-m", "kolben", "run", "server.py", "--port", "0", cwd=tmp_path)
    assert done.returncode == 1
    assert "SyntaxError" in done.stderr


# 3.4 Address and port


def run(*arguments, cwd, before=()):
    return subprocess.run(
        [*before, sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_the_address_and_the_port_are_handed_to_the_server(monkeypatch):
    called = {}
    monkeypatch.setattr(
        werkzeug.serving, "run_simple", lambda *arguments, **options: called.update(a=arguments)
    )
    app = Flask("my-app")
    app.run(host="0.0.0.0", port=8080)
    assert called["a"][:2] == ("0.0.0.0", 8080)


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is an address of Linux")
def test_it_listens_at_another_address(start):
    source = HELLO.replace("app.run(", 'app.run(host="127.0.0.2", ')
    server = start("server.py", source=source, listens=False)
    server.wait_for(f" * Running on http://127.0.0.2:{server.port}")
    assert httpx.get(f"http://127.0.0.2:{server.port}").text == "Hello World!"


@pytest.mark.parametrize("arguments", [COMMANDS["python"], COMMANDS["kolben run"][:-1]])
def test_a_port_in_use_is_one_clear_line(hello, tmp_path, arguments):
    (tmp_path / "server.py").write_text(HELLO.replace("{port}", str(hello.port)))
    done = run(*[each.replace("{port}", str(hello.port)) for each in arguments], cwd=tmp_path)
    assert done.returncode == 1
    assert_one_line_about(hello.port, done)


def assert_one_line_about(port, done):
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert str(port) in lines[0]
    assert "Traceback" not in done.stdout + done.stderr


def test_a_privileged_port_is_one_clear_line(tmp_path):
    (tmp_path / "server.py").write_text(HELLO.replace("{port}", "80"))
    as_anybody = []
    if os.geteuid() == 0:
        # Root may use any port, unless it is started without that one right.
        if shutil.which("setpriv") is None:
            pytest.skip("root may use any port, and setpriv is not installed")
        as_anybody = ["setpriv", "--bounding-set=-net_bind_service"]
    done = run("server.py", cwd=tmp_path, before=as_anybody)
    assert done.returncode == 1
    assert_one_line_about(80, done)


def test_a_module_that_cannot_be_imported_is_named(tmp_path):
    done = run("-m", "kolben", "run", "nosuchmodule:app", "--port", "0", cwd=tmp_path)
    assert done.returncode != 0
    assert "nosuchmodule" in done.stderr
    assert "Traceback" not in done.stderr
