"""``X-Forwarded-*`` headers of trusted proxies, under WSGI and ASGI, by Werkzeug's ``ProxyFix``."""

from __future__ import annotations

import typing as t

from werkzeug.middleware.proxy_fix import ProxyFix

_HEADERS = {
    b"x-forwarded-for": "HTTP_X_FORWARDED_FOR",
    b"x-forwarded-proto": "HTTP_X_FORWARDED_PROTO",
    b"x-forwarded-host": "HTTP_X_FORWARDED_HOST",
    b"x-forwarded-prefix": "HTTP_X_FORWARDED_PREFIX",
}

_SOCKET_SCHEMES = {"http": "ws", "https": "wss"}


class ForwardedMiddleware:
    """Takes client, scheme, host and prefix from what the proxies in front have noted.

    Each proxy has to set or to clear all four headers: what it passes on unread comes from the
    client.

    :param app: a WSGI or an ASGI application.
    :param count: the number of proxies; values that others have put in front are not believed.
    """

    def __init__(self, app: t.Any, count: int = 1) -> None:
        self.app = app
        self._fix = ProxyFix(app, x_for=count, x_proto=count, x_host=count, x_prefix=count)
        self._correct = ProxyFix(_take_no_action, count, count, count, x_prefix=count)

    def __call__(self, *args: t.Any) -> t.Any:
        """Answer one request.

        :param args: ``environ, start_response`` of WSGI, or ``scope, receive, send`` of ASGI.
        :return: what the application returns.
        """
        if len(args) == 2:
            return self._fix(*args)
        scope, receive, send = args
        if scope["type"] in {"http", "websocket"}:
            scope = self._forwarded(scope)
        return self.app(scope, receive, send)

    def _forwarded(self, scope: t.Any) -> t.Any:
        """The scope as it was at the outermost trusted proxy.

        The headers go through Werkzeug in a small WSGI environment, so that both kinds of server
        read them alike.
        """
        environ: dict[str, t.Any] = {}
        for name, value in scope["headers"]:
            key = _HEADERS.get(name)
            if key is not None:
                text = value.decode("latin-1")
                # Several headers of one name are one list (RFC 9110, section 5.3).
                environ[key] = f"{environ[key]},{text}" if key in environ else text
        if not environ:
            return scope
        self._correct(environ, _take_no_action)
        scope = {**scope}
        if "REMOTE_ADDR" in environ:
            scope["client"] = (environ["REMOTE_ADDR"], 0)
        if "wsgi.url_scheme" in environ:
            scheme = environ["wsgi.url_scheme"]
            is_socket = scope["type"] == "websocket"
            scope["scheme"] = _SOCKET_SCHEMES.get(scheme, scheme) if is_socket else scheme
        if "HTTP_HOST" in environ:
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope["headers"] = [*others, (b"host", environ["HTTP_HOST"].encode("latin-1"))]
        if "SCRIPT_NAME" in environ:
            scope["root_path"] = environ["SCRIPT_NAME"]
            scope["path"] = environ["SCRIPT_NAME"] + scope["path"]
        return scope


def _take_no_action(*args: t.Any) -> t.Any:
    return ()
