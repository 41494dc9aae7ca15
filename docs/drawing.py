"""Drawings made from text: boxes with arrows, as SVG that follows the page's colours, light or dark.

The text reads well by itself, for those who see the page as a file. A line is a row of boxes::

    server      | server
    gateway     | gateway
    view        >

Columns stand side by side, with arrows from row to row: down, or where asked for, up in the second column. A row without
a bar stretches over both, and a lone ``>`` leads from the first column to the second. A floor has a name before its colon::

    engine: answer.py, plan.py

and is as wide as the drawing; floors are close together, and their arrows lead to what they stand on, above. Nothing here knows Sphinx: `diagrams.py` does.
"""

from __future__ import annotations

import textwrap
import typing as t
from html import escape

#: In units of about a pixel: a drawing is as wide as a telephone, and is not made smaller there.
WIDTH = 360
GAP = 32
PADDING = 10
LINE = 17
#: How wide a letter is at most, on average, in the type used.
LETTER = 7.3


class Box(t.NamedTuple):
    """A box with its lines of text; a floor has its name in the first one."""

    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    is_named: bool = False


def wrap(words: str, width: float) -> list[str]:
    """Break a text into lines that fit into a box."""
    return textwrap.wrap(words, int((width - 2 * PADDING) / LETTER)) or [""]


def height_of(lines: t.Sequence[str]) -> float:
    """Give the height of a box with so many lines."""
    return len(lines) * LINE + 2 * PADDING - 4


class Drawing:
    """Boxes and arrows, put down row by row.

    :param text: the rows.
    :param upward: whether the second column is read from below.
    """

    def __init__(self, text: str, *, upward: bool = False) -> None:
        self.boxes: list[Box] = []
        self.arrows: list[tuple[float, float, float, float]] = []
        self._upward = upward
        self._gap = GAP if "|" in text else GAP / 2
        self._y = 1.0
        self._above: list[Box | None] = [None, None]
        for row in text.strip().splitlines():
            self._add(row.strip())
        self.height = self._y - self._gap + 1

    def _add(self, row: str) -> None:
        name, colon, rest = row.partition(": ")
        if "|" in row:
            self._columns([cell.strip() for cell in row.split("|", 1)])
        elif colon:
            lines = [name, *wrap(rest, WIDTH - 2)]
            box = Box(1, self._y, WIDTH - 2, height_of(lines), tuple(lines), is_named=True)
            self._put([box, box], joined=True)
        elif row.endswith(">"):
            self._columns([row.removesuffix(">").strip(), ""])
            left = self.boxes[-1]
            x = WIDTH - self._column() / 2 - 1
            middle = left.y + left.height / 2
            self.arrows.append((left.x + left.width, middle, x, middle))
            self._turn(x, middle)
        else:
            lines = wrap(row, WIDTH - 2)
            box = Box(1, self._y, WIDTH - 2, height_of(lines), tuple(lines))
            self._put([box, box], joined=True)

    def _column(self) -> float:
        return (WIDTH - 2 - GAP) / 2

    def _columns(self, cells: list[str]) -> None:
        width = self._column()
        texts = [wrap(cell, width) if cell else [] for cell in cells]
        height = max(height_of(lines) for lines in texts)
        row: list[Box | None] = [
            Box(1 + place * (width + GAP), self._y, width, height, tuple(lines)) if lines else None
            for place, lines in enumerate(texts)
        ]
        self._put(row, joined=False)

    def _put(self, row: list[Box | None], *, joined: bool) -> None:
        places = [WIDTH / 2] * 2 if joined and self._above[0] is self._above[1] else None
        for place, box in enumerate(row):
            above = self._above[place]
            if box is None:
                continue
            if not joined or place == 0:
                self.boxes.append(box)
            if above is not None and not (places and place == 1):
                x = places[0] if places else 1 + self._column() / 2 + place * (self._column() + GAP)
                ends = (above.y + above.height, box.y)
                is_up = box.is_named or (self._upward and place)
                first, last = reversed(ends) if is_up else ends
                self.arrows.append((x, first, x, last))
            self._above[place] = box
        self._y += max(box.height for box in row if box is not None) + self._gap

    def _turn(self, x: float, y: float) -> None:
        above = self._above[1]
        if above is not None:
            *_, (first, middle, _, _) = self.arrows
            self.arrows[-1] = (first, middle, x, middle)
            self.arrows.append((x, y, x, above.y + above.height))

    def svg(self, description: str) -> str:
        """Give the drawing as SVG, to stand in a page.

        :param description: what is to be seen, for those who do not see it.
        """
        size = f'viewBox="0 0 {WIDTH} {self.height:g}"'
        parts = [f'<svg class="drawing" role="img" {size} aria-label="{escape(description)}">']
        for x, y, to_x, to_y in self.arrows:
            parts.append(f'<path d="M{x:g} {y:g}L{to_x:g} {to_y:g}"/>')
            if x == to_x:  # the head of an arrow that goes up or down
                back = 7 if to_y < y else -7
                head = f"M{to_x:g} {to_y:g}l-4 {back}h8z"
                parts.append(f'<path class="head" d="{head}"/>')
        for box in self.boxes:
            size = f'width="{box.width:g}" height="{box.height:g}"'
            parts.append(f'<rect x="{box.x:g}" y="{box.y:g}" rx="6" {size}/>')
            top = box.y + (box.height - len(box.lines) * LINE) / 2 + 13
            for number, line in enumerate(box.lines):
                kind = ' class="name"' if box.is_named and number == 0 else ""
                place = f'x="{box.x + box.width / 2:g}" y="{top + number * LINE:g}"'
                parts.append(f"<text {place}{kind}>{escape(line)}</text>")
        return "".join([*parts, "</svg>"])
