"""Sessions: the cookie is Flask's, the short way agrees with itsdangerous, and what is sent when."""

from __future__ import annotations

import base64
import copy
import hmac
import pickle
import random
import time
import typing as t
import warnings
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from itsdangerous import BadSignature, URLSafeTimedSerializer
from markupsafe import Markup
from werkzeug.datastructures import CallbackDict
from werkzeug.http import dump_cookie

import kolben
from gateways import Gateway
from kolben.json.tag import JSONTag, TaggedJSONSerializer
from kolben.sessions import (
    NullSession,
    SecureCookieSession,
    SecureCookieSessionInterface,
    SessionInterface,
    SessionMixin,
    SessionTooLargeError,
)

NOW = 1_700_000_000.25

# Signed by Flask 3.1.3 with the key "test key" at NOW.
FLASK_COOKIES: dict[str, tuple[dict[str, t.Any], str]] = {
    "plain": (
        {"user_id": 1, "name": "letian", "visits": 17},
        (
            "eyJuYW1lIjoibGV0aWFuIiwidXNlcl9pZCI6MSwidmlzaXRzIjoxN30.ZVPxAA"
            ".iaJNOjgXoFqKNHbCaTWHswIicGA"
        ),
    ),
    "one_key": ({"a": 1}, "eyJhIjoxfQ.ZVPxAA.06Yqjl3VyDspVrqMUAYBbpKyUSE"),
    "tags": (
        {
            "t": (1, 2),
            "b": b"\xff",
            "m": Markup("<b>"),
            "u": UUID(int=5),
            "d": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
            "x": {" t": "no"},
        },
        (
            ".eJyrVkpSsqpWUgCSSvrltrZKtTpKKWARIKkUUpqqo2BgpOCVmKdgZGBkomBgbGVgYmVgquDuGwJSmgtWCiSVbJLsQAIlYA"
            "EgGW2oYxQLFCgFCwBJJQP8wBSkvQJidSbElPh4oLa8fKXa2loAU4Ao0A.ZVPxAA.mA0-ribMjEPkt5Fh6OsH70XPpt4"
        ),
    ),
    "unicode": ({"é": "爱"}, "eyJcdTAwZTkiOiJcdTcyMzEifQ.ZVPxAA.4JuRoGtT4nU2OBYiVH1JzYpz5TM"),
    "compressed": (
        {"_flashes": [("message", "Hello")] * 6},
        (
            ".eJyrVopPy0kszkgtVrKKrlZSKAFSSrmpxcWJ6alKOkoeqTk5-UqxtTqDQyq2FgBmqzgq.ZVPxAA"
            ".XR50OqgiCiRxEl4_UF1v_74gL1U"
        ),
    ),
}
INTERFACE = SecureCookieSessionInterface()


def make_app(**config: t.Any) -> kolben.Flask:
    app = kolben.Flask(__name__)
    app.config.update(SECRET_KEY="test key", **config)
    return app


def open_cookie(
    app: kolben.Flask, cookie: str | None, interface: SessionInterface = INTERFACE
) -> SessionMixin | None:
    """Open the session of a request that brings this cookie."""
    request = app.test_request_context().request
    request.cookies = {} if cookie is None else {"session": cookie}  # type: ignore[assignment]
    return interface.open_session(app, request)


def save(
    app: kolben.Flask,
    content: dict[str, t.Any],
    interface: SessionInterface = INTERFACE,
    response: kolben.Response | None = None,
    **flags: bool,
) -> list[tuple[str, str]]:
    """Save a session with this content; return the headers that it added, in order."""
    session = SecureCookieSession(content)
    session.modified = flags.get("modified", True)
    session.accessed = flags.get("accessed", True)
    if response is None:
        response = kolben.Response()
    interface.save_session(app, session, response)
    return [pair for pair in response.headers if pair[0] in ("Vary", "Set-Cookie")]


def cookie_of(headers: list[tuple[str, str]]) -> str:
    return dict(headers)["Set-Cookie"].partition(";")[0].partition("=")[2]


class Stopped(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> t.Self:
        return cls.fromtimestamp(NOW, tz)


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr("kolben.sessions.datetime", Stopped)


# ---- the cookie --------------------------------------------------------------------------


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("name", FLASK_COOKIES)
def test_flasks_cookies_are_read_and_written_to_the_byte(name: str) -> None:
    content, cookie = FLASK_COOKIES[name]
    app = make_app()
    with app.app_context():
        assert open_cookie(app, cookie) == content
        assert cookie_of(save(app, content)) == cookie


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
leaves = (
    scalars
    | st.binary()
    | st.uuids()
    | st.text().map(Markup)
    | st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)).map(
        lambda moment: moment.replace(microsecond=0)
    )
)
keys = st.text() | st.sampled_from([" t", " di", " b", "_permanent", " "])
contents = st.dictionaries(keys, scalars, min_size=1) | st.dictionaries(
    keys,
    st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner, max_size=3)
        ),
        max_leaves=8,
    ),
    min_size=1,
)
in_context = st.sampled_from([True, False])


