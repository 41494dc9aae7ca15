"""The documentation says what is so: its programs run, its names exist, its differences are tested."""

from __future__ import annotations

import ast
import asyncio
import configparser
import doctest
import importlib
import inspect
import json
import re
import subprocess
import sys
import tomllib
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import redis
from werkzeug.test import TestResponse

import kolben
import kolben.async_testing
from kolben.api.command import openapi_command
from kolben.checking import check
from kolben.cli import cli
from pages import FENCE, ROOT, TEXTS, blocks, prose

PROGRAMS = [
    pytest.param(code, id=f"{page}-{number}")
    for page in TEXTS
    if page
    != "docs/first-api.md"  # the files of a project: tried in tests/projects/test_first_api.py
    for number, code in enumerate(blocks(page, "python"), 1)
]


def run(code: str, name: str) -> dict[str, Any]:
    """Run a block as the module that a reader would save it as."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    try:
        exec(compile(code, f"{name}.py", "exec", dont_inherit=True), module.__dict__)
    finally:
        del sys.modules[name]
    return vars(module)


def app_of(page: str, words: str) -> kolben.Flask:
    """The application of the one block that has these words."""
    (code,) = [code for code in blocks(page, "python") if words in code]
    app: kolben.Flask = run(code, "documented")["app"]
    app.testing = True
    return app


# -- programs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("code", PROGRAMS)
def test_each_program_runs(code: str) -> None:
    if "install_as_flask()" in code or "# was:" in code:
        compile(code, "block", "exec")  # tried in tests/ecosystem/test_moving_flaskr.py
        return
    run_tests_of(run(code, "documented"))


def run_tests_of(names: dict[str, Any]) -> int:
    """Run the tests that a program has.

    :return: how many there are.
    """
    tests = [function for name, function in names.items() if name.startswith("test_")]
    for test in tests:
        result = test()
        if inspect.iscoroutine(result):
            asyncio.run(result)
    return len(tests)


def test_the_sessions_of_their_page_are_kept_in_redis(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSION_STORE", redis_url)
    (code,) = blocks("docs/how-to/sessions.md", "python")
    with redis.Redis.from_url(redis_url) as store:
        assert store.dbsize() == 0
        names = run(code, "documented")
        assert run_tests_of(names) == 2
        # That of the first test; the other one has ended the one that it began.
        assert store.dbsize() == 1
    # A second process reads what the first has written.
    client, other = names["app"].test_client(), run(code, "again")["app"].test_client()
    client.post("/log-in")
    other.set_cookie("session", client.get_cookie("session").value)
    assert other.get("/").json == {"notes": 100}


@pytest.mark.parametrize("page", [page for page in TEXTS if blocks(page, "pycon")])
def test_what_is_typed_at_the_prompt_is_answered_as_shown(page: str) -> None:
    for number, text in enumerate(blocks(page, "pycon")):
        session = doctest.DocTestParser().get_doctest(text, {}, f"{page}-{number}", page, 0)
        assert session.examples
        told: list[str] = []
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(session, out=told.append)
        assert told == []


def test_the_first_program_says_hello() -> None:
    client = app_of("README.md", "Hello World!").test_client()
    assert client.get("/").text == "Hello World!"


def test_the_program_of_the_checklist_has_nothing_left_to_find(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APP_SECRET_KEY", "0f5c7a19e2d84b36a0c1")
    monkeypatch.setenv("APP_SECRET_KEY_FALLBACKS", '["91d6b2f03c5e4a7788aa"]')
    app = app_of("docs/going-live.md", "PROXY_COUNT")
    app.testing = False
    assert app.config["SECRET_KEY_FALLBACKS"] == ["91d6b2f03c5e4a7788aa"]
    assert [finding.id for finding in check(app) if finding.id != "real-flask"] == []
    answer = app.test_client().get("/health", base_url="https://www.example.com")
    assert answer.json == {"status": "ok"}
    assert app.test_client().get("/health", base_url="https://other.example").status_code == 400


ASYNC = "docs/async.md"


def both_ways(app: kolben.Flask, path: str, **options: Any) -> str:
    """What a request is answered, which is the same over WSGI and ASGI."""

    async def ask() -> TestResponse:
        return await app.async_test_client().open(path, **options)

    answers = {app.test_client().open(path, **options).text, asyncio.run(ask()).text}
    assert len(answers) == 1
    return answers.pop()


def test_async_views() -> None:
    app = app_of(ASYNC, "asyncio.gather")
    assert both_ways(app, "/?user=ada") == "ada: a for / b for /"
    assert both_ways(app, "/form", method="POST", data={"name": "ada"}) == "ada"


@pytest.mark.parametrize("path", ["/files/x", "/plain/x"])
def test_long_request_bodies(path: str) -> None:
    app = app_of(ASYNC, "@stream_body")
    answer = both_ways(app, path, method="PUT", data=b"12345")
    assert json.loads(answer) == {"name": "x", "size": 5}


def test_streamed_responses() -> None:
    app = app_of(ASYNC, "@stream_with_context")
    assert both_ways(app, "/lines") == "0 /lines\n1 /lines\n2 /lines\n"


def test_server_sent_events() -> None:
    text = both_ways(app_of(ASYNC, "event_stream"), "/prices")
    assert text.startswith("retry: 2000\n\n")
    assert "event: price\nid: 2\ndata: 2 €\n\n" in text


def test_web_sockets(capsys: pytest.CaptureFixture[str]) -> None:
    app = app_of(ASYNC, "@app.before_websocket")

    async def talk() -> None:
        client = app.async_test_client()
        async with client.websocket("/echo") as ws:
            await ws.send(b"x")
            assert await ws.receive() == b"x"
        async with client.websocket("/rooms/a") as ws:
            await ws.send_json({"b": 1})
            assert await ws.receive_json() == {"room": "a", "data": {"b": 1}}
            await ws.close(1000, "bye")
        with pytest.raises(kolben.async_testing.WebSocketDenied) as denied:
            async with client.websocket("/echo", query_string={"token": "wrong"}):
                pass
        assert denied.value.status_code == 401

    asyncio.run(talk())
    assert capsys.readouterr().out == "closed with 1000 bye\n"
    assert app.test_client().get("/echo").status_code == 426


def test_start_and_stop() -> None:
    app = app_of(ASYNC, "@app.before_serving")

    async def serve() -> None:
        async with app.test_app():
            assert "pool" in app.extensions
        assert "pool" not in app.extensions

    asyncio.run(serve())


def test_background_tasks(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of(ASYNC, "add_background_task")
    caplog.set_level("INFO")

    async def order() -> None:
        async with app.test_app():
            response = await app.async_test_client().post("/orders")
            assert response.status_code == 202

    asyncio.run(order())
    assert "mail to ada@example.com" in caplog.text


# -- blocks -----------------------------------------------------------------------------------

#: What is tried of each kind of block, and where.
KINDS = {
    "python": "run here, or as the files of a project in tests/projects",
    "py": "another framework's: compiled, beside one of ours that is run",
    "pycon": "answered as shown",
    "sh": "typed: test_doc_commands.py",
    "console": "typed, and what it prints compared: test_doc_commands.py",
    "json": "read",
    "toml": "read",
    "nginx": "taken by nginx",
    "ini": "read",
    "text": "words that are in the source, or an import",
    "{diagram}": "drawn: test_drawing.py",
}
BLOCKS = [(page, m[2], m[3]) for page in TEXTS for m in FENCE.finditer(TEXTS[page])]
INCLUDED = [
    (page, path)
    for page in TEXTS
    for path in re.findall(r"^:::\{literalinclude\} (\S+)$", TEXTS[page], re.MULTILINE)
]


@pytest.mark.parametrize("count", [pytest.param(len(BLOCKS), id=f"{len(BLOCKS)}-blocks")])
def test_every_block_is_of_a_kind_that_is_tried(count: int) -> None:
    assert count > 100
    assert [(page, kind) for page, kind, _ in BLOCKS if kind not in KINDS] == []
    assert {kind for _, kind, _ in BLOCKS} == set(KINDS)


@pytest.mark.parametrize("count", [pytest.param(len(INCLUDED), id=f"{len(INCLUDED)}-files")])
def test_every_program_that_is_shown_is_a_file(count: int) -> None:
    assert count > 50
    assert [
        path for page, path in INCLUDED if not (ROOT / page).parent.joinpath(path).is_file()
    ] == []


@pytest.mark.parametrize(("page", "text"), [(p, text) for p, kind, text in BLOCKS if kind == "py"])
def test_programs_of_other_frameworks_are_programs(page: str, text: str) -> None:
    compile(text, page, "exec")


def test_each_program_of_another_framework_has_one_of_ours_beside_it() -> None:
    for page in ("docs/from-fastapi.md", "docs/from-quart.md"):
        assert len(blocks(page, "py")) == len(blocks(page, "python")) >= 6


def test_each_block_of_json_is_read() -> None:
    for _, kind, text in BLOCKS:
        if kind == "json":
            json.loads(text)


def test_each_block_of_toml_is_read() -> None:
    for _, kind, text in BLOCKS:
        if kind == "toml":
            assert tomllib.loads(text)


def test_each_unit_of_systemd_is_read() -> None:
    for _, kind, text in BLOCKS:
        if kind == "ini":
            unit = configparser.ConfigParser(interpolation=None)
            unit.read_string(text)
            assert "kolben serve" in unit["Service"]["ExecStart"]


@pytest.mark.needs_program("nginx", "/usr/sbin/nginx")
def test_nginx_takes_its_blocks(tmp_path: Path, needs_program: Callable[..., str]) -> None:
    for _, kind, text in BLOCKS:
        if kind == "nginx":
            file = tmp_path / "nginx.conf"
            file.write_text(
                f"pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}\n"
                f"http {{ access_log off; server {{ listen 127.0.0.1:1; location / {{\n{text}\n}} }} }}"
            )
            program = needs_program("nginx", "/usr/sbin/nginx")
            done = subprocess.run([program, "-t", "-c", file], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def test_what_is_printed_is_in_the_source() -> None:
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    for _, kind, text in BLOCKS:
        for line in text.splitlines() if kind == "text" else []:
            if not line.startswith(("from ", "import ")):
                assert re.match(r" \* [A-Z][a-z]+", line)[0] in source, line  # type: ignore[index]


# -- names ------------------------------------------------------------------------------------

#: What the first part of a documented name stands for.
OBJECTS: dict[str, Any] = {
    "kolben": kolben,
    "app": kolben.Flask,
    "request": kolben.Request,
    "websocket": kolben.WebSocket,
    "RequestContext": importlib.import_module("kolben.ctx").RequestContext,
    "globals": importlib.import_module("kolben.globals"),
}
DOTTED = re.compile(rf"`@?((?:{'|'.join(OBJECTS)})(?:\.\w+)+)(?:\(.*?\))?`")
OF_INSTANCES = {"app.config", "app.extensions", "app.py", "kolben.py"}
#: What APIFlask's applications have, of which that page says what becomes.
OF_OTHERS = {"app.auth_required", "app.doc", "app.input", "app.output"}


def find(name: str) -> Any:
    first, *parts = name.split(".")
    found = OBJECTS[first]
    for part in parts:
        if isinstance(found, types.ModuleType) and not hasattr(found, part):
            found = importlib.import_module(f"{found.__name__}.{part}")
        else:
            found = getattr(found, part)
    return found


@pytest.mark.parametrize("page", TEXTS)
def test_each_name_exists(page: str) -> None:
    for name in set(DOTTED.findall(prose(page))) - OF_INSTANCES - OF_OTHERS:
        find(name)


SOURCE = ROOT / "src" / "kolben"
ARCHITECTURE = "docs/architecture.md"
PLACE = re.compile(r"`((?:\w+/)*\w+\.py)(?::([\w.]+))?`")


def line_of(file: str, name: str) -> int:
    """The line on which a file of the package defines a name, such as `Flask.run`."""
    nodes: list[Any] = ast.parse((SOURCE / file).read_text()).body
    for part in name.split("."):
        nodes += [inner for node in nodes if isinstance(node, ast.If) for inner in ast.walk(node)]
        node = next((node for node in nodes if part in names_of(node)), None)
        assert node is not None, f"{file} has no {name}"
        nodes = getattr(node, "body", [])
    line: int = node.lineno
    return line


def names_of(node: Any) -> list[str]:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [target.id for target in targets if isinstance(target, ast.Name)]
    return [getattr(node, "name", "")]


@pytest.mark.parametrize("page", TEXTS)
def test_each_place_in_the_source_exists(page: str) -> None:
    for file, name in PLACE.findall(TEXTS[page]):
        if name:
            line_of(file, name)
        elif page in {ARCHITECTURE, "CONTRIBUTING.md"}:  # others name users' files
            assert (SOURCE / file).exists() or (ROOT / file).exists(), file


SECTIONS = {
    text.partition("\n")[0].strip(): text
    for text in re.split(r"^##+ ", TEXTS[ARCHITECTURE], flags=re.MULTILINE)
}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_reader_with_the_source_open_never_jumps_back(section: str) -> None:
    lines: dict[str, list[int]] = {}
    for file, name in PLACE.findall(SECTIONS[section]):
        if name:
            lines.setdefault(file, []).append(line_of(file, name))
    assert {file: sorted(found) for file, found in lines.items()} == lines


def test_the_way_of_a_request_is_told_in_the_engine() -> None:
    places = PLACE.findall(SECTIONS["The way of one request"])
    assert len([name for file, name in places if file == "engine/answer.py" and name]) >= 5


def test_each_module_is_named_on_its_floor() -> None:
    import test_source_rules

    rows = re.findall(r"^\| [^|]* \| ((?:`[\w/]+` ?)+) \|", SECTIONS["Layers"], re.MULTILINE)
    named = [set(re.findall(r"`(\w+)/?`", row)) for row in rows]
    # The last floor is what starts the others.
    assert named == [set(floor) for floor in test_source_rules.FLOORS[:-1]]


def test_each_package_has_its_sentence() -> None:
    table = TEXTS[ARCHITECTURE].partition("## The packages")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)/` \| (.*?) \|$", table, re.MULTILINE)
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert sorted(name for name, _ in rows) == sorted(packages)
    for name, sentence in rows:
        assert re.fullmatch(r"[^.]*\.", sentence), name


def test_the_glossary_is_short_and_says_where_its_words_are() -> None:
    words = TEXTS["CONTRIBUTING.md"].partition("## Words")[2]
    assert 5 <= len(re.findall(r"^\| [a-z ]+ \| (?!means)", words, re.MULTILINE)) <= 15


@pytest.mark.parametrize("page", TEXTS)
def test_each_setting_is_known_to_the_source(page: str) -> None:
    folders = (ROOT / "src", ROOT / "examples")
    source = "".join(path.read_text() for each in folders for path in each.rglob("*.py"))
    names = re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", TEXTS[page])
    # An application's environment has them with its own name before.
    plain = [re.sub("^(JOURNAL|CHAT)_", "", name) for name in names]
    assert [name for name in plain if name not in source] == []


def rows_of_additions() -> dict[str, list[str]]:
    """The names in the index' table of what Flask does not have, by what they are in."""
    table = TEXTS["docs/index.md"].partition("## Names that Flask does not have")[2]
    found: dict[str, list[str]] = {}
    place = ""
    for row in re.findall(r"^\| (.*?) ?\| (`.*?) \|", table, re.MULTILINE):
        place = row[0].strip("`") or place
        found.setdefault(place, []).extend(re.findall(r"`(\w+)`", row[1]))
    return found


