"""`python benchmarks/typed.py`: typed handlers, µs of CPU a request, beside FastAPI, Litestar and the floor.

a: three arguments into a model of four fields; b: a body of ten fields, with constraints, into one of twelve;
c: the same with five faults; d: 200 models of six fields; i: three providers, one of which yields, over none.
Each answer is checked. Medians of interleaved rounds, each framework in an environment of its own.
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
from types import SimpleNamespace

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


def fastapi(kinds: SimpleNamespace) -> t.Any:
    from fastapi import Depends, FastAPI, Query
    from fastapi.responses import PlainTextResponse

    app = FastAPI()

    async def session():
        yield 1

    async def user(session: t.Annotated[int, Depends(session)]) -> int:
        return session

    async def permission(
        user: t.Annotated[int, Depends(user)], session: t.Annotated[int, Depends(session)]
    ) -> int:
        return user

    @app.get("/hello", response_class=PlainTextResponse)
    async def hello():
        return "Hello, World!"

    @app.get("/items/{id}")
    async def a(
        id: int, q: str, limit: t.Annotated[int, Query(ge=1, le=100)] = 10, active: bool = False
    ) -> kinds.Out:
        return kinds.Out(id=id, q=q, limit=limit, active=active)

    @app.post("/items")
    async def b(body: kinds.In) -> kinds.Order:
        return kinds.order(body)

    @app.get("/users")
    async def d() -> list[kinds.User]:
        return kinds.users

    @app.get("/provided", response_class=PlainTextResponse)
    async def i(p: t.Annotated[int, Depends(permission)], u: t.Annotated[int, Depends(user)]):
        return "Hello, World!"

    return app


def litestar(kinds: SimpleNamespace) -> t.Any:
    from litestar import Litestar, get, post
    from litestar.di import Provide
    from litestar.params import Parameter

    async def session() -> t.AsyncIterator[int]:
        yield 1

    async def user(session: int) -> int:
        return session

    async def permission(user: int, session: int) -> int:
        return user

    @get("/hello", media_type="text/plain")
    async def hello() -> str:
        return "Hello, World!"

    @get("/items/{id:int}")
    async def a(
        id: int, q: str, limit: t.Annotated[int, Parameter(ge=1, le=100)] = 10, active: bool = False
    ) -> kinds.Out:
        return kinds.Out(id=id, q=q, limit=limit, active=active)

    @post("/items", status_code=200)
    async def b(data: kinds.In) -> kinds.Order:
        return kinds.order(data)

    @get("/users")
    async def d() -> list[kinds.User]:
        return kinds.users

    provided = {"session": session, "user": user, "permission": permission}
    dependencies = {name: Provide(function) for name, function in provided.items()}

    @get("/provided", media_type="text/plain", dependencies=dependencies)
    async def i(permission: int, user: int) -> str:
        return "Hello, World!"

    return Litestar([hello, a, b, d, i])


def floor(kinds: SimpleNamespace) -> t.Any:
    """What reading and writing alone take: msgspec, and ``parse_qsl``."""
    from urllib.parse import parse_qsl

    import msgspec

    class Arguments(msgspec.Struct):
        q: str
        limit: t.Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
        active: bool = False

    encode = msgspec.json.Encoder().encode
    decode = msgspec.json.Decoder(kinds.In).decode
    to_arguments = msgspec.convert

    def answer(name: str) -> bytes:
        _, _, query, body, _ = REQUESTS[name]
        if name == "a":
            args = to_arguments(dict(parse_qsl(query)), Arguments, strict=False)
            return encode(kinds.Out(42, args.q, args.limit, args.active))
        return encode(kinds.order(decode(body)) if name == "b" else kinds.users)

    return answer


def pydantic_floor(kinds: SimpleNamespace) -> t.Any:
    """The same with pydantic."""
    from urllib.parse import parse_qsl

    import pydantic

    class Arguments(pydantic.BaseModel):
        q: str
        limit: t.Annotated[int, pydantic.Field(ge=1, le=100)] = 10
        active: bool = False

    read = Arguments.__pydantic_validator__.validate_python
    read_body = kinds.In.__pydantic_validator__.validate_json
    write = pydantic.TypeAdapter(list[kinds.User]).serializer.to_json

    def answer(name: str) -> bytes:
        _, _, query, body, _ = REQUESTS[name]
        if name == "a":
            args = read(dict(parse_qsl(query)))
            made = kinds.Out(id=42, q=args.q, limit=args.limit, active=args.active)
            return made.__pydantic_serializer__.to_json(made)
        if name == "b":
            made = kinds.order(read_body(body))
            return made.__pydantic_serializer__.to_json(made)
        return write(kinds.users)

    return answer


APPS: dict[str, tuple[str, str, t.Callable[[], t.Any]]] = {
    "floor, msgspec": ("kolben", "call", lambda: floor(structs())),
    "floor, pydantic": ("kolben", "call", lambda: pydantic_floor(models())),
    "kolben": ("kolben", "wsgi", lambda: kolben(structs(), False)),
    "kolben, pydantic": ("kolben", "wsgi", lambda: kolben(models(), False)),
    "kolben (ASGI)": ("kolben", "asgi", lambda: kolben(structs(), True)),
    "kolben (ASGI), pydantic": ("kolben", "asgi", lambda: kolben(models(), True)),
    "FastAPI": ("fastapi", "asgi", lambda: fastapi(models())),
    "Litestar, msgspec": ("litestar", "asgi", lambda: litestar(structs())),
}
FLOORS = ("a", "b", "d")


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
    call = calls[protocol](build())
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


def main() -> int:
    parser = argparse.ArgumentParser(description="typed handlers beside other frameworks")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--worker")
    options = parser.parse_args()
    if options.worker:
        asyncio.run(work(options.worker))
        return 0
    import environments

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
    times: dict[tuple[str, str], list[float]] = {}
    for round_ in range(options.rounds + 1):
        for workload, (_, _, _, _, status) in REQUESTS.items():
            for name, worker in workers.items():
                if name.startswith("floor") and workload not in FLOORS:
                    continue
                if round_ == 0:
                    got = ask(worker, workload, 0)
                    expected = 400 if name.startswith("Litestar") and status == 422 else status
                    assert got[0] == expected, (name, workload, got)
                    ask(worker, workload, 50)
                else:
                    taken = ask(worker, workload, TIMES[workload])
                    times.setdefault((name, workload), []).append(taken / 1000)
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    print("| | " + " | ".join(REQUESTS) + " |")
    print("|---" * (len(REQUESTS) + 1) + "|")
    for name in workers:
        row = [times.get((name, one)) for one in REQUESTS]
        print(
            f"| {name} | "
            + " | ".join("" if x is None else f"{statistics.median(x):.2f}" for x in row)
            + " |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
