"""A program for a service that calls a function for each request: `app.handler` there."""

import os

from apig_wsgi import make_lambda_handler

from kolben import Flask, request, session

app = Flask(__name__)
app.config.from_mapping(
    SECRET_KEY=os.environ["SECRET_KEY"],
    SESSION_COOKIE_SECURE=True,
    MAX_CONTENT_LENGTH=4 * 1024 * 1024,
)


@app.get("/")
def hello():
    session["visits"] = session.get("visits", 0) + 1
    return {"hello": request.args.get("name", "World"), "visits": session["visits"]}


@app.post("/files")
def receive():
    file = request.files["file"]
    return {"name": file.filename, "size": len(file.read())}


@app.get("/picture")
def picture():
    return b"\x89PNG\r\n\x1a\n\x00\xff", {"Content-Type": "image/png"}


#: What the service calls. Bytes that are no text go out in base64.
handler = make_lambda_handler(app.wsgi_app, binary_support=True)
