"""Bottle, with an explicit application object and its Jinja2 adapter."""

from __future__ import annotations

import jinja2
from bottle import Bottle, HTTPResponse, redirect, request, response, static_file
from workloads import (
    EVERY,
    FIELDS,
    NOT_FOUND,
    PAGE,
    PRODUCERS,
    ROUTES_EACH,
    STATIC,
    TEMPLATES,
)

KIND = "wsgi"
WORKLOADS = tuple(name for name in EVERY if name not in {"session", "flash", "records", *FIELDS})

app = Bottle()
_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, auto_reload=False
)


@app.get("/")
def hello() -> str:
    return "Hello, World!"


@app.get("/user/<user_id:int>/post/<slug>", name="post")
def post(user_id: int, slug: str) -> str:
    return f"{user_id} {slug}"


@app.get("/search")
def search() -> str:
    q = request.query
    return f"{q.q} {int(q.page)} {int(q.size)} {q.sort} {q.order}"


@app.get("/query")
def query() -> str:
    q = request.query
    return f"{q.user} {q.time} {','.join(q.getall('p'))} {q.info}"


@app.post("/form")
def form() -> str:
    form = request.forms
    return f"{form.name} {form.email} {int(form.age)} {form.city} {form.note}"


@app.post("/json")
def json() -> dict[str, object]:
    data = request.json
    return {"hello": data["name"], "next": data["age"] + 1, "tags": data["tags"]}


@app.post("/upload")
def upload() -> str:
    form, photo = request.forms, request.files["photo"]
    return f"{form.title} {form.note} {photo.raw_filename} {len(photo.file.read())}"


@app.get("/go")
def go() -> None:
    redirect(app.get_url("post", user_id=42, slug="benchmarks"))


@app.get("/page")
def page() -> str:
    return _templates.get_template("page.html").render(PAGE)


@app.error(404)
def missing(error: HTTPResponse) -> str:
    return NOT_FOUND


@app.get("/cookie")
def cookie() -> str:
    response.set_cookie("theme", "dark", max_age=3600, httponly=True, samesite="lax", path="/")
    return "ok"


@app.get("/static/<filename:path>")
def static(filename: str) -> HTTPResponse:
    return static_file(filename, root=str(STATIC))


hooks_app = Bottle()


@hooks_app.hook("before_request")
def before() -> None:
    request.environ["seen"] = ["app"]


@hooks_app.hook("after_request")
def after() -> None:
    response.headers["X-Seen"] = " ".join(request.environ["seen"])


def _group(name: str) -> Bottle:
    # Bottle's hooks belong to the application alone: a plugin is its way for a group of routes.
    group = Bottle()

    def before(callback):  # type: ignore[no-untyped-def]
        def wrapped(*args, **kwargs):  # type: ignore[no-untyped-def]
            request.environ["seen"].append(name)
            return callback(*args, **kwargs)

        return wrapped

    group.install(before)
    for n in range(ROUTES_EACH):
        group.get(f"/{name}/{n}/<key>")(lambda key, n=n: f"{name} {n}")
    return group


hooks_app.get("/")(hello)
for _name in PRODUCERS:
    hooks_app.merge(_group(_name))
