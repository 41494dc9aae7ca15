"""Headers that tell browsers to be careful, and the refusal of what other sites have browsers send.

Nothing of it is on unless a setting asks for it; ``kolben.secure_defaults`` asks for all of it:

.. code-block:: python

    app.config.from_mapping(kolben.secure_defaults, SECURITY_HSTS=None)  # all but one
"""

from __future__ import annotations

import secrets
import threading
import typing as t
from urllib.parse import urlsplit

from werkzeug.exceptions import Forbidden

from .config import HEADER_SETTINGS
from .globals import find_request_context, get_current, request
from .tables import HookList

if t.TYPE_CHECKING:
    from .app import Flask
    from .wrappers import Response

F = t.TypeVar("F", bound=t.Callable[..., t.Any])

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_EXEMPT = "_kolben_csrf_exempt"
_NONCE = "_kolben_csp_nonce"
_NONCE_SOURCE = " 'nonce-{nonce}'"
_lock = threading.Lock()


def protect(app: Flask) -> None:
    """Have an application keep what its settings promise. Called before its first request.

    :param app: the application.
    """
    config = app.config
    with _lock:
        if any(config.get(name) for name in HEADER_SETTINGS):
            # Hooks after a request run from the last to the first: what the others set, stays.
            _put_first(app.after_request_funcs, add_headers)
            if config.get("SECURITY_CSP"):
                app.jinja_env.globals.setdefault("csp_nonce", csp_nonce)
        if config.get("CSRF_PROTECTION"):
            _put_first(app.before_request_funcs, refuse_foreign_origins)


def _put_first(table: t.Any, hook: t.Callable[..., t.Any]) -> None:
    hooks = table.setdefault(None, HookList())
    if hook not in hooks:
        hooks.insert(0, hook)


# -- headers ----------------------------------------------------------------------------------


def csp_nonce() -> str:
    """Return the nonce of this response, which its scripts and styles have: in a template,
    ``<script nonce="{{ csp_nonce() }}">``.

    It is another one for each response, and stands in its ``Content-Security-Policy`` (CSP 3, section 2.3.1).
    """
    context: t.Any = find_request_context()
    nonce: str | None = context.__dict__.get(_NONCE)
    if nonce is None:
        nonce = context.__dict__[_NONCE] = secrets.token_urlsafe(16)
    return nonce


def add_headers(response: Response) -> Response:
    """Add the headers that the settings ask for, unless the view has set them.

    :param response: the response.
    :return: the same one.
    """
    context: t.Any = find_request_context()
    config, headers = context.app.config, response.headers
    if config.get("SECURITY_NOSNIFF"):
        headers.setdefault("X-Content-Type-Options", "nosniff")
    if frame := config.get("SECURITY_FRAME"):
        headers.setdefault("X-Frame-Options", frame)
    if referrer := config.get("SECURITY_REFERRER"):
        headers.setdefault("Referrer-Policy", referrer)
    policy: str | None = config.get("SECURITY_CSP")
    if policy and "Content-Security-Policy" not in headers:
        # A stream may ask for the nonce when the headers are sent.
        if _NONCE in context.__dict__ or response.is_streamed:
            policy = policy.replace("{nonce}", csp_nonce())
        else:
            policy = policy.replace(_NONCE_SOURCE, "")
        headers["Content-Security-Policy"] = policy
    # Over HTTP browsers ignore it (RFC 6797, section 7.2: it must not be sent).
    if (hsts := config.get("SECURITY_HSTS")) and context.request.is_secure:
        headers.setdefault("Strict-Transport-Security", hsts)
    return response


# -- cross-site requests ----------------------------------------------------------------------


def csrf_exempt(view: F) -> F:
    """Mark a view that takes what other sites have browsers send, as an API for them does.

    :param view: the view function.
    :return: the same function.
    """
    setattr(view, _EXEMPT, True)
    return view


def refuse_foreign_origins() -> None:
    """Refuse a request that changes something, and that another site has made the browser send.

    Browsers say where a request comes from, by ``Sec-Fetch-Site`` (Fetch Metadata) or ``Origin`` (RFC 6454),
    and no page can make them lie. What says neither comes from no browser, and rides on no cookie.

    :raises Forbidden: if it comes from another origin, and not from one of ``CSRF_TRUSTED_ORIGINS``.
    """
    if request.method in _SAFE_METHODS:
        return
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site")
    if site is None and origin is None:
        return
    if site in {"same-origin", "none"} or (site is None and _is_own(origin)):
        return
    app = get_current().app
    if origin is not None and origin in (app.config.get("CSRF_TRUSTED_ORIGINS") or ()):
        return
    view = app.view_functions.get(request.endpoint or "")
    if getattr(view, _EXEMPT, False):
        return
    raise Forbidden("This request comes from a page of another site, from which it is not taken.")


def _is_own(origin: str | None) -> bool:
    """Tell whether an origin has the host that the request was sent to."""
    try:
        parts = urlsplit(origin or "")
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == request.host.lower()
