"""The route index against Werkzeug's matcher and builder, over random maps, paths and values.

Set the environment variable ``KOLBEN_EXAMPLES`` for a longer run than the default.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings, strategies as st
from werkzeug.exceptions import NotFound
from werkzeug.routing import (
    BaseConverter,
    IntegerConverter,
    Map,
    MapAdapter,
    Rule,
    UnicodeConverter,
    ValidationError,
)

from kolben import routing

EXAMPLES = int(os.environ.get("KOLBEN_EXAMPLES", "200"))

relaxed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Letters(BaseConverter):
    """A group of its own, a weight of its own, and a refusal."""

    regex = "(?P<own>[a-z])[a-z]*"
    weight = 20

    def to_python(self, value: str) -> list[str]:
        if value == "ab":
            raise ValidationError
        return list(value)

    def to_url(self, value: Any) -> str:
        return "".join(value)


class Crossing(BaseConverter):
    """Takes slashes, and comes before the others."""

    regex = "[a-z]+/[a-z0-9]+"
    weight = 10


class Nothing(BaseConverter):
    """Matches the empty segment, too."""

    regex = "[a-b]*"


class Even(IntegerConverter):
    """A custom kind of integer that fails in its own way."""

    def to_python(self, value: str) -> int:
        number: int = super().to_python(value)
        if number == 3:
            raise ValidationError
        return number * 2


class Alternatives(BaseConverter):
    """An expression that would fall apart without its brackets."""

    regex = "a|ab|1"


CONVERTERS: dict[str, type[BaseConverter]] = {
    "letters": Letters,
    "crossing": Crossing,
    "nothing": Nothing,
    "even": Even,
    "alt": Alternatives,
    "upper": type("Upper", (UnicodeConverter,), {"to_python": lambda self, v: v.upper()}),
}

TEXTS = ["a", "ab", "b", "1", "12", "x-y", "é", "a b", "日本"]
KINDS = [
    "",
    "",
    "string:",
    "string(length=2):",
    "string(minlength=2,maxlength=3):",
    "int:",
    "int:",
    "int(min=2):",
    "int(max=5):",
    "int(fixed_digits=2):",
    "int(signed=True):",
    "float:",
    "float(signed=True):",
    "path:",
    "path:",
    "uuid:",
    "any(a, ab, 'x-y'):",
    "letters:",
    "crossing:",
    "nothing:",
    "even:",
    "alt:",
    "upper:",
]
NAMES = ["a", "b", "c"]
METHODS = ["GET", "HEAD", "POST", "OPTIONS", "PUT"]
UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


@st.composite
def segments(draw: st.DrawFn, names: list[str]) -> str:
    """Return one segment of a rule; takes the names of its variables from *names*."""
    shape = draw(st.sampled_from(["s", "s", "v", "v", "v", "v-v", "sv", "vs", "v.v", ""]))
    out = ""
    for letter in shape:
        if letter == "s":
            out += draw(st.sampled_from(TEXTS))
        elif letter == "v":
            name = names.pop(0) if names else draw(st.sampled_from(NAMES))
            out += f"<{draw(st.sampled_from(KINDS))}{name}>"
        else:
            out += letter
    return out


@st.composite
def rules(draw: st.DrawFn, plain: bool = False) -> Rule:
    names = draw(st.permutations(NAMES))
    parts = draw(st.lists(segments(names), max_size=3))
    text = "/" + "/".join(parts) + draw(st.sampled_from(["", "", "/"]))
    odd: dict[str, Any] = {}
    if not plain and draw(st.integers(0, 3)) == 0:
        odd = draw(
            st.sampled_from(
                [
                    {"redirect_to": "elsewhere"},
                    {"alias": True},
                    {"build_only": True},
                    {"websocket": True, "methods": ["GET"]},
                    {"websocket": True, "methods": None},
                    {"subdomain": "api"},
                    {"subdomain": "<a>"},
                    {"host": "example.org"},
                    {"merge_slashes": False},
                    {"methods": []},
                ]
            )
        )
    options: dict[str, Any] = {
        "endpoint": draw(st.sampled_from(["one", "two", "three"])),
        "methods": draw(
            st.none() | st.lists(st.sampled_from(METHODS), min_size=1, max_size=3, unique=True)
        ),
        "strict_slashes": draw(st.sampled_from([None, None, True, False])),
        "defaults": draw(
            st.sampled_from([None, None, None, {"a": 1}, {"a": "a", "b": 2}, {"b": 1, "z": None}])
        ),
    }
    options.update(odd)
    return draw(st.sampled_from([Rule, routing.Rule]))(text, **options)


@st.composite
def maps(draw: st.DrawFn) -> Map:
    url_map = Map(
        converters=CONVERTERS,
        default_subdomain=draw(st.sampled_from(["", "", "", "www"])),
        strict_slashes=draw(st.booleans()),
        merge_slashes=draw(st.sampled_from([True, True, False])),
        redirect_defaults=draw(st.sampled_from([True, True, False])),
        sort_parameters=draw(st.sampled_from([False, False, True])),
    )
    for rule in draw(st.lists(rules(), min_size=1, max_size=8)):
        try:
            url_map.add(rule)
        except (ValueError, TypeError, SyntaxError):
            # Defaults that the converter can't write, or one name twice.
            pass
    return url_map


free_segments = st.one_of(
    st.sampled_from(
        [
            *TEXTS,
            "",
            "3",
            "5",
            "-5",
            "1.5",
            "-0.5",
            "٣",
            "²",
            "1-2",
            "a.b",
            "a-1",
            UUID,
            "a\n",
            "\n",
        ]
    ),
    st.text(st.sampled_from("ab1-./é\n "), max_size=4),
)
paths = st.one_of(
    st.builds(
        lambda start, parts, end: start + "/".join(parts) + end,
        st.sampled_from(["/", "/", "/", "/", "/", "", "//"]),
        st.lists(free_segments, max_size=4),
        st.sampled_from(["", "", "/"]),
    )
)
methods = st.sampled_from([*METHODS, *METHODS, "get", "TRACE"])


@st.composite
def fitting_paths(draw: st.DrawFn, url_map: Map) -> str:
    """Return a path near one of the map's rules: variables replaced by likely texts."""
    found = [rule.rule for rule in url_map.iter_rules()]
    if not found:
        return draw(paths)
    out = []
    for segment in draw(st.sampled_from(found)).split("/"):
        pieces = segment.replace("<", "\0<").replace(">", ">\0").split("\0")
        out.append("".join(draw(fitting(p)) if p.startswith("<") else p for p in pieces))
    return "/".join(out) + draw(st.sampled_from(["", "", "", "", "/"]))


