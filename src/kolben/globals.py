"""The names that follow the current context: ``request``, ``session``, ``g``, ``current_app``.

One context variable holds the innermost context that was pushed, an application context or a
request context. Everything here reads that one variable. Each kind of context answers the same two
questions, ``app_context`` (the application context in force) and ``request_context`` (the request
context in force, or None), so that no proxy needs to know which kind is on top.
"""

from __future__ import annotations

import typing as t
from contextvars import ContextVar

from werkzeug.local import LocalProxy

if t.TYPE_CHECKING:
    from .app import Flask
    from .ctx import AppContext, RequestContext, _AppCtxGlobals
    from .sessions import SessionMixin
    from .websockets import WebSocket
    from .wrappers import Request

T = t.TypeVar("T")
D = t.TypeVar("D")

_current: ContextVar[AppContext | RequestContext] = ContextVar("kolben.context")
# PERF: bound once, because CPython makes a method anew for each call on an imported name (0.04 µs).
get_current = _current.get
set_current = _current.set
reset_current = _current.reset

_NO_APP = """\
Working outside of application context.

current_app, g and url_for need to know which application they belong to. Inside a request that \
is known; elsewhere (a script, a shell, a test) wrap the code in "with app.app_context():".\
"""
#: What is wrong where a request is needed and there is none.
NO_REQUEST = """\
Working outside of request context.

request, session and whatever reads them exist only while a request is handled. In a test, wrap \
the code in "with app.test_request_context():"; in a background task, pass it the values it needs; \
around a generator that is streamed, put stream_with_context().\
"""
_NO_WEBSOCKET = """\
Working outside of websocket context.

websocket exists only while a WebSocket is handled, in a function that @app.websocket has registered \
and in the hooks around it.\
"""


def _find_app_context() -> AppContext:
    context = get_current(None)
    if context is None:
        raise RuntimeError(_NO_APP)
    return context.app_context


def find_request_context() -> RequestContext:
    """Return the request context in force.

    :raises RuntimeError: outside a request.
    """
    context = get_current(None)
    if context is None or (found := context.request_context) is None:
        raise RuntimeError(NO_REQUEST)
    return found


def current_request_context() -> RequestContext | None:
    """Return the request context in force; None outside a request."""
    context = get_current(None)
    return None if context is None else context.request_context


def find_app() -> Flask:
    """Return the application at work.

    :raises RuntimeError: outside a context.
    """
    context = get_current(None)
    if context is None:
        raise RuntimeError(_NO_APP)
    return context.app


def _find_g() -> _AppCtxGlobals:
    context: t.Any = get_current(None)
    if context is None:
        raise RuntimeError(_NO_APP)
    # PERF: in a request, g needs no application context around it (0.4 µs).
    found: _AppCtxGlobals | None = context.own_g
    return context.make_g() if found is None else found


def _find_request() -> Request:
    context: t.Any = get_current(None)
    if context is None:
        raise RuntimeError(NO_REQUEST)
    request: Request | None = context.seen_request
    return context.make_request() if request is None else request


def _find_session() -> SessionMixin:
    context: t.Any = get_current(None)
    try:
        # PERF: a session that is open already, without the property that opens it (0.05 µs).
        session: SessionMixin | None = context.opened_session
    except AttributeError:  # no context, or that of an application
        session = None
    if session is None:
        return find_request_context().session
    session.accessed = True
    return session


def _find_websocket() -> WebSocket:
    context = get_current(None)
    found: WebSocket | None = None
    if context is not None:
        found = getattr(context.request_context, "websocket", None)
    if found is None:
        raise RuntimeError(_NO_WEBSOCKET)
    return found


class _About:
    """What ``help()`` says of a proxy: what it says of the object behind it, or outside a context what
    the proxy is for.
    """

    def __get__(self, proxy: _Proxy[t.Any] | None, owner: type) -> str | None:
        if proxy is None:
            return LocalProxy.__doc__
        try:
            return t.cast("str | None", proxy._get_current_object().__doc__)
        except RuntimeError:
            return proxy._help


