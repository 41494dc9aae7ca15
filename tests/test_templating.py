"""Templates: where they are found, what they know, and who hears about it."""

from __future__ import annotations

import logging
import traceback
import typing as t

import jinja2
import pytest

import kolben
from kolben.templating import DispatchingJinjaLoader, Environment


@pytest.fixture
def app(tmp_path) -> kolben.Flask:
    app = kolben.Flask(__name__, root_path=str(tmp_path))
    app.secret_key = "secret"
    for folder in "templates", "own":
        (tmp_path / folder).mkdir()
    (tmp_path / "templates" / "page.html").write_text("{{ name }} in the application")
    (tmp_path / "own" / "page.html").write_text("never seen")
    (tmp_path / "own" / "own.html").write_text("{{ name }} in the blueprint")
    (tmp_path / "templates" / "macros.html").write_text(
        "{% macro hello(name) %}Hello {{ name }}!{% endmacro %}{% set answer = 42 %}"
    )
    return app


@pytest.fixture
def blueprint(app) -> kolben.Blueprint:
    return kolben.Blueprint("own", __name__, root_path=app.root_path, template_folder="own")


def test_the_application_comes_before_its_blueprints(app, blueprint):
    app.register_blueprint(blueprint)
    with app.app_context():
        assert kolben.render_template("page.html", name="<a>") == "&lt;a&gt; in the application"
        assert kolben.render_template("own.html", name="a") == "a in the blueprint"
        assert kolben.render_template(["none.html", "own.html"], name="b") == "b in the blueprint"
    assert sorted(app.jinja_env.list_templates()) == ["macros.html", "own.html", "page.html"]


def test_a_template_object_can_be_rendered(app):
    template = app.jinja_env.from_string("{{ a }}")
    with app.app_context():
        assert kolben.render_template(template, a=1) == "1"


def test_a_missing_template_says_where_it_was_looked_for(app, blueprint):
    app.register_blueprint(blueprint)
    with app.app_context(), pytest.raises(jinja2.TemplateNotFound) as caught:
        kolben.render_template("none.html")
    assert str(caught.value) == "none.html"
    text = "".join(traceback.format_exception_only(caught.value))
    assert f"{app.root_path}/templates, {app.root_path}/own" in text


def test_a_loader_without_folders_has_nothing_to_say(app):
    app.jinja_loader = jinja2.DictLoader({})
    with app.app_context(), pytest.raises(jinja2.TemplateNotFound) as caught:
        kolben.render_template("none.html")
    assert not hasattr(caught.value, "__notes__")


def test_outside_of_an_application_there_is_nothing_to_render():
    with pytest.raises(RuntimeError, match="application context"):
        kolben.render_template("page.html")


def test_macros_and_variables_of_a_template_can_be_used_in_python(app):
    with app.app_context():
        assert kolben.get_template_attribute("macros.html", "hello")("you") == "Hello you!"
        assert kolben.get_template_attribute("macros.html", "answer") == 42
        with pytest.raises(AttributeError):
            kolben.get_template_attribute("macros.html", "none")


# -- the context -----------------------------------------------------------------------------


def test_templates_know_the_request_the_session_and_g(app):
    with app.test_request_context("/?a=1"):
        kolben.g.b = 2
        kolben.session["c"] = 3
        text = "{{ request.args.a }} {{ g.b }} {{ session.c }} {{ config.TESTING }}"
        assert kolben.render_template_string(text) == "1 2 3 False"


def test_rendering_does_not_count_as_use_of_the_session(app):
    with app.test_request_context():
        kolben.render_template_string("x")
        assert not kolben.globals.request_ctx._session.accessed


def test_without_a_request_templates_know_g_only(app):
    with app.app_context():
        kolben.g.a = 1
        assert kolben.render_template_string("{{ g.a }}{{ config.TESTING }}") == "1False"
        context: dict[str, t.Any] = {}
        app.update_template_context(context)
        assert list(context) == ["g"]


def test_what_the_view_gives_wins_over_processors_and_later_processors_over_earlier(app):
    app.context_processor(lambda: {"a": "first", "b": "first", "request": "first"})
    app.context_processor(lambda: {"b": "second", "c": "second"})
    with app.test_request_context():
        text = "{{ a }} {{ b }} {{ c }} {{ request }}"
        assert kolben.render_template_string(text, c="view") == "first second view first"
        context = {"c": 1}
        app.update_template_context(context)
        assert context == {
            "c": 1,
            "g": kolben.g._get_current_object(),
            "request": "first",
            "a": "first",
            "b": "second",
        }


def test_a_name_that_the_view_gives_is_not_replaced_by_the_request(app):
    with app.test_request_context():
        assert kolben.render_template_string("{{ request }}{{ g }}", request=1, g=2) == "12"


def test_processors_of_a_blueprint_run_for_its_views_and_inner_ones_last(app):
    outer = kolben.Blueprint("outer", __name__, url_prefix="/outer")
    inner = kolben.Blueprint("inner", __name__, url_prefix="/inner")
    app.context_processor(lambda: {"who": "app"})
    outer.context_processor(lambda: {"who": "outer"})
    inner.context_processor(lambda: {"who": "inner"})
    for target in app, outer, inner:
        target.add_url_rule("/page", "page", lambda: kolben.render_template_string("{{ who }}"))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    client = app.test_client()
    assert client.get("/page").text == "app"
    assert client.get("/outer/page").text == "outer"
    assert client.get("/outer/inner/page").text == "inner"


def test_a_processor_may_be_a_coroutine_function(app):
    @app.context_processor
    async def names():
        return {"a": 1}

    with app.test_request_context():
        assert kolben.render_template_string("{{ a }}") == "1"


