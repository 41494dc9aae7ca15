"""kolben on WSGI, the same text as for Flask."""

from __future__ import annotations

from apps._flaskapi import build, build_hooks
from workloads import EVERY

import kolben

KIND = "wsgi"
WORKLOADS = EVERY
app = build(kolben)
hooks_app = build_hooks(kolben)
