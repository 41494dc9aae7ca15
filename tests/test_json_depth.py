"""How deeply a JSON document is nested."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

import kolben
from kolben.json import depth
from kolben.json.depth import check_depth
from kolben.json.provider import DefaultJSONProvider, MsgspecJSONProvider


def nested(times: int, begin: str = "[", end: str = "]", inner: str = "1") -> str:
    return begin * times + inner + end * times


def is_refused(text: str | bytes) -> bool:
    try:
        check_depth(text)
    except RecursionError:
        return True
    return False


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("[", "]"),
        ('{"a":', "}"),
        ('{"]":[', "]}"),
        ('["]",', "]"),
        ('["]]","\\"]",', "]"),
        ('["\\\\",', ',"["]'),
        ('{"[{":1, "a" : ', "}"),
    ],
)
def test_what_is_nested_too_deeply_is_refused(begin: str, end: str) -> None:
    assert is_refused(nested(10_100, begin, end))
    assert is_refused(nested(10_100, begin, end).encode("utf-16"))
    assert is_refused(begin * 10_100)
    assert not is_refused(nested(3_000, begin, end))


def test_what_is_long_and_flat_is_not() -> None:
    records = [{"id": n, "tags": ["a", {"]": "[[[[" * 3}], "text": 'say "\\"'} for n in range(9000)]
    assert not is_refused(json.dumps(records))
    assert not is_refused(json.dumps(records, indent=2))
    assert not is_refused(json.dumps(["[" * 30_000, "{" * 30_000]))
    assert not is_refused(json.dumps([["["]] * 20_000))
    assert not is_refused("]" * 30_000)


VALUES = st.recursive(
    st.none() | st.text('[]{}"\\a,'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{}"\\a,'), inner),
    max_leaves=40,
)


def depth_of(value: object) -> int:
    inner = value if isinstance(value, list) else []
    if isinstance(value, dict):
        inner = [*value.values()]
    return isinstance(value, list | dict) + max(map(depth_of, inner), default=0)


@given(VALUES, st.integers(1, 8))
def test_any_document_is_judged_by_its_depth(value: object, deepest: int) -> None:
    """Never let through, and refused only beyond the limit: what was taken out adds some to it."""
    before = depth.DEEPEST
    depth.DEEPEST = deepest
    try:
        refused = is_refused(json.dumps(value))
    finally:
        depth.DEEPEST = before
    if refused:
        assert depth_of(value) > deepest


@pytest.mark.parametrize("provider", [DefaultJSONProvider, MsgspecJSONProvider])
@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")])
def test_what_is_read_can_be_written(
    provider: type[DefaultJSONProvider], begin: str, end: str
) -> None:
    """Whatever the limit of this Python's parser is."""
    json_of = provider(kolben.Flask("program"))
    read = []
    for times in (300, 5_000, 9_900, 20_000, 34_000, 50_000, 200_000):
        try:
            value = json_of.loads(nested(times, begin, end))
        except RecursionError:
            continue
        assert json_of.dumps(value).count(begin[0]) == times
        read.append(times)
    assert 300 in read
    assert max(read) < 20_000
