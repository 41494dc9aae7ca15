"""Functions that provide values: called once, and gone on with when the answer is complete."""

import asyncio
import threading
import typing as t

import pytest

from gateways import Gateway
from kolben import Flask, nonblocking, websocket
from kolben.api import (
    API,
    APIBlueprint,
    APIKey,
    Basic,
    Bearer,
    Header,
    OAuth2,
    SessionCookie,
    Struct,
    given,
)
from kolben.async_testing import WebSocketDenied
from kolben.views import MethodView, View

seen: list[str] = []


class User(Struct):
    name: str


def session() -> t.Iterator[str]:
    seen.append("open")
    try:
        yield "db"
    except BaseException as error:
        seen.append(type(error).__name__)
        raise
    else:
        seen.append("commit")
    finally:
        seen.append("close")


async def waiting() -> t.AsyncIterator[str]:
    seen.append("wait")
    try:
        yield "waited"
    except BaseException as error:
        seen.append(f"async {type(error).__name__}")
        raise
    seen.append("waited")


def current_user(token: Bearer, db: t.Annotated[str, session]) -> str:
    seen.append("user")
    return f"{token}@{db}"


async def language(accept_language: Header[str] = "en") -> str:
    return accept_language


def failing() -> t.Iterator[None]:
    yield
    raise ZeroDivisionError


DB = t.Annotated[str, session]
Me = t.Annotated[str, current_user]
Language = t.Annotated[str, language]
BEARER = [("authorization", "Bearer ann")]


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


def api() -> API:
    api = API("api_providers")

    @api.get("/plain")
    def plain(user: Me, db: DB) -> User:
        seen.append("view")
        return User(f"{user} {db}")

    @api.get("/async")
    async def waits(db: DB, user: Me, more: t.Annotated[str, waiting], lang: Language) -> User:
        seen.append("view")
        return User(f"{user} {db} {more} {lang}")

    @api.get("/mixed")
    def mixed(db: DB, lang: Language, more: t.Annotated[str, waiting]) -> User:
        seen.append("view")
        return User(f"{db} {lang} {more}")

    @api.get("/fails")
    def fails(db: DB, n: int = 0) -> User:
        raise KeyError("lost")

    @api.get("/fails-async")
    async def fails_async(db: DB, more: t.Annotated[str, waiting]) -> User:
        raise KeyError("lost")

    @api.get("/fails-late")
    def fails_late(a: t.Annotated[None, failing], db: DB) -> User:
        return User("x")

    return api


def test_each_provider_is_called_once_and_before_those_that_need_it(gateway: Gateway) -> None:
    reply = gateway.get(api(), "/plain", headers=BEARER)
    assert reply.text == '{"name":"ann@db db"}'
    assert seen == ["open", "user", "view", "commit", "close"]


@pytest.mark.parametrize(
    ("provider_is_marked", "is_async", "on_loop"),
    [
        (True, False, [True, True]),
        (False, False, [False, False]),
        (True, True, [True, True]),
        (False, True, [False, True]),
    ],
)
def test_views_and_providers_that_never_block(
    provider_is_marked: bool, is_async: bool, on_loop: list[bool]
) -> None:
    """A view that is marked runs on the loop where all that provides for it does, too."""
    where: list[bool] = []

    def note() -> str:
        where.append(threading.current_thread() is threading.main_thread())
        return "noted"

    if provider_is_marked:
        nonblocking(note)
    app = API("program")

    @app.get("/plain")
    @nonblocking
    def plain(noted: t.Annotated[str, note], number: int = 0) -> User:
        where.append(threading.current_thread() is threading.main_thread())
        return User(f"{noted} {number}")

    @app.get("/async")
    async def later(noted: t.Annotated[str, note], number: int = 0) -> User:
        where.append(threading.current_thread() is threading.main_thread())
        return User(f"{noted} {number}")

    reply = Gateway("asgi").get(app, f"/{'async' if is_async else 'plain'}?number=3")
    assert (reply.status, reply.text) == (200, '{"name":"noted 3"}')
    assert where == on_loop


@pytest.mark.parametrize("on_blueprint", [False, True])
@pytest.mark.parametrize("provider_is_marked", [False, True])
def test_a_route_can_say_that_its_view_never_blocks(
    on_blueprint: bool, provider_is_marked: bool
) -> None:
    where: list[bool] = []

    def note() -> str:
        where.append(threading.current_thread() is threading.main_thread())
        return "noted"

    if provider_is_marked:
        nonblocking(note)
    app = API("program")
    blueprint = APIBlueprint("blueprint", __name__)
    owner: t.Any = blueprint if on_blueprint else app

    @owner.get("/plain", blocking=False)
    def plain(noted: t.Annotated[str, note], number: int = 0) -> User:
        where.append(threading.current_thread() is threading.main_thread())
        return User(f"{noted} {number}")

    @owner.get("/untyped", blocking=False)
    def untyped():  # type: ignore[no-untyped-def]
        where.append(threading.current_thread() is threading.main_thread())
        return "untyped"

    app.register_blueprint(blueprint)
    assert Gateway("asgi").get(app, "/plain").text == '{"name":"noted 0"}'
    assert Gateway("asgi").get(app, "/untyped").text == "untyped"
    assert where == [provider_is_marked, provider_is_marked, True]


