"""The wheel and the source distribution build, and install where nothing else is."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

# Three environments are made here.
pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).resolve().parent.parent


def run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both distributions; the wheel is built from the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return {"wheel": next(folder.glob("*.whl")), "sdist": next(folder.glob("*.tar.gz"))}


def readme_program() -> str:
    """The first program of the README."""
    found = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_wheel_holds_the_package_and_nothing_else(distributions: dict[str, Path]) -> None:
    names = zipfile.ZipFile(distributions["wheel"]).namelist()
    assert {name.split("/")[0] for name in names} == {"kolben", "kolben-0.1.0.dist-info"}
    assert "kolben/py.typed" in names
    assert "kolben-0.1.0.dist-info/licenses/LICENSE" in names
    sources = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*.py")}
    assert sources <= set(names)


def test_source_distribution_holds_what_builds_and_tests_it(
    distributions: dict[str, Path],
) -> None:
    with tarfile.open(distributions["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "Makefile", "tests/conftest.py"} <= names
    assert not [name for name in names if name.startswith((".venv", ".cache", "dist/"))]


def urls_of_build(source: Path, out: Path, environ: dict[str, str]) -> dict[str, str]:
    """The project URLs that the metadata of a build has."""
    program = "import sys; from hatchling.build import *; print(prepare_metadata_for_build_wheel(sys.argv[1]))"
    unset = {name: text for name, text in os.environ.items() if name != "KOLBEN_REPOSITORY_URL"}
    done = subprocess.run(
        [sys.executable, "-c", program, out],
        capture_output=True,
        text=True,
        cwd=source,
        env=unset | environ,
    )
    assert done.returncode == 0, done.stderr
    lines = (out / done.stdout.strip() / "METADATA").read_text().partition("\n\n")[0].splitlines()
    return dict(line.removeprefix("Project-URL: ").split(", ") for line in lines if "-URL:" in line)


@pytest.mark.parametrize(
    ("origin", "home"),
    [
        ("https://forge.example/them/kolben.git", "https://forge.example/them/kolben"),
        ("git@forge.example:them/kolben.git", "https://forge.example/them/kolben"),
        ("ssh://git@forge.example/them/kolben", "https://forge.example/them/kolben"),
        ("https://user:secret@forge.example/them/kolben/", "https://forge.example/them/kolben"),
        ("/srv/kolben", None),
        ("file:///srv/kolben.git", None),
        (None, None),
    ],
)
def test_project_urls_are_those_of_the_repository_that_is_built(
    origin: str | None, home: str | None, distributions: dict[str, Path], tmp_path: Path
) -> None:
    with tarfile.open(distributions["sdist"]) as archive:
        # As from Python 3.14 on; before 3.11.4 there is no choice.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        archive.extractall(tmp_path)
    source = tmp_path / "kolben-0.1.0"
    (source / "PKG-INFO").unlink()
    run("git", "init", "-q", source)
    if origin is not None:
        run("git", "-C", source, "remote", "add", "origin", origin)
    urls = urls_of_build(source, tmp_path, {})
    assert urls.get("Source") == home
    assert set(urls) == (
        {"Source", "Documentation", "Changelog", "Security", "Issues"} if home else set()
    )
    assert "secret" not in str(urls)
    named = urls_of_build(source, tmp_path, {"KOLBEN_REPOSITORY_URL": "https://home.example/k/"})
    assert named["Changelog"] == "https://home.example/k/blob/main/CHANGELOG.md"


def answer(url: str, process: subprocess.Popen[str]) -> str:
    """What a server answers that is just starting."""
    for _ in range(200):
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return str(response.read().decode())
        except OSError:
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_readme_program_runs_in_a_clean_environment(
    kind: str, distributions: dict[str, Path], tmp_path: Path
) -> None:
    venv, port = tmp_path / "venv", free_port()
    run(sys.executable, "-m", "venv", venv)
    pip = [venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    requirements = ROOT / "requirements" / "run.txt"
    run(*pip, "--no-deps", "--require-hashes", "-r", requirements)
    run(*pip, "--no-deps", "--no-build-isolation", distributions[kind])
    # Everything that the metadata asks for is there.
    run(venv / "bin" / "python", "-m", "pip", "check")
    (tmp_path / "hello.py").write_text(readme_program())
    command = [venv / "bin" / "kolben", "run", "hello.py", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert answer(f"http://127.0.0.1:{port}/", process) == "Hello World!"
    finally:
        process.terminate()
        process.communicate(timeout=10)
    shutil.rmtree(venv)
