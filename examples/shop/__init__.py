"""A small shop: typed API, HTML pages and live parts in one program: ``kolben run examples.shop:app``."""

from __future__ import annotations

from .app import app, create_app
from .pages import shop

__all__ = ["app", "create_app", "shop"]
