"""Who asks: customers by a token in the API, by the session's cookie on pages."""

from __future__ import annotations

import typing as t

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from werkzeug.security import check_password_hash, generate_password_hash

from kolben import abort, current_app, session
from kolben.api import Bearer, SessionCookie

from .shapes import Credentials, NameTaken, StaffOnly, Token, WrongPassword
from .tables import DB, Customer

LIFETIME = 24 * 60 * 60  # seconds
# Checked where no customer has the name, so that the time taken does not tell which names there are.
NOBODY = generate_password_hash("nobody")


def _signer() -> URLSafeTimedSerializer:
    key = current_app.secret_key
    if key is None:
        raise RuntimeError("The shop signs its tokens: set SECRET_KEY.")
    return URLSafeTimedSerializer(key, salt="shop-token")


def join(db: DB, who: Credentials) -> Customer:
    """Make a new customer."""
    customer = Customer(
        name=who.name, password=generate_password_hash(who.password), is_staff=False
    )
    db.add(customer)
    try:
        db.flush()
    except IntegrityError:
        raise NameTaken from None
    return customer


def log_in(db: DB, who: Credentials) -> Customer:
    """Return the customer of a name and a password."""
    customer = db.scalar(select(Customer).where(Customer.name == who.name))
    if not check_password_hash(customer.password if customer else NOBODY, who.password):
        raise WrongPassword
    assert customer is not None
    return customer


def token_for(customer: Customer) -> Token:
    return Token(_signer().dumps(customer.id), LIFETIME)


def current_customer(token: Bearer, db: DB) -> Customer:
    """Provide the customer that a token was given to."""
    try:
        number = _signer().loads(token, max_age=LIFETIME)
    except BadSignature:
        abort(401)
    return db.get(Customer, number) or abort(401)


Me = t.Annotated[Customer, current_customer]


def current_clerk(customer: Me) -> Customer:
    """Provide the customer, who must be of the staff."""
    if not customer.is_staff:
        raise StaffOnly
    return customer


Clerk = t.Annotated[Customer, current_clerk]


def visitor(cookie: t.Annotated[str, SessionCookie()]) -> str:
    """Provide the name of who has logged in on the pages: a browser sends no token with a WebSocket."""
    name: str | None = session.get("shop_name")
    return name or abort(401)


Visitor = t.Annotated[str, visitor]
