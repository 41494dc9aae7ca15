"""Requests and responses: Werkzeug's, with some ways made short that must mean the same."""

from __future__ import annotations

import io
import pickle
import typing as t
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
from hypothesis import given, strategies as st
from werkzeug.datastructures import Headers, ImmutableMultiDict, MultiDict
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request as WerkzeugRequest, Response as WerkzeugResponse

import kolben
from kolben import Request, Response, wrappers
from kolben.wrappers import ResponseHeaders


def environ(*arguments: t.Any, **values: t.Any) -> dict[str, t.Any]:
    return EnvironBuilder(*arguments, **values).get_environ()


def bare(**changes: t.Any) -> dict[str, t.Any]:
    """What a request needs, and nothing that a server may leave out."""
    return {"REQUEST_METHOD": "GET", "wsgi.input": io.BytesIO(), **changes}


# -- requests --------------------------------------------------------------------------------

MULTIPART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'
ENVIRONS: dict[str, t.Callable[[], dict[str, t.Any]]] = {
    "plain": lambda: environ("/path?a=1&b=2"),
    "lower case method": lambda: environ("/") | {"REQUEST_METHOD": "get"},
    "mounted": lambda: environ("/x", base_url="https://example.org:8080/app/"),
    "umlauts": lambda: environ("/ü/ä?ö=ß"),
    "odd query": lambda: bare(QUERY_STRING="a=1&&=&=x&a=2&b&=y&&c==&"),
    "odd query, quoted": lambda: bare(QUERY_STRING="a=%31&&=&=x&a=2&b&=y&&c==&"),
    "huge length": lambda: bare(CONTENT_LENGTH="9" * 5000),
    "wrong UTF-8": lambda: bare(
        PATH_INFO="/\xff", SCRIPT_NAME="/\xfe/", QUERY_STRING="\xc3\xa4=%ff"
    ),
    "bare": bare,
    "no slash": lambda: bare(PATH_INFO="x", SCRIPT_NAME="y"),
    "two slashes": lambda: bare(PATH_INFO="//x", SCRIPT_NAME="/y//"),
    "no method": lambda: {"wsgi.input": io.BytesIO()},
    "Unix socket": lambda: bare(SERVER_NAME="/tmp/s", SERVER_PORT=""),
    "port": lambda: bare(SERVER_NAME="localhost", SERVER_PORT="81"),
    "no port": lambda: bare(SERVER_NAME="localhost"),
    "cookies": lambda: bare(HTTP_COOKIE='a=1; b="x y"; a=2; =; c'),
    "form": lambda: environ("/", method="POST", data={"a": "ü", "b": ["1", "2"]}),
    "multipart": lambda: environ(
        "/", method="POST", data=MULTIPART, content_type="multipart/form-data; boundary=b"
    ),
    "json": lambda: environ("/", method="POST", json={"a": [1]}),
    "chunked": lambda: bare(HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH="7"),
    "odd length": lambda: bare(CONTENT_LENGTH="-7"),
    "odder length": lambda: bare(CONTENT_LENGTH="²"),
    "empty length": lambda: bare(CONTENT_LENGTH=""),
    "type": lambda: bare(CONTENT_TYPE='text/PLAIN; charset=latin-1; x="y"'),
    "proxy": lambda: bare(REMOTE_ADDR="10.0.0.1", HTTP_HOST="example.org", HTTP_X_A="1"),
}
ATTRIBUTES = (
    "method", "scheme", "server", "root_path", "path", "query_string", "remote_addr", "args",
    "cookies", "content_length", "mimetype", "mimetype_params", "content_type", "url", "base_url",
    "full_path", "script_root", "host", "host_url", "form", "values", "is_json", "is_secure",
    "access_route", "headers", "want_form_data_parsed", "if_match", "content_encoding",
)  # fmt: skip


@pytest.mark.parametrize("attribute", ATTRIBUTES)
@pytest.mark.parametrize("kind", ENVIRONS)
def test_attributes_are_those_of_werkzeug(kind: str, attribute: str) -> None:
    ours: t.Any = Request(ENVIRONS[kind]())
    theirs: t.Any = WerkzeugRequest(ENVIRONS[kind]())
    expected, value = getattr(theirs, attribute), getattr(ours, attribute)
    assert isinstance(value, type(expected))
    if attribute in {"headers", "if_match"}:  # these are equal to themselves only
        value, expected = str(value), str(expected)
    assert value == expected


