"""The functions that views call: URLs, redirects, files, flashed messages, streaming."""

from __future__ import annotations

import importlib.util
import os
import sys
import typing as t
from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator
from functools import update_wrapper

import werkzeug.utils
from werkzeug.exceptions import abort as _wz_abort
from werkzeug.utils import redirect as _wz_redirect
from werkzeug.wrappers import Response as BaseResponse  # noqa: TC002 - a name of this module, too

from . import files
from .concurrency import in_thread
from .globals import (
    current_app,
    current_request_context,
    find_request_context,
    get_current,
    request,
    request_ctx as request_ctx,
    session as session,
)
from .http.headers import safe_file_name, without_controls
from .signals import message_flashed
from .wrappers import split_blueprint_path

if t.TYPE_CHECKING:
    from datetime import datetime

    from _typeshed.wsgi import WSGIEnvironment

    from .app import Flask
    from .ctx import RequestContext
    from .wrappers import Response

P = t.ParamSpec("P")
T = t.TypeVar("T")

_OFF = frozenset({"0", "false", "no"})


def get_debug_flag() -> bool:
    """Tell whether ``FLASK_DEBUG`` turns debug mode on.

    :return: False if the variable is unset, empty, ``0``, ``false`` or ``no``; True otherwise.
    """
    value = os.environ.get("FLASK_DEBUG", "")
    return value != "" and value.lower() not in _OFF


def get_load_dotenv(default: bool = True) -> bool:
    """Tell whether ``.env`` and ``.flaskenv`` files are to be loaded.

    :param default: the answer while ``FLASK_SKIP_DOTENV`` is unset or empty.
    :return: False if ``FLASK_SKIP_DOTENV`` is set to anything but ``0``, ``false`` or ``no``.
    """
    value = os.environ.get("FLASK_SKIP_DOTENV")
    return value.lower() in _OFF if value else default


# -- streaming ------------------------------------------------------------------------------


@t.overload
def stream_with_context(generator_or_function: Iterator[T]) -> Iterator[T]: ...
@t.overload
def stream_with_context(generator_or_function: AsyncIterator[T]) -> AsyncIterator[T]: ...
@t.overload
def stream_with_context(
    generator_or_function: Callable[P, AsyncIterator[T]],
) -> Callable[P, AsyncIterator[T]]: ...
@t.overload
def stream_with_context(
    generator_or_function: Callable[P, Iterator[T]],
) -> Callable[P, Iterator[T]]: ...
def stream_with_context(generator_or_function: t.Any) -> t.Any:
    """Keep the request context for a response that is produced piece by piece.

    The view has returned by the time its generator runs; with this around it, ``request``,
    ``session`` and ``g`` still work there. The context is in force only while a piece is being
    produced, and its teardown functions run once more when the stream ends, fails, or is closed
    because the client left.

    :param generator_or_function: an iterator, an asynchronous iterator, or a function that
        returns one; a function is decorated.
    :return: an iterator of the same kind, or the decorated function.
    :raises RuntimeError: if there is no request context.
    """
    if hasattr(generator_or_function, "__aiter__"):
        return _AsyncStream(_context_to_keep(), generator_or_function.__aiter__())
    try:
        source = iter(generator_or_function)
    except TypeError:
        return _streaming(generator_or_function)
    stream = _stream(_context_to_keep(), source)
    # The first step only takes the hold. A generator that never started would skip its
    # ``finally`` when it is closed, and with it the teardown.
    next(stream)
    return stream


def _streaming(function: Callable[..., t.Any]) -> Callable[..., t.Any]:
    def start(*args: t.Any, **kwargs: t.Any) -> t.Any:
        return stream_with_context(function(*args, **kwargs))

    return update_wrapper(start, function)


def _context_to_keep() -> RequestContext:
    context = current_request_context()
    if context is None:
        raise RuntimeError(
            "'stream_with_context' needs an active request context: call it in a view function, "
            "not after the request has ended."
        )
    return context


def _stream(context: RequestContext, source: Iterator[T]) -> Iterator[T]:
    context.hold()
    error: BaseException | None = None
    try:
        yield t.cast("T", None)
        while True:
            with context.activate():
                try:
                    piece = next(source)
                except StopIteration:
                    return
            yield piece
    except BaseException as e:
        error = e
        raise
    finally:
        try:
            with context.activate():
                getattr(source, "close", _nothing_to_close)()
        finally:
            context.release(error)


