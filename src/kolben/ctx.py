"""The contexts: what is known about the application, and about the request, at this moment.

A request context answers for both: its application context is made when a program asks for it.
Each context is a real object with a ``__dict__`` and an identity of its own for as long as it is
pushed, because extensions keep attributes on it, refer to it weakly and use it as a key.
"""

from __future__ import annotations

import contextlib
import sys
import typing as t
from functools import lru_cache, update_wrapper

from werkzeug.exceptions import HTTPException

from .concurrency import in_thread, is_coroutine_function, is_on_loop
from .globals import (
    NO_REQUEST,
    _cv_app,
    current_request_context,
    get_current,
    reset_current,
    set_current,
)
from .http.fields import find_cookie
from .lazy import lazy
from .logging import shown_error
from .signals import appcontext_popped, appcontext_pushed
from .wrappers import NOT_ROUTED, Request, Routing, split_blueprint_path

if t.TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment
    from blinker import NamedSignal
    from werkzeug.routing import MapAdapter

    from . import typing as ft
    from .app import Flask
    from .sessions import SessionMixin

F = t.TypeVar("F", bound=t.Callable[..., t.Any])

#: Where an environ, or an ASGI scope, has the function of a test client or debugger that wants to look at
#: the contexts after the response.
PRESERVE = "werkzeug.debug.preserve_context"

# Stands for "not given" where None means "there was no error".
_unset: t.Any = object()


class _AppCtxGlobals:
    """A place for what belongs to one request, known as :data:`kolben.g`: any attribute can be set.

    .. code-block:: python

        @app.before_request
        def find_user():
            g.user = session.get("user")

    It is new for each request, and for each application context outside of one.
    """

    # The values live in __dict__; these tell type checkers that any name may be there.
    if t.TYPE_CHECKING:

        def __getattr__(self, name: str) -> t.Any: ...
        def __setattr__(self, name: str, value: t.Any) -> None: ...
        def __delattr__(self, name: str) -> None: ...

    def __iter__(self) -> t.Iterator[str]:
        return iter(self.__dict__)

    def __contains__(self, item: str) -> bool:
        return item in self.__dict__

    def get(self, name: str, default: t.Any | None = None) -> t.Any:
        """Return the value stored as *name*, or *default*."""
        return self.__dict__.get(name, default)

    def setdefault(self, name: str, default: t.Any = None) -> t.Any:
        """Return the value stored as *name*, storing *default* first if there is none."""
        return self.__dict__.setdefault(name, default)

    def pop(self, name: str, default: t.Any = _unset) -> t.Any:
        """Remove and return the value stored as *name*.

        :raises KeyError: if it is not there and no default was given.
        """
        given = () if default is _unset else (default,)
        return self.__dict__.pop(name, *given)

    def __repr__(self) -> str:
        context = _cv_app.get(None)
        return object.__repr__(self) if context is None else f"<flask.g of {context.app.name!r}>"


