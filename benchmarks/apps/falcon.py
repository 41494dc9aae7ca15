"""Falcon on WSGI: resources, media handlers, sinks and middleware."""

from __future__ import annotations

import falcon
from workloads import BASIC, MANY, NOT_FOUND, PRODUCERS, RECORDS, ROUTES_EACH, STATIC

KIND = "wsgi"
WORKLOADS = BASIC


class Hello:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.text = "Hello, World!"


class Post:
    def on_get(self, req: falcon.Request, resp: falcon.Response, user_id: int, slug: str) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"{user_id} {slug}"


class Search:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        get = req.get_param
        page, size = req.get_param_as_int("page"), req.get_param_as_int("size")
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"{get('q')} {page} {size} {get('sort')} {get('order')}"


class Query:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        get = req.get_param
        values = ",".join(req.get_param_as_list("p"))
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"{get('user')} {get('time')} {values} {get('info')}"


class Many:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        get = req.get_param_as_int
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = str(sum([get(name) for name in MANY]))


class Long:
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        form = req.get_media()
        values = [form.get(name) for name in MANY]
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"{len(values)} {values[-1]}"


class Form:
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        form = req.get_media()
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = (
            f"{form['name']} {form['email']} {int(form['age'])} {form['city']} {form['note']}"
        )


class Json:
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        data = req.get_media()
        resp.media = {"hello": data["name"], "next": data["age"] + 1, "tags": data["tags"]}


class Records:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = RECORDS


class Upload:
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        form: dict[str, str] = {}
        filename, size = "", 0
        for part in req.get_media():
            if part.filename:
                filename, size = part.filename, len(part.stream.read())
            else:
                form[part.name] = part.text
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"{form['title']} {form['note']} {filename} {size}"


class Cookie:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.set_cookie(
            "theme", "dark", max_age=3600, http_only=True, same_site="Lax", secure=False, path="/"
        )
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = "ok"


def missing(
    req: falcon.Request, resp: falcon.Response, ex: Exception, params: dict[str, object]
) -> None:
    resp.status = falcon.HTTP_404
    resp.content_type = falcon.MEDIA_TEXT
    resp.text = NOT_FOUND


app = falcon.App()
app.add_route("/", Hello())
app.add_route("/user/{user_id:int}/post/{slug}", Post())
app.add_route("/search", Search())
app.add_route("/query", Query())
app.add_route("/many", Many())
app.add_route("/long", Long())
app.add_route("/form", Form())
app.add_route("/json", Json())
app.add_route("/records", Records())
app.add_route("/upload", Upload())
app.add_route("/cookie", Cookie())
app.add_static_route("/static", str(STATIC))
app.add_error_handler(falcon.HTTPNotFound, missing)


class Hooks:
    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.seen = ["app"]

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        resp.set_header("X-Seen", " ".join(req.context.seen))


def _seen(
    req: falcon.Request,
    resp: falcon.Response,
    resource: object,
    params: dict[str, str],
    name: str,
) -> None:
    req.context.seen.append(name)


def _resource(name: str, n: int) -> object:
    @falcon.before(_seen, name)
    class View:
        def on_get(self, req: falcon.Request, resp: falcon.Response, key: str) -> None:
            resp.content_type = falcon.MEDIA_TEXT
            resp.text = f"{name} {n}"

    return View()


hooks_app = falcon.App(middleware=Hooks())
hooks_app.add_route("/", Hello())
for _name in PRODUCERS:
    for _n in range(ROUTES_EACH):
        hooks_app.add_route(f"/{_name}/{_n}/{{key}}", _resource(_name, _n))
