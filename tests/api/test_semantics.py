"""A typed view is to everything around it what the same view written by hand is."""

import gc
import threading
import typing as t
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug.exceptions import Forbidden, HTTPException, NotFound

from gateways import Asked, Gateway, call_wsgi
from kolben import Blueprint, Flask, Response, g, jsonify, request, session, signals
from kolben.api import API, APIBlueprint, InvalidRequest, Meta, Struct
from kolben.views import MethodView, View
from pythons import frees_functions


class Item(Struct):
    name: str


def typed() -> Flask:
    api = API("api_typed")

    @api.post("/items/<int:n>")
    def item(n: int, body: Item, q: int = 1) -> Item:
        session["seen"] = n
        g.items = q
        return Item(f"{body.name} {n} {q}")

    return api


def by_hand() -> Flask:
    app = Flask("by_hand")

    @app.post("/items/<int:n>")
    def item(n: int) -> Response:
        session["seen"] = n
        g.items = request.args.get("q", 1, type=int)
        name = request.get_json()["name"]
        return jsonify(name=f"{name} {n} {g.items}")

    return app


def surround(app: Flask, told: list[t.Any], reads: str) -> None:
    app.secret_key = "k"
    app.json.compact = True  # type: ignore[attr-defined] # of the provider that every application has

    @app.before_request
    def before() -> None:
        told.append(("before", request.endpoint, request.view_args))
        if reads == "data":
            told.append(request.get_data())
        elif reads == "json":
            told.append(request.get_json())
        elif reads == "form":
            told.append(dict(request.form))

    @app.after_request
    def after(response: Response) -> Response:
        told.append(
            ("after", response.status_code, response.get_data().strip(), request.get_data())
        )
        response.headers["X-After"] = "1"
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        told.append(("teardown", type(error).__name__, g.get("items")))


@pytest.mark.parametrize("reads", ["nothing", "data", "json", "form"])
def test_hooks_sessions_and_teardown(gateway: Gateway, reads: str) -> None:
    seen = []
    for make in (typed, by_hand):
        app = make()
        told: list[t.Any] = []
        surround(app, told, reads)
        reply = gateway.post(
            app, "/items/3?q=7", b'{"name":"x"}', headers=[("content-type", "application/json")]
        )
        headers = sorted(name.lower() for name, _ in reply.headers)
        seen.append((told, reply.status, reply.text.strip(), headers, reply.header("x-after")))
    assert seen[0] == seen[1]
    assert seen[0][1:3] == (200, '{"name":"x 3 7"}')


def test_signals(gateway: Gateway) -> None:
    seen = []
    for make in (typed, by_hand):
        app = make()
        app.secret_key = "k"
        told: list[t.Any] = []

        def started(sender: t.Any, told: list[t.Any] = told, **extra: t.Any) -> None:
            told.append("started")

        def finished(
            sender: t.Any, response: Response, told: list[t.Any] = told, **extra: t.Any
        ) -> None:
            told.append(("finished", response.status_code))

        with (
            signals.request_started.connected_to(started, app),
            signals.request_finished.connected_to(finished, app),
        ):
            headers = [("content-type", "application/json")]
            gateway.post(app, "/items/3", b'{"name":"x"}', headers=headers)
        seen.append(told)
    assert seen[0] == seen[1] == ["started", ("finished", 200)]


def test_head_options_and_url_for() -> None:
    api = API("api_methods")

    @api.get("/items/<int:n>")
    def item(n: int) -> Item:
        return Item(str(n))

    client = api.test_client()
    head = client.head("/items/3")
    assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", "12")
    assert set(client.options("/items/3").allow) == {"GET", "HEAD", "OPTIONS"}
    with api.test_request_context():
        assert api.url_for("item", n=3) == "/items/3"


def test_views_may_be_wrapped_after_registration(gateway: Gateway) -> None:
    api = API("api_wrapped")
    told = []

    @api.get("/items/<int:n>")
    def item(n: int, q: int = 1) -> Item:
        return Item(f"{n} {q}")

    view: t.Any = api.view_functions["item"]

    def limited(*args: t.Any, **kwargs: t.Any) -> t.Any:
        told.append(kwargs)
        return view(*args, **kwargs)

    api.view_functions["item"] = limited
    assert gateway.get(api, "/items/3?q=2").text == '{"name":"3 2"}'
    assert told == [{"n": 3}]


def test_decorators_around_a_view_get_its_values_by_name() -> None:
    import functools

    api = API("api_decorated")

    def loud(view: t.Any) -> t.Any:
        @functools.wraps(view)
        def wrapper(**kwargs: t.Any) -> t.Any:
            kwargs["q"] *= 2
            return view(**kwargs)

        return wrapper

    @api.get("/items/<int:n>")
    @loud
    def item(n: int, q: int = 1) -> Item:
        return Item(f"{n} {q}")

    assert api.test_client().get("/items/3?q=2").json == {"name": "3 4"}


