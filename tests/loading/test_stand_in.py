"""The metadata of a Flask that is not installed."""

from __future__ import annotations

from importlib.metadata import DistributionFinder

from kolben.loading.stand_in import StandInFinder, is_installed


def found(name: str | None) -> list[str]:
    context = (
        DistributionFinder.Context() if name is None else DistributionFinder.Context(name=name)
    )
    return [one.version for one in StandInFinder("3.1.3").find_distributions(context)]


def test_it_answers_for_flask_in_any_case_and_where_all_are_asked_for() -> None:
    assert found("flask") == found("Flask") == found(None) == ["3.1.3"]
    assert found("flask-login") == []
    [one] = StandInFinder("3.1.3").find_distributions()
    assert one.metadata["Name"] == "Flask"


def test_it_requires_what_flask_requires_and_has_no_files() -> None:
    [one] = StandInFinder("3.1.3").find_distributions()
    assert "werkzeug>=3.1.0" in (one.requires or [])
    assert one.files is None
    assert one.read_text("RECORD") is None
    assert one.locate_file("x").name == "x"  # type: ignore[attr-defined]


def test_it_finds_no_modules() -> None:
    assert StandInFinder("3.1.3").find_spec("flask", None) is None


def test_what_is_installed_is_known_by_its_distribution() -> None:
    assert is_installed("werkzeug")
    assert not is_installed("there-is-no-such-distribution")