class _AsyncStream(t.Generic[T]):
    """The asynchronous twin of :func:`_stream`.

    A class, because an asynchronous generator cannot be started without an event loop, and the
    hold has to be taken at once.
    """

    def __init__(self, context: RequestContext, source: AsyncIterator[T]) -> None:
        self._context: RequestContext | None = context
        self._source = source
        context.hold()

    def __aiter__(self) -> _AsyncStream[T]:
        return self

    async def __anext__(self) -> T:
        context = self._context
        if context is None:
            raise StopAsyncIteration
        try:
            with context.activate():
                return await self._source.__anext__()
        except StopAsyncIteration:
            await self._finish(None)
            raise
        except BaseException as e:
            await self._finish(e)
            raise

    async def aclose(self) -> None:
        """Close the source, with the context active, and let the context go."""
        await self._finish(GeneratorExit())

    async def _finish(self, error: BaseException | None) -> None:
        context, self._context = self._context, None
        if context is None:
            return
        try:
            close = getattr(self._source, "aclose", None)
            if close is not None:
                with context.activate():
                    await close()
        finally:
            # Its functions may be plain, and this may be a server's event loop.
            await in_thread(context.release, error)

    def __del__(self) -> None:
        # Neither exhausted nor closed: the source cannot be awaited any more, but what the
        # request holds is given back.
        context, self._context = self._context, None
        if context is not None:
            context.release(GeneratorExit())


def _nothing_to_close() -> None:
    pass


# -- responses and URLs ---------------------------------------------------------------------


def make_response(*args: t.Any) -> Response:
    """Make a response object from what a view could return, to set headers on it.

    :param args: nothing for an empty response, one value as a view returns it, or the parts
        (body, status, headers) of a tuple.
    :return: the application's response object.
    """
    context = get_current(None)
    app = current_app if context is None else context.app
    if not args:
        return app.response_class()
    return app.make_response(args[0] if len(args) == 1 else args)


def url_for(
    endpoint: str,
    *,
    _anchor: str | None = None,
    _method: str | None = None,
    _scheme: str | None = None,
    _external: bool | None = None,
    **values: t.Any,
) -> str:
    """Build the URL of an endpoint.

    :param endpoint: the endpoint's name; with a leading ``.``, one of the current blueprint.
    :param _anchor: fragment to append, after ``#``.
    :param _method: the HTTP method, where an endpoint's rules differ by method.
    :param _scheme: ``http``, ``https``, ...; makes the URL external.
    :param _external: True for a URL with scheme and host.
    :param values: the rule's variables; others become the query string.
    :return: the URL.
    :raises werkzeug.routing.BuildError: if no rule fits.
    """
    context = get_current(None)
    # PERF: asked directly, the application is there in 0.03 µs; through the proxy in 0.2 µs. The
    # proxy says what is wrong where there is none.
    app = current_app if context is None else context.app
    return app.url_for(
        endpoint,
        _anchor=_anchor,
        _method=_method,
        _scheme=_scheme,
        _external=_external,
        **values,
    )


def redirect(
    location: str,
    code: int = 302,
    Response: type[BaseResponse] | None = None,  # noqa: N803 (Flask's name)
) -> BaseResponse:
    """Make a response that sends the client elsewhere.

    Inside an application context this is :meth:`.Flask.redirect`.

    :param location: the URL to go to.
    :param code: the status, one of 301, 302, 303, 305, 307, 308.
    :param Response: the response class, where there is no application to ask.
    :return: the response, to be returned from the view.
    """
    if context := get_current(None):
        return context.app.redirect(location, code=code)
    return _wz_redirect(without_controls(location), code=code, Response=Response)


