"""Tools for testing an application without a server.

``app.test_client()`` answers a :class:`FlaskClient`, ``app.test_cli_runner()`` a
:class:`FlaskCliRunner`; both are Werkzeug's and click's own test tools, told about the application.
"""

from __future__ import annotations

import importlib.metadata
import typing as t
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from copy import copy
from functools import cache
from urllib.parse import urlsplit

import werkzeug.test
from click.testing import CliRunner, Result
from werkzeug.test import Client
from werkzeug.wrappers import Request as BaseRequest

from .cli import ScriptInfo
from .ctx import PRESERVE
from .loading.shadow import announce
from .sessions import SessionMixin  # noqa: TC001 - a name of this module, too

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.test import TestResponse

    from .app import Flask


class EnvironBuilder(werkzeug.test.EnvironBuilder):
    """Builds a WSGI environ whose defaults come from an application's configuration.

    :param app: the application: ``SERVER_NAME``, ``APPLICATION_ROOT`` and
        ``PREFERRED_URL_SCHEME`` are read from its ``config``.
    :param path: path of the request, or a whole URL.
    :param base_url: where the application lives; excludes ``subdomain`` and ``url_scheme``.
    :param subdomain: put in front of ``SERVER_NAME``.
    :param url_scheme: used in place of ``PREFERRED_URL_SCHEME``.
    :param args: further arguments of :class:`werkzeug.test.EnvironBuilder`.
    :param kwargs: further arguments of :class:`werkzeug.test.EnvironBuilder`.
    """

    def __init__(
        self,
        app: Flask,
        path: str = "/",
        base_url: str | None = None,
        subdomain: str | None = None,
        url_scheme: str | None = None,
        *args: t.Any,
        **kwargs: t.Any,
    ) -> None:
        if base_url is None:
            base_url, path = _split_target(app, path, subdomain, url_scheme)
        elif subdomain or url_scheme:
            raise AssertionError(
                'Pass either "base_url", or "subdomain" and "url_scheme", not both.'
            )
        self.app = app
        super().__init__(path, base_url, *args, **kwargs)

    def json_dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        """Serialise ``obj`` with the application's JSON provider.

        :param obj: the value to serialise.
        :param kwargs: passed to ``app.json.dumps``.
        :return: JSON text.
        """
        return self.app.json.dumps(obj, **kwargs)


def _split_target(
    app: Flask, path: str, subdomain: str | None, url_scheme: str | None
) -> tuple[str, str]:
    """Divide a path or URL into the base URL of the application and the path with its query."""
    host = app.config["SERVER_NAME"] or "localhost"
    if subdomain:
        host = f"{subdomain}.{host}"
    url = urlsplit(path)
    scheme = url.scheme or url_scheme or app.config["PREFERRED_URL_SCHEME"]
    root = app.config["APPLICATION_ROOT"].lstrip("/")
    inner = f"{url.path}?{url.query}" if url.query else url.path
    return f"{scheme}://{url.netloc or host}/{root}", inner


@cache
def _user_agent() -> str:
    """Name the client as Werkzeug's does. The version is read from the disk, so once."""
    return f"Werkzeug/{importlib.metadata.version('werkzeug')}"


class FlaskCliRunner(CliRunner):
    """click's test runner, for the commands of one application.

    :param app: the application whose commands are run.
    :param kwargs: arguments of :class:`click.testing.CliRunner`.
    """

    def __init__(self, app: Flask, **kwargs: t.Any) -> None:
        self.app = app
        super().__init__(**kwargs)

    def invoke(  # type: ignore[override]
        self, cli: t.Any = None, args: t.Any = None, **kwargs: t.Any
    ) -> Result:
        """Run a command in isolation, with the application loaded.

        :param cli: the command; by default ``app.cli``.
        :param args: the command line, as a list or text.
        :param kwargs: arguments of :meth:`click.testing.CliRunner.invoke`; ``obj`` defaults to a
            :class:`.ScriptInfo` that knows the application.
        :return: exit status, output and exception.
        """
        kwargs.setdefault("obj", ScriptInfo(create_app=self._get_app))
        return super().invoke(self.app.cli if cli is None else cli, args, **kwargs)

    def _get_app(self) -> Flask:
        return self.app


