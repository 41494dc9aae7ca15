"""Chapter 2: what the interactive shell says about the package."""

from __future__ import annotations

import inspect
import re

import kolben
from kolben import Flask


def test_the_package_says_what_it_is():
    assert kolben.__doc__
    assert "framework" in kolben.__doc__


def test_the_package_has_a_version():
    assert re.match(r"\d+\.\d+(\.\d+)?", kolben.__version__)


def test_help_documents_every_parameter_of_the_constructor():
    text = inspect.getdoc(Flask)
    parameters = list(inspect.signature(Flask).parameters)
    assert parameters[0] == "import_name"
    assert [name for name in parameters if not re.search(rf"\b{name}\b", text)] == []
