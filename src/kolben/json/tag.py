"""JSON that keeps the types which JSON lacks, for the session cookie.

A value of such a type is written as an object with one key, the *tag*, such as ``{" t": [1, 2]}``
for a tuple. A dictionary that only looks like that is tagged itself, so that it comes back as it
was.

Further types are added with a :class:`JSONTag`:

.. code-block:: python

    class TagSet(JSONTag):
        key = " s"

        def check(self, value):
            return type(value) is set

        def to_json(self, value):
            return self.serializer.tag(list(value))

        def to_python(self, value):
            return set(value)

    app.session_interface.serializer.register(TagSet)
"""

# ruff: noqa: D102 - what the methods of the tags do is said once, on JSONTag

from __future__ import annotations

import typing as t
from base64 import b64decode, b64encode
from datetime import datetime
from json import JSONDecoder
from uuid import UUID

from markupsafe import Markup
from werkzeug.http import http_date, parse_date

from .. import tables
from ..globals import get_current
from . import dumps as dumps, dumps_compact, loads
from .provider import tagged_json

#: Returns a value as plain JSON types: :meth:`TaggedJSONSerializer.tag`.
_Tag = t.Callable[[t.Any], t.Any]


class JSONTag:
    """One type that a :class:`TaggedJSONSerializer` keeps. Subclasses define the three methods.

    :param serializer: the serializer that the tag belongs to; :meth:`to_json` calls its ``tag``
        for values inside of a value.
    """

    __slots__ = ("serializer",)

    #: The tag. Empty for a type that is only walked through and not marked.
    key: str = ""

    def __init__(self, serializer: TaggedJSONSerializer) -> None:
        self.serializer = serializer

    def tag(self, value: t.Any) -> dict[str, t.Any]:
        """Return the value marked with this tag.

        :param value: what is in the session.
        """
        return {self.key: self.to_json(value)}

    def check(self, value: t.Any) -> bool:
        """Say whether this tag is for the value.

        :param value: what is in the session.
        """
        raise self._undefined("check")

    def to_json(self, value: t.Any) -> t.Any:
        """Return the value as something that JSON knows.

        :param value: what is in the session.
        """
        raise self._undefined("to_json")

    def to_python(self, value: t.Any) -> t.Any:
        """Return the value again, from what :meth:`to_json` gave; values inside are untagged.

        :param value: what stands in the JSON.
        """
        raise self._undefined("to_python")

    def _undefined(self, method: str) -> NotImplementedError:
        return NotImplementedError(f"The tag {type(self).__name__} must define {method}().")


class _Row(JSONTag):
    """A tag that is one row of the table below.

    :param key: the tag; empty for a type that is only walked through.
    :param kind: the type of the values.
    :param write: called with :meth:`TaggedJSONSerializer.tag` and a value.
    :param read: called with what ``write`` has given.
    """

    __slots__ = ()

    _kind: type = object
    _write: t.Callable[[_Tag, t.Any], t.Any]
    _read: t.Callable[[t.Any], t.Any]

    def __init_subclass__(
        cls,
        key: str | None = None,
        kind: type | None = None,
        write: t.Callable[[_Tag, t.Any], t.Any] | None = None,
        read: t.Callable[[t.Any], t.Any] | None = None,
    ) -> None:
        row = {
            "key": key,
            "_kind": kind,
            "_write": write and staticmethod(write),
            "_read": read and staticmethod(read),
        }
        # What is not given is inherited: a program's own subclass has no row.
        for name, value in row.items():
            if value is not None:
                setattr(cls, name, value)

    def check(self, value: t.Any) -> bool:
        return isinstance(value, self._kind)

    def to_json(self, value: t.Any) -> t.Any:
        return self._write(self.serializer.tag, value)

    def to_python(self, value: t.Any) -> t.Any:
        return self._read(value)

    def tag(self, value: t.Any) -> t.Any:
        plain = self.to_json(value)
        return {self.key: plain} if self.key else plain


def _write_items(tag: _Tag, value: t.Iterable[t.Any]) -> list[t.Any]:
    return [tag(item) for item in value]


def _write_values(tag: _Tag, value: dict[str, t.Any]) -> dict[str, t.Any]:
    # JSON has only text for keys, so keys keep no type.
    return {key: tag(item) for key, item in value.items()}


def _write_masked(tag: _Tag, value: dict[str, t.Any]) -> dict[str, t.Any]:
    return {f"{key}__": tag(item) for key, item in value.items()}


def _read_masked(value: dict[str, t.Any]) -> dict[str, t.Any]:
    return {key[: -len("__")]: item for key, item in value.items()}


class TagDict(_Row, key=" di", kind=dict, write=_write_masked, read=_read_masked):
    """A dictionary with one key that is a tag: the key gets two underscores at its end."""

    def check(self, value: t.Any) -> bool:
        return (
            super().check(value)
            and len(value) == 1
            and not value.keys().isdisjoint(self.serializer.tags)
        )


class PassDict(_Row, kind=dict, write=_write_values):
    """Any other dictionary: only its values are tagged."""


class TagTuple(_Row, key=" t", kind=tuple, write=_write_items, read=tuple):
    """A tuple."""


class PassList(_Row, kind=list, write=_write_items):
    """A list: only its items are tagged."""


class TagBytes(
    _Row, key=" b", kind=bytes, write=lambda _, v: b64encode(v).decode(), read=b64decode
):
    """Bytes, in Base64."""


