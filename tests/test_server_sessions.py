"""Sessions that are kept on the server."""

from __future__ import annotations

import json
import pickle
import re
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import kolben
from gateways import Asked, Gateway
from kolben import Flask, session
from kolben.server_sessions import ServerSession, ServerSessionInterface, SQLStore, open_store
from kolben.sessions import SecureCookieSessionInterface


@pytest.fixture(params=["memory", "redis", "sql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "redis":
        return request.getfixturevalue("redis_url")
    return "memory" if request.param == "memory" else f"sqlite:///{tmp_path / 'sessions.db'}"


def make_app(store: Any) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config["SESSION_STORE"] = store

    @app.get("/set/<value>")
    def write(value: str) -> str:
        session["value"] = value
        return "written"

    @app.get("/get")
    def read() -> str:
        return str(session.get("value"))

    @app.get("/login")
    def login() -> str:
        session["user"] = "admin"
        session.regenerate()
        return "in"

    @app.get("/user")
    def user() -> str:
        return str(session.get("user"))

    @app.get("/logout")
    def logout() -> str:
        session.clear()
        return "out"

    @app.get("/quiet")
    def quiet() -> str:
        return "quiet"

    return app


@pytest.fixture
def app(store: Any) -> Flask:
    return make_app(store)


def cookie_of(response: Any) -> str | None:
    found = re.match(r"session=([^;]*)", response.headers.get("Set-Cookie", ""))
    return found[1] if found else None


def test_the_browser_has_an_id_and_the_server_the_content(app: Flask) -> None:
    client = app.test_client()
    response = client.get("/set/secret-thing")
    id = cookie_of(response)
    assert id
    assert re.fullmatch(r"[\w-]{43}", id)
    assert response.headers["Vary"] == "Cookie"
    assert client.get("/get").text == "secret-thing"
    assert app.test_client().get("/get").text == "None"


def test_over_both_gateways_and_in_async_views(gateway: Gateway, store: Any) -> None:
    app = make_app(store)

    @app.get("/later")
    async def later() -> str:
        session["value"] = session["value"] + "!"
        return session["value"]

    cookie = (gateway.get(app, "/set/one").header("set-cookie") or "").partition(";")[0]
    replies = [
        gateway.ask(app, Asked(path, headers=[("cookie", cookie)])).text
        for path in ("/later", "/later", "/get")
    ]
    assert replies == ["one!", "one!!", "one!!"]


def test_typed_values_come_back_as_they_were(app: Flask) -> None:
    value = {"at": datetime(2026, 1, 2, tzinfo=UTC), "pair": (1, "b"), "raw": b"\xff", "ä": "ö"}

    @app.get("/rich")
    def rich() -> dict[str, bool]:
        if "rich" not in session:
            session["rich"] = value
        return {"same": session["rich"] == value}

    client = app.test_client()
    assert client.get("/rich").json == {"same": True}
    assert client.get("/rich").json == {"same": True}


def test_an_id_that_the_store_does_not_know_is_not_taken_over(app: Flask) -> None:
    """Session fixation: the attacker chooses the id."""
    client = app.test_client()
    client.set_cookie("session", "chosen-by-an-attacker")
    id = cookie_of(client.get("/set/x"))
    assert id is not None
    assert id != "chosen-by-an-attacker"


def test_at_log_in_the_session_goes_on_under_a_new_id(app: Flask) -> None:
    client, other = app.test_client(), app.test_client()
    before = cookie_of(client.get("/set/kept"))
    assert before is not None
    other.set_cookie("session", before)
    assert other.get("/get").text == "kept"
    after = cookie_of(client.get("/login"))
    assert after not in {None, before}
    assert (client.get("/user").text, client.get("/get").text) == ("admin", "kept")
    assert (other.get("/user").text, other.get("/get").text) == ("None", "None")


def test_regenerate_leaves_a_cookie_session_as_it_is() -> None:
    app = Flask(__name__)
    app.secret_key = "k"

    @app.get("/")
    def login() -> str:
        session.regenerate()
        session["user"] = "admin"
        return "in"

    client = app.test_client()
    client.get("/")
    with client.session_transaction() as content:
        assert dict(content) == {"user": "admin"}


def test_at_log_out_the_store_forgets(app: Flask) -> None:
    client, other = app.test_client(), app.test_client()
    id = cookie_of(client.get("/set/x"))
    assert id
    response = client.get("/logout")
    assert "Expires=Thu, 01 Jan 1970" in response.headers["Set-Cookie"]
    other.set_cookie("session", id)
    assert other.get("/get").text == "None"


def test_a_session_that_has_ended_is_not_brought_back_by_a_slow_request(app: Flask) -> None:
    client, other = app.test_client(), app.test_client()

    @app.get("/slow")
    def slow() -> str:
        session["value"] = "late"
        client.get("/logout")  # meanwhile
        return "done"

    id = cookie_of(client.get("/set/x"))
    assert id
    other.set_cookie("session", id)
    assert other.get("/slow").text == "done"
    third = app.test_client()
    third.set_cookie("session", id)
    assert third.get("/get").text == "None"


def test_a_session_no_view_looks_at_sets_no_cookie_and_is_not_written(app: Flask) -> None:
    client = app.test_client()
    assert "Set-Cookie" not in client.get("/quiet").headers
    assert "Set-Cookie" not in client.get("/get").headers
    client.get("/set/x")
    response = client.get("/quiet")
    assert "Set-Cookie" not in response.headers
    assert "Vary" not in response.headers


def test_tests_can_open_the_session_before_any_request(app: Flask) -> None:
    client = app.test_client()
    with client.session_transaction() as content:
        assert isinstance(content, ServerSession)
        content["value"] = "planted"
    assert client.get("/get").text == "planted"


def test_the_cookie_is_as_the_settings_say(app: Flask) -> None:
    app.config.update(
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_NAME="__Host-id",
        SESSION_COOKIE_PATH="/",
    )
    header = app.test_client().get("/set/x", base_url="https://localhost").headers["Set-Cookie"]
    assert header.startswith("__Host-id=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(header.split("; "))


def test_it_ends_when_its_time_is_over(store: Any) -> None:
    app = make_app(store)
    app.permanent_session_lifetime = timedelta(seconds=2)
    client = app.test_client()
    client.get("/set/x")
    assert client.get("/get").text == "x"
    time.sleep(2.1)  # stores count whole seconds
    assert client.get("/get").text == "None"


def test_use_keeps_a_session_alive(app: Flask) -> None:
    app.permanent_session_lifetime = timedelta(hours=2)
    client = app.test_client()
    id = cookie_of(client.get("/set/x"))
    assert id
    interface: Any = app.session_interface
    key, store = interface.key(id), interface.store
    store.set(key, store.get(key).replace(*_aged(store.get(key))), timeout=600)
    before = store.get(key)
    client.get("/get")
    after = store.get(key)
    assert int(after.split()[0]) > int(before.split()[0])
    client.get("/get")
    assert store.get(key) == after


def _aged(stored: bytes) -> tuple[bytes, bytes]:
    expires = stored.split()[0]
    return expires, str(int(expires) - 4000).encode()


@pytest.mark.parametrize("stored", [b"", b"no time", b"123 [", pickle.dumps({"a": 1}), b"9 7", 5])
def test_what_cannot_be_read_is_an_empty_session(stored: Any) -> None:
    app = make_app("memory")
    client = app.test_client()
    id = cookie_of(client.get("/set/x"))
    assert id
    interface: Any = app.session_interface
    interface.store.set(interface.key(id), stored)
    assert client.get("/get").text == "None"


def test_nothing_is_pickled_and_the_id_is_not_stored(store: Any) -> None:
    app = make_app(store)
    id = cookie_of(app.test_client().get("/set/x"))
    assert id
    interface: Any = app.session_interface
    stored = interface.store.get(interface.key(id))
    _expires, _, text = stored.decode().partition(" ")
    assert json.loads(text) == {"value": "x"}
    assert id not in interface.key(id)


def test_a_pickle_in_redis_is_never_loaded(redis_url: str) -> None:
    import redis

    class Bomb:
        def __reduce__(self) -> Any:
            return pytest.fail, ("a pickle from the store was loaded",)

    app = make_app(redis_url)
    client = app.test_client()
    id = cookie_of(client.get("/set/x"))
    assert id
    interface: Any = app.session_interface
    redis.Redis.from_url(redis_url).set(interface.key(id), b"!" + pickle.dumps(Bomb()))
    assert client.get("/get").text == "None"


class Down(Exception):
    """The store is not there."""


class DownStore:
    """A store that is not there; or that takes nothing, where it reads."""

    def __init__(self, *, reads: bool = False) -> None:
        self.reads = reads

    def get(self, key: str) -> None:
        if not self.reads:
            raise Down(key)

    def set(self, key: str, value: Any, timeout: int | None = None) -> None:
        raise Down(key)

    delete = get


@pytest.fixture(params=["redis", "sql", "object"])
def down(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A store that nobody can reach."""
    if request.param == "sql":
        return f"sqlite:///{tmp_path / 'nowhere' / 'sessions.db'}"
    if request.param == "object":
        return DownStore()
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"redis://127.0.0.1:{free.getsockname()[1]}/0"


def test_a_store_that_is_down_fails_those_that_look_into_the_session(
    down: Any, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(down)
    torn_down = []
    app.teardown_request(lambda error: torn_down.append(error))
    for path in ("/get", "/set/x", "/login", "/logout"):
        for cookie in ("session=any", "other=any"):
            needs_store = cookie != "other=any" or path in {"/set/x", "/login"}
            caplog.clear()
            torn_down.clear()
            answer = gateway.get(app, path, headers=[("cookie", cookie)])
            assert answer.status == (500 if needs_store else 200), (path, cookie)
            errors = [one for one in caplog.records if one.exc_info]
            assert (len(errors), len(torn_down)) == (needs_store, 1)
    caplog.clear()
    answer = gateway.get(app, "/quiet", headers=[("cookie", "session=any")])
    assert (answer.status, answer.text) == (200, "quiet")
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert "store of the sessions has failed" in caplog.text


@pytest.mark.parametrize(
    "use",
    [
        *("session['a']", "session.get('a')", "'a' in session", "len(session)", "list(session)"),
        *("bool(session)", "session.items()", "session.pop('a', 1)", "session.setdefault('a', 1)"),
        *("session.update(a=1)", "session.clear()", "session.permanent", "session.regenerate()"),
        *("session == {}", "dict(session)", "session.copy()", "session | {}", "flash('a')"),
        *("get_flashed_messages()", "render_template_string('{{ session.a }}')"),
    ],
)
def test_no_use_of_a_session_is_mistaken_where_its_store_is_down(use: str) -> None:
    app = Flask("program")
    app.config["SESSION_STORE"] = DownStore()
    app.get("/")(lambda: str(eval(use, vars(kolben))))
    app.errorhandler(Down)(lambda error: ("try later", 503))
    client = app.test_client()
    client.set_cookie("session", "any")
    assert client.get("/").status_code == 503
    with app.test_request_context(headers={"Cookie": "session=any"}):
        assert "Down(" in repr(kolben.session)


def test_a_session_that_cannot_be_stored_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(DownStore(reads=True))
    client = app.test_client()
    client.set_cookie("session", "any")
    assert client.get("/set/x").status_code == 500
    assert client.get("/get").status_code == 200
    assert len([one for one in caplog.records if one.exc_info]) == 1


def test_many_threads_write_into_one_database(tmp_path: Path) -> None:
    store = SQLStore(f"sqlite:///{tmp_path / 'sessions.db'}")
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for turn in range(20):
                store.set("shared", b"%d" % turn, timeout=60)
                store.set(f"own {number}", b"%d" % turn, timeout=60)
                assert store.get(f"own {number}") == b"%d" % turn
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.get("shared") == b"19"


def test_a_database_is_rid_of_what_is_over(tmp_path: Path) -> None:
    import sqlalchemy

    store = SQLStore(f"sqlite:///{tmp_path / 'sessions.db'}")
    for number in range(store.CLEAN_EACH):
        store.set(str(number), b"", timeout=-1)
    store.set("new", b"", timeout=60)
    with store.engine.begin() as connection:
        rows = connection.execute(sqlalchemy.text("select key from kolben_sessions")).all()
    assert rows == [("new",)]


# -- the setting ------------------------------------------------------------------------------


def test_without_the_setting_sessions_stay_in_cookies() -> None:
    app = Flask(__name__)
    assert type(app.session_interface) is SecureCookieSessionInterface


def test_an_interface_of_the_programs_own_is_not_replaced() -> None:
    app = make_app("memory")
    app.session_interface = mine = ServerSessionInterface(open_store("memory"), prefix="mine:")
    client = app.test_client()
    client.get("/set/x")
    assert client.get("/get").text == "x"
    assert app.session_interface is mine


def test_an_interface_of_the_programs_own_class_is_not_replaced() -> None:
    class Own(Flask):
        session_interface = SecureCookieSessionInterface()

    app = Own(__name__)
    app.secret_key = "secret"
    app.config["SESSION_STORE"] = "memory"
    app.add_url_rule("/", view_func=lambda: str(session.get("a")))
    assert app.test_client().get("/").text == "None"
    assert app.session_interface is Own.session_interface


def test_any_cache_of_cachelib_can_be_the_store(tmp_path: Path) -> None:
    from cachelib import FileSystemCache

    app = make_app(FileSystemCache(str(tmp_path / "cache")))
    client = app.test_client()
    client.get("/set/x")
    assert client.get("/get").text == "x"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("redis", "redis://127.0.0.1"),
        ("nowhere", "'nowhere'"),
        (5, "5 has no get"),
        (object(), "get()"),
    ],
)
def test_a_setting_that_names_no_store_is_an_error(setting: Any, words: str) -> None:
    with pytest.raises(ValueError, match="SESSION_STORE") as raised:
        make_app(setting).test_client().get("/quiet")
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("setting", "module", "extra"),
    [
        ("memory", "cachelib", "memory"),
        ("redis://127.0.0.1", "redis", "redis"),
        ("sqlite://", "sqlalchemy", "sql"),
    ],
)
def test_what_is_not_installed_is_named(
    setting: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RuntimeError, match=re.escape(f"kolben[{extra}]")):
        open_store(setting)


def test_applications_without_it_import_nothing_of_it() -> None:
    program = (
        "import sys, kolben; app = kolben.Flask('x'); app.test_client().get('/');"
        "print([m for m in sys.modules if 'server_sessions' in m or m in ('redis', 'cachelib')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
