"""Inputs that a fuzzer finds by the branches they take, to what reads requests.

    python tests/hostile/guided.py NAME SECONDS CORPUS

atheris (libFuzzer) changes inputs such that they reach code that none before has reached. Where it is not installed,
they are changed at random. What Kolben reads is compared with what Werkzeug reads from the same environ; no input
may end in an error, nor in another answer of an application than those that its target allows.
"""

from __future__ import annotations

import io
import random
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

try:
    import atheris
except ImportError:
    atheris = None
if atheris is not None and __name__ == "__main__":
    with atheris.instrument_imports(include=["kolben", "werkzeug", "itsdangerous"]):
        import kolben
        import kolben.http.fields
        import kolben.http.multipart
else:
    import kolben

from application import READERS, build  # noqa: E402 (after the instrumentation)
from peer import exchange, make_environ  # noqa: E402
from werkzeug.exceptions import HTTPException  # noqa: E402
from werkzeug.wrappers import Request  # noqa: E402

from kolben.http.readers import is_no_host  # noqa: E402

#: The longest input, in bytes.
MOST = 2000

HEADERS: list[tuple[str, str]] = [
    ("HTTP_IF_NONE_MATCH", "if_none_match"),
    ("HTTP_IF_MATCH", "if_match"),
    ("HTTP_IF_MODIFIED_SINCE", "if_modified_since"),
    ("HTTP_IF_UNMODIFIED_SINCE", "if_unmodified_since"),
    ("HTTP_IF_RANGE", "if_range"),
    ("HTTP_DATE", "date"),
    ("HTTP_RANGE", "range"),
    ("HTTP_CACHE_CONTROL", "cache_control"),
    ("HTTP_MAX_FORWARDS", "max_forwards"),
    ("HTTP_ACCEPT", "accept"),
    ("HTTP_ACCEPT_LANGUAGE", "accept"),
    ("HTTP_X_FORWARDED_FOR", "access_route"),
    ("HTTP_AUTHORIZATION", "authorization"),
    ("HTTP_PRAGMA", "user_agent"),
    ("HTTP_CONTENT_MD5", "content_encoding"),
    ("CONTENT_TYPE", "mimetype"),
    ("CONTENT_LENGTH", "content_length"),
]
CONDITIONS = [name for name, _ in HEADERS[:7]]


class Theirs(Request):
    """Werkzeug's, which leaves files open where a body is broken."""

    def _get_file_stream(self, *args: Any, **options: Any) -> Any:
        return io.BytesIO()


class Wrong(AssertionError):
    """What was read is not what Werkzeug reads, or an answer is none that may be."""


def compare(
    environ: dict[str, Any], readers: Iterable[str], body: bytes = b"", piece: int = 0
) -> None:
    """Have both read an environ. What Werkzeug fails at may be refused or ignored, without an error."""
    for name in readers:
        try:
            theirs = READERS[name](Theirs(make_environ({"environ": environ, "body": text(body)})))
        except HTTPException as error:
            theirs = error.code
        except Exception:
            theirs = Wrong
        ours = _read(name, {"environ": environ, "body": text(body), "piece": piece})
        if theirs is not Wrong and ours != repr(theirs):
            raise Wrong(f"{name}: {ours} is not {theirs!r}")


def text(data: bytes) -> str:
    return data.decode("latin-1")


def ask(allowed: set[int], **environ: str) -> dict[str, Any]:
    answer = exchange(APP, {"environ": environ})
    if "raised" in answer or int(answer["status"][:3]) not in allowed:
        raise Wrong(f"{answer}")
    return answer


def query(data: bytes) -> None:
    compare({"QUERY_STRING": text(data)}, ("args", "full_path", "url", "query_string"))


def cookies(data: bytes) -> None:
    compare({"HTTP_COOKIE": text(data)}, ("cookies",))


def headers(data: bytes) -> None:
    name, reader = HEADERS[(data[0] if data else 0) % len(HEADERS)]
    compare({name: text(data[1:])}, (reader,))


def host(data: bytes) -> None:
    environ = {"HTTP_HOST": text(data)}
    if is_no_host(text(data)):  # where Werkzeug takes it for one, or fails
        ours = kolben.Request(make_environ({"environ": environ}))
        if (ours.host, ours.url) != ("", "http:///"):
            raise Wrong(f"no host, but {ours.url!r}")
    else:
        compare(environ, ("host", "url", "host_url"))


def urlencoded(data: bytes) -> None:
    environ = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": "application/x-www-form-urlencoded"}
    compare(environ, ("form", "data"), data)


def multipart(data: bytes) -> None:
    environ = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": "multipart/form-data; boundary=b"}
    compare(environ, ("form", "files"), data)
    case = {"environ": environ, "body": text(data)}
    for name in ("form", "files"):
        whole, drops = (_read(name, {**case, "piece": piece}) for piece in (0, 1 + len(data) % 7))
        if whole != drops:
            raise Wrong(f"in pieces {name} is {drops!r}, not {whole!r}")


def _read(name: str, case: dict[str, Any]) -> str:
    request = kolben.Request(make_environ(case))
    try:
        return repr(READERS[name](request))
    except HTTPException as error:
        return repr(error.code)
    finally:
        request.close()


