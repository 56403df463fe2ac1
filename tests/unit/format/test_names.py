"""Names: root keys sort newest first, object names are never paths, foreign names are nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckstore.format import names

NUMBERS = st.integers(1, names.MAX_ROOT)
NAME = "7-0123456789abcdef-3"
FOREIGN = [
    "", "x", "../root", "7-0123456789abcdef", "7-0123456789abcdef-", "7-0123456789ABCDEF-3", "-0123456789abcdef-3",
    "7-0123456789abcdef-3\n", "7-0123456789abcdef-3/x", "٧-0123456789abcdef-3", "7-0123456789abcde-3",
    "123456789012345678901-0123456789abcdef-3", "7-0123456789abcdef-1234567890",
]  # fmt: skip


@given(NUMBERS)
def test_a_root_key_leads_back_to_its_number(number: int) -> None:
    assert names.root_number(names.root_key(number)) == number


@given(NUMBERS, NUMBERS)
def test_the_newer_root_has_the_smaller_key(a: int, b: int) -> None:
    assert (a < b) == (names.root_key(a) > names.root_key(b))


@pytest.mark.parametrize(
    "key", ["", "1", "0" * 20, "9" * 20, "18446744073709551615", "1844674407370955161٤", "18446744073709551614 "]
)
def test_a_foreign_name_is_no_root_key(key: str) -> None:
    assert names.root_number(key) is None


def test_a_stray_file_cannot_use_up_the_root_numbers() -> None:
    assert names.root_number(f"{names.LAST_ROOT - names.MAX_ROOT - 1:020d}") is None
    assert names.root_number(names.root_key(names.MAX_ROOT)) == names.MAX_ROOT


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_name_never_becomes_a_path(name: str) -> None:
    assert not names.is_object_name(name)
    assert names.writer_of(name) is None
    with pytest.raises(ValueError, match="object name"):
        names.object_path(names.PACK, name)


def test_an_object_name_tells_its_writer_and_epoch() -> None:
    assert names.writer_of(NAME) == "7-0123456789abcdef"
    assert names.epoch_of("7-0123456789abcdef") == 7
    assert names.epoch_of(NAME) is None
    assert names.object_path(names.CLOSURE, NAME) == f"closure/{NAME}"
