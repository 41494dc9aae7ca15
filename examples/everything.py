"""What ``make run`` shows: the tutorial's site, and the shop beside it at /shop."""

from __future__ import annotations

from .shop import shop
from .tutorial import app

app.register_blueprint(shop)
