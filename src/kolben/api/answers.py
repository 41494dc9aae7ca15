"""What a view returns, as its annotation says: written, with nothing that the annotation lacks."""

from __future__ import annotations

import math
import typing as t
from collections import abc
from functools import partial

import msgspec
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response as ResponseBase

from .. import tables
from ..engine.results import Payload
from ..globals import get_current
from ..wrappers import Response
from . import kinds
from .kinds import name_of, unwrap
from .markers import Streamed
from .paging import Page
from .plan import check_schema
from .streams import Event

if t.TYPE_CHECKING:
    from ..app import Flask

JSON = "application/json"
JSON_HEADER = ("Content-Type", JSON)
_ITERATORS = (
    abc.Iterator,
    abc.Iterable,
    abc.Generator,
    abc.AsyncIterator,
    abc.AsyncIterable,
    abc.AsyncGenerator,
)

_encode = msgspec.json.Encoder().encode


class Misfitting(TypeError):
    """A view has returned what its annotation does not say; the answer is 500."""


class Answer:
    """One of the answers of a view.

    :param status: its status.
    :param type: the type of its body.
    :param media: ``json``, ``none``, ``lines``, ``events``, ``text`` or ``any``.
    """

    #: Whether the view returns it as a tuple with its status.
    is_tuple = False
    #: Whether the events of a stream have identifiers.
    has_ids = False

    def __init__(self, status: int, type: t.Any, media: str = "json") -> None:
        self.status = status
        self.type = type
        self.media = media
        self.models = list(kinds.models_in(type)) if media in ("json", "lines", "events") else []
        self._is_pydantic = any(map(kinds.is_pydantic, self.models))
        bare = unwrap(type)[0]
        container = kinds.container_of(bare)
        self.item = unwrap(container[1])[0] if container and container[0] is list else None
        #: The class whose instances can be written as they are, if nothing below has subclasses.
        self.exact = bare if _writes_itself(bare) else None
        self.exact_item = self.item if _writes_itself(self.item) else None
        members = (unwrap(one)[0] for one in kinds.members_of(bare))
        self._tops: set[t.Any] = set(filter(_writes_itself, members)) or {self.exact_item}
        parts = [f for top in self._tops - {None} for f in kinds.fields_of(top)]
        below = {one for field in parts for one in kinds.models_in(field.type)}
        origins = [t.get_origin(one) or one for one in self.models]
        self.nested = [one for one in origins if one not in self._tops or one in below]
        if self._is_pydantic:
            self.nested = []  # what pydantic writes is what the annotation has, whatever the class
        elif any(not _writes_itself(one) for one in self.nested):
            # A TypedDict is a dictionary like any other, with any members.
            self.exact = self.exact_item = None
            self._tops = set()
        is_page = t.get_origin(bare) is Page
        self._page_items = Answer(status, list[t.get_args(bare)[0]]) if is_page else None  # type: ignore[misc] # a type that is made here
        self.is_page = is_page
        self._harmless: t.Any = None  # the subclasses that were found to add no members

    def is_safe(self) -> bool:
        """Tell whether no class below the top has a subclass with more members, as of now."""
        subclasses = [one for cls in self.nested for one in cls.__subclasses__()]
        if not subclasses or subclasses == self._harmless:
            return True
        if all(one in self.nested for one in subclasses):
            self._harmless = subclasses
            return True
        return False

    def write(self, value: t.Any) -> bytes:
        """Return the value as JSON.

        :raises Misfitting: if it is not of the type and cannot be made one.
        """
        if self._is_pydantic:
            return self._write_pydantic(value)
        if type(value) is Page and self._page_items is not None:
            if not self._page_items._fits(value.items):
                value = Page(self._page_items.filter(value.items), value.next)
        elif not self._fits(value):
            value = self.filter(value)
        return _encode(value)

    def _fits(self, value: t.Any) -> bool:
        if not self.models:
            return True
        if self.exact_item is not None:
            fits = type(value) is list and [*map(type, value)].count(self.exact_item) == len(value)
        else:
            fits = type(value) in self._tops
        return fits and self.is_safe()

    def filter(self, value: t.Any) -> t.Any:
        """Return the value as one of the type, without members that the type lacks.

        :param value: an instance of a subclass, a dictionary, a row, or an object of any class.
        :raises Misfitting: if it cannot be made one.
        """
        try:
            return kinds.narrowed(value, self.type)
        except (msgspec.ValidationError, TypeError) as error:
            raise self._misfit(error) from None

    def check(self, value: t.Any) -> None:
        """Refuse a value that the document does not allow: in debug mode and in tests.

        :raises Misfitting: if it is not of the type.
        """
        if self._is_pydantic:
            self._write_pydantic(value, is_checked=True)
            return
        if self._page_items is not None and type(value) is Page:
            self._page_items.check(value.items)
            return
        sent = allowed = msgspec.to_builtins(self.filter(value), str_keys=True)
        if self._fits(value):
            try:
                sent = msgspec.to_builtins(value, str_keys=True)
            except TypeError as error:
                raise self._misfit(error) from None
        for fault in _faults_of(sent, allowed):
            raise self._misfit(fault)

    def encoder(self) -> t.Callable[[t.Any], bytes]:
        """Return what writes a value that is of the type."""
        if self._is_pydantic:
            return partial(kinds.adapter_of(self.type).serializer.to_json, by_alias=True)
        return msgspec.json.Encoder().encode

    def _write_pydantic(self, value: t.Any, is_checked: bool = False) -> bytes:
        adapter = kinds.adapter_of(self.type)
        try:
            if is_checked and hasattr(value, "model_dump"):
                value = value.model_dump(by_alias=True)
            if is_checked or not self._is_of_pydantic(value):
                value = adapter.validate_python(value, from_attributes=True)
            return t.cast("bytes", adapter.serializer.to_json(value, by_alias=True))
        except ValueError as error:
            raise self._misfit(error) from None

    def _is_of_pydantic(self, value: t.Any) -> bool:
        if self.item is not None and type(value) is list:
            return all(kinds.is_pydantic(type(one)) for one in value)
        return kinds.is_pydantic(type(value))

    def _misfit(self, error: t.Any) -> Misfitting:
        return Misfitting(f"The result is no {name_of(self.type)}, as is annotated: {error}")