def general(app: kolben.Flask) -> URLSafeTimedSerializer:
    serializer = INTERFACE.get_signing_serializer(app)
    assert serializer is not None
    return serializer


@given(contents, in_context)
def test_itsdangerous_reads_what_was_written(content: dict[str, t.Any], inside: bool) -> None:
    app = make_app(MAX_COOKIE_SIZE=0)
    if inside:
        with app.app_context():
            assert general(app).loads(cookie_of(save(app, content))) == content
    else:
        assert general(app).loads(cookie_of(save(app, content))) == content


@given(contents, in_context)
def test_what_itsdangerous_wrote_is_read(content: dict[str, t.Any], inside: bool) -> None:
    app = make_app()
    if inside:
        with app.app_context():
            assert open_cookie(app, t.cast(str, general(app).dumps(content))) == content
    else:
        assert open_cookie(app, t.cast(str, general(app).dumps(content))) == content


@given(contents)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_write_the_same_cookie(content: dict[str, t.Any]) -> None:
    """Beyond 64 bytes, where this side never compresses."""
    app = make_app(MAX_COOKIE_SIZE=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: NOW)
        cookie = cookie_of(save(app, content))
        expected = t.cast(str, general(app).dumps(content))
    if len(INTERFACE.serializer.dumps(content)) >= 64 or not expected.startswith("."):
        assert cookie == expected
    else:
        assert len(cookie) - len(expected) < 64


def verdict(read: Callable[[], t.Any]) -> t.Any:
    try:
        return read()
    except Exception as error:
        return type(error)


def ask_itsdangerous(app: kolben.Flask, cookie: str) -> t.Any:
    """Do with itsdangerous alone what opening a session means."""
    lifetime = int(app.permanent_session_lifetime.total_seconds())
    try:
        return SecureCookieSession(general(app).loads(cookie, max_age=lifetime))
    except BadSignature:
        return SecureCookieSession()