def test_each_name_that_flask_has_not_is_listed() -> None:
    flask = json.loads((ROOT / "tests" / "surface" / "flask-3.1.3.json").read_text())
    listed = rows_of_additions()
    for place, names in listed.items():
        for name in names:
            find(f"{place}.{name}")
    for place, theirs in (
        ("kolben", flask["modules"]["{package}"]),
        ("kolben.Flask", flask["instances"]["app"]),
        ("kolben.Blueprint", flask["instances"]["blueprint"]),
        ("kolben.Request", flask["instances"]["request"]),
    ):
        ours = {
            name
            for name, value in inspect.getmembers(find(place) if "." in place else kolben)
            if not name.startswith("_") and not isinstance(value, types.ModuleType)
        }
        assert ours - set(theirs) - {"annotations"} == set(listed[place]), place


# -- links and commands -----------------------------------------------------------------------


@pytest.mark.parametrize("page", TEXTS)
def test_each_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings]
            assert anchor in slugs, target


def commands(page: str, program: str) -> list[list[str]]:
    lines = [
        line.split("  #")[0].strip() for text in blocks(page, "sh") for line in text.split("\n")
    ]
    return [line.split()[1:] for line in lines if line.split()[:1] == [program]]


#: Those of applications with an API.
API_COMMANDS = {"openapi": openapi_command}


