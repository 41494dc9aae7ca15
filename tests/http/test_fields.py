"""What query strings, urlencoded forms and cookies are read as: as Werkzeug reads them."""

from __future__ import annotations

import copy
import pickle
import weakref
from collections import UserList
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings, strategies as st
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.sansio.http import parse_cookie
from werkzeug.wrappers import Request

from kolben.http.fields import (
    find_cookie,
    multi_dict,
    parse_cookies,
    parse_query,
    parse_urlencoded,
)


def werkzeug_request(**environ: str) -> Request:
    return Request({"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", **environ})


def pairs(values: MultiDict[str, str]) -> list[tuple[str, list[str]]]:
    return list(values.lists())


def as_float(value: str) -> str:
    # "nan" is not equal to itself.
    return repr(float(value))


class InOrder(UserList):
    """A class that is no MultiDict and keeps the order of all pairs."""


# -- query strings and url-encoded bodies ----------------------------------------------------

_ESCAPES = ["%20", "%C3%A9", "%ff", "%2", "%zz", "%26", "%3d", "%3D%3D", "%1e", "%1F", "%0D%0A"]
QUERY_PIECES = st.sampled_from(
    [
        *"&&&===++%%",
        *_ESCAPES,
        "%00",
        "%%",
        "%C3",
        "%A9",
        "==",
        "a",
        "b",
        "é",
        "爱",
        "\x00",
        "\x1e",
        "\x1f",
        "\n",
        "\r",
        ";",
    ]
)
# Fields as browsers send them, enough of them to be parsed as many are.
ORDINARY = st.lists(
    st.tuples(st.text("abcé &=%+", max_size=3), st.text(max_size=6)), min_size=1, max_size=40
).map(lambda pairs: urlencode(pairs, errors="ignore"))
LONG = st.integers(0, 60).map(lambda count: "&name=value" * count)
QUERIES = st.tuples(
    st.lists(QUERY_PIECES | st.text(max_size=3), max_size=20).map("".join), ORDINARY, LONG
).flatmap(lambda three: st.sampled_from([*three, "&".join(three), three[0] + three[2][1:]]))


@settings(deadline=None, max_examples=300)
@given(QUERIES)
@example("a=1&b=2&a=3&time&=x&&=")
@example("user=Flask&time=&p=7&p=8&info=hello%20there")
@example("token=YWJj==&x=%3D")
@example("a=%&b=1" + "&c=2" * 200)
@example("a=%FF" + "&c=2" * 200)
@example("a=%1E" + "&c=2" * 200)
@example("a" + "&c==2" * 200)
@example("a=1" + "&c=2" * 200 + "&d=%")
@example("a=%3D" + "&c=%" * 200)
@example("a=%3D" + "&c=%3d%2b" * 200)
@example("a=%1f" + "&c=%10" * 200)
@example("=1&&=2&a")
@example("a=%20&b=%")
@example("a=%3D&b=%=")
@example("a=%%3D")
@example("a=%3d&b=%4")
@example("a=" + "value" * 200)
@example("a=%20" + "value" * 200)
@example("a=%20&b=%3D" + "&b=value" * 200)
@example("a=1" + "&b=2" * 200 + "&a=3")
@example("a=%201" + "&a=2" * 200 + "&b=3&a=3")
@example("a" + "&b=2" * 200)
@example("a=%20" + "&b=2" * 200 + "&c")
@example("a=%20&b=%1e&b=%1F")
@example("=%20&&=2&a")
def test_a_query_string_is_parsed_as_werkzeug_does(text):
    query = text.encode("utf-8", "ignore").decode("latin-1")
    expected = werkzeug_request(QUERY_STRING=query).args
    assert type(parse_query(query)) is ImmutableMultiDict
    assert pairs(parse_query(query)) == pairs(expected)
    assert parse_query(query) == expected
    assert pairs(parse_query(query, MultiDict)) == pairs(expected)
    assert type(parse_query(query, MultiDict)) is MultiDict


@settings(deadline=None)
@given(QUERIES, st.text(max_size=3))
def test_fields_are_looked_up_as_werkzeugs_are(text, other):
    query = text.encode("utf-8", "ignore").decode("latin-1")
    ours, theirs = parse_query(query), werkzeug_request(QUERY_STRING=query).args
    for name in [*theirs, other]:
        for convert in (None, int, as_float, (lambda value: value[5])):
            try:
                expected = theirs.get(name, "default", convert)
            except IndexError:
                with pytest.raises(IndexError):
                    ours.get(name, "default", convert)
                with pytest.raises(IndexError):
                    ours.getlist(name, type=convert)
                continue
            assert ours.get(name, "default", type=convert) == expected
            assert ours.get(name, type=convert) == theirs.get(name, type=convert)
            if convert:
                with suppress(IndexError):
                    assert ours.getlist(name, convert) == theirs.getlist(name, convert)
        assert ours.getlist(name) == theirs.getlist(name)
        assert (name in ours) == (name in theirs)
    with pytest.raises(TypeError):
        ours.get([])


