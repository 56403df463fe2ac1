"""Kernels are plain, total C behind thin Cython: nothing but memory functions from outside, no loops in bindings."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from house.files import CSRC, PACKAGE, project_files, relative

STRICT = ["-std=c11", "-O2", "-fPIC", "-fno-math-errno", "-Wall", "-Wextra", "-Wvla", "-Wconversion", "-Werror"]
PLAIN = ["-fno-stack-protector", "-U_FORTIFY_SOURCE"]
"""Some compilers add calls of their own to harden code; these would hide among ours."""

FROM_OUTSIDE = re.compile(r"_?(mem(cpy|move|set|cmp)|ck_\w+|__cpu_model|__cpu_indicator_init|_GLOBAL_OFFSET_TABLE_)")
OURS = re.compile(r"_?ck_\w+")
MODULES = list(project_files(".pyx", below=PACKAGE))
CYTHON = list(project_files(".pyx", ".pxi", ".pxd", below=PACKAGE))


@pytest.fixture(scope="module")
def symbols(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """C file -> (type, name) of each symbol that its object shows to the linker, built with every warning an error."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    assert compiler, "a C compiler builds the package and is needed here too"
    out = tmp_path_factory.mktemp("objects")
    found = {}
    for number, source in enumerate(project_files(".c", below=CSRC)):
        target = out / f"{number}.o"
        command = [compiler, *STRICT, *PLAIN, "-I", str(CSRC), "-c", str(source), "-o", str(target)]
        built = subprocess.run(command, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        found[relative(source)] = _external_symbols(target)
    return found


def _external_symbols(target: Path) -> list[tuple[str, str]]:
    listing = subprocess.run(["nm", "-g", str(target)], capture_output=True, text=True, check=True).stdout
    return [(line.split()[-2], line.split()[-1]) for line in listing.splitlines() if line.strip()]


def test_kernels_call_nothing_but_memory_functions(symbols: dict[str, list[tuple[str, str]]]) -> None:
    assert symbols
    calls = [(at, name) for at, rows in symbols.items() for kind, name in rows if kind == "U"]
    assert [call for call in calls if not FROM_OUTSIDE.fullmatch(call[1])] == []


def test_every_symbol_of_ours_has_the_prefix(symbols: dict[str, list[tuple[str, str]]]) -> None:
    names = [(at, name) for at, rows in symbols.items() for kind, name in rows if kind != "U"]
    assert names
    assert [pair for pair in names if not OURS.fullmatch(pair[1])] == []


@pytest.mark.parametrize("path", CYTHON, ids=relative)
def test_a_binding_has_no_loop_and_imports_nothing_of_ckstore(path: Path) -> None:
    code = re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.S)
    code = re.sub(r"#.*", "", code)
    assert not re.search(r"^\s*(for|while)\b", code, flags=re.M)
    assert not re.search(r"\b(from|import|cimport)\s+(ckstore|\.)", code)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_binding_has_a_stub_with_the_same_public_functions(path: Path) -> None:
    stub = path.with_suffix(".pyi")
    assert stub.exists(), f"{relative(path)} has no stub"
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    declared = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    defined = set(re.findall(r"^(?:cp?def\s+)?(?:def|class)\s+(\w+)", _with_includes(path), flags=re.M))
    assert declared == {name for name in defined if not name.startswith("_")}


def _with_includes(path: Path) -> str:
    code = path.read_text(encoding="utf-8")
    return re.sub(r'^include "(.+)"$', lambda m: (path.parent / m[1]).read_text(encoding="utf-8"), code, flags=re.M)


def test_there_is_a_binding() -> None:
    assert MODULES
