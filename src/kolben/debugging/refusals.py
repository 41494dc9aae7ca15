"""The pages of 404, 405 and 426 in debug mode: which routes there are, and which was meant."""

from __future__ import annotations

import typing as t
from html import unescape
from urllib.parse import quote

from werkzeug.exceptions import MethodNotAllowed, NotFound

from ..websockets import UpgradeRequired
from .frames import place_of
from .pages import JSON, Page, Table, negotiate, render
from .routes import explain, in_order, nearest

if t.TYPE_CHECKING:
    from werkzeug.exceptions import HTTPException
    from werkzeug.routing import Rule

    from ..app import Flask
    from ..wrappers import Request, Response

#: As many routes are listed.
MOST_ROUTES = 300


def explain_refusal(
    app: Flask, request: Request, error: HTTPException, is_problem: bool = False
) -> Response | None:
    """Make the page of an error that no handler of the application has answered.

    :param app: the application, in debug mode.
    :param request: the request.
    :param error: the error.
    :param is_problem: whether problem details were chosen, whatever the client accepts.
    :return: the page; None where there is nothing to be explained, or a client that names no media
        types, to which the page is sent that it would get without debug mode.
    """
    media_type = negotiate(request.headers)
    if media_type is None or error.response is not None:
        return None
    if is_problem:
        media_type = JSON
    page = None
    if isinstance(error, NotFound):
        page = _not_found(app, request, error)
    elif isinstance(error, MethodNotAllowed):
        page = _not_allowed(app, request, error)
    elif isinstance(error, UpgradeRequired):
        page = Page(426, error.name, error.description or "")
    if page is None:
        return None
    if media_type == JSON:
        media_type = "application/problem+json"
        content = render(page, JSON)
    else:
        content = render(page, media_type)
    response = app.response_class(content, error.code, content_type=f"{media_type}; charset=utf-8")
    kept = [pair for pair in error.get_headers(request.environ) if pair[0] != "Content-Type"]
    response.headers.extend(kept)
    response.headers["Vary"] = "Accept"
    return response


def _not_found(app: Flask, request: Request, error: NotFound) -> Page:
    if error is not request.routing_exception:
        return _raised(app, request, error)
    misses = nearest(app.url_map, request.path)
    page = Page(404, "Not Found", f"No route of this application matches {request.path!r}.")
    near = [miss.rule for miss in misses]
    for number, miss in enumerate(misses):
        if number == 0 and miss.suggestion:
            url = request.root_path.rstrip("/") + quote(miss.suggestion)
            page.suggestion = (miss.suggestion, url)
        reason = miss.reason or "its path is this one, but its host or subdomain is not."
        page.hints.append(f"{miss.rule.rule} ({miss.rule.endpoint}): {reason}")
    page.tables.append(_routes(app, near))
    return page


def _not_allowed(app: Flask, request: Request, error: MethodNotAllowed) -> Page:
    methods = in_order(error.valid_methods or ())
    lead = f"{request.path!r} does not take {request.method}. It takes {', '.join(methods)}."
    page = Page(405, "Method Not Allowed", lead)
    if request.method in ("POST", "PUT", "PATCH", "DELETE") and methods:
        page.hints.append(
            f"Add methods=[{request.method!r}] to the route, or use @app.{request.method.lower()}(...)."
        )
    takers = [rule for rule in app.url_map.iter_rules() if not explain(rule, request.path).reason]
    page.tables.append(_routes(app, takers))
    return page


def _raised(app: Flask, request: Request, error: HTTPException) -> Page:
    """The page of an error that the program itself has raised."""
    where = place_of(error)
    lead = unescape(error.description or "")
    page = Page(error.code or 500, error.name, lead)
    by = f"the view {request.endpoint!r}" if request.endpoint else "the application"
    page.hints.append(
        f"A route matched: {by} answered this by itself" + (f", in {where}." if where else ".")
    )
    return page


def _routes(app: Flask, near: list[Rule]) -> Table:
    """List the routes, the near ones first and marked."""
    others = [rule for rule in app.url_map.iter_rules() if not rule.build_only]
    others = [rule for rule in others if not any(rule is one for one in near)]
    rules = near + sorted(others, key=lambda rule: rule.rule)
    shown = rules[:MOST_ROUTES]
    rows = [
        (
            rule.rule,
            "WebSocket" if rule.websocket else ", ".join(in_order(rule.methods or ())),
            rule.endpoint,
        )
        for rule in shown
    ]
    heading = "Routes"
    if len(rules) > MOST_ROUTES:
        heading = f"Routes (the first {MOST_ROUTES} of {len(rules)})"
    return Table(heading, ("rule", "methods", "endpoint"), rows, frozenset(range(len(near))))
