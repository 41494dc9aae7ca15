"""What a view's signature says: where each value comes from. Found out, and refused, at registration."""

from __future__ import annotations

import enum
import functools
import inspect
import linecache
import re
import sys
import typing as t
import uuid
import weakref
from dataclasses import dataclass, field

import msgspec
from msgspec import NODEFAULT

from . import kinds
from .kinds import name_of, unwrap
from .markers import BASIC, Basic, In, Name, Security
from .sockets import Socket

_VARIABLE = re.compile(r"<(?:(\w+)(?:\(.*?\))?:)?(\w+)>")
#: What the converters give; those of a program's own may give anything.
_CONVERTED: dict[str, t.Any] = {
    **dict.fromkeys(("", "default", "string", "path", "any"), str),
    "int": int,
    "float": float,
    "uuid": uuid.UUID,
}
_SUITABLE = {int: (int, float), float: (float,), uuid.UUID: (uuid.UUID,)}
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(eq=False)
class Param:
    """One value that is read from the request, or provided.

    :param name: its name in Python.
    :param where: ``path``, ``query``, ``header``, ``cookie``, ``form``, ``body`` or ``provider``.
    :param wire: its name in the request.
    :param type: its type, with its constraints.
    """

    name: str
    where: str
    wire: str
    type: t.Any
    required: bool = True
    default: t.Any = NODEFAULT
    #: Whether this default is a member of the one that its class has as a parameter.
    is_of_default: bool = False
    #: Reads it from text; None where the text is the value.
    reader: t.Callable[[t.Any], t.Any] | None = None
    #: The container of a parameter that may be repeated.
    container: t.Any = None
    #: The fields of a class that is read field by field, with that class.
    fields: list[Param] | None = None
    model: t.Any = None
    #: The fields that it belongs to, of a class that may be None: they come together, or none does.
    group: list[Param] | None = None
    provider: Provider | None = None
    security: Security | None = None
    is_upload: bool = False
    keyword_only: bool = False
    description: str | None = None

    @functools.cached_property
    def text_types(self) -> tuple[t.Any, ...]:
        """The types that a value of text may be of: none of it is null."""
        bare, extra = unwrap(self.type)
        # msgspec knows no union of texts of several kinds
        return kinds.members_of(kinds.rewrap(kinds.without_none(bare), extra))


@dataclass(slots=True, eq=False)
class Provider:
    """A function that provides a value.

    :param function: the function.
    :param params: its own parameters.
    """

    function: t.Callable[..., t.Any]
    params: list[Param]
    #: Whether it shows who asks, itself or through those that it needs.
    is_guard: bool = False

    @property
    def is_async(self) -> bool:
        """Whether its value has to be awaited."""
        function = self.function
        return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)

    @property
    def yields(self) -> bool:
        """Whether it goes on when the answer is complete."""
        function = self.function
        return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


@dataclass(eq=False)
class Plan:
    """All that is read for one view, in the order of its parameters.

    :param params: the view's parameters.
    :param providers: what provides, each before those that need it.
    """

    params: list[Param]
    result: t.Any
    providers: list[Provider] = field(default_factory=list)
    #: Called for what they refuse, by blueprints' ``auth``.
    guard: Provider | None = None

    @functools.cached_property
    def reads(self) -> list[Param]:
        """The parameters of the view and of its providers that are read from the request."""
        everything = [*self.params, *(param for one in self.providers for param in one.params)]
        return [one for one in everything if one.where not in ("provider", "socket")]

    @functools.cached_property
    def leaves(self) -> list[Param]:
        """All that is read by itself: the fields in place of their class."""
        return [
            leaf for one in self.reads for leaf in ([one] if one.fields is None else one.fields)
        ]

    @property
    def body(self) -> Param | None:
        """What is read from a JSON body."""
        return next((one for one in self.reads if one.where == "body"), None)

    @property
    def form(self) -> list[Param]:
        """The fields of a form."""
        return [leaf for leaf in self.leaves if leaf.where == "form"]


def variables_of(rule: str) -> dict[str, str]:
    """Return the variables of a URL rule, each with the name of its converter."""
    return {name: kind or "" for kind, name in _VARIABLE.findall(rule)}


