"""Flask-SQLAlchemy and Flask-Migrate: a table, and how it is changed when it has rows already."""

from __future__ import annotations

from pathlib import Path

from flask_migrate import Migrate, downgrade, init, migrate, upgrade
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kolben import Flask, request


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Book(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


def create_app(folder: Path) -> Flask:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder}/books.db"
    db.init_app(app)
    Migrate(app, db, directory=str(folder / "migrations"))

    @app.post("/books")
    def add() -> tuple[dict[str, int], int]:
        book = Book(title=request.form["title"])
        db.session.add(book)
        db.session.commit()
        return {"id": book.id}, 201

    @app.get("/books/<int:number>")
    def show(number: int) -> dict[str, str]:
        return {"title": db.get_or_404(Book, number).title}

    return app


def test_a_table_is_made_by_migrations(tmp_path: Path) -> None:
    app = create_app(tmp_path)
    with app.app_context():  # kolben --app books db init, db migrate, db upgrade
        init()
        migrate(message="books")
        upgrade()
    client = app.test_client()
    assert client.post("/books", data={"title": "Emma"}).json == {"id": 1}
    assert client.get("/books/1").json == {"title": "Emma"}
    assert client.get("/books/2").status_code == 404
    with app.app_context():  # kolben --app books db downgrade
        downgrade()
        assert inspect(db.engine).get_table_names() == ["alembic_version"]
        db.engine.dispose()