class AppContext:
    """Says which application is at work, and holds its :data:`kolben.g`.

    :param app: the application.
    """

    #: The request context that was in force when this one was pushed inside a request.
    request_context: RequestContext | None = None

    # A list once it is pushed; the one of a request mostly never is.
    _pushed: list[Token[AppContext | RequestContext]] | tuple[()] = ()
    # Those of the above that were popped while a request was on top; see `_unwind`.
    _popped_below: list[Token[AppContext | RequestContext]] | tuple[()] = ()
    # What `request_context` was at each push but the last.
    _requests_before: list[RequestContext | None] | tuple[()] = ()

    def __init__(self, app: Flask) -> None:
        self.app = app
        # While the request is handled whose context this is, popping does not end it.
        self._torn_down_by_request = False
        namespace = app.app_ctx_globals_class
        self.g: _AppCtxGlobals = namespace()

    @property
    def app_context(self) -> AppContext:
        """This context: the one in force while it is on top."""
        return self

    _app_context = app_context

    # Here, too, so that what looks for g and the request need not ask what kind of context it has.
    seen_request: Request | None = None

    def make_request(self) -> Request:
        """Return the request that this context was pushed in."""
        if self.request_context is None:
            raise RuntimeError(NO_REQUEST)
        return self.request_context.request

    @property
    def own_g(self) -> _AppCtxGlobals:
        """:data:`kolben.g`, as a context has it that need not be asked for it."""
        return self.g

    @lazy
    def url_adapter(self) -> MapAdapter | None:
        """Builds URLs outside a request; None unless ``SERVER_NAME`` is configured."""
        return self.app.create_url_adapter(None)

    def push(self) -> None:
        """Make this context the current one. It may be pushed more than once."""
        outer = get_current(None)
        if self._pushed:
            self._requests_before = [*self._requests_before, self.request_context]
        self.request_context = outer.request_context if outer is not None else None
        self._pushed = [*self._pushed, set_current(self)]
        if appcontext_pushed.receivers:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)

    def pop(self, exc: BaseException | None = _unset) -> None:
        """Leave this context; the last pop calls the application's teardown functions.

        :param exc: the error that ended the work, told to the teardown functions. By default
            the one being handled now.
        :raises AssertionError: if another application context was pushed since and not popped.
        """
        kept = [token for token in self._pushed if token not in self._popped_below]
        is_below = _is_below(self, len(kept), "application context")
        try:
            if len(kept) == 1 and not self._torn_down_by_request:
                self.app.do_teardown_appcontext(_error_or_current(exc))
        finally:
            if is_below:
                self._popped_below = [*self._popped_below, kept[-1]]
            else:
                reset_current(self.take_entry())
                _unwind()
        if appcontext_popped.receivers:
            announce_popped(self.app)

    def take_entry(self) -> Token[AppContext | RequestContext]:
        """Take back the last push, which the caller makes undone."""
        *self._pushed, token = list(self._pushed)
        if self._requests_before:
            *self._requests_before, self.request_context = self._requests_before
        return token

    def __enter__(self) -> t.Self:
        self.push()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.pop(exc_value)


