"""The manual's search cuts pages and questions alike, in English and in Chinese."""

from __future__ import annotations

import importlib.util
import itertools
import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from pages import ROOT


@pytest.fixture
def searching() -> Any:
    spec = importlib.util.spec_from_file_location("searching", ROOT / "docs" / "searching.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_chinese_is_cut_into_characters_and_pairs_and_english_into_words(searching: Any) -> None:
    assert searching.cut("用SECRET_KEY签名, twice") == [
        *("用", "SECRET_KEY", "签", "名", "签名"),
        "twice",
    ]


@pytest.mark.needs_program("node")
@pytest.mark.parametrize(
    ("question", "terms"),
    [
        ("密钥", ["密钥"]),
        ("上传文件", ["上传", "传文", "文件"]),
        ("库", ["库"]),
        ("cookie 签名", ["cookie", "签名"]),
        ("用SECRET_KEY签名", ["用", "SECRET_KEY", "签名"]),
        ("url_for café", ["url_for", "café"]),
        ("？!", []),
    ],
)
def test_a_question_is_cut_into_what_the_index_has(
    question: str, terms: list[str], searching: Any, needs_program: Callable[..., str]
) -> None:
    script = (
        f"{searching.SPLITTER}\nconsole.log(JSON.stringify(splitQuery({json.dumps(question)})))"
    )
    done = subprocess.run([needs_program("node"), "-e", script], capture_output=True, text=True)
    assert json.loads(done.stdout) == terms, done.stderr
    assert set(terms) <= set(searching.cut(question))


def test_words_of_the_chinese_tutorial_are_found(searching: Any) -> None:
    for chapter, word in (
        ("ch13", "密钥"),
        ("ch19", "事务"),
        ("ch20", "哈希"),
        ("ch24", "反向代理"),
    ):
        text = (ROOT / "docs" / "tutorial" / "zh" / f"{chapter}.md").read_text(encoding="utf-8")
        pairs = {first + second for first, second in itertools.pairwise(word)}
        assert pairs <= set(searching.cut(text)), chapter
