"""Files as responses: what is remembered of one changes nothing in the answer."""

from __future__ import annotations

import mimetypes
import os
import typing as t
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
import werkzeug.utils
from hypothesis import HealthCheck, given, settings, strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wsgi import FileWrapper

import kolben
from kolben import files

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

WHEN = 1_600_000_000.25

CONTENTS = {
    "a.txt": b"0123456789" * 10,
    "empty.txt": b"",
    "page.html": b"<p>",
    "packed.tar.gz": b"\x1f\x8b" * 20,
    "no-extension": b"?",
    "naïve.txt": b"n",
    "big.bin": bytes(range(256)) * 300,
    "deep/er/b.css": b"p {}",
    ".hidden": b"h",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, content in CONTENTS.items():
        path = folder / "static" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (WHEN, WHEN))
    (folder / "secret.txt").write_bytes(b"no")
    (folder / "static" / "link.txt").symlink_to(folder / "static" / "a.txt")
    (folder / "static" / "broken.txt").symlink_to(folder / "nowhere")
    return folder


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[list[float]]:
    """The time, which a test can set; nothing is remembered from one test to the next."""
    now = [1_700_000_000.5]
    monkeypatch.setattr(files, "time", lambda: now[0])
    monkeypatch.setattr(werkzeug.utils, "time", lambda: now[0])
    response = "werkzeug.wrappers.response.http_date"
    monkeypatch.setattr(response, lambda: files.http_date(now[0]))
    files._answers.clear()
    yield now
    files._answers.clear()


def make_app(folder: Path, **config: t.Any) -> kolben.Flask:
    app = kolben.Flask(__name__, root_path=str(folder))
    app.config.update(config)
    return app


def ask(app: kolben.Flask, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], bytes]:
    body, status, headers = run_wsgi_app(app, environ, buffered=True)
    return status, headers.to_wsgi_list(), b"".join(body)


