"""The application's configuration: a dictionary that can be filled from files, objects and the
environment, and attributes that read from it.
"""

from __future__ import annotations

import errno
import json
import os
import types
import typing as t
from datetime import timedelta

from werkzeug.datastructures import ImmutableDict
from werkzeug.utils import import_string

from .tables import Table

if t.TYPE_CHECKING:
    import typing_extensions as te

    from .sansio.app import App

T = t.TypeVar("T")

_MISSING_FILE = (errno.ENOENT, errno.EISDIR)

#: What an application's configuration starts with.
DEFAULTS: ImmutableDict[str, t.Any] = ImmutableDict(
    {
        "DEBUG": None,
        "TESTING": False,
        "PROPAGATE_EXCEPTIONS": None,
        "SECRET_KEY": None,
        "SECRET_KEY_FALLBACKS": None,
        "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
        "USE_X_SENDFILE": False,
        "TRUSTED_HOSTS": None,
        "SERVER_NAME": None,
        "APPLICATION_ROOT": "/",
        "SESSION_COOKIE_NAME": "session",
        "SESSION_COOKIE_DOMAIN": None,
        "SESSION_COOKIE_PATH": None,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SECURE": False,
        "SESSION_COOKIE_PARTITIONED": False,
        "SESSION_COOKIE_SAMESITE": None,
        "SESSION_REFRESH_EACH_REQUEST": True,
        "MAX_CONTENT_LENGTH": None,
        "MAX_FORM_MEMORY_SIZE": 500_000,
        "MAX_FORM_PARTS": 1_000,
        "SEND_FILE_MAX_AGE_DEFAULT": None,
        "TRAP_BAD_REQUEST_ERRORS": None,
        "TRAP_HTTP_EXCEPTIONS": False,
        "EXPLAIN_TEMPLATE_LOADING": False,
        "PREFERRED_URL_SCHEME": "http",
        "TEMPLATES_AUTO_RELOAD": None,
        "MAX_COOKIE_SIZE": 4093,
        "PROVIDE_AUTOMATIC_OPTIONS": True,
    }
)


#: What ``SECURITY_CSP`` is in :data:`secure_defaults`: scripts and styles of this site's own files, and those
#: in the page that have the nonce.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}';"
    " img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self';"
    " frame-ancestors 'none'"
)

#: Settings for a site that is served over HTTPS. Each can be turned off by its name.
secure_defaults: t.Mapping[str, t.Any] = ImmutableDict(
    {
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PREFERRED_URL_SCHEME": "https",
        "MAX_CONTENT_LENGTH": 16 * 1024 * 1024,
        "SECURITY_HSTS": "max-age=31536000",
        "SECURITY_CSP": CONTENT_SECURITY_POLICY,
        "SECURITY_NOSNIFF": True,
        "SECURITY_FRAME": "DENY",
        "SECURITY_REFERRER": "strict-origin-when-cross-origin",
        "CSRF_PROTECTION": True,
    }
)

#: Settings that ask for a header in each response.
HEADER_SETTINGS = (
    "SECURITY_HSTS",
    "SECURITY_CSP",
    "SECURITY_NOSNIFF",
    "SECURITY_FRAME",
    "SECURITY_REFERRER",
)


class ConfigAttribute(t.Generic[T]):
    """An attribute of the application that stands for a key of its configuration.

    :param name: the key in ``app.config``.
    :param get_converter: called with the stored value; what it returns is the attribute's value.
    """

    def __init__(self, name: str, get_converter: t.Callable[[t.Any], T] | None = None) -> None:
        self.__name__ = name
        self.get_converter = get_converter

    @t.overload
    def __get__(self, obj: None, owner: None) -> te.Self: ...
    @t.overload
    def __get__(self, obj: App, owner: type[App]) -> T: ...
    def __get__(self, obj: App | None, owner: type[App] | None = None) -> T | te.Self:
        if obj is not None:
            value: T = obj.config[self.__name__]
            return value if self.get_converter is None else self.get_converter(value)
        return self

    def __set__(self, obj: App, value: t.Any) -> None:
        obj.config[self.__name__] = value


