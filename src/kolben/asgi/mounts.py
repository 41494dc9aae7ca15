"""ASGI applications that are mounted below a path of ours."""

from __future__ import annotations

import asyncio
import typing as t

from .scope import Scope, split_path

if t.TYPE_CHECKING:
    from .body import Receive
    from .send import Send

    ASGI = t.Callable[[Scope, Receive, Send], t.Awaitable[None]]


class Mount:
    """An ASGI application in front of another one, which takes the paths below its own.

    :param inner: what serves all else.
    :param path: the path, with a slash at its beginning and none at its end.
    :param app: the mounted application.
    """

    def __init__(self, inner: ASGI, path: str, app: ASGI) -> None:
        self.inner = inner
        self.path = path
        self.app = app
        #: What the mounted application has put into its state when it started.
        self.state: dict[str, t.Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection.

        :param scope: what is known of it.
        :param receive: gives the client's messages.
        :param send: takes ours.
        """
        if scope["type"] in ("http", "websocket"):
            root, path = split_path(scope)
            if path == self.path or path.startswith(f"{self.path}/"):
                # The path holds the root path, as ASGI has it (HTTP specification 2.3).
                below = {**scope, "root_path": root + self.path, "path": root + path}
                below["state"] = {**(scope.get("state") or {}), **self.state}
                await self.app(below, receive, send)
                return
        await self.inner(scope, receive, send)

    async def serve_lifespan(self) -> t.AsyncIterator[None]:
        """Start the mounted application, and stop it when this is continued.

        One that knows nothing of it is left alone (ASGI lifespan specification 2.0).

        :raises RuntimeError: if it says that it could not start, or stop.
        """
        answers: asyncio.Queue[t.MutableMapping[str, t.Any]] = asyncio.Queue()
        messages: asyncio.Queue[t.MutableMapping[str, t.Any]] = asyncio.Queue()
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        serving = asyncio.ensure_future(self.app(scope, messages.get, answers.put))
        try:
            is_there = await self._tell("startup", serving, messages, answers)
            yield
            if is_there:
                await self._tell("shutdown", serving, messages, answers)
        finally:
            serving.cancel()
            await asyncio.wait({serving})
            if not serving.cancelled():
                serving.exception()  # looked at, so that it is not reported as forgotten

    async def _tell(
        self,
        step: str,
        serving: asyncio.Future[None],
        messages: asyncio.Queue[t.MutableMapping[str, t.Any]],
        answers: asyncio.Queue[t.MutableMapping[str, t.Any]],
    ) -> bool:
        """Have the application take a step. Return whether it knows of such steps."""
        messages.put_nowait({"type": f"lifespan.{step}"})
        answer = asyncio.ensure_future(answers.get())
        both: set[asyncio.Future[t.Any]] = {serving, answer}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            return False
        message = answer.result()
        if message["type"] == f"lifespan.{step}.failed":
            raise RuntimeError(
                f"The application mounted at {self.path!r} failed at {step}:"
                f" {message.get('message', '')}"
            )
        return True
