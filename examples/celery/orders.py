"""Orders whose confirmations are written by Celery, over Redis."""

from __future__ import annotations

import typing as t

from celery import Celery, Task

from kolben import Flask, current_app, request, url_for
from kolben.typing import ResponseReturnValue

app = Flask(__name__)
app.config.from_mapping(REDIS="redis://127.0.0.1:6379/0", SHOP="the shop")
app.config.from_prefixed_env("ORDERS")


class InApplication(Task):
    """A task that finds `current_app` and its settings, as a view does."""

    def __call__(self, *args: t.Any, **options: t.Any) -> t.Any:
        with app.app_context():
            return self.run(*args, **options)


celery = Celery("orders", task_cls=InApplication)
celery.conf.update(
    broker_url=app.config["REDIS"],
    result_backend=app.config["REDIS"],
    task_acks_late=True,  # a task whose worker dies is given to another one
    result_expires=3600,
)


@celery.task(autoretry_for=(OSError,), retry_backoff=True, max_retries=5)
def confirm(name: str) -> str:
    return f"Dear {name}, {current_app.config['SHOP']} thanks you."


@app.post("/orders")
def order() -> ResponseReturnValue:
    task = confirm.delay(request.form["name"])
    return {"status": url_for("status", number=task.id)}, 202


@app.get("/orders/<number>")
def status(number: str) -> ResponseReturnValue:
    result = celery.AsyncResult(number)
    return {"ready": result.ready(), "text": result.result if result.successful() else None}
