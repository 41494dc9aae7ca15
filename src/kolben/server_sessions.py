"""Sessions that are kept on the server: the browser has nothing but an id.

.. code-block:: python

    app.config["SESSION_STORE"] = "redis://127.0.0.1:6379/0"

The setting names the store: ``memory`` (of one process, for tests and development), ``redis://...`` (extra
``redis``), or a database as SQLAlchemy names it, such as ``postgresql+psycopg://...`` or
``sqlite:///sessions.db`` (extra ``sql``); or it is an object with ``get``, ``set`` and ``delete``, such as any
cache of :mod:`cachelib`. Without it sessions stay in cookies (:mod:`kolben.sessions`).

What is stored is JSON with the tags of the session cookie, never a pickle, under the SHA-256 of the id: who
can read the store cannot take over a session, and who can write to it cannot run code.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
import typing as t
import weakref

from .sessions import (
    NullSession,
    SecureCookieSession,
    SessionInterface,
    session_json_serializer,
    vary_on_cookie,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .app import Flask
    from .sessions import SessionMixin
    from .wrappers import Request, Response

#: Bytes of chance in an id, as many as OWASP asks for twice over.
ID_BYTES = 32

#: The most sessions that ``memory`` keeps; the oldest go first.
MOST_IN_MEMORY = 100_000


class Store(t.Protocol):
    """Where sessions are kept, for a time. Caches of :mod:`cachelib` are such."""

    def get(self, key: str) -> t.Any:
        """Return what is kept under the key, or None.

        :param key: the key.
        """

    def set(self, key: str, value: t.Any, timeout: int | None = None) -> t.Any:
        """Keep a value under the key for so many seconds.

        :param key: the key.
        :param value: what is kept: bytes.
        :param timeout: for how many seconds; None for as long as the store likes.
        """

    def delete(self, key: str) -> t.Any:
        """Forget what is kept under the key, if anything is.

        :param key: the key.
        """


class ServerSession(SecureCookieSession):
    """A session whose content is on the server.

    :param initial: the first items.
    :param id: the id that the browser has for it; None for a new session.
    :param expires: the Unix time in seconds at which the store forgets it.
    """

    def __init__(
        self,
        initial: Mapping[str, t.Any] | Iterable[tuple[str, t.Any]] | None = None,
        id: str | None = None,
        expires: float = 0,
    ) -> None:
        super().__init__(initial)
        self.id = id
        self.new = id is None
        self.expires = expires
        # The id that it had until it got another one.
        self.old_id: str | None = None
        # Whether the store has failed to keep it.
        self.is_lost = False

    def regenerate(self) -> None:
        """Go on under a new id, and forget the old one: what else has it, has nothing any more.

        To be called where rights change, at log-in above all (OWASP: session fixation).
        """
        self.old_id = self.old_id or self.id
        self.id = None
        self.modified = True


class UnavailableSession(NullSession):
    """A session whose store has failed: whatever is asked of it ends in the store's error.

    :param error: the error.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def _fail(self, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
        raise self.error

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.error!r}>"

    __getitem__ = __contains__ = __iter__ = __reversed__ = __len__ = __eq__ = __ne__ = _fail
    __setitem__ = __delitem__ = __or__ = __ror__ = __ior__ = _fail
    get = keys = values = items = copy = regenerate = _fail
    clear = pop = popitem = update = setdefault = _fail
    __hash__ = None  # type: ignore[assignment] # as that of a dictionary


