"""``kolben exec``: any program of Python, with ``import flask`` meaning Kolben, in its child processes too.

As tracing agents do it: the environment's ``PYTHONPATH`` leads each Python that starts to a module which Python
runs before the program, :mod:`kolben.serving.startup.sitecustomize`. Nothing is written anywhere.
"""

from __future__ import annotations

import os
import shutil
import sys
import typing as t

import click

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ..cli import ScriptInfo

_STARTUP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "startup")

# Names of what Python itself runs: programs, and archives of programs (PEP 441).
_FILES = (".py", ".pyw", ".pyz", ".pyzw")

#: What a shell answers when it finds no such command.
_NOT_FOUND = 127


@click.command(
    "exec",
    short_help="Run a program with Kolben in place of Flask.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument(
    "program", nargs=-1, required=True, type=click.UNPROCESSED, metavar="PROGRAM ARGS..."
)
@click.pass_context
def exec_command(ctx: click.Context, /, program: tuple[str, ...]) -> None:
    """Run a program of Python in which 'import flask' means Kolben, in its child processes too.

    PROGRAM is a console script, a file, or a module:

    \b
      kolben exec -- gunicorn app:app
      kolben exec -- pytest -x
      kolben exec -- -m flask_program --port 8000
      kolben exec -- server.py

    It takes the place of this process. Variables of '.env' and '.flaskenv' are not set for it.
    """  # noqa: D301 (click's mark for lines to be left as they are)
    from ..cli import ScriptInfo

    info: ScriptInfo = ctx.ensure_object(ScriptInfo)
    for name in (*info.variables_of_files, "FLASK_RUN_FROM_CLI"):
        os.environ.pop(name, None)
    run_program(program)


def run_program(program: Sequence[str]) -> t.NoReturn:
    """Run a program in the place of this process.

    :param program: the command line, as :func:`exec_command` takes it.
    :raises SystemExit: when there is no such program, or, on Windows, when it has ended.
    """
    _enter(_command(program), program[0])


def start_anew() -> None:
    """Start this ``kolben`` command once more, with Kolben in place of Flask before anything can import Flask.

    The start-up module of a tracing agent has imported it by now: ``opentelemetry-instrument kolben serve``. Nothing
    happens where that was tried already, or where the command is a program's own.
    """
    is_ours = os.path.basename(sys.argv[0]).removesuffix(".exe") in {"kolben", "__main__.py"}
    path = os.environ.get("PYTHONPATH", "")
    if is_ours and path.split(os.pathsep)[0] != _STARTUP:
        _enter([sys.executable, *sys.orig_argv[1:]], sys.argv[0])


def _enter(command: list[str], name: str) -> t.NoReturn:
    """Run a command in the place of this process, with Kolben in place of Flask from its start on."""
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([_STARTUP, path] if path else [_STARTUP])
    # The same process: its start can say that it is not the Python that was meant.
    os.environ["KOLBEN_EXEC"] = str(os.getpid())
    sys.stdout.flush()
    if os.name == "nt":
        import subprocess

        sys.exit(subprocess.call(command))  # noqa: S603 (what the user asked for)
    try:
        os.execv(command[0], command)  # noqa: S606
    except OSError as error:
        click.echo(f"Error: {name!r} cannot be run: {error.strerror}.", err=True)
        sys.exit(126)


def _command(program: Sequence[str]) -> list[str]:
    name, *arguments = program
    if name == "-m":
        if not arguments:
            click.echo("Error: '-m' needs the name of a module.", err=True)
            sys.exit(2)
        return [sys.executable, *program]
    is_file = name.endswith(_FILES) and os.path.isfile(name)
    if is_file or os.path.isfile(os.path.join(name, "__main__.py")):
        return [sys.executable, *program]
    # First where this command is from: an environment need not be activated.
    here = os.path.dirname(sys.executable)
    found = shutil.which(name, path=os.pathsep.join((here, os.environ.get("PATH", os.defpath))))
    if found is None:
        click.echo(
            f"Error: There is no program {name!r} in {here!r} or on the PATH. For a module, write"
            f" 'kolben exec -- -m {name}'.",
            err=True,
        )
        sys.exit(_NOT_FOUND)
    return [os.path.abspath(found), *arguments]
