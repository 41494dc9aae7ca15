"""zan on its own server: Flask's API, without the short forms of `route`. It validates nothing."""

from __future__ import annotations

from typing import Any

from workloads import PAGE, SECRET, TEMPLATES
from zan import Flask, render_template, request, session

app = Flask("bench", template_folder=str(TEMPLATES))
app.secret_key = SECRET
# Nothing else switches its log of requests off.
app.config["TESTING"] = True


@app.route("/")
def hello() -> str:
    return "Hello, World!"


@app.route("/user/<int:user_id>/post/<slug>")
def post(user_id: int, slug: str) -> str:
    return f"{user_id} {slug}"


@app.route("/json", methods=["POST"])
def json() -> dict[str, Any]:
    data = request.get_json()
    return {"hello": data["name"], "next": data["age"] + 1, "tags": data["tags"]}


@app.route("/page")
def page() -> str:
    return render_template("page.html", **PAGE)


@app.route("/session/start")
def session_start() -> str:
    session["user"], session["count"] = "Ada", 1
    return "started"


@app.route("/session")
def session_use() -> str:
    session["count"] += 1
    return f"{session['user']} {session['count']}"


def serve(port: int) -> None:
    """Serve until the process is ended."""
    app.run(host="127.0.0.1", port=port, debug=False)
