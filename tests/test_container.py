"""The recipe of `docs/container.md`, as far as a machine without an engine can try it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from pages import ROOT, Reader, nginx_file
from test_packaging import free_port

FOLDER = ROOT / "examples" / "container"
RECIPE = (FOLDER / "Containerfile").read_text()


@pytest.fixture
def services() -> Any:
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]


def test_what_is_copied_is_let_into_the_image() -> None:
    copied = set(re.findall(r"^COPY (?!--)(\S+)", RECIPE, re.MULTILINE))
    let_in = re.findall(r"^!(\S+)$", (FOLDER / ".containerignore").read_text(), re.MULTILINE)
    assert copied == set(let_in)


def test_the_last_stage_is_not_root_and_ends_before_it_is_killed(services: Any) -> None:
    last = RECIPE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER \d+$", last, re.MULTILINE)
    assert "pip install" not in last
    (grace,) = re.findall(r'"--grace", "(\d+)"', last)
    assert int(grace) < int(services["app"]["stop_grace_period"].removesuffix("s"))


def test_only_the_proxy_can_be_reached(services: Any) -> None:
    assert "ports" not in services["app"]
    assert f"EXPOSE {services['app']['expose'][0]}" in RECIPE
    assert services["proxy"]["depends_on"]["app"]["condition"] == "service_healthy"
    assert "HEALTHCHECK" in RECIPE


@pytest.mark.needs_program("nginx", "/usr/sbin/nginx")
def test_the_proxy_says_where_a_request_came_from(
    tmp_path: Path, needs_program: Callable[..., str], services: Any
) -> None:
    """Both as the composition has them, on this machine's own network."""
    (tmp_path / "app.py").write_text(
        (FOLDER / "app.py").read_text()
        + "\n\nfrom kolben import request\n\n@app.get('/where')\ndef where():\n"
        "    return [request.remote_addr, request.host_url]\n"
    )
    reader = Reader(tmp_path)
    reader.environment["SECRET_KEY"] = "only for tests"
    (command,) = re.findall(r"^CMD \[(\"kolben.*)\]$", RECIPE, re.MULTILINE)
    words = command.replace('"', "").replace(",", "").replace("0.0.0.0", "127.0.0.1")
    port = free_port()
    (volume,) = services["proxy"]["volumes"]
    server = (FOLDER / volume.partition(":")[0]).read_text()
    with reader.serving(words) as address:
        server = server.replace("http://app:8000", address)
        server = server.replace("listen 80;", f"listen 127.0.0.1:{port};")
        file = nginx_file(tmp_path, server)
        program = needs_program("nginx", "/usr/sbin/nginx")
        with subprocess.Popen([program, "-c", file], stderr=subprocess.PIPE) as process:
            try:
                for _ in range(200):
                    assert process.poll() is None, (tmp_path / "log").read_text()
                    try:
                        answer = httpx.get(
                            f"http://127.0.0.1:{port}/where",
                            headers={"Host": "www.example.com", "X-Forwarded-For": "192.0.2.7"},
                        )
                        break
                    except httpx.ConnectError:
                        time.sleep(0.05)
                assert answer.json() == ["127.0.0.1", "http://www.example.com/"]
            finally:
                process.terminate()


@pytest.mark.suite
@pytest.mark.timeout(600)
def test_the_steps_of_the_recipe_by_hand() -> None:
    done = subprocess.run(
        ["sh", FOLDER / "try.sh"], capture_output=True, text=True, cwd="/", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stopped with status 0" in done.stdout
