"""A journal: entries with a photo, in a database."""

from __future__ import annotations

import typing as t
from pathlib import Path

from kolben import Flask

from . import db, entries


def create_app(**settings: t.Any) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(
        SECRET_KEY="dev",
        FOLDER=app.instance_path,  # of the database and the photos
        MAX_CONTENT_LENGTH=8 * 1024 * 1024,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    app.config.from_prefixed_env("JOURNAL")
    app.config.from_mapping(settings)
    Path(app.config["FOLDER"], "photos").mkdir(parents=True, exist_ok=True)
    db.init_app(app)
    app.register_blueprint(entries.blueprint)
    return app
