"""Calling an application's functions from the event loop, for requests and WebSockets alike.

A coroutine function is awaited on the loop; a plain function, which may block, is called in a worker
thread.
"""

from __future__ import annotations

import typing as t

from ..concurrency import in_thread, on_loop
from ..ctx import announce_popped, raise_failures
from ..engine.plan import overrides_none
from ..globals import reset_current, set_current
from ..signals import appcontext_popped, appcontext_tearing_down

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from blinker import NamedSignal

    from ..app import Flask
    from .context import ASGIRequestContext


async def call(function: Callable[..., t.Any], *args: t.Any) -> t.Any:
    """Call a hook or a handler.

    :param function: a coroutine function, or a plain one.
    :param args: its arguments.
    """
    if (awaited := on_loop((function,))) is not None:
        return await awaited[0](*args)
    return await in_thread(function, *args)


def while_handling(error: Exception, handler: Callable[[t.Any], t.Any]) -> t.Any:
    """Call an error handler in a worker thread, where :func:`sys.exc_info` must know the error, too.

    :param error: the error.
    :param handler: takes the error.
    """
    try:
        raise error
    except Exception:
        return handler(error)


async def send_signal(app: Flask, signal: NamedSignal, **values: t.Any) -> None:
    """Send a signal from a worker thread: its receivers may be plain functions.

    :param app: the sender.
    :param signal: the signal.
    :param values: what its receivers get besides.
    """
    await in_thread(lambda: signal.send(app, _async_wrapper=app.ensure_sync, **values))


def listed(
    table: t.Mapping[str | None, t.Sequence[t.Any]], names: t.Iterable[str | None]
) -> list[t.Any]:
    """Return the functions that are registered under some names, one after the other.

    :param table: functions by the name of a blueprint, and by None for the application.
    :param names: the names.
    """
    return [function for name in names for function in table.get(name, ())] if table else []


async def tear_down_app_context(
    app: Flask, context: ASGIRequestContext, error: BaseException | None
) -> None:
    """Call the application context's teardown functions, with that context in force.

    :param app: the application.
    :param context: the context of the request or WebSocket, which is not in force any more.
    :param error: what the functions are told.
    """
    if not (
        app.teardown_appcontext_funcs
        or appcontext_tearing_down.receivers
        or appcontext_popped.receivers
        or not overrides_none(app, ("do_teardown_appcontext",))
    ):
        return
    token = set_current(context.detach_app_context())
    try:
        hooks = app.teardown_appcontext_funcs[::-1]
        await tear_down(app, app.do_teardown_appcontext, hooks, appcontext_tearing_down, error)
    finally:
        reset_current(token)
    if appcontext_popped.receivers:
        await in_thread(announce_popped, app)


async def tear_down(
    app: Flask,
    step: Callable[[BaseException | None], None],
    hooks: list[t.Any],
    signal: NamedSignal,
    error: BaseException | None,
) -> None:
    """Call teardown functions, by a step of the application unless the loop can await all of them.

    :param app: the application.
    :param step: the application's method that calls them.
    :param hooks: the functions, in the order in which they are called.
    :param signal: the signal that the step sends.
    :param error: what the functions are told.
    """
    awaited = on_loop(hooks)
    if signal.receivers or not overrides_none(app, (step.__name__,)) or awaited is None:
        await in_thread(step, error)
        return
    failures: list[BaseException] = []
    for hook in awaited:
        try:
            await hook(error)
        except BaseException as failure:
            failures.append(failure)
    if failures:
        raise_failures(app, failures)
