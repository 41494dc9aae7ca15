"""The engine's short way against the named steps: one random program run in both, same to the byte.

A program is plain data: what an application registers and what it is then sent. `run` builds it with
any framework of Flask's names, and writes down all that can be seen of it from outside.
Set the environment variable ``KOLBEN_EXAMPLES`` for a longer run than the default.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import time
import typing as t
import warnings
from functools import partial

from hypothesis import HealthCheck, event, given, settings, strategies as st
from itsdangerous import URLSafeTimedSerializer
from markupsafe import Markup
from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequest, HTTPException, NotFound, Unauthorized
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.wrappers import Response as WerkzeugResponse

import kolben

EXAMPLES = int(os.environ.get("KOLBEN_EXAMPLES", "150"))

Program = dict[str, t.Any]
Log = list[t.Any]

# -- what programs are made of --------------------------------------------------------------


class Text(str):
    """Text that is not just text."""

    __slots__ = ()


class OwnError(Exception):
    """An error of the program's own."""


class NamelessError(HTTPException):
    """An HTTP error without a code: Flask takes it for a response."""

    description = "nameless"


class OwnNotFound(NotFound):
    """A 404 that has a handler of its own."""


CLASSES: dict[str, type[Exception]] = {
    "ZeroDivisionError": ZeroDivisionError,
    "LookupError": LookupError,
    "Exception": Exception,
    "OwnError": OwnError,
    "HTTPException": HTTPException,
    "BadRequest": BadRequest,
    "NotFound": NotFound,
    "OwnNotFound": OwnNotFound,
}

STATUSES: dict[str, t.Any] = {
    "none": None,
    "201": 201,
    "204": 204,
    "304": 304,
    "404": 404,
    "799": 799,
    "418 text": "418 teapot time",
    "202 text": "202",
    "odd text": "fine",
    "bytes": b"200 GOOD",
    "float": 200.5,
    "no number": ["x"],
}

HEADERS: dict[str, t.Callable[[], t.Any]] = {
    "none": lambda: None,
    "dict": lambda: {"X-One": "1", "X-Two": "2"},
    "pairs": lambda: [("X-One", "1"), ("X-One", "2")],
    "tuple": lambda: (("X-One", "1"),),
    "headers": lambda: Headers([("X-One", "1"), ("X-One", "2")]),
    "many": lambda: {"X-One": ["1", "2"]},
    "type": lambda: {"content-type": "text/plain"},
    "length": lambda: {"Content-Length": "3"},
    "location": lambda: {"Location": "/ü?ä=ö"},
    "number": lambda: {"X-One": 7},
    "newline": lambda: {"X-One": "a\r\nb"},
    "empty": dict,
    "text": lambda: "X-One: 1",
}

BODIES = (
    "text", "umlauts", "empty text", "subclass", "markup", "bytes", "bytearray", "dict", "list",
    "bad json", "response", "json response", "subclass response", "werkzeug", "generator",
    "failing generator", "stream", "decorated stream", "callable", "exception", "redirect",
    "none", "number", "true", "set", "memoryview", "iterator", "on close",
    "url_for", "args", "body", "flashes", "session", "after this",
)  # fmt: skip


