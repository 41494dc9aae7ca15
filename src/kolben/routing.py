"""Finding the rule for a path, and the path for an endpoint, without asking Werkzeug each time.

`RouteIndex` is prepared once from a `werkzeug.routing.Map`. It answers only what it can prove to be
Werkzeug's answer: a plain positive match, or a plain 404. All else (redirects, 405, aliases, web
sockets, subdomains, ...) it leaves to `werkzeug.routing.MapAdapter`, so the two can not drift.

How the proof goes. Werkzeug keeps its rules in a tree with one level for each segment of the path,
and searches it depth first: the static branch, then the variable ones in the order of their weights.
The index is the same tree in the same order, with all that depends on the rules alone worked out
beforehand: which rule a method gets at a node, which test a variable segment needs, which converters
run. Three quick ways stand in front of it. They hold what the search would try *first*, and the
first hit of a depth-first search is its answer, whatever else would match:

1. `RouteIndex.exact`: a path that is static throughout.
2. `RouteIndex._one_variable`: a static beginning, then one variable as the last segment.
3. `_Node.first`: the tree itself, down the static branch or else the first variable way, never back.
"""

from __future__ import annotations

import re
import uuid
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import quote, quote_plus

import werkzeug.routing
from werkzeug.routing import (
    BaseConverter,
    FloatConverter,
    IntegerConverter,
    UUIDConverter,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from werkzeug.routing.matcher import State
    from werkzeug.routing.rules import RulePart

__all__ = ["NOT_FOUND", "NoRoute", "RouteIndex", "Rule"]

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
        if not _is_werkzeugs(type(converter).to_url):
            # Set on the instance: the converter keeps its class, for whoever looks at it.
            setattr(converter, "to_url", partial(_to_text, converter.to_url))  # noqa: B010
        return converter


#: The rules of which is known how they build their URLs; a subclass may have other ways.
_RULES: Final = (Rule, werkzeug.routing.Rule)


def _is_werkzeugs(function: object) -> bool:
    return getattr(function, "__module__", None) == BaseConverter.__module__


def _to_text(to_url: Callable[[Any], Any], value: Any) -> Any:
    result = to_url(value)
    return result if result is None or isinstance(result, (str, bytes)) else str(result)


# ---------------------------------------------------------------------------------------------
# What the search finds
# ---------------------------------------------------------------------------------------------


class NoRoute(Enum):
    """The type of `NOT_FOUND`, so that type checkers can tell it from a match."""

    NOT_FOUND = "no rule matches this path"


#: `RouteIndex.match` returns this where Werkzeug raises `werkzeug.exceptions.NotFound`.
NOT_FOUND: Final = NoRoute.NOT_FOUND

#: Turns the text of a variable into its value; ``None`` leaves it as it is.
_Convert: TypeAlias = "Callable[[str], Any] | None"


class _Unchanged:
    """Marks a map as unchanged since an index was made from it; see `RouteIndex.stamp`."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


class _Answer(Generic[T]):
    """A rule that matched, prepared for answering.

    :ivar target: what the index's user wants to have for this rule.
    :ivar variables: name and conversion of each variable, in the order of the rule.
    :ivar is_plain: whether the values are those of the path, no more and no less.
    :ivar rivals: rules whose defaults may make them the better URL for the same values; Werkzeug
        redirects there.
    :ivar runs_user_code: whether a converter is not Werkzeug's own.
    """

    __slots__ = ("defaults", "is_plain", "rivals", "runs_user_code", "target", "variables")

    def __init__(
        self, rule: werkzeug.routing.Rule, target: T, rivals: Sequence[werkzeug.routing.Rule]
    ) -> None:
        converters = rule._converters
        self.target = target
        self.runs_user_code = not all(
            _is_werkzeugs(type(converter).to_python) for converter in converters.values()
        )
        self.variables = tuple(
            (name, _conversion(converter, quick=not self.runs_user_code))
            for name, converter in converters.items()
        )
        self.defaults = rule.defaults
        self.rivals = rivals
        self.is_plain = not self.defaults and not rivals

    def reply(self, texts: Sequence[str], method: str) -> tuple[T, dict[str, Any]] | None:
        """Convert the *texts* of the variables, and check what only their values tell.

        :returns: as `RouteIndex.match`.
        """
        values: dict[str, Any] = {}
        at = 0
        try:
            for name, convert in self.variables:
                text = texts[at]
                values[name] = text if convert is None else convert(text)
                at += 1
        except ValueError as error:
            if self.runs_user_code and not isinstance(error, ValidationError):
                raise
            return None
        if not self.is_plain:
            values.update(self.defaults or ())
            if any(rival.suitable_for(values, method) for rival in self.rivals):
                return None
        return self.target, values


class _Verdict(Enum):
    """What a search comes to, other than an answer."""

    ASK = "a rule, but only Werkzeug knows what follows: a redirect, mostly"
    MISSED = "no rule for this path"
    REFUSED = "no rule for this path and method, but one for another method or a web socket"
    UNDECIDED = "the first ways to try lead nowhere, others were left out"


_ASK: Final = _Verdict.ASK
_MISSED: Final = _Verdict.MISSED
_REFUSED: Final = _Verdict.REFUSED
_UNDECIDED: Final = _Verdict.UNDECIDED

_Ending: TypeAlias = "_Answer[T] | _Verdict"


def _conversion(converter: BaseConverter, *, quick: bool) -> _Convert:
    """Return what turns a variable's text into its value.

    :param quick: allow a builtin type in place of ``to_python``. It does the same, but raises
        `ValueError` where ``to_python`` raises `ValidationError` (an integer of 5,000 digits).
    """
    kind = type(converter)
    if kind.to_python is BaseConverter.to_python:
        return None
    if quick and kind is UUIDConverter:
        return uuid.UUID
    if quick and isinstance(converter, (IntegerConverter, FloatConverter)):
        bounded = converter.fixed_digits or converter.min is not None or converter.max is not None
        if not bounded and kind in _NUMBERS:
            return _NUMBERS[kind]
    return converter.to_python


_NUMBERS: dict[type, Callable[[str], Any]] = {IntegerConverter: int, FloatConverter: float}


# ---------------------------------------------------------------------------------------------
# The tree
# ---------------------------------------------------------------------------------------------


class _Endings(Generic[T]):
    """Who answers if the path ends here: by method, then for every other method.

    :ivar refusing: whether there is a rule at all, so that no answer may mean a 405.
    :ivar plain: those in *by_method* who need but the texts of the variables and builtin types.
    """

    __slots__ = ("by_method", "otherwise", "plain", "refusing")

    def __init__(self) -> None:
        self.by_method: dict[str, _Ending[T]] = {}
        self.otherwise: _Ending[T] | None = None
        self.plain: dict[str, _Answer[T]] = {}
        self.refusing = False

    def add(self, methods: Iterable[str] | None, ending: _Ending[T]) -> None:
        """Let a further rule have the methods that no rule before it took."""
        if self.otherwise is not None:
            return
        if methods is None:
            self.otherwise = ending
            return
        for method in methods:
            self.by_method.setdefault(method, ending)

    def other(self, method: str) -> _Ending[T]:
        """Return who answers a *method* that is not in *by_method*."""
        if not method.isupper():
            # Werkzeug looks for the method in upper case.
            return _REFUSED
        return self.otherwise or (_REFUSED if self.refusing else _MISSED)


#: At nodes without rules, which are most.
_NOBODY: Final[_Endings[Any]] = _Endings()


class _UnknownShapeError(Exception):
    """Werkzeug's tree has something in it that the index does not know."""


#: A test that no text passes, and so leads nowhere.
_NOWHERE: tuple[Callable[[str], object], Any] = (frozenset[str]().__contains__, None)


class _Node(Generic[T]):
    """One state of the search: a beginning of a path, with all ways to go on.

    :ivar static: next node by the exact text of the next segment.
    :ivar variable: the other ways, in the order in which to try them.
    :ivar here: who answers if the path ends here.
    :ivar lenient: who answers if nothing but a slash is left, and nobody else wants it.
    :ivar barren: whether a segment that neither *static* nor *first* takes proves that no rule
        matches, if the search never left another way out.
    :ivar first: the test of the first way in *variable*, and where it leads, if its segment is a
        single variable that is not empty; else a test that nothing passes.
    """

    __slots__ = ("barren", "first", "here", "lenient", "static", "variable")

    def __init__(self) -> None:
        self.static: dict[str, _Node[T]] = {}
        self.variable: tuple[_Variable[T], ...] = ()
        self.here: _Endings[T] = _NOBODY
        self.lenient: _Endings[T] = _NOBODY
        self.barren = False
        self.first: tuple[Callable[[str], object], _Node[T]] = _NOWHERE


_GROUP = "__werkzeug_"
_WHOLE = re.compile(rf"\(\?P<{_GROUP}0>(.*)\)\\Z", re.DOTALL)

#: Tests for whole segments that need no regular expression, by the converter's expression.
#: PERF: 25 ns instead of 150 ns. A segment holds no slash; ``\d`` is what `str.isdecimal` tests.
_TESTS: dict[str, Callable[[str], object]] = {
    "[^/]{1,}": bool,
    "[^/]+": bool,
    r"\d+": str.isdecimal,
}

#: The same for all that is left of a path. PERF: 150 ns instead of 400 ns, for it does not look for
#: the end at each character.
_FINAL_TESTS: dict[str, Callable[[str], object]] = {"[^/].*?": re.compile(r"[^/].*\Z").match}


class _Variable(Generic[T]):
    """A way on through a segment (or, if *final*, through all that is left) with variables in it.

    :ivar test: true if the text is fine; a match object unless *whole*.
    :ivar whole: whether the text is the value of a single variable, from end to end.
    :ivar groups: else, the groups of the match with the values, after group 0.
    :ivar suffixed: whether the expression's last group is an optional slash at the end.
    """

    __slots__ = ("final", "groups", "node", "suffixed", "test", "whole")

    def __init__(self, part: RulePart, node: _Node[T]) -> None:
        pattern = re.compile(part.content)
        inner = _inner_expression(part.content)
        numbers = sorted(
            (_group_number(name), group)
            for name, group in pattern.groupindex.items()
            if name.startswith(_GROUP)
        )
        if part.suffixed and not part.final:
            raise _UnknownShapeError("only a final part has an optional slash at its end")
        self.node = node
        self.final = part.final
        self.suffixed = part.suffixed
        self.whole = inner is not None and not part.suffixed
        self.groups = (0, *(group for _, group in numbers))
        self.test: Callable[[str], Any] = pattern.match
        if self.whole:
            self.test = (_FINAL_TESTS if part.final else _TESTS).get(inner or "", pattern.match)


def _group_number(name: str) -> int:
    number = name.removeprefix(_GROUP)
    if not number.isdecimal():
        raise _UnknownShapeError("an expression with a group that is named like Werkzeug's")
    return int(number)


def _inner_expression(content: str) -> str | None:
    """Return the converter's expression if *content* is one variable from end to end.

    An expression that compiles on its own has balanced brackets; so the group around it is one.
    """
    whole = _WHOLE.fullmatch(content)
    if whole is None:
        return None
    try:
        re.compile(whole[1])
    except re.error:
        return None
    return whole[1]


#: What follows a static beginning whose first variable way is a single, whole segment: the static
#: ways on, the test of the segment, and by method the target, the variable's name and conversion.
_OneVariable: TypeAlias = (
    "tuple[Mapping[str, object], Callable[[str], Any], dict[str, tuple[T, str, _Convert]]]"
)


class _Planter(Generic[T]):
    """Makes the tree of an index from Werkzeug's."""

    def __init__(
        self, url_map: werkzeug.routing.Map, make_target: Callable[[werkzeug.routing.Rule], T]
    ) -> None:
        self._by_endpoint = url_map._rules_by_endpoint
        self._make_target = make_target
        self.runs_user_code = False
        self._endings: dict[int, _Ending[T]] = {}
        self._givers = {
            endpoint: [rule for rule in rules if rule.defaults]
            for endpoint, rules in self._by_endpoint.items()
        }

    def node(self, state: State, *, sure: bool) -> _Node[T]:
        """Return the node for *state*; *sure* says that the first ways to it leave out no other."""
        node: _Node[T] = _Node()
        only = sure and len(state.dynamic) == 1
        node.variable = tuple(
            _Variable(part, self.node(child, sure=only)) for part, child in state.dynamic
        )
        for text, child in state.static.items():
            after = node.static[text] = self.node(child, sure=sure and not state.dynamic)
            if not text:
                # More would take two slashes in a row: such paths are left to Werkzeug.
                after.static, after.variable, after.first = {}, (), _NOWHERE
        for way in node.variable[:1]:
            if way.whole and not way.final and not way.test(""):
                node.first = way.test, way.node
        node.barren = sure and (not node.variable or (only and node.first is not _NOWHERE))
        slashed = state.static[""].rules if "" in state.static else []
        if state.rules or slashed:
            node.here = self._endings_of(state.rules)
            # The path lacks just the slash at the end: Werkzeug redirects, or doesn't mind.
            for rule in _for_http(slashed):
                node.here.add(rule.methods, _ASK if rule.strict_slashes else self._ending(rule))
            node.here.plain = {
                method: ending
                for method, ending in node.here.by_method.items()
                if isinstance(ending, _Answer) and ending.is_plain and not ending.runs_user_code
            }
        lenient = [rule for rule in state.rules if not rule.strict_slashes]
        if lenient:
            node.lenient = self._endings_of(lenient)
        return node

    def _endings_of(self, rules: list[werkzeug.routing.Rule]) -> _Endings[T]:
        endings: _Endings[T] = _Endings()
        endings.refusing = bool(rules)
        for rule in _for_http(rules):
            endings.add(rule.methods, self._ending(rule))
        return endings

    def _ending(self, rule: werkzeug.routing.Rule) -> _Ending[T]:
        # By identity: rules are not hashable.
        ending = self._endings.get(id(rule))
        if ending is None:
            ending = self._endings[id(rule)] = self._new_ending(rule)
        return ending

    def _new_ending(self, rule: werkzeug.routing.Rule) -> _Ending[T]:
        if rule.redirect_to is not None or rule.alias:
            return _ASK
        answer = _Answer(rule, self._make_target(rule), tuple(self._rivals(rule)))
        self.runs_user_code = self.runs_user_code or answer.runs_user_code
        return answer

    def _rivals(self, rule: werkzeug.routing.Rule) -> Iterator[werkzeug.routing.Rule]:
        for rival in self._givers[rule.endpoint]:
            if rival is rule:
                # Those after the rule itself come after it in Werkzeug's order, too.
                return
            if rival.provides_defaults_for(rule):
                yield rival


def _for_http(rules: Iterable[werkzeug.routing.Rule]) -> Iterator[werkzeug.routing.Rule]:
    return (rule for rule in rules if not rule.websocket)


def _static_nodes(node: _Node[T], path: str) -> Iterator[tuple[str, _Node[T]]]:
    """Yield *node* and those below it that static segments lead to, each with its path."""
    yield path, node
    for text, child in node.static.items():
        yield from _static_nodes(child, f"{path}/{text}")


# ---------------------------------------------------------------------------------------------
# The search
# ---------------------------------------------------------------------------------------------


def _descend(node: _Node[T], segments: Iterable[str], method: str, texts: list[str]) -> _Ending[T]:
    """Do as `_search` does, but follow only the first way at each node, without a way back.

    That decides nearly all paths: what it finds is what the search finds first, and what it does
    not find is not there if no other way was left out. PERF: 0.5 µs for two integers, against 1.6.

    :param node: where the search starts.
    :param segments: the segments of the path from there.
    :param texts: gets the texts of the variables.
    """
    left_out = False
    rest = iter(segments)
    for segment in rest:
        child = node.static.get(segment)
        if child is not None:
            if node.variable or not segment:
                # Behind an empty segment comes `lenient`, too.
                left_out = True
            node = child
            continue
        for way in node.variable:
            text = "/".join((segment, *rest)) if way.final else segment
            match = way.test(text)
            if match:
                break
            if way.final:
                return _UNDECIDED
        else:
            return _MISSED if segment and not left_out else _UNDECIDED
        if way.suffixed:
            return _UNDECIDED
        texts += (text,) if way.whole else match.group(*way.groups)[1:]
        left_out = left_out or len(node.variable) > 1
        node = way.node
    ending = node.here.by_method.get(method) or node.here.other(method)
    if left_out and (ending is _MISSED or ending is _REFUSED):
        return _UNDECIDED
    return ending


def _search(
    node: _Node[T], segments: list[str], at: int, texts: tuple[str, ...], method: str
) -> tuple[_Ending[T], tuple[str, ...]]:
    """Find who answers a path: depth first, in Werkzeug's order.

    :param node: where the search stands.
    :param segments: all segments of the path.
    :param at: the index of the first segment to look at.
    :param texts: the texts of the variables up to there.
    :returns: who answers, with the texts of all variables; or why nobody does.
    """
    if at == len(segments):
        return node.here.by_method.get(method) or node.here.other(method), texts
    segment = segments[at]
    refused = False
    for found in _ways_on(node, segments, at, texts, method):
        if found[0] is not _MISSED and found[0] is not _REFUSED:
            return found
        refused = refused or found[0] is _REFUSED
    ending: _Ending[T] = _MISSED
    if not segment and at + 1 == len(segments):
        ending = node.lenient.by_method.get(method) or node.lenient.other(method)
    return _REFUSED if refused and ending is _MISSED else ending, texts


def _ways_on(
    node: _Node[T], segments: list[str], at: int, texts: tuple[str, ...], method: str
) -> Iterator[tuple[_Ending[T], tuple[str, ...]]]:
    """Follow each way that leads on from *node*, one after the other."""
    child = node.static.get(segments[at])
    if child is not None:
        yield _search(child, segments, at + 1, texts, method)
    for way in node.variable:
        text = "/".join(segments[at:]) if way.final else segments[at]
        match = way.test(text)
        if not match:
            continue
        after = len(segments) if way.final else at + 1
        if way.suffixed and match.groups()[-1] == "/":
            # The slash at the end is a segment of its own, an empty one.
            after -= 1
        more = (text,) if way.whole else match.group(*way.groups)[1:]
        yield _search(way.node, segments, after, texts + more, method)


class RouteIndex(Generic[T]):
    """Answers for a map what can be proven to be Werkzeug's answer, and quickly.

    It holds for requests without host or subdomain matching, that is for adapters bound to the
    map's default subdomain, and not for web sockets.

    :param url_map: any `werkzeug.routing.Map`. The index does not follow its changes: ask
        `current`, and make a new index if it says no.
    :param make_target: called once for each rule that the index may answer with; makes what the
        index shall return for it.

    :ivar exact: path to method to target, of static rules. What is in there is the answer; what
        is not may still be answered by `match`.
    :ivar url_map: the map.
    :ivar stamp: the map's ``_remap`` as long as the map is unchanged. PERF: inline
        ``index.url_map is url_map and url_map._remap is index.stamp``, 25 ns, for `current`.
    :ivar runs_user_code: whether `match` may call a converter's ``to_python`` that is not
        Werkzeug's; such a function may expect a request context.
    """

    def __init__(
        self,
        url_map: werkzeug.routing.Map,
        make_target: Callable[[werkzeug.routing.Rule], T],
    ) -> None:
        self.url_map = url_map
        self.exact: dict[str, dict[str, T]] = {}
        self.runs_user_code = False
        self._one_variable: dict[str, _OneVariable[T]] = {}
        self._start: _Node[T] | None = None
        self._root: _Node[T] = _Node()  # before the path's first slash
        self._complete = False
        self._builders: dict[Any, tuple[_Builder, ...]] = {}
        self._constants: dict[Any, str] = {}
        self.stamp = _stamp(url_map)
        try:
            self._read(url_map, make_target)
        except (AttributeError, OverflowError, RecursionError, _UnknownShapeError, re.error):
            # Another Werkzeug, or an expression that does not compile: leave all to Werkzeug.
            self.exact, self._one_variable, self._start, self._root = {}, {}, None, _Node()

    def current(self, url_map: werkzeug.routing.Map) -> bool:
        """Tell whether the index was made from *url_map*, and no rule was added to it since."""
        return self.url_map is url_map and getattr(url_map, "_remap", None) is self.stamp

    def match(self, path: str, method: str) -> tuple[T, dict[str, Any]] | NoRoute | None:  # noqa: C901 (a call for each step costs 0.06 us)
        """Find the rule for a request.

        :param path: the decoded path, such as ``"/user/letian"``.
        :param method: the request's method, in upper case.
        :returns: the rule's target and the values of its variables; `NOT_FOUND` where Werkzeug
            raises `werkzeug.exceptions.NotFound` for this path and method; ``None`` if Werkzeug
            is to be asked.
        :raises Exception: what a converter's ``to_python`` raises. On `ValidationError` Werkzeug
            is to be asked (it may answer 405), so ``to_python`` runs a second time then.
        """
        head, _, tail = path.rpartition("/")
        follows = self._one_variable.get(head)
        if follows is not None:
            static, test, by_method = follows
            if tail not in static and test(tail):
                plain = by_method.get(method)
                if plain is not None:
                    target, name, convert = plain
                    if convert is None:
                        return target, {name: tail}
                    try:
                        return target, {name: convert(tail)}
                    except ValueError:
                        return None
        # PERF: two variables in 1.1 µs, against 1.4 by `_descend`; a path of no rule 0.45, not 0.6.
        segments = path.split("/")
        texts: list[str] = []
        node = self._root
        for segment in segments:
            if segment in node.static:
                node = node.static[segment]
            else:
                test, further = node.first
                if not test(segment):
                    if node.barren and segment and "//" not in path:
                        return NOT_FOUND
                    break
                texts.append(segment)
                node = further
        else:
            answer = node.here.plain.get(method)
            if answer is not None:
                values: dict[str, Any] = {}
                at = 0
                try:
                    # PERF: counted by hand; 0.26 µs for two integers, 0.43 with zip().
                    for name, convert in answer.variables:
                        text = texts[at]
                        values[name] = text if convert is None else convert(text)
                        at += 1
                except ValueError:
                    return None
                return answer.target, values
        # Werkzeug adds or removes slashes at the start of a path, and merges them.
        if self._start is None or segments.pop(0) or not segments or "//" in path:
            return None
        texts.clear()
        found = _descend(self._start, segments, method, texts)
        if found is _UNDECIDED:
            found, texts[:] = _search(self._start, segments, 0, (), method)
        if isinstance(found, _Answer):
            return found.reply(texts, method)
        return NOT_FOUND if found is _MISSED and self._complete else None

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
        make_target: Callable[[werkzeug.routing.Rule], T],
    ) -> None:
        if url_map.host_matching or not _is_host(url_map.default_subdomain):
            return
        root = url_map._matcher._root
        domain = root.static.get(url_map.default_subdomain)
        self._complete = not root.dynamic
        self._start = _Node()
        if domain is None:
            return
        if domain.dynamic:
            raise _UnknownShapeError("a rule does not start with a slash")
        if "" in domain.static:
            planter = _Planter(url_map, make_target)
            self._start = planter.node(domain.static[""], sure=self._complete)
            self._root.static[""] = self._start
            # Werkzeug adds the slash that the empty path lacks.
            self._start.here.plain = {}
            self.runs_user_code = planter.runs_user_code
            self._fill_tables(self._start)

    def _fill_tables(self, start: _Node[T]) -> None:
        for path, node in _static_nodes(start, ""):
            targets = {
                method: answer.target
                for method, answer in node.here.plain.items()
                if not answer.variables
            }
            if targets:
                self.exact[path] = targets
            if node.first is not _NOWHERE:
                follows = _one_variable(node)
                if follows is not None:
                    self._one_variable[path] = follows


