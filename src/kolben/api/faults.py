"""Reading JSON: at once where it fits; where it does not, again with care, to tell every fault.

msgspec stops at the first fault. So a document that it refuses is walked by functions that are made
of the type when its first fault comes, one for each part of it.
"""

from __future__ import annotations

import datetime as dt
import decimal
import sys
import typing as t
import uuid
from functools import cached_property

import msgspec
from msgspec import DecodeError, Meta, ValidationError, convert, inspect as ins

from . import kinds
from .problems import MOST_FAULTS, Fault, MalformedBody

#: Walks over a value at a place, and tells what is wrong with it.
Walk = t.Callable[[t.Any, str, "Found"], None]


class Found:
    """The faults of one request.

    :param where: the part of the request, for :meth:`at`.
    """

    def __init__(self, where: str = "body") -> None:
        self.where = where
        self.faults: list[Fault] = []
        self.count = 0

    def add(self, fault: Fault) -> None:
        """Keep a fault, or only count it where there are too many."""
        self.count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)

    def at(self, pointer: str, detail: str) -> None:
        """Keep a fault of the body.

        :param pointer: its place (RFC 6901), without the ``#`` of a URI.
        :param detail: what is wrong.
        """
        self.count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(self.where, detail, None, f"#{pointer}"))


class JSONReader:
    """Reads values of one type."""

    def __init__(self, annotation: t.Any, refuses_unknown: bool = False) -> None:
        self.annotation = annotation
        self.refuses_unknown = refuses_unknown
        models = kinds.models_in(annotation)
        self._pydantic = kinds.holds_pydantic(annotation)
        if self._pydantic:
            self.decode, self._faults = _pydantic_reader(annotation, models, refuses_unknown)
        else:
            self.decode = msgspec.json.Decoder(annotation).decode
            if refuses_unknown:
                self.decode = self._decode_refusing

    def _decode_refusing(self, data: bytes) -> t.Any:
        value = msgspec.json.decode(data, type=self.annotation)
        found = Found()
        self._walk(msgspec.json.decode(data), "", found)
        if found.count:
            raise kinds.Misfit
        return value

    @cached_property
    def _walk(self) -> Walk:
        return walker(self.annotation, self.refuses_unknown)

    def explain(self, data: bytes, found: Found) -> None:
        """Tell all that is wrong with a document.

        :raises MalformedBody: if it is not JSON at all, or nested too deeply.
        """
        value = parse(data)
        before = found.count
        try:
            if self._pydantic:
                self._faults(data, value, found)
            else:
                self._walk(value, "", found)
            if found.count == before:
                self.decode(data)
        except ValidationError as error:
            found.at("", kinds.without(kinds.texts_in(value), kinds.say(error)))
        except RecursionError:
            # A walk takes three calls a level, where reading takes one.
            raise _malformed(_TOO_DEEP) from None


def parse(data: bytes) -> t.Any:
    """Return what a document says.

    :raises MalformedBody: if it is not JSON.
    """
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        detail = _TOO_DEEP
    except ValidationError as error:
        detail = f"{kinds.say(error)}."  # a number beyond what can be read
    except DecodeError as error:
        text, _, place = str(error).removesuffix(")").partition(" (byte ")
        detail = f"The body is not JSON: {text.removeprefix('JSON is malformed: ')}"
        detail += f", at byte {place or len(data)}."  # it does not say where a truncated one ends
    except ValueError:
        detail = "The body is not JSON: it is not UTF-8."
    raise _malformed(detail)


_TOO_DEEP = "The body is nested too deeply."


def _malformed(detail: str) -> MalformedBody:
    return MalformedBody(detail=detail, errors=[Fault("body", detail)])


# -- walking --------------------------------------------------------------------------------


def walker(annotation: t.Any, refuses_unknown: bool = False) -> Walk:
    """Return what walks over values of a type."""
    return _Builder(refuses_unknown).make(ins.type_info(annotation))


