"""``install_as_flask()``: seen from a fresh process each, since it changes the whole process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def test_submodules_are_the_same_objects_and_keep_their_own_identity():
    code = """
import sys, flask.json.provider, flask.sansio.app
from flask.cli import main
import kolben.json.provider as own, kolben.cli
assert flask.json.provider is own and flask.cli is kolben.cli
assert flask.sansio.app is sys.modules["kolben.sansio.app"]
print(own.__name__, own.__spec__.name, kolben.cli.__spec__.name)
"""
    names = "kolben.json.provider kolben.json.provider kolben.cli"
    assert output(INSTALL + code) == names


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
