"""The part of an application that registers and configures, without requests and servers."""

from __future__ import annotations

import os
import sys
import typing as t
from datetime import timedelta
from functools import cache
from threading import RLock

from werkzeug.exceptions import Aborter, BadRequest, BadRequestKeyError, HTTPException
from werkzeug.routing import BuildError
from werkzeug.utils import cached_property, redirect as _redirect

from .. import typing as ft
from ..concurrency import nonblocking
from ..config import Config, ConfigAttribute
from ..ctx import _AppCtxGlobals
from ..helpers import get_debug_flag
from ..http.headers import is_plain_location, without_controls
from ..json.provider import DefaultJSONProvider, JSONProvider
from ..lazy import late_class, late_names
from ..logging import create_logger
from ..routing.build import Rule
from ..routing.map import Map
from ..tables import HookList
from ..wrappers import Response, split_blueprint_path, text_response
from .scaffold import (
    Scaffold,
    T_teardown,
    _endpoint_from_view_func,
    check_view,
    find_package,
    notice_bare_decorator,
    notice_uncallable,
    registering,
    setupmethod,
)

if t.TYPE_CHECKING:
    import logging

    from werkzeug.wrappers import Response as BaseResponse

    from ..sessions import SessionInterface
    from ..templating import DispatchingJinjaLoader, Environment
    from ..testing import FlaskClient, FlaskCliRunner
    from .blueprints import Blueprint

# What takes long to import, and is not always needed.
__getattr__, __dir__ = late_names(
    __name__, DispatchingJinjaLoader="kolben.templating", Environment="kolben.templating"
)

T_shell_context_processor = t.TypeVar(
    "T_shell_context_processor", bound=ft.ShellContextProcessorCallable
)
T_template_filter = t.TypeVar("T_template_filter", bound=ft.TemplateFilterCallable)
T_template_global = t.TypeVar("T_template_global", bound=ft.TemplateGlobalCallable)
T_template_test = t.TypeVar("T_template_test", bound=ft.TemplateTestCallable)

_T_named = t.TypeVar("_T_named", bound=t.Callable[..., t.Any])


_making_environment = RLock()


def _make_timedelta(value: timedelta | int | None) -> timedelta | None:
    """Read a duration that may be given in seconds."""
    match value:
        case None | timedelta():
            return value
        case seconds:
            return timedelta(seconds=seconds)


