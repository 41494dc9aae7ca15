"""``install_as_flask()``: seen from a fresh process each, since it changes the whole process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import kolben

INSTALL = "import kolben; kolben.install_as_flask()\n"


def python(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a new process that finds Kolben, and what is in ``path``."""
    own = Path(kolben.__file__).parent.parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*path, own)))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def output(code: str, *path: Path) -> str:
    done = python(code, *path)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def real_flask(folder: Path) -> Path:
    """Something that looks like an installed Flask of another version."""
    (folder / "flask").mkdir()
    (folder / "flask/__init__.py").write_text("real = True\n")
    (folder / "flask/cli.py").write_text("real = True\n")
    (folder / "flask-9.9.dist-info").mkdir()
    (folder / "flask-9.9.dist-info/METADATA").write_text("Name: Flask\nVersion: 9.9\n")
    return folder


def test_flask_is_the_same_module_object():
    assert output(INSTALL + "import flask; print(flask is kolben)") == "True"


def test_submodules_are_the_same_objects_and_bear_the_name_of_flask():
    code = """
import sys, flask.json.provider, flask.sansio.app
from flask.cli import main
import kolben.json.provider as own, kolben.cli
assert flask.json.provider is own and flask.cli is kolben.cli
assert flask.sansio.app is sys.modules["kolben.sansio.app"]
print(own.__name__, own.__spec__.name, kolben.cli.__package__, own.JSONProvider.dumps.__module__)
"""
    names = "flask.json.provider kolben.json.provider kolben flask.json.provider"
    assert output(INSTALL + code) == names


# What `import flask` imports in Flask 3.1.3.
AT_ONCE = [
    "flask",
    "flask.app",
    "flask.blueprints",
    "flask.cli",
    "flask.config",
    "flask.ctx",
    "flask.globals",
    "flask.helpers",
    "flask.json",
    "flask.json.provider",
    "flask.json.tag",
    "flask.logging",
    "flask.sansio",
    "flask.sansio.app",
    "flask.sansio.blueprints",
    "flask.sansio.scaffold",
    "flask.sessions",
    "flask.signals",
    "flask.templating",
    "flask.typing",
    "flask.wrappers",
]
FLASKS = "sorted(name for name in sys.modules if name.split('.')[0] == 'flask')"


@pytest.mark.parametrize(
    "statement", ["import flask", "from flask import Flask", "import flask.app"]
)
def test_importing_flask_imports_the_modules_that_flask_imports(statement):
    code = f"import sys; before = {FLASKS}\n{statement}\nprint(before, *{FLASKS})"
    assert output(INSTALL + code).split() == ["[]", *AT_ONCE]


def test_the_first_test_client_imports_the_module_of_test_clients():
    code = (
        "import sys, flask; flask.Flask('a').test_client(); print('flask.testing' in sys.modules)"
    )
    assert output(INSTALL + code) == "True"


#: What agents have on `sys.meta_path`: hooks by name, called when a module of that name has run.
HOOKS = """
import importlib.util, sys

class Hooks:
    def __init__(self):
        self.waiting, self.called = {}, []
    def find_spec(self, name, path=None, target=None):
        if name not in self.waiting:
            return None
        hook = self.waiting.pop(name)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def execute_and_tell(module):
            execute(module)
            self.called.append(module.__name__)
            hook(module)
        spec.loader.exec_module = execute_and_tell
        return spec

hooks = Hooks()
hooks.waiting = {
    name: lambda module: None
    for name in ("flask", "flask.app", "flask.templating", "flask.views", "flask.testing")
}
"""
ASK = """
sys.meta_path.insert(0, hooks)
"""


@pytest.mark.parametrize(
    "program", [INSTALL + HOOKS + ASK, HOOKS + ASK + INSTALL], ids=["before", "after"]
)
def test_hooks_that_wait_for_modules_are_called(program):
    code = "import flask, flask.views; flask.Flask('a').test_client(); print(*hooks.called)"
    called = "flask.templating flask.app flask flask.views flask.testing"
    assert output(program + code) == called