class RequestContext:
    """Holds one request, and the session and application context that go with it.

    Only what is looked at is made. Made by the engine for each request, or through
    :meth:`Flask.request_context` and :meth:`Flask.test_request_context`.

    :param app: the application that handles the request.
    :param environ: the WSGI environment of the request.
    :param request: a request object to use in place of a new one.
    :param session: a session to use in place of opening one.
    """

    flashes: list[tuple[str, str]] | None = None

    # What most requests never change is a class attribute.
    _app_context: AppContext | None = None
    has_after_functions = False
    holds = 0
    _pushed: list[tuple[Token[AppContext | RequestContext], bool]] | tuple[()] = ()
    _popped_below: list[tuple[Token[AppContext | RequestContext], bool]] | tuple[()] = ()
    _left = False  # popped while held: the last release() has to tear down
    _owns_app_context = True
    _has_pushed_app_context = False
    _has_no_request = False

    #: Whether the environ is made when it is looked at, so that what can do without does not look.
    may_lack_environ: t.ClassVar[bool] = False

    def __init__(
        self,
        app: Flask,
        environ: WSGIEnvironment,
        request: Request | None = None,
        session: SessionMixin | None = None,
    ) -> None:
        self.app = app
        self.environ = environ
        self.seen_request = request
        self.opened_session = session
        # PERF: CPython reads and writes an attribute four times as fast where the class has none
        # of that name (0.02 µs instead of 0.08), so what each request changes is set here.
        self.own_g: _AppCtxGlobals | None = None
        self.routing: Routing = NOT_ROUTED
        # The session was opened, or something is to be done when the view has returned.
        self.touched = False
        # Set while the engine has made this the current context without push().
        self.entry_token: Token[AppContext | RequestContext] | None = None

    @property
    def request_context(self) -> RequestContext:
        """This context: the one in force while it is on top."""
        return self

    @property
    def request(self) -> Request:
        """The request object, of the application's ``request_class``."""
        request = self.seen_request
        return self.make_request() if request is None else request

    @request.setter
    def request(self, request: Request) -> None:
        self.seen_request = request

    @request.deleter
    def request(self) -> None:
        self.seen_request = None
        self._has_no_request = True

    def make_request(self) -> Request:
        """Make the request object, at the first look at it.

        :raises AttributeError: if it was deleted.
        """
        if self._has_no_request:
            raise AttributeError(
                "the request of this context was deleted", name="request", obj=self
            )
        app = self.app
        if app.engine_plan.short_way:  # so the request class is ours
            # PERF: with all its arguments CPython calls our initialiser directly (0.1 µs).
            request = Request(self.environ, True, False)
            request._json_module = app.json
        else:
            request = app.request_class(self.environ)
            request.json_module = app.json
        request._routing = self.routing
        self.seen_request = request
        return request

    @lazy
    def url_adapter(self) -> MapAdapter | None:
        """Matches and builds URLs relative to this request."""
        try:
            return self.app.create_url_adapter(self.request)
        except HTTPException as error:
            self.request.routing_exception = error
            return None

    @property
    def app_context(self) -> AppContext:
        """The application context of this request."""
        context = self._app_context
        return self._make_app_context() if context is None else context

    def _make_app_context(self) -> AppContext:
        app = self.app
        context = AppContext(app) if app.engine_plan.short_way else app.app_context()
        context._torn_down_by_request = True
        if self.own_g is not None:
            context.g, self.own_g = self.own_g, None
        self._app_context = context
        return context

    def make_g(self) -> _AppCtxGlobals:
        """Return the :data:`kolben.g` of this request, at the first look at it or where it
        belongs to its application context.
        """
        context = self._app_context
        app = self.app
        if context is None and app.engine_plan.short_way:
            namespace = app.app_ctx_globals_class
            self.own_g = g = namespace()
            return g
        return self.app_context.g

    def announce_app_context(self) -> None:
        """Send ``appcontext_pushed``, whose receivers are not in the request yet."""
        if not appcontext_pushed.receivers:
            return
        token = set_current(self.app_context)
        try:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)
        finally:
            reset_current(token)

    @property
    def _session(self) -> SessionMixin:
        # Reading the session through here does not mark it as accessed.
        session = self.opened_session
        return self._open_session() if session is None else session

    @_session.setter
    def _session(self, session: SessionMixin) -> None:
        self.opened_session = session
        self.touched = True

    def _open_session(self) -> SessionMixin:
        app = self.app
        interface = app.session_interface
        if app.engine_plan.short_way and interface._needs_only_cookie and self.seen_request is None:
            # PERF: without a request object and its table of cookies (2.5 µs).
            if self.may_lack_environ:
                header = self.cookie_header()
            else:
                header = self.environ.get("HTTP_COOKIE", "")
            session = interface._open_cookie(
                app, header and find_cookie(header, interface.get_cookie_name(app))
            )
        else:
            session = interface.open_session(app, self.request)
        if session is None:
            session = interface.make_null_session(app)
        self.opened_session = session
        self.touched = True
        return session

    @property
    def session(self) -> SessionMixin:
        """The session, opened at the first look; looking marks it as accessed."""
        session = self.opened_session
        if session is None:
            session = self._open_session()
        session.accessed = True
        return session

    @lazy
    def _after_request_functions(self) -> list[ft.AfterRequestCallable[t.Any]]:
        self.has_after_functions = self.touched = True
        return []

    def endpoint_name(self) -> str:
        """What ``request.endpoint`` is, without making the request object for it; or ``""``."""
        if self.seen_request is not None:
            return self.seen_request.endpoint or ""
        rule = self.routing[0]
        endpoint: str = "" if rule is None else rule.endpoint
        return endpoint

    def scopes(self) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
        """Whose hooks are called: as :func:`hook_scopes`, unless the program's request class knows better."""
        request: t.Any = self.seen_request
        if request is not None:
            kind: t.Any = type(request)
            if kind is not Request and not _has_our_blueprints(kind):
                outwards = (*request.blueprints, None)
                return outwards[::-1], outwards
        return hook_scopes(self.endpoint_name())

    def blueprint_names(self) -> list[str]:
        """What ``request.blueprints`` is."""
        rule = self.routing[0]
        if self.seen_request is None and (rule is None or "." not in rule.endpoint):
            return []
        return list(self.scopes()[1][:-1])  # type: ignore[arg-type] # all but the application's None

    def copy(self) -> RequestContext:
        """Return a context with the same request and session, to be pushed elsewhere.

        For a thread or greenlet that works on while this request is still being handled.
        """
        return self.__class__(self.app, self.environ, request=self.request, session=self._session)

    def match_request(self) -> None:
        """Find the route of this request and store it, or the error, on the request."""
        adapter = self.url_adapter
        assert adapter is not None, "match_request() needs a URL adapter"
        try:
            rule, values = adapter.match(return_rule=True)
            self.request.url_rule, self.request.view_args = rule, t.cast("dict[str, t.Any]", values)
        except HTTPException as error:
            self.request.routing_exception = error

    def push(self) -> None:
        """Make this the current context, open the session and match the URL.

        Where an application context of the same application is in force already, it is shared.
        """
        outer = get_current(None)
        shared = outer is not None and outer.app is self.app
        # A context of the user's own is made while the one outside is still in force.
        self._app_context = (
            t.cast("AppContext | RequestContext", outer).app_context
            if shared
            else self._make_app_context()
        )
        has_own_push = not (shared or _pushes_as_ours(self._app_context))
        if has_own_push:
            self._app_context._torn_down_by_request = False
            self._app_context.push()
        token = set_current(self)
        if not self._pushed:
            self._pushed = []
        t.cast("list[t.Any]", self._pushed).append((token, not shared))
        self._owns_app_context = not shared
        self._has_pushed_app_context = has_own_push
        self._left = False
        if not (shared or has_own_push):
            self.announce_app_context()
        self._open_session_and_match()

    def _open_session_and_match(self) -> None:
        # A session interface of the user's may do anything, and must find the request not
        # matched yet; of our own no program can tell when it reads the cookie.
        if not self.app.engine_plan.opens_session_late:
            self._session  # noqa: B018
        self.match_if_bound()

    def match_if_bound(self) -> None:
        """Find the route, unless no URL map could be bound to the request's host: then the error is known already."""
        if self.url_adapter is not None:
            self.match_request()

    def pop(self, exc: BaseException | None = _unset) -> None:
        """Leave this context; the last pop calls the teardown functions.

        :param exc: the error that ended the request, told to the teardown functions. By
            default the one being handled now.
        :raises AssertionError: if another request context was pushed since and not popped.
        """
        kept = [pair for pair in self._pushed if pair not in self._popped_below]
        is_below = _is_below(self, len(kept), "request context")
        exc = _error_or_current(exc)
        last = len(kept) == 1 and self.entry_token is None
        if is_below:
            self._pop_below(exc, last, kept[-1])
            return
        token, owned = t.cast("list[t.Any]", self._pushed).pop()
        if last:
            self._leave(token, exc, owned)
        else:
            reset_current(token)
        _unwind()

    def _pop_below(self, exc: BaseException | None, last: bool, pair: t.Any) -> None:
        """Leave this context while application contexts stay that were pushed within it."""
        try:
            if last and not self.holds:
                self._tear_down_request(exc)
        finally:
            self._left = last and self.holds > 0
            self._popped_below = [*self._popped_below, pair]
            inner: list[AppContext] = []
            outer = None
            is_within = False
            for context, entry in _pushed_contexts():
                if entry is pair:
                    is_within = True
                elif isinstance(context, RequestContext):
                    if is_within and entry not in context._popped_below:
                        outer = context
                        break
                elif not is_within:
                    inner.append(context)
            for one in inner:
                one.request_context = outer

    def _leave(
        self, token: Token[AppContext | RequestContext], exc: BaseException | None, owned: bool
    ) -> None:
        """Tear down, unless something still holds this context, and stop being current."""
        self.entry_token = None
        self._left = held = self.holds > 0
        try:
            if not held:
                self._tear_down_request(exc)
        finally:
            reset_current(token)
            if held and self._has_pushed_app_context:
                # Its functions are called at the end; until then nothing is left on the thread.
                self._has_pushed_app_context = False
                self.app_context._torn_down_by_request = True
                self.app_context.pop(exc)
            if owned and not held:
                self._tear_down_app_context(exc)

    def _tear_down_request(self, exc: BaseException | None) -> None:
        try:
            self.app.do_teardown_request(exc)
        finally:
            request = self.seen_request
            if request is not None:
                if hasattr(request, "close"):
                    request.close()
                # The two hold each other; apart, an upload is freed now and not by the collector.
                self.environ["werkzeug.request"] = None

    def _tear_down_app_context(self, exc: BaseException | None) -> None:
        """Call the application context's teardown functions, with that context in force."""
        app = self.app
        if self._has_pushed_app_context:
            self._has_pushed_app_context = False
            self.app_context.pop(exc)
            return
        token = set_current(self.detach_app_context())
        try:
            app.do_teardown_appcontext(exc)
        finally:
            reset_current(token)
        if appcontext_popped.receivers:
            announce_popped(app)

    def detach_app_context(self) -> AppContext:
        """Return the application context, which is not one of a request from now on."""
        context = self.app_context
        context.request_context = None
        context._torn_down_by_request = False
        return context

    def has_cookies(self) -> bool:
        """Tell whether the client has sent cookies."""
        return "HTTP_COOKIE" in self.environ

    def cookie_header(self) -> str:
        """Return the ``Cookie`` header; empty where there is none."""
        header: str = self.environ.get("HTTP_COOKIE", "")
        return header

    def script_name(self) -> str:
        """Return where the application is mounted, as WSGI's ``SCRIPT_NAME`` has it."""
        return self.environ.get("SCRIPT_NAME", "")  # type: ignore[no-any-return]

    def hold(self) -> None:
        """Put teardown off until :meth:`release`, for work that goes on after the response.

        A streamed response is produced after the context was popped; what its generator uses
        must not be torn down before it ends.
        """
        self.holds += 1
        self.touched = True

    def release(self, exc: BaseException | None = None) -> None:
        """Take back one :meth:`hold`; the last one tears down what the pop has left.

        :param exc: the error that ended the work, told to the teardown functions.
        """
        self.holds -= 1
        if self.holds or not self._left:
            return
        self._left = False
        try:
            try:
                with self.activate():
                    self._tear_down_request(exc)
            finally:
                if self._owns_app_context:
                    self._tear_down_app_context(exc)
        except Exception as error:
            self.app._report_failed_teardown(self, error)

    @contextlib.contextmanager
    def activate(self) -> t.Iterator[None]:
        """Be the current context for the time of a ``with`` block, and nothing more."""
        token = set_current(self)
        try:
            yield
        finally:
            reset_current(token)

    def __enter__(self) -> t.Self:
        self.push()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.pop(exc_value)

    def __repr__(self) -> str:
        request = self.request
        name = type(self).__name__
        return f"<{name} {request.url!r} [{request.method}] of {self.app.name}>"


