"""Types of data that several tests of typed views read and write."""

from __future__ import annotations

import enum
import typing as t

import attrs


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.define
class Attrs:
    a: int
    b: str = "x"


class Typed(t.TypedDict):
    a: int
    b: t.NotRequired[str]


class Named(t.NamedTuple):
    a: int
    b: str = ""
