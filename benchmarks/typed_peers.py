"""The programs of ``typed.py`` as other frameworks have them, each as its documentation writes it."""

import typing as t
from types import ModuleType, SimpleNamespace


def fastapi(kinds: SimpleNamespace) -> t.Any:
    from fastapi import Depends, FastAPI, Query
    from fastapi.responses import PlainTextResponse

    app = FastAPI()

    async def session():
        yield 1

    async def user(session: t.Annotated[int, Depends(session)]) -> int:
        return session

    async def permission(
        user: t.Annotated[int, Depends(user)], session: t.Annotated[int, Depends(session)]
    ) -> int:
        return user

    @app.get("/hello", response_class=PlainTextResponse)
    async def hello():
        return "Hello, World!"

    @app.get("/items/{id}")
    async def a(
        id: int, q: str, limit: t.Annotated[int, Query(ge=1, le=100)] = 10, active: bool = False
    ) -> kinds.Out:
        return kinds.Out(id=id, q=q, limit=limit, active=active)

    @app.post("/items")
    async def b(body: kinds.In) -> kinds.Order:
        return kinds.order(body)

    @app.get("/users")
    async def d() -> list[kinds.User]:
        return kinds.users

    @app.get("/provided", response_class=PlainTextResponse)
    async def i(p: t.Annotated[int, Depends(permission)], u: t.Annotated[int, Depends(user)]):
        return "Hello, World!"

    return app


def litestar(kinds: SimpleNamespace) -> t.Any:
    from litestar import Litestar, get, post
    from litestar.di import Provide
    from litestar.params import Parameter

    async def session() -> t.AsyncIterator[int]:
        yield 1

    async def user(session: int) -> int:
        return session

    async def permission(user: int, session: int) -> int:
        return user

    @get("/hello", media_type="text/plain")
    async def hello() -> str:
        return "Hello, World!"

    @get("/items/{id:int}")
    async def a(
        id: int, q: str, limit: t.Annotated[int, Parameter(ge=1, le=100)] = 10, active: bool = False
    ) -> kinds.Out:
        return kinds.Out(id=id, q=q, limit=limit, active=active)

    @post("/items", status_code=200)
    async def b(data: kinds.In) -> kinds.Order:
        return kinds.order(data)

    @get("/users")
    async def d() -> list[kinds.User]:
        return kinds.users

    provided = {"session": session, "user": user, "permission": permission}
    dependencies = {name: Provide(function) for name, function in provided.items()}

    @get("/provided", media_type="text/plain", dependencies=dependencies)
    async def i(permission: int, user: int) -> str:
        return "Hello, World!"

    return Litestar([hello, a, b, d, i])


def floor(kinds: SimpleNamespace, query: str, body: bytes) -> t.Any:
    """What reading and writing alone take: msgspec, and ``parse_qsl``."""
    from urllib.parse import parse_qsl

    import msgspec

    class Arguments(msgspec.Struct):
        q: str
        limit: t.Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
        active: bool = False

    encode = msgspec.json.Encoder().encode
    decode = msgspec.json.Decoder(kinds.In).decode
    to_arguments = msgspec.convert

    def answer(name: str) -> bytes:
        if name == "a":
            args = to_arguments(dict(parse_qsl(query)), Arguments, strict=False)
            return encode(kinds.Out(42, args.q, args.limit, args.active))
        return encode(kinds.order(decode(body)) if name == "b" else kinds.users)

    return answer


def pydantic_floor(kinds: SimpleNamespace, query: str, body: bytes) -> t.Any:
    """The same with pydantic."""
    from urllib.parse import parse_qsl

    import pydantic

    class Arguments(pydantic.BaseModel):
        q: str
        limit: t.Annotated[int, pydantic.Field(ge=1, le=100)] = 10
        active: bool = False

    read = Arguments.__pydantic_validator__.validate_python
    read_body = kinds.In.__pydantic_validator__.validate_json
    write = pydantic.TypeAdapter(list[kinds.User]).serializer.to_json

    def answer(name: str) -> bytes:
        if name == "a":
            args = read(dict(parse_qsl(query)))
            made = kinds.Out(id=42, q=args.q, limit=args.limit, active=args.active)
            return made.__pydantic_serializer__.to_json(made)
        if name == "b":
            made = kinds.order(read_body(body))
            return made.__pydantic_serializer__.to_json(made)
        return write(kinds.users)

    return answer


def blacksheep(kinds: SimpleNamespace) -> t.Any:
    from blacksheep import Application, FromJSON, text

    app = Application(show_error_details=False)

    @app.router.get("/hello")
    async def hello():
        return text("Hello, World!")

    @app.router.get("/items/{id}")
    async def a(id: int, q: str, limit: int = 10, active: bool = False) -> kinds.Out:
        return kinds.Out(id=id, q=q, limit=limit, active=active)

    @app.router.post("/items")
    async def b(body: FromJSON[kinds.In]) -> kinds.Order:
        return kinds.order(body.value)

    @app.router.get("/users")
    async def d() -> list[kinds.User]:
        return kinds.users

    return app


