"""Finding the application that a command line names."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

import kolben
from kolben.loading.locate import (
    NoAppException,
    find_app_by_string,
    find_best_app,
    locate_app,
    prepare_import,
    split_target,
)


def module(**names: object) -> types.ModuleType:
    made = types.ModuleType("shop")
    vars(made).update(names)
    return made


def app(name: str = "shop") -> kolben.Flask:
    return kolben.Flask(name, root_path="/", static_folder=None)


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


@pytest.mark.parametrize("name", ["app", "application"])
def test_these_names_go_before_all_others(name: str) -> None:
    meant = app()
    assert find_best_app(module(other=app(), **{name: meant})) is meant


def test_an_only_application_is_found_under_any_name() -> None:
    meant = app()
    assert find_best_app(module(shop=meant)) is meant


def test_of_several_one_must_be_named() -> None:
    with pytest.raises(NoAppException, match=r"2 applications in module 'shop'.*shop:name"):
        find_best_app(module(one=app(), two=app()))


@pytest.mark.parametrize("name", ["create_app", "make_app"])
def test_a_factory_is_called(name: str) -> None:
    meant = app()
    assert find_best_app(module(**{name: lambda: meant})) is meant


def test_a_factory_that_needs_arguments_is_named() -> None:
    with pytest.raises(NoAppException, match=r"'create_app'.*needs arguments.*create_app\(args\)"):
        find_best_app(module(create_app=lambda needed: app()))


def test_a_factory_that_returns_no_application_is_named() -> None:
    with pytest.raises(NoAppException, match=r"'create_app' in module 'shop' returns .* but None"):
        find_best_app(module(create_app=lambda: None))


@pytest.mark.parametrize("names", [{}, {"create_app": 5}])
def test_a_module_without_an_application_is_named(names: dict[str, object]) -> None:
    with pytest.raises(NoAppException, match=r"No application or factory was found in.*'shop'"):
        find_best_app(module(**names))


def test_an_error_inside_a_factory_is_not_taken_for_missing_arguments() -> None:
    def create_app() -> None:
        raise TypeError("of its own")

    with pytest.raises(TypeError, match="of its own"):
        find_best_app(module(create_app=create_app))


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("make", ()),
        ("make()", ()),
        ("make('dev', 5)", ("dev", 5)),
        ("make(['a'], key={'b': None})", (["a"], {"b": None})),
        (" make ", ()),
    ],
)
def test_a_name_and_a_call_with_literals_find_it(text: str, called: tuple[object, ...]) -> None:
    meant = app()
    calls: list[tuple[object, ...]] = []

    def make(*args: object, **kwargs: object) -> kolben.Flask:
        calls.append((*args, *kwargs.values()))
        return meant

    assert find_app_by_string(module(make=make), text) is meant
    assert calls == [called]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("missing", "no attribute 'missing'"),
        ("make(1, 2)", "does not take these arguments"),
        ("make(", "neither a name nor a call"),
        ("a.b", "neither a name nor a call"),
        ("make(x)", "must be literal values"),
        ("nothing()", "is not an application but None"),
        ("number", "is not an application but an object of type 'int'"),
    ],
)
def test_what_finds_none_is_explained(text: str, said: str) -> None:
    names = module(make=lambda: app(), nothing=lambda: None, number=5)
    with pytest.raises(NoAppException, match=said):
        find_app_by_string(names, text)


def test_a_factory_without_a_signature_is_called_all_the_same() -> None:
    with pytest.raises(NoAppException, match="an object of type 'dict'"):
        find_app_by_string(module(make=dict), "make(a=1)")


def test_a_path_becomes_a_name_to_import(on_path: Path) -> None:
    inner = on_path / "outer" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").touch()
    assert prepare_import(str(inner / "server.py")) == "outer.inner.server"
    assert prepare_import(str(inner / "__init__.py")) == "outer.inner"
    assert prepare_import(str(on_path / "server")) == "server"
    assert sys.path[0] == str(on_path.resolve())


def test_a_module_is_imported_and_its_application_found(on_path: Path) -> None:
    (on_path / "a_shop.py").write_text("import kolben\napp = kolben.Flask('a')\nx = app\n")
    found = locate_app("a_shop", None)
    assert isinstance(found, kolben.Flask)
    assert locate_app("a_shop", "x") is found


def test_a_missing_module_is_told_or_passed_over(on_path: Path) -> None:
    with pytest.raises(NoAppException, match="Could not import 'no_shop': there is no module"):
        locate_app("no_shop", None)
    assert locate_app("no_shop", None, raise_if_not_found=False) is None


@pytest.mark.parametrize(
    "fault", ["import no_such_thing", "raise ImportError('odd')", "from sys import no_such_name"]
)
def test_an_import_that_fails_inside_is_shown_with_its_traceback(on_path: Path, fault: str) -> None:
    (on_path / "bad_shop.py").write_text(fault)
    with pytest.raises(NoAppException, match=r"While importing 'bad_shop'(.|\n)*Traceback"):
        locate_app("bad_shop", None, raise_if_not_found=False)


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("shop", ("shop", None)),
        ("shop:app", ("shop", "app")),
        ("a/b.py:f('x:y')", ("a/b.py", "f('x:y')")),
    ],
)
def test_a_target_is_divided_at_its_first_colon(target: str, parts: tuple[str, str | None]) -> None:
    assert split_target(target) == parts


def test_the_reason_is_shown_without_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    NoAppException("There is none.").show()
    assert capsys.readouterr().err == "Error: There is none.\n"
