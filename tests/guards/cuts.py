"""Takes a guard out of the running code: a piece of its text is replaced, and the function compiled anew.

A piece is given by its text, which must occur once in ckstore. The function keeps its identity, so that whoever has
imported it already runs the changed one too.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import ckstore

PACKAGE = Path(ckstore.__file__).parent


class Cut(NamedTuple):
    """A piece of text, and what stands in its place when the guard is removed."""

    old: str
    new: str = "pass"
    also: tuple[tuple[str, str], ...] = ()
    """Further pieces of the same function."""


class Place(NamedTuple):
    """Where a text stands: a file, and the first and last line."""

    file: str
    first: int
    last: int


@cache
def sources() -> dict[str, str]:
    """The text of every module, by its path in the package."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@cache
def place(text: str) -> Place:
    """Where `text` stands. Raises AssertionError unless it occurs once."""
    found = [(file, source.count(text)) for file, source in sources().items() if text in source]
    assert [n for _, n in found] == [1], f"not once in ckstore, adapt the table of guards: {text!r} is in {found}"
    file = found[0][0]
    first = sources()[file][: sources()[file].index(text)].count("\n") + 1
    return Place(file, first, first + text.count("\n"))


@contextmanager
def removed(cut: Cut) -> Iterator[None]:
    """In this block the guard is not there."""
    where = place(cut.old)
    source = sources()[where.file]
    for old, new in ((cut.old, cut.new), *cut.also):
        assert place(old).file == where.file
        source = source.replace(old, new)
    module = importlib.import_module("ckstore." + where.file.removesuffix(".py").replace("/", "."))
    name = _function_at(sources()[where.file], where.first)
    function, code = _function(module, name), _code(compile(source, where.file, "exec"), name)
    assert code.replace(co_filename="") != function.__code__.replace(co_filename=""), "the guard is still there"
    with ExitStack() as stack:
        stack.callback(setattr, function, "__code__", function.__code__)
        function.__code__ = code
        yield


def _function_at(source: str, line: int) -> str:
    """The qualified name of the outermost function that holds a line."""

    def look(body: list[ast.stmt], prefix: str) -> str | None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.lineno <= line <= (node.end_lineno or 0):
                name = prefix + node.name
                return name if isinstance(node, ast.FunctionDef) else look(node.body, f"{name}.")
        return None

    found = look(ast.parse(source).body, "")
    assert found, f"line {line} is in no function"
    return found


def _function(module: Any, name: str) -> FunctionType:
    holder = module
    for part in name.split("."):
        holder = vars(holder)[part]
    while not isinstance(holder, FunctionType) or hasattr(holder, "__wrapped__"):
        holder = next(getattr(holder, way) for way in ("__wrapped__", "__func__", "fget") if hasattr(holder, way))
    return holder


def _code(code: CodeType, name: str) -> CodeType:
    found = [item for item in _all_codes(code) if item.co_qualname == name]
    assert len(found) == 1, f"{len(found)} functions {name}"
    return found[0]


def _all_codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for item in code.co_consts:
        if isinstance(item, CodeType):
            yield from _all_codes(item)


class Site(NamedTuple):
    """A place in ckstore that must have a guard in the table: a line, and that of the `if` around it."""

    file: str
    line: int
    condition: int
    text: str

    def is_in(self, where: Place) -> bool:
        """Whether a piece of text is about this site."""
        return where.file == self.file and any(where.first <= n <= where.last for n in (self.line, self.condition))


def sites(wanted: Callable[[ast.AST], bool]) -> Iterator[Site]:
    """Every statement or expression that is wanted, anywhere in ckstore."""
    for file, source in sources().items():
        tree, lines = ast.parse(source), source.splitlines()
        ifs = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
        for node in ast.walk(tree):
            if wanted(node) and isinstance(node, ast.stmt | ast.expr):
                line = node.lineno
                around = [one.lineno for one in ifs if one.lineno <= line <= one.body[-1].end_lineno]
                yield Site(file, line, max(around, default=line), lines[line - 1].strip())
