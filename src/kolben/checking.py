"""``kolben check``: what a deployment of an application misses, one line for each.

Each finding says what is missing, why that matters, and the setting that mends it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import threading
import traceback
import typing as t
from importlib.machinery import PathFinder

import click

from .app import Flask
from .cli import ScriptInfo
from .listing import complete_target
from .serving.worker import LoadError, Target, choose_interface, load, websocket_rules

if t.TYPE_CHECKING:
    from collections.abc import Iterator

#: Keys that stand in tutorials, and what people type in their place.
_GUESSED = frozenset(
    [
        "dev",
        "development",
        "secret",
        "secretkey",
        "secret_key",
        "secret-key",
        "mysecret",
        "key",
        "test",
        "testing",
        "changeme",
        "password",
        "supersecret",
        "s3cr3t",
        "abc",
        "123",
        "1234",
        "12345",
        "123456",
        "hunter2",
    ]
)
#: Bytes from which on a key is too long to be tried out.
_KEY_LENGTH = 16

#: Extensions that do not work, on Flask 3.1 as little as here, each with the reason and what to use. All but
#: flask_sockets cannot even be imported.
BROKEN_EXTENSIONS = {
    "flask_cache": ("it imports what Werkzeug has not had since 1.0", "flask-caching"),
    "flask_jwt": ("it imports what Python has not had since 3.10", "flask-jwt-extended"),
    "flask_mongoengine": ("it imports Flask's JSONEncoder, gone since 2.3", "mongoengine itself"),
    "flask_oauth": ("it is for Python 2", "authlib"),
    "flask_restplus": ("it imports what Werkzeug has not had since 1.0", "flask-restx"),
    "flask_script": ("it imports what Flask has not had since 2.0", "commands: @app.cli.command()"),
    "flask_sockets": ("no route of its matches since Werkzeug 2.0", "@app.websocket()"),
    "flask_triangle": ("it imports what Jinja has not had since 3.1", "Jinja's own {% raw %}"),
    "flask_uploads": ("it imports what Werkzeug has not had since 1.0", "flask-reuploaded"),
}
#: Of these, what can be imported. Another that was imported is a fork, or was mended.
_IMPORTABLE = frozenset({"flask_sockets"})

#: What a process without us in Flask's place finds out: who imports Flask itself beside our application.
_BESIDE = """
import json, os, sys

class Watch:
    importer = None

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "flask" and cls.importer is None:
            frame = sys._getframe(1)
            while frame and frame.f_globals.get("__name__", "").startswith("importlib"):
                frame = frame.f_back
            cls.importer = frame.f_globals.get("__name__") if frame else "?"
        return None

sys.meta_path.insert(0, Watch)
from kolben.cli import ScriptInfo
try:
    ScriptInfo(json.loads(sys.argv[1])).load_app()
except BaseException:
    Watch.importer = None
flask = sys.modules.get("flask")
is_beside = flask is not None and flask is not sys.modules["kolben"]
print()
print(json.dumps(Watch.importer if is_beside else None), flush=True)
os._exit(0)  # whatever threads the program has started
"""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is missing.

    :param id: its name, for ``--ignore``.
    :param level: ``error`` or ``warning``.
    :param what: what is missing.
    :param why: why that matters.
    :param mend: the setting that mends it.
    """

    id: str
    level: str
    what: str
    why: str
    mend: str

    def __str__(self) -> str:
        return f"{self.level} [{self.id}] {self.what}: {self.why}. {self.mend}"


def check(app: Flask, interface: str = "auto", proxy_count: int | None = None) -> list[Finding]:
    """Find what a deployment of an application misses.

    :param app: the application.
    :param interface: ``wsgi`` or ``asgi``, as the server has it; ``auto`` for what suits.
    :param proxy_count: how many proxies are in front; None if that is not known.
    """
    found = (
        *_modes(app),
        *_keys(app),
        *_cookies(app),
        *_requests(app, proxy_count),
        *_websockets(app, interface),
        *_other_flask(),
        *_routes(app),
        *_typed_views(app),
        *_extensions(),
    )
    return [Finding(*one) for one in found]


_Found: t.TypeAlias = "Iterator[tuple[str, str, str, str, str]]"


def _typed_views(app: Flask) -> _Found:
    """What an API's document cannot be made of; names that are resolved late are among it."""
    for published in app.extensions.get("kolben.api", ()):
        try:
            published.document()
        except TypeError as error:
            yield (
                "api-document", "error", str(error).rstrip("."),
                "the view cannot be served, and the API has no document",
                "Mend the signature, or import what it names.",
            )  # fmt: skip
        else:
            from .api.lint import findings

            yield from findings(published.operations)


def _modes(app: Flask) -> _Found:
    if app.debug:
        yield (
            "debug", "error", "Debug mode is on", "a visitor who causes an error may run code",
            "Unset FLASK_DEBUG, DEBUG = False.",
        )  # fmt: skip
    if app.testing:
        yield (
            "testing", "error", "TESTING is on", "errors end requests instead of being answered",
            "TESTING = False.",
        )  # fmt: skip


