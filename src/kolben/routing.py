"""Finding the rule for a path, and the path for an endpoint, without asking Werkzeug each time.

`RouteIndex` is prepared once from a `werkzeug.routing.Map`. It answers only what it can prove to be
Werkzeug's answer: a plain positive match, or a plain 404. All else (redirects, 405, aliases, web
sockets, subdomains, ...) it leaves to `werkzeug.routing.MapAdapter`, so the two can not drift.

It has three ways, each of which may leave a path to the next one:

1. `RouteIndex.exact`, a table of the paths that are static throughout;
2. functions written for these rules (`route_finder`). They follow what Werkzeug's search would try
   first; the first hit of that search is its answer, whatever else would match;
3. the search itself, in Werkzeug's order (`route_tree`).
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import quote, quote_plus

import werkzeug.routing
from werkzeug.routing import BaseConverter, IntegerConverter, ValidationError

from .route_finder import MOST_SEGMENTS, make_finder, write_finder
from .route_tree import (
    NOT_FOUND,
    OTHERS,
    Answer,
    Found,
    Node,
    NoRoute,
    Planter,
    UnknownShapeError,
    Verdict,
    descend,
    is_werkzeugs,
    search,
    value_names,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .route_finder import Finder
    from .route_tree import MakeTarget

__all__ = [
    "MOST_SEGMENTS",
    "NOT_FOUND",
    "OTHERS",
    "Found",
    "NoRoute",
    "RouteIndex",
    "Rule",
    "value_names",
]

T = TypeVar("T")


# ---------------------------------------------------------------------------------------------
# Rule
# ---------------------------------------------------------------------------------------------


class Rule(werkzeug.routing.Rule):
    """Werkzeug's rule, lenient towards converters whose ``to_url`` does not return text.

    A custom converter may return a number from ``to_url``; the number is written into the URL.
    ``None`` and bytes stay the errors that they are in Werkzeug.
    """

    def get_converter(
        self,
        variable_name: str,
        converter_name: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> BaseConverter:
        """Make the converter for one variable of the rule.

        :param variable_name: the variable's name in the rule.
        :param converter_name: the converter's name in the map.
        :param args: positional arguments written in the rule.
        :param kwargs: keyword arguments written in the rule.
        :raises LookupError: if the map has no such converter.
        """
        converter = super().get_converter(variable_name, converter_name, args, kwargs)
        if not is_werkzeugs(type(converter).to_url):
            # Set on the instance: the converter keeps its class, for whoever looks at it.
            setattr(converter, "to_url", partial(_to_text, converter.to_url))  # noqa: B010
        return converter


#: The rules of which is known how they build their URLs; a subclass may have other ways.
_RULES: Final = (Rule, werkzeug.routing.Rule)


def _to_text(to_url: Callable[[Any], Any], value: Any) -> Any:
    result = to_url(value)
    return result if result is None or isinstance(result, (str, bytes)) else str(result)


class _Unchanged:
    """Marks a map as unchanged since an index was made from it; see `RouteIndex.stamp`."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


def _unsure(segments: list[str], method: str) -> None:
    """Stand where a finder is not written."""


def _static_nodes(node: Node[T], path: str) -> Iterator[tuple[str, Node[T]]]:
    """Yield *node* and those below it that static segments lead to, each with its path."""
    yield path, node
    for text, child in node.static.items():
        yield from _static_nodes(child, f"{path}/{text}")


