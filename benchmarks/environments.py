"""Makes one virtual environment per framework, from pinned and hashed requirements.

`requirements/<name>.in` says what is wanted, `requirements/<name>.txt` is that resolved
(`uv pip compile --universal --python-version 3.11 --generate-hashes --no-header
--no-annotate <name>.in -o <name>.txt`). All environments use the same Python.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from glob import glob
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "benchmarks" / "requirements"
CACHE = ROOT / ".cache" / "bench"


@cache
def base_python() -> str:
    """Return the Python that all environments are made with.

    `BENCH_PYTHON` decides; without it python3.13 where there is a working one, or else the
    Python that runs this.
    """
    found = [os.environ.get("BENCH_PYTHON"), shutil.which("python3.13")]
    found += sorted(glob(str(Path.home() / ".pyenv/versions/3.13*/bin/python3.13")))
    for python in filter(None, found):
        # A pyenv shim is found but fails where its version is not switched on.
        if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return python
    return sys.executable


def ensure(name: str, base: str | None = None) -> Path:
    """Return the Python of the environment *name*, making or renewing it where needed.

    With a *base* that is another environment, beside the one that all frameworks have.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    version = subprocess.run(
        [base or base_python(), "-VV"], capture_output=True, text=True, check=True
    ).stdout
    stamp = hashlib.sha256(version.encode() + requirements.read_bytes()).hexdigest()
    home = CACHE / (f"{name}-{version.split()[1]}" if base else name)
    python = home / "bin" / "python"
    marker = home / "made-from"
    if marker.is_file() and marker.read_text() == stamp:
        return python
    print(f"making environment {name}", file=sys.stderr, flush=True)
    subprocess.run([base or base_python(), "-m", "venv", "--clear", str(home)], check=True)
    options = ["-qq", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    command = [str(python), "-m", "pip", "install", *options, "-r", str(requirements)]
    subprocess.run(command, check=True)
    marker.write_text(stamp)
    return python


def variables() -> dict[str, str]:
    """Return the environment variables for a worker: kolben importable, hashing fixed."""
    path = os.pathsep.join([str(ROOT / "benchmarks"), str(ROOT / "src")])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "FLASK_"))}
    return {**kept, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "SANIC_NO_UVLOOP": "true"}


if __name__ == "__main__":
    for each in sys.argv[1:] or sorted(p.stem for p in REQUIREMENTS.glob("*.txt")):
        print(each, ensure(each))
