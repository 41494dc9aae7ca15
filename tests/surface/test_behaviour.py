"""What programs do to Flask from outside they can do here, with the same effect.

`behaviour-3.1.3.json` is written by `behaviour.py` in an environment with Flask (`make reference`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FLASK: dict[str, Any] = json.loads((HERE / "behaviour-3.1.3.json").read_text())

# What differs, and why.
_TABLE = "a subclass, which tells when it is changed"
EXCEPTIONS = {
    "names .Blueprint.send_static_file": "has the module that programs name it by, wherever it is",
    "names blueprints.Blueprint.send_static_file": "as above",
    "classes app.teardown_appcontext_funcs": _TABLE,
    "classes app.url_map": "a subclass, to which rules can be added while others are matched",
    "classes request.stream": "the body is in memory",
    "classes request_context.session": "opened at the first look",
    "classes response.headers": "a subclass, quicker to write",
    "copies response.headers copy": "the same",
    "copies session pickle": "Werkzeug's callbacks are functions of a function; ours can be pickled",
    "consulted Request.host": "is set before anybody reads it, on both",
    "calls DefaultJSONProvider.dumps": "itsdangerous tries the serializer of each session that is opened",
    "calls Response.call_on_close": "the test client keeps a response open otherwise",
    **{
        f"classes {owner}.{name}": _TABLE
        for owner in ("app", "blueprint")
        for name in (
            "after_request_funcs", "before_request_funcs",             "teardown_request_funcs", "url_value_preprocessors", "view_functions",
        )
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def kolben_behaviour() -> dict[str, Any]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("FLASK_")}
    command = [sys.executable, HERE / "behaviour.py", "kolben"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    if done.returncode:
        pytest.fail(done.stderr, pytrace=False)
    behaviour: dict[str, Any] = json.loads(done.stdout)
    return behaviour


def as_much(theirs: str, ours: str | None) -> bool:
    """Whether assigning, patching and deleting an attribute does here what it does in Flask, or works at least."""
    steps = zip(theirs.split(" / "), (ours or "").split(" / "), strict=False)
    return all(
        one == own or one.endswith("Error") or (one, own) == ("gone", "there") for one, own in steps
    )


def differences(kolben: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What differs: its name, and how."""
    for section in ("names", "views", "classes", "copies", "signals", "contexts", "commands"):
        for name, value in FLASK[section].items():
            ours = kolben[section].get(name)
            # The tags of JSON are rows of a table, whose methods belong to all of them.
            is_left_out = section == "names" and (
                ours is None or re.match(r"json\.tag\.\w+\.", name)
            )
            if section == "commands" and isinstance(value, list):  # each has further options here
                ours = [option for option in ours or () if option in value]
            if ours != value and not is_left_out:
                yield f"{section} {name}", f"{ours}, not {value}"
    for name, value in FLASK["assignments"].items():
        if not as_much(value, kolben["assignments"].get(name)):
            yield f"assignments {name}", f"{kolben['assignments'].get(name)}, not {value}"
    for name, value in FLASK["consulted"].items():
        if value and not kolben["consulted"].get(name):
            yield f"consulted {name}", "never read"
    for when, counts in FLASK["calls"].items():
        for name, value in counts.items():
            ours = kolben["calls"][when].get(name)
            if ours != value:
                yield f"calls {name}", f"{when}: {ours}, not {value}"


def test_what_programs_do_from_outside_has_the_effect_that_it_has_on_flask(
    kolben_behaviour: dict[str, Any],
) -> None:
    found = list(differences(kolben_behaviour))
    unexpected = [f"{name}: {how}" for name, how in found if name not in EXCEPTIONS]
    assert not unexpected, "\n".join(["", *unexpected])
    # A line of the table that is no longer needed goes away.
    assert EXCEPTIONS.keys() <= {name for name, _ in found}
    assert kolben_behaviour["answers"] == FLASK["answers"]
