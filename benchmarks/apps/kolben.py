"""kolben on WSGI, the same text as for Flask."""

from __future__ import annotations

import kolben

from apps._flaskapi import build, build_hooks
from workloads import EVERY

KIND = "wsgi"
WORKLOADS = EVERY
app = build(kolben)
hooks_app = build_hooks(kolben)
