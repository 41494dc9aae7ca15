"""`kolben new`: what it writes runs, passes its own tests, and is safe to deploy."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kolben.cli import cli


@pytest.fixture
def runner(tmp_path, monkeypatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner()


def new(runner: CliRunner, *args: str) -> Result:
    return runner.invoke(cli, ["new", *args])


def in_project(folder: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("kind", [[], ["--api"]], ids=["site", "api"])
def test_the_tests_of_a_new_project_pass(runner, kind):
    if kind:
        pytest.importorskip("msgspec")
    result = new(runner, "web-shop", *kind)
    assert result.exit_code == 0, result.output
    assert "cd web-shop" in result.output
    done = in_project("web-shop", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    routes = in_project("web-shop", "kolben", "routes")
    assert routes.returncode == 0, routes.stderr
    assert "static" in routes.stdout
    check = in_project("web-shop", "kolben", "check", "wsgi:app")
    assert check.returncode == 0, check.stdout
    left = [path for path in Path("web-shop").rglob("*") if path.is_file()]
    texts = [path.read_text() for path in left if path.suffix != ".pyc"]
    assert not any("@@" in text for text in texts)
    assert not any(path.suffix == ".tmpl" for path in left)


def test_the_key_is_a_projects_own_and_its_owners_to_read(runner):
    new(runner, "one")
    new(runner, "two")
    assert Path("one/.env").read_text() != Path("two/.env").read_text()
    assert stat.S_IMODE(os.stat("one/.env").st_mode) == 0o600
    assert ".env" in Path("one/.gitignore").read_text().splitlines()
    assert ".env" in Path("one/.dockerignore").read_text().splitlines()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("9lives", "cannot be the name of a Python package"),
        ("class", "cannot be the name of a Python package"),
        ("a shop", "cannot be the name of a Python package"),
        ("läden", "cannot be the name of a Python package"),
        ("json", "would be hidden"),
        ("flask", "would be hidden"),
    ],
)
def test_a_name_that_makes_no_package_is_refused(runner, name, said):
    result = new(runner, name)
    assert result.exit_code == 1
    assert said in result.output
    assert not Path(name).exists()


def test_nothing_that_is_there_is_written_over(runner):
    Path("shop").mkdir()
    Path("shop/wsgi.py").write_text("mine")
    result = new(runner, "shop")
    assert (result.exit_code, Path("shop/wsgi.py").read_text()) == (1, "mine")
    assert "'shop' exists and is not empty" in result.output
    Path("empty").mkdir()
    assert new(runner, "empty").exit_code == 0


def test_a_project_begins_in_a_folder_that_holds_no_more_than_its_tools(runner, monkeypatch):
    Path("web-shop/.git").mkdir(parents=True)
    Path("web-shop/.venv").mkdir()
    monkeypatch.chdir("web-shop")
    result = new(runner, ".")
    assert result.exit_code == 0, result.output
    assert "cd " not in result.output
    assert 'name = "web-shop"' in Path("pyproject.toml").read_text()
    assert Path("web_shop/views.py").exists()
