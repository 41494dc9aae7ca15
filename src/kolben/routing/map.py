"""The map of an application's URL rules."""

from __future__ import annotations

import typing as t
from threading import RLock

import werkzeug.routing

if t.TYPE_CHECKING:
    from werkzeug.routing import RuleFactory


class Map(werkzeug.routing.Map):
    """Werkzeug's map, to which a rule can be added while other threads match and build.

    Werkzeug holds the lock while it puts the rules in order, but not while one is added: then that ended in a
    ``RuntimeError``, or left the new rule out of the order.
    """

    #: An ``RLock``, for what a rule is made by may look at the map.
    # A function, which as an attribute would be a method: gevent's takes no argument.
    lock_class: t.Any = staticmethod(RLock)

    def add(self, rulefactory: RuleFactory) -> None:
        """Add a rule, or those of a factory, and bind them to this map.

        :param rulefactory: the rule or factory; it must not be bound to another map.
        """
        with self._remap_lock:
            super().add(rulefactory)
