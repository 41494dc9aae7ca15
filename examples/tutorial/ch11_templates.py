"""Chapter 11: pages from templates."""

from __future__ import annotations

from kolben import Blueprint, Flask, get_template_attribute, render_template, render_template_string

chapter = Blueprint("templates", __name__)

USER = {
    "name": "letian",
    "motto": "templates & <b>escaping</b>",
    "github": "https://github.com/letiantian",
}


@chapter.get("/")
def index() -> str:
    return render_template("templates/user.html", page_title="letian's info", user_info=USER)


@chapter.get("/string")
def string() -> str:
    return render_template_string("{{ 6 }} times {{ 7 }} is {{ 6 * 7 }}.")


@chapter.get("/macro")
def macro() -> str:
    badge = get_template_attribute("templates/badge.html", "badge")
    return str(badge("one macro, called from Python"))


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
