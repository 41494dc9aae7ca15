"""What an error most likely means, and what to do about it."""

from __future__ import annotations

import inspect
import re
import typing as t
from difflib import get_close_matches

from jinja2 import TemplateNotFound, UndefinedError
from werkzeug.exceptions import BadRequestKeyError
from werkzeug.routing import BuildError

from .frames import frames_of, is_framework, is_own, place_of
from .routes import near_names
from .views import find_view

if t.TYPE_CHECKING:
    from collections.abc import Collection
    from types import FrameType

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
    elif isinstance(error, BadRequestKeyError):
        hints += _about_missing_field(error, request)
    elif isinstance(error, TypeError | AttributeError | UndefinedError):
        hints += _about_coroutine(error)
        hints += _about_lost_response(error)
        if app is not None and request is not None:
            hints += _about_parameters(error, app, request)
    elif isinstance(error, RuntimeError):
        hints += _about_context(error)
    if isinstance(error, ValueError | TypeError):
        hints += _about_url_values(error)
    return hints + _about_members(error)


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
    names = _near_endpoints(endpoint, app.view_functions)
    if not names:
        return [f"There is no endpoint {endpoint!r}; 'kolben routes' lists those that there are."]
    return [f"There is no endpoint {endpoint!r}. Did you mean {' or '.join(map(repr, names))}?"]


def _near_endpoints(wanted: str, endpoints: Collection[str]) -> list[str]:
    """At most three endpoints, the likeliest first: the whole name may be mistyped, or its blueprint forgotten."""
    by_last_part: dict[str, list[str]] = {}
    for name in endpoints:
        by_last_part.setdefault(name.rpartition(".")[2], []).append(name)
    near = get_close_matches(wanted, endpoints, cutoff=0.75)
    for part in get_close_matches(wanted.rpartition(".")[2], by_last_part):
        near += by_last_part[part]
    return list(dict.fromkeys(near))[:3]


_MISSING = re.compile(
    r"([\w.<>]+)\(\) missing \d+ required (?:positional|keyword-only) arguments?: (.*)"
)
_UNEXPECTED = re.compile(r"([\w.<>]+)\(\) got an unexpected keyword argument '(\w+)'")


def _about_parameters(error: BaseException, app: Flask, request: Request) -> list[str]:
    """A view whose parameters are not the variables of its rule."""
    rule, view = request.url_rule, find_view(app, request)
    if rule is None or view is None:
        return []
    message, name = str(error), view.__qualname__
    if (found := _MISSING.search(message)) and found[1] == name:
        first = re.findall(r"'(\w+)'", found[2])[0]
        return [
            (
                f"The view {_short(name)}() has the parameter {first!r}, which its rule {rule.rule!r} lacks:"
                f" add <{first}> to the rule, or give the parameter a default."
            )
        ]
    if (found := _UNEXPECTED.search(message)) and found[1] == name:
        return [
            (
                f"The rule {rule.rule!r} has the variable <{found[2]}>, which the view {_short(name)}() does"
                f" not take: add the parameter {found[2]!r} to it."
            )
        ]
    return []


def _short(qualified_name: str) -> str:
    """The name of a function as its module knows it, without the function that it is made in."""
    return qualified_name.rpartition("<locals>.")[2]


_NOT_AWAITABLE = re.compile(
    r"object ([\w.]+) can't be used in 'await' expression|'([\w.]+)' object can't be awaited"
)


def _about_coroutine(error: BaseException) -> list[str]:
    message = str(error)
    if found := _NOT_AWAITABLE.search(message):
        kind = found[1] or found[2]
        return [
            (
                f"What stands behind 'await' is a {kind}, the result of a plain function: take the"
                " 'await' away, or call an 'async def' function there."
            )
        ]
    if "coroutine" not in message or "await it" in message:
        return []
    return [
        (
            "A coroutine is what an 'async def' function returns when it is called: put 'await' before"
            " the call, and make the function around it 'async def'."
        )
    ]


