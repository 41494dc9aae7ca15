"""What a client sends is parsed as Werkzeug parses it."""

from __future__ import annotations

import io
import tracemalloc
import typing as t

import pytest
from hypothesis import given, settings, strategies as st
from werkzeug import formparser as werkzeug_formparser
from werkzeug.datastructures import FileStorage, ImmutableMultiDict
from werkzeug.exceptions import RequestEntityTooLarge

from kolben.http import multipart
from kolben.http.fields import parse_query

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


class ShortReads(io.BytesIO):
    """A stream that gives the body in pieces of the sizes listed, then of the last size."""

    def __init__(self, body: bytes, sizes: list[int]) -> None:
        super().__init__(body)
        self.sizes = sizes

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or not self.sizes:
            return super().read(size)
        return super().read(min(size, self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0]))


def parse_form(
    module: t.Any,
    body: bytes,
    mimetype: str = MULTIPART,
    *,
    boundary: str = "xyz",
    sizes: t.Sequence[int] | None = (),
    **options: t.Any,
) -> t.Any:
    """Parse with one of the two modules; the result in a form that can be compared.

    Without sizes the body is in memory as a whole.
    """
    parser = module.FormDataParser(**options)
    stream = io.BytesIO(body) if sizes is None else ShortReads(body, list(sizes))
    try:
        rest, form, files = parser.parse(stream, mimetype, len(body), {"boundary": boundary})
    except Exception as error:
        return type(error)
    return list(form.lists()), [(k, list(map(describe, v))) for k, v in files.lists()], rest.read()


def describe(file: FileStorage) -> t.Any:
    headers = list(file.headers)
    content = file.stream.read()
    file.close()
    return file.name, file.filename, file.mimetype, headers, type(file.stream), content