class Recorder:
    """Runs one program with one framework, and writes down what happens.

    :param framework: the module that stands for Flask.
    :param program: what to build and what to send.
    :param flask_class: the application class; by default the framework's.
    """

    def __init__(self, framework: t.Any, program: Program, flask_class: t.Any = None) -> None:
        self.framework = framework
        self.program = program
        self.log: Log = []
        self.answers: list[t.Any] = []
        self.receivers: list[tuple[t.Any, t.Any]] = []
        self.app = self.build(flask_class or framework.Flask)

    # -- building ---------------------------------------------------------------------------

    def build(self, flask_class: t.Any) -> t.Any:
        program = self.program
        app = flask_class("program", root_path="/", static_folder=None)
        app.config.update(program["config"])
        if program["secret"]:
            app.secret_key = "secret"
        app.logger.handlers[:] = [Listener(self.log)]
        app.logger.propagate = False
        outer = self.framework.Blueprint("outer", "program", url_prefix="/outer", root_path="/")
        inner = self.framework.Blueprint("inner", "program", url_prefix="/inner", root_path="/")
        places = {"app": app, "outer": outer, "inner": inner}
        for number, view in enumerate(program["views"]):
            options = {} if view["methods"] is None else {"methods": view["methods"]}
            places[view["place"]].add_url_rule(
                view["rule"],
                f"view{number}",
                partial(self.act, f"view{number}", view["action"]),
                **options,
            )
        for number, (place, error, action) in enumerate(program["handlers"]):
            handler = partial(self.act, f"handler{number}", action)
            places[place].register_error_handler(CLASSES.get(error, error), handler)
        for number, (place, kind, action) in enumerate(program["hooks"]):
            getattr(places[place], kind)(partial(self.act, f"{kind}{number}", action))
        outer.register_blueprint(inner)
        app.register_blueprint(outer)
        for name in program["signals"]:
            self.connect(name)
        for name in program["replaced"]:
            self.replace(app, name)
        return app

    def connect(self, name: str) -> None:
        def receiver(sender: t.Any, **values: t.Any) -> None:
            values.pop("_async_wrapper", None)
            self.note(f"signal {name}", sender.name, *(self.show(v) for v in values.values()))

        signal = getattr(self.framework, name)
        signal.connect(receiver)
        self.receivers.append((signal, receiver))

    def replace(self, app: t.Any, name: str) -> None:
        """Replace a part of the application, or have a method of its own call the class's."""
        special = getattr(self, f"replace_{name.replace(' ', '_')}", None)
        if special is not None:
            special(app)
            return
        kind = type(app)

        def wrapped(*arguments: t.Any, **values: t.Any) -> t.Any:
            self.note(f"own {name}", *(self.show(value) for value in arguments))
            return getattr(kind, name)(app, *arguments, **values)

        setattr(app, name, wrapped)

    def replace_response_class(self, app: t.Any) -> None:
        app.response_class = type("OwnResponse", (app.response_class,), {"default_status": 203})

    def replace_mimetype(self, app: t.Any) -> None:
        app.response_class = type("O", (app.response_class,), {"default_mimetype": "text/x"})

    def replace_request_class(self, app: t.Any) -> None:
        app.request_class = type("OwnRequest", (app.request_class,), {"own": True})

    def replace_session_interface(self, app: t.Any) -> None:
        app.session_interface = make_session_interface(self.framework, self)

    def replace_json(self, app: t.Any) -> None:
        app.json = type("P", (type(app.json),), {"mimetype": "application/x+json"})(app)

    def replace_dumps(self, app: t.Any) -> None:
        own = {"dumps": lambda self, value, **options: "dumped"}
        app.json = type("P", (type(app.json),), own)(app)

    def replace_url_map(self, app: t.Any) -> None:
        app.url_map = Map([Rule("/new/<int:x>", endpoint="view0")])

    def replace_view_functions(self, app: t.Any) -> None:
        app.view_functions = {
            key: partial(self.act, f"new {key}", ["return", "text"]) for key in app.view_functions
        }

    def replace_add_rule(self, app: t.Any) -> None:
        app.url_map.add(Rule("/added", endpoint="view0", methods=["GET", "POST"]))

    def replace_hook(self, app: t.Any) -> None:
        hook = partial(self.act, "late hook", ["nothing"])
        app.before_request_funcs.setdefault(None, []).append(hook)

    def replace_after_hook(self, app: t.Any) -> None:
        hook = partial(self.act, "late after hook", ["header"])
        app.after_request_funcs.setdefault("outer", []).append(hook)

    def replace_wsgi_app(self, app: t.Any) -> None:
        inner = app.wsgi_app
        app.wsgi_app = lambda *arguments: (self.note("middleware"), inner(*arguments))[1]

    def replace_modes(self, app: t.Any) -> None:
        app.testing = not app.testing
        app.debug = not app.debug

    # -- acting -----------------------------------------------------------------------------

    def note(self, *what: t.Any) -> None:
        framework = self.framework
        inside = f"{framework.has_request_context():d}{framework.has_app_context():d}"
        self.log.append([*what, inside])

    def show(self, value: t.Any) -> t.Any:
        if isinstance(value, HTTPException):
            original = type(getattr(value, "original_exception", None)).__name__
            return [type(value).__name__, value.code, original]
        if isinstance(value, BaseException):
            return type(value).__name__
        if isinstance(value, WerkzeugResponse):
            return [value.status, [list(pair) for pair in value.headers]]
        if isinstance(value, (str, int, float, bool, type(None))):
            return value
        if isinstance(value, dict):
            return {str(key): self.show(item) for key, item in value.items()}
        return type(value).__name__

    def act(self, name: str, action: list[t.Any], *args: t.Any, **values: t.Any) -> t.Any:
        """Do what a view, hook or handler does: a step by its name, with its arguments."""
        self.note(name, *(self.show(value) for value in args), self.show(values))
        return getattr(self, f"do_{action[0].replace(' ', '_')}")(*action[1:], *args)

    def do_return(self, body: str, *args: t.Any) -> t.Any:
        return self.body(body)

    def do_nothing(self, *args: t.Any) -> None:
        pass

    def do_same(self, value: t.Any = None, *args: t.Any) -> t.Any:
        return value

    def do_with(self, body: str, status: str | None, headers: str | None, *args: t.Any) -> t.Any:
        parts: list[t.Any] = [self.body(body)]
        if status is not None:
            parts.append(STATUSES[status])
        if headers is not None:
            parts.append(HEADERS[headers]())
        return tuple(parts)

    def do_four(self, *args: t.Any) -> t.Any:
        return "a", 200, {}, "b"

    def do_raise(self, kind: str, *args: t.Any) -> t.Any:
        framework = self.framework
        if kind == "zero":
            1 / 0  # noqa: B018
        if kind == "key":
            framework.request.args["missing"]
        if kind == "redirect":
            raise RequestRedirect("http://localhost/elsewhere")
        if kind == "abort":
            framework.abort(418)
        if kind == "response":
            framework.abort(framework.Response("aborted", 402))
        if kind == "with response":
            raise Unauthorized(response=WerkzeugResponse("no", 401, {"X-Why": "no"}))
        if kind == "header error":
            raise Unauthorized("who?", www_authenticate=None)
        if kind == "exit":
            raise SystemExit(3)
        if kind in {"own", "nameless", "own 404"}:
            errors = {"own": OwnError, "nameless": NamelessError, "own 404": OwnNotFound}
            raise errors[kind]
        framework.abort(int(kind))

    def do_session(self, what: str, *args: t.Any) -> t.Any:
        session = self.framework.session
        if what == "write":
            session["name"] = {"a": (1, 2), "b": Markup("<b>")}
        elif what == "read":
            self.note("session", self.show(dict(session)), session.new, session.modified)
        elif what == "permanent":
            session.permanent = True
            session["x"] = 1
        elif what == "clear":
            session.clear()
        elif what == "pop":
            session.pop("name", None)
        elif what == "get":
            session.get("name")
        elif what == "touch":
            session.modified = True
        elif what == "flash":
            self.framework.flash("hello", "note")
        elif what == "private":
            self.framework.globals.request_ctx._session["name"] = 2
        return args[0] if args else self.body("text") if what != "private" else None

    def do_header(self, response: t.Any = None, *args: t.Any) -> t.Any:
        if response is None:
            return None
        response.headers["X-Hook"] = "1"
        return response

    def do_cookie(self, response: t.Any = None, *args: t.Any) -> t.Any:
        if response is None:
            return None
        response.set_cookie("c", "d e", max_age=5)
        return response

    def do_replace(self, response: t.Any = None, *args: t.Any) -> t.Any:
        return self.framework.Response("replaced", 206, {"X-Old": response.status})

    def do_look(self, *args: t.Any) -> t.Any:
        request = self.framework.request
        self.note(
            request.method, request.path, request.url, request.endpoint, request.blueprint,
            request.blueprints, self.show(request.view_args), self.show(request.routing_exception),
            request.script_root, request.full_path, request.mimetype, request.is_json,
            request.url_rule and request.url_rule.rule, sorted(request.args.items()),
        )  # fmt: skip
        return args[0] if args else None

    def do_rewrite(self, endpoint: t.Any = None, values: t.Any = None, *args: t.Any) -> t.Any:
        """Change what was matched, in a value preprocessor or a hook."""
        if values is None:
            values = self.framework.request.view_args
        if values is not None:
            values.pop("x", None)
            values["y"] = 5

    def do_fill(self, endpoint: str, values: dict[str, t.Any]) -> None:
        values["x"] = values.pop("x", 0) + 1

    def do_other_view(self, *args: t.Any) -> t.Any:
        request = self.framework.request
        if self.app.url_map._rules:
            request.url_rule = self.app.url_map._rules[0]
            request.view_args = {"forced": True}
        request.routing_exception = None

    def do_g(self, *args: t.Any) -> t.Any:
        g = self.framework.g
        g.count = g.get("count", 0) + 1
        self.note("g", g.count)
        return args[0] if args else None

    def do_sessionwise(self, *args: t.Any) -> t.Any:
        self.framework.session["hook"] = 1
        return args[0] if args else None

    def do_nested(self, *args: t.Any) -> t.Any:
        """Send another request from inside this one, and push contexts."""
        client = self.app.test_client()
        if not self.framework.request.headers.get("X-Nested"):
            answer = client.get("/outer/x", headers={"X-Nested": "1"})
            self.note("nested", answer.status, answer.get_data(as_text=True)[:20])
        with self.app.app_context():
            self.framework.g.other = 1
        with self.app.test_request_context("/imagined"):
            self.note(self.framework.request.path)
        self.note(self.framework.request.path)

    # -- bodies -----------------------------------------------------------------------------

    def body(self, kind: str) -> t.Any:
        make = getattr(self, f"body_{kind.replace(' ', '_')}", None)
        if make is not None:
            return make()
        response = self.framework.Response
        simple: dict[str, t.Callable[[], t.Any]] = {
            "text": lambda: "text",
            "umlauts": lambda: "Größe €",
            "empty text": str,
            "subclass": lambda: Text("subclass"),
            "markup": lambda: Markup("<b>markup</b>"),
            "bytes": lambda: b"\xff\x00bytes",
            "bytearray": lambda: bytearray(b"bytearray"),
            "dict": lambda: {"b": 1, "a": ["ü", None, 1.5]},
            "list": lambda: [1, {"x": "</script>"}],
            "bad json": lambda: {"a": object},
            "response": lambda: response("response", 202, {"X-Own": "1"}),
            "json response": lambda: self.framework.jsonify(a=1),
            "subclass response": lambda: type("R", (response,), {"__call__": own_call})("own"),
            "werkzeug": lambda: WerkzeugResponse("werkzeug", mimetype="text/plain"),
            "callable": lambda: plain_wsgi,
            "exception": lambda: NotFound("returned"),
            "redirect": lambda: self.framework.redirect("/outer/?a=1"),
            "none": lambda: None,
            "number": lambda: 7,
            "true": lambda: True,
            "set": lambda: {1},
            "memoryview": lambda: memoryview(b"view"),
            "iterator": lambda: iter(["i", "t"]),
        }
        return simple[kind]()

    def body_generator(self) -> t.Any:
        def pieces() -> t.Iterator[t.Any]:
            self.note("generator")
            yield "one"
            yield b"two"

        return pieces()

    def body_failing_generator(self) -> t.Any:
        def pieces() -> t.Iterator[str]:
            yield "one"
            raise OwnError

        return pieces()

    def body_stream(self) -> t.Any:
        def pieces() -> t.Iterator[str]:
            yield self.framework.request.path
            self.framework.g.streamed = 1
            self.note("stream")
            yield "end"

        return self.framework.stream_with_context(pieces())

    def body_decorated_stream(self) -> t.Any:
        @self.framework.stream_with_context
        def pieces() -> t.Iterator[str]:
            yield self.framework.request.method
            raise OwnError

        return pieces()

    def body_on_close(self) -> t.Any:
        response = self.framework.Response("closing")
        response.call_on_close(lambda: self.note("closed"))
        return response

    def body_url_for(self) -> str:
        return "|".join(self.build_url(number) for number in range(len(self.program["views"])))

    def build_url(self, number: int) -> str:
        place = self.program["views"][number]["place"]
        names = {"app": "", "outer": "outer.", "inner": "outer.inner."}
        try:
            return str(
                self.framework.url_for(f"{names[place]}view{number}", x=number, q="ä /", y=None)
            )
        except Exception as error:
            return type(error).__name__

    def body_args(self) -> t.Any:
        request = self.framework.request
        return {"args": list(request.args.items(multi=True)), "a": request.args.get("a", type=int)}

    def body_body(self) -> t.Any:
        request = self.framework.request
        if request.is_json:
            return [request.json]
        return [request.form.to_dict(flat=False), request.get_data(as_text=True)]

    def body_flashes(self) -> t.Any:
        return self.framework.get_flashed_messages(with_categories=True)

    def body_session(self) -> t.Any:
        return dict(self.framework.session)

    def body_after_this(self) -> t.Any:
        @self.framework.after_this_request
        def change(response: t.Any) -> t.Any:
            self.note("after this", response.status)
            response.headers.add("X-After", "this")
            return response

        return "after this"

    # -- sending ----------------------------------------------------------------------------

    def send(self, sent: dict[str, t.Any]) -> None:
        environ = make_environ(sent)
        preserved: list[str] = []
        if sent["preserve"]:
            environ["werkzeug.debug.preserve_context"] = lambda context: preserved.append(
                type(context).__name__
            )
        started: list[t.Any] = []
        answer: dict[str, t.Any] = {"started": started}

        def start_response(status: str, headers: t.Any, exc_info: t.Any = None) -> t.Any:
            started.append([status, [list(pair) for pair in headers]])

        try:
            body = self.app(environ, start_response)
            try:
                pieces = iter(body)
                answer["body"] = [next(pieces, b"").hex()]
                if not sent["leaves"]:
                    answer["body"].extend(piece.hex() for piece in pieces)
            finally:
                close = getattr(body, "close", None)
                if close is not None:
                    close()
        except BaseException as error:
            answer["error"] = [type(error).__name__, str(error)]
            if not isinstance(error, (Exception, SystemExit)):
                raise
        answer["preserved"] = sorted(preserved)
        answer["left"] = [self.framework.has_request_context(), self.framework.has_app_context()]
        answer["log"] = self.log[:]
        del self.log[:]
        self.answers.append(answer)

    def run(self) -> list[t.Any]:
        try:
            for step in self.program["steps"]:
                if isinstance(step, str):
                    self.replace(self.app, step)
                elif isinstance(step, list):
                    self.connect(step[0])
                else:
                    self.send(step)
        finally:
            for signal, receiver in self.receivers:
                signal.disconnect(receiver)
        return self.answers


