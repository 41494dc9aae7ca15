"""The development server: what ``app.run()`` and ``kolben run`` make of a program."""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import werkzeug.serving
from click.testing import CliRunner

import kolben
from kolben import Flask
from kolben.cli import FlaskGroup, cli
from kolben.serving import development

PATIENCE = 20  # seconds until something that should happen counts as missing

HINT = " * For production: kolben serve\n"


@pytest.fixture(autouse=True)
def clean_process(monkeypatch):
    for name in ("FLASK_DEBUG", "FLASK_RUN_FROM_CLI", "FLASK_APP", "WERKZEUG_RUN_MAIN"):
        # Set first, so that a value which appears during the test goes away with it.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [*sys.argv])
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(development, "_command_line", None)


@pytest.fixture
def served(monkeypatch):
    """What the server was called with, a dictionary for each time."""
    calls = []

    def run_simple(hostname, port, application, **options):
        calls.append(options | {"host": hostname, "port": port, "app": application})

    monkeypatch.setattr(werkzeug.serving, "run_simple", run_simple)
    return calls


# app.run()


@pytest.mark.parametrize(
    ("server_name", "host", "port", "expected"),
    [
        (None, None, None, ("127.0.0.1", 5000)),
        (None, "0.0.0.0", 8080, ("0.0.0.0", 8080)),
        ("a.test:81", None, None, ("a.test", 81)),
        ("a.test:81", "b.test", None, ("b.test", 81)),
        ("a.test:81", None, 0, ("a.test", 0)),
        ("a.test", None, "82", ("a.test", 82)),
    ],
)
def test_the_address(served, server_name, host, port, expected):
    app = Flask("program")
    app.config["SERVER_NAME"] = server_name
    app.run(host, port)
    assert (served[0]["host"], served[0]["port"]) == expected


@pytest.mark.parametrize(
    ("argument", "variable", "debug"),
    [(None, None, False), (True, None, True), (None, "1", True), (False, "1", False)],
)
def test_debug_mode(served, monkeypatch, capsys, argument, variable, debug):
    app = Flask("program")
    if variable:
        monkeypatch.setenv("FLASK_DEBUG", variable)
    app.run(debug=argument)
    assert app.debug is debug
    assert (served[0]["use_reloader"], served[0]["use_debugger"]) == (debug, debug)
    mode = "on" if debug else "off"
    assert (
        capsys.readouterr().out == f" * Serving Kolben app 'program'\n * Debug mode: {mode}\n{HINT}"
    )


def test_options_go_to_the_server(served):
    Flask("program").run(threaded=False, use_reloader=True, ssl_context="adhoc")
    options = {name: served[0][name] for name in ("threaded", "use_reloader", "ssl_context")}
    assert options == {"threaded": False, "use_reloader": True, "ssl_context": "adhoc"}


