"""What a typed request costs, without a clock: how many Python functions it calls.

The programs are those of ``benchmarks/typed.py``; a budget is the count measured when it was set.
"""

import io
import sys
import typing as t
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

#: By workload; the view and start_response are two.
BUDGETS = {"a": 11, "b": 12, "c": 67, "d": 6, "i": 15}


@pytest.fixture(scope="module")
def typed() -> t.Iterator[t.Any]:
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are not part of the source distribution")
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import typed

        yield typed
    finally:
        sys.path.remove(str(BENCHMARKS))


def count_calls(function: t.Callable[[], object]) -> int:
    calls = 0

    def profile(frame: t.Any, event: str, argument: object) -> None:
        nonlocal calls
        # Python 3.11 runs comprehensions as functions, later versions do not.
        calls += event == "call" and not frame.f_code.co_name.endswith("comp>")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls - 1


@pytest.mark.parametrize("name", BUDGETS)
def test_typed_request_calls_no_more_functions_than_its_budget(typed: t.Any, name: str) -> None:
    app = typed.kolben(typed.structs(), False)
    method, path, query, body, status = typed.REQUESTS[name]
    got = []

    def request() -> None:
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body or b""),
        }
        if body is not None:
            environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
        b"".join(app(environ, lambda line, headers: got.append(line)))

    request()
    request()
    assert count_calls(request) <= BUDGETS[name]
    assert [int(line[:3]) for line in got] == [status] * 3
