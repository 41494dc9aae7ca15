"""Runs at the start of each Python under ``kolben exec``: ``import flask`` means Kolben from here on.

Python imports the first module of this name that it finds, so the user's own, or a tracing agent's, is imported
from here.
"""

import importlib
import os
import sys


def _start() -> None:
    _install()
    here = os.path.dirname(os.path.abspath(__file__))
    own = sys.modules.get("sitecustomize")
    # Child processes find this folder by PYTHONPATH again; the program itself need not see it.
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != here]
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


_start()