class Factory:
    """Werkzeug's stream factory, with a record of what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[t.Any] = []
        self.opened: list[t.Any] = []

    def __call__(self, **about: t.Any) -> t.Any:
        self.asked.append(about)
        self.opened.append(werkzeug_formparser.default_stream_factory(**about))
        return self.opened[-1]


def both(body: bytes, *, sizes: t.Sequence[int] = (), **options: t.Any) -> t.Any:
    """Parse with both modules, check that they agree, and return the result.

    Twice: in chunks of the sizes, and with the whole body in memory.
    """
    at_once = agreed(body, sizes=None, **options)
    in_chunks = agreed(body, sizes=sizes, **options)
    return in_chunks if sizes else at_once


def agreed(body: bytes, **options: t.Any) -> t.Any:
    if "stream_factory" in options:
        result = parse_form(multipart, body, **options)
        assert result == parse_form(werkzeug_formparser, body, **options)
        return result
    ours, theirs = Factory(), Factory()
    result = parse_form(multipart, body, stream_factory=ours, **options)
    expected = parse_form(werkzeug_formparser, body, stream_factory=theirs, **options)
    try:
        if result != expected and options.get("sizes"):
            # Where a read ends inside the line of a boundary, Werkzeug takes a line break for data, and
            # counts it. And who finds an error sooner has opened fewer files, and leaves more unread.
            if repr(result).replace("\\r", "") == repr(expected).replace("\\r", ""):
                return result
            at_once = {**options, "sizes": None, "max_form_memory_size": None}
            expected = parse_form(werkzeug_formparser, body, stream_factory=theirs, **at_once)
            if isinstance(result, tuple) and result[:2] == ([], []):
                assert result[:2] == expected[:2]
                return result
        assert result == expected
        if isinstance(result, tuple):
            assert ours.asked == theirs.asked[: len(ours.asked)]
    finally:
        # After an error Werkzeug leaves its files open; the test makes up for that.
        for stream in theirs.opened:
            stream.close()
    return result


def part(headers: str, content: bytes | str, end: str = "\r\n") -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return f"--xyz{end}{headers}{end}{end}".encode() + content + end.encode()


PLAIN_FIELD = part('Content-Disposition: form-data; name="a"', "1")
PLAIN_FILE = part(
    'Content-Disposition: form-data; name="f"; filename="ä.txt"\r\nContent-Type: text/plain',
    b"\r\n--xy\r\n--",
)
END = b"--xyz--\r\n"


def test_fields_and_files_are_told_apart():
    form, files, _ = both(PLAIN_FIELD + PLAIN_FILE + PLAIN_FIELD + END)
    assert form == [("a", ["1", "1"])]
    assert files[0][1][0][:3] == ("f", "ä.txt", "text/plain")
    assert files[0][1][0][-1] == b"\r\n--xy\r\n--"


ODD_HEADERS = [
    'content-disposition: form-data; name="a"; filename="b"\r\nX-Thing: 1',
    'Content-Disposition: form-data; name="a"; filename=""\r\nContent-Type: a/b',
    'Content-Disposition: form-data; name="a"; filename="C:\\\\dir\\\\b.txt"',
    'Content-Disposition: form-data; name="a"; filename="C:\\dir\\b.txt"',
    "Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''%e2%82%ac.txt",
    "Content-Disposition: form-data; name*=iso-8859-1''%e9; filename=\"x\"",
    'Content-Disposition: form-data; name*0="a"; name*1="b"',
    'Content-Disposition: form-data; name="a%22b"; filename="%22.txt"',
    'Content-Disposition: form-data; name="a\\"b"',
    'Content-Disposition: form-data; name="a;b"; filename="c; d=e"',
    'Content-Disposition: form-data;name="a"',
    "Content-Disposition: form-data; name=a; filename=b",
    'Content-Disposition: form-data; filename="b"',
    'Content-Disposition: form-data; name=""',
    "Content-Disposition: form-data",
    "Content-Type: text/plain",
    'Content-Disposition: form-data;\r\n name="a"',
    'Content-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=iso-8859-1',
    'Content-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=utf-16',
    'Content-Disposition: form-data; name="a"\r\nContent-Type:  text/plain ',
    'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64',
    'Content-Disposition: form-data; name="a"; filename="b"\r\nContent-Length: 3',
    'Content-Type: text/x\r\nContent-Disposition: form-data; name="a"; filename="b"',
    'Content-Disposition: form-data; name="\xff"',
]


@pytest.mark.parametrize("headers", ODD_HEADERS)
def test_headers_that_no_browser_writes_mean_what_they_mean_to_werkzeug(headers):
    both(part(headers, b"h\xe9llo") + END)


def test_a_header_that_is_no_utf8_makes_the_form_empty():
    body = PLAIN_FIELD.replace(b'"a"', b'"\xff"') + END
    assert both(body) == ([], [], b"")
    assert both(body, silent=False) is UnicodeDecodeError


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_any_line_end_is_understood(end):
    body = part('Content-Disposition: form-data; name="a"', "1", end) + b"--xyz--" + end.encode()
    assert both(body)[0] == [("a", ["1"])]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(END, id="only the end"),
        pytest.param(PLAIN_FIELD, id="no end"),
        pytest.param(PLAIN_FIELD + b"--xyz--", id="no line end after the end"),
        pytest.param(PLAIN_FIELD + b"--xyz--  \r\nrest", id="something after the end"),
        pytest.param(b"hello\r\n" + PLAIN_FIELD + END, id="something before the start"),
        pytest.param(b"\r\n" + PLAIN_FIELD + END, id="a line end before the start"),
        pytest.param(PLAIN_FIELD.replace(b"xyz", b"xyz  ") + END, id="space after the boundary"),
        pytest.param(PLAIN_FIELD[:-2] + END, id="no line end before the boundary"),
        pytest.param(part('Content-Disposition: form-data; name="a"', "")[:-2] + END, id="empty"),
        pytest.param(PLAIN_FIELD + b"--xyz-\r\n" + END, id="a boundary that is none"),
        pytest.param(
            PLAIN_FIELD.replace(b"\r\n\r\n", b"\n\n\r\n") + END, id="a line feed ends the headers"
        ),
    ],
)
@pytest.mark.parametrize("silent", [True, False])
def test_a_broken_body_ends_as_with_werkzeug(body, silent):
    both(body, silent=silent)


def test_a_boundary_is_required_and_has_to_be_ascii():
    for boundary in "", "ä":
        both(PLAIN_FIELD + END, boundary=boundary)
        assert issubclass(both(PLAIN_FIELD + END, boundary=boundary, silent=False), ValueError)


PIECES = st.sampled_from(
    [
        PLAIN_FIELD,
        PLAIN_FILE,
        END,
        b"--xyz",
        b"\r\n--xyz\r\n",
        b"--",
        b"\r",
        b"\n",
        b" ",
        b"\r\n\r\n",
        b"content",
        b"\xff",
        b'Content-Disposition: form-data; name="b"',
        *(part(headers, "x") for headers in ODD_HEADERS),
    ]
)
LIMITS = st.none() | st.integers(0, 200)
SIZES = st.lists(st.integers(1, 90), max_size=30)


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.lists(PIECES, max_size=8),
    ended=st.booleans(),
    sizes=SIZES,
    memory=LIMITS,
    count=st.none() | st.integers(0, 4),
    silent=st.booleans(),
)
def test_any_body_in_any_chunks_is_parsed_as_werkzeug_does(
    pieces, ended, sizes, memory, count, silent
):
    both(
        b"".join(pieces) + (END if ended else b""),
        sizes=sizes,
        max_form_memory_size=memory,
        max_form_parts=count,
        silent=silent,
    )


@settings(max_examples=300, deadline=None)
@given(
    content=st.lists(
        st.sampled_from([b"\r", b"\n", b"-", b"--xy", b"\r\n--xyz", b"--xyz-", b"some text"]),
        max_size=12,
    ).map(b"".join),
    cut=st.integers(0, 40),
    flip=st.integers(0, 200),
    sizes=SIZES,
)
def test_a_damaged_body_is_parsed_as_werkzeug_does(content, cut, flip, sizes):
    body = bytearray(PLAIN_FIELD + PLAIN_FILE[:-2] + content + b"\r\n" + PLAIN_FIELD + END)
    if flip < len(body):
        body[flip] ^= 0x20
    both(bytes(body[: len(body) - cut]), sizes=sizes)


ORDINARY_CONTENT = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"-", b"--", b"--xy", b"text", b"\xff", b"xyz"]),
    max_size=8,
).map(b"".join)
ORDINARY_HEADERS = st.sampled_from(
    [
        'Content-Disposition: form-data; name="a"',
        'Content-Disposition: form-data; name="b"',
        'Content-Disposition: form-data; name="b"\r\nContent-Type: text/plain; charset=iso-8859-1',
        'Content-Disposition: form-data; name="f"; filename="ä.txt"',
        'Content-Disposition: form-data; name="f"; filename=""\r\nContent-Type: text/x; a="b"',
        'Content-Disposition: form-data; name="--x"; filename="--xyz"',
    ]
)


@settings(max_examples=500, deadline=None)
@given(
    parts=st.lists(st.builds(part, ORDINARY_HEADERS, ORDINARY_CONTENT), max_size=6),
    start=st.sampled_from([b"", b"", b"", b"\r\n", b"\n", b" "]),
    end=st.sampled_from(
        [END, END, b"--xyz--", b"--xyz-- \r\n", b"--xyz--\r\nrest", b"--xyz--\n", b""]
    ),
    changes=st.lists(
        st.tuples(
            st.integers(0, 400),
            st.integers(0, 4),
            st.sampled_from(
                [b"", b"\r", b"\n", b"\r\n", b"-", b"--xyz", b'"', b"\\", b"\xff", b" "]
            ),
        ),
        max_size=3,
    ),
    count=st.none() | st.integers(-2, 6),
    memory=st.none() | st.sampled_from([0, 100, 300, 10_000]),
    silent=st.booleans(),
)
def test_an_ordinary_body_with_a_few_changes_is_parsed_as_werkzeug_does(
    parts, start, end, changes, count, memory, silent
):
    body = start + b"".join(parts) + end
    for position, length, new in changes:
        body = body[:position] + new + body[position + length :]
    both(body, max_form_parts=count, max_form_memory_size=memory, silent=silent)


@pytest.mark.parametrize("boundary", ["-", "--", "---x", "a--a", "x--", " x", "x ", "a\r\n", "."])
def test_odd_boundaries_mean_what_they_mean_to_werkzeug(boundary):
    for content in b"", b"-", b"--", b"\r\n-", b"\r\n--", b"\r\n---", b"--" + boundary.encode():
        body = part('Content-Disposition: form-data; name="a"', content)
        both((body * 2 + END).replace(b"xyz", boundary.encode()), boundary=boundary)
        both((b"\r\n" + body + END).replace(b"xyz", boundary.encode()), boundary=boundary)


def test_what_browsers_send_is_parsed_at_once_if_it_is_in_memory(monkeypatch):
    monkeypatch.setattr(multipart, "_Decoder", None)
    parser = multipart.FormDataParser(max_form_memory_size=500_000, max_form_parts=3)
    body = PLAIN_FIELD + PLAIN_FILE + PLAIN_FIELD + END
    for start in b"", b"\r\n":
        stream = io.BytesIO(start + body)
        rest, form, files = parser.parse(stream, MULTIPART, len(body), {"boundary": "xyz"})
        assert rest.read() == b""
        assert form.getlist("a") == ["1", "1"]
        assert files["f"].read() == b"\r\n--xy\r\n--"
        files["f"].close()


def test_a_stream_that_was_read_from_is_parsed_from_there():
    body = io.BytesIO(b"before" + PLAIN_FIELD + END)
    body.read(6)
    _, form, _ = multipart.FormDataParser().parse(body, MULTIPART, None, {"boundary": "xyz"})
    assert form.to_dict() == {"a": "1"}


@pytest.mark.parametrize("size", [100, 65_400, 500_000, 700_000])
@pytest.mark.parametrize("content", [b"\xff", b"text\r\n", b"\r", b"\n-"])
def test_a_big_file_arrives_whole(size, content):
    head = part('Content-Disposition: form-data; name="f"; filename="b"', content * size)[
        : size + 64
    ]
    _, files, _ = both(PLAIN_FIELD + head + b"\r\n" + END, max_form_memory_size=500_000)
    assert len(files[0][1][0][-1]) > size - 10


def test_a_field_may_not_pass_the_limit_but_a_file_may():
    long = part('Content-Disposition: form-data; name="a"', "x" * 600_000)
    with_file = part('Content-Disposition: form-data; name="a"; filename="b"', "x" * 600_000)
    assert both(long + END, max_form_memory_size=500_000) is RequestEntityTooLarge
    assert both(with_file + END, max_form_memory_size=500_000)[1][0][0] == "a"


def test_the_parts_are_counted():
    assert both(PLAIN_FIELD * 3 + END, max_form_parts=3)[0] == [("a", ["1", "1", "1"])]
    assert both(PLAIN_FIELD * 4 + END, max_form_parts=3) is RequestEntityTooLarge


def test_files_go_where_the_stream_factory_says_and_are_closed_after_an_error():
    made: list[io.BytesIO] = []

    def factory(**about: t.Any) -> io.BytesIO:
        assert about["filename"] == "ä.txt"
        assert about["content_type"] == "text/plain"
        made.append(io.BytesIO())
        return made[-1]

    both(PLAIN_FILE + END, stream_factory=factory)
    parser = multipart.FormDataParser(factory, silent=False)
    with pytest.raises(ValueError):
        parser.parse(io.BytesIO(PLAIN_FILE + PLAIN_FILE[:-9]), MULTIPART, 1, {"boundary": "xyz"})
    # Two ways, ours and Werkzeug's, and the two files of the broken body.
    assert [stream.closed for stream in made] == [True] * 6


def test_the_result_is_of_the_class_asked_for():
    parser = multipart.FormDataParser(cls=ImmutableMultiDict)
    for mimetype in MULTIPART, URLENCODED, "text/plain":
        _, form, files = parser.parse(io.BytesIO(), mimetype, 0, {"boundary": "xyz"})
        assert isinstance(form, ImmutableMultiDict)
        assert isinstance(files, ImmutableMultiDict)


def test_a_big_upload_takes_no_more_memory_than_a_few_chunks():
    class Zeros(io.RawIOBase):
        rest = 20_000_000

        def read(self, size: int = -1) -> bytes:
            size = min(size, self.rest)
            self.rest -= size
            return b"\0" * size

    class Nowhere(io.BytesIO):
        def write(self, data: t.Any) -> int:
            return len(data)

    class Body:
        def __init__(self) -> None:
            self.parts: list[t.Any] = [
                io.BytesIO(PLAIN_FILE[: PLAIN_FILE.index(b"\r\n\r\n") + 4]),
                Zeros(),
                io.BytesIO(b"\r\n" + END),
            ]

        def read(self, size: int = -1) -> bytes:
            while self.parts:
                if data := self.parts[0].read(size):
                    return data
                del self.parts[0]
            return b""

    parser = multipart.FormDataParser(lambda **about: Nowhere(), max_form_memory_size=500_000)
    tracemalloc.start()
    try:
        _, _, files = parser.parse(Body(), MULTIPART, None, {"boundary": "xyz"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert files["f"].filename == "ä.txt"
    assert peak < 2_000_000


def test_thousands_of_fields_are_parsed():
    query = "&".join(f"name{n}=value" for n in range(5000))
    assert len(parse_query(query)) == 5000
    body = b"".join(part(f'Content-Disposition: form-data; name="{n}"', "") for n in range(5000))
    assert len(both(body + END)[0]) == 5000


# -- url-encoded bodies -----------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*"&&===++%%", "%20", "%C3%A9", "%ff", "%zz", "a", "é", "\x00"])).map(
        "".join
    )
)
def test_a_url_encoded_body_is_parsed_as_werkzeug_does(text):
    body = text.encode()
    ours = parse_form(multipart, body, URLENCODED)
    assert ours == parse_form(werkzeug_formparser, body, URLENCODED)


def test_a_url_encoded_body_that_is_no_utf8_is_an_empty_form():
    assert parse_form(multipart, b"a=\xff", URLENCODED) == ([], [], b"")


CONTENTS = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"-", b"--", b"--xy", b"abc", b" ", b"x" * 70]),
    max_size=8,
).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(
    contents=st.lists(CONTENTS, min_size=1, max_size=3),
    sizes=SIZES,
    padding=st.sampled_from([b"", b" ", b"\t "]),
)
def test_files_are_the_bytes_that_were_sent_wherever_a_read_ends(
    contents: list[bytes], sizes: list[int], padding: bytes
) -> None:
    head = b'Content-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    body = b"".join(b"--xyz" + padding + b"\r\n" + head + content + b"\r\n" for content in contents)
    body += b"--xyz--" + padding + b"\r\n"
    for pieces in (sizes or [1], [len(body) - cut for cut in (1, 2, 3, 4, 5)]):
        _, files, _ = parse_form(multipart, body, sizes=pieces)
        assert [file[-1] for _, named in files for file in named] == contents


@pytest.mark.parametrize("cut", range(1, 12))
@pytest.mark.parametrize("content", [b"abc", b"abc\r", b"abc\r\n", b""])
def test_a_file_gains_nothing_where_a_read_ends_inside_the_last_boundary(
    content: bytes, cut: int
) -> None:
    body = (
        b'--xyz\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
        + content
        + b"\r\n--xyz--\r\n"
    )
    _, files, _ = parse_form(multipart, body, sizes=[len(body) - cut, cut])
    assert files[0][1][0][-1] == content
