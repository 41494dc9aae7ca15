"""`python benchmarks/typed.py`: typed handlers, µs of CPU a request, beside other frameworks and the floors.

a: three arguments into a model of four fields; b: a body of ten fields, with constraints, into one of twelve;
c: the same with five faults; d: 200 models of six fields; i: three providers, one of which yields, over none.
Each answer is checked. Medians of interleaved rounds, each framework in an environment of its own. Then 1,000
routes: what a start of the program takes (``typed_routes.py``). ``make bench`` runs it, too.
"""

import argparse
import asyncio
import io
import json
import statistics
import subprocess
import sys
import time
import typing as t
from pathlib import Path
from types import SimpleNamespace

import environments
import run
import typed_peers as peers
from typed_routes import MANY

GOOD = {
    "name": "Ann",
    "email": "ann@example.com",
    "age": 30,
    "score": 1.5,
    "active": True,
    "tags": ["x", "y"],
    "address": "1 Long Street",
    "city": "Bern",
    "lines": [{"sku": f"s{n}", "quantity": n, "price": 2.5} for n in (1, 2, 3)],
    "note": None,
}
BAD_LINES = [
    {"sku": "s1", "quantity": 0, "price": 2.5},
    {"sku": "s2", "quantity": 1, "price": "x"},
    {"sku": "s3", "quantity": 1, "price": 2.5},
]
BAD = {**GOOD, "name": "", "email": "nowhere", "age": 200, "lines": BAD_LINES}
REQUESTS: dict[str, tuple[str, str, str, bytes | None, int]] = {
    "hello": ("GET", "/hello", "", None, 200),
    "a": ("GET", "/items/42", "q=lamp&limit=20&active=true", None, 200),
    "b": ("POST", "/items", "", json.dumps(GOOD).encode(), 200),
    "c": ("POST", "/items", "", json.dumps(BAD).encode(), 422),
    "d": ("GET", "/users", "", None, 200),
    "i": ("GET", "/provided", "", None, 200),
}
TIMES = {"hello": 2000, "a": 1500, "b": 1000, "c": 400, "d": 400, "i": 1500}


# -- models ---------------------------------------------------------------------------------


def define(base: type, limit: t.Callable[..., t.Any]) -> SimpleNamespace:
    """The classes, of either library."""

    class Out(base):  # type: ignore[misc, valid-type]
        id: int
        q: str
        limit: int
        active: bool

    class Line(base):  # type: ignore[misc, valid-type]
        sku: t.Annotated[str, limit(min_length=1, max_length=20)]
        quantity: t.Annotated[int, limit(ge=1, le=1000)]
        price: float

    class In(base):  # type: ignore[misc, valid-type]
        name: t.Annotated[str, limit(min_length=1, max_length=50)]
        email: t.Annotated[str, limit(pattern="@")]
        age: t.Annotated[int, limit(ge=0, le=150)]
        score: float
        active: bool
        tags: list[str]
        address: str
        city: str
        lines: list[Line]
        note: str | None = None

    class Order(base):  # type: ignore[misc, valid-type]
        id: int
        name: str
        email: str
        age: int
        score: float
        active: bool
        tags: list[str]
        address: str
        city: str
        lines: list[Line]
        note: str | None
        total: float

    class User(base):  # type: ignore[misc, valid-type]
        id: int
        name: str
        email: str
        age: int
        active: bool
        score: float

    users = [
        User(id=n, name=f"user{n}", email=f"u{n}@example.com", age=30, active=True, score=1.5)
        for n in range(200)
    ]

    def order(body: t.Any) -> t.Any:
        names = ("name", "email", "age", "score", "active", "tags", "address", "city", "lines")
        given = {name: getattr(body, name) for name in names}
        total = sum(line.price * line.quantity for line in body.lines)
        return Order(id=1, note=body.note, total=total, **given)

    return SimpleNamespace(Out=Out, In=In, Order=Order, User=User, users=users, order=order)


def users() -> list[SimpleNamespace]:
    """Those of (d), for a framework whose models are no classes."""
    values = {"age": 30, "active": True, "score": 1.5}
    return [
        SimpleNamespace(id=n, name=f"user{n}", email=f"u{n}@example.com", **values)
        for n in range(200)
    ]


def structs() -> SimpleNamespace:
    import msgspec

    return define(msgspec.Struct, msgspec.Meta)


def models() -> SimpleNamespace:
    import pydantic

    return define(pydantic.BaseModel, pydantic.Field)


# -- applications ---------------------------------------------------------------------------


