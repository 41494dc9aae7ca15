"""Views and hooks may be changed between any two requests, in every way their tables allow."""

from __future__ import annotations

import typing as t

import pytest

from kolben import Blueprint, Flask, g, request
from kolben.tables import HookList, HookTable, Table

Change = t.Callable[[t.Any, t.Callable[..., t.Any]], None]


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    blueprint = Blueprint("shop", __name__, url_prefix="/shop")

    @app.get("/")
    @blueprint.get("/")
    def index() -> str:
        return "index"

    app.register_blueprint(blueprint)
    app.test_client().get("/")
    app.test_client().get("/shop/")
    return app


def body(app: Flask, path: str = "/") -> str:
    return app.test_client().get(path).text


def replace_table(app: Flask, name: str, table: dict[str | None, list[t.Any]]) -> None:
    setattr(app, name, table)


def append_afterwards(table: dict[t.Any, t.Any], hook: t.Any) -> None:
    own: list[t.Any] = []
    table[None] = own
    own.append(hook)


ADDITIONS: dict[str, Change] = {
    "append": lambda table, f: table[None].append(f),
    "extend": lambda table, f: table[None].extend([f]),
    "insert": lambda table, f: table[None].insert(0, f),
    "add in place": lambda table, f: table[None].__iadd__([f]),
    "slice": lambda table, f: table[None].__setitem__(slice(0, 0), [f]),
    "set": lambda table, f: table.__setitem__(None, [f]),
    "set, append later": append_afterwards,
    "default": lambda table, f: table.setdefault(None, []).append(f),
    "update": lambda table, f: table.update({None: [f]}),
    "or": lambda table, f: table.__ior__({None: [f]}),
}

REMOVALS: dict[str, Change] = {
    "remove": lambda table, f: table[None].remove(f),
    "pop from list": lambda table, f: table[None].pop(),
    "delete item": lambda table, f: table[None].__delitem__(0),
    "clear list": lambda table, f: table[None].clear(),
    "none of it": lambda table, f: table[None].__imul__(0),
    "delete": lambda table, f: table.__delitem__(None),
    "pop": lambda table, f: table.pop(None),
    "popitem": lambda table, f: table.popitem(),
    "clear": lambda table, f: table.clear(),
}


@pytest.mark.parametrize("add", ADDITIONS.values(), ids=ADDITIONS)
@pytest.mark.parametrize("path", ["/", "/shop/"])
def test_a_before_hook_counts_from_the_next_request_on(app: Flask, add: Change, path: str) -> None:
    add(app.before_request_funcs, lambda: "hook")

    assert body(app, path) == "hook"


@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS)
def test_a_before_hook_counts_until_it_is_removed(app: Flask, remove: Change) -> None:
    def hook() -> str:
        return "hook"

    app.before_request_funcs[None].append(hook)
    assert body(app) == "hook"
    remove(app.before_request_funcs, hook)

    assert body(app) == "index"


@pytest.mark.parametrize("add", ADDITIONS.values(), ids=ADDITIONS)
def test_an_after_hook_counts_from_the_next_request_on(app: Flask, add: Change) -> None:
    def hook(response: t.Any) -> t.Any:
        response.set_data("after")
        return response

    add(app.after_request_funcs, hook)

    assert body(app) == "after"
    assert app.test_client().get("/nowhere").text == "after"


@pytest.mark.parametrize("add", ADDITIONS.values(), ids=ADDITIONS)
def test_a_preprocessor_counts_from_the_next_request_on(app: Flask, add: Change) -> None:
    seen: list[str | None] = []
    add(app.url_value_preprocessors, lambda endpoint, values: seen.append(endpoint))

    body(app)

    assert seen == ["index"]


def test_lists_may_be_put_in_another_order(app: Flask) -> None:
    order: list[int] = []
    app.before_request_funcs[None] += [lambda: order.append(1), lambda: order.append(2)]
    body(app)
    app.before_request_funcs[None].reverse()
    body(app)
    app.before_request_funcs[None].sort(key=id)
    body(app)

    assert order[:4] == [1, 2, 2, 1]
    assert sorted(order[4:]) == [1, 2]


