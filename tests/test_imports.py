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


#: What a small program has no use for in production.
FOR_OTHERS = [
    "asyncio",
    "click",
    "http.client",
    "http.server",
    "jinja2",
    "kolben.async_testing",
    "kolben.debugging",
    "kolben.testing",
    "socketserver",
    "ssl",
    "werkzeug.debug",
    "werkzeug.serving",
    "werkzeug.test",
]


def run(program: str) -> str:
    program = f"import sys\nsys.path[:] = {sys.path!r}\n{program}"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def loaded_by_an_application() -> list[str]:
    return run("from kolben import Flask\nFlask('shop')\nprint(*sys.modules)").split()


@pytest.mark.parametrize("name", FOR_OTHERS)
def test_making_an_application_imports_nothing_of(
    loaded_by_an_application: list[str], name: str
) -> None:
    assert "kolben.app" in loaded_by_an_application
    assert name not in loaded_by_an_application


def test_what_is_not_imported_is_there_where_a_program_reads_it() -> None:
    program = """
import kolben
app = kolben.Flask("shop")
admin = kolben.Blueprint("admin", "shop")
app.register_blueprint(admin)
print(kolben.app.Environment is kolben.templating.Environment is kolben.Flask.jinja_environment)
print(type(app.jinja_env) is app.jinja_environment, "Environment" in dir(kolben.templating))
print(app.cli.name, admin.cli.name, type(app.cli) is kolben.cli.AppGroup)
import kolben.cli
print(kolben.app.cli is kolben.cli, kolben.templating.TemplateNotFound.__module__)
with app.app_context():
    print(kolben.render_template_string("{{ 1 + 1 }}"))
"""
    assert run(program).splitlines() == [
        "True",
        "True True",
        "shop admin True",
        "True jinja2.exceptions",
        "2",
    ]


def test_as_flask_everything_is_imported_under_its_names_at_once() -> None:
    program = """
import kolben
kolben.install_as_flask()
import flask
print(type(sys.modules["flask.cli"]).__name__, flask.cli.AppGroup.__module__)
print(vars(flask.templating)["Environment"].__module__, "jinja2" in sys.modules)
"""
    assert run(program).splitlines() == ["module flask.cli", "flask.templating True"]


def test_the_package_werkzeug_is_whole_at_the_first_look() -> None:
    program = """
import kolben
import werkzeug
print(werkzeug.serving.__name__, werkzeug.run_simple.__name__, werkzeug.Client.__name__)
from werkzeug import Request, Response, exceptions, run_simple
import werkzeug.test
print(Request is werkzeug.wrappers.Request, Response is werkzeug.Response, type(werkzeug).__name__)
print(werkzeug.Client is werkzeug.test.Client, kolben.cli.run_simple is run_simple)
print(hasattr(werkzeug, "nothing"), "run_simple" in dir(kolben.cli))
"""
    assert run(program).splitlines() == [
        "werkzeug.serving run_simple Client",
        "True True module",
        "True True",
        "False True",
    ]


@pytest.mark.parametrize(
    "look", ["werkzeug.Request", "werkzeug.serving", "werkzeug.debug", "werkzeug.nothing"]
)
def test_any_first_look_at_the_package_werkzeug_answers_as_ever(look: str) -> None:
    program = "import {}\nimport werkzeug, werkzeug.debug\nprint(getattr({}, {!r}, None))"
    owner, _, name = look.rpartition(".")
    assert run(program.format("kolben", owner, name)) == run(program.format("sys", owner, name))


def test_threads_that_look_at_the_package_werkzeug_at_once_all_find_it_whole() -> None:
    program = """
import threading
import kolben, werkzeug
names = ["run_simple", "Client", "Request", "Response", "serving", "test"]
found, start = [], threading.Barrier(12)
def look(name):
    start.wait()
    found.append(getattr(werkzeug, name).__name__.rpartition(".")[2] == name)
threads = [threading.Thread(target=look, args=[name]) for name in names * 2]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), all(found), type(werkzeug).__name__)
"""
    for _ in range(5):
        assert run(program).split() == ["12", "True", "module"]


def test_an_agent_that_waits_for_the_package_werkzeug_is_told_at_once() -> None:
    program = """
from importlib.abc import Loader
from importlib.machinery import PathFinder
class Watched(Loader):
    def __init__(self, loader): self.loader = loader
    def create_module(self, spec): return self.loader.create_module(spec)
    def exec_module(self, module):
        self.loader.exec_module(module)
        print("imported", module.__name__, hasattr(module, "run_simple"))
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != "werkzeug": return None
        spec = PathFinder.find_spec(name, path, target)
        spec.loader = Watched(spec.loader)
        return spec
sys.meta_path.insert(0, Finder())
import kolben
"""
    assert run(program) == "imported werkzeug True\n"
