"""What ``kolben routes`` prints, and what a shell offers as a target."""

from __future__ import annotations

import json
import os
import typing as t
from inspect import iscoroutinefunction, unwrap

import click

if t.TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from werkzeug.routing import Rule

    from .app import Flask


def list_routes(app: Flask, sort: str, all_methods: bool, as_json: bool) -> None:
    """Print the routes of an application.

    :param app: the application.
    :param sort: the column that the rows are sorted by, or ``match`` for the order in which they are tried.
    :param all_methods: HEAD and OPTIONS are among the methods.
    :param as_json: print JSON in place of a table.
    """
    domain = "Host" if app.url_map.host_matching else "Subdomain"
    rows = [_describe(rule, app, domain, all_methods) for rule in app.url_map.iter_rules()]
    # 'match' is the order that the map has them in; a column that is not there sorts nothing.
    column = {"match": None, "domain": domain}.get(sort, sort.capitalize())
    if rows and column in rows[0]:
        rows.sort(key=lambda row: row[str(column)])
    if as_json:
        named: list[dict[str, t.Any]] = [
            {key.lower(): value for key, value in row.items()} for row in rows
        ]
        for row in named:
            row["methods"] = row["methods"].split(", ") if row["methods"] else []
        click.echo(json.dumps(named, indent=2))
        return
    if not rows:
        click.echo("No routes were registered.")
        return
    empty = {key for key in (domain, "Kind") if not any(row[key] for row in rows)}
    _echo_table([{k: v for k, v in row.items() if k not in empty} for row in rows])


def _describe(rule: Rule, app: Flask, domain: str, all_methods: bool) -> dict[str, str]:
    hidden = set() if all_methods else {"HEAD", "OPTIONS"}
    view = app.view_functions.get(rule.endpoint)
    is_async = view is not None and iscoroutinefunction(unwrap(view))
    return {
        "Endpoint": rule.endpoint,
        "Methods": ", ".join(sorted((rule.methods or set()) - hidden)),
        domain: (rule.host if domain == "Host" else rule.subdomain) or "",
        "Kind": "WebSocket" if rule.websocket else "async" if is_async else "",
        "Rule": rule.rule,
    }


def _echo_table(rows: list[dict[str, str]]) -> None:
    """Print rows of the same keys as columns under their names."""
    widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]}
    click.echo("  ".join(key.ljust(width) for key, width in widths.items()))
    click.echo("  ".join("-" * width for width in widths.values()))
    for row in rows:
        click.echo("  ".join(row[key].ljust(width) for key, width in widths.items()))


def complete_target(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the programs and packages of the current folder, for a shell's completion.

    :param ctx: the command's context.
    :param param: the argument.
    :param incomplete: what has been typed of it.
    """
    from click.shell_completion import CompletionItem

    with os.scandir() as entries:
        names = [
            entry.name
            for entry in entries
            if entry.name.endswith(".py") or os.path.isfile(os.path.join(entry.path, "__init__.py"))
        ]
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]
