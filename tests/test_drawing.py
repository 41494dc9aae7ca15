"""The drawings of the manual: what their text says is in them, and fits."""

from __future__ import annotations

import importlib.util
import re
from xml.etree import ElementTree as ET

import pytest

from pages import ROOT, TEXTS, blocks

DRAWINGS = [
    pytest.param(text, id=f"{page}-{number}")
    for page in TEXTS
    for number, text in enumerate(blocks(page, "{diagram}"), 1)
]
SVG = "{*}"


def draw(text: str) -> ET.Element:
    spec = importlib.util.spec_from_file_location("drawing", ROOT / "docs" / "drawing.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = text.removeprefix(":up:\n")
    return ET.fromstring(module.Drawing(rows, upward=rows != text).svg("what is <seen>"))


def numbers(element: ET.Element, *names: str) -> list[float]:
    return [float(element.get(name, "")) for name in names]


def test_there_are_the_three() -> None:
    assert len(DRAWINGS) == 3


@pytest.mark.parametrize("text", DRAWINGS)
def test_all_words_are_in_the_drawing(text: str) -> None:
    drawn = " ".join(element.text or "" for element in draw(text).iter("text"))
    words = re.findall(r"[\w/.]+", text.removeprefix(":up:\n"))
    assert [word for word in words if word not in drawn] == []


@pytest.mark.parametrize("text", DRAWINGS)
def test_boxes_hold_their_words_and_stand_apart(text: str) -> None:
    svg = draw(text)
    _, _, width, height = map(float, svg.get("viewBox", "").split())
    boxes = [numbers(box, "x", "y", "width", "height") for box in svg.iter("rect")]
    for x, y, wide, high in boxes:
        assert x >= 0
        assert x + wide <= width
        assert y + high <= height
    for number, (x, y, wide, high) in enumerate(boxes):
        for x2, y2, wide2, high2 in boxes[number + 1 :]:
            assert x + wide < x2 or x2 + wide2 < x or y + high < y2 or y2 + high2 < y
    for words in svg.iter("text"):
        middle, line = numbers(words, "x", "y")
        half = len(words.text or "") * 7.3 / 2
        assert any(
            x <= middle - half and middle + half <= x + wide and y + 10 < line < y + high
            for x, y, wide, high in boxes
        ), words.text


def test_arrows_go_back_up_in_the_second_column() -> None:
    heads = [head.get("d", "") for head in draw(":up:\na | d\nb | c\nx >\n").iter("path")]
    up, down = ([head for head in heads if f"l-4 {back}" in head] for back in ("7", "-7"))
    assert (len(up), len(down)) == (2, 2)