def test_classes_of_views(gateway: Gateway) -> None:
    api = API("api_classes")
    v1 = APIBlueprint("v1", __name__, url_prefix="/v1")

    class Items(MethodView):
        def __init__(self, prefix: str) -> None:
            self.prefix = prefix

        def get(self, n: int, q: t.Annotated[int, Meta(ge=1)] = 1) -> Item:
            """Look at one."""
            return Item(f"{self.prefix} {n} {q}")

        async def put(self, n: int, body: Item) -> Item:
            return body

        def delete(self, n):  # type: ignore[no-untyped-def]
            return "gone"

    class Shared(MethodView):
        init_every_request = False

        def get(self, q: int) -> Item:
            return Item(str(q))

    class Plain(View):
        methods: t.ClassVar[list[str]] = ["POST"]

        def dispatch_request(self, body: Item) -> Item:
            return body

    api.add_url_rule("/items/<int:n>", view_func=Items.as_view("items", "p"))
    v1.add_url_rule("/shared", view_func=Shared.as_view("shared"))
    v1.add_url_rule("/plain", view_func=Plain.as_view("plain"))
    api.register_blueprint(v1)
    json = [("content-type", "application/json")]
    assert gateway.get(api, "/items/3?q=2").text == '{"name":"p 3 2"}'
    assert gateway.get(api, "/items/3?q=0").status == 422
    assert (
        gateway.get(api, "/items/3", method="PUT", body=b'{"name":"x"}', headers=json).status == 200
    )
    assert gateway.get(api, "/items/3", method="PUT", body=b"{}", headers=json).status == 422
    assert gateway.get(api, "/items/3", method="DELETE").text == "gone"
    assert gateway.get(api, "/v1/shared?q=4").text == '{"name":"4"}'
    assert gateway.post(api, "/v1/plain", b'{"name":"x"}', headers=json).text == '{"name":"x"}'
    paths = api.test_client().get("/openapi.json").json["paths"]
    assert paths["/items/{n}"].keys() == {"get", "put"}
    assert paths["/items/{n}"]["get"]["operationId"] == "items_get"
    assert [one["name"] for one in paths["/items/{n}"]["get"]["parameters"]] == ["n", "q"]
    assert Items("x").get(1, 2) == Item("x 1 2")


def test_one_view_under_several_rules(gateway: Gateway) -> None:
    api = API("api_several")

    @api.get("/items")
    @api.get("/items/<int:n>")
    def item(n: int = 0, q: str = "") -> Item:
        return Item(f"{n} {q}")

    assert gateway.get(api, "/items?q=a").text == '{"name":"0 a"}'
    assert gateway.get(api, "/items/3").text == '{"name":"3 "}'
    paths = api.test_client().get("/openapi.json").json["paths"]
    assert paths.keys() == {"/items", "/items/{n}"}
    assert [one["name"] for one in paths["/items"]["get"]["parameters"]] == ["q"]


def test_values_of_a_prefix_are_those_of_the_url(gateway: Gateway) -> None:
    api = API("api_prefix")
    inner = APIBlueprint("inner", __name__)
    outer = APIBlueprint("outer", __name__, url_prefix="/shops/<int:shop>")

    @inner.get("/items/<name>")
    def item(shop: int, name: str) -> Item:
        return Item(f"{shop} {name}")

    outer.register_blueprint(inner, url_prefix="/in")
    api.register_blueprint(outer)
    assert gateway.get(api, "/shops/7/in/items/x").text == '{"name":"7 x"}'
    with api.test_request_context():
        assert api.url_for("outer.inner.item", shop=1, name="y") == "/shops/1/in/items/y"


def test_values_that_a_rule_gives_without_being_in_the_url(gateway: Gateway) -> None:
    api = API("api_defaults")
    v1 = APIBlueprint("v1", __name__, url_prefix="/v1", url_defaults={"version": 1})

    def item(n: int, q: str = "") -> Item:
        return Item(f"{n} {q}")

    @v1.get("/x")
    def x(version: int) -> Item:
        return Item(str(version))

    api.add_url_rule("/items", view_func=item, defaults={"n": 7})
    api.add_url_rule("/items/<int:n>", view_func=item)
    api.register_blueprint(v1)
    assert gateway.get(api, "/items?q=a").text == '{"name":"7 a"}'
    assert gateway.get(api, "/items/3").text == '{"name":"3 "}'
    assert gateway.get(api, "/v1/x").text == '{"name":"1"}'
    paths = api.test_client().get("/openapi.json").json["paths"]
    assert [one["name"] for one in paths["/items"]["get"]["parameters"]] == ["q"]


