"""Blueprints: parts of an application, recorded first and played back at registration."""

from __future__ import annotations

import typing as t
from functools import update_wrapper

from .. import typing as ft
from ..tables import HookList
from .app import (
    T_template_filter,
    T_template_global,
    T_template_test,
    check_blueprint,
    naming_decorator,
)
from .scaffold import (
    Scaffold,
    T_after_request,
    T_before_request,
    T_error_handler,
    T_teardown,
    T_template_context_processor,
    T_url_defaults,
    T_url_value_preprocessor,
    _endpoint_from_view_func,
    check_view,
    notice_uncallable,
    registering,
    setupmethod,
)

if t.TYPE_CHECKING:
    import os

    from .app import App

#: What a blueprint records: called with the set-up state at each registration.
DeferredSetupFunction = t.Callable[["BlueprintSetupState"], None]

_T_hook = t.TypeVar("_T_hook", bound=t.Callable[..., t.Any])

# Stands for "not given" where None has a meaning of its own.
_sentinel: t.Any = object()


def _append_path(prefix: str, path: str) -> str:
    """Join two parts of a URL with exactly one slash."""
    return f"{prefix.rstrip('/')}/{path.lstrip('/')}"


def _dotted(outer: str, inner: str) -> str:
    """Name what is inside of a blueprint; "" stands for the application."""
    return f"{outer}.{inner}" if outer else inner


def _nest(outer: str | None, inner: str | None, join: t.Callable[[str, str], str]) -> str | None:
    """Combine the value of a blueprint with that of the blueprint around it; None is no value."""
    if outer is None or inner is None:
        return outer if inner is None else inner
    return join(outer, inner)


class BlueprintSetupState:
    """One registration of a blueprint; what the functions recorded on it are called with.

    :param blueprint: the blueprint.
    :param app: the application it is being registered on.
    :param options: the options of the registration.
    :param first_registration: whether the blueprint is not yet registered on the application.
    """

    def __init__(
        self, blueprint: Blueprint, app: App, options: t.Any, first_registration: bool
    ) -> None:
        #: The application.
        self.app = app
        #: The blueprint.
        self.blueprint = blueprint
        #: All options given to ``register_blueprint``.
        self.options = options
        #: Whether this is the first registration on the application; see ``record_once``.
        self.first_registration = first_registration
        #: The subdomain of the rules, or None.
        self.subdomain: str | None = self._option("subdomain", blueprint.subdomain)
        #: The prefix of all rules, or None.
        self.url_prefix: str | None = self._option("url_prefix", blueprint.url_prefix)
        #: The name that is registered.
        self.name: str = options.get("name", blueprint.name)
        #: The dotted names of the blueprints around it, or "".
        self.name_prefix: str = options.get("name_prefix", "")
        #: Default values for the variables of all rules.
        self.url_defaults: dict[str, t.Any] = {
            **blueprint.url_values_defaults,
            **(options.get("url_defaults") or {}),
        }

    def _option(self, name: str, own: str | None) -> str | None:
        given: str | None = self.options.get(name)
        return own if given is None else given

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        **options: t.Any,
    ) -> None:
        """Register a rule on the application, prefixed as the blueprint's rules are.

        :param rule: the URL rule, below the blueprint's prefix.
        :param endpoint: the endpoint within the blueprint; by default the function's name.
        :param view_func: the view.
        :param options: as for :meth:`kolben.Flask.add_url_rule`.
        """
        if self.url_prefix is not None:
            rule = _append_path(self.url_prefix, rule) if rule else self.url_prefix
        if endpoint is None:
            endpoint = _endpoint_from_view_func(view_func)
        options.setdefault("subdomain", self.subdomain)
        defaults = self.url_defaults
        if "defaults" in options:
            defaults = {**defaults, **(options.pop("defaults") or {})}
        self.app.add_url_rule(
            rule,
            _dotted(_dotted(self.name_prefix, self.name), endpoint),
            view_func,
            defaults=defaults,
            **options,
        )


