"""`examples/shop`: its API, its pages, its stream and its chat."""

import asyncio
import importlib
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kolben.async_testing import WebSocketDenied


def order(client, headers, **quantities):
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in quantities.items()]
    return client.post("/shop/api/orders", json={"lines": lines}, headers=headers)


def stock(client, sku):
    return client.get(f"/shop/api/products/{sku}").json["stock"]


def test_products_come_in_pages(client):
    first = client.get("/shop/api/products?limit=4")
    assert [one["sku"] for one in first.json["items"]] == ["clock", "globe", "lamp", "mug"]
    following = client.get(first.headers["Link"].split(">")[0].strip("<"))
    assert [one["sku"] for one in following.json["items"]] == ["notebook", "pencil"]
    assert following.json["next"] is None


def test_products_are_searched_as_text(client):
    found = client.get("/shop/api/products?q=GREEN").json["items"]
    assert [one["sku"] for one in found] == ["lamp"]
    assert client.get("/shop/api/products?q=%25").json["items"] == []


def test_a_customer_joins_and_logs_in(client, bearer):
    who = {"name": "mary", "password": "shelley"}
    joined = client.post("/shop/api/customers", json=who)
    assert joined.status_code == 201
    assert client.get("/shop/api/me", headers=bearer(**who)).json == joined.json
    assert joined.json.keys() == {"id", "name", "is_staff"}
    assert client.post("/shop/api/customers", json=who).status_code == 409


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_a_wrong_password_is_refused_like_an_unknown_name(client, name):
    reply = client.post("/shop/api/token", json={"name": name, "password": "guessed"})
    assert (reply.status_code, reply.json["title"]) == (401, "Name or password is wrong")


def test_a_token_that_was_made_up_is_refused(client):
    for token in ("MQ.xxxxxx.yyyyyyyyyyyyyyyyyyyyyyyyyyy", "x", "ä"):
        headers = {"Authorization": f"Bearer {token}"}
        assert client.get("/shop/api/me", headers=headers).status_code == 401


def test_an_order_is_placed_shown_and_cancelled(client, bearer):
    ada = bearer()
    placed = order(client, ada, pencil=3, lamp=1)
    assert placed.status_code == 201
    assert placed.json["placed"].endswith("Z")
    address = f"/shop/api/orders/{placed.json['id']}"
    assert client.get(address, headers=ada).json == placed.json
    assert client.get("/shop/api/orders", headers=ada).json["items"] == [placed.json]
    assert stock(client, "pencil") == 397
    assert client.get(address, headers=bearer("grace", "compiler")).status_code == 404
    assert client.delete(address, headers=ada).status_code == 204
    assert stock(client, "pencil") == 400
    assert client.get(address, headers=ada).status_code == 404


def test_an_order_is_placed_as_a_whole_or_not_at_all(client, bearer):
    reply = order(client, bearer(), pencil=1, globe=3)
    assert reply.status_code == 409
    assert (reply.json["sku"], reply.json["left"]) == ("globe", 2)
    assert stock(client, "pencil") == 400
    assert order(client, bearer(), unknown=1).status_code == 404


def test_all_faults_of_an_order_are_told(client, bearer):
    lines = [{"sku": "A B"}, {"sku": "lamp", "quantity": 0, "gift": True}]
    reply = client.post("/shop/api/orders", json={"lines": lines}, headers=bearer())
    assert reply.status_code == 422
    pointers = {error["pointer"] for error in reply.json["errors"]}
    assert pointers == {"#/lines/0/sku", "#/lines/1/quantity", "#/lines/1/gift"}


def test_the_last_ones_are_sold_once(app, client, bearer):
    ada, answers = bearer(), []

    def buy():
        answers.append(order(app.test_client(), ada, clock=1).status_code)

    buyers = [threading.Thread(target=buy) for _ in range(12)]
    for one in buyers:
        one.start()
    for one in buyers:
        one.join()
    assert sorted(answers) == [201] * 3 + [409] * 9
    assert stock(client, "clock") == 0


def test_only_the_staff_changes_prices(client, bearer):
    change = {"cents": 5100}
    assert client.patch("/shop/api/products/lamp", json=change).status_code == 401
    reply = client.patch("/shop/api/products/lamp", json=change, headers=bearer())
    assert (reply.status_code, reply.json["title"]) == (403, "Only for the staff")
    reply = client.patch(
        "/shop/api/products/lamp", json=change, headers=bearer("grace", "compiler")
    )
    assert (reply.json["cents"], reply.json["stock"]) == (5100, 12)


