"""The command ``kolben openapi``, which applications with an API have."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import click

from ..cli import target_argument, with_appcontext
from ..globals import current_app
from .compare import compare
from .pages import Published, write


@click.command("openapi", short_help="Write the OpenAPI document, or compare it.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to this file.")
@click.option("--check", type=click.Path(), help="List what has changed since this file.")
@click.option("--blueprint", help="The blueprint whose document it is, where there are several.")
@click.option(
    "--openapi", "version", type=click.Choice(["3.1"]), help="For tools that know no 3.2."
)
@target_argument
@with_appcontext
def openapi_command(
    output: str | None, check: str | None, blueprint: str | None, version: str | None
) -> None:
    """Write the OpenAPI document, sorted and indented, to standard output or to a file.

    TARGET is the application, in the forms that '--app' takes.

    It is of OpenAPI 3.1, of 3.2 where an operation streams. With --openapi 3.1 it is of 3.1 there, too,
    and the parts of streams are told as x-itemSchema.

    With --check nothing is written: the changes since that file are listed. The exit status is 1 if
    one of them may break a client, 2 if the file cannot be read.
    """
    published: list[Published] = current_app.extensions.get("kolben.api", [])
    if not published:
        raise click.UsageError(
            f"The application {current_app.name!r} has no typed API: make it an API, or register an"
            " APIBlueprint (kolben.api)."
        )
    named = [one for one in published if blueprint in (None, one.name)]
    if not named:
        names = ", ".join(one.name for one in published)
        raise click.UsageError(f"There is no document of {blueprint!r}; there are: {names}.")
    document = named[0].document()
    if version is not None:
        _lower(document)
    if check is not None:
        raise SystemExit(_check(check, document))
    data = write(json.loads(write(document)), indent=2) + b"\n"
    if output is None:
        click.echo(data.decode(), nl=False)
    else:
        Path(output).write_bytes(data)


def _lower(document: dict[str, t.Any]) -> None:
    """Make a document one of OpenAPI 3.1, which has no word for the items of a stream."""
    document["openapi"] = "3.1.1"
    items = [*document["paths"].values(), *document.get("webhooks", {}).values()]
    for operation in (one for item in items for one in item.values()):
        for response in operation["responses"].values():
            for content in response.get("content", {}).values():
                if "itemSchema" in content:
                    content["x-itemSchema"] = content.pop("itemSchema")


def _check(path: str, document: dict[str, t.Any]) -> int:
    try:
        old = json.loads(Path(path).read_bytes())
        if not isinstance(old, dict) or "openapi" not in old:
            raise ValueError("it is no OpenAPI document")
        changes = compare(old, json.loads(write(document)))
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        click.echo(f"{path} cannot be read: {error}", err=True)
        return 2
    for change in changes:
        click.echo(str(change))
    if not changes:
        click.echo("Nothing has changed.")
    return 1 if any(one.is_breaking for one in changes) else 0
