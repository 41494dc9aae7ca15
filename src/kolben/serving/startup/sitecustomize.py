"""Runs at the start of each Python under ``kolben exec``: ``import flask`` means Kolben from here on.

Python imports the first module of this name that it finds, so the user's own, or a tracing agent's, is imported
from here.
"""

import importlib
import os
import sys
import typing as t

_HERE = os.path.dirname(os.path.abspath(__file__))


def _start() -> None:
    _install()
    _stay_first()
    own = sys.modules.get("sitecustomize")
    # Child processes find this folder by PYTHONPATH again; the program itself need not see it.
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != _HERE]
    sys.modules.pop("sitecustomize", None)
    importlib.invalidate_caches()
    try:
        importlib.import_module("sitecustomize")
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
        if own is not None:
            sys.modules["sitecustomize"] = own


def _install() -> None:
    try:
        import kolben
    except ImportError:
        # Another Python than that of the command: said once, by the program itself.
        if os.environ.get("KOLBEN_EXEC") == str(os.getpid()):
            sys.stderr.write(
                f"Error: {sys.executable} runs this program, and has no Kolben: install it there,"
                " and use that environment's 'kolben exec'.\n"
            )
            sys.stderr.flush()
            os._exit(1)
        return
    kolben.install_as_flask()


def _stay_first() -> None:
    """Keep this folder before others where the process becomes another program's.

    Tracing agents' commands put theirs first, and not all of their start-up modules import the next one.
    """

    def lead(environ: t.Any) -> None:
        paths = environ.get("PYTHONPATH", "").split(os.pathsep)
        if _HERE in paths[1:] and paths[0] != _HERE:
            environ["PYTHONPATH"] = os.pathsep.join(
                [_HERE, *(one for one in paths if one != _HERE)]
            )

    execv, execve = os.execv, os.execve

    def execv_led(path: t.Any, argv: t.Any, /) -> t.NoReturn:
        lead(os.environ)
        execv(path, argv)

    def execve_led(path: t.Any, argv: t.Any, env: t.Any) -> t.NoReturn:
        env = dict(env)
        lead(env)
        execve(path, argv, env)

    os.execv, os.execve = execv_led, execve_led
    if execve in os.supports_fd:
        os.supports_fd.add(execve_led)


_start()
