"""Flask's own type-checking programs, with `flask` replaced by `kolben`, under mypy and pyright.

They are fetched and generated under `.cache`; part of `make check`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from suite_environments import CACHE, VERSION, source

BIN = Path(sys.executable).parent


def generate() -> Path:
    """Write the programs, on kolben, and a pyright configuration beside them."""
    folder = CACHE / "type_check"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for program in sorted((source("flask") / "tests" / "type_check").glob("*.py")):
        text = re.sub(r"\b(from|import) flask\b", r"\1 kolben", program.read_text())
        (folder / program.name).write_text(text)
    config = {"pythonVersion": VERSION, "typeCheckingMode": "standard"}
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    return folder


def main() -> bool:
    """Check them with both; True when both are content."""
    folder = generate()
    programs = sorted(folder.glob("*.py"))
    print(f"Flask's type-checking programs, on kolben: {', '.join(one.name for one in programs)}")
    commands = [
        [BIN / "mypy", "--strict", "--config-file=", *programs],
        [BIN / "pyright", "--pythonpath", sys.executable, "-p", folder],
    ]
    return all(subprocess.run(command, check=False).returncode == 0 for command in commands)


if __name__ == "__main__":
    sys.exit(not main())