def ninja(kinds: SimpleNamespace) -> t.Any:
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    urls: t.Any = ModuleType("urls")
    settings.configure(
        SECRET_KEY="k", ALLOWED_HOSTS=["*"], ROOT_URLCONF=urls, MIDDLEWARE=[], LOGGING_CONFIG=None
    )
    django.setup()
    from ninja import NinjaAPI, Query  # wants the settings

    api = NinjaAPI()

    @api.get("/hello")
    def hello(request):
        return HttpResponse("Hello, World!")

    @api.get("/items/{int:id}", response=kinds.Out)
    def a(
        request,
        id: int,
        q: str,
        limit: t.Annotated[int, Query(ge=1, le=100)] = 10,
        active: bool = False,
    ):
        return kinds.Out(id=id, q=q, limit=limit, active=active)

    @api.post("/items", response=kinds.Order)
    def b(request, body: kinds.In):
        return kinds.order(body)

    @api.get("/users", response=list[kinds.User])
    def d(request):
        return kinds.users

    urls.urlpatterns = [path("", api.urls)]
    return get_wsgi_application()


def openapi3(kinds: SimpleNamespace) -> t.Any:
    from flask_openapi3 import OpenAPI
    from pydantic import BaseModel, Field

    app = OpenAPI("bench", static_folder=None)

    class Path(BaseModel):
        id: int

    class Arguments(BaseModel):
        q: str
        limit: t.Annotated[int, Field(ge=1, le=100)] = 10
        active: bool = False

    @app.get("/hello")
    def hello():
        return "Hello, World!"

    @app.get("/items/<int:id>")
    def a(path: Path, query: Arguments):
        given = query.model_dump()
        return kinds.Out(id=path.id, **given).model_dump()

    @app.post("/items")
    def b(body: kinds.In):
        return kinds.order(body).model_dump()

    @app.get("/users")
    def d():
        return [user.model_dump() for user in kinds.users]

    return app


def apiflask(kinds: SimpleNamespace) -> t.Any:
    from apiflask import APIFlask, Schema, fields
    from apiflask.validators import Length, Range, Regexp

    app = APIFlask("bench", static_folder=None)

    class Arguments(Schema):
        q = fields.String(required=True)
        limit = fields.Integer(load_default=10, validate=Range(1, 100))
        active = fields.Boolean(load_default=False)

    class Out(Schema):
        id = fields.Integer()
        q = fields.String()
        limit = fields.Integer()
        active = fields.Boolean()

    class Line(Schema):
        sku = fields.String(required=True, validate=Length(1, 20))
        quantity = fields.Integer(required=True, validate=Range(1, 1000))
        price = fields.Float(required=True)

    class In(Schema):
        name = fields.String(required=True, validate=Length(1, 50))
        email = fields.String(required=True, validate=Regexp(".*@"))
        age = fields.Integer(required=True, validate=Range(0, 150))
        score = fields.Float(required=True)
        active = fields.Boolean(required=True)
        tags = fields.List(fields.String(), required=True)
        address = fields.String(required=True)
        city = fields.String(required=True)
        lines = fields.List(fields.Nested(Line), required=True)
        note = fields.String(load_default=None, allow_none=True)

    class Order(In):
        id = fields.Integer()
        total = fields.Float()

    class User(Schema):
        id = fields.Integer()
        name = fields.String()
        email = fields.String()
        age = fields.Integer()
        active = fields.Boolean()
        score = fields.Float()

    @app.get("/hello")
    def hello():
        return "Hello, World!"

    @app.get("/items/<int:id>")
    @app.input(Arguments, location="query", arg_name="query")
    @app.output(Out)
    def a(id, query):
        return {"id": id, **query}

    @app.post("/items")
    @app.input(In, arg_name="body")
    @app.output(Order)
    def b(body):
        total = sum(line["price"] * line["quantity"] for line in body["lines"])
        return {**body, "id": 1, "total": total}

    users = [{name: getattr(user, name) for name in User().fields} for user in kinds.users]

    @app.get("/users")
    @app.output(User(many=True))
    def d():
        return users

    return app


def falcon(kinds: SimpleNamespace) -> t.Any:
    """With msgspec by hand, as Falcon's recipes have it."""
    import falcon
    import msgspec

    class Arguments(msgspec.Struct):
        q: str
        limit: t.Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
        active: bool = False

    encode = msgspec.json.Encoder().encode
    decode = msgspec.json.Decoder(kinds.In).decode

    class Hello:
        def on_get(self, req, resp):
            resp.content_type = falcon.MEDIA_TEXT
            resp.text = "Hello, World!"

    class Item:
        def on_get(self, req, resp, id):
            try:
                args = msgspec.convert(req.params, Arguments, strict=False)
            except msgspec.ValidationError as error:
                raise falcon.HTTPUnprocessableEntity(description=str(error)) from None
            resp.data = encode(kinds.Out(id, args.q, args.limit, args.active))

    class Items:
        def on_post(self, req, resp):
            try:
                body = decode(req.bounded_stream.read())
            except msgspec.ValidationError as error:
                raise falcon.HTTPUnprocessableEntity(description=str(error)) from None
            resp.data = encode(kinds.order(body))

    class Users:
        def on_get(self, req, resp):
            resp.data = encode(kinds.users)

    app = falcon.App()
    app.add_route("/hello", Hello())
    app.add_route("/items/{id:int}", Item())
    app.add_route("/items", Items())
    app.add_route("/users", Users())
    return app
