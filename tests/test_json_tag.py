"""JSON with tags: what goes in comes out, and the tags are those of Flask's cookies."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from markupsafe import Markup

from kolben.json.tag import JSONTag, TagDict, TaggedJSONSerializer

TEXT_FORMS = [
    ((1, (2,)), '{" t":[1,{" t":[2]}]}'),
    ({"x": (1,), "y": [b"a"]}, '{"x":{" t":[1]},"y":[{" b":"YQ=="}]}'),
    ({" t": 1}, '{" di":{" t__":1}}'),
    ({" di": {" t": [1]}}, '{" di":{" di__":{" di":{" t__":[1]}}}}'),
    ({" t": 1, "x": 2}, '{" t":1,"x":2}'),
    ({" zz": 1}, '{" zz":1}'),
    (Markup("<a>"), '{" m":"<a>"}'),
    (UUID(int=5), '{" u":"00000000000000000000000000000005"}'),
    (datetime(2020, 1, 1, 2, 3, 4, tzinfo=UTC), '{" d":"Wed, 01 Jan 2020 02:03:04 GMT"}'),
    ([None, True, 1.5, "é", {}, (), []], '[null,true,1.5,"\\u00e9",{},{" t":[]},[]]'),
]


@pytest.mark.parametrize(("value", "text"), TEXT_FORMS, ids=[text for _, text in TEXT_FORMS])
def test_values_have_their_text_form_and_come_back(value: t.Any, text: str) -> None:
    serializer = TaggedJSONSerializer()
    assert serializer.dumps(value) == text
    back = serializer.loads(text)
    assert back == value
    assert type(back) is type(value)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.uuids()
    | st.text().map(Markup)
    | st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)).map(
        lambda d: d.replace(microsecond=0)
    )
)
keys = st.text() | st.sampled_from([" t", " di", " b", " t__", " "])
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=10,
)


@given(values)
def test_every_value_of_the_known_types_comes_back(value: t.Any) -> None:
    serializer = TaggedJSONSerializer()
    assert serializer.loads(serializer.dumps(value)) == value


class Colour:
    def __init__(self, name: str) -> None:
        self.name = name


class TagColour(JSONTag):
    __slots__ = ()
    key = " c"

    def check(self, value: t.Any) -> bool:
        return isinstance(value, Colour)

    def to_json(self, value: t.Any) -> t.Any:
        return self.serializer.tag(value.name)

    def to_python(self, value: t.Any) -> t.Any:
        return Colour(value)


def test_a_tag_of_ones_own() -> None:
    serializer = TaggedJSONSerializer()
    serializer.register(TagColour)
    text = serializer.dumps([Colour("red")])
    assert text == '[{" c":"red"}]'
    assert serializer.loads(text)[0].name == "red"


def test_a_tag_may_claim_a_plain_type() -> None:
    class TagInt(JSONTag):
        __slots__ = ()
        key = " i"

        def check(self, value: t.Any) -> bool:
            return type(value) is int

        def to_json(self, value: t.Any) -> t.Any:
            return hex(value)

        def to_python(self, value: t.Any) -> t.Any:
            return int(value, 16)

    serializer = TaggedJSONSerializer()
    serializer.register(TagInt, index=0)
    assert serializer.dumps({"a": 17}) == '{"a":{" i":"0x11"}}'
    assert serializer.loads('{"a":{" i":"0x11"}}') == {"a": 17}


def test_a_key_is_taken_once_unless_forced() -> None:
    class Other(TagDict):
        __slots__ = ()

    serializer = TaggedJSONSerializer()
    with pytest.raises(KeyError, match="' di' is already registered"):
        serializer.register(Other)
    serializer.register(Other, force=True, index=0)
    assert isinstance(serializer.tags[" di"], Other)
    assert isinstance(serializer.order[0], Other)


@pytest.mark.parametrize(("index", "place"), [(None, 8), (-1, 7), (0, 0), (2, 2)])
def test_the_index_places_a_tag(index: int | None, place: int) -> None:
    serializer = TaggedJSONSerializer()
    serializer.register(TagColour, index=index)
    assert isinstance(serializer.order[place], TagColour)


def test_a_tag_without_key_only_walks() -> None:
    class PassSet(JSONTag):
        __slots__ = ()

        def check(self, value: t.Any) -> bool:
            return isinstance(value, set)

        def to_json(self, value: t.Any) -> t.Any:
            return sorted(value)

        tag = to_json

    serializer = TaggedJSONSerializer()
    known = set(serializer.tags)
    serializer.register(PassSet)
    assert set(serializer.tags) == known
    assert serializer.dumps({2, 1}) == "[1,2]"


@pytest.mark.parametrize("method", ["check", "to_json", "to_python"])
def test_a_tag_has_to_define_its_methods(method: str) -> None:
    with pytest.raises(NotImplementedError):
        getattr(JSONTag(TaggedJSONSerializer()), method)(None)
