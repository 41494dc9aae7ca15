"""The tutorial's pages: the same in both languages, and what they say a request is answered is so."""

from __future__ import annotations

import importlib
import re

import pytest
from werkzeug.test import Client

from pages import ROOT, ROW

TUTORIAL = ROOT / "docs" / "tutorial"
PAGES = sorted(path.name for path in (TUTORIAL / "en").glob("*.md"))
CHAPTERS = [name for name in PAGES if name.startswith("ch")]
PROGRAM = re.compile(r"^:::\{literalinclude\} (\S+)$", re.MULTILINE)
PICTURE = re.compile(r"^:::\{picture\} (\S+) (\S+)$", re.MULTILINE)


def read(language: str, page: str) -> str:
    return (TUTORIAL / language / page).read_text(encoding="utf-8")


def test_both_languages_have_the_same_pages() -> None:
    assert len(CHAPTERS) >= 3
    assert sorted(path.name for path in (TUTORIAL / "zh").glob("*.md")) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_sections_programs_and_answers(page: str) -> None:
    english, chinese = read("en", page), read("zh", page)
    for parts in (
        r"^(#+) ",
        r"^(- )",
        r"^```(.*\n(?:[^`].*\n|\n)*)```$",
        r"^:::(.*)$",
        r"^:((?!alt)\w+: .*)$",
        ROW.pattern,
    ):
        pattern = re.compile(parts, re.MULTILINE)
        assert pattern.findall(english) == pattern.findall(chinese), parts


def test_what_follows_the_tutorial_is_the_same_in_both_languages() -> None:
    """The checklist of the day on which a program goes live."""
    english, chinese = (
        (ROOT / "docs" / name).read_text(encoding="utf-8")
        for name in ("going-live.md", "going-live-zh.md")
    )
    for parts in (
        r"^(#+) ",
        r"^(- \[ \]) ",
        r"^```(.*\n(?:[^`].*\n|\n)*)```$",
        r"^:::(.*)$",
        r"\]\((.*?)\)",
    ):
        pattern = re.compile(parts, re.MULTILINE)
        found = pattern.findall(english)
        assert found
        assert found == pattern.findall(chinese), parts


@pytest.mark.parametrize("page", CHAPTERS)
def test_each_chapter_has_answers_to_see(page: str) -> None:
    """They are asked for where the page's commands are typed: test_doc_commands.py, tests/projects."""
    text = read("en", page)
    assert all((TUTORIAL / "en" / path).is_file() for path in PROGRAM.findall(text))
    assert len(ROW.findall(text)) >= 3 or "```console" in text


def test_the_program_without_a_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    client = Client(importlib.import_module("examples.tutorial.by_hand").app)
    for method, address, _, status, shown in ROW.findall(read("en", "ch01.md")):
        answer = client.open(address, method=method)
        assert (answer.status_code, shown in answer.text) == (int(status), True), address


@pytest.mark.parametrize("page", CHAPTERS)
def test_each_picture_is_of_a_program_of_the_page(page: str) -> None:
    text = read("en", page)
    programs = PROGRAM.findall(text)
    for name, address in PICTURE.findall(text):
        assert [path for path in programs if path.endswith(f"/{name}")]
        assert address.startswith("/")
