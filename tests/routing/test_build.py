"""Building URLs: as Werkzeug builds them, and what `kolben.routing.Rule` adds."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from markupsafe import Markup
from werkzeug.datastructures import MultiDict
from werkzeug.routing import (
    BaseConverter,
    BuildError,
    EndpointPrefix,
    Map,
    Rule as WerkzeugRule,
    Subdomain,
    Submount,
    ValidationError,
)

import kolben
from kolben.routing import Rule
from rules import Doubling, index_of, route

# Rule


def test_a_converter_may_write_a_number_into_the_url() -> None:
    url_map = Map([Rule("/page/<double:number>", endpoint="page")], converters={"double": Doubling})
    assert url_map.bind("localhost").build("page", {"number": 123}) == "/page/246"


def test_werkzeugs_rule_does_not_accept_that_number() -> None:
    rule = WerkzeugRule("/page/<double:number>", endpoint="page")
    url_map = Map([rule], converters={"double": Doubling})
    with pytest.raises(TypeError):
        url_map.bind("localhost").build("page", {"number": 123})


@pytest.mark.parametrize("nothing", [None, b"bytes"])
def test_a_converter_that_returns_no_text_at_all_is_still_an_error(nothing: object) -> None:
    class Empty(BaseConverter):
        def to_url(self, value: Any) -> Any:
            return nothing

    url_map = Map([Rule("/<empty:it>", endpoint="page")], converters={"empty": Empty})
    with pytest.raises(TypeError):
        url_map.bind("localhost").build("page", {"it": 1})


def test_a_converter_keeps_its_class() -> None:
    url_map = Map([Rule("/<double:it>", endpoint="page")], converters={"double": Doubling})
    rule = next(url_map.iter_rules())
    assert type(rule._converters["it"]) is Doubling


def test_an_unknown_converter_is_werkzeugs_error() -> None:
    with pytest.raises(LookupError, match="nope"):
        Map([Rule("/<nope:it>", endpoint="page")])


def test_rule_factories_keep_the_class() -> None:
    factory = Submount(
        "/blog", [EndpointPrefix("blog.", [Subdomain("api", [Rule("/<double:it>", endpoint="x")])])]
    )
    url_map = Map([factory], converters={"double": Doubling})
    rule = next(url_map.iter_rules())
    assert type(rule) is Rule
    assert (rule.rule, rule.endpoint, rule.subdomain) == ("/blog/<double:it>", "blog.x", "api")


def test_an_empty_copy_can_be_bound_again() -> None:
    first = Map([Rule("/<double:it>", endpoint="x")], converters={"double": Doubling})
    again = next(first.iter_rules()).empty()
    assert type(again) is Rule
    second = Map([again], converters={"double": Doubling})
    assert second.bind("localhost").build("x", {"it": 4}) == "/8"


def test_an_unbound_rule_can_be_pickled_and_copied() -> None:
    rule = Rule("/<it>", endpoint="x", methods=["GET"], defaults={"a": 1})
    for other in (pickle.loads(pickle.dumps(rule)), copy.deepcopy(rule), copy.copy(rule)):
        assert type(other) is Rule
        assert other.get_empty_kwargs() == rule.get_empty_kwargs()


# URLs


@pytest.mark.parametrize(
    ("endpoint", "values", "script_name", "url"),
    [
        ("index", {}, "", "/"),
        ("index", {}, "/app/", "/app/"),
        ("index", {"q": "a b", "n": 1}, "", "/?q=a+b&n=1"),
        ("index", {"q": ["a", None, "ü"]}, "", "/?q=a&q=%C3%BC"),
        ("index", {"q": None}, "", "/"),
        ("index", {"q": b"\xff"}, "", "/?q=%FF"),
        ("page", {"num": 2}, "", "/page/2"),
        ("page", {"num": "7", "q": "x"}, "/app", "/app/page/7?q=x"),
        ("user", {"name": "a/b c?"}, "", "/user/a/b%20c%3F"),
        ("file", {"name": "css/a b.css"}, "", "/static/css/a%20b.css"),
        ("list", {"page": 1}, "", "/list/"),
        ("list", {"page": 2}, "", "/list/2"),
        ("any", {"item": "x"}, "", "/any/x"),
        ("double", {"n": 123}, "", "/double/246"),
        ("two", {"a": "-7", "b": "x/y z"}, "/app", "/app/two/-7/x/y%20z/end"),
        ("two", {"a": True, "b": "é1", "q": 1}, "", "/two/1/%C3%A91/end?q=1"),
        ("bare", {"any": "//a-b"}, "", "/a-b"),
    ],
)
def test_urls_are_built(endpoint: str, values: dict[str, Any], script_name: str, url: str) -> None:
    index = index_of(
        route("/", "index"),
        route("/page/<int:num>", "page"),
        route("/user/<name>", "user"),
        route("/static/<path:name>", "file"),
        route("/list/", "list", defaults={"page": 1}),
        route("/list/<int:page>", "list"),
        route("/any/<any(x, y):item>", "any"),
        route("/double/<double:n>", "double"),
        route("/two/<int:a>/<b>/end", "two"),
        route("/<path:any>", "bare"),
        converters={"double": Doubling},
    )
    for _ in range(2):
        assert index.build(endpoint, values, script_name) == url
    adapter = index.url_map.bind("localhost", script_name or None)
    assert adapter.build(endpoint, values) == url


@pytest.mark.parametrize(
    ("endpoint", "values"),
    [
        ("nope", {}),
        ("page", {}),
        ("page", {"num": None}),
        ("index", MultiDict({"a": "1"})),
        ("socket", {}),
        ("two", {}),
        ("refused", {"x": 1}),
    ],
)
def test_urls_that_are_left_to_werkzeug(endpoint: str, values: dict[str, Any]) -> None:
    class Refusing(BaseConverter):
        def to_url(self, value: Any) -> str:
            raise ValidationError

    index = index_of(
        route("/", "index"),
        route("/page/<int:num>", "page"),
        route("/socket", "socket", websocket=True, methods=["GET"]),
        route("/two", "two"),
        route("/two/post", "two", methods=["POST"]),
        route("/refused/<refusing:x>", "refused"),
        converters={"refusing": Refusing},
    )
    assert index.build(endpoint, values, "") is None


def test_sorted_parameters_and_rules_of_ones_own_keep_their_ways() -> None:
    class Loud(WerkzeugRule):
        def build(self, values: Any, append_unknown: bool = True) -> tuple[str, str]:
            return "", "/loud"

    index = index_of(
        route("/a", "a"), Loud("/b", endpoint="b"), Loud("/<c>", endpoint="c"), sort_parameters=True
    )
    assert index.build("a", {"z": 1, "b": 2}, "") == "/a?b=2&z=1"
    assert index.build("b", {}, "") == "/loud"
    assert index.build("c", {"c": 1}, "") == "/loud"


def test_a_name_that_is_no_text_is_left_to_werkzeug() -> None:
    assert index_of(route("/")).build("view", {1: 2}, "") is None  # type: ignore[dict-item]


def test_a_value_that_a_converter_refuses_beside_defaults_is_left_to_werkzeug() -> None:
    class Even(BaseConverter):
        def to_url(self, value: Any) -> str:
            if value % 2:
                raise ValidationError
            return str(value)

    index = index_of(route("/<even:n>", "page", defaults={"kind": "x"}), converters={"even": Even})
    assert index.build("page", {"n": 2}, "") == "/2"
    assert index.build("page", {"n": 3}, "") is None
    with pytest.raises(BuildError):
        index.url_map.bind("localhost").build("page", {"n": 3})


def test_functions_that_build_urls_are_written_when_the_first_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Registration need not wait for them: most rules never build a URL by them."""
    written: list[str] = []
    write = WerkzeugRule._get_func_code

    def note(code: Any, name: str) -> Any:
        written.append(name)
        return write(code, name)

    monkeypatch.setattr(WerkzeugRule, "_get_func_code", staticmethod(note))
    rule = Rule("/shops/<int:self>/<path:rule>", endpoint="item")
    adapter = Map([rule]).bind("localhost")
    assert written == []
    values = {"self": 1, "rule": "a/b", "q": "x y"}
    assert adapter.build("item", values) == "/shops/1/a/b?q=x+y"
    assert adapter.build("item", values, append_unknown=False) == "/shops/1/a/b"
    assert adapter.build("item", values) == "/shops/1/a/b?q=x+y"
    assert len(written) == 2


@pytest.mark.parametrize(
    "text", ["it's", '"quoted"', "{braces}", "back\\slash", "%7B", "ü", "a b", "__import__"]
)
@pytest.mark.parametrize("value", ["x", "a/b", "é", "", 3, 1.5, True, "it's {x}", Markup("<b>")])
def test_what_is_written_for_a_rule_builds_as_werkzeug_whatever_stands_in_it(
    text: str, value: Any
) -> None:
    app = kolben.Flask(__name__)
    app.add_url_rule(f"/{text}/<name>/{text}-<values>", "two", lambda name, values: "")
    app.add_url_rule(f"/<path:query>{text}", "path", lambda query: "")
    app.test_client().get("/")
    adapter = app.url_map.bind("localhost")
    with app.test_request_context():
        for endpoint, values in (
            ("two", {"name": value, "values": "y", "build": value, text: [value, "z"]}),
            ("path", {"query": value}),
        ):
            assert kolben.url_for(endpoint, **values) == adapter.build(endpoint, values)
