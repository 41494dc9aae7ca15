"""What the API reads and writes, and what may go wrong: the part that clients share."""

from __future__ import annotations

import datetime as dt
import typing as t

from kolben.api import Meta, Problem, Struct

Cents = t.Annotated[int, Meta(ge=0, le=10_000_000, description="A price, in hundredths of a euro.")]
Sku = t.Annotated[str, Meta(pattern="^[a-z0-9-]{1,30}$")]
PersonName = t.Annotated[str, Meta(pattern="^[A-Za-z0-9_.-]{1,30}$")]
Password = t.Annotated[str, Meta(min_length=6, max_length=200)]
Quantity = t.Annotated[int, Meta(ge=1, le=100)]
Key = t.Annotated[int, Meta(ge=1, le=2**53)]


Limit = t.Annotated[int, Meta(ge=1, le=100)]


class Paging(Struct):
    """Which part of a list is wanted."""

    limit: Limit = 20
    after: t.Annotated[str, Meta(max_length=30)] | None = None


class Product(Struct):
    """What can be bought."""

    sku: str
    name: str
    about: str
    cents: int
    stock: int


class ProductChange(Struct):
    """What is to be changed; what is missing stays as it is."""

    cents: Cents | None = None
    stock: t.Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class Credentials(Struct):
    """A name and its password."""

    name: PersonName
    password: Password


class Token(Struct):
    """What to send as ``Authorization: Bearer``."""

    token: str
    seconds: int


class Profile(Struct):
    """A customer, without the password."""

    id: int
    name: str
    is_staff: bool


class OrderLine(Struct):
    """A product, and how many of it."""

    sku: Sku
    quantity: Quantity = 1


class NewOrder(Struct):
    """What is ordered."""

    lines: t.Annotated[list[OrderLine], Meta(min_length=1, max_length=20)]


class PlacedLine(Struct):
    """A line of an order, with the price of one at that time."""

    sku: str
    quantity: int
    cents: int


class Order(Struct):
    """What was ordered, and when."""

    id: int
    placed: dt.datetime
    lines: list[PlacedLine]


class Price(Struct, tag="price"):
    """The price of a product from now on, and how many are left."""

    sku: str
    cents: int
    stock: int


class Say(Struct, tag="say"):
    """Says something in the chat."""

    text: t.Annotated[str, Meta(min_length=1, max_length=500)]


class Leave(Struct, tag="leave"):
    """Leaves the chat."""


class Said(Struct):
    """What a visitor has said in the chat."""

    id: int
    name: str
    text: str


class OutOfStock(Problem, status=409, title="Out of stock"):
    """There are fewer than were asked for."""

    sku: str
    left: int


class NameTaken(Problem, status=409, title="This name is taken"):
    """Another customer is called like that."""


class WrongPassword(Problem, status=401, title="Name or password is wrong"):
    """Which of them is not told."""


class NoSuchProduct(Problem, status=404, title="No such product"):
    """Nothing is sold under that number."""

    sku: str


class StaffOnly(Problem, status=403, title="Only for the staff"):
    """Customers may not do this."""
