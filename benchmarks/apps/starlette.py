"""Starlette, with its session middleware, templates and static files."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send
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

templates = Jinja2Templates(directory=TEMPLATES)
templates.env.auto_reload = False


async def hello(request: Request) -> Response:
    return HTMLResponse("Hello, World!")


async def post(request: Request) -> Response:
    params = request.path_params
    return PlainTextResponse(f"{params['user_id']} {params['slug']}")


async def search(request: Request) -> Response:
    q = request.query_params
    return PlainTextResponse(f"{q['q']} {int(q['page'])} {int(q['size'])} {q['sort']} {q['order']}")


async def query(request: Request) -> Response:
    q = request.query_params
    values = ",".join(q.getlist("p"))
    return PlainTextResponse(f"{q['user']} {q['time']} {values} {q['info']}")


async def form(request: Request) -> Response:
    async with request.form() as form:
        return PlainTextResponse(
            f"{form['name']} {form['email']} {int(form['age'])} {form['city']} {form['note']}"
        )


async def json(request: Request) -> Response:
    data = await request.json()
    return JSONResponse({"hello": data["name"], "next": data["age"] + 1, "tags": data["tags"]})


async def records(request: Request) -> Response:
    return JSONResponse(RECORDS)


async def upload(request: Request) -> Response:
    async with request.form() as form:
        photo = form["photo"]
        size = len(await photo.read())
        return PlainTextResponse(f"{form['title']} {form['note']} {photo.filename} {size}")


async def go(request: Request) -> Response:
    return RedirectResponse(
        request.app.url_path_for("post", user_id=42, slug="benchmarks"), status_code=302
    )


async def page(request: Request) -> Response:
    return templates.TemplateResponse(request, "page.html", dict(PAGE))


async def cookie(request: Request) -> Response:
    response = PlainTextResponse("ok")
    response.set_cookie("theme", "dark", max_age=3600, httponly=True, samesite="lax")
    return response


async def missing(request: Request, error: Exception) -> Response:
    return PlainTextResponse(NOT_FOUND, status_code=404)


app = Starlette(
    routes=[
        Route("/", hello),
        Route("/user/{user_id:int}/post/{slug}", post, name="post"),
        Route("/search", search),
        Route("/query", query),
        Route("/form", form, methods=["POST"]),
        Route("/json", json, methods=["POST"]),
        Route("/records", records),
        Route("/upload", upload, methods=["POST"]),
        Route("/go", go),
        Route("/page", page),
        Route("/cookie", cookie),
        Mount("/static", StaticFiles(directory=STATIC), name="static"),
    ],
    exception_handlers={404: missing},
)


async def session_start(request: Request) -> Response:
    request.session.update(user="Ada", count=1)
    return PlainTextResponse("started")


async def session_use(request: Request) -> Response:
    session = request.session
    session["count"] += 1
    return PlainTextResponse(f"{session['user']} {session['count']}")


session_app = Starlette(
    routes=[Route("/session/start", session_start), Route("/session", session_use)],
    middleware=[Middleware(SessionMiddleware, secret_key=SECRET)],
)


class Hooks:
    """Before and after, as pure ASGI middleware, the way the documentation prefers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seen = scope.setdefault("state", {})["seen"] = ["app"]

        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-seen", " ".join(seen).encode()))
            await send(message)

        await self.app(scope, receive, send_with_header)


class GroupHook:
    """The hook of one group of routes."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app = app
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["seen"].append(self.name)
        await self.app(scope, receive, send)


def _view(name: str, n: int):  # type: ignore[no-untyped-def]
    async def view(request: Request) -> Response:
        request.path_params["key"]
        return PlainTextResponse(f"{name} {n}")

    return view


hooks_app = Starlette(
    routes=[
        Route("/", hello),
        *(
            Mount(
                f"/{name}",
                routes=[Route(f"/{n}/{{key}}", _view(name, n)) for n in range(ROUTES_EACH)],
                middleware=[Middleware(GroupHook, name=name)],
            )
            for name in PRODUCERS
        ),
    ],
    middleware=[Middleware(Hooks)],
)
