"""Sessions: what is kept for one visitor between requests.

The session lives in a cookie that is signed but not encrypted: the visitor can read it and cannot
change it. Its format is that of :mod:`itsdangerous`::

    base64(JSON with tags) "." base64(time of signing) "." base64(HMAC-SHA1 of all before it)

with a leading dot where the JSON is compressed. A :class:`SessionInterface` of your own in
:attr:`Flask.session_interface <kolben.Flask.session_interface>` keeps sessions elsewhere.

There are two ways through :class:`SecureCookieSessionInterface`. The general way asks itsdangerous.
The short way does the same for a cookie in its everyday form with what can be prepared once; it
only ever says "this is valid, and this is in it". Every doubt, and so every refusal and every
error, is left to the general way.
"""

from __future__ import annotations

import functools
import hashlib
import typing as t
from binascii import b2a_base64
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from operator import itemgetter

from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.datastructures import CallbackDict
from werkzeug.http import dump_cookie, http_date
from werkzeug.sansio.response import Response as _BaseResponse

from . import signing, tables
from .config import ConfigAttribute
from .json.tag import TaggedJSONSerializer
from .wrappers import Response

if t.TYPE_CHECKING:
    from .app import Flask
    from .wrappers import Request


_DOUBT: t.Any = object()


class SessionMixin(MutableMapping[str, t.Any]):
    """What a session has beyond the methods of a dictionary."""

    @property
    def permanent(self) -> bool:
        """Whether the session outlives the browser, for ``PERMANENT_SESSION_LIFETIME``. It is kept
        in the session under ``_permanent``.
        """
        return bool(self.get("_permanent", False))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)

    #: Whether the session was made in this request. Not every kind of session knows.
    new = False

    #: Whether the session was changed. A kind that cannot tell leaves it true.
    modified = True

    #: Whether the session was looked at, through ``session``, in this request. The response then
    #: says ``Vary: Cookie``.
    accessed = False

    def regenerate(self) -> None:
        """Go on under a new id, where the session has one: it is kept on the server.

        To be called where rights change, at log-in above all, so that an id that another visitor has
        seen or has set is worth nothing afterwards. A session in a cookie has no id, and is just sent
        again. What is in the session stays.
        """
        self.modified = True


class SecureCookieSession(  # pyright: ignore[reportIncompatibleMethodOverride]
    CallbackDict[str, t.Any], SessionMixin
):
    """The session kept in a signed cookie.

    :attr:`modified` becomes true when a key is set or removed. A change inside of a value, such as
    an item appended to a list, is not seen; set :attr:`modified` then.

    :param initial: the first items.
    """

    modified = False

    def __init__(
        self, initial: Mapping[str, t.Any] | Iterable[tuple[str, t.Any]] | None = None
    ) -> None:
        # PERF: the callback is a method of the class, so that no closure is made for each session
        # (0.35 µs of 0.9), and sessions can be pickled.
        if initial is None:
            dict.__init__(self)
        else:
            dict.__init__(self, initial)

    @staticmethod
    def on_update(session: SecureCookieSession) -> None:
        """Note that the session was changed."""
        session.modified = True

    def __setitem__(self, key: str, value: t.Any) -> None:
        # PERF: Werkzeug's method does this through a decorator, in 0.45 µs instead of 0.2.
        dict.__setitem__(self, key, value)
        self.on_update(self)

    def pop(self, key: str, default: t.Any = _DOUBT) -> t.Any:
        """Remove a key and return its value, or *default*.

        :raises KeyError: if it is not there and there is no default.
        """
        # PERF: Werkzeug's method goes through super() twice, in 0.6 µs instead of 0.3.
        modified = key in self
        value = dict.pop(self, key) if default is _DOUBT else dict.pop(self, key, default)
        if modified:
            self.on_update(self)
        return value