def kolben(kinds: SimpleNamespace, is_async: bool) -> t.Any:
    from kolben.api import API, Meta

    api = API("bench", static_folder=None)

    def session() -> t.Iterator[int]:
        yield 1

    async def session_async() -> t.AsyncIterator[int]:
        yield 1

    begin = session_async if is_async else session

    def user(session: t.Annotated[int, begin]) -> int:
        return session

    user = waiting(user) if is_async else user

    def permission(user: t.Annotated[int, user], session: t.Annotated[int, begin]) -> int:
        return user

    permission = waiting(permission) if is_async else permission

    def hello():
        return "Hello, World!"

    def a(
        id: int, q: str, limit: t.Annotated[int, Meta(ge=1, le=100)] = 10, active: bool = False
    ) -> kinds.Out:
        return kinds.Out(id=id, q=q, limit=limit, active=active)

    def b(body: kinds.In) -> kinds.Order:
        return kinds.order(body)

    def d() -> list[kinds.User]:
        return kinds.users

    def i(p: t.Annotated[int, permission], u: t.Annotated[int, user]) -> str:
        return "Hello, World!"

    if is_async:
        hello, a, b, d, i = map(waiting, (hello, a, b, d, i))
    for method, rule, view in (
        ("GET", "/hello", hello),
        ("GET", "/items/<int:id>", a),
        ("POST", "/items", b),
        ("GET", "/users", d),
        ("GET", "/provided", i),
    ):
        api.add_url_rule(rule, view_func=view, methods=[method])
    return api


def waiting(view: t.Any) -> t.Any:
    """The same view as a coroutine function, written by its signature."""
    import inspect

    parameters = inspect.signature(view).parameters
    source = (
        f"async def {view.__name__}({', '.join(parameters)}): return view({', '.join(parameters)})"
    )
    namespace = {"view": view}
    exec(source, namespace)
    made: t.Any = namespace[view.__name__]
    made.__annotations__, made.__defaults__ = view.__annotations__, view.__defaults__
    return made


#: By label: the environment, how it is called, and what builds it.
APPS: dict[str, tuple[str, str, t.Callable[[], t.Any]]] = {
    "floor, msgspec": ("kolben", "call", lambda: peers.floor(structs(), *SENT)),
    "floor, pydantic": ("kolben", "call", lambda: peers.pydantic_floor(models(), *SENT)),
    "Kolben": ("kolben", "wsgi", lambda: kolben(structs(), False)),
    "Kolben, pydantic": ("kolben", "wsgi", lambda: kolben(models(), False)),
    "Kolben, ASGI": ("kolben", "asgi", lambda: kolben(structs(), True)),
    "Kolben, ASGI, pydantic": ("kolben", "asgi", lambda: kolben(models(), True)),
    "FastAPI": ("fastapi", "asgi", lambda: peers.fastapi(models())),
    "Litestar, msgspec": ("litestar", "asgi", lambda: peers.litestar(structs())),
    "BlackSheep": ("blacksheep", "asgi", lambda: peers.blacksheep(models())),
    "Django Ninja": ("ninja", "wsgi", lambda: peers.ninja(models())),
    "APIFlask": ("apiflask", "wsgi", lambda: peers.apiflask(SimpleNamespace(users=users()))),
    "flask-openapi3": ("openapi3", "wsgi", lambda: peers.openapi3(models())),
    "Falcon, msgspec by hand": ("falcon_msgspec", "wsgi", lambda: peers.falcon(structs())),
}
SENT = (REQUESTS["a"][2], REQUESTS["b"][3] or b"")
FLOORS = ("a", "b", "d")
#: Which of the others have providers.
PROVIDES = ("Kolben", "FastAPI", "Litestar")


# -- a process for each ---------------------------------------------------------------------


def call_wsgi(app: t.Any) -> t.Callable[[str], t.Any]:
    status: list[str] = []

    def start_response(line: str, headers: t.Any, error: t.Any = None) -> None:
        status[:] = [line]

    async def call(name: str) -> tuple[int, bytes]:
        method, path, query, body, _ = REQUESTS[name]
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1:8000",
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.input": io.BytesIO(body or b""),
        }
        if body is not None:
            environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
        sent = b"".join(app(environ, start_response))
        return int(status[0][:3]), sent

    return call


