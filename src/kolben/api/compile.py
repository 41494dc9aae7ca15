"""From a plan to the function that the engine calls: written for the view, when its first request comes.

``operation.source`` is its source. It reads every value in one block; where something in it does not fit, another
reading tells every fault (`sources.Reading`). Then it calls the providers and the view, each once,
with values by position.
"""

from __future__ import annotations

import inspect
import linecache
import re
import threading
import typing as t
from copy import deepcopy
from functools import lru_cache, update_wrapper
from operator import countOf
from types import FunctionType

import msgspec

from .. import tables
from ..concurrency import async_to_sync, is_coroutine_function, may_block, never_blocks
from ..engine.results import Payload
from ..globals import get_current
from . import sockets, sources, streams
from .answers import JSON_HEADER, STATUS_LINES, Answer, Finisher
from .faults import JSONReader
from .kinds import NODEFAULT, Misfit
from .plan import innermost
from .problems import PROBLEM_HEADER, InvalidRequest, takes_all

if t.TYPE_CHECKING:
    from ..ctx import RequestContext
    from .operations import Operation
    from .plan import Param, Plan, Provider

_lock = threading.Lock()


# -- before the first request ---------------------------------------------------------------


@lru_cache(maxsize=1024)
def _stub_code(names: tuple[str, ...], is_async: bool) -> t.Any:
    """Return the code of a function that has itself compiled and calls itself again."""
    arguments = ", ".join(names)
    begin, wait = ("async ", "await ") if is_async else ("", "")
    source = f"{begin}def compiled({arguments}):\n return {wait}__start()({arguments})"
    namespace: dict[str, t.Any] = {}
    exec(compile(source, "<kolben.api>", "exec"), namespace)  # noqa: S102 (of names alone)
    return namespace["compiled"].__code__


def stub(operation: Operation, never_blocks_at_all: bool) -> t.Any:
    """Return the function to register for a view, which is compiled when it is called.

    PERF: compiling takes 0.16 ms a view, which a start of the program need not wait for.

    :param operation: what is known of the view.
    :param never_blocks_at_all: whether nothing that provides for it blocks, where the view does not.
    """
    view = operation.view
    code = _stub_code(operation.arguments, operation.is_async)
    if (own := getattr(innermost(view), "__code__", None)) is not None:
        # Where a message says where the view is, that is not here.
        code = code.replace(co_filename=own.co_filename, co_firstlineno=own.co_firstlineno)
    name = getattr(view, "__name__", operation.endpoint)
    made = FunctionType(code, {"__builtins__": __builtins__}, name, operation.defaults or None)
    update_wrapper(made, view)
    if never_blocks(view) and not never_blocks_at_all:
        may_block(made)
    made.__globals__["__start"] = lambda: start(operation)
    return made


def start(operation: Operation) -> t.Any:
    """Compile a view: its registered function becomes the one that was written for it.

    :return: that function.
    """
    function = operation.function
    with _lock:
        if not operation.is_compiled:
            operation.resolve()
            writer = Writer(operation)
            source = writer.source()
            namespace = writer.names
            name = f"<kolben.api {operation.endpoint}>"
            code = compile(source, name, "exec")
            # For tracebacks.
            linecache.cache[name] = len(source), None, source.splitlines(True), name
            exec(code, namespace)  # noqa: S102 (what is written below)
            function.__globals__.update(namespace)
            function.__code__ = namespace["compiled"].__code__
            operation.source = source
            operation.is_compiled = True
    return function


def reset(operation: Operation) -> None:
    """Have a view compiled anew: what provides has changed."""
    with _lock:
        operation.function.__code__ = _stub_code(operation.arguments, operation.is_async)
        operation.is_compiled = False


# -- writing --------------------------------------------------------------------------------


