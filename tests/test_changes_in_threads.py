"""What threads change while requests run in others: an answer is of how it was, or of how it is, never mixed.

Each kind of change has a number that goes up, and the answer tells the number by which it was made. It may be
neither lower than that of the last change that was through before the request, nor higher than that of the last
one that had begun after it. With ``KOLBEN_ENDURANCE=100000`` each kind has so many requests.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import typing as t

import pytest
from jinja2 import DictLoader
from werkzeug.routing import Map, Rule

import kolben
from kolben import tables
from kolben.json.provider import DefaultJSONProvider
from kolben.routing import map as routing_map

REQUESTS = int(os.environ.get("KOLBEN_ENDURANCE", "400"))
THREADS = 4


class Answer(t.NamedTuple):
    status: str
    headers: dict[str, str]
    text: str


def ask(app: kolben.Flask, path: str = "/", cookie: str = "") -> Answer:
    """Send a request as a server does."""
    environ: dict[str, t.Any] = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost", "wsgi.url_scheme": "http",
    }  # fmt: skip
    if cookie:
        environ["HTTP_COOKIE"] = cookie
    started: list[tuple[str, list[tuple[str, str]]]] = []
    body = app(environ, lambda status, headers, error=None: started.append((status, headers)))
    text = b"".join(body).decode()
    if hasattr(body, "close"):
        body.close()
    ((status, headers),) = started
    return Answer(status, dict(headers), text)


class Case(t.NamedTuple):
    app: kolben.Flask
    change: t.Callable[[int], object]
    number: t.Callable[[Answer], int] = lambda answer: int(answer.text)


def blank() -> kolben.Flask:
    app = kolben.Flask(__name__, static_folder=None)
    app.secret_key = "secret"
    app.add_url_rule("/", "view", lambda: "0")
    return app


CASES: dict[str, t.Callable[[], Case]] = {}


def case(make: t.Callable[[], Case]) -> t.Callable[[], Case]:
    CASES[make.__name__.replace("_", " ")] = make
    return make


def answers(n: int) -> t.Callable[..., str]:
    return lambda *args, **values: str(n)


def marks(n: int) -> t.Callable[..., t.Any]:
    def mark(response: kolben.Response) -> kolben.Response:
        response.headers["X-Number"] = str(n)
        return response

    return mark


def marked(answer: Answer) -> int:
    return int(answer.headers["X-Number"])


@case
def view() -> Case:
    app = blank()
    return Case(app, lambda n: app.view_functions.update(view=answers(n)))


@case
def before_hook() -> Case:
    app = blank()
    hooks = app.before_request_funcs[None]

    def change(n: int) -> None:
        hooks[:] = [answers(n)]

    return Case(app, change)


@case
def before_hook_that_comes_and_goes() -> Case:
    app = blank()
    hooks = app.before_request_funcs[None]

    def change(n: int) -> None:
        app.view_functions["view"] = answers(n)
        hooks.append(answers(n)) if n % 2 else hooks.clear()

    return Case(app, change)


@case
def after_hook() -> Case:
    app = blank()
    app.after_request(marks(0))

    def change(n: int) -> None:
        app.after_request_funcs[None][:] = [marks(n)]

    return Case(app, change, marked)


@case
def error_handler() -> Case:
    app = blank()
    app.register_error_handler(KeyError, answers(0))
    app.view_functions["view"] = lambda: {}["nothing"]
    handlers = app.error_handler_spec[None][None]
    return Case(app, lambda n: handlers.update({KeyError: answers(n)}))


@case
def provider_of_json() -> Case:
    app = blank()
    app.view_functions["view"] = lambda: {"a": 1}

    class Provider(DefaultJSONProvider):
        n = 0

        def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
            return str(self.n)

    def change(n: int) -> None:
        provider = Provider(app)
        provider.n = n
        app.json = provider

    change(0)
    return Case(app, change)


@case
def type_of_json() -> Case:
    app = blank()
    app.view_functions["view"] = lambda: {"a": 1}
    provider = t.cast("DefaultJSONProvider", app.json)

    def change(n: int) -> None:
        provider.mimetype = f"application/x-{n}"

    change(0)
    return Case(app, change, lambda answer: int(answer.headers["Content-Type"].split("-")[-1]))


@case
def middleware() -> Case:
    app = blank()
    inner = app.wsgi_app

    def change(n: int) -> None:
        def around(environ: t.Any, start_response: t.Any) -> t.Any:
            def start(status: str, headers: t.Any, error: t.Any = None) -> t.Any:
                return start_response(status, [*headers, ("X-Number", str(n))])

            return inner(environ, start)

        app.wsgi_app = around  # type: ignore[method-assign]

    change(0)
    return Case(app, change, marked)


@case
def step() -> Case:
    app = blank()
    return Case(app, lambda n: setattr(app, "dispatch_request", answers(n)))


@case
def setting() -> Case:
    app = blank()
    app.config["NUMBER"] = 0
    app.view_functions["view"] = lambda: str(app.config["NUMBER"])
    return Case(app, lambda n: app.config.update(NUMBER=n))


@case
def name_of_the_cookie() -> Case:
    app = blank()
    app.config["SESSION_COOKIE_NAME"] = "c0"

    def change_session() -> str:
        kolben.session["a"] = 1
        return ""

    app.view_functions["view"] = change_session
    return Case(
        app,
        lambda n: app.config.update(SESSION_COOKIE_NAME=f"c{n}"),
        lambda answer: int(answer.headers["Set-Cookie"].partition("=")[0][1:]),
    )


@case
def function_in_templates() -> Case:
    app = blank()
    app.jinja_loader = DictLoader({"page.html": "{{ number() }}"})
    app.jinja_env.globals["number"] = answers(0)
    app.view_functions["view"] = lambda: kolben.render_template("page.html")
    return Case(app, lambda n: app.jinja_env.globals.update(number=answers(n)))


@case
def context_processor() -> Case:
    app = blank()
    app.jinja_loader = DictLoader({"page.html": "{{ number }}"})
    app.context_processor(lambda: {"number": 0})
    app.view_functions["view"] = lambda: kolben.render_template("page.html")
    processors = app.template_context_processors[None]

    def change(n: int) -> None:
        processors[-1] = lambda: {"number": n}

    return Case(app, change)


@case
def template() -> Case:
    app = blank()
    sources = {"page.html": "0"}
    app.config["TEMPLATES_AUTO_RELOAD"] = True
    app.jinja_loader = DictLoader(sources)
    app.view_functions["view"] = lambda: kolben.render_template("page.html")
    return Case(app, lambda n: sources.update({"page.html": str(n)}))


@case
def receiver_of_a_signal() -> Case:
    app = blank()
    app.view_functions["view"] = lambda: str(kolben.g.number)
    receivers: list[t.Any] = []  # all are kept: a signal refers to them weakly

    def change(n: int) -> None:
        def receive(sender: object, **kwargs: t.Any) -> None:
            kolben.g.number = n

        receivers.append(receive)
        kolben.request_started.connect(receive, app)
        if n:
            kolben.request_started.disconnect(receivers[-2], app)

    change(0)
    return Case(app, change)


@pytest.fixture
def switches_often() -> t.Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


class Changing:
    """Sends requests in threads while this one changes.

    :param change: makes the change of a number.
    :param send: sends a request, given the number of the last change that is through, and says what is wrong.
    """

    def __init__(
        self, change: t.Callable[[int], object], send: t.Callable[[Changing], str | None]
    ) -> None:
        self.begun = self.through = 0
        self.wrong: list[str] = []
        self._change = change
        self._send = send

    def run(self, most: int = sys.maxsize, pause: float = 0.0) -> None:
        """Make changes until the requests are answered.

        :param most: so many changes at most.
        :param pause: for how many seconds to wait after each.
        """
        threads = [threading.Thread(target=self._requests) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                if self.begun < most:
                    self.begun += 1
                    self._change(self.begun)
                    self.through = self.begun
                time.sleep(pause)
        finally:
            for thread in threads:
                thread.join()
        assert not self.wrong, self.wrong[:3]

    def _requests(self) -> None:
        for _ in range(REQUESTS // THREADS):
            try:
                wrong = self._send(self)
            except Exception as error:
                wrong = repr(error)
            if wrong:
                self.wrong.append(wrong)
                return


@pytest.mark.usefixtures("switches_often")
@pytest.mark.parametrize("kind", CASES)
def test_an_answer_is_of_how_it_was_or_of_how_it_is(kind: str) -> None:
    app, change, number = CASES[kind]()

    def send(now: Changing) -> str | None:
        low = now.through
        answer = ask(app)
        try:
            found = number(answer)
        except (KeyError, ValueError):
            return repr(answer)
        return None if low <= found <= now.begun else f"{low} <= {found} <= {now.begun}"

    Changing(change, send).run()


@pytest.mark.usefixtures("switches_often")
@pytest.mark.parametrize("path", ["/r/{}", "/r/{}/<int:id>"], ids=["static", "with a variable"])
def test_a_rule_that_was_added_is_found_by_the_next_request(path: str) -> None:
    app = blank()
    app.add_url_rule("/r/<path:rest>", "any", lambda rest: "none")

    def change(n: int) -> None:
        app.view_functions[f"r{n}"] = answers(n)
        app.url_map.add(Rule(path.format(n), endpoint=f"r{n}"))

    change(0)

    def send(now: Changing) -> str | None:
        n = now.through
        answer = ask(app, path.format(n).replace("<int:id>", "7"))
        return None if answer.text == str(n) else repr(answer)

    Changing(change, send).run(most=100)


@pytest.mark.usefixtures("switches_often")
def test_the_url_of_a_rule_that_was_added_is_built_in_the_next_request() -> None:
    app = blank()
    numbers: list[Changing] = []

    def change(n: int) -> None:
        app.url_map.add(Rule(f"/u/{n}", endpoint=f"u{n}"))

    change(0)
    app.view_functions["view"] = lambda: kolben.url_for(f"u{numbers[0].through}")

    def send(now: Changing) -> str | None:
        low = now.through
        answer = ask(app)
        is_right = low <= int(answer.text.removeprefix("/u/")) <= now.begun
        return None if is_right else repr(answer)

    numbers.append(Changing(change, send))
    numbers[0].run(most=100)


@pytest.mark.usefixtures("switches_often")
def test_no_session_is_lost_while_the_key_is_changed() -> None:
    app = blank()
    app.config.update(SECRET_KEY="k0", SECRET_KEY_FALLBACKS=[])
    visitors = threading.local()

    def count() -> str:
        kolben.session["count"] = kolben.session.get("count", 0) + 1
        return str(kolben.session["count"])

    app.view_functions["view"] = count

    def change(n: int) -> None:
        app.config.update(SECRET_KEY_FALLBACKS=[f"k{n - 1}", f"k{n - 2}"])
        app.config["SECRET_KEY"] = f"k{n}"

    def send(now: Changing) -> str | None:
        before, cookie, signed_at = getattr(visitors, "seen", (0, "", 0))
        low = now.through
        answer = ask(app, cookie=cookie)
        visitors.seen = int(answer.text), answer.headers["Set-Cookie"].partition(";")[0], low
        if int(answer.text) == before + 1 or now.begun - signed_at > 2:
            return None  # or its key is older than those that are kept
        return f"{before} {answer}"

    Changing(change, send).run(pause=0.001)


class Slow:
    """A hook that takes its time to tell one thread whether it is a coroutine function."""

    def __init__(self, asked: threading.Event, go_on: threading.Event) -> None:
        self.asked = asked
        self.go_on = go_on

    def __call__(self, *args: t.Any) -> t.Any:
        return args[0] if args else None

    @property
    def __code__(self) -> t.Any:
        if threading.current_thread().name == "late":
            self.asked.set()
            self.go_on.wait(0.1)
        return ask.__code__


def test_what_was_found_out_late_does_not_hide_a_newer_hook() -> None:
    app = blank()
    assert ask(app).text == "0"
    events = [threading.Event() for _ in range(4)]
    app.before_request_funcs[None][:] = [Slow(*events[:2])]
    app.after_request_funcs[None][:] = [Slow(*events[2:])]
    late = threading.Thread(target=ask, args=(app,), name="late")
    late.start()
    assert events[0].wait(5)  # the hooks before the view were read
    app.before_request_funcs[None][:] = [answers(1)]
    found = [ask(app).text]  # prepares anew
    events[1].set()
    assert events[2].wait(5)  # the late one has written what it had found
    found.append(ask(app).text)
    events[3].set()
    late.join()
    found.append(ask(app).text)
    assert found == ["1", "1", "1"]


def test_the_first_requests_of_all_threads_find_one_application() -> None:
    for _ in range(max(20, REQUESTS // 100)):
        app = blank()
        app.jinja_loader = DictLoader({"page.html": "{{ number }}"})
        environments: list[t.Any] = []

        def render(app: kolben.Flask = app, environments: list[t.Any] = environments) -> str:
            environments.append(app.jinja_env)
            return kolben.render_template("page.html", number=7)

        app.view_functions["view"] = render
        barrier = threading.Barrier(THREADS)
        texts: list[str] = []

        def first(
            app: kolben.Flask = app,
            barrier: threading.Barrier = barrier,
            texts: list[str] = texts,
        ) -> None:
            barrier.wait()
            texts.append(ask(app).text)

        threads = [threading.Thread(target=first) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert texts == ["7"] * THREADS
        assert len(set(map(id, environments))) == 1


def test_a_table_that_changes_at_each_look_is_no_endless_one() -> None:
    class Restless(kolben.Flask):
        @property
        def session_interface(self) -> t.Any:
            tables.touch()
            return kolben.Flask.session_interface

    app = Restless(__name__, static_folder=None)
    app.add_url_rule("/", "view", lambda: "0")
    assert [ask(app).text for _ in range(3)] == ["0"] * 3


def test_a_map_of_another_class_is_read_as_it_is() -> None:
    class Application(kolben.Flask):
        url_map_class = Map  # type: ignore[assignment] # as programs may

    app = Application(__name__, static_folder=None)
    app.add_url_rule("/<int:n>", "view", lambda n: str(n))
    assert ask(app, "/7").text == "7"


def test_the_lock_of_a_map_is_made_without_an_argument() -> None:
    # Set as a method, a function would be given the map: gevent's takes no argument, and Python 3.15's none either.
    assert isinstance(vars(routing_map.Map)["lock_class"], staticmethod)