_SCALARS: dict[type, t.Any] = {
    ins.NoneType: None,
    ins.BoolType: bool,
    ins.IntType: int,
    ins.FloatType: float,
    ins.StrType: str,
    ins.BytesType: bytes,
    ins.DateTimeType: dt.datetime,
    ins.TimeType: dt.time,
    ins.DateType: dt.date,
    ins.TimeDeltaType: dt.timedelta,
    ins.UUIDType: uuid.UUID,
    ins.DecimalType: decimal.Decimal,
}
_OBJECTS = (ins.StructType, ins.DataclassType, ins.TypedDictType, ins.DictType)
_ARRAYS = (ins.ListType, ins.SetType, ins.FrozenSetType, ins.VarTupleType)
_FIXED = (ins.TupleType, ins.NamedTupleType)
_LIMITS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "tz")
_JSON_NAMES = {dict: "object", list: "array", type(None): "null"}


def _scalar(info: t.Any) -> t.Any:
    """Return the type that msgspec has described."""
    if isinstance(info, ins.LiteralType):
        return t.Literal[info.values]
    if isinstance(info, (ins.EnumType, ins.CustomType)):
        return info.cls
    limits = {name: getattr(info, name, None) for name in _LIMITS}
    limits = {name: limit for name, limit in limits.items() if limit is not None}
    kind = _SCALARS.get(type(info), t.Any)
    return t.Annotated[kind, Meta(**limits)] if limits else kind