def test_values_that_a_preprocessor_takes_away(gateway: Gateway) -> None:
    api = API("api_languages")
    site = APIBlueprint("site", __name__, url_prefix="/<lang>")

    @site.url_value_preprocessor
    def take(endpoint: str | None, values: dict[str, t.Any] | None) -> None:
        g.lang = (values or {}).pop("lang")

    @site.get("/items/<int:n>")
    def item(n: int, q: int = 0) -> Item:
        return Item(f"{g.lang} {n} {q}")

    api.register_blueprint(site)
    assert gateway.get(api, "/de/items/3?q=1").text == '{"name":"de 3 1"}'
    paths = api.test_client().get("/openapi.json").json["paths"]
    (operation,) = paths.values()
    assert [one["name"] for one in operation["get"]["parameters"]] == ["n", "q", "lang"]


def test_plain_blueprints_and_static_files_are_left_alone() -> None:
    api = API("api_left")
    pages = Blueprint("pages", __name__)

    @pages.get("/page/<int:n>")
    def page(n: int) -> str:
        return str(n)

    api.register_blueprint(pages)
    assert api.view_functions["pages.page"] is page
    assert not hasattr(api.view_functions["static"], "__operation__")


def test_the_written_function_can_be_read() -> None:
    api = API("api_written")

    @api.get("/<int:n>")
    def view(n: int, q: int) -> Item:
        return Item(str(q))

    api.test_client().get("/1?q=1")
    source = t.cast("t.Any", api.view_functions["view"]).__operation__.source
    assert source.startswith("def compiled(n):\n")


def test_the_first_requests_may_come_at_once() -> None:
    for _ in range(100):
        api = API("api_race")

        @api.get("/<int:n>")
        def view(n: int, q: int) -> Item:
            return Item(f"{n} {q}")

        start = threading.Barrier(4)

        def ask(number: int, api: API = api, start: threading.Barrier = start) -> str:
            start.wait()
            return call_wsgi(api, Asked(f"/{number}?q={number}")).text

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(ask, range(4))) == [f'{{"name":"{n} {n}"}}' for n in range(4)]


@frees_functions
def test_an_application_that_is_no_longer_used_is_freed() -> None:
    def view(q: int) -> Item:
        return Item(str(q))

    def use() -> t.Any:
        api = API("api_freed")
        api.get("/")(view)
        assert api.test_client().get("/?q=1").status_code == 200
        return weakref.ref(api)

    freed = [use(), use(), use()]
    gc.collect()
    assert [ref() for ref in freed] == [None, None, None]


@pytest.mark.parametrize("debug", [True, False])
def test_errors_are_problems_in_debug_mode_too(debug: bool) -> None:
    api = API("api_debug")
    api.debug = debug

    @api.get("/")
    def view(q: int) -> Item:
        return Item(str(q))

    client = api.test_client()
    for path in ("/nowhere", "/?q=x"):
        reply = client.get(path, headers={"Accept": "text/html"})
        assert reply.headers["Content-Type"] == "application/problem+json"


def test_names_that_are_late_in_a_blueprint_of_a_plain_application() -> None:
    app = Flask("plain")
    v1 = APIBlueprint("v1", __name__)

    def view(order): ...  # type: ignore[no-untyped-def]

    view.__annotations__["order"] = "Missing"
    v1.post("/")(view)
    app.register_blueprint(v1)
    app.testing = True
    client = app.test_client()
    with pytest.raises(TypeError, match="'Missing' is not defined at run time"):
        client.post("/")


def test_variables_may_have_the_names_of_builtins(gateway: Gateway) -> None:
    def session() -> t.Iterator[str]:
        yield "db"

    api = API("api_shadowing")
    kind = t.Annotated[str, session]

    def view(type, list, map, len, next, db):  # type: ignore[no-untyped-def]
        return [Item(f"{type} {list} {map} {len} {next} {db}")]

    view.__annotations__.update(db=kind, type=int, **{"return": t.List[Item]})  # noqa: UP006
    api.get("/<int:type>/<list>/<map>/<len>/<next>")(view)
    assert gateway.get(api, "/1/l/m/n/x").text == '[{"name":"1 l m n x db"}]'


def test_an_own_class_of_responses(gateway: Gateway) -> None:
    class Own(Response):
        def get_wsgi_headers(self, environ: t.Any) -> t.Any:
            headers = super().get_wsgi_headers(environ)
            headers["X-Own"] = "1"
            return headers

    api = API("api_own")
    api.response_class = Own

    @api.get("/<int:n>")
    def view(n: int, q: int = 1) -> Item:
        return Item(str(n))

    reply = gateway.get(api, "/3")
    assert (reply.text, reply.header("x-own")) == ('{"name":"3"}', "1")
    assert reply.header("content-type") == "application/json"
    assert gateway.get(api, "/3?q=x").header("content-type") == "application/problem+json"


