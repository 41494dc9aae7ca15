"""What shows an API: its document, and the page that renders it."""

from __future__ import annotations

import hashlib
import json
import typing as t

from ..globals import request
from ..wrappers import Response
from .document import About, build

if t.TYPE_CHECKING:
    from .operations import Registers


class Published:
    """An API's document, built when it is first asked for and kept while nothing is registered.

    :param owner: the API, or the blueprint.
    :param about: what it says of itself.
    :param app: the application that it is on.
    """

    def __init__(self, owner: Registers, about: About, app: t.Any) -> None:
        self._owner = owner
        self._about = about
        self._app = app
        self._kept: tuple[t.Any, bytes, str] | None = None

    def document(self) -> dict[str, t.Any]:
        """Return the document.

        :raises TypeError: if an annotation cannot be resolved.
        """
        owner = self._owner
        operations = [one for one in owner.operations if one.app is self._app]
        for operation in operations:
            operation.resolve()
        return build(self._about, operations, owner.webhooks, self._app.name)

    def written(self) -> tuple[bytes, str]:
        """Return the document as it is sent, and its entity tag."""
        stamp = len(self._owner.operations), len(self._owner.webhooks)
        kept = self._kept
        if kept is None or kept[0] != stamp:
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


def write(document: dict[str, t.Any], indent: int | None = None) -> bytes:
    """Return a document as JSON, the same for the same document.

    :param document: the document.
    :param indent: by how many spaces parts are indented; None for one line.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(document, ensure_ascii=False, indent=indent, separators=separators)
    return text.encode()


def serve_document(
    owner: t.Any, app: t.Any, about: About, add: t.Callable[[str, str, t.Any], None]
) -> None:
    """Register the document and its page.

    :param owner: the API, or the blueprint.
    :param app: the application.
    :param about: what it says of itself.
    :param add: registers a view: takes the URL, the endpoint and the view.
    """
    published = Published(owner, about, app)
    app.extensions.setdefault("kolben.api", []).append(published)
    if about.openapi is not None:
        add(about.openapi, "openapi", published.respond)