def _pushes_as_ours(context: AppContext) -> bool:
    """Tell whether no program or agent has replaced the methods that push and pop a context.

    A request that makes an application context need not push it, then.
    """
    kind = type(context)
    return (
        kind.push is _our_push
        and kind.pop is _our_pop
        and not {"push", "pop"} & vars(context).keys()
    )


_our_push, _our_pop = AppContext.push, AppContext.pop


@lru_cache(maxsize=64)
def _has_our_blueprints(kind: t.Hashable) -> bool:
    """Tell whether a class of requests has our ``blueprints``, or none, as those of tests may."""
    return all(
        # No set: what the program has put there need not be hashable.
        getattr(kind, name, None) in (None, getattr(Request, name))
        for name in ("blueprint", "blueprints")
    )


@lru_cache(maxsize=1024)
def hook_scopes(endpoint: str) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
    """Whose hooks are called for an endpoint: from the application inwards, and outwards.

    The application is None, a blueprint its name.
    """
    blueprint = endpoint.rpartition(".")[0]
    outwards = (*(split_blueprint_path(blueprint) if blueprint else ()), None)
    return outwards[::-1], outwards


def _is_below(context: AppContext | RequestContext, pushed: int, kind: str) -> bool:
    """Tell whether only contexts of the other kind are on top of one that is to be popped.

    Flask has a variable for each of the two kinds, so that it need not know what of the other is there.

    :param context: the context.
    :param pushed: how many times it was pushed and not popped yet.
    :param kind: what to call it.
    :raises AssertionError: if it cannot be popped.
    """
    top: t.Any = get_current(None)
    if pushed:
        if top is context:
            return False
        if isinstance(context, AppContext):
            if _innermost_app_context() is context:
                return True
        elif top is not None and top.request_context is context:
            pushed_with: list[t.Any] = list(context._pushed)
            if not pushed_with[-1][1]:  # else its application context is not the one in force
                return True
    raise AssertionError(
        f"This {kind} cannot be popped: the current one is {top!r}, not {context!r}."
    )


