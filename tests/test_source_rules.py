"""Rules of this project that no linter knows: read from the source."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import statistics
import typing as t
from functools import cache
from graphlib import CycleError, TopologicalSorter
from operator import attrgetter
from pathlib import Path

import pytest

import kolben

ROOT = Path(kolben.__file__).parent

#: Lower layers never import higher ones. Modules of one layer may know each other, without circles.
LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        # What knows nothing of requests and applications.
        "route_tree route_finder",
        "tables typing globals lazy locate forwarded routing concurrency deadlines shadow asgi_entry",
        "signals stand_in memory",
        "config logging formparser debughelpers observability results streaming",
        "json json.provider json.tag",
        # What users touch.
        "wrappers files urls",
        "ctx asgi_body asgi_scope asgi_send",
        "sessions helpers templating views websockets sse cli devserver",
        # Registration, which knows no server.
        "sansio sansio.scaffold sansio.app sansio.blueprints blueprints",
        # The way of a request, and its gateways.
        "dispatch lifespan asgi_websocket",
        "app asgi",
        "testing async_testing worker serve supervisor __init__ __main__",
    )
)

#: What runs for each request, as (module, functions). All others may run once.
REQUEST_PATH: dict[str, str] = {
    "dispatch": "answer_request _match_slowly _match_by_werkzeug _call_with_hooks _conclude _ready _finish"
    " _finish_with_hooks _answer _session_alone",
    "globals": "_find_app_context _find_request_context _find_app _find_g _find_request"
    " _find_session",
    "ctx": "push pop match_request copy _leave _tear_down_request _tear_down_app_context",
    "app": "full_dispatch_request preprocess_request dispatch_request finalize_request"
    " make_response process_response handle_user_exception ensure_sync url_for",
    "wrappers": "args form cookies get_data set_cookie get_wsgi_response __call__",
    "sessions": "open_session save_session",
    "routing": "match find search build",
    "route_tree": "descend search reply",
    "formparser": "parse_query parse_urlencoded parse_cookies",
}

#: Work that registration is for: never at request time.
NOT_PER_REQUEST = re.compile(r"\b(re\.compile|inspect\.\w+|signature|iscoroutinefunction)\(")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(SOURCES[name].read_text())


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {
        "t.TYPE_CHECKING",
        "TYPE_CHECKING",
    }


def at_import(node: ast.AST) -> t.Iterator[ast.AST]:
    """The statements that run when the module is imported, with those they hold."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if is_for_type_checkers(child):
            yield from (
                part for other in t.cast("ast.If", child).orelse for part in ast.walk(other)
            )
            continue
        yield child
        yield from at_import(child)


@cache
def imports_of(name: str) -> frozenset[str]:
    """The modules of the package that a module imports when it is imported."""
    is_package = SOURCES[name].name == "__init__.py"
    here = [] if name == "__init__" else name.split(".")
    package = here if is_package else here[:-1]
    found: set[str] = set()
    for node in at_import(tree_of(name)):
        if not isinstance(node, ast.ImportFrom):
            continue
        target = node.module.split(".") if node.module else []
        if node.level:
            target = package[: len(package) - node.level + 1] + target
        elif target[:1] == ["kolben"]:
            del target[0]
        else:
            continue
        for alias in node.names:
            candidates = (".".join([*target, alias.name]), ".".join(target))
            found.update([one or "__init__" for one in candidates if one in SOURCES][:1])
    return frozenset(found - {name})


def layer_of(name: str) -> int:
    return next((number for number, layer in enumerate(LAYERS) if name in layer), -1)


def test_each_module_has_its_layer() -> None:
    named = [name for layer in LAYERS for name in layer]
    assert len(named) == len(set(named))
    assert set(SOURCES) - set(named) == set(), "put these into LAYERS, as low as they can be"


@pytest.mark.parametrize("name", SOURCES)
def test_no_module_imports_a_higher_layer(name: str) -> None:
    higher = {other for other in imports_of(name) if layer_of(other) > layer_of(name)}
    assert higher == set()