def escape(name: str) -> str:
    """Write a name as a part of a pointer (RFC 6901, section 3)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _label(info: t.Any) -> str:
    if isinstance(info, _OBJECTS):
        return "object"
    if isinstance(info, _ARRAYS + _FIXED):
        return "array"
    if isinstance(info, ins.LiteralType):
        return " | ".join(sorted({type(value).__name__ for value in info.values}))
    kind = _SCALARS.get(type(info), str)
    return "null" if kind is None else t.cast("str", kind.__name__).lower()


def _got(value: t.Any) -> str:
    return _JSON_NAMES.get(type(value)) or type(value).__name__


class _Builder:
    """Makes the functions that walk."""

    def __init__(self, refuses_unknown: bool) -> None:
        self._refuses = refuses_unknown
        self._made: dict[int, list[t.Any]] = {}

    def make(self, info: t.Any) -> Walk:
        if isinstance(info, ins.Metadata):
            info = info.type
        if not isinstance(info, (*_OBJECTS, *_ARRAYS, *_FIXED, ins.UnionType)):
            return _leaf(_scalar(info))
        cell = self._made.get(id(info))
        if cell is None:
            # A class may have itself as a part, so what walks over it is looked up when it walks.
            cell = self._made[id(info)] = [None, info]
            cell[0] = self._make(info)
            return t.cast("Walk", cell[0])
        return lambda value, place, found: cell[0](value, place, found)  # noqa: PLW0108 (made later)

    def _make(self, info: t.Any) -> Walk:
        if isinstance(info, ins.UnionType):
            return self._union(info)
        if isinstance(info, ins.DictType):
            return self._mapping(info)
        if isinstance(info, _ARRAYS):
            return self._array(info)
        if isinstance(info, _FIXED) or getattr(info, "array_like", False):
            return self._tuple(info)
        return self._object(info)

    def _object(self, info: t.Any) -> Walk:
        fields = [
            (f.encode_name, escape(f.encode_name), _fits(f.type), self.make(f.type), f.required)
            for f in info.fields
        ]
        names = {field[0] for field in fields}
        tag_field, tag = getattr(info, "tag_field", None), getattr(info, "tag", None)
        forbids = self._refuses or getattr(info, "forbid_unknown_fields", False)
        # What looks at the whole when it is made: attrs' validators, too.
        checks = hasattr(info.cls, "__post_init__") or hasattr(info.cls, "__attrs_attrs__")
        cls = info.cls if checks else None

        def walk(value: t.Any, place: str, found: Found) -> None:
            if type(value) is not dict:
                found.at(place, f"Expected `object`, got `{_got(value)}`")
                return
            before = found.count
            for name, suffix, fits, inner, required in fields:
                if name in value:
                    # PERF: what fits is mostly seen here, without a call for its place (0.1 µs).
                    if not fits(value[name]):
                        inner(value[name], place + suffix, found)
                elif required:
                    found.at(place + suffix, "Required, but missing")
            if tag_field and value.get(tag_field, tag) != tag:
                found.at(place + escape(tag_field), f"Expected {tag!r}")
            if forbids:
                for name in value:
                    if name not in names and name != tag_field:
                        found.at(place + escape(name), "Not expected")
            if cls is not None and found.count == before:
                _convert(value, cls, place, found)

        return walk

    def _mapping(self, info: t.Any) -> Walk:
        key_type, inner = _scalar(info.key_type), self.make(info.value_type)
        if isinstance(info.key_type, ins.StrType) and key_type is str:
            key_type = None
        lengths = _lengths(info, "object")

        def walk(value: t.Any, place: str, found: Found) -> None:
            if type(value) is not dict:
                found.at(place, f"Expected `object`, got `{_got(value)}`")
                return
            lengths(value, place, found)
            for name, item in value.items():
                here = place + escape(name)
                if key_type is not None:
                    _convert({name: None}, dict[key_type, None], here, found, key_type)  # type: ignore[valid-type]
                inner(item, here, found)

        return walk

    def _array(self, info: t.Any) -> Walk:
        inner, lengths = self.make(info.item_type), _lengths(info, "array")
        fits = _fits(info.item_type)

        def walk(value: t.Any, place: str, found: Found) -> None:
            if type(value) is not list:
                found.at(place, f"Expected `array`, got `{_got(value)}`")
                return
            lengths(value, place, found)
            for number, item in enumerate(value):
                if not fits(item):
                    inner(item, f"{place}/{number}", found)

        return walk

    def _tuple(self, info: t.Any) -> Walk:
        fields = getattr(info, "fields", ())
        items = [self.make(one) for one in getattr(info, "item_types", [f.type for f in fields])]
        least = sum(field.required for field in fields) if fields else len(items)
        if (tag := getattr(info, "tag", None)) is not None:
            items, least = [_leaf(t.Literal[tag]), *items], least + 1
        is_closed = self._refuses or getattr(info, "forbid_unknown_fields", True)
        most = len(items) if is_closed else sys.maxsize
        expected = f"Expected `array` of length {least}"
        if least < most:
            expected += f" to {most}" if is_closed else " at least"

        def walk(value: t.Any, place: str, found: Found) -> None:
            if type(value) is not list:
                found.at(place, f"Expected `array`, got `{_got(value)}`")
            elif not least <= len(value) <= most:
                found.at(place, expected)
            else:
                for number, (item, inner) in enumerate(zip(value, items, strict=False)):
                    inner(item, f"{place}/{number}", found)

        return walk

    def _union(self, info: ins.UnionType) -> Walk:
        parts = [one.type if isinstance(one, ins.Metadata) else one for one in info.types]
        objects = [one for one in parts if isinstance(one, _OBJECTS) and not _is_array_like(one)]
        arrays = [
            one for one in parts if isinstance(one, (*_ARRAYS, *_FIXED)) or _is_array_like(one)
        ]
        scalars = [_scalar(one) for one in parts if one not in objects and one not in arrays]
        leaf = _leaf(t.Union[tuple(scalars)]) if scalars else None  # noqa: UP007
        expected = " | ".join(dict.fromkeys(map(_label, parts)))
        choose_object = self._choice(objects, lambda value, one: value.get(one.tag_field))
        choose_array = self._choice(arrays, lambda value, one: value[0] if value else None)

        def walk(value: t.Any, place: str, found: Found) -> None:
            by_kind: dict[t.Any, Walk | None] = {dict: choose_object, list: choose_array}
            choose = by_kind.get(type(value))
            if choose is not None:
                choose(value, place, found)
            elif leaf is None or type(value) in (dict, list):
                found.at(place, f"Expected `{expected}`, got `{_got(value)}`")
            else:
                leaf(value, place, found)

        return walk

    def _choice(self, parts: list[t.Any], tag_of: t.Callable[[t.Any, t.Any], t.Any]) -> Walk | None:
        """Return what walks over the one of *parts* that a value's tag names."""
        if len(parts) < 2:
            return self.make(parts[0]) if parts else None
        by_tag = {one.tag: self.make(one) for one in parts}
        first = parts[0]
        suffix = "/0" if first.array_like else escape(first.tag_field)
        expected = "Expected one of " + ", ".join(map(repr, by_tag))

        def walk(value: t.Any, place: str, found: Found) -> None:
            tag = tag_of(value, first)
            inner = by_tag.get(tag) if isinstance(tag, (str, int)) else None
            if inner is not None:
                inner(value, place, found)
            else:
                found.at(place + suffix, expected if tag is not None else "Required, but missing")

        return walk