class Listener(logging.Handler):
    """Writes log records down among the rest."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0] if record.exc_info else None
        self.log.append(["logged", record.levelname, error and error.__name__])


def own_call(self: t.Any, environ: t.Any, start_response: t.Any) -> t.Any:
    start_response("299 OWN", [("X-Called", "1")])
    return [b"called"]


def plain_wsgi(environ: t.Any, start_response: t.Any) -> t.Any:
    start_response("203 PLAIN", [("X-Plain", "1"), ("Content-Type", "text/x-plain")])
    return [b"plain"]


def make_session_interface(framework: t.Any, recorder: Recorder) -> t.Any:
    class Interface(framework.sessions.SecureCookieSessionInterface):  # type: ignore[misc]
        def open_session(self, app: t.Any, request: t.Any) -> t.Any:
            recorder.note("open session", request.path, request.endpoint)
            return super().open_session(app, request)

        def save_session(self, app: t.Any, session: t.Any, response: t.Any) -> None:
            recorder.note("save session", recorder.show(dict(session)))
            super().save_session(app, session, response)

    return Interface()


def make_environ(sent: dict[str, t.Any]) -> dict[str, t.Any]:
    """The environ of a server, which sends neither more nor less than PEP 3333 asks for."""
    body = sent["body"].encode()
    environ: dict[str, t.Any] = {
        "REQUEST_METHOD": sent["method"],
        "SCRIPT_NAME": sent["script"].encode().decode("latin1"),
        "PATH_INFO": sent["path"].encode().decode("latin1"),
        "QUERY_STRING": sent["query"],
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "HTTP_HOST": sent["host"],
    }
    if sent["type"] is not None:
        environ["CONTENT_TYPE"] = sent["type"]
        environ["CONTENT_LENGTH"] = str(len(body))
    if sent["cookie"] is not None:
        environ["HTTP_COOKIE"] = COOKIES[sent["cookie"]]()
    return environ


def signed(content: dict[str, t.Any]) -> str:
    from kolben.sessions import session_json_serializer

    signer = URLSafeTimedSerializer(
        "secret",
        salt="cookie-session",
        serializer=session_json_serializer,
        signer_kwargs={"key_derivation": "hmac"},
    )
    return f"session={signer.dumps(content)}"


COOKIES: dict[str, t.Callable[[], str]] = {
    "valid": lambda: signed({"name": "old"}),
    "empty": lambda: signed({}),
    "permanent": lambda: signed({"name": "old", "_permanent": True}),
    "not permanent": lambda: signed({"_permanent": False, "name": "x" * 90}),
    "long": lambda: signed({"_permanent": True, "name": "x" * 90}),
    "other": lambda: f"a=b; {signed({'name': 'old', '_permanent': True})}; c=d",
    "twice": lambda: f"{signed({'_permanent': True})}; session=x",
    "flashed": lambda: signed({"_flashes": [("note", "kept")]}),
    "broken": lambda: signed({"_permanent": True})[:-1],
    "garbage": lambda: "session=.\udc80garbage; session".replace("\udc80", "\x80"),
    "none": lambda: "session=",
    "quoted": lambda: 'session="eyJfcGVybWFuZW50Ijp0cnVlfQ.a.b"',
}

# -- random programs ------------------------------------------------------------------------

pick = st.sampled_from
RULES = ("/", "/x", "/<x>", "/<int:x>/", "/a/<path:x>", "/ü/<x>", "/slash/")
PATHS = (
    "/", "/x", "/outer/x", "/outer/inner/x", "/outer/", "/outer", "/outer/inner/7/", "/7/", "/7",
    "/slash", "/slash/", "/outer/slash", "/a/b/c", "/ü/ö", "/ö", "//x", "/nowhere/at/all", "",
    "/x/../x", "/outer/inner/slash", "/a%20b", "/new/3", "/added", "/outer//inner/x",
)  # fmt: skip
REPLACEABLE = (
    "response_class", "mimetype", "request_class", "session_interface", "json", "dumps",
    "full_dispatch_request", "dispatch_request", "make_response", "process_response",
    "finalize_request", "preprocess_request", "handle_exception", "handle_user_exception",
    "handle_http_exception", "create_url_adapter", "ensure_sync", "do_teardown_request",
    "do_teardown_appcontext", "raise_routing_exception", "make_default_options_response",
    "should_ignore_error", "log_exception", "trap_http_exception", "wsgi_app",
    "inject_url_defaults", "request_context", "app_context",
)  # fmt: skip
LATER = ("url_map", "view_functions", "add rule", "hook", "after hook", "modes")
SIGNALS = (
    "request_started", "request_finished", "request_tearing_down", "got_request_exception",
    "appcontext_pushed", "appcontext_popped", "appcontext_tearing_down",
)  # fmt: skip
RAISES = (
    "zero", "key", "redirect", "abort", "response", "with response", "header error", "own",
    "nameless", "own 404", "404", "500", "exit",
)  # fmt: skip
SESSION = ("write", "read", "permanent", "clear", "pop", "get", "touch", "flash", "private")

returns = st.tuples(st.just("return"), pick(BODIES))
acts = st.one_of(
    returns,
    st.tuples(
        st.just("with"),
        pick(BODIES),
        st.none() | pick(sorted(STATUSES)),
        st.none() | pick(sorted(HEADERS)),
    ),
    st.tuples(st.just("raise"), pick(RAISES)),
    st.tuples(st.just("session"), pick(SESSION)),
    st.tuples(pick(["four", "nested"])),
)
quiet = pick([("nothing",), ("look",), ("g",), ("sessionwise",)])
before = st.one_of(quiet, pick([("rewrite",), ("other view",)]), acts)
after = st.one_of(
    pick([("same",), ("header",), ("cookie",), ("replace",), ("g",), ("look",), ("sessionwise",)]),
    st.tuples(st.just("session"), pick(SESSION)),
    pick([("raise", "zero"), ("raise", "404"), ("nothing",)]),
)
preprocess = pick([("nothing",), ("look",), ("rewrite",), ("raise", "own"), ("sessionwise",)])
teardown = st.one_of(quiet, st.tuples(st.just("raise"), pick(["zero", "404"])))
HOOKS = {
    "before_request": before,
    "after_request": after,
    "url_value_preprocessor": preprocess,
    "url_defaults": pick([("nothing",), ("fill",)]),
    "teardown_request": teardown,
    "teardown_appcontext": teardown,
}
places = pick(["app", "outer", "inner"])


@st.composite
def hook(draw: st.DrawFn) -> tuple[str, str, t.Any]:
    kind = draw(pick(sorted(HOOKS)))
    place = "app" if kind == "teardown_appcontext" else draw(places)
    return place, kind, draw(HOOKS[kind])


def few(elements: st.SearchStrategy[t.Any], most: int = 3) -> st.SearchStrategy[t.Any]:
    return st.just([]) | st.lists(elements, max_size=most)


requests = st.fixed_dictionaries(
    {
        "method": pick(["GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "PUT", "BREW"]),
        "path": pick(PATHS),
        "script": pick(["", "", "/app", "/ö"]),
        "query": pick(["", "", "a=1&b=%C3%BC&a=2", "a=x", "%zz&&=", "a\xe4=b"]),
        "host": pick(["localhost", "localhost", "example.org:81", "a..b", ""]),
        "type": pick([None, "application/x-www-form-urlencoded", "application/json"]),
        "body": pick(["", "a=1&b=2", '{"a": 1}', "{"]),
        "cookie": st.none() | pick(sorted(COOKIES)),
        "preserve": pick([False, False, True]),
        "leaves": pick([False, False, True]),
    }
)
configurations = st.fixed_dictionaries(
    {},
    optional={
        "TESTING": st.booleans(),
        "DEBUG": st.booleans(),
        "PROPAGATE_EXCEPTIONS": pick([None, True, False]),
        "TRAP_BAD_REQUEST_ERRORS": pick([None, True, False]),
        "TRAP_HTTP_EXCEPTIONS": st.booleans(),
        "SESSION_REFRESH_EACH_REQUEST": st.booleans(),
        "SERVER_NAME": pick(["localhost", "example.org:81"]),
        "APPLICATION_ROOT": pick(["/", "/root"]),
        "MAX_CONTENT_LENGTH": pick([None, 3]),
        "TRUSTED_HOSTS": pick([None, ["localhost"]]),
        "PROVIDE_AUTOMATIC_OPTIONS": st.booleans(),
        "SESSION_COOKIE_NAME": pick(["session", "other"]),
        "SESSION_COOKIE_HTTPONLY": st.booleans(),
        "SESSION_COOKIE_SAMESITE": pick([None, "Lax"]),
    },
)
programs = st.fixed_dictionaries(
    {
        "config": st.just({}) | configurations,
        "secret": st.booleans(),
        "views": st.lists(
            st.fixed_dictionaries(
                {
                    "place": places,
                    "rule": pick(RULES),
                    "methods": pick([None, None, ["GET", "POST"], ["PUT"], ["POST", "OPTIONS"]]),
                    "action": acts,
                }
            ),
            min_size=1,
            max_size=4,
        ),
        "handlers": few(
            st.tuples(
                places,
                pick([404, 405, 418, 500, 400, *CLASSES]),
                st.one_of(acts, pick([("same",)])),
            )
        ),
        "hooks": few(hook(), 4),
        "signals": few(pick(SIGNALS)),
        "replaced": few(pick(REPLACEABLE), 2),
        "steps": st.lists(
            st.one_of(
                requests,
                requests,
                requests,
                pick([*REPLACEABLE, *LATER]),
                pick(SIGNALS).map(lambda name: [name]),
            ),
            min_size=1,
            max_size=5,
        ),
    }
)


def run(framework: t.Any, program: Program, flask_class: t.Any = None) -> list[t.Any]:
    """Run a program; all that can be seen of it from outside."""
    with warnings.catch_warnings():
        # A cookie too long, or a host that is not the server's: not what is compared here.
        warnings.simplefilter("ignore")
        return Recorder(framework, program, flask_class).run()


# -- the tests ------------------------------------------------------------------------------


class StepByStep(kolben.Flask):
    """An application that takes the named steps, because it overrides one."""

    def full_dispatch_request(self) -> kolben.Response:
        return super().full_dispatch_request()


class SameAgain(kolben.Flask):
    """A subclass that overrides nothing, and takes the short way."""


def in_one_second(act: t.Callable[[], t.Any]) -> t.Any:
    """Cookies hold the time: do again what the next second has come into."""
    while True:
        second = int(time.time())
        result = act()
        if int(time.time()) == second:
            return result


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(programs)
def test_the_short_way_answers_as_the_named_steps_do(program: Program) -> None:
    short, general = in_one_second(
        lambda: (run(kolben, program, SameAgain), run(kolben, program, StepByStep))
    )
    assert short == general
    for answer in short:
        assert answer["left"] == [False, False]
        for status, _ in answer["started"]:
            event(status[:3])
    assert kolben.globals._current.get(None) is None