def _writes_itself(kind: t.Any) -> bool:
    """Tell whether an instance of a class has the members of the class, and no others."""
    return (
        isinstance(kind, type)
        and kinds.is_model(kind)
        and not hasattr(kind, "__total__")
        and not issubclass(kind, tuple)
    )


def _faults_of(sent: t.Any, allowed: t.Any, place: str = "$") -> t.Iterator[str]:
    """What JSON cannot say, or the type has not: an object of another class holds other members."""
    if isinstance(sent, float) and not math.isfinite(sent):
        yield f"JSON has no such number - at `{place}`"
    elif isinstance(sent, dict) and isinstance(allowed, dict):
        for name, one in sent.items():
            if name not in allowed:
                yield f"its type has no member {name!r} - at `{place}`"
            yield from _faults_of(one, allowed.get(name), f"{place}.{name}")
    elif isinstance(sent, list) and isinstance(allowed, list):
        for number, pair in enumerate(zip(sent, allowed, strict=False)):
            yield from _faults_of(*pair, f"{place}[{number}]")


def answers_of(annotation: t.Any, fail: t.Callable[[str], t.NoReturn]) -> list[Answer]:
    """Return the answers that the annotation of a result names.

    :raises NameError: if a part of it cannot be resolved yet.
    """
    bare, extra = unwrap(annotation)
    members = kinds.members_of(bare)
    tuples = [one for one in members if t.get_origin(unwrap(one)[0]) is tuple]
    others = [one for one in members if one not in tuples]
    found = [answer for one in tuples for answer in _with_status(unwrap(one)[0], fail)]
    plain = [one for one in others if not _is_response(unwrap(one)[0])]
    if len(plain) < len(others):
        found.append(Answer(200, t.Any, "any"))
    if plain == [type(None)]:
        found.insert(0, Answer(204, None, "none"))
    elif plain:
        is_whole = len(plain) == len(members)
        kind = annotation if is_whole else t.Union[tuple(plain)]  # noqa: UP007
        found.insert(0, _answer(200, kind, extra, fail))
    return found


def _is_response(kind: t.Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, ResponseBase)


def _with_status(annotation: t.Any, fail: t.Callable[[str], t.NoReturn]) -> list[Answer]:
    arguments = t.get_args(annotation)
    statuses = t.get_args(unwrap(arguments[1])[0]) if len(arguments) in (2, 3) else ()
    if not statuses or t.get_origin(unwrap(arguments[1])[0]) is not t.Literal:
        body = name_of(arguments[0]) if arguments else "T"
        fail(f"{name_of(annotation)} does not say which status: tuple[{body}, Literal[201]].")
    answers = [_answer(int(status), arguments[0], (), fail) for status in statuses]
    for answer in answers:
        answer.is_tuple = True
    return answers