def ask_werkzeug(
    app: kolben.Flask, name: str, environ: WSGIEnvironment, **options: t.Any
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Answer as Werkzeug alone does."""
    options.setdefault("max_age", app.get_send_file_max_age(name))
    answer: t.Any
    try:
        answer = werkzeug.utils.send_from_directory(
            str(app.static_folder),
            name,
            environ,
            use_x_sendfile=app.config["USE_X_SENDFILE"],
            response_class=app.response_class,
            _root_path=app.root_path,
            **options,
        )
    except HTTPException as error:
        answer = error
    body, status, headers = run_wsgi_app(answer, environ, buffered=True)
    return status, headers.to_wsgi_list(), b"".join(body)


# -- the same answer as Werkzeug's ------------------------------------------------------------

names = st.one_of(
    st.sampled_from([*CONTENTS, "link.txt", "broken.txt", "deep", "deep/er", "missing.txt"]),
    st.sampled_from(["../secret.txt", "deep/../a.txt", "./a.txt", "deep//er/b.css", "a.txt/"]),
    st.lists(
        st.sampled_from(["a.txt", "deep", "er", "b.css", "..", ".", "", "\\", "~", "a b"]),
        min_size=1,
        max_size=5,
    ).map("/".join),
)
TAG = "1600000000.25-100-"
dates = st.sampled_from(
    [
        "Sun, 13 Sep 2020 12:26:40 GMT",
        "Sun, 13 Sep 2020 12:26:39 GMT",
        "Tue, 14 Nov 2023 22:13:20 GMT",
        "yesterday",
    ]
)
tags = st.sampled_from(['"x"', "*", 'W/"x"', "SAME", 'W/SAME, "x"', "SAME, SAME", "broken"])
ranges = st.one_of(
    st.sampled_from(["bytes=0-9", "bytes=5-", "bytes=-5", "bytes=0-0,2-3", "bytes=", "lines=1-2"]),
    st.builds("bytes={}-{}".format, st.integers(0, 200), st.integers(0, 200)),
)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "If-None-Match": tags,
        "If-Match": tags,
        "If-Range": st.one_of(tags, dates),
        "If-Modified-Since": dates,
        "If-Unmodified-Since": dates,
        "Range": ranges,
    },
)
methods = st.sampled_from(["GET", "GET", "HEAD", "POST", "OPTIONS"])


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    requests=st.lists(st.tuples(names, methods, conditions), min_size=1, max_size=4),
    max_age=st.sampled_from([None, 0, 60]),
    x_sendfile=st.booleans(),
    wrapper=st.booleans(),
)
def test_each_answer_is_the_one_that_werkzeug_gives(
    folder, clock, requests, max_age, x_sendfile, wrapper
):
    app = make_app(folder, SEND_FILE_MAX_AGE_DEFAULT=max_age, USE_X_SENDFILE=x_sendfile)

    @app.route("/files", methods=["GET", "POST", "OPTIONS"])
    def view() -> t.Any:
        return kolben.send_from_directory("static", kolben.request.headers["X-Name"])

    for name, method, headers in requests:
        encoded = name.encode().decode("latin1")
        plain = ask_werkzeug(app, name, EnvironBuilder("/files").get_environ())
        tag = dict(plain[1]).get("ETag", '"none"')
        sent = {key: value.replace("SAME", tag) for key, value in headers.items()}

        def environ(name: str = name, method: str = method, sent: t.Any = sent) -> t.Any:
            environ = EnvironBuilder("/files", method=method, headers=sent).get_environ()
            environ["HTTP_X_NAME"] = name
            if wrapper:
                environ["wsgi.file_wrapper"] = FileWrapper
            return environ

        expected = ask_werkzeug(app, name, environ())
        if encoded == name and not headers and method == "GET":
            assert ask(app, environ()) == expected
        for _ in range(2):
            status, pairs, body = ask(app, environ())
            if expected[0].startswith(("4", "5")) and "HTML" not in expected[0]:
                assert status == expected[0]
            assert (status, pairs, body) == expected
        clock[0] += 0.7


OPTIONS: list[dict[str, t.Any]] = [
    {},
    {"as_attachment": True},
    {"download_name": "näme.txt"},
    {"mimetype": "application/x-thing"},
    {"max_age": 5},
    {"max_age": 0},
    {"max_age": 2.5},
    {"max_age": True},
    {"max_age": lambda path: len(path)},
    {"etag": False},
    {"etag": "own"},
    {"conditional": False},
    {"last_modified": 1_500_000_000},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: str(next(iter(o), "plain")))
@pytest.mark.parametrize("name", ["a.txt", "packed.tar.gz", "big.bin"])
def test_each_option_has_its_own_answer(folder, clock, options, name):
    app = make_app(folder)
    app.add_url_rule("/d", view_func=lambda: kolben.send_from_directory("static", name, **options))
    path = Path("static", name)
    app.add_url_rule("/f", "f", view_func=lambda: kolben.send_file(path, **options))
    for _ in range(2):
        for url in ("/d", "/f"):
            environ = EnvironBuilder(url).get_environ()
            assert ask(app, environ) == ask_werkzeug(app, name, environ, **options)


# -- what is remembered -----------------------------------------------------------------------


def answers(folder: Path, name: str) -> t.Any:
    """Ask for a static file twice, and return a function that asks again."""
    app = make_app(folder)
    client = app.test_client()

    def get(**kwargs: t.Any) -> t.Any:
        return client.get(f"/static/{name}", buffered=True, **kwargs)

    get()
    get()
    return get


@pytest.fixture
def changing(tmp_path: Path) -> Path:
    path = tmp_path / "static" / "a.txt"
    path.parent.mkdir()
    path.write_bytes(b"first")
    os.utime(path, (WHEN, WHEN))
    return path


def test_a_second_answer_is_made_without_werkzeug(changing, monkeypatch):
    get = answers(changing.parents[1], "a.txt")
    monkeypatch.setattr(files, "werkzeug", None)
    assert get().data == b"first"


@pytest.mark.parametrize("name", ["send_file", "send_from_directory"])
def test_what_a_test_puts_in_place_of_werkzeugs_functions_is_asked(changing, monkeypatch, name):
    app = make_app(changing.parents[1])
    app.add_url_rule("/file", "file", lambda: kolben.send_file("static/a.txt"))
    client = app.test_client()
    path = "/file" if name == "send_file" else "/static/a.txt"
    assert client.get(path, buffered=True).data == b"first"
    asked = []

    def instead(*args, **kwargs):
        asked.append(kwargs["environ"]["PATH_INFO"])
        return kolben.Response("instead")

    monkeypatch.setattr(werkzeug.utils, name, instead)
    assert client.get(path).text == "instead"
    assert asked == [path]


def test_a_file_of_another_size_is_seen(changing):
    get = answers(changing.parents[1], "a.txt")
    before = get()
    changing.write_bytes(b"the second")
    os.utime(changing, (WHEN, WHEN))
    after = get()
    assert (after.data, after.content_length) == (b"the second", 10)
    assert after.get_etag() != before.get_etag()


def test_a_file_of_another_time_is_seen(changing):
    get = answers(changing.parents[1], "a.txt")
    os.utime(changing, (WHEN, WHEN + 1))
    changed = datetime.fromtimestamp(WHEN + 1, UTC).replace(microsecond=0)
    assert get().last_modified == changed


def test_other_content_is_sent_even_where_nothing_else_tells(changing):
    get = answers(changing.parents[1], "a.txt")
    changing.write_bytes(b"other")
    os.utime(changing, (WHEN, WHEN))
    assert get().data == b"other"


def test_a_file_that_is_gone_is_not_found(changing):
    get = answers(changing.parents[1], "a.txt")
    changing.unlink()
    assert get().status_code == 404


def test_a_file_that_became_a_folder_is_not_found(changing):
    get = answers(changing.parents[1], "a.txt")
    changing.unlink()
    changing.mkdir()
    assert get().status_code == 404


def test_a_file_that_changes_while_it_is_read_is_answered_anew(changing, monkeypatch):
    get = answers(changing.parents[1], "a.txt")
    read = os.read
    monkeypatch.setattr(files.os, "read", lambda file, size: read(file, size) + b"!")
    assert get().data == b"first"


def test_a_type_that_becomes_known_is_sent(tmp_path, monkeypatch):
    monkeypatch.setattr(mimetypes, "types_map", mimetypes.types_map)
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.kolbentest").write_bytes(b"x")
    get = answers(tmp_path, "a.kolbentest")
    assert get().mimetype == "application/octet-stream"
    mimetypes.add_type("text/x-kolben", ".kolbentest")
    try:
        assert get().mimetype == "text/x-kolben"
    finally:
        del mimetypes.types_map[".kolbentest"]


def test_the_date_moves_on(changing, clock):
    get = answers(changing.parents[1], "a.txt")
    clock[0] += 61
    assert get().date == datetime.fromtimestamp(int(clock[0]), UTC)


def test_no_more_answers_are_kept_than_there_is_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_REMEMBERED", 3)
    (tmp_path / "static").mkdir()
    for n in range(10):
        (tmp_path / "static" / f"{n}.txt").write_bytes(b"%d" % n)
        assert answers(tmp_path, f"{n}.txt")().data == b"%d" % n
        assert len(files._answers) <= 3


def test_not_modified_comes_from_memory_too(changing):
    get = answers(changing.parents[1], "a.txt")
    tag = get().headers["ETag"]
    answer = get(headers={"If-None-Match": tag})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)


# -- what an application may do with it -------------------------------------------------------


def test_a_hook_finds_the_response_that_it_would_find(folder):
    app = make_app(folder)
    seen = []

    @app.after_request
    def look(response: kolben.Response) -> kolben.Response:
        seen.append((response.direct_passthrough, response.is_streamed, response.status_code))
        response.direct_passthrough = False
        response.set_data(response.get_data().replace(b"0", b"O"))
        return response

    client = app.test_client()
    for _ in range(3):
        assert client.get("/static/a.txt", buffered=True).data == CONTENTS["a.txt"].replace(
            b"0", b"O"
        )
    assert seen == [(True, True, 200)] * 3


def test_a_hook_that_changes_headers_changes_one_answer(folder):
    app = make_app(folder)

    @app.after_request
    def number(response: kolben.Response) -> kolben.Response:
        response.headers.add("X-Number", "1")
        return response

    client = app.test_client()
    for _ in range(3):
        assert client.get("/static/a.txt", buffered=True).headers.getlist("X-Number") == ["1"]


def test_a_subclass_decides_on_the_age(folder):
    class App(kolben.Flask):
        def get_send_file_max_age(self, filename: str | None) -> int | None:
            return 7 if filename == "a.txt" else super().get_send_file_max_age(filename)

    client = App(__name__, root_path=str(folder)).test_client()
    for _ in range(2):
        assert client.get("/static/a.txt", buffered=True).cache_control.max_age == 7
        assert client.get("/static/page.html", buffered=True).cache_control.max_age is None


def test_a_configured_age_may_be_a_duration(folder):
    client = make_app(folder, SEND_FILE_MAX_AGE_DEFAULT=timedelta(minutes=1)).test_client()
    for _ in range(2):
        assert client.get("/static/a.txt", buffered=True).cache_control.max_age == 60


class Plain(kolben.Response):
    default_mimetype = "text/plain"


class Tagging(kolben.Response):
    def set_etag(self, etag: str, weak: bool = False) -> None:
        super().set_etag("mine", weak)


class Counting(kolben.Response):
    count = 0

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        type(self).count += 1
        self.headers["X-Count"] = str(self.count)


@pytest.mark.parametrize("response_class", [Plain, Tagging, Counting])
def test_another_response_class_is_used(folder, response_class):
    app = make_app(folder)
    app.response_class = response_class
    Counting.count = 0

    @app.get("/")
    def view() -> kolben.Response:
        response = kolben.send_file("static/a.txt")
        assert type(response) is response_class
        return response

    answers = [ask(app, EnvironBuilder("/").get_environ()) for _ in range(3)]
    assert {body for _, _, body in answers} == {CONTENTS["a.txt"]}
    headers = [dict(headers) for _, headers, _ in answers]
    if response_class is Tagging:
        assert {each["ETag"] for each in headers} == {'"mine"'}
    if response_class is Counting:
        assert [each["X-Count"] for each in headers] == ["1", "2", "3"]


def test_a_whole_file_is_read_once_and_can_be_rewound():
    body = files.WholeFile(b"abc")
    assert (list(body), list(body)) == ([b"abc"], [])
    body.seek(1)
    assert (body.tell(), next(body), list(body)) == (1, b"bc", [])
    assert not body.seekable()  # Werkzeug cuts a range out of what iterating gives
    assert list(files.WholeFile(b"")) == []
    body.close()
    assert isinstance(body.file, BytesIO)
    assert body.file.closed


def test_a_file_that_may_not_be_opened_is_an_error(changing, monkeypatch):
    get = answers(changing.parents[1], "a.txt")

    def refuse(*args: t.Any) -> t.NoReturn:
        raise PermissionError

    monkeypatch.setattr(files.os, "open", refuse)
    assert get().status_code == 500


def test_a_file_is_sent_in_a_request_only(folder):
    with pytest.raises(RuntimeError, match="request context"):
        kolben.send_file("static/a.txt")
    with make_app(folder).app_context(), pytest.raises(RuntimeError, match="request context"):
        kolben.send_from_directory("static", "a.txt")


@pytest.mark.parametrize("name", [b"\xff.txt", b"d\xe9/caf\xe9.txt", b"\xed\xa0\x80.txt"])
@pytest.mark.parametrize("options", [{}, {"as_attachment": True}, {"conditional": False}], ids=str)
def test_a_file_whose_name_is_no_utf8_is_sent(
    name: bytes, options: dict[str, bool], tmp_path: Path
) -> None:
    raw = os.path.join(os.fsencode(tmp_path), name)
    try:
        os.makedirs(os.path.dirname(raw), exist_ok=True)
        with open(raw, "wb") as file:
            file.write(b"content")
    except OSError:
        pytest.skip("files have no such names here")
    app = kolben.Flask("program", root_path=str(tmp_path), static_folder=None)
    there = os.fsdecode(name)
    app.add_url_rule("/file", "file", lambda: kolben.send_file(tmp_path / there, **options))
    app.add_url_rule("/near", "near", lambda: kolben.send_file(there, **options))
    app.add_url_rule(
        "/from", "from", lambda: kolben.send_from_directory(tmp_path, there, **options)
    )
    client = app.test_client()
    tags = set()
    for path in ("/file", "/near", "/from", "/file"):
        response = client.get(path)
        assert (response.status_code, response.data) == (200, b"content")
        tags.add(response.headers["ETag"])
        assert response.headers["Content-Disposition"].isascii()
        response.close()
        known = client.get(path, headers={"If-None-Match": response.headers["ETag"]})
        assert known.status_code == (200 if "conditional" in options else 304)
        known.close()
    assert len(tags) == 1
