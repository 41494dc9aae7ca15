"""The metadata of a distribution named ``flask`` where none is installed.

Extensions ask :mod:`importlib.metadata` for Flask's version; while ``kolben`` stands in for ``flask``
they get an answer.
"""

from __future__ import annotations

import typing as t
from importlib.metadata import Distribution, DistributionFinder, PackageNotFoundError, distribution
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_NAME = "flask"

_METADATA = """\
Metadata-Version: 2.1
Name: Flask
Version: {version}
Summary: Answered by Kolben, which stands in for Flask {version}.
Requires-Dist: blinker>=1.9.0
Requires-Dist: click>=8.1.3
Requires-Dist: itsdangerous>=2.2.0
Requires-Dist: jinja2>=3.1.2
Requires-Dist: markupsafe>=2.1.1
Requires-Dist: werkzeug>=3.1.0
"""


def is_installed(name: str) -> bool:
    """Whether there is a distribution of this name.

    :param name: the distribution's name.
    """
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


class StandInFinder(DistributionFinder):
    """Answers for a distribution named ``flask``.

    :param version: the version that it has.
    """

    def __init__(self, version: str) -> None:
        self._stand_in = _StandIn(version)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find no module: this finder knows metadata only."""
        return None

    def find_distributions(
        self, context: DistributionFinder.Context | None = None
    ) -> Iterable[Distribution]:
        """Find the stand-in, where it or everything is asked for."""
        name = None if context is None else context.name
        return [self._stand_in] if name is None or name.lower() == _NAME else []


class _StandIn(Distribution):
    """The metadata of the Flask that Kolben stands in for."""

    def __init__(self, version: str) -> None:
        self._metadata = _METADATA.format(version=version)

    def read_text(self, filename: str) -> str | None:
        return self._metadata if filename == "METADATA" else None

    def locate_file(self, path: object) -> Path:
        return Path(__file__).parent.parent / str(path)
