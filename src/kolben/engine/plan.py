"""What the engine has found out about an application, and until when it holds."""

from __future__ import annotations

import typing as t

from .. import tables
from ..http.headers import body_headers
from ..signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_tearing_down,
)

if t.TYPE_CHECKING:
    from ..app import Flask


def _is_quiet(app: Flask) -> bool:
    """Tell whether a request of this application begins and ends with nothing to be done."""
    config: t.Any = app.config
    return bool(app._short_way and isinstance(config, tables.Table)) and not (
        config["TRUSTED_HOSTS"] is not None
        or app.teardown_request_funcs
        or app.teardown_appcontext_funcs
        or appcontext_pushed.receivers
        or request_tearing_down.receivers
        or appcontext_tearing_down.receivers
        or appcontext_popped.receivers
    )


def _prepare_json(app: Flask) -> bool:
    """Find out how the application's provider writes the body of an answer, and with which type.

    :return: whether that is known: whether ``app._json_mark`` is the tables' mark now.
    """
    mark, provider = tables.mark, app.json
    if app._json_asked_at is mark:
        return False
    app._json_asked_at = mark
    # Programs may have anything there that has the methods which Flask calls.
    find: t.Any = getattr(provider, "body_writer", None)
    writer = find and find()
    if writer is None:
        return False
    app._json_writer = writer
    app._json_type = body_headers(provider.mimetype, 0)[0]
    app._json_mark = mark
    return True


#: The steps of the named way, and what they are made of. Where an application's class or the
#: application itself has another one of these, it is not ours to skip.
STEPS = (
    "request_context",
    "app_context",
    "full_dispatch_request",
    "preprocess_request",
    "dispatch_request",
    "raise_routing_exception",
    "finalize_request",
    "make_response",
    "process_response",
    "ensure_sync",
    "async_to_sync",
    "do_teardown_request",
    "do_teardown_appcontext",
    "should_ignore_error",
    "create_url_adapter",
    "request_class",
    "session_interface",
)


#: The tables that :meth:`Route.prepare` reads. Others in their place would not tell of changes.
TABLES = {
    "view_functions": tables.Table,
    "before_request_funcs": tables.HookTable,
    "after_request_funcs": tables.HookTable,
    "url_value_preprocessors": tables.HookTable,
    "teardown_request_funcs": tables.HookTable,
    "teardown_appcontext_funcs": tables.HookList,
}


#: The methods that choose an error's handler, and call it.
ERROR_STEPS = ("handle_user_exception", "handle_http_exception")


#: The attributes of an application that decide whether it takes the short way.
DECIDES = frozenset(
    (
        *STEPS,
        *ERROR_STEPS,
        *TABLES,
        "config",
        "response_class",
        "url_map",
        "wsgi_app",
        "subdomain_matching",
        "_got_first_request",
        "json",
    )
)


def takes_short_way(app: Flask, steps: t.Mapping[str, t.Any]) -> bool:
    """Tell whether :func:`answer_request` may answer for *app*: whether it overrides no step.

    :param app: the application.
    :param steps: the steps that :func:`answer_request` knows, by their names.
    """
    return (
        not app.subdomain_matching
        and overrides_none(app, steps)
        and all(type(getattr(app, name)) is table for name, table in TABLES.items())
    )


def overrides_none(app: Flask, steps: t.Mapping[str, t.Any]) -> bool:
    """Tell whether the application and its class have *steps* as they are.

    :param app: the application.
    :param steps: methods, by their names.
    """
    own = app.__dict__
    kind = type(app)
    return all(name not in own and getattr(kind, name) is step for name, step in steps.items())
