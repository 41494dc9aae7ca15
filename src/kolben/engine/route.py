"""What the engine has prepared for each route: its view and its hooks, ready to be called."""

from __future__ import annotations

import os
import typing as t
from functools import partial
from threading import RLock
from types import FunctionType

from .. import tables
from ..concurrency import awaitable, is_coroutine_function, never_blocks, on_loop
from ..ctx import hook_scopes
from ..globals import get_current
from ..http.streaming import streams_body
from ..lazy import uncollected
from ..limits import has_limits, limit_time
from ..routing.index import RouteIndex, value_names
from ..signals import request_finished, request_started
from ..threads import Pace
from ..wrappers import Response

if t.TYPE_CHECKING:
    from werkzeug.routing import Rule

    from ..app import Flask

#: Held while anything is found out that holds for a mark. One that has begun to find out before a change, and
#: comes to write after one that has begun later, would write what was over what is: a hook that was added since
#: would be missed by the requests that come meanwhile.
finding_out = RLock()
if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has none
    # A child has no thread but the one that has forked: none that would let go of it.
    os.register_at_fork(after_in_child=finding_out._at_fork_reinit)  # type: ignore[attr-defined]


class Route:
    """What the engine needs to know of a URL rule, found out once.

    :param rule: the rule; None for what has none.
    :param is_careful: whether it is for HEAD and OPTIONS, whose answers are not just what the view
        returns. PERF: without asking each request for its method, 0.06 µs.
    """

    __slots__ = (
        "after",
        "answers_options",
        "async_after",
        "async_before",
        "before",
        "call",
        "direct_at",
        "endpoint",
        "has_limits",
        "hooked_at",
        "is_async",
        "is_careful",
        "names",
        "pace",
        "plain_at",
        "prepared_at",
        "rule",
        "streams_body",
        "view",
    )

    def __init__(self, rule: Rule | None, is_careful: bool = False) -> None:
        self.rule = rule
        self.is_careful = is_careful
        self.names: tuple[str, ...] = () if rule is None else value_names(rule)
        self.endpoint: str = "" if rule is None else rule.endpoint
        self.answers_options = bool(getattr(rule, "provide_automatic_options", False))
        # Marks, as `Plan` explains them: while this one holds, the rest is as it was prepared.
        self.prepared_at: object = None
        # The view, to be called with the values in the order of their names, or awaited where it is async.
        self.view: t.Callable[..., t.Any]
        # The view, and the hooks before and after it, all ready to be called plainly; None for hooks
        # that cannot be prepared, which the named step looks up at each request.
        self.call: t.Callable[..., t.Any]
        self.before: tuple[t.Callable[[], t.Any], ...] = ()
        self.after: tuple[t.Callable[[t.Any], t.Any], ...] | None = ()
        # Holds while the view is all that is called before there is a response.
        self.direct_at: object = None
        # Holds while hooks that an event loop can await are all that is called before the view.
        self.hooked_at: object = None
        # Holds while no hook or signal sees the response of this or any other route.
        self.plain_at: object = None
        # What a server that is asynchronous itself has to know of the view, and the hooks where all of
        # them can be awaited on its loop; None where they cannot.
        self.is_async = False
        # How long a plain view takes in a thread.
        self.pace = Pace()
        #: Whether the view has limits of its own, which the request is to ask for.
        self.has_limits = False
        self.streams_body = False
        self.async_before: tuple[t.Any, ...] | None = ()
        self.async_after: tuple[t.Any, ...] | None = ()

    def prepare(self, app: Flask) -> None:
        """Take over the view and the hooks that the application has for the endpoint now, and who
        listens to it.
        """
        with finding_out:
            self._prepare(app)

    def _prepare(self, app: Flask) -> None:
        mark = tables.mark
        view = app.view_functions.get(self.endpoint)
        if view is None:
            self.call = self.view = _missing_view(self.endpoint)
        else:
            self.has_limits = has_limits(view)
            view = limit_time(app, view)
            self.view = by_position(view, self.names)
            self.call = by_position(app.ensure_sync(view), self.names)
            is_async = is_coroutine_function(view)
            self.streams_body = is_async and streams_body(view)
            if not is_async and never_blocks(view):
                self.view, is_async = awaitable(self.view), True
            self.is_async = is_async
        inwards = hook_scopes(self.endpoint)[0]
        before = tables.listed(app.before_request_funcs, inwards)
        if before is None or app.url_value_preprocessors:
            before = [_preprocess]
        self.async_before = on_loop(before)
        announce = [_announce_start] if request_started.receivers else []
        self.before = (*announce, *map(app.ensure_sync, before))
        is_ordinary = not (announce or self.is_careful or self.rule is None)
        self.direct_at = mark if is_ordinary and not before else None
        self.hooked_at = mark if is_ordinary and self.async_before is not None else None
        after = tables.listed(app.after_request_funcs, inwards)
        self.after = None if after is None else tuple(map(app.ensure_sync, reversed(after)))
        self.async_after = None if after is None else on_loop(after[::-1])
        is_plain = (
            not app.after_request_funcs
            and not self.is_careful
            and not request_finished.receivers
            and app.response_class is Response
        )
        self.plain_at = mark if is_plain else None
        app.engine_plan.find_quiet(app, mark)
        self.prepared_at = mark


# These two find the application themselves: a route that held it would keep it from being freed.


def _announce_start() -> None:
    app = get_current().app
    request_started.send(app, _async_wrapper=app.ensure_sync)


def _preprocess() -> t.Any:
    return get_current().app.preprocess_request()


def _missing_view(endpoint: str) -> t.Callable[..., t.NoReturn]:
    def raise_error(*values: t.Any) -> t.NoReturn:
        raise KeyError(endpoint)

    return raise_error


def by_position(view: t.Callable[..., t.Any], names: tuple[str, ...]) -> t.Callable[..., t.Any]:
    """Return what calls *view* with values for its parameters *names*, given in that order.

    PERF: a function that begins with these parameters is called directly: 0.04 µs, where making a
    dictionary and calling with that takes 0.2.
    """
    if not names:
        return view
    if type(view) is FunctionType:
        code = view.__code__
        first = code.co_varnames[: len(names)]
        if first == names and not code.co_posonlyargcount and len(names) <= code.co_argcount:
            return view
    return lambda *values: view(**dict(zip(names, values, strict=True)))


def index_routes(app: Flask) -> RouteIndex[Route]:
    """Prepare the application's URL map for :func:`answer_request`."""
    with uncollected():
        index = RouteIndex(app.url_map, Route, partial(Route, is_careful=True))
    # A server passes the path as bytes in latin-1 disguise (PEP 3333), which `answer_request` looks up
    # as it is: for ASCII that is the path itself, and other paths must not be hit by accident.
    for path in [path for path in index.exact if not path.isascii()]:
        del index.exact[path]
    return index
