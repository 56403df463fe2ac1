"""Files and functions stay small enough to hold in the head."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from house.files import project_files, relative

FILE_LINES = 250
PYX_LINES = 80
FUNCTION_LINES = 40


def _n_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_file_is_over_its_cap() -> None:
    files = [(path, FILE_LINES) for path in project_files(".py", ".pyi", ".c", ".h")]
    files += [(path, PYX_LINES) for path in project_files(".pyx", ".pxd", ".pxi")]
    assert files
    over = [f"{relative(path)}: {_n_lines(path)} lines, cap {cap}" for path, cap in files if _n_lines(path) > cap]
    assert not over, "\n".join(over)


def test_no_function_is_over_its_cap() -> None:
    over = [
        f"{relative(path)}: {name} has {n} lines, cap {FUNCTION_LINES}"
        for path in project_files(".py")
        for name, n in _functions(path)
        if n > FUNCTION_LINES
    ]
    assert not over, "\n".join(over)
