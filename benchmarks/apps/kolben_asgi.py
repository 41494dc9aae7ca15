"""kolben on ASGI, with async views and hooks."""

from __future__ import annotations

from apps._flaskapi_async import build, build_hooks
from workloads import EVERY

import kolben

KIND = "asgi"
WORKLOADS = EVERY
app = build(kolben).asgi_app
hooks_app = build_hooks(kolben).asgi_app