VIEW_CHANGES: dict[str, Change] = {
    "set": lambda table, f: table.__setitem__("index", f),
    "update": lambda table, f: table.update(index=f),
    "or": lambda table, f: table.__ior__({"index": f}),
    "pop and default": lambda table, f: (table.pop("index"), table.setdefault("index", f))[0],
    "clear and set": lambda table, f: (table.clear(), table.__setitem__("index", f))[0],
}


@pytest.mark.parametrize("change", VIEW_CHANGES.values(), ids=VIEW_CHANGES)
def test_a_view_that_replaces_another_answers_the_next_request(app: Flask, change: Change) -> None:
    change(app.view_functions, lambda: "another")

    assert body(app) == "another"


def test_an_endpoint_whose_view_was_taken_away_is_an_error(app: Flask) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = True
    del app.view_functions["index"]

    with pytest.raises(KeyError, match="index"):
        body(app)


@pytest.mark.parametrize("table", [{}, HookTable()], ids=["dict", "table"])
def test_a_table_may_be_replaced_and_changed_afterwards(
    app: Flask, table: dict[str | None, list[t.Any]]
) -> None:
    app.before_request_funcs = table
    assert body(app) == "index"
    table[None] = [lambda: "hook"]

    assert body(app) == "hook"
    assert app.before_request_funcs is table


def test_the_table_of_views_may_be_replaced_and_changed_afterwards(app: Flask) -> None:
    views: dict[str, t.Any] = dict(app.view_functions)
    app.view_functions = views
    assert body(app) == "index"
    views["index"] = lambda: "another"

    assert body(app) == "another"


def test_a_hook_that_registers_another_is_followed_by_it_at_the_next_request(app: Flask) -> None:
    def register() -> None:
        app.before_request_funcs[None].append(lambda: "late")

    app.before_request_funcs[None].append(register)

    assert body(app) == "index"
    assert body(app) == "late"


def test_a_hook_that_gives_the_request_another_rule_has_that_ones_hooks_called(app: Flask) -> None:
    shop = next(app.url_map.iter_rules("shop.index"))

    def reroute() -> None:
        request.url_rule = shop

    def mark(response: t.Any) -> t.Any:
        response.headers["X-Shop"] = "yes"
        return response

    app.before_request_funcs[None].append(reroute)
    app.after_request_funcs["shop"].append(mark)

    assert app.test_client().get("/").headers.get("X-Shop") == "yes"


def test_hooks_of_nested_blueprints_are_called_from_outside_inwards_and_back() -> None:
    app = Flask(__name__)
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
    for scaffold, name in ((app, "app"), (outer, "outer"), (inner, "inner")):
        for n in (1, 2):
            scaffold.before_request(
                lambda name=name, n=n: g.setdefault("seen", []).append((name, n))
            )

            def after(response: t.Any, name: str = name, n: int = n) -> t.Any:
                response.headers.add("X-After", f"{name}{n}")
                return response

            scaffold.after_request(after)
    inner.get("/")(lambda: " ".join(f"{name}{n}" for name, n in g.seen))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)

    response = app.test_client().get("/")

    assert response.text == "app1 app2 outer1 outer2 inner1 inner2"
    assert response.headers.getlist("X-After") == [
        "inner2",
        "inner1",
        "outer2",
        "outer1",
        "app2",
        "app1",
    ]


def test_the_tables_are_the_dictionaries_and_lists_that_programs_expect(app: Flask) -> None:
    assert isinstance(app.before_request_funcs, dict)
    assert isinstance(app.before_request_funcs["new"], list)
    assert isinstance(app.view_functions, dict)
    assert type(app.before_request_funcs) is HookTable
    assert type(app.before_request_funcs["new"]) is HookList
    assert type(app.view_functions) is Table
    assert app.before_request_funcs == dict(app.before_request_funcs)