class Blueprint(Scaffold):
    """A part of an application, which works once it is registered on one, or on several.

    :param name: name of the blueprint, the first part of its endpoints; no dots.
    :param import_name: name of the blueprint's module, usually ``__name__``.
    :param static_folder: folder of static files, relative to ``root_path``; None for none.
    :param static_url_path: URL of the static files, below ``url_prefix``; by default the
        folder's name. Without a prefix, the application's own static route goes first.
    :param template_folder: folder of templates, relative to ``root_path``; the application's
        templates go first.
    :param url_prefix: put before all rules.
    :param subdomain: the subdomain that all rules match.
    :param url_defaults: default values for the variables of all rules.
    :param root_path: the folder that relative paths start from; by default that of the module.
    :param cli_group: the group that the blueprint's commands are put in; by default named as
        the blueprint; None puts them beside the application's.
    """

    _got_registered_once = False
    _owns_prefix = False

    #: How its HTTP errors are sent that no handler answers: True for problem details (RFC 9457),
    #: ``"accept"`` for what each client asks for, False for pages. None leaves it to the blueprint
    #: around it, and to ``PROBLEM_DETAILS``.
    problem_details: bool | t.Literal["accept"] | None = None

    def __init__(
        self,
        name: str,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        url_prefix: str | None = None,
        subdomain: str | None = None,
        url_defaults: dict[str, t.Any] | None = None,
        root_path: str | None = None,
        cli_group: str | None = _sentinel,
    ) -> None:
        super().__init__(
            import_name=import_name,
            static_folder=static_folder,
            static_url_path=static_url_path,
            template_folder=template_folder,
            root_path=root_path,
        )
        if not name:
            raise ValueError("A blueprint's 'name' may not be empty.")
        if "." in name:
            raise ValueError(f"A blueprint's 'name' may not contain a dot: {name!r}.")
        self.name = name
        #: Put before all rules, unless the registration says otherwise.
        self.url_prefix = url_prefix
        #: The subdomain that all rules match, unless the registration says otherwise.
        self.subdomain = subdomain
        #: What was recorded, in order.
        self.deferred_functions: list[DeferredSetupFunction] = []
        #: Default values for the variables of all rules.
        self.url_values_defaults: dict[str, t.Any] = {} if url_defaults is None else url_defaults
        #: The group of the commands.
        self.cli_group = cli_group
        self._blueprints: list[tuple[Blueprint, dict[str, t.Any]]] = []

    @property
    def owns_prefix(self) -> bool:
        """Whether its error handlers answer 404 and 405 for all paths below its prefix, on its subdomain,
        though no route leads there; in Flask only the application's do. Set before it is registered.
        """
        return self._owns_prefix

    @owns_prefix.setter
    def owns_prefix(self, value: bool) -> None:
        self._check_setup_finished("owns_prefix")
        self._owns_prefix = value

    if t.TYPE_CHECKING:

        def send_static_file(self, filename: str) -> t.Any:
            """Answer a request for a static file; the concrete blueprint class says how."""

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_registered_once:
            raise AssertionError(
                f"The setup method {f_name!r} was called on the blueprint {self.name!r} after it"
                " was registered, so that registration went without its effect. Import and"
                " register everything that belongs to the blueprint before registering it."
            )

    # Recording

    @setupmethod
    def record(self, func: DeferredSetupFunction) -> None:
        """Call a function with the set-up state at each registration.

        :param func: called with a :class:`BlueprintSetupState`.
        """
        notice_uncallable("record", func)
        self.deferred_functions.append(func)

    @setupmethod
    def record_once(self, func: DeferredSetupFunction) -> None:
        """Call a function with the set-up state at the first registration on an application.

        :param func: called with a :class:`BlueprintSetupState`.
        """
        notice_uncallable("record_once", func)

        def only_first(state: BlueprintSetupState) -> None:
            if state.first_registration:
                func(state)

        self.record(update_wrapper(only_first, func))

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: t.Any) -> None:
        """Nest a blueprint: it is registered wherever this one is, below its name and prefix.

        :param blueprint: the blueprint.
        :param options: as for :meth:`kolben.Flask.register_blueprint`.
        """
        if blueprint is self:
            raise ValueError(f"The blueprint {self.name!r} cannot be registered on itself.")
        check_blueprint(blueprint)
        self._blueprints.append((blueprint, options))

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: t.Any,
    ) -> None:
        """Register a URL rule below the blueprint's prefix; see :meth:`kolben.Flask.add_url_rule`.

        The endpoint gets the blueprint's name: from outside it is ``"name.endpoint"``.

        :param rule: the URL rule, such as ``/items/<int:id>``.
        :param endpoint: the endpoint's name; by default that of the view.
        :param view_func: the view.
        :param provide_automatic_options: whether OPTIONS is answered by itself; None for ``PROVIDE_AUTOMATIC_OPTIONS``.
        :raises ValueError: if the endpoint contains a dot.
        """
        if view_func is not None:
            check_view(view_func)
        _refuse_dot("'endpoint'", endpoint)
        _refuse_dot("name of a view function", getattr(view_func, "__name__", None))
        self.record(
            lambda state: state.add_url_rule(
                rule,
                endpoint,
                view_func,
                provide_automatic_options=provide_automatic_options,
                **options,
            )
        )

    # Registration

    def make_setup_state(
        self, app: App, options: dict[str, t.Any], first_registration: bool = False
    ) -> BlueprintSetupState:
        """Make the state of one registration; override it to use another class.

        :param app: the application.
        :param options: the options of the registration.
        :param first_registration: whether it is the first on the application.
        """
        return BlueprintSetupState(self, app, options, first_registration)

    def register(self, app: App, options: dict[str, t.Any]) -> None:
        """Play back all that was recorded, on an application.

        ``register_blueprint`` calls this. Override it to do more at registration.

        :param app: the application.
        :param options: the options of the registration.
        :raises ValueError: if the name is taken.
        """
        name = _dotted(options.get("name_prefix", ""), options.get("name", self.name))
        self._refuse_taken_name(app, name)
        first = all(known is not self for known in app.blueprints.values())
        app.blueprints[name] = self
        self._got_registered_once = True
        state = self.make_setup_state(app, options, first)
        if self.owns_prefix:
            app.prefix_owners.append((self, name, state.url_prefix, state.subdomain))

        if self.has_static_folder:
            state.add_url_rule(
                f"{self.static_url_path}/<path:filename>",
                view_func=self.send_static_file,
                endpoint="static",
            )
        self._merge_blueprint_funcs(app, name)
        for deferred in self.deferred_functions:
            deferred(state)
        self._register_commands(app, name, options)
        for blueprint, own_options in self._blueprints:
            blueprint.register(app, _nested_options(state, name, blueprint, own_options))

    def _refuse_taken_name(self, app: App, name: str) -> None:
        holder = app.blueprints.get(name)
        if holder is not None:
            other = "this" if holder is self else "another"
            raise ValueError(
                f"The name {name!r} is already taken by {other} blueprint."
                " Register it with name='...' to give it a name of its own."
            )

    def _merge_blueprint_funcs(self, app: App, name: str) -> None:
        """Add the blueprint's hooks, handlers and views to the tables of the application."""
        for table, own in (
            (app.before_request_funcs, self.before_request_funcs),
            (app.after_request_funcs, self.after_request_funcs),
            (app.teardown_request_funcs, self.teardown_request_funcs),
            (app.before_websocket_funcs, self.before_websocket_funcs),
            (app.after_websocket_funcs, self.after_websocket_funcs),
            (app.teardown_websocket_funcs, self.teardown_websocket_funcs),
            (app.url_default_functions, self.url_default_functions),
            (app.url_value_preprocessors, self.url_value_preprocessors),
            (app.template_context_processors, self.template_context_processors),
        ):
            _merge_hooks(table, own, name)
        for scope, codes in self.error_handler_spec.items():
            merged = app.error_handler_spec[_scope(name, scope)]
            for code, handlers in codes.items():
                merged[code].update(handlers)
        app.view_functions.update(self.view_functions)

    def _register_commands(self, app: App, name: str, options: dict[str, t.Any]) -> None:
        if "cli" not in vars(self) or not self.cli.commands:
            return
        group = options.get("cli_group", self.cli_group)
        if group is None:
            app.cli.commands.update(self.cli.commands)
            return
        self.cli.name = name if group is _sentinel else group
        app.cli.add_command(self.cli)

    # For the whole application

    @setupmethod
    def app_template_filter(
        self, name: str | None = None
    ) -> t.Callable[[T_template_filter], T_template_filter]:
        """Like :meth:`kolben.Flask.template_filter`: for all templates.

        :param name: name in templates; by default the function's name.
        """
        return naming_decorator("app_template_filter", self.add_app_template_filter, name)

    @setupmethod
    def add_app_template_filter(
        self, f: ft.TemplateFilterCallable, name: str | None = None
    ) -> None:
        """Like :meth:`kolben.Flask.add_template_filter`: for all templates.

        :param f: the function.
        :param name: name in templates; by default the function's name.
        """
        self.record_once(lambda state: state.app.add_template_filter(f, name))

    @setupmethod
    def app_template_test(
        self, name: str | None = None
    ) -> t.Callable[[T_template_test], T_template_test]:
        """Like :meth:`kolben.Flask.template_test`: for all templates.

        :param name: name in templates; by default the function's name.
        """
        return naming_decorator("app_template_test", self.add_app_template_test, name)

    @setupmethod
    def add_app_template_test(self, f: ft.TemplateTestCallable, name: str | None = None) -> None:
        """Like :meth:`kolben.Flask.add_template_test`: for all templates.

        :param f: the function.
        :param name: name in templates; by default the function's name.
        """
        self.record_once(lambda state: state.app.add_template_test(f, name))

    @setupmethod
    def app_template_global(
        self, name: str | None = None
    ) -> t.Callable[[T_template_global], T_template_global]:
        """Like :meth:`kolben.Flask.template_global`: for all templates.

        :param name: name in templates; by default the function's name.
        """
        return naming_decorator("app_template_global", self.add_app_template_global, name)

    @setupmethod
    def add_app_template_global(
        self, f: ft.TemplateGlobalCallable, name: str | None = None
    ) -> None:
        """Like :meth:`kolben.Flask.add_template_global`: for all templates.

        :param f: the function.
        :param name: name in templates; by default the function's name.
        """
        self.record_once(lambda state: state.app.add_template_global(f, name))

    @setupmethod
    def before_app_request(self, f: T_before_request) -> T_before_request:
        """Like :meth:`before_request`, before every request of the application."""
        return self._app_hook("before_app_request", lambda app: app.before_request_funcs, f)

    @setupmethod
    def after_app_request(self, f: T_after_request) -> T_after_request:
        """Like :meth:`after_request`, after every request of the application."""
        return self._app_hook("after_app_request", lambda app: app.after_request_funcs, f)

    @setupmethod
    def teardown_app_request(self, f: T_teardown) -> T_teardown:
        """Like :meth:`teardown_request`, at the end of every request of the application."""
        return self._app_hook("teardown_app_request", lambda app: app.teardown_request_funcs, f)

    @setupmethod
    def before_app_websocket(self, f: _T_hook) -> _T_hook:
        """Like :meth:`before_websocket`, before every WebSocket of the application."""
        return self._app_hook("before_app_websocket", lambda app: app.before_websocket_funcs, f)

    @setupmethod
    def after_app_websocket(self, f: _T_hook) -> _T_hook:
        """Like :meth:`after_websocket`, after every WebSocket of the application."""
        return self._app_hook("after_app_websocket", lambda app: app.after_websocket_funcs, f)

    @setupmethod
    def teardown_app_websocket(self, f: _T_hook) -> _T_hook:
        """Like :meth:`teardown_websocket`, at the end of every WebSocket of the application."""
        return self._app_hook("teardown_app_websocket", lambda app: app.teardown_websocket_funcs, f)

    @setupmethod
    def before_app_serving(self, f: _T_hook) -> _T_hook:
        """Like :meth:`kolben.Flask.before_serving`."""
        return self._serving_hook("before_serving", f)

    @setupmethod
    def after_app_serving(self, f: _T_hook) -> _T_hook:
        """Like :meth:`kolben.Flask.after_serving`."""
        return self._serving_hook("after_serving", f)

    @setupmethod
    def while_app_serving(self, f: _T_hook) -> _T_hook:
        """Like :meth:`kolben.Flask.while_serving`."""
        return self._serving_hook("while_serving", f)

    def _serving_hook(self, name: str, f: _T_hook) -> _T_hook:
        self.record_once(lambda state: getattr(state.app, name)(f))
        return f

    @setupmethod
    def app_context_processor(
        self, f: T_template_context_processor
    ) -> T_template_context_processor:
        """Like :meth:`context_processor`, for every template of the application."""
        return self._app_hook(
            "app_context_processor", lambda app: app.template_context_processors, f
        )

    @setupmethod
    def app_errorhandler(
        self, code: type[Exception] | int
    ) -> t.Callable[[T_error_handler], T_error_handler]:
        """Like :meth:`errorhandler`, for errors of every request of the application.

        :param code: an HTTP error code, or a subclass of :class:`Exception`.
        """

        def register(f: ft.ErrorHandlerCallable) -> None:
            notice_uncallable("app_errorhandler", f)
            self.record_once(lambda state: state.app.register_error_handler(code, f))

        return registering(register)

    @setupmethod
    def app_url_value_preprocessor(self, f: T_url_value_preprocessor) -> T_url_value_preprocessor:
        """Like :meth:`url_value_preprocessor`, for every request of the application."""
        return self._app_hook(
            "app_url_value_preprocessor", lambda app: app.url_value_preprocessors, f
        )

    @setupmethod
    def app_url_defaults(self, f: T_url_defaults) -> T_url_defaults:
        """Like :meth:`url_defaults`, for every URL of the application."""
        return self._app_hook("app_url_defaults", lambda app: app.url_default_functions, f)

    def _app_hook(self, where: str, table_of: t.Callable[[App], _HookTable], f: _T_hook) -> _T_hook:
        """Record that a function joins the hooks of the whole application."""
        notice_uncallable(where, f)
        self.record_once(lambda state: table_of(state.app).setdefault(None, HookList()).append(f))
        return f


