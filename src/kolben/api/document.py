"""The OpenAPI document: made of the plans that the views are compiled from, so that it says what is done."""

from __future__ import annotations

import inspect
import re
import typing as t
import uuid
from dataclasses import dataclass, field

from msgspec import NODEFAULT

from ..problems import MIMETYPE, reason
from . import kinds
from .answers import JSON, Answer
from .problems import Fault, InvalidRequest, Problem
from .schemas import REF, Schemas, free, plain, told

if t.TYPE_CHECKING:
    from .operations import Operation
    from .plan import Param

_VARIABLE = re.compile(r"<(?:[^<>:]*:)?(\w+)>")
_METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")
_RESPONSES = "#/components/responses/"
_MEDIA = {"lines": "application/jsonl", "events": "text/event-stream", "text": "text/html"}


@dataclass(slots=True)
class About:
    """What an API says of itself.

    :param title: its title.
    :param version: its version, not that of OpenAPI.
    :param description: what it is for, in Markdown.
    :param servers: the URLs it is served at, each a Server Object or a URL.
    :param security_schemes: further Security Scheme Objects by name.
    :param openapi: the URL of the document, None for none.
    :param docs: the URL of the page that shows it, None for none.
    :param info: further members of the Info Object, such as ``contact`` and ``license``.
    :param docs_tags: descriptions of the groups, by name.
    """

    title: str | None = None
    version: str = "0.1.0"
    description: str | None = None
    servers: t.Sequence[t.Any] = ()
    security_schemes: t.Mapping[str, t.Any] = field(default_factory=dict)
    openapi: str | None = "/openapi.json"
    docs: str | None = "/docs"
    info: t.Mapping[str, t.Any] = field(default_factory=dict)
    docs_tags: t.Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def taken_from(cls, options: dict[str, t.Any]) -> About:
        """Take what is said of an API out of the options of its constructor.

        :param options: changed in place.
        """
        return cls(**{name: options.pop(name) for name in cls.__slots__ if name in options})


