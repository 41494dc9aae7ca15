"""Which host a request is for: can a URL map be bound to it, and is it the configured one."""

from __future__ import annotations

import sys
import warnings
from functools import lru_cache


@lru_cache(maxsize=256)
def is_odd_host(host: str) -> bool:
    """Tell whether a host name might have no IDNA form, so that no URL map can be bound to it.

    Each label has 1 to 63 characters (RFC 1035, section 2.3.4).
    """
    return ".." in host or host[:1] == "." or len(host) > 63


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
    shadows = sys.modules.get("flask") is sys.modules[__package__ or ""]
    warnings.warn_explicit(
        f"Current server name {host!r} doesn't match configured server name {server_name!r}",
        UserWarning,
        __file__,
        sys._getframe().f_lineno,
        module="flask.app" if shadows else f"{__package__}.app",
    )
