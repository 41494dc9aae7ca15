"""``python -m examples.tutorial`` serves the site on this machine."""

from __future__ import annotations

from .app import app

if __name__ == "__main__":
    app.run(debug=True)