def test_attributes_can_be_assigned_and_deleted() -> None:
    request = Request(environ("/x?a=1"))
    request.path = "/y"
    assert request.path == "/y"
    del request.path
    assert request.path == "/x"
    request.query_string = b"b=2"
    assert request.args.to_dict() == {"b": "2"}
    request.args = ImmutableMultiDict({"c": "3"})
    assert request.args["c"] == "3"
    assert Request.path.__doc__


def test_what_the_engine_has_found_out_comes_back_when_its_replacement_is_deleted() -> None:
    app = kolben.Flask(__name__, static_folder=None)
    seen: list[t.Any] = []

    @app.get("/<int:x>")
    def view(x: int) -> str:
        own: t.Any = kolben.request._get_current_object()  # type: ignore[attr-defined]
        for name in ("url_rule", "view_args", "routing_exception", "json_module"):
            before = getattr(own, name)
            setattr(own, name, "replaced")
            assert getattr(own, name) == "replaced"
            delattr(own, name)
            seen.append(getattr(own, name) == before)
        return str(x)

    assert app.test_client().get("/1").text == "1"
    assert seen == [True] * 4


def test_the_stream_can_be_replaced_and_read_anew() -> None:
    request = Request(environ("/", method="POST", data=b"body"))
    request.stream = io.BytesIO(b"other")
    assert request.get_data() == b"other"
    request = Request(environ("/", method="POST", data=b"body"))
    request.stream = io.BytesIO(b"other")
    del request.stream
    assert request.get_data() == b"body"


def test_json_is_kept_unless_it_is_not_to_be() -> None:
    request = Request(environ("/", method="POST", json={"a": 1}))
    first = request.get_json()
    assert request.get_json() is first
    request = Request(environ("/", method="POST", json={"a": 1}))
    assert request.get_json(cache=False) == {"a": 1}
    with pytest.raises(BadRequest):  # which has read the body
        request.get_json()


def test_json_that_is_nested_too_deeply_is_a_400_or_silence() -> None:
    body = {"data": b"[" * 200_000, "content_type": "application/json", "method": "POST"}
    with pytest.raises(BadRequest):
        Request(environ("/", **body)).get_json()
    assert Request(environ("/", **body)).get_json(silent=True) is None


