"""Run in an environment where `flask` is kolben: do instrumentation packages see its requests?"""

from __future__ import annotations

import asyncio
import io
import sys

from flask import Flask


def make_app(name: str) -> Flask:
    app = Flask(name)

    @app.get("/user/<int:number>")
    def user(number: int) -> str:
        return str(number)

    @app.get("/error")
    def error() -> str:
        raise RuntimeError("wrong")

    return app


def ask(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/user/7").text == "7"
    assert client.get("/nowhere").status_code == 404
    assert client.get("/error").status_code == 500


def opentelemetry() -> None:
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    one = make_app("one")
    FlaskInstrumentor().instrument_app(one, tracer_provider=provider)
    ask(one)
    check(exporter)

    # All applications at once: the class is replaced, before a program imports it.
    import flask

    FlaskInstrumentor().instrument(tracer_provider=provider)
    other = flask.Flask("other")
    other.add_url_rule("/user/<int:number>", view_func=lambda number: str(number))
    assert other.test_client().get("/user/7").text == "7"
    FlaskInstrumentor().uninstrument()
    (span,) = exporter.get_finished_spans()
    assert span.name == "GET /user/<int:number>", span.name


def check(exporter: object) -> None:
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == [
        "GET /user/<int:number>",
        "GET /nowhere",
        "GET /error",
    ], [span.name for span in spans]
    found, missing, failed = (dict(span.attributes) for span in spans)
    assert found["http.route"] == "/user/<int:number>"
    assert found["http.status_code"] == 200
    assert missing["http.status_code"] == 404
    assert failed["http.status_code"] == 500
    assert spans[2].status.status_code.name == "ERROR"
    exporter.clear()


def prometheus() -> None:
    from prometheus_flask_exporter import PrometheusMetrics

    app = make_app("measured")
    metrics = PrometheusMetrics(app)
    metrics.info("app_info", "About the application", version="1")
    ask(app)
    text = app.test_client().get("/metrics").text
    for line in (
        'flask_http_request_total{method="GET",status="200"} 1.0',
        'flask_http_request_total{method="GET",status="404"} 1.0',
        'flask_http_request_exceptions_total{method="GET",status="500"} 1.0',
        'app_info{version="1"} 1.0',
    ):
        assert line in text, f"{line} is not in\n{text}"
    assert 'flask_http_request_duration_seconds_count{method="GET",path="/user/7"' in text


def sentry() -> None:
    """An error is reported with its request, over WSGI and over ASGI."""
    import sentry_sdk
    from sentry_sdk.integrations.flask import FlaskIntegration
    from sentry_sdk.transport import Transport

    reported = []

    class Kept(Transport):
        def capture_envelope(self, envelope: object) -> None:
            if (event := envelope.get_event()) is not None:
                reported.append(event)

    address = "https://key@example.com/1"
    sentry_sdk.init(dsn=address, transport=Kept, integrations=[FlaskIntegration()])
    app = Flask("reported")

    @app.post("/plain/<name>")
    def plain(name: str) -> str:
        raise RuntimeError(f"wrong {name}")

    @app.post("/later/<name>")
    async def later(name: str) -> str:
        raise RuntimeError(f"wrong {name}")

    for ask_for in (over_wsgi, over_asgi):
        for kind in ("plain", "later"):
            reported.clear()
            assert ask_for(app, f"/{kind}/x") == 500
            sentry_sdk.flush()
            (event,) = reported
            (error,) = event["exception"]["values"]
            assert (error["type"], error["value"]) == ("RuntimeError", "wrong x")
            assert error["mechanism"]["type"] == "flask"
            assert event["transaction"] == kind
            assert event["request"]["method"] == "POST"
            assert event["request"]["url"] == f"http://localhost/{kind}/x"


def over_wsgi(app: Flask, path: str) -> int:
    said = []
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
    }  # fmt: skip
    body = app(environ, lambda status, headers: said.append(status))
    b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return int(said[0][:3])


def over_asgi(app: Flask, path: str) -> int:
    sent = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-length", b"0")],
        "server": ("localhost", 80), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    asyncio.run(app.asgi_app(scope, receive, send))
    return sent[0]["status"]


if __name__ == "__main__":
    probes = {"opentelemetry": opentelemetry, "prometheus": prometheus, "sentry": sentry}
    probes[sys.argv[1]]()
    print(f"{sys.argv[1]} works")
