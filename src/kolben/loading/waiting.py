"""Let modules wait until something asks for what is in them.

The package ``werkzeug`` imports its development server and its test client in its first lines, and with
them servers, clients and encryption of the standard library. In production that is a tenth of the time and
memory that a small program takes to start, for nothing. What Kolben needs is in Werkzeug's modules, none of
which needs these lines. ``werkzeug.run_simple``, ``werkzeug.serving`` and whatever else the package offers
are there as ever: the first look at one of them imports it. The same way ``kolben.cli`` waits, and with it
click.
"""

from __future__ import annotations

import sys
import typing as t
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType


class _Waiting(ModuleType):
    """A module whose lines have not run. The modules of a package are found by its path."""

    def __getattr__(self, name: str) -> t.Any:
        spec: ModuleSpec = self.__dict__["__spec__"]
        if not name.startswith("__"):
            if spec.submodule_search_locations and find_spec(f"{spec.name}.{name}") is not None:
                return import_module(f"{spec.name}.{name}")
            self._run(spec)
            if name in self.__dict__:
                return self.__dict__[name]
        # Where a module has names of its own way to find, it is asked again, as it is awake now.
        if type(self) is not _Waiting:
            return getattr(self, name)
        raise AttributeError(f"module {spec.name!r} has no attribute {name!r}", name=name)

    def __dir__(self) -> list[str]:
        self._run(self.__dict__["__spec__"])
        return dir(self) if type(self) is not _Waiting else sorted(self.__dict__)

    def _run(self, spec: ModuleSpec) -> None:
        with _locks[spec.name]:
            # Asked again by these very lines, it has what it has by then, as in any import.
            if type(self) is _Waiting and spec.name not in _running:
                _running.add(spec.name)
                try:
                    t.cast("SourceFileLoader", spec.loader).exec_module(self)
                    self.__class__ = t.cast("t.Any", ModuleType)
                finally:
                    _running.discard(spec.name)


# A module is run by one thread, while others wait for it.
_locks: dict[str, t.Any] = {}
_running: set[str] = set()


def let_wait(name: str) -> None:
    """Have a module wait, unless it was imported before or an agent waits for it.

    :param name: the module.
    """
    if name in sys.modules:
        return
    spec = find_spec(name)
    # Agents put loaders of their own in place of the ordinary one, to be told when it has run.
    if spec is None or type(spec.loader) is not SourceFileLoader:
        return
    module = module_from_spec(spec)
    _locks[name] = RLock()
    module.__class__ = _Waiting
    sys.modules[name] = module
    package, _, own = name.rpartition(".")
    if package:
        setattr(sys.modules[package], own, module)


def wake(module: ModuleType) -> None:
    """Run the lines of a module that waits.

    :param module: the module.
    """
    if type(module) is _Waiting:
        dir(module)
