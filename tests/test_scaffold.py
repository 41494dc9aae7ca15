"""Registration on an application: routes, hooks, error handlers, files, the end of the set-up."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import types
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from werkzeug.exceptions import BadRequest, BadRequestKeyError, HTTPException, NotFound
from werkzeug.routing import BuildError, Map

from kolben import Blueprint, Flask, abort
from kolben.sansio.app import App
from kolben.sansio.scaffold import Scaffold, find_package
from kolben.views import View


@pytest.fixture
def app() -> Flask:
    return Flask("registration", static_folder=None)


def rule_of(app: Flask, endpoint: str):
    (rule,) = app.url_map.iter_rules(endpoint)
    return rule


class TestRoutes:
    def test_a_route_takes_get_head_and_options(self, app):
        @app.route("/")
        def index():
            return "hello"

        assert rule_of(app, "index").methods == {"GET", "HEAD", "OPTIONS"}
        assert app.view_functions == {"index": index}

    @pytest.mark.parametrize("name", ["get", "post", "put", "delete", "patch"])
    def test_each_method_has_a_shortcut(self, app, name):
        getattr(app, name)("/", endpoint="e")(lambda: "")
        assert name.upper() in rule_of(app, "e").methods

    def test_a_shortcut_refuses_methods(self, app):
        with pytest.raises(TypeError, match=r"get\(\) is for GET alone; use route\(\)"):
            app.get("/", methods=["POST"])

    def test_methods_as_one_string_are_refused(self, app):
        with pytest.raises(TypeError, match=r"write methods=\['POST'\]"):
            app.add_url_rule("/", "e", lambda: "", methods="POST")

    @pytest.mark.parametrize("methods", [[1], 5])
    def test_methods_that_are_no_names_are_refused(self, app, methods):
        with pytest.raises(TypeError, match="must be a list of names"):
            app.add_url_rule("/", "e", lambda: "", methods=methods)

    def test_the_view_may_carry_the_methods(self, app):
        def view():
            return ""

        view.methods = ["post"]
        view.required_methods = {"PUT"}
        view.provide_automatic_options = False
        app.add_url_rule("/", view_func=view)
        assert rule_of(app, "view").methods == {"POST", "PUT"}
        assert rule_of(app, "view").provide_automatic_options is False

    def test_arguments_go_before_what_the_view_carries(self, app):
        def view():
            return ""

        view.methods = ["POST"]
        app.add_url_rule("/", view_func=view, methods=["GET"], provide_automatic_options=False)
        assert rule_of(app, "view").methods == {"GET", "HEAD"}

    def test_automatic_options_can_be_switched_off_for_all(self, app):
        app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
        app.add_url_rule("/", "e", lambda: "")
        assert "OPTIONS" not in rule_of(app, "e").methods

    def test_a_view_can_be_registered_after_its_rule(self, app):
        app.add_url_rule("/", "late")

        @app.endpoint("late")
        def anything():
            return "late"

        assert app.test_client().get("/").data == b"late"

    def test_neither_endpoint_nor_view_is_refused(self, app):
        with pytest.raises(AssertionError, match="an endpoint or a view function"):
            app.add_url_rule("/")

    def test_a_view_without_a_name_needs_an_endpoint(self, app):
        view = functools.partial(str, "hi")
        with pytest.raises(AttributeError, match=r"pass endpoint="):
            app.add_url_rule("/", view_func=view)
        app.add_url_rule("/", "hi", view)
        assert app.test_client().get("/").data == b"hi"

    def test_the_same_view_may_have_several_rules(self, app):
        @app.route("/a")
        @app.route("/b")
        def view():
            return ""

        assert len(list(app.url_map.iter_rules("view"))) == 2

    def test_an_endpoint_taken_twice_names_both_functions_and_the_remedy(self, app):
        @app.route("/a")
        def view():
            return ""

        def other():
            return ""

        with pytest.raises(AssertionError) as caught:
            app.add_url_rule("/b", "view", other)
        message = str(caught.value)
        assert "'view'" in message
        assert view.__qualname__ in message
        assert other.__qualname__ in message
        assert __file__ in message
        assert "functools.wraps" in message

    def test_a_second_view_that_is_no_function_is_named_too(self, app):
        app.add_url_rule("/a", "e", functools.partial(str, "a"))
        with pytest.raises(AssertionError, match=r"functools\.partial"):
            app.add_url_rule("/b", "e", functools.partial(str, "b"))

    def test_what_cannot_be_called_is_no_view(self, app):
        """Flask says so when it is called, and a program may never do that."""
        with pytest.warns(UserWarning, match="needs a function, not 'index'") as warned:
            app.add_url_rule("/", "index", "index")
        assert warned[0].filename == __file__
        app.add_url_rule("/other", "other", lambda: "other")
        client = app.test_client()
        assert client.get("/other").text == "other"
        assert client.get("/").status_code == 500

    def test_a_view_class_may_be_registered_and_is_no_view_when_it_is_called(self, app):
        class Page(View):
            pass

        app.add_url_rule("/", view_func=Page)
        app.testing = True
        with pytest.raises(TypeError, match=r"Page\.as_view"):
            app.test_client().get("/")

    def test_route_without_parentheses_is_noticed(self, app):
        with pytest.warns(UserWarning, match="Use @route with a URL rule"):

            @app.route
            def index():
                return ""

    def test_route_goes_through_a_method_replaced_on_the_instance(self, app):
        seen = []
        app.add_url_rule = lambda *args, **kwargs: seen.append(args)
        app.route("/")(print)
        assert seen == [("/", None, print)]

    def test_the_public_tables_can_be_replaced(self, app):
        app.view_functions = {}
        app.url_map = Map()
        app.route("/new", endpoint="new")(lambda: "new")
        assert app.test_client().get("/new").data == b"new"
        assert list(app.view_functions) == ["new"]


class TestHooks:
    HOOKS = (
        ("before_request", "before_request_funcs"),
        ("after_request", "after_request_funcs"),
        ("teardown_request", "teardown_request_funcs"),
        ("context_processor", "template_context_processors"),
        ("url_value_preprocessor", "url_value_preprocessors"),
        ("url_defaults", "url_default_functions"),
    )

    @pytest.mark.parametrize(("method", "table"), HOOKS)
    def test_a_hook_is_kept_in_its_public_table_and_returned(self, app, method, table):
        def hook(*args):
            return None

        assert getattr(app, method)(hook) is hook
        assert getattr(app, table)[None][-1] is hook

    @pytest.mark.parametrize(
        "method",
        [*(name for name, _ in HOOKS), "teardown_appcontext", "shell_context_processor"],
    )
    def test_what_cannot_be_called_is_noticed(self, app, method):
        with pytest.warns(UserWarning, match=rf"{method}\(\) needs a function, not None"):
            getattr(app, method)(None)

    def test_hooks_of_the_context_and_of_the_shell(self, app):
        assert app.teardown_appcontext(print) is print
        assert app.shell_context_processor(dict) is dict
        assert app.teardown_appcontext_funcs == [print]
        assert app.shell_context_processors == [dict]

    def test_hooks_removed_from_their_table_are_not_called(self, app):
        app.route("/", endpoint="e")(lambda: "view")

        @app.before_request
        def intercept():
            return "hook"

        client = app.test_client()
        assert client.get("/").data == b"hook"
        app.before_request_funcs[None].remove(intercept)
        assert client.get("/").data == b"view"


class TestErrorHandlers:
    @pytest.mark.parametrize("wanted", [404, HTTPStatus.NOT_FOUND, NotFound])
    def test_code_and_class_mean_the_same(self, app, wanted):
        app.register_error_handler(wanted, repr)
        assert app.error_handler_spec[None][404][NotFound] is repr

    def test_an_exception_without_a_code(self, app):
        assert app.errorhandler(ValueError)(repr) is repr
        assert app.error_handler_spec[None][None] == {ValueError: repr}

    @pytest.mark.parametrize(
        ("wanted", "error", "words"),
        [
            (ValueError(), TypeError, "is an instance, not a class"),
            ("404", TypeError, "neither an exception class nor a number"),
            (list, ValueError, "'list' is not a subclass of Exception"),
            (BaseException, ValueError, "not a subclass of Exception"),
            (999, ValueError, "Use a subclass of HTTPException"),
        ],
    )
    def test_what_cannot_be_handled_is_refused(self, app, wanted, error, words):
        with pytest.raises(error, match=words):
            app.register_error_handler(wanted, repr)

    def test_a_handler_that_cannot_be_called_is_noticed_and_none_is_no_handler(self, app):
        app.register_error_handler(HTTPException, lambda error: ("handled", 404))
        with pytest.warns(UserWarning, match="needs a function, not None"):
            app.register_error_handler(404, None)
        assert app.test_client().get("/").text == "handled"

    def test_errorhandler_without_parentheses_is_noticed(self, app):
        with pytest.warns(UserWarning, match="Use @errorhandler with a code"):

            @app.errorhandler
            def oops(e):
                return ""

    def test_code_goes_before_class_and_blueprint_before_application(self, app):
        class Special(NotFound):
            pass

        def find(error, *blueprints):
            return app._find_error_handler(error, list(blueprints))

        assert find(Special()) is None
        app.register_error_handler(Exception, "app, any".__str__)
        assert find(Special(), "bp")() == "app, any"
        app.error_handler_spec["bp"][None][HTTPException] = "bp, http".__str__
        assert find(Special(), "bp")() == "bp, http"
        app.register_error_handler(404, "app, code".__str__)
        assert find(Special(), "bp")() == "app, code"
        app.error_handler_spec["outer"][404][NotFound] = "outer, code".__str__
        assert find(Special(), "bp", "outer")() == "outer, code"
        app.error_handler_spec["bp"][404][NotFound] = "bp, code".__str__
        assert find(Special(), "bp", "outer")() == "bp, code"
        app.error_handler_spec["bp"][404][Special] = "bp, class".__str__
        assert find(Special(), "bp", "outer")() == "bp, class"
        assert find(ValueError(), "bp")() == "app, any"

    def test_looking_for_a_handler_leaves_the_tables_alone(self, app):
        app.register_error_handler(ValueError, repr)
        app._find_error_handler(NotFound(), ["bp"])
        assert dict(app.error_handler_spec) == {None: {None: {ValueError: repr}}}

    def test_a_handler_answers(self, app):
        @app.errorhandler(404)
        def missing(e):
            return f"missing: {e.code}", 404

        @app.route("/abort")
        def abort_it():
            abort(404)

        client = app.test_client()
        assert client.get("/nowhere").data == b"missing: 404"
        assert client.get("/abort").data == b"missing: 404"

    @pytest.mark.parametrize(
        ("settings", "error", "trapped"),
        [
            ({}, BadRequestKeyError(), False),
            ({"DEBUG": True}, BadRequestKeyError(), True),
            ({"DEBUG": True}, BadRequest(), False),
            ({"DEBUG": True, "TRAP_BAD_REQUEST_ERRORS": False}, BadRequestKeyError(), False),
            ({"TRAP_BAD_REQUEST_ERRORS": True}, BadRequest(), True),
            ({"TRAP_BAD_REQUEST_ERRORS": True}, NotFound(), False),
            ({"TRAP_HTTP_EXCEPTIONS": True}, NotFound(), True),
        ],
    )
    def test_which_http_exceptions_are_trapped(self, app, settings, error, trapped):
        app.config.update(settings)
        assert app.trap_http_exception(error) is trapped


class TestFiles:
    @pytest.mark.parametrize(
        ("folder", "url", "expected"),
        [
            ("static", None, ("/root/static", "/static")),
            ("a/b/", None, ("/root/a/b", "/b")),
            (Path("p"), None, ("/root/p", "/p")),
            ("/abs/x", "/files/", ("/abs/x", "/files")),
            ("static", "", ("/root/static", "")),
            ("", None, ("/root/", "")),
            (None, None, (None, None)),
        ],
    )
    def test_static_folder_and_url(self, folder, url, expected):
        bp = Blueprint("b", __name__, static_folder=folder, static_url_path=url, root_path="/root")
        assert (bp.static_folder, bp.static_url_path) == expected
        assert bp.has_static_folder is (folder is not None)

    def test_templates_are_loaded_from_the_template_folder(self):
        bp = Blueprint("b", __name__, template_folder="t", root_path="/root")
        assert bp.jinja_loader.searchpath == ["/root/t"]
        assert Blueprint("b", __name__).jinja_loader is None

    @pytest.mark.parametrize(
        ("name", "escaped"),
        [("a.html", True), ("a.svg", True), (None, True), ("a.txt", False), ("a.HTML", False)],
    )
    def test_which_templates_are_escaped(self, app, name, escaped):
        assert app.select_jinja_autoescape(name) is escaped


class TestWhereThePackageIs:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(tmp_path)
        return tmp_path

    def test_a_module(self, folder):
        (folder / "lone_module.py").write_text("")
        assert find_package("lone_module") == (None, str(folder))

    def test_a_package_and_what_is_in_it(self, folder):
        (folder / "whole_package" / "inner").mkdir(parents=True)
        (folder / "whole_package" / "__init__.py").write_text("")
        assert find_package("whole_package") == (None, str(folder))
        assert find_package("whole_package.inner.not_there") == (None, str(folder))

    def test_the_right_portion_of_a_namespace_package(self, tmp_path, monkeypatch):
        for project, package in (("one", "first"), ("two", "second")):
            place = tmp_path / project / "shared_space" / package
            place.mkdir(parents=True)
            (place / "__init__.py").write_text("")
            (place.parent / f"{package}_module.py").write_text("")
            monkeypatch.syspath_prepend(tmp_path / project)
        monkeypatch.delitem(sys.modules, "shared_space", raising=False)
        assert find_package("shared_space.first") == (None, str(tmp_path / "one"))
        assert find_package("shared_space.second") == (None, str(tmp_path / "two"))
        # Any other name means the first portion on the path, which is the last one put there.
        for name in ("first_module", "second_module", "unknown"):
            assert find_package(f"shared_space.{name}") == (None, str(tmp_path / "two"))

    def test_what_is_under_the_prefix_is_installed_there(self, folder, monkeypatch):
        (folder / "under_prefix.py").write_text("")
        monkeypatch.setattr(sys, "prefix", str(folder))
        assert find_package("under_prefix") == (str(folder), str(folder))
        assert Flask("under_prefix").instance_path == str(folder / "var" / "under_prefix-instance")

    @pytest.mark.parametrize(
        "place", ["lib/python3.99/site-packages", "Lib/site-packages", "site-packages"]
    )
    def test_site_packages_tell_the_prefix(self, tmp_path, monkeypatch, place):
        packages = tmp_path / place
        packages.mkdir(parents=True)
        (packages / "installed_module.py").write_text("")
        monkeypatch.syspath_prepend(packages)
        assert find_package("installed_module") == (str(tmp_path), str(packages))

    @pytest.mark.parametrize("name", ["__main__", "not_to_be_found", "not_to.be_found"])
    def test_what_is_not_found_counts_as_here(self, name, monkeypatch):
        monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
        assert find_package(name) == (None, os.getcwd())


class TestApplication:
    def test_its_own_name_or_that_of_the_file_that_was_started(self, monkeypatch):
        assert Flask("some.where").name == "some.where"
        monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
        assert Flask("__main__", root_path="/").name == "__main__"
        sys.modules["__main__"].__file__ = "/srv/shop.py"
        assert Flask("__main__").name == "shop"

    def test_repr(self, app):
        assert repr(app) == "<Flask 'registration'>"
        assert repr(Blueprint("b", __name__)) == "<Blueprint 'b'>"

    def test_the_instance_path_must_be_absolute(self, tmp_path):
        with pytest.raises(ValueError, match="must be absolute; 'here' is relative"):
            Flask(__name__, instance_path="here")
        app = Flask(__name__, instance_path=str(tmp_path), instance_relative_config=True)
        assert app.instance_path == app.config.root_path == str(tmp_path)

    def test_settings_as_attributes(self, app):
        app.testing = True
        app.secret_key = "k"
        app.permanent_session_lifetime = 60
        assert app.config["TESTING"] is True
        assert app.config["SECRET_KEY"] == "k"
        assert app.permanent_session_lifetime == timedelta(minutes=1)
        app.permanent_session_lifetime = timedelta(days=1)
        assert app.permanent_session_lifetime == timedelta(days=1)

    def test_debug_follows_the_environment_and_reloads_templates(self, monkeypatch):
        monkeypatch.setenv("FLASK_DEBUG", "1")
        app = Flask(__name__)
        assert app.debug
        app.debug = False
        assert app.config["DEBUG"] is False
        assert app.jinja_env.auto_reload is False
        app.debug = True
        assert app.jinja_env.auto_reload is True

    def test_debug_leaves_the_templates_alone_where_they_are_configured(self, app):
        app.config["TEMPLATES_AUTO_RELOAD"] = False
        app.debug = True
        assert app.jinja_env.auto_reload is False

    @pytest.mark.parametrize(
        ("kind", "table"), [("filter", "filters"), ("test", "tests"), ("global", "globals")]
    )
    def test_additions_to_templates(self, app, kind, table):
        def shout(value=""):
            return value.upper()

        assert getattr(app, f"template_{kind}")()(shout) is shout
        getattr(app, f"template_{kind}")("loud")(shout)
        getattr(app, f"add_template_{kind}")(shout, "added")
        names = getattr(app.jinja_env, table)
        assert names["shout"] is names["loud"] is names["added"] is shout

    def test_a_filter_decorator_without_parentheses_is_noticed(self, app):
        with pytest.warns(UserWarning, match=r"with parentheses, template_filter\(\)"):

            @app.template_filter
            def shout(value):
                return value.upper()

    def test_redirects_use_its_response_class(self, app):
        response = app.redirect("/there", 307)
        assert type(response) is app.response_class
        assert (response.status_code, response.location) == (307, "/there")

    def test_url_defaults_run_from_the_outside_in(self, app):
        for scope in (None, "a", "a.b", "other"):
            app.url_default_functions[scope].append(
                lambda endpoint, values, scope=scope: values["order"].append((endpoint, scope))
            )
        values = {"order": []}
        app.inject_url_defaults("a.b.view", values)
        app.inject_url_defaults("view", values)
        assert values["order"] == [
            *[("a.b.view", scope) for scope in (None, "a", "a.b")],
            ("view", None),
        ]

    def test_asking_for_url_defaults_leaves_the_tables_alone(self, app):
        app.inject_url_defaults("a.view", {})
        assert app.url_default_functions == {}

    def test_the_first_handler_with_an_answer_builds_the_url(self, app):
        error = BuildError("gone", {}, None)
        other = BuildError("other", {}, None)

        def raise_other(*args):
            raise other

        app.url_build_error_handlers += [lambda *args: None, raise_other]
        with pytest.raises(BuildError) as caught:
            app.handle_url_build_error(error, "gone", {})
        assert caught.value is other
        seen = []
        app.url_build_error_handlers.append(lambda *args: seen.append(args) or "/found")
        assert app.handle_url_build_error(error, "gone", {"a": 1}) == "/found"
        assert seen == [(other, "gone", {"a": 1})]

    def test_without_a_handler_the_error_goes_on(self, app):
        error = BuildError("gone", {}, None)
        with pytest.raises(BuildError) as caught:
            app.handle_url_build_error(error, "gone", {})
        assert caught.value is error

    def test_no_error_is_ignored_by_default(self, app):
        assert app.should_ignore_error(ValueError()) is False


class TestEndOfTheSetUp:
    @pytest.mark.parametrize(
        ("name", "call"),
        [
            ("route", lambda app: app.route("/late")),
            ("add_url_rule", lambda app: app.add_url_rule("/late", "late")),
            ("before_request", lambda app: app.before_request(print)),
            ("errorhandler", lambda app: app.errorhandler(404)),
            ("register_blueprint", lambda app: app.register_blueprint(Blueprint("b", "b"))),
            ("template_filter", lambda app: app.template_filter()),
            ("teardown_appcontext", lambda app: app.teardown_appcontext(print)),
        ],
    )
    def test_after_the_first_request_the_method_is_named(self, app, name, call):
        app.test_client().get("/")
        with pytest.raises(AssertionError, match=f"setup method '{name}'"):
            call(app)

    def test_the_layer_leaves_the_rest_to_the_application(self):
        scaffold = Scaffold("bare", root_path="/")
        with pytest.raises(NotImplementedError):
            scaffold.before_request(print)
        scaffold._check_setup_finished = lambda name: None
        with pytest.raises(NotImplementedError):
            scaffold.add_url_rule("/")

        class Registry(App):
            default_config = Flask.default_config

        with pytest.raises(NotImplementedError):
            Registry("bare").jinja_env  # noqa: B018 - the attribute is made when it is read


def test_a_script_is_warned_about_a_decorator_without_parentheses(tmp_path):
    program = tmp_path / "shop.py"
    program.write_text(
        "from kolben import Flask\napp = Flask(__name__)\n@app.route\ndef home(): ...\n"
    )
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "shop.py:3: " in done.stderr
    assert "it was applied to" in done.stderr
