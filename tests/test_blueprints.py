"""Blueprints: recorded first, played back on the application when they are registered."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, strategies as st
from werkzeug.exceptions import NotFound

from kolben import Blueprint, Flask, abort, current_app, g, render_template_string, request, url_for
from kolben.blueprints import BlueprintSetupState
from kolben.sansio.blueprints import Blueprint as SansioBlueprint


@pytest.fixture
def app() -> Flask:
    app = Flask("blueprints", static_folder=None)
    app.testing = True
    return app


def rules(app: Flask) -> dict[str, str]:
    return {rule.endpoint: rule.rule for rule in app.url_map.iter_rules()}


class TestNames:
    @pytest.mark.parametrize("name", ["", "a.b"])
    def test_empty_and_dotted_names_are_refused(self, name):
        with pytest.raises(ValueError, match="'name' may not"):
            Blueprint(name, __name__)

    def test_endpoints_with_dots_are_refused(self):
        bp = Blueprint("bp", __name__)

        def view():
            return ""

        with pytest.raises(ValueError, match="'endpoint' on a blueprint may not contain a dot"):
            bp.add_url_rule("/", "a.b", view)
        view.__name__ = "a.b"
        with pytest.raises(ValueError, match="view function on a blueprint may not contain a dot"):
            bp.add_url_rule("/", "fine", view)

    def test_a_name_is_taken_once(self, app):
        bp = Blueprint("bp", __name__)
        app.register_blueprint(bp)
        with pytest.raises(ValueError, match=r"'bp' is already taken by this .* name="):
            app.register_blueprint(bp)
        with pytest.raises(ValueError, match="'bp' is already taken by another"):
            app.register_blueprint(Blueprint("bp", __name__))
        app.register_blueprint(bp, name="again")
        assert list(app.blueprints) == ["bp", "again"]
        assert list(app.iter_blueprints()) == [bp, bp]

    def test_a_blueprint_is_not_registered_on_itself(self):
        bp = Blueprint("bp", __name__)
        with pytest.raises(ValueError, match="cannot be registered on itself"):
            bp.register_blueprint(bp)

    @pytest.mark.parametrize("thing", [Blueprint, "bp", None])
    def test_only_blueprints_are_registered(self, app, thing):
        for registry in (app, Blueprint("outer", __name__)):
            with pytest.raises(TypeError, match="needs a Blueprint object"):
                registry.register_blueprint(thing)


class TestRules:
    @pytest.mark.parametrize(
        ("prefix", "rule", "url"),
        [
            (None, "/", "/"),
            ("", "/", "/"),
            ("/a", "/b", "/a/b"),
            ("/a/", "/b/", "/a/b/"),
            ("/a", "b", "/a/b"),
            ("/a", "", "/a"),
            ("/a/", "", "/a/"),
            ("/<lang>", "/x", "/<lang>/x"),
        ],
    )
    def test_the_prefix_is_joined_with_one_slash(self, app, prefix, rule, url):
        bp = Blueprint("bp", __name__, url_prefix=prefix)
        bp.add_url_rule(rule, "e", str)
        app.register_blueprint(bp)
        assert rules(app) == {"bp.e": url}

    @given(
        st.lists(
            st.one_of(st.none(), st.sampled_from(["/a", "/b/", "c", "/x/y"])),
            min_size=1,
            max_size=4,
        )
    )
    def test_nested_prefixes_are_joined_from_the_outside_in(self, prefixes):
        app = Flask("blueprints", static_folder=None)
        innermost = Blueprint("b", __name__, url_prefix=prefixes[-1])
        innermost.add_url_rule("/end", "e", str)
        for prefix in reversed(prefixes[:-1]):
            outer = Blueprint("b", __name__, url_prefix=prefix)
            outer.register_blueprint(innermost)
            innermost = outer
        if next((p for p in prefixes if p), "/").startswith("/"):
            app.register_blueprint(innermost)
            parts = [p.strip("/") for p in prefixes if p]
            assert list(rules(app).values()) == ["/" + "/".join([*parts, "end"])]

    def test_registration_prevails_over_the_blueprint(self, app):
        bp = Blueprint("bp", __name__, url_prefix="/own", subdomain="own", url_defaults={"a": 1})
        bp.add_url_rule("/<a>/<b>/<c>", "e", str, defaults={"c": 3})
        app.register_blueprint(bp, url_prefix="/new", subdomain="new", url_defaults={"b": 2})
        (rule,) = app.url_map.iter_rules()
        assert rule.rule == "/new/<a>/<b>/<c>"
        assert rule.subdomain == "new"
        assert rule.defaults == {"a": 1, "b": 2, "c": 3}

    def test_a_rule_prevails_over_the_registration(self, app):
        bp = Blueprint("bp", __name__, subdomain="bp", url_defaults={"a": 1})
        bp.add_url_rule("/<a>", "e", str, subdomain="rule", defaults={"a": 2})
        app.register_blueprint(bp)
        (rule,) = app.url_map.iter_rules()
        assert rule.subdomain == "rule"
        assert rule.defaults == {"a": 2}

    def test_nested_subdomains_are_joined_from_the_inside_out(self, app):
        parent, child, bare = (
            Blueprint("parent", __name__, subdomain="parent"),
            Blueprint("child", __name__, subdomain="child"),
            Blueprint("bare", __name__),
        )
        for bp in (child, bare):
            bp.add_url_rule(f"/{bp.name}", "e", str)
            parent.register_blueprint(bp)
        app.register_blueprint(parent)
        assert {rule.subdomain for rule in app.url_map.iter_rules()} == {"child.parent", "parent"}

    def test_nested_endpoints_and_names(self, app):
        parent, child = Blueprint("parent", __name__), Blueprint("child", __name__)
        child.add_url_rule("/", "e", str)
        parent.register_blueprint(child, name="renamed", url_prefix="/c")
        app.register_blueprint(parent, url_prefix="/p")
        app.register_blueprint(parent, url_prefix="/q", name="twin")
        assert rules(app) == {"parent.renamed.e": "/p/c/", "twin.renamed.e": "/q/c/"}
        assert list(app.blueprints) == ["parent", "parent.renamed", "twin", "twin.renamed"]

    def test_methods_reach_the_application(self, app):
        bp = Blueprint("bp", __name__)
        bp.route("/", methods=["POST"], endpoint="e", provide_automatic_options=False)(str)
        app.register_blueprint(bp)
        (rule,) = app.url_map.iter_rules()
        assert rule.methods == {"POST"}

    def test_endpoint_registers_the_full_endpoint(self, app):
        app.add_url_rule("/", "bare")
        bp = Blueprint("bp", __name__)
        bp.endpoint("bare")(lambda: request.endpoint)
        app.register_blueprint(bp)
        assert app.test_client().get("/").data == b"bare"

    def test_urls_are_relative_to_the_blueprint(self, app):
        bp = Blueprint("bp", __name__, url_prefix="/bp")
        bp.add_url_rule("/a", "a", lambda: url_for(".b"))
        bp.add_url_rule("/b", "b", lambda: request.blueprint)
        app.register_blueprint(bp)
        assert app.test_client().get("/bp/a").data == b"/bp/b"
        assert app.test_client().get("/bp/b").data == b"bp"


class TestRecording:
    def test_what_is_recorded_sees_each_registration_or_the_first(self, app):
        seen = []
        parent, child = Blueprint("parent", __name__), Blueprint("child", __name__)
        child.record(lambda state: seen.append((state.name_prefix, state.name)))

        @child.record_once
        def once(state):
            seen.append("once")

        parent.register_blueprint(child)
        for name in ("one", "two"):
            app.register_blueprint(parent, name=name)
        assert seen == [("one", "child"), "once", ("two", "child")]
        Flask("other").register_blueprint(parent)
        assert seen[3:] == [("parent", "child"), "once"]

    def test_the_state_can_be_of_another_class(self, app):
        class Shouting(BlueprintSetupState):
            def add_url_rule(self, rule, endpoint=None, view_func=None, **options):
                super().add_url_rule(rule.upper(), endpoint, view_func, **options)

        class Loud(Blueprint):
            def make_setup_state(self, app, options, first_registration=False):
                return Shouting(self, app, options, first_registration)

        bp = Loud("loud", __name__)
        bp.add_url_rule("/quiet", "e", str)
        app.register_blueprint(bp)
        assert rules(app) == {"loud.e": "/QUIET"}

    def test_the_state_knows_the_registration(self, app):
        states = []
        bp = Blueprint("bp", __name__, url_prefix="/own", url_defaults={"a": 1})
        bp.record(states.append)
        app.register_blueprint(bp, mine="yes", url_defaults={"b": 2})
        (state,) = states
        assert (state.app, state.blueprint, state.first_registration) == (app, bp, True)
        assert (state.name, state.name_prefix) == ("bp", "")
        assert (state.url_prefix, state.subdomain) == ("/own", None)
        assert state.options["mine"] == "yes"
        assert state.url_defaults == {"a": 1, "b": 2}

    def test_register_can_be_overridden_and_is_called_for_nested_ones(self, app):
        seen = []

        class Watched(Blueprint):
            def register(self, app, options):
                seen.append((self.name, options))
                super().register(app, options)

        parent, child = Watched("parent", __name__), Watched("child", __name__)
        parent.register_blueprint(child, extra=1)
        app.register_blueprint(parent, url_prefix="/p")
        assert seen == [
            ("parent", {"url_prefix": "/p"}),
            ("child", {"extra": 1, "url_prefix": "/p", "name_prefix": "parent"}),
        ]

    @pytest.mark.parametrize(
        ("name", "call"),
        [
            ("route", lambda bp: bp.route("/")),
            ("record", lambda bp: bp.record(print)),
            ("register_blueprint", lambda bp: bp.register_blueprint(Blueprint("z", "z"))),
            ("before_app_request", lambda bp: bp.before_app_request(print)),
        ],
    )
    def test_after_registration_the_method_is_named(self, app, name, call):
        bp = Blueprint("bp", __name__)
        app.register_blueprint(bp)
        with pytest.raises(AssertionError, match=f"'{name}' was called on the blueprint 'bp'"):
            call(bp)

    @pytest.mark.parametrize(
        "name",
        [
            "record",
            "record_once",
            "before_app_request",
            "after_app_request",
            "teardown_app_request",
            "app_context_processor",
            "app_url_value_preprocessor",
            "app_url_defaults",
        ],
    )
    def test_what_cannot_be_called_is_noticed(self, name):
        with pytest.warns(UserWarning, match=rf"{name}\(\) needs a function, not 5"):
            getattr(Blueprint("bp", __name__), name)(5)

    def test_an_error_handler_for_the_application_that_cannot_be_called_is_noticed(self):
        with pytest.warns(UserWarning, match=r"app_errorhandler\(\) needs a function"):
            Blueprint("bp", __name__).app_errorhandler(404)(None)

    def test_a_view_that_cannot_be_called_is_noticed_when_recorded(self):
        with pytest.warns(UserWarning, match="needs a function, not 'index'"):
            Blueprint("bp", __name__).add_url_rule("/", "index", "index")


class TestHooks:
    def test_own_hooks_are_merged_under_the_full_name(self, app):
        parent, child = Blueprint("parent", __name__), Blueprint("child", __name__)
        parent.before_request(str)
        child.before_request(repr)
        child.url_defaults(print)
        child.register_error_handler(404, print)
        parent.register_blueprint(child)
        app.register_blueprint(parent)
        assert app.before_request_funcs == {"parent": [str], "parent.child": [repr]}
        assert app.url_default_functions == {"parent.child": [print]}
        assert app.error_handler_spec == {"parent.child": {404: {NotFound: print}}}

    def test_hooks_of_the_application_are_added_once(self, app):
        bp = Blueprint("bp", __name__)
        hooks = {
            "before_app_request": "before_request_funcs",
            "after_app_request": "after_request_funcs",
            "teardown_app_request": "teardown_request_funcs",
            "app_context_processor": "template_context_processors",
            "app_url_value_preprocessor": "url_value_preprocessors",
            "app_url_defaults": "url_default_functions",
        }
        for name in hooks:
            assert getattr(bp, name)(print) is print
        app.register_blueprint(bp)
        app.register_blueprint(bp, name="again")
        for table in hooks.values():
            assert getattr(app, table)[None].count(print) == 1

    def test_hooks_run_from_the_outside_in_and_back(self, app):
        parent, child = Blueprint("parent", __name__), Blueprint("child", __name__)
        for owner, name in ((app, "app"), (parent, "parent"), (child, "child")):

            @owner.before_request
            def before(name=name):
                g.setdefault("order", []).append(name)

            @owner.after_request
            def after(response, name=name):
                response.data += f" {name}".encode()
                return response

        child.add_url_rule("/", "e", lambda: " ".join(g.order))
        parent.register_blueprint(child)
        app.register_blueprint(parent)
        assert app.test_client().get("/").data == b"app parent child child parent app"

    def test_additions_to_templates(self, app):
        bp = Blueprint("bp", __name__)

        @bp.app_template_filter()
        def shout(value):
            return value.upper()

        @bp.app_template_test("seven")
        def is_seven(value):
            return value == 7

        @bp.app_template_global()
        def answer():
            return 42

        bp.add_app_template_filter(len, "size")
        bp.add_app_template_test(callable, "usable")
        bp.add_app_template_global(len, "size_of")
        app.register_blueprint(bp)
        source = (
            "{{ 'a'|shout }} {{ 7 is seven }} {{ answer() }} {{ 'ab'|size }} {{ size_of('x') }}"
        )
        with app.app_context():
            assert render_template_string(source) == "A True 42 2 1"
        assert app.jinja_env.tests["usable"] is callable

    def test_error_handlers_of_the_blueprint_and_of_the_application(self, app):
        bp = Blueprint("bp", __name__, url_prefix="/bp")
        bp.errorhandler(404)(lambda e: "blueprint")
        bp.app_errorhandler(404)(lambda e: "application")
        bp.add_url_rule("/", "e", lambda: abort(404))
        app.register_blueprint(bp)
        assert app.test_client().get("/bp/").data == b"blueprint"
        assert app.test_client().get("/elsewhere").data == b"application"


class TestFilesAndCommands:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "files").mkdir()
        (tmp_path / "files" / "a.txt").write_text("file a")
        return tmp_path

    def test_static_files_have_a_route_of_their_own(self, app, folder):
        bp = Blueprint("bp", __name__, static_folder="files", root_path=folder, url_prefix="/bp")
        app.register_blueprint(bp)
        assert rules(app) == {"bp.static": "/bp/files/<path:filename>"}
        client = app.test_client()
        with client.get("/bp/files/a.txt") as response:
            assert response.data == b"file a"
        assert client.get("/bp/files/b.txt").status_code == 404

    def test_static_files_need_a_folder(self):
        with pytest.raises(RuntimeError, match="set its 'static_folder' first"):
            Blueprint("bp", __name__).send_static_file("a.txt")

    @pytest.mark.parametrize(
        ("setting", "seconds"), [(None, None), (60, 60), (timedelta(minutes=2), 120)]
    )
    def test_how_long_static_files_are_kept(self, app, setting, seconds):
        app.config["SEND_FILE_MAX_AGE_DEFAULT"] = setting
        with app.app_context():
            assert Blueprint("bp", __name__).get_send_file_max_age("a.txt") == seconds

    def test_resources_are_opened_for_reading(self, folder):
        bp = Blueprint("bp", __name__, root_path=str(folder))
        with bp.open_resource("files/a.txt") as f:
            assert f.read() == b"file a"
        with bp.open_resource("files/a.txt", "r", encoding="ascii") as f:
            assert f.read() == "file a"
            assert f.encoding == "ascii"
        with pytest.raises(ValueError, match="not 'w'"):
            bp.open_resource("files/a.txt", "w")

    @pytest.mark.parametrize(
        ("constructor", "registration", "args"),
        [
            ({}, {}, ["bp", "hi"]),
            ({"cli_group": "own"}, {}, ["own", "hi"]),
            ({"cli_group": None}, {}, ["hi"]),
            ({"cli_group": "own"}, {"cli_group": "new"}, ["new", "hi"]),
            ({"cli_group": "own"}, {"cli_group": None}, ["hi"]),
            ({}, {"name": "other"}, ["other", "hi"]),
        ],
    )
    def test_where_the_commands_show(self, app, constructor, registration, args):
        bp = Blueprint("bp", __name__, **constructor)

        @bp.cli.command("hi")
        def hi():
            print("hi from", current_app.name)

        app.register_blueprint(bp, **registration)
        result = app.test_cli_runner().invoke(args=args)
        assert result.output == "hi from blueprints\n"

    def test_without_commands_there_is_no_group(self, app):
        app.register_blueprint(Blueprint("bp", __name__))
        assert "bp" not in app.cli.commands

    def test_the_layer_below_has_no_commands(self):
        assert not hasattr(SansioBlueprint("bp", __name__), "cli")
