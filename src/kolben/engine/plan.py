"""What the engine has found out about an application, and until when it holds."""

from __future__ import annotations

import sys
import typing as t

from .. import tables
from ..ctx import AppContext, RequestContext
from ..http.headers import body_headers
from ..loading.shadow import warn_of_flask
from ..sessions import SecureCookieSessionInterface
from ..signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_tearing_down,
)
from ..wrappers import Request, Response
from .members import Members, ReplacedMethods, find_short_ways
from .route import Route, finding_out, index_routes

if t.TYPE_CHECKING:
    from werkzeug.routing import Map

    from ..app import Flask
    from ..routing.index import RouteIndex

#: Given to the engine by ``Flask.wsgi_app``: whatever is around that was called already.
WITHIN: t.Any = object()


class Plan:
    """What the engine has found out about one application, so that no request has to ask again.

    Two kinds of facts are in it. The first follow from the application's class and from what was
    assigned on the application. :meth:`decide` finds them out, before the first request and after
    an assignment that may matter (:data:`DECIDES`), which calls :meth:`look_again`.

    The others follow from tables that are the user's to change at any time, in any way in which a
    dictionary or a list can be: hooks, views, settings, receivers of signals. Each change of any
    of them sets a new mark, :data:`kolben.tables.mark`: an object that is there for its identity
    alone. Code that finds something out notes the mark of that moment in an attribute named
    ``..._at``, and code that wants to rely on it compares: *while that mark is the tables' mark,
    nothing has changed since, and the fact holds*. A fact that does not hold has None there, which
    is never the mark. So one comparison of identities asks two things, whether the fact is true
    and whether it is up to date; and a change need not know what depends on it. The mark is read
    before the tables are, so that a change meanwhile makes the fact stale, and never a stale fact
    look new. :class:`.Route` has marks of the same kind for what is known of one route.

    PERF: plain booleans, which each change would have to find and reset, take 2-4 % more of a
    request than marks do. What is in slots is read in 0.01 µs.
    """

    __slots__ = (
        "entered_by",
        "handles_errors_itself",
        "json_asked_at",
        "json_at",
        "json_mimetype",
        "json_type",
        "limits",
        "looked_at",
        "opens_session_late",
        "owners",
        "quiet_at",
        "routes",
        "session_cookie",
        "short_at",
        "short_way",
        "stamps",
        "tagged_json",
        "unrouted",
        "write_json",
    )

    def __init__(self) -> None:
        #: Whether the engine may answer without walking the named steps; None if it has to find out.
        self.short_way: bool | None = None
        #: What ``send`` is where nothing around the engine is left to be called: None while nothing is
        #: known to be around ``wsgi_app``, or else :data:`WITHIN`.
        self.entered_by: t.Any = WITHIN
        #: Holds while no class is known to have been patched since it was decided.
        self.looked_at: object = None
        #: Of the classes that may be patched, as they were when it was decided.
        self.stamps: list[object] = []
        #: Holds while that is so, and the engine may answer without walking the named steps.
        self.short_at: object = None
        #: Whether no program can tell when the session is opened, so that it is when it is looked at.
        self.opens_session_late = False
        #: Whether no subclass or program has replaced what chooses and calls error handlers.
        self.handles_errors_itself: bool
        #: Under ASGI, whether an ``async def`` view is cancelled when its client leaves, and for how many
        #: seconds a response may be sent; None where neither is configured.
        self.limits: tuple[bool, float | None] | None = None
        #: Leads from paths to the blueprints that own them (`engine/owners.py`); None until it is needed.
        self.owners: Map | None = None
        #: The URL rules, as the engine looks paths up in them.
        self.routes: RouteIndex[Route]
        #: For requests that match no rule: most, and HEAD and OPTIONS.
        self.unrouted: tuple[Route, Route]
        #: Holds while a request begins and ends with nothing to be done.
        self.quiet_at: object = None
        #: Holds while :attr:`write_json` writes what the application's provider would.
        self.json_at: object = None
        #: The mark at which the provider was last asked for that.
        self.json_asked_at: object = None
        self.write_json: t.Callable[[t.Any], bytes]
        #: The type of JSON, and the header with it.
        self.json_mimetype: str
        self.json_type: tuple[str, str]
        #: A mark, while which holds for the JSON of sessions what :func:`.tagged_json` says of it.
        self.tagged_json: tuple[object, t.Callable[[t.Any], str] | None, bool] = None, None, False
        #: A mark, while which a session interface has what else is here prepared for its cookie.
        self.session_cookie: tuple[object, object, t.Any] = None, None, None

    def look_again(self) -> None:
        """Forget what follows from the application and its class, because that was changed."""
        with finding_out:
            self.short_way, self.entered_by = None, WITHIN
            tables.touch()  # which ends all else

    def decide(self, app: Flask) -> None:
        """Find out, before the first request and after a change, what the engine may skip.

        :param app: the application whose plan this is.
        """
        app._complete_registration()
        if "flask" in sys.modules:
            warn_of_flask(app.logger)
        app._got_first_request = True
        self.owners = None
        self.index_routes(app)
        self.unrouted = Route(None), Route(None, is_careful=True)
        limits = app.config.get("CANCEL_ON_DISCONNECT", False), app.config.get("RESPONSE_TIMEOUT")
        self.limits = None if limits == (False, None) else limits
        with finding_out:
            mark = tables.mark
            Response.has_short_ways = _may_shorten_responses()
            # Last of them what tells other threads that all of them are known.
            (
                self.opens_session_late,
                self.handles_errors_itself,
                self.entered_by,
                self.short_way,
            ) = self._find_out(app)
            self._note(mark)

    def _note(self, mark: object) -> None:
        self.stamps = _stamps()
        self.looked_at = mark
        self.short_at = mark if self.short_way else None

    def _find_out(self, app: Flask) -> tuple[bool, bool, t.Any, bool]:
        _replaced.yield_to_patches()
        find_short_ways()
        return (
            _opens_session_late(app),
            overrides_none(app, ERROR_STEPS),
            None if overrides_none(app, ENTRANCE) and not has_own_call(app) else WITHIN,
            takes_short_way(app),
        )

    def look_for_patches(self, app: Flask) -> None:
        """Find out whether a class was patched since it was decided, of which no message comes.

        There would be one from a metaclass, with which programs could not give their applications one
        of their own. So those look that have the time, or that patches are probable for: test clients
        and development servers at each request, ``kolben serve`` and the loops of ASGI servers each
        second, and each application when a table was changed: agents register hooks or receivers of
        signals, too.

        :param app: the application whose plan this is.
        """
        with finding_out:
            if self.short_way is None:
                return
            mark = tables.mark
            known = (
                self.opens_session_late,
                self.handles_errors_itself,
                self.entered_by,
                self.short_way,
            )
            # Where one was patched already, another of its members may be by now: caches hold no longer.
            if (
                known != self._find_out(app)
                or Response.has_short_ways != _may_shorten_responses()
                or self.stamps != _stamps()
            ):
                self.look_again()
            else:
                self._note(mark)

    def index_routes(self, app: Flask) -> RouteIndex[Route]:
        """Prepare the URL rules as they are now.

        :param app: the application whose plan this is.
        :return: :attr:`routes`.
        """
        self.routes = index = index_routes(app)
        return index

    def find_quiet(self, app: Flask, mark: object) -> None:
        """Find out whether a request begins and ends with nothing to be done.

        :param app: the application whose plan this is.
        :param mark: the tables' mark, as it was before the caller has read any of them.
        """
        config: t.Any = app.config
        is_quiet = bool(self.short_way and isinstance(config, tables.Table)) and not (
            config["TRUSTED_HOSTS"] is not None
            or app.teardown_request_funcs
            or app.teardown_appcontext_funcs
            or appcontext_pushed.receivers
            or request_tearing_down.receivers
            or appcontext_tearing_down.receivers
            or appcontext_popped.receivers
        )
        self.quiet_at = mark if is_quiet else None

    def prepare_json(self, app: Flask) -> bool:
        """Find out how the application's provider writes the body of an answer, and with which type.

        :param app: the application whose plan this is.
        :return: whether that is known: whether :attr:`json_at` is the tables' mark now.
        """
        if self.json_asked_at is tables.mark:
            return False
        with finding_out:
            return self._prepare_json(app)

    def _prepare_json(self, app: Flask) -> bool:
        mark, provider = tables.mark, app.json
        self.json_asked_at = mark
        # Programs may have anything there that has the methods which Flask calls.
        find: t.Any = getattr(provider, "body_writer", None)
        writer = find and find()
        if writer is None:
            return False
        self.write_json = writer
        self.json_mimetype = provider.mimetype
        self.json_type = body_headers(provider.mimetype, 0)[0]
        self.json_at = mark
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


