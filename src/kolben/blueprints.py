"""Blueprints with commands and files: the :class:`Blueprint` that programs use."""

from __future__ import annotations

import os
import typing as t
from datetime import timedelta

from .globals import current_app
from .helpers import send_from_directory
from .lazy import late_names, lazy
from .sansio.blueprints import (
    Blueprint as SansioBlueprint,
    BlueprintSetupState as BlueprintSetupState,
    _sentinel,
)

if t.TYPE_CHECKING:
    from .cli import AppGroup
    from .wrappers import Response

# click takes long to import, and few blueprints have commands.
__getattr__, __dir__ = late_names(__name__, AppGroup="kolben.cli")


class Blueprint(SansioBlueprint):
    """A part of an application: record routes, hooks and commands on it, then register it.

    .. code-block:: python

        admin = Blueprint("admin", __name__, url_prefix="/admin")

        @admin.route("/")
        def index():
            return "The admin pages"

        app.register_blueprint(admin)  # url_for("admin.index") is "/admin/"

    :param name: name of the blueprint, the first part of its endpoints; no dots.
    :param import_name: name of the blueprint's module, usually ``__name__``.
    :param static_folder: folder of static files, relative to ``root_path``; None for none.
    :param static_url_path: URL of the static files, below ``url_prefix``; by default the
        folder's name. Without a prefix, the application's own static route goes first.
    :param template_folder: folder of templates, relative to ``root_path``; the application's
        templates go first.
    :param url_prefix: put before all rules.
    :param subdomain: the subdomain that all rules match.
    :param url_defaults: default values for the variables of all rules.
    :param root_path: the folder that relative paths start from; by default that of the module.
    :param cli_group: the group that the blueprint's commands are put in; by default named as
        the blueprint; None puts them beside the application's.
    """

    def __init__(
        self,
        name: str,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        url_prefix: str | None = None,
        subdomain: str | None = None,
        url_defaults: dict[str, t.Any] | None = None,
        root_path: str | None = None,
        cli_group: str | None = _sentinel,
    ) -> None:
        super().__init__(
            name,
            import_name,
            static_folder=static_folder,
            static_url_path=static_url_path,
            template_folder=template_folder,
            url_prefix=url_prefix,
            subdomain=subdomain,
            url_defaults=url_defaults,
            root_path=root_path,
            cli_group=cli_group,
        )

    @lazy
    def cli(self) -> AppGroup:  # type: ignore[override]
        """The commands of the blueprint; see ``cli_group`` for where they show."""
        from .cli import AppGroup

        return AppGroup(self.name)

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Return how long browsers may keep a static file, in seconds; None lets them ask.

        By default the setting ``SEND_FILE_MAX_AGE_DEFAULT``; override to decide by file.

        :param filename: the file, relative to the static folder.
        """
        value = current_app.config["SEND_FILE_MAX_AGE_DEFAULT"]
        if isinstance(value, timedelta):
            return int(value.total_seconds())
        return value  # type: ignore[no-any-return]

    def send_static_file(self, filename: str) -> Response:
        """Answer a request for a file of the static folder.

        :param filename: the file, relative to the static folder.
        :raises werkzeug.exceptions.NotFound: if there is no such file in the folder.
        """
        folder = self.static_folder
        if folder is None:
            raise RuntimeError(f"{self!r} has no static files: set its 'static_folder' first.")
        max_age = self.get_send_file_max_age(filename)
        return send_from_directory(folder, filename, max_age=max_age)

    # A view that extensions keep by its name, and that programs name to them.
    send_static_file.__module__ = "flask.blueprints"

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> t.IO[t.AnyStr]:
        """Open a file of the blueprint, for reading.

        :param resource: the file, relative to :attr:`root_path`.
        :param mode: ``"rb"``, ``"r"`` or ``"rt"``.
        :param encoding: the encoding of text; without effect on ``"rb"``.
        """
        if mode not in {"r", "rt", "rb"}:
            raise ValueError(f"Resources are opened for reading: 'rb' or 'r', not {mode!r}.")
        path = os.path.join(self.root_path, resource)
        return t.cast(
            "t.IO[t.AnyStr]", open(path, mode, encoding=None if mode == "rb" else encoding)
        )
