"""The tutorial's pages: the same in both languages, and what they say a request is answered is so."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "docs" / "tutorial"
PAGES = sorted(path.name for path in (TUTORIAL / "en").glob("*.md"))
CHAPTERS = [name for name in PAGES if name.startswith("ch")]
PROGRAM = re.compile(r"^:::\{literalinclude\} (\S+)$", re.MULTILINE)
ROW = re.compile(r"^\| `(GET|POST) (\S+?)(?: (\S+))?` \| (\d+) \| `(.*)` \|$", re.MULTILINE)


def read(language: str, page: str) -> str:
    return (TUTORIAL / language / page).read_text(encoding="utf-8")


def test_both_languages_have_the_same_pages() -> None:
    assert len(CHAPTERS) >= 3
    assert sorted(path.name for path in (TUTORIAL / "zh").glob("*.md")) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_sections_programs_and_answers(page: str) -> None:
    english, chinese = read("en", page), read("zh", page)
    for parts in (r"^(#+) ", r"^(- )", r"^(\w+ .*)$(?=\n```)", ROW.pattern, PROGRAM.pattern):
        pattern = re.compile(parts, re.MULTILINE)
        assert pattern.findall(english) == pattern.findall(chinese), parts


@pytest.mark.parametrize("page", CHAPTERS)
def test_the_answers_are_those_of_the_program(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    (path,) = PROGRAM.findall(read("en", page))
    assert (TUTORIAL / "en" / path).is_file()
    app = importlib.import_module(f"examples.tutorial.{Path(path).stem}").create_app()
    rows = ROW.findall(read("en", page))
    assert len(rows) >= 3
    for method, address, form, status, words in rows:
        data = dict([form.split("=")]) if form else None
        answer = app.test_client().open(address, method=method, data=data)
        assert answer.status_code == int(status), address
        assert words in answer.text, address
