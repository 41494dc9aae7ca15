"""Registration: what is known of each typed view, and the classes that views are registered on."""

from __future__ import annotations

import contextlib
import inspect
import sys
import typing as t
import weakref
from dataclasses import dataclass, field, replace
from functools import partial

from werkzeug.exceptions import HTTPException

from ..blueprints import Blueprint, BlueprintSetupState
from ..concurrency import is_coroutine_function, never_blocks, nonblocking
from ..views import MethodView
from ..websockets import WebSocketView
from . import compile as compiling
from .answers import Answer, answers_of
from .document import About
from .kinds import NODEFAULT
from .pages import serve_document
from .plan import Plan, Planner, is_typed, place_of, signature_of, variables_of
from .problems import Problem, answer_error

if t.TYPE_CHECKING:
    from ..sansio.app import App

F = t.TypeVar("F", bound=t.Callable[..., t.Any])
_unset: t.Any = object()


@dataclass(slots=True)
class Settings:
    """What an application, a blueprint, or a route says of its views.

    :param auth: the provider that each view needs; None for none.
    :param tags: the groups of the document that its views are in.
    :param raises: the problems that its views may raise.
    :param unknown: what becomes of members and arguments that no annotation names: ``ignore`` or
        ``refuse``.
    :param deprecated: whether its views are to be used no more.
    :param security: the name of a scheme, for the document alone.
    """

    auth: t.Any = _unset
    tags: tuple[str, ...] = ()
    raises: tuple[type[Problem], ...] = ()
    unknown: t.Any = _unset
    deprecated: t.Any = _unset
    security: t.Any = _unset

    def within(self, outer: Settings) -> Settings:
        """Return what holds where these settings are inside others: the nearest, and all groups."""
        nearest = {
            name: getattr(outer, name)
            for name in ("auth", "unknown", "deprecated", "security")
            if getattr(self, name) is _unset
        }
        tags = tuple(dict.fromkeys((*outer.tags, *self.tags)))
        raises = tuple(dict.fromkeys((*outer.raises, *self.raises)))
        return replace(self, tags=tags, raises=raises, **nearest)


def settings_of(options: dict[str, t.Any]) -> Settings:
    """Take the settings out of the options of a registration.

    :param options: changed in place.
    :raises TypeError: for a setting of the wrong kind.
    """
    given = {name: options.pop(name) for name in _SETTINGS if name in options}
    for name in ("tags", "raises"):
        if name in given:
            given[name] = _listed(name, given[name])
    auth = given.get("auth")
    if auth is not None and (not callable(auth) or isinstance(auth, type)):
        raise TypeError(f"'auth' is the function that provides who asks, or None, not {auth!r}.")
    if given.get("unknown", "ignore") not in ("ignore", "refuse"):
        raise TypeError(f"'unknown' is 'ignore' or 'refuse', not {given['unknown']!r}.")
    return Settings(**given)


def _listed(name: str, given: t.Any) -> tuple[t.Any, ...]:
    if isinstance(given, (str, type)):
        text = given.__name__ if isinstance(given, type) else repr(given)
        raise TypeError(f"{name!r} must be a list: write {name}=[{text}].")
    listed = tuple(given or ())
    for one in listed if name == "raises" else ():
        if not (isinstance(one, type) and issubclass(one, Problem)):
            raise TypeError(
                f"raises=[{getattr(one, '__name__', repr(one))}] is no class of a problem:"
                " class OutOfStock(Problem, status=409)."
            )
    return listed


_SETTINGS = ("auth", "tags", "raises", "unknown", "deprecated", "security")
_DOCUMENTED = ("summary", "description", "document", "callbacks")


