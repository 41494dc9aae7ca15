"""Session cookies that were changed, made up, or made to hurt."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
import zlib
from typing import Any

import pytest
from itsdangerous import URLSafeTimedSerializer

import kolben
from hostile.ways import WAYS, Case, Served, application, by_environ
from kolben.signing import MOST_UNPACKED


def signer(salt: str = "cookie-session", key: str = "a secret") -> Any:
    interface: Any = kolben.Flask("x").session_interface
    return URLSafeTimedSerializer(
        key,
        salt=salt,
        serializer=interface.serializer,
        signer_kwargs={"key_derivation": "hmac", "digest_method": interface.digest_method},
    )


def signed(payload: bytes) -> str:
    """Sign what is to stand for a payload."""
    made: str = signer().make_signer("cookie-session").sign(payload + b"." + stamp()).decode()
    return made


def stamp() -> bytes:
    raw = int(time.time()).to_bytes(8, "big").lstrip(b"\0")
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def packed(content: bytes) -> bytes:
    return b"." + base64.urlsafe_b64encode(zlib.compress(content, 9)).rstrip(b"=")


GOOD: str = signer().dumps({"user": "ada", "n": 1})
BOMB = signed(packed(b'{"a":"' + b"a" * 100_000_000 + b'"}'))


def tampered() -> list[str]:
    flipped = [
        GOOD[:at] + other + GOOD[at + 1 :]
        for at in range(len(GOOD))
        for other in ("A" if GOOD[at] != "A" else "B", ".", "\xe9", '"')
        if GOOD[at] != other
    ]
    cut = [GOOD[:at] for at in range(len(GOOD))] + [GOOD[at:] for at in range(1, len(GOOD))]
    return flipped + cut


#: Cookies that no owner of the key has made as they are.
FORGED = [
    *tampered(),
    signer("another").dumps({"user": "ada"}),
    signer(key="guess").dumps({"user": "ada"}),
    "." * 1000,
    "a" * 100_000,
    "..",
    "",
    "\xff",
    GOOD + GOOD,
    f"{GOOD}.",
    f".{GOOD}",
    f" {GOOD}x",
]
#: Well signed, but no session.
UNREADABLE = [
    *(
        signed(payload)
        for payload in (b"", b"!", b"e30", b"{", b".", b".!", b".AAAA", b"W10", b"\x30")
    ),
    *(
        signed(base64.urlsafe_b64encode(raw).rstrip(b"="))
        for raw in (
            *(b"{nope", b"[1,2]", b"5", b"null", b'{"a":"\xff"}', b"[" * 50_000, b'{" t":5}'),
            *(b'{" d":"x"}', b'{" u":"zz"}', b'{" b":"\xe9"}', b"9" * 5000),
        )
    ),
    signed(packed(b"{")),
    signed(packed(b"x" * 1000)[:-8]),
    BOMB,
]


def read(way: str, cookie: str) -> tuple[int, bytes]:
    answer = WAYS[way](Case("/session", headers=[("Cookie", f"session={cookie}")]))
    return answer.status, answer.body


@pytest.mark.parametrize("way", WAYS)
def test_a_forged_session_is_an_empty_one(way: str) -> None:
    assert read(way, GOOD) == (200, b"[('n', 1), ('user', 'ada')]")
    cookies = FORGED if way == "environ" else FORGED[::9]
    for cookie in cookies:
        status, body = read(way, cookie)
        # Base64 has bits that count for nothing, so that a changed letter may mean the same.
        assert (status, body) in {(200, b"[]"), (200, b"[('n', 1), ('user', 'ada')]")}
        if body != b"[]":
            assert len(cookie) == len(GOOD)
            assert cookie[:-1] == GOOD[:-1]


@pytest.mark.parametrize("way", WAYS)
def test_a_signed_cookie_that_cannot_be_read_is_an_empty_session(way: str) -> None:
    for cookie in UNREADABLE:
        assert read(way, cookie) == (200, b"[]"), cookie[:80]


def test_an_expired_session_is_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    then = time.time()
    cookie = signer().dumps({"user": "ada"})
    monkeypatch.setattr(time, "time", lambda: then + 32 * 86400)
    assert read("environ", cookie) == (200, b"[]")


def test_a_compressed_session_takes_no_more_memory_than_its_limit() -> None:
    app = application()
    by_environ(Case("/session"), app)
    tracemalloc.start()
    try:
        by_environ(Case("/session", headers=[("Cookie", f"session={BOMB}")]), app)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(BOMB) > 75_000
    assert peak < 3 * MOST_UNPACKED


def test_what_a_browser_keeps_can_always_be_read() -> None:
    """No cookie of 4 kB unpacks to more than the limit."""
    content = {"a": "a" * 2_900_000}
    cookie = signer().dumps(content)
    assert len(cookie) < 4096
    assert len(json.dumps(content)) < MOST_UNPACKED
    status, body = read("environ", cookie)
    assert (status, len(body)) == (200, 2_900_000 + len("[('a', '')]"))


def test_sessions_over_a_socket(served: Served) -> None:
    for cookie in [*FORGED[::23], *UNREADABLE]:
        answer = served.ask(Case("/session", headers=[("Cookie", f"session={cookie}")]))
        assert (answer.status, answer.body) == (200, b"[]") or answer.status in {400, 431}
    assert served.ask(Case("/")).status == 200
