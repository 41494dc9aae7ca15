"""What an application and a blueprint share: routes, hooks and error handlers, by registration."""

from __future__ import annotations

import importlib.util
import os
import sys
import typing as t
import warnings
from collections import defaultdict
from functools import update_wrapper
from operator import setitem

from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.utils import cached_property

from .. import typing as ft
from ..helpers import get_root_path
from ..lazy import late_names
from ..tables import HookList, HookTable, Table
from ..templating import _default_template_ctx_processor
from ..websockets import WebSocketView

if t.TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from click import Group
    from jinja2 import BaseLoader

# What takes long to import, and is not always needed.
__getattr__, __dir__ = late_names(__name__, BaseLoader="jinja2", FileSystemLoader="jinja2")

F = t.TypeVar("F", bound=t.Callable[..., t.Any])
T_after_request = t.TypeVar("T_after_request", bound=ft.AfterRequestCallable[t.Any])
T_before_request = t.TypeVar("T_before_request", bound=ft.BeforeRequestCallable)
T_error_handler = t.TypeVar("T_error_handler", bound=ft.ErrorHandlerCallable)
T_teardown = t.TypeVar("T_teardown", bound=ft.TeardownCallable)
T_template_context_processor = t.TypeVar(
    "T_template_context_processor", bound=ft.TemplateContextProcessorCallable
)
T_url_defaults = t.TypeVar("T_url_defaults", bound=ft.URLDefaultCallable)
T_url_value_preprocessor = t.TypeVar(
    "T_url_value_preprocessor", bound=ft.URLValuePreprocessorCallable
)
T_route = t.TypeVar("T_route", bound=ft.RouteCallable)
T_websocket = t.TypeVar("T_websocket", bound=t.Callable[..., t.Awaitable[t.Any]])

_T_hook = t.TypeVar("_T_hook")

#: Error handlers: scope (blueprint name, or None for the application) -> HTTP code (or None for
#: exceptions without one) -> exception class -> handler.
_ErrorHandlerSpec = dict[
    ft.AppOrBlueprintKey,
    dict[int | None, dict[type[Exception], ft.ErrorHandlerCallable]],
]


def setupmethod(f: F) -> F:
    """Mark a method that registers something: it may run only before the set-up has ended."""
    name = f.__name__

    def during_setup(self: Scaffold, *args: t.Any, **kwargs: t.Any) -> t.Any:
        self._check_setup_finished(name)
        return f(self, *args, **kwargs)

    return t.cast("F", update_wrapper(during_setup, f))


def registering(register: t.Callable[[t.Any], object]) -> t.Callable[[_T_hook], _T_hook]:
    """Make a decorator that registers a function and gives it back unchanged.

    :param register: called with the function.
    """

    def decorate(f: _T_hook) -> _T_hook:
        register(f)
        return f

    return decorate


