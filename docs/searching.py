"""The site's search, in English and in Chinese: it works without a network, from an index that the build makes.

Chinese is written without spaces, so each run of its characters is cut into all pairs of neighbours, in the index and
in what a reader asks for; a single character is found, too.
"""

from __future__ import annotations

import itertools
import re
import typing as t

#: Runs of Chinese characters, and other words.
RUNS = re.compile(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+")

#: The same in the browser, for what a reader asks for: of two characters or more only the pairs.
SPLITTER = """
var splitQuery = (query) =>
  (query.match(/[\\u3400-\\u9fff]+|(?:(?![\\u3400-\\u9fff])[\\p{Letter}\\p{Number}_\\p{Emoji_Presentation}])+/gu) || [])
    .flatMap((term) =>
      /^[\\u3400-\\u9fff]{2,}$/.test(term)
        ? [...term].slice(1).map((letter, place) => term[place] + letter)
        : [term],
    );
"""


def cut(text: str) -> list[str]:
    """Cut a text into what is looked for: words, and of Chinese each character and each pair of neighbours.

    :param text: of a page.
    :return: them, in order.
    """
    found = []
    for run in RUNS.findall(text):
        if "\u3400" <= run[0] <= "\u9fff":
            found += [*run, *(first + second for first, second in itertools.pairwise(run))]
        else:
            found.append(run)
    return found


def setup(app: t.Any) -> dict[str, t.Any]:
    """Replace the search for English."""
    from sphinx.search.en import SearchEnglish

    class SearchBoth(SearchEnglish):
        """English words by their stems, and Chinese by pairs of characters."""

        js_splitter_code = SPLITTER

        def split(self, input: str) -> list[str]:
            """Cut a page's text into what is looked for."""
            return cut(input)

    app.add_search_language(SearchBoth)
    return {"parallel_read_safe": True}
