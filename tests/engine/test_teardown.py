"""The end of a request whose teardown functions fail: what a server is told, and what is closed."""

from __future__ import annotations

import typing as t

import pytest
from werkzeug.test import EnvironBuilder

import kolben
from gateways import Gateway
from kolben.globals import request_ctx


class Body:
    """A body that notes that it was closed."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def __iter__(self) -> t.Iterator[bytes]:
        return iter([b"body"])

    def close(self) -> None:
        self.log.append("closed")


def call(app: kolben.Flask, server: str) -> tuple[list[t.Any], bytes]:
    """Call the application as a server does; return all statuses that it was given, and the body."""
    environ = EnvironBuilder("/").get_environ() | {"SERVER_SOFTWARE": server}
    started: list[t.Any] = []

    def start_response(status: str, headers: t.Any, error: t.Any = None) -> None:
        started.append((status, error is not None))

    return started, b"".join(app(environ, start_response))


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture(params=["stream", "text"])
def app(request: pytest.FixtureRequest, log: list[str]) -> kolben.Flask:
    app = kolben.Flask(__name__)
    result = Body(log) if request.param == "stream" else "text"
    app.add_url_rule("/", view_func=lambda: kolben.Response(result))

    @app.teardown_request
    def fail(error: BaseException | None) -> None:
        log.append("teardown")
        raise LookupError("in the teardown")

    return app


def test_a_server_takes_a_500_in_place_of_the_answer_that_was_begun(
    app: kolben.Flask, log: list[str]
) -> None:
    started, body = call(app, "waitress")
    assert started == [("200 OK", False), ("500 INTERNAL SERVER ERROR", True)]
    assert b"Internal Server Error" in body
    assert log in (["teardown", "closed"], ["teardown"])


def test_gunicorn_which_takes_no_other_answer_gets_the_error(
    app: kolben.Flask, log: list[str]
) -> None:
    """It would send the headers of both, two lengths among them."""
    with pytest.raises(LookupError, match="in the teardown"):
        call(app, "gunicorn/23.0.0")
    assert log in (["teardown", "closed"], ["teardown"])


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_a_request_of_the_programs_own_need_have_nothing_to_close(
    gateway: Gateway, is_async: bool
) -> None:
    class Own:
        blueprints: t.ClassVar[list[str]] = []
        endpoint = url_rule = None
        _has_files = False

    app = kolben.Flask(__name__)
    seen: list[object] = []

    def replace() -> str:
        kolben.request.path  # noqa: B018 (made, to be replaced)
        request_ctx.request = t.cast("t.Any", Own())
        return "replaced"

    async def replace_async() -> str:
        return replace()

    app.add_url_rule("/", view_func=replace_async if is_async else replace)
    app.teardown_request(lambda error: seen.append(error))
    assert gateway.get(app, "/").text == "replaced"
    assert seen == [None]
