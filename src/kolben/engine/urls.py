"""URLs of an application: its URL map bound to a request or to its server, and quick builds."""

from __future__ import annotations

import sys
import typing as t
import warnings
from urllib.parse import quote

from werkzeug.wsgi import get_host

from ..globals import get_current
from ..http.headers import without_controls
from ..http.readers import refuse_no_host

if t.TYPE_CHECKING:
    from werkzeug.routing import MapAdapter

    from ..app import Flask
    from ..ctx import RequestContext
    from ..wrappers import Request


def bind_to_server(app: Flask) -> MapAdapter | None:
    """Bind the URL map to ``SERVER_NAME``, for URLs outside a request; None without one."""
    config = app.config
    if config["SERVER_NAME"] is None:
        return None
    return app.url_map.bind(
        config["SERVER_NAME"],
        script_name=config["APPLICATION_ROOT"],
        url_scheme=config["PREFERRED_URL_SCHEME"],
    )


def bind_to_request(app: Flask, request: Request) -> MapAdapter:
    """Bind the URL map to a request.

    :raises SecurityError: if the request's host is not one of ``TRUSTED_HOSTS``.
    """
    config = app.config
    server_name: str | None = config["SERVER_NAME"]
    if config["TRUSTED_HOSTS"] is not None:
        request.trusted_hosts = config["TRUSTED_HOSTS"]
    environ = request.environ
    environ.setdefault("wsgi.url_scheme", "http")
    if refuse_no_host(environ.get("HTTP_HOST"), request.trusted_hosts):
        host, environ = "", {**environ, "HTTP_HOST": ""}
    else:
        host = get_host(environ, request.trusted_hosts)
    request.__dict__["host"] = host
    subdomain: str | None = None
    if app.url_map.host_matching:
        # With a server name, Werkzeug would match that in place of the request's host.
        server_name = None
    elif not app.subdomain_matching:
        subdomain = app.url_map.default_subdomain or ""
    elif server_name is not None and not is_below(host, server_name, request.scheme):
        warn_of_other_host(host, server_name)
        subdomain = NO_SUBDOMAIN
    adapter = app.url_map.bind_to_environ(environ, server_name=server_name, subdomain=subdomain)
    if isinstance(adapter.query_args, str):
        # A redirect puts it into a header.
        adapter.query_args = without_controls(adapter.query_args)
    return adapter


def adapter_for(app: Flask, context: RequestContext | None) -> MapAdapter:
    """Return what builds URLs in a request, or outside one where *context* is None.

    :raises RuntimeError: outside a request without ``SERVER_NAME``, and for an untrusted host.
    """
    if context is not None:
        adapter = context.url_adapter
        if adapter is None:
            raise RuntimeError("This request's host is not trusted: it has no URLs.")
        return adapter
    top = get_current(None)
    adapter = app.create_url_adapter(None) if top is None else top.app_context.url_adapter
    if adapter is None:
        raise RuntimeError(
            "Unable to build URLs outside an active request without 'SERVER_NAME'"
            " configured. Configure 'APPLICATION_ROOT' and 'PREFERRED_URL_SCHEME' as"
            " well where they differ from '/' and 'http'."
        )
    return adapter


def build_quickly(
    app: Flask, context: RequestContext, endpoint: str, values: dict[str, t.Any]
) -> str | None:
    """Build a relative URL from the route index, or None where Werkzeug has to."""
    index = app.engine_plan.routes
    if index.url_map is not app.url_map or index.url_map._remap is not index.stamp:
        return None
    if context.seen_request is not None and context.__dict__.get("url_adapter", ...) is None:
        return None  # a host without URLs
    # PERF: without a call where there is nothing to spare (0.06 µs).
    lacks = context.may_lack_environ
    script_name = context.script_name() if lacks else context.environ.get("SCRIPT_NAME", "")
    if not script_name.isascii():
        return None
    return index.build(endpoint, values, script_name)


def quote_anchor(anchor: str) -> str:
    """Quote what follows the ``#`` (WHATWG URL, section 1.3)."""
    return quote(anchor, safe="%!#$&'()*+,/:;=?@")


#: Hosts that are not odd, as far as they are known, so as not to look at each request (0.08 µs). PERF: without the
#: GIL a look into a set takes 0.08 µs beside another thread's, and 0.05 alone: it locks the set. That into a dictionary
#: of interned text does not.
plain_hosts: dict[str, None] = {}


def is_odd_host(host: str | None) -> bool:
    """Tell whether a host name might have no IDNA form, so that no URL map can be bound to it.

    Each label has 1 to 63 characters (RFC 1035, section 2.3.4).

    :param host: the name; None for a request that has none.
    """
    if host is None:
        return False
    is_odd = ".." in host or host[:1] == "." or len(host) > 63
    if not is_odd and len(plain_hosts) < 256:
        plain_hosts[sys.intern(str(host))] = None
    return is_odd


# Matches no rule: what Werkzeug takes for the subdomain of a host that is not the server's.
NO_SUBDOMAIN = "<invalid>"
_DEFAULT_PORTS = {"http": ":80", "ws": ":80", "https": ":443", "wss": ":443"}


def is_below(host: str, server_name: str, scheme: str) -> bool:
    """Tell whether *host* is the server, or one of its subdomains."""
    own = server_name.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ":"))
    return f".{host.lower()}".endswith(f".{own}")


def warn_of_other_host(host: str, server_name: str) -> None:
    """Warn that a request is for a host below which there are no subdomains to match."""
    # In the name of the module that programs name in their warning filters.
    warnings.warn_explicit(
        f"Current server name {host!r} doesn't match configured server name {server_name!r}",
        UserWarning,
        __file__,
        sys._getframe().f_lineno,
        module=sys.modules[f"{__name__.partition('.')[0]}.app"].__name__,
    )