def _keys(app: Flask) -> _Found:
    keys = {"The secret key": app.secret_key}
    for number, key in enumerate(app.config["SECRET_KEY_FALLBACKS"] or (), 1):
        keys[f"Key {number} of SECRET_KEY_FALLBACKS"] = key
    mend = "SECRET_KEY = what python -c 'import secrets; print(secrets.token_hex())' prints."
    if not app.secret_key:
        yield (
            "secret-key-missing", "error", "There is no secret key",
            "sessions, flashes and signed cookies do not work", mend,
        )  # fmt: skip
    for name, key in keys.items():
        if not key:
            continue
        text = key.decode("latin-1") if isinstance(key, bytes) else str(key)
        if text.lower() in _GUESSED or len(set(text)) < 6:
            yield (
                "secret-key-guessable", "error", f"{name} can be guessed",
                "one who guesses it can make any session", mend,
            )  # fmt: skip
        elif len(text) < _KEY_LENGTH:
            yield (
                "secret-key-short", "error", f"{name} has {len(text)} characters only",
                "it can be tried out on one cookie", mend,
            )  # fmt: skip


def _cookies(app: Flask) -> _Found:
    config = app.config
    if not config["SESSION_COOKIE_SECURE"]:
        yield (
            "cookie-secure", "warning", "The session cookie is not Secure",
            "it is sent over plain HTTP, too, where it can be read", "SESSION_COOKIE_SECURE = True.",
        )  # fmt: skip
    if not config["SESSION_COOKIE_SAMESITE"]:
        yield (
            "cookie-samesite", "warning", "The session cookie has no SameSite",
            "some browsers send it with other sites' forms", 'SESSION_COOKIE_SAMESITE = "Lax".',
        )  # fmt: skip
    if not config["SESSION_COOKIE_HTTPONLY"]:
        yield (
            "cookie-httponly", "warning", "The session cookie is not HttpOnly",
            "an injected script can read it", "SESSION_COOKIE_HTTPONLY = True.",
        )  # fmt: skip


def _requests(app: Flask, proxy_count: int | None) -> _Found:
    if not app.config["TRUSTED_HOSTS"]:
        yield (
            "trusted-hosts", "warning", "Any Host header is believed",
            "URLs in pages and mails may lead to a host of the sender's choice",
            'TRUSTED_HOSTS = ["www.example.com"].',
        )  # fmt: skip
    if app.config["MAX_CONTENT_LENGTH"] is None:
        yield (
            "body-limit", "warning", "Bodies have no limit", "one request can fill memory and disk",
            "MAX_CONTENT_LENGTH = 16 * 1024 * 1024.",
        )  # fmt: skip
    known = app.config.get("PROXY_COUNT", proxy_count)
    if known is None and not _has_proxy_middleware(app):
        yield (
            "proxies", "warning", "Nothing says whether proxies are in front",
            "behind one, scheme, host and client address are the proxy's",
            "PROXY_COUNT = N, which kolben serve heeds; 0 if there is none. Or ProxyFix.",
        )  # fmt: skip


def _has_proxy_middleware(app: Flask) -> bool:
    layer: t.Any = app.wsgi_app
    for _ in range(20):
        if type(layer).__name__ in {"ProxyFix", "ForwardedMiddleware"}:
            return True
        layer = getattr(layer, "app", None) or getattr(layer, "wsgi_app", None)
        if layer is None or layer is app:
            break
    return False


def _websockets(app: Flask, interface: str) -> _Found:
    if interface == "auto":
        interface = choose_interface(app)[0]
    rules, others = websocket_rules(app)
    if others:
        yield (
            "websocket-needs-socket", "warning", f"The WebSocket {others[0]} has a plain view, as flask-sock's",
            "it needs the socket itself, which 'kolben serve' does not hand out",
            "kolben exec -- gunicorn --threads 100 ..., or @app.websocket.",
        )  # fmt: skip
    if "socketio" in app.extensions:
        yield (
            "websocket-needs-socket", "warning", "Flask-SocketIO answers clients by long polling alone",
            "its WebSocket needs the socket itself, which 'kolben serve' does not hand out",
            "kolben exec -- gunicorn --threads 100 ..., or @app.websocket.",
        )  # fmt: skip
    if rules and interface == "wsgi":
        yield (
            "websocket-on-wsgi", "error", f"The WebSocket {rules[0]} is served over WSGI",
            "WSGI has no WebSockets", "kolben serve --interface asgi, or another ASGI server.",
        )  # fmt: skip


def _other_flask() -> _Found:
    flask = sys.modules.get("flask")
    # Its name says nothing: standing in for Flask's, our class has the name of Flask's module.
    if getattr(flask, "Flask", Flask) is not Flask:
        yield (
            "real-flask", "error", "Flask itself is loaded beside Kolben",
            "its request, session and current_app know nothing of this application",
            "kolben.install_as_flask() before anything imports flask, or kolben serve.",
        )  # fmt: skip


