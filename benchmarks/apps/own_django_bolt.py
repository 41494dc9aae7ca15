"""django-bolt on its own server: request logging off, Django's middleware only where a session is."""

from __future__ import annotations

from typing import Annotated, Any

import django
import msgspec
from django.conf import settings
from django.http import HttpResponse
from workloads import PAGE, SECRET, TEMPLATES

settings.configure(
    DEBUG=False,
    SECRET_KEY=SECRET,
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["django_bolt"],
    MIDDLEWARE=[],
    ROOT_URLCONF="apps.own_django_bolt",
    BOLT_API=["apps.own_django_bolt:api"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.jinja2.Jinja2",
            "DIRS": [TEMPLATES],
            "OPTIONS": {"auto_reload": False},
        }
    ],
    # The log of requests goes by the level of this logger.
    LOGGING={"version": 1, "loggers": {"django.server": {"level": "ERROR"}}},
    USE_I18N=False,
    USE_TZ=True,
)
django.setup()

from django_bolt import BoltAPI, Request  # noqa: E402
from django_bolt.param_functions import Body  # noqa: E402
from django_bolt.responses import HTML, PlainText  # noqa: E402
from django_bolt.shortcuts import render  # noqa: E402

urlpatterns: list[object] = []
api = BoltAPI(enable_logging=False)


class Person(msgspec.Struct):
    name: str
    age: int
    tags: list[str]


class Greeting(msgspec.Struct):
    hello: str
    next: int
    tags: list[str]


@api.get("/")
async def hello() -> HTML:
    return HTML("Hello, World!")


@api.get("/user/{user_id}/post/{slug}")
async def post(user_id: int, slug: str) -> PlainText:
    return PlainText(f"{user_id} {slug}")


@api.post("/json")
async def json(data: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    return {"hello": data["name"], "next": data["age"] + 1, "tags": data["tags"]}


@api.post("/validated")
async def validated(person: Person) -> Greeting:
    return Greeting(hello=person.name, next=person.age + 1, tags=person.tags)


@api.get("/page")
async def page(request: Request):  # type: ignore[no-untyped-def]
    return render(request, "page.html", dict(PAGE))


session_api = BoltAPI(
    enable_logging=False,
    django_middleware=["django.contrib.sessions.middleware.SessionMiddleware"],
)


# Behind Django's middleware, text of its own classes is sent as JSON.
@session_api.get("/start")
async def session_start(request: Request):  # type: ignore[no-untyped-def]
    request.session.update({"user": "Ada", "count": 1})
    return HttpResponse("started", content_type="text/plain; charset=utf-8")


@session_api.get("/")
async def session_use(request: Request):  # type: ignore[no-untyped-def]
    session = request.session
    session["count"] += 1
    text = f"{session['user']} {session['count']}"
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


api.mount("/session", session_api)


def serve(port: int) -> None:
    """Serve until the process is ended."""
    from django.core.management import call_command

    call_command("runbolt", host="127.0.0.1", port=port, processes=1, no_admin=True)
