"""JSON: the providers' text, the module's functions, and how they follow the settings."""

from __future__ import annotations

import dataclasses
import decimal
import io
import json
import math
import re
import typing as t
import uuid
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum, IntEnum

import pytest
from hypothesis import given, strategies as st
from markupsafe import Markup

import kolben
from kolben import json as kolben_json
from kolben.json.provider import DefaultJSONProvider, JSONProvider, MsgspecJSONProvider
from kolben.json.tag import TaggedJSONSerializer


@dataclasses.dataclass
class Point:
    y: int
    x: t.Any


class Html:
    def __html__(self) -> str:
        return "<b>"


EXTRA_TYPES = [
    (date(1975, 1, 5), '"Sun, 05 Jan 1975 00:00:00 GMT"'),
    (datetime(1973, 3, 11, 6, 30, 45), '"Sun, 11 Mar 1973 06:30:45 GMT"'),
    (datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=2))), '"Tue, 31 Dec 2019 22:00:00 GMT"'),
    (uuid.UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
    (decimal.Decimal("0.003"), '"0.003"'),
    (Point(1, Point(2, 3)), '{"x": {"x": 3, "y": 2}, "y": 1}'),
    (Html(), '"<b>"'),
]
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


@pytest.fixture
def app() -> Iterator[kolben.Flask]:
    app = kolben.Flask(__name__)
    with app.app_context():
        yield app


@pytest.fixture
def provider(app: kolben.Flask) -> DefaultJSONProvider:
    assert type(app.json) is DefaultJSONProvider
    return app.json


@pytest.mark.parametrize(("value", "text"), EXTRA_TYPES, ids=[text for _, text in EXTRA_TYPES])
def test_further_types(provider: DefaultJSONProvider, value: t.Any, text: str) -> None:
    assert provider.dumps(value) == text


def test_other_types_are_refused(provider: DefaultJSONProvider) -> None:
    with pytest.raises(TypeError, match="Object of type set is not JSON serializable"):
        provider.dumps({1})
    circle: list[t.Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular reference"):
        provider.dumps(circle)
    with pytest.raises(TypeError):
        provider.dumps({"a": 1, 2: 3})


@given(value=documents, ascii_=st.booleans(), sort=st.booleans(), compact=st.booleans())
def test_the_text_is_that_of_the_standard_library(
    value: t.Any, ascii_: bool, sort: bool, compact: bool
) -> None:
    provider = DefaultJSONProvider(kolben.Flask(__name__))
    provider.ensure_ascii = ascii_
    provider.sort_keys = sort
    options: dict[str, t.Any] = {"separators": (",", ":")} if compact else {}
    expected = json.dumps(value, ensure_ascii=ascii_, sort_keys=sort, **options)
    assert provider.dumps(value, **options) == expected


class Name(str):
    __slots__ = ()


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    LARGE = 3


class FirstOnly(dict[str, t.Any]):
    """Items that are not what the dictionary holds, as in Werkzeug's MultiDict."""

    def items(self) -> t.Any:
        return [(name, "first") for name in self]


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**62, max_value=2**70)
    | st.floats()
    | st.sampled_from([1e16, 1e-5, 1e22, -0.0, float("nan"), float("-inf"), 5e-324])
    | st.text(st.characters())  # lone surrogates, too
    | st.text("\x00\x1f\x7f\\\"/\u2028é爱😀", max_size=5)
    | st.datetimes() | st.dates() | st.decimals() | st.uuids() | st.binary(max_size=2)
    | st.sampled_from([Html(), Point(1, 2), {1}, object(), Colour.RED, Size.LARGE, Markup("<")])
    | st.text(max_size=3).map(Name),
    lambda inner: st.lists(inner)
    | st.lists(inner).map(tuple)
    | st.dictionaries(st.text(), inner)
    | st.dictionaries(st.integers() | st.floats() | st.booleans() | st.none(), inner, max_size=2)
    | st.dictionaries(st.text() | st.integers() | st.uuids() | st.text().map(Name), inner, max_size=3)
    | st.dictionaries(st.text(), inner).map(FirstOnly)
    | st.dictionaries(st.text(), inner).map(OrderedDict),
    max_leaves=12,
)  # fmt: skip