def abort(code: int | BaseResponse, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
    """End the request here with an error.

    Inside an application context this is the application's
    :attr:`~.Flask.aborter`, which may know further codes.

    :param code: the HTTP status, or a response to answer with.
    :param args: passed to the exception, e.g. a description.
    :param kwargs: passed to the exception.
    :raises werkzeug.exceptions.HTTPException: always.
    :raises LookupError: if no exception is known for the code.
    """
    if context := get_current(None):
        context.app.aborter(code, *args, **kwargs)
    _wz_abort(code, *args, **kwargs)


def get_template_attribute(template_name: str, attribute: str) -> t.Any:
    """Get a macro or variable that a template exports, to use it in Python.

    :param template_name: the template's name.
    :param attribute: the name of the macro or variable.
    :return: the macro (callable) or the value.
    :raises AttributeError: if the template exports no such name.
    """
    return getattr(current_app.jinja_env.get_template(template_name).module, attribute)


# -- flashed messages -----------------------------------------------------------------------


def flash(message: str, category: str = "message") -> None:
    """Leave a message for the next request of this session.

    :param message: the text.
    :param category: its kind, by custom ``message``, ``error``, ``info`` or ``warning``.
    """
    # PERF: the context is looked up once; each use of a proxy does it again (0.3 µs).
    context = find_request_context()
    session = context.session
    # Assigned, not appended to: a session that is no dictionary of cookies sees only assignment.
    session["_flashes"] = [*session.get("_flashes", ()), (category, message)]
    if message_flashed.receivers:
        app = context.app
        message_flashed.send(
            app, _async_wrapper=app.ensure_sync, message=message, category=category
        )


def get_flashed_messages(
    with_categories: bool = False, category_filter: Iterable[str] = ()
) -> list[str] | list[tuple[str, str]]:
    """Take the flashed messages out of the session; within one request the answer stays.

    :param with_categories: True for ``(category, message)`` pairs.
    :param category_filter: the categories wanted, all if empty. Of a bare string, every category
        that it contains.
    :return: the messages, oldest first.
    """
    context = find_request_context()
    flashes = context.flashes
    if flashes is None:
        session = context.session
        # Asked first: taking from a session that has none would mark some kinds as modified.
        flashes = session.pop("_flashes") if "_flashes" in session else []
        context.flashes = flashes
    if category_filter:
        wanted = _as_container(category_filter)
        flashes = [pair for pair in flashes if pair[0] in wanted]
    if with_categories:
        return flashes
    return [message for _, message in flashes]


def _as_container(values: Iterable[T]) -> Container[T]:
    return values if isinstance(values, Container) else list(values)


# -- files ----------------------------------------------------------------------------------

# The options with which an answer can be remembered.
_REMEMBERED = frozenset({"mimetype", "as_attachment", "download_name", "max_age"})


def _prepare_send_file_kwargs(**kwargs: t.Any) -> dict[str, t.Any]:
    app = current_app
    if kwargs.get("max_age") is None:
        kwargs["max_age"] = app.get_send_file_max_age
    kwargs.update(
        environ=request.environ,
        use_x_sendfile=app.config["USE_X_SENDFILE"],
        response_class=app.response_class,
        _root_path=app.root_path,
    )
    return kwargs


def _app_and_environ() -> tuple[Flask, WSGIEnvironment]:
    # PERF: a file can be sent without making the request object (0.4 µs), but if there is one,
    # it may have been given another environment.
    context = find_request_context()
    made = context.seen_request
    return context.app, (context.environ if made is None else made.environ)


# Tests put others in their place, which are asked then.
_WERKZEUGS = werkzeug.utils.send_file, werkzeug.utils.send_from_directory


def send_file(
    path_or_file: os.PathLike[t.AnyStr] | str | t.IO[bytes],
    mimetype: str | None = None,
    as_attachment: bool = False,
    download_name: str | None = None,
    conditional: bool = True,
    etag: bool | str = True,
    last_modified: datetime | float | None = None,
    max_age: int | Callable[[str | None], int | None] | None = None,
) -> Response:
    """Answer with a file's contents.

    Never pass a path that a user gave; :func:`send_from_directory` is for those.

    :param path_or_file: a path, relative to the application's root path, or a file opened in
        binary mode.
    :param mimetype: the content type; by default guessed from the name.
    :param as_attachment: True to have the browser save it.
    :param download_name: the name to save it under; by default the path's.
    :param conditional: answer conditional and range requests (RFC 9110, sections 13 and 14).
    :param etag: True to compute one, or the value.
    :param last_modified: modification time, Unix time in seconds or a datetime.
    :param max_age: seconds that a client may keep the file, or a function from the path to it;
        by default :meth:`.Flask.get_send_file_max_age`.
    :return: the response.
    """
    download_name = _sendable_name(path_or_file, download_name)
    if (
        isinstance(path_or_file, (str, os.PathLike))
        and type(path := os.fspath(path_or_file)) is str
        and conditional
        and etag is True
        and last_modified is None
        and werkzeug.utils.send_file is _WERKZEUGS[0]
    ):
        app, environ = _app_and_environ()
        return files.send(
            app,
            environ,
            os.path.join(app.root_path, path),
            app.get_send_file_max_age if max_age is None else max_age,
            mimetype,
            as_attachment,
            download_name,
        )
    return werkzeug.utils.send_file(  # type: ignore[return-value]
        **_prepare_send_file_kwargs(
            path_or_file=path_or_file,
            mimetype=mimetype,
            as_attachment=as_attachment,
            download_name=download_name,
            conditional=conditional,
            etag=_sendable_tag(current_app.root_path, path_or_file) if etag is True else etag,
            last_modified=last_modified,
            max_age=max_age,
        )
    )


def _sendable_tag(directory: t.Any, path_or_file: t.Any) -> bool | str:
    """Return a tag for a file whose name is no UTF-8; True for all others."""
    if isinstance(path_or_file, (str, os.PathLike)):
        path = os.fspath(path_or_file)
        if type(path) is str and not path.isprintable():
            return files.tag_for(os.path.join(current_app.root_path, directory, path))
    return True


def _sendable_name(path_or_file: t.Any, given: str | None) -> str | None:
    """Return the name to save a file under; None for its own, where that can be sent in a header."""
    if given is not None:
        return safe_file_name(given)
    if isinstance(path_or_file, (str, os.PathLike)):
        path = os.fspath(path_or_file)
        if type(path) is str and not path.isprintable():
            return safe_file_name(os.path.basename(path))
    return None


def send_from_directory(
    directory: os.PathLike[str] | str, path: os.PathLike[str] | str, **kwargs: t.Any
) -> Response:
    """Answer with a file below a directory, safe for a path that a user gave.

    :param directory: the directory, relative to the application's root path. Never from a user.
    :param path: the file's path below it.
    :param kwargs: as for :func:`send_file`.
    :return: the response.
    :raises werkzeug.exceptions.NotFound: if there is no such regular file below the directory.
    """
    # PERF: most have an ordinary name, and none of their own (0.1 µs).
    if kwargs.get("download_name") is not None or not (type(path) is str and path.isprintable()):
        kwargs["download_name"] = _sendable_name(path, kwargs.get("download_name"))
        if kwargs.get("etag", True) is True and (tag := _sendable_tag(directory, path)) is not True:
            kwargs["etag"] = tag
    asked = werkzeug.utils.send_file, werkzeug.utils.send_from_directory
    if kwargs.keys() <= _REMEMBERED and asked == _WERKZEUGS:
        app, environ = _app_and_environ()
        found = files.find(app.root_path, os.fspath(directory), os.fspath(path))
        if found is not None:
            if kwargs.get("max_age") is None:
                kwargs["max_age"] = app.get_send_file_max_age
            return files.send(app, environ, found, only_files=True, **kwargs)
    return werkzeug.utils.send_from_directory(  # type: ignore[return-value]
        directory, path, **_prepare_send_file_kwargs(**kwargs)
    )


# -- names and places -----------------------------------------------------------------------


def get_root_path(import_name: str) -> str:
    """Find the directory that a module or package lies in, without importing it.

    :param import_name: the module's name.
    :return: its directory, or the working directory if the module cannot be found.
    :raises RuntimeError: if the module is there but is no file (built in, a namespace package).
    """
    file = getattr(sys.modules.get(import_name), "__file__", None)
    if file is None:
        loader = _find_loader(import_name)
        if loader is None:
            return os.getcwd()
        file = _file_of(loader, import_name)
    if file is None:
        raise RuntimeError(
            f"Module {import_name!r} has no file that would tell its directory (it is built in, a "
            "namespace package, or comes from an import hook). Pass 'root_path'."
        )
    return os.path.dirname(os.path.abspath(file))


def _find_loader(import_name: str) -> t.Any:
    try:
        spec = importlib.util.find_spec(import_name)
    except (ImportError, ValueError):
        return None
    return spec and spec.loader


def _file_of(loader: t.Any, import_name: str) -> str | None:
    if hasattr(loader, "get_filename"):
        return t.cast("str | None", loader.get_filename(import_name))
    # No way to ask the loader (an import hook), so the module itself has to say.
    __import__(import_name)
    return getattr(sys.modules[import_name], "__file__", None)


# Flask's name for it.
_split_blueprint_path = split_blueprint_path
