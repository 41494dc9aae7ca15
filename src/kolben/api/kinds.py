"""The kinds of types: how each is told, read from text, read from JSON, and written.

msgspec is what reads and writes; models of pydantic bring what does it with them. Everything else of
the package asks here and imports neither.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import inspect
import math
import re
import sys
import types
import typing as t
import uuid
import weakref

import msgspec
from msgspec import NODEFAULT as NODEFAULT, Meta, ValidationError, inspect as ins
from werkzeug.datastructures import FileStorage

_NONE = type(None)
_MAXIMUM_DIGITS = 4300  # what Python itself takes for one integer
SCALARS = (
    str,
    int,
    float,
    bool,
    bytes,
    decimal.Decimal,
    dt.datetime,
    dt.date,
    dt.time,
    dt.timedelta,
    uuid.UUID,
)
#: The containers that a parameter of text may be repeated for.
CONTAINERS = (list, set, frozenset, tuple)


class Misfit(ValueError):
    """A text is not what its parameter takes. Its message never holds the text."""


class NotText(TypeError):
    """No text can hold a value of this type."""


# -- annotations ----------------------------------------------------------------------------


def unwrap(annotation: t.Any) -> tuple[t.Any, tuple[t.Any, ...]]:
    """Take an annotation apart: the type, and what ``Annotated`` adds to it, outermost last.

    Aliases (PEP 695) and new types are looked through.
    """
    extra: tuple[t.Any, ...] = ()
    while True:
        origin = t.get_origin(annotation)
        if origin is t.Annotated:
            extra = annotation.__metadata__ + extra
            annotation = annotation.__origin__
        elif hasattr(origin, "__value__"):  # an alias with parameters
            annotation = origin.__value__[t.get_args(annotation)]
        elif hasattr(annotation, "__value__"):
            annotation = annotation.__value__
        elif isinstance(annotation, t.NewType):
            annotation = annotation.__supertype__
        else:
            return annotation, extra


def annotations_of(cls: type) -> dict[str, t.Any]:
    """Return a class's own annotations, of which some may not be resolved yet."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(cls)


def members_of(annotation: t.Any) -> tuple[t.Any, ...]:
    """Return the members of a union, or the type alone."""
    if t.get_origin(annotation) in (t.Union, types.UnionType):
        return t.get_args(annotation)
    return (annotation,)


def without_none(annotation: t.Any) -> t.Any:
    """Return ``X`` of ``X | None``."""
    members = members_of(annotation)
    rest = tuple(one for one in members if one is not _NONE)
    if len(rest) == len(members) or not rest:
        return annotation
    return t.Union[rest]  # noqa: UP007 (made of a tuple)


def rewrap(annotation: t.Any, extra: t.Iterable[t.Any]) -> t.Any:
    """Put back what says something about the type itself: no marker of ours."""
    extra = tuple(extra)
    if extra and holds_pydantic(annotation):
        return t.Annotated[(annotation, *extra)]  # a discriminator, which pydantic looks for
    # pydantic's Field holds constraints of its own.
    flat = [inner for one in extra for inner in (one, *getattr(one, "metadata", ()))]
    kept = tuple(one for one in map(_as_meta, flat) if one is not None)
    return t.Annotated[(annotation, *kept)] if kept else annotation


_LIMITS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")


def _as_meta(extra: t.Any) -> t.Any:
    if isinstance(extra, Meta):
        return extra
    if not type(extra).__module__.startswith(("annotated_types", "pydantic.")):
        return None
    limits = {name: limit for name in _LIMITS if (limit := getattr(extra, name, None)) is not None}
    return Meta(**limits) if limits else None


def is_pydantic(kind: t.Any) -> bool:
    """Tell whether a class is a model of pydantic's."""
    return hasattr(t.get_origin(kind) or kind, "__pydantic_validator__")


def is_of_pydantic(kind: t.Any) -> bool:
    """Tell whether pydantic knows how to read a class, such as ``EmailStr``, or one of its models."""
    has_schema = hasattr(t.get_origin(kind) or kind, "__get_pydantic_core_schema__")
    return has_schema and pydantic_module() is not None


