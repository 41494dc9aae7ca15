"""Let ``import flask`` mean Kolben, so that programs and extensions run without an edit.

:func:`install_as_flask` puts a finder on :data:`sys.meta_path`. From then on ``flask`` and each
``flask.<name>`` are the module objects ``kolben`` and ``kolben.<name>``, imported when they are first
asked for, whether or not Flask itself is installed.

It holds for the process that called it. ``kolben run`` and every other ``kolben`` command call it
before anything else, and so does each process that the reloader starts, for that is again the same
command.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import typing as t
import warnings
from importlib.machinery import ModuleSpec

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from types import ModuleType

_SHADOWED = "flask"
_OWN = __name__.partition(".")[0]

#: The version of Flask whose behaviour Kolben has, and which it reports under Flask's name.
FLASK_VERSION = "3.1.3"


def install_as_flask() -> None:
    """Make ``flask`` and every ``flask.*`` module mean Kolben, in this process.

    Call it before anything imports Flask. A second call does nothing.

    :raises RuntimeError: when the real Flask has been imported already.
    """
    own = sys.modules[_OWN]
    _refuse_if_late(own)
    if sys.modules.get(_SHADOWED) is own:
        return
    # PERF: here, because it takes 10 ms to import what knows metadata.
    from .stand_in import StandInFinder, is_installed

    sys.meta_path.insert(0, _AliasFinder())
    if not is_installed(_SHADOWED):
        # Last, so that a real distribution which turns up on sys.path later is found first.
        sys.meta_path.append(StandInFinder(FLASK_VERSION))
    delattr(own, "__version__")
    own.__getattr__ = _flask_version  # type: ignore[method-assign]
    sys.modules[_SHADOWED] = own


def is_installed_as_flask() -> bool:
    """Whether ``flask`` means Kolben in this process.

    :return: True after :func:`install_as_flask`.
    """
    return sys.modules.get(_SHADOWED) is sys.modules[_OWN]


def _refuse_if_late(own: ModuleType) -> None:
    module = sys.modules.get(_SHADOWED)
    if module is not None and module is not own:
        raise RuntimeError(
            f"install_as_flask() was called too late: the module 'flask' has already been imported"
            f" from {getattr(module, '__file__', None) or 'elsewhere'}; call install_as_flask()"
            " before anything that imports flask."
        )


def _own_name(fullname: str) -> str | None:
    """``flask.json.tag`` -> ``kolben.json.tag``; None for a module that is not Flask's."""
    head, dot, rest = fullname.partition(".")
    return f"{_OWN}{dot}{rest}" if head == _SHADOWED else None


class _AliasFinder:
    """Finds ``flask.<name>`` where ``kolben.<name>`` is."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        own = _own_name(fullname)
        if own is None or not _exists(own):
            # The other finders answer, and the import error names the module as it was asked for.
            return None
        return ModuleSpec(fullname, t.cast("Loader", _AliasLoader(own)))


def _exists(name: str) -> bool:
    """Whether a module can be found; a module in ``sys.modules`` may have no ``__spec__``."""
    return name in sys.modules or importlib.util.find_spec(name) is not None


class _AliasLoader:
    """Loads a module by importing another one."""

    def __init__(self, own: str) -> None:
        self.own = own
        self.spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.own)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The module has run, under its own name. The import system has just labelled it with the
        # alias' spec: put its own back.
        module.__spec__ = self.spec


def _flask_version(name: str) -> str:
    """Answer for ``__version__``, as a module's ``__getattr__``.

    Once ``kolben`` and ``flask`` are one module object it can have but one version: that of the
    Flask it stands in for, with the warning that Flask 3.1.3 gives. Kolben's own is what
    ``importlib.metadata.version("kolben")`` says.

    :param name: the attribute that the module does not have.
    :raises AttributeError: for another one.
    """
    if name != "__version__":
        raise AttributeError(f"module {_OWN!r} has no attribute {name!r}")
    warnings.warn(
        "The '__version__' attribute is deprecated and will be removed in Flask 3.2."
        " Use feature detection or 'importlib.metadata.version(\"flask\")' instead.",
        DeprecationWarning,
        stacklevel=2,
    )
    return FLASK_VERSION
