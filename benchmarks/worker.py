"""Runs one app in-process and times requests on command.

Started as `python worker.py <app>[+<variant>]` inside that framework's environment. Reads one JSON command
a line, `{"workload": name, "n": times}`, and answers one JSON line with the CPU time in
nanoseconds that the whole process took for them; `n` of 0 verifies the answer instead. The
request is built anew each time, as a server would hand it over; nothing is subtracted.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import io
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Coroutine
from http.cookies import SimpleCookie
from typing import Any, TextIO
from urllib.parse import urlsplit

from workloads import BY_NAME, Workload

Answer = tuple[int, list[tuple[str, str]], bytes]
Runner = Callable[[int], Coroutine[Any, Any, Answer]]


WARM_UP = 4
"""Before requests are timed, one for each so many of them is made."""


class Unexpected(Exception):
    """An answer that is not what the workload asks for."""


def environ_for(workload: Workload, headers: dict[str, str]) -> dict[str, Any]:
    """Return the WSGI environ of *workload*, without its input."""
    parts = urlsplit(workload.path)
    environ = {
        "REQUEST_METHOD": workload.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": parts.path,
        "QUERY_STRING": parts.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_USER_AGENT": "benchmark/1.0",
        "HTTP_ACCEPT": "*/*",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    if workload.body:
        environ["CONTENT_LENGTH"] = str(len(workload.body))
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return environ


def wsgi_runner(app: Any, workload: Workload, headers: dict[str, str]) -> Runner:
    """Return a coroutine function that makes a request of a WSGI app *n* times."""
    base, body = environ_for(workload, headers), workload.body
    got: list[Any] = []

    def write(data: bytes) -> None:
        raise Unexpected("write() of start_response was called")

    def start_response(status: str, headers: list[Any], exc_info: Any = None) -> Any:
        got[:] = (status, headers)
        return write

    async def run(n: int) -> Answer:
        for _ in range(n):
            environ = base.copy()
            environ["wsgi.input"] = io.BytesIO(body)
            chunks = app(environ, start_response)
            sent = b"".join(chunks)
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        return int(got[0][:3]), got[1], sent

    return run


class Client:
    """The other end of one ASGI request: sends its body, and stays until it has the answer."""

    __slots__ = ("body", "done", "listening", "sent")

    def __init__(self, body: bytes) -> None:
        self.body: bytes | None = body
        self.sent: list[Any] = []
        self.done = False
        self.listening: asyncio.Future[None] | None = None

    async def receive(self) -> Any:
        body, self.body = self.body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        if not self.done:
            if self.listening is None or self.listening.done():
                self.listening = asyncio.get_running_loop().create_future()
            await self.listening
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.done = True
            if self.listening is not None and not self.listening.done():
                self.listening.set_result(None)


def asgi_runner(app: Any, workload: Workload, headers: dict[str, str]) -> Runner:
    """Return a coroutine function that makes a request of an ASGI app *n* times."""
    parts = urlsplit(workload.path)
    pairs = [(b"host", b"127.0.0.1:8000"), (b"user-agent", b"benchmark/1.0"), (b"accept", b"*/*")]
    pairs += [(k.encode(), v.encode()) for k, v in headers.items()]
    if workload.body:
        pairs.append((b"content-length", str(len(workload.body)).encode()))
    base = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": workload.method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    body = workload.body

    async def run(n: int) -> Answer:
        for _ in range(n):
            client = Client(body)
            scope = {**base, "headers": pairs.copy(), "state": {}}
            await app(scope, client.receive, client.send)
        sent = client.sent
        pairs_out = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in sent[0]["headers"]]
        return sent[0]["status"], pairs_out, b"".join(m.get("body", b"") for m in sent[1:])

    return run


def call_runner(app: Any, workload: Workload, headers: dict[str, str]) -> Runner:
    """Return a coroutine function that calls a plain function, the floor of a workload."""
    function = app[workload.name]

    async def run(n: int) -> Answer:
        for _ in range(n):
            body = function()
        return 200, [], body if isinstance(body, bytes) else body.encode()

    return run


RUNNERS = {"wsgi": wsgi_runner, "asgi": asgi_runner, "call": call_runner}


@contextlib.asynccontextmanager
async def lifespan(app: Any) -> Any:
    """Take an ASGI app through its start-up, and at the end through its shutdown."""
    orders: asyncio.Queue[str] = asyncio.Queue()
    answered = asyncio.Event()

    async def receive() -> Any:
        return {"type": await orders.get()}

    async def send(message: Any) -> None:
        if message["type"] == "lifespan.startup.failed":
            raise Unexpected(message.get("message", "start-up failed"))
        answered.set()

    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}

    async def live() -> None:
        await app(scope, receive, send)

    task = asyncio.ensure_future(live())

    async def order(name: str) -> None:
        answered.clear()
        orders.put_nowait(name)
        waiter = asyncio.ensure_future(answered.wait())
        await asyncio.wait([task, waiter], return_when=asyncio.FIRST_COMPLETED, timeout=5)
        waiter.cancel()

    await order("lifespan.startup")
    if task.done() and task.exception():
        print(f"no lifespan: {task.exception()!r}", file=sys.stderr)
    try:
        yield
    finally:
        await order("lifespan.shutdown")
        task.cancel()


class Bench:
    """The app of one framework and the runners of its workloads."""

    def __init__(self, name: str) -> None:
        name, _, variant = name.partition("+")
        self.module = importlib.import_module(f"apps.{name}")
        self.kind: str = self.module.KIND
        self.runners: dict[str, Runner] = {}
        if variant:
            from apps._variants import VARIANTS

            for app in self.apps():
                VARIANTS[variant](app)

    def describe(self) -> str:
        """Return the first line that the driver reads: what this app can do."""
        return json.dumps({"kind": self.kind, "workloads": self.module.WORKLOADS})

    def app_for(self, workload: Workload) -> Any:
        return getattr(self.module, workload.app, self.module.app)

    def apps(self) -> list[Any]:
        """Return the distinct apps of the module."""
        found = [self.module.app]
        for name in ("session_app", "template_app", "hooks_app"):
            app = getattr(self.module, name, found[0])
            found += [app] if all(app is not each for each in found) else []
        return found

    async def cookies(self, workload: Workload) -> dict[str, str]:
        """Return the Cookie header that the priming request of *workload* leads to."""
        if not workload.prime or self.kind == "call":
            return {}
        first = Workload("prime", workload.prime, workload.check, app=workload.app)
        _, headers, _ = await RUNNERS[self.kind](self.app_for(workload), first, {})(1)
        jar: SimpleCookie = SimpleCookie()
        for name, value in headers:
            if name.lower() == "set-cookie":
                jar.load(value)
        return {"cookie": "; ".join(f"{m.key}={m.coded_value}" for m in jar.values())}

    async def runner(self, name: str) -> Runner:
        if name not in self.runners:
            workload = BY_NAME[name]
            headers = {**workload.headers, **await self.cookies(workload)}
            app = self.app_for(workload)
            self.runners[name] = RUNNERS[self.kind](app, workload, headers)
        return self.runners[name]

    async def verify(self, name: str) -> None:
        """Raise Unexpected unless the app answers the workload as it should, twice over."""
        run = await self.runner(name)
        for _ in range(2):
            status, headers, body = await run(1)
            seen = {k.lower(): v for k, v in headers}
            if not BY_NAME[name].check(status, seen, body):
                raise Unexpected(f"{name}: {status} {seen} {body[:200]!r} ({len(body)} bytes)")

    async def time(self, name: str, n: int) -> int:
        """Return the CPU time in nanoseconds of *n* requests, when some have been made just before.

        The other processes, and the collector, have left nothing of this program in the processor's
        caches, which is not what one costs of many requests.
        """
        run = await self.runner(name)
        gc.collect()
        await run(max(1, n // WARM_UP))
        start = time.process_time_ns()
        await run(n)
        return time.process_time_ns() - start

    async def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out one command and return the answer to it."""
        try:
            if command["n"]:
                return {"ns": await self.time(command["workload"], command["n"])}
            await self.verify(command["workload"])
            return {}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}


def serve(bench: Bench, answers: TextIO) -> None:
    """Serve commands with no event loop about, as a WSGI server would."""
    print(bench.describe(), file=answers)
    for line in sys.stdin:
        coroutine = bench.obey(json.loads(line))
        try:
            coroutine.send(None)
        except StopIteration as done:
            print(json.dumps(done.value), file=answers)


async def serve_async(bench: Bench, answers: TextIO) -> None:
    """Serve commands on an event loop, with the apps started up."""
    async with contextlib.AsyncExitStack() as stack:
        for app in bench.apps():
            await stack.enter_async_context(lifespan(app))
        print(bench.describe(), file=answers)
        loop = asyncio.get_running_loop()
        # Read in a thread: a blocking read would starve tasks that a framework left running.
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(await bench.obey(json.loads(line))), file=answers)


def main(name: str) -> None:
    """Load the app and serve commands until the input ends."""
    # Answers go to the real stdout; whatever a framework prints goes to stderr.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    bench = Bench(name)
    # Production logs warnings, not each request.
    logging.disable(logging.INFO)
    if bench.kind == "asgi":
        asyncio.run(serve_async(bench, answers))
    else:
        serve(bench, answers)


if __name__ == "__main__":
    main(sys.argv[1])
