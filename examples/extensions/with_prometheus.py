"""prometheus-flask-exporter: how many requests there were, of which view, and how long they took."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_flask_exporter import PrometheusMetrics

import kolben

kolben.install_as_flask()
app = kolben.Flask(__name__)
metrics = PrometheusMetrics(app, registry=CollectorRegistry(), group_by="url_rule")
orders = metrics.counter("orders", "Orders that were made")


@app.get("/books/<int:number>")
def book(number: int) -> str:
    return f"book {number}"


@app.post("/orders")
@orders
def order() -> str:
    return "Thank you."


def test_requests_are_counted_by_rule_and_timed() -> None:
    client = app.test_client()
    for number in range(3):
        client.get(f"/books/{number}")
    client.post("/orders")
    text = client.get("/metrics").text
    counted = 'flask_http_request_duration_seconds_count{method="GET",status="200",url_rule="/books/<int:number>"} 3.0'
    assert counted in text
    assert "orders_total 1.0" in text
