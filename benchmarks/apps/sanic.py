"""Sanic in its ASGI mode, with Sanic Extensions for the template."""

from __future__ import annotations

from typing import Any

from sanic import Blueprint, HTTPResponse, Request, Sanic
from sanic.exceptions import NotFound
from sanic.response import html, json, redirect, text
from workloads import (
    EVERY,
    FIELDS,
    NOT_FOUND,
    PAGE,
    PRODUCERS,
    RECORDS,
    ROUTES_EACH,
    STATIC,
    TEMPLATES,
)

KIND = "asgi"
WORKLOADS = tuple(name for name in EVERY if name not in {"session", "flash", *FIELDS})


def _application(name: str, extended: bool = False) -> Sanic[Any, Any]:
    app: Sanic[Any, Any] = Sanic(name, configure_logging=False)
    app.config.ACCESS_LOG = False
    # The extensions take time on each request, so only the template has them, and of them
    # only what it needs.
    app.config.AUTO_EXTEND = extended
    app.config.TEMPLATING_PATH_TO_TEMPLATES = TEMPLATES
    # It rewrites its own code to leave out what an app does not use, once in a process.
    app.config.TOUCHUP = name == "bench"
    app.config.OAS = app.config.CORS = app.config.HEALTH = False
    return app


app = _application("bench")


@app.get("/")
async def hello(request: Request) -> HTTPResponse:
    return html("Hello, World!")


@app.get("/user/<user_id:int>/post/<slug>")
async def post(request: Request, user_id: int, slug: str) -> HTTPResponse:
    return text(f"{user_id} {slug}")


@app.get("/search")
async def search(request: Request) -> HTTPResponse:
    get = request.args.get
    return text(f"{get('q')} {int(get('page'))} {int(get('size'))} {get('sort')} {get('order')}")


@app.get("/query")
async def query(request: Request) -> HTTPResponse:
    args = request.get_args(keep_blank_values=True)
    return text(f"{args['user'][0]} {args['time'][0]} {','.join(args['p'])} {args['info'][0]}")


@app.post("/form")
async def form(request: Request) -> HTTPResponse:
    get = request.form.get
    return text(f"{get('name')} {get('email')} {int(get('age'))} {get('city')} {get('note')}")


@app.post("/json")
async def json_in_out(request: Request) -> HTTPResponse:
    data = request.json
    return json({"hello": data["name"], "next": data["age"] + 1, "tags": data["tags"]})


@app.get("/records")
async def records(request: Request) -> HTTPResponse:
    return json(RECORDS)


@app.post("/upload")
async def upload(request: Request) -> HTTPResponse:
    form, photo = request.form, request.files.get("photo")
    return text(f"{form.get('title')} {form.get('note')} {photo.name} {len(photo.body)}")


@app.get("/go")
async def go(request: Request) -> HTTPResponse:
    return redirect(app.url_for("post", user_id=42, slug="benchmarks"))


template_app = _application("template", extended=True)


@template_app.get("/page")
@template_app.ext.template("page.html")
async def page(request: Request) -> dict[str, Any]:
    return PAGE


@app.get("/cookie")
async def cookie(request: Request) -> HTTPResponse:
    response = text("ok")
    response.add_cookie("theme", "dark", max_age=3600, httponly=True, samesite="Lax", secure=False)
    return response


@app.exception(NotFound)
async def missing(request: Request, error: Exception) -> HTTPResponse:
    return text(NOT_FOUND, status=404)


app.static("/static", STATIC)

hooks_app = _application("hooks")


@hooks_app.on_request
async def before(request: Request) -> None:
    request.ctx.seen = ["app"]


@hooks_app.on_response
async def after(request: Request, response: HTTPResponse) -> None:
    response.headers["X-Seen"] = " ".join(request.ctx.seen)


def _view(name: str, n: int) -> Any:
    async def view(request: Request, key: str) -> HTTPResponse:
        return text(f"{name} {n}")

    return view


def _blueprint(name: str) -> Blueprint:
    blueprint = Blueprint(name, url_prefix=f"/{name}")

    @blueprint.on_request
    async def before(request: Request) -> None:
        request.ctx.seen.append(name)

    for n in range(ROUTES_EACH):
        blueprint.add_route(_view(name, n), f"/{n}/<key>", name=f"view{n}")
    return blueprint


hooks_app.add_route(hello, "/", name="hello")
for _name in PRODUCERS:
    hooks_app.blueprint(_blueprint(_name))