def test_plain_and_asynchronous_ones_go_with_either_kind_of_view(gateway: Gateway) -> None:
    reply = gateway.get(api(), "/async", headers=BEARER)
    assert reply.text == '{"name":"ann@db db waited en"}'
    assert seen == ["open", "user", "wait", "view", "waited", "commit", "close"]
    seen.clear()
    reply = gateway.get(api(), "/mixed", headers=[("accept-language", "de")])
    assert reply.text == '{"name":"db de waited"}'
    assert seen == ["open", "wait", "view", "waited", "commit", "close"]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/fails", ["open", "KeyError", "close"]),
        ("/fails-async", ["open", "wait", "async KeyError", "KeyError", "close"]),
    ],
)
def test_a_provider_sees_the_exception_of_the_view(
    gateway: Gateway, path: str, told: list[str]
) -> None:
    assert gateway.get(api(), path).status == 500
    assert seen == told


def test_what_fails_afterwards_is_a_500(gateway: Gateway) -> None:
    assert gateway.get(api(), "/fails-late").status == 500
    assert seen == ["open", "commit", "close"]


def test_nothing_is_provided_for_a_request_that_is_refused(gateway: Gateway) -> None:
    assert gateway.get(api(), "/fails?n=x").status == 422
    assert seen == []


def test_who_asks_comes_before_what_is_asked(gateway: Gateway) -> None:
    app = API("api_first")

    @app.get("/")
    def view(n: int, user: Me) -> User: ...

    reply = gateway.get(app, "/?n=x")
    assert (reply.status, reply.header("www-authenticate")) == (401, "Bearer")
    assert gateway.get(app, "/?n=x", headers=BEARER).status == 422
    assert seen == ["open", "user", "InvalidRequest", "close"]


def test_stand_ins_for_tests(gateway: Gateway) -> None:
    app = api()
    assert gateway.get(app, "/plain").status == 401
    with app.replacing({current_user: lambda: "bob"}):
        assert gateway.get(app, "/plain").text == '{"name":"bob db"}'
        with app.replacing({session: lambda: "other"}):
            assert gateway.get(app, "/plain").text == '{"name":"bob other"}'
    assert gateway.get(app, "/plain").status == 401


def test_credentials_are_read() -> None:
    app = API("api_credentials")

    @app.get("/basic")
    def basic(who: Basic) -> list[str]:
        return [who.username, who.password]

    @app.get("/key")
    def key(key: t.Annotated[str, APIKey("X-Key")]) -> list[str]:
        return [key]

    @app.get("/oauth")
    def oauth(token: t.Annotated[str, OAuth2(token_url="/token", scopes={"a": "b"})]) -> list[str]:
        return [token]

    @app.get("/cookie")
    def cookie(key: t.Annotated[str, SessionCookie()]) -> list[str]:
        return [key]

    @app.get("/perhaps")
    def perhaps(token: Bearer = given) -> list[str | None]:
        return [token]

    client = app.test_client()
    assert client.get("/basic", auth=("ann", "s:cret")).json == ["ann", "s:cret"]
    assert client.get("/basic", headers={"Authorization": "Basic !!"}).status_code == 401
    assert client.get("/basic", headers={"Authorization": "Bearer x"}).status_code == 401
    assert client.get("/key", headers={"X-Key": "k"}).json == ["k"]
    assert client.get("/key").status_code == 401
    assert client.get("/oauth", headers={"Authorization": "bearer t"}).json == ["t"]
    assert client.get("/perhaps").json == [None]
    client.set_cookie("session", "s")
    assert client.get("/cookie").json == ["s"]
    paths = client.get("/openapi.json").json["paths"]
    assert paths["/basic"]["get"]["security"] == [{"basic": []}]
    assert paths["/oauth"]["get"]["security"] == [{"oauth2": ["a"]}]
    assert paths["/perhaps"]["get"]["security"] == [{"bearer": []}, {}]
    assert "401" in paths["/key"]["get"]["responses"]
    assert "401" not in paths["/perhaps"]["get"]["responses"]


