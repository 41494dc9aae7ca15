"""Behaviour is Flask's; the code and the sentences are kolben's own."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import typing as t
from pathlib import Path

import pytest
from suite_environments import ROOT, source

#: So many lines of code, or words of prose, that follow each other as in Flask are taken over.
LINES, WORDS = 7, 12


class _Bare(ast.NodeTransformer):
    """Leaves what a module does: no imports, docstrings, annotations, and nothing that an interface forces."""

    def _visit_scope(self, node: ast.AST) -> ast.AST:
        scope = t.cast("ast.Module", self.generic_visit(node))
        if ast.get_docstring(scope) is not None:
            del scope.body[0]
        scope.body = scope.body or [ast.Pass()]
        return scope

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST | None:
        body = node.body[-1]
        if isinstance(body, ast.Expr) and isinstance(body.value, ast.Constant):
            return None  # `...`: an overload, which is a signature alone
        node.returns, node.decorator_list = None, []
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        return self._visit_scope(node)

    visit_Module = visit_ClassDef = _visit_scope
    visit_FunctionDef = visit_AsyncFunctionDef = _visit_function

    def visit_Import(self, node: ast.AST) -> None:
        return None

    visit_ImportFrom = visit_Import

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return ast.Assign([node.target], node.value, lineno=node.lineno)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        return None if ast.unparse(node.value).startswith("t.TypeVar(") else node


def _code(path: Path) -> list[str]:
    bare = ast.fix_missing_locations(_Bare().visit(ast.parse(path.read_text())))
    lines = (line.strip() for line in ast.unparse(bare).splitlines())
    return [line for line in lines if line not in ("", "pass")]


def _prose(path: Path) -> t.Iterator[str]:
    source_text = path.read_text()
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source_text)):
        if isinstance(node, documented):
            yield ast.get_docstring(node) or ""
    comment: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(source_text).readline):
        if token.type == tokenize.COMMENT:
            comment.append(token.string)
        elif token.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            yield " ".join(comment)
            comment.clear()


def _words(path: Path) -> list[list[str]]:
    return [re.findall(r"\w+", text.lower()) for text in _prose(path)]


def _equal_runs(
    ours: t.Iterable[t.Sequence[str]], theirs: t.Iterable[t.Sequence[str]], length: int
) -> list[str]:
    def runs(texts: t.Iterable[t.Sequence[str]]) -> t.Iterator[tuple[str, ...]]:
        for text in texts:
            yield from (tuple(text[i : i + length]) for i in range(len(text) - length + 1))

    known = set(runs(theirs))
    return [" | ".join(run) for run in runs(ours) if run in known]


@pytest.fixture(scope="module")
def modules() -> tuple[list[Path], list[Path]]:
    """The modules of kolben and of Flask."""
    theirs = sorted((source("flask") / "src" / "flask").rglob("*.py"))
    assert len(theirs) > 20
    return sorted((ROOT / "src" / "kolben").rglob("*.py")), theirs


def test_no_passage_of_code_is_flasks(modules: tuple[list[Path], list[Path]]) -> None:
    ours, theirs = ([_code(path) for path in paths] for paths in modules)
    assert _equal_runs(ours, theirs, LINES) == []


def test_no_sentence_is_flasks(modules: tuple[list[Path], list[Path]]) -> None:
    ours, theirs = ([text for path in paths for text in _words(path)] for paths in modules)
    assert _equal_runs(ours, theirs, WORDS) == []


def test_a_passage_that_was_taken_over_is_found(tmp_path: Path) -> None:
    theirs = source("flask") / "src" / "flask" / "ctx.py"
    taken = tmp_path / "taken.py"
    taken.write_text(theirs.read_text().replace(" -> None", "").replace('    """', '    """ '))
    assert len(_equal_runs([_code(taken)], [_code(theirs)], LINES)) > 50
    assert len(_equal_runs(_words(taken), _words(theirs), WORDS)) > 50