def test_a_request_class_that_reads_the_body_its_own_way_is_asked_for_json() -> None:
    class Own(Request):
        def get_data(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
            return b'{"a": "own"}'

    assert Own(environ("/", method="POST", json={"a": 1})).get_json() == {"a": "own"}


def test_the_environ_knows_its_request_unless_told_otherwise() -> None:
    one = environ()
    request = Request(one)
    assert one["werkzeug.request"] is request
    two, three = environ(), environ()
    Request(two, populate_request=False)
    assert "werkzeug.request" not in two
    request = Request(three, shallow=True)
    assert "werkzeug.request" not in three
    for read in (lambda: request.stream, request.get_data, lambda: request.form):
        with pytest.raises(RuntimeError, match="shallow"):
            read()


def test_parameters_of_the_content_type_are_not_shared() -> None:
    one, other = (Request(bare(CONTENT_TYPE="a/b; c=d")) for _ in range(2))
    one.mimetype_params["c"] = "changed"
    assert other.mimetype_params == {"c": "d"}


def test_the_body_can_be_read_again_if_it_is_cached() -> None:
    request = Request(environ("/", method="POST", data="ü"))
    assert request.get_data(cache=False, as_text=True) == "ü"
    assert request.get_data() == b""
    request = Request(environ("/", method="POST", data="ü"))
    assert request.get_data(as_text=True) == "ü"
    assert request.data == "ü".encode()
    assert request.stream.read() == b""


def test_a_form_read_as_data_first_is_still_a_form() -> None:
    request = Request(environ("/", method="POST", data={"a": "1"}))
    assert request.get_data() == b"a=1"
    assert request.form["a"] == "1"
    request = Request(environ("/", method="POST", data={"a": "1"}))
    assert request.get_data(parse_form_data=True) == b""
    assert request.form["a"] == "1"
    request = Request(environ("/", method="POST", data={"a": "1"}))
    assert request.stream.read(1) == b"a"
    assert request.get_data() == b"=1"


def test_a_form_that_is_not_text_is_empty() -> None:
    request = Request(
        environ(
            "/",
            method="POST",
            data=b"a=%ff",
            content_type="application/x-www-form-urlencoded; charset=x",
        )
    )
    theirs = WerkzeugRequest(
        environ(
            "/",
            method="POST",
            data=b"a=%ff",
            content_type="application/x-www-form-urlencoded; charset=x",
        )
    )
    assert request.form == theirs.form


class Trickle(io.BytesIO):
    """A connection on which the body comes byte by byte."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 2))


def body(data: bytes, length: int, **changes: t.Any) -> dict[str, t.Any]:
    return bare(**{"wsgi.input": Trickle(data), "CONTENT_LENGTH": str(length)}, **changes)


def test_a_body_that_comes_slowly_is_read_to_its_end_and_no_further() -> None:
    request = Request(body(b"abcdefgh", 5))
    assert request.get_data() == b"abcde"
    assert request.environ["wsgi.input"].getvalue()[5:] == b"fgh"


def test_a_client_that_leaves_early_is_an_error() -> None:
    with pytest.raises(ClientDisconnected):
        Request(body(b"abc", 5)).get_data()
    with pytest.raises(ClientDisconnected):
        Request(body(b"a=c", 5, CONTENT_TYPE="application/x-www-form-urlencoded")).form  # noqa: B018


UPLOAD = (
    b'--line\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    + bytes(2_000_000)
    + b"\r\n--line--\r\n"
)


def terminated(data: bytes, length: int | None, **changes: t.Any) -> dict[str, t.Any]:
    """A request on a server that says where the body ends."""
    environ = bare(**{"wsgi.input": io.BytesIO(data), "wsgi.input_terminated": True}, **changes)
    return environ if length is None else {**environ, "CONTENT_LENGTH": str(length)}


@pytest.mark.parametrize("end", [500, 1_000_000, len(UPLOAD) - 1])
def test_an_upload_that_ends_early_is_an_error_wherever_the_server_ends_it(end: int) -> None:
    kind = {"CONTENT_TYPE": "multipart/form-data; boundary=line"}
    with pytest.raises(ClientDisconnected):
        Request(terminated(UPLOAD[:end], len(UPLOAD), **kind)).files  # noqa: B018
    with pytest.raises(ClientDisconnected):
        Request(terminated(UPLOAD[:end], len(UPLOAD))).stream.read()
    for length in (len(UPLOAD), None):
        with Request(terminated(UPLOAD, length, **kind)) as request:
            assert len(request.files["file"].read()) == 2_000_000


@pytest.mark.parametrize("maximum", [None, 1_000_000])
def test_a_body_that_middleware_has_decoded_is_read_beyond_its_encoded_length(
    maximum: int | None,
) -> None:
    coded = {"HTTP_CONTENT_ENCODING": "gzip"}
    form = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}
    text = {"CONTENT_TYPE": "application/json"}

    def request(data: bytes, **more: str) -> Request:
        made = Request(terminated(data, 3, **coded, **more))
        made.max_content_length = maximum
        return made

    assert request(b"a=1&b=2", **form).form.to_dict() == {"a": "1", "b": "2"}
    assert request(b'{"a": 1}', **text).get_json() == {"a": 1}
    assert request(b"abcdef").get_data() == b"abcdef"
    assert request(b"abcdef").stream.read() == b"abcdef"


@pytest.mark.parametrize("read", ["form", "data", "json"])
def test_a_long_body_is_refused_before_it_is_read(read: str) -> None:
    app = kolben.Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 3
    with app.test_request_context(method="POST", data="a=1&b=2", content_type="text/json"):
        kolben.request.environ["CONTENT_TYPE"] = (
            "application/json" if read == "json" else "application/x-www-form-urlencoded"
        )
        with pytest.raises(RequestEntityTooLarge):
            getattr(kolben.request, read)
    with app.test_request_context(method="POST", data={"a": "1"}):
        assert kolben.request.form.to_dict() == {"a": "1"}


@pytest.mark.parametrize("name", ["max_content_length", "max_form_memory_size", "max_form_parts"])
def test_limits_come_from_the_application_and_can_be_set_for_one_request(name: str) -> None:
    request: t.Any = Request(environ())
    assert getattr(request, name) == getattr(WerkzeugRequest, name)
    app = kolben.Flask(__name__)
    app.config[name.upper()] = 7
    with app.test_request_context():
        assert getattr(kolben.request, name) == 7
        setattr(kolben.request, name, 8)
        assert getattr(kolben.request, name) == 8


def test_json_errors_explain_themselves_in_debug_mode_only() -> None:
    app = kolben.Flask(__name__)
    for debug, expected in (
        (True, "Failed to decode JSON object"),
        (False, "could not understand"),
    ):
        app.debug = debug
        with app.test_request_context(data="{", content_type="application/json"):
            with pytest.raises(BadRequest) as caught:
                kolben.request.json  # noqa: B018
            assert expected in str(caught.value.description)
            assert kolben.request.get_json(silent=True) is None
    with pytest.raises(BadRequest):
        Request(environ(data="{", content_type="application/json")).json  # noqa: B018
    with pytest.raises(UnsupportedMediaType):
        Request(environ(data="{}")).json  # noqa: B018


def test_a_file_name_sent_in_a_plain_form_is_explained_in_debug_mode() -> None:
    app = kolben.Flask(__name__)
    for debug, expected in ((True, "multipart/form-data"), (False, "400 Bad Request")):
        app.debug = debug
        with app.test_request_context("/", method="POST", data={"f": "name.txt"}):
            with pytest.raises(KeyError) as caught:
                kolben.request.files["f"]
            assert expected in str(caught.value)


def test_a_request_class_with_its_own_form_parser_uses_it() -> None:
    class Parser(Request.form_data_parser_class):  # type: ignore[misc, name-defined]
        def parse(self, *arguments: t.Any, **values: t.Any) -> t.Any:
            stream, form, files = super().parse(*arguments, **values)
            return stream, ImmutableMultiDict([*form.items(), ("own", "1")]), files

    class Own(Request):
        form_data_parser_class = Parser

    assert Own(environ(method="POST", data={"a": "1"})).form.to_dict() == {"a": "1", "own": "1"}


def test_endpoint_and_blueprints_follow_the_rule() -> None:
    app = kolben.Flask(__name__)
    outer, inner = kolben.Blueprint("outer", __name__), kolben.Blueprint("inner", __name__)
    seen = []

    @inner.get("/<int:x>")
    def view(x: int) -> str:
        request = kolben.request
        seen.append((request.endpoint, request.blueprint, request.blueprints, request.view_args))
        return ""

    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    app.test_client().get("/1")
    assert seen == [("outer.inner.view", "outer.inner", ["outer.inner", "outer"], {"x": 1})]
    request = Request(environ())
    assert (request.endpoint, request.blueprint, request.blueprints) == (None, None, [])


# -- responses -------------------------------------------------------------------------------

bodies = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.builds(bytearray, st.binary(max_size=5)),
    st.lists(st.text(max_size=3) | st.binary(max_size=3), max_size=3),
)
statuses = st.one_of(
    st.none(),
    st.sampled_from([200, 204, 304, 404, 418, 100, 799, 999]),
    st.sampled_from(list(HTTPStatus)),
    st.sampled_from(["200 OK", "404", "299 own"]),
)
headers = st.one_of(
    st.none(),
    st.lists(
        st.tuples(
            st.sampled_from(
                ["X-A", "Content-Type", "Content-Length", "Location", "Content-Location", "vary"]
            ),
            st.sampled_from(["1", "text/plain", "/a", "/ü", "//x", "http://a/ü", "/a b", "/a?b=ü"]),
        ),
        max_size=3,
    ),
)


def sent(
    kind: type[WerkzeugResponse], wsgi: dict[str, t.Any], arguments: tuple[t.Any, ...]
) -> t.Any:
    started: list[t.Any] = []
    try:
        response = kind(*arguments)
        answer = response(wsgi, lambda status, headers: started.append((status, list(headers))))
        pieces = list(answer)
    except Exception as error:
        return type(error), str(error)
    return started, b"".join(pieces), response.status, response.status_code, response.get_data()


class Plain(WerkzeugResponse):
    """Werkzeug's response with the one difference that Flask documents."""

    default_mimetype = "text/html"
    autocorrect_location_header = False


class Same(Response):
    """A class made at run time, as extensions make them."""


class OnTheLongWay(Response):
    """Overrides a step, so every other one has to be Werkzeug's."""

    def get_wsgi_headers(self, environ: t.Any) -> Headers:
        return super().get_wsgi_headers(environ)


@pytest.mark.parametrize("kind", [Response, Same, OnTheLongWay])
@given(
    body=bodies,
    status=statuses,
    headers=headers,
    mimetype=st.sampled_from([None, "text/plain", "image/png", "", "application/json"]),
    content_type=st.sampled_from([None, None, "text/x; charset=y"]),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
)
def test_what_is_sent_is_what_werkzeug_sends(
    kind: type[Response],
    body: t.Any,
    status: t.Any,
    headers: t.Any,
    mimetype: str | None,
    content_type: str | None,
    method: str,
) -> None:
    arguments = (body, status, headers, mimetype, content_type)
    wsgi = environ("/", method=method)
    assert sent(kind, wsgi, arguments) == sent(Plain, wsgi, arguments)


@given(
    key=st.sampled_from(["a", "a-b", "a b", "ü", ""]),
    value=st.sampled_from(["", "plain", "a b", 'q"', "ü", ";", "x" * 4100]),
    max_age=st.sampled_from([None, 0, 5, True, timedelta(days=1)]),
    expires=st.sampled_from([None, 0, 1e9, "text", datetime(2030, 1, 1, tzinfo=UTC)]),
    path=st.sampled_from(["/", None, "/ü", "/a"]),
    domain=st.sampled_from([None, "example.org", ".ü.example", ""]),
    secure=st.booleans(),
    httponly=st.booleans(),
    samesite=st.sampled_from([None, "lax", "Strict", "wrong"]),
    partitioned=st.booleans(),
)
@pytest.mark.filterwarnings("ignore:The '.*' cookie is too large")
def test_cookies_are_those_of_werkzeug(**cookie: t.Any) -> None:
    results: list[t.Any] = []
    for kind in (Response, Plain):
        response = kind("x")
        try:
            response.set_cookie(**cookie)
        except Exception as error:
            results.append((type(error), str(error)))
        else:
            # The time of expiry that is made from max_age may be the next second's.
            results.append(
                [v if cookie["max_age"] is None else v.partition("Expires")[0]
                 for v in response.headers.getlist("Set-Cookie")]
            )  # fmt: skip
    assert results[0] == results[1]


def test_a_cookie_with_max_age_says_the_same_as_a_date() -> None:
    response = Response()
    response.set_cookie("a", "b", max_age=10)
    header = response.headers["Set-Cookie"]
    assert header.startswith("a=b; Expires=")
    assert header.endswith("GMT; Max-Age=10; Path=/")


def test_a_cookie_that_browsers_refuse_is_warned_about() -> None:
    app = kolben.Flask(__name__)
    app.config["MAX_COOKIE_SIZE"] = 40
    with app.app_context(), pytest.warns(UserWarning, match="too large"):
        Response().set_cookie("a", "x" * 50)
    assert Response().max_cookie_size == WerkzeugResponse.max_cookie_size


def test_a_response_keeps_its_state_in_its_dict_and_can_be_pickled() -> None:
    response = Response("text", 201, {"X-A": "1"})
    response.set_cookie("a", "b")
    other = Response()
    other.__dict__ = response.__dict__
    assert other.get_data() == b"text"
    for one in (response, Response("x"), Response()):
        again = pickle.loads(pickle.dumps(one))
        assert again.get_data() == one.get_data()
        assert again.status == one.status
        assert list(again.headers) == list(one.headers)


def test_response_json_and_defaults() -> None:
    assert Response().mimetype == "text/html"
    assert Response('{"a": 1}', mimetype="application/json").json == {"a": 1}
    assert Response().status == "200 OK"
    assert Response(status=999).status == "999 UNKNOWN"
    assert list(Response()(environ(), lambda *arguments: None)) == []


def test_what_is_to_be_done_on_close_is_done() -> None:
    done: list[str] = []
    response = Response("x")
    response.call_on_close(lambda: done.append("closed"))
    answer: t.Any = response(environ(), lambda *arguments: None)
    assert b"".join(answer) == b"x"
    assert done == []
    answer.close()
    assert done == ["closed"]


def test_a_form_that_is_not_utf8_is_empty() -> None:
    request = Request(
        bare(
            CONTENT_TYPE="application/x-www-form-urlencoded",
            CONTENT_LENGTH="3",
            **{"wsgi.input": io.BytesIO(b"a=\xff")},
        )
    )
    assert request.form.to_dict() == {}


def test_the_parts_of_what_is_sent_can_be_asked_for() -> None:
    body, status, headers = Response("x", 201).get_wsgi_response(environ())
    assert (list(body), status, dict(headers)["Content-Length"]) == ([b"x"], "201 CREATED", "1")
    response = Response("x")
    del response.headers["Content-Length"]
    assert dict(response.get_wsgi_response(environ())[2])["Content-Length"] == "1"
    response = Response("x")
    response.automatically_set_content_length = False
    response.data = b"xy"
    assert list(response.get_wsgi_response(environ())[0]) == [b"xy"]
    streamed = Response(iter([b"a"]))
    assert list(streamed.get_wsgi_response(environ())[0]) == [b"a"]

    class Unmeasured(Response):
        automatically_set_content_length = False

    assert "Content-Length" not in Unmeasured("x").headers


def test_passing_through_is_left_to_the_server() -> None:
    response = Response(iter([b"a"]), direct_passthrough=True)
    assert response.direct_passthrough
    assert b"".join(response(environ(), lambda *arguments: None)) == b"a"


def test_a_default_mimetype_of_none_sends_no_type() -> None:
    class Untyped(Response):
        default_mimetype = None

    assert "Content-Type" not in Untyped("x").headers
    app = kolben.Flask(__name__)
    app.response_class = Untyped
    app.add_url_rule("/", view_func=lambda: "x")
    assert "Content-Type" not in app.test_client().get("/").headers


def test_headers_are_those_of_werkzeug() -> None:
    ours, theirs = ResponseHeaders([("A", "1"), ("a", "2")]), Headers([("A", "1"), ("a", "2")])
    assert ours == theirs
    assert theirs == Headers(ours)
    assert ours != Headers()
    assert ours != 1
    with pytest.raises(TypeError):
        hash(ours)
    for one in (ours, theirs):
        one["B"] = "3"
        one["a"] = "4"
        one["C"] = 5  # type: ignore[assignment]
        with pytest.raises(ValueError, match="newline"):
            one["D"] = "a\nb"
    assert list(ours) == list(theirs) == [("a", "4"), ("B", "3"), ("C", "5")]
    assert isinstance(Response().headers, Headers)


@pytest.mark.parametrize("headers", [{"X-A": "1"}, [("X-A", "1"), ("X-A", "2")]])
def test_headers_may_be_replaced_by_a_dictionary_or_a_list(headers: t.Any) -> None:
    app = kolben.Flask(__name__)

    @app.get("/")
    def view() -> Response:
        response = Response("text")
        response.headers = headers
        return response

    sent = app.test_client().get("/").headers
    given = headers.items() if type(headers) is dict else headers
    assert list(sent.items()) == [*given, ("Content-Length", "4")]


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "CONTENT-LENGTH"])
def test_a_length_that_is_there_is_not_told_twice(name: str) -> None:
    response = Response("text")
    response.headers = Headers([(name, "4"), ("X-A", "1")])
    _, _, sent = response.get_wsgi_response(environ())
    assert sent == [(name, "4"), ("X-A", "1")]