def _about_lost_response(error: BaseException) -> list[str]:
    """An ``after_request`` function that has forgotten to return the response."""
    message, frames = str(error), frames_of(error)
    if not message.startswith("'NoneType' object") or not frames:
        return []
    at_end = frames[-1].f_code.co_name == "answer_request" and "not callable" in message
    in_hook = any(
        frame.f_code.co_name in {"process_response", "run_after_hooks"} for frame in frames
    )
    if not at_end and not in_hook:
        return []
    return ["An after_request function has returned None: each must return the response."]


def _about_missing_field(error: BadRequestKeyError, request: Request | None) -> list[str]:
    """A field that the request lacks: say which ones it has."""
    name = error.args[0] if error.args else None
    if request is None or name is None:
        return []
    places: dict[str, t.Iterable[str]] = {
        "args": request.args,
        "form": request.form,
        "files": request.files,
    }
    found = "; ".join(
        f"request.{place} has {', '.join(map(repr, list(values)[:10])) or 'nothing'}"
        for place, values in places.items()
    )
    return [
        f"The request has no {name!r} there: {found}.",
        f"[{name!r}] answers 400 to a client that leaves it out; .get({name!r}) gives None.",
    ]


def _is_generator(frame: FrameType) -> bool:
    return bool(frame.f_code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR))


def _about_context(error: RuntimeError) -> list[str]:
    message = str(error)
    if "outside of request context" not in message and "outside of application" not in message:
        return []
    own = [
        frame
        for frame in frames_of(error)
        if is_own(frame.f_code.co_filename, str(frame.f_globals.get("__name__", "")))
    ]
    if not own or any(map(_is_generator, own)):
        return [
            (
                "A generator that is streamed runs when the view has returned. If it reads request,"
                " session or g, wrap it: return Response(stream_with_context(generate()))."
            )
        ]
    return [
        (
            "A thread, a timer or a callback has no request of its own. Hand it the values that it"
            " needs, or wrap its function: copy_current_request_context(function)."
        )
    ]


def _about_url_values(error: BaseException) -> list[str]:
    """A value for a URL that the converter of its rule does not take."""
    for frame in frames_of(error):
        values = frame.f_locals
        if frame.f_code.co_name == "url_for" and isinstance(values.get("endpoint"), str):
            if not is_framework(str(frame.f_globals.get("__name__", ""))):
                continue
            given = ", ".join(f"{k}={v!r}" for k, v in (values.get("values") or {}).items())[:200]
            return [
                (
                    f"The URL of {values['endpoint']!r} cannot be made of {given}: a value is not what"
                    " the converter in the rule takes."
                )
            ]
    return []


def _about_members(error: BaseException, depth: int = 0) -> list[str]:
    """What is in an exception group, the line of each."""
    if not isinstance(error, BaseExceptionGroup) or depth > 3:
        return []
    lines = []
    for member in error.exceptions[:10]:
        if isinstance(member, BaseExceptionGroup):
            lines += _about_members(member, depth + 1)
            continue
        where = place_of(member)
        lines.append(f"In the group: {_named(member)}" + (f" ({where})." if where else "."))
    return lines


def causes_of(error: BaseException) -> list[str]:
    """Name the errors that led to an error.

    :param error: the error.
    :return: a sentence each, the nearest first.
    """
    lines: list[str] = []
    while len(lines) < 5:
        cause = error.__cause__
        said = "Caused by"
        if cause is None and not error.__suppress_context__:
            cause, said = error.__context__, "Raised while this was handled:"
        if cause is None:
            break
        where = place_of(cause)
        lines.append(f"{said} {_named(cause)}" + (f" ({where})." if where else "."))
        error = cause
    return lines


def _named(error: BaseException) -> str:
    message = str(error)
    text = f"{type(error).__name__}: {message}"[:300] if message else type(error).__name__
    return text.removesuffix(".")
