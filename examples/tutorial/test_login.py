"""Chapter 21: tests of chapter 20's program."""

from __future__ import annotations

from pathlib import Path

import pytest
from examples.tutorial.ch20_login import create_app

from kolben import Flask
from kolben.testing import FlaskClient

ADA = {"name": "Ada", "password": "analytical engine"}


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    app = create_app()
    app.config.update(TESTING=True, DATA_FOLDER=tmp_path)
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_a_visitor_who_joins_is_logged_in(client: FlaskClient) -> None:
    answer = client.post("/join", data=ADA, follow_redirects=True)
    assert "The diary of Ada" in answer.text


def test_the_diary_is_for_those_who_are_logged_in(client: FlaskClient) -> None:
    assert client.get("/diary").location == "/"
    client.post("/join", data=ADA)
    assert client.get("/diary").status_code == 200
    client.post("/log-out")
    assert client.get("/diary").location == "/"


@pytest.mark.parametrize(
    "form",
    [
        pytest.param({"name": "Ada", "password": "guessed"}, id="password"),
        pytest.param({"name": "Bob", "password": "analytical engine"}, id="name"),
    ],
)
def test_a_wrong_name_or_password_is_told_in_the_same_words(
    app: Flask, client: FlaskClient, form: dict[str, str]
) -> None:
    app.test_client().post("/join", data=ADA)
    answer = client.post("/log-in", data=form, follow_redirects=True)
    assert "Name or password is wrong." in answer.text


def test_a_name_can_be_had_once(app: Flask, client: FlaskClient) -> None:
    app.test_client().post("/join", data=ADA)
    answer = client.post("/join", data=ADA, follow_redirects=True)
    assert "That name is taken." in answer.text


def test_no_password_is_stored(app: Flask, client: FlaskClient) -> None:
    client.post("/join", data=ADA)
    stored = (Path(app.config["DATA_FOLDER"]) / "users.sqlite").read_bytes()
    assert b"Ada" in stored
    assert b"analytical engine" not in stored


def test_the_session_holds_a_number(client: FlaskClient) -> None:
    with client:
        client.post("/join", data=ADA)
        with client.session_transaction() as session:
            assert dict(session) == {"user": 1}
