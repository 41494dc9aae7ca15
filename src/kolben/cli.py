"""The command line: the ``kolben`` command, and the groups that applications hang commands on.

``kolben run``, ``shell`` and ``routes`` are here, and what they need; later ones go to :data:`DEFAULT_COMMANDS`.
"""

from __future__ import annotations

import os
import sys
import typing as t
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from functools import update_wrapper

import click

from .globals import _cv_app, current_app
from .helpers import get_debug_flag, get_load_dotenv
from .lazy import late_names
from .listing import complete_target
from .loading.locate import (
    NoAppException as NoAppException,
    find_app_by_string as find_app_by_string,
    find_best_app as find_best_app,
    locate_app as locate_app,
    prepare_import as prepare_import,
    require_file,
    split_target,
    usual_programs,
)
from .options import (
    CertParamType as CertParamType,
    SeparatedPathType as SeparatedPathType,
    host_option,
    validate_key as _validate_key,
)

if t.TYPE_CHECKING:
    from .app import Flask

F = t.TypeVar("F", bound=Callable[..., t.Any])

_NO_APP = (
    "Could not find an application. Name it with 'kolben run TARGET' or '--app', set the"
    " 'FLASK_APP' environment variable, or put a 'wsgi.py' or 'app.py' file into the current folder."
)

_LATE = dict.fromkeys(("is_running_from_reloader", "run_simple"), "werkzeug.serving")
__getattr__, __dir__ = late_names(
    __name__, ParameterSource="click.core", import_string="werkzeug.utils", **_LATE
)

# --- What a command knows ---------------------------------------------------------------------


class ScriptInfo:
    """Knows which application a command line is about, and loads it when it is asked for.

    It is the ``obj`` of the click context of every command.

    :param app_import_path: where the application is, as given to ``--app``.
    :param create_app: a function that returns the application; goes before the path.
    :param set_debug_flag: set ``app.debug`` from ``FLASK_DEBUG`` when the application is loaded.
    :param load_dotenv_defaults: whether ``.env`` and ``.flaskenv`` are to be read.
    """

    def __init__(
        self,
        app_import_path: str | None = None,
        create_app: Callable[..., Flask] | None = None,
        set_debug_flag: bool = True,
        load_dotenv_defaults: bool = True,
    ) -> None:
        self.app_import_path = app_import_path
        self.create_app = create_app
        #: For commands to share what they like.
        self.data: dict[t.Any, t.Any] = {}
        self.set_debug_flag = set_debug_flag
        self.load_dotenv_defaults = load_dotenv_defaults
        #: The environment variables that came from dotenv files, and not from the environment.
        self.variables_of_files: frozenset[str] = frozenset()
        self._loaded_app: Flask | None = None

    def load_app(self) -> Flask:
        """Load the application, the first time; the same object after that.

        :return: the application.
        :raises NoAppException: when there is none.
        """
        if self._loaded_app is None:
            app = self._find_app()
            if app is None:
                raise NoAppException(_NO_APP)
            if self.set_debug_flag:
                app.debug = get_debug_flag()
            self._loaded_app = app
        return self._loaded_app

    def _find_app(self) -> Flask | None:
        if self.create_app is not None:
            return self.create_app()
        if self.app_import_path:
            path, name = split_target(self.app_import_path)
            require_file(path)
            return locate_app(prepare_import(path), name)
        for path in usual_programs():
            app = locate_app(prepare_import(path), None, raise_if_not_found=False)
            if app is not None:
                return app
        return None


pass_script_info = click.make_pass_decorator(ScriptInfo, ensure=True)


def with_appcontext(f: F) -> F:
    """Run a command's function inside the application's context.

    Commands registered on ``app.cli`` and ``blueprint.cli`` have it already.

    :param f: the function; may be ``async def``.
    :return: the function to make the command of.
    """

    @click.pass_context
    def in_context(ctx: click.Context, /, *args: t.Any, **kwargs: t.Any) -> t.Any:
        if _cv_app.get(None) is None:
            app = ctx.ensure_object(ScriptInfo).load_app()
            # Left with the click context, so that subcommands run inside it too.
            ctx.with_resource(app.app_context())
        return ctx.invoke(current_app.ensure_sync(f), *args, **kwargs)

    return t.cast("F", update_wrapper(in_context, f))


