"""What the shop does, however it is asked: the API and the pages call the same functions."""

from __future__ import annotations

import datetime as dt
import typing as t

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from .shapes import NewOrder, NoSuchProduct, OutOfStock
from .tables import Customer, Line, Order, Product


def find_products(db: Session, text: str = "", after: str | None = None) -> t.Iterable[Product]:
    """Products whose name or description holds a text, by number."""
    wanted = select(Product).order_by(Product.sku)
    if text:
        words = func.lower(Product.name + " " + Product.about)
        wanted = wanted.where(words.contains(text.lower(), autoescape=True))
    if after is not None:
        wanted = wanted.where(Product.sku > after)
    return db.scalars(wanted)


def place_order(db: Session, customer: Customer, wanted: NewOrder) -> Order:
    """Take the products out of stock, and note the order."""
    now = dt.datetime.now(dt.UTC)
    order = Order(customer_id=customer.id, placed=now, lines=[])
    for line in wanted.lines:
        # One statement looks and takes, so that two who want the last one cannot both get it.
        taken = (
            update(Product)
            .where(Product.sku == line.sku, Product.stock >= line.quantity)
            .values(stock=Product.stock - line.quantity)
            .returning(Product.cents)
        )
        cents = db.scalar(taken)
        if cents is None:
            left = db.scalar(select(Product.stock).where(Product.sku == line.sku))
            if left is None:
                raise NoSuchProduct(sku=line.sku)
            raise OutOfStock(sku=line.sku, left=left)
        order.lines.append(Line(sku=line.sku, quantity=line.quantity, cents=cents))
    db.add(order)
    db.flush()
    return order


def orders_of(db: Session, customer: Customer, before: int | None = None) -> t.Iterable[Order]:
    """The orders of a customer, the newest first."""
    wanted = select(Order).where(Order.customer_id == customer.id).order_by(Order.id.desc())
    if before is not None:
        wanted = wanted.where(Order.id < before)
    return db.scalars(wanted)


def cancel(db: Session, order: Order) -> None:
    """Put the products back."""
    for line in order.lines:
        back = Product.stock + line.quantity
        db.execute(update(Product).where(Product.sku == line.sku).values(stock=back))
    db.delete(order)