class Writer:
    """Writes the function for one view."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._plan: Plan = operation.current_plan()
        self._is_async = operation.is_async
        self._lines: list[str] = []
        self._count = 0
        self._values: dict[int, str] = {}  # of parameters and providers
        self._opened: set[str] = set()
        self._exits = any(one.yields for one in self._plan.providers)
        self.readers: dict[Param, JSONReader] = {}
        self.names: dict[str, t.Any] = {
            "__current": get_current,
            "__sources": sources,
            "__Misfits": (ValueError, TypeError, KeyError, RecursionError, msgspec.MsgspecError),
            "__Misfit": Misfit,
            "__tables": tables,
            "__Payload": Payload,
            "__JSON": JSON_HEADER,
            "__first": sources.first_values,
            "__read_body": sources.read_body,
            "__hop": streams.hop,
            "__count": countOf,
            "__unwind": streams.unwind_async if self._is_async else streams.unwind,
            "__view": operation.view,
            # Variables of the URL may have the names of builtins.
            **{f"__{one.__name__}": one for one in (type, list, map, len, next, BaseException)},
        }

    def _name(self, value: t.Any, kind: str = "k") -> str:
        """Give a value a name that the function knows."""
        self._count += 1
        name = f"__{kind}{self._count}"
        self.names[name] = value
        return name

    def _add(self, line: str, depth: int = 1) -> None:
        self._lines.append("    " * depth + line)

    # ---- the whole -------------------------------------------------------------------------

    def source(self) -> str:
        """Return the source of the function, named ``compiled``."""
        plan, operation = self._plan, self._operation
        path = operation.arguments
        begin = "async def" if self._is_async else "def"
        self._add(f"{begin} compiled({', '.join(path)}):", 0)
        top = len(self._lines)
        depth = 1
        if self._exits:
            self._add("__exits = []")
            self._add("try:")
            depth = 2
        guards = self._needed_by([one for one in plan.providers if one.is_guard])
        early = [one for one in plan.providers if one in guards]
        late = [one for one in plan.providers if one not in guards]
        self._read([p for one in early for p in one.params], depth)
        self._provide(early, depth)
        self._read(plan.reads, depth, is_last=True)
        self._provide(late, depth)
        self._call(depth)
        if self._exits:
            wait = "await " if self._is_async else ""
            self._add("except __BaseException as __error:")
            self._add(f"{wait}__unwind(__exits, __error)", 2)
            self._add("raise", 2)
            # None are left where a stream has taken them.
            self._add(f"{wait}__unwind(__exits, None)")
            self._add("return __answer")
        if any(re.search(r"\b__c\b", line) for line in self._lines):
            self._lines.insert(top, "    __c = __current()")
        return "\n".join(self._lines) + "\n"

    def _needed_by(self, providers: list[Provider]) -> set[Provider]:
        needed = set(providers)
        for one in providers:
            needed |= self._needed_by([p.provider for p in one.params if p.provider is not None])
        return needed

    def _call(self, depth: int) -> None:
        """Call the view, and make the answer of what it returns."""
        arguments = []
        for param in self._plan.params:
            if param.where == "socket":
                taken, sent = self._operation.socket or (t.Any, t.Any)
                write = sockets.write_message if sent is t.Any else Answer(200, sent).write
                maker = self._name(sockets.maker(taken, write))
                self._add(f"{self._value(param)} = {maker}()", depth)
            value = self._values[id(param.provider or param)]
            by_name = param.keyword_only or self._operation.passes_by_name
            arguments.append(f"{param.name}={value}" if by_name else value)
        call = f"__view({', '.join(arguments)})"
        view = self._operation.view
        if is_coroutine_function(view):
            call = f"await {call}"
        elif self._is_async and not (inspect.isasyncgenfunction(view) or never_blocks(view)):
            passed = "".join(f", {one}" for one in arguments)
            call = f"await __hop(__view{passed})"
        self._add(f"__result = {call}", depth)
        give = "__answer =" if self._exits else "return"
        if self._operation.socket is not None:
            self._add(f"{give} __result", depth)
            return
        if (stream := self._operation.stream) is not None:
            make = self._name(streams.maker(stream))
            self._add(f"{give} {make}(__result{', __exits' if self._exits else ''})", depth)
            return
        finisher = Finisher(self._operation.answers)
        finish = self._name(finisher.finish)
        self._add(f"{give} {self._fast(finisher)}{finish}(__result)", depth)

    def _fast(self, finisher: Finisher) -> str:
        """Return how a result is written that can be written as it is; nothing if that is never so."""
        answer: Answer | None = next((o for o in self._operation.answers if o.status == 200), None)
        if answer is None or answer.media != "json" or not (answer.exact or answer.exact_item):
            return ""
        encode = self._name(answer.encoder())
        mark = f"{self._name(finisher)}.mark is __tables.mark"
        if answer.exact is not None:
            condition = f"__type(__result) is {self._name(answer.exact)} and {mark}"
        else:
            item = self._name(answer.exact_item)
            # PERF: counting takes 2.1 µs for 200 items, a list of their classes 3.3.
            condition = (
                f"__type(__result) is __list and {mark} and"
                f" __count(__map(__type, __result), {item}) == __len(__result)"
            )
        if len(answer.nested) == 1:
            condition += f" and not {self._name(answer.nested[0].__subclasses__)}()"
        elif answer.nested:
            condition += f" and {self._name(answer.is_safe)}()"
        return f"__Payload(({encode}(__result), __JSON, '200 OK')) if {condition} else "

    # ---- reading ---------------------------------------------------------------------------

    def _read(self, params: list[Param], depth: int, is_last: bool = False) -> None:
        """Read what was not read before, in one block; credentials before it."""
        for param in params:
            if param.security is not None and id(param) not in self._values:
                made = self._name(param)
                value = self._value(param)
                self._add(f"{value} = __sources.read_security(__c, {made})", depth)
        left = [p for p in params if p.where != "provider" and id(p) not in self._values]
        lines, self._lines = self._lines, []
        for param in sorted(left, key=lambda one: one.where == "body"):
            self._read_one(param, depth + 1)
        if is_last and self._operation.settings.unknown == "refuse":
            self._refuse_unknown(depth + 1)
        read, self._lines = self._lines, lines
        if not read:
            return
        path = ", ".join(f"{name!r}: {name}" for name in self._operation.arguments)
        data = "__data" if any(one.where == "body" for one in left) else "None"
        if data != "None":
            self._add("__data = None", depth)
        self._add("try:", depth)
        self._lines += read
        self._add("except __Misfits as __error:", depth)
        call = f"{self._name(self._refuse)}(__c, __error, {{{path}}}, {data}, {not self._exits})"
        self._add(f"return {call}", depth + 1)

    def _refuse(
        self, context: RequestContext, error: Exception, path: t.Any, data: t.Any, may_return: bool
    ) -> t.Any:
        """Return the answer to a request that does not fit; raise it where a handler is to see it.

        PERF: what no handler wants is answered without an exception: 4 µs of 30, under ASGI 60 of 90,
        as handlers are called in a thread.
        """
        reading = sources.Reading(self._plan, context, path)
        found = reading.explain(error, self._operation.settings.unknown, self.readers, data)
        app = context.app
        returns = may_return and app.engine_plan.handles_errors_itself
        if returns and isinstance(found, InvalidRequest):
            names = context.blueprint_names()
            handler = app._find_error_handler(found, names)
            is_ours = hasattr(handler, "__problems__") and takes_all(app, names) is None
            is_ours = is_ours or handler is None
            if is_ours and not app.trap_http_exception(found):
                return Payload((found.written(), PROBLEM_HEADER, STATUS_LINES[422]))
        raise found from None

    def _value(self, param: Param | Provider) -> str:
        self._count += 1
        name = self._values[id(param)] = f"__v{self._count}"
        return name

    def _read_one(self, param: Param, depth: int) -> None:
        if param.where == "path":
            self._read_path(param, depth)
        elif param.where == "body":
            self._read_body(param, depth)
        elif param.fields is not None:
            self._read_fields(param, depth)
        else:
            self._read_text(param, depth)

    def _read_path(self, param: Param, depth: int) -> None:
        self._values[id(param)] = param.name
        if param.reader is not None:
            value = self._value(param)
            self._add(f"{value} = {self._name(param.reader)}({param.name})", depth)

    def _read_body(self, param: Param, depth: int) -> None:
        refuses = self._operation.settings.unknown == "refuse"
        reader = self.readers[param] = JSONReader(param.type, refuses)
        decode, value = self._name(reader.decode), self._value(param)
        if param.required:
            self._add(f"{value} = {decode}(__data := __read_body(__c))", depth)
        else:
            default = self._default(param)
            self._add("__data = __read_body(__c)", depth)
            self._add(f"{value} = {decode}(__data) if __data else {default}", depth)

    def _source(self, param: Param, depth: int) -> tuple[str, str]:
        """Return what holds a parameter's text, and its key; opened when it is first wanted."""
        where = param.where
        if where == "header":
            expression, variable = "__c.environ", "__e"
        elif where == "cookie":
            expression, variable = "__sources.cookies_of(__c)", "__cookies"
        elif where == "form":
            kind = "files" if param.is_upload else "form"
            expression, variable = f"__sources.form_of(__c).{kind}", f"__{kind}"
        elif param.container is not None:
            variable, expression = "__all", f"__sources.all_values(__c, {self._query()})"
        else:
            variable, expression = "__q", f"__first(__c, {self._query()})"
        if variable not in self._opened:
            self._opened.add(variable)
            self._add(f"{variable} = {expression}", depth)
        return variable, repr(sources.environ_key(param.wire) if where == "header" else param.wire)

    def _query(self) -> str:
        if self._is_async:
            return "__sources.query_text(__c)"
        return "__c.environ.get('QUERY_STRING', '')"

    def _read_text(self, param: Param, depth: int, default: str | None = None) -> str:
        """Read one value; return what holds it."""
        source, key = self._source(param, depth)
        value = self._value(param)
        if default is None and not param.required:
            default = self._default(param)
        if param.container is not None:
            many, made = f"{source}.getlist({key})", self._name(param)
            if param.where in ("header", "cookie"):
                many = f"[__o.strip() for __o in {source}[{key}].split(',')] if {key} in {source} else ()"
            self._add(f"__texts = {many}", depth)
            read = f"__sources.read_many({made}, __texts)"
            missing = default if not param.required else f"__raise({key})"
            self._add(f"{value} = {read} if __texts else {missing}", depth)
            self.names["__raise"] = _raise_missing
            return value
        read = "{}" if param.reader is None else f"{self._name(param.reader)}({{}})"
        if param.required:
            self._add(f"{value} = {read.format(f'{source}[{key}]')}", depth)
        else:
            test = f"(__t := {source}.get({key})) is None"
            self._add(f"{value} = {default} if {test} else {read.format('__t')}", depth)
        return value

    def _default(self, param: Param) -> str:
        """Name a default; of one that a view may change, each request has its own."""
        name = self._name(param.default)
        if type(param.default) not in (list, dict, set):
            return name
        self.names["__copy"] = deepcopy
        return f"__copy({name})"

    def _read_fields(self, param: Param, depth: int) -> None:
        """Read a class field by field, and make its instance; where it may be None, if any is sent."""
        passed = []
        fields = param.fields or []
        absent = self._name(NODEFAULT)
        is_plain = isinstance(param.model, type) and all(
            one.required or one.default is not NODEFAULT for one in fields
        )
        result, opened = self._value(param), set(self._opened)
        if param.default is None:
            self._add(f"{result} = None", depth)
            self._add(f"if __sources.is_sent(__c, {self._name(param)}):", depth)
            depth += 1
        for one in fields:
            is_given = is_plain or one.required or one.is_of_default
            passed.append((one.name, self._read_text(one, depth, None if is_given else absent)))
        if param.default is None:
            self._opened = opened  # these names are set in this block alone
        if is_plain and not hasattr(param.model, "__pydantic_validator__"):
            arguments = ", ".join(f"{name}={one}" for name, one in passed)
            self._add(f"{result} = {self._name(param.model)}({arguments})", depth)
            return
        made = ", ".join(f"{name!r}: {one}" for name, one in passed)
        maker = self._name(_model_maker(param))
        self._add(f"{result} = {maker}({{{made}}})", depth)

    def _refuse_unknown(self, depth: int) -> None:
        leaves = self._plan.leaves
        names = frozenset(one.wire for one in leaves if one.where == "query")
        known = self._name(names)
        self._add(f"if not {known}.issuperset(__first(__c, {self._query()})):", depth)
        self._add("raise __Misfit", depth + 1)
        forms = frozenset(one.wire for one in leaves if one.where == "form")
        if forms:
            known = self._name(forms)
            self._add("__form = __sources.form_of(__c)", depth)
            self._add(f"if not {known}.issuperset([*__form.form, *__form.files]):", depth)
            self._add("raise __Misfit", depth + 1)

    # ---- providers -------------------------------------------------------------------------

    def _provide(self, providers: list[Provider], depth: int) -> None:
        """Call providers; where the function is a coroutine, plain ones in one go."""
        group: list[Provider] = []
        for one in providers:
            if self._is_async and not (one.is_async or never_blocks(one.function)):
                group.append(one)
                continue
            self._provide_together(group, depth)
            group = []
            self._provide_one(one, depth)
        self._provide_together(group, depth)

    def _provide_one(self, one: Provider, depth: int) -> None:
        call, value = self._provider_call(one), self._value(one)
        if not one.yields:
            call = f"await {call}" if one.is_async and self._is_async else call
            self._add(f"{value} = {call}", depth)
            return
        generator = f"__g{self._count}"
        self._add(f"{generator} = {call}", depth)
        step = f"__next({generator})"
        if one.is_async:
            step = f"await {generator}.__anext__()"
            if not self._is_async:
                step = f"{self._name(async_to_sync(_first_of))}({generator})"
        self._add(f"{value} = {step}", depth)
        self._add(f"__exits.append({generator})", depth)

    def _provide_together(self, group: list[Provider], depth: int) -> None:
        if not group:
            return
        inner = f"__together{self._count}"
        self._add(f"def {inner}():", depth)
        for one in group:
            self._provide_one(one, depth + 1)
        values = ", ".join(self._values[id(one)] for one in group)
        self._add(f"return {values},", depth + 1)
        self._add(f"{values}, = await __hop({inner})", depth)

    def _provider_call(self, one: Provider) -> str:
        arguments = []
        for param in one.params:
            value = self._values[id(param.provider or param)]
            arguments.append(f"{param.name}={value}" if param.keyword_only else value)
        function = one.function
        if one.is_async and not one.yields and not self._is_async:
            function = async_to_sync(function)
        return f"{self._name(function)}({', '.join(arguments)})"


async def _first_of(generator: t.Any) -> t.Any:
    return await generator.__anext__()


def _raise_missing(name: str) -> t.NoReturn:
    raise KeyError(name)


def _model_maker(param: Param) -> t.Callable[[dict[str, t.Any]], t.Any]:
    model, fields = param.model, param.fields or []

    def make(values: dict[str, t.Any]) -> t.Any:
        present = {name: one for name, one in values.items() if one is not NODEFAULT}
        return sources.make_model(model, present, fields)

    return make
