"""Follow every link of the built manual that stays in it, to the page and to the place in the page.

Links to other sites are not followed, for nothing is fetched: they have to be well written, over HTTPS, and to a site that
is known. ``python docs/check_links.py docs/_build/html`` tells what leads nowhere.
"""

from __future__ import annotations

import html.parser
import re
import sys
import typing as t
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Sites that the manual leads to. A new one is looked at by hand, and added.
SITES = {
    "docs.python.org",
    "flask-limiter.readthedocs.io",
    "flask.palletsprojects.com",
    "github.com",
    "jcristharif.com",
    "jinja.palletsprojects.com",
    "learn.microsoft.com",
    "pradyunsg.me",
    "pre-commit.com",
    "werkzeug.palletsprojects.com",
    "www.python.org",
    "www.sphinx-doc.org",
}
#: Where a reader's own program listens.
OWN = re.compile(r"http://127\.0\.0\.1:\d+(/[!-~]*)?")


def leads_outside_well(link: str) -> bool:
    """Say whether a link to another site may be followed by a reader.

    :param link: the whole address.
    :return: whether it is one of HTTPS, to a known site, in the characters of an address; or of the reader's own program.
    """
    if OWN.fullmatch(link):
        return True
    target = urlsplit(link)
    return target.scheme == "https" and target.netloc in SITES and not re.search(r"[^!-~]", link)


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
            if target.scheme == "data":
                continue
            if target.scheme or target.netloc:
                if not leads_outside_well(link):
                    broken.append(f"{path.relative_to(folder)}: {link}")
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
