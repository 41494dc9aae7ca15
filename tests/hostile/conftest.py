"""A real server for the hostile requests."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from hostile.ways import SERVERS, Served


@pytest.fixture(scope="session", params=SERVERS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("hostile"), request.param)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever is answered, nothing that was sent is an error of the application's."""
    caplog.set_level(logging.ERROR)
    yield
    assert [
        record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR
    ] == []
