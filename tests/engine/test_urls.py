"""URLs of an application: when its own quick way builds them, and when the URL map is bound."""

from __future__ import annotations

import pytest
from werkzeug.routing import Rule

import kolben
from kolben import url_for
from kolben.engine.urls import NO_SUBDOMAIN, is_below, is_odd_host


@pytest.fixture
def app() -> kolben.Flask:
    app = kolben.Flask(__name__, static_folder=None)
    app.add_url_rule("/item/<int:n>", "item", lambda n: str(n))
    return app


def test_a_rule_that_a_view_adds_can_be_built_at_once(app: kolben.Flask) -> None:
    @app.get("/")
    def view() -> str:
        before = url_for("item", n=1)
        app.url_map.add(Rule("/added/<x>", endpoint="added"))
        return f"{before} {url_for('added', x='y')} {url_for('item', n=2)}"

    assert app.test_client().get("/").text == "/item/1 /added/y /item/2"


def test_below_a_path_that_is_not_ascii_urls_are_those_of_werkzeug(app: kolben.Flask) -> None:
    with app.test_request_context("/", base_url="http://localhost/grüße"):
        assert url_for("item", n=1) == "/grüße/item/1"


def test_an_untrusted_host_has_no_urls(app: kolben.Flask) -> None:
    app.config["TRUSTED_HOSTS"] = ["good.example"]

    @app.errorhandler(400)
    def refused(error: Exception) -> str:
        with pytest.raises(RuntimeError, match="host is not trusted"):
            url_for("item", n=1)
        return "refused"

    reply = app.test_client().get("/item/1", base_url="http://bad.example")
    assert reply.text == "refused"


def test_a_host_with_two_ports_is_none(app: kolben.Flask) -> None:
    app.add_url_rule("/", "host", lambda: f"host={kolben.request.host!r}")
    for host, seen in (("a.example:80", "a.example"), ("a.example:80:81", "")):
        reply = app.test_client().get("/", headers={"Host": host})
        assert reply.text == f"host={seen!r}"


def test_outside_of_a_request_the_servers_name_is_asked_for(app: kolben.Flask) -> None:
    with app.app_context(), pytest.raises(RuntimeError, match="'SERVER_NAME'"):
        url_for("item", n=1)
    app.config.update(
        SERVER_NAME="a.example", APPLICATION_ROOT="/app", PREFERRED_URL_SCHEME="https"
    )
    with app.app_context():
        assert url_for("item", n=1) == "https://a.example/app/item/1"
    assert app.url_for("item", n=1) == "https://a.example/app/item/1"


@pytest.mark.parametrize(
    ("host", "is_odd"),
    [
        (None, False),
        ("localhost:5000", False),
        ("a.example", False),
        ("a..example", True),
        (".example", True),
        ("a" * 64, True),
        ("a" * 63, False),
    ],
)
def test_hosts_that_have_no_idna_form_are_odd(host: str | None, is_odd: bool) -> None:
    assert is_odd_host(host) is is_odd


@pytest.mark.parametrize(
    ("host", "scheme", "is_there"),
    [
        ("a.example", "http", True),
        ("A.Example", "http", True),
        ("www.a.example", "http", True),
        ("xa.example", "http", False),
        ("example", "http", False),
    ],
)
def test_a_subdomain_is_below_its_server(host: str, scheme: str, is_there: bool) -> None:
    assert is_below(host, "a.example:80", scheme) is is_there


def test_a_host_that_is_not_the_servers_matches_no_subdomain() -> None:
    app = kolben.Flask(__name__, static_folder=None, subdomain_matching=True)
    app.config["SERVER_NAME"] = "a.example"
    app.add_url_rule("/", "index", lambda: "index")
    client = app.test_client()
    assert client.get("/", base_url="http://a.example").text == "index"
    with pytest.warns(UserWarning, match="doesn't match configured server name"):
        reply = client.get("/", base_url="http://b.example")
    assert reply.status_code == 404
    assert "<" in NO_SUBDOMAIN  # which no host has in it
