"""What debug mode explains."""

from __future__ import annotations

import logging
import typing as t

import jinja2
import pytest
from werkzeug.exceptions import BadRequestKeyError
from werkzeug.routing import RequestRedirect

import kolben
from kolben import debughelpers


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__)
    app.debug = True
    return app


def test_a_form_without_the_right_encoding_is_explained(app):
    with app.test_request_context("/", method="POST", data={"photo": "a.jpg"}):
        with pytest.raises(debughelpers.DebugFilesKeyError) as caught:
            kolben.request.files["photo"]
        with pytest.raises(BadRequestKeyError):
            kolben.request.files["other"]
    text = str(caught.value)
    assert "'application/x-www-form-urlencoded'" in text
    assert "no file contents were transmitted" in text
    assert 'enctype="multipart/form-data"' in text
    assert "This was submitted: 'a.jpg'" in text
    assert isinstance(caught.value, KeyError)


def test_a_name_that_was_not_submitted_is_not_listed(app):
    with app.test_request_context("/", method="POST", data={}):
        error = debughelpers.DebugFilesKeyError(kolben.request, "photo")
    assert "submitted" not in str(error)


def test_without_debug_mode_a_missing_file_is_a_bad_request(app):
    app.debug = False
    with app.test_request_context("/", method="POST", data={"photo": "a.jpg"}):
        with pytest.raises(BadRequestKeyError):
            kolben.request.files["photo"]


@pytest.mark.parametrize(
    ("target", "slash"), [("http://localhost/a/", True), ("http://localhost/b", False)]
)
def test_a_redirect_that_loses_the_form_is_explained(app, target, slash):
    with app.test_request_context("/a", method="POST"):
        kolben.request.routing_exception = RequestRedirect(target)
        text = str(debughelpers.FormDataRoutingRedirect(kolben.request))
    assert "'http://localhost/a'" in text
    assert f"canonical URL '{target}'" in text
    assert ("ends with a slash" in text) is slash
    assert "307 or 308" in text


def test_text_and_bytes_mixed_up_is_an_assertion_and_a_unicode_error():
    assert issubclass(debughelpers.UnexpectedUnicodeError, AssertionError)
    assert issubclass(debughelpers.UnexpectedUnicodeError, UnicodeError)


class OddLoader(jinja2.BaseLoader):
    """A loader with settings of all kinds."""

    def __init__(self) -> None:
        self.number = 1
        self.names = ["a", "b"]
        self.mixed = ["a", 1]
        self.function = print
        self._private = "hidden"


SOURCE: t.Any = ("text", None, None)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([None], "Error: the template could not be found."),
        ([SOURCE, SOURCE], "Warning: more than one loader"),
        ([SOURCE, None], "-> no match"),
    ],
)
def test_the_explanation_says_what_each_loader_found(app, caplog, sources, expected):
    attempts: t.Any = [(OddLoader(), app, source) for source in sources]
    with caplog.at_level(logging.INFO, logger=app.name):
        debughelpers.explain_template_loading_attempts(app, "page.html", attempts)
    (record,) = caplog.records
    text = record.getMessage()
    assert text.startswith("Locating template 'page.html':\n    1: trying loader of application")
    assert expected in text
    assert "number: 1" in text
    assert "names:\n         - a\n         - b" in text
    assert not {"mixed", "function", "_private"} & set(text.replace(":", " ").split())
    if SOURCE in sources:
        assert "-> found ('<string>')" in text
