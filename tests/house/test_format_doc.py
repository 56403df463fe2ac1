"""FORMAT.md names all that stands in the bytes: object kinds, codecs, roles, records and their fields."""

from __future__ import annotations

import inspect
import re

import msgspec
import pytest

from ckstore.format import frame, names, pack, records, segment
from house.files import PACKAGE

RECORDS = [
    record
    for module in (records, pack, segment)
    for _, record in inspect.getmembers(module, inspect.isclass)
    if issubclass(record, records.Record) and record.__module__ == module.__name__ and record is not records.Record
]


@pytest.fixture(scope="module")
def text() -> str:
    return (PACKAGE / "format" / "FORMAT.md").read_text(encoding="utf-8")


def _section(text: str, name: str) -> str:
    """From the heading that holds the word `name` to the next heading."""
    match = re.search(rf"^#+ [^\n]*\b{name}\b[^\n]*$(?P<body>.*?)(?=^#|\Z)", text, flags=re.M | re.S)
    assert match, f"FORMAT.md has no heading with the word {name}"
    return match["body"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.__name__)
def test_every_field_of_a_record_is_described_in_order(record: type[msgspec.Struct], text: str) -> None:
    section = _section(text, record.__name__)
    rows = re.findall(r"^\|\s*`?(\w+)`?\s*\|", section, flags=re.M)
    fields = list(record.__struct_fields__)
    assert [row for row in rows if row in fields] == fields


@pytest.mark.parametrize("kind", names.DIRECTORY)
def test_every_object_kind_has_its_number_and_directory(kind: int, text: str) -> None:
    assert re.search(rf"^\|\s*{kind}\s*\|.*\b{names.DIRECTORY[kind]}\b", text, flags=re.M)


@pytest.mark.parametrize("codec", frame.CODEC_NAMES)
def test_every_codec_has_its_number_and_name(codec: int, text: str) -> None:
    assert re.search(rf"^\|\s*{codec}\s*\|.*\b{frame.CODEC_NAMES[codec]}\b", text, flags=re.M)


@pytest.mark.parametrize("role", [name for name in vars(frame) if name.startswith("ROLE_")])
def test_every_role_of_a_base_has_its_number_and_name(role: str, text: str) -> None:
    word = role.removeprefix("ROLE_").lower()
    assert re.search(rf"^\|\s*{getattr(frame, role)}\s*\|.*\b{word}\b", text, flags=re.M)