def test_what_a_hook_has_replaced_is_found_wherever_flask_has_it():
    code = """
def replace(module):
    module.render_template = lambda *args: "replaced"
    module.Environment = "replaced"
hooks.waiting["flask.templating"] = replace
import flask, flask.app
print(flask.render_template("x"), flask.templating.render_template("x"), flask.app.Environment)
"""
    assert output(INSTALL + HOOKS + ASK + code) == "replaced replaced replaced"


@pytest.mark.parametrize(
    "name", ["http", "engine", "asgi", "routing.index", "serving", "websockets"]
)
def test_what_flask_does_not_have_is_not_there_under_its_name(name):
    done = python(INSTALL + f"import flask.{name}")
    first = name.split(".")[0]
    assert f"ModuleNotFoundError: No module named 'flask.{first}'" in done.stderr


def test_a_module_that_neither_has_is_looked_for_in_vain():
    code = "from importlib.util import find_spec; print(find_spec('flask.scaffold'))"
    assert output(INSTALL + code) == "None"


def test_modules_that_were_forgotten_are_imported_again():
    code = """
import sys, flask
for name in [name for name in sys.modules if name.startswith("flask")]:
    del sys.modules[name]
import flask.app
print(flask is kolben, flask.app.Flask is kolben.Flask)
"""
    assert output(INSTALL + code) == "True True"


def test_a_submodule_is_imported_when_it_is_asked_for():
    code = """
import sys
before = "kolben.testing" in sys.modules
import flask.testing
print(before, flask.testing is sys.modules["kolben.testing"])
"""
    assert output(INSTALL + code) == "False True"


def test_a_missing_submodule_is_named_as_it_was_asked_for():
    done = python(INSTALL + "import flask.scaffold")
    assert "ModuleNotFoundError: No module named 'flask.scaffold'" in done.stderr


def test_assigning_to_the_module_is_seen_by_later_imports():
    code = "import flask; flask.Flask = 'other'\nfrom flask import Flask; print(Flask)"
    assert output(INSTALL + code) == "other"


def test_a_second_call_does_nothing():
    code = "import sys; n = len(sys.meta_path); kolben.install_as_flask()\n"
    assert output(INSTALL + code + "print(len(sys.meta_path) - n)") == "0"


def test_the_real_flask_is_shadowed_and_its_distribution_left_alone(tmp_path):
    code = """
import flask, flask.cli, importlib.metadata as m
print(flask is kolben, hasattr(flask.cli, "real"), m.version("flask"))
print([d.version for d in m.distributions() if d.name == "Flask"])
"""
    lines = output(INSTALL + code, real_flask(tmp_path)).splitlines()
    assert lines == ["True False 9.9", "['9.9']"]


def test_called_too_late_it_says_so_in_one_sentence(tmp_path):
    done = python("import flask\n" + INSTALL, real_flask(tmp_path))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "RuntimeError: install_as_flask() was called too late: the module 'flask'"
    )
    assert str(tmp_path) in last
    assert last.endswith("before anything that imports flask.")


def test_without_flask_a_distribution_stands_in():
    code = """
import importlib.metadata as m
print(m.version("flask"), m.version("Flask"), m.distribution("flask").metadata["Name"])
print(len(m.distribution("flask").requires), [d.version for d in m.distributions(name="flask")])
"""
    assert output(INSTALL + code).splitlines() == ["3.1.3 3.1.3 Flask", "6 ['3.1.3']"]


def test_the_one_module_has_the_version_of_the_flask_it_stands_in_for():
    code = """
import warnings, flask
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(own, flask.__version__, kolben.__version__)
    print(len(caught), caught[0].category.__name__, caught[0].filename)
"""
    lines = output("import kolben; own = kolben.__version__\n" + INSTALL + code).splitlines()
    assert lines == ["0.1.0 3.1.3 3.1.3", "2 DeprecationWarning <string>"]


def test_without_it_flask_stays_what_it_is(tmp_path):
    code = "import kolben, flask; print(flask.real, kolben.__version__[0].isdigit())"
    assert output(code, real_flask(tmp_path)) == "True True"