def json(data: bytes) -> None:
    environ = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": "application/json"}
    compare(environ, ("json_silent",), data)


def session(data: bytes) -> None:
    answer = ask({200}, PATH_INFO="/session", HTTP_COOKIE="session=" + text(data))
    if answer["body"] != "[]":
        raise Wrong(f"a session that was not signed: {answer['body']}")


def signed_session(data: bytes) -> None:
    made = SIGNER.sign(data).decode("latin-1")
    ask({200}, PATH_INFO="/session", HTTP_COOKIE=f'session="{made}"')
    ask({200}, PATH_INFO="/session", HTTP_COOKIE=f"session={made}")


def conditions(data: bytes) -> None:
    environ = {}
    for line in data.split(b"\n")[:3]:
        if line:
            environ[CONDITIONS[line[0] % len(CONDITIONS)]] = text(line[1:])
    ask({200, 206, 304, 412, 416}, PATH_INFO="/static/file.txt", **environ)


def path(data: bytes) -> None:
    answer = ask({200, 308, 404}, PATH_INFO="/" + text(data))
    location = dict(answer["headers"]).get("Location")
    if location is not None and urllib.parse.urlsplit(location).netloc != "localhost":
        raise Wrong(f"a redirect to {location}")


APP = build(kolben)
_interface: Any = APP.session_interface
SIGNER: Any = _interface.get_signing_serializer(APP).make_signer("cookie-session")

_HEADER_SEEDS = [
    b'"a", W/"b", *',
    b"bytes=0-5,-1",
    b"Thu, 01 Jan 2020 00:00:00 GMT",
    b"max-age=5, no-cache",
]
#: What is to be read, each with inputs to begin with.
TARGETS: dict[Callable[[bytes], None], list[bytes]] = {
    query: [b"a=1&b=%C3%A9;c+d&%zz=&=", b"\xff=%ff"],
    cookies: [b'a=1; b="\\"x\\054"; c', b"=x; a = b;;\xc3\xa9=\xff"],
    headers: [bytes([n]) + seed for n in range(len(HEADERS)) for seed in _HEADER_SEEDS]
    + [b"\x09text/html;q=0.5,*/*;q=.1", b"\x0cBasic YTpi", b'\x0cDigest a="b", c=d', b'\x0fa/b; c="d\\"e"; f*=utf-8\'\'%c3'],
    host: [b"example.com:80", b"[::1]:5000", b"a:1:2"],
    urlencoded: [b"a=1&b=%C3%A9&c+d=e", b"&&=&\xff"],
    multipart: [
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data;'
        b' name="f"; filename="x"\r\nContent-Type: text/plain\r\n\r\nxy\r\n--b--\r\n'),
        b"--b\nX: y\n\n\n--b--",
    ],
    json: [b'{"a": [1, 2.5e3, null, "\\u00e9\\ud800"]}', b'"\xff"', b"[[["],
    session: [b"eyJhIjoxfQ.aAAA.AAAA", b".eJyrVkpUslIyVKoFAA.a.b"],
    signed_session: [b"eyJhIjoxfQ.aAAAAA", b".eJyrVkpUslIyVKoFAAqkAgk.aAAAAA", b"e30."],
    conditions: [b"\x00\"a\"\n\x06bytes=0-1", b"\x04Thu, 01 Jan 2020 00:00:00 GMT\n\x06bytes=-2"],
    path: [b"slash", b"/static/../file.txt", b"int/5", b"path/a//b", b"\xff/%2e"],
}  # fmt: skip


def at_random(target: Callable[[bytes], None], seeds: list[bytes], seconds: float) -> int:
    """Change the seeds at random, for some time; return how often."""
    chance = random.Random(0)
    pool, count, end = list(seeds), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = bytearray(chance.choice(pool))
        for _ in range(chance.randint(1, 4)):
            at = chance.randint(0, len(data))
            what = chance.randint(0, 3)
            if what == 0:
                data[at:at] = bytes(
                    [chance.choice(b'\x00\t\r\n "%&+,;=\\/*-.09azW\x7f\x80\xc3\xff')]
                )
            elif what == 1:
                del data[at : at + chance.randint(1, 5)]
            elif what == 2:
                other = chance.choice(pool)
                data[at:at] = other[chance.randint(0, len(other)) :][:20]
            else:
                data[at : at + 1] = bytes([chance.randint(0, 255)])
        one = bytes(data[:MOST])
        try:
            target(one)
        except Exception:
            print(f"The input: {one!r}", file=sys.stderr)
            raise
        if len(pool) < 500:
            pool.append(one)
        count += 1
    return count


def main(name: str, seconds: str, corpus: str) -> None:
    target = next(one for one in TARGETS if one.__name__ == name)
    folder = Path(corpus) / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[target]):
        (folder / f"seed-{number}").write_bytes(seed)
    if atheris is None:
        print(f"{at_random(target, TARGETS[target], float(seconds))} inputs at random: no atheris")
        return
    options = (
        f"-max_total_time={seconds}",
        f"-max_len={MOST}",
        f"-artifact_prefix={folder.parent}/",
    )
    atheris.Setup([sys.argv[0], *options, str(folder)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