def test_prices_are_told_as_they_change(app, bearer):
    clerk = bearer("grace", "compiler")

    async def look():
        client = app.async_test_client()
        listening = asyncio.create_task(client.get("/shop/api/prices"))
        await asyncio.sleep(0.5)
        await client.patch("/shop/api/products/mug", json={"cents": 1}, headers=clerk)
        return (await listening).text

    text = asyncio.run(look())
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert {one["sku"] for one in events[:6]} == {
        "clock", "globe", "lamp", "mug", "notebook", "pencil",
    }  # fmt: skip
    assert [(one["sku"], one["cents"]) for one in events[6:]] == [("mug", 1)]


def test_all_in_the_chat_hear_each_other(app):
    async def enter(name, password):
        client = app.async_test_client()
        await client.post("/shop/login", data={"name": name, "password": password})
        return client

    async def talk():
        ada, grace = await enter("ada", "engine"), await enter("grace", "compiler")
        async with ada.websocket("/shop/api/chat") as one, grace.websocket("/shop/api/chat") as two:
            await one.send_json({"type": "say", "text": "<b>hi</b>"})
            heard = [await socket.receive_json() for socket in (one, two)]
            assert heard == [{"id": 1, "name": "ada", "text": "<b>hi</b>"}] * 2
            await two.send_json({"type": "leave"})
        with pytest.raises(WebSocketDenied) as denied:
            async with app.async_test_client().websocket("/shop/api/chat"):
                pass
        assert denied.value.status_code == 401

    asyncio.run(talk())


def test_the_pages_sell_what_the_api_lists(client, bearer):
    assert client.post("/shop/buy/lamp").headers["Location"] == "/shop/login"
    client.post("/shop/login", data={"name": "ada", "password": "engine"})
    page = client.post("/shop/buy/lamp", follow_redirects=True).text
    assert "Thank you. This is order 1." in page
    assert "49.00 €" in page
    assert "1 × Desk lamp" in client.get("/shop/orders").text
    listed = client.get("/shop/api/orders", headers=bearer()).json["items"]
    assert [one["id"] for one in listed] == [1]
    client.post("/shop/logout")
    assert client.get("/shop/orders").status_code == 302


def test_mistakes_on_pages_are_told_in_words(client):
    wrong = {"name": "ada", "password": "guessed"}
    assert "password is wrong" in client.post("/shop/login", data=wrong, follow_redirects=True).text
    bad = {"name": "<b>", "password": "x", "join": ""}
    page = client.post("/shop/login", data=bad, follow_redirects=True).text
    assert "six characters" in page
    join = {"name": "mary", "password": "shelley", "join": ""}
    client.post("/shop/login", data=join)
    for _ in range(3):
        page = client.post("/shop/buy/globe", follow_redirects=True).text
    assert "Out of stock." in page


def test_the_typed_client_buys(app, client, bearer):
    program = importlib.import_module("examples.shop.client")
    from kolben.api import Client

    assert program.buy(Client(app), "pencil", 2) == "Order 1: 2 x pencil for 3.60 euros."
    assert program.buy(Client(app), "globe", 9) == "There are only 2 of globe."
    assert stock(client, "pencil") == 398


def test_errors_of_the_pages_are_no_problems_of_the_api(client):
    assert client.get("/shop/nothing").mimetype == "text/html"
    assert client.get("/shop/api/nothing").mimetype == "application/problem+json"


def test_the_document_says_what_is_there(client):
    document = client.get("/shop/api/openapi.json").json
    from openapi_spec_validator import validate

    validate(document)
    place = document["paths"]["/shop/api/orders"]["post"]
    assert place["responses"].keys() >= {"201", "401", "404", "409", "422"}
    assert place["security"] == [{"bearer": []}]
    assert "order.placed" in document["webhooks"]


ROOT = Path(__file__).parents[2]
BESIDE = """
from examples.everything import app
app.config["DATA_FOLDER"] = {folder!r}
client = app.test_client()
assert 'href="/shop/"' in client.get("/").text
assert "Desk lamp" in client.get("/shop/").text
assert client.get("/shop/api/docs").status_code == 200
assert client.get("/chapters/hello").status_code == 200
"""


def test_it_is_beside_the_tutorial(tmp_path):
    """In a process of its own: the tutorial's application has answered in this one."""
    program = BESIDE.format(folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
