"""Chapter 7: uploaded files, their names, and how large they may be."""

from __future__ import annotations

import os
from io import BytesIO

import httpx
import pytest
from werkzeug.utils import secure_filename

from kolben import Flask, request

PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40 + b"\r\n--not-a-boundary\r\n"
LIMIT = 16 * 1024 * 1024


@pytest.fixture
def app(tmp_path):
    (tmp_path / "static/uploads").mkdir(parents=True)
    app = Flask("server", root_path=str(tmp_path))
    app.config["UPLOAD_FOLDER"] = "static/uploads/"
    app.config["ALLOWED_EXTENSIONS"] = {"png", "jpg", "jpeg", "gif"}

    def allowed_file(filename):
        return "." in filename and filename.rsplit(".", 1)[1] in app.config["ALLOWED_EXTENSIONS"]

    @app.route("/upload", methods=["POST"])
    def upload():
        upload_file = request.files["image"]
        if upload_file and allowed_file(upload_file.filename):
            filename = secure_filename(upload_file.filename)
            upload_file.save(os.path.join(app.root_path, app.config["UPLOAD_FOLDER"], filename))
            return "info is " + request.form.get("info", "") + ". success"
        return "failed"

    @app.route("/content", methods=["POST"])
    def content():
        return request.files["image"].stream.read()

    return app


@pytest.mark.parametrize("name", ["Lenna.jpg", "../../Lenna.jpg"])
def test_an_upload_is_stored_under_a_safe_name_and_served(app, tmp_path, name):
    client = app.test_client()
    answer = client.post("/upload", data={"info": "Lenna", "image": (BytesIO(PICTURE), name)})
    assert answer.text == "info is Lenna. success"
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["Lenna.jpg"]
    assert (tmp_path / "static/uploads/Lenna.jpg").read_bytes() == PICTURE
    with client.get("/static/uploads/Lenna.jpg") as served:
        assert served.status_code == 200
        assert served.data == PICTURE
        assert served.mimetype == "image/jpeg"


def test_another_extension_is_not_stored(app, tmp_path):
    answer = app.test_client().post("/upload", data={"image": (BytesIO(b"x"), "Lenna.exe")})
    assert answer.text == "failed"
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_request_without_the_file(app):
    assert app.test_client().post("/upload", data={"info": "Lenna"}).status_code == 400


def test_the_bytes_of_an_upload(app):
    answer = app.test_client().post("/content", data={"image": (BytesIO(PICTURE), "Lenna.jpg")})
    assert answer.data == PICTURE


class Untouchable(BytesIO):
    def read(self, *_):
        raise AssertionError("the body was read")

    readinto = readline = read


def test_a_body_declared_too_large_is_refused_unread(app):
    app.config["MAX_CONTENT_LENGTH"] = LIMIT
    answer = app.test_client().post(
        "/upload",
        input_stream=Untouchable(),
        content_type="multipart/form-data; boundary=b",
        environ_overrides={"CONTENT_LENGTH": str(LIMIT + 1)},
    )
    assert answer.status_code == 413


@pytest.fixture(scope="module")
def server(start):
    server = start(
        *("-m", "kolben", "run", "server.py", "--port", "{port}"), program="ch07", listens=False
    )
    (server.folder / "static/uploads").mkdir(parents=True)
    server.wait_until_it_listens()
    return server


@pytest.mark.parametrize("name", ["Lenna.jpg", "../../Lenna.jpg"])
def test_an_upload_over_a_socket(server, name):
    stored = server.folder / "static/uploads/Lenna.jpg"
    stored.unlink(missing_ok=True)
    answer = httpx.post(
        f"{server.url}/upload", data={"info": "Lenna"}, files={"image": (name, PICTURE)}
    )
    assert answer.text == "info is Lenna. success"
    assert stored.read_bytes() == PICTURE
    assert httpx.get(f"{server.url}/static/uploads/Lenna.jpg").content == PICTURE


def test_the_bytes_over_a_socket(server):
    assert httpx.post(f"{server.url}/content", files={"image": PICTURE}).content == PICTURE


HEAD = (
    b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n"
)
PART = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'


def test_too_large_a_declared_length_is_refused_before_a_byte_of_the_body_is_sent(server):
    answer = server.send(HEAD + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1))
    assert answer.status == 413


def test_a_body_with_no_declared_length_is_refused_once_the_limit_is_passed(server):
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    answer = server.send(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(PART), PART),
        # A little more than the limit, and the end is never sent.
        pieces=[chunk] * (LIMIT // 0x100000 + 1),
    )
    assert answer.status == 413


def test_a_body_with_no_declared_length_within_the_limit_is_read(server):
    body = PART + PICTURE + b"\r\n--b--\r\n"
    answer = server.send(
        HEAD.replace(b"/upload", b"/content")
        + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    )
    assert answer.status == 200
    assert answer.body == PICTURE
