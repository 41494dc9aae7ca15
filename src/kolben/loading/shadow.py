"""Let ``import flask`` mean Kolben, so that programs and extensions run without an edit.

:func:`install_as_flask` puts a finder on :data:`sys.meta_path`. From then on ``flask`` and each module
that Flask has are the module objects ``kolben`` and ``kolben.<name>``, whether or not Flask itself is
installed. What Kolben has beside Flask's modules stays under its own name alone.

Agents wait for modules to be imported, and look at them then (PEP 302's post-import hooks, as of
``wrapt`` and ``importlib``): so each of Flask's modules is imported under Flask's name, through the
finders of those agents, in the moment in which Flask imports it; and has Flask's name by then, and so
have the classes and functions in it.

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
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from types import FunctionType, ModuleType

from ..lazy import lazy, lazy_kept
from .waiting import wake

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from logging import Logger

_SHADOWED = "flask"
_OWN = __name__.partition(".")[0]

#: The version of Flask whose behaviour Kolben has, and which it reports under Flask's name.
FLASK_VERSION = "3.1.3"

# What `import flask` imports, each after those that it needs itself; and what Flask imports later.
_AT_ONCE = (
    "signals", "typing", "json.provider", "json.tag", "json", "globals", "wrappers", "helpers", "sessions",
    "ctx", "templating", "config", "logging", "sansio", "sansio.scaffold", "sansio.app", "cli", "app",
    "sansio.blueprints", "blueprints",
)  # fmt: skip
_LATER = ("__main__", "debughelpers", "testing", "views")
_NAMES = {f"{_SHADOWED}.{name}": f"{_OWN}.{name}" for name in (*_AT_ONCE, *_LATER)} | {
    _SHADOWED: _OWN
}
_ALIASES = {own: alias for alias, own in _NAMES.items()}


def install_as_flask() -> None:
    """Make ``flask`` and every ``flask.*`` module mean Kolben, in this process.

    Call it before anything imports Flask. A second call does nothing.

    :raises RuntimeError: when the real Flask has been imported already.
    """
    own = sys.modules[_OWN]
    _refuse_if_late(own)
    if _finder in sys.meta_path:
        return
    # PERF: here, because it takes 10 ms to import what knows metadata.
    from .stand_in import StandInFinder, is_installed

    # Behind the finders of agents, which call hooks for what another finder has found.
    standard = [
        at
        for at, finder in enumerate(sys.meta_path)
        if finder in (BuiltinImporter, FrozenImporter, PathFinder)
    ]
    sys.meta_path.insert(min(standard, default=len(sys.meta_path)), _finder)
    if not is_installed(_SHADOWED):
        # Last, so that a real distribution which turns up on sys.path later is found first.
        sys.meta_path.append(StandInFinder(FLASK_VERSION))
    delattr(own, "__version__")
    own.__getattr__ = _flask_version  # type: ignore[method-assign]


def is_installed_as_flask() -> bool:
    """Whether ``flask`` means Kolben in this process.

    :return: True after :func:`install_as_flask`.
    """
    return _finder in sys.meta_path or sys.modules.get(_SHADOWED) is sys.modules[_OWN]


_has_warned = False


def warn_of_flask(logger: Logger) -> None:
    """Say once that the real Flask was imported beside an application of Kolben's.

    What imported it, an extension most likely, looks for the request and the application where there are
    none.

    :param logger: the application's.
    """
    global _has_warned
    flask = sys.modules.get(_SHADOWED)
    if flask is None or _has_warned or is_installed_as_flask() or flask is sys.modules[_OWN]:
        return
    _has_warned = True
    logger.warning(
        "The real Flask, %s, was imported beside this application of Kolben: extensions that use it will be"
        " 'working outside of application context'. Start the program by 'kolben exec -- PROGRAM', or call"
        " kolben.install_as_flask() before anything imports flask.",
        getattr(flask, "__file__", None) or "flask",
    )


def _refuse_if_late(own: ModuleType) -> None:
    module = sys.modules.get(_SHADOWED)
    if module is not None and module is not own:
        raise RuntimeError(
            f"install_as_flask() was called too late: the module 'flask' has already been imported"
            f" from {getattr(module, '__file__', None) or 'elsewhere'}; call install_as_flask()"
            " before anything that imports flask."
        )


class _AliasFinder:
    """Finds ``flask.<name>`` where ``kolben.<name>`` is."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname in _NAMES:
            return ModuleSpec(fullname, t.cast("Loader", _AliasLoader(_NAMES[fullname])))
        if fullname.startswith(f"{_SHADOWED}.") and PathFinder.find_spec(fullname, path):
            # Ours alone: the other finders would find it in the folder of the package, once more.
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


_finder = _AliasFinder()

# The aliases that are being imported.
_loading: set[str] = set()


def announce(own: str) -> None:
    """Import a module of Kolben's, which has just run, under Flask's name, for those who wait for it.

    :param own: its name.
    """
    alias = _ALIASES.get(own)
    if alias is not None and alias not in _loading and is_installed_as_flask():
        importlib.import_module(alias)


class _AliasLoader:
    """Loads a module by importing another one."""

    def __init__(self, own: str) -> None:
        self.own = own
        self.spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        _loading.add(spec.name)
        try:
            module = importlib.import_module(self.own)
            wake(module)
        finally:
            _loading.discard(spec.name)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The module has run, under its own name. The import system has just labelled it with the
        # alias' spec: put its own back.
        module.__spec__ = self.spec
        _rename(module, self.own, _ALIASES[self.own])
        if self.own == _OWN:
            for name in _AT_ONCE:
                _import_alias(name)


def _import_alias(name: str) -> None:
    """Import one of Flask's modules, and hand on what hooks have put into it.

    In Flask the modules that take a name from it come later, and so take what a hook has put there.
    """
    own = importlib.import_module(f"{_OWN}.{name}")
    before = {key: getattr(own, key) for key in dir(own)}
    importlib.import_module(f"{_SHADOWED}.{name}")
    replaced = {
        key: value
        for key, value in vars(own).items()
        if key in before and value is not before[key] and not key.startswith("__")
    }
    if replaced:
        for taker in [sys.modules[one] for one in _ALIASES if one in sys.modules]:
            for key, value in replaced.items():
                if vars(taker).get(key) is before[key]:
                    setattr(taker, key, value)


def _rename(module: ModuleType, own: str, alias: str) -> None:
    """Have a module, and the classes and functions that are defined in it, bear the alias."""
    module.__name__ = alias
    for name in dir(module):  # with those that it takes from others when they are looked at
        _rename_part(getattr(module, name), own, alias)


def _rename_part(value: t.Any, own: str, alias: str) -> None:
    # By its type: a proxy would be asked for what it stands for.
    kind = type(value)
    if kind is FunctionType:
        if value.__module__ == own:
            value.__module__ = alias
    elif issubclass(kind, type):
        if value.__module__ == own:
            value.__module__ = alias
            for part in list(vars(value).values()):
                _rename_part(part, own, alias)
    elif kind is property:
        for part in (value.fget, value.fset, value.fdel):
            _rename_part(part, own, alias)
    elif kind is staticmethod or kind is classmethod:
        _rename_part(value.__func__, own, alias)
    elif kind is lazy or kind is lazy_kept:
        _rename_part(value.compute, own, alias)


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