class ServerSessionInterface(SessionInterface):
    """Keeps sessions in a :class:`Store`. ``SESSION_STORE`` makes one; so can a program itself.

    :param store: the store.
    :param prefix: what the keys in the store begin with.
    """

    #: Turns the content of the session into text and back.
    serializer: t.Any = session_json_serializer
    session_class = ServerSession

    def __init__(self, store: Store, prefix: str = "session:") -> None:
        self.store = store
        self.prefix = prefix

    def key(self, id: str) -> str:
        """Return the key of a session in the store.

        :param id: the session's id.
        """
        return self.prefix + hashlib.sha256(id.encode("utf-8", "replace")).hexdigest()

    def open_session(self, app: Flask, request: Request) -> ServerSession | UnavailableSession:
        """Return the session that the request's cookie names; an empty one if the store has none.

        An id that the store does not know is not taken over: the session that follows gets a new one. Where
        the store fails, only what looks into the session fails with it.

        :param app: the application.
        :param request: the request.
        """
        id = request.cookies.get(self.get_cookie_name(app))
        try:
            stored = self.store.get(self.key(id)) if id else None
        except Exception as error:
            app.logger.warning("The store of the sessions has failed: %r", error)
            return UnavailableSession(error)
        if not stored:
            return self.session_class()
        try:
            expires, _, text = _text(stored).partition(" ")
            content = self.serializer.loads(text)
            return self.session_class(content, id, float(expires))
        except Exception:
            app.logger.warning("A stored session could not be read; it is taken for an empty one.")
            return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Store the session where it was changed, and set or delete the browser's cookie.

        :param app: the application.
        :param session: the session.
        :param response: the response, which gets the cookie.
        """
        assert isinstance(session, ServerSession)
        if session.is_lost:
            return  # the page that tells of it is sent as it is
        try:
            self._save(app, session, response)
        except Exception:
            session.is_lost = True
            raise

    def _save(self, app: Flask, session: ServerSession, response: Response) -> None:
        if session.accessed or session.modified:
            vary_on_cookie(response)
        if session.old_id is not None:
            self.store.delete(self.key(session.old_id))
        if not session:
            self._end(app, session, response)
            return
        sets_cookie = session.id is None or self.should_set_cookie(app, session)
        if not (sets_cookie or (session.accessed and self._is_aging(app, session))):
            return
        if session.id is None:
            session.id = secrets.token_urlsafe(ID_BYTES)
        elif self.store.get(self.key(session.id)) is None:
            return  # another request has ended this session meanwhile: it stays ended
        self._keep(app, session)
        if sets_cookie:
            vary_on_cookie(response)
            response.set_cookie(
                self.get_cookie_name(app),
                session.id,
                expires=self.get_expiration_time(app, session),
                **self._cookie_settings(app),
            )

    def _end(self, app: Flask, session: ServerSession, response: Response) -> None:
        if not session.modified:
            return
        if session.id is not None:
            self.store.delete(self.key(session.id))
        if session.id is not None or session.old_id is not None:
            response.delete_cookie(self.get_cookie_name(app), **self._cookie_settings(app))

    def _keep(self, app: Flask, session: ServerSession) -> None:
        seconds = int(app.permanent_session_lifetime.total_seconds())
        session.expires = time.time() + seconds
        text = f"{session.expires:.0f} {self.serializer.dumps(dict(session))}"
        self.store.set(self.key(t.cast("str", session.id)), text.encode(), timeout=seconds)

    def _is_aging(self, app: Flask, session: ServerSession) -> bool:
        """Tell whether half of the time is over, after which a session that is used is kept longer."""
        left = session.expires - time.time()
        return left < app.permanent_session_lifetime.total_seconds() / 2


def _text(stored: t.Any) -> str:
    return stored if isinstance(stored, str) else bytes(stored).decode()


# -- stores -----------------------------------------------------------------------------------


def use_configured_store(app: Flask) -> None:
    """Have an application keep its sessions where ``SESSION_STORE`` says, unless it has its own way.

    :param app: the application.
    :raises RuntimeError: if what the store needs is not installed.
    :raises ValueError: if the setting names no store.
    """
    configured = app.config["SESSION_STORE"]
    prefix: str = app.config.get("SESSION_KEY_PREFIX", "session:")
    store = open_store(configured) if isinstance(configured, str) else configured
    for name in ("get", "set", "delete"):
        if not callable(getattr(store, name, None)):
            raise ValueError(
                "SESSION_STORE must be 'memory', a URL, or an object with the methods get, set and"
                f" delete, such as a cache of cachelib; {configured!r} has no {name}()."
            )
    app.session_interface = ServerSessionInterface(store, prefix)


def open_store(url: str) -> Store:
    """Open the store that a URL names.

    :param url: ``memory``, ``redis://host:port/number`` (``rediss://`` with TLS, ``unix://`` for a socket),
        or the URL of a database as SQLAlchemy has it.
    :raises RuntimeError: if what it needs is not installed.
    :raises ValueError: if it is no such URL.
    """
    if url == "memory":
        return _open_memory()
    scheme, colon, _ = url.partition(":")
    if scheme in {"redis", "rediss", "unix"} and colon:
        return _open_redis(url)
    if "://" in url:
        return SQLStore(url)
    raise ValueError(
        f"SESSION_STORE does not say where sessions are kept: {url!r}. Say 'memory',"
        " 'redis://127.0.0.1:6379/0', or a database such as 'sqlite:///sessions.db'."
    )


class _Plain:
    """Values as they are, bytes, in place of cachelib's pickles."""

    def dumps(self, value: bytes) -> bytes:
        return value

    def loads(self, value: bytes | None) -> bytes | None:
        return value


