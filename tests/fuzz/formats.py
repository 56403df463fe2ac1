"""Targets of the Python fuzzers: every parser of stored objects, with the hashes around its input made right."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import xxhash
from blake3 import blake3

from ckstore.codec import delta, planes, predict
from ckstore.codec.chunk import decode_into
from ckstore.errors import CkError
from ckstore.format import envelope, frame, names, pack
from ckstore.format.names import CATALOG, CLOSURE, MANIFEST, PACK, SEGMENT, object_path
from ckstore.format.records import ObjectRef, Record
from ckstore.store.repository import Repository
from tests.corrupt.damage import Small
from tests.corrupt.forge import NAME, Forger, page_refs, signed
from tests.fuzz.guided import How

GOLDEN = Path(__file__).parents[1] / "golden" / "v1" / "codec"
WHAT = "the input"
MOST_LOGICAL_BYTES = 1 << 16


@dataclass(frozen=True)
class Target:
    """A parser: inputs that it reads, and the call that reads one."""

    run: Callable[[bytes], object]
    seeds: list[bytes] = field(repr=False)
    how: How = field(default_factory=How)


def record_types() -> list[type[Record]]:
    """All kinds of records, in the order of their names."""
    found, left = set[type[Record]](), [Record]
    while left:
        below = left.pop().__subclasses__()
        found.update(below)
        left.extend(below)
    return sorted(found, key=lambda kind: kind.__name__)


def _parts(record: Any) -> list[Record]:
    """A record and all records in it."""
    if isinstance(record, Record):
        return [record, *(part for name in record.__struct_fields__ for part in _parts(getattr(record, name)))]
    return [part for item in record for part in _parts(item)] if isinstance(record, list) else []


def records(small: Small) -> Target:
    """Every record type. The first byte of an input chooses it."""
    kinds = record_types()
    forger = Forger(small)
    heads: list[Any] = [small.root, forger.manifest, forger.closure]
    seeds = {bytes([kinds.index(type(part))]) + msgspec.msgpack.encode(part) for head in heads for part in _parts(head)}
    raw = [forger.manifest_page(), forger.closure_page(), *(_head_of(target.data) for target in small.targets())]
    seeds |= {bytes([i]) + data for data in raw for i in range(len(kinds)) if _decodes(data, kinds[i])}

    def run(data: bytes) -> object:
        return envelope.decode_record(data[1:], kinds[data[0] % len(kinds)], WHAT) if data else None

    return Target(run, sorted(data for data in seeds if len(data) < 8192))


def _head_of(data: bytes) -> bytes:
    return data[envelope.HEADER_BYTES : -envelope.DIGEST_BYTES]


def _decodes(data: bytes, kind: type[Record]) -> bool:
    try:
        envelope.decode_record(data, kind, WHAT)
    except CkError:
        return False
    return True


def objects(small: Small) -> Target:
    """Whole metadata objects, roots among them: header, compression, head."""
    kinds = {kind: [t for t in record_types() if t.__name__.upper() == name] for kind, name in _KINDS.items()}

    def run(data: bytes) -> object:
        if len(data) > envelope.HEADER_BYTES:
            data = data[:12] + struct.pack("<I", _low(data[:12] + data[16:56])) + data[16:]
        kind = data[8] if len(data) > 8 and data[8] in kinds else names.ROOT
        header = envelope.parse_header(data, kind, None, WHAT)
        head, tail = data[: envelope.HEADER_BYTES], data[header.head_offset :]
        digest = blake3(head + tail[: header.stored_bytes]).digest()
        return envelope.decode_head(head, header, tail[: header.stored_bytes] + digest, kinds[kind][0], WHAT)

    found = [target.data for target in small.targets() if target.data[8] in kinds]
    return Target(run, [data for data in found if len(data) < 8192])


_KINDS = {names.ROOT: "ROOT", CATALOG: "CATALOGPAGE", MANIFEST: "MANIFEST", CLOSURE: "CLOSURE", SEGMENT: "SEGMENT"}


def _low(data: bytes) -> int:
    return xxhash.xxh3_64_intdigest(data) & 0xFFFFFFFF


def frames(small: Small) -> Target:
    """Frames: lengths, bases, parameters."""
    rows = Forger(small).rows

    def run(data: bytes) -> object:
        if len(data) > 60:
            start = 60 + 33 * data[5] + int.from_bytes(data[6:8], "little")
            front = data[:48] + struct.pack("<Q", xxhash.xxh3_64_intdigest(data[start:]))
            data = front + struct.pack("<I", _low(front + data[60:start])) + data[60:]
        return frame.parse(memoryview(data), WHAT)

    return Target(run, [small.fs.read(f"pack/{row.pack.name}", row.offset, row.frame_bytes) for row in rows])


def chunks(_: Small) -> Target:
    """Payloads of every codec: codec, bases, two bits of length for each, bytes of chunk and parameters, then these."""
    head = struct.Struct("<BBBHB")

    def run(data: bytes) -> object:
        if len(data) < head.size:
            return None
        codec, n_bases, wide, n_logical, n_params = head.unpack(data[: head.size])
        rest = data[head.size :]
        base = memoryview(bytes(i * 7 % 256 for i in range(256)) * (n_logical // 128 + 1))
        halves = (2, 2, 4, 1)
        bases = [base[: n_logical * halves[wide >> 2 * i & 3] // 2] for i in range(n_bases % 5)]
        out = bytearray(n_logical)
        return decode_into(codec % 16, rest[:n_params], memoryview(rest[n_params:]), bases, memoryview(out))

    seeds = []
    for case in sorted(GOLDEN.iterdir()):
        if (case / "case.json").exists():
            about, raw = json.loads((case / "case.json").read_text()), (case / "raw.bin").read_bytes()
            params, payload = bytes.fromhex(about["params"]), (case / "payload.bin").read_bytes()
            sizes = [len((case / f"base{i}.bin").read_bytes()) for i in range(about["n_bases"])]
            wide = sum({1: 1, 2: 2, 0.5: 3}[size / len(raw)] << 2 * i for i, size in enumerate(sizes))
            if len(raw) < MOST_LOGICAL_BYTES and len(payload) < 8000:
                lengths = head.pack(about["codec"], about["n_bases"], wide, len(raw), len(params))
                seeds.append(lengths + params + payload)
    return Target(run, seeds)


def parameters(_: Small) -> Target:
    """Parameters of codecs, which the first byte chooses: what is read must be written so that it reads the same."""
    codecs: tuple[tuple[Callable[[bytes], Any], Callable[[Any], bytes]], ...] = (
        (planes.parse_params, planes.pack_params),
        (delta.parse_params, lambda found: delta.pack_params(*found)),
        (predict.parse_params, lambda found: predict.pack_params(*found)),
    )

    def run(data: bytes) -> object:
        if not data:
            return None
        parse, write = codecs[data[0] % len(codecs)]
        found = parse(data[1:])
        assert repr(parse(write(found))) == repr(found)
        return found

    which = {frame.PLANES: 0, frame.DELTA_XOR: 0, frame.DELTA_INT: 1, frame.PREDICTED: 2}
    cases = [json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*/case.json"))]
    made = {bytes([which[c["codec"]]]) + bytes.fromhex(c["params"]) for c in cases if c["codec"] in which}
    return Target(run, sorted(made))


def pack_tables(small: Small) -> Target:
    """Tables of packs: where the table begins, then the table."""
    header = envelope.pack_header(PACK, small.uuid)

    def run(data: bytes) -> object:
        start, table = int.from_bytes(data[:4], "little"), data[4:]
        length = struct.pack("<Q", len(table))
        footer = length + blake3(header + table + length).digest() + pack.END_MAGIC
        pack.table_bytes(footer, WHAT)
        return pack.parse_table(header, table, footer, WHAT, start)

    seeds = []
    for target in small.packs():
        n = int.from_bytes(target.data[-pack.FOOTER_BYTES : 8 - pack.FOOTER_BYTES], "little")
        start = len(target.data) - pack.FOOTER_BYTES - n
        seeds.append(struct.pack("<I", start) + target.data[start : -pack.FOOTER_BYTES])
    return Target(run, seeds)


def closure_pages(small: Small) -> Target:
    """Pages of closures."""
    forger = Forger(small)

    def run(data: bytes) -> object:
        return small._read_closure(small.fs, forger.put_closure([data]))

    return Target(run, [forger.closure_page()], How(tree=True, every=4))


def manifest_pages(small: Small) -> Target:
    """Pages of manifests."""
    forger = Forger(small)

    def run(data: bytes) -> object:
        return small._read_manifest(small.fs, forger.put_manifest([data]))

    return Target(run, [forger.manifest_page()], How(tree=True, every=4))


def segment_pages(small: Small) -> Target:
    """Segments: an array of the head, whose list of pages is put right, and of one page."""
    kinds = {kind.__name__: kind for kind in record_types()}
    position = kinds["Segment"].__struct_fields__.index("pages")
    objects, name = Repository(small.fs).objects, f"{NAME}7"

    def run(data: bytes) -> object:
        try:
            head, page = msgspec.msgpack.decode(data)
            refs, stored = page_refs([msgspec.msgpack.encode(page)])
            head[position] = [msgspec.msgpack.decode(msgspec.msgpack.encode(ref)) for ref in refs]
            raw = msgspec.msgpack.encode(head)
        except (msgspec.MsgspecError, TypeError, ValueError, LookupError, RecursionError, OverflowError):
            return None
        made, digest = signed(SEGMENT, small.uuid, raw, stored)
        small.fs.served[object_path(SEGMENT, name)] = made
        return small._read_segment(small.fs, ObjectRef(name, digest, len(made)))

    seeds = []
    for ref in small.root.segments:
        head = objects.segment(ref)
        page = objects.page(SEGMENT, ref.name, head.pages[0], kinds["SegmentPage"])
        seeds.append(msgspec.msgpack.encode([head, page]))
    return Target(run, seeds, How(tree=True))
