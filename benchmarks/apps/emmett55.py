"""Emmett55 on ASGI: pipes for before and after, cookie sessions, Jinja2 templates."""

from __future__ import annotations

import tempfile
from typing import Any

import jinja2
from emmett55 import App, Pipe, current, redirect, request, response, session, url
from emmett55.sessions import SessionManager
from emmett55.templating import AbstractTemplater
from emmett55.tools import service
from workloads import (
    EVERY,
    FIELDS,
    NOT_FOUND,
    PAGE,
    PRODUCERS,
    RECORDS,
    ROUTES_EACH,
    SECRET,
    TEMPLATES,
)

KIND = "asgi"
# Static files it leaves to the server.
WORKLOADS = tuple(name for name in EVERY if name not in {"flash", "static", *FIELDS})


class Templater(AbstractTemplater):
    """The place that Emmett55 has for a template library of one's own."""

    _environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, auto_reload=False
    )

    def render(self, template: str, ctx: dict[str, Any]) -> str:
        return self._environment.get_template(template).render(ctx)


def _application(name: str) -> App:
    # It makes a folder for logs where its root is.
    return App(name, root_path=tempfile.mkdtemp(prefix="emmett55-"))


app = _application("apps.emmett55")
templates = app.use_extension(Templater)


def _text(value: str) -> str:
    response.content_type = "text/plain; charset=utf-8"
    return value


@app.route("/", output="str")
async def hello() -> str:
    return "Hello, World!"


@app.route("/user/<int:user_id>/post/<str:slug>", name="app.post", output="str")
async def post(user_id: int, slug: str) -> str:
    return _text(f"{user_id} {slug}")


@app.route("/search", output="str")
async def search() -> str:
    q = request.query_params
    return _text(f"{q.q} {int(q.page)} {int(q.size)} {q.sort} {q.order}")


@app.route("/query", output="str")
async def query() -> str:
    q = request.query_params
    return _text(f"{q.user} {q.time} {','.join(q.p)} {q.info}")


@app.route("/form", methods="post", output="str")
async def form() -> str:
    form = await request.body_params
    return _text(f"{form.name} {form.email} {int(form.age)} {form.city} {form.note}")


@app.route("/json", methods="post")
@service.json
async def json() -> dict[str, Any]:
    data = await request.body_params
    return {"hello": data["name"], "next": data["age"] + 1, "tags": data["tags"]}


@app.route("/records")
@service.json
async def records() -> list[dict[str, Any]]:
    return RECORDS


@app.route("/upload", methods="post", output="str")
async def upload() -> str:
    form, files = await request.body_params, await request.files
    photo = files.photo
    return _text(f"{form.title} {form.note} {photo.filename} {len(photo.read())}")


@app.route("/go")
async def go() -> None:
    redirect(url("app.post", [42, "benchmarks"]), 302)


@app.route("/page")
@templates("page.html")
async def page() -> dict[str, Any]:
    return dict(PAGE)


@app.route("/cookie", output="str")
async def cookie() -> str:
    response.cookies["theme"] = "dark"
    morsel = response.cookies["theme"]
    morsel["max-age"], morsel["path"], morsel["samesite"] = 3600, "/", "Lax"
    morsel["httponly"] = True
    return _text("ok")


@app.on_error(404)
async def missing() -> str:
    return _text(NOT_FOUND)


session_app = _application("apps.emmett55_session")
session_app.pipeline = [SessionManager.cookies(SECRET)]


@session_app.route("/session/start", output="str")
async def session_start() -> str:
    session.user, session.count = "Ada", 1
    return _text("started")


@session_app.route("/session", output="str")
async def session_use() -> str:
    session.count += 1
    return _text(f"{session.user} {session.count}")


class Hooks(Pipe):
    async def open_request(self) -> None:
        request.seen = ["app"]

    async def close_request(self) -> None:
        response.headers["x-seen"] = " ".join(request.seen)


class GroupHook(Pipe):
    def __init__(self, name: str) -> None:
        self.name = name

    async def open_request(self) -> None:
        request.seen.append(self.name)


hooks_app = _application("apps.emmett55_hooks")
hooks_app.pipeline = [Hooks()]
hooks_app.route("/", output="str")(hello)


def _view(name: str, n: int) -> Any:
    async def view(key: str) -> str:
        return _text(f"{name} {n}")

    return view


for _name in PRODUCERS:
    _module = hooks_app.module(__name__, _name, url_prefix=_name)
    _module.pipeline = [GroupHook(_name)]
    for _n in range(ROUTES_EACH):
        _module.route(f"/{_n}/<str:key>", name=f"view{_n}", output="str")(_view(_name, _n))

# url() asks the app that was made last.
current.app = app