def beside(path: str | None) -> Finding | None:
    """Find out, in a process of its own, whether Flask itself is loaded beside the application.

    Where the command has put us in Flask's place, nothing can be; other servers do not do that.

    :param path: the application, as ``--app`` takes it.
    """
    if PathFinder.find_spec("flask") is None:
        return None
    command = [sys.executable, "-c", _BESIDE, json.dumps(path)]
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
        importer = json.loads(done.stdout.rpartition("\n\n")[2] or "null")
        if importer is not None:
            return Finding(
                "real-flask",
                "warning",
                f"{importer} imports Flask itself beside Kolben",
                "its request, session and current_app know nothing of this application, except under"
                " kolben serve and kolben exec, which put Kolben in Flask's place",
                "kolben.install_as_flask() before anything imports flask.",
            )
    return None


def _routes(app: Flask) -> _Found:
    seen: dict[t.Any, t.Any] = {}
    for rule in app.url_map.iter_rules():
        shape = re.sub(r"<(?:([^:<>]*):)?[^<>]*>", lambda m: f"<{m[1] or 'default'}>", rule.rule)
        for method in sorted((rule.methods or {"GET"}) - {"HEAD", "OPTIONS"}):
            key = shape, rule.subdomain, rule.host, rule.websocket, method
            first = seen.setdefault(key, rule)
            if first is not rule and first.endpoint != rule.endpoint and not rule.redirect_to:
                yield (
                    "hidden-route", "error", f"{method} {rule.rule} never reaches {rule.endpoint!r}",
                    f"{first.rule} of {first.endpoint!r} is the same", "Give one another path.",
                )  # fmt: skip


def _extensions(loaded: t.Container[str] = sys.modules) -> _Found:
    for name in _IMPORTABLE:
        if name in loaded:
            yield _broken(name)


def _broken(name: str) -> tuple[str, str, str, str, str]:
    why, instead = BROKEN_EXTENSIONS[name]
    return ("extension", "error", f"{name} does not work", why, f"Use {instead}.")


def _is_fork(module: str) -> bool:
    """Tell whether a module is another distribution's than the one of its name: flask-reuploaded is one."""
    names = importlib.metadata.packages_distributions().get(module) or []
    return bool(names) and module not in {name.lower().replace("-", "_") for name in names}


def _broken_in(error: BaseException) -> list[Finding]:
    """Find the extensions, known not to work, in whose import a program has ended."""
    names = sorted(_modules_in(error) & BROKEN_EXTENSIONS.keys())
    return [Finding(*_broken(name)) for name in names if not _is_fork(name)]


def _modules_in(error: BaseException | None) -> set[str]:
    """The outermost packages in which an error, or what it follows from, was raised."""
    found: set[str] = set()
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            found.add(str(frame.f_globals.get("__name__")).partition(".")[0])
        error = error.__cause__ or error.__context__
    return found


@click.command("check", short_help="Find what a deployment misses.")
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
@click.option("--ignore", multiple=True, metavar="ID", help="Leave out findings of this name.")
@click.option(
    "--interface",
    type=click.Choice(("auto", "wsgi", "asgi")),
    default="auto",
    show_default=True,
    help="How the server calls the application.",
)
@click.option("--proxy-count", type=click.IntRange(0), help="How many proxies are in front.")
@click.pass_context
def check_command(
    ctx: click.Context,
    /,
    target: str | None,
    as_json: bool,
    ignore: tuple[str, ...],
    interface: str,
    proxy_count: int | None,
) -> None:
    """Find what a deployment of an application misses.

    TARGET is the application, in the forms that '--app' takes. The exit status is 0 if nothing is
    found, 1 if anything is, and 2 if the application cannot be loaded.
    """
    info = ctx.ensure_object(ScriptInfo)
    place = Target(target) if target else Target(info.app_import_path, info.create_app)
    threads = set(threading.enumerate())
    try:
        # What the program prints is none of the findings.
        with contextlib.redirect_stdout(sys.stderr):
            # Other servers leave debug mode as the program has set it.
            app = load(place, sets_debug=False)
    except LoadError as error:
        click.echo(f"Error: {error}", err=True)
        for finding in _broken_in(error):
            click.echo(str(finding), err=True)
        _end(2, threads)
    findings = check(app, interface, proxy_count)
    if place.create_app is None and (found := beside(place.path)) is not None:
        findings.append(found)
    findings = [one for one in findings if one.id not in ignore]
    if as_json:
        click.echo(json.dumps({"findings": [dataclasses.asdict(one) for one in findings]}))
    else:
        click.echo("\n".join(map(str, findings)) or "Nothing is missing.")
    _end(1 if findings else 0, threads)


def _end(status: int, threads: set[threading.Thread]) -> t.NoReturn:
    """End the command, also where a thread that the program has started would go on."""
    others = set(threading.enumerate()) - threads - {threading.current_thread()}
    if all(thread.daemon for thread in others):
        sys.exit(status)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