def call_asgi(app: t.Any) -> t.Callable[[str], t.Any]:
    async def call(name: str) -> tuple[int, bytes]:
        method, path, query, body, _ = REQUESTS[name]
        headers = [(b"host", b"127.0.0.1:8000")]
        if body is not None:
            headers += [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
            ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
        }
        sent: list[t.Any] = []

        async def receive() -> dict[str, t.Any]:
            return {"type": "http.request", "body": body or b"", "more_body": False}

        async def send(message: t.Any) -> None:
            sent.append(message)

        await app(scope, receive, send)
        return sent[0]["status"], b"".join(one.get("body", b"") for one in sent)

    return call


def call_function(answer: t.Any) -> t.Callable[[str], t.Any]:
    async def call(name: str) -> tuple[int, bytes]:
        return 200, answer(name)

    return call


async def work(name: str) -> None:
    """Answer commands: a workload and a number each, with the nanoseconds of CPU that they took."""
    _, protocol, build = APPS[name]
    calls = {"wsgi": call_wsgi, "asgi": call_asgi, "call": call_function}
    app = build()
    if hasattr(app, "start"):
        await app.start()  # BlackSheep's
    call = calls[protocol](app)
    for line in sys.stdin:
        workload, number = json.loads(line)
        if number == 0:
            status, body = await call(workload)
            print(json.dumps([status, len(body)]), flush=True)
            continue
        began = time.process_time_ns()
        for _ in range(number):
            await call(workload)
        print(json.dumps((time.process_time_ns() - began) / number), flush=True)


def ask(worker: t.Any, *command: t.Any) -> t.Any:
    worker.stdin.write(json.dumps(command) + "\n")
    worker.stdin.flush()
    return json.loads(worker.stdout.readline())


def in_process(rounds: int) -> dict[str, dict[str, float]]:
    """Return the median microseconds a request, by workload and label."""
    workers = {
        name: subprocess.Popen(
            [environments.ensure(env), __file__, "--worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environments.variables(),
        )
        for name, (env, _, _) in APPS.items()
    }
    times: dict[str, dict[str, list[float]]] = {workload: {} for workload in REQUESTS}
    for round_ in range(rounds + 1):
        for workload, (_, _, _, _, status) in REQUESTS.items():
            for name, worker in workers.items():
                if name.startswith("floor") and workload not in FLOORS:
                    continue
                if workload == "i" and not name.startswith(PROVIDES):
                    continue
                if round_ == 0:
                    got, _ = ask(worker, workload, 0)
                    # A refusal is 400 for some.
                    assert got == status or (status, got) == (422, 400), (name, workload, got)
                    ask(worker, workload, 50)
                else:
                    taken = ask(worker, workload, TIMES[workload])
                    times[workload].setdefault(name, []).append(taken / 1000)
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    return {
        workload: {name: statistics.median(found) for name, found in row.items()}
        for workload, row in times.items()
    }


def many_routes(rounds: int) -> dict[str, dict[str, float]]:
    """Return the medians of what 1,000 routes take, by label."""
    found: dict[str, list[dict[str, float]]] = {}
    script = str(Path(__file__).with_name("typed_routes.py"))
    for _ in range(rounds):
        for name, many in MANY.items():
            python = environments.ensure(many.env)
            done = subprocess.run(
                [python, "-W", "ignore", script, name],
                env=environments.variables(),
                capture_output=True,
                text=True,
                check=True,
            )
            found.setdefault(name, []).append(json.loads(done.stdout.splitlines()[-1]))
    return {
        name.replace("kolben", "Kolben"): {
            what: statistics.median(one[what] for one in runs) for what in runs[0]
        }
        for name, runs in found.items()
    }


def table(times: dict[str, dict[str, float]]) -> str:
    """The microseconds as a table, a row for each framework."""
    lines = ["| | " + " | ".join(REQUESTS) + " |", "|---" * (len(REQUESTS) + 1) + "|"]
    for name in APPS:
        row = (times[one].get(name) for one in REQUESTS)
        cells = ("" if one is None else f"{one:.2f}" for one in row)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="typed handlers beside other frameworks")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--quick", action="store_true", help="three rounds, rough figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--worker")
    options = parser.parse_args()
    if options.worker:
        asyncio.run(work(options.worker))
        return 0
    rounds = 3 if options.quick else options.rounds
    times, many = in_process(rounds), many_routes(min(rounds, 5))
    print("\nTyped handlers: CPU µs a request, in-process\n")
    print(table(times))
    print("\n1,000 typed routes, 600 classes: seconds of CPU, and megabytes over the import\n")
    for name, row in many.items():
        print(f"{name}: " + ", ".join(f"{what} {value:.2f}" for what, value in row.items()))
    if options.json:
        figures = {**run.machine(), "times_us": times, "routes": many}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