class AppGroup(click.Group):
    """A click group whose commands run inside the application's context.

    ``app.cli`` and ``blueprint.cli`` are of this class.
    """

    def command(  # type: ignore[override]
        self, *args: t.Any, **kwargs: t.Any
    ) -> Callable[[Callable[..., t.Any]], click.Command]:
        """As :meth:`click.Group.command`, the function wrapped in :func:`with_appcontext`.

        :param args: passed to click.
        :param kwargs: passed to click, except ``with_appcontext=False``, which leaves the function
            as it is.
        :return: a decorator.
        """
        wrap = kwargs.pop("with_appcontext", True)
        make_command = super().command(*args, **kwargs)

        def decorate(f: Callable[..., t.Any]) -> click.Command:
            command: click.Command = make_command(with_appcontext(f) if wrap else f)
            return command

        return decorate

    def group(  # type: ignore[override]
        self, *args: t.Any, **kwargs: t.Any
    ) -> Callable[[Callable[..., t.Any]], click.Group]:
        """As :meth:`click.Group.group`, making an :class:`AppGroup` unless told otherwise.

        :param args: passed to click.
        :param kwargs: passed to click.
        :return: a decorator.
        """
        kwargs.setdefault("cls", AppGroup)
        decorate: Callable[[Callable[..., t.Any]], click.Group] = super().group(*args, **kwargs)
        return decorate


# --- Options of every command -----------------------------------------------------------------


def _set_app(ctx: click.Context, param: click.Option, value: str | None) -> str | None:
    if value is not None:
        ctx.ensure_object(ScriptInfo).app_import_path = value
    return value


def _set_debug(ctx: click.Context, param: click.Option, value: bool) -> bool | None:
    if not _is_given(
        ctx, "debug", click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT
    ):
        return None
    # The environment carries it to the application's configuration and to the reloader's process.
    os.environ["FLASK_DEBUG"] = "1" if value else "0"
    return value


def _env_file_callback(ctx: click.Context, param: click.Option, value: str | None) -> str | None:
    if value is not None and _import_dotenv() is None:
        reason = "python-dotenv must be installed to read it: 'pip install python-dotenv'."
        raise click.BadParameter(reason, ctx, param)
    info = ctx.ensure_object(ScriptInfo)
    if value is not None or info.load_dotenv_defaults:
        before = frozenset(os.environ)
        load_dotenv(value, info.load_dotenv_defaults)
        info.variables_of_files |= frozenset(os.environ) - before
    return value


def _is_given(ctx: click.Context, name: str, *sources: click.core.ParameterSource) -> bool:
    """Whether an option's value came from one of the sources."""
    return ctx.get_parameter_source(name) in sources


_env_file_option = click.Option(
    ["-e", "--env-file"],
    type=click.Path(exists=True, dir_okay=False),
    help="Read environment variables from this file. They go before those of '.env' and"
    " '.flaskenv'; what is set in the environment itself goes before all. Needs python-dotenv.",
    # Eager, and the first of all: what it sets are other options' values.
    is_eager=True,
    expose_value=False,
    callback=_env_file_callback,
)

_app_option = click.Option(
    ["-A", "--app"],
    metavar="IMPORT",
    help="The application, or the function that makes it, as 'module:name'. The module is a dotted"
    " name or a file path. The name can be left out when it is 'app', 'application', 'create_app'"
    " or 'make_app', and can be 'name(args)' to pass arguments.",
    is_eager=True,
    expose_value=False,
    callback=_set_app,
)

_debug_option = click.Option(
    ["--debug/--no-debug"],
    help="Set debug mode.",
    expose_value=False,
    callback=_set_debug,
)


def get_version(ctx: click.Context, param: click.Parameter, value: t.Any) -> None:
    """Print the versions in use and leave: the callback of ``--version``.

    :param ctx: the command's context.
    :param param: the option.
    :param value: whether the option was given.
    """
    if not value or ctx.resilient_parsing:
        return
    import importlib.metadata
    import platform

    from .loading.shadow import FLASK_VERSION, is_installed_as_flask

    flask = importlib.metadata.version("flask") if is_installed_as_flask() else FLASK_VERSION
    click.echo(
        f"Python {platform.python_version()}\n"
        f"Kolben {_own_version()} (in place of Flask {flask})\n"
        f"Werkzeug {importlib.metadata.version('werkzeug')}",
        color=ctx.color,
    )
    ctx.exit()


