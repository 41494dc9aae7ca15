"""BlackSheep: bound parameters, sessions, its Jinja2 renderer and static files."""

import os
from typing import Any

os.environ["APP_JINJA_EXTENSION"] = ".html"

import jinja2
from blacksheep import Application, Content, Cookie, FromJSON, Request, Response, Router
from blacksheep.cookies import CookieSameSiteMode
from blacksheep.exceptions import NotFound
from blacksheep.server.rendering.jinja2 import JinjaRenderer
from blacksheep.server.responses import html, json, redirect, text, view
from blacksheep.settings.html import html_settings
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
WORKLOADS = tuple(name for name in EVERY if name not in {"flash", *FIELDS})

html_settings.use(JinjaRenderer(jinja2.FileSystemLoader(TEMPLATES)))

router = Router()
app = Application(router=router)


@router.get("/")
async def hello() -> Response:
    return html("Hello, World!")


@router.get("/user/{user_id}/post/{slug}", name="post")
async def post(user_id: int, slug: str) -> Response:
    return text(f"{user_id} {slug}")


@router.get("/search")
async def search(request: Request) -> Response:
    # Bound parameters (`q: str, page: int, ...`) take seven times as long.
    q = {name: values[0] for name, values in request.query.items()}
    return text(f"{q['q']} {int(q['page'])} {int(q['size'])} {q['sort']} {q['order']}")


@router.get("/query")
async def query(request: Request) -> Response:
    q = request.query
    return text(f"{q['user'][0]} {q.get('time', [''])[0]} {','.join(q['p'])} {q['info'][0]}")


@router.post("/form")
async def form(request: Request) -> Response:
    form = await request.form()
    return text(f"{form['name']} {form['email']} {int(form['age'])} {form['city']} {form['note']}")


@router.post("/json")
async def json_in_out(data: FromJSON[dict]) -> Response:
    value = data.value
    return json({"hello": value["name"], "next": value["age"] + 1, "tags": value["tags"]})


@router.get("/records")
async def records() -> Response:
    return json(RECORDS)


@router.post("/upload")
async def upload(request: Request) -> Response:
    form = await request.form()
    photo = form["photo"]
    photo = photo[0] if isinstance(photo, list) else photo
    size = len(photo.data if hasattr(photo, "data") else await photo.read())
    return text(f"{form['title']} {form['note']} {photo.file_name.decode()} {size}")


@router.get("/go")
async def go() -> Response:
    return redirect(router.url_for("post", user_id=42, slug="benchmarks"))


@router.get("/page")
async def page() -> Response:
    return view("page", PAGE)


@router.get("/cookie")
async def cookie() -> Response:
    response = text("ok")
    response.set_cookie(
        Cookie("theme", "dark", max_age=3600, http_only=True, same_site=CookieSameSiteMode.LAX)
    )
    return response


@app.exception_handler(NotFound)
async def missing(self: Any, request: Request, error: NotFound) -> Response:
    return Response(404, content=Content(b"text/plain; charset=utf-8", NOT_FOUND.encode()))


app.serve_files(STATIC, root_path="static", extensions={".txt"})

session_router = Router()
session_app = Application(router=session_router)
session_app.use_sessions(SECRET)


@session_router.get("/session/start")
async def session_start(request: Request) -> Response:
    request.session["user"] = "Ada"
    request.session["count"] = 1
    return text("started")


@session_router.get("/session")
async def session_use(request: Request) -> Response:
    session = request.session
    session["count"] = session["count"] + 1
    return text(f"{session['user']} {session['count']}")


hooks_router = Router()
hooks_app = Application(router=hooks_router)


async def before_and_after(request: Request, handler: Any) -> Response:
    request.seen = ["app"]
    response = await handler(request)
    response.set_header(b"X-Seen", " ".join(request.seen).encode())
    return response


hooks_app.middlewares.append(before_and_after)
hooks_router.get("/")(hello)


def _view(name: str, n: int) -> Any:
    # BlackSheep has no hook for a group of routes: a line of the view stands for it.
    async def view(request: Request, key: str) -> Response:
        request.seen.append(name)
        return text(f"{name} {n}")

    return view


for _name in PRODUCERS:
    for _n in range(ROUTES_EACH):
        hooks_router.get(f"/{_name}/{_n}/{{key}}")(_view(_name, _n))
