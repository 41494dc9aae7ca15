"""The table in docs/security.md has as many cases as there are."""

from __future__ import annotations

import re
from pathlib import Path

import test_faults
from hostile import (
    guided,
    test_advisories,
    test_bodies,
    test_forms,
    test_headers,
    test_json,
    test_paths,
    test_responses,
    test_session_cookies,
)
from hostile.ways import SERVERS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"


def test_the_documentation_counts_the_cases() -> None:
    texts = len(test_responses.NAMES) + len(test_responses.VALUES)
    counts = [
        len(test_bodies.CASES),
        len(test_headers.CASES),
        len(test_json.CASES),
        len(test_forms.CASES),
        len(test_session_cookies.FORGED) + len(test_session_cookies.UNREADABLE),
        len(test_headers.HOSTS),
        len(test_paths.CASES),
        (len(test_responses.SETTERS) + 2 * len(test_responses.RESULTS)) * texts
        + 4 * len(test_responses.STATUSES),
    ]
    counts += [
        len(SERVERS)
        * (
            len(test_headers.CASES[::37])
            + len(test_paths.CASES)
            + len([*test_session_cookies.FORGED[::23], *test_session_cookies.UNREADABLE])
        ),
        len(guided.TARGETS),
        4 * len(test_faults.FAULTS) + 2 * len(test_faults.WEBSOCKET_FAULTS),
        len(
            [
                name
                for name in vars(test_advisories)
                if name.startswith(("test_cve", "test_ghsa", "test_pysec"))
            ]
        ),
    ]
    said = re.findall(r"^\| [^|]+ \| (\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert [int(count) for count in said] == counts
