"""The pages, for people: the same shop, the same functions, with the session's cookie."""

from __future__ import annotations

from pathlib import Path

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from kolben import (
    Blueprint,
    flash,
    redirect,
    render_template,
    request,
    send_from_directory,
    session,
    url_for,
)
from kolben.api import Problem

from . import people, trade
from .shapes import Credentials, NewOrder, OrderLine
from .tables import Customer, Product, engine

shop = Blueprint(
    "shop", __name__, url_prefix="/shop", template_folder="templates", static_folder="static"
)
SITE = Path(__file__).parents[1] / "tutorial" / "static"


@shop.get("/site/<any('style.css', 'kolben.svg'):name>")
def site(name: str) -> Response:
    """What the shop shares with the tutorial's site: its look."""
    return send_from_directory(SITE, name)


@shop.app_template_filter("euros")
def euros(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d} €"


@shop.get("/")
def index() -> str:
    text = request.args.get("q", "")
    with Session(engine()) as db:
        products = list(trade.find_products(db, text))
        return render_template("shop/index.html", products=products, text=text)


@shop.route("/login", methods=["GET", "POST"])
def login() -> str | Response:
    if request.method == "GET":
        return render_template("shop/login.html")
    form = {name: request.form.get(name, "") for name in ("name", "password")}
    try:
        who = msgspec.convert(form, Credentials)
        with Session(engine()) as db, db.begin():
            customer = (people.join if "join" in request.form else people.log_in)(db, who)
            session["shop_id"], session["shop_name"] = customer.id, customer.name
    except msgspec.ValidationError:
        flash("A name is letters and digits; a password has six characters or more.")
    except Problem as problem:
        flash(f"{problem.title}.")
    else:
        return redirect(url_for(".index"))
    return redirect(url_for(".login"))


@shop.post("/logout")
def logout() -> Response:
    session.pop("shop_id", None)
    session.pop("shop_name", None)
    return redirect(url_for(".index"))


@shop.post("/buy/<sku>")
def buy(sku: str) -> Response:
    try:
        with Session(engine()) as db, db.begin():
            customer = db.get(Customer, session.get("shop_id", 0))
            if customer is None:
                return redirect(url_for(".login"))
            order = trade.place_order(db, customer, NewOrder([OrderLine(sku)]))
            flash(f"Thank you. This is order {order.id}.")
    except Problem as problem:
        flash(f"{problem.title}.")
    return redirect(url_for(".index"))


@shop.get("/orders")
def orders() -> str | Response:
    with Session(engine()) as db:
        customer = db.get(Customer, session.get("shop_id", 0))
        if customer is None:
            return redirect(url_for(".login"))
        names = {row.sku: row.name for row in db.execute(select(Product.sku, Product.name))}
        found = list(trade.orders_of(db, customer))[:50]
        return render_template("shop/orders.html", orders=found, names=names)


@shop.get("/chat")
def chat() -> str:
    return render_template("shop/chat.html", asgi="asgi.scope" in request.environ)
