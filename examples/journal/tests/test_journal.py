from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import pytest
from journal import create_app

from kolben.testing import FlaskClient

PNG = b"\x89PNG\r\n\x1a\n, and a sea"


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    return create_app(TESTING=True, FOLDER=str(tmp_path)).test_client()


def test_an_entry_is_shown(client: FlaskClient) -> None:
    page = client.post("/", data={"text": "Rain & wind."}, follow_redirects=True).text
    assert "Written." in page
    assert "Rain &amp; wind." in page


def test_a_photo_comes_back_as_it_was(client: FlaskClient) -> None:
    form = {"text": "The sea.", "photo": (BytesIO(PNG), "../../sea.png")}
    page = client.post("/", data=form, follow_redirects=True).text
    (address,) = re.findall(r'<img src="(/photos/\w+\.png)"', page)
    with client.get(address) as answer:
        assert answer.data == PNG


def test_what_is_no_photo_is_refused(client: FlaskClient) -> None:
    form = {"text": "Hm.", "photo": (BytesIO(b"<script>"), "sea.png")}
    assert client.post("/", data=form).status_code == 400
    assert "Nothing written yet." in client.get("/").text


def test_an_entry_needs_a_text(client: FlaskClient) -> None:
    assert client.post("/", data={"text": " "}).status_code == 400
