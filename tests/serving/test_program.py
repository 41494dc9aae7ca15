"""`kolben exec`: real programs, in processes of their own."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipapp
from pathlib import Path

import pytest

SHOW = """
import importlib.metadata, subprocess, sys
from flask import Flask
import flask, kolben
print(sys.argv[1:], flask.Flask is kolben.Flask, importlib.metadata.version("flask"), flush=True)
if "child" in sys.argv:
    subprocess.run([sys.executable, __file__, "grandchild"], check=True)
"""
APP = """
from flask import Flask
import extension
app = Flask(__name__)

@app.get("/")
def index():
    import kolben
    return f"{Flask is kolben.Flask} {extension.path()}"
"""
EXTENSION = """
from flask import request

def path():
    return request.path
"""


def run(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kolben", "exec", *arguments],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "show.py").write_text(SHOW)
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "extension.py").write_text(EXTENSION)
    return tmp_path


@pytest.mark.parametrize(
    "program",
    [
        ["--", sys.executable, "show.py"],
        ["--", "show.py"],
        ["--", "-m", "show"],
        ["-m", "show"],
        ["show.py"],
    ],
    ids=" ".join,
)
def test_flask_means_kolben_in_the_program_and_its_children(
    folder: Path, program: list[str]
) -> None:
    before = {path.name for path in folder.iterdir()}
    done = run(folder, *program, "child", "--port", "1", PYTHONDONTWRITEBYTECODE="1")
    assert done.stdout.splitlines() == [
        "['child', '--port', '1'] True 3.1.3",
        "['grandchild'] True 3.1.3",
    ], done.stderr
    assert done.stderr == ""
    assert {path.name for path in folder.iterdir()} == before


def test_console_scripts_of_the_environment(folder: Path) -> None:
    (folder / "test_it.py").write_text(
        "import flask, kolben\ndef test_it():\n    assert flask.Flask is kolben.Flask\n"
    )
    done = run(folder, "--", "pytest", "-q", "-p", "no:cacheprovider", PATH="/nowhere")
    assert "1 passed" in done.stdout, done.stderr


def test_the_users_own_start_up_runs_too(folder: Path) -> None:
    own = folder / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("print('own start', flush=True)")
    (folder / "show.py").write_text("import sitecustomize; print(sitecustomize.__file__)")
    done = run(folder, "--", "show.py", PYTHONPATH=str(own))
    # The command itself is a Python, too.
    assert done.stdout.splitlines() == ["own start", "own start", str(own / "sitecustomize.py")]


def test_an_error_in_the_users_own_start_up_is_theirs(folder: Path) -> None:
    own = folder / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import not_there")
    done = run(folder, "--", "show.py", PYTHONPATH=str(own))
    assert "not_there" in done.stderr
    assert "True 3.1.3" in done.stdout


def test_files_for_development_are_not_for_the_program(folder: Path) -> None:
    pytest.importorskip("dotenv")
    (folder / ".flaskenv").write_text("FLASK_DEBUG=1\nOTHER=1\n")
    (folder / "show.py").write_text(
        "import os; print([n for n in os.environ if n.startswith('FLASK_') or n == 'OTHER'])"
    )
    assert run(folder, "--", "show.py").stdout == "[]\n"


def test_exit_status_is_the_programs(folder: Path) -> None:
    (folder / "show.py").write_text("import sys; sys.exit(7)")
    assert run(folder, "--", "show.py").returncode == 7


@pytest.mark.parametrize(
    ("program", "message", "status"),
    [
        (["--", "no-such-program"], "There is no program 'no-such-program'", 127),
        (["-m"], "needs the name of a module", 2),
        ([], "Missing argument", 2),
    ],
    ids=["unknown", "no-module", "nothing"],
)
def test_a_mistake_is_said(folder: Path, program: list[str], message: str, status: int) -> None:
    done = run(folder, *program)
    assert message in done.stderr
    assert done.returncode == status


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn")
def test_gunicorn_and_its_workers(folder: Path) -> None:
    if importlib.util.find_spec("gunicorn") is None:
        pytest.skip("gunicorn is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = ["gunicorn", "-b", f"127.0.0.1:{port}", "-w", "2", "app:app"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kolben", "exec", "--", *program],
        cwd=folder,
        stderr=subprocess.PIPE,
    )
    try:
        assert get(port, process) == "True /"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def get(port: int, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                body: bytes = answer.read()
                return body.decode()
        except ConnectionError:
            time.sleep(0.05)
        except urllib.error.URLError:
            time.sleep(0.05)
    raise AssertionError("no server")


def test_the_real_flask_beside_an_application_is_warned_of_once(folder: Path) -> None:
    real = folder / "real"
    (real / "flask").mkdir(parents=True)
    (real / "flask" / "__init__.py").write_text("")
    (folder / "program.py").write_text(
        "import flask\nfrom kolben import Flask\n"
        "for name in 'ab':\n    app = Flask(name)\n    app.test_client().get('/')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(real)}
    command = [sys.executable, "program.py"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert done.stderr.count("kolben exec") == 1
    assert done.stderr.count("install_as_flask()") == 1
    # Under the command there is none.
    done = run(folder, "--", "program.py", PYTHONPATH=str(real))
    assert (done.stderr, done.returncode) == ("", 0)


AGENT = """
import flask  # and no other start-up module, as that of OpenTelemetry
print("agent", flask.__name__, getattr(flask, "is_real", False), flush=True)
"""
LAUNCHER = """
import os, sys
how, *program = sys.argv[1:]
here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "agent")
path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
env = {**os.environ, "PYTHONPATH": path}
if how == "execve":
    os.execve(program[0], program, env)
