"""The tutorial's project, chapters 23 and 24: each file is written as the page has it, each command typed as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pages import ROOT, Reader, ask, conversations, lines_of, says

STEP = re.compile(
    r"^`(?P<file>[\w/.]+)`\n\n:::\{literalinclude\} (?P<source>\S+)$"
    r"|^```(?P<kind>sh|console)\n(?P<commands>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Project:
    """What becomes of a reader's folder, page by page."""

    def __init__(self, folder: Path, language: str) -> None:
        folder.mkdir()
        self.reader = Reader(folder)
        self.pages = ROOT / "docs" / "tutorial" / language
        self.written: list[str] = []
        self.asked = 0

    def follow(self, page: str) -> None:
        text = (self.pages / page).read_text()
        for step in STEP.finditer(text):
            if step["file"]:
                source = (self.pages / step["source"]).resolve()
                (self.reader.folder / step["file"]).write_bytes(source.read_bytes())
                self.written.append(step["file"])
            elif step["kind"] == "console":
                for line, expected in conversations(step["commands"]):
                    # `kolben check` tells by its status that it has found something.
                    printed = self.reader.type(line, 0, 1 if "check" in line else 0)
                    assert says(expected, printed), printed
            else:
                self.type(lines_of(step["commands"]), text)

    def type(self, lines: list[str], text: str) -> None:
        for line in lines:
            if re.match(r"kolben (run|serve) ", line):
                with self.reader.serving(line) as address:
                    self.asked += ask(address, text)
            else:
                assert self.reader.type(line) == ""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_step_of_the_project_works(language: str, tmp_path: Path) -> None:
    """A form, an upload, a database and a test, run, tested, checked and served."""
    project = Project(tmp_path / "kolben", language)
    project.follow("ch23.md")
    files = {path for path in (ROOT / "examples" / "journal").rglob("*") if path.is_file()}
    kept = {path for path in files if not {"__pycache__", "instance"} & set(path.parts)}
    assert len(project.written) == len(kept)
    project.follow("ch24.md")
    assert project.asked == 9
    (photo,) = (project.reader.folder / "instance" / "photos").iterdir()
    assert photo.read_bytes() == b"\x89PNG\r\n\x1a\n"