def place_of(function: t.Callable[..., t.Any]) -> str:
    """Say where a function is: ``shop.py:14 add(): ``."""
    code = getattr(innermost(function), "__code__", None)
    name = getattr(function, "__name__", repr(function))
    if code is None:
        return f"{name}(): "
    number = code.co_firstlineno
    # Decorators come before the line that a reader looks for.
    for line in range(number, number + 30):
        if re.match(r"\s*(async\s+)?def\b", linecache.getline(code.co_filename, line)):
            number = line
            break
    return f"{code.co_filename}:{number} {name}(): "


def innermost(function: t.Any) -> t.Any:
    """Return the function that is written, of one with wrappers, a partial, or a callable object."""
    function = inspect.unwrap(function)
    if isinstance(function, functools.partial):
        return innermost(function.func)
    is_plain = inspect.isroutine(function) or isinstance(function, type)
    return function if is_plain or not callable(function) else type(function).__call__


def signature_of(function: t.Callable[..., t.Any]) -> inspect.Signature:
    """Return a function's signature, without looking at annotations that cannot be resolved yet."""
    partial = inspect.unwrap(function, stop=lambda one: isinstance(one, functools.partial))
    if isinstance(partial, functools.partial):
        inner = signature_of(partial.func)
        given = inner.bind_partial(*partial.args, **partial.keywords).arguments
        left = [one for name, one in inner.parameters.items() if name not in given]
        return inner.replace(parameters=left)
    if sys.version_info >= (3, 14):
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


def hints_of(function: t.Any, names: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Return a function's annotations, resolved.

    :raises NameError: if one cannot be resolved yet.
    """
    local = None if names is None else dict(names)
    return t.get_type_hints(innermost(function), localns=local, include_extras=True)


def is_typed(view: t.Any) -> bool:
    """Tell whether a view's annotations ask for anything."""
    if not inspect.isroutine(innermost(view)):
        return False
    try:
        signature = signature_of(view)
    except ValueError:  # of a builtin
        return False
    parameters = signature.parameters.values()
    if any(one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL) for one in parameters):
        return False
    return any(one.annotation is not one.empty for one in parameters) or (
        signature.return_annotation is not inspect.Signature.empty
    )