def _own_version() -> str:
    from . import _version

    return _version


version_option = click.Option(
    ["--version"],
    help="Show the versions of Kolben, Werkzeug and Python.",
    expose_value=False,
    callback=get_version,
    is_flag=True,
    is_eager=True,
)


# --- dotenv files -----------------------------------------------------------------------------


def load_dotenv(path: str | os.PathLike[str] | None = None, load_defaults: bool = True) -> bool:
    """Set environment variables from dotenv files, where python-dotenv is installed.

    A variable that is set already keeps its value. Among the files, ``path`` goes before ``.env``
    and that before ``.flaskenv``; these two are searched for from the current folder upwards.

    :param path: a file to read.
    :param load_defaults: read ``.env`` and ``.flaskenv``.
    :return: whether a file gave any variable.
    """
    dotenv = _import_dotenv()
    if dotenv is None:
        unread = [name for name in (path, ".env", ".flaskenv") if name and os.path.isfile(name)]
        if path or unread:
            files = " and ".join(map(str, unread)) or str(path)
            tip = f" * Tip: Install python-dotenv to have {files} read."
            click.secho(tip, err=True, fg="yellow")
        return False
    values: dict[str, str | None] = {}
    for file in _dotenv_files(dotenv, path, load_defaults):
        values = {**dotenv.dotenv_values(file, encoding="utf-8"), **values}
    for key, value in values.items():
        # A line without '=' names a variable and gives it no value.
        if value is not None:
            os.environ.setdefault(key, value)
    return bool(values)


def _import_dotenv() -> t.Any:
    """Return the module, or None where python-dotenv is not installed."""
    try:
        import dotenv
    except ImportError:
        return None
    return dotenv


def _dotenv_files(
    dotenv: t.Any, path: str | os.PathLike[str] | None, defaults: bool
) -> Iterator[str]:
    """The files to read, the one that goes first in front."""
    if path is not None and os.path.isfile(path):
        yield os.fspath(path)
    for name in (".env", ".flaskenv") if defaults else ():
        found = dotenv.find_dotenv(name, usecwd=True)
        if found:
            yield found


# --- The group --------------------------------------------------------------------------------


