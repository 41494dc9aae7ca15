"""Forms that are too long, too many, broken, or never end."""

from __future__ import annotations

import gc
import itertools
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

import kolben
from hostile.ways import WAYS, Case, Served, by_environ
from kolben.wrappers import Request

URLENCODED = [("Content-Type", "application/x-www-form-urlencoded")]
MULTIPART = [("Content-Type", "multipart/form-data; boundary=b")]
LIMIT = 500_000  # of MAX_FORM_MEMORY_SIZE, by default


def part(name: str, content: bytes, file: str | None = None) -> bytes:
    extra = "" if file is None else f'; filename="{file}"'
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(body: bytes, *, chunked: bool = False, **config: Any) -> Case:
    case = Case("/form", method="POST", headers=URLENCODED, body=body, config=config)
    if chunked:
        case.length, case.terminated = "", True
        case.headers = [*URLENCODED, ("Transfer-Encoding", "chunked")]
    return case


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_urlencoded_forms_obey_the_limits_of_forms(way: str, chunked: bool) -> None:
    def status(body: bytes, **config: Any) -> int:
        return WAYS[way](form(body, chunked=chunked, **config)).status

    assert status(b"a=" + b"x" * LIMIT) == 413
    assert status(b"x" * (LIMIT + 1)) == 413
    assert status(b"a=" + b"x" * (LIMIT - 10)) == 200
    assert status(b"a=1&b=" + b"x" * LIMIT + b"&c=1") == 413
    assert status(b"&".join([b"a=" + b"x" * (LIMIT - 10)] * 3)) == 200
    assert status(b"a=" + b"%C3%BC" * (LIMIT // 3)) == 200  # decoded, it is short enough
    assert status(b"a=" + b"%" * 4 * LIMIT) == 413
    assert status(b"&".join([b"a=1"] * 1000)) == 200
    assert status(b"&".join([b"a=1"] * 1001)) == 413
    assert status(b"&" * 1_000_000) == 413
    assert status(b"a=1&b=2", MAX_FORM_PARTS=1) == 413
    assert status(b"a=1&b=2", MAX_FORM_PARTS=2) == 200
    assert status(b"a=12345", MAX_FORM_MEMORY_SIZE=5) == 413
    assert status(b"a=12345", MAX_FORM_MEMORY_SIZE=7) == 200
    assert status(b"a=" + b"x" * LIMIT, MAX_FORM_MEMORY_SIZE=None) == 200
    assert status(b"&".join([b"a=1"] * 1001), MAX_FORM_PARTS=None) == 200


@pytest.mark.parametrize("limits", [(5, None), (None, 1)])
def test_a_request_may_have_limits_of_its_own(limits: tuple[int | None, int | None]) -> None:
    app = kolben.Flask("program")
    with app.test_request_context(method="POST", data={"a": "12345", "b": "2"}):
        request = kolben.request
        request.max_form_memory_size, request.max_form_parts = limits
        with pytest.raises(RequestEntityTooLarge):
            request.form  # noqa: B018


class Endless:
    """The input of a client that sends without an end."""

    def __init__(self, piece: bytes) -> None:
        self.piece = piece
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        assert 0 < size < 10_000_000
        self.given += size
        return (self.piece * (size // len(self.piece) + 1))[:size]


@pytest.mark.parametrize("length", ["20000000", "20000000000", None])
@pytest.mark.parametrize("piece", [b"x", b"a=1&", b"&", b"%"])
def test_a_form_over_the_limits_is_refused_before_it_takes_memory(
    piece: bytes, length: str | None
) -> None:
    endless = Endless(piece)
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "wsgi.input": endless,
        "wsgi.input_terminated": True,
    }
    if length is not None:
        environ["CONTENT_LENGTH"] = length
    gc.collect()
    tracemalloc.start()
    try:
        with pytest.raises(RequestEntityTooLarge):
            Request(environ).form  # noqa: B018
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert endless.given <= 2_000_000
    assert peak < 8_000_000


BROKEN = {
    "no boundary": b"",
    "no end": part("a", b"1"),
    "no end of a file": b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nabc',
    "no name": b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n",
    "no disposition": b"--b\r\nX: y\r\n\r\n1\r\n--b--\r\n",
    "no headers": b"--b\r\n\r\n1\r\n--b--\r\n",
    "another disposition": b'--b\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n--b--\r\n',
    "long header": b"--b\r\nContent-Disposition: form-data; name=" + b"a" * 2_000_000,
    "endless headers": b"--b\r\n" + b"X: y\r\n" * 200_000,
    "line ends": b"--b\r\n" + b"\r\n" * 500_000,
    "only cr": b"--b\r\n" + part("a", b"\r" * 400_000)[5:],
    "many parts": part("a", b"1") * 1001 + b"--b--\r\n",
    "nul": part("a\0", b"\0", "x\0") + b"--b--\r\n",
    "no utf-8": b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\xff\r\n--b--\r\n',
    "charset": b'--b\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=x\r\n\r\n1\r\n--b--\r\n',
    "star": b"--b\r\nContent-Disposition: form-data; name*=utf-8''%ff\r\n\r\n1\r\n--b--\r\n",
    "length of a part": b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\nContent-Length: '
    + b"9" * 5000
    + b"\r\n\r\n1\r\n--b--\r\n",
    "part in a part": part("a", part("b", b"1") + b"--b--") + b"--b--\r\n",
    "long field": part("a", b"x" * (LIMIT + 1)) + b"--b--\r\n",
    "boundary in the middle": part("a", b"--b" * 1000) + b"--b--\r\n",
    "bare": b"--b--",
    "dashes": b"-" * 600_000,
}
BOUNDARIES = [
    "",
    "; boundary",
    "; boundary=",
    '; boundary=""',
    "; boundary=\xff",
    "; boundary=" + "b" * 5000,
]
CASES = [
    Case(path, method="POST", headers=headers, body=body, piece=piece)
    for body in BROKEN.values()
    for path in ("/form", "/read/form", "/read/files")
    for headers in (MULTIPART, URLENCODED)
    for piece in (0, 4099)
] + [
    Case(
        "/form",
        method="POST",
        headers=[("Content-Type", f"multipart/form-data{boundary}")],
        body=body,
    )
    for boundary in BOUNDARIES
    for body in (part("a", b"1") + b"--b--\r\n", b"", b"--\r\n")
]


@pytest.mark.parametrize("way", WAYS)
def test_a_broken_form_is_no_error_of_the_servers(way: str) -> None:
    wrong = [
        (case.body[:60], case.headers, status)
        for case in CASES
        if (status := WAYS[way](case).status) not in {200, 400, 413}
    ]
    assert wrong == []


def test_forms_over_a_socket(served: Served) -> None:
    for case in CASES[::3]:
        assert served.ask(case).status in {0, 200, 400, 413}, (case.body[:60], served.said())
    assert served.ask(Case("/")).status == 200


def open_files() -> list[str]:
    """What temporary files this process has open: they have no name any more."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if "(deleted)" in target or target.startswith("/tmp/tmp"):
            found.append(target)
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc, which Linux has")
@pytest.mark.parametrize("terminated", [False, True])
def test_the_files_of_an_upload_that_fails_are_closed_at_once(terminated: bool) -> None:
    big = part("f", b"x" * 600_000, "f")
    endings: dict[str, tuple[bytes, str | None, dict[str, Any]]] = {
        "too many parts": (big + part("a", b"1") * 3 + b"--b--\r\n", None, {"MAX_FORM_PARTS": 2}),
        "long field": (big + part("a", b"x" * (LIMIT + 1)) + b"--b--\r\n", None, {}),
        "malformed": (big + b"--b\r\nX: y\r\n\r\n1\r\n--b--\r\n", None, {}),
        "no end": (big, None, {}),
        "in the middle": (big[:-200], None, {}),
        "short": (big, str(len(big) + 100), {}),
        "two of them": (big + big[:-300], None, {}),
    }
    gc.disable()
    try:
        before = open_files()
        for body, length, config in endings.values():
            case = Case("/form", method="POST", headers=MULTIPART, body=body, length=length)
            case.config, case.terminated = config, terminated
            for fails, piece in itertools.product((False, True), (0, 70_001)):
                case.fails, case.piece = fails, piece
                assert by_environ(case).status in {200, 400, 413}
                assert open_files() == before
    finally:
        gc.enable()


def test_an_upload_that_breaks_off_is_an_error_with_its_files_closed() -> None:
    body = part("f", b"x" * 600_000, "f") * 2
    opened = []

    class Recorder(Request):
        def _get_file_stream(self, *args: Any, **kwargs: Any) -> Any:
            opened.append(super()._get_file_stream(*args, **kwargs))
            return opened[-1]

    from hostile.peer import make_environ

    case = Case(method="POST", headers=MULTIPART, body=body, length=str(len(body) + 1))
    request = Recorder(make_environ(case.as_peer()))
    with pytest.raises(ClientDisconnected):
        request.files  # noqa: B018
    assert len(opened) == 2
    assert all(file.closed for file in opened)