class RouteIndex(Generic[T]):
    """Answers for a map what can be proven to be Werkzeug's answer, and quickly.

    It holds for requests without host or subdomain matching, that is for adapters bound to the
    map's default subdomain, and not for web sockets.

    :param url_map: any `werkzeug.routing.Map`. The index does not follow its changes: ask
        `current`, and make a new index if it says no.
    :param make_target: called once for each rule that the index may answer with; makes what the
        index shall return for it.
    :param make_other: makes what it shall return for the methods HEAD and OPTIONS instead.

    :ivar exact: path to method to what is found, of static rules. What is in there is the answer;
        what is not may still be answered by `find` or `search`.
    :ivar finders: the functions that `find` has written so far, by the number of segments, as
        ``path.split("/", MOST_SEGMENTS)`` makes them; in all other places what does not know. PERF:
        they can be called without `find`, 0.06 us.
    :ivar url_map: the map.
    :ivar stamp: the map's ``_remap`` as long as the map is unchanged. PERF: inline
        ``index.url_map is url_map and url_map._remap is index.stamp``, 25 ns, for `current`.
    :ivar runs_user_code: whether `search` may call a converter's ``to_python`` that is not
        Werkzeug's; such a function may expect a request context.
    """

    def __init__(
        self,
        url_map: werkzeug.routing.Map,
        make_target: MakeTarget[T],
        make_other: MakeTarget[T] | None = None,
    ) -> None:
        self.url_map = url_map
        self.exact: dict[str, dict[str, Found[T]]] = {}
        self.runs_user_code = False
        self._start: Node[T] | None = None
        self.finders: list[Finder[T]] = [_unsure] * (MOST_SEGMENTS + 2)
        self._complete = False
        self._builders: dict[Any, tuple[_Builder, ...]] = {}
        self._constants: dict[Any, str] = {}
        self.stamp = _stamp(url_map)
        try:
            self._read(url_map, make_target, make_other)
            is_whole = getattr(url_map, "_remap", None) is self.stamp
        except (AttributeError, OverflowError, RuntimeError, UnknownShapeError, re.error):
            # Another Werkzeug, an expression that does not compile, or too deep.
            is_whole = False
        if not is_whole:
            # Or another thread has added a rule meanwhile, which the stamp will tell: leave all to
            # Werkzeug.
            self.exact, self._start = {}, None

    def current(self, url_map: werkzeug.routing.Map) -> bool:
        """Tell whether the index was made from *url_map*, and no rule was added to it since."""
        return self.url_map is url_map and getattr(url_map, "_remap", None) is self.stamp

    def match(self, path: str, method: str) -> tuple[T, dict[str, Any]] | NoRoute | None:
        """Find the rule for a request, by name.

        :param path: the decoded path, such as ``"/user/letian"``.
        :param method: the request's method, in upper case.
        :returns: the rule's target and the values of its variables; `NOT_FOUND` where Werkzeug
            raises `werkzeug.exceptions.NotFound` for this path and method; ``None`` if Werkzeug
            is to be asked.
        :raises Exception: as `search`.
        """
        found = self.exact.get(path, {}).get(method) or self.find(path, method)
        if found is None:
            found = self.search(path, method)
        if found is None or found is NOT_FOUND:
            return found
        rule, values, _, target = found
        return target, dict(zip(value_names(rule), values, strict=True))

    def find(self, path: str, method: str) -> Found[T] | NoRoute | None:
        """Find the rule for most paths with variables, and find out that most other paths have none.

        :param path: the decoded path.
        :param method: the request's method, in upper case.
        :returns: what matched, or `NOT_FOUND`; ``None`` if `search` is to be asked.
        """
        segments = path.split("/", MOST_SEGMENTS)
        count = len(segments)
        finder = self.finders[count]
        if finder is _unsure and self._start is not None and count <= MOST_SEGMENTS:
            finder = self.finders[count] = make_finder(self._start, 1, count)
        return finder(segments, method)

    def search(self, path: str, method: str) -> Found[T] | NoRoute | None:
        """Find the rule for any path that has a plain one.

        :param path: the decoded path.
        :param method: the request's method, in upper case.
        :returns: what matched, or `NOT_FOUND`; ``None`` if Werkzeug is to be asked.
        :raises Exception: what a converter's ``to_python`` raises. On `ValidationError` Werkzeug
            is to be asked (it may answer 405), so ``to_python`` runs a second time then.
        """
        first, *segments = path.split("/")
        # Werkzeug adds or removes slashes at the start of a path, and merges them.
        if self._start is None or first or not segments or "//" in path:
            return None
        texts: list[str] = []
        ending = descend(self._start, segments, method, texts)
        if ending is Verdict.UNDECIDED:
            ending, texts[:] = search(self._start, segments, 0, (), method)
        if isinstance(ending, Answer):
            return ending.reply(texts, method)
        return NOT_FOUND if ending is Verdict.MISSED and self._complete else None

    def source(self) -> str:
        """Return the text of the functions that `find` calls, in Python."""
        if self._start is None:
            return ""
        counts = range(2, MOST_SEGMENTS + 1)
        return "\n\n".join(write_finder(self._start, 1, count)[0] for count in counts)

    def build(self, endpoint: Any, values: dict[str, Any], script_name: str) -> str | None:
        """Make the relative URL for an endpoint.

        :param endpoint: the endpoint, with its blueprint's name.
        :param values: the variables' values; further ones become the query string.
        :param script_name: where the application is mounted, such as ``""`` or ``"/app"``.
        :returns: the URL; ``None`` if Werkzeug is to be asked, be it only for the exact error.
        :raises Exception: what a converter's ``to_url`` raises, except `ValidationError`.
        """
        if not values:
            # PERF: 0.25 µs where there are no variables, else 0.6.
            constant = self._constants.get(endpoint)
            if constant is not None:
                return script_name.rstrip("/") + constant if script_name else constant
        builders = self._builders.get(endpoint)
        if builders is None:
            builders = self._prepare(endpoint)
        if type(values) is not dict:
            # A MultiDict is another matter.
            return None
        for builder in builders:
            try:
                path = builder(values)
            except ValidationError:
                return None
            if path is not None:
                return script_name.rstrip("/") + path if script_name else path
        return None

    def _prepare(self, endpoint: Any) -> tuple[_Builder, ...]:
        if self._start is None:
            return ()
        rules = self.url_map._rules_by_endpoint.get(endpoint, [])
        builders = _builders(rules, self.url_map) if _buildable(rules, self.url_map) else ()
        if rules:
            self._builders[endpoint] = builders
        if len(builders) == 1 and not rules[0].arguments and type(rules[0]) in _RULES:
            self._constants[endpoint] = builders[0]({}) or "/"
        return builders

    def _read(
        self,
        url_map: werkzeug.routing.Map,
        make_target: MakeTarget[T],
        make_other: MakeTarget[T] | None,
    ) -> None:
        if url_map.host_matching or not _is_host(url_map.default_subdomain):
            return
        root = url_map._matcher._root
        domain = root.static.get(url_map.default_subdomain)
        self._complete = not root.dynamic
        self._start = Node()
        if domain is None:
            return
        if domain.dynamic:
            raise UnknownShapeError("a rule does not start with a slash")
        if "" in domain.static:
            planter = Planter(url_map, make_target, make_other)
            self._start = planter.node(domain.static[""], sure=self._complete)
            # Werkzeug adds the slash that the empty path lacks.
            self._start.here.plain = {}
            self.runs_user_code = planter.runs_user_code
            self._fill_exact(self._start)

    def _fill_exact(self, start: Node[T]) -> None:
        for path, node in _static_nodes(start, ""):
            found = {
                method: (answer.rule, (), None, answer.target)
                for method, answer in node.here.plain.items()
                if not answer.variables
            }
            if found:
                self.exact[path] = found


