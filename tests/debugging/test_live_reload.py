"""Pages that reload when what they are made of was saved."""

from __future__ import annotations

import threading

import pytest
from werkzeug.test import Client

import kolben
from kolben.debugging import live_reload
from kolben.debugging.live_reload import LiveReload, folders_of

NAVIGATION = {"Sec-Fetch-Dest": "document"}


@pytest.fixture
def app(tmp_path) -> kolben.Flask:
    for folder in "templates", "static":
        (tmp_path / folder).mkdir()
    app = kolben.Flask("shop", root_path=str(tmp_path))
    app.add_url_rule("/", view_func=lambda: "<h1>hello</h1>")
    app.add_url_rule("/json", view_func=dict)
    return app


@pytest.fixture
def client(app) -> Client:
    return Client(LiveReload(app, lambda: folders_of(app)))


def test_a_page_gets_the_script_and_the_right_length(client):
    answer = client.get("/", headers=NAVIGATION)
    assert answer.text.startswith("<h1>hello</h1>")
    assert "/__kolben__/live/script.js" in answer.text
    assert answer.content_length == len(answer.data)
    script = client.get("/__kolben__/live/script.js")
    assert (script.status_code, script.mimetype) == (200, "text/javascript")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/", {"Accept": "*/*"}),
        ("/", {"Sec-Fetch-Dest": "empty", "Accept": "text/html"}),
        ("/", {"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"}),
        ("/json", NAVIGATION),
    ],
)
def test_what_is_no_page_stays_as_it_is(client, app, path, headers):
    answer = client.get(path, headers=headers)
    assert answer.data == app.test_client().get(path).data
    assert "script.js" not in client.head("/", headers=NAVIGATION).text


def states(client: Client) -> list[tuple[str, ...]]:
    """What one request for changes is told, until it ends."""
    text = client.get("/__kolben__/live/events").text
    return [tuple(line[6:].split()) for line in text.splitlines() if line.startswith("data: ")]


@pytest.mark.parametrize(
    ("file", "place"), [("static/a.css", 2), ("templates/a.html", 1), ("static/a.js", 1)]
)
def test_a_saved_file_is_told_at_once_and_to_those_who_ask_later(client, tmp_path, file, place):
    before = states(client)[0]
    (tmp_path / file).write_text("changed")
    seen = [state for _ in range(5) for state in states(client)]
    assert seen[-1][place] > before[place]
    assert seen[-1][3 - place] == before[3 - place]
    assert seen[-1][0] == before[0]


def test_a_request_for_changes_ends_by_itself(client):
    """A browser that waits for all requests of a page must not wait for ever."""
    assert len(states(client)) == 1


def test_the_thread_that_looks_ends_after_the_last_page(client, monkeypatch):
    monkeypatch.setattr(live_reload, "LINGER", 0.0)
    states(client)
    for thread in threading.enumerate():
        if thread.name == "kolben-live":
            thread.join(10)
            assert not thread.is_alive()


def test_two_processes_are_told_apart(app):
    first, second = (states(Client(LiveReload(app, list)))[0] for _ in range(2))
    assert first[0] != second[0]
