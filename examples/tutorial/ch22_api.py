"""Chapter 22: an API whose signatures say what it takes and what it gives."""

from __future__ import annotations

import itertools
import typing as t

from kolben import abort
from kolben.api import API, APIBlueprint, Created, Meta, Struct

chapter = APIBlueprint("items", __name__)


class NewItem(Struct):
    name: t.Annotated[str, Meta(min_length=1, max_length=50)]
    price: t.Annotated[float, Meta(ge=0)]


class Item(NewItem, kw_only=True):
    id: int


ITEMS: dict[int, Item] = {}
NUMBERS = itertools.count(1)


@chapter.get("/")
def list_items(below: t.Annotated[float, Meta(ge=0)] = 1000.0) -> list[Item]:
    """List what costs less than a price."""
    return [item for item in ITEMS.values() if item.price < below]


@chapter.post("/")
def add_item(body: NewItem) -> Created[Item]:
    """Add an item."""
    item = Item(id=next(NUMBERS), name=body.name, price=body.price)
    ITEMS[item.id] = item
    return item, 201


@chapter.get("/<int:number>")
def show_item(number: int) -> Item:
    """Show one item."""
    return ITEMS.get(number) or abort(404)


def create_app() -> API:
    api = API(__name__, title="Items", version="1.0.0")
    api.register_blueprint(chapter)
    return api


if __name__ == "__main__":
    create_app().run(debug=True)
