"""Flask, as its quick start writes it."""

from __future__ import annotations

import flask
from apps._flaskapi import build, build_hooks
from workloads import EVERY

KIND = "wsgi"
WORKLOADS = EVERY
app = build(flask)
hooks_app = build_hooks(flask)
