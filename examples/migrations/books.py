"""A program whose tables have changed since they were made."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from kolben import Flask

DATABASE = os.environ.get("BOOKS_DATABASE", "sqlite:///books.db")


class Table(DeclarativeBase):
    """What all tables begin with. Constraints have names, so that a migration can speak of them."""


Table.metadata.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Book(Table):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    pages: Mapped[int] = mapped_column(server_default="0")  # since the second version


def create_app() -> Flask:
    app = Flask(__name__)
    engine = create_engine(DATABASE)

    @app.get("/books")
    def books() -> list[dict[str, int | str]]:
        with Session(engine) as session:
            found = session.scalars(select(Book).order_by(Book.id)).all()
            return [{"title": book.title, "pages": book.pages} for book in found]

    return app