def test_a_blueprint_asks_who_for_all_of_its_views() -> None:
    api = APIBlueprint("v1", __name__, url_prefix="/v1", auth=current_user, tags=["users"])
    inner = APIBlueprint("inner", __name__, url_prefix="/in", tags=["inner"])
    public = APIBlueprint("public", __name__, url_prefix="/public", auth=None)

    @api.get("/me")
    def me(user: Me) -> User:
        return User(user)

    @inner.get("/ping")
    def ping() -> bool:
        return True

    @public.get("/ping")
    def open_to_all() -> bool:
        return True

    api.register_blueprint(inner)
    api.register_blueprint(public)
    app = Flask("blueprints")
    app.register_blueprint(api)
    client = app.test_client()
    assert client.get("/v1/me").status_code == 401
    assert client.get("/v1/me", headers=dict(BEARER)).json == {"name": "ann@db"}
    assert seen.count("user") == 1
    assert client.get("/v1/in/ping").status_code == 401
    assert client.get("/v1/in/ping", headers=dict(BEARER)).json is True
    assert client.get("/v1/public/ping").json is True
    paths = client.get("/v1/openapi.json").json["paths"]
    assert paths["/v1/in/ping"]["get"]["tags"] == ["users", "inner"]
    assert paths["/v1/in/ping"]["get"]["security"] == [{"bearer": []}]
    assert "security" not in paths["/v1/public/ping"]["get"]
    with api.replacing({current_user: lambda: "bob"}):
        assert client.get("/v1/me").json == {"name": "bob"}


def token_of(token: Bearer) -> str:
    return token


class Things(MethodView):
    def get(self, n):  # type: ignore[no-untyped-def]
        return f"get {n}"

    def post(self, **values):  # type: ignore[no-untyped-def]
        return f"post {values}"


class Whole(View):
    init_every_request = False

    def dispatch_request(self):  # type: ignore[no-untyped-def]
        return "whole"


def guarded() -> Flask:
    app = Flask("guarded")
    blueprint = APIBlueprint("b", __name__, auth=token_of)

    @blueprint.get("/named/<int:n>")
    def named(n, page=1):  # type: ignore[no-untyped-def]
        return f"{n} {page}"

    @blueprint.get("/all/<int:n>/<name>")
    def everything(**values):  # type: ignore[no-untyped-def]
        return str(sorted(values.items()))

    @blueprint.get("/coroutine")
    async def coroutine():  # type: ignore[no-untyped-def]
        return {"a": 1}, 201, {"X-A": "b"}

    @blueprint.get("/open", auth=None)
    def opened():  # type: ignore[no-untyped-def]
        return "open"

    blueprint.add_url_rule("/things/<int:n>", view_func=Things.as_view("things"))
    blueprint.add_url_rule("/whole", view_func=Whole.as_view("whole"))
    app.register_blueprint(blueprint)
    return app


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/named/3?page=7", "3 1"),
        ("/all/3/x", "[('n', 3), ('name', 'x')]"),
        ("/coroutine", '{"a":1}\n'),
        ("/things/4", "get 4"),
        ("/whole", "whole"),
    ],
)
def test_a_blueprint_asks_who_for_its_untyped_views_too(
    gateway: Gateway, path: str, text: str
) -> None:
    assert gateway.get(guarded(), path).status == 401
    assert gateway.get(guarded(), path, headers=[("authorization", "Bearer t")]).text == text
    assert gateway.get(guarded(), "/open").text == "open"


def test_untyped_views_behind_a_guard_are_not_in_the_document() -> None:
    client = guarded().test_client()
    assert client.post("/things/4").status_code == 401
    reply = client.post("/things/4", headers={"Authorization": "Bearer t"})
    assert reply.text == "post {'n': 4}"
    assert client.get("/openapi.json").json["paths"] == {}
    assert client.get("/docs").status_code == 200


def test_a_websocket_that_is_not_typed_asks_who_too() -> None:
    app = Flask("sockets")
    blueprint = APIBlueprint("b", __name__, auth=token_of)

    @blueprint.websocket("/<int:n>")
    async def handler(n):  # type: ignore[no-untyped-def]
        await websocket.send(f"{n}")

    app.register_blueprint(blueprint)

    async def run() -> str | bytes:
        client = app.async_test_client()
        with pytest.raises(WebSocketDenied) as denied:
            async with client.websocket("/3"):
                pass
        assert denied.value.response.status_code == 401
        headers = {"Authorization": "Bearer t"}
        async with client.websocket("/3", headers=headers) as ws:
            return await ws.receive()

    assert asyncio.run(run()) == "3"


def test_a_class_with_one_instance_is_not_open_and_guarded() -> None:
    class Single(MethodView):
        init_every_request = False

        def get(self) -> int:
            return 1

    app = API("single")
    app.add_url_rule("/open", view_func=Single.as_view("open"))
    guarded = APIBlueprint("guarded", __name__, url_prefix="/g", auth=token_of)
    guarded.add_url_rule("/", view_func=Single.as_view("closed"))
    with pytest.raises(TypeError, match="Single has one instance"):
        app.register_blueprint(guarded)
