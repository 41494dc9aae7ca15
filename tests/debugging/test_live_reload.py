"""Pages that reload when what they are made of was saved."""

from __future__ import annotations

import threading

import pytest
from werkzeug.test import Client

import kolben
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


@pytest.mark.parametrize(
    ("file", "event"), [("static/a.css", "styles"), ("templates/a.html", "reload")]
)
def test_a_saved_file_is_told(client, tmp_path, file, event):
    stream = client.get("/__kolben__/live/events", buffered=False)
    events = iter(stream.response)
    first = next(events)
    assert b"event: process\n" in first
    done = threading.Event()

    def save() -> None:
        while not done.wait(0.1):
            (tmp_path / file).write_text((tmp_path / file).read_text() + "x")

    (tmp_path / file).write_text("")
    saver = threading.Thread(target=save)
    saver.start()
    try:
        told = next(one for one in events if b"event" in one)
    finally:
        done.set()
        saver.join()
        stream.close()
    # The first look may fall between the creation of a file and the first change of it.
    assert told == f"event: {event}\ndata:\n\n".encode()


def test_the_thread_that_looks_ends_with_the_last_page(client):
    stream = client.get("/__kolben__/live/events", buffered=False)
    events = iter(stream.response)
    next(events)
    waiting = threading.Thread(target=next, args=(events, None))
    waiting.start()
    names = [thread for thread in threading.enumerate() if thread.name == "kolben-live"]
    waiting.join(10)
    stream.close()
    for thread in names:
        thread.join(10)
    assert not any(thread.is_alive() for thread in names)


def test_two_processes_are_told_apart(app):
    def process() -> bytes:
        stream = Client(LiveReload(app, list)).get("/__kolben__/live/events", buffered=False)
        first = next(iter(stream.response))
        stream.close()
        return first

    assert process() != process()