class TagMarkup(_Row, key=" m", write=lambda _, v: str(v.__html__()), read=Markup):
    """Text with an ``__html__`` method; it comes back as :class:`~markupsafe.Markup`."""

    def check(self, value: t.Any) -> bool:
        return callable(getattr(value, "__html__", None))


class TagUUID(_Row, key=" u", kind=UUID, write=lambda _, v: v.hex, read=UUID):
    """A :class:`~uuid.UUID`."""


class TagDateTime(_Row, key=" d", kind=datetime, write=lambda _, v: http_date(v), read=parse_date):
    """A :class:`~datetime.datetime`, to the second; it comes back in UTC."""


# In the order in which they are tried: a dictionary that looks like a tag before all others.
_BUILT_IN = [TagDict, PassDict, TagTuple, PassList, TagBytes, TagMarkup, TagUUID, TagDateTime]
_SCALARS = frozenset({str, int, float, bool, type(None)})


class TaggedJSONSerializer:
    """Writes and reads JSON with tags, as compact text. It knows :class:`tuple`, :class:`bytes`,
    :class:`~markupsafe.Markup`, :class:`~uuid.UUID` and :class:`~datetime.datetime`.
    """

    __slots__ = ("_built_in", "_scan", "order", "tags")

    #: The tags that a new serializer knows, in the order in which they are tried.
    default_tags: t.ClassVar[list[type[JSONTag]]] = list(_BUILT_IN)

    def __init__(self) -> None:
        self.tags: dict[str, JSONTag] = {}
        self.order: list[JSONTag] = []
        for tag_class in self.default_tags:
            self.register(tag_class)
        kinds = [type(tag) for tag in self.order]
        usual = kinds == _BUILT_IN and type(self).tag is TaggedJSONSerializer.tag
        self._built_in = list(self.order) if usual else None
        # Not in the type stubs; it is what the json module itself calls.
        self._scan = t.cast("t.Any", JSONDecoder(object_hook=self.untag)).scan_once

    def register(
        self, tag_class: type[JSONTag], force: bool = False, index: int | None = None
    ) -> None:
        """Add a tag.

        :param tag_class: the tag's class; an instance is made.
        :param force: whether it may take the key of a tag that is known already.
        :param index: where among the tags it is tried: a subclass's type has to come before its
            base class's. None: last.
        :raises KeyError: if the key is taken and ``force`` is not set.
        """
        tag = tag_class(self)
        if tag.key:
            if tag.key in self.tags and not force:
                raise KeyError(f"Tag {tag.key!r} is already registered.")
            self.tags[tag.key] = tag
        if index is None:
            self.order.append(tag)
        else:
            self.order.insert(index, tag)

    def tag(self, value: t.Any) -> t.Any:
        """Return the value as plain JSON types, marked where it needs it.

        :param value: what is in the session, and may have tagged values in it.
        """
        if self.order == self._built_in:
            return self._tag_known(value)
        return self._tag_by_order(value)

    def _tag_known(self, value: t.Any) -> t.Any:
        # PERF: says what the built-in tags say of these types, without asking each of them: a
        # flashed message takes 0.8 µs instead of 5.
        kind = type(value)
        if kind is dict and (len(value) != 1 or next(iter(value)) not in self.tags):
            return {
                key: item if type(item) in _SCALARS else self._tag_known(item)
                for key, item in value.items()
            }
        if kind is list or kind is tuple:
            items = [item if type(item) in _SCALARS else self._tag_known(item) for item in value]
            return items if kind is list else {TagTuple.key: items}
        return value if kind in _SCALARS else self._tag_by_order(value)

    def _tag_by_order(self, value: t.Any) -> t.Any:
        fitting = next((tag for tag in self.order if tag.check(value)), None)
        return value if fitting is None else fitting.tag(value)

    def untag(self, value: dict[str, t.Any]) -> t.Any:
        """Return what a dictionary read from JSON stands for, itself where it has no tag.

        :param value: the dictionary.
        """
        if len(value) == 1:
            ((key, content),) = value.items()
            if key in self.tags:
                return self.tags[key].to_python(content)
        return value

    def _untag_scan(self, value: t.Any) -> t.Any:
        if isinstance(value, dict):
            return self.untag({key: self._untag_scan(item) for key, item in value.items()})
        if isinstance(value, list):
            return [self._untag_scan(item) for item in value]
        return value

    def dumps(self, value: t.Any) -> str:
        """Return the value as tagged JSON text without spaces.

        :param value: what is in the session.
        """
        # PERF: as in `tag`, without the call (0.06 µs).
        usual = self.order == self._built_in
        return dumps_compact(self._tag_known(value) if usual else self.tag(value))

    def loads(self, value: str) -> t.Any:
        """Return the value that tagged JSON text stands for.

        :param value: the text.
        """
        if _reads_standard_json():
            # PERF: the parser calls untag() for each object as soon as it has read it, inner ones
            # first: a flashed message takes 1.0 µs; parsing and then walking through it, 2.4.
            try:
                result, end = self._scan(value, 0)
                if end == len(value):
                    return result
            except (StopIteration, ValueError, TypeError, RecursionError):
                pass  # to be raised by the parser that words errors
        return self._untag_scan(loads(value))


def _reads_standard_json() -> bool:
    """Tell whether ``loads`` is that of the standard library."""
    context = get_current(None)
    if context is None:
        return True
    known = context.app.engine_plan.tagged_json
    return known[2] if known[0] is tables.mark else tagged_json(context.app)[2]