#: The tables that :meth:`.Route.prepare` reads. Others in their place would not tell of changes.
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

#: What middleware is put around.
ENTRANCE = ("wsgi_app",)


#: The attributes of an application that decide whether it takes the short way.
DECIDES = frozenset(
    (
        *STEPS,
        *ERROR_STEPS,
        *TABLES,
        *ENTRANCE,
        "config",
        "response_class",
        "url_map",
        "subdomain_matching",
        "_got_first_request",
        "json",
    )
)

# The steps as they are in `Flask` when it is defined, by their names; and that class.
_ours: dict[str, t.Any] = {}
_application_class: t.Any = None


_members: dict[type, Members] = {}


def _stamps() -> list[object]:
    for members in _members.values():
        members.are_patched()  # which sets a new one where something was changed
    return [members.stamp for members in _members.values()]


_replaced = ReplacedMethods()


def know_ours(application_class: type[Flask]) -> None:
    """Take the steps of the class as those that the engine may skip.

    :param application_class: ``Flask``, before anything can have patched it.
    """
    global _application_class
    _application_class = application_class
    for name in (*STEPS, *ERROR_STEPS, *ENTRANCE, "__call__"):
        _ours[name] = getattr(application_class, name)
    for kind in (Request, Response, SecureCookieSessionInterface, RequestContext, AppContext):
        _members[kind] = Members(kind)


