"""What ``kolben check`` finds in typed views that work, and say less than they could."""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing as t
from datetime import datetime

from .kinds import fields_of, models_in, name_of, unwrap
from .plan import innermost, place_of
from .problems import InvalidRequest, MalformedBody, Problem, Unauthorized, WrongMediaType

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .operations import Operation

#: These are in every document, where they can happen.
_OWN = (InvalidRequest, MalformedBody, WrongMediaType, Unauthorized)
_OWN_STATUSES = frozenset({400, 401, 413, 415, 422})


def findings(operations: t.Iterable[Operation]) -> Iterator[tuple[str, str, str, str, str]]:
    """Find what typed views leave out: id, level, what is missing, why that matters, what mends it."""
    for operation in operations:
        place = place_of(operation.view)
        is_shown = operation.documented.get("document") is not False
        if is_shown and "return" not in getattr(innermost(operation.view), "__annotations__", {}):
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
    """The parameters, fields and results in which there can be a time without a zone."""
    whole = [(param.name, param.type) for param in operation.plan.reads]
    whole += [("its result", answer.type) for answer in operation.answers]
    fields = [
        (f"{name_of(t.get_origin(model) or model)}.{field.name}", field.type)
        for _, annotation in whole
        for model in models_in(annotation)
        for field in fields_of(model)
    ]
    return [name for name, kind in dict([*whole, *fields]).items() if _may_be_naive(kind)]


def _may_be_naive(annotation: t.Any) -> bool:
    kind, extra = unwrap(annotation)
    if kind is datetime:
        return not any(getattr(one, "tz", None) for one in extra)
    return any(_may_be_naive(part) for part in t.get_args(kind))


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
