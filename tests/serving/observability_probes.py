"""Run in an environment where `flask` is kolben: do instrumentation packages see its requests?"""

from __future__ import annotations

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


if __name__ == "__main__":
    {"opentelemetry": opentelemetry, "prometheus": prometheus}[sys.argv[1]]()
    print(f"{sys.argv[1]} works")
