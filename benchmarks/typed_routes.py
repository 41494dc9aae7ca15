"""`python benchmarks/typed_routes.py NAME`: 1,000 typed routes and 600 classes, what a start of the program takes.

Half are GET with three arguments, half POST with a body. Writes the seconds of CPU for the import, for classes
and registration, and for the document, and the megabytes over those after the import. ``typed.py`` runs it.
"""

import asyncio
import itertools
import json
import sys
import time
import typing as t

ROUTES, CLASSES = 1000, 600

STRUCT = """
class M{n}({base}):
    id: int
    name: t.Annotated[str, {limit}(min_length=1, max_length=50)]
    price: float
    tags: list[str]
    {parts}
    note: str | None = None
"""
SCHEMA = """
class M{n}(Schema):
    id = fields.Integer(required=True)
    name = fields.String(required=True, validate=Length(1, 50))
    price = fields.Float(required=True)
    tags = fields.List(fields.String(), required=True)
    {parts}
    note = fields.String(load_default=None, allow_none=True)
"""
GET = """
@{owner}.get("/things{n}/{variable}")
{begin} get{n}(id: int, q: str, limit: t.Annotated[int, {limit}(ge=1, le=100)] = 10) -> M{m}: ...
"""
POST = """
@{owner}.post("/things{n}")
{begin} post{n}(body: M{k}) -> M{m}: ...
"""


class Many(t.NamedTuple):
    """How a framework has them."""

    env: str
    imports: str
    setup: str = "app = API('many', static_folder=None)"
    classes: str = STRUCT
    get: str = GET
    post: str = POST
    finish: str = ""
    document: str = "document = app.test_client().get('/openapi.json').data"
    words: t.Mapping[str, str] = {}


PYDANTIC = {"base": "BaseModel", "limit": "Field"}
MANY = {
    "kolben": Many(
        "kolben",
        "from kolben.api import API, Meta, Struct",
        words={"base": "Struct", "limit": "Meta", "owner": "app", "variable": "<int:id>"},
    ),
    "FastAPI": Many(
        "fastapi",
        "from fastapi import FastAPI, Query; from pydantic import BaseModel, Field",
        setup="app = FastAPI()",
        document="document = app.openapi()",
        get=GET.replace("{limit}", "Query"),
        words={**PYDANTIC, "owner": "app", "variable": "{id}", "begin": "async def"},
    ),
    "Litestar, msgspec": Many(
        "litestar",
        "from litestar import Litestar, get, post; from litestar.params import Parameter;"
        " from msgspec import Meta, Struct",
        setup="handlers = []",
        get=GET.replace("@{owner}.get", "@handlers.append\n@get").replace("{limit}", "Parameter"),
        post=POST.replace("@{owner}.post", "@handlers.append\n@post").replace("body", "data"),
        finish="app = Litestar(handlers)",
        document="document = app.openapi_schema.to_schema()",
        words={"base": "Struct", "limit": "Meta", "variable": "{id:int}", "begin": "async def"},
    ),
    "Django Ninja": Many(
        "ninja",
        "import django; from django.conf import settings\n"
        "settings.configure(ROOT_URLCONF='many', LOGGING_CONFIG=None); django.setup()\n"
        "from ninja import NinjaAPI, Query; from pydantic import BaseModel, Field",
        setup="app = NinjaAPI()",
        get=GET.replace("{limit}", "Query").replace("(id:", "(request, id:"),
        post=POST.replace("(body:", "(request, body:"),
        finish="urlpatterns = app.urls[0]",
        document="document = app.get_openapi_schema(path_prefix='/')",
        words={**PYDANTIC, "owner": "app", "variable": "{int:id}"},
    ),
    "flask-openapi3": Many(
        "openapi3",
        "from flask_openapi3 import OpenAPI; from pydantic import BaseModel, Field",
        setup="app = OpenAPI('many', static_folder=None)",
        get="""
class Path{n}(BaseModel):
    id: int
class Arguments{n}(BaseModel):
    q: str
    limit: t.Annotated[int, Field(ge=1, le=100)] = 10
@app.get("/things{n}/<int:id>", responses={{200: M{m}}})
def get{n}(path: Path{n}, query: Arguments{n}): ...
""",
        post="""
@app.post("/things{n}", responses={{200: M{m}}})
def post{n}(body: M{k}): ...
""",
        document="document = app.test_client().get('/openapi/openapi.json').data",
        words=PYDANTIC,
    ),
    "APIFlask": Many(
        "apiflask",
        "from apiflask import APIFlask, Schema, fields; from apiflask.validators import Length, Range",
        setup="app = APIFlask('many', static_folder=None)",
        classes=SCHEMA,
        get="""
class Arguments{n}(Schema):
    q = fields.String(required=True)
    limit = fields.Integer(load_default=10, validate=Range(1, 100))
@app.get("/things{n}/<int:id>")
@app.input(Arguments{n}, location="query", arg_name="query")
@app.output(M{m})
def get{n}(id, query): ...
""",
        post="""
@app.post("/things{n}")
@app.input(M{k}, arg_name="body")
@app.output(M{m})
def post{n}(body): ...
""",
    ),
    "BlackSheep": Many(
        "blacksheep",
        "from blacksheep import Application; from blacksheep.server.openapi.v3 import OpenAPIHandler;"
        " from openapidocs.v3 import Info; from pydantic import BaseModel, Field",
        setup="app = Application(); docs = OpenAPIHandler(info=Info('many', '1')); docs.bind_app(app)",
        get='\n@app.router.get("/things{n}/{{id}}")\n'
        "async def get{n}(id: int, q: str, limit: int = 10) -> M{m}: ...\n",
        document="asyncio.run(app.start()); document = docs._json_docs",
        words={**PYDANTIC, "owner": "app.router", "begin": "async def"},
    ),
}


def source_of(many: Many) -> str:
    """The program's classes and views."""
    words = {"begin": "def", "base": "", "limit": "", "owner": "", "variable": "", **many.words}
    text = []
    for n in range(CLASSES):
        parts = f"parts: list[M{n - 1}]" if n % 5 == 4 else ""
        if many.classes is SCHEMA and parts:
            parts = f"parts = fields.List(fields.Nested(M{n - 1}), required=True)"
        text.append(many.classes.format(n=n, parts=parts, **words))
    for n in range(ROUTES // 2):
        numbers = {"n": n, "m": n % CLASSES, "k": n * 7 % CLASSES}
        text.append(many.get.format(**numbers, **words))
        text.append(many.post.format(**numbers, **words))
    return "\n".join([many.setup, *text, many.finish])


def resident() -> float:
    """Megabytes of memory in use; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096 / 1e6
    except OSError:
        return 0.0


def measure(name: str) -> dict[str, float]:
    """Run the program in this process."""
    many = MANY[name]
    module: dict[str, t.Any] = {"t": t, "asyncio": asyncio, "__name__": "many"}
    sys.modules["many"] = t.cast("t.Any", type(sys)("many"))
    sys.modules["many"].__dict__.update(module)
    module = sys.modules["many"].__dict__
    program, document = (
        compile(source_of(many), "many.py", "exec"),
        compile(many.document, "-", "exec"),
    )
    marks = [time.process_time()]
    exec(many.imports, module)
    marks.append(time.process_time())
    before = resident()
    exec(program, module)
    marks.append(time.process_time())
    exec(document, module)
    marks.append(time.process_time())
    assert module["document"]
    names = ("import", "register", "document")
    taken = [end - begin for begin, end in itertools.pairwise(marks)]
    return {**dict(zip(names, taken, strict=True)), "memory": resident() - before}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
