"""Chapter 16: waiting for two things at once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from kolben import Blueprint, Flask, g, render_template

chapter = Blueprint("async", __name__)


@dataclass
class Step:
    """What was done, and when it began and ended, in seconds since the request came."""

    name: str
    begin: float
    end: float


def since_start() -> float:
    started: float = g.started
    return time.perf_counter() - started


@chapter.before_request
def start_the_clock() -> None:  # a plain function, which runs before async views, too
    g.started = time.perf_counter()


async def prepare(name: str, seconds: float) -> Step:
    begin = since_start()
    await asyncio.sleep(seconds)  # as if a database or another server were asked
    return Step(name, begin, since_start())


@chapter.get("/")
async def index() -> str:
    steps = await asyncio.gather(prepare("Tea", 0.3), prepare("Toast", 0.5))
    return render_template("async/index.html", steps=steps, total=since_start())


@chapter.get("/one-by-one")
async def one_by_one() -> str:
    steps = [await prepare("Tea", 0.3), await prepare("Toast", 0.5)]
    return render_template("async/index.html", steps=steps, total=since_start())


@chapter.get("/plain")
def plain() -> str:
    begin = since_start()
    time.sleep(0.4)  # holds up its own thread, and no other
    steps = [Step("Coffee", begin, since_start())]
    return render_template("async/index.html", steps=steps, total=since_start())


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(chapter)
    return app


if __name__ == "__main__":
    create_app().run(debug=True)
