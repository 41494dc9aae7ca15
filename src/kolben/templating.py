"""Jinja2 templates: the environment, the loader that asks all blueprints, and rendering."""

from __future__ import annotations

import typing as t

from .globals import (
    current_app as current_app,
    current_request_context,
    find_app,
    get_current,
    request as request,
)
from .helpers import stream_with_context
from .lazy import late_names
from .signals import before_render_template, template_rendered

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import (
        BaseLoader as BaseLoader,
        Template as Template,
        TemplateNotFound as TemplateNotFound,
    )

    from .app import Flask
    from .jinja import DispatchingJinjaLoader as DispatchingJinjaLoader, Environment as Environment

_OF_JINJA = (
    "BaseEnvironment",
    "BaseLoader",
    "DispatchingJinjaLoader",
    "Environment",
    "Template",
    "TemplateNotFound",
)
__getattr__, __dir__ = late_names(__name__, **dict.fromkeys(_OF_JINJA, "kolben.jinja"))


# -- the context ----------------------------------------------------------------------------


def _default_template_ctx_processor() -> dict[str, t.Any]:
    """Return ``g`` and ``request``, as far as there is a context to take them from.

    ``session`` is known to templates as a global: handing it over here would mark it as used.
    """
    context = get_current(None)
    if context is None:
        return {}
    names: dict[str, t.Any] = {"g": context.app_context.g}
    if (request_context := context.request_context) is not None:
        names["request"] = request_context.request
    return names


def add_processed_names(app: Flask, context: dict[str, t.Any]) -> None:
    """Add to a template's context what the context processors return.

    Names that are in the context already stay as they are; among processors the later wins,
    and those of the current blueprint, the innermost last, run after the application's.

    :param app: the application whose processors are asked.
    :param context: the template's context, changed in place.
    """
    processors = _processors_in_force(app)
    is_plain = processors.count(_default_template_ctx_processor) == len(processors)
    if is_plain and app.engine_plan.short_way:  # else a program's own ensure_sync() is asked
        # PERF: no copy of the context where nothing but the default has a say: 0.7 µs, not 1.
        for name, value in _default_template_ctx_processor().items():
            context.setdefault(name, value)
        return
    given = context.copy()
    for processor in processors:
        context.update(app.ensure_sync(processor)())
    context.update(given)


def _processors_in_force(app: Flask) -> list[t.Callable[..., t.Any]]:
    registered = app.template_context_processors
    processors: list[t.Callable[..., t.Any]] = registered[None]
    if len(registered) > 1 and (context := get_current(None)) and context.request_context:
        for name in reversed(context.request_context.blueprint_names()):
            if name in registered:
                processors = processors + registered[name]
    return processors


# -- rendering ------------------------------------------------------------------------------


def render_template(
    template_name_or_list: str | Template | list[str | Template], **context: t.Any
) -> str:
    """Render a template from the template folders.

    :param template_name_or_list: the template's name; of a list, the first that exists.
    :param context: the names that the template may use.
    :return: the text.
    :raises jinja2.TemplateNotFound: if there is no such template.
    """
    app = _app()
    return _render(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def render_template_string(source: str, **context: t.Any) -> str:
    """Render a template that is given as text.

    :param source: the template itself.
    :param context: the names that the template may use.
    :return: the text.
    """
    app = _app()
    return _render(app, app.jinja_env.from_string(source), context)


def stream_template(
    template_name_or_list: str | Template | list[str | Template], **context: t.Any
) -> Iterator[str]:
    """Render a template piece by piece, to be returned from a view as it is.

    :param template_name_or_list: the template's name; of a list, the first that exists.
    :param context: the names that the template may use.
    :return: an iterator over the text.
    :raises jinja2.TemplateNotFound: if there is no such template.
    """
    app = _app()
    return _stream(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def stream_template_string(source: str, **context: t.Any) -> Iterator[str]:
    """Render a template that is given as text, piece by piece.

    :param source: the template itself.
    :param context: the names that the template may use.
    :return: an iterator over the text.
    """
    app = _app()
    return _stream(app, app.jinja_env.from_string(source), context)


def _app() -> Flask:
    return find_app()


def _render(app: Flask, template: Template, context: dict[str, t.Any]) -> str:
    app.update_template_context(context)
    _announce(before_render_template, app, template, context)
    text = template.render(context)
    _announce(template_rendered, app, template, context)
    return text


def _stream(app: Flask, template: Template, context: dict[str, t.Any]) -> Iterator[str]:
    app.update_template_context(context)
    _announce(before_render_template, app, template, context)
    pieces = _pieces(app, template, context)
    return pieces if current_request_context() is None else stream_with_context(pieces)


def _pieces(app: Flask, template: Template, context: dict[str, t.Any]) -> Iterator[str]:
    yield from template.generate(context)
    _announce(template_rendered, app, template, context)


def _announce(signal: t.Any, app: Flask, template: Template, context: dict[str, t.Any]) -> None:
    if signal.receivers:
        signal.send(app, _async_wrapper=app.ensure_sync, template=template, context=context)
