"""The shop, with a database of its own for each test."""

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def shop():
    if not (ROOT / "examples/shop").is_dir():
        pytest.skip("the examples are not part of this distribution")
    sys.path.insert(0, str(ROOT))
    try:
        yield importlib.import_module("examples.shop")
    finally:
        sys.path.remove(str(ROOT))


@pytest.fixture
def app(shop, tmp_path):
    database = f"sqlite:///{tmp_path / 'shop.db'}"
    app = shop.create_app(SHOP_DATABASE=database, SHOP_STREAM_SECONDS=2, TESTING=True)
    yield app
    if "shop" in app.extensions:
        app.extensions["shop"].dispose()


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def bearer(client):
    """`bearer("ada", "engine")` are the headers of who has logged in."""

    def log_in(name="ada", password="engine"):
        reply = client.post("/shop/api/token", json={"name": name, "password": password})
        assert reply.status_code == 200
        return {"Authorization": f"Bearer {reply.json['token']}"}

    return log_in
