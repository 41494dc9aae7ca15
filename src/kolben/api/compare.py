"""What has changed between two documents, and whether a client notices.

What is sent to the program may be allowed more than before, and what it answers may be less: the other
way round breaks clients.
"""

from __future__ import annotations

import json
import typing as t

_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
JSON = "application/json"
_SAID = ("format", "pattern", "multipleOf", "contentEncoding", "const")


class Change(t.NamedTuple):
    """A change.

    :param is_breaking: whether a client that was written for the old document may fail.
    :param text: what has changed.
    """

    is_breaking: bool
    text: str

    def __str__(self) -> str:
        return f"{'breaking' if self.is_breaking else 'compatible'}: {self.text}"


def compare(old: dict[str, t.Any], new: dict[str, t.Any]) -> list[Change]:
    """Return the changes from one document to another.

    :param old: the document that clients were written for.
    :param new: the document of today.
    """
    return _Comparison(old, new).run()


class _Comparison:
    """Two documents, with the changes found so far."""

    def __init__(self, old: dict[str, t.Any], new: dict[str, t.Any]) -> None:
        self._old = old
        self._new = new
        self._found: dict[Change, None] = {}
        self._seen: set[tuple[str, str, bool]] = set()

    def run(self) -> list[Change]:
        old, new = _operations(self._old), _operations(self._new)
        for name in sorted({*old, *new}):
            if name not in new:
                self._add(True, f"{name} is gone")
            elif name not in old:
                self._add(False, f"{name} is new")
            else:
                self._operation(name, old[name], new[name], is_called=_is_called(name))
        return sorted(self._found, key=lambda one: (not one.is_breaking, one.text))

    def _add(self, is_breaking: bool, text: str) -> None:
        self._found[Change(is_breaking, f"{text}.")] = None

    def _operation(self, name: str, old: t.Any, new: t.Any, is_called: bool) -> None:
        """Compare two operations: clients send what is called; they receive a webhook."""
        before, after = _parameters(old), _parameters(new)
        for key in sorted({*before, *after}):
            label = f"{name}: {key[0]} {key[1]!r}"
            if key not in after:
                self._add(True, f"{label} is gone")
            elif key not in before:
                is_required = bool(after[key].get("required"))
                self._add(is_required, f"{label} is new{' and required' if is_required else ''}")
            else:
                if after[key].get("required") and not before[key].get("required"):
                    self._add(True, f"{label} is required now")
                if after[key].get("explode") != before[key].get("explode"):
                    self._add(True, f"{label} is written in another way")
                schemas = before[key].get("schema", {}), after[key].get("schema", {})
                self._schema(label, *schemas, is_sent=True)
        self._body(name, old.get("requestBody"), new.get("requestBody"), is_called)
        self._answers(name, old.get("responses", {}), new.get("responses", {}), not is_called)
        asked, asks = old.get("security") or [{}], new.get("security") or [{}]
        if asked != asks:
            suffices = all(any(_is_within(one, had) for one in asks) for had in asked)
            self._add(
                not suffices, f"{name} asks for {'fewer' if suffices else 'other'} credentials"
            )

    def _body(self, name: str, old: t.Any, new: t.Any, is_sent: bool) -> None:
        label = f"{name}: the body"
        if old is None or new is None:
            if old is not new:
                is_breaking = new is None or bool(new.get("required"))
                self._add(is_breaking, f"{label} is {'new' if new else 'gone'}")
            return
        if new.get("required") and not old.get("required"):
            self._add(True, f"{label} is required now")
        self._content(label, old["content"], new["content"], is_sent)

    def _answers(self, name: str, old: t.Any, new: t.Any, is_sent: bool) -> None:
        for status in sorted({*old, *new}):
            label = f"{name}: the answer {status}"
            if status not in new:
                self._add(status < "4", f"{label} is gone")
            elif status not in old:
                self._add(status < "4", f"{label} is new")
            else:
                before = self._resolve(self._old, old[status])
                after = self._resolve(self._new, new[status])
                self._content(label, before.get("content", {}), after.get("content", {}), is_sent)
                headers, kept = before.get("headers", {}), after.get("headers", {})
                for header in sorted(headers.keys() ^ kept.keys()):
                    is_gone = header in headers
                    self._add(is_gone, f"{label}: {header} is {'gone' if is_gone else 'new'}")

    def _content(self, label: str, old: t.Any, new: t.Any, is_sent: bool) -> None:
        for media in sorted({*old, *new}):
            if media not in new or media not in old:
                verb = "may be" if media in new else "is no longer"
                self._add(media not in new or not old, f"{label} {verb} {media}")
                continue
            for part in ("schema", "itemSchema", "x-itemSchema"):
                if part in old[media] and part in new[media]:
                    self._schema(label, old[media][part], new[media][part], is_sent)

    # ---- schemas ---------------------------------------------------------------------------

    def _resolve(self, document: t.Any, node: t.Any) -> t.Any:
        while isinstance(node, dict) and "$ref" in node:
            found = document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
            node = {**found, **{key: value for key, value in node.items() if key != "$ref"}}
        return node if isinstance(node, dict) else {}

    def _schema(self, label: str, old: t.Any, new: t.Any, is_sent: bool) -> None:
        refs = tuple(one.get("$ref", "") if isinstance(one, dict) else "" for one in (old, new))
        if all(refs):
            if (*refs, is_sent) in self._seen:
                return
            self._seen.add((refs[0], refs[1], is_sent))
        old, new = self._resolve(self._old, old), self._resolve(self._new, new)
        # What takes less breaks those who send, and what gives more those who receive.
        self._sets(label, old, new, is_sent)
        self._limits(label, old, new, is_sent)
        self._rules(label, old, new, is_sent)
        self._object(label, old, new, is_sent)
        if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
            self._schema(f"{label}[]", old["items"], new["items"], is_sent)
        for number, pair in enumerate(
            zip(old.get("prefixItems", ()), new.get("prefixItems", ()), strict=False)
        ):
            self._schema(f"{label}[{number}]", *pair, is_sent)
        for word in ("allOf", "anyOf", "oneOf"):
            before, after = _by_name(old.get(word, ())), _by_name(new.get(word, ()))
            self._members(label, before, after, is_sent)
            for name in before.keys() & after.keys():
                self._schema(label, before[name], after[name], is_sent)

    def _sets(self, label: str, old: t.Any, new: t.Any, is_sent: bool) -> None:
        for word in ("type", "enum"):
            before, after = old.get(word), new.get(word)
            if before is None and after is None:
                continue
            if before is None or after is None:
                is_less = before is None
                verb = "has" if is_less else "has no"
                self._add(is_less == is_sent, f"{label} {verb} {word} now")
                continue
            listed = [one if isinstance(one, list) else [one] for one in (before, after)]
            names = [{json.dumps(value): value for value in one} for one in listed]
            self._members(label, names[0], names[1], is_sent)

    def _members(self, label: str, before: t.Any, after: t.Any, is_sent: bool) -> None:
        for name in sorted(before.keys() - after.keys()):
            self._add(is_sent, f"{label} is no longer {name}")
        for name in sorted(after.keys() - before.keys()):
            self._add(bool(before) and not is_sent, f"{label} may be {name}")

    def _limits(self, label: str, old: t.Any, new: t.Any, is_sent: bool) -> None:
        for word in (*_LOWER, *_UPPER):
            before, after = old.get(word), new.get(word)
            if before != after:
                is_less = before is None or (
                    after is not None and (after > before) == (word in _LOWER)
                )
                self._add(is_less == is_sent, f"{label} has {word} {after}, not {before}")
        for word in _SAID:
            if old.get(word) != new.get(word):
                self._add(True, f"{label} has {word} {new.get(word)}, not {old.get(word)}")

    def _rules(self, label: str, old: t.Any, new: t.Any, is_sent: bool) -> None:
        """Compare what holds between the parts of a value, and what stands in for it."""
        if old.get("uniqueItems", False) != new.get("uniqueItems", False):
            is_less = bool(new.get("uniqueItems"))
            self._add(
                is_less == is_sent, f"{label} {'has no' if is_less else 'may have'} item twice"
            )
        if "propertyNames" in old or "propertyNames" in new:
            names = old.get("propertyNames", {}), new.get("propertyNames", {})
            self._schema(f"{label}: each name", *names, is_sent)
        before, after = old.get("dependentRequired", {}), new.get("dependentRequired", {})
        for name in sorted({*before, *after}):
            had, has = set(before.get(name, ())), set(after.get(name, ()))
            for other in sorted(had ^ has):
                verb = "needs" if other in has else "may come without"
                self._add((other in has) == is_sent, f"{label}: {name} {verb} {other} now")
        if is_sent and "default" in old and old["default"] != new.get("default"):
            self._add(
                True,
                f"{label} is {new.get('default')!r} where it is not sent, not {old['default']!r}",
            )

    def _object(self, label: str, old: t.Any, new: t.Any, is_sent: bool) -> None:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed, needs = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted({*before, *after}):
            inner = f"{label}.{name}" if "." in label else f"{label}, .{name}"
            if name not in after:
                is_breaking = not is_sent or new.get("additionalProperties") is False
                self._add(is_breaking, f"{inner} is gone")
            elif name not in before:
                is_needed = name in needs
                self._add(is_sent and is_needed, f"{inner} is new{' and required' * is_needed}")
            else:
                if name in needs - needed:
                    self._add(is_sent, f"{inner} is required now")
                elif name in needed - needs:
                    self._add(not is_sent, f"{inner} may be missing now")
                self._schema(inner, before[name], after[name], is_sent)
        wide, narrow = old.get("additionalProperties"), new.get("additionalProperties")
        if isinstance(wide, dict) and isinstance(narrow, dict):
            self._schema(f"{label}{{}}", wide, narrow, is_sent)
        elif (wide is False) != (narrow is False):
            is_closed = narrow is False
            self._add(is_closed == is_sent, f"{label} takes {'no ' * is_closed}others")


