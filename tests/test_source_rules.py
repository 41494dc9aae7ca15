"""Rules of this project that no linter knows: read from the source."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import statistics
import textwrap
import typing as t
from functools import cache
from graphlib import CycleError, TopologicalSorter
from operator import attrgetter
from pathlib import Path

import pytest

import kolben

ROOT = Path(kolben.__file__).parent

#: Lower floors never import higher ones. A package stands on one floor as a whole; what stands on one floor
#: may know each other, without circles.
FLOORS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        # What everything stands on; knows nothing of requests and applications.
        "tables lazy globals typing threads concurrency greenlets signals limits",
        # Paths and rules; bytes and headers; programs.
        "routing http loading",
        "config logging debughelpers json signing",
        # What users touch.
        "wrappers",
        "files ctx",
        "sessions server_sessions protection problems helpers jinja templating views websockets sse",
        # Registration, which knows no server.
        "listing options cli sansio blueprints",
        # The way of a request.
        "engine",
        "app",
        # Gateways, servers, clients.
        "asgi testing async_testing debugging",
        "api",
        "serving checking projects",
        "observability __init__ __main__",
    )
)

#: Imports inside functions that run upwards, each with the reason why they may.
LATE = {
    # What only development, tests and ASGI need is not imported with the package.
    ("app", "serving.development"): "Flask.run",
    ("app", "testing"): "Flask.test_client and test_cli_runner",
    ("app", "async_testing"): "Flask.async_test_client",
    ("engine.entry", "asgi.gateway"): "the first scope of an ASGI server",
    ("engine.lifetime", "asgi.mounts"): "ServedApp.mount",
    ("http.connection", "asgi.body"): "Request.is_disconnected",
    # Where an error is unhandled, and in debug mode.
    ("logging", "debugging.frames"): "the log of an unhandled error",
    ("engine.results", "debugging.refusals"): "the pages of 404 and 405",
    # A command is imported when it is called, so that the others start quickly.
    ("cli", "serving.development"): "kolben run",
    ("cli", "serving.program"): "a command that is started anew, where an agent has imported Flask",
    ("cli", "debugging.frames"): "an error of the program",
    ("loading.locate", "debugging.frames"): "an error while a program is imported",
    ("cli", "__init__"): "the package's version",
    # What is looked for is an application.
    ("loading.locate", "app"): "finding a Flask object in a module",
}

#: What runs for each request, as (module, functions). All others may run once.
REQUEST_PATH: dict[str, str] = {
    "engine.answer": "answer_request _match_slowly match_by_werkzeug _call_with_hooks _finalize _respond"
    " encode_and_save _run_after_hooks encode _save_alone",
    "globals": "_find_app_context find_request_context find_app _find_g _find_request"
    " _find_session",
    "ctx": "push pop match_request copy _leave _tear_down_request _tear_down_app_context",
    "app": "full_dispatch_request preprocess_request dispatch_request finalize_request"
    " make_response process_response handle_user_exception ensure_sync url_for",
    "wrappers": "args form cookies get_data set_cookie get_wsgi_response __call__",
    "sessions": "open_session save_session",
    "routing.index": "match find search build",
    "routing.tree": "descend search reply",
    "http.fields": "parse_query parse_urlencoded parse_fields multi_dict parse_cookies",
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


def statements(node: ast.AST, is_late: bool = False) -> t.Iterator[tuple[ast.AST, bool]]:
    """All that runs, and whether it runs late: in a function, and not when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if is_for_type_checkers(child):
            for other in t.cast("ast.If", child).orelse:
                yield other, is_late
                yield from statements(other, is_late)
            continue
        yield child, is_late
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from statements(child, is_late or is_function)


@cache
def imports_of(name: str, late: bool = False) -> frozenset[str]:
    """The modules of the package that a module imports when it is imported, or later on."""
    is_package = SOURCES[name].name == "__init__.py"
    here = [] if name == "__init__" else name.split(".")
    package = here if is_package else here[:-1]
    found: set[str] = set()
    for node, is_late in statements(tree_of(name)):
        if not isinstance(node, ast.ImportFrom) or is_late != late:
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
            found.update(
                [one or "__init__" for one in candidates if (one or "__init__") in SOURCES][:1]
            )
    return frozenset(found - {name})


def floor_of(name: str) -> int:
    room = name.partition(".")[0]
    return next((number for number, floor in enumerate(FLOORS) if room in floor), -1)


def higher_imports(name: str, late: bool = False) -> set[str]:
    return {other for other in imports_of(name, late) if floor_of(other) > floor_of(name)}


def test_each_module_has_its_floor() -> None:
    named = [room for floor in FLOORS for room in floor]
    assert len(named) == len(set(named))
    rooms = {name.partition(".")[0] for name in SOURCES}
    assert rooms ^ set(named) == set(), "put these into FLOORS, as low as they can be"