@dataclass(slots=True, eq=False, weakref_slot=True)
class Operation:
    """One typed view on one route.

    :param view: the view.
    :param rules: its URL rules, prefixes included.
    :param methods: its HTTP methods.
    :param settings: what holds for it.
    :param documented: what its registration says for the document.
    """

    view: t.Callable[..., t.Any]
    methods: tuple[str, ...]
    settings: Settings
    documented: dict[str, t.Any] = field(default_factory=dict)
    endpoint: str = ""
    names: t.Mapping[str, t.Any] | None = None
    has_self: bool = False
    rules: list[str] = field(default_factory=list)
    owners: tuple[t.Any, ...] = ()
    app: t.Any = None
    #: How the engine calls its function.
    arguments: tuple[str, ...] = ()
    defaults: tuple[t.Any, ...] = ()
    is_async: bool = False
    #: Whether the view is given its values by name: as wrappers around it expect.
    passes_by_name: bool = False
    function: t.Any = None
    is_compiled: bool = False
    source: str = ""
    _plan: Plan | None = None
    _answers: list[Answer] | None = None

    @property
    def plan(self) -> Plan:
        """Where its values come from.

        :raises TypeError: if its signature cannot be served.
        :raises NameError: if an annotation cannot be resolved yet.
        """
        if self._plan is None:
            self._plan = self._make_plan({})
        return self._plan

    def current_plan(self) -> Plan:
        """The plan, with the providers that stand in for others for now."""
        replaced = {k: v for owner in self.owners for k, v in owner.replaced.items()}
        return self._make_plan(replaced) if replaced else self.plan

    def _make_plan(self, replaced: t.Mapping[t.Any, t.Any]) -> Plan:
        rule = " ".join(self.rules)
        planner = Planner(self.view, rule, self.methods, self.names, replaced)
        auth = self.settings.auth
        return planner.plan(None if auth is _unset else auth, self.has_self)

    @property
    def answers(self) -> list[Answer]:
        """The answers that its annotation names."""
        if self._answers is None:

            def fail(text: str) -> t.NoReturn:
                raise TypeError(place_of(self.view) + text)

            try:
                self._answers = answers_of(self.plan.result, fail)
            except RecursionError:
                fail("an alias names itself, of which there is no end. Use a class, or typing.Any.")
        return self._answers

    @property
    def stream(self) -> Answer | None:
        """The answer that comes piece by piece, if one does."""
        return next((one for one in self.answers if one.media in ("lines", "events")), None)

    @property
    def socket(self) -> tuple[t.Any, t.Any] | None:
        """What a WebSocket takes and sends; None for other views."""
        found = next((one for one in self.plan.params if one.where == "socket"), None)
        if found is None:
            return None
        taken, sent, *_ = *t.get_args(found.type), t.Any, t.Any
        return taken, sent

    def prepare(self) -> None:
        """Find out how its function is called, and make it."""
        try:
            self.answers  # noqa: B018 (found out here)
            providers = self.plan.providers
            path = {one.name: one.default for one in self.plan.reads if one.where == "path"}
        except NameError:
            # Names that cannot be resolved yet; the variables of the URL are known without.
            providers = None
            parameters = signature_of(self.view).parameters.values()
            path = {
                one.name: NODEFAULT if one.default is one.empty else one.default
                for one in parameters
                if one.name in self.variables
            }
        order = {name: number for number, name in enumerate(self.variables)}
        names = sorted(path, key=lambda one: (path[one] is not NODEFAULT, order.get(one, -1)))
        self.arguments = tuple(names)
        self.defaults = tuple(path[one] for one in names if path[one] is not NODEFAULT)
        is_async = is_coroutine_function(self.view)
        self.is_async = is_async or any(one.is_async for one in providers or ())
        self.passes_by_name = not inspect.isfunction(self.view) or hasattr(self.view, "__wrapped__")
        never_blocks_at_all = providers is not None and all(
            one.is_async or never_blocks(one.function) for one in providers
        )
        self.function = compiling.stub(self, never_blocks_at_all)

    @property
    def variables(self) -> list[str]:
        """The names of the variables of its URL rules."""
        return list(dict.fromkeys(name for rule in self.rules for name in variables_of(rule)))

    def resolve(self) -> None:
        """Resolve what could not be at registration.

        :raises TypeError: if a name is not defined, or the signature cannot be served.
        """
        try:
            self.answers  # noqa: B018 (found out here)
        except NameError as error:
            name = getattr(error, "name", None) or str(error).split("'")[1]
            raise TypeError(
                f"{place_of(self.view)}{name!r} is not defined at run time; import it outside"
                " TYPE_CHECKING."
            ) from None


def operations_of(view: t.Any) -> list[Operation]:
    """Return the operations that a view is registered as, in applications that are in use still."""
    known = getattr(view, "__operations__", ())
    return [one for ref in known if (one := ref()) is not None]


