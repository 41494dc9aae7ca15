"""Bodies that lie about their length, come in drops, or break off."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator

import pytest

import kolben
from hostile.ways import WAYS, Case, Served, by_environ
from kolben.api import API

MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nhello\r\n--b\r\n'
    b'Content-Disposition: form-data; name="f"; filename="x.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nfile data\r\n--b--\r\n"
)
KINDS = {
    "application/x-www-form-urlencoded": b"a=1&b=2&c=%20",
    "multipart/form-data; boundary=b": MULTIPART,
    "application/json": b'{"a": [1, 2]}',
    "text/plain": b"plain text body\nline\n",
}
#: Values of Content-Length that are none, beside those near the right one.
NO_LENGTHS = [
    "-1",
    "+5",
    "x",
    "1_0",
    " 5",
    "²",
    "5,5",
    "0x5",
    "1.0",
    "9" * 19,
    "9" * 5000,
    "0",
    "1",
]
READERS = ["data", "stream", "stream_pieces", "stream_lines", "form", "files", "json_silent"]


def lengths(body: bytes) -> list[str]:
    right = len(body)
    return ["", str(right), str(right - 1), str(right + 1), str(right * 2), *NO_LENGTHS]


def bodies() -> Iterator[tuple[str, Case]]:
    for (kind, body), reader, piece, terminated in itertools.product(
        KINDS.items(), READERS, (0, 1, 3), (False, True)
    ):
        headers = [("Content-Type", kind)]
        for length in lengths(body):
            for maximum in (None, 4, len(body) - 1, len(body), 10**6):
                config = {} if maximum is None else {"MAX_CONTENT_LENGTH": maximum}
                yield (
                    reader,
                    Case(
                        f"/read/{reader}",
                        method="POST",
                        headers=headers,
                        body=body,
                        length=length,
                        piece=piece,
                        terminated=terminated,
                        config=config,
                    ),
                )


CASES = list(bodies())


def declared(case: Case) -> int | None:
    text = (case.length or "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 4300:
        return 0  # Werkzeug's reading of what is no number
    return int(text)


def whole(case: Case) -> bytes | int:
    """The body that a view is to see, or the status in place of it."""
    length, maximum = declared(case), case.config.get("MAX_CONTENT_LENGTH")
    if maximum is not None and length is not None and length > maximum:
        return 413
    if not case.terminated:
        seen = case.body[: length or 0]
        return 400 if length is not None and length > len(seen) else seen
    if maximum is not None and len(case.body) > maximum:
        return 413
    return 400 if length is not None and length > len(case.body) else case.body


def test_the_bytes_that_a_view_sees_are_those_of_the_body_or_none() -> None:
    wrong = []
    for reader, case in CASES:
        if reader not in {"data", "stream", "stream_pieces"}:
            continue
        if reader == "data" and case.headers[0][1].startswith(("multipart", "application/x")):
            continue  # not read where a parser takes it
        answer, right = by_environ(case), whole(case)
        if isinstance(right, int):
            is_right = answer.status == right
        else:
            seen = eval(answer.body) if answer.status == 200 else None
            is_right = (b"".join(seen) if isinstance(seen, list) else seen) == right
        if not is_right:
            wrong.append((case, answer.status, right))
    assert wrong == []


def test_no_body_is_an_error_of_the_servers() -> None:
    statuses = {by_environ(case).status for _, case in CASES}
    assert statuses == {200, 400, 413}


@pytest.mark.parametrize("terminated", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("reader", READERS)
def test_a_server_whose_connection_breaks_is_a_client_that_has_left(
    reader: str, chunked: bool, terminated: bool
) -> None:
    for kind, body in KINDS.items():
        for piece, maximum in itertools.product((0, 1, 3), (None, 10**6)):
            case = Case(
                f"/read/{reader}",
                method="POST",
                headers=[("Content-Type", kind)],
                body=body,
                length=str(len(body) + 10),
                piece=piece,
                terminated=terminated,
                fails=True,
                config={} if maximum is None else {"MAX_CONTENT_LENGTH": maximum},
            )
            if chunked:
                case.length = ""
                case.headers = [*case.headers, ("Transfer-Encoding", "chunked")]
            is_read = (
                reader in {"data", "stream", "stream_pieces"}
                or (reader in {"form", "files"} and ("form" in kind))
                or (reader == "json_silent")
            )
            if is_read and (terminated or not chunked):
                assert by_environ(case).status == 400, case


def test_a_chunked_body_over_the_limit_is_refused_however_it_is_read() -> None:
    for way, reader, maximum in itertools.product(WAYS, READERS, (3, 12, 13, 14)):
        for kind, body in KINDS.items():
            if reader in {"form", "files"} and "form" not in kind:
                continue
            case = Case(
                f"/read/{reader}",
                method="POST",
                headers=[("Content-Type", kind), ("Transfer-Encoding", "chunked")],
                body=body,
                length="",
                piece=3,
                terminated=True,
                config={"MAX_CONTENT_LENGTH": maximum},
            )
            right = 413 if len(body) > maximum else 200
            assert WAYS[way](case).status == right, (way, case)


@pytest.mark.parametrize("way", WAYS)
def test_a_length_of_5000_digits_is_no_error(way: str) -> None:
    for method, path in itertools.product(["GET", "POST"], ["/", "/read/data", "/read/form"]):
        answer = WAYS[way](Case(path, method=method, length="9" * 5000))
        # Flask takes it for 0; a gateway may refuse it.
        assert answer.status in {200, 400, 405}


def typed() -> kolben.Flask:
    app = API("typed")

    @app.post("/")
    def add(body: dict[str, int]) -> dict[str, int]:
        return body

    return app


def test_a_typed_view_is_no_less_careful() -> None:
    app, kind = typed(), [("Content-Type", "application/json")]
    for body, (piece, terminated), fails in itertools.product(
        (b'{"a": 1}', b"{", b""), ((0, False), (1, False), (0, True), (3, True)), (False, True)
    ):
        for length in lengths(body):
            case = Case("/", method="POST", headers=kind, body=body, length=length)
            case.piece, case.terminated, case.fails = piece, terminated, fails
            answer = by_environ(case, app)
            if answer.status == 200:
                assert (answer.body, body) == (b'{"a":1}', b'{"a": 1}'), case
            else:
                assert answer.status in {400, 413, 422}, case


def test_a_typed_view_sees_what_follows_a_declared_length_as_other_views_do() -> None:
    kind, body = [("Content-Type", "application/json")], b'{"a": 1}'
    for more, right in ((b"  ", 200), (b"x", 400), (body, 400), (b" " * 90_000 + b"x", 400)):
        for maximum, piece, terminated in itertools.product((None, 8, 9), (0, 3), (False, True)):
            case = Case("/", method="POST", headers=kind, body=body + more, length="8")
            case.piece, case.terminated = piece, terminated
            app = typed()
            app.config["MAX_CONTENT_LENGTH"] = maximum
            is_longer = maximum is not None and len(body + more) > maximum
            expected = 200 if not terminated else 413 if is_longer else right
            assert by_environ(case, app).status == expected, case


@pytest.mark.parametrize("served", ["gunicorn"], indirect=True)
def test_a_body_that_stops_coming_is_408_where_the_server_shows_its_socket(served: Served) -> None:
    for path, kind in (
        ("/read/data", "text/plain"),
        ("/read/stream_lines", "text/plain"),
        ("/read/form", "application/x-www-form-urlencoded"),
        ("/read/files", "multipart/form-data; boundary=b"),
    ):
        for framing, body in (("Content-Length: 9", b"abc"), ("Transfer-Encoding: chunked", b"3\r\nabc\r\n")):  # fmt: skip
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{framing}\r\n"
            answer = served.send(f"{head}Content-Type: {kind}\r\n\r\n".encode() + body)
            assert answer.status == 408, (path, framing, served.said())


@pytest.mark.parametrize("served", ["gunicorn"], indirect=True)
def test_the_answer_may_take_longer_than_the_body(served: Served) -> None:
    """The time limit is one of the body only: a client that reads slowly is sent all."""
    data = b"x" * 600_000
    head = (
        f"POST /read/data HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(data)}"
    )
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", served.port))
        client.sendall(head.encode() + b"\r\nContent-Type: text/plain\r\n\r\n" + data)
        time.sleep(1.5)
        received = b""
        while piece := client.recv(100_000):
            received += piece
    assert len(received) > len(data)


def test_wrong_lengths_over_a_socket(served: Served) -> None:
    for length in ["-1", "+5", "x", "9" * 5000, "9" * 19, "5, 6", "0x5", "1e3", " "]:
        case = Case("/read/data", method="POST", headers=[("Content-Type", "text/plain")])
        case.body, case.length = b"12345", length
        # A server may wait for what is announced; one has its own page for what is too long.
        status = served.ask(case, patience=1).status
        assert status in {0, 400, 413, 501}, (length, served.said())
    assert served.ask(Case("/")).status == 200


def test_chunks_that_are_none_over_a_socket(served: Served) -> None:
    head = b"POST /read/data HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    for chunks in [
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"-5\r\nabcde\r\n0\r\n\r\n",
        b"f" * 40 + b"\r\n",
        b"\r\n\r\n",
    ]:
        answer = served.send(head + chunks, patience=1)
        # Granian tells a WSGI application no more than that nothing came.
        is_empty = answer.status == 200 and answer.body == b"b''"
        is_empty = is_empty and served.name == "granian-wsgi"
        assert is_empty or answer.status in {0, 400, 408, 413}, (chunks, served.said())
    both = head.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n")
    assert served.send(both + b"3\r\nabc\r\n0\r\n\r\n").status in {200, 400}
    assert served.ask(Case("/")).status == 200
