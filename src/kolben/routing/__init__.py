"""From a path to its rule, and from an endpoint to its URL; knows no request."""

from __future__ import annotations

from .build import Rule as Rule
from .index import RouteIndex as RouteIndex
from .tree import NOT_FOUND as NOT_FOUND
