"""The configuration: ways to fill it, and attributes that stand for its keys."""

from __future__ import annotations

import errno
import json
import pathlib
import tomllib
import typing as t
from datetime import timedelta

import pytest

import kolben
from kolben.config import Config, ConfigAttribute

UPPER = 1
lower = 2


@pytest.fixture
def config(tmp_path: pathlib.Path) -> Config:
    return Config(tmp_path)


def test_defaults_and_repr() -> None:
    config = Config("/", {"A": 1})
    assert config == {"A": 1}
    assert repr(config) == "<Config {'A': 1}>"
    assert Config("/").root_path == "/"


def test_a_python_file_gives_its_upper_case_names(config: Config, tmp_path: pathlib.Path) -> None:
    (tmp_path / "settings.py").write_text("A = 1\nb = 2\nC = __name__\nD = __file__\n")
    assert config.from_pyfile("settings.py")
    assert config == {"A": 1, "C": "config", "D": str(tmp_path / "settings.py")}


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-15"])
def test_a_python_file_names_its_encoding(
    config: Config, tmp_path: pathlib.Path, encoding: str
) -> None:
    text = f"# -*- coding: {encoding} -*-\nA = 'föö'\n"
    (tmp_path / "settings.py").write_bytes(text.encode(encoding))
    config.from_pyfile("settings.py")
    assert config["A"] == "föö"


@pytest.mark.parametrize("method", ["from_pyfile", "from_file"])
def test_a_missing_file_is_named_unless_silent(config: Config, method: str) -> None:
    more: dict[str, t.Any] = {"load": json.load} if method == "from_file" else {}
    with pytest.raises(FileNotFoundError) as error:
        getattr(config, method)("missing.cfg", **more)
    text = str(error.value)
    assert "Unable to load configuration file (No such file or directory)" in text
    assert text.endswith("missing.cfg'")
    assert getattr(config, method)("missing.cfg", silent=True, **more) is False


def test_a_folder_in_the_place_of_a_file_is_silent_too(config: Config) -> None:
    assert config.from_pyfile(".", silent=True) is False
    assert config.from_file(".", load=json.load, silent=True) is False
    with pytest.raises(IsADirectoryError):
        config.from_pyfile(".")


def test_a_file_in_the_place_of_a_folder_is_silent_for_python_files_only(
    config: Config, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "file").touch()
    assert config.from_pyfile("file/settings.py", silent=True) is False
    with pytest.raises(OSError) as error:
        config.from_file("file/settings.json", load=json.load, silent=True)
    assert error.value.errno == errno.ENOTDIR


def test_another_error_in_a_silent_file_is_raised(config: Config, tmp_path: pathlib.Path) -> None:
    (tmp_path / "settings.py").write_text("1 +")
    with pytest.raises(SyntaxError):
        config.from_pyfile("settings.py", silent=True)


def test_a_file_of_another_format(config: Config, tmp_path: pathlib.Path) -> None:
    (tmp_path / "c.json").write_text('{"A": 1, "b": 2}')
    (tmp_path / "c.toml").write_text("B = [1]\n")
    assert config.from_file("c.json", load=json.load)
    assert config.from_file("c.toml", load=tomllib.load, text=False)
    assert config == {"A": 1, "B": [1]}


def test_objects_by_name_by_class_and_by_instance(config: Config) -> None:
    class Settings:
        A = 1
        b = 2

        @property
        def C(self) -> int:
            return 3

    config.from_object("errno")
    assert config["ENOENT"] == errno.ENOENT
    config.clear()
    config.from_object(Settings())
    assert config == {"A": 1, "C": 3}
    config.from_object(Settings)
    assert isinstance(config["C"], property)
    with pytest.raises(ImportError, match="no_such_module"):
        config.from_object("no_such_module.Settings")


def test_mappings_and_keywords(config: Config) -> None:
    assert config.from_mapping({"A": 1, "b": 2}, C=3, d=4)
    assert config.from_mapping([("E", 5)])  # type: ignore[arg-type]
    assert config.from_mapping()
    assert config == {"A": 1, "C": 3, "E": 5}
    with pytest.raises(TypeError):
        config.from_mapping({}, {})  # type: ignore[call-arg]


def test_the_environment_names_a_file(
    config: Config, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RuntimeError, match="'SITE_SETTINGS' is not set"):
        config.from_envvar("SITE_SETTINGS")
    assert config.from_envvar("SITE_SETTINGS", silent=True) is False
    (tmp_path / "settings.py").write_text("A = 1")
    monkeypatch.setenv("SITE_SETTINGS", "settings.py")
    assert config.from_envvar("SITE_SETTINGS")
    assert config == {"A": 1}


def test_prefixed_environment_variables(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"A": "1", "B": "text", "C": "[1, 2]", "D": "{bad", "lower": "true", "E__F__G": "x"}
    for name, value in values.items():
        monkeypatch.setenv(f"SITE_{name}", value)
    monkeypatch.setenv("OTHERSITE_Z", "1")
    config["E"] = {"kept": 1}
    assert config.from_prefixed_env("SITE")
    assert config == {
        "A": 1,
        "B": "text",
        "C": [1, 2],
        "D": "{bad",
        "lower": True,
        "E": {"kept": 1, "F": {"G": "x"}},
    }


def test_prefixed_environment_variables_with_another_reader(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loads(text: str) -> t.Any:
        if text == "1":
            raise LookupError
        return text.upper()

    monkeypatch.setenv("SITE_A", "1")
    monkeypatch.setenv("SITE_B", "b")
    config.from_prefixed_env("SITE", loads=loads)
    assert config == {"A": "1", "B": "B"}


def test_a_nested_variable_cannot_go_into_a_number(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_A__B", "1")
    config["A"] = 5
    with pytest.raises(TypeError, match=r"'SITE_A__B'.* type 'int'"):
        config.from_prefixed_env("SITE")


def test_namespaces() -> None:
    config = Config("/", {"DB_HOST": "h", "DB_Port": 1, "OTHER": 2})
    assert config.get_namespace("DB_") == {"host": "h", "port": 1}
    assert config.get_namespace("DB_", lowercase=False) == {"HOST": "h", "Port": 1}
    assert config.get_namespace("DB_", trim_namespace=False) == {"db_host": "h", "db_port": 1}


def test_an_attribute_stands_for_a_key() -> None:
    class App(kolben.Flask):
        colour = ConfigAttribute[str]("COLOUR")
        size = ConfigAttribute[int]("SIZE", get_converter=int)

    app = App(__name__)
    app.colour = "red"
    app.config["SIZE"] = "12"
    assert (app.config["COLOUR"], app.size) == ("red", 12)
    assert isinstance(App.colour, ConfigAttribute)
    del app.config["SIZE"]
    with pytest.raises(KeyError):
        app.size  # noqa: B018


def test_the_applications_own_attributes() -> None:
    app = kolben.Flask(__name__)
    app.config["PERMANENT_SESSION_LIFETIME"] = 42
    assert app.permanent_session_lifetime == timedelta(seconds=42)
    app.secret_key = "s"
    assert app.config["SECRET_KEY"] == "s"
