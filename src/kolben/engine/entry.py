"""How an ASGI server enters an application. Costs a program that never sees one next to nothing."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ..app import Flask


class ASGIApp:
    """An application as an ASGI 3 callable.

    An object, and not a bound method, because servers look at ``__call__`` to tell ASGI 3 from
    ASGI 2 and from WSGI, and that of a bound method is not a coroutine function.

    :param app: the application.
    """

    __slots__ = ("app",)

    def __init__(self, app: Flask) -> None:
        self.app = app

    async def __call__(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        """Serve one connection.

        :param scope: what is known of it.
        :param receive: gives the client's messages.
        :param send: takes ours.
        """
        # Imported by the first call: under WSGI neither the gateway nor asyncio is needed.
        from ..asgi.gateway import serve_connection

        # PERF: from now on servers call the gateway itself; a coroutine in between takes 0.3 µs. What an
        # agent has put in this place stays there.
        if ASGIApp.__call__ is _first_call:
            setattr(ASGIApp, "__call__", serve_connection)  # noqa: B010 (type checkers know methods as constant)
        await serve_connection(self, scope, receive, send)


_first_call = ASGIApp.__call__


class asgi_entry:  # noqa: N801 (used as an attribute, as property is)
    """The attribute :attr:`.Flask.asgi_app`; assigning to it replaces it on the application."""

    @t.overload
    def __get__(self, app: None, owner: type) -> t.Self: ...
    @t.overload
    def __get__(self, app: Flask, owner: type) -> ASGIApp: ...
    def __get__(self, app: Flask | None, owner: type) -> t.Self | ASGIApp:
        return self if app is None else ASGIApp(app)
