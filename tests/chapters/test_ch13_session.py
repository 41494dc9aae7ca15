"""Chapter 13: the session."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from kolben import Flask, redirect, render_template_string, request, session, url_for
from kolben.json.tag import TaggedJSONSerializer

KEY = "F12Zr47j\3yX R~X@H!jLwf/T"


@pytest.fixture
def app():
    app = Flask(__name__)
    app.secret_key = KEY

    @app.route("/login")
    def login():
        return render_template_string(
            """<form action="{{ url_for('do_login') }}" method="post">
            <p>name: <input type="text" name="user_name" /></p></form>"""
        )

    @app.route("/do_login", methods=["POST"])
    def do_login():
        session["user_name"] = request.form.get("user_name")
        return "success"

    @app.route("/show")
    def show():
        return session["user_name"]

    @app.route("/logged_in")
    def logged_in():
        return str("user_name" in session)

    @app.route("/logout")
    def logout():
        session.pop("user_name", None)
        return redirect(url_for("login"))

    @app.route("/stay")
    def stay():
        session.permanent = True
        session["user_name"] = "letian"
        return "success"

    return app


def signed(value, key=KEY, at=None):
    """A session cookie as Flask signs it, made by itsdangerous alone, ``at`` a time if given."""

    class Signer(TimestampSigner):
        def get_timestamp(self):
            return int(at.timestamp()) if at else super().get_timestamp()

    return URLSafeTimedSerializer(
        key,
        salt="cookie-session",
        serializer=TaggedJSONSerializer(),
        signer=Signer,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1},
    ).dumps(value)


def set_cookies(answer):
    return answer.headers.getlist("Set-Cookie")


def test_the_form_knows_where_it_goes(app):
    assert 'action="/do_login"' in app.test_client().get("/login").text


def test_log_in_show_log_out(app):
    client = app.test_client()
    answer = client.post("/do_login", data={"user_name": "letian"})
    assert answer.text == "success"
    [cookie] = set_cookies(answer)
    value, *attributes = cookie.split("; ")
    assert value.startswith("session=")
    assert attributes == ["HttpOnly", "Path=/"]

    shown = client.get("/show")
    assert shown.text == "letian"
    assert shown.headers["Vary"] == "Cookie"

    gone = client.get("/logout")
    assert (gone.status_code, gone.headers["Location"]) == (302, "/login")
    [cookie] = set_cookies(gone)
    assert cookie.startswith("session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0;")
    assert client.get("/logged_in").text == "False"


def test_names_in_any_script(app):
    client = app.test_client()
    client.post("/do_login", data={"user_name": "乐天"})
    assert client.get("/show").text == "乐天"


def test_without_a_secret_key_it_says_what_to_do(app):
    app.secret_key = None
    app.testing = True
    with pytest.raises(RuntimeError, match=r"(?i)secret.key"):
        app.test_client().post("/do_login", data={"user_name": "letian"})


def test_a_cookie_signed_elsewhere_with_the_same_key_is_read(app):
    client = app.test_client()
    client.set_cookie("session", signed({"user_name": "letian"}))
    assert client.get("/show").text == "letian"


def test_the_cookie_is_the_same_to_the_byte_as_the_one_signed_elsewhere(app):
    answer = app.test_client().post("/do_login", data={"user_name": "letian"})
    value = set_cookies(answer)[0].split(";")[0].removeprefix("session=")
    now = datetime.now(UTC)
    candidates = [signed({"user_name": "letian"}, at=now - timedelta(seconds=s)) for s in range(5)]
    assert value in candidates


def test_five_minutes(app):
    app.permanent_session_lifetime = timedelta(minutes=5)
    answer = app.test_client().get("/stay")
    [cookie] = set_cookies(answer)
    attributes = dict(part.partition("=")[::2] for part in cookie.split("; "))
    left = parsedate_to_datetime(attributes["Expires"]) - datetime.now(UTC)
    assert timedelta(minutes=4, seconds=50) < left <= timedelta(minutes=5)


@pytest.mark.parametrize(
    ("age", "known"), [(timedelta(minutes=4), "True"), (timedelta(minutes=6), "False")]
)
def test_a_cookie_older_than_that_is_refused(app, age, known):
    app.permanent_session_lifetime = timedelta(minutes=5)
    client = app.test_client()
    cookie = signed({"_permanent": True, "user_name": "letian"}, at=datetime.now(UTC) - age)
    client.set_cookie("session", cookie)
    assert client.get("/logged_in").text == known


@pytest.mark.parametrize(
    "cookie",
    [
        "nonsense",
        "",
        ".",
        "a.b.c",
        signed({"user_name": "x"}, key="another key"),
        signed({"user_name": "x"})[:-1],
        "." + signed({"user_name": "x"}),
        signed({"user_name": "x"}).replace(".", "..", 1),
        signed(["no", "dict"])[:-3] + "%%%",
    ],
    ids=["text", "empty", "dot", "dots", "other key", "cut", "not packed", "no time", "no dict"],
)
def test_a_broken_cookie_is_ignored(app, cookie):
    client = app.test_client()
    client.set_cookie("session", cookie)
    answer = client.get("/logged_in")
    assert (answer.status_code, answer.text) == (200, "False")