@pytest.mark.parametrize("page", TEXTS)
def test_each_kolben_command_takes_these_options(page: str) -> None:
    for words in commands(page, "kolben"):
        context = click.Context(cli)
        known = option_names(cli, context)
        for word in words:
            if word == "--":  # what follows is for another program
                break
            command = cli.commands.get(word) or API_COMMANDS.get(word)
            if command is not None:
                known |= option_names(command, context)
            assert not word.startswith("-") or word.split("=")[0] in known, words


def option_names(command: click.Command, context: click.Context) -> set[str]:
    return {
        name
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
        for name in [*parameter.opts, *parameter.secondary_opts]
    }


@pytest.mark.parametrize("page", TEXTS)
def test_each_make_target_is_there(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = [words[0] for words in commands(page, "make")] + re.findall(
        r"`make ([\w-]+)", TEXTS[page]
    )
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


FROM_PYPI = re.compile(r'pip install "?kolben')


@pytest.mark.parametrize("page", [page for page in TEXTS if FROM_PYPI.search(TEXTS[page])])
def test_a_page_that_installs_says_from_where(page: str) -> None:
    """Kolben is not on PyPI; the command's own help, which that page is made of, has no links."""
    assert page in (
        "docs/index.md",
        "docs/reference/commands.md",
    ) or "index.md#installing" in prose(page)


@pytest.mark.parametrize("page", TEXTS)
def test_each_extra_is_there(page: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert set(re.findall(r"kolben\[(\w+)\]", TEXTS[page])) <= extras.keys()


# -- differences ------------------------------------------------------------------------------

ENTRIES = re.split(r"^- ", TEXTS.get("docs/differences.md", ""), flags=re.MULTILINE)[1:]


@pytest.mark.parametrize(
    "entry", ENTRIES, ids=[re.sub(r"\W+", "-", entry[:50]).strip("-") for entry in ENTRIES]
)
def test_each_difference_has_its_tests(entry: str) -> None:
    tests = re.findall(r"`(tests/\S+\.py)::(\w+)`", entry)
    assert tests
    for file, name in tests:
        text = (ROOT / file).read_text()
        assert re.search(rf"^ *(async )?def {name}\(", text, re.MULTILINE), (file, name)


def test_the_table_of_extensions_is_that_of_the_outcomes() -> None:
    outcomes = ROOT / "tests" / "ecosystem" / "outcomes"
    rows = re.findall(r"^\| (\S+) [\d.]+ \| (\d+) \|$", TEXTS["docs/moving.md"], re.MULTILINE)
    assert rows
    for name, count in rows:
        results = json.loads((outcomes / f"{name.lower()}.json").read_text())
        assert list(results.values()).count("passed") == int(count), name
