"""Look at the subjects of commits: `python tools/commit_subject.py FILE` at a commit, or `... A..B` afterwards.

A subject is cut or wrapped by most of what shows it when it has more than 72 characters.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LONGEST = 72


def faults(subject: str) -> list[str]:
    """Say what is wrong with a subject."""
    found = []
    if len(subject) > LONGEST:
        found.append(f"has {len(subject)} characters, more than {LONGEST}")
    if subject.endswith("."):
        found.append("ends with a full stop")
    if not subject.strip():
        found.append("is empty")
    return found


def subjects(what: str) -> list[str]:
    """Return the subject of a message in a file, or those of a range of commits."""
    if ".." in what:
        command = ["git", "log", "--no-merges", "--format=%s", what]
        return subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout.splitlines()
    lines = [line for line in Path(what).read_text().splitlines() if not line.startswith("#")]
    return lines[:1] or [""]


def main() -> int:
    """Print what is wrong; exit with 1 where anything is."""
    bad = [(subject, fault) for subject in subjects(sys.argv[1]) for fault in faults(subject)]
    for subject, fault in bad:
        print(f"The subject {subject!r} {fault}.", file=sys.stderr)
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
