"""The tutorial's chapters, each tried in the browser: ``kolben run examples.tutorial:app``."""

from __future__ import annotations

from .app import app

__all__ = ["app"]
