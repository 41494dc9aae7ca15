"""The ``kolben`` command, and what applications and plug-ins add to it."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import textwrap

import click
import pytest
from click.testing import CliRunner

import kolben.cli
from kolben import Flask, current_app
from kolben.cli import (
    AppGroup,
    FlaskGroup,
    NoAppException,
    ScriptInfo,
    load_dotenv,
    run_command,
    with_appcontext,
)


@pytest.fixture(autouse=True)
def clean_process(monkeypatch):
    """Undo what commands do to the process: the environment, the path, imported modules."""
    for name in [*os.environ]:
        if name.startswith("FLASK_"):
            monkeypatch.delenv(name)
    before = dict(os.environ)
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules = {*sys.modules}
    yield
    for name in sys.modules.keys() - modules:
        if name.startswith("made_") or name in {"app", "wsgi"}:
            del sys.modules[name]
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def module(folder):
    """Write a module into the current folder."""

    def write(source, name="made_app"):
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
        return name

    return write


def invoke(*args, cli=kolben.cli.cli, **options):
    return CliRunner().invoke(cli, args, **options)


FACTORY = """
from kolben import Flask
def create_app(name="factory"):
    return Flask(name)
def needs(name, *, suffix):
    return Flask(name + suffix)
def nothing():
    pass
