"""A program in a container."""

import os

from kolben import Flask

app = Flask(__name__)
# From the environment, as `podman run --secret` or an orchestrator sets it; never in the image.
app.secret_key = os.environ.get("SECRET_KEY")


@app.get("/")
def index():
    return "Hello from a container!\n"


@app.get("/health")
def health():
    return {"status": "ok"}