def _is_array_like(info: t.Any) -> bool:
    return bool(getattr(info, "array_like", False))


def _fits(info: t.Any) -> t.Callable[[t.Any], t.Any]:
    """Return what sees at once that a value fits; where it does not, the value is looked at."""
    if isinstance(info, ins.Metadata):
        info = info.type
    if isinstance(info, ins.UnionType) and info.includes_none and len(info.types) == 2:
        quick = _fits(next(one for one in info.types if not isinstance(one, ins.NoneType)))
        return lambda value: value is None or quick(value)
    return kinds.quick(info) or (lambda value: False)


def _leaf(kind: t.Any) -> Walk:
    # PERF: of a class msgspec knows the fields still; it reads a type anew each time (0.3 µs).
    cell = msgspec.defstruct("Leaf", [("value", kind)], array_like=True)
    has_choices = bool(kinds.choices_of(kind))

    def walk(value: t.Any, place: str, found: Found) -> None:
        try:
            convert((value,), cell, str_keys=True)
        except ValidationError as error:
            text = str(error).removesuffix(" - at `$[0]`")
            found.at(place, kinds.say(error, kind) if has_choices else text)

    return walk


def _convert(value: t.Any, kind: t.Any, place: str, found: Found, expected: t.Any = None) -> None:
    try:
        convert(value, kind, str_keys=True)
    except ValidationError as error:
        said = kinds.say(error, expected or kind)
        found.at(
            place, said if error.__cause__ is None else kinds.without(kinds.texts_in(value), said)
        )


def _lengths(info: t.Any, label: str) -> Walk:
    least, most = info.min_length or 0, info.max_length

    def walk(value: t.Any, place: str, found: Found) -> None:
        if len(value) < least:
            found.at(place, f"Expected `{label}` of length >= {least}")
        elif most is not None and len(value) > most:
            found.at(place, f"Expected `{label}` of length <= {most}")

    return walk


# -- pydantic -------------------------------------------------------------------------------


def _pydantic_reader(
    annotation: t.Any, models: t.Iterable[t.Any], refuses: bool
) -> tuple[t.Any, t.Any]:
    pydantic: t.Any = kinds.pydantic_module()
    validator = pydantic.TypeAdapter(annotation).validator
    if kinds.is_pydantic(annotation):
        validator = t.cast("t.Any", annotation).__pydantic_validator__
    says_itself = any("strict" in getattr(one, "model_config", {}) for one in models)
    options: dict[str, t.Any] = {} if says_itself else {"strict": True}
    if refuses:
        options["extra"] = "forbid"
    validate = validator.validate_json

    def decode(data: bytes) -> t.Any:
        return validate(data, **options)

    def explain(data: bytes, value: t.Any, found: Found) -> None:
        try:
            decode(data)
        except ValueError as error:
            texts = kinds.texts_in(value)
            errors = kinds.pydantic_errors(error)
            found.count += len(errors[MOST_FAULTS:])
            for one in errors[:MOST_FAULTS]:
                found.at(
                    _place_of(one["loc"], value, one["type"]), kinds.pydantic_message(one, texts)
                )

    return decode, explain


def _place_of(location: t.Iterable[t.Any], value: t.Any, kind: str) -> str:
    """Return the pointer for pydantic's place, which names the members of unions, too."""
    place = ""
    parts = tuple(location)
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        if isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
            place += f"/{part}"
        elif isinstance(value, dict) and (part in value or (is_last and kind == "missing")):
            value = value.get(part)
            place += escape(str(part))
    return place
