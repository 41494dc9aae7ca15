"""What a typed request costs, without a clock: how many Python functions it calls.

The programs are those of ``benchmarks/typed.py``; a budget is the count measured when it was set.
"""

import io
import typing as t

import pytest

from counting import benchmarks_importable, count_calls

#: By workload; the view and start_response are two.
BUDGETS = {"a": 11, "b": 12, "c": 67, "d": 6, "i": 15}


@pytest.fixture(scope="module")
def typed() -> t.Iterator[t.Any]:
    with benchmarks_importable():
        import typed

        yield typed


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
