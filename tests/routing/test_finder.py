"""The functions that are written for an application's rules."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kolben.routing import NOT_FOUND
from rules import index_of, route


def test_the_functions_can_be_read() -> None:
    index = index_of(route("/user/<int:id>/post/<slug>"), route("/files/<path:name>"))
    source = index.source()
    assert "if s1 == 'user':" in source
    assert re.search(r"return rule_\d, \(int\(s2\), s4\), None, target_\d\n", source)
    compile(source, "source", "exec")


def test_an_index_without_rules_or_beyond_the_rules_has_functions_that_know_nothing() -> None:
    assert index_of(route("/a", host="localhost"), host_matching=True).source() == ""
    assert "== " not in index_of().source()


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/user/42/post/x", (42, "x")),
        ("/7/", (7,)),
        ("/f/1.5", (1.5,)),
        ("/files/a/b/c", ("a/b/c",)),
        ("/many/3/x", ("x",)),
        ("/deep/a/8/x", ("a", "x")),
    ],
)
def test_the_functions_answer_plain_paths_themselves(path: str, values: tuple[Any, ...]) -> None:
    index = index_of(
        route("/user/<int:id>/post/<slug>"),
        route("/<int:n>/"),
        route("/f/<float:f>"),
        route("/files/<path:name>"),
        *[route(f"/many/{n}/<x>") for n in range(9)],
        *[route(f"/deep/<x>/{n}/<y>") for n in range(9)],
    )
    for _ in range(2):
        found = index.find(path, "GET")
        assert isinstance(found, tuple)
        assert found[1:] == (values, None, "view")
    assert index.find("/nothing/here", "GET") is NOT_FOUND
    assert index.find("/nothing//here", "GET") is None
    assert index.find(path, "PUT") is None


def test_paths_of_very_many_segments_and_very_many_rules_are_found() -> None:
    long = "/a" * 40
    index = index_of(
        route(f"{long}/<x>"),
        *[
            route(f"/{a}/<x>/{b}/<y>/{c}/{d}")
            for a in "abc"
            for b in "abc"
            for c in "abc"
            for d in "abc"
        ],
    )
    assert index.match(f"{long}/1", "GET") == ("view", {"x": "1"})
    assert index.match("/b/1/c/2/a/c", "GET") == ("view", {"x": "1", "y": "2"})
    assert index.match("/b/1/c/2/a/d", "GET") is NOT_FOUND
    assert all(len(text) < 20_000 for text in index.source().split("def find"))
