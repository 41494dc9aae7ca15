"""The reference has every public name, setting, command and option, and nothing else."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import types
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import blinker
import click
import pytest

import kolben
import kolben.signals
import kolben.typing
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


#: Modules of the top floor that serve the others, and are imported by no program.
INNER = {
    "json.depth",
    "json.refusals",
    *(
        "checking",
        "concurrency",
        "debugging",
        "files",
        "greenlets",
        "jinja",
        "lazy",
        "listing",
        "options",
    ),
    *("problems", "projects", "signing", "tables", "threads"),
    *("asgi", "engine", "http", "loading", "routing", "serving"),
}
#: What the other modules have for each other.
INNER_NAMES = {
    "app": {"answer_request"},
    "cli": {"LateCommand"},
    "ctx": {
        "announce_popped",
        "forget_what_is_over",
        "hook_scopes",
        "raise_failures",
        "send_to_all",
    },
    "globals": {"current_request_context", "find_app", "find_request_context"},
    "json": {"dumps_compact"},
    "json.provider": {"tagged_json"},
    "limits": {"has_limits", "limit_of", "limit_time"},
    "logging": {"printable", "shown_error"},
    "protection": {"add_headers", "protect", "refuse_foreign_origins"},
    "sansio.app": {"check_blueprint", "naming_decorator"},
    "sansio.scaffold": {
        *(
            "check_view",
            "notice_bare_decorator",
            "notice_uncallable",
            "registering",
            "require_callable",
        ),
    },
    "server_sessions": {"UnavailableSession", "use_configured_store"},
    "sessions": {"vary_on_cookie"},
    "templating": {"add_processed_names"},
    "websockets": {"WebSocketView", "explain_mismatch", "is_origin_allowed", "urlsplit_netloc"},
    "wrappers": {"keeps_short_ways", "split_blueprint_path", "text_response"},
}


def modules_of(package: types.ModuleType) -> list[str]:
    """The modules of a package that programs import, and those within them."""
    found = []
    for entry in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        name = entry.name.removeprefix("kolben.")
        if "._" not in entry.name and name not in INNER and package is not kolben.api:
            found.append(entry.name)
            if entry.ispkg:
                found += modules_of(importlib.import_module(entry.name))
    return found


def own_names(module: str) -> list[str]:
    """The classes and functions that a module defines under names without an underscore."""
    found = vars(importlib.import_module(module))
    inner = INNER_NAMES.get(module.removeprefix("kolben."), set())
    return [
        f"{module}.{name}"
        for name, value in found.items()
        if not name.startswith("_")
        and name not in inner
        and getattr(value, "__module__", None) == module
        and not isinstance(value, TypeVar | ParamSpec)
    ]


def public_names() -> list[str]:
    """All that `kolben` and `kolben.api` show, and what the modules that programs import define."""
    found = [
        f"{module}.{name}"
        for module in ("kolben", "kolben.api")
        for name, value in vars(importlib.import_module(module)).items()
        if not name.startswith("_")
        and name != "annotations"
        and not isinstance(value, types.ModuleType)
    ]
    aliases = [name for name in vars(kolben.typing) if re.fullmatch(r"[A-Z]\w+", name)]
    found += [f"kolben.typing.{name}" for name in aliases]
    found += [
        f"kolben.signals.{name}"
        for name, value in vars(kolben.signals).items()
        if isinstance(value, blinker.Signal)
    ]
    return [*found, *(name for module in modules_of(kolben) for name in own_names(module))]


def test_each_public_name_is_described() -> None:
    described = {id(resolve(name)) for name in DESCRIBED}
    missing = [name for name in public_names() if id(resolve(name)) not in described]
    assert len(DESCRIBED) > 150
    assert missing == []


def test_what_is_left_out_is_there() -> None:
    for module in INNER:
        importlib.import_module(f"kolben.{module}")
    for module, names in INNER_NAMES.items():
        assert names <= vars(importlib.import_module(f"kolben.{module}")).keys()


def test_no_name_is_described_twice() -> None:
    assert sorted(DESCRIBED) == sorted(set(DESCRIBED))


def strings_of_source() -> set[str]:
    """The words in capitals that the package has as strings: settings, variables, keys of an environ."""
    return {
        node.value
        for path in (ROOT / "src" / "kolben").rglob("*.py")
        if "skeletons" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+_?", node.value)
    }


#: Variables of the environment that users may set, beside those of options.
VARIABLES = {
    *("FLASK_DEBUG", "FLASK_SKIP_DOTENV", "WEB_CONCURRENCY", "FORCE_COLOR", "GLIBC_TUNABLES"),
    *("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"),
}
#: What else is written in capitals: an environ's keys, names of other modules, and what processes tell each other.
NO_SETTINGS = re.compile(
    r"HTTP_\w+|CONTENT_(TYPE|LENGTH)|PATH_INFO|QUERY_STRING|REMOTE_(ADDR|PORT)|REQUEST_METHOD|SCRIPT_NAME"
    r"|SERVER_(PORT|PROTOCOL|SOFTWARE)|WERKZEUG_\w+|FLASK_RUN_FROM_CLI|KOLBEN_EXEC"
    r"|AF_UNIX|O_BINARY|KEY_VALUES_MISMATCH|MOST_SEGMENTS|NOT_FOUND"
)


def settings_of_source() -> set[str]:
    """What the package may ask a configuration for, in whichever way: a new string has to be told apart."""
    named = {name for name in strings_of_source() if not NO_SETTINGS.fullmatch(name)}
    return (named - VARIABLES) | set(kolben.Flask.default_config)


ROW = re.compile(r"^\| `([A-Z_]+)`( \*)? \| (.*?) \|", re.MULTILINE)


def test_each_setting_is_described_and_each_described_one_is_read() -> None:
    rows = ROW.findall((REFERENCE / "settings.md").read_text())
    assert sorted(name for name, _, _ in rows) == sorted(settings_of_source())


def test_the_star_is_at_what_flask_does_not_have() -> None:
    for name, star, _ in ROW.findall((REFERENCE / "settings.md").read_text()):
        assert bool(star) == (name not in kolben.Flask.default_config), name


def test_the_index_lists_the_settings_that_flask_does_not_have() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    listed = re.findall(r"`([A-Z_]+)`", index.partition("Settings that Flask does not have:")[2])
    rows = ROW.findall((REFERENCE / "settings.md").read_text())
    assert listed == [name for name, star, _ in rows if star]


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
BEFORE = (REFERENCE / "commands.md").read_text().partition("## kolben ")[0]
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
    assert rows_of(BEFORE) == options_of(cli)


def one_line(text: str) -> str:
    return " ".join(text.replace("\b", "").split())


def description(option: click.Option) -> str:
    """What the page says of an option: its help, its choices, its default, its variable."""
    said = one_line(option.help or "")
    if isinstance(option.type, click.Choice):
        said += f" One of {', '.join(f'`{choice}`' for choice in option.type.choices)}."
    if isinstance(option.default, int | float | str) and not option.is_flag:
        said += f" Default: {option.default}."
    elif isinstance(option.show_default, str):
        said += f" [default: {option.show_default}]"
    if option.envvar:
        said += f" In the environment: `{option.envvar}`."
    return said


@pytest.mark.parametrize("name", ["", *sorted(COMMANDS)])
def test_what_is_said_of_an_option_is_what_its_help_says(name: str) -> None:
    command = COMMANDS[name] if name else cli
    text = SECTIONS[name] if name else BEFORE
    rows = re.findall(r"^\| (`-.*?) \| (.*) \|$", text, re.MULTILINE)
    said = {names.split()[0].strip("`"): one_line(words) for names, words in rows}
    assert said == {
        option.opts[0]: description(option)
        for option in command.get_params(click.Context(command))
        if isinstance(option, click.Option) and "--help" not in option.opts
    }


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_what_is_said_of_a_command_is_what_its_help_says(name: str) -> None:
    text = one_line(re.sub(r"^```.*$", "", SECTIONS[name], flags=re.MULTILINE))
    paragraphs = (COMMANDS[name].help or "").split("\n\n")
    assert [each for each in map(one_line, paragraphs) if each not in text] == []
    usage = COMMANDS[name].collect_usage_pieces(click.Context(COMMANDS[name]))
    assert f"`kolben {name} {' '.join(usage)}`" in text


def test_each_variable_of_the_environment_is_described() -> None:
    text = (REFERENCE / "commands.md").read_text().partition("## Variables of the environment")[2]
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    described = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    of_options = {"FLASK_APP", "PORT"}
    others = {"PYTHONSTARTUP", "_KOLBEN_COMPLETE"}
    assert described == VARIABLES | of_options | others
    assert strings_of_source() >= VARIABLES


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


def is_of_others(owner: type, name: str) -> bool:
    """Whether a class of another package has declared this method, and so describes what it takes."""
    bases = [base for base in owner.__mro__ if not base.__module__.startswith("kolben")]
    return any(name in vars(base) for base in bases)


def functions_of(name: str) -> list[tuple[str, Any, str]]:
    """A described function, or the methods of a described class, each with its docstring."""
    found = resolve(name)
    if not inspect.isclass(found):
        return [(name, found, inspect.getdoc(found) or "")] if inspect.isfunction(found) else []
    methods = {
        each: value.__func__ if isinstance(value, staticmethod | classmethod) else value
        for each, value in vars(found).items()
        if not each.startswith("_") and not is_of_others(found, each)
    }
    # What is overridden without a docstring is described where it was declared.
    described = [
        (f"{name}.{each}", function, inspect.getdoc(getattr(found, each)) or "")
        for each, function in methods.items()
        if inspect.isfunction(function)
    ]
    own = (found.__doc__ or "") + (vars(found).get("__init__", found).__doc__ or "")
    return [*described, (name, found.__init__, own)] if "__init__" in vars(found) else described


#: What decorators are given: the function below them. A count of faults is told by the words of the error.
UNTOLD = {"f", "self", "cls", "count"}


@pytest.mark.parametrize("name", DESCRIBED)
def test_each_parameter_of_a_described_function_is_told(name: str) -> None:
    missing = []
    for place, function, told in functions_of(name):
        parameters = inspect.signature(function).parameters.values()
        named = set(re.findall(r":param (?:\S+ )?\*{0,2}(\w+):", told))
        missing += [
            f"{place}: {each.name}"
            for each in parameters
            if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
            and each.name not in named | UNTOLD
        ]
    assert missing == []
