"""The database: one connection for each request that needs it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from kolben import Flask, current_app, g

SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL,
    photo TEXT,
    written TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
)
"""


def connect(app: Flask) -> sqlite3.Connection:
    return sqlite3.connect(Path(app.config["FOLDER"], "journal.sqlite"))


def database() -> sqlite3.Connection:
    if "database" not in g:
        g.database = connect(current_app)
        g.database.row_factory = sqlite3.Row
    connection: sqlite3.Connection = g.database
    return connection


def close(error: BaseException | None) -> None:
    if "database" in g:
        g.database.close()


def init_app(app: Flask) -> None:
    with closing(connect(app)) as connection:
        connection.execute(SCHEMA)
    app.teardown_appcontext(close)
