"""kolben on ASGI with the second JSON provider, the one line that a user would write."""

from __future__ import annotations

from apps._flaskapi_async import build

import kolben
from kolben.json.provider import MsgspecJSONProvider

KIND = "asgi"
WORKLOADS = ("json", "records")
_app = build(kolben)
_app.json = MsgspecJSONProvider(_app)
app = _app.asgi_app
