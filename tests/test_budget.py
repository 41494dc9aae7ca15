"""What one request costs, without a clock: how many Python functions it calls.

A machine that is busy makes a benchmark lie, but not this. A budget is the count measured when it
was set, and a little more; who makes a request cheaper lowers it. The programs and requests are
those of the benchmarks.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import typing as t
from http.cookies import SimpleCookie

import pytest
from blinker import Signal

import kolben
from counting import benchmarks_importable, count_calls

#: Calls of Python functions in one request, by workload; the view and start_response are two.
BUDGETS = {
    "hello": 4,
    "path": 5,
    "args": 16,
    "query": 15,
    "many_args": 112,
    "form": 19,
    "long_form": 115,
    "json": 13,
    "records": 6,
    "upload": 103,
    "redirect": 19,
    "template": 952,
    "missing": 20,
    "session": 53,
    "cookie": 13,
    "flash": 56,
    "hooks": 20,
    "static": 39,
}

#: The same under ASGI with async views, the client's receive() and send() included. What goes to a
#: worker thread is counted no further.
ASGI_BUDGETS = {
    "hello": 13,
    "path": 14,
    "args": 24,
    "query": 23,
    "many_args": 121,
    "form": 33,
    "long_form": 130,
    "json": 28,
    "redirect": 25,
    "missing": 23,
    "session": 64,
    "cookie": 19,
    "hooks": 26,
}


class Bench(t.NamedTuple):
    """The benchmarks' modules."""

    workloads: t.Any
    worker: t.Any
    apps: t.Any
    async_apps: t.Any


@pytest.fixture(scope="module")
def bench() -> t.Iterator[Bench]:
    with benchmarks_importable():
        names = ("workloads", "worker", "apps._flaskapi", "apps._flaskapi_async")
        yield Bench(*map(importlib.import_module, names))


@pytest.fixture(autouse=True)
def no_receivers_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another test has connected to a signal, and not yet lost, is no part of a request here."""
    for signal in vars(kolben.signals).values():
        if isinstance(signal, Signal):
            monkeypatch.setattr(signal, "receivers", {})


def request(app: kolben.Flask, environ: dict[str, t.Any], body: bytes) -> tuple[t.Any, ...]:
    """Make a request as a server does; return status, headers and body."""
    got: list[t.Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], error: t.Any = None) -> t.Any:
        got[:] = int(status[:3]), headers

    environ = {**environ, "wsgi.input": io.BytesIO(body)}
    chunks = app(environ, start_response)
    sent = b"".join(chunks)
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
    return got[0], got[1], sent


@pytest.mark.parametrize("name", BUDGETS)
def test_request_calls_no_more_functions_than_its_budget(bench: Bench, name: str) -> None:
    workload = bench.workloads.BY_NAME[name]
    build = bench.apps.build_hooks if name == "hooks" else bench.apps.build
    app = build(kolben)
    headers = dict(workload.headers)
    if workload.prime:
        first = bench.workloads.Workload("prime", workload.prime, workload.check)
        _, sent, _ = request(app, bench.worker.environ_for(first, {}), b"")
        jar = SimpleCookie("; ".join(value for key, value in sent if key == "Set-Cookie"))
        headers["cookie"] = f"session={jar['session'].value}"
    environ = bench.worker.environ_for(workload, headers)
    for _ in range(2):  # what is prepared at the first request is not counted
        status, answered, body = request(app, environ, workload.body)
    assert workload.check(status, {k.lower(): v for k, v in answered}, body)

    calls = min(count_calls(lambda: request(app, environ, workload.body)) - 1 for _ in range(3))

    budget = BUDGETS[name]
    assert calls <= budget, f"{name}: {calls} function calls, {calls - budget} over the budget"


@pytest.mark.parametrize("name", ASGI_BUDGETS)
def test_request_under_asgi_calls_no_more_functions_than_its_budget(
    bench: Bench, name: str
) -> None:
    workload = bench.workloads.BY_NAME[name]
    build = bench.async_apps.build_hooks if name == "hooks" else bench.async_apps.build
    app = build(kolben).asgi_app

    async def count() -> tuple[tuple[t.Any, ...], int]:
        headers = dict(workload.headers)
        if workload.prime:
            first = bench.workloads.Workload("prime", workload.prime, workload.check)
            _, sent, _ = await bench.worker.asgi_runner(app, first, {})(1)
            jar = SimpleCookie("; ".join(value for key, value in sent if key == "set-cookie"))
            headers["cookie"] = f"session={jar['session'].value}"
        run = bench.worker.asgi_runner(app, workload, headers)
        answer = await run(2)
        # Nothing here waits, so that the coroutine ends at its first step.
        return answer, min(count_calls(lambda: step(run(1))) for _ in range(3))

    def step(coroutine: t.Any) -> None:
        try:
            coroutine.send(None)
        except StopIteration:
            return
        raise AssertionError("something in it waits")

    (status, answered, body), calls = asyncio.run(count())
    assert workload.check(status, {k.lower(): v for k, v in answered}, body)
    budget = ASGI_BUDGETS[name]
    assert calls <= budget, f"{name}: {calls} function calls, {calls - budget} over the budget"


def test_what_each_request_sets_has_no_default_on_its_class(bench: Bench) -> None:
    """CPython writes such an attribute at four times the cost, by its generic way."""
    app = bench.apps.build(kolben)
    seen: list[tuple[t.Any, frozenset[str]]] = []

    def look(**values: t.Any) -> str:
        context = kolben.globals._current.get()
        seen.append((context, frozenset(vars(context))))
        return ""

    app.view_functions["hello"] = look
    environ = bench.worker.environ_for(bench.workloads.BY_NAME["hello"], {})
    for _ in range(2):
        request(app, environ, b"")

    context, names = seen[-1]
    assert {"routing", "seen_request", "entry_token"} <= names
    assert [name for name in names if hasattr(type(context), name)] == []
