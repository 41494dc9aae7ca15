"""Print the public surface of `flask` or `kolben` as JSON: `python inventory.py flask`.

Names, kinds, signatures, defaults, command-line options: facts that two packages can be compared by.
Every mention of the package's own name is written `{package}`.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

LIBRARIES = ("werkzeug", "jinja2", "markupsafe", "itsdangerous", "click", "blinker")


class Inventory:
    """Reads one package."""

    def __init__(self, package: str) -> None:
        self.package = package

    def modules(self) -> Iterator[str]:
        """Every public module."""
        root = Path(str(importlib.import_module(self.package).__file__)).parent
        for path in sorted(root.rglob("*.py")):
            parts = [self.package, *path.relative_to(root).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
            # Python imports that one at the start of a program, for its effect.
            if parts[-1] != "sitecustomize" and not any(part.startswith("_") for part in parts):
                yield ".".join(parts)

    def text(self, value: object) -> str:
        """A value as text that does not depend on the run or on the package's name."""
        if isinstance(value, type | types.FunctionType):
            value = f"{value.__module__}.{value.__qualname__}"
        text = re.sub(r" at 0x[0-9a-f]+", "", repr(value))
        return re.sub(rf"\b{self.package}\b", "{package}", text)

    def is_public(self, name: str, value: object) -> bool:
        """Defined by the package or one of its libraries; what comes from the standard library is not surface."""
        if name.startswith("_") or name == "annotations":
            return False
        if isinstance(value, types.ModuleType):
            return value.__name__.endswith(f".{name}") and value.__name__.startswith(self.package)
        if isinstance(value, TypeVar):
            return False
        home = getattr(value, "__module__", None)
        if isinstance(value, type | types.FunctionType):
            return bool(home) and str(home).split(".")[0] in (self.package, *LIBRARIES)
        return home != "typing" or not name.startswith(("Any", "Callable"))

    def signature(self, value: Any) -> list[list[str]] | None:
        """[name, kind, default] of each parameter; None where there is no signature to read."""
        try:
            found = inspect.signature(value)
        except (TypeError, ValueError):
            return None
        return [
            [name, one.kind.name, "" if one.default is one.empty else self.text(one.default)]
            for name, one in found.parameters.items()
        ]

    def attribute(self, owner: type, name: str) -> dict[str, Any]:
        """What a class attribute is."""
        raw = inspect.getattr_static(owner, name)
        if isinstance(raw, staticmethod | classmethod):
            return {"kind": type(raw).__name__, "signature": self.signature(raw.__func__)}
        if isinstance(raw, types.FunctionType):
            return {"kind": "method", "signature": self.signature(raw)}
        return {"kind": "attribute"}

    def members(self, owner: type) -> dict[str, Any]:
        """The public attributes that the package itself gives a class, and its constructor."""
        own = [base for base in owner.__mro__ if base.__module__.split(".")[0] == self.package]
        names = {name for base in own for name in vars(base)}
        public = {name for name in names if not name.startswith("_")} | (names & {"__init__"})
        return {name: self.attribute(owner, name) for name in sorted(public)}

    def describe(self, value: Any) -> dict[str, Any]:
        """A module's name: a class, a function or any other value."""
        if isinstance(value, type):
            if value.__module__.split(".")[0] != self.package:
                return {"kind": "class"}
            bases = [self.text(base).strip("'") for base in value.__mro__[1:]]
            return {"kind": "class", "bases": bases, "members": self.members(value)}
        if isinstance(value, types.FunctionType):
            return {"kind": "function", "signature": self.signature(value)}
        return {"kind": "value"}

    def names(self, module: str) -> dict[str, Any]:
        """The public names of a module."""
        imported = importlib.import_module(module)
        found = {name: getattr(imported, name) for name in dir(imported)}
        public = {name: value for name, value in found.items() if self.is_public(name, value)}
        return {name: self.describe(value) for name, value in sorted(public.items())}

    def instances(self) -> dict[str, list[str]]:
        """Public attributes of the objects that users hold, those of their class and those set on them."""
        root = importlib.import_module(self.package)
        cli = importlib.import_module(f"{self.package}.cli")
        app = root.Flask("inventory")
        context = app.test_request_context()
        objects = {
            "app": app,
            "blueprint": root.Blueprint("inventory", "inventory"),
            "app_context": app.app_context(),
            "request_context": context,
            "request": context.request,
            "response": app.response_class(),
            "client": app.test_client(),
            "runner": app.test_cli_runner(),
            "script_info": cli.ScriptInfo(),
            "session_interface": app.session_interface,
            "json": app.json,
            "jinja_env": app.jinja_env,
        }
        return {
            key: sorted(name for name in dir(value) if not name.startswith("_"))
            for key, value in objects.items()
        }

    def command(self, command: Any) -> dict[str, Any]:
        """A click command: its parameters, and its commands if it is a group."""
        about = {
            param.name: {
                "flags": sorted([*param.opts, *param.secondary_opts]),
                "kind": param.param_type_name,
                "type": self.text(type(param.type).__name__),
                "default": self.text(param.default),
                "envvar": param.envvar,
                "is_flag": getattr(param, "is_flag", False),
                "multiple": param.multiple,
                "required": param.required,
            }
            for param in command.params
        }
        parts = getattr(command, "commands", {})
        return {
            "params": about,
            "commands": {name: self.command(one) for name, one in sorted(parts.items())},
        }

    def everything(self) -> dict[str, Any]:
        """The whole inventory."""
        root = importlib.import_module(self.package)
        cli = importlib.import_module(f"{self.package}.cli")
        app = root.Flask("inventory")
        return {
            "modules": {self.text(name).strip("'"): self.names(name) for name in self.modules()},
            "instances": self.instances(),
            "config": {key: self.text(value) for key, value in app.config.items()},
            "jinja_globals": sorted(app.jinja_env.globals),
            "jinja_filters": sorted(app.jinja_env.filters),
            "jinja_tests": sorted(app.jinja_env.tests),
            "cli": self.command(cli.cli),
            "auto_envvar_prefix": cli.cli.context_settings.get("auto_envvar_prefix"),
        }


if __name__ == "__main__":
    json.dump(Inventory(sys.argv[1]).everything(), sys.stdout, indent=0, sort_keys=True)
    print()
