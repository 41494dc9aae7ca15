"""OpenTelemetry: what a request was made of, and under which number it came from another service."""

from __future__ import annotations

import kolben

kolben.install_as_flask()

from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation.flask import FlaskInstrumentor  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: E402
    InMemorySpanExporter,
)

# In earnest: BatchSpanProcessor(OTLPSpanExporter()), which sends them to a collector.
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer(__name__)

app = kolben.Flask(__name__)
FlaskInstrumentor().instrument_app(app)


@app.get("/books/<int:number>")
def book(number: int) -> str:
    with tracer.start_as_current_span("look it up") as span:
        span.set_attribute("book", number)
    return f"book {number}"


def test_a_request_is_a_span_and_its_parts_are_below_it() -> None:
    caller = "4bf92f3577b34da6a3ce929d0e0e4736"
    app.test_client().get("/books/7", headers={"traceparent": f"00-{caller}-00f067aa0ba902b7-01"})
    part, request = spans.get_finished_spans()
    assert (request.name, part.name) == ("GET /books/<int:number>", "look it up")
    assert part.parent.span_id == request.context.span_id
    assert f"{request.context.trace_id:032x}" == caller
