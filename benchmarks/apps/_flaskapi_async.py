"""The app in Flask's API with async views, for kolben on ASGI.

The same as `_flaskapi.py` but for `async`: nothing is awaited, as kolben reads need no `await`.
"""

from __future__ import annotations

from typing import Any

from workloads import (
    MANY,
    NOT_FOUND,
    PAGE,
    PRODUCERS,
    RECORDS,
    ROUTES_EACH,
    SECRET,
    STATIC,
    TEMPLATES,
)


def build(flask: Any) -> Any:
    """Return the app of most workloads, made with the module *flask*."""
    app = flask.Flask("bench", static_folder=str(STATIC), template_folder=str(TEMPLATES))
    app.secret_key = SECRET
    request, session = flask.request, flask.session

    @app.get("/")
    async def hello() -> Any:
        return "Hello, World!"

    @app.get("/user/<int:user_id>/post/<slug>")
    async def post(user_id: int, slug: str) -> Any:
        return f"{user_id} {slug}"

    @app.get("/search")
    async def search() -> Any:
        args = request.args
        page, size = args.get("page", 1, type=int), args.get("size", 10, type=int)
        return f"{args['q']} {page} {size} {args['sort']} {args['order']}"

    @app.get("/query")
    async def query() -> Any:
        args = request.args
        return f"{args['user']} {args.get('time')} {','.join(args.getlist('p'))} {args.get('info')}"

    @app.get("/many")
    async def many() -> Any:
        get = request.args.get
        return str(sum([get(name, type=int) for name in MANY]))

    @app.post("/long")
    async def long() -> Any:
        get = request.form.get
        values = [get(name) for name in MANY]
        return f"{len(values)} {values[-1]}"

    @app.post("/form")
    async def form() -> Any:
        form = request.form
        return f"{form['name']} {form['email']} {int(form['age'])} {form['city']} {form['note']}"

    @app.post("/json")
    async def json() -> Any:
        data = request.get_json()
        return {"hello": data["name"], "next": data["age"] + 1, "tags": data["tags"]}

    @app.get("/records")
    async def records() -> Any:
        return RECORDS

    @app.post("/upload")
    async def upload() -> Any:
        form, photo = request.form, request.files["photo"]
        return f"{form['title']} {form['note']} {photo.filename} {len(photo.read())}"

    @app.get("/go")
    async def go() -> Any:
        return flask.redirect(flask.url_for("post", user_id=42, slug="benchmarks"))

    @app.get("/page")
    async def page() -> Any:
        return flask.render_template("page.html", **PAGE)

    @app.errorhandler(404)
    async def missing(error: Exception) -> Any:
        return NOT_FOUND, 404

    @app.get("/session/start")
    async def session_start() -> Any:
        session["user"], session["count"] = "Ada", 1
        return "started"

    @app.get("/session")
    async def session_use() -> Any:
        session["count"] += 1
        return f"{session['user']} {session['count']}"

    @app.get("/cookie")
    async def cookie() -> Any:
        response = flask.make_response("ok")
        response.set_cookie("theme", "dark", max_age=3600, httponly=True, samesite="Lax")
        return response

    @app.get("/flash/start")
    async def flash_start() -> Any:
        flask.flash("Saved.")
        return "started"

    @app.get("/flash")
    async def flash() -> Any:
        messages = flask.get_flashed_messages()
        flask.flash("Saved again.")
        return messages[0]

    return app


def build_hooks(flask: Any) -> Any:
    """Return the app with hooks, three blueprints and 200 routes."""
    app = flask.Flask("bench", static_folder=None)
    app.secret_key = SECRET
    g = flask.g

    @app.before_request
    async def before() -> None:
        g.seen = ["app"]

    @app.after_request
    async def after(response: Any) -> Any:
        response.headers["X-Seen"] = " ".join(g.seen)
        return response

    @app.get("/")
    async def hello() -> Any:
        return "Hello, World!"

    for name in PRODUCERS:
        app.register_blueprint(_blueprint(flask, name))
    return app


def _blueprint(flask: Any, name: str) -> Any:
    blueprint = flask.Blueprint(name, __name__, url_prefix=f"/{name}")

    @blueprint.before_request
    async def before() -> None:
        flask.g.seen.append(name)

    for n in range(ROUTES_EACH):

        async def view(key: str, n: int = n) -> Any:
            return f"{name} {n}"

        blueprint.add_url_rule(f"/{n}/<key>", endpoint=f"view{n}", view_func=view)
    return blueprint