def fitting(variable: str) -> st.SearchStrategy[str]:
    """Return texts that the converter of *variable* may take."""
    likely = {
        "<int": ["1", "2", "5", "7", "12", "3"],
        "<even": ["1", "12", "3"],
        "<float": ["1.5", "12.0"],
        "<uuid": [UUID],
        "<path": ["a", "a/b", "a/1/", "ab/12/b", "1"],
        "<crossing": ["a/b", "ab/12"],
        "<letters": ["a", "b", "ab", "x"],
        "<nothing": ["", "a", "b"],
        "<any": ["a", "ab", "x-y"],
    }
    for start, texts in likely.items():
        if variable.startswith(start):
            return st.sampled_from(texts)
    return st.sampled_from(["a", "ab", "b", "1", "12", "é"])


def ask_werkzeug(adapter: MapAdapter, path: str, method: str) -> Any:
    """Return Werkzeug's answer: rule and values, or the type of what it raised (or ran into)."""
    try:
        return adapter.match(path, method, return_rule=True)
    except Exception as error:
        return type(error)


def same(ours: Any, theirs: Any) -> None:
    """Assert equal rules, equal values, of equal types, in equal order."""
    assert isinstance(theirs, tuple), theirs
    assert ours[0] is theirs[0]
    assert list(ours[1].items()) == list(theirs[1].items())
    assert [type(v) for v in ours[1].values()] == [type(v) for v in theirs[1].values()]


@relaxed
@given(st.data())
def test_what_the_index_answers_is_werkzeugs_answer(data: st.DataObject) -> None:
    url_map = data.draw(maps())
    adapter = url_map.bind("localhost")
    index = routing.RouteIndex(url_map, lambda rule: rule)
    for _ in range(5):
        path = data.draw(st.one_of(paths, fitting_paths(url_map), fitting_paths(url_map)))
        method = data.draw(methods)
        theirs = ask_werkzeug(adapter, path, method)
        exact = index.exact.get(path, {}).get(method)
        if exact is not None:
            assert exact[:3] == (exact[3], (), None)
            same((exact[3], {}), theirs)
        try:
            ours: Any = index.match(path, method)
        except Exception as error:
            ours = type(error)
        if ours is routing.NOT_FOUND:
            assert theirs is NotFound
        elif isinstance(ours, tuple):
            same(ours, theirs)
        elif ours is not None:
            assert ours is theirs
        event(f"{'answered' if ours is not None else 'asked'}: {_name(theirs)}")


@st.composite
def deep_maps(draw: st.DrawFn) -> Map:
    """Return a map of rules with several whole segments each, some of which compete."""
    segment = st.sampled_from(["a", "b", "", "<{}>", "<int:{}>", "<int:{}>", "<nothing:{}>"])
    url_map = Map(
        converters=CONVERTERS,
        strict_slashes=draw(st.booleans()),
        merge_slashes=draw(st.booleans()),
    )
    for parts in draw(st.lists(st.lists(segment, min_size=1, max_size=4), min_size=1, max_size=6)):
        text = "/" + "/".join(part.format(f"v{at}") for at, part in enumerate(parts))
        method = draw(st.sampled_from(["GET", "GET", "POST"]))
        url_map.add(routing.Rule(text, endpoint=text, methods=[method]))
    return url_map