@given(anything)
def test_the_text_of_whatever_a_view_returns_is_that_of_the_standard_library(value: t.Any) -> None:
    app = kolben.Flask(__name__)
    provider = app.json
    assert isinstance(provider, DefaultJSONProvider)
    options: dict[str, t.Any] = {"default": provider.default, "sort_keys": True}
    compact = {"separators": (",", ":"), **options}

    def written(write: t.Callable[[t.Any], t.Any]) -> t.Any:
        try:
            return write(value)
        except (TypeError, ValueError) as error:
            return type(error), re.sub("0x[0-9a-f]+", "0x", str(error))

    plain = written(lambda value: json.dumps(value, **options))
    small = written(lambda value: json.dumps(value, **compact) + "\n")
    body = written(lambda value: (json.dumps(value, **compact) + "\n").encode())
    assert written(provider.dumps) == plain
    assert written(provider.body) == body
    writer = provider.body_writer()
    assert writer is not None
    assert written(writer) == body
    with app.app_context():
        assert written(lambda value: provider.response(value).get_data(as_text=True)) == small


def outcome(function: t.Callable[[t.Any], t.Any], argument: t.Any) -> str:
    try:
        return repr(function(argument))
    except ValueError as error:
        return f"{type(error).__name__}: {error}"


sources = documents.map(json.dumps) | st.text(alphabet='{}[]":,0123aeE+-.nultrfs \n\t\ufeff\0')


