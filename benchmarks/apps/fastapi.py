"""FastAPI: typed parameters, pydantic models in and out, dependencies for routers."""

from __future__ import annotations

from typing import Annotated

from apps.starlette import Hooks
from fastapi import APIRouter, Depends, FastAPI, File, Form, Query, Request, Response, UploadFile
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel
from starlette.middleware.sessions import SessionMiddleware
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
app = FastAPI(openapi_url=None)


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


class Greeting(BaseModel):
    hello: str
    next: int
    tags: list[str]


class Record(BaseModel):
    id: int
    name: str
    email: str
    active: bool
    score: float
    tags: list[str]


@app.get("/", response_class=HTMLResponse)
async def hello() -> str:
    return "Hello, World!"


@app.get("/user/{user_id}/post/{slug}", response_class=PlainTextResponse)
async def post(user_id: int, slug: str) -> str:
    return f"{user_id} {slug}"


@app.get("/search", response_class=PlainTextResponse)
async def search(q: str, page: int = 1, size: int = 10, sort: str = "", order: str = "") -> str:
    return f"{q} {page} {size} {sort} {order}"


@app.get("/query", response_class=PlainTextResponse)
async def query(user: str, time: str, info: str, p: Annotated[list[str], Query()]) -> str:
    return f"{user} {time} {','.join(p)} {info}"


@app.post("/form", response_class=PlainTextResponse)
async def form(
    name: Annotated[str, Form()],
    email: Annotated[str, Form()],
    age: Annotated[int, Form()],
    city: Annotated[str, Form()],
    note: Annotated[str, Form()],
) -> str:
    return f"{name} {email} {age} {city} {note}"


@app.post("/json")
async def json(person: Person) -> Greeting:
    return Greeting(hello=person.name, next=person.age + 1, tags=person.tags)


@app.get("/records", response_model=list[Record])
async def records() -> list[dict[str, object]]:
    return RECORDS


@app.post("/upload", response_class=PlainTextResponse)
async def upload(
    title: Annotated[str, Form()],
    note: Annotated[str, Form()],
    photo: Annotated[UploadFile, File()],
) -> str:
    return f"{title} {note} {photo.filename} {len(await photo.read())}"


@app.get("/go")
async def go() -> RedirectResponse:
    target = app.url_path_for("post", user_id=42, slug="benchmarks")
    return RedirectResponse(target, status_code=302)


@app.get("/page", response_class=HTMLResponse)
async def page(request: Request) -> Response:
    return templates.TemplateResponse(request, "page.html", dict(PAGE))


@app.get("/cookie", response_class=PlainTextResponse)
async def cookie(response: Response) -> str:
    response.set_cookie("theme", "dark", max_age=3600, httponly=True, samesite="lax")
    return "ok"


@app.exception_handler(404)
async def missing(request: Request, error: Exception) -> Response:
    return PlainTextResponse(NOT_FOUND, status_code=404)


app.mount("/static", StaticFiles(directory=STATIC), name="static")

session_app = FastAPI(openapi_url=None)
session_app.add_middleware(SessionMiddleware, secret_key=SECRET)


@session_app.get("/session/start", response_class=PlainTextResponse)
async def session_start(request: Request) -> str:
    request.session.update(user="Ada", count=1)
    return "started"


@session_app.get("/session", response_class=PlainTextResponse)
async def session_use(request: Request) -> str:
    session = request.session
    session["count"] += 1
    return f"{session['user']} {session['count']}"


hooks_app = FastAPI(openapi_url=None)
hooks_app.add_middleware(Hooks)
hooks_app.get("/", response_class=HTMLResponse)(hello)


def _router(name: str) -> APIRouter:
    async def before(request: Request) -> None:
        request.state.seen.append(name)

    router = APIRouter(prefix=f"/{name}", dependencies=[Depends(before)])
    for n in range(ROUTES_EACH):

        def view(n: int):  # type: ignore[no-untyped-def]
            async def answer(key: str) -> str:
                return f"{name} {n}"

            return answer

        router.get(f"/{n}/{{key}}", response_class=PlainTextResponse)(view(n))
    return router


for _name in PRODUCERS:
    hooks_app.include_router(_router(_name))