def _has_own_entrance() -> bool:
    """Tell whether an agent has wrapped ``wsgi_app`` on the class: it reports the body that it is given,
    and how that is closed, by the names of Werkzeug's classes.
    """
    return any(getattr(_application_class, name) is not _ours[name] for name in ENTRANCE)


def has_own_call(app: Flask) -> bool:
    """Tell whether a function is around what WSGI servers call, as Sentry puts one there. It takes WSGI's
    arguments, and over ASGI it is on the way of each request, too.

    :param app: the application.
    """
    return type(app).__call__ is not _ours["__call__"]


def _opens_session_late(app: Flask) -> bool:
    """Tell whether nothing but its settings is a session interface's own, so that none can tell when it is called."""
    interface = app.session_interface
    return (
        type(interface) is SecureCookieSessionInterface
        and vars(interface).keys() <= _SESSION_SETTINGS
        and not _members[SecureCookieSessionInterface].are_patched()
    )


#: What an application may set on its session interface, and is not called.
_SESSION_SETTINGS = frozenset(("salt", "digest_method", "key_derivation", "serializer"))


def _may_shorten_responses() -> bool:
    return not (_has_own_entrance() or _members[Response].are_patched())


def takes_short_way(app: Flask) -> bool:
    """Tell whether the engine may answer for *app*: whether it overrides no step.

    :param app: the application.
    """
    return (
        not app.subdomain_matching
        and not _has_own_entrance()
        and overrides_none(app, STEPS)
        and _opens_session_late(app)
        and not any(members.are_patched() for members in _members.values())
        and all(type(getattr(app, name)) is table for name, table in TABLES.items())
    )


def overrides_none(app: Flask, steps: t.Iterable[str]) -> bool:
    """Tell whether the application and its class have *steps* as they are.

    :param app: the application.
    :param steps: the names of methods.
    """
    own = app.__dict__
    kind = type(app)
    return all(name not in own and getattr(kind, name) is _ours[name] for name in steps)
