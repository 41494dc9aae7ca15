"""The tutorial's programs as printed, ``from flask import ...``, under ``kolben run server.py``."""

from __future__ import annotations

import re

import httpx
import pytest


@pytest.fixture
def program(start):
    """A client for the program of that name; ``printed(text)`` waits for what it prints."""
    opened = []

    def program(name):
        chapter, _, file = name.partition("/")
        server = start(
            *("-m", "kolben", "run", f"{file}.py", "--port", "{port}", "--no-reload"),
            program=chapter,
        )
        client = httpx.Client(base_url=server.url, timeout=20)
        client.printed = server.wait_for
        opened.append((client, server))
        return client

    yield program
    for client, server in opened:
        client.close()
        server.stop()


USER = {"name": "letian", "password": "123"}
ENCODED = "/?info=%E8%BF%99%E6%98%AF%E7%88%B1%EF%BC%8C"


def test_hello_world(program):
    client = program("ch03/server")
    assert client.get("/").text == "Hello World!"
    client.printed(" * Running on http://127.0.0.1:")
    client.printed('"GET / HTTP/1.1" 200 -')


def test_arguments(program):
    client = program("ch04/server")
    assert (
        client.get("/?user=Flask&time&p=7&p=8").text
        == "ImmutableMultiDict([('user', 'Flask'), ('time', ''), ('p', '7'), ('p', '8')])"
    )
    assert client.get("/?info=这是爱，").text == "ImmutableMultiDict([('info', '这是爱，')])"
    assert client.printed(ENCODED).splitlines().count(ENCODED) == 1


def test_an_argument_that_is_missing(program):
    client = program("ch04/server_get")
    assert client.get("/?info=hello").text == "hello"
    failed = client.get("/")
    assert failed.status_code == 500
    # The program asked for debug mode, so the page explains.
    assert "hello_world" in failed.text
    assert "None" in failed.text


def test_an_argument_with_a_default(program):
    client = program("ch04/server_default")
    assert client.get("/").text == "hi"
    assert client.get("/?info=hello").text == "hello"


def test_several_values(program):
    client = program("ch04/server_getlist")
    assert client.get("/?user=Flask&time&p=7&p=8").text == "['7', '8']"


def test_post(program):
    client = program("ch05/server")
    assert client.post("/register", data=USER).text == "welcome"
    printed = client.printed("b'name=letian&password=123'")
    assert "Content-Type: application/x-www-form-urlencoded" in printed
    assert client.get("/register").status_code == 405


def test_post_parsed(program):
    client = program("ch05/server_form")
    assert client.post("/register", data={**USER, "name": ["letian", "letian2"]}).text == "welcome"
    printed = client.printed("little apple")
    assert "ImmutableMultiDict([('name', 'letian'), ('name', 'letian2'), " in printed
    assert "\nletian\nletian\n['letian', 'letian2']\nlittle apple\n" in printed


def test_json(program):
    client = program("ch06/server")
    assert client.post("/add", json={"a": 1, "b": 2}).text == "3"
    client.printed("<class 'dict'>\n{'a': 1, 'b': 2}")


def test_json_answers(program):
    numbers = {"a": 1, "b": 2}
    plain = program("ch06/server2").post("/add", json=numbers)
    assert (plain.text, plain.headers["Content-Length"]) == ('{"sum": 3}', "10")
    assert plain.headers["Content-Type"] == "application/json"
    own = program("ch06/server3").post("/add", json=numbers)
    assert own.headers.get_list("Server") == ["python flask"]
    # The program asked for debug mode, in which jsonify indents.
    pretty = program("ch06/server4").post("/add", json=numbers)
    assert pretty.headers["Content-Type"] == "application/json"
    assert pretty.text == '{\n  "sum": 3\n}\n'


def test_urls(program):
    client = program("ch08/server")
    assert client.get("/user/letian").text == "hello letian"
    client.printed("letian\n<class 'str'>")
    assert client.get("/user/letian/").status_code == 404
    assert client.get("/user/letian/friends").text == "hello letian. They are your friends."


def test_url_types(program):
    client = program("ch08/server_int")
    assert client.get("/page/1").status_code == 200
    client.printed("1\n<class 'int'>")
    assert client.get("/page/asd").status_code == 404
    client = program("ch08/server_range")
    assert client.get("/page/11-22").status_code == 200
    client.printed("11\n22\n")


def test_url_converter(program):
    client = program("ch08/server_converter")
    assert client.get("/page/123").status_code == 200
    client.printed("123\n/page/246\n")


def test_url_for(program):
    client = program("ch09/server")
    assert client.get("/test").text == "Hello"
    client.printed("/\n/user/letian\n/page/1?q=hadoop+mapreduce+10%253\n/static/uploads/01.jpg\n")


def test_redirect(program):
    client = program("ch10/server")
    answer = client.get("/test1")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/test2")
    assert client.get("/test1", follow_redirects=True).text == "this is test2"


def test_template(program):
    page = program("ch11/server").get("/user").text
    assert re.search(r"<title>\s*letian&#39;s info\s*</title>", page)
    assert "github: https://github.com/letiantian <br/>" in page


def test_abort(program):
    client = program("ch12/server")
    answer = client.get("/user")
    assert answer.status_code == 401
    assert "<title>401 Unauthorized</title>" in answer.text
    assert "log in first" not in client.printed("GET /user")


def test_error_page(program):
    answer = program("ch12/server_custom").get("/user")
    assert answer.status_code == 401
    assert answer.text.startswith("<h1> Unauthorized </h1><h2>401 Unauthorized:")


def test_session(program):
    client = program("ch13/server")
    assert 'action="/do_login"' in client.get("/login").text
    entered = client.post("/do_login", data={"user_name": "letian"})
    assert entered.text == "success"
    assert re.fullmatch(r"session=[\w.-]+; HttpOnly; Path=/", entered.headers["Set-Cookie"])
    assert client.get("/show").text == "letian"
    left = client.get("/logout")
    assert (left.status_code, left.headers["Location"]) == (302, "/login")
    assert "session" not in client.cookies


def test_cookies(program):
    client = program("ch14/server")
    assert client.get("/add").text == "add cookies"
    assert client.get("/show").text == "ImmutableMultiDict([('name', 'letian')])"
    assert client.get("/del").text == "delete cookies"
    assert client.get("/show").text == "ImmutableMultiDict([])"


def test_flash(program):
    client = program("ch15/server")
    first, second = client.get("/gen").text, client.get("/gen").text
    assert first.startswith("access at ")
    assert client.get("/show1").text == str([first, second])
    assert "session" not in client.cookies
    assert client.get("/show1").text == "[]"
    assert client.get("/show2").text == "[]"


def test_flash_with_categories(program):
    client = program("ch15/server_categories")
    info = client.get("/gen").text
    assert client.get("/show1").text == f"['show1 {info}']"
    assert client.get("/show2").text == "[]"
