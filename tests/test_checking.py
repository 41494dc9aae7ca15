"""`kolben check`: what a deployment misses."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

import kolben
from kolben import Flask
from kolben.api import API, Meta, Problem, Struct
from kolben.checking import check

KEY = "a6f1c0d8e2b94735a1c2d3e4f5061728"


@pytest.fixture(autouse=True)
def no_flask_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "flask", raising=False)


def sound(**settings: Any) -> Flask:
    app = Flask("sound")
    app.config.from_mapping(kolben.secure_defaults, SECRET_KEY=KEY, TRUSTED_HOSTS=["example.com"])
    app.config.from_mapping(settings)
    return app


def ids(app: Flask, **options: Any) -> list[str]:
    return [finding.id for finding in check(app, **{"proxy_count": 0, **options})]


def test_of_a_sound_application_nothing_is_found() -> None:
    assert ids(sound()) == []


@pytest.mark.parametrize(
    ("setting", "value", "found"),
    [
        ("DEBUG", True, "debug"),
        ("TESTING", True, "testing"),
        ("SECRET_KEY", None, "secret-key-missing"),
        ("SECRET_KEY", "dev", "secret-key-guessable"),
        ("SECRET_KEY", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "secret-key-guessable"),
        ("SECRET_KEY", b"x9#fQ2!z", "secret-key-short"),
        ("SECRET_KEY_FALLBACKS", ["secret"], "secret-key-guessable"),
        ("SESSION_COOKIE_SECURE", False, "cookie-secure"),
        ("SESSION_COOKIE_SAMESITE", None, "cookie-samesite"),
        ("SESSION_COOKIE_HTTPONLY", False, "cookie-httponly"),
        ("TRUSTED_HOSTS", None, "trusted-hosts"),
        ("MAX_CONTENT_LENGTH", None, "body-limit"),
    ],
)
def test_each_setting_that_is_missing_is_found(setting: str, value: Any, found: str) -> None:
    assert ids(sound(**{setting: value})) == [found]


def test_proxies_are_to_be_named() -> None:
    app = sound()
    assert ids(app, proxy_count=None) == ["proxies"]
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    assert ids(app, proxy_count=None) == []


def test_websockets_need_asgi() -> None:
    app = sound()

    @app.websocket("/ws")
    async def ws() -> None: ...

    assert ids(app) == []
    assert ids(app, interface="wsgi") == ["websocket-on-wsgi"]


def test_websockets_that_need_the_socket_itself_are_found() -> None:
    """As flask-sock registers its own, and as Flask-SocketIO is known."""
    app = sound()
    app.add_url_rule("/sock", "sock", lambda: "", websocket=True)
    (finding,) = check(app, proxy_count=0)
    assert (finding.id, finding.level) == ("websocket-needs-socket", "warning")
    assert "/sock" in finding.what
    app.extensions["socketio"] = object()
    assert ids(app) == ["websocket-needs-socket"] * 2
    assert "Flask-SocketIO" in check(app, proxy_count=0)[1].what


def test_routes_that_hide_each_other_are_found() -> None:
    app = sound()
    for rule, endpoint, methods in (
        ("/a/<name>", "one", ["GET"]),
        ("/a/<other>", "two", ["GET"]),
        ("/a/<int:number>", "three", ["GET"]),
        ("/a/<name>", "four", ["POST"]),
    ):
        app.add_url_rule(rule, endpoint, lambda **values: "", methods=methods)
    (finding,) = check(app, proxy_count=0)
    assert finding.id == "hidden-route"
    assert "'two'" in finding.what
    assert "'one'" in finding.why


def test_flask_itself_beside_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    other: Any = types.ModuleType("flask")
    other.Flask = type("Flask", (), {"__module__": "flask.app"})
    monkeypatch.setitem(sys.modules, "flask", other)
    assert ids(sound()) == ["real-flask"]
    monkeypatch.setitem(sys.modules, "flask", kolben)
    assert ids(sound()) == []


FAKE_FLASK = "class Flask: ...\nrequest = None\n"


def test_flask_that_an_extension_loads_under_other_servers_is_found(tmp_path: Path) -> None:
    """In the command's own process Kolben stands in Flask's place, and hides it."""
    (tmp_path / "flask.py").write_text(FAKE_FLASK)
    (tmp_path / "extension.py").write_text("import flask\n")
    program = "import kolben\n{}app = kolben.Flask(__name__)\n"
    for name, more in {
        "mixed": "import extension\n",
        "installed": "kolben.install_as_flask()\nimport extension\n",
        "alone": "",
    }.items():
        (tmp_path / f"{name}.py").write_text(program.format(more))
    # All by Flask's name: that is for kolben serve, and mixes nothing.
    (tmp_path / "named.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    for name in ("mixed", "installed", "alone", "named"):
        done = command(tmp_path, f"{name}:app", "--json")
        found = {one["id"]: one for one in json.loads(done.stdout)["findings"]}
        assert ("real-flask" in found) == (name == "mixed"), (name, done.stderr)
        if name == "mixed":
            assert found["real-flask"]["what"].startswith("extension imports Flask itself")


def test_an_extension_that_cannot_be_imported_is_named_with_what_to_use(tmp_path: Path) -> None:
    (tmp_path / "flask_script.py").write_text("import flask._compat\n")
    (tmp_path / "program.py").write_text("import kolben, flask_script\napp = kolben.Flask('x')\n")
    done = command(tmp_path, "program:app")
    assert done.returncode == 2
    assert "flask_script does not work" in done.stderr
    assert "@app.cli.command()" in done.stderr


class Naive(Struct):
    at: datetime
    maybe: list[datetime | None]


class Aware(Struct):
    at: Annotated[datetime, Meta(tz=True)]


class Gone(Problem, status=410, title="Gone"): ...


def lints(view: Any, **options: Any) -> list[str]:
    app = API("api", **options)
    app.config.from_mapping(kolben.secure_defaults, SECRET_KEY=KEY, TRUSTED_HOSTS=["example.com"])
    app.post("/<int:number>", **options)(view)
    return [f"{one.id} {one.what.partition('(): ')[2]}" for one in check(app, proxy_count=0)]


def test_typed_views_with_times_without_zones_are_found() -> None:
    def naive(number: int, body: Naive) -> Naive:
        return body

    def aware(number: int, body: Aware) -> Aware:
        return body

    assert lints(naive) == [
        "api-naive-datetime Naive.at may be without a time zone",
        "api-naive-datetime Naive.maybe may be without a time zone",
    ]
    assert lints(aware) == []


def test_typed_views_whose_result_is_not_annotated_are_found() -> None:
    def untyped(number: int):  # type: ignore[no-untyped-def]
        return number

    def typed(number: int) -> int:
        return number

    assert lints(untyped) == ["api-untyped-result what it returns is not annotated"]
    assert lints(typed) == []


def test_typed_views_with_errors_that_are_not_documented_are_found() -> None:
    def silent(number: int) -> int:
        if number > 5:
            raise Gone
        if number > 4:
            raise Gone(detail="It is gone.")
        if number == 3:
            kolben.abort(409)
        kolben.abort(404)

    assert lints(silent) == [
        "api-undocumented-error Gone is not in the document",
        "api-undocumented-error abort(409) is not in the document",
    ]
    assert lints(silent, raises=[Gone]) == [
        "api-undocumented-error abort(409) is not in the document"
    ]


def test_extensions_that_do_not_work_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flask_sockets", types.ModuleType("flask_sockets"))
    assert ids(sound()) == ["extension"]


def test_an_extension_that_was_imported_all_the_same_is_no_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Flask-Reuploaded, which is to be used in place of Flask-Uploads, is a module of its name."""
    for name in ("flask_uploads", "flask_script"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    assert ids(sound()) == []


@pytest.mark.parametrize("distribution", ["Flask-Reuploaded", "Flask-Uploads"])
def test_a_fork_that_fails_is_not_mistaken_for_what_it_replaces(
    tmp_path: Path, distribution: str
) -> None:
    (tmp_path / "flask_uploads.py").write_text("raise ImportError('no uploads')\n")
    folder = tmp_path / f"{distribution.replace('-', '_').lower()}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (folder / "top_level.txt").write_text("flask_uploads\n")
    (tmp_path / "program.py").write_text("import flask_uploads\n")
    done = command(tmp_path, "program:app")
    assert done.returncode == 2
    assert ("does not work" in done.stderr) == (distribution == "Flask-Uploads")


def command(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kolben", "check", *args],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_key_that_can_be_guessed_is_named() -> None:
    app = sound()
    app.config["SECRET_KEY_FALLBACKS"] = [KEY, "changeme"]
    assert [one.what for one in check(app, proxy_count=0)] == [
        "Key 2 of SECRET_KEY_FALLBACKS can be guessed"
    ]


def test_what_a_program_prints_and_starts_is_not_in_the_way(tmp_path: Path) -> None:
    program = (
        "import threading, time, kolben\nprint('noise')\n"
        "threading.Thread(target=time.sleep, args=[300]).start()\n{}app = kolben.Flask(__name__)\n"
    )
    (tmp_path / "busy.py").write_text(program.format(""))
    done = command(tmp_path, "busy:app", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"]
    assert done.stderr == "noise\n"
    (tmp_path / "wrong.py").write_text(program.format("1 / 0\n"))
    done = command(tmp_path, "wrong:app")
    assert (done.returncode, done.stdout) == (2, "")
    assert "ZeroDivisionError" in done.stderr
    (tmp_path / "flask.py").write_text(FAKE_FLASK)
    (tmp_path / "mixed.py").write_text(program.format("import flask\n"))
    assert "mixed imports Flask itself" in command(tmp_path, "mixed:app").stdout


def test_the_command_tells_by_its_status(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import flask\napp = flask.Flask(__name__)\n")
    (tmp_path / "good.py").write_text(
        "import kolben\napp = kolben.Flask(__name__)\napp.config.from_mapping(kolben.secure_defaults,"
        f" SECRET_KEY={KEY!r}, TRUSTED_HOSTS=['x'])\n"
    )
    done = command(tmp_path, "good:app", "--proxy-count", "0")
    assert (done.returncode, done.stdout) == (0, "Nothing is missing.\n"), done.stderr
    done = command(tmp_path, "bad:app", "--json", "--ignore", "proxies")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)["findings"]
    assert {"secret-key-missing", "cookie-secure", "body-limit"} <= {one["id"] for one in found}
    assert {"proxies", "real-flask"}.isdisjoint(one["id"] for one in found)
    assert all(one["what"] and one["why"] and one["mend"] for one in found)
    lines = command(tmp_path, "bad:app").stdout.splitlines()
    assert len(lines) == len(found) + 1
    (tmp_path / "loud.py").write_text("from good import app\napp.debug = True\n")
    done = command(tmp_path, "loud:app", "--proxy-count", "0")
    assert (done.returncode, done.stdout[:13]) == (1, "error [debug]")
    done = command(tmp_path, "nowhere:app")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
