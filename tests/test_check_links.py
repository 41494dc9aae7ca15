"""What `make docs` finds in the links of the manual."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from pages import ROOT, TEXTS, prose


@pytest.fixture
def links() -> Any:
    spec = importlib.util.spec_from_file_location("check_links", ROOT / "docs" / "check_links.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("other.html", False),
        ("other.html#there", False),
        ("#here", False),
        ("https://docs.python.org/3/", False),
        ("http://127.0.0.1:5000/docs", False),
        ("data:image/png;base64,AA", False),
        ("missing.html", True),
        ("other.html#missing", True),
        ("#missing", True),
        ("http://docs.python.org/3/", True),
        ("https://docs.pyhton.org/3/", True),
        ("https://github.com/a b", True),
        ("//github.com/", True),
        ("mailto:ada", True),
    ],
)
def test_a_link_that_leads_nowhere_is_told(
    link: str, fault: bool, links: Any, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text(f'<p id="here"><a href="{link}">x</a></p>')
    (tmp_path / "other.html").write_text('<p id="there"></p>')
    broken, _ = links.check(tmp_path)
    assert broken == ([f"page.html: {link}"] if fault else [])


def test_a_folder_without_links_is_no_manual(links: Any, tmp_path: Path) -> None:
    assert links.main([str(tmp_path)]) == 1


ADDRESS = re.compile(r"\]\((\w+:[^)\s]+)\)|<(\w+://[^>\s]+)>")


@pytest.mark.parametrize("page", [page for page in TEXTS if page.startswith("docs/")])
def test_each_link_of_a_page_to_another_site_is_well_written(page: str, links: Any) -> None:
    """What the build finds in the site is found here without one."""
    addresses = [inline or bare for inline, bare in ADDRESS.findall(prose(page))]
    assert [each for each in addresses if not links.leads_outside_well(each)] == []
