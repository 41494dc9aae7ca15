"""What is measured in rounds, A B C, C B A, ..., and how one figure for each is made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log
from statistics import fmean, median
from typing import TypeVar

T = TypeVar("T")


def in_turn(of: Sequence[T], rounds: int) -> Iterator[Sequence[T]]:
    """Yield the order of each round: forwards and backwards, so that no place is the better one."""
    for number in range(rounds):
        yield of if number % 2 == 0 else of[::-1]


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each name's figures, the rounds being set to one speed before.

    A shared machine is half as fast again in one second as in the next, for all in a round alike. So
    each round's figures are divided by their geometric mean, and multiplied by that of the median round:
    the ratio of two medians is then what the ratio within a round mostly is.
    """
    names = [name for name in rounds[0] if all(name in each for each in rounds)]
    speeds = [exp(fmean(log(each[name]) for name in names)) for each in rounds]
    usual = median(speeds)
    return {
        name: median(each[name] * usual / speed for each, speed in zip(rounds, speeds, strict=True))
        for name in names
    }
