"""Signing in the short way: what itsdangerous reads and writes, and nothing read that it would refuse."""

from __future__ import annotations

import time
import typing as t

import pytest
from hypothesis import given, strategies as st
from itsdangerous import URLSafeTimedSerializer

from kolben import signing
from kolben.sessions import SecureCookieSessionInterface, session_json_serializer

SALT = SecureCookieSessionInterface.salt
LIFETIME = 60

contents = st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.booleans()))


def theirs(key: str) -> URLSafeTimedSerializer:
    options = {"key_derivation": "hmac"}
    return URLSafeTimedSerializer(
        key, salt=SALT, serializer=session_json_serializer, signer_kwargs=options
    )


def read(key: str, cookie: str, lifetime: int = LIFETIME) -> t.Any:
    return signing.read(signing.make_mac(key, SALT), session_json_serializer, cookie, lifetime)


def write(key: str, content: dict[str, t.Any]) -> str:
    return signing.write(signing.make_mac(key, SALT), session_json_serializer, content)


@given(contents, st.text(min_size=1))
def test_what_is_written_is_read_here_and_there(content: dict[str, t.Any], key: str) -> None:
    cookie = write(key, content)
    assert read(key, cookie) == content
    assert theirs(key).loads(cookie) == content


@given(contents)
def test_what_itsdangerous_wrote_is_read(content: dict[str, t.Any]) -> None:
    assert read("key", t.cast("str", theirs("key").dumps(content))) == content


@pytest.mark.parametrize("size", [0, 1, 32, 64, 499, 500, 5000])
def test_a_content_of_any_size_has_the_bytes_that_itsdangerous_writes(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000)
    content = {"text": "ab" * size}
    assert write("key", content) == theirs("key").dumps(content)


@given(contents, st.data())
def test_a_changed_cookie_is_in_doubt(content: dict[str, t.Any], data: st.DataObject) -> None:
    cookie = write("key", content)
    # Not the last character: two of its bits say nothing.
    at = data.draw(st.integers(0, len(cookie) - 2))
    other = data.draw(st.characters().filter(lambda one: one != cookie[at]))
    assert read("key", cookie[:at] + other + cookie[at + 1 :]) is signing.DOUBT


@pytest.mark.parametrize("cookie", ["", ".", "..", "a.b.c", "é", "eyJ9.AAAAAA.x", "x" * 1000])
def test_what_is_no_cookie_is_in_doubt(cookie: str) -> None:
    assert read("key", cookie) is signing.DOUBT


def test_another_key_or_salt_is_in_doubt() -> None:
    assert read("other", write("key", {})) is signing.DOUBT
    mac = signing.make_mac("key", "another salt")
    cookie = write("key", {})
    assert signing.read(mac, session_json_serializer, cookie, LIFETIME) is signing.DOUBT


@pytest.mark.parametrize(("age", "is_valid"), [(0, True), (60, True), (61, False), (-1, False)])
def test_a_cookie_is_valid_for_its_lifetime(
    age: int, is_valid: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000)
    cookie = write("key", {"a": 1})
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000 + age)
    assert (read("key", cookie) is not signing.DOUBT) == is_valid


def test_a_content_that_is_no_container_is_in_doubt() -> None:
    assert read("key", t.cast("str", theirs("key").dumps(5))) is signing.DOUBT
