"""The test client, the environ builder and the command runner."""

from __future__ import annotations

import importlib.metadata
from contextlib import suppress

import click
import pytest

import kolben
from kolben import Flask, g, request, session
from kolben.cli import ScriptInfo
from kolben.globals import _cv_request
from kolben.testing import EnvironBuilder, FlaskClient, FlaskCliRunner


@pytest.fixture
def app():
    app = Flask("program")
    app.config.update(TESTING=True, SECRET_KEY="secret")

    @app.get("/")
    def index():
        g.seen = request.args.get("name", "nobody")
        return request.url

    @app.get("/who")
    def who():
        return {"address": request.remote_addr, "agent": request.user_agent.string}

    @app.get("/count")
    def count():
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    @app.get("/first")
    def first():
        g.seen = session["first"] = "first"
        return kolben.redirect("/second")

    @app.get("/second")
    def second():
        session["second"] = "second"
        return "second"

    @app.post("/echo")
    def echo():
        return request.get_json()

    return app


@pytest.fixture
def client(app):
    return app.test_client()


def test_the_client_is_the_class_that_the_application_names(app):
    class Client(FlaskClient):
        def __init__(self, *args, **kwargs):
            self.user = kwargs.pop("user")
            super().__init__(*args, **kwargs)

    app.test_client_class = Client
    assert app.test_client(user="ann").user == "ann"


@pytest.mark.parametrize(
    ("arguments", "config", "url"),
    [
        ({}, {}, "http://localhost/"),
        ({"path": "/?a=1"}, {}, "http://localhost/?a=1"),
        ({"path": "https://example.com:44/"}, {}, "https://example.com:44/"),
        ({"url_scheme": "https"}, {}, "https://localhost/"),
        ({"base_url": "http://other/base"}, {}, "http://other/base/"),
        ({}, {"SERVER_NAME": "a.test:81"}, "http://a.test:81/"),
        ({"subdomain": "s"}, {"SERVER_NAME": "a.test"}, "http://s.a.test/"),
        ({}, {"APPLICATION_ROOT": "/root"}, "http://localhost/root/"),
        ({}, {"PREFERRED_URL_SCHEME": "https"}, "https://localhost/"),
    ],
)
def test_where_a_request_goes(app, arguments, config, url):
    app.config.update(config)
    assert app.test_request_context(**arguments).request.url == url
    assert EnvironBuilder(app, **arguments).get_request().url == url


def test_a_base_url_excludes_its_parts(app):
    with pytest.raises(AssertionError, match="base_url"):
        EnvironBuilder(app, base_url="http://a.test", subdomain="s")


def test_json_is_written_by_the_applications_provider(app):
    app.json.ensure_ascii = False
    assert EnvironBuilder(app, json="€").input_stream.read().decode() == '"€"'


def test_json_there_and_back(client):
    answer = client.post("/echo", json={"a": [1, None]})
    assert answer.json == {"a": [1, None]}


def test_the_environ_base_is_under_every_request(client):
    agent = f"Werkzeug/{importlib.metadata.version('werkzeug')}"
    assert client.get("/who").json == {"address": "127.0.0.1", "agent": agent}
    client.environ_base |= {"REMOTE_ADDR": "192.0.2.1", "HTTP_USER_AGENT": "Mine"}
    assert client.get("/who").json == {"address": "192.0.2.1", "agent": "Mine"}


def test_an_environ_base_given_goes_over_the_clients(client):
    base = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.get("/who", environ_base=base).json["address"] == "192.0.2.7"


def test_a_builder_an_environ_or_a_request_can_be_opened(app, client):
    builder = EnvironBuilder(app, "/who")
    for source in (builder, builder.get_environ(), builder.get_request()):
        assert client.open(source).json["address"] == "127.0.0.1"
    assert not builder.environ_base
    builder.close()


def test_without_a_block_nothing_is_left_in_force(client):
    client.get("/")
    assert _cv_request.get(None) is None


def test_in_a_block_the_last_request_stays_in_force(client):
    with client:
        client.get("/?name=a")
        assert (request.args["name"], g.seen) == ("a", "a")
        client.get("/?name=b")
        assert (request.args["name"], g.seen) == ("b", "b")
    assert _cv_request.get(None) is None


def test_in_a_block_an_error_leaves_its_request_in_force(app, client):
    app.add_url_rule("/fail", "fail", lambda: 1 / 0)
    with client:
        with pytest.raises(ZeroDivisionError):
            client.get("/fail")
        client.get("/")
        assert request.path == "/"
    assert _cv_request.get(None) is None


def test_after_redirects_the_last_request_is_in_force(client):
    with client:
        answer = client.get("/first", follow_redirects=True)
        assert [each.status_code for each in answer.history] == [302]
        assert request.path == "/second"
        assert (session["first"], session["second"]) == ("first", "second")
        assert "seen" not in g


def test_a_context_outside_the_block_is_back_after_it(app, client):
    with app.test_request_context("/outside") as context:
        with client:
            client.get("/")
        assert _cv_request.get(None) is context


def test_a_block_can_be_used_again_but_not_in_itself(client):
    for _ in range(2):
        with client:
            client.get("/")
    with client, pytest.raises(RuntimeError, match="nest"), client:
        pass


def test_a_session_can_be_prepared_and_looked_at(client):
    with client.session_transaction() as prepared:
        prepared["count"] = 41
    assert client.get("/count").text == "42"
    with client.session_transaction() as seen:
        assert seen["count"] == 42


def test_a_session_transaction_leaves_the_context_in_force_alone(app, client):
    with app.test_request_context("/outside") as context:
        with client.session_transaction():
            assert _cv_request.get(None) is context


def test_a_session_transaction_that_fails_saves_nothing(client):
    with suppress(ZeroDivisionError), client.session_transaction() as prepared:
        prepared["count"] = 41
        raise ZeroDivisionError
    assert client.get("/count").text == "1"


def test_a_session_transaction_needs_cookies(app):
    client = app.test_client(use_cookies=False)
    with pytest.raises(TypeError, match=r"Cookies are disabled\."), client.session_transaction():
        pass


def test_a_session_transaction_needs_a_secret_key(app, client):
    app.secret_key = None
    with (
        pytest.raises(RuntimeError, match="Session backend did not open a session"),
        client.session_transaction(),
    ):
        pass


@pytest.fixture
def command(app):
    @app.cli.command("hello")
    @click.argument("name")
    def hello(name):
        click.echo(f"{kolben.current_app.name} greets {name}")

    return hello


def test_a_command_is_run_by_its_name_or_as_an_object(app, command):
    runner = app.test_cli_runner()
    assert isinstance(runner, FlaskCliRunner)
    assert runner.invoke(args=["hello", "ann"]).output == "program greets ann\n"
    assert runner.invoke(command, ["ann"]).output == "program greets ann\n"


def test_a_command_is_run_with_the_object_given(app, command):
    info = ScriptInfo(create_app=lambda: Flask("another"))
    assert app.test_cli_runner().invoke(command, ["ann"], obj=info).output.startswith("another")


def test_the_runner_is_the_class_that_the_application_names(app):
    app.test_cli_runner_class = type("Runner", (FlaskCliRunner,), {})
    assert type(app.test_cli_runner(echo_stdin=True)) is app.test_cli_runner_class