def test_a_command_that_imports_the_program_is_not_blocked(served, monkeypatch, capsys):
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    Flask("program").run()
    assert served == []
    assert "Ignoring a call to 'app.run()'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EADDRINUSE, "another program uses this port"),
        (errno.EACCES, "special rights"),
        (errno.EADDRNOTAVAIL, "no such address"),
        (errno.ENOBUFS, os.strerror(errno.ENOBUFS)),
    ],
)
def test_an_address_that_cannot_be_used_is_one_line(monkeypatch, capsys, number, words):
    def refuse(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(SystemExit) as stopped:
        Flask("program").run(port=5000)
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: Cannot listen on 127.0.0.1:5000: ")
    assert words in error
    assert error.count("\n") == 1


def test_a_number_that_is_no_port_is_one_line(capsys):
    with pytest.raises(SystemExit):
        Flask("program").run(port=99999)
    assert capsys.readouterr().err.startswith("Error: 99999 is no port number")


# kolben run program.py


DEFINES = """
from kolben import Flask
app = Flask(__name__)
"""

RUNS = """
from kolben import Flask
app = Flask(__name__)
if __name__ == "__main__":
    app.run(host="127.0.0.2", port=81, debug=True, use_debugger=False)
"""


@pytest.fixture
def program(tmp_path, served):
    """Write a program, run it with ``kolben run``, and answer the result."""

    def run(source, *args, **environment):
        path = tmp_path / "server.py"
        path.write_text(textwrap.dedent(source))
        # The group of the tests' own, for an environment that names no options.
        return CliRunner().invoke(cli, ["run", str(path), *args], env=environment)

    return run


def options_of(served, *names):
    assert len(served) == 1
    return [served[0][name] for name in names]


def test_a_program_that_only_defines_an_application_is_served(program, served):
    result = program(DEFINES, "--port", "82")
    assert result.output == " * Serving Kolben app 'server.py'\n * Debug mode: off\n" + HINT
    assert options_of(served, "host", "port", "use_reloader") == ["127.0.0.1", 82, False]
    assert served[0]["app"].name == "server"


def test_its_debug_mode_holds(program, served):
    program(DEFINES + "app.debug = True")
    assert options_of(served, "use_reloader", "use_debugger") == [True, True]


def test_what_a_program_says_holds(program, served):
    result = program(RUNS, FLASK_RUN_PORT="83", FLASK_RUN_RELOAD="0")
    names = ("host", "port", "use_reloader", "use_debugger")
    assert options_of(served, *names) == ["127.0.0.2", 81, False, False]
    assert result.output == " * Serving Kolben app 'server'\n * Debug mode: on\n" + HINT


def test_what_is_typed_holds_over_what_a_program_says(program, served):
    program(RUNS, "--port", "84", "--no-debug", "--debugger")
    names = ("host", "port", "use_reloader", "use_debugger")
    assert options_of(served, *names) == ["127.0.0.2", 84, False, True]


def test_what_the_environment_says_fills_the_gaps(program, served):
    program(RUNS.replace('host="127.0.0.2", ', ""), FLASK_RUN_HOST="127.0.0.3")
    assert options_of(served, "host", "port") == ["127.0.0.3", 81]


def test_debug_mode_of_the_whole_command_reaches_the_program(program, served, tmp_path):
    path = tmp_path / "server.py"
    path.write_text(RUNS.replace("debug=True", "debug=False"))
    CliRunner().invoke(cli, ["--debug", "run", str(path)])
    assert served[0]["app"].debug
    assert options_of(served, "use_reloader") == [True]


def test_a_program_is_run_as_python_would_run_it(program, served, tmp_path):
    source = """
    import pickle, sys, os
    from kolben import Flask
    class Point: pass
    assert pickle.loads(pickle.dumps(Point())).__class__ is Point
    app = Flask(__name__)
    app.config.update(
        MAIN=__name__, FILE=__file__, PATH=sys.path[0], ARGV=sys.argv,
        SAME=sys.modules["__main__"].app is app, DOC=__doc__, SPEC=__spec__,
    )
    """
    result = program(source)
    assert result.exception is None
    config = served[0]["app"].config
    path = str(tmp_path / "server.py")
    assert [config[name] for name in ("MAIN", "FILE", "PATH", "ARGV", "SAME", "DOC", "SPEC")] == [
        "__main__",
        path,
        str(tmp_path),
        [path],
        True,
        None,
        None,
    ]
    assert served[0]["app"].root_path == str(tmp_path)


def test_a_program_in_a_package_may_import_from_beside_it(served, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "shop_of_a_test"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "stock.py").write_text("COUNT = 7")
    program = package / "server.py"
    program.write_text(
        "from kolben import Flask\nfrom .stock import COUNT\n"
        "app = Flask(__name__)\napp.config['COUNT'] = COUNT"
    )
    result = CliRunner().invoke(cli, ["run", str(program)])
    assert result.exception is None
    assert served[0]["app"].config["COUNT"] == 7


def test_a_program_without_an_application_is_one_clear_line(program, served):
    result = program("x = 1")
    assert result.exit_code == 2
    assert result.output.startswith("Error: No application or factory was found")
    assert result.output.count("\n") == 1


def test_a_program_that_fails_shows_its_error(program, served):
    assert isinstance(program("1 / 0").exception, ZeroDivisionError)
    assert isinstance(program("def (").exception, SyntaxError)
    assert served == []


def test_a_program_that_fails_is_watched_where_the_reloader_is_wanted(program, served, capsys):
    result = program("1 / 0", "--debug")
    assert "Traceback" not in result.output  # The process that serves shows it.
    assert options_of(served, "use_reloader") == [True]
    lengths = set()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError) as failure:
            served[0]["app"]({}, None)
        lengths.add(len(failure.traceback))
    assert len(lengths) == 1  # no request makes the traceback longer


