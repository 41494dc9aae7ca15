"""Whose error handlers answer an error: those of the blueprints that the request belongs to.

No route leads to a request that ends in 404 or 405, so it belongs to no blueprint. One that says so
(:attr:`.Blueprint.owns_prefix`) owns what is below its prefix all the same.
"""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, Map, Rule

from ..problems import as_problem, choice_for, is_preferred

if t.TYPE_CHECKING:
    from ..app import Flask
    from ..ctx import RequestContext


class _Rest(BaseConverter):
    """All that follows a prefix, with its slashes."""

    regex = r"[\s\S]*"
    part_isolating = False


def owners_of(context: RequestContext, error: t.Any) -> list[str]:
    """Return the names of the blueprints that own the path of a request, innermost first.

    :param context: the request's context.
    :param error: what the request has ended in.
    :return: none, unless that is 404 or 405 and no route leads to the path.
    """
    adapter = context.url_adapter
    is_owned = isinstance(error, (NotFound, MethodNotAllowed)) and not context.endpoint_name()
    if not is_owned or adapter is None:
        return []
    plan = context.app.engine_plan
    if plan.owners is None:
        plan.owners = _map_of(context.app)
    owners = plan.owners.bind(adapter.server_name, subdomain=adapter.subdomain)
    try:
        owner: str = owners.match(f"/{adapter.path_info.lstrip('/')}", "GET")[0]
    except HTTPException:
        return []
    parts = owner.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _map_of(app: Flask) -> Map:
    """Return the map that leads from paths to those who own them."""
    # Its redirects are none of ours: that the path leads nowhere is known.
    owners = Map(
        converters={**app.url_map.converters, "_rest": _Rest},
        default_subdomain=app.url_map.default_subdomain,
        strict_slashes=False, merge_slashes=False, redirect_defaults=False,
    )  # fmt: skip
    for _, name, prefix, subdomain in reversed(app.prefix_owners):  # the inner ones first
        prefix = "/" + (prefix or "").strip("/")
        if prefix != "/":
            owners.add(Rule(prefix, endpoint=name, subdomain=subdomain))
        rest = f"{prefix.rstrip('/')}/<_rest:_rest>"
        owners.add(Rule(rest, endpoint=name, subdomain=subdomain))
    return owners


def as_chosen(context: RequestContext, error: HTTPException) -> tuple[t.Any, bool, bool]:
    """Return what an HTTP error is sent as: as a problem, where that was chosen.

    :param context: the request's context.
    :param error: the error.
    :return: the error or its response; whether it is a problem; whether that depends on ``Accept``.
    """
    app = context.app
    names = context.blueprint_names()
    if not names and app.prefix_owners:
        names = owners_of(context, error)
    choice = choice_for(app, names)
    if not choice:
        return error, False, False
    varies = choice == "accept"
    if varies and not is_preferred(context.environ.get("HTTP_ACCEPT", "")):
        return error, False, True
    return as_problem(error), True, varies
