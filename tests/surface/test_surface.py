"""Kolben offers everything that Flask 3.1.3 does: it may accept more, never less or under other names.

`flask-3.1.3.json` is written by `inventory.py` in an environment with Flask (`make reference`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FLASK: dict[str, Any] = json.loads((HERE / "flask-3.1.3.json").read_text())

# What differs, and why. A key is the path that a failure prints.
_LAYER = "imported by Flask's module for its own use; here that module lies below the name's home"
EXCEPTIONS = {
    "{package}.debughelpers.App": _LAYER,
    "{package}.debughelpers.BaseLoader": "Jinja2's own name, imported for an annotation",
    "{package}.debughelpers.Blueprint": _LAYER,
}


@pytest.fixture(scope="module")
def kolben_surface() -> dict[str, Any]:
    command = [sys.executable, HERE / "inventory.py", "kolben"]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("FLASK_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    if done.returncode:
        pytest.fail(done.stderr, pytrace=False)
    surface: dict[str, Any] = json.loads(done.stdout)
    return surface


def parameter_difference(index: int, theirs: list[str], ours: list[list[str]]) -> str:
    """Say how one parameter of Flask's could not be passed here; empty when it could."""
    name, kind, default = theirs
    if kind.startswith("VAR"):
        there = any(our_kind == kind for _, our_kind, _ in ours)
        return "" if there else f"does not take {name} ({kind})"
    places = [our_name for our_name, our_kind, _ in ours if our_kind.startswith("POSITIONAL")]
    if kind == "POSITIONAL_ONLY":
        return "" if len(places) > index else f"takes no parameter at place {index}"
    known = {our_name: our_default for our_name, _, our_default in ours}
    if name not in known:
        return f"has no parameter {name}"
    if kind == "POSITIONAL_OR_KEYWORD" and places[index : index + 1] != [name]:
        return f"{name} is not at place {index}"
    if known[name] != default:
        return f"default of {name} is {known[name]}, not {default}"
    return ""


def signature_differences(theirs: list[list[str]] | None, ours: list[list[str]] | None) -> str:
    """Say how a call that Flask accepts would not be accepted here; empty when each one would."""
    if theirs is None:
        return ""
    if ours is None:
        return "has no signature"
    for index, parameter in enumerate(theirs):
        if difference := parameter_difference(index, parameter, ours):
            return difference
    names = {name for name, _, _ in theirs}
    by_place = any(kind == "POSITIONAL_ONLY" for _, kind, _ in theirs)
    for name, kind, default in ours:
        asked = kind in ("POSITIONAL_OR_KEYWORD", "KEYWORD_ONLY") and not default
        if asked and name not in names and not by_place:
            return f"asks for {name}"
    return ""


def member_differences(path: str, theirs: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
    if missing := {b for b in theirs.get("bases", []) if "typing.Generic" not in b} - set(
        ours.get("bases", [])
    ):
        yield f"{path}: is no subclass of {sorted(missing)}"
    for name, member in theirs.get("members", {}).items():
        if name not in ours.get("members", {}):
            yield f"{path}.{name}: missing"
        elif member.get("signature") and (
            difference := signature_differences(
                member["signature"], ours["members"][name].get("signature")
            )
        ):
            yield f"{path}.{name}: {difference}"


def module_differences(kolben_surface: dict[str, Any]) -> Iterator[str]:
    for module, names in FLASK["modules"].items():
        if module not in kolben_surface["modules"]:
            yield f"{module}: missing"
            continue
        found = kolben_surface["modules"][module]
        for name, about in names.items():
            path = f"{module}.{name}"
            if name not in found:
                yield f"{path}: missing"
                continue
            if difference := signature_differences(
                about.get("signature"), found[name].get("signature")
            ):
                yield f"{path}: {difference}"
            yield from member_differences(path, about, found[name])


def command_differences(path: str, theirs: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
    for name, about in theirs["params"].items():
        found = ours["params"].get(name)
        if found is None:
            yield f"{path} {name}: missing"
            continue
        if missing := set(about["flags"]) - set(found["flags"]):
            yield f"{path} {name}: no {sorted(missing)}"
        for key in about.keys() - {"flags", "type"}:
            if about[key] != found[key]:
                yield f"{path} {name}: {key} is {found[key]!r}, not {about[key]!r}"
    for name, command in theirs["commands"].items():
        if name in ours["commands"]:
            yield from command_differences(f"{path} {name}", command, ours["commands"][name])
        else:
            yield f"{path} {name}: missing"


def expect_none(differences: Iterator[str]) -> None:
    unexpected = [one for one in differences if one.split(":")[0] not in EXCEPTIONS]
    assert not unexpected, "\n".join(["", *unexpected])


def test_every_module_name_member_and_signature(kolben_surface: dict[str, Any]) -> None:
    expect_none(module_differences(kolben_surface))


def test_every_attribute_of_the_objects_that_users_hold(kolben_surface: dict[str, Any]) -> None:
    expect_none(
        f"{key}.{name}: missing"
        for key, names in FLASK["instances"].items()
        for name in names
        if name not in kolben_surface["instances"][key]
    )


def test_every_setting_has_the_same_default(kolben_surface: dict[str, Any]) -> None:
    assert {**kolben_surface["config"], **FLASK["config"]} == kolben_surface["config"]


@pytest.mark.parametrize("kind", ["jinja_globals", "jinja_filters", "jinja_tests"])
def test_every_name_known_in_templates(kolben_surface: dict[str, Any], kind: str) -> None:
    assert set(FLASK[kind]) <= set(kolben_surface[kind])


def test_every_command_and_option(kolben_surface: dict[str, Any]) -> None:
    expect_none(command_differences("flask", FLASK["cli"], kolben_surface["cli"]))
    assert kolben_surface["auto_envvar_prefix"] == FLASK["auto_envvar_prefix"]


def test_exceptions_still_hold(kolben_surface: dict[str, Any]) -> None:
    """A line of the table that is no longer needed goes away."""
    seen = {
        one.split(":")[0]
        for one in [
            *module_differences(kolben_surface),
            *command_differences("flask", FLASK["cli"], kolben_surface["cli"]),
        ]
    }
    assert set(EXCEPTIONS) <= seen


def test_deprecated_names_warn() -> None:
    program = """
import kolben
kolben.install_as_flask()
import warnings
warnings.simplefilter("error")
import flask
try:
    flask.__version__
except DeprecationWarning as warning:
    assert "__version__" in str(warning)
else:
    raise SystemExit("flask.__version__ gives no warning")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
