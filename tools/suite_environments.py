"""Environments and sources that the suites of others are run in, made on first use under `.cache`.

Only the standard library is used here, so that any Python can run it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
REQUIREMENTS = ROOT / "requirements"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

SHADOW = "import kolben; kolben.install_as_flask()\n"


def run(*command: str | Path) -> None:
    """Run a command quietly; when it fails, show what it printed and raise SystemExit."""
    parts = [str(part) for part in command]
    done = subprocess.run(parts, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(parts)}\n{done.stdout}{done.stderr}")


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Let one process at a time make a thing; the others then find it made."""
    lock = CACHE / "locks" / name
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _project_metadata() -> bytes:
    return json.dumps(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]).encode()


def _is_current(stamp: Path, want: str) -> bool:
    return stamp.is_file() and stamp.read_text() == want


def environment(name: str, requirements: str, *, kolben: bool = True, shadow: bool = False) -> Path:
    """Make a virtual environment once and return its Python.

    Args:
        name: the folder's name under `.cache/envs`.
        requirements: a file under `requirements/`, with hashes, without the `.txt`.
        kolben: also install this checkout, in editable form.
        shadow: every interpreter of the environment starts with `kolben.install_as_flask()`.
    """
    listed = (REQUIREMENTS / f"{requirements}.txt").read_bytes()
    metadata = _project_metadata() if kolben else b""
    want = hashlib.sha256(listed + metadata + f"{sys.version}{kolben}{shadow}".encode()).hexdigest()
    folder = CACHE / "envs" / f"{name}-{VERSION}"
    with _alone(folder.name):
        if not _is_current(folder / ".made", want):
            _make(folder, requirements, kolben=kolben, shadow=shadow)
            (folder / ".made").write_text(want)
    return folder / "bin" / "python"


def _make(folder: Path, requirements: str, *, kolben: bool, shadow: bool) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    run(sys.executable, "-m", "venv", folder)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    run(*pip, "--no-deps", "--require-hashes", "-r", REQUIREMENTS / f"{requirements}.txt")
    if kolben:
        run(*pip, "--no-deps", "--no-build-isolation", "-e", ROOT)
    if shadow:
        packages = folder / "lib" / f"python{VERSION}" / "site-packages"
        (packages / "zz_kolben_as_flask.pth").write_text(SHADOW)


def source(name: str) -> Path:
    """Fetch a source distribution listed in `requirements/sdists.txt` once and return its unpacked folder."""
    lines = (REQUIREMENTS / "sdists.txt").read_text().splitlines()
    pin = next(line for line in lines if line.startswith(f"{name}=="))
    folder = CACHE / "sources" / name
    with _alone(f"{name}-source"):
        if not _is_current(folder / ".made", pin):
            shutil.rmtree(folder, ignore_errors=True)
            with tarfile.open(_download(name, pin)) as tar:
                # Python 3.11 has filters from 3.11.4 on; without one, what the hash vouches for is unpacked as it is.
                has_filters = hasattr(tarfile, "data_filter")
                tar.extractall(folder, **({"filter": "data"} if has_filters else {}))
            (folder / ".made").write_text(pin)
    return next(path for path in folder.iterdir() if path.is_dir())


def _download(name: str, pin: str) -> Path:
    folder = CACHE / "sdists" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    listed = folder / "pin.txt"
    listed.write_text(pin + "\n")
    builder = environment("sdist-build", "sdist-build", kolben=False)
    run(
        builder, "-m", "pip", "download", "-q", "--no-deps", "--no-build-isolation",
        "--no-binary", name, "--require-hashes", "-r", listed, "-d", folder,
    )  # fmt: skip
    return next(folder.glob("*.tar.gz"))


def fresh_copy(name: str, part: str = ".", *, into: str | None = None) -> Path:
    """Copy a source distribution, or a folder of it, to run its tests there without touching the original."""
    target = CACHE / "runs" / f"{into or name}-{VERSION}"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source(name) / part, target, symlinks=True)
    return target


if __name__ == "__main__":
    print(environment(*sys.argv[1:3]))
