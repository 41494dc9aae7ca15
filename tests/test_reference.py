"""The reference has every public name, setting, command and option, and nothing else."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import types
from pathlib import Path
from typing import Any

import click
import pytest

import kolben
from kolben.api.command import openapi_command
from kolben.cli import cli

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
DIRECTIVE = re.compile(r"^\.\. (?:auto\w+|py:data):: (kolben[\w.]+)$", re.MULTILINE)
DESCRIBED = [
    name for path in REFERENCE.glob("*.rst") for name in DIRECTIVE.findall(path.read_text())
]


def resolve(name: str) -> Any:
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def names_of(module: str, wanted: Any = None) -> list[str]:
    """The names that a module shows, modules and `annotations` left out."""
    found = importlib.import_module(module)
    return [
        f"{module}.{name}"
        for name, value in vars(found).items()
        if not name.startswith("_")
        and name != "annotations"
        and not isinstance(value, types.ModuleType)
        and (wanted is None or wanted(name, value))
    ]


def is_ours(value: Any) -> bool:
    place = str(getattr(value, "__module__", ""))
    return place.startswith("kolben") and (inspect.isclass(value) or inspect.isfunction(value))


def public_names() -> list[str]:
    """Kolben's and its API's, those of Flask's modules, and what the index lists as additions."""
    flask = json.loads((ROOT / "tests" / "surface" / "flask-3.1.3.json").read_text())["modules"]
    found = names_of("kolben") + names_of("kolben.api")
    for module, theirs in flask.items():
        own = module.replace("{package}", "kolben")
        found += names_of(own, lambda name, value, theirs=theirs: name in theirs and is_ours(value))
    table = (
        (ROOT / "docs" / "index.md").read_text().partition("## Names that Flask does not have")[2]
    )
    for place, names in re.findall(
        r"^\| `(kolben\.[a-z.]\w[\w.]*)` \| (`.*?) \|", table, re.MULTILINE
    ):
        found += [f"{place}.{name}" for name in re.findall(r"`(\w+)`", names)]
    return found + names_of("kolben.async_testing", lambda name, value: is_ours(value))


def test_each_public_name_is_described() -> None:
    described = {id(resolve(name)) for name in DESCRIBED}
    missing = [name for name in public_names() if id(resolve(name)) not in described]
    assert len(DESCRIBED) > 150
    assert missing == []


def test_no_name_is_described_twice() -> None:
    assert sorted(DESCRIBED) == sorted(set(DESCRIBED))


def settings_of_source() -> set[str]:
    """What the package itself asks a configuration for, beside what it starts with."""
    found = set(kolben.Flask.default_config)
    for path in (ROOT / "src" / "kolben").rglob("*.py"):
        if "skeletons" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                of, key, method = node.func.value, node.args[0], node.func.attr
                named = method == "get" and ast.unparse(of).endswith("config")
            elif isinstance(node, ast.Subscript):
                named, key = ast.unparse(node.value).endswith("config"), node.slice
            else:
                continue
            if named and isinstance(key, ast.Constant) and isinstance(key.value, str):
                found.add(key.value)
    return found


ROW = re.compile(r"^\| `([A-Z_]+)`( \*)? \| (.*?) \|", re.MULTILINE)


def test_each_setting_is_described_and_each_described_one_is_read() -> None:
    rows = ROW.findall((REFERENCE / "settings.md").read_text())
    assert sorted(name for name, _, _ in rows) == sorted(settings_of_source())


def test_the_star_is_at_what_flask_does_not_have() -> None:
    for name, star, _ in ROW.findall((REFERENCE / "settings.md").read_text()):
        assert bool(star) == (name not in kolben.Flask.default_config), name


def test_the_defaults_are_those_of_the_application() -> None:
    shown = {
        name: default for name, _, default in ROW.findall((REFERENCE / "settings.md").read_text())
    }
    for name, value in kolben.Flask.default_config.items():
        if name in {"DEBUG", "PERMANENT_SESSION_LIFETIME"}:  # of the environment; in days
            continue
        default = shown[name].strip("`")
        assert default.replace(",", "").strip('"') == str(value), name


COMMANDS = {**cli.commands, "openapi": openapi_command}
SECTIONS = dict(
    re.findall(
        r"^## kolben (\w+)\n(.*?)(?=^## |\Z)",
        (REFERENCE / "commands.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
)


def options_of(command: click.Command) -> list[str]:
    return sorted(
        name
        for parameter in command.get_params(click.Context(command))
        if isinstance(parameter, click.Option) and "--help" not in parameter.opts
        for name in [*parameter.opts, *parameter.secondary_opts]
    )


def rows_of(text: str) -> list[str]:
    cells = re.findall(r"^\| (`-.*?) \|", text, re.MULTILINE)
    return sorted(name for cell in cells for name in re.findall(r"`(-[\w-]+)`", cell))


def test_each_command_is_described() -> None:
    assert sorted(SECTIONS) == sorted(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_option_is_described(name: str) -> None:
    assert rows_of(SECTIONS[name]) == options_of(COMMANDS[name])


def test_each_option_before_a_command_is_described() -> None:
    text = (REFERENCE / "commands.md").read_text().partition("## kolben ")[0]
    assert rows_of(text) == options_of(cli)


def parameters_of(node: ast.AST) -> set[str] | None:
    """What a function, or the making of a class, takes; None where others decide that."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = node.args
        found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        found += [arguments.vararg] if arguments.vararg else []
        if arguments.kwarg:  # what is passed on by its name
            return None
        return {each.arg for each in found}
    assert isinstance(node, ast.ClassDef)
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            return parameters_of(each)
    return None


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "src" / "kolben").rglob("*.py")),
    ids=lambda path: str(path.relative_to(ROOT / "src")),
)
def test_each_parameter_that_is_described_is_taken(path: Path) -> None:
    wrong = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            named = re.findall(
                r"^ *:param (?:\S+ )?\*{0,2}(\w+):", ast.get_docstring(node) or "", re.MULTILINE
            )
            taken = parameters_of(node)
            wrong += [
                f"{node.name}: {name}" for name in named if taken is not None and name not in taken
            ]
    assert wrong == []