if how == "execvpe":
    os.execvpe(program[0], program, env)
os.environ["PYTHONPATH"] = path
os.execl(program[0], *program)
"""


@pytest.fixture
def agent(folder: Path) -> Path:
    """A tracing agent whose start-up module imports Flask, and a Flask that is not ours."""
    for name in ("agent", "flask"):
        (folder / name).mkdir()
    (folder / "agent" / "sitecustomize.py").write_text(AGENT)
    (folder / "flask" / "__init__.py").write_text("is_real = True\n__version__ = '3.1.3'\n")
    (folder / "launcher.py").write_text(LAUNCHER)
    return folder


@pytest.mark.parametrize("how", ["execl", "execve", "execvpe"])
def test_a_command_that_puts_its_own_start_up_first_does_not_keep_ours_out(
    agent: Path, how: str
) -> None:
    done = run(agent, "--", "launcher.py", how, sys.executable, "show.py", PYTHONPATH=str(agent))
    assert done.stdout.splitlines() == ["agent flask False", "[] True 3.1.3"], done.stderr


@pytest.mark.parametrize("command", [["exec", "show.py"], ["--app", "app", "routes"]], ids=" ".join)
def test_a_start_up_module_that_has_imported_flask_already_is_run_once_more(
    agent: Path, command: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kolben", *command],
        cwd=agent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(agent / "agent"), str(agent)])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[:2] == ["agent flask True", "agent flask False"], done.stderr
    assert done.returncode == 0


def test_a_program_that_has_imported_flask_and_calls_the_command_is_not_started_anew(
    agent: Path,
) -> None:
    (agent / "own.py").write_text("import flask, kolben.cli\nprint(1)\nkolben.cli.main()\n")
    done = subprocess.run(
        [sys.executable, "own.py", "--version"], cwd=agent, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "1\n")
    assert "install_as_flask() was called too late" in done.stderr


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_archives_and_folders_that_python_runs(folder: Path, kind: str) -> None:
    (folder / "shown").mkdir()
    (folder / "shown" / "__main__.py").write_text(SHOW)
    name = "shown"
    if kind == "archive":
        name = "shown.pyz"
        zipapp.create_archive(folder / "shown", folder / name)
    done = run(folder, "--", name, "x")
    assert done.stdout == "['x'] True 3.1.3\n", done.stderr
