"""A worker of `kolben serve`: how it finds its application, and what it puts around it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import kolben
from kolben.serving.forwarded import ForwardedMiddleware
from kolben.serving.observability import AccessLogMiddleware, RequestIdMiddleware
from kolben.serving.worker import (
    Facts,
    LoadError,
    Target,
    describe,
    examine,
    load,
    needs_asgi,
    start,
    wrap,
)
from pythons import HAS_GIL


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> Target:
    (folder / f"{name}.py").write_text(text)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr("kolben.loading.shadow.install_as_flask", lambda: None)
    return Target(f"{name}:app")


def test_the_application_of_a_module_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from kolben import Flask\napp = Flask(__name__)"
    app = load(program(tmp_path, monkeypatch, "worker_works", text))
    assert app.import_name == "worker_works"


PROBLEMS = {
    "worker_exits": ("import sys; sys.exit(3)", "'worker_exits:app' ended itself with status 3"),
    "worker_raises": ("1 / 0", "ZeroDivisionError: division by zero (*worker_raises.py, line 1)"),
    "worker_imports": ("import nothing_of_this_name", "No module named 'nothing_of_this_name'"),
    "worker_empty": ("", "worker_empty"),
    "worker_unwritten": ("def", "SyntaxError"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_cannot_be_loaded_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text, said = PROBLEMS[name]
    with pytest.raises(LoadError) as caught:
        load(program(tmp_path, monkeypatch, name, text))
    message = str(caught.value)
    assert "\n" not in message
    assert said.replace("*", f"{tmp_path}/") in message


class Pipe:
    """The main process's end of the connection."""

    def __init__(self) -> None:
        self.sent: list[Facts] = []

    def send(self, facts: Facts) -> None:
        self.sent.append(facts)


def test_what_the_main_process_has_to_know_is_sent_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = Pipe()
    text = "from kolben import Flask\napp = Flask(__name__)"
    examine(program(tmp_path, monkeypatch, "worker_facts", text), pipe)  # type: ignore[arg-type]
    examine(program(tmp_path, monkeypatch, "worker_faulty", "1 / 0"), pipe)  # type: ignore[arg-type]
    assert pipe.sent[0] == Facts(None, "wsgi", "nothing in it awaits", debug=False, has_gil=HAS_GIL)
    assert "ZeroDivisionError" in (pipe.sent[1].problem or "")


def test_a_store_of_sessions_that_cannot_be_made_is_told_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = Pipe()
    text = "from kolben import Flask\napp = Flask(__name__)\napp.config['SESSION_STORE'] = {!r}"
    monkeypatch.setitem(sys.modules, "cachelib", None)
    for name, store in (("store_of_none", "somewhere"), ("store_lacks", "redis://127.0.0.1:1/0")):
        examine(program(tmp_path, monkeypatch, name, text.format(store)), pipe)  # type: ignore[arg-type]
    assert "does not say where sessions are kept: 'somewhere'" in (pipe.sent[0].problem or "")
    assert "needs 'cachelib': install it with" in (pipe.sent[1].problem or "")


def test_an_error_is_described_by_where_it_was_raised() -> None:
    with pytest.raises(LookupError) as caught:
        raise LookupError("two\nlines")
    described = describe(caught.value)
    assert described.startswith("LookupError: two lines (")
    assert described.split(", line ")[0].endswith("test_worker.py")
    assert describe(SystemError()) == "SystemError"


def test_what_fails_before_serving_is_said_in_one_line() -> None:
    app = kolben.Flask(__name__)

    @app.before_serving
    def fail() -> None:
        raise LookupError("no database")

    with pytest.raises(LoadError, match="could not be started: LookupError: no database"):
        start(app)
    app.before_serving_funcs[:] = [lambda: exit("There is no configuration.")]
    with pytest.raises(LoadError, match=r"^There is no configuration.$"):
        start(app)


def test_the_middleware_that_was_asked_for_is_put_around_it() -> None:
    app = kolben.Flask(__name__)
    assert wrap(app, Target()) is app
    assert type(wrap(app, Target(request_id=True))) is RequestIdMiddleware
    assert type(wrap(app, Target(access_log="json", request_id=True))) is AccessLogMiddleware
    assert type(wrap(app, Target(access_log="json", proxy_count=1))) is ForwardedMiddleware


def test_what_awaits_is_named() -> None:
    app = kolben.Flask(__name__)
    assert needs_asgi(app) is None

    async def later() -> None: ...

    app.teardown_appcontext(later)
    assert needs_asgi(app) == "the async function 'later'"
    app.add_url_rule("/", "view", later)
    assert needs_asgi(app) == "the async view 'view'"