class FlaskGroup(AppGroup):
    """The group behind the ``kolben`` command: its commands, plug-ins', and the application's.

    :param add_default_commands: add ``run``, ``shell`` and ``routes``.
    :param create_app: a function that returns the application; then ``--app`` is not needed.
    :param add_version_option: add ``--version``.
    :param load_dotenv: read ``.env`` and ``.flaskenv``.
    :param set_debug_flag: set ``app.debug`` from ``FLASK_DEBUG``.
    :param extra: passed to :class:`click.Group`.
    """

    def __init__(
        self,
        add_default_commands: bool = True,
        create_app: Callable[..., Flask] | None = None,
        add_version_option: bool = True,
        load_dotenv: bool = True,
        set_debug_flag: bool = True,
        **extra: t.Any,
    ) -> None:
        params: list[click.Parameter] = [*(extra.pop("params", None) or ())]
        params += [_env_file_option, _app_option, _debug_option]
        if add_version_option:
            params.append(version_option)
        settings: MutableMapping[str, t.Any] = {
            "auto_envvar_prefix": "FLASK",
            **(extra.pop("context_settings", None) or {}),
        }
        super().__init__(params=params, context_settings=settings, **extra)
        self.create_app = create_app
        self.load_dotenv = load_dotenv
        self.set_debug_flag = set_debug_flag
        self._loaded_plugin_commands = False
        for command in DEFAULT_COMMANDS if add_default_commands else ():
            self.add_command(command)

    def _load_plugin_commands(self) -> None:
        if self._loaded_plugin_commands:
            return
        # PERF: here, because importing it takes 10 ms, and applications without commands need none.
        import importlib.metadata

        for group in _plugin_groups():
            for entry_point in importlib.metadata.entry_points(group=group):
                self.add_command(entry_point.load(), entry_point.name)
        self._loaded_plugin_commands = True

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """A command by its name: the group's own and plug-ins' first, then the application's.

        :param ctx: the group's context.
        :param name: the command's name.
        :return: the command; None when there is none of that name.
        """
        self._load_plugin_commands()
        # Own commands first: 'run' and 'routes' report for themselves when no application loads.
        command = super().get_command(ctx, name)
        if command is not None:
            return self._own_of_application(ctx, name) or command
        try:
            app = ctx.ensure_object(ScriptInfo).load_app()
        except NoAppException as error:
            from difflib import get_close_matches

            # A mistyped command of ours is one error, which names the right one.
            if not get_close_matches(name, self.commands):
                click.secho(f"Error: {error.format_message()}\n", err=True, fg="red")
            return None
        if (context := _cv_app.get(None)) is None or context.app is not app:
            ctx.with_resource(app.app_context())
        return app.cli.get_command(ctx, name)

    def _own_of_application(self, ctx: click.Context, name: str) -> click.Command | None:
        """An application's own command in place of one that Flask has not, and that loads it anyway."""
        if name not in {"check", "openapi"}:
            return None
        try:
            app = ctx.ensure_object(ScriptInfo).load_app()
        except Exception:  # which the command reports itself
            return None
        command = app.cli.get_command(ctx, name)
        if command is None or isinstance(command, LateCommand):  # Kolben's: its target is not read
            return None
        if (context := _cv_app.get(None)) is None or context.app is not app:
            ctx.with_resource(app.app_context())
        return command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands.

        An application that does not load is reported on standard error, and the list is what is
        known without it.

        :param ctx: the group's context.
        :return: the names, sorted.
        """
        self._load_plugin_commands()
        names = {*super().list_commands(ctx)}
        try:
            names.update(ctx.ensure_object(ScriptInfo).load_app().cli.list_commands(ctx))
        except NoAppException as error:
            click.secho(f"Error: {error.format_message()}\n", err=True, fg="red")
        except Exception:
            from .debugging.frames import format_from_program_on

            click.secho(f"{format_from_program_on(sys.exc_info())}\n", err=True, fg="red")
        return sorted(names)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: t.Any,
    ) -> click.Context:
        """As :meth:`click.Command.make_context`, with a :class:`ScriptInfo` as the ``obj``.

        :param info_name: the command's name.
        :param args: the command line.
        :param parent: the context of the group around this one.
        :param extra: passed to the context.
        :return: the context.
        """
        # Read by app.run(): a program that calls it while it is imported must not block here.
        os.environ["FLASK_RUN_FROM_CLI"] = "true"
        if "obj" not in {**self.context_settings, **extra}:
            reads_dotenv = get_load_dotenv(self.load_dotenv)
            extra["obj"] = ScriptInfo(None, self.create_app, self.set_debug_flag, reads_dotenv)
        return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As :meth:`click.Group.parse_args`, the application known before help is shown.

        :param ctx: the group's context.
        :param args: the command line.
        :return: what is left of it.
        """
        if not args or (len(args) == 1 and args[0] in self.get_help_option_names(ctx)):
            # Help lists the application's commands, and is shown before other options are read.
            for option in (_env_file_option, _app_option):
                option.handle_parse_result(ctx, {}, [])
        return super().parse_args(ctx, args)


def _plugin_groups() -> list[str]:
    """The entry point groups to load.

    Plug-ins of Flask import ``flask``; where that is not Kolben they would bring in the other
    framework, and fail later and less clearly.
    """
    from .loading.shadow import is_installed_as_flask

    return ["flask.commands", "kolben.commands"] if is_installed_as_flask() else ["kolben.commands"]


# --- kolben run -------------------------------------------------------------------------------