def test_imports_make_no_circle() -> None:
    graph = {name: imports_of(name) for name in SOURCES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def public(node: ast.AST, prefix: str = "") -> t.Iterator[tuple[str, ast.AST]]:
    """The public functions, methods and classes, with their names."""
    for child in ast.iter_child_nodes(node):
        if is_for_type_checkers(child):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if child.name.startswith("_"):
                continue
            decorators = [ast.unparse(one) for one in child.decorator_list]
            if any("overload" in one or one.endswith(".setter") for one in decorators):
                continue
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.If | ast.Try):
            yield from public(child, prefix)


@pytest.mark.parametrize("name", SOURCES)
def test_every_public_name_says_what_it_is(name: str) -> None:
    documented: t.Any = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    silent = [
        label
        for label, node in public(tree_of(name))
        if isinstance(node, documented)
        and not ast.get_docstring(node)
        # A method that means what it means in the base class is documented there.
        and not inspect.getdoc(attrgetter(label)(importlib.import_module(f"kolben.{name}")))
    ]
    assert silent == []


@pytest.mark.parametrize("name", SOURCES)
def test_modules_say_what_they_are_for(name: str) -> None:
    assert ast.get_docstring(tree_of(name))


def code_lines(node: ast.AST, text: list[str]) -> int:
    """The lines of a function without blanks, comments and its docstring."""
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    lines = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    for inner in ast.walk(node):
        is_text = isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant)
        if is_text and isinstance(t.cast("t.Any", inner).value.value, str):
            lines -= set(range(inner.lineno, (inner.end_lineno or 0) + 1))
    return sum(1 for line in lines if (code := text[line - 1].strip()) and not code.startswith("#"))


def functions(name: str) -> t.Iterator[tuple[str, int]]:
    text = SOURCES[name].read_text().splitlines()
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, code_lines(node, text)


#: Functions that may be longer, each with the reason.
LONGER = {
    # The way of each request: a call for each of its parts costs 5 % of it.
    "answer_request": 87,
}


@pytest.mark.parametrize("name", SOURCES)
def test_no_function_is_longer_than_a_page(name: str) -> None:
    too_long = [one for one in functions(name) if one[1] > LONGER.get(one[0], 60)]
    assert too_long == []


@pytest.mark.parametrize("name", SOURCES)
def test_no_module_is_longer_than_a_reader_can_hold(name: str) -> None:
    assert len(SOURCES[name].read_text().splitlines()) <= 900


def test_most_functions_are_short() -> None:
    lengths = sorted(length for name in SOURCES for _, length in functions(name))
    # A signature is a line, too.
    assert statistics.median(lengths) <= 6
    assert lengths[int(len(lengths) * 0.95)] <= 30


def test_type_checkers_are_silenced_rarely_and_with_a_reason() -> None:
    text = "\n".join(path.read_text() for path in SOURCES.values())
    ignores = re.findall(r"type: ignore(\[[\w-]+(?:, ?[\w-]+)*\])?", text)
    assert "" not in ignores
    assert len(ignores) <= 3 * len(text.splitlines()) / 1000


@pytest.mark.parametrize("name", REQUEST_PATH)
def test_no_request_does_what_registration_could(name: str) -> None:
    wanted = set(REQUEST_PATH[name].split())
    source = SOURCES[name].read_text()
    seen = set()
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.FunctionDef) and node.name in wanted:
            seen.add(node.name)
            found = NOT_PER_REQUEST.search(ast.get_source_segment(source, node) or "")
            assert not found, f"{node.name}: {found}"
    assert seen == wanted


@pytest.mark.parametrize("name", SOURCES)
def test_speed_tricks_say_what_they_bought(name: str) -> None:
    """Whatever is tagged PERF has a figure, so that a reader can ask if it is still true."""
    text = SOURCES[name].read_text()
    for match in re.finditer(r"PERF:", text):
        said = text[match.start() : match.start() + 600].partition("\n\n")[0]
        assert re.search(r"\d|once|twice", said), said


def test_nothing_is_called_utils() -> None:
    assert not [name for name in SOURCES if "util" in name or "misc" in name]
