"""What a request knows of its connection: the body while it comes, the client, the server's state."""

from __future__ import annotations

import typing as t

from ..globals import get_current
from ..lazy import lazy, lazy_kept
from .readers import HeaderReaders
from .streaming import BODY_KEY, RECEIVE_KEY, BodyStream


class State:
    """Names and values, as attributes: ``request.state.pool``.

    :param values: the dictionary that holds them.
    """

    __slots__ = ("_values",)
    _values: t.MutableMapping[str, t.Any]

    def __init__(self, values: t.MutableMapping[str, t.Any]) -> None:
        object.__setattr__(self, "_values", values)

    def __getattr__(self, name: str) -> t.Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(
                f"The state has no {name!r}. A function of 'while_serving' gives it: yield a"
                " dictionary there."
            ) from None

    def __setattr__(self, name: str, value: t.Any) -> None:
        self._values[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self._values[name]
        except KeyError:
            raise AttributeError(f"The state has no {name!r}.") from None

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __repr__(self) -> str:
        return f"<State {dict(self._values)!r}>"


class ConnectionReaders(HeaderReaders):
    """The part of a request that is about its connection. A program may assign to all of it."""

    def body_stream(self) -> BodyStream:
        """Return the body piece by piece, for ``for`` or, in a coroutine, ``async for``.

        For bodies that are too long to be held. An ``async def`` view that reads it so needs the
        mark :func:`kolben.stream_body`; otherwise the pieces come from a temporary file.
        """
        return BodyStream(t.cast("t.Any", self))

    @lazy_kept
    def body(self) -> BodyStream:
        """The body, for ``async for piece in request.body`` or ``await request.body``, as Quart's.

        What :meth:`body_stream` says holds for it.
        """
        return self.body_stream()

    async def is_disconnected(self) -> bool:
        """Tell whether the client has left, without waiting for it: as Starlette's.

        For views that are long, to end them early. Under WSGI, which does not tell, it is False.
        """
        environ = self.environ
        receive = environ.get(RECEIVE_KEY)
        if receive is None:
            return False
        from ..asgi.body import watched

        return await watched(environ["asgi.scope"], environ[BODY_KEY], receive).has_left()

    @lazy
    def scope(self) -> t.MutableMapping[str, t.Any] | None:
        """The ASGI scope of the connection; None under WSGI."""
        return self.environ.get("asgi.scope")

    @lazy
    def state(self) -> State:
        """What the application's ``while_serving`` functions have yielded, and what the server and
        middleware have put into the scope's ``state`` (ASGI lifespan specification 2.0).

        What is set here is this request's alone.
        """
        values: t.MutableMapping[str, t.Any] | None = (self.scope or {}).get("state")
        if values is None:
            values = {}
        context = get_current(None)
        lifetime = None if context is None else context.app._lifetime
        if lifetime is not None:
            for name, value in lifetime.state.items():
                values.setdefault(name, value)
        return State(values)