_about: t.Any = _About()


# PERF: Werkzeug looks each operation up through a descriptor that binds it anew (0.75 µs an attribute
# on Python 3.13); a plain method on the proxy does the same in 0.2 µs.
class _Proxy(LocalProxy[T]):
    __slots__ = ("_help", "_named")
    __doc__ = _about

    _help: str
    _named: str

    def __init__(self, find: t.Callable[[], T], name: str, about: str) -> None:
        super().__init__(find)
        # The function itself: one frame less on each access than Werkzeug's wrapper of it.
        object.__setattr__(self, "_get_current_object", find)
        object.__setattr__(self, "_named", name)
        object.__setattr__(self, "_help", about)

    @property
    def __name__(self) -> str:
        # Asked for by help(), which is to work outside a context, too.
        try:
            found: t.Any = self._get_current_object()
        except RuntimeError:
            return self._named
        name: str = found.__name__
        return name

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._get_current_object(), name)

    def __setattr__(self, name: str, value: t.Any) -> None:
        setattr(self._get_current_object(), name, value)

    def __getitem__(self, key: t.Any) -> t.Any:
        return self._get_current_object()[key]  # type: ignore[index]

    def __setitem__(self, key: t.Any, value: t.Any) -> None:
        self._get_current_object()[key] = value  # type: ignore[index]

    def __contains__(self, key: t.Any) -> bool:
        return key in self._get_current_object()  # type: ignore[operator]


# PERF: CPython 3.11 looks for an attribute on the proxy first, and makes an AttributeError, before it
# asks __getattr__: 0.35 µs an attribute instead of 0.08. What the proxy has itself are special names.
_OF_PROXY = frozenset(name for name in dir(_Proxy) if name.startswith("_")) | {"_help", "_named"}
_own_attribute = object.__getattribute__


class _RequestProxy(_Proxy["Request"]):
    __slots__ = ()
    __doc__ = _about

    def __getattribute__(self, name: str) -> t.Any:
        if name in _OF_PROXY:
            return _own_attribute(self, name)
        context: t.Any = get_current(None)
        if context is None:
            raise RuntimeError(NO_REQUEST)
        request: Request | None = context.seen_request
        return getattr(context.make_request() if request is None else request, name)


class _GProxy(_Proxy["_AppCtxGlobals"]):
    __slots__ = ()
    __doc__ = _about

    def __getattribute__(self, name: str) -> t.Any:
        if name in _OF_PROXY:
            return _own_attribute(self, name)
        context: t.Any = get_current(None)
        if context is None:
            raise RuntimeError(_NO_APP)
        found: _AppCtxGlobals | None = context.own_g
        return getattr(context.make_g() if found is None else found, name)

    def __setattr__(self, name: str, value: t.Any) -> None:
        context: t.Any = get_current(None)
        if context is None:
            raise RuntimeError(_NO_APP)
        found: _AppCtxGlobals | None = context.own_g
        setattr(context.make_g() if found is None else found, name, value)

    def __contains__(self, key: t.Any) -> bool:
        return key in _find_g()


class _AppProxy(_Proxy["Flask"]):
    __slots__ = ()
    __doc__ = _about

    def __getattribute__(self, name: str) -> t.Any:
        if name in _OF_PROXY:
            return _own_attribute(self, name)
        context = get_current(None)
        if context is None:
            raise RuntimeError(_NO_APP)
        return getattr(context.app, name)


_required: t.Any = object()

# What an unbound proxy calls itself, as it always has.
for _proxy_class in t.cast("tuple[t.Any, ...]", (_Proxy, _RequestProxy, _GProxy, _AppProxy)):
    _proxy_class.__name__ = LocalProxy.__name__


