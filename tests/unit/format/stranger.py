"""A reader of ckstore stores written from FORMAT.md alone: nothing of ckstore is imported here.

It is slow and has no mercy: whatever is not as the page says is an AssertionError.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import msgspec
import xxhash
import zstandard
from blake3 import blake3

from tests.unit.format import stranger_codecs

MAGIC = bytes.fromhex("93434b53544f5245")
END_MAGIC = bytes.fromhex("93434b454e440d0a")
DIRECTORIES = {1: "root", 2: "catalog", 3: "manifest", 4: "closure", 5: "segment", 6: "pack"}
ITEM_BYTES = {"complex128": 16, "bool": 1, "bfloat16": 2} | {
    f"{kind}{bits}": bits // 8
    for kind, sizes in {
        "float": (16, 32, 64),
        "int": (8, 16, 32, 64),
        "uint": (8, 16, 32, 64),
        "complex": (32, 64, 128),
    }.items()
    for bits in sizes
}


def low32(data: bytes) -> int:
    return xxhash.xxh3_64_intdigest(data) & 0xFFFFFFFF


def column(data: bytes, size: int) -> list[int]:
    assert len(data) % size == 0
    return [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]


def decompress(codec: int, stored: bytes, raw_bytes: int) -> bytes:
    raw = stored if codec == 0 else zstandard.ZstdDecompressor().decompress(stored)
    assert codec in (0, 1)
    assert len(raw) == raw_bytes
    return raw


def read_head(data: bytes, kind: int, uuid: bytes | None) -> tuple[list[Any], bytes, bytes]:
    """(head record, digest, store uuid) of an object; §3."""
    magic, found, version, codec, zero, check, owner, offset, stored, raw = struct.unpack("<8sBBBBI16sQQQ", data[:56])
    assert (magic, found, version, zero) == (MAGIC, kind, 1, 0)
    assert check == low32(data[:12] + data[16:56])
    assert uuid in (None, owner)
    assert len(data) == offset + stored + 32
    head = data[offset : offset + stored]
    assert blake3(data[:56] + head).digest() == data[offset + stored :]
    return msgspec.msgpack.decode(decompress(codec, head, raw)), data[offset + stored :], owner


class Stranger:
    """A store, read as §12 says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        number = max(2**64 - 1 - int(file.name) for file in (path / "root").iterdir())
        self.uuid: bytes | None = None
        data = (path / "root" / f"{2**64 - 1 - number:020d}").read_bytes()
        self.root, _, self.uuid = read_head(data, 1, None)
        assert self.root[0] == number
        assert self.root[3] == 1
        assert self.root[5] == []
        self.chunk_elements = self.root[4]
        pages = [self.head(2, page)[0] for page, _ in self.root[13]]
        self.entries = [entry for page in pages for entry in page] + self.root[14]

    def head(self, kind: int, ref: list[Any]) -> list[Any]:
        name, digest, n_bytes = ref
        data = (self.path / DIRECTORIES[kind] / name).read_bytes()
        assert len(data) == n_bytes
        head, found, _ = read_head(data, kind, self.uuid)
        assert found == digest
        return head

    def pages(self, kind: int, name: str, refs: list[list[Any]]) -> list[list[Any]]:
        pages = []
        for holder, offset, stored_bytes, raw_bytes, digest, _ in refs:
            data = (self.path / DIRECTORIES[kind] / (holder or name)).read_bytes()[offset : offset + stored_bytes]
            assert blake3(data).digest() == digest
            pages.append(msgspec.msgpack.decode(decompress(data[0], data[1:], raw_bytes)))
        return pages

    def rows(self, entry: list[Any]) -> list[tuple[list[Any], list[bytes]]]:
        """Manifest rows, tensors with their chunk ids; §6."""
        head = self.head(3, entry[6])
        found = []
        for rows, ids, hashes in self.pages(3, entry[6][0], head[6]):
            at = 0
            for row in rows:
                n = sum(shard[2] for shard in row[7]) if row[0] == "tensor" else 0
                found.append((row, [ids[32 * i : 32 * i + 32] for i in range(at, at + n)]))
                at += n
            assert (len(ids), len(hashes)) == (32 * at, 16 * at)
        assert len(found) == head[5]
        return found

    def chunks(self, entry: list[Any]) -> dict[bytes, bytes]:
        """Every chunk that the checkpoint needs, by id, in one pass over the closure; §6, §7."""
        head = self.head(4, entry[7])
        done: list[tuple[bytes, bytes]] = []
        for packs, ids, pack_of, offsets, sizes, lengths, n_bases, bases in self.pages(4, entry[7][0], head[3]):
            base_rows = iter(column(bases, 4))
            columns = column(pack_of, 2), column(offsets, 8), column(sizes, 4), column(lengths, 4), n_bases
            for i, (pack, offset, size, n_bytes, n) in enumerate(zip(*columns, strict=True)):
                data = (self.path / "pack" / packs[pack][0]).read_bytes()[offset : offset + size]
                needed = [done[next(base_rows)] for _ in range(n)]
                chunk_id, chunk = read_frame(data, needed)
                assert (chunk_id, len(chunk)) == (ids[32 * i : 32 * i + 32], n_bytes)
                done.append((chunk_id, chunk))
        assert len(done) == head[0]
        return dict(done)

    def tensors(self, entry: list[Any]) -> dict[str, tuple[str, list[int], bytes]]:
        """(dtype, shape, logical bytes) of every tensor, by its dotted path."""
        chunks = self.chunks(entry)
        found = {}
        for row, ids in self.rows(entry):
            if row[0] == "tensor":
                _, path, _, dtype, shape, _, inline, _ = row
                data = inline if inline is not None else b"".join(chunks[i] for i in ids)
                size = int(dtype[6:]) if dtype.startswith("bytes:") else ITEM_BYTES.get(dtype, 1)
                for length in shape:
                    size *= length
                assert len(data) == size
                found[".".join(map(str, path))] = (dtype, shape, data)
        return found