def is_model(kind: t.Any) -> bool:
    """Tell whether a type is a class with fields."""
    kind = t.get_origin(kind) or kind
    if not isinstance(kind, type):
        return False
    return (
        issubclass(kind, msgspec.Struct)
        or dataclasses.is_dataclass(kind)
        or hasattr(kind, "__attrs_attrs__")
        or hasattr(kind, "__total__")  # TypedDict
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
        or is_pydantic(kind)
    )


_models: weakref.WeakKeyDictionary[type, tuple[t.Any, ...]] = weakref.WeakKeyDictionary()


def models_in(annotation: t.Any, seen: dict[t.Any, None] | None = None) -> dict[t.Any, None]:
    """Return the classes with fields that a type is made of, at every depth.

    :param annotation: a type.
    :param seen: those that are known already; added to.
    :raises NameError: if a field's annotation cannot be resolved yet.
    """
    is_first = not seen
    seen = {} if seen is None else seen
    kind = unwrap(annotation)[0]
    if kind in seen:
        return seen
    if isinstance(kind, type) and (known := _models.get(kind)) is not None:
        seen.update(dict.fromkeys(known))
        return seen
    if is_model(kind):
        seen[kind] = None
        for field in fields_of(kind):
            models_in(field.type, seen)
        # Only here it is sure that all that it is made of was found below it.
        if is_first and isinstance(kind, type):
            _models[kind] = tuple(seen)
    for argument in t.get_args(kind):
        models_in(argument, seen)
    return seen


def name_of(annotation: t.Any) -> str:
    """Return a type's name as a program has it."""
    kind = unwrap(annotation)[0]
    members, arguments = members_of(kind), t.get_args(kind)
    if kind is ... or kind is _NONE:
        return "..." if kind is ... else "None"
    if len(members) > 1:
        return " | ".join(map(name_of, members))
    if isinstance(origin := t.get_origin(kind) or kind, type):
        held = ", ".join(map(name_of, arguments))
        return f"{origin.__name__}[{held}]" if held else origin.__name__
    return str(kind).replace("typing.", "")


# -- classes with fields --------------------------------------------------------------------


@dataclasses.dataclass(slots=True)
class Field:
    """A field of a class.

    :param name: its name in Python.
    :param wire: its name in JSON.
    :param type: its annotation.
    :param default: its default; ``NODEFAULT`` if there is none, or if it is made each time.
    :param required: whether it must be sent.
    """

    name: str
    wire: str
    type: t.Any
    default: t.Any = NODEFAULT
    required: bool = True


def fields_of(kind: t.Any) -> list[Field]:
    """Return the fields of a class, of any kind.

    :raises NameError: if an annotation cannot be resolved yet.
    """
    cls: t.Any = t.get_origin(kind) or kind
    if issubclass(cls, msgspec.Struct):
        return [
            Field(f.name, f.encode_name, f.type, f.default, f.required)
            for f in msgspec.structs.fields(kind)
        ]
    if is_pydantic(cls):
        return _pydantic_fields(cls)
    hints = t.get_type_hints(cls, include_extras=True)
    if hasattr(cls, "__required_keys__"):
        return [
            _typed_dict_field(name, hint, name in cls.__required_keys__)
            for name, hint in hints.items()
        ]
    found: list[tuple[str, str, t.Any, t.Any]]
    if dataclasses.is_dataclass(cls):
        fields = [one for one in dataclasses.fields(cls) if one.init]
        found = [(f.name, f.name, f.default, f.default_factory) for f in fields]
    elif hasattr(cls, "__attrs_attrs__"):
        attributes = [one for one in cls.__attrs_attrs__ if one.init]
        found = [
            (a.alias, a.name, a.default, getattr(a.default, "factory", None)) for a in attributes
        ]
    else:
        given = cls._field_defaults
        found = [(name, name, given.get(name, NODEFAULT), None) for name in cls._fields]
    made = []
    for name, wire, default, factory in found:
        is_made = factory is not None and factory is not dataclasses.MISSING
        is_absent = default is dataclasses.MISSING or repr(default) == "NOTHING"
        default = NODEFAULT if is_absent or is_made else default
        made.append(Field(name, wire, hints[wire], default, default is NODEFAULT and not is_made))
    return made


def _typed_dict_field(name: str, hint: t.Any, required: bool) -> Field:
    # The class does not know where NotRequired is text still (from __future__).
    marker = t.get_origin(hint)
    if marker in (t.Required, t.NotRequired):
        hint, required = t.get_args(hint)[0], marker is t.Required
    return Field(name, name, hint, required=required)


