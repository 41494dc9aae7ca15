"""Every command of the manual is typed, page by page, in a folder with the programs that the page speaks of.

`first-api.md` and the tutorial's project have tests of their own, in `tests/projects`.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from pages import TEXTS, Reader, ask, blocks, conversations, copy_examples, lines_of, says

OF_THEIR_OWN = re.compile(r"first-api|tutorial/../ch2[34]")
#: What is not typed, and why.
LEFT_OUT = {
    r"pip install|python3 -m venv|\. \.venv/|uv ": "what it installs is here already",
    r"make ": "runs what the tests are a part of; test_docs.py holds that the target is there",
    r"podman |cd examples/container|export SECRET_KEY=\$": "needs an engine; tests of the recipe are in test_container.py",
    r"(\.venv/bin/)?python3? benchmarks/": "takes minutes",
    r"python measure.py": "needs Flask",
    r"python examples/scale-out/up.py": "tested in test_scale_out.py",
    r"python -m examples.shop.client": "talks to a server on port 5000",
    r"python3? examples/tutorial/": "listens on port 5000",
    r"celery |kolben serve orders.py": "tested with Redis in tests/ecosystem/test_celery_example.py",
    r"alembic ": "typed in tests/ecosystem/test_migrations_example.py",
    r"kubectl ": "needs a cluster; test_kubernetes.py holds the manifest to the program",
    r"kolben exec -- mlflow": "stands for any program",
    r".*(zsh|fish)_source": "of another shell",
}
SERVERS = re.compile(r"(\w+ exec -- )?(gunicorn|server\.py)|kolben (--app \w+ )?(run|serve)\b")
#: These tell by their status what they have found.
STATUSES = {"kolben check": (0, 1)}

HELLO = """
import os

from kolben import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello World!"


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
"""
FLASKR = """
import flask


def create_app():
    app = flask.Flask(__name__)

    @app.get("/")
    def hello():
        return f"Hello from {flask.Flask.__module__}!"

    @app.cli.command("init-db")
    def init_db():
        print("made")

    return app


app = create_app()
"""
API = """
from kolben.api import API

app = API(__name__)


@app.get("/")
def hello(name: str = "World") -> list[str]:
    return [f"Hello {name}!"]
"""
#: The files that a reader of the pages has.
FILES = {
    **dict.fromkeys(("hello.py", "server.py", "app.py", "module.py", "wsgi.py"), HELLO),
    "package/__init__.py": "",
    "package/module.py": HELLO,
    "flaskr/__init__.py": FLASKR,
    "flask_program.py": "import flask\nassert flask.install_as_flask\n",
    "shop.py": API,
    "on_kolben.py": "import kolben\nkolben.install_as_flask()\n",
    "of_quart.py": "from quart import Quart\n\napp = Quart(__name__)\n",
    "measure.py": next(text for text in blocks("docs/moving.md", "python") if "measure" in text),
    "test_program.py": "def test_hello():\n    import hello\n    assert hello.app\n",
}


def commands(page: str) -> list[str]:
    return [line for text in blocks(page, "sh") for line in lines_of(text)]


def typed(page: str) -> list[str]:
    return [line for line in commands(page) if not any(re.match(p, line) for p in LEFT_OUT)]


def is_translated(page: str) -> bool:
    """The same commands are on the English page, which test_tutorial_pages.py holds."""
    return "/zh/" in page or page.endswith("-zh.md")


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    folder = tmp_path / "reader"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Reader(folder)


TYPED = [
    page
    for page in TEXTS
    if (typed(page) or blocks(page, "console"))
    and not OF_THEIR_OWN.search(page)
    and not is_translated(page)
]


@pytest.mark.parametrize("page", TYPED)
def test_the_commands_of_a_page_work(page: str, reader: Reader) -> None:
    if "tutorial" in page:
        copy_examples(reader.folder)
    for line in typed(page):
        if SERVERS.match(line):
            with reader.serving(line) as address:
                assert ask(address, TEXTS[page]) or answers(address), line
        else:
            reader.type(line, *STATUSES.get(" ".join(line.split()[:2]), (0,)))
    for text in blocks(page, "console"):
        for line, expected in conversations(text):
            printed = reader.type(line, *STATUSES.get(" ".join(line.split()[:2]), (0,)))
            assert says(expected, printed), printed


VISIT = """
import sys
from module import app
from kolben import session

app.add_url_rule("/name", view_func=lambda: session.setdefault("name", "Ada"))
app.testing = True
client = app.test_client()
if len(sys.argv) > 1:
    client.set_cookie("session", sys.argv[1], domain="www.example.com", secure=True)
    with client.session_transaction(base_url="https://www.example.com") as found:
        print(found.get("name"))
else:
    client.get("/name", base_url="https://www.example.com")
    print(client.get_cookie("session", domain="www.example.com").value)
"""


def test_replacing_the_key_logs_nobody_out(reader: Reader) -> None:
    (program,) = [text for text in blocks("docs/going-live.md", "python") if "PROXY_COUNT" in text]
    (reader.folder / "module.py").write_text(program)
    (reader.folder / "visit.py").write_text(VISIT)
    lines = [line for line in typed("docs/going-live.md") if line.startswith("export ")]
    assert len(lines) == 2
    reader.environment["APP_SECRET_KEY"] = "0f5c7a19e2d84b36a0c1"
    before = reader.type("python visit.py").strip()
    for line in lines:
        reader.type(line)
    assert reader.type(f"python visit.py {before}").strip() == "Ada"
    after = reader.type("python visit.py").strip()
    reader.type("unset APP_SECRET_KEY_FALLBACKS")
    assert reader.type(f"python visit.py {before}").strip() == "None"
    assert reader.type(f"python visit.py {after}").strip() == "Ada"


OF_QUART = """
import program0, program3, program4

client = program0.app.test_client()
assert client.post("/users", data={"name": "Ada"}).text == "Hello, Ada!"
assert client.post("/sum", json=[1, 2]).json == {"sum": 3}
assert program4.app.test_client().post("/orders").status_code == 202
"""


def test_the_command_for_programs_of_quart_changes_what_it_says(reader: Reader) -> None:
    programs = blocks("docs/from-quart.md", "py")
    for number, text in enumerate(programs):
        (reader.folder / f"program{number}.py").write_text(text)
    (command,) = typed("docs/from-quart.md")
    reader.type(command)
    changed = [(reader.folder / f"program{n}.py").read_text() for n in range(len(programs))]
    assert [text for text in changed if "uart" in text] == []
    (reader.folder / "of_quart.py").write_text(OF_QUART)
    reader.type("python of_quart.py")


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return bool(answer.read())
    except urllib.error.HTTPError as error:
        return error.code < 500


@pytest.mark.parametrize("pattern", LEFT_OUT)
def test_what_is_left_out_is_there(pattern: str) -> None:
    lines = [line for page in TEXTS for line in commands(page)]
    examples = [line for path in EXAMPLES for line in lines_of_file(path)]
    assert [line for line in [*lines, *examples] if re.match(pattern, line)]


EXAMPLES = sorted(Path(__file__).parents[1].glob("examples/*/README.md"))


def lines_of_file(path: Path) -> list[str]:
    found = re.findall(r"^```sh\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
    return [line for text in found for line in lines_of(text)]


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.parent.name for path in EXAMPLES])
def test_the_commands_of_an_example_work(path: Path, reader: Reader) -> None:
    copy_examples(reader.folder)
    lines = [line for line in lines_of_file(path) if not any(re.match(p, line) for p in LEFT_OUT)]
    for line in lines:
        with reader.serving(line) as address:
            assert answers(address), line
