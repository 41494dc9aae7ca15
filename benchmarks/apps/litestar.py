"""Litestar: typed handlers, msgspec structs, cookie sessions, its flash plugin and templates."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, Router, get, post
from litestar.contrib.jinja import JinjaTemplateEngine
from litestar.datastructures import State, UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.params import Body
from litestar.plugins.flash import FlashConfig, FlashPlugin, flash as add_flash
from litestar.response import Redirect, Template
from litestar.static_files import create_static_files_router
from litestar.template.config import TemplateConfig
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
WORKLOADS = tuple(name for name in EVERY if name not in FIELDS)


class Person(msgspec.Struct):
    name: str
    age: int
    tags: list[str]


class Greeting(msgspec.Struct):
    hello: str
    next: int
    tags: list[str]


@dataclass
class FormData:
    name: str
    email: str
    age: int
    city: str
    note: str


@dataclass
class UploadData:
    title: str
    note: str
    photo: UploadFile


@get("/", media_type=MediaType.HTML)
async def hello() -> str:
    return "Hello, World!"


@get("/user/{user_id:int}/post/{slug:str}", media_type=MediaType.TEXT, name="post")
async def user_post(user_id: int, slug: str) -> str:
    return f"{user_id} {slug}"


@get("/search", media_type=MediaType.TEXT)
async def search(q: str, page: int, size: int, sort: str, order: str) -> str:
    return f"{q} {page} {size} {sort} {order}"


@get("/query", media_type=MediaType.TEXT)
async def query(user: str, time: str, p: list[str], info: str) -> str:
    return f"{user} {time} {','.join(p)} {info}"


@post("/form", media_type=MediaType.TEXT, status_code=200)
async def form(
    data: Annotated[FormData, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> str:
    return f"{data.name} {data.email} {data.age} {data.city} {data.note}"


@post("/json", status_code=200)
async def json(data: Person) -> Greeting:
    return Greeting(data.name, data.age + 1, data.tags)


@get("/records")
async def records() -> list[dict[str, Any]]:
    return RECORDS


@post("/upload", media_type=MediaType.TEXT, status_code=200)
async def upload(
    data: Annotated[UploadData, Body(media_type=RequestEncodingType.MULTI_PART)],
) -> str:
    return f"{data.title} {data.note} {data.photo.filename} {len(await data.photo.read())}"


@get("/go", status_code=302)
async def go(request: Request[Any, Any, State]) -> Redirect:
    return Redirect(request.app.route_reverse("post", user_id=42, slug="benchmarks"))


@get("/page")
async def page() -> Template:
    return Template("page.html", context=PAGE)


@get("/cookie", media_type=MediaType.TEXT)
async def cookie() -> Response[str]:
    response = Response("ok")
    response.set_cookie("theme", "dark", max_age=3600, httponly=True, samesite="lax")
    return response


def missing(request: Request[Any, Any, State], error: NotFoundException) -> Response[str]:
    return Response(NOT_FOUND, status_code=404, media_type=MediaType.TEXT)


_engine = JinjaTemplateEngine(directory=TEMPLATES)
_engine.engine.auto_reload = False
_templates = TemplateConfig(instance=_engine)

app = Litestar(
    [
        hello,
        user_post,
        search,
        query,
        form,
        json,
        records,
        upload,
        go,
        page,
        cookie,
        create_static_files_router("/static", [STATIC]),
    ],
    exception_handlers={NotFoundException: missing},
    template_config=_templates,
    openapi_config=None,
    logging_config=None,
)


@get("/session/start", media_type=MediaType.TEXT)
async def session_start(request: Request[Any, Any, State]) -> str:
    request.session.update(user="Ada", count=1)
    return "started"


@get("/session", media_type=MediaType.TEXT)
async def session_use(request: Request[Any, Any, State]) -> str:
    session = request.session
    session["count"] += 1
    return f"{session['user']} {session['count']}"


@get("/flash/start", media_type=MediaType.TEXT)
async def flash_start(request: Request[Any, Any, State]) -> str:
    add_flash(request, "Saved.", "message")
    return "started"


@get("/flash", media_type=MediaType.TEXT)
async def flash(request: Request[Any, Any, State]) -> str:
    # What the plugin's get_flashes() does, which only a template can call.
    messages = request.session.pop("_messages", [])
    add_flash(request, "Saved again.", "message")
    return messages[0]["message"]


session_app = Litestar(
    [session_start, session_use, flash_start, flash],
    middleware=[CookieBackendConfig(secret=b"0123456789abcdef").middleware],
    plugins=[FlashPlugin(FlashConfig(template_config=_templates))],
    template_config=_templates,
    openapi_config=None,
    logging_config=None,
)


def _router(name: str) -> Router:
    # A router's hook takes the place of the app's, so it does the work of both.
    async def before(request: Request[Any, Any, State]) -> None:
        request.state.seen = ["app", name]

    async def after(response: Response[Any]) -> Response[Any]:
        response.headers["X-Seen"] = f"app {name}"
        return response

    def view(n: int) -> Any:
        @get(f"/{n}/{{key:str}}", media_type=MediaType.TEXT, name=f"{name}{n}")
        async def answer(key: str) -> str:
            return f"{name} {n}"

        return answer

    return Router(
        f"/{name}",
        route_handlers=[view(n) for n in range(ROUTES_EACH)],
        before_request=before,
        after_request=after,
    )


hooks_app = Litestar(
    [hello, *(_router(name) for name in PRODUCERS)], openapi_config=None, logging_config=None
)
