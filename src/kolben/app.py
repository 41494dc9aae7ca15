"""The application class: how requests are answered."""

from __future__ import annotations

import os
import sys
import typing as t
import weakref
from datetime import timedelta
from inspect import CO_COROUTINE

from werkzeug.datastructures import Headers as Headers, ImmutableDict as ImmutableDict
from werkzeug.exceptions import BadRequest, BadRequestKeyError, HTTPException, InternalServerError
from werkzeug.routing import (
    BuildError,
    MapAdapter,
    RequestRedirect,
    RoutingException,
    Rule as Rule,
    WebsocketMismatch,
)
from werkzeug.wrappers import Response as BaseResponse  # noqa: F401 (a name of this module, too)
from werkzeug.wsgi import get_host as get_host

from . import typing as ft  # noqa: TC001 (a name of this module, too)
from .concurrency import async_to_sync, is_coroutine_function
from .config import DEFAULTS, HEADER_SETTINGS
from .ctx import AppContext, RequestContext, _unset, raise_failures, send_to_all
from .debughelpers import FormDataRoutingRedirect
from .engine.answer import answer_by_steps, answer_request, says_web_socket
from .engine.entry import asgi_entry
from .engine.lifetime import ServedApp
from .engine.owners import owners_of
from .engine.plan import DECIDES, WITHIN, Plan, know_ours, overrides_none
from .engine.results import wrap_result
from .engine.saving import save_session
from .engine.teardown import is_same_fault, report
from .engine.urls import adapter_for, bind_to_request, bind_to_server, build_quickly, quote_anchor
from .globals import (
    current_app as current_app,
    find_request_context,
    g,
    get_current,
    request,
    request_ctx as request_ctx,
    session,
)
from .helpers import (
    get_debug_flag as get_debug_flag,
    get_flashed_messages,
    get_load_dotenv as get_load_dotenv,
    send_from_directory,
)
from .json.refusals import refusal_of
from .lazy import late_names, lazy
from .limits import limit_time
from .logging import printable, shown_error
from .problems import check_choice
from .sansio.app import App as App
from .sessions import SecureCookieSessionInterface, SessionInterface
from .signals import (
    appcontext_tearing_down,
    got_request_exception,
    request_finished,
    request_started,
    request_tearing_down,
)
from .templating import add_processed_names
from .websockets import WebSocket, explain_mismatch
from .wrappers import Request, Response, text_response

if t.TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from .async_testing import AsyncClient
    from .cli import AppGroup
    from .templating import Environment
    from .testing import FlaskClient, FlaskCliRunner

# What takes long to import, and is not always needed.
__getattr__, __dir__ = late_names(
    __name__,
    cli="kolben",
    Environment="kolben.templating",
    is_running_from_reloader="werkzeug.serving",
)

R = t.TypeVar("R")


