"""Writes, from the tree of rules, the Python functions that find the route of a path.

There is one for each number of segments that a path may have, written when the first such path comes.
It follows the first ways of the tree, as `route_tree.descend` does, but with nothing left to look up
that depends on the rules alone. For the rule ``/user/<int:id>/post/<slug>`` it is::

    def find(segments, method):
        s0, s1, s2, s3, s4 = segments
        if s0:
            return None
        try:
            if s1 == 'user':
                if s2.isdecimal():
                    if s3 == 'post':
                        if s4:
                            if method == 'GET':
                                return rule_1, (int(s2), s4), None, target_1
                            if method == 'HEAD' or method in {'OPTIONS'}:
                                return rule_1, (int(s2), s4), None, target_2
                        return None
                return None
            ...
        except ValueError:
            return None

None means that it does not know, and `tree` has to be asked. `RouteIndex.source` returns the text
of all of them. PERF: two variables in 0.5 µs, where walking the tree takes 1.25.
"""

from __future__ import annotations

import typing as t

from .tree import NOT_FOUND

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .tree import Found, Match, Node, NoRoute, Variable

T = t.TypeVar("T")

#: Takes the segments of a path and the method; returns None for not knowing.
Finder: t.TypeAlias = "Callable[[list[str], str], Found[T] | NoRoute | None]"

#: Paths of more segments are left to the search: each is a level of indentation.
MOST_SEGMENTS: t.Final = 16

# Up to so many texts are compared one after the other; more are looked up.
_FEW = 4
# From so many lines on each static way on becomes a function of its own, written when it is needed.
_MANY_LINES = 100


def make_finder(node: Node[T], depth: int, count: int, texts: tuple[str, ...] = ()) -> Finder[T]:
    """Write and compile a finder.

    :param node: where the paths stand when their first *depth* segments are read.
    :param depth: the number of segments that are read.
    :param count: the number of segments of the paths.
    :param texts: the segments, of those that are read, which are variables.
    """
    source, names = write_finder(node, depth, count, texts)
    exec(source, names)  # noqa: S102 (our own text; of the rules, it has constants only)
    # Taken out, so that the function and its names are no circle.
    finder: Finder[T] = names.pop("find")
    return finder


def write_finder(
    node: Node[T], depth: int, count: int, texts: tuple[str, ...] = ()
) -> tuple[str, dict[str, t.Any]]:
    """Return the text of a finder, and the names that it uses; the parameters are `make_finder`'s."""
    writer: _Writer[T] = _Writer(count)
    writer.write_node(node, depth, texts, 2)
    lines = [
        "def find(segments, method):",
        f"    {', '.join(f's{at}' for at in range(count))} = segments",
        "    if s0:",
        "        return None",
        "    try:",
        *(writer.lines or ["        pass"]),
        "    except ValueError:",
        "        return None",
    ]
    return "\n".join(lines) + "\n", writer.names


def _set_of(texts: Iterable[str]) -> str:
    """Return the set of *texts* as Python is written."""
    return f"{{{', '.join(map(repr, sorted(texts)))}}}"


def _takes_the_rest(way: tuple[str, Node[T]]) -> bool:
    first = way[1].first
    return first is not None and first.final


def _is_one_of(methods: set[str]) -> str:
    """Return the condition that the method is one of *methods*.

    PERF: it mostly is the one that the route is made for, and comparing takes 80 instructions less than a
    look into a set.
    """
    first = min(methods, key=lambda method: (method in {"HEAD", "OPTIONS"}, method))
    others = methods - {first}
    return f"method == {first!r}" + (f" or method in {_set_of(others)}" if others else "")