_HookTable = dict[ft.AppOrBlueprintKey, list[t.Any]]


def _scope(name: str, scope: str | None) -> str:
    """Return the application's key for a key of a blueprint's table."""
    return name if scope is None else f"{name}.{scope}"


def _merge_hooks(table: _HookTable, own: _HookTable, name: str) -> None:
    for scope, functions in own.items():
        table.setdefault(_scope(name, scope), HookList()).extend(functions)


def _nested_options(
    state: BlueprintSetupState, name: str, blueprint: Blueprint, own: dict[str, t.Any]
) -> dict[str, t.Any]:
    """Return the options for a blueprint that is registered below another.

    :param state: the registration of the blueprint around it.
    :param name: the full name of the blueprint around it.
    :param blueprint: the blueprint.
    :param own: the options it was nested with.
    """
    nested = dict(own)
    for option, outer, join in (
        ("subdomain", state.subdomain, lambda outer, inner: f"{inner}.{outer}"),
        ("url_prefix", state.url_prefix, _append_path),
    ):
        inner = own.get(option)
        combined = _nest(outer, getattr(blueprint, option) if inner is None else inner, join)
        if combined is not None:
            nested[option] = combined
    nested["name_prefix"] = name
    return nested


def _refuse_dot(what: str, value: str | None) -> None:
    """Keep dots for the names of blueprints: an endpoint with one would look nested."""
    if value and "." in value:
        raise ValueError(f"The {what} on a blueprint may not contain a dot: {value!r}.")
