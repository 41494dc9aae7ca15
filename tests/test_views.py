"""Views written as classes."""

from __future__ import annotations

import functools

import pytest

from kolben import Flask, request
from kolben.views import MethodView, View, http_method_funcs


@pytest.fixture
def app() -> Flask:
    app = Flask("views", static_folder=None)
    app.testing = True
    return app


class Greeting(View):
    """Greets."""

    def __init__(self, word: str = "Hello") -> None:
        self.word = word

    def dispatch_request(self, name: str = "you") -> str:
        return f"{self.word}, {name}!"


class Item(MethodView):
    def get(self, id: int) -> str:
        return f"get {id}"

    def delete(self, id: int) -> str:
        return f"delete {id}"


def test_arguments_reach_the_constructor_and_url_variables_the_method(app):
    app.add_url_rule("/<name>", view_func=Greeting.as_view("a", "Hi"))
    app.add_url_rule("/b/<name>", view_func=Greeting.as_view("b", word="Ho"))
    assert app.test_client().get("/Ada").data == b"Hi, Ada!"
    assert app.test_client().get("/b/Ada").data == b"Ho, Ada!"


def test_the_view_function_says_what_it_is_made_of():
    view = Greeting.as_view("greet")
    assert view.__name__ == "greet"
    assert view.__doc__ == "Greets."
    assert view.__module__ == __name__
    assert view.view_class is Greeting
    assert view.methods is None
    assert view.provide_automatic_options is None


def test_the_class_can_be_replaced_later(app):
    class Rude(Greeting):
        def dispatch_request(self, name: str = "you") -> str:
            return "Go away!"

    view = Greeting.as_view("greet")
    view.view_class = Rude
    app.add_url_rule("/", view_func=view)
    assert app.test_client().get("/").data == b"Go away!"


def test_decorators_wrap_the_function_in_order(app):
    def quote(mark):
        def decorate(f):
            assert f.__name__ == "greet" or mark != "'"

            def wrapped(**kwargs):
                return f"{mark}{f(**kwargs)}{mark}"

            return wrapped

        return decorate

    class Quoted(Greeting):
        decorators = [quote("'"), quote("*")]

    view = Quoted.as_view("greet")
    assert view.__name__ == "greet"
    assert view.view_class is Quoted
    app.add_url_rule("/", view_func=view)
    assert app.test_client().get("/").data == b"*'Hello, you!'*"


@pytest.mark.parametrize(("every_request", "made"), [(True, 2), (False, 1)])
def test_how_often_the_class_is_instantiated(app, every_request, made):
    instances = []

    class Counted(View):
        init_every_request = every_request

        def __init__(self) -> None:
            instances.append(self)

        def dispatch_request(self) -> str:
            return ""

    app.add_url_rule("/", view_func=Counted.as_view("counted"))
    for _ in range(2):
        app.test_client().get("/")
    assert len(instances) == made


def test_methods_and_automatic_options_are_attributes_of_the_class(app):
    class Poster(Greeting):
        methods = ["POST"]
        provide_automatic_options = False

    app.add_url_rule("/", view_func=Poster.as_view("poster"))
    client = app.test_client()
    assert client.post("/").status_code == 200
    assert client.get("/").status_code == 405
    assert client.options("/").status_code == 405


def test_a_view_without_an_answer_says_what_to_define(app):
    app.add_url_rule("/", view_func=View.as_view("bare"))
    with pytest.raises(NotImplementedError, match="View must define dispatch_request"):
        app.test_client().get("/")


class TestMethodView:
    def test_each_http_method_has_its_own(self, app):
        app.add_url_rule("/<int:id>", view_func=Item.as_view("item"))
        client = app.test_client()
        assert client.get("/1").data == b"get 1"
        assert client.delete("/1").data == b"delete 1"
        response = client.post("/1")
        assert response.status_code == 405
        assert set(response.allow) == {"DELETE", "GET", "HEAD", "OPTIONS"}

    def test_head_is_answered_by_get_unless_defined(self, app):
        class Page(MethodView):
            def get(self):
                return "", {"X-Answered-To": request.method}

        class Own(Page):
            def head(self):
                return "", {"X-Answered-To": "head itself"}

        app.add_url_rule("/page", view_func=Page.as_view("page"))
        app.add_url_rule("/own", view_func=Own.as_view("own"))
        client = app.test_client()
        assert client.head("/page").headers["X-Answered-To"] == "HEAD"
        assert client.head("/own").headers["X-Answered-To"] == "head itself"

    def test_methods_are_collected_from_the_class_and_its_parents(self):
        class More(Item):
            def patch(self):
                return ""

        class Search(MethodView):
            methods = ["SEARCH"]

        class Both(More, Search):
            pass

        assert MethodView.methods is None
        assert Item.methods == {"GET", "DELETE"}
        assert More.methods == {"GET", "DELETE", "PATCH"}
        assert Both.methods == {"GET", "DELETE", "PATCH", "SEARCH"}

    def test_declared_methods_prevail(self):
        class Narrow(Item):
            methods = ["GET"]

        assert Narrow.methods == ["GET"]

    def test_a_class_without_any_may_be_abstract(self):
        class Abstract(MethodView):
            pass

        assert Abstract.methods is None

    def test_a_method_that_is_announced_but_not_there_is_named(self, app):
        class Liar(MethodView):
            methods = ["POST"]

        app.add_url_rule("/", view_func=Liar.as_view("liar"))
        with pytest.raises(AssertionError, match="Liar has no method 'post'"):
            app.test_client().post("/")

    def test_the_names_it_knows(self):
        assert http_method_funcs == {
            "get",
            "post",
            "head",
            "options",
            "delete",
            "put",
            "trace",
            "patch",
        }


class TestAsync:
    def test_a_coroutine_answers(self, app):
        class Later(View):
            async def dispatch_request(self) -> str:
                return f"later, {request.path}"

        class Both(MethodView):
            async def get(self) -> str:
                return f"async {request.method}"

            def post(self) -> str:
                return f"sync {request.method}"

        app.add_url_rule("/later", view_func=Later.as_view("later"))
        app.add_url_rule("/both", view_func=Both.as_view("both"))
        client = app.test_client()
        assert client.get("/later").data == b"later, /later"
        assert client.get("/both").data == b"async GET"
        assert client.post("/both").data == b"sync POST"

    def test_the_applications_ensure_sync_is_asked(self, app):
        asked = []
        ensure_sync = app.ensure_sync

        def watch(f):
            asked.append(f.__name__)
            return ensure_sync(f)

        app.ensure_sync = watch
        app.add_url_rule("/<int:id>", view_func=Item.as_view("item"))
        app.test_client().get("/1")
        assert "dispatch_request" in asked
        assert "get" in asked


def test_a_decorator_that_keeps_the_name_needs_no_help(app):
    def polite(f):
        @functools.wraps(f)
        def wrapped(*args, **kwargs):
            return f(*args, **kwargs) + " Please."

        return wrapped

    class Asking(Greeting):
        decorators = [polite]

    app.add_url_rule("/", view_func=Asking.as_view("ask"))
    assert app.test_client().get("/").data == b"Hello, you! Please."