def _stamp(url_map: werkzeug.routing.Map) -> object:
    """Mark the map as unchanged, and return the mark.

    Werkzeug sets ``_remap`` to true when a rule is added, and to false when it has put the rules
    in order. A false value of our own says the same to Werkzeug, and is gone for good after the
    next change. PERF: 25 ns to look at; counting the rules takes 50 µs with 1,000 of them.
    """
    url_map.update()
    mark = getattr(url_map, "_remap", None)
    if isinstance(mark, _Unchanged):
        # Another index has marked the map in its present state.
        return mark
    stamp = _Unchanged()
    setattr(url_map, "_remap", stamp)  # noqa: B010
    return stamp


# ---------------------------------------------------------------------------------------------
# Building URLs
# ---------------------------------------------------------------------------------------------

#: Makes the path and query for values, with one slash at the start, or declines with ``None``.
_Builder: TypeAlias = "Callable[[dict[str, Any]], str | None]"

_LETTERS_AND_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _is_host(text: object) -> bool:
    return isinstance(text, str) and not text.strip(_LETTERS_AND_DIGITS + "._-")


def _buildable(rules: Sequence[werkzeug.routing.Rule], url_map: werkzeug.routing.Map) -> bool:
    """Tell whether the first of the *rules* for which there are values is the one to build.

    Werkzeug prefers a rule with the method of the request. So the rules must not differ in their
    methods. And each must be on the domain of the request, and of its scheme.
    """
    return all(
        not rule.websocket
        and rule.methods == rules[0].methods
        and (rule.subdomain or "") == url_map.default_subdomain
        for rule in rules
    )


