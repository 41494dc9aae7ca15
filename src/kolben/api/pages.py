"""What shows an API: its document, and the page that renders it."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from functools import cache
from pathlib import Path

from markupsafe import escape

from ..cli import LateCommand
from ..globals import request
from ..lazy import uncollected
from ..wrappers import Response
from .document import About, Document


class Published:
    """An API's document, built when it is first asked for and kept while nothing is registered.

    :param owner: the API, or the blueprint.
    :param about: what it says of itself.
    :param app: the application that it is on.
    :param name: the name of the API, or the one that the blueprint is registered under.
    """

    def __init__(self, owner: t.Any, about: About, app: t.Any, name: str) -> None:
        self.name = name
        self._owner = owner
        self._about = about
        self._app = app
        self._kept: tuple[t.Any, bytes, str] | None = None

    @property
    def operations(self) -> list[t.Any]:
        """The typed views that it shows."""
        begin = "" if self._owner is self._app else f"{self.name}."
        found = [one for one in self._owner.operations if one.app is self._app]
        return [one for one in found if one.endpoint.startswith(begin)]

    def document(self) -> dict[str, t.Any]:
        """Return the document.

        :raises TypeError: if an annotation cannot be resolved.
        """
        owner = self._owner
        operations = self.operations
        for operation in operations:
            operation.resolve()
        return Document(self._about, operations, owner.webhooks, self._app.name).build()

    def written(self) -> tuple[bytes, str]:
        """Return the document as it is sent, and its entity tag."""
        stamp = len(self._owner.operations), len(self._owner.webhooks)
        kept = self._kept
        if kept is None or kept[0] != stamp:
            with uncollected():
                body = write(self.document())
            kept = self._kept = stamp, body, hashlib.sha256(body).hexdigest()[:32]
        return kept[1:]

    def respond(self) -> Response:
        """Answer a request for the document; 304 where the client has it."""
        body, tag = self.written()
        if request.if_none_match.contains_weak(tag):
            return Response(status=304, headers={"ETag": f'"{tag}"'})
        headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
        return Response(body, headers=headers, mimetype="application/json")

    def show(self) -> Response:
        """Answer a request for the page that renders the document."""
        about, path = self._about, request.path
        here = request.script_root + path.rstrip("/")
        values = {
            "title": about.title or self.name,
            "base": here,
            "document": here.removesuffix((about.docs or "").rstrip("/")) + (about.openapi or ""),
            "root": request.script_root,
        }
        page = _part("page.html").decode()
        text = re.sub(r"\{(\w+)\}", lambda match: escape(values[match[1]]), page)
        headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
        return Response(text, headers=headers)


#: Nothing but the page's own files, and requests to its own program.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'"
    " data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def _part(name: str) -> bytes:
    return (Path(__file__).parent / "page" / name).read_bytes()


def send_part(name: str) -> Response:
    """Answer a request for a file of the page."""
    kind = "text/css" if name.endswith("css") else "text/javascript"
    headers = {"Cache-Control": "max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response(_part(name), headers=headers, mimetype=kind)


def write(document: dict[str, t.Any], indent: int | None = None) -> bytes:
    """Return a document as JSON, the same for the same document.

    :param document: the document.
    :param indent: by how many spaces parts are indented; None for one line.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(document, ensure_ascii=False, indent=indent, separators=separators)
    return text.encode()


def serve_document(
    owner: t.Any, app: t.Any, about: About, add: t.Callable[[str, str, t.Any], None], name: str
) -> None:
    """Register the document and its page.

    :param owner: the API, or the blueprint.
    :param app: the application.
    :param about: what it says of itself.
    :param add: registers a view: takes the URL, the endpoint and the view.
    :param name: the name of the API, or the one that the blueprint is registered under.
    """
    published = Published(owner, about, app, name)
    if "kolben.api" not in app.extensions:
        app.extensions["kolben.api"] = []
        place = ".api.command:openapi_command"
        app.cli.add_command(LateCommand("openapi", place, "Write the OpenAPI document."))
    app.extensions["kolben.api"].append(published)
    if about.openapi is not None:
        add(about.openapi, "openapi", published.respond)
        if about.docs is not None:
            add(about.docs, "docs", published.show)
            add(f"{about.docs}/<any('page.css', 'page.js'):name>", "docs_file", send_part)
