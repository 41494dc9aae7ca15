"""What `RouteIndex` answers, and what it leaves to Werkzeug."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.routing import (
    BaseConverter,
    Map,
    Submount,
    UnicodeConverter,
)

from kolben.routing import NOT_FOUND, RouteIndex
from rules import Listed, exact, index_of, route

# The exact table


def test_static_paths_are_in_the_exact_table() -> None:
    index = index_of(route("/"), route("/about", "about"), route("/blog/", "blog"))
    assert exact(index, "/")["GET"] == "view"
    assert exact(index, "/about") == {"GET": "about", "HEAD": "about", "OPTIONS": "about"}
    assert exact(index, "/blog/")["HEAD"] == "blog"
    assert "/blog" not in index.exact


def test_the_first_rule_with_the_method_has_it() -> None:
    index = index_of(
        route("/a", "read"), route("/a", "write", methods=["GET", "POST"]), route("/a", "third")
    )
    assert exact(index, "/a")["GET"] == "read"
    assert exact(index, "/a")["POST"] == "write"


@pytest.mark.parametrize(
    "odd",
    [
        {"redirect_to": "/b"},
        {"alias": True},
        {"websocket": True, "methods": ["GET"]},
        {"build_only": True},
        {"defaults": {"a": 1}},
        {"subdomain": "api"},
        {"methods": None},
    ],
    ids=lambda odd: next(iter(odd)),
)
def test_odd_rules_are_not_in_the_exact_table(odd: dict[str, Any]) -> None:
    assert "/a" not in index_of(route("/a", **odd)).exact


def test_an_odd_rule_keeps_its_methods_from_those_behind_it() -> None:
    index = index_of(route("/a", redirect_to="/b"), route("/a", "second", methods=["GET", "POST"]))
    assert exact(index, "/a") == {"POST": "second"}
    assert index.match("/a", "GET") is None


def test_a_rule_for_any_method_is_answered_by_the_walk() -> None:
    index = index_of(route("/a", "read"), route("/a", "any", methods=None))
    assert exact(index, "/a").get("PATCH") is None
    assert index.match("/a", "PATCH") == ("any", {})
    assert index.match("/a", "GET") == ("read", {})


# The walk


@pytest.mark.parametrize(
    ("rule", "path", "values"),
    [
        ("/user/<name>", "/user/letian", {"name": "letian"}),
        ("/user/<name>", "/user/李 四", {"name": "李 四"}),
        ("/<name>", "/letian", {"name": "letian"}),
        ("/n/<int:n>", "/n/007", {"n": 7}),
        ("/n/<int:n>", "/n/٣", {"n": 3}),
        ("/n/<int(signed=True):n>", "/n/-7", {"n": -7}),
        ("/n/<int(min=3,max=5):n>", "/n/4", {"n": 4}),
        ("/n/<int(fixed_digits=3):n>", "/n/004", {"n": 4}),
        ("/f/<float:f>", "/f/1.50", {"f": 1.5}),
        ("/f/<float(signed=True):f>", "/f/-1.5", {"f": -1.5}),
        ("/any/<any(about, help):page>", "/any/help", {"page": "help"}),
        ("/len/<string(length=2):code>", "/len/de", {"code": "de"}),
        ("/u/<uuid:u>", f"/u/{uuid.UUID(int=5)}", {"u": uuid.UUID(int=5)}),
        ("/p/<path:rest>", "/p/a/b.css", {"rest": "a/b.css"}),
        ("/p/<path:rest>", "/p/a/", {"rest": "a/"}),
        ("/p/<path:rest>/edit", "/p/a/b/edit", {"rest": "a/b"}),
        ("/p/<path:rest>/", "/p/a/b/", {"rest": "a/b"}),
        ("/add/<int:a>/<int:b>", "/add/3/4", {"a": 3, "b": 4}),
        ("/mix/<int:a>-<int:b>", "/mix/3-4", {"a": 3, "b": 4}),
        ("/mix/v<int:a>.json", "/mix/v3.json", {"a": 3}),
        ("/<a>/<b>/<c>/<d>", "/1/2/3/4", {"a": "1", "b": "2", "c": "3", "d": "4"}),
        ("/list/<listed:words>", "/list/a+b", {"words": ["a", "b"]}),
        ("/slash/<name>/", "/slash/x/", {"name": "x"}),
    ],
)
def test_a_variable_gets_its_value(rule: str, path: str, values: dict[str, Any]) -> None:
    index = index_of(route(rule), converters={"listed": Listed})
    for method in ("GET", "HEAD", "OPTIONS"):
        found = index.match(path, method)
        assert isinstance(found, tuple)
        assert found == ("view", values)
        assert [type(v) for v in found[1].values()] == [type(v) for v in values.values()]


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/user",
        "/user/a/b",
        "/add/3",
        "/add/3/x",
        "/n/x",
        "/n/²",
        "/n/-1",
        "/mix/3-",
        "/p/",
    ],
)
def test_a_path_without_a_rule_is_not_found(path: str) -> None:
    index = index_of(
        route("/user/<name>"),
        route("/add/<int:a>/<int:b>"),
        route("/n/<int:n>"),
        route("/mix/<int:a>-<int:b>"),
        route("/p/<path:p>"),
    )
    assert index.match(path, "GET") is NOT_FOUND


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/user/x", "POST"),
        ("/user/x", "get"),
        ("/any", "get"),
        ("/blog", "GET"),
        ("//user/x", "GET"),
        ("/user//x", "GET"),
        ("user/none/x", "GET"),
        ("", "GET"),
        ("/socket", "GET"),
        ("/old", "GET"),
        ("/alias", "GET"),
        ("/pages/1", "GET"),
        ("/max/9", "GET"),
    ],
)
def test_what_is_not_plain_is_left_to_werkzeug(path: str, method: str) -> None:
    index = index_of(
        route("/user/<name>"),
        route("/any", methods=None),
        route("/blog/"),
        route("/socket", websocket=True, methods=["GET"]),
        route("/old", redirect_to="/new"),
        route("/alias", alias=True),
        route("/pages/", "pages", defaults={"page": 1}),
        route("/pages/<int:page>", "pages"),
        route("/max/<int(max=5):n>"),
    )
    assert index.match(path, method) is None


def test_two_slashes_at_the_start_do_not_lead_to_a_rule_with_two_slashes() -> None:
    index = index_of(route("/a"), route("//b"), route("//<x>"), merge_slashes=False)
    assert "//b" not in index.exact
    for path in ("//a", "//b", "//c"):
        assert index.match(path, "GET") is None


def test_a_huge_number_is_left_to_werkzeug() -> None:
    index = index_of(route("/n/<int:n>"), route("/n/<int:n>/<int:m>"))
    assert index.match("/n/" + "9" * 5000, "GET") is None
    assert index.match("/n/1/" + "9" * 5000, "GET") is None


def test_each_match_has_a_dictionary_of_its_own() -> None:
    index = index_of(route("/<name>"), route("/<a>/<b>"))
    for path in ("/x", "/x/y"):
        first, second = index.match(path, "GET"), index.match(path, "GET")
        assert isinstance(first, tuple)
        assert isinstance(second, tuple)
        assert first[1] == second[1]
        assert first[1] is not second[1]


def test_a_custom_converter_runs_once_for_a_match() -> None:
    index = index_of(route("/<listed:words>"), converters={"listed": Listed})
    Listed.calls = 0
    assert index.match("/a", "GET") == ("view", {"words": ["a"]})
    assert Listed.calls == 1


def test_a_custom_converters_refusal_is_left_to_werkzeug_and_its_failure_is_raised() -> None:
    index = index_of(route("/<listed:words>"), converters={"listed": Listed})
    assert index.match("/no", "GET") is None
    with pytest.raises(ValueError, match="broken"):
        index.match("/broken", "GET")


def test_the_index_tells_whether_it_runs_the_users_code() -> None:
    class Short(UnicodeConverter):
        regex = "[a-z]"

    assert not index_of(route("/<int:a>/<b>/<path:c>")).runs_user_code
    assert index_of(route("/<listed:a>"), converters={"listed": Listed}).runs_user_code
    assert not index_of(route("/<short:a>"), converters={"short": Short}).runs_user_code


def test_targets_are_made_once_for_each_rule_that_may_match() -> None:
    made: list[str] = []
    url_map = Map([route("/a/<x>", "a"), route("/b/", "b"), route("/c", "c", build_only=True)])
    RouteIndex(url_map, lambda rule: made.append(rule.endpoint))
    assert sorted(made) == ["a", "b"]


# Maps that are beyond it


def test_a_map_with_host_matching_is_left_to_werkzeug() -> None:
    index = index_of(route("/a", host="localhost"), host_matching=True)
    assert (index.exact, index.match("/a", "GET"), index.build("view", {}, "")) == ({}, None, None)


def test_other_subdomains_do_not_matter() -> None:
    index = index_of(route("/a", "api", subdomain="api"), route("/a", "main"))
    assert exact(index, "/a")["GET"] == "main"
    assert index.match("/b", "GET") is NOT_FOUND
    assert index.build("api", {}, "") is None


def test_a_variable_subdomain_leaves_the_404_to_werkzeug() -> None:
    index = index_of(route("/a", "user", subdomain="<user>"), route("/b", "main"))
    assert index.match("/b", "GET") == ("main", {})
    assert index.match("/a", "GET") is None


def test_the_default_subdomain_is_the_one_that_is_answered() -> None:
    index = index_of(route("/a", "www"), route("/b", "bare", subdomain=""), default_subdomain="www")
    assert index.match("/a", "GET") == ("www", {})
    assert index.match("/b", "GET") is NOT_FOUND


def test_an_empty_map_finds_nothing() -> None:
    assert index_of().match("/", "GET") is NOT_FOUND


def test_an_expression_that_does_not_compile_leaves_all_to_werkzeug() -> None:
    class Broken(BaseConverter):
        regex = "("

    index = index_of(route("/<broken:a>/b"), route("/c"), converters={"broken": Broken})
    assert (index.exact, index.match("/c", "GET"), index.build("view", {}, "")) == ({}, None, None)


@pytest.mark.parametrize("private", ["_matcher", "_rules_by_endpoint"])
def test_a_werkzeug_without_its_private_names_is_asked_for_everything(private: str) -> None:
    url_map = Map([route("/c")])
    url_map.update()
    delattr(url_map, private)
    url_map.update = lambda: None  # type: ignore[method-assign]
    index = RouteIndex(url_map, lambda rule: rule)
    assert (index.exact, index.match("/c", "GET"), index.build("view", {}, "")) == ({}, None, None)


def test_a_rule_without_a_leading_slash_leaves_all_to_werkzeug() -> None:
    index = RouteIndex(Map([Submount("x", [route("/c")]), Submount("<x>", [route("/c")])]), str)
    assert (index.exact, index.match("/x/c", "GET")) == ({}, None)


def test_a_map_of_nothing_but_such_rules_finds_what_werkzeug_finds() -> None:
    index = RouteIndex(Map([Submount("x", [route("/c")])]), str)
    for path in ("/x/c", "/c", "/"):
        with pytest.raises(NotFound):
            index.url_map.bind("localhost").match(path)
        assert index.match(path, "GET") is NOT_FOUND


# Changes of the map


def test_an_index_is_current_until_a_rule_is_added() -> None:
    url_map = Map([route("/a", "a")])
    index = RouteIndex(url_map, lambda rule: rule.endpoint)
    assert index.current(url_map)
    assert url_map._remap is index.stamp
    url_map.bind("localhost").match("/a")
    assert index.current(url_map)
    url_map.add(route("/b", "a"))
    assert not index.current(url_map)
    # Werkzeug puts the rules in order, which does not make the index any younger.
    assert url_map.bind("localhost").match("/b") == ("a", {})
    assert not index.current(url_map)


def test_an_index_is_not_current_for_another_map() -> None:
    assert not index_of(route("/a")).current(Map([route("/a")]))


def test_two_indexes_of_one_map_are_both_current() -> None:
    url_map = Map([route("/a", "a")])
    first, second = RouteIndex(url_map, str), RouteIndex(url_map, str)
    assert first.current(url_map)
    assert second.current(url_map)


# Growth


def calls_of(function: Callable[[], object]) -> int:
    """Return how many calls, of Python's functions and others, *function* makes."""
    calls = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    "shape",
    ["/r{}/<int:x>/edit", "/x/<name>/r{}", "/r{}/<name>", "/r{}", "/r{}/<int:x>/y", "/<x>/r{}/y"],
)
def test_a_match_costs_the_same_with_more_rules(shape: str) -> None:
    costs = []
    for size in (10, 300):
        rules = [route(shape.format(n), f"e{n}") for n in range(size)]
        index = index_of(*rules)
        paths = [re.sub("<.*>", "5", rules[n].rule) for n in (0, size // 2, -1)]
        paths += "/nope", "/x/5/nope"
        for path in paths:  # the first match of its kind writes the function for it
            index.match(path, "GET")
        costs.append([calls_of(partial(index.match, path, "GET")) for path in paths])
    assert costs[0] == costs[1]
    assert len(set(costs[0][:3])) == 1