@pytest.mark.parametrize("name", SOURCES)
def test_no_module_imports_a_higher_floor(name: str) -> None:
    assert higher_imports(name) == set()


def test_only_these_imports_of_higher_floors_are_inside_functions() -> None:
    late = {(name, other) for name in SOURCES for other in higher_imports(name, late=True)}
    assert late == set(LATE)


def test_imports_within_the_package_are_relative() -> None:
    absolute = [
        name
        for name in SOURCES
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "kolben"
    ]
    assert absolute == []


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
    "answer_request": 94,
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


#: How often one module may use a private name of another. Most of these are Flask's private names, which
#: extensions reach for; give the others a public name, or ask their module in another way.
MOST_PRIVATE_USES = 50


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def is_of_self(node: ast.AST) -> t.TypeGuard[ast.Attribute]:
    value = node.value if isinstance(node, ast.Attribute) else None
    return isinstance(value, ast.Name) and value.id in {"self", "cls"}


@cache
def own_private_names(name: str) -> frozenset[str]:
    """The private functions, classes, variables and attributes that a module defines."""
    found: set[str] = set()
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif is_of_self(node) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return frozenset(filter(is_private, found))


def private_uses(name: str) -> t.Iterator[str]:
    """The private names of other modules of the package that a module imports, or reads or sets."""
    of_package = frozenset[str]().union(*map(own_private_names, SOURCES))
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield from (alias.name for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.Attribute) and not is_of_self(node):
            yield from {node.attr} & of_package - own_private_names(name)


def test_modules_seldom_use_what_is_private_to_another() -> None:
    uses = [f"{name}: {used}" for name in SOURCES for used in private_uses(name)]
    assert len(uses) <= MOST_PRIVATE_USES, "\n".join(uses)


#: What is not written, and what is written in its place.
SAYS_WHO = r"\b([Ss]ome(body|one)|[Ww]hoever|[Nn]obody|[Aa]ny(body|one)|[Ee]very(body|one))\b"
WORDS = {
    r"\b[Cc]an not\b": "cannot",
    r"\d us\b": "µs",
    r":returns:": ":return:",
    r"^from typing import": "import typing as t",
    SAYS_WHO: "the caller, the view, the client, ...",
    r'"""The same\b': "what it does: a docstring stands alone",
}


@pytest.mark.parametrize("name", SOURCES)
def test_one_word_stands_for_one_thing(name: str) -> None:
    text = SOURCES[name].read_text()
    assert [word for pattern, word in WORDS.items() if re.search(pattern, text, re.MULTILINE)] == []


def pages() -> t.Iterator[Path]:
    """What users read: documentation and examples."""
    top = ROOT.parent.parent
    yield from (top / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))
    for folder in ("docs", "examples"):
        for path in (top / folder).rglob("*"):
            if path.suffix in {".md", ".py", ".html"} and "_build" not in path.parts:
                yield path


def test_pages_say_who_does_what() -> None:
    found = []
    for page in pages():
        # What is quoted is data: the name of a visitor who gave none.
        for line in page.read_text(encoding="utf-8").replace('"""', "").splitlines():
            if re.search(rf"{SAYS_WHO}|\b[Cc]an not\b", re.sub(r'"[^"]*"', "", line)):
                found.append(f"{page.name}: {line}")
    assert found == []


def source_classes(name: str) -> t.Iterator[tuple[ast.ClassDef, type]]:
    """The classes of a module, as they are written and as they are at run time."""
    if name.endswith("sitecustomize"):  # importing it makes `flask` mean Kolben in this process
        return
    module = importlib.import_module(f"kolben.{name}" if name != "__init__" else "kolben")
    for node in tree_of(name).body:
        made = getattr(module, node.name, None) if isinstance(node, ast.ClassDef) else None
        if isinstance(made, type):
            yield t.cast("ast.ClassDef", node), made


@cache
def written(cls: type) -> ast.ClassDef:
    if cls.__module__.partition(".")[0] == "kolben":
        # Some say that they are another module's, where programs find them.
        said = cls.__module__.removeprefix("kolben.")
        for name in sorted(SOURCES, key=lambda name: name != said):
            for node in tree_of(name).body:
                if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
                    return node
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError):  # one of C
        node = ast.parse(f"class {cls.__name__}: ...").body[0]
    assert isinstance(node, ast.ClassDef)
    return node


def methods(node: ast.ClassDef) -> t.Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for child in node.body:
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or not child.args.args:
            continue
        if not any(ast.unparse(one) == "staticmethod" for one in child.decorator_list):
            yield child


