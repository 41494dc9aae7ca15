"""Lists that are too long for one answer."""

from __future__ import annotations

import typing as t
from itertools import islice
from urllib.parse import urlencode

import msgspec

from ..globals import request

T = t.TypeVar("T")


class Page(msgspec.Struct, t.Generic[T]):
    """A part of a list; its answer has the header ``Link`` with the URL of the next (RFC 8288).

    :param items: the part.
    :param next: what to send as ``after`` for the next page; None at the end.
    """

    items: list[T]
    next: str | None = None

    @classmethod
    def of(
        cls, rows: t.Iterable[t.Any], page: t.Any, cursor: t.Callable[[t.Any], t.Any] | None = None
    ) -> Page[t.Any]:
        """Return a page of rows.

        :param rows: what follows ``page.after``; one more than ``page.limit`` is looked at.
        :param page: has ``limit``, the most rows of a page.
        :param cursor: what says where a row is, to go on after it; by default its ``id``.
        """
        taken = list(islice(rows, page.limit + 1))
        if len(taken) <= page.limit:
            return cls(taken)
        del taken[page.limit :]
        last = taken[-1]
        return cls(taken, str(last.id if cursor is None else cursor(last)))

    def __link__(self) -> str | None:
        """Return the header ``Link``; None for the last page."""
        if self.next is None:
            return None
        arguments = [pair for pair in request.args.items(multi=True) if pair[0] != "after"]
        query = urlencode([*arguments, ("after", self.next)])
        return f'<{request.base_url}?{query}>; rel="next"'
