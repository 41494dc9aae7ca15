"""The API: what each operation reads and answers is what its signature says."""

from __future__ import annotations

import typing as t

from kolben import abort
from kolben.api import APIBlueprint, Created, Name, Page, Query, given

from . import people, trade
from .people import Clerk, Me
from .shapes import (
    Credentials,
    Key,
    Limit,
    NameTaken,
    NewOrder,
    NoSuchProduct,
    Order,
    OutOfStock,
    Paging,
    Product,
    ProductChange,
    Profile,
    Sku,
    StaffOnly,
    Token,
    WrongPassword,
)
from .tables import DB, Order as OrderRow, Product as ProductRow

api = APIBlueprint(
    "api",
    __name__,
    url_prefix="/api",
    title="Shop",
    version="1.0",
    description="A small shop. Log in as `ada` with `engine`, or as `grace`, who works here, with `compiler`.",
    unknown="refuse",
)
Search = t.Annotated[str, Name("q")]


@api.get("/products", tags=["products"])
def list_products(page: Query[Paging], search: Search = "", db: DB = given) -> Page[Product]:
    """List the products, or those whose name or description holds a text."""
    return Page.of(trade.find_products(db, search, page.after), page, lambda row: row.sku)


@api.get("/products/<sku>", tags=["products"], raises=[NoSuchProduct])
def get_product(sku: Sku, db: DB = given) -> Product:
    """Get one product."""
    return t.cast("Product", _product(db, sku))


@api.patch("/products/<sku>", tags=["products"], raises=[NoSuchProduct, StaffOnly])
def change_product(sku: Sku, body: ProductChange, clerk: Clerk = given, db: DB = given) -> Product:
    """Change the price or the stock of a product; for the staff."""
    product = _product(db, sku)
    if body.cents is not None:
        product.cents = body.cents
    if body.stock is not None:
        product.stock = body.stock
    return t.cast("Product", product)


def _product(db: DB, sku: str) -> ProductRow:
    product = db.get(ProductRow, sku)
    if product is None:
        raise NoSuchProduct(sku=sku)
    return product


@api.post("/customers", tags=["customers"], raises=[NameTaken])
def join(body: Credentials, db: DB = given) -> Created[Profile]:
    """Become a customer."""
    return t.cast("Profile", people.join(db, body)), 201


@api.post("/token", tags=["customers"], raises=[WrongPassword])
def log_in(body: Credentials, db: DB = given) -> Token:
    """Get a token, for a name and a password."""
    return people.token_for(people.log_in(db, body))


@api.get("/me", tags=["customers"])
def me(customer: Me = given) -> Profile:
    """Get the customer that the token belongs to."""
    return t.cast("Profile", customer)


@api.get("/orders", tags=["orders"])
def list_orders(
    limit: Limit = 20,
    after: Key | None = None,
    customer: Me = given,
    db: DB = given,
) -> Page[Order]:
    """List your orders, the newest first."""
    return Page.of(trade.orders_of(db, customer, after), Paging(limit))


@api.post("/orders", tags=["orders"], raises=[OutOfStock, NoSuchProduct])
def place_order(body: NewOrder, customer: Me = given, db: DB = given) -> Created[Order]:
    """Order something: all lines, or none."""
    return t.cast("Order", trade.place_order(db, customer, body)), 201


@api.get("/orders/<int:id>", tags=["orders"])
def get_order(id: Key, customer: Me = given, db: DB = given) -> Order:
    """Get one of your orders."""
    return t.cast("Order", _order(db, customer, id))


@api.delete("/orders/<int:id>", tags=["orders"])
def cancel_order(id: Key, customer: Me = given, db: DB = given) -> None:
    """Cancel one of your orders; its products are back in stock."""
    trade.cancel(db, _order(db, customer, id))


def _order(db: DB, customer: Me, id: int) -> OrderRow:
    order = db.get(OrderRow, id)
    if order is None or order.customer_id != customer.id:
        abort(404)  # as if it were not there: who asks must not learn of others' orders
    return order


@api.webhook("order.placed", tags=["orders"])
def order_placed(body: Order) -> None:
    """What a warehouse would be sent for each order."""
