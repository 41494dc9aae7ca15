"""The manifest of `docs/how-to/kubernetes.md` fits the program and the image beside it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
import yaml

from pages import ROOT, Reader

FOLDER = ROOT / "examples" / "container"


@pytest.fixture
def manifest() -> dict[str, Any]:
    documents = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())
    return {each["kind"]: each["spec"] for each in documents}


@pytest.fixture
def pod(manifest: dict[str, Any]) -> Any:
    return manifest["Deployment"]["template"]["spec"]


def test_each_time_is_within_the_next(pod: Any) -> None:
    (container,) = pod["containers"]
    *_, wait = container["lifecycle"]["preStop"]["exec"]["command"]
    recipe = (FOLDER / "Containerfile").read_text()
    found = re.search(r'"--grace", "(\d+)"', recipe)
    assert found
    assert int(wait) + int(found[1]) < pod["terminationGracePeriodSeconds"]


def test_the_service_leads_to_the_port_of_the_image(manifest: dict[str, Any], pod: Any) -> None:
    (container,) = pod["containers"]
    (port,) = container["ports"]
    assert f"EXPOSE {port['containerPort']}" in (FOLDER / "Containerfile").read_text()
    assert manifest["Service"]["ports"] == [{"port": 80, "targetPort": port["name"]}]
    labels = manifest["Deployment"]["template"]["metadata"]["labels"]
    assert manifest["Service"]["selector"] == labels
    assert manifest["Deployment"]["selector"]["matchLabels"] == labels


def test_the_user_is_the_one_of_the_image(pod: Any) -> None:
    user = pod["securityContext"]["runAsUser"]
    assert f"USER {user}" in (FOLDER / "Containerfile").read_text()


def test_the_probes_are_answered(pod: Any, tmp_path: Any) -> None:
    (container,) = pod["containers"]
    (tmp_path / "app.py").write_bytes((FOLDER / "app.py").read_bytes())
    reader = Reader(tmp_path)
    reader.environment["SECRET_KEY"] = "only for tests"
    with reader.serving("kolben serve app:app --workers 1 --proxy-count 1 --grace 8") as address:
        for probe in ("readinessProbe", "livenessProbe"):
            path = container[probe]["httpGet"]["path"]
            assert httpx.get(address + path).json() == {"status": "ok"}
