"""The shop's client in Python as a generator of others' writes it: it imports, is complete, and buys something."""

import shutil
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest
from werkzeug.serving import make_server

BUYS = """
import sys
from shop_client import AuthenticatedClient, Client
from shop_client.api.customers import shop_api_log_in
from shop_client.api.orders import shop_api_place_order
from shop_client.models import CredentialsClosed, NewOrderClosed, OrderLineClosed, OutOfStock

client = Client(base_url=sys.argv[1])
token = shop_api_log_in.sync(client=client, body=CredentialsClosed("ada", "engine")).token
client = AuthenticatedClient(base_url=sys.argv[1], token=token)
for sku, quantity in (("pencil", 2), ("globe", 9)):
    body = NewOrderClosed([OrderLineClosed(sku, quantity)])
    answer = shop_api_place_order.sync(client=client, body=body)
    print(answer.left if isinstance(answer, OutOfStock) else [one.sku for one in answer.lines])
"""


@pytest.fixture
def generated(app: t.Any, tmp_path: Path) -> Path:
    if not shutil.which("openapi-python-client", path=str(Path(sys.executable).parent)):
        pytest.skip("openapi-python-client is not installed")
    document = tmp_path / "openapi.json"
    arguments = ["openapi", "--openapi", "3.1", "-o", str(document)]
    assert app.test_cli_runner().invoke(args=arguments).exit_code == 0
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(document)]
    command += ["--meta", "none", "--output-path", str(tmp_path / "shop_client")]
    command += ["--fail-on-warning"]
    folder = Path(sys.executable).parent  # where ruff is, which it calls
    done = subprocess.run(
        command, env={"PATH": str(folder)}, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return tmp_path


def test_every_operation_is_generated(generated: Path, app: t.Any) -> None:
    document = app.extensions["kolben.api"][0].document()
    wanted = {one["operationId"] for item in document["paths"].values() for one in item.values()}
    written = (generated / "shop_client/api").rglob("shop_*.py")
    assert {file.stem for file in written} == wanted


def test_what_is_generated_buys(generated: Path, app: t.Any) -> None:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        done = subprocess.run(
            [sys.executable, "-c", BUYS, url], cwd=generated, capture_output=True, text=True
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['pencil']", "2"]
