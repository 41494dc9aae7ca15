"""kolben on WSGI with the second JSON provider, the one line that a user would write."""

from __future__ import annotations

from apps._flaskapi import build

import kolben
from kolben.json.provider import MsgspecJSONProvider

KIND = "wsgi"
WORKLOADS = ("json", "records")
app = build(kolben)
app.json = MsgspecJSONProvider(app)
