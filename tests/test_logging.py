"""The application's logger, its handler, and where that writes to."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Iterator

import pytest

import kolben
from kolben.logging import create_logger, default_handler, has_level_handler, wsgi_errors_stream

NAME = "kolben_logging_test"


@pytest.fixture(autouse=True)
def clean_loggers() -> Iterator[None]:
    handlers = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = handlers
    logger = logging.getLogger(NAME)
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


def remove_root_handlers() -> None:
    """Take away pytest's own, which it adds after the fixtures are set up."""
    logging.root.handlers[:] = []


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__)
    app.name = NAME
    return app


def test_the_logger_has_the_applications_name_and_the_default_handler(app: kolben.Flask) -> None:
    remove_root_handlers()
    assert app.logger.name == NAME
    assert app.logger.level == logging.NOTSET
    assert app.logger.handlers == [default_handler]


def test_debug_mode_sets_the_level_unless_one_is_set(app: kolben.Flask) -> None:
    remove_root_handlers()
    app.debug = True
    assert create_logger(app).level == logging.DEBUG
    logging.getLogger(NAME).setLevel(logging.ERROR)
    assert create_logger(app).level == logging.ERROR


def test_a_second_call_adds_no_second_handler(app: kolben.Flask) -> None:
    remove_root_handlers()
    assert create_logger(app) is create_logger(app)
    assert create_logger(app).handlers == [default_handler]


def test_a_handler_of_the_program_is_enough(app: kolben.Flask) -> None:
    remove_root_handlers()
    logging.root.addHandler(logging.StreamHandler())
    assert create_logger(app).handlers == []


def test_a_level_handler_is_looked_for_as_far_as_messages_propagate() -> None:
    remove_root_handlers()
    logger = logging.getLogger(NAME)
    assert not has_level_handler(logger)
    handler = logging.StreamHandler()
    logging.root.addHandler(handler)
    assert has_level_handler(logger)
    logger.propagate = False
    assert not has_level_handler(logger)
    logger.propagate = True
    handler.setLevel(logging.CRITICAL)
    assert not has_level_handler(logger)


def test_messages_go_to_the_servers_stream_in_a_request_and_to_stderr_outside(
    app: kolben.Flask,
) -> None:
    remove_root_handlers()
    stream = io.StringIO()
    with app.test_request_context(errors_stream=stream):
        app.logger.error("careful")
        assert wsgi_errors_stream._get_current_object() is stream  # type: ignore[attr-defined]
    assert "ERROR in test_logging: careful" in stream.getvalue()
    assert wsgi_errors_stream._get_current_object() is sys.stderr  # type: ignore[attr-defined]


def test_the_frameworks_messages_look_as_the_applications_do(capsys, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    logging.getLogger("kolben.somewhere").warning("a scope is %s", "malformed")
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\[[-\d]+ [\d:,]+\] WARNING in test_logging: a scope is malformed", line)


def test_the_frameworks_messages_are_left_to_a_program_that_configures_logging(capsys, monkeypatch):
    taken = io.StringIO()
    monkeypatch.setattr(logging.root, "handlers", [logging.StreamHandler(taken)])
    logging.getLogger("kolben.somewhere").warning("once")
    assert taken.getvalue() == "once\n"
    assert capsys.readouterr().err == ""
