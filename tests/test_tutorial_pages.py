"""The tutorial's pages: the same in both languages, and what they say a request is answered is so."""

from __future__ import annotations

import importlib
import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "docs" / "tutorial"
PAGES = sorted(path.name for path in (TUTORIAL / "en").glob("*.md"))
CHAPTERS = [name for name in PAGES if name.startswith("ch")]
PROGRAM = re.compile(r"^:::\{literalinclude\} (\S+)$", re.MULTILINE)
PICTURE = re.compile(r"^:::\{picture\} (\S+) (\S+)$", re.MULTILINE)
ROW = re.compile(
    r"^\| `(GET|POST|PUT|DELETE) (\S+?)(?: (.+?))?` \| (\d+) \| `(.*)` \|$", re.MULTILINE
)
#: What a picture that is uploaded begins with.
PNG = b"\x89PNG\r\n\x1a\n"


def read(language: str, page: str) -> str:
    return (TUTORIAL / language / page).read_text(encoding="utf-8")


def body_of(words: str | None) -> dict[str, Any]:
    """What a request sends: JSON, or a form as curl writes it, `image=@cat.png` being a file."""
    if words is None:
        return {}
    if words.startswith("{"):
        return {"json": json.loads(words)}
    form: dict[str, Any] = {}
    for field in words.split("&"):
        name, _, value = field.partition("=")
        form[name] = (BytesIO(PNG), value[1:]) if value.startswith("@") else value
    return {"data": form}


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


@pytest.mark.parametrize("page", CHAPTERS)
def test_the_answers_are_those_of_the_program(
    page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One visitor makes all requests of a page, in order, and keeps the cookies."""
    monkeypatch.syspath_prepend(ROOT)
    program, *others = [
        (TUTORIAL / "en" / path).resolve() for path in PROGRAM.findall(read("en", page))
    ]
    assert [path for path in [program, *others] if not path.is_file()] == []
    name = ".".join(program.relative_to(ROOT).with_suffix("").parts)
    module = importlib.import_module(name.removesuffix(".__init__"))
    app = module.create_app() if hasattr(module, "create_app") else module.app
    if hasattr(app, "config"):
        app.config.update(UPLOAD_FOLDER=str(tmp_path), DATA_FOLDER=str(tmp_path))
    rows = ROW.findall(read("en", page))
    assert len(rows) >= 3
    client = Client(app)
    for method, address, words, status, shown in rows:
        answer = client.open(address, method=method, buffered=True, **body_of(words or None))
        assert answer.status_code == int(status), address
        assert shown in f"{answer.headers}\n{answer.data.decode(errors='replace')}", address


@pytest.mark.parametrize("page", CHAPTERS)
def test_each_picture_is_of_a_program_of_the_page(page: str) -> None:
    text = read("en", page)
    programs = [Path(path).name for path in PROGRAM.findall(text)]
    for name, address in PICTURE.findall(text):
        assert name in programs
        assert address.startswith("/")