class Planner:
    """Makes the plan of one view.

    :param view: the view.
    :param rule: the URL rule, prefixes included.
    :param methods: the HTTP methods of the route.
    :param names: the local names of where it was registered.
    :param replaced: functions that provide in place of others.
    """

    def __init__(
        self,
        view: t.Callable[..., t.Any],
        rule: str,
        methods: t.Collection[str],
        names: t.Mapping[str, t.Any] | None = None,
        replaced: t.Mapping[t.Any, t.Any] | None = None,
    ) -> None:
        self._view = view
        self._variables = variables_of(rule)
        self._methods = methods
        self._names = names
        self._replaced = replaced or {}
        self._providers: dict[t.Any, Provider] = {}
        self._path: list[t.Any] = []  # of providers, to find circles
        self._bodies: list[Param] = []

    def plan(self, guard: t.Callable[..., t.Any] | None = None, has_self: bool = False) -> Plan:
        """Return the plan.

        :param guard: what a blueprint's ``auth`` calls before the view.
        :param has_self: whether the first parameter is the instance of a class of views.
        :raises TypeError: if the signature cannot be served.
        :raises NameError: if an annotation cannot be resolved yet.
        """
        typed = is_typed(self._view)
        hints = hints_of(self._view, self._names) if typed else {}
        first = None if guard is None else self._provider(guard)
        params = self._params(self._view, hints, has_self, typed)
        self._check_bodies()
        result = hints.get("return", t.Any)
        return Plan(params, result, list(self._providers.values()), first)

    def _fail(self, text: str) -> t.NoReturn:
        raise TypeError(place_of(self._view) + text)

    def _params(
        self, function: t.Any, hints: dict[str, t.Any], has_self: bool = False, typed: bool = True
    ) -> list[Param]:
        found = []
        parameters = signature_of(function).parameters
        for number, one in enumerate(parameters.values()):
            if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
                # An untyped view behind a guard takes what it does without: the variables of the URL.
                left = (
                    self._variables.keys() - parameters.keys()
                    if one.kind is one.VAR_KEYWORD
                    else ()
                )
                found += [
                    Param(name, "path", name, t.Any, keyword_only=True) for name in sorted(left)
                ]
                continue
            if not typed and one.name not in self._variables and not (has_self and number == 0):
                continue
            if has_self and number == 0:
                found.append(Param(one.name, "path", one.name, t.Any))
                continue
            default = NODEFAULT if one.default is one.empty else one.default
            param = self._param(one.name, hints.get(one.name, t.Any), default)
            param.keyword_only = one.kind is one.KEYWORD_ONLY
            found.append(param)
        return found

    def _param(self, name: str, annotation: t.Any, default: t.Any) -> Param:
        """Find where a value comes from: the first that fits."""
        bare, extra = self._apart(name, annotation)
        wire = next((one.wire for one in extra if isinstance(one, Name)), name)
        marked = next((one.where for one in reversed(extra) if isinstance(one, In)), None)
        param = Param(name, marked or "", wire, kinds.rewrap(bare, extra), default is NODEFAULT)
        param.default = default
        param.description = next((d for e in extra if (d := getattr(e, "description", None))), None)
        if name in self._variables and marked is None:
            return self._path_param(param, bare, extra)
        security = next((one for one in extra if isinstance(one, Security)), None)
        if security is not None or kinds.without_none(bare) is Basic:
            param.security = security or BASIC
            param.where, param.wire = param.security.where, param.security.wire
            return param
        if bare is Socket or t.get_origin(bare) is Socket:
            param.where, param.type = "socket", bare
            return param
        if marked is None:
            provide = next((one for one in extra if _provides(one)), None)
            if provide is not None:
                param.where, param.provider = "provider", self._provider(provide)
                return param
            param.where = self._find(param, bare)
        self._complete(param, bare, extra)
        return param

    def _apart(self, name: str, annotation: t.Any) -> tuple[t.Any, tuple[t.Any, ...]]:
        """Take an annotation apart; what marks a member of a union marks all: ``Header[str] | None``."""
        bare, extra = unwrap(annotation)
        members = [(one, *unwrap(one)) for one in kinds.members_of(bare)]
        marks = {mark: None for _, _, inner in members for mark in inner if _is_mark(mark)}
        if len(members) == 1 or not marks:
            return bare, extra
        if len([one for one in marks if not isinstance(one, Name)]) > 1:
            self._fail(f"{name!r} is marked twice, and is read from one place: mark the union.")
        plain = [kinds.rewrap(inner, more) if more else one for one, inner, more in members]
        return t.Union[tuple(plain)], (*extra, *marks)  # noqa: UP007 (made of a tuple)

    def _path_param(self, param: Param, bare: t.Any, extra: t.Any) -> Param:
        converter = self._variables[param.name]
        param.where = "path"
        given = _CONVERTED.get(converter)
        if given is str and bare not in (str, t.Any):
            self._set_reader(param, param.type, bare)
        elif given is str and kinds.rewrap(bare, extra) is not bare:
            param.reader = functools.partial(kinds.check, annotation=param.type)
        elif given is not None and given is not str and bare is not t.Any:
            kind = kinds.without_none(bare)
            if not isinstance(kind, type) or kind not in _SUITABLE[given]:
                article = "an" if given is int else "a"
                self._fail(
                    f"<{converter}:{param.name}> gives {article} {given.__name__}, but"
                    f" {param.name!r} is annotated {name_of(bare)}."
                )
            if param.type is not bare:
                param.reader = functools.partial(kinds.check, annotation=param.type)
        return param

    def _find(self, param: Param, bare: t.Any) -> str:
        if kinds.is_upload(bare):
            return "form"
        kind = kinds.without_none(bare)
        if kinds.is_model(kind):
            return "form" if kinds.has_upload(kind) else "body"
        if _holds_models(kind):
            return "body"
        container = kinds.container_of(kind)
        if kinds.is_scalar(kind) or (container and kinds.is_scalar(container[1])):
            return "query"
        if container and kinds.container_of(unwrap(container[1])[0]):
            self._refuse_nested(param, bare, "query")
        name = name_of(kind)
        function = re.sub(r"\W+", "_", f"open_{name.lower()}").strip("_")
        return self._fail(
            f"{param.name!r} is a {name}, which no request holds. Name a function that provides it:"
            f" Annotated[{name}, {function}]."
        )

    def _refuse_nested(self, param: Param, bare: t.Any, where: str) -> t.NoReturn:
        held = "plain values" if where == "path" else "lists of plain values"
        self._fail(f"{param.name!r} is {name_of(bare)}; a {where} holds {held} only.")

    def _complete(self, param: Param, bare: t.Any, extra: t.Any) -> None:
        """Find out how a value is read, where it comes from being known."""
        kind = kinds.without_none(bare)
        if param.where == "body":
            self._check_body(param, kind)
            self._bodies.append(param)
            return
        if param.where == "form":
            self._refuse_body(param, kind)
            self._bodies.append(param)
        if param.where == "header" and param.wire == param.name:
            param.wire = param.wire.replace("_", "-")
        if kind is not bare and param.required:
            self._fail(
                f"{param.name!r} may be None but has no default, and a {param.where} cannot say"
                f" null: write {param.name}: {name_of(bare)} = None."
            )
        if kinds.is_model(kind):
            self._read_fields(param, kind)
            return
        if kinds.is_upload(bare):
            param.is_upload = True
            container = kinds.container_of(kind)
            param.container = container and container[0]
            return
        container = kinds.container_of(kind)
        item = kind
        if container is not None:
            param.container, item = container
            param.type = kinds.rewrap(kind, extra)
        self._set_reader(param, item if container else kinds.rewrap(kind, extra), bare)
        if container is not None:
            self._check_type(param)

    def _set_reader(self, param: Param, item: t.Any, bare: t.Any) -> None:
        try:
            param.reader = kinds.text_reader(item)
        except kinds.NotText:
            self._refuse_nested(param, bare, param.where)
        except TypeError as error:  # constraints that are not for this type
            self._fail(f"{param.name!r} is {name_of(bare)}: {str(error).partition(chr(10))[0]}.")

    def _read_fields(self, param: Param, kind: t.Any) -> None:
        param.model, param.fields = kind, []
        for one in kinds.fields_of(kind):
            bare, extra = self._apart(one.name, one.type)
            wire = next((e.wire for e in extra if isinstance(e, Name)), one.wire)
            where = next((e.where for e in extra if isinstance(e, In)), param.where)
            inner = Param(one.name, where, wire, kinds.rewrap(bare, extra), one.required)
            inner.default = one.default
            given = _member(param.default, one.name)
            if given is not NODEFAULT:  # what is not sent is as in the instance that is the default
                inner.required, inner.default, inner.is_of_default = False, given, True
            if kinds.is_model(kinds.without_none(bare)) or inner.where == "body":
                self._refuse_nested(inner, bare, where)
            inner.group = param.fields if param.default is None else None
            bodies = len(self._bodies)
            self._complete(inner, bare, extra)
            del self._bodies[bodies:]
            param.fields.append(inner)

    # ---- bodies ----------------------------------------------------------------------------

    def _check_body(self, param: Param, kind: t.Any) -> None:
        self._refuse_body(param, kind)
        self._check_type(param, kind)

    def _check_type(self, param: Param, kind: t.Any = None) -> None:
        what = f"the type of {param.name!r},"
        check_schema(kind or param.type, self._fail, what, "Annotate a class with fields.")

    def _refuse_body(self, param: Param, kind: t.Any) -> None:
        if self._methods and not set(self._methods) - _BODILESS:
            remedy = "Register it for POST."
            if kinds.is_model(kind) and not kinds.has_upload(kind):
                remedy = f"Query[{name_of(kind)}] reads its fields from the query."
            self._fail(f"{min(self._methods)} has no body for {param.name!r}. {remedy}")

    def _check_bodies(self) -> None:
        whole = [one for one in self._bodies if one.where == "body"]
        if len(whole) > 1 or (whole and len(self._bodies) > 1):
            first, second = self._bodies[:2]
            kind = kinds.without_none(second.type)
            can_mark = kinds.is_model(kind) and not kinds.has_upload(kind)
            self._fail(
                f"{first.name!r} and {second.name!r} both want the body, of which there is one. Put"
                f" them into one class{f', or mark one: Query[{name_of(kind)}]' * can_mark}."
            )

    # ---- providers -------------------------------------------------------------------------

    def _provider(self, function: t.Any) -> Provider:
        actual = self._replaced.get(function, function)
        if function in self._path:
            circle = [*self._path[self._path.index(function) :], function]
            names = " -> ".join(getattr(one, "__name__", repr(one)) for one in circle)
            self._fail(f"{names}: providers need each other.")
        provider = self._providers.get(function)
        if provider is None:
            self._path.append(function)
            params = self._params(actual, hints_of(actual, self._names))
            self._path.pop()
            provider = Provider(actual, params)
            provider.is_guard = any(
                one.security is not None or (one.provider is not None and one.provider.is_guard)
                for one in params
            )
            self._providers[function] = provider
        return provider


