"""Random requests to the same application on Kolben and on real Flask, in a process of its own.

Status, headers and body are equal, or the difference is one of those that are listed. `make fuzz` tries
more of them.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from suite_environments import environment
from werkzeug.datastructures import Authorization
from werkzeug.http import parse_date

from hostile.application import READERS
from hostile.peer import exchange
from hostile.test_headers import READ_BY, VALUES
from hostile.ways import application
from kolben.http.readers import is_no_host

HERE = Path(__file__).resolve().parent
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1000"))

pytestmark = [pytest.mark.suite, pytest.mark.timeout(60 + EXAMPLES)]


class Flask:
    """Real Flask, in a process of its own."""

    def __init__(self) -> None:
        python = environment("reference", "reference", kolben=False)
        self.process = subprocess.Popen(
            [python, HERE / "peer.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def ask(self, case: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(case) + "\n")
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture(scope="module")
def flask() -> Iterator[Flask]:
    peer = Flask()
    yield peer
    with peer.process as process:  # which closes its pipes
        process.terminate()


texts = st.text(st.characters(max_codepoint=0xFF), max_size=20)
lines = st.text(st.characters(max_codepoint=0xFF, exclude_characters="\r\n\0"), max_size=20)
values = (
    st.sampled_from(VALUES) | lines | st.lists(st.sampled_from(VALUES), max_size=3).map(",".join)
)
pieces = st.sampled_from(
    [
        "a",
        "b",
        "=",
        "&",
        "%",
        "%20",
        "%c3%a9",
        "%ff",
        "+",
        ";",
        "/",
        "..",
        "//",
        "?",
        "\xc3\xa9",
        "1",
    ]
)
queries = st.lists(pieces, max_size=8).map("".join) | lines
paths = st.one_of(
    # Where all is read, what differs is one of many parts.
    st.sampled_from([f"/read/{name}" for name in READERS if name != "all"]),
    st.sampled_from(
        [
            "/",
            "/slash",
            "/slash/",
            "/nowhere",
            "/session",
            "/static/file.txt",
            "/missing",
            "/form",
            "/json",
        ]
    ),
    st.lists(pieces, max_size=6).map(lambda p: "/path/" + "".join(p)),
    st.lists(pieces, max_size=6).map(lambda p: "/" + "".join(p)),
    st.integers(-(10**20), 10**20).map(lambda n: f"/int/{n}"),
)
bodies = st.one_of(
    st.lists(pieces, max_size=10).map("".join),
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=3),
        lambda x: st.lists(x, max_size=3),
    ).map(json.dumps),
    st.lists(
        st.sampled_from(
            [
                "--b",
                "--",
                "\r\n",
                "\r\n\r\n",
                'Content-Disposition: form-data; name="a"',
                "; filename=x",
                "x",
                "\xff",
            ]
        ),
        max_size=12,
    ).map("".join),
    texts,
)
kinds = st.sampled_from(
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "application/json",
        "text/plain",
        "",
    ]
)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    body = draw(bodies)
    environ = {
        "PATH_INFO": draw(paths),
        "QUERY_STRING": draw(queries),
        "REQUEST_METHOD": draw(
            st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE", "get"])
        ),
        "CONTENT_TYPE": draw(kinds),
    }
    for name in draw(st.lists(st.sampled_from(sorted(READ_BY)), max_size=3)):
        key = name.upper().replace("-", "_")
        if key != "CONTENT_TYPE":
            environ[f"HTTP_{key}"] = draw(values)
    return {"environ": environ, "body": body, "piece": draw(st.sampled_from([0, 0, 1, 3]))}


def is_listed(
    flask: Flask, case: dict[str, Any], theirs: dict[str, Any], ours: dict[str, Any]
) -> bool:
    """Whether a difference is one of docs/differences.md: ours is right, or refuses more."""
    if "raised" in theirs or theirs["status"].startswith("5"):
        return is_mended(flask, case, ours)
    if is_no_host(case["environ"].get("HTTP_HOST", "")):
        # Werkzeug takes it for one. The rest of the answer is that to no host.
        return same(flask.ask(with_host(case, "")), ours)
    if ours["status"][:2] == "30" and escaped(theirs) == escaped(ours):
        # Control characters are percent-encoded in a Location, and in the page that names it.
        return all(letter not in CONTROLS for letter in dict(ours["headers"])["Location"])
    if case["piece"] and "multipart" in case["environ"]["CONTENT_TYPE"]:
        # Where a read ends inside of a boundary Werkzeug keeps a byte of it. Ours depends on no read.
        whole = {**case, "piece": 0}
        return flask.ask(whole) == exchange(application(), whole) == ours
    return False


def is_mended(flask: Flask, case: dict[str, Any], ours: dict[str, Any]) -> bool:
    """Whether our answer to what is an error of Flask's is the one that docs/differences.md says."""
    environ = dict(case["environ"])
    if environ["PATH_INFO"] == "/read/if_range_written" and "HTTP_IF_RANGE" in environ:
        written = f"<IfRange {environ['HTTP_IF_RANGE'].strip()!r}>"
        return bool(ours["body"].encode("latin-1").decode() == written)
    query = environ["QUERY_STRING"].encode("latin-1")
    environ["QUERY_STRING"] = query.decode(errors="werkzeug.url_quote").encode().decode("latin-1")
    for name in DATES:
        try:
            parse_date(environ.get(name))
        except OverflowError:
            del environ[name]
    try:
        Authorization.from_header(environ.get("HTTP_AUTHORIZATION"))
    except ValueError:
        del environ["HTTP_AUTHORIZATION"]
    host = environ.get("HTTP_HOST", "")
    environ["HTTP_HOST"] = host.replace("xn--", "yn--")
    theirs = flask.ask({**case, "environ": environ})
    if "xn--" in host:
        theirs = json.loads(json.dumps(theirs).replace("yn--", "xn--"))
    if is_no_host(host):
        return same(flask.ask(with_host({**case, "environ": environ}, "")), ours)
    return environ != case["environ"] and same(theirs, ours)