@relaxed
@given(st.data())
def test_of_rules_of_one_length_werkzeugs_first_one_answers(data: st.DataObject) -> None:
    length = data.draw(st.integers(3, 4))
    segment = st.sampled_from(["a", "a", "b", "<{}>", "<{}>", "<int:{}>"])
    of_length = st.lists(segment, min_size=length, max_size=length)
    url_map = Map()
    for parts in data.draw(st.lists(of_length, min_size=2, max_size=7)):
        text = "/" + "/".join(part.format(f"v{at}") for at, part in enumerate(parts))
        url_map.add(routing.Rule(text, endpoint=text, methods=["GET"]))
    adapter = url_map.bind("localhost")
    index = routing.RouteIndex(url_map, lambda rule: rule)
    texts = st.lists(st.sampled_from(["a", "b", "1"]), min_size=length, max_size=length)
    for path in data.draw(st.lists(texts.map("/".join), min_size=10, max_size=20)):
        ours, theirs = index.match(f"/{path}", "GET"), ask_werkzeug(adapter, f"/{path}", "GET")
        if isinstance(ours, tuple):
            same(ours, theirs)
        elif ours is not None:
            assert theirs is NotFound


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/a/b/c/d", "static second"),
        ("/a/x/c/d", "static third"),
        ("/a/b/x/d", "static second"),
        ("/a/b/c/e", "static third, e"),
        ("/a/x/c/e", "static third, e"),
        ("/i/7/edit", "edit"),
        ("/i/7/", "slash"),
    ],
)
def test_a_static_segment_comes_before_a_variable_at_its_place(path: str, endpoint: str) -> None:
    url_map = Map(
        [
            routing.Rule("/a/b/<y>/d", endpoint="static second", methods=["GET"]),
            routing.Rule("/a/<x>/c/d", endpoint="static third", methods=["GET"]),
            routing.Rule("/a/<x>/c/e", endpoint="static third, e", methods=["GET"]),
            routing.Rule("/a/<x>/c/f", endpoint="static third, f", methods=["GET"]),
            routing.Rule("/i/", endpoint="items", methods=["GET"]),
            routing.Rule("/i/<int:n>/", endpoint="slash", methods=["GET"]),
            routing.Rule("/i/<int:n>/edit", endpoint="edit", methods=["GET"]),
        ]
    )
    index = routing.RouteIndex(url_map, lambda rule: rule)
    ours: Any = index.match(path, "GET")
    same(ours, ask_werkzeug(url_map.bind("localhost"), path, "GET"))
    assert ours[0].endpoint == endpoint


@relaxed
@given(st.data())
def test_the_first_ways_lead_where_werkzeugs_search_leads(data: st.DataObject) -> None:
    url_map = data.draw(deep_maps())
    adapter = url_map.bind("localhost")
    index = routing.RouteIndex(url_map, lambda rule: rule)
    texts = st.lists(st.sampled_from(["a", "a", "b", "1", "1", "x", ""]), max_size=5)
    for _ in range(8):
        path = "/" + "/".join(data.draw(texts))
        method = data.draw(st.sampled_from(["GET", "GET", "POST", "PUT"]))
        ours, theirs = index.match(path, method), ask_werkzeug(adapter, path, method)
        if isinstance(ours, tuple):
            same(ours, theirs)
        elif ours is not None:
            assert theirs is NotFound
        event(f"{'answered' if ours is not None else 'asked'}: {_name(theirs)}")


def _name(answer: Any) -> str:
    return answer.__name__ if isinstance(answer, type) else "a match"


odd_values = st.one_of(
    st.sampled_from(
        [None, 0, 1, 12, 1.5, True, "a", "ab", "1", "/a//b", "a b", "é&=+%", b"\xff a"]
    ),
    st.lists(st.sampled_from([None, "a b", 1, "+"]), max_size=2),
    st.sampled_from([UUID, ("x", "y"), "x-y", "日本", "", "\n"]),
    st.text(max_size=3).filter(lambda text: text.isprintable()),
)
values_of_urls = st.dictionaries(
    st.sampled_from([*NAMES, *NAMES, "q", "é", "a b&", "self", "kwargs", "values"]),
    odd_values,
    max_size=4,
)


@relaxed
@given(st.data())
def test_the_urls_it_builds_are_werkzeugs(data: st.DataObject) -> None:
    url_map = data.draw(maps())
    index = routing.RouteIndex(url_map, lambda rule: rule)
    for _ in range(5):
        values = data.draw(values_of_urls)
        endpoint = data.draw(st.sampled_from(["one", "two", "three", "four"]))
        script_name = data.draw(st.sampled_from(["", "/", "/app", "/app/"]))
        adapter = url_map.bind("localhost", script_name, default_method=data.draw(methods))
        try:
            theirs: Any = adapter.build(endpoint, dict(values))
        except Exception as error:
            theirs = type(error)
        try:
            ours: Any = index.build(endpoint, dict(values), script_name)
        except Exception as error:
            ours = type(error)
        assert ours is None or ours == theirs
        event(f"{'answered' if ours is not None else 'asked'}: {_name(theirs)}")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_werkzeug_itself_is_asked_for_in_the_test(method: str) -> None:
    """The strategy's helper tells a match from an exception."""
    adapter = Map([Rule("/a", endpoint="a", methods=["GET"])]).bind("localhost")
    assert isinstance(ask_werkzeug(adapter, "/a", method), tuple) is (method == "GET")
