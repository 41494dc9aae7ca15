"""JSON Schema (2020-12) of every type that a document names, one component for each class."""

from __future__ import annotations

import inspect
import re
import sys
import typing as t
from pathlib import Path

import msgspec
from msgspec import NODEFAULT, inspect as ins

from . import kinds

REF = "#/components/schemas/"
_ILLEGAL = re.compile(r"[^A-Za-z0-9._-]+")
_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
# As msgspec reads and writes them: no years, months or weeks, whose lengths differ.
_DURATION = r"^-?P(?=[0-9T])([0-9]{1,8}D)?(T(?=[0-9])([0-9]{1,8}H)?([0-9]{1,8}M)?([0-9]{1,8}(\.[0-9]+)?S)?)?$"
_DECIMAL = r"^[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?$"
_SCALARS: dict[type, dict[str, t.Any]] = {
    ins.AnyType: {},
    ins.RawType: {},
    ins.NoneType: {"type": "null"},
    ins.BoolType: {"type": "boolean"},
    ins.IntType: {"type": "integer"},
    ins.FloatType: {"type": "number"},
    ins.StrType: {"type": "string"},
    ins.BytesType: {"type": "string", "contentEncoding": "base64", "pattern": _BASE64},
    ins.ByteArrayType: {"type": "string", "contentEncoding": "base64", "pattern": _BASE64},
    # Of RFC 3339 also where a time zone is not asked for: nothing else is read.
    ins.DateTimeType: {"type": "string", "format": "date-time"},
    ins.DateType: {"type": "string", "format": "date"},
    ins.TimeType: {"type": "string", "format": "time"},
    ins.TimeDeltaType: {"type": "string", "format": "duration", "pattern": _DURATION},
    ins.UUIDType: {"type": "string", "format": "uuid"},
    # Written as text; read from numbers, too.
    ins.DecimalType: {"type": ["string", "number"], "format": "decimal", "pattern": _DECIMAL},
}
_LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
    "min_length": "min",  # of what, its type says
    "max_length": "max",
}
_CLASSES = (
    ins.StructType,
    ins.DataclassType,
    ins.TypedDictType,
    ins.NamedTupleType,
    ins.EnumType,
)
_ARRAYS = (ins.ListType, ins.SetType, ins.FrozenSetType, ins.VarTupleType)