@click.command("run", short_help="Run a development server.")
@click.argument("target", required=False, shell_complete=complete_target)
@host_option
@click.option("--port", "-p", default=5000, help="The port to listen on.")
@click.option(
    "--cert",
    type=CertParamType(),
    help="Serve HTTPS with this certificate: a file, 'adhoc' for one that is made up, or the import"
    " name of an ssl.SSLContext.",
    is_eager=True,
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    callback=_validate_key,
    expose_value=False,
    help="The file with the certificate's key.",
)
@click.option(
    "--reload/--no-reload",
    default=None,
    help="Restart when a file of the program is saved. By default in debug mode.",
)
@click.option(
    "--debugger/--no-debugger",
    default=None,
    help="Debug in the browser when an error is raised. By default in debug mode.",
)
@click.option(
    "--live-reload/--no-live-reload",
    default=None,
    help="Reload the page in the browser when a file is saved. By default where the reloader is active.",
)
@click.option(
    "--with-threads/--without-threads",
    default=True,
    help="Answer each request in a thread of its own.",
)
@click.option(
    "--extra-files",
    default=None,
    type=SeparatedPathType(),
    help=f"Further files whose change restarts the server, separated by {os.path.pathsep!r}.",
)
@click.option(
    "--exclude-patterns",
    default=None,
    type=SeparatedPathType(),
    help="Files that match these fnmatch patterns do not restart the server. Patterns are"
    f" separated by {os.path.pathsep!r}.",
)
@click.pass_context
def run_command(ctx: click.Context, /, target: str | None, **options: t.Any) -> None:
    """Run a local development server.

    TARGET is the application, in the forms that '--app' takes, or a program file such as
    'server.py'. A program is run as Python itself would run it. The host, port and debug mode that
    it gives to app.run() hold unless they are given here; when it only defines an application, that
    is served.

    This server is for development only: it is neither fast nor hardened enough for production.

    With '--debug' it restarts when a file is saved, and debugs errors in the browser.
    """
    from .serving.development import CommandLine, run_program, serve_target

    info = ctx.ensure_object(ScriptInfo)
    command_line = CommandLine(
        defaults=_server_options(options),
        given=_given_options(ctx, click.core.ParameterSource.COMMANDLINE),
        from_environment=_given_options(ctx, click.core.ParameterSource.ENVIRONMENT),
    )
    program = _choose_target(info, target)
    if program is None:
        serve_target(info, command_line)
    else:
        run_program(program, command_line)


run_command.params.insert(0, _debug_option)


def _choose_target(info: ScriptInfo, target: str | None) -> str | None:
    """Note the target as the application's place, or answer the program file that it is."""
    if target is None:
        return None
    if info.create_app is not None:
        raise click.UsageError(f"This command has its application already; leave out {target!r}.")
    require_file(target)
    if target.endswith(".py"):
        return target
    info.app_import_path = target
    return None


#: Options of ``run`` and what they are called by ``app.run()`` and Werkzeug.
_SERVER_NAMES: Mapping[str, str] = {
    "host": "host",
    "port": "port",
    "cert": "ssl_context",
    "reload": "use_reloader",
    "debugger": "use_debugger",
    "live_reload": "live_reload",
    "with_threads": "threaded",
    "extra_files": "extra_files",
    "exclude_patterns": "exclude_patterns",
}