def _remember(operation: Operation) -> None:
    """Have the view know its operation, for the typed client; weakly, as it outlives applications."""
    view: t.Any = operation.view
    with contextlib.suppress(AttributeError):  # of an object that takes no attributes
        known = [ref for ref in getattr(view, "__operations__", ()) if ref() is not None]
        view.__operations__ = [*known, weakref.ref(operation)]


def with_defaults(rule: str, *defaults: t.Mapping[str, t.Any] | None) -> str:
    """Return a rule with the values that it gives without being in the URL: Werkzeug's ``defaults``."""
    names = {name for given in defaults for name in given or ()} - variables_of(rule).keys()
    return " ".join([rule, *(f"<given:{name}>" for name in sorted(names))])


def _names_around(view: t.Any) -> dict[str, t.Any] | None:
    """Return the local names of where a view is registered, if it is defined inside a function."""
    if "<locals>" not in getattr(view, "__qualname__", ""):
        return None
    frame: t.Any = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("kolben."):
        frame = frame.f_back
    return None if frame is None else dict(frame.f_locals)


class Registers:
    """What an API and an API blueprint share: settings, typed views, and their stand-ins in tests."""

    settings: Settings
    about: About

    def _set_up(self, options: dict[str, t.Any]) -> None:
        self.settings = settings_of(options)
        #: All typed views that are served through this object.
        self.operations: list[Operation] = []
        #: The operations that are sent to others, by name.
        self.webhooks: dict[str, Operation] = {}
        #: Functions that provide in place of others, while :meth:`replacing` says so.
        self.replaced: dict[t.Any, t.Any] = {}

    if t.TYPE_CHECKING:
        # A typed view may return anything that has a schema.
        def route(self, rule: str, **options: t.Any) -> t.Callable[[F], F]: ...  # noqa: D102
        def get(self, rule: str, **options: t.Any) -> t.Callable[[F], F]: ...  # noqa: D102
        def post(self, rule: str, **options: t.Any) -> t.Callable[[F], F]: ...  # noqa: D102
        def put(self, rule: str, **options: t.Any) -> t.Callable[[F], F]: ...  # noqa: D102
        def patch(self, rule: str, **options: t.Any) -> t.Callable[[F], F]: ...  # noqa: D102
        def delete(self, rule: str, **options: t.Any) -> t.Callable[[F], F]: ...  # noqa: D102

    @contextlib.contextmanager
    def replacing(self, providers: t.Mapping[t.Any, t.Callable[..., t.Any]]) -> t.Iterator[None]:
        """Have other functions provide values, for the time of a ``with`` block: for tests.

        .. code-block:: python

            with api.replacing({current_user: lambda: User(1)}):
                client.get("/me")

        :param providers: for each provider the function in its place.
        """
        before = self.replaced
        self.replaced = {**before, **providers}
        self._compile_again()
        try:
            yield
        finally:
            self.replaced = before
            self._compile_again()

    def _compile_again(self) -> None:
        for operation in self.operations:
            compiling.reset(operation)

    def webhook(self, name: str, **options: t.Any) -> t.Callable[[F], F]:
        """Decorate a function that describes a request which this program sends to others.

        It is in the document, and is never called.

        :param name: the name in the document.
        :param options: as for a route: ``tags``, ``summary``, ...
        """

        def decorator(view: F) -> F:
            operation = make_operation((self,), view, "", ("POST",), dict(options))
            operation.answers  # noqa: B018 (mistakes are told now)
            self.webhooks[name] = operation
            return view

        return decorator

    def resolve(self) -> None:
        """Resolve the annotations that could not be at registration.

        :raises TypeError: if a name is not defined, or a signature cannot be served.
        """
        for operation in self.operations:
            operation.resolve()


