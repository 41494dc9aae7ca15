"""Quart, as its documentation writes Flask apps over to async."""

from __future__ import annotations

import quart
from quart import Blueprint, Quart, g, request, session
from workloads import (
    EVERY,
    FIELDS,
    NOT_FOUND,
    PAGE,
    PRODUCERS,
    RECORDS,
    ROUTES_EACH,
    SECRET,
    STATIC,
    TEMPLATES,
)

KIND = "asgi"
WORKLOADS = tuple(name for name in EVERY if name not in FIELDS)

app = Quart("bench", static_folder=str(STATIC), template_folder=str(TEMPLATES))
app.secret_key = SECRET


@app.get("/")
async def hello() -> str:
    return "Hello, World!"


@app.get("/user/<int:user_id>/post/<slug>")
async def post(user_id: int, slug: str) -> str:
    return f"{user_id} {slug}"


@app.get("/search")
async def search() -> str:
    args = request.args
    page, size = args.get("page", 1, type=int), args.get("size", 10, type=int)
    return f"{args['q']} {page} {size} {args['sort']} {args['order']}"


@app.get("/query")
async def query() -> str:
    args = request.args
    return f"{args['user']} {args['time']} {','.join(args.getlist('p'))} {args['info']}"


@app.post("/form")
async def form() -> str:
    form = await request.form
    return f"{form['name']} {form['email']} {int(form['age'])} {form['city']} {form['note']}"


@app.post("/json")
async def json() -> dict[str, object]:
    data = await request.get_json()
    return {"hello": data["name"], "next": data["age"] + 1, "tags": data["tags"]}


@app.get("/records")
async def records() -> list[dict[str, object]]:
    return RECORDS


@app.post("/upload")
async def upload() -> str:
    form, files = await request.form, await request.files
    photo = files["photo"]
    return f"{form['title']} {form['note']} {photo.filename} {len(photo.read())}"


@app.get("/go")
async def go() -> quart.ResponseReturnValue:
    return quart.redirect(quart.url_for("post", user_id=42, slug="benchmarks"))


@app.get("/page")
async def page() -> str:
    return await quart.render_template("page.html", **PAGE)


@app.errorhandler(404)
async def missing(error: Exception) -> tuple[str, int]:
    return NOT_FOUND, 404


@app.get("/session/start")
async def session_start() -> str:
    session["user"], session["count"] = "Ada", 1
    return "started"


@app.get("/session")
async def session_use() -> str:
    session["count"] += 1
    return f"{session['user']} {session['count']}"


@app.get("/cookie")
async def cookie() -> quart.Response:
    response = await quart.make_response("ok")
    response.set_cookie("theme", "dark", max_age=3600, httponly=True, samesite="Lax")
    return response


@app.get("/flash/start")
async def flash_start() -> str:
    await quart.flash("Saved.")
    return "started"


@app.get("/flash")
async def flash() -> str:
    messages = quart.get_flashed_messages()
    await quart.flash("Saved again.")
    return messages[0]


hooks_app = Quart("bench", static_folder=None)
hooks_app.secret_key = SECRET


@hooks_app.before_request
async def before() -> None:
    g.seen = ["app"]


@hooks_app.after_request
async def after(response: quart.Response) -> quart.Response:
    response.headers["X-Seen"] = " ".join(g.seen)
    return response


def _blueprint(name: str) -> Blueprint:
    blueprint = Blueprint(name, __name__, url_prefix=f"/{name}")

    @blueprint.before_request
    async def before() -> None:
        g.seen.append(name)

    for n in range(ROUTES_EACH):

        async def view(key: str, n: int = n) -> str:
            return f"{name} {n}"

        blueprint.add_url_rule(f"/{n}/<key>", f"view{n}", view)
    return blueprint


hooks_app.add_url_rule("/", "hello", hello)
for _name in PRODUCERS:
    hooks_app.register_blueprint(_blueprint(_name))