def test_the_frames_below_the_programs_last_are_counted_where_it_fails_to_load(tmp_path):
    (tmp_path / "shop.py").write_text(
        "from kolben import Flask\napp = Flask(__name__)\napp.get('no-slash')(lambda: '')\n"
    )
    command = [sys.executable, "-m", "kolben", "run", "shop.py"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("  ")]
    assert "shop.py" in lines[0]
    assert lines[-1].endswith("frames of the framework")
    assert "ValueError: " in done.stderr


def test_a_module_that_fails_is_watched_where_the_reloader_is_wanted(served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made_failing.py").write_text("1 / 0")
    group = FlaskGroup()
    result = CliRunner().invoke(group, ["run", "made_failing"])
    assert isinstance(result.exception, ZeroDivisionError)
    CliRunner().invoke(group, ["run", "made_failing", "--reload"])
    assert options_of(served, "use_reloader") == [True]


# Real servers


class Server:
    """A program in a process of its own, with all that it prints."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.path = folder / "server.py"
        self._log = folder / "output.txt"
        self._folder = folder
        self._arguments = arguments

    def start(self, source: str) -> None:
        self.save(source)
        own = str(Path(kolben.__file__).parent.parent)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    *(each.replace("{port}", str(self.port)) for each in self._arguments),
                ],
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": own},
                start_new_session=True,
            )

    def save(self, source: str) -> None:
        self.path.write_text(textwrap.dedent(source).replace("{port}", str(self.port)))

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def get(self) -> tuple[int, str, list[tuple[str, str]]]:
        """Status, body and headers of ``GET /``; status 0 where no server answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.getheaders()
        except (OSError, http.client.HTTPException):
            return 0, "", []
        finally:
            connection.close()

    def wait_for(self, status: int, text: str = "") -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = self.get()
            if answer[0] == status and text in answer[1]:
                return answer[1]
            time.sleep(0.1)
        pytest.fail(f"no {status} {text!r} but {answer}; the program printed:\n{self.output}")


@pytest.fixture
def server(tmp_path, request):
    server = Server(tmp_path, *request.param)
    yield server
    server.stop()


GOOD = """
from {package} import Flask
app = Flask(__name__)
@app.get("/")
def index():
    return "{word}"
if __name__ == "__main__":
    app.run(port={port}, debug=True, reloader_interval=0.2)
"""


def good(word: str, package: str = "flask") -> str:
    return GOOD.replace("{word}", word).replace("{package}", package)


RUN = ("-m", "kolben", "run", "--port", "{port}", "--debug")


@pytest.mark.parametrize(
    "server",
    [(*RUN, "server.py"), (*RUN, "server:app"), ("-m", "kolben", "-A", "server", *RUN[2:])],
    ids=["file", "module", "--app"],
    indirect=True,
)
def test_a_first_start_with_a_syntax_error_is_shown_and_outlived(server):
    server.start("def broken(:\n")
    page = server.wait_for(500, "SyntaxError")
    assert "def broken(:" in page
    server.save(good("recovered"))
    server.wait_for(200, "recovered")


@pytest.mark.parametrize("server", [("server.py",)], indirect=True)
def test_a_program_that_dies_while_it_is_edited_is_waited_for(server):
    server.start(good("before", "kolben"))
    server.wait_for(200, "before")
    server.save("def broken(:\n")
    server.wait_for(503, "The program has stopped")
    assert "SyntaxError" in server.output
    assert "exit status 1" in server.output
    server.save(good("after", "kolben"))
    server.wait_for(200, "after")


@pytest.mark.parametrize(
    "server", [("-m", "kolben", "run", "server.py", "-p", "{port}")], indirect=True
)
def test_headers_of_the_server_are_sent_once(server):
    server.start(
        """
        from flask import Flask
        app = Flask(__name__)
        @app.get("/")
        def index():
            return "", {"Server": "python flask", "Date": "today"}
        """
    )
    server.wait_for(200)
    headers = server.get()[2]
    assert [value for name, value in headers if name in ("Server", "Date")] == [
        "python flask",
        "today",
    ]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/missing")
    headers = connection.getresponse().getheaders()
    connection.close()
    assert [name for name, _ in headers if name in ("Server", "Date")] == ["Server", "Date"]