class Document:
    """A document in the making (OpenAPI 3.1.1; 3.2.0 where there are streams).

    :param about: what the API says of itself.
    :param operations: its views.
    :param webhooks: the requests that it sends to others.
    :param name: its title, if it has none.
    """

    def __init__(
        self,
        about: About,
        operations: t.Iterable[Operation],
        webhooks: t.Mapping[str, Operation],
        name: str,
    ) -> None:
        self._about = about
        self._operations = [o for o in operations if o.documented.get("document") is not False]
        self._webhooks = webhooks
        self._name = name
        self._responses: dict[str, t.Any] = {}
        self._schemes: dict[str, t.Any] = {}
        self._ids: set[str] = set()
        self._has_streams = False
        callbacks = [c for one in self._operations for c in _callbacks(one).values()]
        everything = [*self._operations, *webhooks.values(), *callbacks]
        self._schemas = Schemas(_types_of(everything))

    def build(self) -> dict[str, t.Any]:
        """Return the document."""
        about = self._about
        info: dict[str, t.Any] = {"title": about.title or self._name, "version": about.version}
        if about.description:
            info["description"] = inspect.cleandoc(about.description)
        paths: dict[str, t.Any] = {}
        sockets: dict[str, t.Any] = {}
        for operation in self._operations:
            for rule in _rules_of(operation):
                path = _path_of(rule)
                if operation.socket is not None:
                    sockets[path] = self._socket(operation, rule)
                    continue
                for method in operation.methods:
                    if method in _METHODS and method not in ("HEAD", "OPTIONS"):
                        item = paths.setdefault(path, {})
                        item.setdefault(method.lower(), self._operation(operation, rule, method))
        document: dict[str, t.Any] = {"openapi": "", "info": {**info, **about.info}}
        if about.servers:
            document["servers"] = [{"url": o} if isinstance(o, str) else o for o in about.servers]
        document["paths"] = paths
        if self._webhooks:
            hooks = self._webhooks.items()
            document["webhooks"] = {
                name: {"post": self._operation(one, None, "POST")} for name, one in hooks
            }
        if sockets:
            document["x-websockets"] = sockets
        document["components"] = self._components()
        if about.docs_tags:
            document["tags"] = [
                {"name": name, "description": text} for name, text in about.docs_tags.items()
            ]
        document["openapi"] = "3.2.0" if self._has_streams else "3.1.1"
        return document

    def _components(self) -> dict[str, t.Any]:
        parts = {
            "schemas": self._schemas.components,
            "responses": self._responses,
            "securitySchemes": self._schemes,
        }
        return {name: dict(sorted(part.items())) for name, part in parts.items() if part}

    # ---- operations ------------------------------------------------------------------------

    def _operation(self, operation: Operation, rule: t.Any, method: str) -> dict[str, t.Any]:
        said, settings = operation.documented, operation.settings
        text = told(inspect.getdoc(operation.view) or "")
        summary, _, description = text.partition("\n\n")
        found = self._parameters(operation, rule)
        made = {
            "tags": list(settings.tags),
            "summary": said.get("summary") or " ".join(summary.split()),
            "description": said.get("description") or description.strip(),
            "operationId": self._id_of(operation, method),
            "parameters": list(found.values()),
            "requestBody": self._request_body(operation),
            "responses": self._responses_of(operation, bool(found), rule),
            "callbacks": self._callbacks_of(operation),
            "deprecated": settings.deprecated is True,
            "security": self._security(operation),
            "servers": _servers_of(rule),
        }
        return {name: part for name, part in made.items() if part}

    def _parameters(self, operation: Operation, rule: t.Any) -> dict[tuple[str, str], t.Any]:
        """Return the parameters of an operation by place and name."""
        known = _converters(rule)
        found: dict[tuple[str, str], t.Any] = {}
        for leaf in operation.plan.leaves:
            is_plain = leaf.where in ("query", "header", "cookie") and leaf.security is None
            if is_plain or (leaf.where == "path" and leaf.wire in known):
                found.setdefault((leaf.where, leaf.wire), self._parameter(leaf, rule))
        for name, converter in known.items():
            schema = _converter_schema(converter)
            made = {"name": name, "in": "path", "required": True, "schema": schema}
            found.setdefault(("path", name), made)
        return found

    def _id_of(self, operation: Operation, method: str) -> str:
        base = (operation.endpoint or operation.view.__name__).replace(".", "_")
        if operation.has_self or len({*operation.methods} - {"HEAD", "OPTIONS"}) > 1:
            base = f"{base}_{method.lower()}"
        return free(base, self._ids)

    def _parameter(self, param: Param, rule: t.Any) -> dict[str, t.Any]:
        made: dict[str, t.Any] = {"name": param.wire, "in": param.where}
        if param.description:
            made["description"] = param.description
        if (param.required and param.group is None) or param.where == "path":
            made["required"] = True
        if param.where == "path":
            converter = _converters(rule).get(param.name)
            schema = _converter_schema(converter)
            if param.type is not t.Any and converter is not None:
                schema = _both(schema, self._text_schema(param))
        else:
            schema = self._text_schema(param)
        default = plain(param.default)
        if default is not NODEFAULT and default is not None:
            schema = {**schema, "default": default}
        made["schema"] = schema
        if param.where in ("query", "cookie") and param.container is not None:
            made["explode"] = param.where == "query"
        return made

    def _request_body(self, operation: Operation) -> dict[str, t.Any] | None:
        plan, refuses = operation.plan, operation.settings.unknown == "refuse"
        if (body := plan.body) is not None:
            schema = self._schemas.of(_body_type(body), refuses=refuses)
            made: dict[str, t.Any] = {"content": {JSON: {"schema": schema}}}
            return {**made, "required": True} if body.required else made
        form = plan.form
        if not form:
            return None
        properties = {one.wire: self._form_field(one) for one in form}
        schema = {"type": "object", "properties": properties}
        if required := [one.wire for one in form if one.required and one.group is None]:
            schema["required"] = required
        groups = {one.wire: [o.wire for o in one.group if o.required] for one in form if one.group}
        if any(groups.values()):
            schema["dependentRequired"] = groups
        if refuses:
            schema["additionalProperties"] = False
        content = {"multipart/form-data": {"schema": schema}}
        if not any(one.is_upload for one in form):
            content = {"application/x-www-form-urlencoded": {"schema": schema}, **content}
        return {"content": content, **({"required": True} if required else {})}

    def _form_field(self, param: Param) -> dict[str, t.Any]:
        if not param.is_upload:
            return self._text_schema(param)
        schema: dict[str, t.Any] = {"type": "string", "format": "binary"}
        return {"type": "array", "items": schema} if param.container is not None else schema

    def _text_schema(self, param: Param) -> dict[str, t.Any]:
        return _any_of([self._schemas.of(one) for one in param.text_types])

    # ---- answers ---------------------------------------------------------------------------

    def _responses_of(self, operation: Operation, has_parameters: bool, rule: t.Any) -> t.Any:
        made = {str(one.status): self._answer(one) for one in operation.answers}
        made = made or {"200": {"description": "OK"}}
        plan = operation.plan
        has_body = plan.body is not None or bool(plan.form)
        possible = {
            400: plan.body is not None,
            401: any(one.security is not None and one.required for one in plan.reads),
            404: bool(_converters(rule)),
            413: has_body,
            415: has_body,
            422: has_body or has_parameters or operation.settings.unknown == "refuse",
        }
        errors: dict[int, list[t.Any]] = {status: [] for status, can in possible.items() if can}
        for kind in operation.settings.raises:
            errors.setdefault(kind.code, []).append(kind)
        for status, classes in sorted(errors.items()):
            if str(status) not in made:
                made[str(status)] = self._error(status, classes)
        return dict(sorted(made.items()))

    def _answer(self, answer: Answer) -> dict[str, t.Any]:
        made: dict[str, t.Any] = {"description": reason(answer.status)}
        if answer.media in ("none", "any"):
            return made
        if answer.media == "text":
            return {**made, "content": {_MEDIA["text"]: {"schema": {"type": "string"}}}}
        schema = self._schemas.of(answer.type, is_answer=True)
        if answer.media == "json":
            made["content"] = {JSON: {"schema": schema}}
            if answer.is_page:
                made["headers"] = {"Link": {"schema": {"type": "string"}}}
            return made
        self._has_streams = True
        if answer.media == "events":
            data = {"type": "string", "contentMediaType": JSON, "contentSchema": schema}
            properties = {"data": data, **({"id": {"type": "string"}} if answer.has_ids else {})}
            schema = {"type": "object", "properties": properties, "required": ["data"]}
        made["content"] = {_MEDIA[answer.media]: {"itemSchema": schema}}
        return made

    def _error(self, status: int, classes: list[type[Problem]]) -> dict[str, t.Any]:
        """Return a shared response; one of its own where the problem has members of its own."""
        own = "-".join(one.__name__ for one in classes)
        name = own or re.sub(r"[^A-Za-z]", "", reason(status))
        if name not in self._responses:
            schemas = [self._problem(one, status) for one in classes] or [self._plain(status)]
            title = classes[0].title if classes else reason(status)
            content = {MIMETYPE: {"schema": _any_of(schemas)}}
            self._responses[name] = {"description": title, "content": content}
        return {"$ref": _RESPONSES + name}

    def _plain(self, status: int) -> dict[str, t.Any]:
        name = "InvalidRequest" if status in (400, 422) else "Problem"
        properties = {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        }
        required = ["type", "title", "status"]
        if name == "InvalidRequest":
            fault = self._schemas.of(Fault)
            properties["errors"] = {"type": "array", "items": fault}
        schema = {"type": "object", "properties": properties, "required": required}
        return self._own(name, schema)

    def _problem(self, kind: type[Problem], status: int) -> dict[str, t.Any]:
        if issubclass(kind, InvalidRequest):
            return self._plain(422)
        base = self._plain(404)
        members = {name: self._schemas.of(one, True) for name, one in _members(kind).items()}
        if not members:
            return base
        own = {"type": "object", "properties": members, "required": list(members)}
        return self._own(kind.__name__, {"allOf": [base, own]})

    def _own(self, name: str, schema: dict[str, t.Any]) -> dict[str, t.Any]:
        present = self._schemas.components.get(name)
        if present is not None and present != schema:
            return self._own(f"{name}_Problem" if name == "Problem" else f"{name}Error", schema)
        self._schemas.components[name] = schema
        return {"$ref": REF + name}

    # ---- the rest --------------------------------------------------------------------------

    def _security(self, operation: Operation) -> list[dict[str, t.Any]]:
        found: dict[str, list[str]] = {}
        optional: dict[str, list[str]] = {}
        for param in operation.plan.reads:
            if param.security is not None:
                name = param.security.scheme_name
                self._schemes[name] = param.security.scheme
                into = found if param.required else optional
                into[name] = list(param.security.scopes)
        named = operation.settings.security
        if isinstance(named, str):
            scheme = next(
                (s for o in operation.owners if (s := o.about.security_schemes.get(named))), None
            )
            if scheme is None:
                raise TypeError(
                    f"security={named!r} names no scheme: API(..., security_schemes={{{named!r}:"
                    " {...}}) defines it."
                )
            self._schemes[named] = scheme
            found[named] = []
        choices = [
            {**found, name: scopes} for name, scopes in optional.items() if name not in found
        ]
        return [*choices, found] if found or choices else []

    def _callbacks_of(self, operation: Operation) -> dict[str, t.Any]:
        return {
            one.view.__name__: {expression: {"post": self._operation(one, None, "POST")}}
            for expression, one in _callbacks(operation).items()
        }

    def _socket(self, operation: Operation, rule: t.Any) -> dict[str, t.Any]:
        taken, sent = operation.socket or (t.Any, t.Any)
        made = self._operation(operation, rule, "GET")
        kept = ("summary", "description", "operationId", "parameters", "security", "tags")
        described = {name: made[name] for name in kept if name in made}
        return {
            **described,
            "receive": self._schemas.of(taken),
            "send": self._schemas.of(sent, is_answer=True),
        }