def on_self(method: ast.FunctionDef | ast.AsyncFunctionDef, kind: type) -> set[str]:
    """The attributes of its first argument that a method writes (ast.Store) or reads (ast.Load)."""
    return {
        node.attr
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, kind)
        and isinstance(node.value, ast.Name)
        and node.value.id == method.args.args[0].arg
        and not node.attr.startswith("__")
    }


@cache
def declared_in(cls: type) -> frozenset[str]:
    """What instances have by their class: from its body, from what makes them, and what has its type
    written where it is set.

    Of a class that is a library's own, whatever its methods set counts.
    """
    found = set(dir(cls))
    ours = [parent for parent in cls.__mro__ if parent.__module__.startswith("kolben")]
    by_name = [(method.name, method) for parent in ours for method in methods(written(parent))]
    for _, method in by_name:
        typed = [node.target for node in ast.walk(method) if isinstance(node, ast.AnnAssign)]
        found |= {target.attr for target in typed if isinstance(target, ast.Attribute)}
    makers, seen = ["__init__", "__new__"], set[str]()
    while makers:
        maker = makers.pop()
        seen.add(maker)
        for name, method in by_name:
            if name == maker:
                found |= on_self(method, ast.Store)
                makers += on_self(method, ast.Load) & {name for name, _ in by_name} - seen
    for parent in cls.__mro__:
        found.update(inspect.get_annotations(parent))
        if parent not in ours:
            for method in methods(written(parent)):
                found |= on_self(method, ast.Store)
    return frozenset(found)


@pytest.mark.parametrize("name", SOURCES)
def test_methods_set_only_attributes_that_their_class_declares(name: str) -> None:
    odd = [
        f"{cls.__name__}.{method.name} sets {attribute}"
        for node, cls in source_classes(name)
        for method in methods(node)
        for attribute in on_self(method, ast.Store) - declared_in(cls)
    ]
    assert odd == []


TESTS = Path(__file__).resolve().parent

#: Where the tests are of modules that have no file of their own, as what they do is one thing with another's.
TESTED_IN = {
    "api.app": "api/test_registration.py",
    "api.compare": "api/test_command.py",
    "api.compile": "api/test_semantics.py",
    "api.faults": "api/test_problems.py",
    "api.lint": "api/test_document.py",
    "api.markers": "api/test_parameters.py",
    "api.operations": "api/test_registration.py",
    "api.pages": "api/test_docs_page.py",
    "api.paging": "api/test_answers.py",
    "api.plan": "api/test_registration.py",
    "api.schemas": "api/test_document.py",
    "api.sockets": "api/test_streams.py",
    "api.sources": "api/test_parameters.py",
    "asgi.calls": "asgi/test_gateway.py",
    "debugging.frames": "debugging/test_debugger.py",
    "debugging.hints": "debugging/test_debugger.py",
    "debugging.pages": "debugging/test_refusals.py",
    "debugging.routes": "debugging/test_refusals.py",
    "engine.entry": "asgi/test_gateway.py",
    "http.connection": "test_wrappers.py",
    "http.headers": "hostile/test_headers.py",
    "http.limits": "test_limits.py",
    "http.readers": "hostile/test_headers.py",
    "json.depth": "hostile/test_json.py",
    "json.refusals": "hostile/test_json.py",
    "json.provider": "test_json.py",
    "json.tag": "test_json_tag.py",
    "jinja": "test_templating.py",
    "listing": "test_cli.py",
    "loading.waiting": "loading/test_shadow.py",
    "observability": "serving/test_observability.py",
    "sansio.app": "test_app.py",
    "sansio.blueprints": "test_blueprints.py",
    "sansio.scaffold": "test_scaffold.py",
    "serving.by_granian": "serving/test_command.py",
    "serving.startup.sitecustomize": "serving/test_program.py",
    "serving.streams": "serving/test_command.py",
    "typing": "type_check/typing_registration.py",
}


def own_tests(name: str) -> Path:
    *folders, module = name.split(".")
    return TESTS.joinpath(*folders, f"test_{module}.py")


#: How many modules may be without, for as long as they are new: give them a file, or say where their tests are.
MOST_WITHOUT_TESTS = 5


def test_each_module_has_tests_or_it_is_said_where_they_are() -> None:
    modules = [n for n, path in SOURCES.items() if n != "__main__" and path.name != "__init__.py"]
    without = [name for name in modules if name not in TESTED_IN and not own_tests(name).exists()]
    assert len(without) <= MOST_WITHOUT_TESTS, without


@pytest.mark.parametrize("name", TESTED_IN)
def test_where_tests_are_said_to_be_they_are(name: str) -> None:
    assert (TESTS / TESTED_IN[name]).exists()
    assert not own_tests(name).exists(), "it has a file of its own now"


def test_no_module_that_is_gone_is_said_to_have_tests() -> None:
    assert set(TESTED_IN) <= set(SOURCES)
