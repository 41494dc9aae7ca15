"""Finding the rule for a path, and the path for an endpoint, without asking Werkzeug each time.

`RouteIndex` is prepared once from a `werkzeug.routing.Map`. It answers only what it can prove to be
Werkzeug's answer: a plain positive match, or a plain 404. All else (redirects, 405, aliases, web
sockets, subdomains, ...) it leaves to `werkzeug.routing.MapAdapter`, so the two cannot drift.

It has three ways, each of which may leave a path to the next one:

1. `RouteIndex.exact`, a table of the paths that are static throughout;
2. functions written for these rules (`finder`). They follow what Werkzeug's search would try
   first; the first hit of that search is its answer, whatever else would match;
3. the search itself, in Werkzeug's order (`tree`).
"""

from __future__ import annotations

import re
import sys
import typing as t
from contextlib import nullcontext

from werkzeug.routing import ValidationError

from .build import LETTERS_AND_DIGITS, RULES, Builder, Rule, buildable, make_builders
from .finder import MOST_SEGMENTS, make_finder, write_finder
from .map import Map
from .tree import (
    NOT_FOUND,
    OTHERS,
    Found,
    Match,
    Node,
    NoRoute,
    Planter,
    UnknownShapeError,
    Verdict,
    descend,
    search,
    value_names,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    import werkzeug.routing

    from .finder import Finder
    from .tree import MakeTarget

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

T = t.TypeVar("T")


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


class RouteIndex(t.Generic[T]):
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
        they can be called without `find`, 0.06 µs.
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
        self._builders: dict[t.Any, tuple[Builder, ...]] = {}
        self._constants: dict[t.Any, str] = {}
        # No rule is added in between: it would not be told by the stamp, or be read in part.
        with url_map._remap_lock if isinstance(url_map, Map) else nullcontext():
            self.stamp = _stamp(url_map)
            try:
                self._read(url_map, make_target, make_other)
                is_whole = getattr(url_map, "_remap", None) is self.stamp
            except (
                AttributeError, KeyError, OverflowError, RuntimeError, UnknownShapeError, re.error,
            ):  # fmt: skip
                # Another Werkzeug, an expression that does not compile, too deep, or changed meanwhile.
                is_whole = False
        if not is_whole:
            # Or another thread has added a rule meanwhile, which the stamp will tell: leave all to
            # Werkzeug.
            self.exact, self._start = {}, None

    def current(self, url_map: werkzeug.routing.Map) -> bool:
        """Tell whether the index was made from *url_map*, and no rule was added to it since."""
        return self.url_map is url_map and getattr(url_map, "_remap", None) is self.stamp

    def match(self, path: str, method: str) -> tuple[T, dict[str, t.Any]] | NoRoute | None:
        """Find the rule for a request, by name.

        :param path: the decoded path, such as ``"/user/letian"``.
        :param method: the request's method, in upper case.
        :return: the rule's target and the values of its variables; `NOT_FOUND` where Werkzeug
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
        :return: what matched, or `NOT_FOUND`; ``None`` if `search` is to be asked.
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
        :return: what matched, or `NOT_FOUND`; ``None`` if Werkzeug is to be asked.
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
        if isinstance(ending, Match):
            return ending.reply(texts, method)
        return NOT_FOUND if ending is Verdict.MISSED and self._complete else None

    def source(self) -> str:
        """Return the text of the functions that `find` calls, in Python."""
        if self._start is None:
            return ""
        counts = range(2, MOST_SEGMENTS + 1)
        return "\n\n".join(write_finder(self._start, 1, count)[0] for count in counts)

    def build(self, endpoint: t.Any, values: dict[str, t.Any], script_name: str) -> str | None:
        """Make the relative URL for an endpoint.

        :param endpoint: the endpoint, with its blueprint's name.
        :param values: the variables' values; further ones become the query string.
        :param script_name: where the application is mounted, such as ``""`` or ``"/app"``.
        :return: the URL; ``None`` if Werkzeug is to be asked, be it only for the exact error.
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

    def _prepare(self, endpoint: t.Any) -> tuple[Builder, ...]:
        if self._start is None:
            return ()
        rules = self.url_map._rules_by_endpoint.get(endpoint, [])
        builders = make_builders(rules, self.url_map) if buildable(rules, self.url_map) else ()
        if rules:
            self._builders[endpoint] = builders
        if len(builders) == 1 and not rules[0].arguments and type(rules[0]) in RULES:
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
            # PERF: without the GIL a thread reads a dictionary of another one's without a lock only where the
            # key in it is the very one, or one that lives for ever, as interned text does: 0.1 µs, not 1.
            found = {
                sys.intern(method): (answer.rule, (), None, answer.target)
                for method, answer in node.here.plain.items()
                if not answer.variables
            }
            if found:
                self.exact[sys.intern(path)] = found


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


def _is_host(text: object) -> bool:
    return isinstance(text, str) and not text.strip(LETTERS_AND_DIGITS + "._-")
