"""What can be registered, and what keeps its type when it is."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator, Iterator

import kolben
from kolben import Blueprint, Flask, Response
from kolben.typing import ResponseReturnValue
from kolben.views import MethodView

app = Flask(__name__)
pages = Blueprint("pages", __name__, url_prefix="/pages")


@app.get("/text/<int:number>")
def text(number: int) -> str:
    return kolben.url_for("text", number=number)


t.assert_type(text(1), str)


@app.route("/async", methods=["GET", "POST"])
async def asynchronous() -> ResponseReturnValue:
    return {"a": 1}, 201, {"X-Header": "yes"}


@app.get("/streamed")
def streamed() -> Iterator[str]:
    yield "a"


@pages.post("/")
def create() -> Response:
    return kolben.jsonify(created=True)


@pages.errorhandler(404)
def missing(error: Exception) -> tuple[str, int]:
    return str(error), 404


@app.teardown_request
def done(error: BaseException | None) -> None:
    del error


class Items(MethodView):
    def get(self, number: int) -> ResponseReturnValue:
        return [number]


app.add_url_rule("/items/<int:number>", view_func=Items.as_view("items"))
app.register_blueprint(pages)


def run() -> None:
    with app.test_client() as client:
        t.assert_type(client.get("/").status_code, int)
    with app.test_request_context("/"), app.app_context():
        t.assert_type(kolben.current_app.name, str)
        t.assert_type(kolben.request.method, str)


async def numbers() -> AsyncIterator[int]:
    yield 1