class Schemas:
    """The schemas of a document.

    :param types: all types that it names, each with whether it is an answer's.
    """

    def __init__(self, types: t.Iterable[tuple[t.Any, bool]]) -> None:
        #: The components that :meth:`of` has referred to.
        self.components: dict[str, t.Any] = {}
        self._names: dict[t.Any, str] = {}
        self._pydantic: dict[tuple[t.Any, bool], t.Any] = {}
        self._definitions: dict[str, t.Any] = {}
        wanted = dict.fromkeys(types)
        models = [
            one
            for one in wanted
            if kinds.holds_pydantic(one[0]) or kinds.is_of_pydantic(kinds.unwrap(one[0])[0])
        ]
        foreign = {kind for kind, _ in models}
        plain = list(dict.fromkeys(kind for kind, _ in wanted if kind not in foreign))
        self._infos = dict(zip(plain, ins.multi_type_info(plain), strict=True))
        self._name_all()
        if models:
            self._read_pydantic(models)

    def of(self, annotation: t.Any, is_answer: bool = False, refuses: bool = False) -> t.Any:
        """Return the schema of a type, with references to the components.

        :param annotation: the type, one of those that were named.
        :param is_answer: whether an answer has it, rather than a request.
        :param refuses: whether members that no class has are refused.
        """
        if (annotation, is_answer) in self._pydantic:
            return self._use(self._pydantic[annotation, is_answer], refuses)
        return self._schema(self._infos[annotation], refuses)

    # ---- names -----------------------------------------------------------------------------

    def _name_all(self) -> None:
        found: dict[t.Any, None] = {}
        seen: set[int] = set()
        stack = list(reversed(self._infos.values()))
        while stack:
            info = stack.pop()
            if type(info) in _SCALARS or id(info) in seen:
                continue
            seen.add(id(info))
            if isinstance(info, _CLASSES):
                found[info.cls] = None
            stack += reversed(_parts(info))
        by_name: dict[str, list[t.Any]] = {}
        for cls in found:
            by_name.setdefault(_short_name(cls), []).append(cls)
        taken = set(by_name)
        for name, classes in by_name.items():
            for cls in classes:
                self._names[cls] = name if len(classes) == 1 else free(_long_name(cls), taken)

    # ---- msgspec ---------------------------------------------------------------------------

    def _schema(self, info: t.Any, refuses: bool) -> dict[str, t.Any]:
        if (scalar := _SCALARS.get(type(info))) is not None:
            return {**scalar, **_limits(info, "Length")}
        if isinstance(info, ins.Metadata):
            inner = self._schema(info.type, refuses)
            return {**inner, **(info.extra_json_schema or {})}
        if isinstance(info, _CLASSES):
            return self._component(info, refuses)
        if isinstance(info, ins.UnionType):
            return self._union(info, refuses)
        if isinstance(info, ins.LiteralType):
            return _enum(info.values)
        if isinstance(info, ins.CustomType):
            return {}
        if isinstance(info, ins.DictType):
            return self._mapping(info, refuses)
        if isinstance(info, _ARRAYS):
            items = self._schema(info.item_type, refuses)
            return {"type": "array", "items": items, **_limits(info, "Items")}
        parts = [self._schema(one, refuses) for one in info.item_types]
        return _tuple(parts, len(parts), True)

    def _mapping(self, info: t.Any, refuses: bool) -> dict[str, t.Any]:
        values = self._schema(info.value_type, refuses)
        schema: dict[str, t.Any] = {"type": "object", "additionalProperties": values}
        key = self._schema(info.key_type, refuses)
        if key.get("type") in ("integer", "number"):
            key = {"pattern": r"^-?(0|[1-9]\d*)$" if key["type"] == "integer" else r"^-?\d"}
        key.pop("type", None)
        if key:
            schema["propertyNames"] = key
        return {**schema, **_limits(info, "Properties")}

    def _union(self, info: ins.UnionType, refuses: bool) -> dict[str, t.Any]:
        members = sorted(info.types, key=lambda one: isinstance(one, ins.NoneType))
        tagged: list[t.Any] = [one for one in members if getattr(one, "tag", None) is not None]
        others = [self._schema(one, refuses) for one in members if one not in tagged]
        schemas = [self._schema(one, refuses) for one in tagged]
        if len(tagged) > 1 and not getattr(tagged[0], "array_like", False):
            field = tagged[0].tag_field
            mapping = {str(one.tag): ref["$ref"] for one, ref in zip(tagged, schemas, strict=True)}
            choice = {
                "oneOf": schemas,
                "discriminator": {"propertyName": field, "mapping": mapping},
            }
            schemas = [{**choice, "required": [field]}]
        schemas = [*schemas, *others]
        if len(schemas) == 1:
            return schemas[0]
        if len(schemas) == 2 and schemas[1] == {"type": "null"}:
            kind = schemas[0].get("type")
            if isinstance(kind, str) and "enum" not in schemas[0]:
                return {**schemas[0], "type": [kind, "null"]}
        return {"anyOf": schemas}

    def _component(self, info: t.Any, refuses: bool) -> dict[str, t.Any]:
        name = self._names[info.cls] + (".closed" if refuses else "")
        if isinstance(info, ins.EnumType):
            name = self._names[info.cls]
        if name not in self.components:
            self.components[name] = {}  # known from now on, as a class may have itself as a part
            schema = self._class(info, refuses)
            cls = t.get_origin(info.cls) or info.cls
            if description := _description(cls):
                schema["description"] = description
            self.components[name].update(schema)
        return {"$ref": REF + name}

    def _class(self, info: t.Any, refuses: bool) -> dict[str, t.Any]:
        if isinstance(info, ins.EnumType):
            return _enum([member.value for member in info.cls])
        if isinstance(info, ins.NamedTupleType) or getattr(info, "array_like", False):
            items = [self._schema(one.type, refuses) for one in info.fields]
            least = sum(one.required for one in info.fields)
            if (tag := getattr(info, "tag", None)) is not None:
                items, least = [_enum([tag]), *items], least + 1
            is_closed = refuses or getattr(info, "forbid_unknown_fields", True)
            return _tuple(items, least, is_closed)
        properties: dict[str, t.Any] = {}
        required = []
        if getattr(info, "tag", None) is not None:
            properties[info.tag_field] = _enum([info.tag])
        for field in info.fields:
            schema = self._schema(field.type, refuses)
            if field.required:
                required.append(field.encode_name)
            elif (default := _default(field)) is not NODEFAULT:
                schema = {**schema, "default": default}
            properties[field.encode_name] = schema
        made: dict[str, t.Any] = {"type": "object", "properties": properties}
        if required:
            made["required"] = required
        if refuses or getattr(info, "forbid_unknown_fields", False):
            made["additionalProperties"] = False
        return made

    # ---- pydantic --------------------------------------------------------------------------

    def _read_pydantic(self, wanted: list[tuple[t.Any, bool]]) -> None:
        pydantic: t.Any = kinds.pydantic_module()
        inputs = [
            (one, "serialization" if one[1] else "validation", pydantic.TypeAdapter(one[0]))
            for one in wanted
        ]
        found, rest = pydantic.TypeAdapter.json_schemas(inputs, ref_template=REF + "{model}")
        self._pydantic = {key: schema for (key, _), schema in found.items()}
        definitions = rest.get("$defs", {})
        renamed: dict[str, str] = {}
        taken = set(self._names.values())
        for name in definitions:
            # The name that is read by people is the answer's; a request's of another shape is marked.
            plain = name.removesuffix("-Output").replace("-Input", "Input")
            renamed[name] = free(_ILLEGAL.sub("_", plain).strip("_"), taken)
        self._definitions = {renamed[name]: one for name, one in definitions.items()}
        self._renamed = renamed

    def _use(self, schema: t.Any, refuses: bool) -> t.Any:
        """Return one of pydantic's schemas, and make components of what it refers to."""
        if isinstance(schema, list):
            return [self._use(one, refuses) for one in schema]
        if not isinstance(schema, dict):
            return schema
        made = {key: self._use(one, refuses) for key, one in schema.items() if key != "title"}
        if "mapping" in made and "propertyName" in made:
            made["mapping"] = {
                tag: self._refer(ref, refuses) for tag, ref in made["mapping"].items()
            }
        if "$ref" in schema:
            made["$ref"] = self._refer(schema["$ref"], refuses)
        if refuses and "properties" in made:
            made.setdefault("additionalProperties", False)
        if isinstance(schema.get("title"), dict):  # a property of that name
            made["title"] = self._use(schema["title"], refuses)
        return made

    def _refer(self, ref: str, refuses: bool) -> str:
        own = self._renamed[ref.removeprefix(REF)]
        name = own + (".closed" if refuses else "")
        if name not in self.components:
            self.components[name] = {}
            self.components[name].update(self._use(self._definitions[own], refuses))
        return REF + name


