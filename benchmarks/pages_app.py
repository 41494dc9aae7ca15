"""A program as people have it: users who log in, notes in a database, forms, templates.

What Flask's users take with it: Flask-Login, Flask-WTF, SQLAlchemy on SQLite. `flask` is Flask, or Kolben
in its place (`kolben.install_as_flask()`).
"""

from __future__ import annotations

from typing import Any

import flask
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user
from flask_wtf import CSRFProtect, FlaskForm
from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool
from wtforms import StringField, TextAreaField
from wtforms.validators import DataRequired, Length

NOTES = 28
"""With the two links of the navigation a page has 30 URLs."""


class Base(DeclarativeBase):
    pass


class User(UserMixin, Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(80))
    words: Mapped[int]


class NoteForm(FlaskForm):  # type: ignore[misc]
    title = StringField("Title", [DataRequired(), Length(max=80)])
    text = TextAreaField("Text", [DataRequired()])


def build(templates: str) -> Any:
    """Return the application.

    :param templates: the folder of its templates.
    """
    app = flask.Flask("pages", template_folder=templates, static_folder=None)
    app.secret_key = "a long secret key that signs only benchmark cookies"
    # One connection, kept: what is measured is no disk.
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as database:
        database.add(User(id=1, name="Ada"))
        database.add_all(Note(title=f"Note <{n}>", words=n * 7) for n in range(NOTES))
        database.commit()
    logins = LoginManager(app)
    logins.login_view = "log_in"
    CSRFProtect(app)

    @app.before_request
    def connect() -> None:
        flask.g.database = Session(engine)

    @app.teardown_request
    def disconnect(error: BaseException | None) -> None:
        flask.g.database.close()

    @app.after_request
    def secure(response: Any) -> Any:
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @logins.user_loader  # type: ignore[untyped-decorator, unused-ignore]
    def load_user(user_id: str) -> User | None:
        database: Session = flask.g.database
        return database.get(User, int(user_id))

    @app.get("/log-in")
    def log_in() -> Any:
        login_user(flask.g.database.get(User, 1))
        flask.flash("Welcome back.", "info")
        return flask.redirect(flask.url_for("notes"))

    @app.get("/")
    @login_required  # type: ignore[untyped-decorator, unused-ignore]
    def notes() -> Any:
        found = flask.g.database.scalars(select(Note).order_by(Note.id).limit(NOTES)).all()
        flask.flash(f"{len(found)} notes.", "info")
        return flask.render_template("pages/notes.html", notes=found)

    @app.get("/notes/<int:number>")
    @login_required  # type: ignore[untyped-decorator, unused-ignore]
    def note(number: int) -> Any:
        found = flask.g.database.get(Note, number) or flask.abort(404)
        return {"id": found.id, "title": found.title, "by": current_user.name}

    @app.route("/write", methods=["GET", "POST"])
    @login_required  # type: ignore[untyped-decorator, unused-ignore]
    def write() -> Any:
        form = NoteForm()
        if form.validate_on_submit():
            flask.flash("Saved.", "info")
            return flask.redirect(flask.url_for("note", number=1))
        return flask.render_template("pages/write.html", form=form)

    return app
