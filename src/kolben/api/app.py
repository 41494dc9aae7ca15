"""The application class of an API."""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import HTTPException

from ..app import Flask
from .document import About
from .operations import Registers, type_view
from .pages import serve_document
from .problems import answer_error

if t.TYPE_CHECKING:
    from ..testing import FlaskClient
    from .client import Client


class API(Registers, Flask):
    """An application whose views are typed: what they read and return is what they are annotated.

    .. code-block:: python

        api = API(__name__, title="Shop", version="1.0")

        @api.get("/add")
        def add(a: int, b: int = 1) -> Sum: ...

    :param import_name: the name of its module, usually ``__name__``.
    :param options: what it says of itself, as :class:`About` has it: ``title``, ``version``,
        ``description``, ``servers``, ``security_schemes``, ``openapi``, ``docs``, ``info``,
        ``docs_tags``; what holds for all views, as :class:`Settings` has it: ``auth``, ``tags``,
        ``raises``, ``unknown``, ``deprecated``, ``security``; and all that
        :class:`~kolben.Flask` takes.
    """

    about: About

    def __init__(self, import_name: str, **options: t.Any) -> None:
        self._set_up(options)
        self.__dict__["about"] = About.taken_from(options)
        super().__init__(import_name, **options)
        self._is_ready = True
        self.register_error_handler(HTTPException, answer_error)
        serve_document(self, self, self.about, self._add_page, self.name)

    def _add_page(self, rule: str, endpoint: str, view: t.Any) -> None:
        Flask.add_url_rule(self, rule, endpoint, view)

    def add_url_rule(  # noqa: D102 (as in the base class)
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: t.Any = None,
        provide_automatic_options: bool | None = None,
        **options: t.Any,
    ) -> None:
        # Those of blueprints were typed there, or are not to be typed.
        is_own = "_is_ready" in self.__dict__ and "." not in (endpoint or "")
        if is_own and view_func is not None:
            name: str = endpoint or view_func.__name__
            view_func = type_view((self,), self, rule, name, view_func, options)
            endpoint = name
        super().add_url_rule(rule, endpoint, view_func, provide_automatic_options, **options)

    def test_client(self, use_cookies: bool = True, **kwargs: t.Any) -> FlaskClient:  # noqa: D102
        self.resolve()
        return super().test_client(use_cookies, **kwargs)

    def client(self, headers: t.Mapping[str, str] | None = None) -> Client:
        """Return a client that calls the handlers of this API in this process.

        :param headers: sent with every request.
        """
        from .client import Client

        return Client(self, headers)

    def _complete_registration(self) -> None:
        self.resolve()
        super()._complete_registration()