class Flask(ServedApp):
    """A web application: a WSGI application that answers requests with view functions.

    .. code-block:: python

        from kolben import Flask

        app = Flask(__name__)

        @app.get("/")
        def hello():
            return "Hello World!"

    :param import_name: name of the application's package or module, usually ``__name__``:
        templates, static files and other resources are found beside it.
    :param static_url_path: the URL prefix of the static files; by default the name of
        ``static_folder``.
    :param static_folder: the folder of the static files, relative to ``root_path`` or
        absolute; None for none.
    :param static_host: the host that serves the static files; needed with ``host_matching``
        if there is a ``static_folder``.
    :param host_matching: match URL rules by host.
    :param subdomain_matching: match URL rules by subdomain of ``SERVER_NAME``.
    :param template_folder: the folder of the templates, relative to ``root_path`` or absolute;
        None for none.
    :param instance_path: the absolute path of the instance folder; by default the folder
        ``instance`` beside the package or module.
    :param instance_relative_config: file names given to ``config`` are relative to the
        instance folder, rather than to ``root_path``.
    :param root_path: the folder that relative paths start from; by default the folder of the
        package or module. Needed only where it cannot be found, as in a namespace package.
    """

    #: The settings that ``config`` starts with.
    default_config = DEFAULTS

    #: The class of request objects.
    request_class: type[Request] = Request
    #: The class of response objects.
    response_class: type[Response] = Response
    #: The class of WebSockets.
    websocket_class: type[WebSocket] = WebSocket
    #: Opens the session when it is first looked at, and saves it with the response.
    session_interface: SessionInterface = SecureCookieSessionInterface()

    #: What the engine has found out about this application.
    engine_plan: Plan

    def __init__(
        self,
        import_name: str,
        static_url_path: str | None = None,
        static_folder: str | os.PathLike[str] | None = "static",
        static_host: str | None = None,
        host_matching: bool = False,
        subdomain_matching: bool = False,
        template_folder: str | os.PathLike[str] | None = "templates",
        instance_path: str | None = None,
        instance_relative_config: bool = False,
        root_path: str | None = None,
    ) -> None:
        self.__dict__["engine_plan"] = Plan()
        super().__init__(
            import_name=import_name,
            static_url_path=static_url_path,
            static_folder=static_folder,
            static_host=static_host,
            host_matching=host_matching,
            subdomain_matching=subdomain_matching,
            template_folder=template_folder,
            instance_path=instance_path,
            instance_relative_config=instance_relative_config,
            root_path=root_path,
        )
        self.name  # noqa: B018 (found out now: at the end of the process, the main module has no file)
        if self.has_static_folder:
            self._add_static_route(static_host, host_matching)

    @lazy
    def cli(self) -> AppGroup:  # type: ignore[override]
        """The application's own commands for the command line."""
        from .cli import AppGroup

        group = AppGroup()
        group.name = self.name
        return group

    def _add_static_route(self, static_host: str | None, host_matching: bool) -> None:
        if bool(static_host) != host_matching:
            raise AssertionError(
                "host_matching and static_host belong together: give both, or set"
                " static_folder=None."
            )
        # Weakly, so that an application that is no longer used is freed at once.
        weak_self = weakref.ref(self)

        def static(**values: t.Any) -> Response:
            return t.cast("Flask", weak_self()).send_static_file(**values)

        # Extensions keep views by their names, and programs name this one to them.
        static.__module__, static.__name__ = "flask.app", "<lambda>"
        static.__qualname__ = "Flask.__init__.<locals>.<lambda>"
        self.add_url_rule(
            f"{self.static_url_path}/<path:filename>",
            endpoint="static",
            host=static_host,
            view_func=static,
        )

    def __setattr__(self, name: str, value: t.Any) -> None:
        # Replacing a step of the way of a request, or what it is made of, on this one
        # application is part of what extensions may do, at any time.
        object.__setattr__(self, name, value)
        if name in DECIDES:
            # Afterwards: a request meanwhile must not find out what was true before.
            self._look_again()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._look_again()

    def _look_again(self) -> None:
        # A subclass may assign something before it calls __init__().
        plan = self.__dict__.get("engine_plan")
        if plan is not None:
            plan.look_again()

    def __setstate__(self, state: dict[str, t.Any]) -> None:
        # A copy goes its own way from here.
        self.__dict__.update(state, engine_plan=Plan())

    # ---- static files and resources -----------------------------------------------------

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Return for how many seconds browsers may keep a file without asking again.

        ``SEND_FILE_MAX_AGE_DEFAULT``, unless a subclass decides by the file's name.

        :param filename: the path that is sent.
        :return: seconds; None to let the browser ask each time.
        """
        value = self.config["SEND_FILE_MAX_AGE_DEFAULT"]
        if isinstance(value, timedelta):
            return int(value.total_seconds())
        return t.cast("int | None", value)

    def send_static_file(self, filename: str) -> Response:
        """Send a file of the static folder; the view of the static files' route.

        :param filename: the path below the static folder.
        :raises RuntimeError: if there is no static folder.
        :raises NotFound: if there is no such file.
        """
        folder = self.static_folder
        if folder is None:
            raise RuntimeError("'static_folder' must be set to serve static_files.")
        return send_from_directory(folder, filename, max_age=self.get_send_file_max_age(filename))

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = None
    ) -> t.IO[t.AnyStr]:
        """Open a file below ``root_path`` for reading.

        :param resource: the path, relative to ``root_path``.
        :param mode: ``"r"``, ``"rt"`` or ``"rb"``.
        :param encoding: how text is decoded.
        :raises ValueError: for a mode that writes.
        """
        if mode not in {"r", "rt", "rb"}:
            raise ValueError(f"Resources can only be opened for reading, not with {mode!r}.")
        path = os.path.join(self.root_path, resource)
        return open(path, mode, encoding=None if mode == "rb" else encoding)

    def open_instance_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> t.IO[t.AnyStr]:
        """Open a file in the instance folder, also for writing.

        :param resource: the path, relative to the instance folder.
        :param mode: as for :func:`open`.
        :param encoding: how text is decoded; not used for a binary mode.
        """
        path = os.path.join(self.instance_path, resource)
        return open(path, mode, encoding=None if "b" in mode else encoding)

    # ---- templates -----------------------------------------------------------------------

    def create_jinja_environment(self) -> Environment:
        """Make the Jinja environment, with the globals that templates of Flask's know."""
        options = dict(self.jinja_options)
        options.setdefault("autoescape", self.select_jinja_autoescape)
        if "auto_reload" not in options:
            reload = self.config["TEMPLATES_AUTO_RELOAD"]
            options["auto_reload"] = self.debug if reload is None else reload
        environment = self.jinja_environment(self, **options)
        environment.globals.update(
            url_for=self.url_for,
            get_flashed_messages=get_flashed_messages,
            config=self.config,
            # Also given to each template; here for those imported without context.
            request=request,
            session=session,
            g=g,
        )
        environment.policies["json.dumps_function"] = self.json.dumps
        return environment

    def update_template_context(self, context: dict[str, t.Any]) -> None:
        """Add what the context processors give to a template's variables.

        The variables that the view gave win over those of a processor.

        :param context: the variables, changed in place.
        """
        add_processed_names(self, context)

    # ---- development ---------------------------------------------------------------------

    def make_shell_context(self) -> dict[str, t.Any]:
        """Return the names that an interactive shell for this application starts with."""
        names: dict[str, t.Any] = {"app": self, "g": g}
        for processor in self.shell_context_processors:
            names.update(processor())
        return names

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        load_dotenv: bool = True,
        **options: t.Any,
    ) -> None:
        """Serve the application with the development server. Not for production.

        :param host: the address to listen on; by default that of ``SERVER_NAME``, or 127.0.0.1.
        :param port: the port; by default that of ``SERVER_NAME``, or 5000.
        :param debug: turn debug mode on or off: the reloader and the interactive debugger.
        :param load_dotenv: read environment variables from ``.env`` and ``.flaskenv``.
        :param options: passed on to :func:`werkzeug.serving.run_simple`.
        """
        # PERF: here, because it takes 1 ms to import what only development needs.
        from .serving import development as devserver

        devserver.run(self, host, port, debug, load_dotenv, **options)

    def test_client(self, use_cookies: bool = True, **kwargs: t.Any) -> FlaskClient:
        """Return a client that sends requests to this application without a server.

        :param use_cookies: keep cookies from one request to the next.
        :param kwargs: passed on to ``test_client_class``.
        """
        from .testing import FlaskClient

        client_class: t.Any = self.test_client_class or FlaskClient
        kwargs["use_cookies"] = use_cookies
        return t.cast("FlaskClient", client_class(self, self.response_class, **kwargs))

    def async_test_client(self, use_cookies: bool = True) -> AsyncClient:
        """Return a client for ``async def`` tests: ``await client.get("/")``, and WebSockets.

        :param use_cookies: keep cookies from one request to the next.
        """
        from .async_testing import AsyncClient

        return AsyncClient(self, use_cookies)

    def test_cli_runner(self, **kwargs: t.Any) -> FlaskCliRunner:
        """Return a runner that calls this application's commands in tests.

        :param kwargs: passed on to ``test_cli_runner_class``.
        """
        from .testing import FlaskCliRunner

        runner_class: t.Any = self.test_cli_runner_class or FlaskCliRunner
        return t.cast("FlaskCliRunner", runner_class(self, **kwargs))

    # ---- contexts ------------------------------------------------------------------------

    def app_context(self) -> AppContext:
        """Make an application context, for ``with app.app_context():`` outside a request."""
        context = AppContext(self)
        if not overrides_none(self, ("create_url_adapter",)):
            context.url_adapter  # noqa: B018 (one of the program's own is asked as on Flask)
        return context

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """Make a request context for a WSGI environment (PEP 3333).

        :param environ: the environment.
        """
        if not self._got_first_request:
            self._settle()
        context = RequestContext(self, environ)
        # Made at once, while this context is not in force yet: an error in a request class of
        # the user's must leave nothing behind.
        context.url_adapter  # noqa: B018
        return context

    def test_request_context(self, *args: t.Any, **kwargs: t.Any) -> RequestContext:
        """Make a request context for an imagined request.

        No hook and no view is called for it. Takes what :class:`~kolben.testing.EnvironBuilder`
        takes: path, method, data, json, headers, ...
        """
        from .testing import EnvironBuilder

        builder = EnvironBuilder(self, *args, **kwargs)
        try:
            environ = builder.get_environ()
        finally:
            builder.close()
        return self.request_context(environ)

    def _use_session_store(self) -> None:
        """Keep sessions where ``SESSION_STORE`` says; an interface that was assigned stays."""
        store = self.config.get("SESSION_STORE")
        if store is None or "session_interface" in self.__dict__:
            return
        if type(self).session_interface is Flask.session_interface:
            # PERF: here, because it takes 1 ms to import what few applications need.
            from .server_sessions import use_configured_store

            use_configured_store(self)

    # ---- coroutines ----------------------------------------------------------------------

    def ensure_sync(self, func: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        """Return *func* itself, or for an ``async def`` function one that can be called plainly.

        :param func: a view, hook, handler or processor.
        """
        # PERF: asked for each hook of each request; what is_coroutine_function() finds first is
        # found here without calling it (0.07 µs).
        try:
            if not func.__code__.co_flags & CO_COROUTINE and not func.__dict__:
                return func
        except AttributeError:
            pass
        return self.async_to_sync(func) if is_coroutine_function(func) else func

    def async_to_sync(
        self, func: t.Callable[..., t.Coroutine[t.Any, t.Any, R]]
    ) -> t.Callable[..., R]:
        """Return a plain function that runs the coroutine function *func* to its end.

        :param func: the coroutine function.
        """
        return async_to_sync(func)

    # ---- URLs ----------------------------------------------------------------------------

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Bind the URL map to a request, or outside one to ``SERVER_NAME``.

        :param request: the request; None outside one.
        :return: None outside a request if ``SERVER_NAME`` is not set.
        :raises SecurityError: if the request's host is not one of ``TRUSTED_HOSTS``.
        """
        return bind_to_request(self, request) if request is not None else bind_to_server(self)

    def url_for(
        self,
        /,
        endpoint: str,
        *,
        _anchor: str | None = None,
        _method: str | None = None,
        _scheme: str | None = None,
        _external: bool | None = None,
        **values: t.Any,
    ) -> str:
        """Build the URL of an endpoint.

        Inside a request it is relative to the host, unless told otherwise; outside one it is
        external, and needs ``SERVER_NAME``.

        :param endpoint: the endpoint; one that starts with a dot is of the current blueprint.
        :param _anchor: what follows the ``#``.
        :param _method: pick the rule for this HTTP method.
        :param _scheme: the scheme of an external URL.
        :param _external: build a URL with scheme and host.
        :param values: the rule's variables; others become the query string.
        :raises BuildError: if there is no such endpoint or a variable is missing, and no
            handler of :attr:`url_build_error_handlers` knows better.
        :raises RuntimeError: outside a request without ``SERVER_NAME``.
        """
        top = get_current(None)
        context = None if top is None else top.request_context
        injected = False
        if context is not None:
            if endpoint[:1] == ".":
                names = context.blueprint_names()
                endpoint = f"{names[0]}{endpoint}" if names else endpoint[1:]
            if (
                self.engine_plan.short_way
                and context.app is self
                and _anchor is None
                and _method is None
                and _scheme is None
                and not _external
            ):
                self.inject_url_defaults(endpoint, values)
                injected = True
                quick = build_quickly(self, context, endpoint, values)
                if quick is not None:
                    return quick
        if context is None:
            adapter = adapter_for(self, None)
        if _external is None:
            _external = context is None or _scheme is not None
        if _scheme is not None and not _external:
            raise ValueError("When specifying '_scheme', '_external' must be True.")
        if not injected:
            self.inject_url_defaults(endpoint, values)
        if context is not None:
            adapter = adapter_for(self, context)
        try:
            url = adapter.build(
                endpoint, values, method=_method, url_scheme=_scheme, force_external=_external
            )
        except BuildError as error:
            values.update(_anchor=_anchor, _method=_method, _scheme=_scheme, _external=_external)
            return self.handle_url_build_error(error, endpoint, values)
        return url if _anchor is None else f"{url}#{quote_anchor(_anchor)}"

    # ---- gateway: WSGI -------------------------------------------------------------------

    __call__ = answer_request

    def wsgi_app(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> t.Iterable[bytes]:
        """The WSGI application itself (PEP 3333), to wrap in middleware.

        ``app.wsgi_app = Middleware(app.wsgi_app)``.

        :param environ: the environment.
        :param start_response: takes status and headers.
        """
        # Middleware may say that it was a WebSocket's, which no plain rule is for.
        answer = answer_by_steps if says_web_socket(environ) else answer_request
        return answer(self, environ, start_response, WITHIN)  # type: ignore[no-any-return]

    # ---- gateway: ASGI -------------------------------------------------------------------

    #: The ASGI application itself (ASGI 3.0), for servers that have to be told, and to wrap in
    #: middleware: ``app.asgi_app = Middleware(app.asgi_app)``.
    asgi_app: t.Any = asgi_entry()

    # ---- the way of one request, one named step at a time --------------------------------

    def full_dispatch_request(self) -> Response:
        """Answer the current request: hooks, view, error handlers, response.

        :raises Exception: whatever no error handler has dealt with.
        """
        if not self._got_first_request:
            self._got_first_request = True
        try:
            if request_started.receivers:
                request_started.send(self, _async_wrapper=self.ensure_sync)
            result = self.preprocess_request()
            if result is None:
                result = self.dispatch_request()
        except Exception as error:
            result = self.handle_user_exception(error)
        return self.finalize_request(result)

    def preprocess_request(self) -> ft.ResponseReturnValue | None:
        """Call the URL value preprocessors, then the before-request functions.

        Those of the application first, then those of the blueprints, outermost first.

        :return: what the first function that answered has returned, in place of the view.
        """
        context = find_request_context()
        names = context.scopes()[0]
        if self.url_value_preprocessors:
            request = context.request
            for name in names:
                for preprocess in self.url_value_preprocessors.get(name, ()):
                    preprocess(request.endpoint, request.view_args)
        hooks = self.before_request_funcs
        if hooks:
            for name in names:
                for hook in hooks.get(name, ()):
                    result: ft.ResponseReturnValue | None = self.ensure_sync(hook)()
                    if result is not None:
                        return result
        return None

    def dispatch_request(self) -> ft.ResponseReturnValue:
        """Call the view of the current request, or raise why there is none.

        :raises HTTPException: if no URL rule matched.
        """
        request = find_request_context().request
        if request.routing_exception is not None:
            self.raise_routing_exception(request)
        rule = t.cast("t.Any", request.url_rule)
        if getattr(rule, "provide_automatic_options", False) and request.method == "OPTIONS":
            return self.make_default_options_response()
        view = self.ensure_sync(limit_time(self, self.view_functions[rule.endpoint]))
        return t.cast("ft.ResponseReturnValue", view(**(request.view_args or {})))

    def raise_routing_exception(self, request: Request) -> t.NoReturn:
        """Raise the error of a request that no URL rule matched.

        In debug mode, a redirect that would lose the body of a form is explained instead.

        :param request: the request.
        """
        error = request.routing_exception
        loses_body = (
            self.debug
            and isinstance(error, RequestRedirect)
            and error.code not in {307, 308}
            and request.method not in {"GET", "HEAD", "OPTIONS"}
        )
        if loses_body:
            raise FormDataRoutingRedirect(request)
        if isinstance(error, WebsocketMismatch):
            error = explain_mismatch(self, find_request_context().url_adapter, error)
        raise t.cast("HTTPException", error)

    def make_default_options_response(self) -> Response:
        """Answer an OPTIONS request with the methods that the URL takes."""
        adapter = find_request_context().url_adapter
        response = self.response_class()
        response.allow.update(t.cast("MapAdapter", adapter).allowed_methods())
        return response

    def finalize_request(
        self, rv: ft.ResponseReturnValue | HTTPException, from_error_handler: bool = False
    ) -> Response:
        """Make the response of what a view or handler returned, and let the hooks see it.

        :param rv: what it returned.
        :param from_error_handler: log errors on this way rather than raise them, because an
            error is being answered already.
        """
        response = self.make_response(rv)
        if from_error_handler:
            return self._finish_error_page(response)
        response = self.process_response(response)
        if request_finished.receivers:
            request_finished.send(self, _async_wrapper=self.ensure_sync, response=response)
        return response

    def _finish_error_page(self, page: Response) -> Response:
        """Let the hooks see the answer to an error, which is sent even where one of them fails."""
        handled = sys.exception()
        try:
            page = self.process_response(page)
            request_finished.send(self, _async_wrapper=self.ensure_sync, response=page)
        except Exception as error:
            # A hook that fails for each response was logged already.
            if not is_same_fault(error, handled):
                self.logger.error(
                    "An after-request step failed on the way of an error page.",
                    exc_info=shown_error(error),
                )
        return page

    def make_response(self, rv: ft.ResponseReturnValue) -> Response:
        """Turn what a view returned into a response object.

        :param rv: text, bytes, a dict or list (sent as JSON), an iterator of text or bytes
            (streamed), a response, a WSGI application, or a tuple of one of these with status
            and headers: ``(body, status, headers)``, ``(body, status)``, ``(body, headers)``.
        :raises TypeError: for anything else, None above all.
        """
        text: t.Any = rv
        if type(text) is str and self.response_class is Response:
            return text_response(text)
        return wrap_result(self, rv)

    def process_response(self, response: Response) -> Response:
        """Call the after-request functions with the response, and save the session.

        Functions of :func:`after_this_request` first, then those of the blueprints, innermost
        first, then those of the application; each group in reverse order of registration.

        :param response: the response.
        :return: the response to send.
        """
        context = find_request_context()
        if context.has_after_functions:
            for function in context._after_request_functions:
                response = self.ensure_sync(function)(response)
        hooks = self.after_request_funcs
        if hooks:
            for name in context.scopes()[1]:
                for hook in reversed(hooks.get(name, ())):
                    response = self.ensure_sync(hook)(response)
        save_session(self, context, response)
        return response

    # ---- errors --------------------------------------------------------------------------

    def handle_http_exception(self, e: HTTPException) -> HTTPException | ft.ResponseReturnValue:
        """Let an error handler answer an HTTP error, or return it as its own response.

        :param e: the error.
        """
        # A proxied error without a code, and a redirect of the URL map's, are responses.
        if e.code is None or isinstance(e, RoutingException):
            return e
        context = find_request_context()
        names = context.blueprint_names()
        if not names and self.prefix_owners:
            names = owners_of(context, e)
        handler = self._find_error_handler(e, names)
        if handler is None:
            return e
        result: ft.ResponseReturnValue = self.ensure_sync(handler)(e)
        return result

    def handle_user_exception(self, e: Exception) -> HTTPException | ft.ResponseReturnValue:
        """Let an error handler answer an error that a view or hook has raised.

        :param e: the error.
        :raises Exception: the same error, if there is no handler for it.
        """
        if isinstance(e, BadRequestKeyError) and (
            self.debug or self.config["TRAP_BAD_REQUEST_ERRORS"]
        ):
            e.show_exception = True
        if isinstance(e, HTTPException) and not self.trap_http_exception(e):
            return self.handle_http_exception(e)
        handler = self._find_error_handler(e, find_request_context().blueprint_names())
        if handler is None:
            raise e
        result: ft.ResponseReturnValue = self.ensure_sync(handler)(e)
        return result

    def handle_exception(self, e: Exception) -> Response:
        """Answer an error that nothing has handled: log it, and send 500.

        In debug mode and in tests it is raised again, for the debugger or the test to see
        (``PROPAGATE_EXCEPTIONS``). A handler for 500 gets an :class:`InternalServerError` with
        the error as its ``original_exception``.

        A :exc:`RecursionError` of a request with JSON that is nested deeply is the client's error, 400; so is a
        :exc:`UnicodeEncodeError` of one with half of a surrogate pair.

        :param e: the error.
        """
        if isinstance(e, RecursionError | UnicodeEncodeError):
            refusal = refusal_of(e, find_request_context().request)
            if refusal is not None:
                self._log_refusal(e, refusal)
                try:
                    return self.finalize_request(
                        self.handle_http_exception(refusal), from_error_handler=True
                    )
                except Exception as raised:  # by the program's handler for 400
                    e = raised
        got_request_exception.send(self, _async_wrapper=self.ensure_sync, exception=e)
        chosen = self.config["PROPAGATE_EXCEPTIONS"]
        propagates = self.testing or self.debug if chosen is None else chosen
        if propagates:
            raise e
        self.log_exception((type(e), e, t.cast("TracebackType", e.__traceback__)))
        failure = InternalServerError(original_exception=e)
        handler = self._find_error_handler(failure, find_request_context().blueprint_names())
        page = failure if handler is None else self.ensure_sync(handler)(failure)
        return self.finalize_request(page, from_error_handler=True)

    def log_exception(
        self,
        exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        """Log an error that nothing has handled, its traceback from the program's first frame on.

        :param exc_info: the error, as :func:`sys.exc_info` returns it.
        """
        request = find_request_context().request
        shown = exc_info if exc_info[1] is None else shown_error(exc_info[1])
        path, method = printable(request.path), printable(request.method)
        self.logger.error("Exception on %s [%s]", path, method, exc_info=shown)

    def _log_refusal(self, error: Exception, refusal: BadRequest) -> None:
        # With the place, in case it was the program all the same; without the traceback, which may have 1,000 lines.
        request = find_request_context().request
        place = shown_error(error)[2]
        self.logger.warning(
            "%s [%s] is answered with 400 after an error in %s, line %s: %s",
            printable(request.path),
            printable(request.method),
            place.tb_frame.f_code.co_filename,
            place.tb_lineno,
            refusal.description,
        )

    # ---- the end of a request ------------------------------------------------------------

    def do_teardown_request(self, exc: BaseException | None = _unset) -> None:
        """Call the teardown functions of the current request, whatever became of it.

        Those of the blueprints, innermost first, then those of the application; each group in
        reverse order of registration. What they return is ignored. Where one raises, the others are
        called all the same; then the first error is raised, and further ones are logged.

        :param exc: the error that ended the request; by default the one being handled.
        """
        if exc is _unset:
            exc = sys.exc_info()[1]
        failures: list[BaseException] = []
        hooks = self.teardown_request_funcs
        if hooks:
            for name in find_request_context().scopes()[1]:
                for hook in reversed(hooks.get(name, ())):
                    try:
                        self.ensure_sync(hook)(exc)
                    except BaseException as failure:
                        failures.append(failure)
        if request_tearing_down.receivers:
            send_to_all(self, request_tearing_down, failures, exc=exc)
        if failures:
            raise_failures(self, failures)

    def do_teardown_appcontext(self, exc: BaseException | None = _unset) -> None:
        """Call the teardown functions of the application context, last registered first.

        Where one raises, the others are called all the same; then the first error is raised, and further
        ones are logged.

        :param exc: the error that ended the work; by default the one being handled.
        """
        if exc is _unset:
            exc = sys.exc_info()[1]
        failures: list[BaseException] = []
        for hook in reversed(self.teardown_appcontext_funcs):
            try:
                self.ensure_sync(hook)(exc)
            except BaseException as failure:
                failures.append(failure)
        if appcontext_tearing_down.receivers:
            send_to_all(self, appcontext_tearing_down, failures, exc=exc)
        if failures:
            raise_failures(self, failures)

    def _settle(self) -> None:
        """Follow those settings that tests see, too, which make a context before any request."""
        self._use_session_store()
        check_choice(self.config.get("PROBLEM_DETAILS"), "PROBLEM_DETAILS")
        for name, blueprint in self.blueprints.items():
            check_choice(blueprint.problem_details, f"problem_details of blueprint {name!r}")

    def _complete_registration(self) -> None:
        """Do what is left to be done before requests are answered."""
        self._settle()
        if not _PROTECTION.isdisjoint(self.config):
            # PERF: here, because it takes 1 ms to import what few applications need.
            from .protection import protect

            protect(self)

    def _report_failed_teardown(self, context: RequestContext, error: Exception) -> None:
        report(self, context, error)


#: Settings that take hooks.
_PROTECTION = frozenset({*HEADER_SETTINGS, "CSRF_PROTECTION"})

know_ours(Flask)

# Tools that ask for the name of an application's call are told this one.
answer_request.__module__, answer_request.__name__ = __name__, "__call__"
answer_request.__qualname__ = "Flask.__call__"