def test_an_application_that_overrides_a_step(gateway: Gateway) -> None:
    class Stepping(API):
        def finalize_request(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
            response = super().finalize_request(*args, **kwargs)
            response.headers["X-Step"] = "1"
            return response

    api = Stepping("steps")

    @api.post("/")
    async def view(body: Item, q: int = 1) -> Item:
        return body

    headers = [("content-type", "application/json")]
    reply = gateway.post(api, "/", b'{"name":"x"}', headers=headers)
    assert (reply.text, reply.header("x-step")) == ('{"name":"x"}', "1")
    reply = gateway.post(api, "/", b"{}", headers=headers)
    assert (reply.status, reply.header("x-step")) == (422, "1")


def test_handlers_may_be_asynchronous(gateway: Gateway) -> None:
    api = API("api_handlers")

    @api.errorhandler(InvalidRequest)
    async def handle(error: InvalidRequest) -> tuple[str, int]:
        return error.errors[0].name or "", 400

    @api.get("/")
    async def view(q: int) -> Item: ...

    reply = gateway.get(api, "/?q=x")
    assert (reply.status, reply.text) == (400, "q")


class Taken(Exception):
    """Raised by the views, for handlers to answer."""


RAISED = [Taken("n"), KeyError("k"), Forbidden("no"), NotFound(), ZeroDivisionError(), None]


@pytest.mark.parametrize("within", ["application", "blueprint"])
@pytest.mark.parametrize("handled", [Taken, LookupError, 403, NotFound, HTTPException, Exception])
def test_error_handlers_see_what_they_see_of_a_view_by_hand(
    gateway: Gateway, handled: t.Any, within: str
) -> None:
    seen = []
    for is_typed in (True, False):
        app: t.Any = API("api_raises") if is_typed else Flask("raises")
        kind: t.Any = APIBlueprint if is_typed else Blueprint
        owner = app if within == "application" else kind("inner", __name__, url_prefix="/inner")
        told: list[t.Any] = []
        number = 0

        def answer(error: BaseException, told: list[t.Any] = told) -> tuple[str, int]:
            told.append((repr(error), request.endpoint, request.view_args))
            return f"handled {type(error).__name__}", 418

        owner.errorhandler(handled)(answer)

        def by_hand(n: int) -> str:
            if RAISED[n] is not None:
                raise RAISED[n]
            return "fine"

        def typed(n: int, q: int = 1) -> str:
            return by_hand(n)

        owner.get("/<int:n>", endpoint="view")(typed if is_typed else by_hand)
        if owner is not app:
            app.register_blueprint(owner)

        @app.teardown_request
        def teardown(error: BaseException | None, told: list[t.Any] = told) -> None:
            told.append(("teardown", repr(error)))

        got_request_exception = signals.got_request_exception
        receive = lambda sender, exception, told=told: told.append(("signal", repr(exception)))  # noqa: E731
        with got_request_exception.connected_to(receive, app):
            prefix = "" if owner is app else "/inner"
            for number in range(len(RAISED)):
                reply = gateway.get(app, f"{prefix}/{number}")
                # Errors that no handler answers are problems on an API, and pages elsewhere.
                told.append((reply.status, reply.text if reply.status in (200, 418) else None))
        seen.append(told)
    assert seen[0] == seen[1]
    assert any(one[0] == 418 for one in seen[0])


@pytest.mark.parametrize("within", ["application", "blueprint"])
def test_a_handler_for_all_exceptions_sees_what_is_refused(gateway: Gateway, within: str) -> None:
    api = API("api_all")
    owner: t.Any = api if within == "application" else APIBlueprint("inner", __name__)

    @owner.errorhandler(Exception)
    def answer(error: Exception) -> tuple[str, int]:
        return type(error).__name__, 418

    @owner.get("/")
    def view(q: int) -> Item: ...

    if owner is not api:
        api.register_blueprint(owner)
    for _ in range(2):
        reply = gateway.get(api, "/?q=x")
        assert (reply.status, reply.text) == (418, "InvalidRequest")


def test_errors_in_views_are_theirs(gateway: Gateway) -> None:
    api = API("api_theirs")
    api.testing = True

    @api.get("/")
    def view(q: int) -> Item:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        gateway.get(api, "/?q=1")


def test_errors_in_constructors_that_are_no_refusals_are_500() -> None:
    class Broken(Struct):
        q: int

        def __post_init__(self) -> None:
            raise KeyError("lost")

    api = API("api_broken")

    def view(page: t.Any) -> None: ...

    from kolben.api import Query

    view.__annotations__["page"] = Query[Broken]
    api.get("/")(view)
    assert api.test_client().get("/?q=1").status_code == 500