def _answer(status: int, annotation: t.Any, extra: t.Any, fail: t.Any) -> Answer:
    bare, inner = unwrap(annotation)
    if bare is type(None) or bare is None or status in (204, 304):
        return Answer(status, None, "none")
    if bare is t.Any:
        return Answer(status, t.Any, "any")
    if bare is str:
        return Answer(status, str, "text")
    if t.get_origin(bare) in _ITERATORS:
        item = (t.get_args(bare) or (t.Any,))[0]
        is_events = any(isinstance(one, Streamed) for one in (*extra, *inner))
        has_ids = is_events and t.get_origin(item) is Event
        item = t.get_args(item)[0] if has_ids else item
        check_schema(item, fail, "the result's type", _ADVICE)
        answer = Answer(status, item, "events" if is_events else "lines")
        answer.has_ids = has_ids
        return answer
    page = _pydantic_page(bare)
    check_schema(page or annotation, fail, "the result's type", _ADVICE)
    answer = Answer(status, page or annotation)
    answer.is_page = answer.is_page or page is not None
    return answer


def _pydantic_page(kind: t.Any) -> t.Any:
    """Return what stands for a page of pydantic's models: a model of its kind; None for other types."""
    if t.get_origin(kind) is not Page or not kinds.holds_pydantic(kind):
        return None
    (item,) = t.get_args(kind)
    fields = {"items": (list[item], ...), "next": (str | None, None)}  # type: ignore[valid-type]
    return kinds.pydantic_module().create_model(f"Page_{name_of(item)}", **fields)


_ADVICE = "Annotate a class with fields, or return a Response."


# -- what goes out --------------------------------------------------------------------------

STATUS_LINES = {code: f"{code} {name.upper()}" for code, name in HTTP_STATUS_CODES.items()}


class Finisher:
    """Makes the answer of what a view returned."""

    #: The tables' mark, while results are not checked.
    mark: object = None

    def __init__(self, answers: list[Answer]) -> None:
        self._by_status = {one.status: one for one in answers}
        self._default = next((one for one in answers if one.status < 300), None)

    def finish(self, result: t.Any) -> t.Any:
        """Return what the engine takes.

        :raises Misfitting: if its annotation does not say so, where that is checked.
        """
        value, status, headers = result, None, None
        if type(result) is tuple:
            value, status, headers = _parts(result)
        if isinstance(value, ResponseBase) or _is_application(value):
            return result
        answer = self._default if status is None else self._by_status.get(status)
        is_checked = self._checks()
        if answer is None and isinstance(status, int) and status < 400:
            if is_checked:
                raise Misfitting(f"The status {status} is not one that is annotated.")
            answer = self._default
        if answer is None or answer.media == "any":
            return result
        if answer.media == "text" or (isinstance(value, str) and not _takes_text(answer)):
            return result
        if answer.media == "none":
            if is_checked and value is not None and value != "":
                raise Misfitting(f"The result of {answer.status} has no body, as is annotated.")
            return _empty(status or answer.status, headers)
        if is_checked:
            answer.check(value)
        body = answer.write(value)
        link = getattr(value, "__link__", None)
        if link is not None and (made := link()):
            headers = {**dict(headers or {}), "Link": made}
        if headers:
            return Response(body, status or answer.status, headers, mimetype=JSON)
        return Payload((body, JSON_HEADER, STATUS_LINES[status or answer.status]))

    def _checks(self) -> bool:
        """Tell whether results are checked: as is configured, or else in debug mode and in tests."""
        app: Flask = get_current().app
        mark = tables.mark
        checks = app.config.get("API_CHECK_RESPONSES")
        checks = (app.debug or app.testing) if checks is None else checks
        self.mark = None if checks else mark
        return bool(checks)


def _parts(result: tuple[t.Any, ...]) -> tuple[t.Any, t.Any, t.Any]:
    if len(result) == 3:
        return result
    if len(result) == 2 and isinstance(result[1], int):
        return result[0], int(result[1]), None
    if len(result) == 2 and not isinstance(result[1], str):
        return result[0], None, result[1]
    return result, None, None


def _is_application(value: t.Any) -> bool:
    return callable(value) and not kinds.is_model(type(value)) and not hasattr(value, "__iter__")


def _takes_text(answer: Answer) -> bool:
    return any(
        one in (str, t.Any) for one in (unwrap(k)[0] for k in kinds.members_of(answer.type))
    ) or bool(kinds.choices_of(answer.type))


def _empty(status: int, headers: t.Any) -> Response:
    response = Response(status=status, headers=headers)
    response.headers.remove("Content-Type")
    return response