def _pydantic_fields(cls: t.Any) -> list[Field]:
    if not cls.__pydantic_complete__:
        cls.model_rebuild()
    return [
        Field(
            name,
            info.validation_alias if isinstance(info.validation_alias, str) else name,
            t.Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation,
            default=NODEFAULT if info.is_required() or info.default_factory else info.default,
            required=info.is_required(),
        )
        for name, info in cls.model_fields.items()
    ]


# -- text -----------------------------------------------------------------------------------

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def quick(info: t.Any) -> t.Callable[[t.Any], t.Any] | None:
    """Return what sees at once that a value fits, for the usual types; None for the others.

    PERF: 0.1 µs, where msgspec takes 0.7 for a type that is no class; it is asked what does not fit.
    """
    kind = _QUICK.get(type(info))
    if kind is None or getattr(info, "multiple_of", None) is not None:
        return None
    if kind is str:
        least = info.min_length or 0
        most = sys.maxsize if info.max_length is None else info.max_length
        search = re.compile(info.pattern).search if info.pattern else None
        if search is None:
            return lambda value: type(value) is str and least <= len(value) <= most
        return lambda value: type(value) is str and least <= len(value) <= most and search(value)
    if all(getattr(info, name, None) is None for name in ("gt", "ge", "lt", "le")):
        return lambda value: type(value) is kind
    number: t.Any = kind
    low, high = -math.inf, math.inf
    ge = low if info.ge is None else info.ge
    gt = low if info.gt is None else info.gt
    le = high if info.le is None else info.le
    lt = high if info.lt is None else info.lt

    def fits(value: t.Any) -> bool:
        return type(value) is number and bool(ge <= value <= le and gt < value < lt)

    return fits


_QUICK: dict[t.Any, type] = {
    ins.BoolType: bool,
    ins.IntType: int,
    ins.FloatType: float,
    ins.StrType: str,
}


def read_int(text: str) -> int:
    """Read an integer: decimal digits, with a sign if it is negative.

    :raises Misfit: if it is none.
    """
    digits = text[1:] if text[:1] == "-" else text
    if digits.isdecimal() and text.isascii() and len(digits) <= _MAXIMUM_DIGITS:
        return int(text)
    raise Misfit("Expected `int`")


def read_float(text: str) -> float:
    """Read a finite number, as JSON writes it.

    :raises Misfit: if it is none.
    """
    if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    raise Misfit("Expected `float`")


def read_bool(text: str) -> bool:
    """Read ``true``, ``false``, ``1`` or ``0``.

    :raises Misfit: if it is neither.
    """
    try:
        return _BOOLEANS[text]
    except KeyError:
        raise Misfit("Expected `bool`: true, false, 1 or 0") from None


def text_reader(annotation: t.Any) -> t.Callable[[str], t.Any] | None:
    """Return what reads a value of a type from text; None where the text is the value.

    :raises NotText: if no text can hold such a value.
    """
    bare, extra = unwrap(annotation)
    bare = without_none(bare)
    if t.get_origin(bare) is t.Annotated:
        return text_reader(rewrap(bare, extra))
    read = _plain_reader(bare)
    typed = rewrap(bare, extra)
    if typed is bare:
        return read
    fits = quick(ins.type_info(typed)) or (lambda value: False)

    def read_checked(text: str) -> t.Any:
        value = text if read is None else read(text)
        return value if fits(value) else check(value, typed)

    return read_checked


def _plain_reader(bare: t.Any) -> t.Callable[[str], t.Any] | None:
    if bare is str or bare is t.Any:
        return None
    readers: dict[t.Any, t.Any] = {int: read_int, float: read_float, bool: read_bool}
    if bare in readers:
        return t.cast("t.Callable[[str], t.Any]", readers[bare])
    if t.get_origin(bare) is t.Literal:
        return _one_of({_wire_text(value): value for value in t.get_args(bare)})
    if isinstance(bare, type) and issubclass(bare, enum.Enum):
        return _one_of({_wire_text(member.value): member for member in bare})
    members = members_of(bare)
    chosen = [one for one in members if choices_of(one)]
    if chosen and len(members) > 1:
        others = tuple(one for one in members if one not in chosen)
        kinds: list[t.Any] = [*chosen, t.Union[others]] if others else chosen  # noqa: UP007
        return _first_that_fits([text_reader(one) for one in kinds], bare)
    if is_of_pydantic(bare) and not is_model(bare):
        return functools.partial(_read_by_pydantic, bare)
    if any(unwrap(one)[0] not in SCALARS for one in members):
        raise NotText(f"{name_of(bare)} cannot be read from text")
    if bare is decimal.Decimal:
        return lambda text: check(text, bare) if _NUMBER.fullmatch(text) else _refuse("decimal")
    lax = len(members) > 1
    return lambda text: check(text, bare, strict=not lax)


