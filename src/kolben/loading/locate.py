"""Finding the application that a command line names: ``--app``, ``kolben run``, ``FLASK_APP``.

All of it is also importable from :mod:`kolben.cli`.
"""

from __future__ import annotations

import os
import sys
import typing as t

import click

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from ..app import Flask


class NoAppException(click.UsageError):
    """No application could be found or loaded."""

    def show(self, file: t.Any = None) -> None:
        """Print the reason alone: a reminder of the command's usage would bury it.

        :param file: the stream; by default standard error.
        """
        click.echo(f"Error: {self.format_message()}", file=file, err=file is None, color=None)


def find_best_app(module: ModuleType) -> Flask:
    """The application that a module most likely means.

    In order: a name ``app`` or ``application``; the only :class:`Flask` object in the module; what
    ``create_app()`` or ``make_app()`` returns.

    :param module: the module to look into.
    :return: the application.
    :raises NoAppException: when there is none, or more than one to choose from.
    """
    from ..app import Flask

    for name in ("app", "application"):
        app = getattr(module, name, None)
        if isinstance(app, Flask):
            return app
    found = [value for value in vars(module).values() if isinstance(value, Flask)]
    if len(found) == 1:
        return found[0]
    if found:
        where, target = _place_of(module)
        raise NoAppException(
            f"There are {len(found)} applications in {where}. Say which one with '{target}:name'."
        )
    app = _app_from_factory(module)
    if app is not None:
        return app
    where, target = _place_of(module)
    raise NoAppException(
        f"No application or factory was found in {where}. Use '{target}:name' to specify one."
    )


def _place_of(module: ModuleType) -> tuple[str, str]:
    """What a module is called in a sentence, and as a target on the command line."""
    name = module.__name__
    path = getattr(module, "__file__", None)
    if name != "__main__" or path is None:
        return f"module {name!r}", name
    target = os.path.relpath(path)
    return f"the program {target!r}", target


def _app_from_factory(module: ModuleType) -> Flask | None:
    """What the module's factory returns, where it has one that returns an application."""
    from ..app import Flask

    unusable = ""
    for name in ("create_app", "make_app"):
        factory = getattr(module, name, None)
        if factory is None or not callable(factory):
            continue
        where, target = _place_of(module)
        if not _accepts(factory):
            raise NoAppException(
                f"The factory {name!r} in {where} needs arguments. Give them with"
                f" '{target}:{name}(args)'."
            )
        app = factory()
        if isinstance(app, Flask):
            return app
        unusable = f"The factory {name!r} in {where} returns no application but {_describe(app)}."
    if unusable:
        raise NoAppException(unusable)
    return None


def _accepts(function: Callable[..., t.Any], *args: t.Any, **kwargs: t.Any) -> bool:
    """Whether a function can be called so: told apart from a TypeError raised inside it."""
    import inspect

    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:
        # Written in C, with no signature to ask.
        return True
    return True


def find_app_by_string(module: ModuleType, app_name: str) -> Flask:
    """The application that an expression names in a module.

    :param module: the module to look into.
    :param app_name: a name, ``"app"``, or a call with literal arguments, ``"create_app('dev')"``.
    :return: the application.
    :raises NoAppException: when the expression is not of these forms or gives no application.
    """
    from ..app import Flask

    name, args, kwargs = _parse_app_name(app_name)
    try:
        value = getattr(module, name)
    except AttributeError:
        raise NoAppException(
            f"There is no attribute {name!r} in module {module.__name__!r}."
        ) from None
    if callable(value) and not isinstance(value, Flask):
        if not _accepts(value, *(args or ()), **(kwargs or {})):
            raise NoAppException(
                f"The factory {app_name!r} in module {module.__name__!r} does not take these"
                " arguments."
            )
        value = value(*(args or ()), **(kwargs or {}))
    if isinstance(value, Flask):
        return value
    raise NoAppException(
        f"'{module.__name__}:{app_name}' is not an application but {_describe(value)}."
    )


