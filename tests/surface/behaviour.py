"""Print what a program can do to `flask` or `kolben` from outside, as JSON: `python behaviour.py flask`.

What things are called, what may be assigned and deleted, and how often each documented method is called, with
which arguments, where a program has put a function around it. Facts that two packages can be compared by.
"""

from __future__ import annotations

import copy
import functools
import importlib
import io
import json
import logging
import pickle
import re
import sys
import types
import typing as t
from collections import Counter
from unittest import mock

MODULES = [
    "signals",
    "typing",
    "json.provider",
    "json.tag",
    "json",
    "globals",
    "wrappers",
    "helpers",
    "sessions",
    "ctx",
    "templating",
    "config",
    "logging",
    "sansio.scaffold",
    "sansio.app",
    "cli",
    "app",
    "sansio.blueprints",
    "blueprints",
    "debughelpers",
    "testing",
    "views",
]


class Behaviour:
    """Tries one package."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.root = importlib.import_module(package)
        self.modules = {name: importlib.import_module(f"{package}.{name}") for name in MODULES}
        logging.getLogger("shop").disabled = True
        #: Sends a request and returns the status and the body.
        self.send: t.Callable[..., tuple[int, bytes]] = self.send_by_test_client

    # -- names ------------------------------------------------------------------------------

    def label(self, value: t.Any) -> str:
        """Module and qualified name of a class or function."""
        for part in ("fget", "func", "compute", "__func__"):
            value = getattr(value, part, None) or value
        module = re.sub(rf"^{self.package}\b", "{package}", str(value.__module__))
        return f"{module}:{value.__qualname__}:{value.__name__}"

    def is_own(self, value: t.Any) -> bool:
        """Tell whether this is a class or function of the package."""
        kind = type(value)  # not isinstance: proxies would be asked for what they stand for
        return issubclass(kind, type | types.FunctionType) and (
            value.__module__.split(".")[0] == self.package
        )

    def names(self) -> dict[str, str]:
        """What everything that is defined calls itself."""
        found = {}
        for name, module in {"": self.root, **self.modules}.items():
            for key, value in vars(module).items():
                if key.startswith("_") or not self.is_own(value):
                    continue
                found[f"{name}.{key}"] = self.label(value)
                if isinstance(value, type):
                    for part, member in self.own_members(value):
                        found[f"{name}.{key}.{part}"] = self.label(member)
        return found

    def own_members(self, owner: type) -> t.Iterator[tuple[str, t.Any]]:
        """The public functions that the package gives a class, and its special methods."""
        kinds = (types.FunctionType, staticmethod, classmethod)
        for base in reversed(owner.__mro__):
            for name, value in vars(base).items() if self.is_own(base) else ():
                if not re.match(r"_(?!_)|__(class|dict|annotations)", name) and isinstance(
                    value, kinds
                ):
                    yield name, value

    def views(self) -> dict[str, str]:
        """What programs call the views that the package has made: `f"{view.__module__}.{view.__name__}"`."""
        app = self.make_app()
        return {
            endpoint: f"{view.__module__}.{view.__name__}"
            for endpoint, view in app.view_functions.items()
            if endpoint.endswith("static")
        }

    # -- objects ----------------------------------------------------------------------------

    def objects(self) -> dict[str, t.Callable[[], t.Any]]:
        """Makes the objects that programs hold."""
        app = self.make_app()
        return {
            "app": self.make_app,
            "blueprint": lambda: self.root.Blueprint("parts", "shop"),
            "app_context": app.app_context,
            "request_context": self.make_context,
            "request": lambda: self.make_context().request,
            "response": lambda: app.response_class("text"),
            "session": lambda: self.modules["sessions"].SecureCookieSession({"a": 1}),
            "config": lambda: app.config,
            "g": lambda: app.app_ctx_globals_class(),
            "client": app.test_client,
            "json": lambda: self.modules["json.provider"].DefaultJSONProvider(app),
            "null_session": lambda: app.session_interface.make_null_session(app),
            "session_interface": lambda: type(app.session_interface)(),
            "tagged_json": lambda: self.modules["json.tag"].TaggedJSONSerializer(),
            "signal": lambda: self.modules["signals"].Namespace().signal("sent"),
            "cli": lambda: self.modules["cli"].AppGroup("shop"),
            "flask_group": lambda: self.modules["cli"].FlaskGroup(),
            "script_info": lambda: self.modules["cli"].ScriptInfo(create_app=self.make_app),
            "cli_runner": app.test_cli_runner,
            "setup_state": lambda: self.root.Blueprint("parts", "shop").make_setup_state(app, {}),
            "environ_builder": lambda: self.modules["testing"].EnvironBuilder(app, "/?a=1"),
            "view": lambda: self.modules["views"].MethodView(),
            "jinja_environment": lambda: app.jinja_env,
        }

    def make_context(self) -> t.Any:
        """The context of a form that was sent."""
        return self.make_app().test_request_context(
            "/item/1?a=1", method="POST", data={"b": "2"}, headers={"Cookie": "c=3"}
        )

    def attribute_classes(self) -> dict[str, str]:
        """Of which class each public attribute is."""
        found = {}
        for kind, make in self.objects().items():
            value = make()
            for name in self.public(value):
                part = self.quietly(value, name)
                if not callable(part):
                    found[f"{kind}.{name}"] = self.label(type(part))
        return found

    def quietly(self, value: t.Any, name: str) -> t.Any:
        """An attribute, or the error that reading it ends in."""
        try:
            return getattr(value, name)
        except Exception as error:
            return error

    def public(self, value: t.Any) -> list[str]:
        """The names of the public attributes of an object."""
        return [name for name in dir(value) if not name.startswith("_")]

    def copies(self) -> dict[str, str]:
        """What becomes of data that is sent to another process, or copied."""
        request = self.make_context().request
        response = self.make_app().response_class("text", headers={"X-A": "1"})
        data = {
            **{
                f"request.{name}": getattr(request, name)
                for name in ("args", "form", "cookies", "values")
            },
            **{
                f"request.{name}": getattr(request, name)
                for name in ("files", "view_args", "accept_mimetypes")
            },
            "response.headers": response.headers,
            "response": response,
            "config": self.make_app().config,
            "session": self.modules["sessions"].SecureCookieSession({"a": 1}),
        }
        ways: dict[str, t.Callable[[t.Any], t.Any]] = {
            "pickle": lambda value: pickle.loads(pickle.dumps(value)),
            "copy": copy.copy,
            "deepcopy": copy.deepcopy,
        }
        return {
            f"{name} {way}": self.outcome(
                lambda value=value, make=make: self.label(type(make(value)))
            )
            for name, value in data.items()
            for way, make in ways.items()
        }

    def outcome(self, do: t.Callable[[], t.Any]) -> str:
        """What a call returns, or the class of its error."""
        try:
            return str(do())
        except Exception as error:
            return type(error).__name__

    def assignments(self) -> dict[str, str]:
        """What becomes of each public attribute when it is assigned, patched and deleted."""
        return {
            f"{kind}.{name}": self.assign(make, name)
            for kind, make in self.objects().items()
            for name in self.public(make())
        }

    def assign(self, make: t.Callable[[], t.Any], name: str) -> str:
        """Try one attribute."""

        def set_and_read() -> str:
            value, mark = make(), ["mark"]
            setattr(value, name, mark)
            return "kept" if getattr(value, name) == mark else "not kept"

        def patch() -> str:
            value = make()
            before = getattr(value, name)
            mark = ["mark"]
            with mock.patch.object(value, name, mark):
                inside = getattr(value, name) == mark
            after = getattr(value, name)
            return f"{inside} {type(after) is type(before)}"

        def delete() -> str:
            value = make()
            setattr(value, name, ["mark"])
            delattr(value, name)
            return "there" if hasattr(value, name) else "gone"

        return " / ".join(self.outcome(step) for step in (set_and_read, patch, delete))

    # -- how often methods are called -------------------------------------------------------

    def make_app(self, kind: t.Any = None, **classes: t.Any) -> t.Any:
        """An application that uses what applications use."""
        flask = self.root
        app = (kind or flask.Flask)("shop", static_folder=".", root_path="/")
        for name, value in classes.items():
            setattr(app, name, value)
        app.secret_key = "k"
        app.jinja_loader = self.modules["app"].Flask.jinja_loader and __import__(
            "jinja2"
        ).DictLoader({"page.html": "{{ name }} {{ request.path }} {{ config.TESTING }}"})
        parts = flask.Blueprint(
            "parts", "shop", static_folder=".", root_path="/", url_prefix="/parts"
        )

        @app.before_request
        def before() -> None:
            flask.g.before = 1

        @app.after_request
        def after(response: t.Any) -> t.Any:
            response.headers["X-After"] = "1"
            return response

        @app.teardown_request
        def teardown(error: t.Any) -> None:
            pass

        @app.errorhandler(418)
        def teapot(error: t.Any) -> t.Any:
            return "teapot", 418

        @app.context_processor
        def names() -> dict[str, t.Any]:
            return {"name": "shop"}

        @parts.route("/part/<int:number>")
        def part(number: int) -> t.Any:
            return {"number": number}

        self.add_views(app)
        app.register_blueprint(parts)
        return app

    def add_views(self, app: t.Any) -> None:
        """Add views, each of which looks at another part of the request."""
        flask = self.root
        request, session = flask.request, flask.session
        views: dict[str, t.Callable[[], t.Any]] = {
            "text": lambda: "hello",
            "json": lambda: {"a": 1},
            "tuple": lambda: ("made", 201, {"X-A": "1"}),
            "args": lambda: request.args.get("a", "-") + request.values.get("a", "-"),
            "form": lambda: request.form.get("a", "-"),
            "files": lambda: request.files["f"].read() if request.files else "none",
            "body": lambda: request.get_data(),
            "get_json": lambda: flask.jsonify(request.get_json()),
            "cookies": lambda: request.cookies.get("c", "-"),
            "session": lambda: str(session.setdefault("n", 1)),
            "cookie": lambda: self.with_cookie(flask.make_response("cookie")),
            "redirect": lambda: flask.redirect(flask.url_for("text")),
            "page": lambda: flask.render_template("page.html"),
            "string": lambda: flask.render_template_string("{{ name }}"),
            "stream": lambda: (piece for piece in ["a", "b"]),
            "abort": lambda: flask.abort(418),
            "missing": lambda: flask.abort(404),
            "error": lambda: 1 // 0,
            "flash": lambda: flask.flash("said") or str(flask.get_flashed_messages()),
            "meta": lambda: " ".join(
                map(
                    str, [request.method, request.path, request.url, request.host, request.mimetype]
                )
            ),
            "kind": lambda: str(
                [request.is_json, request.endpoint, request.blueprint, request.view_args]
            ),
        }
        for name, view in views.items():
            app.add_url_rule(f"/{name}", name, view, methods=["GET", "POST"])

    def with_cookie(self, response: t.Any) -> t.Any:
        response.set_cookie("c", "1")
        response.status_code = 202
        response.set_data("changed")
        return response

    REQUESTS: t.ClassVar[list[tuple[str, dict[str, t.Any]]]] = [
        *((f"/{name}", {}) for name in ("text", "json", "tuple", "args?a=1", "cookies", "session", "cookie")),
        *((f"/{name}", {}) for name in ("redirect", "page", "string", "stream", "abort", "missing", "error")),
        *((f"/{name}", {}) for name in ("flash", "meta", "kind", "nowhere", "parts/part/3", "parts/part/x")),
        ("/text", {"method": "HEAD"}),
        ("/text", {"method": "OPTIONS"}),
        ("/text", {"method": "DELETE"}),
        ("/form", {"method": "POST", "data": {"a": "1"}}),
        ("/form", {"method": "POST", "data": {"a": "1", "f": (b"content", "name")}}),
        ("/files", {"method": "POST", "data": {"f": (b"content", "name")}}),
        ("/body", {"method": "POST", "data": b"bytes"}),
        ("/get_json", {"method": "POST", "json": {"a": 1}}),
        ("/get_json", {"method": "POST", "data": b"{", "content_type": "application/json"}),
        ("/get_json", {"method": "POST", "data": b"text"}),
        ("/static/etc/hostname", {}),
        ("/parts/static/etc/hostname", {}),
        ("/static/no/such/file", {}),
    ]  # fmt: skip

    def send_by_test_client(
        self, app: t.Any, path: str, options: dict[str, t.Any]
    ) -> tuple[int, bytes]:
        """Send one request."""
        options = copy.copy(options)
        if isinstance(options.get("data"), dict):
            options["data"] = {
                key: (io.BytesIO(value[0]), value[1]) if isinstance(value, tuple) else value
                for key, value in options["data"].items()
            }
        with app.test_client().open(path, **options) as response:
            return response.status_code, response.data

    def run(self, app: t.Any, requests: t.Any = None) -> list[str]:
        """Send the requests, and return what is answered."""
        answers = []
        for path, options in self.REQUESTS if requests is None else requests:
            try:
                status, body = self.send(app, path, options)
                answers.append(f"{status} {len(body) if status == 200 else ''}")
            except Exception as error:
                answers.append(type(error).__name__)
        return answers

    #: What stays out: methods through which the requests are sent, and what is not called by requests.
    SKIPPED = ("test_client", "run", "open", "__init_subclass__")

    def methods(self, owner: type) -> list[str]:
        """The names of the documented methods of a class, its constructor and its call."""
        return [
            name
            for name in sorted({*self.public(owner), "__init__", "__call__"} & set(dir(owner)))
            if name not in self.SKIPPED
            and isinstance(getattr(owner, name, None), types.FunctionType)
        ]

    def patched(self) -> dict[str, type]:
        """The classes whose methods agents and tests put functions around."""
        return {
            "Flask": self.root.Flask,
            "Blueprint": self.root.Blueprint,
            "Request": self.root.Request,
            "Response": self.root.Response,
            "SecureCookieSessionInterface": self.modules["sessions"].SecureCookieSessionInterface,
            "DefaultJSONProvider": self.modules["json.provider"].DefaultJSONProvider,
            "AppContext": self.modules["ctx"].AppContext,
            "RequestContext": self.modules["ctx"].RequestContext,
        }

    #: An application is told of no other class in place of these.
    ONLY_PATCHED = ("Blueprint", "AppContext", "RequestContext")

    def wrapper(self, inner: t.Any, counts: Counter[str]) -> t.Any:
        """A function around a method, that counts its calls by how many arguments they have."""

        @functools.wraps(inner)
        def wrapped(*args: t.Any, **kwargs: t.Any) -> t.Any:
            counts[f"{len(args)} {sorted(kwargs)}"] += 1
            return inner(*args, **kwargs)

        return wrapped

    def calls(self, when: str) -> dict[str, t.Any]:
        """How often each method is called by the requests, with a wrapper on the class.

        :param when: the wrapper is put there: "before" there is an application, or "later", when it has answered
            a request; or "subclass": a subclass overrides the method; or "instance".
        """
        return {
            f"{kind}.{name}": self.count(owner, name, when)
            for kind, owner in self.patched().items()
            for name in self.methods(owner)
            if (when != "instance" or (kind == "Flask" and not name.startswith("__")))
            and (when != "subclass" or kind not in self.ONLY_PATCHED)
        }

    def count(self, owner: t.Any, name: str, when: str) -> dict[str, int]:
        """How often one method is called."""
        counts: Counter[str] = Counter()
        wrapped = self.wrapper(getattr(owner, name), counts)
        if when == "subclass":
            kind = type(owner.__name__, (owner,), {name: wrapped})
            self.run(self.make_app(**self.use(kind)))
            return dict(counts)
        if when == "instance":
            app = self.make_app()
            setattr(app, name, self.wrapper(getattr(app, name), counts))
            self.run(app)
            return dict(counts)
        is_own = name in vars(owner)
        inner = vars(owner).get(name)
        app = None
        try:
            if when == "later":
                app = self.make_app()
                self.run(app, self.REQUESTS[:1])
            setattr(owner, name, wrapped)
            self.run(app or self.make_app())
            return dict(counts)
        finally:
            if is_own:
                setattr(owner, name, inner)
            else:
                delattr(owner, name)

    def use(self, kind: t.Any) -> dict[str, t.Any]:
        """How an application is told of a class."""
        flask = self.root
        if issubclass(kind, flask.Flask):
            return {"kind": kind}
        if issubclass(kind, flask.Request):
            return {"request_class": kind}
        if issubclass(kind, flask.Response):
            return {"response_class": kind}
        if issubclass(kind, self.modules["sessions"].SessionInterface):
            return {"session_interface": kind()}
        return {"json_provider_class": kind}

    # -- which attributes are asked for -----------------------------------------------------

    def consulted(self) -> dict[str, bool]:
        """Whether a class attribute or property that a subclass has is ever read."""
        return {
            f"{kind}.{name}": self.is_read(owner, name)
            for kind, owner in self.patched().items()
            if kind not in self.ONLY_PATCHED
            for name in self.public(owner)
            if not isinstance(getattr(owner, name, None), types.FunctionType)
        }

    def is_read(self, owner: t.Any, name: str) -> bool:
        """Tell whether one attribute of a subclass is read."""
        inner = next(vars(base)[name] for base in owner.__mro__ if name in vars(base))
        read = []

        class Spy:
            def __get__(self, instance: t.Any, kind: t.Any = None) -> t.Any:
                read.append(name)
                return inner.__get__(instance, kind) if hasattr(inner, "__get__") else inner

        class SettingSpy(Spy):
            def __set__(self, instance: t.Any, value: t.Any) -> None:
                inner.__set__(instance, value)

        spy = SettingSpy() if hasattr(inner, "__set__") else Spy()
        kind = type(owner.__name__, (owner,), {name: spy})
        read.clear()
        self.run(self.make_app(**self.use(kind)))
        return bool(read)

    # -- signals, and what contexts have in them --------------------------------------------

    def signals(self) -> dict[str, list[str]]:
        """Which signals each request sends, in which order, with which arguments and in which context."""
        flask = self.root
        signals = vars(self.modules["signals"])
        names = sorted(name for name, value in signals.items() if hasattr(value, "receivers"))
        app = self.make_app()
        sent: list[str] = []
        receivers = []
        for name in names:

            def receive(sender: t.Any, name: str = name, **extra: t.Any) -> None:
                where = f"{flask.has_request_context()} {flask.has_app_context()}"
                sent.append(f"{name} {sender is app} {sorted(extra)} {where}")

            receivers.append(receive)
            getattr(self.modules["signals"], name).connect(receive, app)
        found = {}
        for number, (path, options) in enumerate(self.REQUESTS):
            sent.clear()
            self.run(app, [(path, options)])
            found[f"{number} {path}"] = list(sent)
        return found

    def contexts(self) -> dict[str, str]:
        """What is in force where a program's functions are called."""
        flask = self.root
        app = self.make_app()
        found = {}

        def look(where: str) -> None:
            for kind, proxy in (
                ("request", flask.globals.request_ctx),
                ("app", flask.globals.app_ctx),
            ):
                if not proxy:
                    found[f"{where} {kind}"] = "nothing"
                    continue
                value = proxy._get_current_object()
                for name in self.public(value):
                    found[f"{where} {kind}.{name}"] = type(self.quietly(value, name)).__name__
            found[f"{where} g"] = str(sorted(flask.g)) if flask.has_app_context() else "-"

        app.before_request(lambda: look("before"))
        app.teardown_request(lambda error: look("teardown_request"))
        app.teardown_appcontext(lambda error: look("teardown_appcontext"))
        app.context_processor(lambda: look("processor") or {})
        app.add_url_rule("/look", "look", lambda: look("view") or "")

        @app.after_request
        def after(response: t.Any) -> t.Any:
            look("after")
            return response

        self.run(app, [("/look", {}), ("/page", {})])
        with app.app_context():
            look("app_context")
        with app.test_request_context("/look"):
            look("test_request_context")
        return found

    def commands(self) -> dict[str, t.Any]:
        """The commands that an application has, with their options."""
        group = self.modules["cli"].FlaskGroup(create_app=self.make_app)
        found = {}
        for name in ("run", "routes", "shell"):
            command = group.get_command(None, name)
            found[name] = [
                [*parameter.opts, *parameter.secondary_opts] for parameter in command.params
            ]
        app = self.make_app()
        app.cli.command("greet")(lambda: print("hello"))
        runner = app.test_cli_runner()
        for args in (["greet"], ["routes"], ["routes", "--sort", "rule"], ["nothing"]):
            result = runner.invoke(args=args)
            found[f"invoke {args}"] = f"{result.exit_code} {result.output}"
        return found

    def answers(self) -> list[str]:
        """What the requests are answered."""
        return self.run(self.make_app())

    def everything(self) -> dict[str, t.Any]:
        """All of it."""
        return {
            "names": self.names(),
            "views": self.views(),
            "classes": self.attribute_classes(),
            "copies": self.copies(),
            "assignments": self.assignments(),
            "consulted": self.consulted(),
            "answers": self.answers(),
            "signals": self.signals(),
            "contexts": self.contexts(),
            "commands": self.commands(),
            "calls": {
                when: self.calls(when) for when in ("before", "later", "subclass", "instance")
            },
        }


if __name__ == "__main__":
    json.dump(Behaviour(sys.argv[1]).everything(), sys.stdout, indent=0, sort_keys=True)
    print()