def make_operation(
    owners: tuple[t.Any, ...],
    view: t.Any,
    rule: str,
    methods: t.Iterable[str],
    options: dict[str, t.Any],
    has_self: bool = False,
) -> Operation:
    """Return a typed view as an operation.

    :param owners: the application and the blueprints it is registered on, from the outside inwards.
    :param view: the view.
    :param rule: the URL rule, prefixes included.
    :param methods: the HTTP methods.
    :param options: the options of the registration; those that are ours are taken out.
    :param has_self: whether it is a method of a class of views.
    """
    settings = settings_of(options)
    for owner in reversed(owners):
        settings = settings.within(owner.settings)
    documented = {name: options.pop(name) for name in _DOCUMENTED if name in options}
    upper = tuple(sorted(method.upper() for method in methods))
    draft: t.Any = options.pop("draft", None)
    names = _names_around(view) if draft is None else draft.names
    operation = Operation(view, upper, settings, documented, names=names)
    operation.has_self = has_self
    operation.owners = owners
    operation.rules = [rule]
    same_auth = draft is not None and draft.settings.auth is settings.auth
    if draft is not None and same_auth and variables_of(rule) == variables_of(draft.rules[0]):
        operation._plan, operation._answers = draft._plan, draft._answers
    return operation


def type_view(
    owners: tuple[t.Any, ...], app: t.Any, rule: str, endpoint: str, view: t.Any, options: t.Any
) -> t.Any:
    """Return the function to register for a view.

    :param owners: the application and the blueprints, from the outside inwards.
    :param app: the application.
    :param rule: the URL rule, prefixes included.
    :param endpoint: the endpoint, with the names of its blueprints.
    :param view: the view.
    :param options: the options of the registration; those that are ours are taken out.
    """
    auth = _auth_of(owners, options)
    is_guarded = auth is not None
    if not options.pop("blocking", True):
        nonblocking(view)
    view_class = getattr(view, "view_class", None)
    if view_class is not None:
        _type_class(owners, app, rule, endpoint, view, options, auth)
        return view
    if isinstance(view, WebSocketView):
        if not (is_typed(view.handler) or is_guarded):
            return view
        operation = make_operation(owners, view.handler, rule, ("GET",), options)
        _enter(operation, app, endpoint)
        return WebSocketView(operation.function, view.origins)
    if not is_typed(view) and not options.get("document"):
        if not is_guarded:
            settings_of(options)
            options.pop("draft", None)
            for name in _DOCUMENTED:
                options.pop(name, None)
            return view
        options["document"] = False
    rule = with_defaults(rule, options.get("defaults"))
    methods = options.get("methods") or getattr(view, "methods", None) or ("GET",)
    present = getattr(app.view_functions.get(endpoint), "__operation__", None)
    operation = make_operation(owners, view, rule, methods, options)
    if present is not None and present.view is view:
        return _add_rule(present, operation)
    _enter(operation, app, endpoint)
    return operation.function


def _auth_of(owners: tuple[t.Any, ...], options: t.Mapping[str, t.Any]) -> t.Any:
    """Return what asks who is there, if anything does: it holds for untyped views, too."""
    given = [options.get("auth", _unset), *(one.settings.auth for one in reversed(owners))]
    return next((one for one in given if one is not _unset), None)


def _add_rule(present: Operation, added: Operation) -> t.Any:
    """Register one more rule for a view: what is a variable in one may be an argument in another."""
    present.rules += added.rules
    present.methods = tuple(sorted({*present.methods, *added.methods}))
    present._plan = present._answers = None
    function = present.function
    present.prepare()
    function.__code__, function.__defaults__ = present.function.__code__, present.defaults or None
    present.function, present.is_compiled = function, False
    return function


def _enter(operation: Operation, app: t.Any, endpoint: str) -> None:
    operation.app, operation.endpoint = app, endpoint
    _remember(operation)
    operation.prepare()
    operation.function.__operation__ = operation
    for owner in operation.owners:
        owner.operations.append(operation)


