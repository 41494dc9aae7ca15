"""What all tests share: programs that must be there, and no skipping in CI."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator

import pytest
from hypothesis import settings

from gateways import gateway as gateway

# How long an example takes is the machine's business.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "needs_program(name, ...): skip, with the reason, where none of these programs is installed",
    )
    # A shell that starts the tests in the background has SIGINT ignored, and so would the servers that
    # they start have it, and stop for none.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "suite: runs another project's test suite; only in CI")


def _require(names: tuple[str, ...]) -> str:
    """Return the path of the first of these programs; where none is installed, skip."""
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"{' or '.join(names)} is not installed")


@pytest.fixture
def needs_program() -> Callable[..., str]:
    """`needs_program("chromium", "chrome")` is the path of the first one installed, or skips the test."""
    return lambda *names: _require(names)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """The address of a Redis of the module's own, which keeps nothing."""
    program = _require(("redis-server",))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    process = subprocess.Popen([str(one) for one in command], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs_program"):
        _require(mark.args)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # `make conformance` and `make ecosystem` run these by hand; asking for the marker or the file does too.
    named = config.option.markexpr or any("suite" in arg for arg in config.args)
    if IN_CI or named:
        return
    away = [item for item in items if item.get_closest_marker("suite")]
    if away:
        config.hook.pytest_deselected(items=away)
        items[:] = [item for item in items if item not in away]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI everything that tests need is installed, so a skip there is a failure."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped in CI: {reason}"
    return report


@pytest.fixture(autouse=True)
def enabled_loggers() -> Generator[None, None, None]:
    """Loggers outlive the applications they are named after: what one test silences, another hears."""
    yield
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.disabled = False
    logging.getLogger("program").propagate = True


@pytest.fixture(autouse=True)
def own_environment() -> Generator[None, None, None]:
    """A command that runs in this process says so to the programs it loads, in the environment."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        if name.startswith("FLASK_"):
            del os.environ[name]
