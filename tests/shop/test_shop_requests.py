"""Requests made from the shop's document by schemathesis, all checks on: each answer is one that it says.

All checks and all phases, among them what follows from earlier answers. Left out is one thing: `1.0`, which is an
integer to JSON Schema and none to the API.
"""

import socket
import subprocess
import sys
import threading

import pytest
import uvicorn
from werkzeug.serving import make_server

HOOKS = """
import schemathesis

def holds_whole_floats(value):
    if isinstance(value, dict):
        return any(map(holds_whole_floats, value.values()))
    if isinstance(value, list):
        return any(map(holds_whole_floats, value))
    return isinstance(value, float) and value.is_integer()

@schemathesis.hook
def filter_body(context, body):
    return not holds_whole_floats(body)
"""


@pytest.fixture(params=["wsgi", "asgi"])
def url(request, app):
    app.config["SHOP_STREAM_SECONDS"] = 0.1
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    if request.param == "wsgi":
        server = make_server("127.0.0.1", port, app, threaded=True, fd=listening.fileno())
        serve, stop = server.serve_forever, server.shutdown
    else:
        uvicorn_server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        serve = lambda: uvicorn_server.run(sockets=[listening])  # noqa: E731
        stop = lambda: setattr(uvicorn_server, "should_exit", True)  # noqa: E731
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stop()
        thread.join()
        listening.close()


@pytest.mark.timeout(240)
def test_each_answer_is_one_that_the_document_says(url, bearer, tmp_path):
    (tmp_path / "hooks.py").write_text(HOOKS)
    token = bearer("grace", "compiler")["Authorization"]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/shop/api/openapi.json"]
    command += ["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"]
    command += ["--header", f"Authorization: {token}", "--max-examples", "5", "--seed", "1"]
    command += ["--generation-database", "none", "--no-color"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 selected / 11 total" in done.stdout
