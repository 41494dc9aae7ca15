"""Errors and explanations that are only worth their price in debug mode."""

from __future__ import annotations

import typing as t

from werkzeug.routing import RequestRedirect

from .globals import current_request_context, request_ctx as request_ctx

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2.loaders import BaseLoader

    from .sansio.app import App
    from .sansio.scaffold import Scaffold
    from .wrappers import Request

    Source = tuple[str, str | None, t.Callable[[], bool] | None]


class UnexpectedUnicodeError(AssertionError, UnicodeError):
    """Text and bytes were mixed up in a way that deserves an explanation."""


class DebugFilesKeyError(KeyError, AssertionError):
    """A file was asked for that a form without the right encoding cannot have sent.

    :param request: the request.
    :param key: the name that was asked for.
    """

    def __init__(self, request: Request, key: str) -> None:
        message = (
            f"request.files has no {key!r}, because the form was sent as {request.mimetype!r} and "
            "not as 'multipart/form-data': no file contents were transmitted. Add "
            'enctype="multipart/form-data" to the <form> element.'
        )
        if names := request.form.getlist(key):
            submitted = ", ".join(repr(name) for name in names)
            message += (
                "\n\nThe browser sent only what the file is called. "
                f"This was submitted: {submitted}"
            )
        self.msg = message

    def __str__(self) -> str:
        return self.msg


class FormDataRoutingRedirect(AssertionError):
    """A redirect to the canonical URL would lose the form data that was sent.

    :param request: the request; its ``routing_exception`` is the redirect.
    """

    def __init__(self, request: Request) -> None:
        redirect = request.routing_exception
        assert isinstance(redirect, RequestRedirect)
        message = (
            f"The request went to {request.url!r}, which redirects to the canonical URL "
            f"{redirect.new_url!r}. "
        )
        if redirect.new_url.partition("?")[0] == f"{request.base_url}/":
            message += (
                "The route ends with a slash, and a URL without it is redirected to the one with "
                "it. "
            )
        message += (
            "Send the form to the canonical URL, or redirect with status 307 or 308; otherwise "
            "the browser drops the form data.\n\nThis error is raised in debug mode only."
        )
        super().__init__(message)


def attach_enctype_error_multidict(request: Request) -> None:
    """Make a missing key in ``request.files`` explain a forgotten form encoding.

    :param request: a request whose files are parsed and whose form is not multipart.
    """
    plain: t.Any = type(request.files)

    def get_item(self: t.Any, key: str) -> t.Any:
        if key not in self and key in request.form:
            raise DebugFilesKeyError(request, key)
        return plain.__getitem__(self, key)

    request.files.__class__ = type(
        plain.__name__, (plain,), {"__module__": plain.__module__, "__getitem__": get_item}
    )


# -- where a template was looked for --------------------------------------------------------


def explain_template_loading_attempts(
    app: App, template: str, attempts: list[tuple[BaseLoader, Scaffold, Source | None]]
) -> None:
    """Log which loaders were asked for a template, and with what result.

    :param app: the application, whose logger is used.
    :param template: the template's name.
    :param attempts: the loader, its application or blueprint, and the source it found or None.
    """
    lines = [f"Locating template {template!r}:"]
    for number, (loader, owner, source) in enumerate(attempts, 1):
        lines.append(f"{number:5}: trying loader of {_name_of(owner, app)}")
        lines.extend(f"       {line}" for line in _dump_loader_info(loader))
        lines.append(f"       -> {_outcome(source)}")
    lines.extend(_advice(sum(source is not None for _, _, source in attempts)))
    app.logger.info("\n".join(lines))


def _name_of(owner: Scaffold, app: App) -> str:
    if owner is app:
        return f"application {owner.import_name!r}"
    return f"blueprint {owner.name!r} ({owner.import_name})"


def _dump_loader_info(loader: BaseLoader) -> Iterator[str]:
    yield f"class: {type(loader).__module__}.{type(loader).__name__}"
    for name, value in sorted(vars(loader).items()):
        if not name.startswith("_"):
            yield from _describe_setting(name, value)


def _describe_setting(name: str, value: t.Any) -> Iterator[str]:
    match value:
        case str() | int() | float():
            yield f"{name}: {value!r}"
        case list() | tuple() if all(isinstance(item, str) for item in value):
            yield f"{name}:"
            for item in value:
                yield f"  - {item}"


def _outcome(source: Source | None) -> str:
    return "no match" if source is None else f"found ({source[1] or '<string>'!r})"


def _advice(matches: int) -> Iterator[str]:
    if matches == 1:
        return
    if matches:
        yield "Warning: more than one loader has this template; the first one is used."
    else:
        yield "Error: the template could not be found."
    context = current_request_context()
    if context is not None and (blueprint := context.request.blueprint):
        yield (
            "  The template was looked up from an endpoint that belongs to the blueprint "
            f"{blueprint!r}."
        )
        yield "  Is it in the right folder?"
        yield "  See https://flask.palletsprojects.com/blueprints/#templates"
