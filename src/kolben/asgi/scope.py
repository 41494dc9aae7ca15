"""From an ASGI scope to the WSGI environ that a request object is made of."""

from __future__ import annotations

import io
import logging
import re
import sys
import typing as t

from ..ctx import PRESERVE
from ..http.streaming import BODY_KEY, RECEIVE_KEY, FileBody

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .body import Body, Receive

Scope = t.MutableMapping[str, t.Any]

logger = logging.getLogger(__name__)


class _EnvironNames(dict[bytes, str]):
    """The environ's key for each header; empty for one that must not get in.

    PERF: few distinct names arrive; looking one up takes 0.03 µs, making it 0.4 µs.
    """

    # Clients choose the names, so there must be an end to remembering them.
    _MOST = 1000

    def __missing__(self, name: bytes) -> str:
        # An underscore would let X_Forwarded_For pass for X-Forwarded-For.
        key = "" if b"_" in name else f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"
        if len(self) < self._MOST:
            self[name] = key
        return key


_environ_names = _EnvironNames(
    {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}
)


#: A request's target with scheme and host in it, as clients write it to proxies, and some servers pass it on
#: as the path. The host in it counts, not the header's (RFC 9112, section 3.2.2).
_ABSOLUTE = re.compile(r"https?://(?:[^/@]*@)?([^/@]+)(/.*)?", re.IGNORECASE | re.DOTALL)


def is_absolute(path: str) -> bool:
    """Tell whether a path is a whole URL.

    :param path: as the server gives it.
    :return: whether it has a scheme and a host.
    """
    return path[:1] != "/" and _ABSOLUTE.match(path) is not None


def split_path(scope: Scope) -> tuple[str, str]:
    """Return where the application is mounted, and the path below that.

    ASGI's ``path`` holds both, as its ``root_path`` holds the first again; a server or middleware
    of an older kind leaves the first out of ``path``.

    :param scope: the scope of the connection.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path") or ""
    root = root.rstrip("/")
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        path = path[len(root) :]
    return root, path


def disguise(text: str) -> str:
    """Return text as PEP 3333 passes it: its UTF-8 bytes, each as one latin-1 character.

    :param text: a path.
    """
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def make_environ(
    scope: Scope, body: Body | None, receive: Receive | None = None
) -> WSGIEnvironment:
    """Make the WSGI environ (PEP 3333) of an HTTP request.

    :param scope: the scope, of the type ``http`` or ``websocket``.
    :param body: the request's body, None where there is none.
    :param receive: tells when the client leaves.
    :raises Exception: if something in the scope is missing or of the wrong type.
    """
    get = scope.get
    path: str = scope["path"]
    environ: WSGIEnvironment = _BLANK_ENVIRON.copy()
    environ["REQUEST_METHOD"] = get("method", "GET")
    if get("root_path"):
        root, path = split_path(scope)
        environ["SCRIPT_NAME"] = disguise(root)
    host = None
    if path[:1] != "/" and (absolute := _ABSOLUTE.match(path)):
        host, path = absolute[1], absolute[2] or "/"
    environ["PATH_INFO"] = path if path.isascii() else disguise(path)
    if query := get("query_string"):
        environ["QUERY_STRING"] = query.decode("latin-1")
    environ["SERVER_NAME"], port = get("server") or _NO_SERVER
    environ["SERVER_PORT"] = "" if port is None else str(port)
    environ["SERVER_PROTOCOL"] = _protocols[get("http_version")]
    environ["wsgi.url_scheme"] = get("scheme") or "http"
    if body is None:
        environ["wsgi.input"] = io.BytesIO()
    else:
        environ["wsgi.input"] = body.input
        environ["wsgi.input_terminated"] = body.declared is None
        environ[BODY_KEY] = body
    environ["wsgi.errors"] = sys.stderr
    environ["asgi.scope"] = scope
    environ[RECEIVE_KEY] = receive
    headers = get("headers")
    if type(headers) is not list:
        headers = scope["headers"] = list(headers or ())
    expected = len(environ) + len(headers)
    names = _environ_names
    # PERF: by their number it is seen whether one has come twice: a look for each takes 0.1 µs.
    for name, value in headers:
        environ[names[name]] = value.decode("latin-1")
    if len(environ) != expected:
        environ |= _join(headers)
    if "" in environ:
        del environ[""]
    if host is not None:
        environ["HTTP_HOST"] = host
    if client := get("client"):
        environ["REMOTE_ADDR"], port = client[0], client[1]
        environ["REMOTE_PORT"] = "" if port is None else str(port)
    if PRESERVE in scope:
        environ[PRESERVE] = scope[PRESERVE]
    return environ


def _with_room(content: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a dictionary of which a copy has room for the headers of most requests.

    PERF: CPython copies the table as it is, with the places that were taken once. One that has to grow, or
    to be made of its items, takes 0.4 µs more.
    """
    extra = range(len(content), 24)
    roomy = {**content, **dict.fromkeys(map(str, extra))}
    for number in extra:
        del roomy[str(number)]
    return roomy


# What is different for each request is here for its place, so that it need not be made.
_BLANK_ENVIRON: dict[str, t.Any] = _with_room(
    {
        "REQUEST_METHOD": "",
        "SCRIPT_NAME": "",
        "PATH_INFO": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "",
        "SERVER_PORT": "",
        "SERVER_PROTOCOL": "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": None,
        "wsgi.input_terminated": True,
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileBody,
        "asgi.scope": None,
        BODY_KEY: None,
        RECEIVE_KEY: None,
    }
)
_NO_SERVER = ("localhost", None)


class _Protocols(dict[t.Any, str]):
    """The environ's ``SERVER_PROTOCOL`` for each ``http_version``, of which Granian says "1" for 1.0.

    A server must answer versions that do not exist yet (RFC 9110, section 2.5).
    """

    def __missing__(self, version: object) -> str:
        return f"HTTP/{version}"


_protocols = _Protocols(
    {
        None: "HTTP/1.1",
        "": "HTTP/1.1",
        "1": "HTTP/1.0",
        "1.0": "HTTP/1.0",
        "1.1": "HTTP/1.1",
        "2": "HTTP/2",
    }
)


def _join(headers: t.Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Name the headers where some come more than once."""
    named: dict[str, str] = {}
    for name, value in headers:
        key = _environ_names[name]
        text = value.decode("latin-1")
        if key not in named:
            named[key] = text
        else:
            # HTTP/2 may send each cookie as a header of its own (RFC 9113, section 8.2.3).
            named[key] += f"; {text}" if key == "HTTP_COOKIE" else f",{text}"
    return named