def _describe(value: object) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__!r}"


def _parse_app_name(text: str) -> tuple[str, list[t.Any], dict[str, t.Any]]:
    """Take ``name`` or ``name(literal, key=literal)`` apart."""
    import ast

    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        node = None
    if isinstance(node, ast.Name):
        return node.id, [], {}
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise NoAppException(f"{text!r} is neither a name nor a call of a name.")
    try:
        args = [ast.literal_eval(arg) for arg in node.args]
        kwargs = {str(key.arg): ast.literal_eval(key.value) for key in node.keywords}
    except ValueError:
        raise NoAppException(f"The arguments in {text!r} must be literal values.") from None
    return node.func.id, args, kwargs


def prepare_import(path: str) -> str:
    """Turn a file path or dotted name into a module name, and make it importable.

    :param path: ``"server.py"``, ``"src/server"``, ``"package/__init__.py"`` or ``"package.module"``.
    :return: the name to import; the folder it starts from is put first on :data:`sys.path`.
    """
    path = os.path.realpath(path)
    path = path.removesuffix(".py")
    if os.path.basename(path) == "__init__":
        path = os.path.dirname(path)
    folder, name = os.path.split(path)
    names = [name]
    # A folder with an __init__.py is part of the module's name, not of the search path.
    while os.path.exists(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        names.insert(0, name)
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    return ".".join(names)


def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: bool = True
) -> Flask | None:
    """Import a module and find the application in it.

    :param module_name: the module to import.
    :param app_name: a name or call for :func:`find_app_by_string`; None chooses with
        :func:`find_best_app`.
    :param raise_if_not_found: False answers None when there is no such module.
    :return: the application, or None.
    :raises NoAppException: when the module, or an application in it, cannot be found, or an import
        inside the module fails (its traceback is then part of the message).
    """
    try:
        __import__(module_name)
    except ImportError as error:
        if not _is_missing(module_name, error):
            raise NoAppException(_explain_import_error(module_name)) from None
        if not raise_if_not_found:
            return None
        raise NoAppException(_explain_missing(module_name)) from None
    module = sys.modules[module_name]
    return find_best_app(module) if app_name is None else find_app_by_string(module, app_name)


def _is_missing(module_name: str, error: ImportError) -> bool:
    """Whether the module itself is missing, not one that it imports."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return False
    return f"{module_name}.".startswith(f"{error.name}.")


def _explain_missing(module_name: str) -> str:
    return (
        f"Could not import {module_name!r}: there is no module of that name in {sys.path[0]!r} or on"
        " the Python path. Check the spelling, or run the command in the folder that holds it."
    )


def _explain_import_error(module_name: str) -> str:
    from ..debugging.frames import format_from_program_on

    shown = format_from_program_on(sys.exc_info())
    return f"While importing {module_name!r}, an ImportError was raised:\n\n{shown}"


def require_file(target: str) -> None:
    """See that a program file is there.

    :param target: a target of a command line; what does not end in ``.py`` is no file.
    :raises NoAppException: where it is not there.
    """
    if target.endswith(".py") and not os.path.isfile(target):
        raise NoAppException(
            f"There is no file {target!r} in {os.getcwd()!r}. Check the spelling, or run the command"
            " in the folder that holds it."
        )


def usual_programs() -> list[str]:
    """The program files to try where none is named: ``wsgi.py``, then ``app.py``.

    What is in the current folder comes first: a project that is installed beside this one may have
    a ``wsgi.py`` of its own on the path.
    """
    return sorted(["wsgi.py", "app.py"], key=lambda name: not os.path.isfile(name))


def split_target(target: str) -> tuple[str, str | None]:
    r"""Divide ``path:name`` at its colon, which is not the one of ``C:\path``.

    :param target: the value of ``--app`` or of ``kolben run TARGET``.
    :return: the path, and the name or None.
    """
    drive, rest = os.path.splitdrive(target)
    path, colon, name = rest.partition(":")
    return drive + path, name if colon else None
