from __future__ import annotations

import pytest

from ckstore.cli import text


@pytest.mark.parametrize(
    ("n_bytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.98 KiB"),
        (1536, "1.50 KiB"),
        (10 << 20, "10.0 MiB"),
        (300 << 30, "300 GiB"),
    ],
)
def test_sizes_have_three_digits_and_a_binary_unit(n_bytes: int, shown: str) -> None:
    assert text.size(n_bytes) == shown


def test_the_share_of_nothing_is_a_dash() -> None:
    assert text.share(5, 0) == "-"
    assert text.share(1, 3) == "0.333"


def test_control_characters_are_escaped_and_letters_are_not() -> None:
    assert text.printable("layer.ß.\x1b[2J\r\n\x07") == "layer.ß.\\x1b[2J\\r\\n\\x07"


def test_a_lone_surrogate_can_be_printed() -> None:
    text.printable("a\udcffb").encode("utf-8")


def test_a_count_agrees_with_its_noun() -> None:
    assert text.count(1, "checkpoint") == "1 checkpoint"
    assert text.count(2000, "checkpoint") == "2,000 checkpoints"
    assert text.count(2, "writer is", "writers are") == "2 writers are"


def test_a_scalar_has_a_dash_for_a_shape() -> None:
    assert text.shape([]) == "-"
    assert text.shape([2, 3]) == "2x3"