number = 3
"""


# Finding the application


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("made_app", "factory"),
        ("made_app.py", "factory"),
        ("made_app:create_app", "factory"),
        ("made_app:create_app()", "factory"),
        ("made_app: create_app ( 'other', ) ", "other"),
        ("made_app:needs('a', suffix='b')", "ab"),
    ],
)
def test_an_application_is_found(module, target, name):
    module(FACTORY)
    info = ScriptInfo(target)
    assert info.load_app().name == name
    assert info.load_app() is info.load_app()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("made_missing", "Could not import 'made_missing'"),
        ("made_missing.sub:app", "Could not import 'made_missing.sub'"),
        ("made_app:missing", "no attribute 'missing' in module 'made_app'"),
        ("made_app:number", "not an application but an object of type 'int'"),
        ("made_app:nothing", "not an application but None"),
        ("made_app:needs", "does not take these arguments"),
        ("made_app:needs(1)", "does not take these arguments"),
        ("made_app:needs(x)", "must be literal values"),
        ("made_app:a.b", "neither a name nor a call"),
        ("made_app:needs(", "neither a name nor a call"),
    ],
)
def test_an_application_that_is_not_found_is_one_clear_line(module, target, words):
    module(FACTORY)
    result = invoke("--app", target, "routes")
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert words in result.output
    assert result.output.count("\n") == 1


def test_two_applications_need_a_name(module):
    module("from kolben import Flask\na = Flask('a')\nb = Flask('b')")
    with pytest.raises(NoAppException, match="'made_app:name'"):
        ScriptInfo("made_app").load_app()
    assert ScriptInfo("made_app:b").load_app().name == "b"


def test_an_import_that_fails_inside_the_module_shows_its_traceback(module):
    module("import made_missing")
    result = invoke("--app", "made_app", "routes")
    assert result.exit_code == 2
    assert "No module named 'made_missing'" in result.output
    assert 'made_app.py", line 1' in result.output


def test_a_type_error_inside_a_factory_is_its_own(module):
    module("def create_app():\n    raise TypeError('inside')")
    with pytest.raises(TypeError, match="inside"):
        ScriptInfo("made_app").load_app()


def test_wsgi_py_and_app_py_are_found_by_themselves(folder):
    with pytest.raises(NoAppException, match="FLASK_APP"):
        ScriptInfo().load_app()
    (folder / "app.py").write_text("from kolben import Flask\nx = Flask('found')")
    assert ScriptInfo().load_app().name == "found"


def test_the_folders_own_program_comes_before_a_wsgi_py_that_is_installed(
    folder, tmp_path_factory, monkeypatch
):
    installed = tmp_path_factory.mktemp("installed")
    (installed / "wsgi.py").write_text("from kolben import Flask\nx = Flask('another')")
    monkeypatch.syspath_prepend(str(installed))
    (folder / "app.py").write_text("from kolben import Flask\nx = Flask('own')")
    assert ScriptInfo().load_app().name == "own"


def test_the_environment_names_the_application(module, monkeypatch):
    module(FACTORY)
    monkeypatch.setenv("FLASK_APP", "made_app")
    result = invoke("routes")
    assert result.exit_code == 0
    assert "/static/<path:filename>" in result.output


# Commands of applications


def test_commands_of_the_application_run_in_its_context(module):
    module(
        """
        import click
        from kolben import Flask, current_app
        app = Flask("made")
        @app.cli.command()
        def name():
            click.echo(current_app.name)
        @app.cli.command("later")
        async def later():
            click.echo(f"later {current_app.name}")
        """
    )
    assert invoke("--app", "made_app", "name").output == "made\n"
    assert invoke("--app", "made_app", "later").output == "later made\n"
    assert "later" in invoke("--app", "made_app", "--help").output


def test_help_is_shown_though_the_application_does_not_load():
    def create_app():
        raise ZeroDivisionError("oh no")

    result = invoke("--help", cli=FlaskGroup(create_app=create_app))
    assert result.exit_code == 0
    assert "ZeroDivisionError: oh no" in result.output
    assert "Usage:" in result.output


def test_an_unknown_command_says_that_no_application_was_found(folder):
    result = invoke("nonsense")
    assert result.exit_code == 2
    assert "FLASK_APP" in result.output
    assert "No such command 'nonsense'" in result.output


def test_a_group_gives_its_commands_the_context():
    group = AppGroup("group")

    @group.command()
    def inside():
        click.echo(current_app.name)

    @group.group("sub")
    def sub():
        pass

    @sub.command(with_appcontext=False)
    def outside():
        click.echo(bool(current_app))

    info = ScriptInfo(create_app=lambda: Flask("grouped"))
    assert isinstance(sub, AppGroup)
    assert invoke("inside", cli=group, obj=info).output == "grouped\n"
    assert invoke("sub", "outside", cli=group, obj=info).output == "False\n"


def test_with_appcontext_loads_the_application():
    @click.command()
    @with_appcontext
    def command():
        click.echo(current_app.name)

    info = ScriptInfo(create_app=lambda: Flask("loaded"))
    assert invoke(cli=command, obj=info).output == "loaded\n"


@pytest.mark.parametrize("set_debug_flag", [True, False])
def test_debug_mode_is_set_unless_the_group_says_otherwise(set_debug_flag):
    group = FlaskGroup(create_app=lambda: Flask("made"), set_debug_flag=set_debug_flag)

    @group.command()
    @with_appcontext
    def debug():
        click.echo(current_app.debug)

    assert invoke("--debug", "debug", cli=group).output == "True\n"
    assert os.environ["FLASK_DEBUG"] == "1"


def test_plug_ins_add_commands(folder, monkeypatch, module):
    info = folder / "made_plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: made-plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[kolben.commands]\nplugged = made_plugin:command\n"
        "[flask.commands]\nfor-flask = made_plugin:other\n"
    )
    module(
        """
        import click
        command = click.Command("x", callback=lambda: click.echo("plugged in"))
        other = click.Command("y", callback=lambda: click.echo("for Flask"))
        """,
        "made_plugin",
    )
    monkeypatch.syspath_prepend(folder)
    assert invoke("plugged", cli=FlaskGroup()).output == "plugged in\n"
    # Written for Flask: only where 'flask' means Kolben.
    assert invoke("for-flask", cli=FlaskGroup()).exit_code == 2
    monkeypatch.setitem(sys.modules, "flask", kolben)
    assert invoke("for-flask", cli=FlaskGroup()).output == "for Flask\n"


def test_the_version_names_all_parts():
    output = invoke("--version").output
    assert all(word in output for word in ("Python", "Kolben", "Flask 3.1", "Werkzeug"))


# dotenv files


@pytest.fixture
def dotenv_files(folder):
    pytest.importorskip("dotenv")
    (folder / "below").mkdir()
    (folder / ".flaskenv").write_text("MADE_A=flaskenv\nMADE_B=flaskenv\nFLASK_RUN_PORT=5999\n")
    (folder / ".env").write_text("MADE_A=env\nMADE_C=env\nMADE_NONE\n")
    (folder / "own").write_text("MADE_C=火腿\nMADE_D=own\n", encoding="utf-8")
    return folder


def made():
    return {name[5:]: value for name, value in os.environ.items() if name.startswith("MADE_")}


def test_dotenv_files_in_their_order(dotenv_files, monkeypatch):
    monkeypatch.chdir("below")
    monkeypatch.setenv("MADE_D", "set")
    assert load_dotenv("../own")
    assert made() == {"A": "env", "B": "flaskenv", "C": "火腿", "D": "set"}


def test_a_dotenv_file_alone(dotenv_files):
    assert load_dotenv("own", load_defaults=False)
    assert made() == {"C": "火腿", "D": "own"}
    assert not load_dotenv("missing", load_defaults=False)


def test_dotenv_files_are_mentioned_when_they_cannot_be_read(dotenv_files, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "dotenv", None)
    assert not load_dotenv()
    assert "Install python-dotenv" in capsys.readouterr().err
    assert "python-dotenv must be installed" in invoke("-e", "own", "routes").output


def test_dotenv_files_can_be_switched_off(dotenv_files, monkeypatch):
    monkeypatch.setenv("FLASK_SKIP_DOTENV", "1")
    invoke("routes")
    assert made() == {}


def test_a_dotenv_file_sets_options(dotenv_files, monkeypatch):
    seen = {}
    monkeypatch.setattr("werkzeug.serving.run_simple", lambda *args, **options: seen.update(a=args))
    invoke("run", cli=FlaskGroup(create_app=lambda: Flask("made")))
    assert seen["a"][:2] == ("127.0.0.1", 5999)


# run: its options


@pytest.fixture
def served(monkeypatch):
    """What the server is called with, by the names of its parameters."""
    seen = {}

    def run_simple(hostname, port, application, **options):
        seen.update(options, host=hostname, port=port, app=application)

    monkeypatch.setattr("werkzeug.serving.run_simple", run_simple)
    return seen


def assert_options(seen, **expected):
    assert {name: seen[name] for name in expected} == expected


def run_app(*args):
    return invoke("run", *args, cli=FlaskGroup(create_app=lambda: Flask("made")))


def test_run_has_flasks_defaults(served):
    assert run_app().output == " * Debug mode: off\n * For production: kolben serve\n"
    assert_options(
        served,
        host="127.0.0.1",
        port=5000,
        use_reloader=False,
        use_debugger=False,
        threaded=True,
        ssl_context=None,
        extra_files=None,
        exclude_patterns=None,
    )


def test_run_hands_its_options_to_the_server(served):
    args = ("-h", "::1", "-p", "81", "--reload", "--debugger", "--without-threads")
    paths = ("--extra-files", f"a{os.pathsep}b", "--exclude-patterns", "*.x")
    run_app(*args, *paths)
    assert_options(
        served,
        host="::1",
        port=81,
        use_reloader=True,
        use_debugger=True,
        threaded=False,
        extra_files=["a", "b"],
        exclude_patterns=["*.x"],
    )


def test_debug_mode_turns_on_reloader_and_debugger(served):
    assert "Debug mode: on" in run_app("--debug").output
    assert_options(served, use_reloader=True, use_debugger=True)
    run_app("--debug", "--no-reload", "--no-debugger")
    assert_options(served, use_reloader=False, use_debugger=False)


@pytest.mark.parametrize(
    "target", ["made_app", "made_app:create_app('x')", "made_app.py:create_app"]
)
def test_run_takes_the_application_as_its_argument(served, module, target):
    module(FACTORY)
    result = invoke("run", target)
    assert (
        result.output
        == f" * Serving Kolben app '{target}'\n * Debug mode: off\n * For production: kolben serve\n"
    )
    assert isinstance(served["app"], Flask)


def test_run_takes_one_application_only(served):
    result = run_app("made_app")
    assert result.exit_code == 2
    assert "leave out 'made_app'" in result.output


def test_a_file_that_is_not_there_is_one_clear_line(served, folder):
    result = invoke("run", "missing.py")
    assert result.exit_code == 2
    assert result.output.startswith("Error: There is no file 'missing.py'")
    assert result.output.count("\n") == 1


# run: certificates


def cert_of(*args):
    return run_command.make_context("run", [*args]).params["cert"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_certificate_and_its_key(order):
    options = [("--cert", __file__), ("--key", __file__)][::order]
    assert cert_of(*options[0], *options[1]) == (__file__, __file__)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--cert", __file__], "needs '--key'"),
        (["--key", __file__], "needs '--cert'"),
        (["--cert", "adhoc", "--key", __file__], "cannot be used with '--cert adhoc'"),
        (["--cert", "made_context", "--key", __file__], "cannot be used"),
        (["--cert", "os"], "does not exist"),
    ],
)
def test_certificate_options_that_do_not_fit(monkeypatch, args, words):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    monkeypatch.setitem(sys.modules, "made_context", context)
    monkeypatch.setitem(sys.modules, "cryptography", context)
    with pytest.raises(click.BadParameter, match=words):
        cert_of(*args)


def test_an_ssl_context_and_a_made_up_certificate(monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    monkeypatch.setitem(sys.modules, "made_context", context)
    assert cert_of("--cert", "made_context") is context
    monkeypatch.setitem(sys.modules, "cryptography", context)
    assert cert_of("--cert", "adhoc") == "adhoc"
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(click.BadParameter, match="cryptography"):
        cert_of("--cert", "adhoc")


# shell and routes


def test_the_shell_has_the_applications_names():
    app = Flask("made")
    app.shell_context_processor(lambda: {"extra": "from the processor"})
    result = CliRunner().invoke(
        FlaskGroup(create_app=lambda: app), ["shell"], input="print(app.name, extra)\n"
    )
    assert "made from the processor" in result.output
    assert "App: made" in result.output


def routes_of(app, *args):
    return invoke("routes", *args, cli=FlaskGroup(create_app=lambda: app)).output.splitlines()


@pytest.fixture
def routed():
    app = Flask("made", static_folder=None)
    app.add_url_rule("/z", endpoint="a", methods=["POST", "GET"])
    app.add_url_rule("/y/<int:x>", endpoint="b", methods=["DELETE"])
    return app


def test_routes_are_a_table(routed):
    assert [line.rstrip() for line in routes_of(routed)] == [
        "Endpoint  Methods    Rule",
        "--------  ---------  ----------",
        "a         GET, POST  /z",
        "b         DELETE     /y/<int:x>",
    ]


@pytest.mark.parametrize(
    ("order", "first"), [("endpoint", "a"), ("methods", "b"), ("rule", "b"), ("domain", "a")]
)
def test_routes_can_be_sorted(routed, order, first):
    assert routes_of(routed, "-s", order)[2].startswith(first)


def test_all_methods_can_be_shown(routed):
    assert "GET, HEAD, OPTIONS, POST" in routes_of(routed, "--all-methods")[2]


@pytest.mark.parametrize(("matching", "column"), [(False, "Subdomain"), (True, "Host")])
def test_routes_show_domains_where_there_are_any(matching, column):
    app = Flask("made", static_folder=None, host_matching=matching)
    app.add_url_rule("/", endpoint="a", **{column.lower(): "b.test"})
    app.add_url_rule("/", endpoint="b", **{column.lower(): "a.test"})
    lines = routes_of(app, "-s", "domain")
    assert column in lines[0]
    assert [line[0] for line in lines[2:]] == ["b", "a"]


def test_routes_mark_websockets_and_async_views():
    app = Flask("made", static_folder=None)

    async def later():
        return ""

    async def chat():
        return None

    app.add_url_rule("/a", view_func=later)
    app.add_url_rule("/b", "plain", lambda: "")
    app.websocket("/chat")(chat)
    lines = [line.split() for line in routes_of(app)]
    assert lines[0] == ["Endpoint", "Methods", "Kind", "Rule"]
    assert ["later", "GET", "async", "/a"] in lines
    assert ["plain", "GET", "/b"] in lines
    assert [*filter(lambda line: "WebSocket" in line, lines)] == [
        ["chat", "GET", "WebSocket", "/chat"]
    ]


def test_routes_can_be_read_by_programs(routed):
    rules = json.loads("\n".join(routes_of(routed, "--json")))
    assert {"endpoint", "methods", "subdomain", "kind", "rule"} == set(rules[0])
    assert len(rules) == len(routes_of(routed)) - 2
    assert all(isinstance(rule["methods"], list) for rule in rules)


@pytest.mark.parametrize("command", ["run", "serve", "routes", "shell", "check", "openapi"])
def test_a_file_that_is_not_there_is_the_same_sentence_everywhere(monkeypatch, tmp_path, command):
    # `check` does it in its own process, which this is not.
    monkeypatch.setattr("kolben.loading.shadow.install_as_flask", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert "Error: There is no file 'shpo.py' in" in invoke(command, "shpo.py").output


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("x = 1", "was found in the program 'shop.py'. Use 'shop.py:name'"),
        ("a = kolben.Flask('a')\nb = kolben.Flask('b')", "Say which one with 'shop.py:name'"),
        ("def create_app(name): ...", "Give them with 'shop.py:create_app(args)'"),
        ("def create_app(): ...", "returns no application but None"),
    ],
)
def test_a_program_without_one_application_is_called_by_its_file(
    monkeypatch, tmp_path, program, said
):
    (tmp_path / "shop.py").write_text(f"import kolben\n{program}\n")
    monkeypatch.chdir(tmp_path)
    assert said in invoke("run", "shop.py").output


def test_the_document_of_a_target_is_not_that_of_the_program_in_the_folder(monkeypatch, tmp_path):
    program = "from kolben.api import API\napp = API(__name__, title='{}')\n"
    (tmp_path / "app.py").write_text(program.format("usual"))
    (tmp_path / "other_api.py").write_text(program.format("other"))
    (tmp_path / "no_api.py").write_text("import kolben\napp = kolben.Flask(__name__)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert json.loads(invoke("openapi", "other_api.py").output)["info"]["title"] == "other"
    assert json.loads(invoke("openapi").output)["info"]["title"] == "usual"
    assert "has no typed API" in invoke("openapi", "no_api.py").output
    monkeypatch.delitem(sys.modules, "app")


def test_routes_and_shell_take_the_application_as_an_argument(monkeypatch, tmp_path):
    (tmp_path / "there.py").write_text("from kolben import Flask\napp = Flask('there')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "static" in invoke("routes", "there").output
    shell = CliRunner().invoke(kolben.cli.cli, ["shell", "there:app"], input="print(app.name)\n")
    assert "there" in shell.output
    assert "Could not import 'nowhere'" in invoke("routes", "nowhere").output


def test_a_mistyped_command_is_one_error_that_names_the_right_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    output = invoke("rotes").output
    assert output.count("Error:") == 1
    assert "Did you mean 'routes'?" in output


def test_no_routes():
    assert routes_of(Flask("made", static_folder=None)) == ["No routes were registered."]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("command", ["run", "routes", "shell", "serve", "check", "openapi"])
def test_shells_complete_the_application(monkeypatch, tmp_path, shell, command):
    for name in "shop.py", "notes.txt", "package/__init__.py", "folder/data.txt":
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    words = {"COMP_WORDS": f"kolben {command} ", "COMP_CWORD": "" if shell == "fish" else "2"}
    result = CliRunner().invoke(
        kolben.cli.cli,
        env={"_KOLBEN_COMPLETE": f"{shell}_complete", **words},
        prog_name="kolben",
        standalone_mode=True,
    )
    offered = result.output
    assert "package" in offered
    assert "shop.py" in offered
    assert "notes.txt" not in offered
    assert "folder" not in offered


def test_an_applications_own_command_comes_before_one_that_flask_has_not(module):
    module(
        """
        from kolben import Flask, current_app
        app = Flask("shop")

        @app.cli.command("check")
        def check():
            print("mine:", current_app.name)
        """
    )
    assert invoke("--app", "made_app", "check").output == "mine: shop\n"


# Errors of the program


def run_in(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "kolben", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("command", [["routes"], ["shell"], ["run"], ["openapi"], ["--help"]])
def test_an_error_of_the_program_begins_with_the_programs_line(folder, command):
    (folder / "app.py").write_text("from kolben import Flask\napp = Flask(__name__)\n1 / 0\n")
    lines = run_in(folder, *command).stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "app.py" in lines[1]
    assert "line 3" in lines[1]
    assert "ZeroDivisionError: division by zero" in lines


def test_a_program_that_cannot_be_compiled_is_shown_by_its_line_alone(folder):
    (folder / "app.py").write_text("def broken(:\n")
    result = run_in(folder, "routes")
    assert result.returncode == 1
    first, *_, last = result.stderr.splitlines()
    assert "app.py" in first
    assert "line 1" in first
    assert last.startswith("SyntaxError:")
