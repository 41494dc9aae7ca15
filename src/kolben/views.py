"""Views written as classes: one method for all requests, or one for each HTTP method."""

from __future__ import annotations

import typing as t

from .globals import current_app, request

if t.TYPE_CHECKING:
    from . import typing as ft

F = t.TypeVar("F", bound=t.Callable[..., t.Any])

#: The HTTP methods, in lower case, that :class:`MethodView` recognises as names of its methods.
http_method_funcs = frozenset(("get", "post", "head", "options", "delete", "put", "trace", "patch"))


class View:
    """A view as a class: override :meth:`dispatch_request`, register :meth:`as_view`.

    .. code-block:: python

        class Page(View):
            def __init__(self, template):
                self.template = template

            def dispatch_request(self, **values):
                return render_template(self.template, **values)

        app.add_url_rule("/imprint", view_func=Page.as_view("imprint", "imprint.html"))
    """

    #: The HTTP methods of the view's routes; None leaves it to the registration (GET).
    methods: t.ClassVar[t.Collection[str] | None] = None

    #: Whether OPTIONS is answered for the view; None leaves it to the registration.
    provide_automatic_options: t.ClassVar[bool | None] = None

    #: Decorators for the view function, applied in this order (the last one is the outermost).
    #: ``@decorator`` above the class would wrap the class, which no route can use.
    decorators: t.ClassVar[list[t.Callable[..., t.Any]]] = []

    #: Whether each request gets an instance of its own. False saves a constructor call; the
    #: instance is then shared by all requests and must not keep the state of one.
    init_every_request: t.ClassVar[bool] = True

    def dispatch_request(self) -> ft.ResponseReturnValue:
        """Answer the request. The variables of the URL arrive as keyword arguments.

        :return: what a view function may return.
        """
        raise NotImplementedError(f"{type(self).__name__} must define dispatch_request.")

    @classmethod
    def as_view(cls, name: str, *class_args: t.Any, **class_kwargs: t.Any) -> ft.RouteCallable:
        """Return a function that answers with this class; it is what a route is registered for.

        :param name: name of the function, hence the endpoint.
        :param class_args: handed to the constructor.
        :param class_kwargs: handed to the constructor.
        :return: a function with the attributes ``view_class``, ``methods`` and
            ``provide_automatic_options``; ``view_class`` may be replaced later.
        """
        if cls.init_every_request:

            def view(**url_values: t.Any) -> ft.ResponseReturnValue:
                instance = view.view_class(*class_args, **class_kwargs)  # type: ignore[attr-defined]
                return _answer(instance.dispatch_request, url_values)

        else:
            shared = cls(*class_args, **class_kwargs)

            def view(**url_values: t.Any) -> ft.ResponseReturnValue:
                return _answer(shared.dispatch_request, url_values)

        # The name goes on twice: decorators see it, and what they return may have lost it.
        view.__name__ = name
        view.__module__ = cls.__module__
        for decorate in cls.decorators:
            view = decorate(view)
        described: t.Any = view
        described.__name__ = name
        described.__module__ = cls.__module__
        described.__doc__ = cls.__doc__
        described.view_class = cls
        described.methods = cls.methods
        described.provide_automatic_options = cls.provide_automatic_options
        return view


def _answer(
    method: t.Callable[..., ft.ResponseReturnValue], url_values: dict[str, t.Any]
) -> ft.ResponseReturnValue:
    """Call a view's method, which may be a coroutine function, in the current application."""
    return current_app.ensure_sync(method)(**url_values)  # type: ignore[no-any-return]


class MethodView(View):
    """A view with a method for each HTTP method: ``get``, ``post``, ``delete`` ...

    ``methods`` is filled in from the methods that the class and its parents define. HEAD is
    answered by ``get`` where there is no ``head``.

    .. code-block:: python

        class Note(MethodView):
            def get(self, number):
                return notes[number]

            def delete(self, number):
                del notes[number]
                return "", 204

        app.add_url_rule("/notes/<int:number>", view_func=Note.as_view("note"))
    """

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        super().__init_subclass__(**kwargs)
        if "methods" in cls.__dict__:
            return
        inherited = {m for base in cls.__bases__ for m in getattr(base, "methods", None) or ()}
        defined = {name.upper() for name in http_method_funcs if hasattr(cls, name)}
        # A class without any stays with the None of its parents: it may be abstract.
        if methods := inherited | defined:
            cls.methods = methods

    def dispatch_request(self, **kwargs: t.Any) -> ft.ResponseReturnValue:
        """Call the method that is named as the request's HTTP method."""
        verb = request.method.lower()
        method = getattr(self, verb, None)
        if method is None and verb == "head":
            method = getattr(self, "get", None)
        if method is None:
            raise AssertionError(
                f"{type(self).__name__} has no method {verb!r} for a {request.method} request:"
                " define it, or take the method out of the route's methods."
            )
        return _answer(method, kwargs)
