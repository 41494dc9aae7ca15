"""How Sphinx builds the manual: `make docs`. Nothing is fetched while it is built."""

from __future__ import annotations

import re
import sys
import typing as t
from pathlib import Path

import kolben

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from inventories import write_inventories  # noqa: E402

project = "Kolben"
author = "The Kolben authors"
project_copyright = author
version = release = kolben.__version__ if hasattr(kolben, "__version__") else ""

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "pictures",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "tasklist"]
# Headings as deep as the pages link to.
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "groupwise"
autodoc_default_options = {"members": True, "undoc-members": True, "show-inheritance": True}

# The names of other projects' objects, written from the packages that are installed.
intersphinx_mapping = write_inventories(HERE / "_build" / "inventories")
intersphinx_disabled_reftypes = ["std:doc"]

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["manual.css"]
html_title = "Kolben"
html_copy_source = False
html_show_sourcelink = False
templates_path: list[str] = []


def name_files_outside(app: t.Any, document: str, text: list[str]) -> None:
    """Name what a page links to outside of this folder: on the site it has no page."""
    depth = document.count("/") + 1
    outside = re.compile(r"\[`?([^\]`]+)`?\]\(" + r"\.\./" * depth + r"(?!\.\.)([^)#]+)[^)]*\)")
    text[0] = outside.sub(lambda m: f"`{m[2]}`" if m[1] in m[2] else f"{m[1]} (`{m[2]}`)", text[0])


def setup(app: t.Any) -> None:
    """Add what the settings above cannot say."""
    app.connect("source-read", name_files_outside)
