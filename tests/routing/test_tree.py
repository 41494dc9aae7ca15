"""The search through the tree of rules: in Werkzeug's order, and only where that is known."""

from __future__ import annotations

from dataclasses import replace

from werkzeug.routing import BaseConverter, Map

from kolben.routing import NOT_FOUND, RouteIndex
from rules import index_of, route


def test_static_comes_before_variable_and_a_narrow_variable_before_a_wide_one() -> None:
    index = index_of(
        route("/<path:p>", "path"),
        route("/<s>", "text"),
        route("/<int:i>", "int"),
        route("/a", "a"),
    )
    assert index.match("/a", "GET") == ("a", {})
    assert index.match("/1", "GET") == ("int", {"i": 1})
    assert index.match("/b", "GET") == ("text", {"s": "b"})
    assert index.match("/b/c", "GET") == ("path", {"p": "b/c"})


def test_the_search_goes_back_where_the_first_way_leads_nowhere() -> None:
    index = index_of(
        route("/a/b/c", "static"), route("/<x>/b/d", "first"), route("/a/<y>/e", "second")
    )
    assert index.match("/a/b/d", "GET") == ("first", {"x": "a"})
    assert index.match("/a/b/e", "GET") == ("second", {"y": "b"})
    assert index.match("/a/b/f", "GET") is NOT_FOUND


def test_the_search_goes_on_behind_a_rule_for_another_method() -> None:
    index = index_of(route("/<int:i>", "read"), route("/<s>", "write", methods=["POST"]))
    assert index.match("/1", "POST") == ("write", {"s": "1"})
    assert index.match("/1", "PUT") is None


def test_rules_with_two_slashes_in_a_row_are_left_to_werkzeug() -> None:
    index = index_of(route("/a//b"), route("/a//<x>"), route("/a/<x>/c"), merge_slashes=False)
    assert "/a//b" not in index.exact
    for path in ("/a//b", "/a//1", "/a//c", "/a/x//c", "/none//b"):
        assert index.match(path, "GET") is None
    assert index.match("/a/x/c", "GET") == ("view", {"x": "x"})
    assert index.match("/a/x/d", "GET") is NOT_FOUND


def test_defaults_join_the_values() -> None:
    index = index_of(
        route("/pages/", "pages", defaults={"page": 1}), route("/pages/<int:page>", "pages")
    )
    assert index.match("/pages/", "GET") == ("pages", {"page": 1})
    assert index.match("/pages/2", "GET") == ("pages", {"page": 2})


def test_a_lenient_rule_does_not_mind_the_slash() -> None:
    index = index_of(route("/a/", "a"), route("/b", "b"), strict_slashes=False)
    assert index.match("/a", "GET") == ("a", {})
    assert index.match("/b/", "GET") == ("b", {})
    assert index.match("/a/", "GET") == ("a", {})


def test_a_lenient_rule_is_found_behind_a_way_on_that_leads_nowhere() -> None:
    index = index_of(
        route("/a", "a", strict_slashes=False), route("/a//b", "b", merge_slashes=False)
    )
    assert index.match("/a/", "GET") == ("a", {})


def test_a_lenient_rule_is_found_behind_a_variable_that_may_be_empty() -> None:
    class Nothing(BaseConverter):
        regex = "[a-b]*"

    index = index_of(
        route("/a", "a"),
        route("/a/<nothing:b>/c", "b"),
        converters={"nothing": Nothing},
        strict_slashes=False,
    )
    assert index.match("/a/", "GET") == ("a", {})


def test_an_expression_with_a_group_that_is_named_as_werkzeugs_are_leaves_all_to_werkzeug() -> None:
    class Named(BaseConverter):
        regex = "(?P<__werkzeug_x>a|b)"

    index = index_of(route("/<named:x>-<y>"), route("/c"), converters={"named": Named})
    assert (index.exact, index.match("/c", "GET")) == ({}, None)


def test_a_tree_with_a_part_that_no_rule_makes_leaves_all_to_werkzeug() -> None:
    """As another Werkzeug may make it: an optional slash in the middle of a path."""
    url_map = Map([route("/<x>/b"), route("/c")])
    url_map.update()
    state = url_map._matcher._root.static[""].static[""]
    [(part, after)] = state.dynamic
    state.dynamic[:] = [(replace(part, suffixed=True), after)]
    index = RouteIndex(url_map, str)
    assert (index.exact, index.match("/c", "GET")) == ({}, None)