class NullSession(SecureCookieSession):
    """The session of an application without a secret key: it can be read, it is empty, and writing
    to it says what is missing.
    """

    def _fail(self, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
        raise RuntimeError(
            "The session is unavailable because no secret key was set. Set the secret_key of the"
            " application to something unique and secret."
        )

    __setitem__ = __delitem__ = clear = pop = popitem = update = setdefault = _fail


def _lazy_sha1(string: bytes = b"") -> t.Any:
    """Return a SHA-1 hash object. The name is looked up when it is needed, since some builds of
    Python come without SHA-1 and an application can choose another digest there.

    :param string: what is hashed, as bytes.
    """
    return hashlib.sha1(string)  # noqa: S324 - the format has it, inside of an HMAC


#: Writes and reads the content of session cookies. Register tags for further types here.
session_json_serializer = TaggedJSONSerializer()


class SessionInterface:
    """Opens the session when a request starts to use it and saves it after the request.

    Subclasses define :meth:`open_session` and :meth:`save_session`; the other methods read the
    settings. One object serves all requests, so it keeps nothing of a single one. A session is
    opened when it is first looked at, at the latest when the response is saved.
    """

    #: The class that :meth:`make_null_session` makes.
    null_session_class = NullSession

    #: Whether the content is pickled. Extensions can read it.
    pickle_based = False

    @property
    def _needs_only_cookie(self) -> bool:
        """Whether :meth:`_open_cookie` may stand in for :meth:`open_session`."""
        return False

    def _open_cookie(self, app: Flask, cookie: str | None) -> SessionMixin | None:
        """Return the session in the cookie, given without its request."""
        raise NotImplementedError

    def make_null_session(self, app: Flask) -> NullSession:
        """Return the session to use where :meth:`open_session` returned None.

        :param app: the application.
        """
        return self.null_session_class()

    def is_null_session(self, obj: object) -> bool:
        """Say whether the object is a session made by :meth:`make_null_session`.

        :param obj: what :meth:`open_session` has returned.
        """
        return isinstance(obj, self.null_session_class)

    def get_cookie_name(self, app: Flask) -> str:
        """Return the name of the session cookie, ``SESSION_COOKIE_NAME``.

        :param app: the application.
        """
        name: str = app.config["SESSION_COOKIE_NAME"]
        return name

    def get_cookie_domain(self, app: Flask) -> str | None:
        """Return the domain that the cookie is for with all that is below it,
        ``SESSION_COOKIE_DOMAIN``. None: only the very host that set it.

        :param app: the application.
        """
        domain: str | None = app.config["SESSION_COOKIE_DOMAIN"]
        return domain

    def get_cookie_path(self, app: Flask) -> str:
        """Return the path that the cookie is for, ``SESSION_COOKIE_PATH`` or else
        ``APPLICATION_ROOT``.

        :param app: the application.
        """
        config = app.config
        path: str = config["SESSION_COOKIE_PATH"] or config["APPLICATION_ROOT"]
        return path

    def get_cookie_httponly(self, app: Flask) -> bool:
        """Say whether scripts in the browser cannot read the cookie,
        ``SESSION_COOKIE_HTTPONLY``.

        :param app: the application.
        """
        httponly: bool = app.config["SESSION_COOKIE_HTTPONLY"]
        return httponly

    def get_cookie_secure(self, app: Flask) -> bool:
        """Say whether the cookie is sent over HTTPS only, ``SESSION_COOKIE_SECURE``.

        :param app: the application.
        """
        secure: bool = app.config["SESSION_COOKIE_SECURE"]
        return secure

    def get_cookie_samesite(self, app: Flask) -> str | None:
        """Return ``"Strict"``, ``"Lax"``, ``"None"`` or None, ``SESSION_COOKIE_SAMESITE``.

        :param app: the application.
        """
        samesite: str | None = app.config["SESSION_COOKIE_SAMESITE"]
        return samesite

    def get_cookie_partitioned(self, app: Flask) -> bool:
        """Say whether the cookie is kept apart for each top-level site,
        ``SESSION_COOKIE_PARTITIONED``.

        :param app: the application.
        """
        partitioned: bool = app.config["SESSION_COOKIE_PARTITIONED"]
        return partitioned

    def _cookie_settings(self, app: Flask) -> dict[str, t.Any]:
        return {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "partitioned": self.get_cookie_partitioned(app),
            "samesite": self.get_cookie_samesite(app),
            "httponly": self.get_cookie_httponly(app),
        }

    def get_expiration_time(self, app: Flask, session: SessionMixin) -> datetime | None:
        """Return when the cookie expires; None: with the browser session.

        :param app: the application.
        :param session: the session.
        """
        if session.permanent:
            return datetime.now(UTC) + app.permanent_session_lifetime
        return None

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        """Say whether the response sets the cookie: the session was changed, or it is permanent and
        ``SESSION_REFRESH_EACH_REQUEST`` is on.

        :param app: the application.
        :param session: the session.
        """
        return session.modified or (
            session.permanent and bool(app.config["SESSION_REFRESH_EACH_REQUEST"])
        )

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        """Return the session of a request.

        It must have the methods of a dictionary and those of :class:`SessionMixin`. None means
        that sessions cannot be used, for want of a setting: a null session takes its place.

        :param app: the application.
        :param request: the request.
        """
        raise NotImplementedError

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Keep the session, and tell the browser by the response's headers. Called after each
        request, except for null sessions.

        :param app: the application.
        :param session: the session.
        :param response: the response, which gets the cookie.
        """
        raise NotImplementedError


class SecureCookieSessionInterface(SessionInterface):
    """Keeps sessions in signed cookies, with :mod:`itsdangerous`."""

    #: Mixed with the secret key, so that signatures made for another purpose do not pass.
    salt = "cookie-session"

    #: The hash function of the signature.
    digest_method: t.Callable[..., t.Any] = staticmethod(_lazy_sha1)

    #: How itsdangerous derives the signing key from the secret key and the salt.
    key_derivation = "hmac"

    #: Turns the content of the session into text and back.
    serializer: t.Any = session_json_serializer

    #: The class of the sessions.
    session_class = SecureCookieSession

    def __setattr__(self, name: str, value: t.Any) -> None:
        object.__setattr__(self, name, value)
        tables.touch()  # what was prepared holds no longer

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        tables.touch()

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return the itsdangerous serializer that signs with ``SECRET_KEY`` and also accepts
        ``SECRET_KEY_FALLBACKS``; None without a secret key.

        :param app: the application.
        """
        if not app.secret_key:
            return None
        keys: list[t.Any] = [*(app.config["SECRET_KEY_FALLBACKS"] or ()), app.secret_key]
        return signing.Serializer(
            keys,
            salt=self.salt,
            serializer=self.serializer,
            signer_kwargs={
                "key_derivation": self.key_derivation,
                "digest_method": self.digest_method,
            },
        )

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session in the request's cookie, an empty one where the cookie is missing,
        forged or too old, and None where the application has no secret key.

        :param app: the application.
        :param request: the request.
        """
        return self._open_cookie(app, None, request)

    @property
    def _needs_only_cookie(self) -> bool:
        return getattr(self.open_session, "__func__", None) is _OPEN_SESSION

    def _open_cookie(
        self, app: Flask, cookie: str | None, request: Request | None = None
    ) -> SecureCookieSession | None:
        prepared = self._prepare(app)
        mac = prepared.mac
        # A program's own is asked for once for each session, and first, as on Flask.
        signer = self.get_signing_serializer(app) if mac is None else None
        if signer is None and mac is None:
            return None
        if request is not None:
            cookie = request.cookies.get(self.get_cookie_name(app))
        if not cookie:
            return self.session_class()
        if mac is not None:
            content = signing.read(mac, self.serializer, cookie, prepared.lifetime)
            if type(content) is dict:
                return self.session_class(content)
        if signer is None:
            signer = t.cast("URLSafeTimedSerializer", self.get_signing_serializer(app))
        try:
            return self.session_class(signer.loads(cookie, max_age=prepared.lifetime))
        except BadSignature:
            pass
        except Exception as error:
            # Of another version of the program, or written by who has the key.
            app.logger.warning(
                "A session cookie with a valid signature cannot be read, so the session is empty: %r",
                error,
            )
        return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set the session cookie on the response, delete it where the session was emptied, and
        say ``Vary: Cookie`` where the response depends on it.

        :param app: the application.
        :param session: the session.
        :param response: the response, which gets the cookie.
        """
        prepared = self._prepare(app)
        # A program's own settings may be others for each request.
        asked = None if prepared.is_plain else self._ask(app)
        if session.accessed:
            vary_on_cookie(response)
        if session:
            if not self.should_set_cookie(app, session):
                return
            self._set_cookie(app, session, response, prepared, asked)
        elif session.modified:
            name, settings = asked or self._ask(app)
            response.delete_cookie(name, **settings)
        else:
            return
        if not session.accessed:
            vary_on_cookie(response)

    def _ask(self, app: Flask) -> _Asked:
        return self.get_cookie_name(app), self._cookie_settings(app)

    def _has_plain_settings(self, app: Flask) -> bool:
        """Tell whether what the cookie is signed and sent with follows from the configuration alone."""
        app_class: t.Any = type(app)
        return (
            type(self) is SecureCookieSessionInterface
            and not self.__dict__
            and _keeps_settings_in_config(app_class)
            and all(
                getattr(SecureCookieSessionInterface, name) is ours
                for name, ours in _STOCK_MEMBERS.items()
            )
        )

    def session_headers(self, app: Flask, session: SessionMixin) -> list[tuple[str, str]] | None:
        """Return the headers that :meth:`save_session` adds to a response without ``Vary``.

        None where only :meth:`save_session` can tell, because a subclass replaced it or because
        the cookie is unusual.

        :param app: the application.
        :param session: the session.
        """
        if getattr(self.save_session, "__func__", None) is not _SAVE_SESSION:
            return None
        if not (session and self.should_set_cookie(app, session)):
            if session or not session.modified:
                return [_VARY] if session.accessed else []
            return None
        prepared = self._prepare(app)
        cookie = self._cookie_header(app, session, prepared, None) if prepared.is_plain else None
        if cookie is None:
            return None
        header = ("Set-Cookie", cookie)
        return [_VARY, header] if session.accessed else [header, _VARY]

    def needs_refresh(self, cookie: str) -> bool:
        """Say whether a session cookie that was not opened may hold a permanent session, which
        ``SESSION_REFRESH_EACH_REQUEST`` sends again. The signature is not looked at.

        :param cookie: the value of the cookie.
        """
        # Compressed, or with one of the forms that Base64 can give the name.
        return cookie.startswith(".") or any(form in cookie for form in _PERMANENT)

    def _set_cookie(
        self,
        app: Flask,
        session: SessionMixin,
        response: Response,
        prepared: _Prepared,
        asked: _Asked | None,
    ) -> None:
        if getattr(response.set_cookie, "__func__", None) in _SET_COOKIE:
            header = self._cookie_header(app, session, prepared, asked)
            if header is not None:
                response.headers.add("Set-Cookie", header)
                return
        name, settings = asked or self._ask(app)
        expires = self.get_expiration_time(app, session)
        signer = t.cast("URLSafeTimedSerializer", self.get_signing_serializer(app))
        value = signer.dumps(dict(session))
        limit: int = app.config["MAX_COOKIE_SIZE"]
        if limit:
            whole = dump_cookie(name, value, expires=expires, max_size=0, **settings)
            _check_size(app, len(whole), limit)
        response.set_cookie(name, value, expires=expires, **settings)

    def _cookie_header(
        self, app: Flask, session: SessionMixin, prepared: _Prepared, asked: _Asked | None
    ) -> str | None:
        """Return the ``Set-Cookie`` header the short way, None where that cannot be done."""
        frame = prepared.frame if asked is None else _find_frame(*asked)
        if prepared.mac is None or frame is None:
            return None
        (before, behind), tail = frame
        expires = self.get_expiration_time(app, session)
        value = signing.write(prepared.mac, self.serializer, dict(session))
        if expires is None:
            header = f"{before}{value}{behind}{tail}"
        else:
            header = f"{before}{value}{behind}; Expires={_http_date(expires)}{tail}"
        # The general way says so where browsers will not take it.
        return None if prepared.limit and len(header) > prepared.limit else header

    def _prepare(self, app: Flask) -> _Prepared:
        """Return what the settings say about the cookie.

        PERF: settings hardly ever change, and they tell. What was made of them is found in 0.08 µs.
        Where they do not tell, comparing them with those that it was made from takes 0.7 µs; asking
        for each, and deriving from it, 2.5.
        """
        plan: t.Any = getattr(app, "engine_plan", None)
        known = _NOT_PREPARED if plan is None else plan.session_cookie
        if known[0] is tables.mark and known[1] is self:
            prepared: _Prepared = known[2]
            return prepared
        mark = tables.mark
        if not self._has_plain_settings(app):
            return self._prepare_anew(app, None)
        prepared = self._compare_settings(app)
        if plan is not None and isinstance(app.config, tables.Table):
            plan.session_cookie = mark, self, prepared
        return prepared

    def _compare_settings(self, app: Flask) -> _Prepared:
        settings = _settings(app.config)
        # Everything in an entry follows from the settings in it, whichever application has the number now.
        known = _prepared.get(id(app))
        if known is None or known[0] != settings or not _same_flags(known[0], settings):
            if len(_prepared) >= _MOST_PREPARED:
                _prepared.clear()
            known = _prepared[id(app)] = settings, self._prepare_anew(app, self._ask(app))
        return known[1]

    def _prepare_anew(self, app: Flask, asked: _Asked | None) -> _Prepared:
        lifetime = int(app.permanent_session_lifetime.total_seconds())
        frame = None if asked is None else _find_frame(*asked)
        limit = app.config["MAX_COOKIE_SIZE"]
        return _Prepared(self._prepared_mac(app), lifetime, frame, limit, asked is not None)

    def _prepared_mac(self, app: Flask) -> signing.Mac | None:
        """Return the keyed signature function for the short way, None where it does not apply."""
        key = app.secret_key
        if (
            getattr(self.get_signing_serializer, "__func__", None) is _GET_SIGNING_SERIALIZER
            and self.digest_method is _lazy_sha1
            and self.key_derivation == "hmac"
            and type(self.serializer) is TaggedJSONSerializer
            and key
            and isinstance(key, (str, bytes))
        ):
            return signing.make_mac(key, self.salt)
        return None


class SessionTooLargeError(ValueError):
    """The session does not fit into a cookie: the browser would drop it and keep the one before."""


def _check_size(app: Flask, size: int, limit: int) -> None:
    """Say that a session cookie is too large: in debug mode and in tests by an error, else in the log.

    :param size: its size in bytes.
    :param limit: the most that browsers take.
    :raises SessionTooLargeError: if it is larger, in debug mode and in tests.
    """
    if size <= limit:
        return
    message = (
        f"The session cookie has {size} bytes, and browsers drop those of more than {limit}"
        " (MAX_COOKIE_SIZE): what this request has put into the session is lost. Put less into it, or"
        ' keep sessions on the server: SESSION_STORE = "redis://...".'
    )
    if app.debug or app.testing:
        raise SessionTooLargeError(message)
    app.logger.error(message)


class _Prepared:
    """What can be known of a session cookie before there is one."""

    __slots__ = ("frame", "is_plain", "lifetime", "limit", "mac")

    def __init__(
        self,
        mac: signing.Mac | None,
        lifetime: int,
        frame: _Frame | None,
        limit: int,
        is_plain: bool,
    ) -> None:
        self.mac = mac
        self.lifetime = lifetime
        self.frame = frame
        self.limit = limit
        #: Whether what it is sent with follows from the configuration alone, so that the frame holds.
        self.is_plain = is_plain


#: As an application has it: the tables' mark, the interface and what it has prepared.
_NOT_PREPARED: tuple[object, object, t.Any] = (None, None, None)

_prepared: dict[int, tuple[tuple[t.Any, ...], _Prepared]] = {}
_MOST_PREPARED = 64

# All that the stock interface reads of the settings to make a _Prepared.
_settings = itemgetter(
    "SECRET_KEY",
    "PERMANENT_SESSION_LIFETIME",
    "MAX_COOKIE_SIZE",
    "APPLICATION_ROOT",
    "SESSION_COOKIE_NAME",
    "SESSION_COOKIE_DOMAIN",
    "SESSION_COOKIE_PATH",
    "SESSION_COOKIE_SAMESITE",
    "SESSION_COOKIE_SECURE",
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_PARTITIONED",
)


def _same_flags(some: tuple[t.Any, ...], others: tuple[t.Any, ...]) -> bool:
    """Tell flags from numbers that are equal to them: Werkzeug writes True as ``Secure``, but 1 as
    ``Secure=1``.
    """
    return some[-3] is others[-3] and some[-2] is others[-2] and some[-1] is others[-1]


@functools.lru_cache(maxsize=64)
def _keeps_settings_in_config(app_class: type) -> bool:
    return all(
        isinstance(getattr(app_class, name, None), ConfigAttribute)
        for name in ("secret_key", "permanent_session_lifetime")
    )


_OPEN_SESSION = SecureCookieSessionInterface.open_session
_SAVE_SESSION = SecureCookieSessionInterface.save_session
# What says how the cookie is signed and sent; programs may replace it on the class, too.
_STOCK_MEMBERS = {
    name: getattr(SecureCookieSessionInterface, name)
    for name in dir(SecureCookieSessionInterface)
    if name.startswith("get_cookie_")
    or name in {"salt", "digest_method", "key_derivation", "serializer", "get_signing_serializer"}
}
_GET_SIGNING_SERIALIZER = SecureCookieSessionInterface.get_signing_serializer

# Responses that set a cookie as Werkzeug does can be given the finished header.
_SET_COOKIE = (Response.set_cookie, _BaseResponse.set_cookie)
_VARY = ("Vary", "Cookie")
_VARY_OF_OURS = Response.vary
# "_permanent" in Base64, as far as it does not depend on what stands around it, for each of the
# three places in a group where it can start.
_PERMANENT = tuple(
    b2a_base64(b"\0" * start + b"_permanent", newline=False).decode()[first:last]
    for start, first, last in ((0, 0, 13), (1, 2, 14), (2, 3, 16))
)


#: What stands before and behind the value of a cookie, and behind its expiry.
_Frame = tuple[tuple[str, str], str]

#: The name of a cookie, and what it is sent with.
_Asked = tuple[str, dict[str, t.Any]]


def _find_frame(name: str, settings: dict[str, t.Any]) -> _Frame | None:
    try:
        return _cookie_frame(name, **settings)
    except (TypeError, ValueError):
        return None  # an error to be raised when the cookie is set


@functools.lru_cache(maxsize=64, typed=True)
def _cookie_frame(
    name: str,
    domain: str | None,
    path: str,
    secure: bool,
    httponly: bool,
    samesite: str | None,
    partitioned: bool,
) -> _Frame:
    """Return what stands before and behind the value of the cookie, and behind its expiry.

    PERF: these are the same for each cookie; putting them together takes Werkzeug 9 µs.
    """
    header = dump_cookie(
        name,
        "VALUE",
        expires="EXPIRES",
        domain=domain,
        path=path,
        secure=secure,
        httponly=httponly,
        samesite=samesite,
        partitioned=partitioned,
    )
    before, _, tail = header.partition("; Expires=EXPIRES")
    start = len(name.encode()) + 1
    return (before[:start], before[start + len("VALUE") :]), tail


@functools.lru_cache(maxsize=8)
def _http_date(moment: datetime) -> str:
    return http_date(moment)


def vary_on_cookie(response: Response) -> None:
    """Say ``Vary: Cookie`` in the response.

    :param response: the response.
    """
    # PERF: building Werkzeug's set of header values takes 6 µs.
    headers = response.headers
    if "Vary" in headers or type(response).vary is not _VARY_OF_OURS:
        response.vary.add("Cookie")
    else:
        headers.add("Vary", "Cookie")
