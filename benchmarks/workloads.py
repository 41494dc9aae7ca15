"""What is measured: each request, how its answer is checked, and the data that all apps share.

An app file (`apps/<name>.py`) has `KIND` ("wsgi", "asgi" or "call"), `app`, and `WORKLOADS`,
the names of those below that the framework has. A workload that wants an app of its own
(so that its hooks or middleware cost nothing elsewhere) names the attribute in `app`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

HERE = Path(__file__).resolve().parent
TEMPLATES = HERE / "templates"
STATIC = HERE / "static"
SECRET = "a long secret key that signs only benchmark cookies"

Headers = dict[str, str]
Check = Callable[[int, Headers, bytes], bool]


@dataclass(frozen=True)
class Workload:
    """One request and what its answer must be.

    `prime` is the path of a request made once before, whose cookies this one sends. The
    ratios are goals: `over_flask` times faster than Flask, at most `of_floor` times the
    row `floor`.
    """

    name: str
    path: str
    check: Check
    method: str = "GET"
    headers: Headers = field(default_factory=dict)
    body: bytes = b""
    app: str = "app"
    prime: str = ""
    over_flask: float = 0
    floor: str = ""
    of_floor: float = 0


# Data the apps answer with.

RECORDS = [
    {
        "id": n,
        "name": f"Person {n}",
        "email": f"person{n}@example.org",
        "active": n % 3 == 0,
        "score": n * 1.25,
        "tags": ["new", "blue", "ünïcode"],
    }
    for n in range(200)
]
ROWS = [{"name": f"Item <{n}>", "price": n * 1.5, "count": n % 7} for n in range(20)]
PAGE = {"title": "Stock & orders", "user": "Ada", "rows": ROWS}
NOT_FOUND = "Nothing is here."
PRODUCERS = ("news", "shop", "forum")
"""Names of the three blueprints (or routers, or prefixes) of the hooks workload."""
ROUTES_EACH = 66
"""Routes of each; with `/` and the one asked for about 200 in all."""

# Checks.


def text(expected: str) -> Check:
    """Return a check for a 200 of text that is *expected*."""

    def check(status: int, headers: Headers, body: bytes) -> bool:
        kind = headers.get("content-type", "")
        return status == 200 and kind.startswith("text/") and body == expected.encode()

    return check


def as_json(expected: object) -> Check:
    """Return a check for a 200 of JSON that decodes to *expected*."""

    def check(status: int, headers: Headers, body: bytes) -> bool:
        kind = headers.get("content-type", "application/json")
        return (
            status == 200 and kind.startswith("application/json") and json.loads(body) == expected
        )

    return check


def _redirect(status: int, headers: Headers, body: bytes) -> bool:
    target = urlsplit(headers.get("location", "")).path
    return status in {302, 303, 307} and target == "/user/42/post/benchmarks"


def _page(status: int, headers: Headers, body: bytes) -> bool:
    # Template languages escape the same character in different ways (&lt; &#60;) and differ in
    # blank space, so compare what the page holds.
    found = body.decode()
    return (
        status == 200
        and headers.get("content-type", "text/html").startswith("text/html")
        and "<title>Stock &amp; orders" in found
        and "Item <" not in found
        and found.count("<tr") == 21
        and "28.5" in found
        and "Signed in as Ada" in found
        and "</html>" in found
    )


def _missing(status: int, headers: Headers, body: bytes) -> bool:
    return status == 404 and body == NOT_FOUND.encode()


def _session(status: int, headers: Headers, body: bytes) -> bool:
    return text("Ada 2")(status, headers, body) and "set-cookie" in headers


def _cookie(status: int, headers: Headers, body: bytes) -> bool:
    sent = headers.get("set-cookie", "").lower()
    parts = ("theme=dark", "max-age=3600", "httponly", "samesite=lax")
    return text("ok")(status, headers, body) and all(part in sent for part in parts)


def _flash(status: int, headers: Headers, body: bytes) -> bool:
    return text("Saved.")(status, headers, body) and "set-cookie" in headers


def _hooks(status: int, headers: Headers, body: bytes) -> bool:
    return text("forum 64")(status, headers, body) and headers.get("x-seen") == "app forum"


def _static(status: int, headers: Headers, body: bytes) -> bool:
    expected = (STATIC / "data.txt").read_bytes()
    return status == 200 and body == expected and headers.get("content-length", "10240") == "10240"


# Requests.

_FORM = {"name": "Ada Lovelace", "email": "ada@example.org", "age": "36", "city": "London"}
_FORM["note"] = "first & foremost"
_JSON = {"name": "Ada", "age": 36, "tags": ["maths", "poetry"]}
_BOUNDARY = "----kolbenbenchmark7MA4YWxkTrZu0gW"
FILE = (bytes(range(256)) * 400)[:100_000]
"""The 100 kB that are uploaded: every byte value, so that no parser is spared line ends."""


def multipart(fields: dict[str, str], file: bytes) -> bytes:
    """Return a multipart body of *fields* and one *file* named `photo`."""
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode()
        for k, v in fields.items()
    ]
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="photo.bin"'
        "\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    return b"".join([*parts, head.encode(), file, f"\r\n--{_BOUNDARY}--\r\n".encode()])


MULTIPART_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"

WORKLOADS = [
    Workload("hello", "/", text("Hello, World!"), over_flask=15),
    Workload("path", "/user/42/post/benchmarks", text("42 benchmarks"), over_flask=15),
    Workload(
        "args",
        "/search?q=fast+web&page=3&size=20&sort=date&order=desc",
        text("fast web 3 20 date desc"),
        over_flask=15,
    ),
    Workload(
        "query",
        "/query?user=Flask&time=&p=7&p=8&info=hello%20there",
        text("Flask  7,8 hello there"),
        over_flask=15,
    ),
    Workload(
        "many_args",
        "/many?" + urlencode({f"name{n}": n for n in range(100)}),
        text(str(sum(range(100)))),
    ),
    Workload(
        "form",
        "/form",
        text("Ada Lovelace ada@example.org 36 London first & foremost"),
        method="POST",
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=urlencode(_FORM).encode(),
        over_flask=10,
    ),
    Workload(
        "json",
        "/json",
        as_json({"hello": "Ada", "next": 37, "tags": ["maths", "poetry"]}),
        method="POST",
        headers={"content-type": "application/json"},
        body=json.dumps(_JSON).encode(),
        over_flask=10,
    ),
    Workload(
        "long_form",
        "/long",
        text("100 Straße 99"),
        method="POST",
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=urlencode({f"name{n}": f"Straße {n}" for n in range(100)}).encode(),
    ),
    Workload("records", "/records", as_json(RECORDS), floor="bare_json", of_floor=1.1),
    Workload(
        "upload",
        "/upload",
        text("Summer at the sea photo.bin 100000"),
        method="POST",
        headers={"content-type": MULTIPART_TYPE},
        body=multipart({"title": "Summer", "note": "at the sea"}, FILE),
        over_flask=4,
    ),
    Workload("redirect", "/go", _redirect, over_flask=10),
    Workload("template", "/page", _page, app="template_app", floor="bare_jinja2", of_floor=1.15),
    Workload("missing", "/no/such/page", _missing, over_flask=10),
    Workload(
        "session",
        "/session",
        _session,
        app="session_app",
        prime="/session/start",
        over_flask=10,
    ),
    Workload("cookie", "/cookie", _cookie, over_flask=15),
    Workload("flash", "/flash", _flash, app="session_app", prime="/flash/start", over_flask=10),
    Workload("hooks", "/forum/64/x", _hooks, app="hooks_app", over_flask=15),
    Workload("static", "/static/data.txt", _static, over_flask=4),
]
BY_NAME = {workload.name: workload for workload in WORKLOADS}
EVERY = tuple(BY_NAME)
BASIC = tuple(n for n in EVERY if n not in {"template", "session", "flash", "redirect"})
FIELDS = ("many_args", "long_form")
"""Those of a hundred fields, which only the fastest of the others have."""
MANY = [f"name{n}" for n in range(100)]