DATES = ("HTTP_DATE", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE")
CONTROLS = frozenset(map(chr, (*range(32), *range(127, 160))))


def with_host(case: dict[str, Any], host: str) -> dict[str, Any]:
    return {**case, "environ": {**case["environ"], "HTTP_HOST": host}}


def same(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    return theirs == ours or escaped(theirs) == escaped(ours)


def escaped(answer: dict[str, Any]) -> Any:
    """An answer's status, Location and page as they are with control characters percent-encoded."""

    def escape(text: str) -> str:
        return "".join(quote(c, encoding="latin-1") if c in CONTROLS else c for c in text)

    headers = [
        (name, escape(value)) for name, value in answer["headers"] if name != "Content-Length"
    ]
    return answer["status"], headers, escape(answer["body"])


# The suite tries the same requests each time; `make fuzz` tries others.
@settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES <= 1000,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(case=cases())
def test_kolben_answers_as_flask_or_as_is_listed(flask: Flask, case: dict[str, Any]) -> None:
    theirs, ours = flask.ask(case), exchange(application(), case)
    assert "raised" not in ours or "raised" in theirs
    if ours != theirs:
        assert is_listed(flask, case, theirs, ours), (theirs, ours)


@pytest.mark.parametrize(
    ("path", "header", "value"),
    [
        ("/read/args", "QUERY_STRING", "a=\xff&b=\xc3\xa9"),
        ("/read/full_path", "QUERY_STRING", "\xff"),
        *(
            (path, f"HTTP_{name}", "Thu, 01 Jan 99999999999 00:00:00 GMT")
            for name in ("DATE", "IF_MODIFIED_SINCE", "IF_UNMODIFIED_SINCE", "IF_RANGE")
            for path in (f"/read/{name.lower()}", "/static/file.txt")
        ),
        ("/read/authorization", "HTTP_AUTHORIZATION", "Basic \xff"),
        ("/read/url", "HTTP_HOST", "xn--.org"),
        ("/read/base_url", "HTTP_HOST", "[:50]"),
        ("/read/if_range_written", "HTTP_IF_RANGE", '"a"b"'),
    ],
)
def test_what_is_an_error_of_flasks_is_answered_as_is_listed(
    flask: Flask, path: str, header: str, value: str
) -> None:
    environ = {"PATH_INFO": path, "QUERY_STRING": "", "REQUEST_METHOD": "GET", "CONTENT_TYPE": ""}
    case = {"environ": {**environ, header: value}, "body": "", "piece": 0}
    theirs, ours = flask.ask(case), exchange(application(), case)
    if theirs != ours:
        assert is_listed(flask, case, theirs, ours), (theirs, ours)
        # Another answer would not do.
        assert not is_listed(flask, case, theirs, {**ours, "body": "anything"})
