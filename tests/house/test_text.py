"""What no file of the project may say."""

from __future__ import annotations

import re

from house.files import PACKAGE, project_files, relative

# Written with brackets so that this file does not match itself.
MACHINE_PATHS = re.compile(r"/wor[k]/|/op[t]/|/roo[t]/|/hom[e]/\w|/User[s]/\w|/tmp/[s]/")
REGISTRIES = re.compile(
    r"pypi[.]org|pythonhosted[.]org|download[.]pytorch[.]org|anaconda[.]org|(extra-)?index[-]url", re.I
)
UNFINISHED = re.compile(r"\b(TOD[O]|FIXM[E]|XX[X]|NotImplementedErro[r])\b")
SILENCED = re.compile(r"#\s*(noq[a]|type:\s*ignor[e]|pragma:\s*no cove[r])(?P<rest>.*)")


def _lines(*suffixes: str, skip: str = "") -> list[tuple[str, str]]:
    return [
        (f"{relative(path)}:{number}", line)
        for path in project_files(*suffixes)
        if relative(path) != skip
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    ]


def test_no_file_names_a_machine_path_or_a_package_registry() -> None:
    found = [f"{at}: {line.strip()}" for at, line in _lines() if MACHINE_PATHS.search(line) or REGISTRIES.search(line)]
    assert not found, "\n".join(found)


def test_nothing_is_left_unfinished() -> None:
    found = [f"{at}: {line.strip()}" for at, line in _lines() if UNFINISHED.search(line)]
    assert not found, "\n".join(found)


def test_every_silenced_check_gives_its_reason() -> None:
    found = []
    for at, line in _lines(".py", ".pyx", ".pxi", ".pyi"):
        match = SILENCED.search(line)
        if match and len(re.sub(r"[\[:]\s*[\w, -]+\]?", "", match["rest"], count=1).strip(" -#")) < 10:
            found.append(f"{at}: {line.strip()}")
    assert not found, "\n".join(found)


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        relative(path)
        for path in project_files(".py", below=PACKAGE)
        if not path.read_text(encoding="utf-8").lstrip().startswith(('"""', 'r"""'))
    ]
    assert not silent, silent


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for path in project_files(".py", ".pyx", ".md", below=PACKAGE)}
    assert [relative(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []
