"""Rules, converters and indexes for the tests of routing."""

from __future__ import annotations

from typing import Any

from werkzeug.routing import (
    BaseConverter,
    IntegerConverter,
    Map,
    Rule as WerkzeugRule,
    ValidationError,
)

from kolben.routing import RouteIndex, Rule


def index_of(*rules: WerkzeugRule, **options: Any) -> RouteIndex[str]:
    """Return an index whose targets are the endpoints."""
    return RouteIndex(Map(rules, **options), lambda rule: rule.endpoint)


def exact(index: RouteIndex[str], path: str) -> dict[str, str]:
    """Return who answers a static path, by method."""
    return {method: found[-1] for method, found in index.exact[path].items()}


def route(text: str, endpoint: str = "view", **options: Any) -> Rule:
    options.setdefault("methods", ["GET", "OPTIONS"])
    return Rule(text, endpoint=endpoint, **options)


class Doubling(IntegerConverter):
    def to_url(self, value: Any) -> Any:
        return value * 2


class Listed(BaseConverter):
    """Counts the calls of ``to_python``."""

    calls = 0

    def to_python(self, value: str) -> list[str]:
        type(self).calls += 1
        if value == "no":
            raise ValidationError
        if value == "broken":
            raise ValueError("broken")
        return value.split("+")