def _innermost_app_context() -> AppContext | None:
    """Return the application context that is in force, without those that were popped below a request."""
    for context, entry in _pushed_contexts():
        if isinstance(context, AppContext):
            if entry not in context._popped_below:
                return context
        elif entry is None or entry[1]:  # it has brought its own
            return context._app_context
    return None


def _pushed_contexts() -> list[tuple[AppContext | RequestContext, t.Any]]:
    """List the contexts that are in force, the current one first, with their entries in ``_pushed``.

    The one that the engine has made the current one is below all others, and has no entry.
    """
    found: list[tuple[AppContext | RequestContext, t.Any]] = []
    context: t.Any = get_current(None)
    passed: dict[int, int] = {}
    while context is not None:
        at = passed[id(context)] = passed.get(id(context), 0) + 1
        entry = context._pushed[-at] if at <= len(context._pushed) else None
        found.append((context, entry))
        token = entry[0] if type(entry) is tuple else entry
        context = None if token is None or token.old_value is token.MISSING else token.old_value
    return found


def _unwind() -> None:
    """Leave contexts on top that were popped already, when others were on top of them."""
    top: t.Any = get_current(None)
    while top is not None and top._popped_below and top._pushed[-1] in top._popped_below:
        if isinstance(top, RequestContext):
            entry = t.cast("list[t.Any]", top._pushed).pop()
            token = entry[0]
        else:
            entry = token = top.take_entry()
        top._popped_below.remove(entry)
        reset_current(token)
        top = get_current(None)