def _builders(
    rules: Iterable[werkzeug.routing.Rule], url_map: werkzeug.routing.Map
) -> tuple[_Builder, ...]:
    return tuple(
        partial(_build_by_rule, rule)
        if rule.defaults or url_map.sort_parameters or type(rule) not in _RULES
        else _Template(rule).build
        for rule in rules
    )


def _build_by_rule(rule: werkzeug.routing.Rule, values: dict[str, Any]) -> str | None:
    """Let the rule make its URL, with its defaults or other ways of its own."""
    values = {name: value for name, value in values.items() if value is not None}
    if not rule.suitable_for(values):
        return None
    built = rule.build(values)
    if built is None:
        raise ValidationError
    return "/" + built[1].lstrip("/")


# What Werkzeug leaves as it is, beside letters and digits, in paths and in queries.
_PATH_SAFE = "!$&'()*+,/:;=@"
_QUERY_SAFE = "!$'()*,/:;?@"

# PERF: 0.2 µs where stripping these leaves nothing to be quoted, against 0.6 for urllib's functions.
_PLAIN_IN_PATH = _LETTERS_AND_DIGITS + "_.~-" + _PATH_SAFE
_PLAIN_IN_QUERY = _LETTERS_AND_DIGITS + "_.~-" + _QUERY_SAFE


def _path_text(value: Any) -> str:
    """Do as `BaseConverter.to_url` does."""
    text = str(value)
    # PERF: most words and numbers; 0.05 µs.
    if text.isalnum() and text.isascii():
        return text
    return text if not text.strip(_PLAIN_IN_PATH) else quote(text, safe=_PATH_SAFE)


def _query_text(value: Any) -> str:
    if isinstance(value, bytes):
        return quote_plus(value, safe=_QUERY_SAFE)
    text = str(value)
    return text if not text.strip(_PLAIN_IN_QUERY) else quote_plus(text, safe=_QUERY_SAFE)


def _int_text(value: Any) -> str:
    return str(value if type(value) is int else int(value))


class _Template:
    """The path of a rule without defaults, with gaps for the variables."""

    __slots__ = ("_names", "_opens", "_pieces", "_steps")

    def __init__(self, rule: werkzeug.routing.Rule) -> None:
        pieces = [""]
        steps: list[tuple[int, str, Callable[[Any], str]]] = []
        trace = rule._trace
        for is_variable, text in trace[trace.index((False, "|")) + 1 :]:
            if is_variable:
                steps.append((len(pieces), text, _to_url(rule._converters[text])))
                pieces += "", ""
            else:
                pieces[-1] += quote(text, safe=_PATH_SAFE)
        pieces[0] = "/" + pieces[0].lstrip("/")
        self._pieces = pieces
        self._steps = tuple(steps)
        self._names = tuple(name for _, name, _ in steps)
        self._opens = pieces[0] == "/" and bool(steps)  # a value may bring further slashes

    def build(self, values: dict[str, Any]) -> str | None:
        """Fill the gaps; the values that are left over become the query."""
        for name in self._names:
            if values.get(name) is None:
                return None
        # The query first, as in Werkzeug: of two errors, the same one is raised.
        query = _query(values, self._names) if len(values) > len(self._names) else ""
        pieces = self._pieces.copy()
        for at, name, to_url in self._steps:
            pieces[at] = to_url(values[name])
        path = "".join(pieces)
        if self._opens:
            path = "/" + path.lstrip("/")
        return f"{path}?{query}" if query else path


def _to_url(converter: BaseConverter) -> Callable[[Any], str]:
    """Return the converter's ``to_url``, or what does the same in less time."""
    if type(converter) is IntegerConverter and not converter.fixed_digits:
        return _int_text
    if type(converter).to_url is BaseConverter.to_url:
        return _path_text
    return converter.to_url


def _query(values: dict[str, Any], but: tuple[str, ...]) -> str:
    """Return the query string for all *values* but some; several for one name from a list."""
    pairs: list[str] = []
    for name, value in values.items():
        if name in but or value is None:
            continue
        if not isinstance(name, str):
            # Werkzeug words the error.
            raise ValidationError
        key = _query_text(name)
        if isinstance(value, (list, tuple, set)):
            pairs += [f"{key}={_query_text(item)}" for item in value if item is not None]
        else:
            pairs.append(f"{key}={_query_text(value)}")
    return "&".join(pairs)
