"""The program and the commands of `docs/how-to/migrations.md`: tables change, rows stay, and old code goes on."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from suite_environments import ROOT, environment

from pages import blocks, lines_of

pytestmark = [pytest.mark.suite, pytest.mark.timeout(600)]

ASK = "import books; print(books.create_app().test_client().get('/books').json)"


def test_rows_stay_when_tables_change(tmp_path: Path) -> None:
    python = environment(
        "ecosystem-flask-migrate-on-kolben", "ecosystem/flask-migrate", shadow=True
    )
    folder = tmp_path / "books"
    shutil.copytree(ROOT / "examples" / "migrations", folder)

    def run(*words: str, status: int = 0) -> str:
        done = subprocess.run(
            [python, *words],
            cwd=folder,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def add(title: str) -> None:
        database = sqlite3.connect(folder / "books.db")
        with database:
            database.execute("INSERT INTO book (title) VALUES (?)", (title,))
        database.close()

    run("-m", "alembic", "upgrade", "0001")
    add("Emma")
    run("-m", "alembic", "check", status=255)
    (block,) = blocks("docs/how-to/migrations.md", "sh")
    install, *commands = lines_of(block)
    assert install == "pip install alembic"
    assert commands[0] == "alembic upgrade head"
    for command in commands[:2]:
        run("-m", *command.split())
    add("Persuasion")  # as the program of before does, which knows no pages
    assert run("-c", ASK).strip() == str(
        [{"pages": 0, "title": "Emma"}, {"pages": 0, "title": "Persuasion"}]
    )
    # The program changes, a migration is written and run, and taken back.
    source = (folder / "books.py").read_text()
    line = "    title: Mapped[str]\n"
    (folder / "books.py").write_text(
        source.replace(line, line + "    author: Mapped[str | None]\n")
    )
    run("-m", *commands[2].replace('"', "").split())
    (written,) = (folder / "migrations" / "versions").glob("*_authors.py")
    assert "sa.Column('author', sa.String(), nullable=True)" in written.read_text()
    run("-m", "alembic", "upgrade", "head")
    assert "Persuasion" in run("-c", ASK)
    run("-m", *commands[3].split())
    (folder / "books.py").write_text(source)
    written.unlink()
    run("-m", "alembic", "check")
    assert "Persuasion" in run("-c", ASK)
