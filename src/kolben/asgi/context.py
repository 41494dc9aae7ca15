"""The contexts of requests and WebSockets from an ASGI server."""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.routing import RequestRedirect

from ..ctx import RequestContext
from ..http.unread import unread_request
from ..lazy import lazy
from ..websockets import LEAVE_TIMEOUT, WebSocket
from ..wrappers import NOT_ROUTED, Request
from .inbox import Inbox
from .scope import Scope, logger, make_environ

if t.TYPE_CHECKING:
    import asyncio

    from _typeshed.wsgi import WSGIEnvironment

    from ..app import Flask
    from ..websockets import Receive, Send
    from .body import Body


class ASGIRequestContext(RequestContext):
    """The context of a request from an ASGI server, whose environ is made when it is looked at.

    :param app: the application that handles the request.
    :param scope: the ASGI scope of the connection.
    :param body: the request's body; None where there is none.
    :param receive: tells when the client leaves.
    """

    may_lack_environ: t.ClassVar[bool] = True

    def __init__(
        self,
        app: Flask,
        scope: Scope,
        body: Body | None = None,
        receive: t.Any = None,
    ) -> None:
        # As in the class above, without the environ.
        self.app = app
        self.scope = scope
        self.body = body
        self.receive = receive
        self._own_environ: WSGIEnvironment | None = None
        #: What the request object is read from while it has no environ.
        self.unread: Unread | None = None
        self.seen_request = None
        self.opened_session = None
        self.own_g = None
        self.routing = NOT_ROUTED
        self.touched = False
        self.entry_token = None

    @property
    def environ(self) -> WSGIEnvironment:  # type: ignore[override] # not to be replaced here
        """The WSGI environment of the request."""
        environ = self._own_environ
        return self._make_environ() if environ is None else environ

    def _make_environ(self) -> WSGIEnvironment:
        unread = self.unread or Unread(self.scope, self.body, self.receive)
        self._own_environ, error = unread.make_environ()
        if self.unread is not None and self.entry_token is not None:
            self._own_environ["werkzeug.request"] = self.seen_request
        if error is not None:
            raise error
        return self._own_environ

    @property
    def made_environ(self) -> WSGIEnvironment | None:
        """:attr:`environ`, where it was made already."""
        environ, unread = self._own_environ, self.unread
        return environ if unread is None or environ is not None else unread.environ

    def make_request(self) -> Request:
        """Make the request object, at the first look at it, if possible without the environ."""
        app, scope = self.app, self.scope
        query = scope.get("query_string", b"")
        if (
            self._own_environ is not None
            or not app.engine_plan.short_way  # also where the class of requests is another
            or type(query) is not bytes
            or self._has_no_request
        ):
            return super().make_request()
        self.unread = unread = Unread(scope, self.body, self.receive)
        request: Request = unread_request(Request, unread, query, app.json, self.routing)
        self.seen_request = request
        return request

    # PERF: without the environ, which takes 2.5 µs to make.

    def has_cookies(self) -> bool:
        """Tell whether the client has sent cookies."""
        environ = self._own_environ if self.unread is None else self.made_environ
        if environ is None:
            return any(name == b"cookie" for name, _ in self.scope["headers"])
        return "HTTP_COOKIE" in environ

    def cookie_header(self) -> str:
        """Return the ``Cookie`` header; empty where there is none."""
        environ = self._own_environ if self.unread is None else self.made_environ
        if environ is None:
            sent = [value for name, value in self.scope["headers"] if name == b"cookie"]
            if len(sent) == 1 and type(sent[0]) is bytes:
                return sent[0].decode("latin-1")
        return super().cookie_header()

    def script_name(self) -> str:
        """Return where the application is mounted."""
        environ = self._own_environ if self.unread is None else self.made_environ
        if environ is None and not self.scope.get("root_path"):
            return ""
        return super().script_name()

    def copy(self) -> RequestContext:
        """Return a context with the same request and session, to be pushed elsewhere."""
        return RequestContext(self.app, self.environ, request=self.request, session=self._session)


