"""The application of the hostile requests, to be served."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from application import build

import kolben

app = build(kolben, MAX_CONTENT_LENGTH=1_000_000, BODY_TIMEOUT=0.5)