def _type_class(
    owners: tuple[t.Any, ...],
    app: t.Any,
    rule: str,
    endpoint: str,
    view: t.Any,
    options: t.Any,
    auth: t.Any,
) -> None:
    """Type each method of a class of views."""
    cls = view.view_class
    ours = {name: options.pop(name) for name in (*_SETTINGS, *_DOCUMENTED) if name in options}
    verbs = sorted(options.get("methods") or cls.methods or ("GET",))
    is_by_verb = issubclass(cls, MethodView)
    names = {verb.lower(): (verb,) for verb in verbs} if is_by_verb else {"dispatch_request": verbs}
    typed = {}
    for name, methods in names.items():
        method = getattr(cls, name, None)
        if (present := getattr(method, "__operation__", None)) is not None:
            if present.plan.guard is None and auth is not None:
                raise TypeError(
                    f"{cls.__name__} has one instance (init_every_request = False), which is"
                    " registered without 'auth' already, and would be open here, too."
                )
            continue
        if method is None:
            continue
        if (typed_ := is_typed(method)) or auth is not None:
            said = ours if typed_ else {"document": False, **ours}
            operation = make_operation(owners, method, rule, methods, dict(said), has_self=True)
            _enter(operation, app, endpoint)
            typed[name] = operation.function
    if not typed:
        return
    if cls.init_every_request:
        view.view_class = type(cls.__name__, (cls,), {**typed, "__module__": cls.__module__})
    else:  # its only instance was made already
        for name, function in typed.items():
            setattr(cls, name, function)


class APISetupState(BlueprintSetupState):
    """One registration of an :class:`APIBlueprint`: its views are typed with what holds there."""

    def add_url_rule(  # noqa: D102 (as in the base class)
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: t.Any = None,
        **options: t.Any,
    ) -> None:
        if view_func is not None and endpoint != "static":
            name = endpoint or view_func.__name__
            whole = f"{self.name_prefix}.{self.name}.{name}".lstrip(".")
            full = rule
            if self.url_prefix is not None:
                full = (
                    f"{self.url_prefix.rstrip('/')}/{rule.lstrip('/')}" if rule else self.url_prefix
                )
            endpoint = name
            full = with_defaults(full, self.url_defaults)
            view_func = type_view(self.owners(), self.app, full, whole, view_func, options)
        super().add_url_rule(rule, endpoint, view_func, **options)

    def owners(self) -> tuple[t.Any, ...]:
        """The API and the API blueprints around, this one last."""
        app: t.Any = self.app
        names = f"{self.name_prefix}.{self.name}".lstrip(".").split(".")
        paths = [".".join(names[: number + 1]) for number in range(len(names))]
        around = [app, *(app.blueprints[path] for path in paths)]
        return tuple(one for one in around if isinstance(one, Registers))


class APIBlueprint(Registers, Blueprint):
    """A blueprint whose views are typed, on an :class:`~kolben.api.API` or on any application.

    :param name: its name.
    :param import_name: the name of its module, usually ``__name__``.
    :param options: ``auth``, ``tags``, ``raises``, ``unknown``, ``deprecated`` and ``security``, as
        :class:`Settings` has them; all that :class:`~kolben.Blueprint` takes; and where it is the
        outermost on a plain application, what :class:`~kolben.api.API` takes for the document.
    """

    def __init__(self, name: str, import_name: str, **options: t.Any) -> None:
        self._set_up(options)
        self.about = About.taken_from(options)
        super().__init__(name, import_name, **options)
        self.register_error_handler(HTTPException, answer_error)
        self.owns_prefix = True

    def add_url_rule(  # noqa: D102 (as in the base class)
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: t.Any = None,
        provide_automatic_options: bool | None = None,
        **options: t.Any,
    ) -> None:
        if view_func is not None and is_typed(view_func):
            # A mistake is told where it is made, not where the blueprint is registered.
            methods = options.get("methods") or getattr(view_func, "methods", None) or ("GET",)
            view = view_func.handler if isinstance(view_func, WebSocketView) else view_func
            whole = (self.url_prefix or "") + rule
            whole = with_defaults(whole, self.url_values_defaults, options.get("defaults"))
            draft = make_operation((self,), view, whole, methods, dict(options))
            with contextlib.suppress(NameError):
                draft.answers  # noqa: B018 (found out here)
            options["draft"] = draft
        super().add_url_rule(rule, endpoint, view_func, provide_automatic_options, **options)

    def make_setup_state(  # noqa: D102
        self, app: App, options: dict[str, t.Any], first_registration: bool = False
    ) -> APISetupState:
        return APISetupState(self, app, options, first_registration)

    def register(self, app: App, options: dict[str, t.Any]) -> None:  # noqa: D102
        super().register(app, options)
        state = self.make_setup_state(app, options)
        if state.owners() == (self,):
            add = partial(BlueprintSetupState.add_url_rule, state)
            serve_document(
                self, app, self.about, add, f"{state.name_prefix}.{state.name}".lstrip(".")
            )