def _one_variable(node: _Node[T]) -> _OneVariable[T] | None:
    """Return the row of the second table for a static *node*, if there is one."""
    test, end = node.first
    by_method = {
        method: (answer.target, *answer.variables[0])
        for method, answer in end.here.plain.items()
        if len(answer.variables) == 1
    }
    return (node.static, test, by_method) if by_method else None


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

_HOST = re.compile(r"[A-Za-z0-9._-]*")


def _is_host(text: object) -> bool:
    return isinstance(text, str) and _HOST.fullmatch(text) is not None


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

# PERF: 0.2 µs where nothing is to be quoted, against 0.6 for urllib's functions.
_needs_no_path_quoting = re.compile(rf"[A-Za-z0-9_.~{re.escape(_PATH_SAFE)}-]*").fullmatch
_needs_no_query_quoting = re.compile(rf"[A-Za-z0-9_.~{re.escape(_QUERY_SAFE)}-]*").fullmatch


def _path_text(value: Any) -> str:
    """Do as `BaseConverter.to_url` does."""
    text = str(value)
    # PERF: most words and numbers; 0.05 µs, against 0.12 by the expression.
    if text.isalnum() and text.isascii():
        return text
    return text if _needs_no_path_quoting(text) else quote(text, safe=_PATH_SAFE)


def _query_text(value: Any) -> str:
    if isinstance(value, bytes):
        return quote_plus(value, safe=_QUERY_SAFE)
    text = str(value)
    return text if _needs_no_query_quoting(text) else quote_plus(text, safe=_QUERY_SAFE)


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
