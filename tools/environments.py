"""Environments and sources that the suites of others are run in, made on first use under `.cache`.

Only the standard library is used here, so that any Python can run it.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
REQUIREMENTS = ROOT / "requirements"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

SHADOW = "import kolben; kolben.install_as_flask()\n"


def run(*command: str | Path) -> None:
    """Run a command quietly; when it fails, show what it printed and raise SystemExit."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


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
    metadata = (ROOT / "pyproject.toml").read_bytes() if kolben else b""
    want = hashlib.sha256(listed + metadata + f"{sys.version}{kolben}{shadow}".encode()).hexdigest()
    folder = CACHE / "envs" / f"{name}-{VERSION}"
    python, stamp = folder / "bin" / "python", folder / ".made"
    if _is_current(stamp, want):
        return python
    shutil.rmtree(folder, ignore_errors=True)
    run(sys.executable, "-m", "venv", folder)
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    run(*pip, "--no-deps", "--require-hashes", "-r", REQUIREMENTS / f"{requirements}.txt")
    if kolben:
        run(*pip, "--no-deps", "--no-build-isolation", "-e", ROOT)
    if shadow:
        packages = folder / "lib" / f"python{VERSION}" / "site-packages"
        (packages / "zz_kolben_as_flask.pth").write_text(SHADOW)
    stamp.write_text(want)
    return python


def source(name: str) -> Path:
    """Fetch a source distribution listed in `requirements/sdists.txt` once and return its unpacked folder."""
    lines = (REQUIREMENTS / "sdists.txt").read_text().splitlines()
    pin = next(line for line in lines if line.startswith(f"{name}=="))
    folder = CACHE / "sources" / name
    stamp = folder / ".made"
    if not _is_current(stamp, pin):
        shutil.rmtree(folder, ignore_errors=True)
        archive = _download(name, pin)
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        stamp.write_text(pin)
    return next(path for path in folder.iterdir() if path.is_dir())


def _download(name: str, pin: str) -> Path:
    folder = CACHE / "sdists" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    listed = folder / "pin.txt"
    listed.write_text(pin + "\n")
    builder = environment(f"build-{name}", "sdist-build", kolben=False)
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