@given(sources, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"]))
def test_reading_is_that_of_the_standard_library(text: str, encoding: str) -> None:
    provider = DefaultJSONProvider(kolben.Flask(__name__))
    assert outcome(provider.loads, text) == outcome(json.loads, text)
    data = text.encode(encoding)
    assert outcome(provider.loads, data) == outcome(json.loads, data)


@given(st.binary())
def test_reading_any_bytes_is_that_of_the_standard_library(data: bytes) -> None:
    provider = DefaultJSONProvider(kolben.Flask(__name__))
    assert outcome(provider.loads, data) == outcome(json.loads, data)


def test_options_are_those_of_the_standard_library(provider: DefaultJSONProvider) -> None:
    assert provider.dumps({"b": 1, "a": 2}, sort_keys=False, indent=1) == '{\n "b": 1,\n "a": 2\n}'
    assert provider.loads(b"[1]", parse_int=str) == ["1"]


def test_settings_are_read_at_each_call(provider: DefaultJSONProvider) -> None:
    assert provider.dumps({"b": "é", "a": 1}) == '{"a": 1, "b": "\\u00e9"}'
    provider.sort_keys = False
    provider.ensure_ascii = False
    provider.default = lambda o: "?"
    assert provider.dumps({"b": "é", "a": {1}}) == '{"b": "é", "a": "?"}'


def test_default_may_be_a_method(app: kolben.Flask) -> None:
    class Mine(DefaultJSONProvider):
        def default(self, o: t.Any) -> t.Any:  # type: ignore[override]
            return list(o) if isinstance(o, set) else DefaultJSONProvider.default(o)

    assert Mine(app).dumps([{1}, decimal.Decimal(2)]) == '[[1], "2"]'


@pytest.mark.parametrize(
    ("debug", "compact", "lines"),
    [(False, None, 1), (True, None, 3), (True, True, 1), (False, False, 3)],
)
def test_the_layout_of_responses(
    app: kolben.Flask, provider: DefaultJSONProvider, debug: bool, compact: bool | None, lines: int
) -> None:
    app.debug = debug
    provider.compact = compact
    data = provider.response({"a": 1}).data
    assert data.count(b"\n") == lines
    assert data == provider.body({"a": 1})
    assert json.loads(data) == {"a": 1}


@pytest.mark.parametrize(
    ("args", "kwargs", "data"),
    [
        ((), {}, b"null\n"),
        ((1,), {}, b"1\n"),
        ((1, 2), {}, b"[1,2]\n"),
        ((), {"b": 1, "a": 2}, b'{"a":2,"b":1}\n'),
    ],
)
@pytest.mark.parametrize("kind", [DefaultJSONProvider, MsgspecJSONProvider])
def test_arguments_of_responses(
    app: kolben.Flask,
    kind: type[DefaultJSONProvider],
    args: tuple[t.Any, ...],
    kwargs: dict[str, t.Any],
    data: bytes,
) -> None:
    if kind is MsgspecJSONProvider:
        pytest.importorskip("msgspec")
        data = data.removesuffix(b"\n")
    app.json = kind(app)
    app.json.sort_keys = True  # type: ignore[attr-defined]
    app.json.mimetype = "application/vnd.test+json"  # type: ignore[attr-defined]
    response = kolben.jsonify(*args, **kwargs)
    assert response.data == data
    assert response.mimetype == "application/vnd.test+json"


def test_responses_take_args_or_kwargs() -> None:
    with kolben.Flask(__name__).app_context(), pytest.raises(TypeError, match="args or kwargs"):
        kolben.jsonify(1, a=2)


def test_an_overridden_dumps_is_used_by_responses(app: kolben.Flask) -> None:
    class Shouting(DefaultJSONProvider):
        def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
            return super().dumps(obj, **kwargs).upper()

    provider = Shouting(app)
    assert provider.response("a").data == b'"A"\n'
    assert provider.body_writer() is None


def test_the_engine_may_use_the_body_only_of_unchanged_providers(
    app: kolben.Flask, provider: DefaultJSONProvider
) -> None:
    class Other(DefaultJSONProvider):
        mimetype = "application/other"

    assert provider.body_writer()
    assert Other(app).body_writer()
    provider.response = lambda *args: None  # type: ignore[method-assign, assignment]
    assert provider.body_writer() is None
    assert JSONProvider(app).body_writer() is None


class Mixin:
    """A class that is no provider's: no plan hears when it is changed."""

    ensure_ascii = True


class Mixed(Mixin, DefaultJSONProvider):
    pass


class Computing(DefaultJSONProvider):
    keys_are_sorted = True

    @property
    def sort_keys(self) -> bool:  # type: ignore[override]
        return self.keys_are_sorted


class Twice(DefaultJSONProvider):
    def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        return super().dumps([obj, obj], **kwargs)


class Duck:
    """What has the methods that are called, and nothing else."""

    def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        return "duck"

    def response(self, *args: t.Any) -> kolben.Response:
        return kolben.Response("duck")


def in_capitals(self: t.Any, *args: t.Any) -> kolben.Response:
    return kolben.Response(json.dumps(args).upper())


CHANGES: dict[str, t.Callable[[t.Any, pytest.MonkeyPatch], object]] = {
    "a setting": lambda app, patch: setattr(app.json, "ensure_ascii", False),
    "a deleted setting": lambda app, patch: delattr(app.json, "ensure_ascii"),
    "the type": lambda app, patch: setattr(app.json, "mimetype", "application/other"),
    "the layout": lambda app, patch: setattr(app.json, "compact", False),
    "debug mode": lambda app, patch: setattr(app, "debug", True),
    "debug mode by the settings": lambda app, patch: app.config.update(DEBUG=True),
    "a method": lambda app, patch: setattr(app.json, "dumps", lambda obj, **options: "mine"),
    "what is asked of unknown objects": lambda app, patch: setattr(app.json, "default", len),
    "the provider": lambda app, patch: setattr(app, "json", Twice(app)),
    "the provider, by anything": lambda app, patch: setattr(app, "json", Duck()),
    "a setting of the class": lambda app, patch: patch.setattr(
        DefaultJSONProvider, "sort_keys", False
    ),
    "a method of the class": lambda app, patch: patch.setattr(
        DefaultJSONProvider, "response", in_capitals
    ),
    "a method of its base": lambda app, patch: patch.setattr(
        JSONProvider, "_prepare_response_obj", lambda self, args, kwargs: "mine"
    ),
    "a setting of a class beside it": lambda app, patch: patch.setattr(
        Mixin, "ensure_ascii", False
    ),
    "what is computed": lambda app, patch: patch.setattr(Computing, "keys_are_sorted", False),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", [DefaultJSONProvider, Mixed, Computing, Twice])
def test_what_is_changed_between_requests_holds_for_the_next(
    kind: type[DefaultJSONProvider], change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = kolben.Flask(__name__)
    app.json = provider = kind(app)
    if change == "a deleted setting":
        provider.ensure_ascii = False
    value = {"b": {1, 2}, "a": "\u00fc"} if "unknown" in change else {"b": 1, "a": "\u00fc"}
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.route("/")
    def view() -> t.Any:
        return value

    @app.route("/response")
    def response() -> t.Any:
        return app.json.response(value)

    client = app.test_client()
    client.get("/")
    CHANGES[change](app, monkeypatch)

    plainly, by_response = client.get("/"), client.get("/response")
    assert plainly.status_code == 200
    assert (plainly.data, plainly.headers) == (by_response.data, by_response.headers)


@pytest.mark.parametrize("kind", [DefaultJSONProvider, Mixed, Computing, Twice])
def test_sessions_are_written_as_the_provider_writes_at_that_time(
    kind: type[DefaultJSONProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = kolben.Flask(__name__)
    app.json = kind(app)
    serializer = TaggedJSONSerializer()
    value = {"b": 1, "a": "\u00fc"}

    def loads(self: t.Any, text: str | bytes) -> t.Any:
        return "mine"

    with app.app_context():
        assert serializer.dumps(value) == app.json.dumps(value, separators=(",", ":"))
        app.json.ensure_ascii = False  # type: ignore[attr-defined]
        assert serializer.dumps(value) == app.json.dumps(value, separators=(",", ":"))
        monkeypatch.setattr(DefaultJSONProvider, "sort_keys", False)
        assert serializer.dumps(value) == app.json.dumps(value, separators=(",", ":"))
        monkeypatch.setattr(DefaultJSONProvider, "dumps", lambda self, obj, **options: "own")
        assert serializer.dumps(value) == app.json.dumps(value, separators=(",", ":"))
        assert serializer.loads("{}") == {}
        monkeypatch.setattr(kind, "loads", loads)
        assert serializer.loads("{}") == "mine"
        app.json = DefaultJSONProvider(app)
        assert serializer.dumps(value) == "own"


def test_a_provider_can_be_abstract(app: kolben.Flask) -> None:
    class Abstract(DefaultJSONProvider, ABC):
        @abstractmethod
        def missing(self) -> None: ...

    with pytest.raises(TypeError, match="abstract"):
        Abstract(app)  # type: ignore[abstract]


def test_a_provider_of_ones_own_needs_two_methods(app: kolben.Flask) -> None:
    class Repr(JSONProvider):
        def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
            return repr(obj)

        def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
            return s

    app.json = Repr(app)
    file = io.StringIO()
    kolben_json.dump("a", file)
    assert file.getvalue() == "'a'"
    assert kolben_json.load(io.StringIO("x")) == "x"
    assert app.json.dump_bytes("a") == b"'a'"
    response = kolben.jsonify(1)
    assert (response.data, response.mimetype) == (b"1", "application/json")
    for method in ("dumps", "loads"):
        with pytest.raises(NotImplementedError):
            getattr(JSONProvider(app), method)("")


def test_the_functions_follow_the_context() -> None:
    value = {"b": date(2000, 1, 1), "a": 1}
    outside = '{"b": "Sat, 01 Jan 2000 00:00:00 GMT", "a": 1}'
    inside = '{"a": 1, "b": "Sat, 01 Jan 2000 00:00:00 GMT"}'
    for expected in (outside, inside, outside):
        file = io.StringIO()
        if expected is inside:
            with kolben.Flask(__name__).app_context():
                assert kolben_json.dumps(value) == expected
                kolben_json.dump(value, file)
                assert kolben_json.load(io.BytesIO(b"[1]")) == kolben_json.loads("[1]") == [1]
        else:
            assert kolben_json.dumps(value) == expected
            kolben_json.dump(value, file)
            assert kolben_json.load(io.BytesIO(b"[1]")) == kolben_json.loads("[1]") == [1]
        assert file.getvalue() == expected
    with pytest.raises(RuntimeError, match="application context"):
        kolben.jsonify(1)


def test_views_answer_with_json() -> None:
    app = kolben.Flask(__name__)

    @app.post("/")
    def add() -> t.Any:
        data = kolben.request.get_json()
        return {"sum": data["a"] + data["b"]}

    client = app.test_client()
    response = client.post("/", json={"a": 1, "b": 2})
    assert response.data == b'{"sum":3}\n'
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Content-Length"] == "10"
    assert client.post("/", data="{", content_type="application/json").status_code == 400


# ---- msgspec -----------------------------------------------------------------------------


@pytest.fixture
def fast(app: kolben.Flask) -> MsgspecJSONProvider:
    pytest.importorskip("msgspec")
    app.json = MsgspecJSONProvider(app)
    return app.json


def test_msgspec_has_to_be_installed(app: kolben.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "msgspec.json", None)
    with pytest.raises(ImportError, match=r"kolben\[json\]"):
        MsgspecJSONProvider(app)


@given(value=documents, sort=st.booleans())
def test_msgspec_writes_the_same_document(value: t.Any, sort: bool) -> None:
    """The same text but for non-ASCII characters and the exponents of floats."""
    pytest.importorskip("msgspec")
    app = kolben.Flask(__name__)
    fast, plain = MsgspecJSONProvider(app), DefaultJSONProvider(app)
    fast.sort_keys = plain.sort_keys = sort
    plain.ensure_ascii = False
    assert list_of_keys(json.loads(fast.body(value))) == list_of_keys(
        json.loads(plain.body(value), parse_constant=lambda name: None)
    )


def list_of_keys(value: t.Any) -> t.Any:
    """Make the order of keys count in a comparison."""
    if isinstance(value, dict):
        return [(key, list_of_keys(item)) for key, item in value.items()]
    return [list_of_keys(item) for item in value] if isinstance(value, list) else value


@given(sources | st.binary())
def test_msgspec_reads_the_same(source: str | bytes) -> None:
    pytest.importorskip("msgspec")
    app = kolben.Flask(__name__)
    fast, plain = MsgspecJSONProvider(app), DefaultJSONProvider(app)
    assert outcome(fast.loads, source) == outcome(plain.loads, source)


@pytest.mark.parametrize(("value", "text"), EXTRA_TYPES[3:], ids=lambda v: type(v).__name__)
def test_msgspec_knows_the_further_types(
    fast: MsgspecJSONProvider, value: t.Any, text: str
) -> None:
    fast.sort_keys = True
    assert fast.dumps(value) == text.replace(": ", ":").replace(", ", ",")


def test_msgspec_leaves_keys_in_their_order(fast: MsgspecJSONProvider) -> None:
    assert fast.dumps({"b": 1, "a": 2}) == '{"b":1,"a":2}'


def test_the_documented_differences_of_msgspec(fast: MsgspecJSONProvider) -> None:
    assert fast.dumps(datetime(2020, 1, 1, tzinfo=UTC)) == '"2020-01-01T00:00:00Z"'
    assert fast.dumps(["é", 1]) == '["é",1]'
    assert fast.dumps(math.nan) == "null"
    assert fast.dumps(1e16) == "1e16"
    assert fast.dumps([b"x", {1}]) == '["eA==",[1]]'
    assert fast.response([1]).data == b"[1]"


def test_msgspec_leaves_the_rest_to_the_standard_library(fast: MsgspecJSONProvider) -> None:
    assert fast.dumps({None: 1}) == '{"null":1}'
    assert fast.dumps([1, 2], indent=1) == "[\n 1,\n 2\n]"
    assert fast.loads("[1]", parse_int=str) == ["1"]
    with pytest.raises(TypeError, match="Object of type object is not JSON serializable"):
        fast.dumps(object())


def test_msgspec_in_the_debug_layout(app: kolben.Flask, fast: MsgspecJSONProvider) -> None:
    assert fast.body_writer()
    app.debug = True
    value = {"a": [1, {}], "b": []}
    assert fast.response(value).data == DefaultJSONProvider(app).response(value).data


def test_an_overridden_dumps_is_used_by_responses_of_msgspec(app: kolben.Flask) -> None:
    pytest.importorskip("msgspec")

    class Shouting(MsgspecJSONProvider):
        def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
            return super().dumps(obj, **kwargs).upper()

    assert Shouting(app).body_writer() is None
    assert Shouting(app).response("a").data == b'"A"\n'


def test_a_provider_class_that_type_has_made_is_of_the_module_that_made_it() -> None:
    kind = type("Kind", (DefaultJSONProvider,), {})
    assert kind.__module__ == __name__
    assert type("Kind", (kind,), {"__module__": "elsewhere"}).__module__ == "elsewhere"