class App(Scaffold):
    """The application object, as far as it knows no request: what it is made of and told.

    :class:`~kolben.Flask` adds how requests are answered.

    :param import_name: name of the application's package, usually ``__name__``: templates,
        static files and other resources are found beside it.
    :param static_url_path: URL prefix of the static files; by default the folder's name.
    :param static_folder: folder of static files, relative to ``root_path``; None for none.
    :param static_host: the host of the static files' route; needed with ``host_matching``.
    :param host_matching: whether URL rules are matched by host.
    :param subdomain_matching: whether URL rules are matched by subdomain of ``SERVER_NAME``.
    :param template_folder: folder of templates, relative to ``root_path``; None for none.
    :param instance_path: absolute path of the instance folder; by default found by
        :meth:`auto_find_instance_path`.
    :param instance_relative_config: whether file names given to ``config`` are relative to the
        instance folder, rather than to ``root_path``.
    :param root_path: the folder that relative paths start from; by default that of the package.
    """

    # What an application is made of; a subclass that wants another class names it here.

    #: The class of :attr:`config`.
    config_class = Config
    #: The settings that :attr:`config` starts with; the concrete class has them.
    default_config: dict[str, t.Any]
    #: The class of :attr:`url_map`.
    url_map_class = Map
    #: The class of URL rules.
    url_rule_class = Rule
    #: The class of responses.
    response_class: type[Response]
    #: The class of :data:`kolben.g`.
    app_ctx_globals_class = _AppCtxGlobals
    #: Opens and saves sessions.
    session_interface: SessionInterface
    #: The class of :attr:`json`.
    json_provider_class: type[JSONProvider] = DefaultJSONProvider
    #: Makes the object behind :func:`kolben.abort`.
    aborter_class = Aborter
    #: The Jinja environment.
    jinja_environment: type[Environment] = t.cast(
        "t.Any", late_class("kolben.templating", "Environment")
    )
    #: Options for the Jinja environment; changes count until :attr:`jinja_env` is first used.
    jinja_options: dict[str, t.Any] = {}
    #: The class of command line runners; None means :class:`kolben.testing.FlaskCliRunner`.
    test_cli_runner_class: type[FlaskCliRunner] | None = None
    #: The class of test clients; None means :class:`kolben.testing.FlaskClient`.
    test_client_class: type[FlaskClient] | None = None

    # Settings that are attributes, too.

    #: Whether the application is being tested: errors propagate, extensions behave. ``TESTING``.
    testing = ConfigAttribute[bool]("TESTING")
    #: The key that signs the session cookie. ``SECRET_KEY``.
    secret_key = ConfigAttribute[str | bytes | None]("SECRET_KEY")
    #: How long a permanent session lasts; may be set in seconds. ``PERMANENT_SESSION_LIFETIME``.
    permanent_session_lifetime = ConfigAttribute[timedelta](
        "PERMANENT_SESSION_LIFETIME",
        get_converter=_make_timedelta,  # type: ignore[arg-type]
    )

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
        super().__init__(
            import_name=import_name,
            static_folder=static_folder,
            static_url_path=static_url_path,
            template_folder=template_folder,
            root_path=root_path,
        )
        #: Absolute path of the instance folder: files of this installation, not of the code.
        self.instance_path = self._instance_folder(instance_path)
        #: The settings.
        self.config = self.make_config(instance_relative_config)
        #: Turns data to JSON and back, for views, requests and responses.
        self.json: JSONProvider = self.json_provider_class(self)
        #: All URL rules.
        self.url_map = self.url_map_class(host_matching=host_matching)
        #: Whether URL rules are matched by subdomain.
        self.subdomain_matching = subdomain_matching
        #: Called by :func:`kolben.abort`.
        self.aborter = self.make_aborter()
        self._make_registries()

    def _instance_folder(self, given: str | None) -> str:
        if given is None:
            return self.auto_find_instance_path()
        if os.path.isabs(given):
            return given
        raise ValueError(f"'instance_path' must be absolute; {given!r} is relative.")

    def _make_registries(self) -> None:
        #: Functions asked, by :meth:`handle_url_build_error`, for a URL that could not be built.
        self.url_build_error_handlers: list[
            t.Callable[[Exception, str, dict[str, t.Any]], str | None]
        ] = []
        #: Functions called when an application context ends.
        self.teardown_appcontext_funcs: list[ft.TeardownCallable] = HookList()
        #: Functions that add names to the namespace of the ``shell`` command.
        self.shell_context_processors: list[ft.ShellContextProcessorCallable] = []
        #: Blueprints by the name they are registered under, dotted where nested.
        self.blueprints: dict[str, Blueprint] = {}
        #: The blueprints that own their prefixes, with name, prefix and subdomain of each registration.
        self.prefix_owners: list[tuple[Blueprint, str, str | None, str | None]] = []
        #: Whatever extensions keep with the application, by the extension's name.
        self.extensions: dict[str, t.Any] = {}
        self._got_first_request = False

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_first_request:
            raise AssertionError(
                f"The setup method {f_name!r} was called on the application after its first"
                " request, so earlier requests went without its effect. Import and register"
                " everything that belongs to the application before it runs."
            )

    @cached_property
    def name(self) -> str:
        """Name of the application: the import name, or that of the file that was started."""
        if self.import_name != "__main__":
            return self.import_name
        file: str | None = getattr(sys.modules["__main__"], "__file__", None)
        if file is None:
            return "__main__"
        return os.path.splitext(os.path.basename(file))[0]

    @cached_property
    def logger(self) -> logging.Logger:
        """A standard logger, named as the application.

        In debug mode, where no level is set, it logs from DEBUG on. Where nothing handles its
        records, it writes them to the error stream.
        """
        return create_logger(self)

    @property
    def debug(self) -> bool:
        """Whether debug mode is on, the setting ``DEBUG``. Never turn it on in production.

        Set it with ``flask run --debug`` or ``FLASK_DEBUG``: set late, it may come too late
        for what was already configured.
        """
        mode: bool = self.config["DEBUG"]
        return mode

    @debug.setter
    def debug(self, value: bool) -> None:
        config = self.config
        config["DEBUG"] = value
        if config["TEMPLATES_AUTO_RELOAD"] is None:  # then it is as the debug mode
            self.jinja_env.auto_reload = value

    # What the application is made of: overridden to make something else

    def make_config(self, instance_relative: bool = False) -> Config:
        """Make :attr:`config`, filled with :attr:`default_config` and ``FLASK_DEBUG``.

        :param instance_relative: whether file names are relative to the instance folder.
        """
        root = self.instance_path if instance_relative else self.root_path
        return self.config_class(root, {**self.default_config, "DEBUG": get_debug_flag()})

    def make_aborter(self) -> Aborter:
        """Make :attr:`aborter`, which :func:`kolben.abort` calls; override to add codes."""
        return self.aborter_class()

    def auto_find_instance_path(self) -> str:
        """Find the instance folder: ``instance`` beside the package or module.

        For an installed package it is ``var/<name>-instance`` under the installation's prefix.
        """
        prefix, folder = find_package(self.import_name)
        if prefix is None:
            return os.path.join(folder, "instance")
        return os.path.join(prefix, "var", f"{self.name}-instance")

    # Templates

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        """Tell whether a template is escaped: HTML, XML and SVG are, by the name's ending.

        :param filename: name of the template; None for one from a string, which is escaped.
        """
        return filename is None or filename.endswith(_ESCAPED)

    def create_global_jinja_loader(self) -> DispatchingJinjaLoader:
        """Make the loader that asks the application, then its blueprints; rarely overridden.

        To change where one object's templates are, override ``jinja_loader`` instead.
        """
        from ..templating import DispatchingJinjaLoader

        return DispatchingJinjaLoader(self)

    @cached_property
    def jinja_env(self) -> Environment:
        """The Jinja environment, made by :meth:`create_jinja_environment` at the first use."""
        # Once, also where the first uses are in several threads: what one adds to it, all have.
        with _making_environment:
            made: Environment | None = self.__dict__.get("jinja_env")
            if made is None:
                made = self.__dict__["jinja_env"] = self.create_jinja_environment()
            return made

    def create_jinja_environment(self) -> Environment:
        """Make the Jinja environment; the concrete application class says how."""
        raise NotImplementedError

    # Registration

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: t.Any) -> None:
        """Register a blueprint, which registers all that was recorded on it.

        :param blueprint: the blueprint.
        :param options: ``name``, ``url_prefix``, ``subdomain``, ``url_defaults`` and
            ``cli_group`` prevail over the blueprint's own; all reach the set-up state.
        :raises ValueError: if the name is taken.
        """
        check_blueprint(blueprint)
        blueprint.register(self, options)

    def iter_blueprints(self) -> t.ValuesView[Blueprint]:
        """Return the registered blueprints, in the order of registration."""
        return self.blueprints.values()

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: t.Any,
    ) -> None:
        """Register a URL rule, and with it a view function for its endpoint.

        The view function may carry attributes: ``methods`` and ``provide_automatic_options``,
        used where the arguments are missing, and ``required_methods``, which are always added.

        :param rule: the URL rule, such as ``/user/<name>``.
        :param endpoint: name for the rule in ``url_for``; by default the function's name.
        :param view_func: the view; None if it is, or will be, registered for the endpoint.
        :param provide_automatic_options: whether OPTIONS requests are answered for the view;
            by default they are (``PROVIDE_AUTOMATIC_OPTIONS``), unless it takes OPTIONS itself.
        :param options: ``methods`` (list of HTTP methods, by default GET), ``blocking`` (False marks the
            view as :func:`kolben.nonblocking` does), and whatever :class:`werkzeug.routing.Rule`
            takes, such as ``defaults`` or ``strict_slashes``.
        :raises AssertionError: if the endpoint has another view function already.
        """
        may_block = options.pop("blocking", True)
        if view_func is not None:
            check_view(view_func)
            if not may_block:
                nonblocking(view_func)
        if endpoint is None:
            endpoint = _endpoint_from_view_func(view_func)
        methods = _route_methods(options.pop("methods", None), view_func)
        automatic = provide_automatic_options
        if automatic is None:
            automatic = getattr(view_func, "provide_automatic_options", None)
        if automatic is None:
            automatic = "OPTIONS" not in methods and self.config["PROVIDE_AUTOMATIC_OPTIONS"]
            if automatic:
                methods.add("OPTIONS")
        methods.update(getattr(view_func, "required_methods", ()))

        url_rule = self.url_rule_class(rule, endpoint=endpoint, methods=methods, **options)
        url_rule.provide_automatic_options = automatic  # type: ignore[attr-defined]
        self.url_map.add(url_rule)
        if view_func is not None:
            self._set_view(endpoint, view_func)

    def _set_view(self, endpoint: str, view_func: ft.RouteCallable) -> None:
        present = self.view_functions.get(endpoint)
        if present is not None and present != view_func:
            raise AssertionError(
                f"The endpoint {endpoint!r} is taken: overwriting its view {_where(present)} with"
                f" {_where(view_func)} would lose it. Give the function another name, or the"
                " route another endpoint=...; if a decorator returned both, wrap its function"
                " with functools.wraps."
            )
        self.view_functions[endpoint] = view_func

    @setupmethod
    def template_filter(
        self, name: str | None = None
    ) -> t.Callable[[T_template_filter], T_template_filter]:
        """Decorate a function to make it a template filter.

        :param name: name in templates; by default the function's name.
        """
        return naming_decorator("template_filter", self.add_template_filter, name)

    @setupmethod
    def add_template_filter(self, f: ft.TemplateFilterCallable, name: str | None = None) -> None:
        """Make a function a template filter.

        :param f: called with the value, then the arguments that the template gives.
        :param name: name in templates; by default the function's name.
        """
        self.jinja_env.filters[name or f.__name__] = f

    @setupmethod
    def template_test(
        self, name: str | None = None
    ) -> t.Callable[[T_template_test], T_template_test]:
        """Decorate a function to make it a template test.

        :param name: name in templates; by default the function's name.
        """
        return naming_decorator("template_test", self.add_template_test, name)

    @setupmethod
    def add_template_test(self, f: ft.TemplateTestCallable, name: str | None = None) -> None:
        """Make a function a template test, as in ``{% if n is prime %}``.

        :param f: called with the value, then the arguments that the template gives.
        :param name: name in templates; by default the function's name.
        """
        self.jinja_env.tests[name or f.__name__] = f

    @setupmethod
    def template_global(
        self, name: str | None = None
    ) -> t.Callable[[T_template_global], T_template_global]:
        """Decorate a function to make it callable in all templates.

        :param name: name in templates; by default the function's name.
        """
        return naming_decorator("template_global", self.add_template_global, name)

    @setupmethod
    def add_template_global(self, f: ft.TemplateGlobalCallable, name: str | None = None) -> None:
        """Make a function callable in all templates.

        :param f: the function.
        :param name: name in templates; by default the function's name.
        """
        self.jinja_env.globals[name or f.__name__] = f

    @setupmethod
    def teardown_appcontext(self, f: T_teardown) -> T_teardown:
        """Call ``f(exception or None)`` when an application context ends, whatever happened.

        That is after each request and each command. What it returns is ignored.
        """
        notice_uncallable("teardown_appcontext", f)
        self.teardown_appcontext_funcs.append(f)
        return f

    @setupmethod
    def shell_context_processor(self, f: T_shell_context_processor) -> T_shell_context_processor:
        """Call ``f()`` when a shell starts; it returns a dict of names for its namespace."""
        notice_uncallable("shell_context_processor", f)
        self.shell_context_processors.append(f)
        return f

    # What requests ask

    def _find_error_handler(
        self, e: Exception, blueprints: list[str]
    ) -> ft.ErrorHandlerCallable | None:
        """Return the handler for an exception, or None.

        A handler for the HTTP code goes before one for a class without a code; a blueprint's
        before an outer blueprint's, and those before the application's; an exact class before
        its parents.

        :param e: the exception.
        :param blueprints: names of the blueprints that handle the request, innermost first.
        """
        spec = self.error_handler_spec
        if not spec:
            return None
        exc_class = type(e)
        code = exc_class.code if issubclass(exc_class, HTTPException) else None
        scopes: tuple[str | None, ...] = (*blueprints, None)
        for wanted_code in (None,) if code is None else (code, None):
            for scope in scopes:
                # get() does not create the entries that are missing, so that the tables stay as
                # small as what was registered.
                handlers = spec.get(scope, _NOTHING).get(wanted_code)
                if handlers:
                    for cls in exc_class.__mro__:
                        handler = handlers.get(cls)
                        if handler is not None:
                            return handler
        return None

    def trap_http_exception(self, e: Exception) -> bool:
        """Tell whether an HTTP exception is treated as any other, not as a response.

        ``TRAP_HTTP_EXCEPTIONS`` traps all. ``TRAP_BAD_REQUEST_ERRORS`` traps bad requests; if
        it is None, debug mode traps the missing key of a form or query.

        :param e: the exception.
        """
        config = self.config
        if config["TRAP_HTTP_EXCEPTIONS"]:
            return True
        if not isinstance(e, BadRequest):
            return False
        chosen = config["TRAP_BAD_REQUEST_ERRORS"]
        return bool(isinstance(e, BadRequestKeyError) and self.debug if chosen is None else chosen)

    def should_ignore_error(self, error: BaseException | None) -> bool:
        """Tell whether teardown functions should not hear of an error; override to decide.

        :param error: the error that ended the request, or None.
        """
        return False

    def redirect(self, location: str, code: int = 302) -> BaseResponse:
        """Make a response that redirects; :func:`kolben.redirect` calls this.

        :param location: the URL to go to.
        :param code: HTTP status code, 3xx.
        """
        if code not in _REDIRECTS or not is_plain_location(location):
            return _redirect(without_controls(location), code=code, Response=self.response_class)
        # PERF: for a URL that needs no escaping the page is known but for two places (1.4 µs,
        # where Werkzeug's takes 4.0 µs).
        before, between, after = _redirect_page()
        page = f"{before}{location}{between}{location}{after}"
        is_ours = self.response_class is Response and Response.has_short_ways
        if is_ours and Response.default_mimetype == "text/html":
            return text_response(page, code, location)
        response = self.response_class(page, code, mimetype="text/html")
        response.headers["Location"] = location
        return response

    def inject_url_defaults(self, endpoint: str, values: dict[str, t.Any]) -> None:
        """Let the ``url_defaults`` functions add to the variables of a URL that is built.

        The application's come first, then those of the endpoint's blueprints, outermost first.

        :param endpoint: the endpoint.
        :param values: the variables, changed in place.
        """
        table = self.url_default_functions
        # PERF: most applications have none, and url_for is called many times a page.
        if not table:
            return
        for f in table.get(None, ()):
            f(endpoint, values)
        blueprint = endpoint.rpartition(".")[0]
        if blueprint:
            for name in reversed(split_blueprint_path(blueprint)):
                for f in table.get(name, ()):
                    f(endpoint, values)

    def handle_url_build_error(
        self, error: BuildError, endpoint: str, values: dict[str, t.Any]
    ) -> str:
        """Ask :attr:`url_build_error_handlers` for a URL that could not be built.

        :param error: why it could not.
        :param endpoint: the endpoint that was asked for.
        :param values: the variables that were given.
        :return: the first answer that is not None.
        :raises BuildError: ``error``, or the last that a handler raised.
        """
        for handler in self.url_build_error_handlers:
            try:
                url = handler(error, endpoint, values)
            except BuildError as raised:
                error = raised
            else:
                if url is not None:
                    return url
        raise error


