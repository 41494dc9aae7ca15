"""What query strings, urlencoded forms and cookies are read as: as Werkzeug reads them."""

from __future__ import annotations

from collections import UserList

import pytest
from hypothesis import example, given, settings, strategies as st
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.sansio.http import parse_cookie
from werkzeug.wrappers import Request

from kolben.http.fields import find_cookie, parse_cookies, parse_query, parse_urlencoded


def werkzeug_request(**environ: str) -> Request:
    return Request({"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", **environ})


def pairs(values: MultiDict[str, str]) -> list[tuple[str, list[str]]]:
    return list(values.lists())


class InOrder(UserList):
    """A class that is no MultiDict and keeps the order of all pairs."""


# -- query strings and url-encoded bodies ----------------------------------------------------

QUERY_PIECES = st.sampled_from(
    [*"&&&===++%%", "%20", "%C3%A9", "%ff", "%2", "%zz", "%26", "a", "b", "é", "爱", "\x00", ";"]
)


@settings(deadline=None)
@given(st.lists(QUERY_PIECES | st.text(max_size=3), max_size=20).map("".join))
@example("a=1&b=2&a=3&time&=x&&=")
def test_a_query_string_is_parsed_as_werkzeug_does(text):
    query = text.encode("utf-8", "ignore").decode("latin-1")
    expected = werkzeug_request(QUERY_STRING=query).args
    assert isinstance(parse_query(query), ImmutableMultiDict)
    assert pairs(parse_query(query)) == pairs(expected)
    assert pairs(parse_query(query, MultiDict)) == pairs(expected)


def test_another_class_gets_the_pairs_in_the_order_sent():
    assert parse_query("a=1&b=2&a=3", InOrder) == [("a", "1"), ("b", "2"), ("a", "3")]
    assert parse_urlencoded(b"b=2&a=3&b", InOrder) == [("b", "2"), ("a", "3"), ("b", "")]


def test_raw_bytes_that_are_no_utf8_are_kept_as_percent_codes():
    """Werkzeug fails on them with an error of the server."""
    assert pairs(parse_query("a=\xff&b=\xc3\xa9")) == [("a", ["%FF"]), ("b", ["é"])]


def test_the_result_of_a_query_can_not_be_changed():
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
@given(st.lists(QUERY_PIECES, max_size=20).map("".join))
def test_a_url_encoded_body_has_the_fields_of_such_a_query(text):
    body = text.encode()
    expected = werkzeug_request(QUERY_STRING=body.decode("latin-1")).args
    assert pairs(parse_urlencoded(body)) == pairs(expected)


def test_a_url_encoded_body_that_is_no_utf8_is_refused():
    with pytest.raises(UnicodeDecodeError):
        parse_urlencoded(b"a=\xff")