def _member(default: t.Any, name: str) -> t.Any:
    if isinstance(default, dict):
        return default.get(name, NODEFAULT)
    return getattr(default, name, NODEFAULT)


def _is_mark(extra: t.Any) -> bool:
    return isinstance(extra, (In, Name, Security)) or _provides(extra)


def _provides(extra: t.Any) -> bool:
    return inspect.isroutine(extra) or isinstance(extra, functools.partial)


def _holds_models(kind: t.Any) -> bool:
    """Tell whether a type is a union, list or dictionary of classes with fields, or a dictionary."""
    if (t.get_origin(kind) or kind) is dict:
        return True
    arguments = t.get_args(kind)
    return any(
        kinds.is_model(bare) or _holds_models(bare) for bare in (unwrap(a)[0] for a in arguments)
    )


_checked: weakref.WeakSet[type] = weakref.WeakSet()


def check_schema(kind: t.Any, fail: t.Callable[[str], t.NoReturn], what: str, advice: str) -> None:
    """Refuse a type of which no schema can be made.

    :param kind: the type.
    :param fail: raises the error.
    :param what: what has the type, to begin the sentence.
    :param advice: what to do, to end it.
    :raises NameError: if an annotation cannot be resolved yet.
    """
    if isinstance(kind, type) and kind in _checked:
        return
    models = kinds.models_in(kind)
    pydantic = [one for one in models if kinds.is_pydantic(one)]
    if pydantic and len(pydantic) < len(models):
        _refuse_mixture(models, fail)
    detail = ""
    try:
        if not pydantic:
            msgspec.json.Decoder(kind)
            wrong = [leaf for leaf in _leaves(kind, models) if not _has_schema(leaf)]
            if wrong and wrong[0] is not kind:
                detail = f" because of {name_of(wrong[0])}"
            if wrong:
                fail(f"{what} {name_of(kind)} has no schema{detail}. {advice}")
    except TypeError as error:
        if str(error).endswith(advice):
            raise
        detail = str(error).partition("\n")[0].rstrip(".")
        fail(f"{what} {name_of(kind)} has no schema: {detail}. {advice}")
    if isinstance(kind, type):
        _checked.add(kind)