def _types_of(operations: t.Iterable[Operation]) -> t.Iterator[tuple[t.Any, bool]]:
    """All types that a document names, each with whether it is an answer's."""
    yield Fault, False
    for operation in operations:
        for leaf in operation.plan.leaves:
            if leaf.where == "body":
                yield _body_type(leaf), False
            elif leaf.security is None and not leaf.is_upload:
                yield from ((one, False) for one in leaf.text_types)
        for answer in operation.answers:
            if answer.media in ("json", "lines", "events"):
                yield answer.type, True
        for kind in operation.settings.raises:
            for annotation in _members(kind).values():
                yield annotation, True
        if operation.socket is not None:
            yield operation.socket[0], False
            yield operation.socket[1], True


def _members(kind: type[Problem]) -> dict[str, t.Any]:
    hints = t.get_type_hints(kind, include_extras=True)
    return {name: hints[name] for name in kind.members}


def _callbacks(operation: Operation) -> dict[str, Operation]:
    """The callbacks of a view by their expressions."""
    given = operation.documented.get("callbacks") or {}
    hooks = {one.view: one for owner in operation.owners for one in owner.webhooks.values()}
    for view in given.values():
        if view not in hooks:
            raise TypeError(f"The callback {view.__name__!r} is not described: @api.webhook(...).")
    return {expression: hooks[view] for expression, view in given.items()}


