"""Who may import whom; import-linter reads the contracts in pyproject.toml, the rest is what it cannot see."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from house.files import PACKAGE, ROOT, project_files, relative

TORCH_ALLOWED = ("ckstore/adapters/torch", "ckstore/torch.py", "ckstore/cli/")
ABOVE_API = ("ckstore/torch.py", "ckstore/numpy.py", "ckstore/cli/", "ckstore/__main__.py")


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _importers(module: str) -> list[str]:
    return [relative(path) for path in project_files(".py", below=PACKAGE) if module in _imported(path)]


def test_the_import_contracts_hold(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"]
    run = subprocess.run([*command, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_torch_is_imported_by_its_own_modules_only() -> None:
    assert [at for at in _importers("torch") if not at.startswith(TORCH_ALLOWED)] == []


def test_internals_never_import_the_package_itself() -> None:
    assert [at for at in _importers("ckstore") if not at.startswith(ABOVE_API)] == []


def test_importing_ckstore_imports_no_framework_and_no_command_line() -> None:
    heavy = ["torch", "safetensors", "matplotlib", "rich", "click", "zipnn", "blosc2"]
    code = f"import ckstore, sys; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
