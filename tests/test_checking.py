"""`kolben check`: what a deployment misses."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

import kolben
from kolben import Flask
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


def test_extensions_that_do_not_work_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flask_script", types.ModuleType("flask_script"))
    assert ids(sound()) == ["extension"]


def command(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kolben", "check", *args],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


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
    done = command(tmp_path, "nowhere:app")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