def _read_by_pydantic(kind: t.Any, text: str) -> t.Any:
    try:
        return adapter_of(kind).validate_python(text)
    except ValueError as error:
        said = [pydantic_message(one, texts_in(text)) for one in pydantic_errors(error)]
        raise Misfit(said[0]) from None


def _first_that_fits(readers: list[t.Any], kind: t.Any) -> t.Callable[[str], t.Any]:
    def read(text: str) -> t.Any:
        for one in readers:
            try:
                return text if one is None else one(text)
            except Misfit:
                continue
        return _refuse(" | ".join(name_of(one) for one in members_of(kind)))

    return read


def _refuse(kind: str) -> t.NoReturn:
    raise Misfit(f"Expected `{kind}`")


def _wire_text(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _one_of(choices: dict[str, t.Any]) -> t.Callable[[str], t.Any]:
    expected = "Expected one of " + ", ".join(map(repr, choices))

    def read(text: str) -> t.Any:
        try:
            return choices[text]
        except KeyError:
            raise Misfit(expected) from None

    return read


def check(value: t.Any, annotation: t.Any, strict: bool = True) -> t.Any:
    """Return a value as one of a type.

    :param value: a value of JSON, or text.
    :param annotation: the type.
    :param strict: whether text is no number.
    :raises Misfit: if it is none.
    """
    try:
        return msgspec.convert(value, annotation, strict=strict)
    except ValidationError as error:
        raise Misfit(say(error, annotation)) from None


def say(error: BaseException, annotation: t.Any = None) -> str:
    """Return what a class or msgspec has said, without the place and without the value."""
    message = str(error)
    if message.endswith("`") and " - at `" in message:
        message = message.rpartition(" - at `")[0]
    if message.startswith("Invalid enum value"):
        return "Expected one of " + ", ".join(map(repr, choices_of(annotation)))
    if message.startswith("Invalid value"):
        return "Expected another value of the tag"
    return _said_by_attrs(error.__cause__ or error) or message


_MOST_TEXTS = 10_000
_SHORT = 4


def texts_in(value: t.Any) -> list[str]:
    """Return what may stand in a message of the values that were sent, the longest first.

    Short ones are taken as they are quoted: *a* alone stands in most sentences.

    :param value: what was sent, of JSON or texts.
    """
    found: set[str] = set()
    stack = [value]
    while stack and len(found) < _MOST_TEXTS:
        one = stack.pop()
        if isinstance(one, dict):
            stack += one.values()
        elif isinstance(one, (list, tuple)):
            stack += one
        elif isinstance(one, str) and len(one) < _SHORT:
            found |= {repr(one), f'"{one}"'}
        elif isinstance(one, str):
            found |= {one, repr(one)[1:-1]}
        elif len(text := str(one)) >= _SHORT and not isinstance(one, (bool, _NONE)):
            found.add(text)
    return sorted(found, key=len, reverse=True)


def without(texts: list[str], message: str) -> str:
    """Return a message of a program's own check without what was sent: such as that of ``int(text)``.

    :param texts: what was sent, as :func:`texts_in` returns it.
    :param message: the message.
    """
    if len(texts) >= _MOST_TEXTS:
        return "The value is refused"
    for text in texts:
        message = message.replace(text, "…")
    return message


def _said_by_attrs(error: BaseException) -> str | None:
    """Return what one of attrs' validators has refused: its message has the value in it."""
    trace = error.__traceback__
    while trace is not None:
        frame, trace = trace.tb_frame, trace.tb_next
        if frame.f_globals.get("__name__") == "attr.validators":
            known = frame.f_locals
            return f"{known['attr'].name!r} is refused by {known['self']!r}"
    return None


def pydantic_errors(error: t.Any) -> list[t.Any]:
    """Return what a ValidationError of pydantic's lists, without what was sent."""
    found: list[t.Any] = error.errors(include_url=False, include_context=False, include_input=False)
    return found


_EMAIL = "value is not a valid email address"
# What of pydantic's messages holds a part of what was sent.
_ECHOES = {
    "union_tag_invalid": "Expected another value of the tag",
    "uuid_parsing": "Input should be a valid UUID",
    "url_parsing": "Input should be a valid URL",
    "bytes_invalid_encoding": "Input should be valid base64",
    "json_invalid": "Input should be JSON",
    "missing": "Required, but missing",
}


@functools.cache
def _own_types() -> frozenset[str]:
    """The types of errors whose messages pydantic writes: those of validators are programs' own."""
    known = t.get_args(sys.modules["pydantic_core.core_schema"].ErrorType)
    return frozenset(known) - {"value_error", "assertion_error", "import_error"}


def pydantic_message(error: t.Mapping[str, t.Any], texts: list[str]) -> str:
    """Return what pydantic has said, without what was sent.

    :param error: one of its errors.
    :param texts: what was sent, as :func:`texts_in` returns it.
    """
    said: str = error["msg"]
    if said.startswith(_EMAIL):
        return _EMAIL  # what follows may name characters of it
    if known := _ECHOES.get(error["type"]):
        return known
    return said if error["type"] in _own_types() else without(texts, said)


@functools.lru_cache(maxsize=1024)
def adapter_of(annotation: t.Any) -> t.Any:
    """Return pydantic's adapter of a type."""
    return t.cast("t.Any", pydantic_module()).TypeAdapter(annotation)


def holds_pydantic(annotation: t.Any) -> bool:
    """Tell whether a type holds models of pydantic, at any depth."""
    return any(map(is_pydantic, models_in(annotation)))


def narrowed(value: t.Any, annotation: t.Any) -> t.Any:
    """Return a value as one of a type, without members that the type lacks.

    :param value: an instance of a subclass, a dictionary, a row, or an object of any class.
    :param annotation: the type.
    :raises ValidationError: if it cannot be made one.
    """
    if holds_pydantic(annotation):
        return adapter_of(annotation).dump_python(value, mode="json", by_alias=True)
    # At first objects become instances, but instances of subclasses stay what they are.
    value = msgspec.convert(value, annotation, from_attributes=True, str_keys=True)
    return msgspec.convert(msgspec.to_builtins(value, str_keys=True), annotation, str_keys=True)


def choices_of(annotation: t.Any) -> list[t.Any]:
    """Return the values that a type allows, of an enum or of literals."""
    found: list[t.Any] = []
    for member in members_of(unwrap(annotation)[0]):
        if t.get_origin(member) is t.Literal:
            found += t.get_args(member)
        elif isinstance(member, type) and issubclass(member, enum.Enum):
            found += [one.value for one in member]
    return found


def is_scalar(annotation: t.Any) -> bool:
    """Tell whether text can hold a value of a type."""
    try:
        text_reader(annotation)
    except NotText:
        return False
    except TypeError:  # of constraints, which is told where it is read
        return True
    return True


def container_of(annotation: t.Any) -> tuple[t.Any, t.Any] | None:
    """Return the container and the type of its items, of ``list[int]`` and its like; or None."""
    origin = t.get_origin(annotation) or annotation
    if origin not in CONTAINERS:
        return None
    arguments = t.get_args(annotation)
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is ...):
        return None
    return origin, arguments[0] if arguments else str


def is_upload(annotation: t.Any) -> bool:
    """Tell whether a type is a file that is uploaded, or a list of such."""
    bare = without_none(annotation)
    container = container_of(bare)
    bare = unwrap(container[1])[0] if container else bare
    return isinstance(bare, type) and issubclass(bare, FileStorage)


def has_upload(kind: t.Any) -> bool:
    """Tell whether a class has a field that is a file."""
    return any(is_upload(unwrap(field.type)[0]) for field in fields_of(kind))


def pydantic_module() -> t.Any:
    """Return pydantic, if a program has imported it."""
    return sys.modules.get("pydantic")
