"""The application's logger and the handler it gets when the program configured none."""

from __future__ import annotations

import logging
import sys
import typing as t

from werkzeug.local import LocalProxy

from .globals import current_request_context, request as request

if t.TYPE_CHECKING:
    from .sansio.app import App


@LocalProxy
def wsgi_errors_stream() -> t.TextIO:
    """The stream for error messages: the server's (:pep:`3333`, ``wsgi.errors``) while a request
    is handled, else :data:`sys.stderr`.

    Name it as ``ext://kolben.logging.wsgi_errors_stream`` in a :func:`logging.config.dictConfig`.
    """
    context = current_request_context()
    if context is None:
        return sys.stderr
    return t.cast("t.TextIO", context.request.environ["wsgi.errors"])


#: The form of all lines: the application's, the server's and the framework's own.
LOG_FORMAT = "[%(asctime)s] %(levelname)s in %(module)s: %(message)s"

#: Writes to :data:`wsgi_errors_stream` with time, level and module. Added to the application's
#: logger when nothing else would handle its messages.
default_handler: logging.StreamHandler[t.TextIO] = logging.StreamHandler(
    t.cast("t.TextIO", wsgi_errors_stream)
)
default_handler.setFormatter(logging.Formatter(LOG_FORMAT))


def _is_left_to_us(record: logging.LogRecord) -> bool:
    return not logging.root.handlers


# The framework's own messages, where the program has configured no logging: the standard library
# would write them without time and level.
_own_handler = logging.StreamHandler(t.cast("t.TextIO", wsgi_errors_stream))
_own_handler.setLevel(logging.WARNING)
_own_handler.setFormatter(logging.Formatter(LOG_FORMAT))
_own_handler.addFilter(_is_left_to_us)
logging.getLogger("kolben").addHandler(_own_handler)


def printable(text: str) -> str:
    """Return what a client sent, fit for one line of a log.

    :param text: a path, a host, a method, ...
    :return: the text, with control characters, line ends of every kind and other characters that
        print nothing as :func:`repr` writes them.
    """
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else repr(c)[1:-1] for c in text])


def shown_error(error: BaseException) -> t.Any:
    """Return an error for the ``exc_info`` of a log entry, its traceback from the program on.

    The frames of the framework and the server that stand above the program's first are left out.

    :param error: the error.
    """
    # Imported here: a program that raises nothing does without.
    from .debugging.frames import from_program_on

    return from_program_on((type(error), error, error.__traceback__))


def has_level_handler(logger: logging.Logger) -> bool:
    """Say whether a message of the logger's effective level would reach a handler.

    :param logger: the logger whose handlers, and those of its parents as far as messages
        propagate, are looked at.
    """
    level = logger.getEffectiveLevel()
    handlers = [*logger.handlers]
    while logger.propagate and logger.parent is not None:
        logger = logger.parent
        handlers += logger.handlers
    return any(handler.level <= level for handler in handlers)


def create_logger(app: App) -> logging.Logger:
    """Return the logger named after the application, ready for use.

    In debug mode a logger without a level gets :data:`logging.DEBUG`. Where no handler would take
    its messages, :data:`default_handler` is added.

    :param app: the application, whose ``name`` the logger gets.
    """
    logger = logging.getLogger(app.name)
    if app.debug and logger.level == logging.NOTSET:
        logger.setLevel(logging.DEBUG)
    # Asked when the level is settled, which decides whether a handler counts.
    is_heard = has_level_handler(logger)
    if not is_heard:
        logger.addHandler(default_handler)
    return logger
