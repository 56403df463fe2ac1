"""Every bit, every length and every sector of every metadata object: damage is found where it is, and named."""

from __future__ import annotations

import pytest

from ckstore.errors import CkError, CorruptError, MissingObjectError
from ckstore.format.envelope import HEADER_BYTES
from ckstore.format.names import DIRECTORY
from ckstore.format.pack import FOOTER_BYTES
from tests.corrupt.damage import SECTOR_BYTES, Small, Target, assert_names, flipped

KINDS = list(DIRECTORY.values())


def targets(small: Small, kind: str) -> list[Target]:
    found = [target for target in small.targets() if target.path.startswith(f"{kind}/")]
    assert found
    return found


def metadata(target: Target) -> list[int]:
    """Positions of the bytes that are not frames."""
    if not target.path.startswith("pack/"):
        return list(range(len(target.data)))
    length = int.from_bytes(target.data[-FOOTER_BYTES : 8 - FOOTER_BYTES], "little")
    end = len(target.data)
    return [*range(HEADER_BYTES), *range(end - FOOTER_BYTES - length, end)]


def assert_found(small: Small, target: Target, data: bytes | None) -> CkError:
    with small.fs.damaged(target.path, data), pytest.raises(CkError) as caught:
        target.read(small.fs)
    assert_names(caught.value, target.what)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_reads_as_it_is(small: Small, kind: str) -> None:
    for target in targets(small, kind):
        assert target.read(small.fs)


@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_bit_is_found(small: Small, kind: str) -> None:
    for target in targets(small, kind):
        for byte in metadata(target):
            for bit in range(8 * byte, 8 * byte + 8):
                assert isinstance(assert_found(small, target, flipped(target.data, bit)), CorruptError)


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_found(small: Small, kind: str) -> None:
    for target in targets(small, kind):
        for n in range(len(target.data)):
            assert_found(small, target, target.data[:n])


@pytest.mark.parametrize("kind", KINDS)
def test_every_zeroed_sector_is_found(small: Small, kind: str) -> None:
    for target in targets(small, kind):
        for size in (512, SECTOR_BYTES):
            for start in range(0, len(target.data), size):
                stop = min(start + size, len(target.data))
                if set(range(start, stop)) & set(metadata(target)):
                    assert_found(small, target, target.data[:start] + bytes(stop - start) + target.data[stop:])


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_in_the_place_of_another_is_found(small: Small, kind: str) -> None:
    of_kind = targets(small, kind)
    others = [*of_kind, *(target for target in small.targets() if target.path.split("/")[0] != kind)]
    for target in of_kind:
        for other in others:
            if other is not target:
                assert_found(small, target, other.data)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_or_missing_object_is_found(small: Small, kind: str) -> None:
    for target in targets(small, kind):
        assert_found(small, target, b"")
        if kind != "root":
            assert isinstance(assert_found(small, target, None), MissingObjectError)


@pytest.mark.parametrize("kind", ["root", "pack"])
def test_bytes_behind_the_end_are_found(small: Small, kind: str) -> None:
    for target in targets(small, kind):
        assert_found(small, target, target.data + b"\0")
