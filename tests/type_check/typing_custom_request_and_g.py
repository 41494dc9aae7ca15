"""A program that types its own `request`, `g` and `session`."""

from __future__ import annotations

import dataclasses
import typing as t

import kolben
from kolben import Flask, Request
from kolben.ctx import _AppCtxGlobals  # pyright: ignore[reportPrivateUsage] (the documented base)
from kolben.sessions import SecureCookieSession, SecureCookieSessionInterface


@dataclasses.dataclass
class User:
    name: str


class TenantRequest(Request):
    """A request that knows whose site was asked for."""

    @property
    def tenant(self) -> str:
        return self.host.partition(".")[0]


class Globals(_AppCtxGlobals):
    """What this program keeps during a request."""

    user: User | None
    started: float


class Session(SecureCookieSession):
    """What this program remembers of a visitor."""

    @property
    def cart(self) -> list[int]:
        return t.cast("list[int]", self.setdefault("cart", []))


class SessionInterface(SecureCookieSessionInterface):
    session_class = Session


class Application(Flask):
    request_class = TenantRequest
    app_ctx_globals_class = Globals
    session_interface = SessionInterface()


request = t.cast(TenantRequest, kolben.request)
g = t.cast(Globals, kolben.g)
session = t.cast(Session, kolben.session)
app = Application(__name__)


@app.before_request
def load_user() -> None:
    g.started = 1.5
    g.user = User("lena") if request.authorization else None


@app.get("/")
def index() -> str:
    t.assert_type(request.tenant, str)
    t.assert_type(request.args.get("page", 1, type=int), int)
    t.assert_type(g.started, float)
    return g.user.name if g.user is not None else request.tenant


@app.post("/cart/<int:item>")
def add(item: int) -> dict[str, t.Any]:
    session.cart.append(item)
    session.modified = True
    t.assert_type(session.cart, list[int])
    return {"cart": session.cart}


@app.get("/dynamic")
def dynamic() -> dict[str, t.Any]:
    # Without a class of one's own, any attribute of `g` is there and is of any type.
    kolben.g.anything = 1
    return {"anything": kolben.g.anything, "path": kolben.request.path}
