"""Chapter 5: reading a form that was sent with POST."""

from __future__ import annotations

from kolben import Blueprint, Flask, render_template, request

chapter = Blueprint("form", __name__)


@chapter.get("/")
def index() -> str:
    return render_template("form/index.html")


@chapter.post("/register")
def register() -> str:
    return render_template(
        "form/welcome.html",
        name=request.form["name"],  # a form without a name is answered 400
        nickname=request.form.get("nickname") or "little apple",
        languages=request.form.getlist("language"),
    )


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
