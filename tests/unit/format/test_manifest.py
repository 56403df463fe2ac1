"""Manifests: rows in tree order; a tensor's chunks are exactly as many as its shape asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckstore.errors import FormatError
from ckstore.format import manifest
from ckstore.format.manifest import ROWS_PER_PAGE, ChunkColumns, Table
from ckstore.format.records import ManifestPage, NodeRow, Shard, TensorRow, ValueRow
from ckstore.tensor import ITEM_BYTES

WHAT = "manifest 7-0123456789abcdef-2"
CHUNK = 1024


def columns_of(n: int, seed: int = 0) -> ChunkColumns:
    return ChunkColumns(
        b"".join((seed + i).to_bytes(32, "big") for i in range(n)),
        b"".join((seed + i).to_bytes(16, "big") for i in range(n)),
    )


def tensor(shape: Sequence[int], n_chunks: int, dtype: str = "float32", path: Sequence[Any] = ("w",)) -> TensorRow:
    shards = [Shard([0] * len(shape), list(shape), n_chunks)]
    return TensorRow(path, "numpy.ndarray", dtype, list(shape), {}, None, shards)


def inline(shape: Sequence[int], data: bytes, dtype: str = "float32") -> TensorRow:
    return TensorRow(("b",), "numpy.ndarray", dtype, list(shape), {}, data, [])


TABLE: Table = [
    (NodeRow((), "dict", {}), ChunkColumns()),
    (tensor([1025], 2), columns_of(2)),
    (ValueRow(("x",), b"\x01"), ChunkColumns()),
    (inline([3], bytes(12)), ChunkColumns()),
    (tensor([2, 1024], 2, path=("o", 0, None, True, 1.5, b"k", (1, "a"))), columns_of(2, 7)),
]


def reread(table: Table, chunk_elements: int = CHUNK) -> Table:
    pages = [
        msgspec.msgpack.decode(msgspec.msgpack.encode(page), type=ManifestPage) for page in manifest.to_pages(table)
    ]
    return manifest.from_pages(pages, WHAT, chunk_elements)


def test_a_table_comes_back_as_it_was() -> None:
    assert reread(TABLE) == TABLE
    assert reread([]) == []


@given(st.lists(st.integers(1, 5 * CHUNK), max_size=20))
def test_chunks_stay_with_their_tensors(lengths: list[int]) -> None:
    counts = [-(-n // CHUNK) for n in lengths]
    table: Table = [
        (tensor([n], count, path=(i,)), columns_of(count, 100 * i))
        for i, (n, count) in enumerate(zip(lengths, counts, strict=True))
    ]
    assert reread(table) == table


def test_pages_are_cut_by_counts_so_that_a_child_shares_them() -> None:
    old, new = ([(ValueRow((i,), b""), ChunkColumns()) for i in range(ROWS_PER_PAGE + n)] for n in (10, 90))
    assert manifest.to_pages(old)[0] == manifest.to_pages(new)[0]
    large: Table = [(tensor([CHUNK * 3000], 3000, path=(i,)), columns_of(3000)) for i in range(3)]
    assert [len(page.rows) for page in manifest.to_pages(large)] == [2, 1]
    assert reread(large) == large


@pytest.mark.parametrize("dtype", [*ITEM_BYTES, "bytes:1", "bytes:3", "bytes:1048576"])
def test_every_dtype_is_cut_at_its_own_chunk_size(dtype: str) -> None:
    size = manifest.chunk_bytes(dtype, CHUNK)
    item = int(dtype[6:]) if dtype.startswith("bytes:") else ITEM_BYTES[dtype]
    n = 2 * size // item + 1
    assert size % item == 0
    assert reread([(tensor([n], 3, dtype), columns_of(3))])
    with pytest.raises(FormatError, match="do not add up"):
        reread([(tensor([n], 2, dtype), columns_of(2))])


LIES: dict[str, TensorRow] = {
    "too few chunks": tensor([2049], 2),
    "too many chunks": tensor([1024], 2),
    "chunks of nothing": tensor([0], 2),
    "unknown dtype": tensor([2048], 2, "float31"),
    "dtype of no size": tensor([2048], 2, "bytes:0"),
    "dtype too large": tensor([2048], 2, "bytes:1048577"),
    "dtype of no number": tensor([2048], 2, "bytes:"),
    "huge": tensor([1 << 61, 2], 2),
    "65 dimensions": tensor([1] * 64 + [2048], 2),
    "no shard": msgspec.structs.replace(tensor([2048], 2), shards=[]),
    "two shards": msgspec.structs.replace(tensor([2048], 1), shards=[Shard([0], [2048], 1)] * 2),
    "another box": msgspec.structs.replace(tensor([2048], 2), shards=[Shard([0], [2047], 2)]),
    "a box elsewhere": msgspec.structs.replace(tensor([2048], 2), shards=[Shard([1], [2048], 2)]),
    "inline and chunks": msgspec.structs.replace(tensor([2048], 2), inline=bytes(8192)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_tensor_that_lies_is_refused(lie: str) -> None:
    with pytest.raises(FormatError, match="tensor w") as caught:
        reread([(LIES[lie], columns_of(2))])
    assert caught.value.object == WHAT


@pytest.mark.parametrize("shape", [[1 << 60, 0], [0, 1 << 31, 1 << 31]])
def test_an_empty_tensor_of_lengths_that_no_machine_has_is_refused(shape: list[int]) -> None:
    for row in (tensor(shape, 0), inline(shape, b"")):
        with pytest.raises(FormatError, match="bad dtype or shape"):
            reread([(row, ChunkColumns())])


@pytest.mark.parametrize("data", [bytes(11), bytes(13), b""])
def test_inline_bytes_of_another_length_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="tensor b"):
        reread([(inline([3], data), ChunkColumns())])


@pytest.mark.parametrize(("ids", "hashes"), [(-1, 0), (0, -1), (32, 0), (0, 16), (32, 16), (-32, -16), (1, 0)])
def test_columns_that_do_not_fit_the_rows_are_refused(ids: int, hashes: int) -> None:
    (page,) = manifest.to_pages(TABLE)
    longer = page.chunk_ids + bytes(32), page.quick_hashes + bytes(16)
    lie = msgspec.structs.replace(
        page,
        chunk_ids=longer[0][: len(page.chunk_ids) + ids],
        quick_hashes=longer[1][: len(page.quick_hashes) + hashes],
    )
    with pytest.raises(FormatError, match=WHAT):
        manifest.from_pages([lie], WHAT, CHUNK)


@pytest.mark.parametrize("key", [{"a": 1}, [{}], msgspec.msgpack.Ext(5, b""), [[[[[[[[[1]]]]]]]]]])
def test_a_key_that_no_state_has_is_refused(key: Any) -> None:
    with pytest.raises(FormatError, match="unknown type"):
        reread([(ValueRow((key,), b""), ChunkColumns())])


def test_more_rows_or_chunks_than_any_checkpoint_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = manifest.to_pages(TABLE)
    for limit, n in (("MAX_ROWS", 5), ("MAX_CHUNKS", 4)):
        with monkeypatch.context() as patch:
            patch.setattr(manifest, limit, n)
            assert len(manifest.from_pages(pages, WHAT, CHUNK)) == 5
            with pytest.raises(FormatError, match="more than"):
                manifest.from_pages(iter(pages * 1000), WHAT, CHUNK)


def test_an_empty_tensor_has_no_chunks() -> None:
    assert reread([(tensor([0, 5], 0), ChunkColumns())])
    assert reread([(inline([0], b""), ChunkColumns())])
