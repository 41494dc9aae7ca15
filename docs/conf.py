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
    "diagrams",
    "pictures",
    "searching",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "tasklist"]
# Headings as deep as the pages link to.
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_typehints_description_target = "all"
autodoc_member_order = "groupwise"
autodoc_default_options = {"members": True, "undoc-members": True, "show-inheritance": True}

# The names of other projects' objects, written from the packages that are installed.
intersphinx_mapping = write_inventories(HERE / "_build" / "inventories")
intersphinx_disabled_reftypes = ["std:doc"]

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["manual.css"]
html_favicon = "../examples/tutorial/static/kolben.svg"
html_title = "Kolben"
html_copy_source = False
html_show_sourcelink = False
templates_path: list[str] = []


def name_files_outside(app: t.Any, document: str, text: list[str]) -> None:
    """Name what a page links to outside of this folder: on the site it has no page."""
    depth = document.count("/") + 1
    outside = re.compile(r"\[`?([^\]`]+)`?\]\(" + r"\.\./" * depth + r"(?!\.\.)([^)#]+)[^)]*\)")
    text[0] = outside.sub(lambda m: f"`{m[2]}`" if m[1] in m[2] else f"{m[1]} (`{m[2]}`)", text[0])


#: Pages whose links are the contents of the site, with its sections as captions where it has any.
LISTS = {"index", "how-to/index", "tutorial/en/index", "tutorial/zh/index"}


def list_pages(app: t.Any, document: str, text: list[str]) -> None:
    """Make contents of the links of a page, so that the page itself needs no directive for them."""
    if document not in LISTS:
        return
    seen: set[str] = set()
    for section in re.split(r"^## ", text[0], flags=re.MULTILINE):
        pages = [
            page
            for page in re.findall(r"\]\(([\w/-]+)\.(?:md|rst)\)", section)
            if page not in seen
            # What is deeper has contents of its own.
            and (document != "index" or "/" not in page or page.endswith("/index"))
        ]
        if pages:
            seen.update(pages)
            title = section.partition("\n")[0] if document == "index" else ""
            caption = [f":caption: {title}"] if title else []
            text[0] += "\n".join(["", "", ":::{toctree}", ":hidden:", *caption, *pages, ":::", ""])


#: Chinese, with its punctuation, and the latter alone.
HAN, MARKS = "\u3000-\u303f\u4e00-\u9fff\uff00-\uffef\u2018-\u201d", "\u3001-\u303f\uff01-\uff1f"
BREAK = re.compile(rf"(?<=[{HAN}])\n *(?=[{HAN}])|(?<=[{MARKS}])\n *(?=[`\[\w])")


def join_chinese(app: t.Any, document: str, text: list[str]) -> None:
    """Join the lines of a Chinese paragraph: a browser shows a line's end as a space, which Chinese has not."""
    if "/zh/" in document or document.endswith("-zh"):
        text[0] = BREAK.sub("", text[0])


BACK = re.compile(r'<a class="viewcode-back" href="[^"#]*#([^"]+)">.*?</a>')
OF_OTHERS = re.compile(r'<li><a href="(?!kolben)[^"]*\.html">[^<]*</a></li>')


def mend_sources(
    app: t.Any, name: str, template: str, context: dict[str, t.Any], doctree: t.Any
) -> None:
    """Take links out of the pages of sources that lead nowhere: a name is documented in one place only."""
    if name.startswith("_modules/"):
        objects = app.env.get_domain("py").objects
        known = {name for name, entry in objects.items() if not entry.aliased}
        body = BACK.sub(lambda m: m[0] if m[1] in known else "", context["body"])
        context["body"] = OF_OTHERS.sub("", body)


#: The languages of the tutorial and of what follows it: the codes of the folder and of the page, and what a link to it says.
LANGUAGES = {"en": ("en", "English"), "zh": ("zh-CN", "中文")}
#: What the theme says itself.
CHINESE = {"Search": "搜索", "Next": "下一页", "Previous": "上一页", "Back to top": "回到顶部"}


def speak_the_language(
    app: t.Any, name: str, template: str, context: dict[str, t.Any], doctree: t.Any
) -> None:
    """Say in which language a page that has a translation is, and lead to the same page in the other one."""
    found = re.match(r"tutorial/(en|zh)/|going-live(?:-(zh))?$", name)
    if not found:
        return
    language = found[1] or found[2] or "en"
    other = "en" if language == "zh" else "zh"
    code, title = LANGUAGES[other]
    link = f"../{other}/{name.rpartition('/')[2]}.html"
    if not found[1]:
        link = "going-live.html" if language == "zh" else "going-live-zh.html"
    context["body"] = (
        f'<p class="other-language"><a href="{link}" hreflang="{code}" lang="{code}">{title}</a></p>'
        + context["body"]
    )
    context["language"] = LANGUAGES[language][0]
    if language == "zh":
        context["_"] = context["gettext"] = lambda text: CHINESE.get(text, text)


def setup(app: t.Any) -> None:
    """Add what the settings above cannot say."""
    app.connect("html-page-context", speak_the_language)
    app.connect("html-page-context", mend_sources)
    app.connect("source-read", name_files_outside)
    app.connect("source-read", list_pages)
    app.connect("source-read", join_chinese)
