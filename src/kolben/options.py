"""Options of commands: the one that two servers have, and kinds of values that click has not."""

from __future__ import annotations

import typing as t

import click
from werkzeug.utils import import_string

if t.TYPE_CHECKING:
    import ssl

#: The address of ``run`` and of ``serve``.
host_option = click.option(
    "--host", "-h", default="127.0.0.1", show_default=True, help="The address to listen on."
)


class CertParamType(click.ParamType):  # type: ignore[type-arg]
    """The value of ``--cert``: a file, ``adhoc``, or the import name of an SSL context."""

    name = "path"

    def __init__(self) -> None:
        self.path_type = click.Path(exists=True, dir_okay=False, resolve_path=True)

    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> t.Any:
        """Turn the text into what the server takes.

        :param value: the text.
        :param param: the option.
        :param ctx: the command's context.
        :return: the file's path, ``"adhoc"``, or an :class:`ssl.SSLContext`.
        :raises click.BadParameter: when it is none of these, or TLS is not available.
        """
        if _ssl_context_class() is None:
            raise click.BadParameter(
                "Using '--cert' needs a Python that was built with SSL support.", ctx, param
            )
        try:
            return self.path_type(value, param, ctx)
        except click.BadParameter:
            name = str(value)
            if name.lower() == "adhoc":
                return self._convert_adhoc(param, ctx)
            imported = import_string(name, silent=True)
            if not _is_ssl_context(imported):
                raise
            return imported

    def _convert_adhoc(self, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            import cryptography  # noqa: F401
        except ImportError:
            raise click.BadParameter(
                "Using 'adhoc' certificates needs the cryptography library: install it with"
                " 'pip install cryptography'.",
                ctx,
                param,
            ) from None
        return "adhoc"


def _ssl_context_class() -> type[ssl.SSLContext] | None:
    try:
        import ssl
    except ImportError:
        return None
    return ssl.SSLContext


def _is_ssl_context(value: object) -> bool:
    context_class = _ssl_context_class()
    return context_class is not None and isinstance(value, context_class)


def validate_key(ctx: click.Context, param: click.Parameter, value: t.Any) -> t.Any:
    """Join ``--key`` to ``--cert``, which has been read before whatever their order was.

    :param ctx: the command's context.
    :param param: the option.
    :param value: the file of the key.
    :raises click.BadParameter: if one of the two is there without the other.
    """
    cert = ctx.params.get("cert")
    is_file = cert is not None and cert != "adhoc" and not _is_ssl_context(cert)
    if value is None:
        if is_file:
            raise click.BadParameter("'--cert' with a file needs '--key' too.", ctx, param)
        return None
    if not is_file:
        reason = "needs '--cert' too" if cert is None else f"cannot be used with '--cert {cert}'"
        raise click.BadParameter(f"'--key' {reason}.", ctx, param)
    ctx.params["cert"] = cert, value
    return value


class SeparatedPathType(click.Path):
    """Paths joined by the system's separator, ``:`` or, on Windows, ``;``."""

    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> t.Any:
        """Divide the text and check each path.

        :param value: the text.
        :param param: the option.
        :param ctx: the command's context.
        :return: a list of paths.
        """
        items = self.split_envvar_value(value)
        # super() without arguments does not see the instance inside a comprehension before 3.12.
        convert = super().convert
        return [convert(item, param, ctx) for item in items]
