"""The signals an application sends while it works, as :mod:`blinker` signals.

Each is sent with the application object as the sender. Connect with
``request_started.connect(function, app)``; what else a function receives is said below.
"""

from __future__ import annotations

from blinker import NamedSignal, Namespace

from .tables import Table

# Signals of the framework itself. An extension that defines signals makes a namespace of its own.
_signals = Namespace()


def _signal(name: str) -> NamedSignal:
    signal = _signals.signal(name)
    # Tells the engine when there is another receiver, so that it need not look at each request.
    signal.receivers = Table()
    return signal


#: A template was rendered. Receives ``template`` and ``context``.
template_rendered = _signal("template-rendered")

#: A template is about to be rendered. Receives ``template`` and ``context``.
before_render_template = _signal("before-render-template")

#: The request context is pushed and nothing of the request has been handled yet.
request_started = _signal("request-started")

#: The response is ready to be sent. Receives ``response``.
request_finished = _signal("request-finished")

#: The request context is being torn down, also after an error. Receives ``exc``, may be None.
request_tearing_down = _signal("request-tearing-down")

#: An exception reached the application unhandled. Receives ``exception``.
got_request_exception = _signal("got-request-exception")

#: The application context is being torn down, also after an error. Receives ``exc``, may be None.
appcontext_tearing_down = _signal("appcontext-tearing-down")

#: An application context was pushed.
appcontext_pushed = _signal("appcontext-pushed")

#: An application context was popped.
appcontext_popped = _signal("appcontext-popped")

#: A message was flashed. Receives ``message`` and ``category``.
message_flashed = _signal("message-flashed")

#: A WebSocket's handshake has come and nothing of it has been handled yet.
websocket_started = _signal("websocket-started")

#: The handler of a WebSocket has ended. Receives ``response``, which is None unless the handshake was
#: refused with one.
websocket_finished = _signal("websocket-finished")

#: The context of a WebSocket is being torn down, also after an error. Receives ``exc``, may be None.
websocket_tearing_down = _signal("websocket-tearing-down")

#: The handler of a WebSocket has raised an exception that nothing has handled. Receives ``exception``.
#: For the sake of extensions that know no WebSockets, ``got_request_exception`` is sent, too.
got_websocket_exception = _signal("got-websocket-exception")

#: A background task has raised an exception. Receives ``exception``.
got_background_exception = _signal("got-background-exception")

#: A function that runs before, while or after serving has raised an exception. Receives ``exception``.
got_serving_exception = _signal("got-serving-exception")
