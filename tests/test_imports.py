"""What importing the package costs: nothing that is rarely used is imported with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

RARELY_USED = [
    "asyncio",
    "importlib.metadata",
    "kolben.asgi",
    "kolben.testing",
    "pathlib",
    "zipfile",
]

# What a test run adds to the interpreter (coverage, plugins) must not count: a fresh one without
# site-packages' start-up files still finds the packages by the path that is handed over.
PROGRAM = f"""
import sys
sys.path[:] = {sys.path!r}
before = set(sys.modules)
import werkzeug, click, jinja2, itsdangerous, blinker
theirs = set(sys.modules) - before
import kolben
print(*(set(sys.modules) - before - theirs))
"""


@pytest.fixture(scope="module")
def imported() -> set[str]:
    done = subprocess.run([sys.executable, "-I", "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("name", RARELY_USED)
def test_importing_the_package_does_not_import(imported: set[str], name: str) -> None:
    assert name not in imported


WSGI_REQUEST = f"""
import sys
sys.path[:] = {sys.path!r}
import kolben
app = kolben.Flask("shop")
app.add_url_rule("/", view_func=lambda: "hello")
environ = {{
    "REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
    "wsgi.url_scheme": "http",
}}
assert list(app(environ, lambda status, headers: None)) == [b"hello"]
print(*sys.modules)
"""


@pytest.mark.parametrize("program", [PROGRAM, WSGI_REQUEST], ids=["import", "request"])
def test_under_wsgi_the_gateway_of_asgi_is_never_imported(program: str) -> None:
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = done.stdout.split()
    assert "kolben.app" in names
    assert [name for name in names if name.startswith("kolben.asgi")] == []
