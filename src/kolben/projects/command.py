"""``kolben new``: a project that runs, with tests that pass, to be changed into one's own.

The files are kept beside this module as they are written, with ``@@name@@`` and its like for what differs;
their names end in ``.tmpl``, so that no tool takes them for code of the package.
"""

from __future__ import annotations

import keyword
import re
import secrets
import sys
from pathlib import Path

import click

SKELETONS = Path(__file__).with_name("skeletons")


@click.command("new", short_help="Begin a project.")
@click.argument("name")
@click.option("--api", is_flag=True, help="A typed API with its document, in place of HTML pages.")
def new_command(name: str, api: bool) -> None:
    """Begin a project in a new folder.

    NAME is the folder, '.' for the current one; the package in it has the same name. It has an application factory, a
    blueprint, a template and a static file (or typed views, with '--api'), settings from the
    environment, tests, a pyproject.toml and a Containerfile.
    """
    folder = Path(name)
    package = _package_name(folder.resolve().name)
    if folder.exists() and not _is_empty(folder):
        raise click.ClickException(
            f"{name!r} exists and is not empty. Choose another name, or empty it first."
        )
    written = write(folder, package, "api" if api else "site")
    click.echo(f"Wrote {len(written)} files to {folder}/. Next:\n")
    if folder.resolve() != Path.cwd():
        click.echo(f"  cd {folder}")
    click.echo("  make test")
    click.echo("  kolben run --debug")


#: What version control, environments and editors put into a folder before there is a project.
_NO_FILES_OF_A_PROJECT = frozenset((".git", ".hg", ".venv", ".idea", ".vscode"))


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and all(one.name in _NO_FILES_OF_A_PROJECT for one in folder.iterdir())


def _package_name(name: str) -> str:
    package = re.sub(r"[-.]", "_", name).lower()
    # Names of distributions are ASCII (PEP 508).
    if not (package.isidentifier() and package.isascii()) or keyword.iskeyword(package):
        raise click.ClickException(
            f"{name!r} cannot be the name of a Python package. Begin with a letter from a to z, and go on with"
            " letters, digits and hyphens."
        )
    if package in sys.stdlib_module_names or package in {
        "kolben",
        "flask",
        "tests",
        "wsgi",
        "test",
    }:
        raise click.ClickException(
            f"{name!r} is the name of a module that would be hidden by it. Choose another name."
        )
    return package


def write(folder: Path, package: str, kind: str) -> list[Path]:
    """Write the files of a project.

    :param folder: where to; made if it is not there.
    :param package: the name of its package.
    :param kind: ``site`` for HTML pages, ``api`` for a typed API.
    :return: the files.
    """
    name = folder.resolve().name
    values = {
        "name": name,
        "package": package,
        "PREFIX": package.upper(),
        "title": name.replace("-", " ").replace("_", " ").capitalize(),
        "extras": "api,dotenv" if kind == "api" else "dotenv",
        "secret": secrets.token_hex(32),
    }
    written = []
    for root in (SKELETONS / "common", SKELETONS / kind):
        for source in sorted(root.rglob("*.tmpl")):
            relative = source.relative_to(root).with_suffix("")
            target = folder / _filled(str(relative), values)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_filled(source.read_text(encoding="utf-8"), values), encoding="utf-8")
            written.append(target)
    (folder / ".env").chmod(0o600)
    return written


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"@@(\w+)@@", lambda found: values[found[1]], text)