def send_to_all(
    app: Flask, signal: NamedSignal, failures: list[BaseException], **values: t.Any
) -> None:
    """Send a signal to all its receivers, also to those after one that raises.

    :param app: the sender.
    :param signal: the signal.
    :param failures: takes the errors.
    :param values: what the receivers get besides.
    """
    if signal.is_muted:
        return
    for receiver in signal.receivers_for(app):
        try:
            # Which is asked for coroutine functions only, as of every signal.
            call = app.ensure_sync(receiver) if is_coroutine_function(receiver) else receiver
            call(app, **values)
        except BaseException as failure:
            failures.append(failure)


def announce_popped(app: Flask) -> None:
    """Tell that an application context was popped. What receivers raise is as of teardown functions.

    :param app: the application.
    """
    failures: list[BaseException] = []
    send_to_all(app, appcontext_popped, failures)
    if failures:
        raise_failures(app, failures)


def raise_failures(app: Flask, failures: t.Sequence[BaseException]) -> t.NoReturn:
    """Raise the first of the errors that teardown functions have raised, and log the others.

    :param app: the application.
    :param failures: the errors, at least one.
    """
    # What ends the process or the greenlet goes before errors.
    first = next((one for one in failures if not isinstance(one, Exception)), failures[0])
    for other in failures:
        if other is not first:
            app.logger.error("Another teardown function failed, too.", exc_info=shown_error(other))
    raise first


