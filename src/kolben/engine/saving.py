"""Saving the session with the response, and knowing where that is not needed."""

from __future__ import annotations

import typing as t

from ..sessions import SecureCookieSession, vary_on_cookie
from .lifetime import JOBS_KEY

if t.TYPE_CHECKING:
    from ..app import Flask
    from ..ctx import RequestContext
    from ..sessions import SecureCookieSessionInterface
    from ..wrappers import Response


def save_session(app: Flask, context: RequestContext, response: Response) -> None:
    """Save the session, and let background tasks wait for the end of the response.

    :param app: the application.
    :param context: the context of the request.
    :param response: the response, which all after hooks have seen.
    """
    if context.has_after_functions and JOBS_KEY in context.__dict__:
        context.__dict__[JOBS_KEY].follow(response)
    is_closed = app.engine_plan.opens_session_late and context.opened_session is None
    if is_closed and not (context.has_cookies() and must_resend(app, context)):
        if context.holds and app.secret_key:
            # What is streamed may open it, when it is too late to say so.
            vary_on_cookie(response)
        return
    interface = app.session_interface
    session = context._session
    if not interface.is_null_session(session):
        interface.save_session(app, session, response)


def session_headers(app: Flask, context: RequestContext) -> list[tuple[str, str]] | None:
    """Return the headers that save the session; None where it takes a response object.

    :param app: the application.
    :param context: the context of the request.
    """
    session = context._session
    interface: t.Any = app.session_interface
    # PERF: asking for a session's class among those with abstract methods takes 0.2 µs.
    if type(session) is not SecureCookieSession and interface.is_null_session(session):
        return []
    return interface.session_headers(app, session)  # type: ignore[no-any-return] # as it says


def must_resend(app: Flask, context: RequestContext) -> bool:
    """Tell whether a session that was not looked at is sent anew, to postpone its end.

    :param app: the application.
    :param context: the context of the request.
    """
    config = app.config
    if not config["SESSION_REFRESH_EACH_REQUEST"]:
        return False
    name = f"{config['SESSION_COOKIE_NAME']}="
    _, found, rest = context.cookie_header().partition(name)
    if not found:
        return False
    interface = t.cast("SecureCookieSessionInterface", app.session_interface)
    # Found twice, or inside another cookie: open the session, which looks properly.
    return name in rest or interface.needs_refresh(rest.partition(";")[0])
