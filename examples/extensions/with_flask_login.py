"""Flask-Login: who is there, and views for those who are logged in."""

from __future__ import annotations

from flask_login import (
    LoginManager,
    UserMixin,
    current_user,
    login_required,
    login_user,
    logout_user,
)
from werkzeug.security import check_password_hash, generate_password_hash

from kolben import Flask, abort, request, session

app = Flask(__name__)
app.secret_key = "from the environment, in earnest"
manager = LoginManager(app)


class User(UserMixin):
    def __init__(self, name: str, password: str) -> None:
        self.id = name
        self.password = generate_password_hash(password)


USERS = {"ada": User("ada", "analytical engine")}


@manager.user_loader
def load(name: str) -> User | None:
    return USERS.get(name)


@app.post("/log-in")
def log_in() -> str:
    user = USERS.get(request.form["name"])
    if user is None or not check_password_hash(user.password, request.form["password"]):
        abort(403)
    session.regenerate()
    login_user(user)
    return "Welcome."


@app.get("/diary")
@login_required
def diary() -> str:
    return f"The diary of {current_user.id}"


@app.post("/log-out")
def log_out() -> str:
    logout_user()
    return "Good-bye."


def test_the_diary_is_for_those_who_are_logged_in() -> None:
    client = app.test_client()
    assert client.get("/diary").status_code == 401
    wrong = {"name": "ada", "password": "guessed"}
    assert client.post("/log-in", data=wrong).status_code == 403
    client.post("/log-in", data={"name": "ada", "password": "analytical engine"})
    assert client.get("/diary").text == "The diary of ada"
    client.post("/log-out")
    assert client.get("/diary").status_code == 401
