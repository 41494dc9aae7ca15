"""Inventories of Python, Werkzeug and Jinja for intersphinx, made from what is installed.

Sphinx would fetch them; this way the manual is built the same without a network.
"""

from __future__ import annotations

import importlib
import inspect
import zlib
from pathlib import Path

PYTHON = "https://docs.python.org/3/"
WERKZEUG = "https://werkzeug.palletsprojects.com/en/stable/"
JINJA = "https://jinja.palletsprojects.com/en/stable/"

#: For each project its address, and on which page it describes which module.
PROJECTS: dict[str, tuple[str, dict[str, str]]] = {
    "python": (
        PYTHON,
        {
            "builtins": "library/functions.html",
            **{
                name: f"library/{name}.html"
                for name in (
                    "asyncio",
                    "collections.abc",
                    "contextlib",
                    "contextvars",
                    "dataclasses",
                    "datetime",
                    "decimal",
                    "io",
                    "json",
                    "logging",
                    "os",
                    "pathlib",
                    "types",
                    "typing",
                    "uuid",
                )
            },
        },
    ),
    "werkzeug": (
        WERKZEUG,
        {
            "werkzeug.datastructures": "datastructures/",
            "werkzeug.exceptions": "exceptions/",
            "werkzeug.middleware.proxy_fix": "middleware/proxy_fix/",
            "werkzeug.routing": "routing/",
            "werkzeug.test": "test/",
            "werkzeug.wrappers": "wrappers/",
        },
    ),
    "jinja2": (JINJA, {"jinja2": "api/"}),
}

#: Builtins that Python describes among the types, not among the functions.
TYPES = {
    *("bytearray", "bytes", "dict", "frozenset", "list"),
    *("memoryview", "range", "set", "str", "tuple"),
}
#: Public names of which Werkzeug's pages say nothing.
UNDESCRIBED = {"werkzeug.routing.BuildError"}


def role_of(value: object) -> str | None:
    """Say as what the Python domain knows an object; None for what it has no page for."""
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if inspect.isroutine(value) else None


def entries_of(module: str, page: str) -> list[str]:
    """Give the lines of an inventory for the public names of a module."""
    found = []
    for name, value in vars(importlib.import_module(module)).items():
        role = role_of(value)
        if name.startswith("_") or role is None or f"{module}.{name}" in UNDESCRIBED:
            continue
        full = name if module == "builtins" else f"{module}.{name}"
        place = page
        if module == "builtins":
            if role == "exception":
                place = "library/exceptions.html"
            elif name in TYPES:
                place = "library/stdtypes.html"
        found.append(f"{full} py:{role} 1 {place}#$ -\n")
    return found


def write_inventories(folder: Path) -> dict[str, tuple[str, str]]:
    """Write an inventory for each project.

    :param folder: where the files go; made if it is not there.
    :return: the value of ``intersphinx_mapping``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for project, (address, pages) in PROJECTS.items():
        lines = [line for module, page in pages.items() for line in entries_of(module, page)]
        file = folder / f"{project}.inv"
        head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        head += "# The remainder of this file is compressed using zlib.\n"
        file.write_bytes(head.encode() + zlib.compress("".join(lines).encode()))
        mapping[project] = (address, str(file))
    return mapping