LONG_QUERY = "&".join(f"name{n}=%20{n}" for n in range(100))


@pytest.mark.parametrize("query", ["a=1&b=2&b=3", LONG_QUERY], ids=["short", "long"])
def test_fields_can_be_copied_and_pickled(query):
    fields = parse_query(query)
    expected = werkzeug_request(QUERY_STRING=query).args
    assert copy.copy(fields) is fields
    for other in (pickle.loads(pickle.dumps(fields)), copy.deepcopy(fields), fields.copy()):
        assert other == expected
        assert other is not fields
        assert vars(other) == {}
    assert type(pickle.loads(pickle.dumps(fields))) is ImmutableMultiDict
    assert hash(fields) == hash(expected)
    assert repr(fields) == repr(expected)


def test_lists_of_values_are_copies():
    for query in ("a=1&b=2&b=3", LONG_QUERY + "&b=2&b=3"):
        fields = parse_query(query)
        fields.getlist("b").append("4")
        assert fields.getlist("b") == ["2", "3"]


def test_fields_are_freed_without_the_garbage_collector():
    class Value(str):
        __slots__ = ("__weakref__",)

    value = Value("1")
    reference = weakref.ref(value)
    fields = multi_dict({"a": [value]})
    assert fields.get("a") is value
    del value, fields
    assert reference() is None


@pytest.mark.parametrize("name", ["get", "getlist", "__getitem__"])
def test_what_an_agent_puts_around_the_methods_of_the_class_is_called(monkeypatch, name):
    for query in ("a=1", "a=1&b=%20", "a=1&" + LONG_QUERY):
        with monkeypatch.context() as patch:
            genuine, calls = getattr(ImmutableMultiDict, name), []

            def wrapper(self, *args, genuine=genuine, calls=calls, **kwargs):
                calls.append(args)
                return genuine(self, *args, **kwargs)

            patch.setattr(ImmutableMultiDict, name, wrapper)
            fields = parse_query(query)
            assert (fields.getlist("a") if name == "getlist" else [fields.get("a")]) == ["1"]
            assert calls == [("a",)]


def test_another_class_gets_the_pairs_in_the_order_sent():
    assert parse_query("a=1&b=2&a=3", InOrder) == [("a", "1"), ("b", "2"), ("a", "3")]
    assert parse_urlencoded(b"b=2&a=3&b", InOrder) == [("b", "2"), ("a", "3"), ("b", "")]


def test_raw_bytes_that_are_no_utf8_are_kept_as_percent_codes():
    """Werkzeug fails on them with an error of the server."""
    assert pairs(parse_query("a=\xff&b=\xc3\xa9")) == [("a", ["%FF"]), ("b", ["é"])]


def test_the_result_of_a_query_cannot_be_changed():
    with pytest.raises(TypeError):
        parse_query("a=1")["a"] = "2"


# -- cookies ---------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([*'ab=;" \t\\,\n', "; ", ";  ", "a=b", 'q="x\\"y"', '"\\303\\251"', "Ã©"]),
        max_size=16,
    ).map("".join)
    | st.text(max_size=20)
)
@example("session=abc.def; theme=dark; session=2")
@example("")
def test_a_cookie_header_is_parsed_as_werkzeug_does(header):
    expected = werkzeug_request(HTTP_COOKIE=header).cookies
    assert isinstance(parse_cookies(header), ImmutableMultiDict)
    assert pairs(parse_cookies(header)) == pairs(expected)
    assert parse_cookies(header, InOrder) == parse_cookie(header, InOrder)
    for name in ("session", "a", "b", "q", "ab"):
        assert find_cookie(header, name) == expected.get(name)


@settings(deadline=None)
@given(QUERIES)
def test_a_url_encoded_body_has_the_fields_of_such_a_query(text):
    body = text.encode("utf-8", "ignore")
    expected = werkzeug_request(QUERY_STRING=body.decode("latin-1")).args
    assert pairs(parse_urlencoded(body)) == pairs(expected)


@pytest.mark.parametrize("body", [b"a=\xff", b"a=\xc3%A9", b"a=%C3\xa9", b"&a=\xc3%A9" * 100])
def test_a_url_encoded_body_that_is_no_utf8_is_refused(body):
    with pytest.raises(UnicodeDecodeError):
        parse_urlencoded(body)