def test_an_overridden_update_template_context_is_used(tmp_path):
    class App(kolben.Flask):
        def update_template_context(self, context: dict[str, t.Any]) -> None:
            context["a"] = "own"

    with App(__name__).app_context():
        assert kolben.render_template_string("{{ a }}") == "own"


# -- streaming -------------------------------------------------------------------------------


def test_a_template_is_streamed_with_its_request(app):
    app.add_url_rule(
        "/",
        view_func=lambda: kolben.stream_template_string("{{ a }}{{ request.path }}", a=1),
    )
    app.add_url_rule("/file", "file", lambda: kolben.stream_template("page.html", name="a"))
    client = app.test_client()
    assert client.get("/").text == "1/"
    assert client.get("/file").text == "a in the application"


def test_without_a_request_a_template_can_be_streamed_too(app):
    with app.app_context():
        assert "".join(kolben.stream_template_string("{{ a }}", a=1)) == "1"


# -- signals ---------------------------------------------------------------------------------


@pytest.fixture
def heard() -> t.Iterator[list[tuple[str, t.Any]]]:
    log: list[tuple[str, t.Any]] = []

    def before(sender: t.Any, template: jinja2.Template, context: dict[str, t.Any]) -> None:
        log.append(("before", context["a"]))
        context["a"] = 2

    def after(sender: t.Any, template: jinja2.Template, context: dict[str, t.Any]) -> None:
        log.append(("after", template.name))

    with kolben.before_render_template.connected_to(before):
        with kolben.template_rendered.connected_to(after):
            yield log


def test_rendering_is_announced_before_and_after(app, heard):
    with app.app_context():
        assert kolben.render_template("page.html", a=1, name="x") == "x in the application"
        assert kolben.render_template_string("{{ a }}", a=1) == "2"
    assert heard == [("before", 1), ("after", "page.html"), ("before", 1), ("after", None)]


def test_a_streamed_template_is_announced_when_it_starts_and_when_it_is_done(app, heard):
    with app.test_request_context():
        stream = kolben.stream_template_string("{{ a }}", a=1)
        assert heard == [("before", 1)]
        assert next(stream) == "2"
        assert heard == [("before", 1)]
        assert list(stream) == []
    assert heard == [("before", 1), ("after", None)]


# -- the environment -------------------------------------------------------------------------


def test_the_environment_belongs_to_its_application(app):
    assert isinstance(app.jinja_env, Environment)
    assert app.jinja_env.app is app
    assert isinstance(app.jinja_env.loader, DispatchingJinjaLoader)
    assert Environment(app, loader=None).loader is None


def test_looking_for_a_template_can_be_explained(app, blueprint, caplog):
    app.config["EXPLAIN_TEMPLATE_LOADING"] = True
    blueprint.add_url_rule("/missing", "missing", lambda: kolben.render_template("none.html"))
    app.register_blueprint(blueprint)
    app.testing = True
    with caplog.at_level(logging.INFO, logger=app.name):
        with pytest.raises(jinja2.TemplateNotFound):
            app.test_client().get("/missing")
        with app.app_context():
            assert kolben.render_template("own.html", name="a") == "a in the blueprint"
    missing, found = (record.getMessage() for record in caplog.records)
    assert f"1: trying loader of application '{app.import_name}'" in missing
    assert f"2: trying loader of blueprint 'own' ({__name__})" in missing
    assert "Error: the template could not be found." in missing
    assert "looked up from an endpoint that belongs to the blueprint 'own'" in missing
    assert f"  - {app.root_path}/own" in missing
    assert f"-> found ('{app.root_path}/own/own.html')" in found


def test_globals_stay_alive_and_a_template_may_overlay_them():
    app = kolben.Flask(__name__)
    environment = app.jinja_env
    environment.globals["name"] = "all"
    plain = environment.from_string("{{ name }} {{ later }}")
    own = environment.from_string("{{ name }} {{ later }}", globals={"name": "own"})
    assert plain.render() == "all "
    environment.globals["later"] = "now"
    assert (plain.render(), own.render(), own.render(name="given")) == (
        "all now",
        "own now",
        "given now",
    )
    assert plain.new_context().globals_keys == set(plain.globals)
    assert plain.new_context({"a": 1}, shared=True).get_all() == {"a": 1}


class Point:
    x = 1

    def __getitem__(self, name: str) -> str:
        return f"item {name}"


class Opened(dict[str, t.Any]):
    name = "attribute"


VALUES: list[tuple[t.Any, str]] = [
    ({"name": "item"}, "name"),
    ({"items": "item"}, "items"),
    ({"__class__": "item"}, "__class__"),
    ({"name": "item"}, "other"),
    ({}, "get"),
    (Opened(name="item", other="item"), "name"),
    (Opened(name="item", other="item"), "other"),
    (Point(), "x"),
    (Point(), "y"),
    ([1], "y"),
    (None, "y"),
]


@pytest.mark.parametrize(("value", "name"), VALUES, ids=lambda v: v if isinstance(v, str) else "")
def test_a_dot_means_what_it_means_in_jinja(value, name):
    source = "{{ value." + name + " }} {{ value." + name + " is defined }}"
    ours = kolben.Flask(__name__).jinja_env
    expected = jinja2.Environment(autoescape=True).from_string(source).render(value=value)
    assert ours.from_string(source).render(value=value) == expected


def test_an_applications_own_ensure_sync_is_asked_for_each_context_processor() -> None:
    asked = []

    class Own(kolben.Flask):
        def ensure_sync(self, func):
            asked.append(func.__name__)
            return super().ensure_sync(func)

    app = Own(__name__)
    with app.test_request_context("/"):
        assert kolben.render_template_string("{{ request.path }}") == "/"
    assert asked == ["_default_template_ctx_processor"]  # on Flask, too
