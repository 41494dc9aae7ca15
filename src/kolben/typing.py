"""The types of what users hand over: view results, headers, and the functions they register.

Import them to annotate views and hooks, for example
``def index() -> kolben.typing.ResponseReturnValue``.
"""

from __future__ import annotations

import collections.abc as cabc
import typing as t

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from werkzeug.datastructures import Headers
    from werkzeug.sansio.response import Response

# The aliases are evaluated when the module is imported, so a name that only type checkers see
# stands in quotes, and unions with such a name are written ``t.Union``.

#: What alone can become a response: a response object, text, bytes, JSON data, a stream.
#: A mapping, rather than a ``dict``, so that typed dictionaries are accepted.
ResponseValue = t.Union[
    "Response",
    str,
    bytes,
    list[t.Any],
    t.Mapping[str, t.Any],
    t.Iterator[str],
    t.Iterator[bytes],
    cabc.AsyncIterable[str],
    cabc.AsyncIterable[bytes],
]

#: The value of one header, or the values of a header that is sent several times.
HeaderValue = str | list[str] | tuple[str, ...]

#: Several headers, by name.
HeadersValue = t.Union[
    "Headers",
    t.Mapping[str, HeaderValue],
    t.Sequence[tuple[str, HeaderValue]],
]

#: Everything that a view may return: a value, alone or with a status, headers, or both.
ResponseReturnValue = t.Union[
    ResponseValue,
    tuple[ResponseValue, HeadersValue],
    tuple[ResponseValue, int],
    tuple[ResponseValue, int, HeadersValue],
    "WSGIApplication",
]

#: Any response class, so that a hook may name the subclass that its application uses.
ResponseClass = t.TypeVar("ResponseClass", bound="Response")

#: The key of the tables of hooks: the name of a blueprint, or None for the application.
AppOrBlueprintKey = str | None

#: Registered with ``after_request``: takes a response and returns one.
AfterRequestCallable = (
    t.Callable[[ResponseClass], ResponseClass]
    | t.Callable[[ResponseClass], t.Awaitable[ResponseClass]]
)
#: What Flask 2.2 had for ``before_first_request``; nothing takes one any more.
BeforeFirstRequestCallable = t.Callable[[], None] | t.Callable[[], t.Awaitable[None]]
#: Registered with ``before_request``: what it returns, other than None, is the answer.
BeforeRequestCallable = (
    t.Callable[[], ResponseReturnValue | None]
    | t.Callable[[], t.Awaitable[ResponseReturnValue | None]]
)
#: Gives names to ``kolben shell``.
ShellContextProcessorCallable = t.Callable[[], dict[str, t.Any]]
#: Registered with ``teardown_request`` or ``teardown_appcontext``: takes the error that has ended it, or None.
TeardownCallable = (
    t.Callable[[BaseException | None], None] | t.Callable[[BaseException | None], t.Awaitable[None]]
)
#: Gives names to templates.
TemplateContextProcessorCallable = (
    t.Callable[[], dict[str, t.Any]] | t.Callable[[], t.Awaitable[dict[str, t.Any]]]
)
#: A filter of templates: takes what stands before the bar, then its arguments.
TemplateFilterCallable = t.Callable[..., t.Any]
#: A function that templates can call.
TemplateGlobalCallable = t.Callable[..., t.Any]
#: A test of templates, as in ``{% if number is prime %}``.
TemplateTestCallable = t.Callable[..., bool]
#: Registered with ``url_defaults``: takes the endpoint and the values, to which it may add some.
URLDefaultCallable = t.Callable[[str, dict[str, t.Any]], None]
#: Registered with ``url_value_preprocessor``: takes the endpoint and the values of the URL; None and None for a 404.
URLValuePreprocessorCallable = t.Callable[[str | None, dict[str, t.Any] | None], None]

#: Registered with ``errorhandler``. The parameter is ``Any``: one handler may be registered for several exceptions, each time for
#: a class that is narrower than what the type system could prove.
ErrorHandlerCallable = (
    t.Callable[[t.Any], ResponseReturnValue] | t.Callable[[t.Any], t.Awaitable[ResponseReturnValue]]
)

#: A view.
RouteCallable = (
    t.Callable[..., ResponseReturnValue] | t.Callable[..., t.Awaitable[ResponseReturnValue]]
)
