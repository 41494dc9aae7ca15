"""Follow every link of the built manual that stays in it, to the page and to the place in the page.

``python docs/check_links.py docs/_build/html`` tells what leads nowhere, and how many were followed.
"""

from __future__ import annotations

import html.parser
import sys
import typing as t
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(html.parser.HTMLParser):
    """What a page links to, and the places that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element's links and of its place."""
        for name, value in attrs:
            if name in {"href", "src"} and value is not None and tag != "base":
                self.links.append(value)
            elif name in {"id", "name"} and value is not None:
                self.places.add(value)


def check(folder: Path) -> tuple[list[str], int]:
    """Follow all links.

    :param folder: of the built manual.
    :return: those that lead nowhere, and how many there are in all.
    """
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(folder.rglob("*.html"))}
    broken, count = [], 0
    for path, page in pages.items():
        for link in page.links:
            target = urlsplit(link)
            if target.scheme or target.netloc:
                continue
            count += 1
            file = (path.parent / unquote(target.path)).resolve() if target.path else path
            place = unquote(target.fragment)
            lost = place and file in pages and place not in pages[file].places
            if not file.is_file() or lost:
                broken.append(f"{path.relative_to(folder)}: {link}")
    return broken, count


def main(arguments: t.Sequence[str]) -> int:
    """Check the folder that is named.

    :return: the exit status: 1 where a link is broken.
    """
    broken, count = check(Path(arguments[0]).resolve())
    for line in broken:
        print(f"broken link in {line}", file=sys.stderr)
    if not count:
        print("there is no link, and so no manual", file=sys.stderr)
    return int(bool(broken) or not count)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