class _Writer(t.Generic[T]):
    """Writes what a finder does at one node after the other.

    :param count: the number of segments of the paths.
    """

    def __init__(self, count: int) -> None:
        self.lines: list[str] = []
        self.names: dict[str, t.Any] = {"NOT_FOUND": NOT_FOUND}
        self._count = count
        self._named: dict[int, str] = {}

    def write_node(self, node: Node[T], depth: int, texts: tuple[str, ...], level: int) -> None:
        """Write what to do with the segment at *depth*, or that the path ends there.

        :param texts: expressions for the texts of the variables so far.
        :param level: the level of indentation.
        """
        if depth == self._count:
            for answer in dict.fromkeys(node.here.plain.values()):
                self._write_answer(node, answer, texts, level)
            return
        self._write_static(node, depth, texts, level)
        if node.first is not None:
            self._write_variable(node.first, depth, texts, level)
        if node.barren and (node.first is None or node.first.test is not bool):
            self._add(level, f"if s{depth} and '' not in segments[1:-1]:")
            self._add(level + 1, "return NOT_FOUND")

    def _write_answer(
        self, node: Node[T], answer: Match[T], texts: tuple[str, ...], level: int
    ) -> None:
        methods = {method for method, one in node.here.plain.items() if one is answer}
        values = [
            text if convert is None else f"{self._converting(convert)}({text})"
            for (_, convert), text in zip(answer.variables, texts, strict=False)
        ]
        rule, target = self._name("rule", answer.rule), self._name("target", answer.target)
        self._add(level, f"if {_is_one_of(methods)}:")
        listed = ", ".join(values) if len(values) > 1 else f"{values[0]},"
        self._add(level + 1, f"return {rule}, ({listed}), None, {target}")

    def _write_static(self, node: Node[T], depth: int, texts: tuple[str, ...], level: int) -> None:
        """Write the ways on by the exact text: those with an answer, then those that hide others."""
        left = self._count - depth - 1
        ways = {
            text: child
            for text, child in node.static.items()
            if (child.ends if texts else child.open) >> left & 1
        }
        if len(ways) > _FEW or (ways and len(self.lines) > _MANY_LINES):
            self._write_hub(ways, depth, texts, level)
        else:
            # PERF: those that take any number of segments last, as that to static files is in nearly
            # each application: a comparison of text less for most paths (0.03 µs).
            for text, child in sorted(ways.items(), key=_takes_the_rest):
                self._add(level, f"if s{depth} == {text!r}:")
                self.write_node(child, depth + 1, texts, level + 1)
                self._add(level + 1, "return None")
        hidden = node.static.keys() - ways.keys()
        if hidden and (node.first is not None or node.barren):
            listed = _set_of(hidden) if len(hidden) <= _FEW else self._name("others", hidden)
            self._add(level, f"if s{depth} in {listed}:")
            self._add(level + 1, "return None")

    def _write_hub(
        self, ways: dict[str, Node[T]], depth: int, texts: tuple[str, ...], level: int
    ) -> None:
        """Write that each of many ways has a finder of its own, made at the first path that takes it."""
        made: dict[str, Finder[T]] = {}

        def make(text: str) -> Finder[T]:
            made[text] = finder = make_finder(ways[text], depth + 1, self._count, texts)
            return finder

        known, finders = self._name("ways", ways), self._name("finders", made)
        self._add(level, f"if s{depth} in {known}:")
        self._add(
            level + 1, f"find = {finders}.get(s{depth}) or {self._name('make', make)}(s{depth})"
        )
        self._add(level + 1, "return find(segments, method)")

    def _write_variable(
        self, way: Variable[T], depth: int, texts: tuple[str, ...], level: int
    ) -> None:
        text, end = f"s{depth}", depth + 1
        if way.final:
            end = self._count
            if end > depth + 1:
                text = f"rest{depth}"
                self._add(level, f"{text} = '/'.join(segments[{depth}:])")
        test = {bool: text, str.isdecimal: f"{text}.isdecimal()"}.get(way.test)
        condition = test or f"{self._name('test', way.test)}({text})"
        if way.final:
            condition = f"s{depth} and {condition} and '//' not in {text}"
        self._add(level, f"if {condition}:")
        self.write_node(way.node, end, (*texts, text), level + 1)
        self._add(level + 1, "return None")

    def _converting(self, convert: t.Any) -> str:
        return convert.__name__ if convert in {int, float} else self._name("convert", convert)

    def _name(self, kind: str, value: object) -> str:
        """Return a name under which the finder knows *value*."""
        name = self._named.get(id(value))
        if name is None:
            name = self._named[id(value)] = f"{kind}_{len(self._named) + 1}"
            self.names[name] = value
        return name

    def _add(self, level: int, text: str) -> None:
        self.lines.append("    " * level + text)