class _ContextView(t.Generic[T]):
    """Reads one kind of context, with the ``get`` of a context variable.

    Programs written for Flask read its two context variables; here they are two views of one.
    """

    __slots__ = ("_find", "name")

    def __init__(self, name: str, find: t.Callable[[], T]) -> None:
        self.name = name
        self._find = find

    @t.overload
    def get(self) -> T: ...
    @t.overload
    def get(self, default: D) -> T | D: ...
    def get(self, default: t.Any = _required) -> t.Any:
        """Return the context in force.

        :param default: returned where there is none.
        :raises LookupError: if there is none and no default was given.
        """
        try:
            return self._find()
        except RuntimeError:
            if default is _required:
                raise LookupError(self.name) from None
            return default


_cv_app: _ContextView[AppContext] = _ContextView("kolben.app_context", _find_app_context)
_cv_request: _ContextView[RequestContext] = _ContextView(
    "kolben.request_context", find_request_context
)

_ABOUT = {
    "request": """The request that is being handled, a :class:`kolben.Request`.

.. code-block:: python

    @app.get("/hello")
    def hello():
        return f"Hello, {request.args.get('name', 'World')}!"

``request.args`` has what follows the ``?``, ``form`` and ``files`` what a form has sent, ``get_json()``
what a client has sent as JSON; ``method``, ``path``, ``headers`` and ``cookies`` are what they are called.

Outside a request there is none: in a test, ``with app.test_request_context("/hello?name=Ada"):`` makes
one.
""",
    "session": """What is kept for one visitor from request to request: a dictionary.

.. code-block:: python

    @app.post("/login")
    def log_in():
        session["user"] = request.form["user"]
        return redirect("/")

It is in a cookie that is signed with ``app.secret_key`` and not encrypted: the visitor can read it, and
cannot change it. A change inside of a value, such as ``session["cart"].append(1)``, is not noticed: set
``session.modified = True`` then.
""",
    "g": """A place for what belongs to one request: any attribute can be set, and is gone afterwards.

.. code-block:: python

    @app.before_request
    def find_user():
        g.user = session.get("user")

``g.get("user")`` gives None where it was not set, and ``"user" in g`` tells. Outside a request it belongs
to the application context that ``with app.app_context():`` makes.
""",
    "current_app": """The application that is at work, a :class:`kolben.Flask`.

.. code-block:: python

    @blueprint.get("/limit")
    def limit():
        return str(current_app.config["MAX_CONTENT_LENGTH"])

For code that does not import the application itself: blueprints, extensions, and whatever is used by
several applications. Outside a request ``with app.app_context():`` says which one it is.
""",
    "websocket": """The WebSocket that is being handled, a :class:`kolben.WebSocket`.

.. code-block:: python

    @app.websocket("/echo")
    async def echo():
        async for message in websocket:
            await websocket.send(message)
""",
    "app_ctx": """The application context in force, with ``app``, ``g`` and ``url_adapter``.

Programs read :data:`kolben.current_app` and :data:`kolben.g` instead.
""",
    "request_ctx": """The request context in force, with ``app``, ``request`` and ``session``.

Programs read :data:`kolben.request` and :data:`kolben.session` instead.
""",
}


def _proxy(
    name: str, find: t.Callable[[], t.Any], proxy_class: type[_Proxy[t.Any]] = _Proxy
) -> t.Any:
    return proxy_class(find, name, _ABOUT[name])


app_ctx: AppContext = _proxy("app_ctx", _find_app_context)
request_ctx: RequestContext = _proxy("request_ctx", find_request_context)
current_app: Flask = _proxy("current_app", find_app, _AppProxy)
g: _AppCtxGlobals = _proxy("g", _find_g, _GProxy)
request: Request = _proxy("request", _find_request, _RequestProxy)
session: SessionMixin = _proxy("session", _find_session)
websocket: WebSocket = _proxy("websocket", _find_websocket)
