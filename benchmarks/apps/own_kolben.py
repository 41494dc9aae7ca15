"""kolben on FastPySGI, with a typed view beside the ones of all tables."""

from __future__ import annotations

from types import SimpleNamespace

from apps._flaskapi import build

import kolben
from kolben.api import API, Struct


class Person(Struct):
    name: str
    age: int
    tags: list[str]


class Greeting(Struct):
    hello: str
    next: int
    tags: list[str]


# The application is made with `module.Flask`.
app = build(SimpleNamespace(**{**vars(kolben), "Flask": API}))


@app.post("/validated")
def validated(body: Person) -> Greeting:
    return Greeting(hello=body.name, next=body.age + 1, tags=body.tags)


def serve(port: int) -> None:
    """Serve until the process is ended."""
    import fastpysgi

    fastpysgi.server.hook_sigint = 2
    fastpysgi.run(app, "127.0.0.1", port, loglevel=fastpysgi.LL_ERROR)