# The endings of templates whose variables are escaped.
_ESCAPED = (".htm", ".html", ".svg", ".xhtml", ".xml")
_REDIRECTS = frozenset({301, 302, 303, 305, 307, 308})


@cache
def _redirect_page() -> tuple[str, str, str]:
    """Split Werkzeug's page for a redirect where it names the URL."""
    before, between, after = _redirect("/URL").get_data(as_text=True).split("/URL")
    return before, between, after


_NOTHING: dict[int | None, dict[type[Exception], ft.ErrorHandlerCallable]] = {}


def check_blueprint(blueprint: object) -> None:
    """Refuse a module or a class where a blueprint is meant; anything that registers will do."""
    if isinstance(blueprint, type) or not hasattr(blueprint, "register"):
        raise TypeError(f"register_blueprint() needs a Blueprint object, not {blueprint!r}.")


def _route_methods(methods: t.Any, view_func: ft.RouteCallable | None) -> set[str]:
    """Return the HTTP methods of a route, in upper case, from the argument or from the view."""
    if methods is None:
        methods = getattr(view_func, "methods", None) or ("GET",)
    if isinstance(methods, str):
        raise TypeError(f"'methods' must be a list of names: write methods=[{methods!r}].")
    try:
        return {method.upper() for method in methods}
    except (AttributeError, TypeError):
        raise TypeError(f"'methods' must be a list of names, not {methods!r}.") from None


def _where(view_func: t.Any) -> str:
    """Name a view, and the line it is defined in where that is known."""
    name = getattr(view_func, "__qualname__", None) or repr(view_func)
    code = getattr(view_func, "__code__", None)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"


def naming_decorator(
    where: str, register: t.Callable[[t.Any, str | None], None], name: str | None
) -> t.Callable[[_T_named], _T_named]:
    """Make a decorator that registers a function under a name and returns it unchanged."""
    notice_bare_decorator(where, name, f"with parentheses, {where}()")
    return registering(lambda f: register(f, name))