def _server_options(options: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {_SERVER_NAMES[name]: value for name, value in options.items()}


def _given_options(ctx: click.Context, source: click.core.ParameterSource) -> dict[str, t.Any]:
    """The options that came from a source, debug mode among them wherever it was given."""
    given = {name: value for name, value in ctx.params.items() if name in _SERVER_NAMES}
    options = _server_options({k: v for k, v in given.items() if _is_given(ctx, k, source)})
    context: click.Context | None = ctx
    while context is not None:
        if _is_given(context, "debug", source):
            options["debug"] = get_debug_flag()
        context = context.parent
    return options


def show_server_banner(debug: bool | None, app_import_path: str | None) -> None:
    """Print what is served; nothing in the process that the reloader started.

    :param debug: whether debug mode is on; None leaves that line out.
    :param app_import_path: the application's name; None leaves that line out.
    """
    banner = {
        f"Serving Kolben app '{app_import_path}'": app_import_path is not None,
        f"Debug mode: {'on' if debug else 'off'}": debug is not None,
        "For production: kolben serve": debug is not None,
    }
    for line, is_known in banner.items():
        if is_known and os.environ.get("WERKZEUG_RUN_MAIN") != "true":
            click.echo(f" * {line}")


# --- kolben shell, kolben routes ----------------------------------------------------------------


def _note_target(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        info = ctx.ensure_object(ScriptInfo)
        info.app_import_path, info._loaded_app = value, None


#: The application as an argument, for commands that need it.
target_argument = click.argument(
    "target",
    required=False,
    callback=_note_target,
    expose_value=False,
    is_eager=True,
    shell_complete=complete_target,
)


@click.command("shell", short_help="Run a shell in the app context.")
@target_argument
@with_appcontext
def shell_command() -> None:
    """Start Python interactively, inside the application's context.

    TARGET is the application, in the forms that '--app' takes.

    The names that the application's shell context processors give are defined in it.
    """
    import code

    app = _cv_app.get().app
    namespace: dict[str, t.Any] = {}
    startup = os.environ.get("PYTHONSTARTUP")
    if startup and os.path.isfile(startup):
        with open(startup, encoding="utf-8") as file:
            exec(compile(file.read(), startup, "exec"), namespace)  # noqa: S102 - the user's own
    namespace.update(app.make_shell_context())
    _complete_names(namespace)
    code.interact(
        banner=f"Python {sys.version} on {sys.platform}\n"
        f"App: {app.import_name}\nInstance: {app.instance_path}",
        local=namespace,
    )


def _complete_names(namespace: dict[str, t.Any]) -> None:
    """Let the tab key complete the shell's names, where the interactive hook set up readline."""
    hook = getattr(sys, "__interactivehook__", None)
    if hook is None:
        return
    with suppress(ImportError):
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(namespace).complete)
    hook()


@click.command("routes", short_help="Show the routes for the app.")
@click.option(
    "--sort",
    "-s",
    type=click.Choice(("endpoint", "methods", "domain", "rule", "match")),
    default="endpoint",
    help="Method to sort routes by. 'match' is the order in which the rules are tried for a request.",
)
@click.option("--all-methods", is_flag=True, help="Show HEAD and OPTIONS methods.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs to read.")
@target_argument
@with_appcontext
def routes_command(sort: str, all_methods: bool, as_json: bool) -> None:
    """List the URL rules of the application, each with its endpoint and methods.

    TARGET is the application, in the forms that '--app' takes. WebSockets, and views that are
    coroutine functions, are marked where there are any.
    """
    from .listing import list_routes

    list_routes(current_app, sort, all_methods, as_json)


# --- Commands whose modules are imported when they are called for -------------------------------


class LateCommand(click.Command):
    """A command that is imported when it is called for, so that the others start quickly.

    :param name: its name.
    :param place: where it is: ``module:name``, the module relative to this package.
    :param short_help: what the list of commands says of it.
    """

    def __init__(self, name: str, place: str, short_help: str) -> None:
        super().__init__(name, short_help=short_help)
        self._place = place

    def _load(self) -> click.Command:
        from importlib import import_module

        module, _, name = self._place.partition(":")
        command: click.Command = getattr(import_module(module, __package__), name)
        return command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: t.Any,
    ) -> click.Context:
        """Make the context of the command that is meant.

        :param info_name: the command's name.
        :param args: the command line.
        :param parent: the context of the group.
        :param extra: passed to the context.
        """
        return self._load().make_context(info_name, args, parent, **extra)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """List the parameters of the command that is meant.

        :param ctx: its context.
        """
        return self._load().get_params(ctx)


#: What :class:`FlaskGroup` has of its own.
DEFAULT_COMMANDS: tuple[click.Command, ...] = (
    run_command,
    shell_command,
    routes_command,
    LateCommand("check", ".checking:check_command", "Find what a deployment misses."),
    LateCommand("new", ".projects.command:new_command", "Begin a project."),
    LateCommand(
        "openapi", ".api.command:openapi_command", "Write or compare the OpenAPI document."
    ),
    LateCommand(
        "exec", ".serving.program:exec_command", "Run a program with Kolben in place of Flask."
    ),
    LateCommand("serve", ".serving.command:serve_command", "Run a production server."),
)

cli = FlaskGroup(
    name="kolben",
    help="""\
A general utility script for Kolben and Flask applications.

An application to load must be given with the '--app' option, the 'FLASK_APP' environment variable,
or with a 'wsgi.py' or 'app.py' file in the current directory; most commands take it as an argument.
""",
)


def main() -> None:
    """The ``kolben`` command: Kolben stands in for Flask, then the command line is obeyed."""
    from .loading.shadow import install_as_flask

    try:
        install_as_flask()
    except RuntimeError as error:
        from .serving.program import start_anew

        start_anew()
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    try:
        cli.main()
    except Exception:
        from .debugging.frames import format_from_program_on

        click.echo(format_from_program_on(sys.exc_info()), err=True, nl=False)
        sys.exit(1)


# To tools that ask for their names, and in pickles, they are part of this module.
for _part in (
    *(CertParamType, CertParamType.__init__, CertParamType.convert),
    *(SeparatedPathType, SeparatedPathType.convert),
    *(NoAppException, find_app_by_string, find_best_app, locate_app, prepare_import),
):
    _part.__module__ = __name__
