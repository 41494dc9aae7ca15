"""Robyn on its own server: one process, one worker, logging as in its fast mode."""

import sys

from pydantic import BaseModel
from workloads import PAGE, SECRET, TEMPLATES

# It reads the command line when the application is made.
sys.argv[1:] = ["--processes", "1", "--workers", "1", "--log-level", "WARNING"]

from robyn import Request, Response, Robyn  # noqa: E402
from robyn.templating import JinjaTemplate  # noqa: E402

app = Robyn(__file__)
app.configure_sessions(secret_key=SECRET)
templates = JinjaTemplate(str(TEMPLATES))
templates.env.auto_reload = False
HTML = {"Content-Type": "text/html; charset=utf-8"}


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


@app.get("/")
async def hello():  # type: ignore[no-untyped-def]
    return Response(200, HTML, "Hello, World!")


@app.get("/user/:user_id/post/:slug")
async def post(request: Request) -> str:
    params = request.path_params
    return f"{int(params['user_id'])} {params['slug']}"


@app.post("/json")
async def json(request: Request) -> dict[str, object]:
    data = request.json()
    return {"hello": data["name"], "next": data["age"] + 1, "tags": data["tags"]}


@app.post("/validated")
async def validated(person: Person) -> dict[str, object]:
    return {"hello": person.name, "next": person.age + 1, "tags": person.tags}


@app.get("/page")
async def page() -> Response:
    return templates.render_template("page.html", **PAGE)


@app.get("/session/start")
async def session_start(request: Request) -> str:
    request.session.update(user="Ada", count=1)
    return "started"


@app.get("/session")
async def session_use(request: Request) -> str:
    session = request.session
    session["count"] += 1
    return f"{session['user']} {session['count']}"


def serve(port: int) -> None:
    """Serve until the process is ended."""
    app.start(host="127.0.0.1", port=port)