class Scaffold:
    """Common base of :class:`~kolben.Flask` and :class:`~kolben.Blueprint`.

    The tables of hooks (``before_request_funcs`` and its like) are keyed by scope: the name of a
    blueprint, or None for everything. They are live: what is added to a list or taken from it
    counts from the next request on.

    :param import_name: name of the module the object belongs to, usually ``__name__``.
    :param static_folder: folder of static files, relative to ``root_path``; None for none.
    :param static_url_path: URL prefix of the static files; by default the folder's name.
    :param template_folder: folder of templates, relative to ``root_path``; None for none.
    :param root_path: the folder that relative paths start from; by default that of the module.
    """

    #: The name; each subclass decides where it comes from.
    name: str
    #: The commands registered on this object.
    cli: Group
    _static_folder: str | None = None
    _static_url_path: str | None = None

    def __init__(
        self,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        root_path: str | None = None,
    ) -> None:
        #: Name of the module the object belongs to.
        self.import_name = import_name
        #: Absolute path that relative paths start from.
        self.root_path = get_root_path(import_name) if root_path is None else root_path
        #: Folder of templates, relative to :attr:`root_path`, or None.
        self.template_folder = template_folder
        self.static_folder = static_folder
        self.static_url_path = static_url_path
        self._make_tables()

    def _make_tables(self) -> None:
        #: View functions by endpoint.
        self.view_functions: dict[str, ft.RouteCallable] = Table()
        #: Error handlers: scope -> HTTP code or None -> exception class -> handler.
        self.error_handler_spec: _ErrorHandlerSpec = defaultdict(lambda: defaultdict(dict))
        #: Functions called before each request, by scope.
        self.before_request_funcs: dict[ft.AppOrBlueprintKey, list[ft.BeforeRequestCallable]] = (
            HookTable()
        )
        #: Functions called with each response, by scope.
        self.after_request_funcs: dict[
            ft.AppOrBlueprintKey, list[ft.AfterRequestCallable[t.Any]]
        ] = HookTable()
        #: Functions called at the end of each request, by scope.
        self.teardown_request_funcs: dict[ft.AppOrBlueprintKey, list[ft.TeardownCallable]] = (
            HookTable()
        )
        #: The same for WebSockets, each by scope.
        self.before_websocket_funcs: dict[ft.AppOrBlueprintKey, list[t.Any]] = {}
        self.after_websocket_funcs: dict[ft.AppOrBlueprintKey, list[t.Any]] = {}
        self.teardown_websocket_funcs: dict[ft.AppOrBlueprintKey, list[t.Any]] = {}
        #: Functions that add variables to the context of templates, by scope.
        self.template_context_processors: dict[
            ft.AppOrBlueprintKey, list[ft.TemplateContextProcessorCallable]
        ] = defaultdict(list, {None: [_default_template_ctx_processor]})
        #: Functions that see the variables of the URL before the view, by scope.
        self.url_value_preprocessors: dict[
            ft.AppOrBlueprintKey, list[ft.URLValuePreprocessorCallable]
        ] = HookTable()
        #: Functions that add variables to URLs that are built, by scope.
        self.url_default_functions: dict[ft.AppOrBlueprintKey, list[ft.URLDefaultCallable]] = (
            defaultdict(list)
        )

    def _check_setup_finished(self, f_name: str) -> None:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    # Files

    @property
    def static_folder(self) -> str | None:
        """Absolute path of the folder of static files, or None."""
        if self._static_folder is None:
            return None
        return os.path.join(self.root_path, self._static_folder)

    @static_folder.setter
    def static_folder(self, value: str | os.PathLike[str] | None) -> None:
        self._static_folder = None if value is None else os.fspath(value).rstrip("/\\")

    @property
    def has_static_folder(self) -> bool:
        """Whether a folder of static files is set (not whether it exists)."""
        return self.static_folder is not None

    @property
    def static_url_path(self) -> str | None:
        """URL prefix of the static files; where none was set, the name of their folder."""
        path, folder = self._static_url_path, self.static_folder
        if path is None and folder is not None:
            path = f"/{os.path.basename(folder)}".rstrip("/")
        return path

    @static_url_path.setter
    def static_url_path(self, value: str | None) -> None:
        self._static_url_path = None if value is None else value.rstrip("/")

    @cached_property
    def jinja_loader(self) -> BaseLoader | None:
        """The loader of the templates of this object alone; None without a template folder."""
        if self.template_folder is None:
            return None
        from jinja2 import FileSystemLoader

        return FileSystemLoader(os.path.join(self.root_path, self.template_folder))

    # Routes

    @setupmethod
    def route(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """Decorate a view function to register it for a URL rule.

        .. code-block:: python

            @app.route("/user/<name>", methods=["GET", "POST"])
            def user(name):
                return f"Hello, {name}!"

        :param rule: the URL rule, such as ``/user/<name>``.
        :param options: as for :meth:`add_url_rule`, ``endpoint`` and ``methods`` among them.
        """
        notice_bare_decorator("route", rule, 'with a URL rule, such as route("/")')
        endpoint: str | None = options.pop("endpoint", None)

        # Through the instance, where extensions replace the method.
        return registering(lambda f: self.add_url_rule(rule, endpoint, f, **options))

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

        :param rule: the URL rule, such as ``/user/<name>``.
        :param endpoint: name for the rule in ``url_for``; by default the function's name.
        :param view_func: the view; None if it is, or will be, registered for the endpoint.
        :param provide_automatic_options: whether OPTIONS requests are answered for the view;
            by default they are, unless the view takes OPTIONS itself.
        :param options: ``methods`` (list of HTTP methods, by default GET), ``blocking`` (False marks the
            view as :func:`kolben.nonblocking` does), and whatever :class:`werkzeug.routing.Rule`
            takes, such as ``defaults`` or ``strict_slashes``.
        """
        raise NotImplementedError

    @setupmethod
    def delete(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """Decorate the view of DELETE requests: :meth:`route` with ``methods=["DELETE"]``.

        :param rule: the URL rule, such as ``/items/<int:id>``.
        """
        return self._method_route("DELETE", rule, options)

    @setupmethod
    def get(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """Decorate the view of GET requests: :meth:`route` with ``methods=["GET"]``.

        :param rule: the URL rule, such as ``/items/<int:id>``.
        """
        return self._method_route("GET", rule, options)

    @setupmethod
    def patch(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """Decorate the view of PATCH requests: :meth:`route` with ``methods=["PATCH"]``.

        :param rule: the URL rule, such as ``/items/<int:id>``.
        """
        return self._method_route("PATCH", rule, options)

    @setupmethod
    def post(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """Decorate the view of POST requests: :meth:`route` with ``methods=["POST"]``.

        :param rule: the URL rule, such as ``/items/<int:id>``.
        """
        return self._method_route("POST", rule, options)

    @setupmethod
    def put(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """Decorate the view of PUT requests: :meth:`route` with ``methods=["PUT"]``.

        :param rule: the URL rule, such as ``/items/<int:id>``.
        """
        return self._method_route("PUT", rule, options)

    def _method_route(
        self, method: str, rule: str, options: dict[str, t.Any]
    ) -> t.Callable[[T_route], T_route]:
        # Extensions override this one method in place of the five (APIFlask does).
        if "methods" not in options:
            return self.route(rule, **options, methods=[method])
        raise TypeError(f"{method.lower()}() is for {method} alone; use route() to give 'methods'.")

    @setupmethod
    def endpoint(self, endpoint: str) -> t.Callable[[F], F]:
        """Decorate a view function for an endpoint whose rules are added separately.

        :param endpoint: the full endpoint; on a blueprint too, it gets no prefix.
        """
        return registering(lambda f: setitem(self.view_functions, endpoint, f))

    @setupmethod
    def websocket(self, rule: str, **options: t.Any) -> t.Callable[[T_websocket], T_websocket]:
        """Decorate an ``async def`` function to handle the WebSockets of a URL rule.

        .. code-block:: python

            @app.websocket("/echo")
            async def echo():
                async for message in websocket:
                    await websocket.send(message)

        When the function returns, the WebSocket is closed. WebSockets need an ASGI server.

        :param rule: the URL rule, such as ``/chat/<room>``.
        :param options: as for :meth:`add_websocket`.
        """
        hint = 'with a URL rule, such as websocket("/chat")'
        notice_bare_decorator("websocket", rule, hint)
        endpoint: str | None = options.pop("endpoint", None)
        return registering(lambda f: self.add_websocket(rule, endpoint, f, **options))

    @setupmethod
    def add_websocket(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: t.Callable[..., t.Awaitable[t.Any]] | None = None,
        *,
        origins: t.Iterable[str] | None = None,
        **options: t.Any,
    ) -> None:
        """Register a URL rule for WebSockets, and with it their handler.

        :param rule: the URL rule, such as ``/chat/<room>``.
        :param endpoint: name for the rule in ``url_for``; by default the function's name.
        :param view_func: the handler, an ``async def`` function.
        :param origins: origins from which browsers may connect, beside the site's own, such as
            ``https://example.com``, or ``*`` for any; by default ``WEBSOCKET_ORIGINS``.
        :param options: whatever :class:`werkzeug.routing.Rule` takes.
        :raises TypeError: if the handler is not an ``async def`` function.
        """
        view = None if view_func is None else WebSocketView(view_func, origins)
        self.add_url_rule(
            rule, endpoint, view, websocket=True, provide_automatic_options=False, **options
        )

    # Hooks

    @setupmethod
    def before_websocket(self, f: F) -> F:
        """Call ``f()`` before each WebSocket's handler; what it returns, unless None, refuses it.

        The answer is then a response, such as ``("Log in first.", 401)``.
        """
        return _hook("before_websocket", self.before_websocket_funcs, f)

    @setupmethod
    def after_websocket(self, f: F) -> F:
        """Call ``f(response)`` when a handler has returned; it returns the response to go on with.

        The response is None, except where the WebSocket was refused with one.
        """
        return _hook("after_websocket", self.after_websocket_funcs, f)

    @setupmethod
    def teardown_websocket(self, f: F) -> F:
        """Call ``f(exception or None)`` at the end of each WebSocket, whatever happened."""
        return _hook("teardown_websocket", self.teardown_websocket_funcs, f)

    @setupmethod
    def before_request(self, f: T_before_request) -> T_before_request:
        """Call ``f()`` before each request; what it returns, unless None, is the response.

        On a blueprint, for the requests that the blueprint handles; likewise the other hooks.
        """
        return _hook("before_request", self.before_request_funcs, f)

    @setupmethod
    def after_request(self, f: T_after_request) -> T_after_request:
        """Call ``f(response)`` after each request; it returns the response to go on with.

        It is not called where an unhandled exception ended the request.
        """
        return _hook("after_request", self.after_request_funcs, f)

    @setupmethod
    def teardown_request(self, f: T_teardown) -> T_teardown:
        """Call ``f(exception or None)`` at the end of each request, whatever happened.

        What it returns is ignored. Where it raises, the other functions are called all the same.
        """
        return _hook("teardown_request", self.teardown_request_funcs, f)

    @setupmethod
    def context_processor(self, f: T_template_context_processor) -> T_template_context_processor:
        """Call ``f()`` before a template is rendered; it returns a dict of variables for it."""
        return _hook("context_processor", self.template_context_processors, f)

    @setupmethod
    def url_value_preprocessor(self, f: T_url_value_preprocessor) -> T_url_value_preprocessor:
        """Call ``f(endpoint, values)`` before the hooks of each request.

        It may change ``values``, the variables of the URL that the view will get.
        """
        return _hook("url_value_preprocessor", self.url_value_preprocessors, f)

    @setupmethod
    def url_defaults(self, f: T_url_defaults) -> T_url_defaults:
        """Call ``f(endpoint, values)`` when a URL is built; it may add to ``values``."""
        return _hook("url_defaults", self.url_default_functions, f)

    # Error handlers

    @setupmethod
    def errorhandler(
        self, code_or_exception: type[Exception] | int
    ) -> t.Callable[[T_error_handler], T_error_handler]:
        """Decorate a handler for an HTTP error code or a class of exceptions.

        .. code-block:: python

            @app.errorhandler(404)
            def page_not_found(e):
                return "This page does not exist", 404

        On a blueprint, for errors raised while it handles a request.

        :param code_or_exception: an HTTP error code, or a subclass of :class:`Exception`.
        """

        if not isinstance(code_or_exception, type):
            hint = "with a code or an exception, such as errorhandler(404)"
            notice_bare_decorator("errorhandler", code_or_exception, hint)
        return registering(lambda f: self.register_error_handler(code_or_exception, f))

    @setupmethod
    def register_error_handler(
        self, code_or_exception: type[Exception] | int, f: ft.ErrorHandlerCallable
    ) -> None:
        """Register an error handler, as :meth:`errorhandler` does, without a decorator.

        :param code_or_exception: an HTTP error code, or a subclass of :class:`Exception`.
        :param f: called with the exception; returns what a view may return.
        """
        exc_class, code = self._get_exc_class_and_code(code_or_exception)
        notice_uncallable("register_error_handler", f)
        self.error_handler_spec[None][code][exc_class] = f

    @staticmethod
    def _get_exc_class_and_code(
        exc_class_or_code: type[Exception] | int,
    ) -> tuple[type[Exception], int | None]:
        """Return the exception class that is meant, and its HTTP code if it has one."""
        exc_class = _exception_class(exc_class_or_code)
        if issubclass(exc_class, HTTPException):
            return exc_class, exc_class.code
        return exc_class, None


def _exception_class(wanted: t.Any) -> type[Exception]:
    if isinstance(wanted, type):
        if issubclass(wanted, Exception):
            return wanted
        raise ValueError(f"{wanted.__name__!r} is not a subclass of Exception. {_HANDLED}")
    if isinstance(wanted, BaseException):
        raise TypeError(f"{wanted!r} is an instance, not a class. {_HANDLED}")
    if not isinstance(wanted, int):
        raise TypeError(f"{wanted!r} is neither an exception class nor a number. {_HANDLED}")
    if wanted not in default_exceptions:
        raise ValueError(
            f"{int(wanted)} is not an HTTP error code that can be raised by number."
            " Use a subclass of HTTPException with that code instead."
        )
    return default_exceptions[wanted]


_HANDLED = "An error handler is registered for an exception class or an HTTP error code."


def _hook(where: str, table: dict[ft.AppOrBlueprintKey, list[t.Any]], f: _T_hook) -> _T_hook:
    """Add a function to the hooks of the object itself, and give it back to the decorator."""
    notice_uncallable(where, f)
    table.setdefault(None, HookList()).append(f)
    return f


def require_callable(where: str, f: object) -> None:
    """Refuse at registration what could only fail later."""
    if not callable(f):
        raise TypeError(_NO_FUNCTION.format(where, f))


_NO_FUNCTION = "{}() needs a function, not {!r}."


def notice_uncallable(where: str, f: object) -> None:
    """Say at registration what can only fail later, in the midst of a request; or never, on Flask."""
    if not callable(f):
        _warn(_NO_FUNCTION.format(where, f))


def notice_bare_decorator(name: str, argument: object, usage: str) -> None:
    """Notice ``@app.route`` without parentheses, which loses the function silently on Flask."""
    if callable(argument):
        _warn(f"Use @{name} {usage}: it was applied to {argument!r} itself, and registers nothing.")


def _warn(message: str) -> None:
    """Warn at the program's own line."""
    level, frame = 2, sys._getframe(1)
    # A program that is run as a script has None for its package.
    while frame.f_back is not None and str(frame.f_globals.get("__package__")).startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


_OURS = __name__.partition(".")[0]


def check_view(view_func: object) -> None:
    """Notice a view that cannot be called. A view class can: what is wrong with it is said then."""
    notice_uncallable("add_url_rule", view_func)


def _endpoint_from_view_func(view_func: ft.RouteCallable | None) -> str:
    """Return the endpoint of a view that was registered without one: the function's name."""
    if view_func is None:
        raise AssertionError("A URL rule needs an endpoint or a view function; it got neither.")
    try:
        return view_func.__name__
    except AttributeError:
        raise AttributeError(
            f"The view {view_func!r} has no __name__ to serve as its endpoint: pass endpoint=..."
        ) from None


def _find_spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # not importable; or __main__, or a half-made module
        return None


def _find_package_path(import_name: str) -> str:
    """Return the folder that holds the top-level module or package of ``import_name``."""
    spec = _find_spec(import_name.partition(".")[0])
    if spec is None:
        return os.getcwd()
    if spec.submodule_search_locations is None:
        return os.path.dirname(spec.origin or "")
    if spec.origin in (None, "namespace"):
        return os.path.dirname(_namespace_portion(import_name, spec))
    return os.path.dirname(os.path.dirname(spec.origin or ""))


def _is_below(path: str, folder: str) -> bool:
    # PERF: without pathlib, which nothing else imports: 3.5 ms of import time.
    path, folder = (os.path.normcase(os.path.normpath(name)) for name in (path, folder))
    return path == folder or path.startswith(os.path.join(folder, ""))


def _namespace_portion(import_name: str, namespace: ModuleSpec) -> str:
    """Return which of the folders of a namespace package holds a package.

    For a plain module it is the first one, as in Flask: instance folders stay where they are.
    """
    folders = list(namespace.submodule_search_locations or ())
    spec = _find_spec(import_name)
    for place in (spec and spec.submodule_search_locations) or ():
        for folder in folders:
            if _is_below(place, folder):
                return folder
    return folders[0]


def find_package(import_name: str) -> tuple[str | None, str]:
    """Find where a package is installed.

    :param import_name: dotted name of a module in the package.
    :return: the prefix under which it is installed (``sys.prefix``, or what holds a
        ``site-packages`` folder), None if it is not installed; and the folder it is in.
    """
    folder = _find_package_path(import_name)
    if _is_below(folder, sys.prefix):
        return sys.prefix, folder
    parent, name = os.path.split(folder)
    if name.lower() != "site-packages":
        return None, folder
    return _prefix_of_site_packages(parent), folder


def _prefix_of_site_packages(parent: str) -> str:
    """Return the installation prefix, from the folder that holds ``site-packages``."""
    above, name = os.path.split(parent)
    if name.lower() == "lib":  # Windows: prefix\Lib\site-packages
        return above
    if os.path.basename(above).lower() == "lib":  # elsewhere: prefix/lib/python3.x/site-packages
        return os.path.dirname(above)
    return parent
