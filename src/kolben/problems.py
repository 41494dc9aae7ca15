"""Errors for machines: problem details (RFC 9457), in place of Werkzeug's pages.

Nothing of it is on unless it is asked for: by the application, with ``PROBLEM_DETAILS``, or by a blueprint, with
:attr:`.Blueprint.problem_details`. Each is True; or ``"accept"``, which leaves it to each client's ``Accept``.
"""

from __future__ import annotations

import json
import re
import typing as t
from http import HTTPStatus

from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import default_exceptions
from werkzeug.http import parse_accept_header

from .globals import get_current
from .wrappers import Response

if t.TYPE_CHECKING:
    from werkzeug.exceptions import HTTPException

    from .app import Flask

MIMETYPE = "application/problem+json"

#: What a client may name to get one. HTML comes first: it is for who does not care.
_KINDS = ("text/html", MIMETYPE, "application/json")
_CHOICES = (None, True, False, "accept")


def check_choice(value: t.Any, name: str) -> None:
    """Refuse what is no choice of how errors are sent.

    :param value: what was chosen.
    :param name: the setting or attribute.
    :raises ValueError: if it is none of True, False, ``"accept"`` and None.
    """
    if not any(value is one or (value == one and type(value) is str) for one in _CHOICES):
        raise ValueError(
            f"{name} is {value!r}. True sends errors as problem details, False as pages, and"
            " 'accept' as each client asks."
        )


def choice_for(app: Flask, names: t.Iterable[str]) -> bool | str:
    """Return how an error is sent: True, False, or ``"accept"``.

    :param app: the application.
    :param names: the blueprints that the request belongs to, innermost first.
    """
    for name in names:
        blueprint = app.blueprints.get(name)
        if blueprint is not None and blueprint.problem_details is not None:
            return blueprint.problem_details
    return app.config.get("PROBLEM_DETAILS") or False


def is_preferred(accept: str) -> bool:
    """Tell whether a client would rather have problem details than a page (RFC 9110, section 12.5.1).

    One that takes anything gets the page, as without the choice.

    :param accept: the request's ``Accept``.
    """
    if not accept:
        return False
    accepted = parse_accept_header(accept, MIMEAccept)
    return accepted.best_match(_KINDS, _KINDS[0]) != _KINDS[0]


def as_problem(error: HTTPException) -> t.Any:
    """Return the response of an HTTP error as a problem, or the error if it makes its own.

    :param error: the error, of Werkzeug's or of the program's.
    """
    makes_its_own = error.response is not None or hasattr(error, "__problem__")
    if makes_its_own or error.code is None or error.code < 400:
        return error
    document: dict[str, t.Any] = {
        "type": problem_type(error.name),
        "title": reason(error.code),
        "status": error.code,
    }
    usual = getattr(default_exceptions.get(error.code), "description", None)
    if error.description is not None and error.description != usual:
        document["detail"] = str(error.description)
    # Of the server: some headers are not for every one.
    environ = getattr(get_current(None), "environ", None)
    headers = [pair for pair in error.get_headers(environ) if pair[0] != "Content-Type"]
    return Response(write(document), error.code, headers, mimetype=MIMETYPE)


as_problem.__problems__ = True  # type: ignore[attr-defined] # it gives a problem as it is


def write(document: t.Mapping[str, t.Any]) -> bytes:
    """Write a problem whose members are texts and numbers.

    :param document: its members.
    """
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")


def reason(status: int) -> str:
    """Return the phrase of a status (RFC 9110, section 15).

    :param status: the status code.
    """
    if status == 422:
        return "Unprocessable Content"  # which older Pythons call by its older name
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def problem_type(kind: t.Any) -> str:
    """Return the URI of a problem: below ``PROBLEM_TYPES`` where that is configured.

    :param kind: the problem's class, or the text to make its last part of.
    """
    context = get_current(None)
    base = None if context is None else context.app.config.get("PROBLEM_TYPES")
    if not base:
        return "about:blank"
    name = kind if isinstance(kind, str) else kind.__name__
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)
    return f"{base.rstrip('/')}/{'-'.join(words).lower()}"
