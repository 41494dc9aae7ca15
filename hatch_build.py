"""What the package's metadata says that `pyproject.toml` cannot know: where the project lives."""

from __future__ import annotations

import os
import re
import subprocess
import typing as t

from hatchling.metadata.plugin.interface import MetadataHookInterface

#: The public address of the repository, for a build outside a clone of it.
VARIABLE = "KOLBEN_REPOSITORY_URL"

_REMOTE = re.compile(
    r"(?:https://|ssh://git@|git@)(?:[^@/]*@)?([\w.-]+\.[a-z]+)[:/](.+?)(?:\.git)?/?"
)


def repository_url(root: str) -> str | None:
    """Find the public address of the repository that a folder is a clone of.

    :param root: the folder.
    :return: an `https` address; None where the variable is unset and the clone's `origin`, if there is one,
        is no public host's.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return named.removesuffix("/")
    command = ["git", "-C", root, "config", "--local", "--get", "remote.origin.url"]
    try:
        remote = subprocess.run(  # noqa: S603 -- a fixed command
            command, capture_output=True, text=True, check=False
        ).stdout
    except OSError:  # no git here
        return None
    found = _REMOTE.fullmatch(remote.strip())
    return f"https://{found[1]}/{found[2]}" if found else None


class ProjectURLs(MetadataHookInterface):
    """Fills `project.urls` from the repository that the package is built from, so that a fork names itself."""

    def update(self, metadata: dict[str, t.Any]) -> None:
        """Set the addresses that package indexes show beside the description.

        :param metadata: the table `project`.
        """
        home = repository_url(self.root)
        metadata["urls"] = {} if home is None else {
            "Source": home,
            "Documentation": f"{home}/blob/main/docs/index.md",
            "Changelog": f"{home}/blob/main/CHANGELOG.md",
            "Security": f"{home}/blob/main/SECURITY.md",
            "Issues": f"{home}/issues",
        }  # fmt: skip
