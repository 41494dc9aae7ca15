"""`python benchmarks/threads.py`: what a second thread in one process adds, on this Python.

Needs Kolben in the environment that runs it. For each kind of request one thread is at work, then two, in turn. What
they answer in a second says it on a machine with nothing else to do. On another one these two do: how much
processor time a request takes beside another thread, and how often a thread had to wait for another one, which
is seldom without the GIL and each moment with it.
"""

from __future__ import annotations

import argparse
import io
import platform
import resource
import sys
import threading
import time
from statistics import median
from typing import Any, NamedTuple

from kolben import Flask, render_template, session

ITEMS = [{"name": f"item <{n}>", "price": n * 1.37} for n in range(30)]
PAGE = (
    "<!doctype html><title>{{ title }}</title><ul>{% for item in items %}"
    "<li class={{ loop.cycle('odd', 'even') }}>{{ item.name }}: {{ item.price|round(2) }}{% endfor %}</ul>"
)
REQUESTS = {"/hello": 20_000, "/template": 400, "/session": 2_500}


class Run(NamedTuple):
    """What some threads needed for a number of requests each."""

    seconds: float
    processor: float
    waits: int


# Defined as programs define theirs: what is made within a function is counted by each thread that calls it.
app = Flask(__name__)
app.secret_key = "a key for a measurement"
page = app.jinja_env.from_string(PAGE)


@app.get("/hello")
def hello() -> str:
    """Answer with a text."""
    return "Hello, World!"


@app.get("/template")
def template() -> str:
    """Answer with a page of 30 rows."""
    return render_template(page, title="Shop", items=ITEMS)


@app.get("/session")
def visits() -> str:
    """Read the session, and write it."""
    session["visits"] = session.get("visits", 0) + 1
    return str(session["visits"])


def environ(path: str, cookie: str) -> dict[str, Any]:
    """Return a request as a server has it."""
    return {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost", "HTTP_COOKIE": cookie, "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
    }  # fmt: skip


def start_response(status: str, headers: list[tuple[str, str]], error: object = None) -> None:
    """Take the head of an answer."""


def work(path: str, cookie: str, count: int, found: list[Run]) -> None:
    """Ask so often, and say what that took."""
    before, processor = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw, time.thread_time()
    begin = time.perf_counter()
    for _ in range(count):
        for _piece in app(environ(path, cookie), start_response):
            pass
    end, used = time.perf_counter() - begin, time.thread_time() - processor
    found.append(Run(end, used, resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before))


def run(threads: int, *asked: Any) -> Run:
    """Have some threads ask at a time."""
    found: list[Run] = []
    workers = [threading.Thread(target=work, args=(*asked, found)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return Run(
        max(one.seconds for one in found), *(sum(x) for x in list(zip(*found, strict=True))[1:])
    )


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    cookie = app.test_client().get("/session").headers["Set-Cookie"].partition(";")[0]
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"Python {platform.python_version()}, {'with' if has_gil else 'without'} the GIL\n")
    print("| | µs alone | µs beside another | waits in 1,000 | two threads / one |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for path, count in REQUESTS.items():
        asked = (path, cookie if path == "/session" else "", count)
        run(2, *asked)
        pairs = [(run(1, *asked), run(2, *asked)) for _ in range(rounds)]
        alone = median(one.processor for one, _ in pairs) / count * 1e6
        beside = median(two.processor for _, two in pairs) / count / 2 * 1e6
        waits = sum(two.waits for _, two in pairs) / rounds / count / 2 * 1000
        ratio = median(2 * one.seconds / two.seconds for one, two in pairs)
        print(
            f"| {path[1:]} | {alone:.1f} | {beside:.1f} | {waits:.2f} | {ratio:.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
