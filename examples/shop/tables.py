"""The database: its tables, and a session for each request."""

from __future__ import annotations

import datetime as dt
import typing as t
from pathlib import Path
from threading import Lock

from sqlalchemy import (
    DateTime,
    Engine,
    ForeignKey,
    TypeDecorator,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.schema import CreateTable
from werkzeug.security import generate_password_hash

from kolben import current_app


class Table(DeclarativeBase):
    pass


class UTC(TypeDecorator[dt.datetime]):
    """A time with its zone, which SQLite would forget."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: t.Any) -> dt.datetime | None:
        return value and value.astimezone(dt.UTC).replace(tzinfo=None)

    def process_result_value(self, value: dt.datetime | None, dialect: t.Any) -> dt.datetime | None:
        return value and value.replace(tzinfo=dt.UTC)


class Customer(Table):
    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str]
    is_staff: Mapped[bool] = mapped_column(default=False)


class Product(Table):
    __tablename__ = "product"

    sku: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    about: Mapped[str]
    cents: Mapped[int]
    stock: Mapped[int]


class Order(Table):
    __tablename__ = "order"
    # Numbers of cancelled orders are not given again.
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    placed: Mapped[dt.datetime] = mapped_column(UTC)
    lines: Mapped[list[Line]] = relationship(cascade="all, delete-orphan", lazy="selectin")


class Line(Table):
    __tablename__ = "line"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    sku: Mapped[str] = mapped_column(ForeignKey("product.sku"))
    quantity: Mapped[int]
    cents: Mapped[int]  # the price of one, when it was ordered


class Remark(Table):
    """What was said in the chat: in a table, so that all workers of a server share it."""

    __tablename__ = "remark"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    text: Mapped[str]


PRODUCTS = [
    ("lamp", "Desk lamp", "Brass, with a green shade.", 4900, 12),
    ("notebook", "Notebook", "Squared paper, 200 pages, lies flat.", 1250, 80),
    ("pencil", "Pencil", "Soft, cedar, sharpened by hand.", 180, 400),
    ("clock", "Station clock", "Loud, and never late.", 12900, 3),
    ("mug", "Mug", "Holds exactly one chapter's worth of tea.", 1600, 25),
    ("globe", "Globe", "With the sea monsters left in.", 21000, 2),
]
# Published, as this is an example. Grace works here.
PEOPLE = [("ada", "engine", False), ("grace", "compiler", True)]

_lock = Lock()


def engine() -> Engine:
    """The engine of this application; its database is made and filled when it is first asked for."""
    app = current_app
    with _lock:
        if "shop" not in app.extensions:
            app.extensions["shop"] = _open(app.config.get("SHOP_DATABASE"))
        return t.cast("Engine", app.extensions["shop"])


def _open(url: str | None) -> Engine:
    if url is None:
        folder = Path(current_app.config.get("DATA_FOLDER") or Path(__file__).parent / "instance")
        folder.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{folder / 'shop.db'}"
    opened = create_engine(url)

    @event.listens_for(opened, "connect")
    def prepare(connection: t.Any, record: object) -> None:
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma busy_timeout = 5000")

    # Several workers may begin at once: the one that comes second finds that all is there.
    with opened.begin() as connection:
        connection.exec_driver_sql("begin immediate")
        for table in Table.metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
        if connection.scalar(select(Product.sku).limit(1)) is None:
            names = ("sku", "name", "about", "cents", "stock")
            connection.execute(
                insert(Product), [dict(zip(names, one, strict=True)) for one in PRODUCTS]
            )
            connection.execute(
                insert(Customer),
                [
                    {"name": name, "password": generate_password_hash(word), "is_staff": staff}
                    for name, word, staff in PEOPLE
                ],
            )
    return opened


def session() -> t.Iterator[Session]:
    """Provide a session: committed if the view succeeds, rolled back if it raises."""
    with Session(engine()) as db, db.begin():
        yield db


DB = t.Annotated[Session, session]
