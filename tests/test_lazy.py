"""Attributes that are computed at the first look at them, and values that can be put back."""

from __future__ import annotations

import gc
from unittest import mock

import pytest

from kolben.lazy import lazy, lazy_kept, put_back, replace, uncollected


class Thing:
    computed = 0

    @lazy
    def once(self) -> int:
        """Counts."""
        self.computed += 1
        return self.computed

    @lazy_kept
    def kept(self) -> int:
        self.computed += 1
        self.kept = self.computed
        return self.computed


@pytest.mark.parametrize("name", ["once", "kept"])
def test_the_first_look_computes_and_later_ones_find(name: str) -> None:
    thing = Thing()
    assert (getattr(thing, name), getattr(thing, name), thing.computed) == (1, 1, 1)
    assert vars(thing)[name] == 1
    delattr(thing, name)
    assert getattr(thing, name) == 2
    setattr(thing, name, "assigned")
    assert getattr(thing, name) == "assigned"


def test_of_the_class_it_is_the_attribute_itself_with_its_documentation() -> None:
    assert Thing.once.__doc__ == "Counts."
    assert not isinstance(Thing.kept, int)


class Owner:
    def __init__(self) -> None:
        self._value = "first"

    @property
    def value(self) -> str:
        return self._value

    @value.setter
    def value(self, value: str) -> None:
        replace(self, "_value", value)

    @value.deleter
    def value(self) -> None:
        put_back(self, "_value")


def test_mocks_may_replace_a_property_of_an_object_in_one_another() -> None:
    owner = Owner()
    with mock.patch.object(owner, "value", "outer"):
        with mock.patch.object(owner, "value", "inner"):
            assert owner.value == "inner"
        assert owner.value == "outer"
    assert owner.value == "first"


def test_what_was_not_replaced_cannot_be_put_back() -> None:
    owner = Owner()
    with pytest.raises(AttributeError, match="_value"):
        del owner.value


@pytest.mark.parametrize("was", [True, False])
def test_the_collector_rests_while_what_is_kept_is_made_and_is_then_as_it_was(was: bool) -> None:
    if not was:
        gc.disable()
    try:
        with uncollected():
            assert not gc.isenabled()
        assert gc.isenabled() is was
    finally:
        gc.enable()