def _leaves(kind: t.Any, models: t.Iterable[t.Any]) -> t.Iterator[t.Any]:
    """The types that a type and the fields of its classes are made of."""
    stack = [kind, *(one.type for model in models for one in kinds.fields_of(model))]
    while stack:
        bare = unwrap(stack.pop())[0]
        arguments = () if t.get_origin(bare) is t.Literal else t.get_args(bare)
        stack += arguments
        if isinstance(bare, type) and not arguments and bare is not t.Any:
            yield bare


_PLAIN = (*kinds.SCALARS, *kinds.CONTAINERS, dict, type(None), enum.Enum, msgspec.UnsetType)


def _has_schema(leaf: type) -> bool:
    return kinds.is_model(leaf) or issubclass(leaf, _PLAIN)


def _refuse_mixture(models: t.Iterable[t.Any], fail: t.Callable[[str], t.NoReturn]) -> t.NoReturn:
    def kind_of(model: t.Any) -> str:
        if kinds.is_pydantic(model):
            return "pydantic"
        return "Struct" if issubclass(t.get_origin(model) or model, msgspec.Struct) else "dataclass"

    for model in models:
        for field_ in kinds.fields_of(model):
            for held in kinds.models_in(field_.type):
                if kinds.is_pydantic(held) != kinds.is_pydantic(model):
                    fail(
                        f"{name_of(model)} ({kind_of(model)}) holds {name_of(held)}"
                        f" ({kind_of(held)}): use one kind within a body."
                    )
    fail(f"{' and '.join(map(name_of, models))} are of two kinds: use one kind within a body.")
