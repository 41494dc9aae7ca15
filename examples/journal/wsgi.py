"""What servers load: ``kolben serve wsgi:app``."""

from __future__ import annotations

from journal import create_app

app = create_app()
