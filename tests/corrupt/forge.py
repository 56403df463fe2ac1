"""Somebody who can write a whole store: objects with any content and all hashes right."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import msgspec
import zstandard
from blake3 import blake3

from ckstore.api import Store
from ckstore.engine.parent import load_closure, load_manifest
from ckstore.errors import CkError
from ckstore.format import closure, envelope, frame, manifest, pack
from ckstore.format.closure import Row
from ckstore.format.frame import Frame
from ckstore.format.manifest import Table
from ckstore.format.names import CLOSURE, MANIFEST, PACK, ROOT, object_path, root_path
from ckstore.format.records import Entry, ObjectRef, PageRef, Root
from ckstore.store.repository import Repository
from tests.corrupt.damage import CHUNK, Small

NAME = "1-ffffffffffffffff-"
RAW_PAGE = 0


@dataclass
class Forger:
    """Serves a forged newest root, and the objects it names, in the place of the small store's."""

    small: Small

    def __post_init__(self) -> None:
        repo = Repository(self.small.fs)
        self.entry: Entry = self.small.entries[-1]
        self.table: Table = load_manifest(repo, self.entry, CHUNK)[0]
        self.rows: list[Row] = load_closure(repo, self.entry)[0]
        self.manifest = repo.objects.manifest(self.entry.manifest)
        self.closure = repo.objects.closure(self.entry.closure)

    def _put(self, kind: int, seq: int, head: msgspec.Struct | bytes, pages: Sequence[bytes] = ()) -> ObjectRef:
        name = f"{NAME}{seq}"
        if isinstance(head, bytes):
            data, digest = signed(kind, self.small.uuid, head, pages)
        else:
            data, digest = envelope.encode(kind, self.small.uuid, head, pages)
        self.small.fs.served[object_path(kind, name)] = data
        return ObjectRef(name, digest, len(data))

    def put_manifest(self, pages: Sequence[bytes]) -> ObjectRef:
        """A manifest whose pages are these raw records, malformed or not."""
        refs, stored = page_refs(pages)
        return self._put(MANIFEST, 1, msgspec.structs.replace(self.manifest, pages=refs), stored)

    def put_closure(self, pages: Sequence[bytes], **head: object) -> ObjectRef:
        """A closure whose pages are these raw records, malformed or not."""
        refs, stored = page_refs(pages)
        return self._put(CLOSURE, 2, msgspec.structs.replace(self.closure, pages=refs, **head), stored)

    def put_head(self, kind: int, head: bytes) -> ObjectRef:
        """A manifest or closure whose head is these bytes."""
        return self._put(kind, 3, head)

    def put_pack(self, frames: Sequence[Frame]) -> tuple[ObjectRef, list[tuple[int, int]]]:
        """A pack of these frames, and where each of them lies."""
        data, places, rows = envelope.pack_header(PACK, self.small.uuid), [], []
        for item in frames:
            stored = frame.pack_front(item) + bytes(item.payload)
            places.append((len(data), len(stored)))
            check = pack.frame_check(stored)
            rows.append(pack.TableRow(item.chunk_id, len(data), len(stored), item.logical_bytes, check))
            data += stored
        tail, digest = pack.pack_tail(self.small.uuid, rows)
        self.small.fs.served[object_path(PACK, f"{NAME}4")] = data + tail
        return ObjectRef(f"{NAME}4", digest, len(data + tail)), places

    @contextmanager
    def store(self, root: Root | bytes | None = None, **entry: object) -> Iterator[Store]:
        """The store, opened, whose newest entry has these fields changed, or whose newest root is `root`."""
        if root is None:
            changed = msgspec.structs.replace(self.entry, **entry)
            root = msgspec.structs.replace(self.small.root, inline=[changed])
        raw = root if isinstance(root, bytes) else msgspec.msgpack.encode(root)
        path = root_path(self.small.root.number)
        self.small.fs.served[path] = signed(ROOT, self.small.uuid, raw)[0]
        try:
            with self.small.opened() as store:
                yield store
        finally:
            self.small.fs.served.clear()

    def manifest_page(self) -> bytes:
        """The only page of the newest manifest, as a raw record."""
        (page,) = manifest.to_pages(self.table)
        return msgspec.msgpack.encode(page)

    def closure_page(self) -> bytes:
        """The only page of the newest closure, as a raw record."""
        (page,) = closure.to_pages(self.rows)
        return msgspec.msgpack.encode(page)


def signed(kind: int, uuid: bytes, head: bytes, pages: Sequence[bytes] = ()) -> tuple[bytes, bytes]:
    """An object with any bytes for a head."""
    offset = envelope.HEADER_BYTES + sum(map(len, pages))
    header = envelope.pack_header(kind, uuid, 0, offset, len(head), len(head))
    digest = blake3(header + head).digest()
    return b"".join([header, *pages, head, digest]), digest


def page_refs(pages: Sequence[bytes]) -> tuple[list[PageRef], list[bytes]]:
    """References to raw records, and their stored bytes."""
    refs, stored, offset = [], [], envelope.HEADER_BYTES
    for raw in pages:
        data = b"\x01" + zstandard.compress(raw)
        refs.append(PageRef("", offset, len(data), len(raw), blake3(data).digest(), 1))
        stored.append(data)
        offset += len(data)
    return refs, stored


VERBS: list[Callable[[Store], object]] = [
    lambda store: store.load(),
    lambda store: store.load(framework="numpy"),
    lambda store: store.load(select=["w*"]),
    lambda store: store.checkpoints(),
    lambda store: store.leaves("latest"),
    lambda store: store.verify(level="data"),
    lambda store: store.stats(),
    lambda store: store.usage(),
    lambda store: store.gc(dry_run=True),
    lambda store: store.checkpoint("main@max:loss"),
    lambda store: store.checkpoint("tag-0"),
]


def try_everything(store: Store) -> None:
    """Use the store in every way that reads; only errors of ckstore may come of it."""
    for verb in VERBS:
        with suppress(CkError):
            verb(store)


def mutated(raw: bytes, rng: random.Random) -> bytes:
    """`raw` with a few bytes changed, or a part of it doubled, moved or dropped."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 3)):
        at, n = rng.randrange(len(data)), rng.choice((1, 1, 1, 2, 4, 8))
        match rng.randrange(5):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                data[at : at + n] = rng.randbytes(n)
            case 3:
                data[at : at + n] = b""
            case 4:
                data[at:at] = rng.choice((b"\xc0", b"\xff", b"\xcf" + b"\xff" * 8, b"\x90", b"\x80", bytes(n)))
        data = data or bytearray(b"\0")
    return bytes(data)