def _operations(document: t.Any) -> dict[str, t.Any]:
    """What a document describes, by name: views, what they call back, webhooks and WebSockets."""
    found: dict[str, t.Any] = {}
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if isinstance(operation, dict):
                name = f"{method.upper()} {path}"
                found[name] = operation
                for label, callback in operation.get("callbacks", {}).items():
                    for called in callback.values():
                        found[f"the callback {label} of {name}"] = next(iter(called.values()))
    for name, item in document.get("webhooks", {}).items():
        found[f"the webhook {name}"] = next(iter(item.values()))
    for path, socket in document.get("x-websockets", {}).items():
        taken, sent = ({"content": {JSON: {"schema": socket[one]}}} for one in ("receive", "send"))
        found[f"the WebSocket {path}"] = {
            **socket,
            "requestBody": taken,
            "responses": {"101": sent},
        }
    return found


def _is_called(name: str) -> bool:
    return not name.startswith(("the callback ", "the webhook "))


def _is_within(asked: t.Any, had: t.Any) -> bool:
    """Tell whether credentials that a client has been asked for are all that is asked for now."""
    return all(name in had and {*scopes} <= {*had[name]} for name, scopes in asked.items())


def _parameters(operation: t.Any) -> dict[tuple[str, str], t.Any]:
    return {(one["in"], one["name"]): one for one in operation.get("parameters", ())}


def _by_name(schemas: t.Iterable[t.Any]) -> dict[str, t.Any]:
    return {one.get("$ref", "").rpartition("/")[2] or json.dumps(one): one for one in schemas}
