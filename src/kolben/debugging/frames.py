"""Whose code a frame of a traceback is: the program's, or that of the framework and its servers."""

from __future__ import annotations

import os
import sys
import sysconfig
import typing as t
from functools import cache
from itertools import takewhile

if t.TYPE_CHECKING:
    from types import FrameType, TracebackType

#: Packages that stand between a server and a view. Errors in them are seldom theirs.
_FRAMEWORK = frozenset(
    (
        "kolben",
        "werkzeug",
        "flask",
        "click",
        "blinker",
        "jinja2",
        "asgiref",
        "granian",
        "uvicorn",
        "h11",
        "wsproto",
        "hypercorn",
        "gunicorn",
        "waitress",
        "asyncio",
        "concurrent",
        "threading",
        "socketserver",
        "http",
        "contextlib",
        "importlib",
        "runpy",
        "contextvars",
        "json",
    )
)


@cache
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {os.path.realpath(paths[name]) for name in names} | {paths[name] for name in names}
    return tuple(folder.rstrip(os.sep) + os.sep for folder in folders)


def is_framework(module: str) -> bool:
    """Tell whether a module belongs to Kolben, to what it stands on, or to a server.

    :param module: its name.
    """
    return module.partition(".")[0] in _FRAMEWORK


def is_own(file_name: str, module: str) -> bool:
    """Tell whether code is the program's own: neither the framework's nor an installed library's.

    :param file_name: the file that a frame names.
    :param module: the name of its module.
    """
    if is_framework(module) or file_name.startswith("<frozen"):
        return False
    return not os.path.realpath(file_name).startswith(_library_folders())


def _steps(traceback: TracebackType | None) -> t.Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def frames_of(error: BaseException) -> list[FrameType]:
    """Return the frames of an error's traceback, the innermost last.

    :param error: the error.
    """
    return [step.tb_frame for step in _steps(error.__traceback__)]


def _module_of(step: TracebackType) -> str:
    return str(step.tb_frame.f_globals.get("__name__", ""))


def from_program_on(exc_info: t.Any) -> t.Any:
    """Leave out the frames of the framework that stand above the program's first.

    :param exc_info: an error, as :func:`sys.exc_info` returns it.
    :return: the same, with the inner part of its traceback; all of it where no frame is another's,
        and none of it where a program could not be compiled: the error itself names the line.
    """
    kind, error, traceback = exc_info
    inner = next((s for s in _steps(traceback) if not is_framework(_module_of(s))), None)
    if inner is None and not isinstance(error, SyntaxError):
        inner = traceback
    return kind, error, inner


def format_from_program_on(exc_info: t.Any) -> str:
    """Write an error for a terminal, its traceback as :func:`from_program_on` shortens it.

    What runs below the program's last line, such as the registering of a route, is counted only.

    :param exc_info: the error, as :func:`sys.exc_info` returns it.
    """
    import traceback

    kind, error, inner = from_program_on(exc_info)
    if inner is None or error.__cause__ or error.__context__ or hasattr(error, "exceptions"):
        return "".join(traceback.format_exception(kind, error, inner))
    steps = list(_steps(inner))
    below = len(list(takewhile(lambda step: is_framework(_module_of(step)), reversed(steps))))
    if below in (0, 1, len(steps)):
        return "".join(traceback.format_exception(kind, error, inner))
    shown = traceback.format_tb(inner, len(steps) - below)
    note = f"  ... {below} frames of the framework\n"
    head = "Traceback (most recent call last):\n"
    return "".join([head, *shown, note, *traceback.format_exception_only(kind, error)])


def place_of(error: BaseException) -> str:
    """Say in which line of the program an error was raised: the innermost of its own.

    :param error: the error.
    :return: such as ``views.py, line 12, in show_user()``; "" where none is the program's own.
    """
    own = [
        step
        for step in _steps(error.__traceback__)
        if is_own(step.tb_frame.f_code.co_filename, _module_of(step))
    ]
    if not own:
        return ""
    code = own[-1].tb_frame.f_code
    return f"{short_path(code.co_filename)}, line {own[-1].tb_lineno}, in {code.co_name}()"


def short_path(path: str) -> str:
    """Return a path as a reader knows it: relative to the working folder if it lies below it.

    :param path: the path.
    """
    for folder in (os.getcwd(), *sys.path):
        if folder and path.startswith(folder.rstrip(os.sep) + os.sep):
            return path[len(folder.rstrip(os.sep)) + 1 :]
    return path
