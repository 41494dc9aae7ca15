"""Django with minimal settings: no middleware but what a workload needs, Jinja2 templates."""

from __future__ import annotations

import json as _json
import sys
from types import ModuleType

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.test.utils import override_settings
from django.urls import include, path
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

KIND = "wsgi"
WORKLOADS = tuple(name for name in EVERY if name not in FIELDS)

settings.configure(
    DEBUG=False,
    SECRET_KEY=SECRET,
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["django.contrib.messages"],
    MIDDLEWARE=[],
    ROOT_URLCONF="bench_urls",
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    MESSAGE_STORAGE="django.contrib.messages.storage.session.SessionStorage",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.jinja2.Jinja2",
            "DIRS": [TEMPLATES],
            "OPTIONS": {"auto_reload": False},
        }
    ],
    USE_I18N=False,
    USE_TZ=True,
)
django.setup()

from django.contrib import messages  # noqa: E402
from django.shortcuts import redirect, render  # noqa: E402
from django.views.static import serve  # noqa: E402

TEXT = "text/plain; charset=utf-8"


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Hello, World!")


def post(request: HttpRequest, user_id: int, slug: str) -> HttpResponse:
    return HttpResponse(f"{user_id} {slug}", content_type=TEXT)


def search(request: HttpRequest) -> HttpResponse:
    q = request.GET
    return HttpResponse(
        f"{q['q']} {int(q['page'])} {int(q['size'])} {q['sort']} {q['order']}", content_type=TEXT
    )


def query(request: HttpRequest) -> HttpResponse:
    q = request.GET
    values = ",".join(q.getlist("p"))
    return HttpResponse(f"{q['user']} {q['time']} {values} {q['info']}", content_type=TEXT)


def form(request: HttpRequest) -> HttpResponse:
    form = request.POST
    return HttpResponse(
        f"{form['name']} {form['email']} {int(form['age'])} {form['city']} {form['note']}",
        content_type=TEXT,
    )


def json(request: HttpRequest) -> HttpResponse:
    data = _json.loads(request.body)
    return JsonResponse({"hello": data["name"], "next": data["age"] + 1, "tags": data["tags"]})


def records(request: HttpRequest) -> HttpResponse:
    return JsonResponse(RECORDS, safe=False)


def upload(request: HttpRequest) -> HttpResponse:
    form, photo = request.POST, request.FILES["photo"]
    return HttpResponse(
        f"{form['title']} {form['note']} {photo.name} {len(photo.read())}", content_type=TEXT
    )


def go(request: HttpRequest) -> HttpResponse:
    return redirect("post", user_id=42, slug="benchmarks")


def page(request: HttpRequest) -> HttpResponse:
    return render(request, "page.html", PAGE)


def missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    return HttpResponse(NOT_FOUND, status=404)


def cookie(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("ok")
    response.set_cookie("theme", "dark", max_age=3600, httponly=True, samesite="Lax")
    return response


def static(request: HttpRequest, name: str) -> HttpResponseBase:
    return serve(request, name, document_root=STATIC)


def session_start(request: HttpRequest) -> HttpResponse:
    request.session["user"], request.session["count"] = "Ada", 1
    return HttpResponse("started")


def session_use(request: HttpRequest) -> HttpResponse:
    request.session["count"] += 1
    return HttpResponse(f"{request.session['user']} {request.session['count']}")


def flash_start(request: HttpRequest) -> HttpResponse:
    messages.success(request, "Saved.")
    return HttpResponse("started")


def flash(request: HttpRequest) -> HttpResponse:
    found = [message.message for message in messages.get_messages(request)]
    messages.success(request, "Saved again.")
    return HttpResponse(found[0])


def before_and_after(get_response):  # type: ignore[no-untyped-def]
    def middleware(request: HttpRequest) -> HttpResponse:
        request.seen = ["app"]
        response = get_response(request)
        response["X-Seen"] = " ".join(request.seen)
        return response

    return middleware


def _view(name: str, n: int):  # type: ignore[no-untyped-def]
    def view(request: HttpRequest, key: str) -> HttpResponse:
        # Django has no hook for a group of routes: a decorator's line stands for it.
        request.seen.append(name)
        return HttpResponse(f"{name} {n}")

    return view


urls = ModuleType("bench_urls")
urls.urlpatterns = [
    path("", hello),
    path("user/<int:user_id>/post/<slug:slug>", post, name="post"),
    path("search", search),
    path("query", query),
    path("form", form),
    path("json", json),
    path("records", records),
    path("upload", upload),
    path("go", go),
    path("page", page),
    path("cookie", cookie),
    path("static/<path:name>", static),
    path("session/start", session_start),
    path("session", session_use),
    path("flash/start", flash_start),
    path("flash", flash),
    *(
        path(f"{name}/", include([path(f"{n}/<key>", _view(name, n)) for n in range(ROUTES_EACH)]))
        for name in PRODUCERS
    ),
]
urls.handler404 = missing
sys.modules["bench_urls"] = urls
sys.modules["bench_hooks"] = sys.modules[__name__]


def _application(*middleware: str) -> WSGIHandler:
    # The settings are read when the handler is made, so one process can have several.
    with override_settings(MIDDLEWARE=list(middleware)):
        return WSGIHandler()


app = _application()
session_app = _application(
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
)
hooks_app = _application("bench_hooks.before_and_after")