def _body_type(body: Param) -> t.Any:
    """Return the type of a body that is sent: where none need be, it is not null either."""
    return body.type if body.required else kinds.without_none(kinds.unwrap(body.type)[0])


def _any_of(schemas: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


# -- URL rules ------------------------------------------------------------------------------


def _rules_of(operation: Operation) -> list[t.Any]:
    app = operation.app
    methods = set(operation.methods)
    rules = app.url_map._rules_by_endpoint.get(operation.endpoint, ())
    return [rule for rule in rules if rule.methods is None or methods & rule.methods]


def _path_of(rule: t.Any) -> str:
    return _VARIABLE.sub(r"{\1}", rule.rule)


def _converters(rule: t.Any) -> dict[str, t.Any]:
    return {} if rule is None else rule._converters


def _converter_schema(converter: t.Any) -> dict[str, t.Any]:
    """Return what a converter takes."""
    own = getattr(converter, "schema", None)
    if own is not None:
        return dict(own)
    name = type(converter).__name__
    if name in ("IntegerConverter", "FloatConverter"):
        schema: dict[str, t.Any] = {"type": "integer" if name[0] == "I" else "number"}
        if converter.min is not None or not converter.signed:
            schema["minimum"] = converter.min if converter.min is not None else 0
        if converter.max is not None:
            schema["maximum"] = converter.max
        return schema
    if name == "UUIDConverter":
        return {"type": "string", "format": "uuid"}
    if name == "AnyConverter":
        return {"type": "string", "enum": sorted(converter.items)}
    if name == "PathConverter":
        return {"type": "string", "minLength": 1, "x-path": True}
    if name == "UnicodeConverter":
        return {"type": "string", "pattern": "^[^/]+$", **_string_lengths(converter.regex)}
    if type(converter).__module__.startswith("werkzeug.") or converter is None:
        return {"type": "string"}
    kind = t.get_type_hints(type(converter).to_python).get("return")
    formats: dict[t.Any, str] = {int: "integer", float: "number", bool: "boolean"}
    if kind is uuid.UUID:
        return {"type": "string", "format": "uuid"}
    return {"type": formats.get(kind, "string")}


def _both(given: dict[str, t.Any], own: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what a converter gives and the annotation takes, too."""
    kind, type_ = given.get("type"), own.get("type")
    if kind is None or (kind == "string" and type_ not in ("string", None)):
        return own  # read from text in which no slash can stand
    twice = {key: one for key, one in given.items() if own.get(key, one) != one and key != "type"}
    made = {**given, **own, "type": kind}
    return {**made, "allOf": [twice]} if twice else made


def _string_lengths(regex: str) -> dict[str, int]:
    match = re.search(r"\{(\d+)(?:(,)(\d*))?\}", regex)
    if match is None:
        return {}
    least = int(match[1])
    most = int(match[3]) if match[3] else (None if match[2] else least)
    lengths = {"minLength": least}
    return lengths if most is None else {**lengths, "maxLength": most}


def _servers_of(rule: t.Any) -> list[dict[str, t.Any]]:
    host = getattr(rule, "host", None)
    return [{"url": f"//{host}"}] if host and "<" not in host else []
