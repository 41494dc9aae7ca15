"""Why no URL rule answers a request: which rules come near, and what in the path they do not take."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from os.path import splitext

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from werkzeug.routing import Map, Rule

#: A variable in the text of a rule: its converter, the converter's arguments, its name.
_VARIABLE = re.compile(r"<(?:([A-Za-z_]\w*)(?:\(([^>]*)\))?:)?([A-Za-z_]\w*)>")

#: As many rules are told to be near.
MOST_NEAR = 3


@dataclass(frozen=True)
class Miss:
    """How a rule fails for a path."""

    rule: Rule
    #: How many segments it takes, and how alike the next one is, between 0 and 1.
    score: float
    #: What in the path it does not take, as a sentence; "" for a rule that takes all of it.
    reason: str
    #: The path that it would take; "" where that cannot be said.
    suggestion: str


def split_rule(text: str) -> list[str]:
    """Split the text of a rule at its slashes, and not at those within a variable.

    :param text: the rule, such as ``/users/<any(a/b):name>``.
    :return: its segments; the first one is empty for a rule that begins with a slash.
    """
    segments, rest = [""], 0
    for variable in _VARIABLE.finditer(text):
        before = text[rest : variable.start()].split("/")
        segments[-1] += before[0]
        segments += before[1:]
        segments[-1] += variable[0]
        rest = variable.end()
    after = text[rest:].split("/")
    segments[-1] += after[0]
    return segments + after[1:]


def nearest(url_map: Map, path: str) -> list[Miss]:
    """Find the rules that come nearest to a path.

    :param url_map: the application's rules.
    :param path: the path for which none matched.
    :return: at most three, the nearest first; none that has nothing in common with the path.
    """
    misses = [explain(rule, path) for rule in url_map.iter_rules() if not rule.build_only]
    near = [miss for miss in misses if miss.score >= 1.6]
    near.sort(key=lambda miss: (-miss.score, not miss.suggestion))
    return near[:MOST_NEAR]


def explain(rule: Rule, path: str) -> Miss:
    """Say at which segment a rule stops to match a path.

    :param rule: the rule.
    :param path: the path, decoded.
    """
    wanted, given = split_rule(rule.rule)[1:], path.split("/")[1:]
    score = 1.0
    for place, segment in enumerate(wanted):
        if place < len(given) and _takes_slashes(rule, segment):
            return Miss(rule, score, f"{segment!r} takes what is left of the path.", "")
        if place == len(given):
            missing = "/".join(wanted[place:])
            return Miss(rule, score, f"the path ends where the rule goes on with {missing!r}.", "")
        fault = _fault(rule, segment, given[place])
        if fault:
            likeness = SequenceMatcher(None, segment, given[place]).ratio()
            suggestion = "" if "<" in segment or likeness < 0.6 else segment
            return Miss(
                rule,
                score + likeness,
                f"segment {place + 1} is {given[place]!r}, where {fault}.",
                _complete(rule, given, place, suggestion),
            )
        score += 1
    if len(given) > len(wanted):
        more = "/".join(given[len(wanted) :])
        if more == "":
            return Miss(rule, score, "the rule has no slash at its end.", path.rstrip("/"))
        return Miss(rule, score - 0.2, f"the rule ends before {more!r}.", "")
    return Miss(rule, score, "", "")


def _complete(rule: Rule, given: list[str], place: int, segment: str) -> str:
    """Return the path with one segment replaced, if the rule takes the rest of it."""
    if not segment:
        return ""
    wanted = split_rule(rule.rule)[1:]
    path = [*given[:place], segment, *given[place + 1 :]]
    if len(path) != len(wanted):
        return ""
    later = zip(wanted[place + 1 :], path[place + 1 :], strict=True)
    return "" if any(_fault(rule, text, value) for text, value in later) else "/" + "/".join(path)


def _takes_slashes(rule: Rule, segment: str) -> bool:
    return any(
        not getattr(converter, "part_isolating", True) for _, converter in _variables(rule, segment)
    )


def _variables(rule: Rule, segment: str) -> Iterator[tuple[re.Match[str], t.Any]]:
    converters = getattr(rule, "_converters", {})
    for variable in _VARIABLE.finditer(segment):
        yield variable, converters.get(variable[3])


def _fault(rule: Rule, segment: str, value: str) -> str:
    """Say what a segment of a rule expects in place of a value; nothing where it takes it."""
    pattern, rest = "", 0
    variables = list(_variables(rule, segment))
    for variable, converter in variables:
        pattern += re.escape(segment[rest : variable.start()])
        pattern += f"({getattr(converter, 'regex', '[^/]+')})"
        rest = variable.end()
    pattern += re.escape(segment[rest:])
    found = re.fullmatch(pattern, value)
    if not variables:
        return "" if found else f"the rule has {segment!r}"
    if found is None:
        return f"the rule has {segment}, which does not match it"
    for (variable, converter), text in zip(variables, found.groups(), strict=False):
        try:
            converter.to_python(text)
        except Exception:
            return f"the rule has {variable[0]}, whose converter refuses it"
    return ""


_ORDER = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def in_order(methods: Iterable[str]) -> list[str]:
    """List methods in the order in which people name them.

    :param methods: the methods.
    """
    known = [name for name in _ORDER if name in methods]
    return known + sorted(set(methods) - set(known))


def near_names(wanted: str, names: Iterable[str]) -> list[str]:
    """Find the names that one may have meant.

    An ending that both have (``.html``) makes them no more alike.

    :param wanted: the name that is not there.
    :param names: those that are.
    :return: at most three, the likeliest first.
    """
    stem, ending = splitext(wanted)
    by_stem: dict[str, list[str]] = {}
    for name in names:
        by_stem.setdefault(name.removesuffix(ending), []).append(name)
    near = get_close_matches(stem, by_stem, n=3, cutoff=0.6)
    return [name for one in near for name in by_stem[one]][:3]
