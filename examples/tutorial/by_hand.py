"""Chapter 1: what a framework takes off your hands, done by hand with Python alone."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIEnvironment


def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    status, text = "200 OK", "Hello World!"
    if environ["PATH_INFO"] == "/hello":
        name = parse_qs(environ["QUERY_STRING"]).get("name", ["stranger"])[0]
        text = f"Hello {escape(name)}!"
    elif environ["PATH_INFO"] != "/":
        status, text = "404 Not Found", "Not Found"
    body = text.encode()
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]


if __name__ == "__main__":
    with make_server("127.0.0.1", 5000, app) as server:
        server.serve_forever()