def read_pack_table(data: bytes, uuid: bytes) -> list[list[int]]:
    """[offset, frame bytes, logical bytes, check] of every frame of a pack; §7.1."""
    assert data[:11] == MAGIC + bytes([6, 1, 0])
    assert data[12:16] == low32(data[:12] + data[16:56]).to_bytes(4, "little")
    assert data[16:56] == uuid + bytes(24)
    assert data[-8:] == END_MAGIC
    length = int.from_bytes(data[-48:-40], "little")
    table = data[-48 - length : -48]
    assert blake3(data[:56] + table + data[-48:-40]).digest() == data[-40:-8]
    ids, offsets, sizes, lengths, checks = msgspec.msgpack.decode(table)
    columns = column(offsets, 8), column(sizes, 4), column(lengths, 4), column(checks, 8)
    rows = [list(row) for row in zip(*columns, strict=True)]
    assert len(ids) == 32 * len(rows)
    end = 56
    for offset, size, _, check in rows:
        assert offset == end
        assert xxhash.xxh3_64_intdigest(data[offset : offset + size]) == check
        end += size
    assert end == len(data) - 48 - length
    return rows


def read_frame(data: bytes, bases: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """(chunk id, chunk) of a frame, given (id, bytes) of its bases; §7.2."""
    magic, codec, n_bases, n_params, n_bytes, n_payload, chunk_id, payload_check, check = struct.unpack(
        "<4sBBHII32sQI", data[:60]
    )
    start = 60 + 33 * n_bases + n_params
    assert magic == b"CKF1"
    assert len(data) == start + n_payload
    assert check == low32(data[:56] + data[60:start])
    payload = data[start:]
    assert xxhash.xxh3_64_intdigest(payload) == payload_check
    assert [data[60 + 33 * i + 1 : 93 + 33 * i] for i in range(n_bases)] == [base_id for base_id, _ in bases]
    params = data[60 + 33 * n_bases : start]
    chunk = stranger_codecs.decode(codec, params, payload, [base for _, base in bases], n_bytes)
    assert len(chunk) == n_bytes
    assert blake3(chunk).digest() == chunk_id
    return chunk_id, chunk