class Unread:
    """A request of an ASGI server as it is read while it has no environ.

    PERF: an environ takes 2.5 µs to make, this 0.1.

    :param scope: the ASGI scope.
    :param body: the body; None where there is none.
    :param receive: tells when the client leaves.
    """

    __slots__ = ("body", "content_type", "environ", "receive", "scope")

    def __init__(self, scope: Scope, body: Body | None, receive: t.Any) -> None:
        self.scope = scope
        self.body = body
        self.receive = receive
        #: The environ, from when it was made on.
        self.environ: WSGIEnvironment | None = None
        #: The type of a body that is there as a whole, as it was sent.
        self.content_type: str | None = None
        if body is not None and body.whole is not None and body.content_type is not None:
            self.content_type = body.content_type.decode("latin-1")

    @property
    def method(self) -> str:
        """The method, as it was sent."""
        return t.cast("str", self.scope["method"])

    def make_environ(self) -> tuple[WSGIEnvironment, BadRequest | None]:
        """Return the environ, which is made once; and, where the scope is none of a request, what is to be
        raised then.
        """
        if self.environ is not None:
            return self.environ, None
        try:
            self.environ = make_environ(self.scope, self.body, self.receive)
        except Exception as error:
            # Code that asks again, as error handlers do, gets one without what the client sent.
            self.environ = make_environ(_bare(self.scope), None)
            logger.warning("Malformed ASGI scope: %r", error)
            return self.environ, BadRequest()
        return self.environ, None


def _bare(scope: Scope) -> Scope:
    return {"method": scope.get("method", "GET"), "path": "/", "headers": ()}


class WebSocketContext(ASGIRequestContext):
    """The context of a WebSocket: a request context whose request is the `WebSocket`.

    :param app: the application that handles it.
    :param scope: the ASGI scope of the connection.
    :param receive: gives the server's messages.
    :param send: takes ours.
    """

    #: Set when the handler was cancelled because the client has left.
    cancelled = False
    #: The error of the handler's that nothing has handled.
    failure: Exception | None = None
    _task: asyncio.Task[t.Any]

    def __init__(self, app: Flask, scope: Scope, receive: Receive, send: Send) -> None:
        import asyncio

        super().__init__(app, scope, None, receive)
        self.send = send
        self.loop = asyncio.get_running_loop()
        self._task = t.cast("asyncio.Task[t.Any]", asyncio.current_task())

    @lazy
    def websocket(self) -> WebSocket:
        """The WebSocket."""
        app = self.app
        websocket = app.websocket_class(self.environ)
        websocket.json_module = app.json
        websocket._context = self
        websocket._routing = self.routing
        self.seen_request = t.cast("t.Any", websocket)
        return websocket

    @lazy
    def inbox(self) -> Inbox:
        """What the client has sent."""
        return Inbox(self.receive, self.loop, self.websocket._leave)

    def make_request(self) -> t.Any:
        """Return the handshake, which is the WebSocket itself; so extensions find what they look for."""
        self.seen_request = websocket = t.cast("t.Any", self.websocket)
        return websocket

    @property
    def leave_timeout(self) -> float:
        """For how many seconds a handler may fail to notice that the client has left."""
        return t.cast("float", self.app.config.get("WEBSOCKET_LEAVE_TIMEOUT", LEAVE_TIMEOUT))

    def match_request(self) -> None:
        """Find the route of the WebSocket and store it, or the error, on it."""
        websocket = self.websocket
        adapter = self.url_adapter
        if adapter is None:  # an untrusted host; the error is stored already
            return
        try:
            rule, values = adapter.match(return_rule=True, websocket=True)
            websocket.url_rule = rule
            websocket.view_args = t.cast("dict[str, t.Any]", values)
        except RequestRedirect:
            # No client follows a redirect of a handshake.
            websocket.routing_exception = NotFound()
        except HTTPException as error:
            websocket.routing_exception = error

    def cancel(self) -> None:
        """Cancel the handler, because the client has left."""
        self.cancelled = True
        self._task.cancel()

    async def save_session(self) -> list[str]:
        """Save the session, if it was looked at.

        :return: the cookies to send, each as the value of a ``Set-Cookie`` header.
        """
        if self.opened_session is None:
            return []
        interface = self.app.session_interface
        session = self._session
        if interface.is_null_session(session):
            return []
        response = self.app.response_class()
        if self.app.engine_plan.opens_session_late:
            interface.save_session(self.app, session, response)
        else:
            from ..concurrency import in_thread

            await in_thread(interface.save_session, self.app, session, response)
        session.modified = False
        return response.headers.getlist("Set-Cookie")

    def drop_what_matching_needed(self) -> None:
        """Give up what an idle WebSocket need not hold; it is made again if asked for."""
        self.__dict__.pop("url_adapter", None)

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name} {self.websocket.url!r} of {self.app.name}>"
