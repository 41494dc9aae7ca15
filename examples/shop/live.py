"""What goes on: a stream of prices, and a chat."""

from __future__ import annotations

import asyncio
import time
import typing as t
from contextlib import suppress

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from kolben import WebSocketDisconnect, current_app, request, run_sync
from kolben.api import EventStream, Socket

from .api import api
from .people import Visitor
from .shapes import Leave, Price, Said, Say
from .tables import Product, Remark, engine

PAUSE = 0.3  # seconds between two looks at the database
RECENT = 20  # remarks that a visitor who enters gets to see


def _prices() -> dict[str, Price]:
    with Session(engine()) as db:
        rows = db.execute(select(Product.sku, Product.cents, Product.stock))
        return {sku: Price(sku, cents, stock) for sku, cents, stock in rows}


@api.get("/prices", tags=["live"])
async def prices() -> EventStream[Price]:
    """All prices as they are, then each change as it comes.

    A stream ends after some seconds, so that a server that is told to stop need not wait; a client
    asks again, and is up to date at once.
    """
    seconds = current_app.config.get("SHOP_STREAM_SECONDS", 5)
    end = time.monotonic() + (seconds if request.is_multithread else 1)
    known: dict[str, Price] = {}
    while time.monotonic() < end:
        now = await run_sync(_prices)()
        for sku, price in now.items():
            if known.get(sku) != price:
                yield price
        known = now
        await asyncio.sleep(PAUSE)


def _tell(name: str, text: str) -> None:
    with Session(engine()) as db, db.begin():
        db.execute(insert(Remark).values(name=name, text=text))


def _remarks(after: int) -> list[Said]:
    with Session(engine()) as db:
        wanted = select(Remark.id, Remark.name, Remark.text).where(Remark.id > after)
        rows = db.execute(wanted.order_by(Remark.id.desc()).limit(RECENT)).all()
        return [Said(*row) for row in reversed(rows)]


async def _listen(socket: Socket[t.Any, Said]) -> None:
    last = 0
    with suppress(WebSocketDisconnect):
        while True:
            for said in await run_sync(_remarks)(last):
                await socket.send(said)
                last = said.id
            await asyncio.sleep(PAUSE)


@api.websocket("/chat")
async def chat(socket: Socket[Say | Leave, Said], name: Visitor) -> None:
    """Talk with others who look around. Who has logged in on the pages may enter."""
    listening = asyncio.create_task(_listen(socket))  # one task listens, this one speaks
    try:
        async for message in socket:
            match message:
                case Say(text):
                    await run_sync(_tell)(name, text)
                case Leave():
                    break
    finally:
        listening.cancel()
