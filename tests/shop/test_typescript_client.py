"""The shop's client in TypeScript: generated from the document, compiled, and let buy something."""

import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from kolben.api.pages import write

SOURCE = Path(__file__).parents[2] / "examples/shop/typescript"

pytestmark = [pytest.mark.needs_program("node"), pytest.mark.needs_program("npm")]


def run(folder, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory, shop):
    """The client with its packages; what is downloaded is nowhere in the repository."""
    folder = tmp_path_factory.mktemp("typescript")
    for name in ("package.json", "package-lock.json", "tsconfig.json", "client.ts"):
        shutil.copy(SOURCE / name, folder)
    run(folder, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
    return folder


@pytest.fixture
def built(folder, app):
    (folder / "openapi.json").write_bytes(write(app.extensions["kolben.api"][0].document()))
    run(folder, "npm", "run", "build")
    return folder


@pytest.fixture
def url(app):
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_is_generated_compiles_and_buys(built, url):
    printed = run(built, "node", "built/client.js", url).splitlines()
    assert '"sku":"pencil","quantity":2,"cents":180' in printed[0]
    assert printed[1] == '"There are only 2 of globe."'


def test_the_compiler_finds_what_the_document_does_not_allow(built):
    wrong = (built / "client.ts").read_text().replace("{ sku, quantity }", "{ sku, count: 1 }")
    (built / "client.ts").write_text(wrong)
    done = subprocess.run(
        ["npm", "run", "compile"], cwd=built, capture_output=True, text=True, timeout=110
    )
    assert done.returncode != 0
    assert "'count' does not exist" in done.stdout


def test_the_lock_file_records_no_addresses_of_downloads():
    assert "resolved" not in (SOURCE / "package-lock.json").read_text()
