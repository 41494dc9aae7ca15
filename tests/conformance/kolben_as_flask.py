"""Loaded by `pytest -p kolben_as_flask`, before any conftest: `flask` means kolben from here on."""

from __future__ import annotations

import kolben

kolben.install_as_flask()
