"""What ``kolben check`` finds in typed views that work, and say less than they could."""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing as t
from datetime import datetime

from .plan import innermost, place_of
from .problems import InvalidRequest, MalformedBody, Problem, Unauthorized, WrongMediaType

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .operations import Operation

#: These are in every document, where they can happen.
_OWN = (InvalidRequest, MalformedBody, WrongMediaType, Unauthorized)
_OWN_STATUSES = frozenset({400, 401, 413, 415, 422})


def findings(operations: t.Iterable[Operation]) -> Iterator[tuple[str, str, str, str, str]]:
    """Find what typed views leave out: id, level, what is missing, why that matters, what mends it.

    :param operations: the views, whose annotations can be resolved.
    """
    for operation in operations:
        place = place_of(operation.view)
        if "return" not in getattr(innermost(operation.view), "__annotations__", {}):
            yield (
                "api-untyped-result", "warning", f"{place}what it returns is not annotated",
                "the document does not say, and whatever is returned is sent",
                "Annotate it: -> Order.",
            )  # fmt: skip
        for name in _naive_datetimes(operation):
            yield (
                "api-naive-datetime", "warning", f"{place}{name} may be without a time zone",
                "whose noon is meant depends on the machine that reads it",
                "Annotated[datetime, Meta(tz=True)], or pydantic.AwareDatetime.",
            )  # fmt: skip
        for name in _undocumented(operation):
            yield (
                "api-undocumented-error", "warning", f"{place}{name} is not in the document",
                "clients are not told that it can happen", f"raises=[{name}], on the route or its blueprint.",
            )  # fmt: skip


# -- times ------------------------------------------------------------------------------------


def _naive_datetimes(operation: Operation) -> list[str]:
    found: dict[str, None] = {}
    for param in operation.plan.reads():
        _walk(param.type, param.name, found, set())
    for answer in operation.answers:
        _walk(answer.type, "its result", found, set())
    return list(found)


def _walk(annotation: t.Any, name: str, found: dict[str, None], seen: set[t.Any]) -> None:
    """Note where in a type a time without a zone can be."""
    if annotation is datetime:
        found[name] = None
        return
    if t.get_origin(annotation) is t.Annotated:
        kind, *given = t.get_args(annotation)
        if kind is not datetime or not any(getattr(one, "tz", None) for one in given):
            _walk(kind, name, found, seen)
        return
    for part in t.get_args(annotation):
        _walk(part, name, found, seen)
    kind = t.get_origin(annotation) or annotation
    if not isinstance(kind, type) or kind in seen or not _is_of_program(kind):
        return
    seen.add(kind)
    try:
        fields = t.get_type_hints(kind, include_extras=True)
    except NameError:
        return
    for field, hint in fields.items():
        if t.get_origin(hint) is not t.ClassVar:
            _walk(hint, f"{kind.__name__}.{field}", found, seen)


def _is_of_program(kind: type) -> bool:
    outermost = kind.__module__.partition(".")[0]
    return outermost not in {"builtins", "datetime", "typing", "collections", "kolben", "werkzeug"}


# -- errors -----------------------------------------------------------------------------------


def _undocumented(operation: Operation) -> list[str]:
    """The problems that a view raises by name, and the statuses that it aborts with."""
    raises = operation.settings.raises
    statuses = (
        _OWN_STATUSES | {kind.code for kind in raises} | ({404} if operation.variables else set())
    )
    function = innermost(operation.view)
    found: dict[str, None] = {}
    for node in _nodes_of(function):
        if isinstance(node, ast.Raise):
            kind = _named(function, node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
            is_problem = isinstance(kind, type) and issubclass(kind, Problem)
            if is_problem and not issubclass(kind, (*raises, *_OWN)):
                found[kind.__name__] = None
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "abort":
            code = node.args[0] if node.args else None
            status = code.value if isinstance(code, ast.Constant) else None
            if isinstance(status, int) and status not in statuses:
                found[f"abort({status})"] = None
    return list(found)


def _nodes_of(function: t.Any) -> Iterator[ast.AST]:
    try:
        return ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function))))
    except (OSError, TypeError, SyntaxError):  # without source
        return iter(())


def _named(function: t.Any, expression: ast.expr | None) -> t.Any:
    """What a name in a function stands for, if it is plain or in a module."""
    closure = inspect.getclosurevars(function)
    names = {**closure.globals, **closure.nonlocals}
    match expression:
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            return getattr(names.get(module), name, None)
    return None
