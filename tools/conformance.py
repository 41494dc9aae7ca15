"""Flask's own test suite, unmodified, on kolben: `make conformance`.

With `--reference` the suite runs on Flask itself instead, and the outcomes are stored for comparison.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from outcomes import Comparison, Outcomes, load, run_suite, show, store
from suite_environments import CACHE, ROOT, VERSION, environment, fresh_copy

PLUGIN = ROOT / "tests" / "conformance"
REFERENCE = PLUGIN / "outcomes.json"


def _copy_of_suite() -> Path:
    # Without the package's own code: only kolben can answer to the name "flask".
    folder = fresh_copy("flask", into="flask-suite")
    for path in (folder / "src").glob("flask/**/*.py"):
        path.unlink()
    return folder


def run_reference() -> None:
    """Run the suite on Flask and store what it did."""
    python = environment("reference", "reference", kolben=False)
    log = CACHE / "logs" / f"conformance-reference-{VERSION}.txt"
    store(REFERENCE, run_suite(python, _copy_of_suite(), log=log))


def run_on_kolben(*options: str) -> bool:
    """Run the suite on kolben; True when nothing that passes on Flask fails."""
    python = environment("conformance", "suite")
    log = CACHE / "logs" / f"conformance-{VERSION}.txt"
    plugin = ("-p", "kolben_as_flask")
    seen = run_suite(python, _copy_of_suite(), *plugin, *options, log=log, search=PLUGIN)
    reference, by_file = _by_file(load(REFERENCE)), _by_file(seen)
    table = [Comparison(name, tests, by_file.get(name, {})) for name, tests in reference.items()]
    return show(table, f"Flask 3.1.3's own tests on kolben (Python {VERSION}; output: {log})")


def _by_file(outcomes: Outcomes) -> dict[str, Outcomes]:
    files: dict[str, Outcomes] = defaultdict(dict)
    for test, outcome in outcomes.items():
        files[test.split("::")[0].split(".")[1]][test] = outcome
    return dict(sorted(files.items()))


if __name__ == "__main__":
    if "--reference" in sys.argv:
        run_reference()
    else:
        sys.exit(not run_on_kolben(*sys.argv[1:]))