def _error_or_current(exc: BaseException | None) -> BaseException | None:
    return sys.exc_info()[1] if exc is _unset else exc


def after_this_request(
    f: ft.AfterRequestCallable[t.Any],
) -> ft.AfterRequestCallable[t.Any]:
    """Call *f* with the response of the current request, and send what it returns.

    :param f: takes the response and returns it, or another one.
    :return: *f*, so that this works as a decorator inside a view.
    :raises RuntimeError: outside of a request.
    """
    context = current_request_context()
    if context is None:
        raise RuntimeError(
            "'after_this_request' can only be used when a request context is active,"
            " such as in a view function."
        )
    context._after_request_functions.append(f)
    return f


def copy_current_request_context(f: F) -> F:
    """Wrap *f* so that it sees the current request wherever it is called.

    For a thread or greenlet that works on while the request is still being handled, and for a task
    that outlives it: where an event loop is running, calling a wrapped coroutine function gives a
    coroutine to await, which has an application context of its own. Elsewhere the call runs it to its end.

    :param f: the function to wrap, plain or ``async def``.
    :raises RuntimeError: outside of a request.
    """
    context = current_request_context()
    if context is None:
        raise RuntimeError(
            "'copy_current_request_context' can only be used when a request context is active,"
            " such as in a view function."
        )
    copied = context.copy()

    def wrapper(*args: t.Any, **kwargs: t.Any) -> t.Any:
        if is_coroutine_function(f) and is_on_loop():
            return _run_within(copied.copy(), f(*args, **kwargs))
        with copied:
            return copied.app.ensure_sync(f)(*args, **kwargs)

    return t.cast("F", update_wrapper(wrapper, f))


async def _run_within(context: RequestContext, coroutine: t.Awaitable[t.Any]) -> t.Any:
    """Await a coroutine with a context in force that nothing else uses, and tear that down after it."""
    context.hold()
    context._left = True
    failure: BaseException | None = None
    try:
        with context.activate():
            return await coroutine
    except BaseException as error:
        failure = error
        raise
    finally:
        # Its functions may be plain, and this may be a server's event loop.
        await in_thread(context.release, failure)


def forget_what_is_over() -> AppContext | RequestContext | None:
    """Stop being in the context of a request that has ended; return the one that is in force, if any.

    A server that has stopped to read from a connection, as uvicorn does for bodies of more than 64 KiB, goes on
    in the context variables of the request that has asked for more; and so does what comes next on it.
    """
    context = get_current(None)
    if (
        isinstance(context, RequestContext)
        and context.entry_token is None
        and not context._pushed
        and not context.holds
    ):
        set_current(t.cast("t.Any", None))
        return None
    return context


def has_request_context() -> bool:
    """Tell whether a request is being handled, so that :data:`kolben.request` can be used."""
    return current_request_context() is not None


def has_app_context() -> bool:
    """Tell whether an application is at work, so that :data:`kolben.g` can be used."""
    return get_current(None) is not None
