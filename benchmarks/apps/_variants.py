"""What takes an application in Flask's API off the shortest way: one thing each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def after_request(app: Any) -> None:
    """Add a hook that sets a header."""

    @app.after_request
    def after(response: Any) -> Any:
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response


def signal(app: Any) -> None:
    """Connect a receiver to a signal that each request sends."""
    module = sys.modules[type(app).__module__.partition(".")[0]]

    def receive(sender: Any, **extra: Any) -> None:
        pass

    # A signal keeps receivers weakly.
    app.extensions["receiver"] = receive
    module.request_finished.connect(receive, app)


def response_class(app: Any) -> None:
    """Use a Response class of the application's own."""

    class Custom(app.response_class):  # type: ignore[misc]
        default_mimetype = "text/html"

    app.response_class = Custom


def teardown(app: Any) -> None:
    """Add a teardown function."""

    @app.teardown_request
    def clean(error: BaseException | None) -> None:
        pass


VARIANTS: dict[str, Callable[[Any], None]] = {
    "after_request": after_request,
    "signal": signal,
    "response_class": response_class,
    "teardown": teardown,
}
