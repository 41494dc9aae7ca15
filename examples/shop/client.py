"""The typed client: ``python -m examples.shop.client http://127.0.0.1:5000`` buys a pencil.

The handlers are what is called; type checkers know what each takes and returns.
"""

from __future__ import annotations

import sys

from kolben.api import Remote
from kolben.api.client import Caller

from . import api as shop
from .app import app as app  # which the handlers are registered on
from .shapes import Credentials, NewOrder, OrderLine, OutOfStock, Paging


def buy(client: Caller, sku: str, quantity: int = 1) -> str:
    """Log in, order something, and say what came of it."""
    token = client.call(shop.log_in, Credentials("ada", "engine")).token
    client.headers["Authorization"] = f"Bearer {token}"
    try:
        order, _ = client.call(shop.place_order, NewOrder([OrderLine(sku, quantity)]))
    except OutOfStock as problem:
        return f"There are only {problem.left} of {problem.sku}."
    total = sum(line.cents * line.quantity for line in order.lines)
    return f"Order {order.id}: {quantity} x {sku} for {total / 100:.2f} euros."


def main(url: str) -> None:
    client = Remote(url)
    for product in client.call(shop.list_products, Paging(limit=100)).items:
        print(f"{product.sku:10} {product.cents / 100:8.2f} {product.stock:4} left")
    print(buy(client, "pencil"))


if __name__ == "__main__":
    main(*sys.argv[1:] or ["http://127.0.0.1:5000"])
