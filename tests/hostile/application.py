"""One application, for Kolben and for real Flask: what hostile requests are sent to.

`build(flask)` takes the module that `flask` is to mean. What a view says is text that is the same
wherever the two mean the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

STATIC = Path(__file__).resolve().parent / "files"

#: What can be asked of a request: the view `/read/<name>` answers with `repr` of it.
READERS: dict[str, Any] = {
    "args": lambda r: sorted(r.args.lists()),
    "form": lambda r: list(r.form.lists()),
    "values": lambda r: sorted(r.values.lists()),
    "files": lambda r: [(n, f.filename, f.mimetype, f.read()) for n, f in r.files.items(True)],
    "json": lambda r: r.get_json(),
    "json_forced": lambda r: r.get_json(force=True),
    "json_silent": lambda r: r.get_json(force=True, silent=True),
    "data": lambda r: r.get_data(),
    "data_twice": lambda r: (r.get_data(cache=False), r.get_data()),
    "stream": lambda r: r.stream.read(),
    "stream_pieces": lambda r: list(iter(lambda: r.stream.read(7), b"")),
    "stream_lines": lambda r: list(r.stream),
    "cookies": lambda r: list(r.cookies.lists()),
    "url": lambda r: r.url,
    "full_path": lambda r: r.full_path,
    "base_url": lambda r: r.base_url,
    "url_root": lambda r: r.url_root,
    "root_url": lambda r: r.root_url,
    "host": lambda r: r.host,
    "host_url": lambda r: r.host_url,
    "path": lambda r: r.path,
    "root_path": lambda r: r.root_path,
    "script_root": lambda r: r.script_root,
    "scheme": lambda r: (r.scheme, r.is_secure),
    "server": lambda r: r.server,
    "method": lambda r: r.method,
    "query_string": lambda r: r.query_string,
    "headers": lambda r: sorted(r.headers.items()),
    "mimetype": lambda r: (r.mimetype, r.mimetype_params, r.content_type, r.is_json),
    "content_length": lambda r: r.content_length,
    "content_encoding": lambda r: (r.content_encoding, r.content_md5),
    "authorization": lambda r: (
        r.authorization and (r.authorization.type, r.authorization.parameters, r.authorization.token)
    ),
    "if_none_match": lambda r: _tags(r.if_none_match),
    "if_match": lambda r: _tags(r.if_match),
    "if_modified_since": lambda r: r.if_modified_since,
    "if_unmodified_since": lambda r: r.if_unmodified_since,
    "if_range": lambda r: (r.if_range.etag, r.if_range.date),
    "if_range_written": lambda r: r.if_range,
    "date": lambda r: r.date,
    "range": lambda r: r.range and (r.range.units, r.range.ranges, r.range.range_for_length(100)),
    "cache_control": lambda r: (
        list(r.cache_control.items()), r.cache_control.max_age, r.cache_control.max_stale,
        r.cache_control.min_fresh, r.cache_control.no_cache,
    ),
    "max_forwards": lambda r: r.max_forwards,
    "accept": lambda r: (
        list(r.accept_mimetypes), r.accept_mimetypes.best, list(r.accept_charsets),
        list(r.accept_encodings), list(r.accept_languages),
        r.accept_languages.best_match(["de", "en"]),
    ),
    "user_agent": lambda r: (r.user_agent.string, r.referrer, r.origin, list(r.pragma)),
    "access_control": lambda r: (
        list(r.access_control_request_headers or ()), r.access_control_request_method
    ),
    "access_route": lambda r: (list(r.access_route), r.remote_addr, r.remote_user),
    "flags": lambda r: (r.is_multithread, r.is_multiprocess, r.is_run_once),
    "routing": lambda r: (r.endpoint, r.blueprint, r.blueprints, r.view_args),
    "trusted": lambda r: r.host,
    "all": lambda r: [READERS[name](r) for name in READERS if name not in OF_THE_BODY | {"all"}],
}  # fmt: skip
OF_THE_BODY = {
    *("form", "values", "files", "json", "json_forced", "json_silent", "data", "data_twice"),
    *("stream", "stream_pieces", "stream_lines"),
}


def _tags(tags: Any) -> Any:
    return (
        sorted(tags.as_set(include_weak=True), key=str),
        tags.star_tag,
        tags.to_header() and bool(tags),
    )


def build(flask: Any, asynchronous: bool = False, **config: Any) -> Any:  # noqa: C901 (all views)
    """Return the application.

    :param flask: `kolben`, or real `flask`.
    :param asynchronous: each view is an `async def`.
    :param config: further settings.
    """
    app = flask.Flask("hostile", "/static", static_folder=str(STATIC), root_path=str(STATIC.parent))
    app.secret_key = "a secret"
    app.config.update(config)
    request, session = flask.request, flask.session

    def route(rule: str, *methods: str) -> Any:
        def register(view: Any) -> Any:
            async def later(**values: Any) -> Any:
                return view(**values)

            function = later if asynchronous else view
            app.add_url_rule(rule, view.__name__, function, methods=methods or ("GET",))
            return view

        return register

    @route("/")
    def index() -> str:
        return "index"

    @route("/read/<name>", "GET", "POST", "PUT", "DELETE")
    def read(name: str) -> Any:
        return flask.Response(repr(READERS[name](request)), mimetype="text/plain")

    @route("/form", "POST")
    def form() -> Any:
        return {"fields": sum(len(v) for _, v in request.form.lists()), "files": len(request.files)}

    @route("/json", "POST")
    def json() -> Any:
        return {"got": request.get_json()}

    @route("/slash/", "GET", "POST")
    def slash() -> str:
        return "slash"

    @route("/path/<path:rest>")
    def path(rest: str) -> Any:
        return flask.Response(repr(rest), mimetype="text/plain")

    @route("/int/<int:number>")
    def integer(number: int) -> Any:
        return flask.Response(str(number % 1000), mimetype="text/plain")

    @route("/download/<path:name>")
    def download(name: str) -> Any:
        return flask.send_from_directory(STATIC, name)

    @route("/redirect")
    def redirect() -> Any:
        return flask.redirect(request.args.get("to", "/"))

    @route("/header")
    def header() -> Any:
        response = flask.Response("header")
        response.headers["X-Name"] = request.args.get("value", "")
        return response

    @route("/status")
    def status() -> Any:
        return flask.Response("x", status=request.args.get("status"))

    @route("/cookie")
    def cookie() -> Any:
        response = flask.Response("cookie")
        response.set_cookie("name", request.args.get("value", ""))
        return response

    @route("/attachment")
    def attachment() -> Any:
        return flask.send_file(
            STATIC / "file.txt", as_attachment=True, download_name=request.args.get("name", "n")
        )

    @route("/session")
    def show_session() -> Any:
        return flask.Response(repr(sorted(session.items())), mimetype="text/plain")

    @route("/session/set")
    def set_session() -> Any:
        session["name"] = request.args.get("value", "")
        return "set"

    @route("/template")
    def template() -> Any:
        return flask.render_template_string(
            "<p title='{{ v }}'>{{ v }}</p>", v=request.args.get("v")
        )

    @route("/url_for")
    def url_for() -> Any:
        value = request.args.get("v", "")
        return flask.Response(
            flask.url_for("path", rest=value or "x", _anchor=value, v=value), mimetype="text/plain"
        )

    @route("/abort/<int:code>")
    def abort(code: int) -> Any:
        flask.abort(code, description=request.args.get("v"))

    @route("/missing")
    def missing() -> Any:
        return request.args["<b>missing"]

    return app