class FlaskClient(Client):
    """Werkzeug's test client, aware of the application that it talks to.

    Used in a ``with`` block, the contexts of the last request stay in force until the next
    request or the end of the block, so that ``request``, ``session`` and ``g`` can be looked at.

    :param args: arguments of :class:`werkzeug.test.Client`.
    :param kwargs: arguments of :class:`werkzeug.test.Client`.
    """

    application: Flask

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self.preserve_context = False
        #: Contexts handed over by the application during the request that is running.
        self._new_contexts: list[AbstractContextManager[t.Any]] = []
        #: Contexts of the last request, entered again for the test to look at.
        self._context_stack = ExitStack()
        #: Laid under the environ of every request; change it to change all requests.
        self.environ_base = {
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_USER_AGENT": _user_agent(),
        }

    @contextmanager
    def session_transaction(self, *args: t.Any, **kwargs: t.Any) -> Iterator[SessionMixin]:
        """Open the session that the next request will see, to read and change it.

        What was changed is saved, and its cookie kept by the client, when the block ends.

        :param args: arguments of :meth:`.Flask.test_request_context`.
        :param kwargs: arguments of :meth:`.Flask.test_request_context`.
        :return: a context manager that gives the session.
        :raises TypeError: when the client was made with ``use_cookies=False``.
        :raises RuntimeError: when the session interface opened no session.
        """
        if self._cookies is None:
            raise TypeError(
                "Cookies are disabled. Make the client with 'use_cookies=True' to use sessions."
            )
        app = self.application
        context = app.test_request_context(*args, **kwargs)
        request = context.request
        self._add_cookies_to_wsgi(request.environ)
        with context:
            session = app.session_interface.open_session(app, request)
        if session is None:
            raise RuntimeError("Session backend did not open a session: is SECRET_KEY set?")
        yield session
        if app.session_interface.is_null_session(session):
            return
        response = app.response_class()
        with context:
            app.session_interface.save_session(app, session, response)
        self._update_cookies_from_response(
            request.host.partition(":")[0], request.path, response.headers.getlist("Set-Cookie")
        )

    def _copy_environ(self, other: WSGIEnvironment) -> WSGIEnvironment:
        environ = {**self.environ_base, **other}
        if self.preserve_context:
            environ[PRESERVE] = self._new_contexts.append
        return environ

    def _request_from_builder_args(
        self, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]
    ) -> BaseRequest:
        kwargs["environ_base"] = self._copy_environ(kwargs.get("environ_base", {}))
        with closing(EnvironBuilder(self.application, *args, **kwargs)) as builder:
            return builder.get_request()

    def request_from(self, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]) -> BaseRequest:
        """Return the request that the arguments of :meth:`open` describe, with our environ under it.

        :param args: positional arguments of :meth:`open`.
        :param kwargs: its keyword arguments for :class:`EnvironBuilder`.
        """
        source = args[0] if args else None
        if isinstance(source, werkzeug.test.EnvironBuilder):
            # The builder stays the caller's: a copy takes our environ.
            builder = copy(source)
            builder.environ_base = self._copy_environ({**(builder.environ_base or {})})
            return builder.get_request()
        if isinstance(source, dict):
            # As a base, for an environ turned into a builder keeps what describes the request only.
            base = self._copy_environ({})
            return EnvironBuilder.from_environ(
                source, app=self.application, environ_base=base
            ).get_request()
        if isinstance(source, BaseRequest):
            request = copy(source)
            request.environ = self._copy_environ(request.environ)
            return request
        return self._request_from_builder_args(args, kwargs)

    def open(
        self,
        *args: t.Any,
        buffered: bool = False,
        follow_redirects: bool = False,
        **kwargs: t.Any,
    ) -> TestResponse:
        """Make a request to the application.

        :param args: a builder, an environ, a request, or the arguments of :class:`EnvironBuilder`.
        :param buffered: read the whole answer, and close it, before returning.
        :param follow_redirects: follow redirects; :attr:`TestResponse.history` lists them.
        :param kwargs: arguments of :class:`EnvironBuilder`.
        :return: the response.
        """
        request = self.begin_request(args, kwargs)
        response = super().open(request, buffered=buffered, follow_redirects=follow_redirects)
        response.json_module = self.application.json  # type: ignore[assignment]
        self.enter_preserved()
        return response

    def begin_request(self, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]) -> BaseRequest:
        """Return the request that the arguments of :meth:`open` describe, and leave the contexts of the
        one before: they end where the next request begins.

        :param args: positional arguments of :meth:`open`.
        :param kwargs: its keyword arguments for :class:`EnvironBuilder`.
        """
        self.application.engine_plan.look_for_patches(self.application)
        request = self.request_from(args, kwargs)
        self._context_stack.close()
        return request

    def enter_preserved(self) -> None:
        """Put the contexts of the request in force again, the innermost last."""
        contexts = self._new_contexts[:]
        self.drop_preserved()
        for context in contexts:
            self._context_stack.enter_context(context)

    def drop_preserved(self) -> None:
        """Forget the contexts of the request, as that of a redirect which is followed."""
        self._new_contexts.clear()

    def __enter__(self) -> t.Self:
        if self.preserve_context:
            raise RuntimeError(
                "Cannot nest client invocations: this client is already used in a 'with' block."
            )
        self.preserve_context = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.preserve_context = False
        self._context_stack.close()


# It is imported when it is first needed, which agents may wait for.
announce(__name__)