def _open_memory() -> Store:
    cachelib = _need("cachelib", "memory")

    class Memory(cachelib.SimpleCache):  # type: ignore[misc, name-defined] # imported when it is needed
        serializer = _Plain()

    return t.cast("Store", Memory(threshold=MOST_IN_MEMORY))


def _open_redis(url: str) -> Store:
    cachelib, redis = _need("cachelib", "redis"), _need("redis", "redis")

    class Redis(cachelib.RedisCache):  # type: ignore[misc, name-defined] # imported when it is needed
        serializer = _Plain()

    return t.cast("Store", Redis(host=redis.Redis.from_url(url)))


class SQLStore:
    """Keeps sessions in a table of a database, through SQLAlchemy.

    :param url: the database, as SQLAlchemy has it; or an engine.
    :param table: the name of the table, which is made where it is missing.
    """

    #: Rows whose time is over are deleted once in so many writes.
    CLEAN_EACH = 100

    def __init__(self, url: t.Any, table: str = "kolben_sessions") -> None:
        sql = _need("sqlalchemy", "sql")
        self._sql = sql
        if isinstance(url, str):
            self.engine = sql.create_engine(url, pool_pre_ping=True)
            # Its connections are this store's to close: Python warns of those that are not closed.
            weakref.finalize(self, self.engine.dispose)
        else:
            self.engine = url
        self._table = sql.Table(
            table,
            sql.MetaData(),
            sql.Column("key", sql.String(100), primary_key=True),
            sql.Column("value", sql.LargeBinary, nullable=False),
            sql.Column("expires", sql.BigInteger, nullable=False, index=True),
        )
        self._is_ready = False
        self._lock = threading.Lock()
        self._writes = 0

    def _begin(self) -> t.Any:
        with self._lock:
            if not self._is_ready:
                self._table.metadata.create_all(self.engine)
                self._is_ready = True
        return self.engine.begin()

    def get(self, key: str) -> bytes | None:
        """Return what is kept under the key, or None.

        :param key: the key.
        """
        table = self._table
        wanted = self._sql.select(table.c.value).where(
            table.c.key == key, table.c.expires > int(time.time())
        )
        with self._begin() as connection:
            value: bytes | None = connection.execute(wanted).scalar()
        return value

    def set(self, key: str, value: bytes, timeout: int | None = None) -> None:
        """Keep a value under the key.

        :param key: the key.
        :param value: the value.
        :param timeout: for how many seconds; None for ever.
        """
        table, now = self._table, int(time.time())
        row = {"value": value, "expires": 1 << 62 if timeout is None else now + timeout}
        for _ in range(2):
            try:
                with self._begin() as connection:
                    self._clean(connection, now)
                    changed = connection.execute(
                        table.update().where(table.c.key == key).values(row)
                    )
                    if not changed.rowcount:
                        connection.execute(table.insert().values(key=key, **row))
                return
            except self._sql.exc.IntegrityError:
                continue  # another process has written it between the two
        raise RuntimeError("A session could not be stored: its row comes and goes.")

    def delete(self, key: str) -> None:
        """Forget what is kept under the key, if anything is.

        :param key: the key.
        """
        with self._begin() as connection:
            connection.execute(self._table.delete().where(self._table.c.key == key))

    def _clean(self, connection: t.Any, now: int) -> None:
        self._writes += 1
        if self._writes % self.CLEAN_EACH == 1:
            connection.execute(self._table.delete().where(self._table.c.expires <= now))


def _need(module: str, extra: str) -> t.Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise RuntimeError(
            f"SESSION_STORE needs {module!r}: install it with 'pip install \"kolben[{extra}]\"'."
        ) from None