def test_headers_of_another_class_are_checked_when_they_are_sent() -> None:
    response = Response("text")
    response.headers = t.cast("t.Any", Headers())
    response.headers._list.append(("X-A", "a\nSet-Cookie: b"))
    with pytest.raises(ValueError, match="newline"):
        response.get_wsgi_response(environ())


def test_names_of_headers_are_remembered_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs may make them of what clients send, which must not fill the memory."""
    known = {"X-Known": None}
    monkeypatch.setattr(wrappers, "ordinary_headers", known)
    monkeypatch.setattr(wrappers, "MOST_ORDINARY_HEADERS", 3)
    for number in range(5):
        response = Response("x", headers={f"X-{number}": "1"})
        _, _, sent = response.get_wsgi_response(environ())
        assert (f"X-{number}", "1") in sent
    assert len(known) == 3


@pytest.mark.parametrize("body", [b"a=1&b=%C3%A9&a=2", b"a=%FF", b"\xff"])
def test_a_form_is_of_the_class_that_a_request_class_says(body: bytes) -> None:
    class Own(kolben.Request):
        parameter_storage_class = MultiDict

    def form(kind: type[kolben.Request]) -> t.Any:
        builder = EnvironBuilder(
            method="POST", data=body, content_type="application/x-www-form-urlencoded"
        )
        return kind(builder.get_environ()).form

    assert type(form(Own)) is MultiDict
    assert list(form(Own).items(multi=True)) == list(form(kolben.Request).items(multi=True))


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("body", [b'{"a": 1}', b"{"])
def test_a_programs_own_get_data_is_called_once_for_json(silent: bool, body: bytes) -> None:
    calls = []

    class Own(kolben.Request):
        def get_data(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
            calls.append((args, kwargs))
            return super().get_data(*args, **kwargs)

    app = kolben.Flask(__name__)
    app.request_class = Own
    app.add_url_rule(
        "/", "view", lambda: [kolben.request.get_json(silent=silent)], methods=["POST"]
    )
    response = app.test_client().post("/", data=body, content_type="application/json")
    assert response.status_code == (400 if body == b"{" and not silent else 200)
    assert calls == [((), {"cache": True})]  # as on Flask
