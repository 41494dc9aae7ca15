"""Bodies of declared length, however their server hands them out."""

from __future__ import annotations

import typing as t

import pytest
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.test import EnvironBuilder

import kolben


class Pieces:
    """A server's input that gives no more than some bytes at a time.

    :param body: what the client has sent.
    :param size: how many bytes are given at a time.
    """

    def __init__(self, body: bytes, size: int) -> None:
        self._body = body
        self._size = size

    def read(self, size: int) -> bytes:
        size = min(size, self._size)
        piece, self._body = self._body[:size], self._body[size:]
        return piece


def request(
    body: bytes, declared: int, size: int, *, is_ended: bool, limit: int | None = None
) -> kolben.Request:
    kind = "application/x-www-form-urlencoded"
    environ = EnvironBuilder(method="POST", content_type=kind).get_environ()
    environ["wsgi.input"] = Pieces(body, size)
    environ["CONTENT_LENGTH"] = str(declared)
    environ["wsgi.input_terminated"] = is_ended
    made = kolben.Request(environ)
    if limit is not None:
        made.max_content_length = limit
    return made


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 99])
@pytest.mark.parametrize("read", [lambda r: r.get_data(), lambda r: r.form], ids=["data", "form"])
class TestPieces:
    def value(self, body: bytes, read: t.Any) -> t.Any:
        return read(request(body, len(body), 99, is_ended=True))

    @pytest.mark.parametrize("is_ended", [True, False])
    def test_a_body_is_whole_however_it_comes(self, size: int, read: t.Any, is_ended: bool) -> None:
        found = read(request(b"a=12", 4, size, is_ended=is_ended))
        assert found == self.value(b"a=12", read)

    def test_what_follows_is_read_where_the_server_ends_the_body(
        self, size: int, read: t.Any
    ) -> None:
        assert read(request(b"a=12345", 4, size, is_ended=True)) == self.value(b"a=12345", read)

    def test_what_follows_is_left_where_it_does_not(self, size: int, read: t.Any) -> None:
        assert read(request(b"a=12345", 4, size, is_ended=False)) == self.value(b"a=12", read)

    def test_what_follows_is_held_to_the_limit(self, size: int, read: t.Any) -> None:
        assert read(request(b"a=123", 4, size, is_ended=True, limit=5))
        with pytest.raises(RequestEntityTooLarge):
            read(request(b"a=1234", 4, size, is_ended=True, limit=5))

    @pytest.mark.parametrize("is_ended", [True, False])
    def test_a_body_that_ends_early_is_of_a_client_that_has_left(
        self, size: int, read: t.Any, is_ended: bool
    ) -> None:
        with pytest.raises(ClientDisconnected):
            read(request(b"a=1", 4, size, is_ended=is_ended))
