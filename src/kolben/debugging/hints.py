"""What an error most likely means, and what to do about it."""

from __future__ import annotations

import re
import typing as t

from jinja2 import TemplateNotFound
from werkzeug.routing import BuildError

from .routes import near_names

if t.TYPE_CHECKING:
    from ..app import Flask
    from ..wrappers import Request


def hints_for(error: BaseException, app: Flask | None, request: Request | None) -> list[str]:
    """Explain an error.

    :param error: the error.
    :param app: the application; None where it is not known.
    :param request: the request that was being answered; None where it is not known.
    :return: sentences, none of which is certain to be what the developer needs.
    """
    hints = [*getattr(error, "__notes__", ())]
    if isinstance(error, TemplateNotFound) and app is not None:
        hints += _about_template(error, app)
    elif isinstance(error, BuildError) and app is not None:
        hints += _about_endpoint(error, app)
    elif isinstance(error, TypeError):
        hints += _about_coroutine(error)
        if app is not None and request is not None:
            hints += _about_parameters(error, app, request)
    elif isinstance(error, RuntimeError):
        hints += _about_context(error)
    return hints


def _about_template(error: TemplateNotFound, app: Flask) -> list[str]:
    name = str(error.name or "")
    hints = []
    if not hasattr(error, "__notes__"):
        folders = [
            folder
            for owner in (app, *app.iter_blueprints())
            for folder in getattr(owner.jinja_loader, "searchpath", ())
        ]
        hints.append(f"{name!r} was searched in: {', '.join(folders) or 'no folder'}.")
    try:
        near = near_names(name, app.jinja_env.list_templates())
    except (TypeError, OSError):  # a loader that cannot list
        near = []
    if near:
        hints.append(f"Did you mean {' or '.join(map(repr, near))}?")
    return hints


def _about_endpoint(error: BuildError, app: Flask) -> list[str]:
    endpoint = str(error.endpoint)
    rules = list(app.url_map.iter_rules(endpoint)) if endpoint in app.view_functions else []
    if rules:
        missing = [sorted(rule.arguments - set(error.values)) for rule in rules]
        wanted = [
            f"{rule.rule} needs {', '.join(map(repr, names))}"
            for rule, names in zip(rules, missing, strict=True)
            if names
        ]
        return [f"The endpoint exists: {'; '.join(wanted)}."] if wanted else []
    near = near_names(endpoint, app.view_functions)
    near += [name for name in app.view_functions if name.rpartition(".")[2] == endpoint]
    names = list(dict.fromkeys(near))
    if not names:
        return [f"There is no endpoint {endpoint!r}; 'kolben routes' lists those that there are."]
    return [f"There is no endpoint {endpoint!r}. Did you mean {' or '.join(map(repr, names))}?"]


_MISSING = re.compile(
    r"(\w+)\(\) missing \d+ required (?:positional|keyword-only) arguments?: (.*)"
)
_UNEXPECTED = re.compile(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'")


def _about_parameters(error: TypeError, app: Flask, request: Request) -> list[str]:
    """A view whose parameters are not the variables of its rule."""
    rule = request.url_rule
    if rule is None:
        return []
    view = app.view_functions.get(rule.endpoint)
    name = getattr(view, "__name__", None)
    if (found := _MISSING.search(str(error))) and found[1] == name:
        names = re.findall(r"'(\w+)'", found[2])
        variables = "".join(f"<{one}>" for one in names)
        return [
            f"The view {name}() has the parameter {one!r}, which its rule {rule.rule!r} lacks: add"
            f" {variables} to the rule, or give the parameter a default."
            for one in names[:1]
        ]
    if (found := _UNEXPECTED.search(str(error))) and found[1] == name:
        return [
            (
                f"The rule {rule.rule!r} has the variable <{found[2]}>, which the view {name}() does"
                f" not take: add the parameter {found[2]!r} to it."
            )
        ]
    return []


def _about_coroutine(error: TypeError) -> list[str]:
    message = str(error)
    if "coroutine" not in message or "await it" in message:
        return []
    return [
        (
            "A coroutine is what an 'async def' function returns when it is called: put 'await' before"
            " the call, and make the function around it 'async def'."
        )
    ]


def _about_context(error: RuntimeError) -> list[str]:
    if "outside of request context" not in str(error):
        return []
    return [
        (
            "A generator that is streamed runs when the view has returned. If it reads request or"
            " session, wrap it: return Response(stream_with_context(generate()))."
        )
    ]
