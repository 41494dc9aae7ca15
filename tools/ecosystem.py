"""The test suites of Flask extensions and programs, unmodified, on kolben: `make ecosystem`.

Each runs in an environment of its own, with the real Flask installed (their metadata asks for it) and
shadowed by kolben from the start of every interpreter. Arguments are the names of suites; none means all.
With `--reference` they run on Flask itself, and the outcomes are stored for comparison.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from outcomes import Comparison, load, run_suite, show, store
from suite_environments import CACHE, ROOT, VERSION, environment, fresh_copy

REFERENCES = ROOT / "tests" / "ecosystem" / "outcomes"

# Two suites are older than the warnings that Python 3.12 and 3.13 began to give, and treat each warning as an error:
# there they fail on Flask, too.
TOLERATED = (
    "ignore:datetime.datetime.utc:DeprecationWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


@dataclass
class Suite:
    """A suite: where it comes from and how it is started."""

    name: str
    source: str
    requirements: str
    part: str = "."
    options: tuple[str, ...] = ()
    configured: bool = True

    def run(self, *, on_flask: bool) -> dict[str, str]:
        """Run it on Flask or on kolben, and return the outcome of each test."""
        way = "flask" if on_flask else "kolben"
        name = f"{self.name}-on-{way}"
        envname = f"{self.requirements.replace('/', '-')}-on-{way}"
        python = environment(envname, self.requirements, kolben=not on_flask, shadow=not on_flask)
        folder = fresh_copy(self.source, self.part, into=name)
        if not self.configured:
            # Else pytest would go on looking, and find the configuration of this checkout.
            (folder / "pytest.ini").write_text("[pytest]\n")
        log = CACHE / "logs" / f"{name}-{VERSION}.txt"
        newer = TOLERATED if sys.version_info >= (3, 12) else ()
        options = [*self.options, *(option for one in newer for option in ("-W", one))]
        return run_suite(python, folder, *options, log=log)

    @property
    def reference(self) -> Path:
        """Where the outcomes on Flask are stored."""
        return REFERENCES / f"{self.name}.json"


def _extension(name: str, *options: str, configured: bool = True) -> Suite:
    options = ("tests", *options)
    return Suite(name, name, f"ecosystem/{name}", options=options, configured=configured)


SUITES = {
    suite.name: suite
    for suite in [
        _extension("flask-login"),
        _extension("flask-wtf"),
        _extension("flask-sqlalchemy"),
        _extension("flask-migrate", "-p", "no:logging", configured=False),
        _extension("flask-cors"),
        _extension("flask-httpauth", "-p", "no:logging", configured=False),
        _extension("flask-smorest"),
        _extension("apiflask", "-o", "addopts="),
        _extension("httpbin", configured=False),
        _extension("frozen-flask", configured=False),
        _extension("flask-jwt-extended", configured=False),
        Suite(
            "flask-socketio",
            "flask-socketio",
            "ecosystem/flask-socketio",
            options=("test_socketio.py",),
            configured=False,
        ),
        _extension("flask-marshmallow"),
        _extension("flask-compress", configured=False),
        _extension("flask-reuploaded"),
        _extension("pytest-flask"),
        Suite(
            "sentry-sdk",
            "sentry-sdk",
            "ecosystem/sentry-sdk",
            options=(
                *(f"tests/integrations/{name}" for name in ("flask", "wsgi", "asgi")),
                *("-o", "addopts="),
            ),
        ),
        Suite("webargs", "webargs", "ecosystem/webargs", options=("tests/test_flaskparser.py",)),
        Suite(
            "flask-injector",
            "flask-injector",
            "ecosystem/flask-injector",
            options=("flask_injector/tests.py",),
            configured=False,
        ),
        Suite("flaskr", "flask", "ecosystem/examples", "examples/tutorial"),
        Suite("js_example", "flask", "ecosystem/examples", "examples/javascript"),
    ]
}


def compare(name: str) -> Comparison:
    """Run one suite on kolben, beside its stored outcomes on Flask."""
    suite = SUITES[name]
    return Comparison(name, load(suite.reference), suite.run(on_flask=False))


def run_on_kolben(names: Iterable[str]) -> bool:
    """Run suites on kolben; True when nothing that passes on Flask fails."""
    title = f"Extensions and programs on kolben (Python {VERSION}; output: {CACHE / 'logs'})"
    return show([compare(name) for name in names], title)


def run_reference(names: Iterable[str]) -> None:
    """Run suites on Flask and store what they did."""
    for name in names:
        store(SUITES[name].reference, SUITES[name].run(on_flask=True))


if __name__ == "__main__":
    chosen = [name for name in sys.argv[1:] if not name.startswith("-")] or list(SUITES)
    if "--reference" in sys.argv:
        run_reference(chosen)
    else:
        sys.exit(not run_on_kolben(chosen))