def _parts(info: t.Any) -> list[t.Any]:
    """The types that a type is made of."""
    found = [getattr(info, name, None) for name in ("type", "item_type", "key_type", "value_type")]
    found += getattr(info, "types", ()) or getattr(info, "item_types", ())
    found += [field.type for field in getattr(info, "fields", ())]
    return [part for part in found if part is not None]


def _enum(values: t.Iterable[t.Any]) -> dict[str, t.Any]:
    values = list(values)
    kinds_ = {type(value) for value in values}
    named = {str: "string", int: "integer"}.get(kinds_.pop()) if len(kinds_) == 1 else None
    return {"enum": values} if named is None else {"type": named, "enum": values}


def _tuple(items: list[t.Any], least: int, is_closed: bool) -> dict[str, t.Any]:
    schema: dict[str, t.Any] = {"type": "array", "minItems": least}
    if items:
        schema["prefixItems"] = items
    return {**schema, "maxItems": len(items)} if is_closed else schema


def _limits(info: t.Any, what: str) -> dict[str, t.Any]:
    """The words for the constraints of a type; those for a length end in *what* it counts."""
    found = {}
    for name in info.__struct_fields__:
        if (word := _LIMITS.get(name)) and (limit := getattr(info, name)) is not None:
            found[word + what if name.endswith("length") else word] = limit
    return found


def _default(field: t.Any) -> t.Any:
    if field.default is NODEFAULT:
        made = field.default_factory
        return [] if made is list else {} if made is dict else NODEFAULT
    return plain(field.default)


def plain(value: t.Any) -> t.Any:
    """Return a default as JSON has it; ``NODEFAULT`` for what JSON cannot say."""
    try:
        return msgspec.to_builtins(value, str_keys=True, order="deterministic")
    except TypeError:
        return NODEFAULT


def _description(cls: t.Any) -> str | None:
    # The class's own; read as an attribute, for in Python 3.15 dataclasses write theirs when asked.
    text = (cls.__doc__ if "__doc__" in cls.__dict__ else None) or ""
    if not text or text.startswith(f"{cls.__name__}(") or "Enum" in cls.__bases__[0].__name__:
        return None
    return told(text) or None


def told(text: str) -> str:
    """Return what a docstring says to readers of a document: no fields of Sphinx, and Markdown's quotes."""
    said = re.split(r"(?m)^:(?:param|type|raises|returns?|rtype|yields?)\b", inspect.cleandoc(text))
    return said[0].replace("``", "`").strip()


def _short_name(cls: t.Any) -> str:
    """Return a component's name: ``Page_Order`` for ``Page[Order]``."""
    arguments = t.get_args(cls)
    name = (t.get_origin(cls) or cls).__name__
    inner = [
        _short_name(unwrapped)
        if isinstance(unwrapped, type) or t.get_origin(unwrapped)
        else str(unwrapped)
        for unwrapped in (kinds.unwrap(one)[0] for one in arguments)
    ]
    return _ILLEGAL.sub("_", "_".join([name, *inner])).strip("_")


def _long_name(cls: t.Any) -> str:
    """Return a component's name with that of its module: ``shop.User``."""
    module = (t.get_origin(cls) or cls).__module__
    if module == "__main__":
        module = Path(getattr(sys.modules["__main__"], "__file__", None) or "main").stem
    return f"{_ILLEGAL.sub('_', module.rpartition('.')[2])}.{_short_name(cls)}"


def free(name: str, taken: set[str]) -> str:
    """Return a name that is not taken yet; it is from now on.

    :param name: the name; a number is put behind it where it is taken.
    :param taken: the names.
    """
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free