@given(
    content=contents,
    edits=st.lists(
        st.tuples(
            st.integers(0, 400),
            st.sampled_from([*"abAZ09-_.=+/! é", "", "."]),
            st.sampled_from(["set", "insert", "cut"]),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_a_corrupted_cookie_has_the_same_verdict(
    content: dict[str, t.Any], edits: list[tuple[int, str, str]]
) -> None:
    app = make_app()
    cookie = t.cast(str, general(app).dumps(content))
    for place, text, how in edits:
        place %= len(cookie) + 1
        rest = {"set": cookie[place + 1 :], "insert": cookie[place:], "cut": ""}[how]
        cookie = cookie[:place] + text + rest
    if cookie:
        expected = verdict(lambda: ask_itsdangerous(app, cookie))
        assert verdict(lambda: open_cookie(app, cookie)) == expected


@given(st.text() | st.text(alphabet="aZ0-_.="))
def test_any_text_has_the_same_verdict(cookie: str) -> None:
    app = make_app()
    if cookie:
        expected = verdict(lambda: ask_itsdangerous(app, cookie))
        assert verdict(lambda: open_cookie(app, cookie)) == expected


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@given(
    payload=st.sampled_from(
        [
            *(
                b"{nope",
                b"[1,2]",
                b'[["a",1]]',
                b"5",
                b"null",
                b'"ab"',
                b'""',
                b"[]",
                b"false",
                b"",
            ),
            *(b'{"a":"\xff"}', b'{" t":[1]}', b'{" u":"zz"}', b'{"x":{" b":"a"}}', b'{"a":NaN}'),
            *(b'{"a":1,"a":2}', b' {"a": 1} ', b'{" t":[["a",1]]}', b'\xef\xbb\xbf{"a":1}'),
            *('{"a":1}'.encode("utf-16"), b'{"a":"{"}', b'[["a",1],{" t":["b",2]}]'),
        ]
    ),
    form=st.sampled_from(
        [
            encode,
            base64.b64encode,
            lambda raw: b"." + encode(zlib.compress(raw)),
            lambda raw: b"." + encode(raw),
            lambda raw: encode(raw) + b"!",
            lambda raw: raw,
        ]
    ),
    stamp=st.sampled_from([0, -1, 1, 2**40, -(31 * 86400), -(31 * 86400) - 1, b"", b"!", b"a"]),
)
def test_an_odd_payload_with_a_good_signature_has_the_same_verdict(
    payload: bytes, form: Callable[[bytes], bytes], stamp: int | bytes
) -> None:
    app = make_app()
    signer = general(app).make_signer(INTERFACE.salt)
    if isinstance(stamp, int):
        stamp = encode((int(NOW) + stamp).to_bytes(8, "big").lstrip(b"\0"))
    signed = form(payload) + b"." + stamp
    cookie = (signed + b"." + signer.get_signature(signed)).decode("latin-1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: NOW)
        expected = verdict(lambda: ask_itsdangerous(app, cookie))
        opened = verdict(lambda: open_cookie(app, cookie))
    if isinstance(expected, type):
        expected = {}  # an error of Flask's: what cannot be read is an empty session
    assert opened == expected or repr(opened) == repr(expected)  # NaN


@pytest.mark.parametrize(
    ("age", "valid"), [(-10, False), (0, True), (60, True), (61, False), (9999, False)]
)
def test_an_old_cookie_is_refused(monkeypatch: pytest.MonkeyPatch, age: int, valid: bool) -> None:
    app = make_app(PERMANENT_SESSION_LIFETIME=timedelta(seconds=60))
    monkeypatch.setattr(time, "time", lambda: NOW)
    cookie = cookie_of(save(app, {"a": 1}))
    monkeypatch.setattr(time, "time", lambda: NOW + age)
    assert open_cookie(app, cookie) == ({"a": 1} if valid else {})


def test_the_key_can_change_and_old_ones_can_be_kept() -> None:
    app = make_app()
    cookie = cookie_of(save(app, {"a": 1}))
    app.secret_key = "another"
    assert open_cookie(app, cookie) == {}
    app.config["SECRET_KEY_FALLBACKS"] = ["older", "test key"]
    assert open_cookie(app, cookie) == {"a": 1}
    app.secret_key = b"test key"
    app.config["SECRET_KEY_FALLBACKS"] = None
    assert open_cookie(app, cookie) == {"a": 1}


def test_no_cookie_no_key() -> None:
    app = make_app()
    session = open_cookie(app, None)
    assert session == {}
    assert isinstance(session, SecureCookieSession)
    app.secret_key = None
    assert open_cookie(app, None) is None
    assert open_cookie(app, FLASK_COOKIES["plain"][1]) is None


WAYS_TO_SIGN = pytest.mark.parametrize(
    "change",
    [
        {"salt": "other"},
        {"key_derivation": "concat"},
        {"digest_method": staticmethod(__import__("hashlib").sha256)},
        {"serializer": __import__("json")},
        {"get_signing_serializer": lambda self, app: URLSafeTimedSerializer("x", salt="y")},
    ],
    ids=lambda change: next(iter(change)),
)


@WAYS_TO_SIGN
def test_a_subclass_signs_its_own_way(change: dict[str, t.Any]) -> None:
    app = make_app()
    mine = type("Mine", (SecureCookieSessionInterface,), change)()
    cookie = cookie_of(save(app, {"a": [1]}, mine))
    assert mine.get_signing_serializer(app).loads(cookie) == {"a": [1]}
    assert open_cookie(app, cookie, mine) == {"a": [1]}
    if "serializer" not in change:
        assert open_cookie(app, cookie) == {}


@WAYS_TO_SIGN
def test_what_is_put_on_the_class_signs_while_it_is_there(
    change: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()

    @app.get("/")
    def view() -> str:
        kolben.session["a"] = 1
        return ""

    def sign() -> str:
        header = app.test_client().get("/").headers["Set-Cookie"]
        return header.partition(";")[0].partition("=")[2]

    def loads(cookie: str) -> t.Any:
        signer = SecureCookieSessionInterface().get_signing_serializer(app)
        assert signer is not None
        return signer.loads(cookie)

    stock = sign()
    for name, value in change.items():
        monkeypatch.setattr(SecureCookieSessionInterface, name, value)
    changed = sign()
    assert loads(changed) == {"a": 1}
    if "serializer" not in change:
        with pytest.raises(BadSignature):
            loads(stock)
    monkeypatch.undo()
    assert loads(sign()) == {"a": 1}


def test_attributes_set_on_the_interface_count_at_once() -> None:
    app, interface = make_app(), SecureCookieSessionInterface()
    cookie = cookie_of(save(app, {"a": 1}, interface))
    interface.salt = "other"
    assert open_cookie(app, cookie, interface) == {}
    assert open_cookie(app, cookie_of(save(app, {"a": 1}, interface)), interface) == {"a": 1}


def test_a_tag_registered_later_is_used() -> None:
    class TagInt(JSONTag):
        __slots__ = ()
        key = " i"

        def check(self, value: t.Any) -> bool:
            return type(value) is int

        def to_json(self, value: t.Any) -> t.Any:
            return hex(value)

        def to_python(self, value: t.Any) -> t.Any:
            return int(value, 16)

    app, interface = make_app(), SecureCookieSessionInterface()
    interface.serializer = TaggedJSONSerializer()
    interface.serializer.register(TagInt, index=0)
    cookie = cookie_of(save(app, {"a": 17, "b": 18}, interface))
    assert base64.urlsafe_b64decode(cookie.split(".")[0] + "==").count(b'" i"') == 2
    assert open_cookie(app, cookie, interface) == {"a": 17, "b": 18}


def test_the_applications_json_provider_writes_the_content() -> None:
    app = make_app()
    app.json.sort_keys = False  # type: ignore[attr-defined]
    with app.app_context():
        cookie = cookie_of(save(app, {"b": 1, "a": 2}))
    assert base64.urlsafe_b64decode(cookie.split(".")[0] + "==") == b'{"b":1,"a":2}'


@given(st.dictionaries(st.text(), st.integers()), st.booleans())
def test_a_permanent_session_is_noticed_unopened(
    content: dict[str, t.Any], permanent: bool
) -> None:
    app = make_app(MAX_COOKIE_SIZE=0)
    content.pop("_permanent", None)
    if permanent:
        content["_permanent"] = True
    cookie = t.cast(str, general(app).dumps(content))
    if permanent or not cookie.startswith("."):
        assert INTERFACE.needs_refresh(cookie) is permanent


@pytest.mark.parametrize(("cookie", "answer"), [("", False), (".x", True), ("a", False)])
def test_an_odd_cookie_may_be_permanent(cookie: str, answer: bool) -> None:
    assert INTERFACE.needs_refresh(cookie) is answer


# ---- the headers -------------------------------------------------------------------------

VARY = ("Vary", "Cookie")
DELETED = "session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Path=/"


@pytest.mark.parametrize("accessed", [False, True])
@pytest.mark.parametrize("modified", [False, True])
@pytest.mark.parametrize("content", [{}, {"a": 1}, {"a": 1, "_permanent": True}], ids=str)
@pytest.mark.parametrize("refresh", [False, True])
def test_what_is_sent_when(
    content: dict[str, t.Any], modified: bool, accessed: bool, refresh: bool
) -> None:
    app = make_app(SESSION_REFRESH_EACH_REQUEST=refresh)
    headers = save(app, content, modified=modified, accessed=accessed)
    sends = modified or (refresh and "_permanent" in content)
    assert [name for name, _ in headers] == (
        (["Vary", "Set-Cookie"] if accessed else ["Set-Cookie", "Vary"])
        if sends
        else (["Vary"] if accessed else [])
    )
    if sends:
        value = dict(headers)["Set-Cookie"]
        assert value == DELETED if not content else value.endswith("; HttpOnly; Path=/")
        assert ("Expires=" in value) is (not content or "_permanent" in content)


@pytest.mark.parametrize(
    ("before", "after"),
    [("Accept", "Accept, Cookie"), ("Cookie", "Cookie"), ("A, cookie", "A, cookie")],
)
def test_vary_names_the_cookie_once(before: str, after: str) -> None:
    response = kolben.Response(headers={"Vary": before})
    save(make_app(), {"a": 1}, response=response)
    assert response.headers.getlist("Vary") == [after]


SETTINGS: list[dict[str, t.Any]] = [
    {},
    {"SESSION_COOKIE_NAME": "né"},
    {"SESSION_COOKIE_DOMAIN": ".example.com"},
    {"SESSION_COOKIE_DOMAIN": ""},
    {"SESSION_COOKIE_DOMAIN": "bücher.de"},
    {"SESSION_COOKIE_PATH": "/é y;"},
    {"APPLICATION_ROOT": "/app"},
    {"APPLICATION_ROOT": None},
    {"SESSION_COOKIE_HTTPONLY": False},
    {"SESSION_COOKIE_HTTPONLY": 1},
    {"SESSION_COOKIE_SECURE": True},
    {"SESSION_COOKIE_PARTITIONED": True},
    {"SESSION_COOKIE_SAMESITE": "lax"},
]


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("config", SETTINGS, ids=str)
@pytest.mark.parametrize("permanent", [False, True])
def test_the_cookies_attributes_are_those_of_werkzeug(
    config: dict[str, t.Any], permanent: bool
) -> None:
    app = make_app(**config)
    content = {"a": 1, "_permanent": True} if permanent else {"a": 1}
    header = dict(save(app, content))["Set-Cookie"]
    expires = Stopped.now(UTC) + app.permanent_session_lifetime if permanent else None
    assert header == dump_cookie(
        INTERFACE.get_cookie_name(app),
        t.cast(str, general(app).dumps(content)),
        domain=INTERFACE.get_cookie_domain(app),
        expires=expires,
        path=INTERFACE.get_cookie_path(app),
        secure=INTERFACE.get_cookie_secure(app),
        httponly=INTERFACE.get_cookie_httponly(app),
        samesite=INTERFACE.get_cookie_samesite(app),
        partitioned=INTERFACE.get_cookie_partitioned(app),
    )


def test_a_wrong_samesite_is_an_error() -> None:
    app = make_app(SESSION_COOKIE_SAMESITE="bad")
    with pytest.raises(ValueError, match="SameSite"):
        save(app, {"a": 1})


def test_a_cookie_that_is_too_large_is_announced() -> None:
    app = make_app(MAX_COOKIE_SIZE=60)
    with app.app_context(), pytest.warns(UserWarning, match="'session' cookie is too large"):
        headers = save(app, {"a": 1})
    assert cookie_of(headers)
    app.config["MAX_COOKIE_SIZE"] = 0
    with warnings.catch_warnings(), app.app_context():
        warnings.simplefilter("error")
        save(app, {"a": 1})


def test_a_response_with_its_own_set_cookie_is_asked() -> None:
    class Response(kolben.Response):
        def set_cookie(self, key: str, *args: t.Any, **kwargs: t.Any) -> None:
            super().set_cookie(f"__Host-{key}", *args, **kwargs)

    headers = save(make_app(), {"a": 1}, response=Response())
    assert dict(headers)["Set-Cookie"].startswith("__Host-session=")


def test_overridden_settings_are_asked() -> None:
    class Mine(SecureCookieSessionInterface):
        def get_cookie_name(self, app: kolben.Flask) -> str:
            return "mine"

        def get_expiration_time(self, app: kolben.Flask, session: SessionMixin) -> datetime:
            return datetime(2030, 1, 1, tzinfo=UTC)

        def should_set_cookie(self, app: kolben.Flask, session: SessionMixin) -> bool:
            return "hidden" not in session

    header = dict(save(make_app(), {"a": 1}, Mine()))["Set-Cookie"]
    assert header.startswith("mine=")
    assert "Expires=Tue, 01 Jan 2030 00:00:00 GMT" in header
    assert save(make_app(), {"hidden": 1}, Mine()) == [VARY]


@pytest.mark.usefixtures("frozen")
@given(
    content=st.sampled_from([{}, {"a": 1}, {"a": 1, "b": (1,)}]),
    modified=st.booleans(),
    accessed=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_headers_alone_are_those_of_saving(
    content: dict[str, t.Any], modified: bool, accessed: bool
) -> None:
    app = make_app()
    session = SecureCookieSession(content)
    session.modified, session.accessed = modified, accessed
    headers = INTERFACE.session_headers(app, session)
    if headers is not None:
        assert headers == save(app, content, modified=modified, accessed=accessed)
    else:
        assert (content, modified) == ({}, True)


def test_there_are_no_headers_alone_where_saving_was_replaced() -> None:
    class Mine(SecureCookieSessionInterface):
        def save_session(self, *args: t.Any) -> None: ...

    class OtherSigner(SecureCookieSessionInterface):
        salt = "other"
        key_derivation = "concat"

    session = SecureCookieSession({"a": 1})
    session.modified = True
    assert Mine().session_headers(make_app(), session) is None
    assert OtherSigner().session_headers(make_app(), session) is None


# ---- the objects -------------------------------------------------------------------------

CHANGES: list[tuple[str, Callable[[t.Any], t.Any], bool]] = [
    ("get", lambda s: s.get("a"), False),
    ("item", lambda s: s["a"], False),
    ("nested", lambda s: s["b"].append(1), False),
    ("or", lambda s: s | {"z": 1}, False),
    ("copy", lambda s: s.copy(), False),
    ("pop of nothing", lambda s: s.pop("z", None), False),
    ("setdefault of something", lambda s: s.setdefault("a"), False),
    ("set", lambda s: s.__setitem__("z", 1), True),
    ("delete", lambda s: s.__delitem__("a"), True),
    ("pop", lambda s: s.pop("a"), True),
    ("popitem", lambda s: s.popitem(), True),
    ("clear", lambda s: s.clear(), True),
    ("setdefault", lambda s: s.setdefault("z", 1), True),
    ("update", lambda s: s.update(a=1), True),
    ("empty update", lambda s: s.update(), True),
    ("ior", lambda s: s.__ior__({"a": 2}), True),
    ("permanent", lambda s: setattr(s, "permanent", True), True),
]


@pytest.mark.parametrize(("change", "seen"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_a_session_notices_changes(change: Callable[[t.Any], t.Any], seen: bool) -> None:
    session = SecureCookieSession({"a": 1, "b": []})
    assert (session.modified, session.accessed, session.new) == (False, False, False)
    change(session)
    assert (session.modified, session.accessed, session.new) == (seen, False, False)


def test_a_session_is_a_dictionary() -> None:
    session = SecureCookieSession([("a", 1)])
    assert isinstance(session, CallbackDict)
    assert isinstance(session, SessionMixin)
    assert repr(session) == "<SecureCookieSession {'a': 1}>"
    assert SecureCookieSession() == {}
    for other in (copy.copy(session), copy.deepcopy(session), pickle.loads(pickle.dumps(session))):
        assert other == session
        assert type(other) is SecureCookieSession


def test_permanence_is_kept_in_the_session() -> None:
    session = SecureCookieSession()
    assert not session.permanent
    session.permanent = 1  # type: ignore[assignment]
    assert session == {"_permanent": True}
    assert session.permanent


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.__setitem__("a", 1),
        lambda s: s.__delitem__("a"),
        lambda s: s.clear(),
        lambda s: s.pop("a"),
        lambda s: s.popitem(),
        lambda s: s.update(a=1),
        lambda s: s.setdefault("a"),
        lambda s: setattr(s, "permanent", True),
    ],
)
def test_a_null_session_says_what_is_missing(change: Callable[[t.Any], t.Any]) -> None:
    interface = SessionInterface()
    session = interface.make_null_session(make_app())
    assert interface.is_null_session(session)
    assert isinstance(session, NullSession)
    assert session.get("a") is None
    with pytest.raises(RuntimeError, match=r"session is unavailable.*secret_key"):
        change(session)


def test_an_interface_of_ones_own_needs_two_methods() -> None:
    interface, app = SessionInterface(), make_app()
    with pytest.raises(NotImplementedError):
        interface.open_session(app, app.test_request_context().request)
    with pytest.raises(NotImplementedError):
        interface.save_session(app, SecureCookieSession(), kolben.Response())


# ---- through an application --------------------------------------------------------------


def test_a_session_lasts_from_request_to_request() -> None:
    app = make_app()

    @app.route("/count")
    def count() -> str:
        kolben.session["n"] = kolben.session.get("n", 0) + 1
        return str(kolben.session["n"])

    @app.route("/read")
    def read() -> str:
        return str(kolben.session.get("n"))

    @app.route("/clear")
    def clear() -> str:
        kolben.session.clear()
        return ""

    @app.route("/other")
    def other() -> str:
        return ""

    client = app.test_client()
    assert [client.get("/count").text for _ in range(3)] == ["1", "2", "3"]
    response = client.get("/read")
    assert (response.text, response.headers["Vary"]) == ("3", "Cookie")
    assert "Set-Cookie" not in response.headers
    assert "Vary" not in client.get("/other").headers
    assert client.get("/clear").headers["Set-Cookie"] == DELETED
    assert client.get("/read").text == "None"
    client.set_cookie("session", "forged.ZVPxAA.cookie")
    assert client.get("/read").text == "None"


def test_a_permanent_session_is_refreshed_also_where_no_view_looks() -> None:
    app = make_app()

    @app.route("/login")
    def login() -> str:
        kolben.session.permanent = True
        return ""

    @app.route("/other")
    def other() -> str:
        return ""

    client = app.test_client()
    client.get("/login")
    response = client.get("/other")
    assert "Expires=" in response.headers["Set-Cookie"]
    assert response.headers["Vary"] == "Cookie"
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    assert "Set-Cookie" not in client.get("/other").headers


def change_nothing() -> str:
    return "text"


def read_one() -> t.Any:
    return kolben.session.get("n", "none")


def write_one() -> t.Any:
    kolben.session["n"] = "é"
    return {"n": kolben.session["n"]}


def write_deeply() -> t.Any:
    kolben.session["deep"] = [{"at": (1, Markup("<b>"))}, b"x"]
    return [1, 2]


def write_without_reading() -> t.Any:
    kolben.request_ctx._session["n"] = 1  # type: ignore[attr-defined]
    return "text", 201


def make_permanent() -> str:
    kolben.session.permanent = True
    return "text"


def empty() -> str:
    kolben.session.clear()
    return "text"


def flash_and_read() -> t.Any:
    messages = kolben.get_flashed_messages(with_categories=True)
    kolben.flash("Saved.", "info")
    return [list(pair) for pair in t.cast("t.Any", messages)]


def write_too_much() -> str:
    kolben.session["n"] = "".join(map(chr, range(32, 4500)))
    return "text"


def answer_with_vary() -> t.Any:
    kolben.session["n"] = 1
    return kolben.Response("text", headers={"Vary": "Accept"})


@pytest.mark.parametrize(
    "view",
    [
        change_nothing,
        read_one,
        write_one,
        write_deeply,
        write_without_reading,
        make_permanent,
        empty,
        flash_and_read,
        write_too_much,
        answer_with_vary,
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.filterwarnings("ignore:The 'session' cookie is too large")
@pytest.mark.usefixtures("frozen")
def test_a_response_object_changes_nothing(view: t.Any, method: str) -> None:
    """Each answer is the same where a hook wants to see the response and where none does."""

    def answers(hooked: bool) -> list[t.Any]:
        app = make_app()
        app.add_url_rule("/", view_func=view)
        app.add_url_rule("/other", "other", change_nothing)
        if hooked:
            app.after_request(lambda response: response)
        client = app.test_client()
        got = [client.open(path, method=method) for path in ("/", "/", "/other", "/")]
        return [(r.status, list(r.headers), r.data) for r in got]

    assert answers(hooked=False) == answers(hooked=True)


def test_a_cookie_read_before_is_still_too_old_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(PERMANENT_SESSION_LIFETIME=60)
    now = [NOW]
    monkeypatch.setattr(time, "time", lambda: now[0])
    cookie = cookie_of(save(app, {"n": 1}))
    for seconds, expected in ((0, {"n": 1}), (60, {"n": 1}), (61, {}), (-1, {}), (30, {"n": 1})):
        now[0] = NOW + seconds
        assert open_cookie(app, cookie) == expected


@pytest.mark.usefixtures("frozen")
def test_a_cookie_read_before_is_not_shared() -> None:
    app = make_app()
    cookie = cookie_of(save(app, {"n": [1]}))
    first, second = t.cast("t.Any", [open_cookie(app, cookie) for _ in range(2)])
    first["n"].append(2)
    assert second == {"n": [1]}
    assert open_cookie(app, cookie) == {"n": [1]}
    app.secret_key = "another"
    assert open_cookie(app, cookie) == {}


@pytest.mark.usefixtures("frozen")
def test_settings_changed_between_requests_count_at_once() -> None:
    app = make_app()
    save(app, {"n": 1})
    app.config.update(
        SESSION_COOKIE_NAME="other", SESSION_COOKIE_PATH="/sub", SESSION_COOKIE_SECURE=True
    )
    header = dict(save(app, {"n": 1}))["Set-Cookie"]
    assert header.startswith("other=")
    assert header.endswith("; Secure; HttpOnly; Path=/sub")


@pytest.mark.usefixtures("frozen")
def test_settings_in_a_plain_dictionary_count_at_once() -> None:
    app = make_app()
    save(app, {"n": 1})
    app.config = t.cast("t.Any", {**app.config})
    save(app, {"n": 1})
    app.config["SESSION_COOKIE_NAME"] = "other"
    assert dict(save(app, {"n": 1}))["Set-Cookie"].startswith("other=")


def test_an_application_may_keep_its_settings_elsewhere() -> None:
    class App(kolben.Flask):
        secret_key = "from the class"
        permanent_session_lifetime = timedelta(seconds=5)

    app = App(__name__)
    header = save(app, {"n": 1})
    assert open_cookie(app, cookie_of(header)) == {"n": 1}
    app.secret_key = "another"
    assert open_cookie(app, cookie_of(header)) == {}


def test_a_number_in_place_of_a_flag_is_not_taken_for_the_flag() -> None:
    app = make_app()
    written = []
    for flag in (True, 1, True):
        app.config["SESSION_COOKIE_HTTPONLY"] = flag
        with app.test_request_context():
            kolben.session["a"] = 1
            response = app.process_response(app.response_class())
            written.append(response.headers["Set-Cookie"].split("; ")[1:])
    assert written == [["HttpOnly", "Path=/"], ["HttpOnly=1", "Path=/"], ["HttpOnly", "Path=/"]]


# -- keys and sizes ---------------------------------------------------------------------------


def _rotating(key: str, fallbacks: list[str] | None = None) -> kolben.Flask:
    app = kolben.Flask(__name__)
    app.config.update(SECRET_KEY=key, SECRET_KEY_FALLBACKS=fallbacks)
    app.add_url_rule("/set", "set", lambda: kolben.session.setdefault("name", "kept"))
    app.add_url_rule("/get", "get", lambda: str(kolben.session.get("name")))
    app.add_url_rule("/more", "more", lambda: kolben.session.update(more=1) or "more")
    return app


def _cookie_under(app: kolben.Flask, path: str = "/set", cookie: str = "") -> str:
    client = app.test_client()
    if cookie:
        client.set_cookie("session", cookie)
    return client.get(path).headers["Set-Cookie"].partition(";")[0].removeprefix("session=")


def _name_under(app: kolben.Flask, cookie: str) -> str:
    client = app.test_client()
    client.set_cookie("session", cookie)
    return client.get("/get").text


def test_keys_rotate_without_a_session_lost() -> None:
    old = _cookie_under(_rotating("old key"))
    both = _rotating("new key", ["old key"])
    assert _name_under(both, old) == "kept"
    # What is written is signed with the new one.
    renewed = _cookie_under(both, "/more", old)
    assert _name_under(_rotating("new key"), renewed) == "kept"
    assert _name_under(_rotating("old key"), renewed) == "None"
    # When the old one is taken away, what it has signed ends.
    assert _name_under(_rotating("new key"), old) == "None"


def test_a_key_is_rotated_while_the_application_runs() -> None:
    app = _rotating("old key")
    old = _cookie_under(app)
    assert _name_under(app, old) == "kept"
    app.config.update(SECRET_KEY="new key", SECRET_KEY_FALLBACKS=["old key"])
    assert _name_under(app, old) == "kept"
    app.config["SECRET_KEY_FALLBACKS"] = None
    assert _name_under(app, old) == "None"


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    app = _rotating("key")
    cookie = _cookie_under(app)
    compared: list[tuple[bytes, bytes]] = []
    own = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return own(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert _name_under(app, cookie) == "kept"
    assert len(compared) == 1
    # Not the last character: two of its bits say nothing.
    forged = cookie[:-2] + ("A" if cookie[-2] != "A" else "B") + cookie[-1]
    assert _name_under(app, forged) == "None"
    # By the short way, and then by itsdangerous for each key.
    assert len(compared) >= 2


def _writing(size: int, **settings: t.Any) -> kolben.Flask:
    app = kolben.Flask(__name__)
    app.config.update(SECRET_KEY="key", **settings)
    noise = random.Random(1).randbytes(size).hex()
    app.add_url_rule("/", "index", lambda: kolben.session.update(noise=noise) or "ok")
    return app


@pytest.mark.parametrize("setting", ["DEBUG", "TESTING"])
def test_a_session_too_large_for_a_cookie_is_an_error_in_debug_mode_and_tests(setting: str) -> None:
    app = _writing(4000, **{setting: True})
    with pytest.raises(SessionTooLargeError, match=r"\d{4} bytes.* 4093 .*SESSION_STORE"):
        app.test_client().get("/")


@pytest.mark.filterwarnings("ignore:The 'session' cookie is too large")
def test_a_session_too_large_for_a_cookie_is_logged_in_production(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """It is sent all the same, as by Flask: clients other than browsers may take it."""
    reply = gateway.get(_writing(4000), "/")
    assert reply.status == 200
    cookie = reply.header("set-cookie")
    assert cookie is not None
    (entry,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert str(len(cookie)) in entry.getMessage()


def test_the_limit_can_be_moved_and_taken_away() -> None:
    for limit in (20_000, 0):
        reply = _writing(4000, DEBUG=True, MAX_COOKIE_SIZE=limit).test_client().get("/")
        assert len(reply.headers["Set-Cookie"]) > 4093


def session_app() -> kolben.Flask:
    """An application whose views do not all look at the session."""
    app = kolben.Flask(__name__)
    app.secret_key = "test key"

    @app.get("/keep")
    def keep() -> str:
        kolben.session.permanent = True
        return "kept"

    app.add_url_rule("/text", "text", lambda: "text")
    app.add_url_rule("/json", "json", lambda: {"a": 1})
    app.add_url_rule("/odd", "odd", lambda: ("text", 299))
    return app


@pytest.mark.parametrize("path", ["/text", "/json", "/odd", "/missing"])
@pytest.mark.parametrize("hook", [False, True])
def test_a_method_replaced_on_the_interface_that_all_have_is_called_as_on_flask(
    monkeypatch: pytest.MonkeyPatch, path: str, hook: bool
) -> None:
    app = session_app()
    if hook:
        app.after_request(lambda response: response)
    client = app.test_client()
    client.get(path)
    interface: t.Any = kolben.Flask.session_interface
    calls: list[str] = []
    for name in ("open_session", "get_cookie_name"):

        def replacement(*args: t.Any, name: str = name) -> t.Any:
            calls.append(name)
            return getattr(type(interface), name)(interface, *args)

        # In its dictionary: setattr would leave the class's method on it.
        monkeypatch.setitem(vars(interface), name, replacement)
    client.get(path)
    # Once to open the session, and once for the cookie that it is saved in.
    assert calls == ["open_session", "get_cookie_name", "get_cookie_name"]
    monkeypatch.undo()
    calls.clear()
    client.get(path)
    assert calls == []


def test_a_cookies_name_replaced_on_the_interface_is_the_one_that_is_sent_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = session_app()
    monkeypatch.setitem(
        vars(kolben.Flask.session_interface), "get_cookie_name", lambda app: "other"
    )
    client = app.test_client()
    assert client.get("/keep").headers["Set-Cookie"].startswith("other=")
    assert client.get("/json").headers["Set-Cookie"].startswith("other=")


@pytest.mark.parametrize("cookie", [None, "forged", "good"])
def test_a_serializer_of_ones_own_is_asked_for_once_to_open_a_session(cookie: str | None) -> None:
    app = session_app()
    made = []

    class Interface(SecureCookieSessionInterface):
        def get_signing_serializer(self, app: t.Any) -> t.Any:
            made.append(1)
            return super().get_signing_serializer(app)

    app.session_interface = Interface()
    client = app.test_client()
    if cookie == "good":
        client.get("/keep")
        app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    elif cookie:
        client.set_cookie("session", cookie)
    made.clear()
    client.get("/text")
    assert len(made) == 1
