"""The context of a request from an ASGI server, beside that of one from a WSGI server."""

from __future__ import annotations

import kolben
from kolben.asgi.context import ASGIRequestContext
from kolben.ctx import RequestContext


def test_both_kinds_of_context_begin_alike() -> None:
    app = kolben.Flask("app")
    plain = vars(RequestContext(app, {}))
    other = vars(ASGIRequestContext(app, {"method": "GET", "path": "/", "headers": []}))
    assert plain.pop("environ") == {}
    assert other.pop("scope")["path"] == "/"
    assert other.pop("body") is None
    assert other.pop("receive") is None
    assert [other.pop(name) for name in sorted(other) if name.endswith("environ")] == [None]
    assert other == plain