class Config(Table[str, t.Any]):
    """A dictionary with ways to fill it. Only names in upper case are taken from files and objects.

    :param root_path: the folder that relative file names are relative to.
    :param defaults: the first values.
    """

    def __init__(
        self, root_path: str | os.PathLike[str], defaults: dict[str, t.Any] | None = None
    ) -> None:
        super().__init__(defaults or {})
        self.root_path = root_path

    def from_envvar(self, variable_name: str, silent: bool = False) -> bool:
        """Fill the configuration from the Python file that an environment variable names.

        :param variable_name: the environment variable holding the file's path.
        :param silent: return False instead of raising where the variable or the file is missing.
        :return: whether a file was loaded.
        :raises RuntimeError: if the variable is not set or empty.
        """
        filename = os.environ.get(variable_name)
        if filename:
            return self.from_pyfile(filename, silent=silent)
        if silent:
            return False
        raise RuntimeError(
            f"The environment variable {variable_name!r} is not set, so there is no configuration"
            " to load. Set it to the path of a configuration file."
        )

    def from_prefixed_env(
        self, prefix: str = "FLASK", *, loads: t.Callable[[str], t.Any] = json.loads
    ) -> bool:
        """Take every environment variable whose name starts with the prefix and an underscore.

        The rest of the name is the key. Two underscores in it go one dictionary down, which is made
        if it is missing: ``FLASK_DB__HOST`` sets ``config["DB"]["HOST"]``. Variables are read in
        the order of their names.

        :param prefix: what the names start with, without the underscore.
        :param loads: turns the text into a value; text that it refuses stays text.
        :return: True.
        :raises TypeError: if a part of the name leads into a value that takes no keys.
        """
        prefix = f"{prefix}_"
        for name in sorted(os.environ):
            if name.startswith(prefix):
                self._set_nested(name, name.removeprefix(prefix), _load(os.environ[name], loads))
        return True

    def _set_nested(self, variable: str, key: str, value: t.Any) -> None:
        *parents, last = key.split("__")
        target: t.Any = self
        try:
            for parent in parents:
                if parent not in target:
                    target[parent] = {}
                target = target[parent]
            target[last] = value
        except TypeError:
            raise TypeError(
                f"The environment variable {variable!r} wants to set a key inside a configuration"
                f" value of type {type(target).__name__!r}, which has none. Make that value a"
                " dictionary, or rename the variable."
            ) from None

    def from_pyfile(self, filename: str | os.PathLike[str], silent: bool = False) -> bool:
        """Run a Python file and take the names in upper case that it leaves.

        :param filename: the file; a relative name is relative to :attr:`root_path`.
        :param silent: return False instead of raising where the file is missing.
        :return: whether the file was loaded.
        :raises OSError: if the file can't be read.
        """
        filename = os.path.join(self.root_path, filename)
        module = types.ModuleType("config")
        module.__file__ = filename
        try:
            with open(filename, mode="rb") as file:
                code = compile(file.read(), filename, "exec")
                exec(code, module.__dict__)  # noqa: S102 - the program's own settings
        except OSError as error:
            if silent and error.errno in (*_MISSING_FILE, errno.ENOTDIR):
                return False
            _explain(error)
            raise
        self.from_object(module)
        return True

    def from_object(self, obj: object | str) -> None:
        """Take the attributes in upper case of a module, a class or any other object.

        A class is not instantiated: make an instance where properties have to work.

        :param obj: the object, or its import name.
        """
        source = import_string(obj) if isinstance(obj, str) else obj
        for name in filter(str.isupper, dir(source)):
            self[name] = getattr(source, name)

    def from_file(
        self,
        filename: str | os.PathLike[str],
        load: t.Callable[[t.IO[t.Any]], t.Mapping[str, t.Any]],
        silent: bool = False,
        text: bool = True,
    ) -> bool:
        """Fill the configuration from a file in any format, such as JSON or TOML.

        :param filename: the file; a relative name is relative to :attr:`root_path`.
        :param load: called with the open file, returns a mapping: ``json.load``, ``tomllib.load``.
        :param silent: return False instead of raising where the file is missing.
        :param text: whether the file is opened in text mode; False for ``tomllib``.
        :return: whether the file was loaded.
        :raises OSError: if the file can't be read.
        """
        filename = os.path.join(self.root_path, filename)
        try:
            with open(filename, mode="r" if text else "rb") as file:
                values = load(file)
        except OSError as error:
            if silent and error.errno in _MISSING_FILE:
                return False
            _explain(error)
            raise
        return self.from_mapping(values)

    def from_mapping(self, mapping: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any) -> bool:
        """Take the items of a mapping and the keyword arguments, where the key is in upper case.

        :param mapping: the settings, where they are not given by name.
        :return: True.
        """
        for key, value in {**dict(mapping or {}), **kwargs}.items():
            if key.isupper():
                self[key] = value
        return True

    def get_namespace(
        self, namespace: str, lowercase: bool = True, trim_namespace: bool = True
    ) -> dict[str, t.Any]:
        """Return the items whose key starts with a prefix.

        :param namespace: the prefix.
        :param lowercase: whether the keys of the result are put in lower case.
        :param trim_namespace: whether the prefix is left out of the keys of the result.
        """
        found = {}
        for key, value in self.items():
            if key.startswith(namespace):
                name = key.removeprefix(namespace) if trim_namespace else key
                found[name.lower() if lowercase else name] = value
        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {dict.__repr__(self)}>"


def _load(text: str, loads: t.Callable[[str], t.Any]) -> t.Any:
    try:
        return loads(text)
    except Exception:
        return text


def _explain(error: OSError) -> None:
    error.strerror = f"Unable to load configuration file ({error.strerror})"
