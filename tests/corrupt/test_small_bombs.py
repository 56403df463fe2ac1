"""A small file must not cost its reader much memory: free values stay encoded until somebody asks for them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import msgspec
import pytest
import zstandard
from blake3 import blake3

from ckstore.errors import CorruptError, FormatError
from ckstore.format import envelope
from ckstore.format.names import CATALOG, CLOSURE, MANIFEST, ROOT, root_path
from ckstore.format.records import CatalogPage, CatalogRef, Entry, Root
from ckstore.store.repository import Repository
from tests.corrupt.damage import Small
from tests.corrupt.forge import Forger

N = 1 << 20
BOMB = msgspec.Raw(b"\x81\xa1x\xdd" + N.to_bytes(4, "big") + b"\x90" * N)
"""{"x": [[], [], ...]}: 64 MiB as Python objects."""


@pytest.fixture
def forger(small: Small) -> Iterator[Forger]:
    yield Forger(small)
    small.fs.served.clear()


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def with_extra(record: msgspec.Struct) -> bytes:
    return msgspec.msgpack.encode(msgspec.structs.replace(record, extra=BOMB))


def test_extra_keys_of_a_root_are_not_made_into_objects(forger: Forger) -> None:
    def work() -> None:
        with forger.store(root=with_extra(forger.small.root)) as store:
            assert len(store.checkpoints()) == len(forger.small.entries)

    assert peak_bytes(work) < 16 << 20


def test_extra_keys_of_heads_are_not_made_into_objects(forger: Forger) -> None:
    objects = Repository(forger.small.fs, readonly=True).objects
    manifest = forger.put_head(MANIFEST, with_extra(forger.manifest))
    assert peak_bytes(lambda: objects.manifest(manifest)) < 16 << 20
    closed = forger.put_head(CLOSURE, with_extra(forger.closure))
    assert peak_bytes(lambda: objects.closure(closed)) < 16 << 20


@pytest.mark.parametrize("field", ["meta", "extra"])
def test_an_entry_with_a_map_larger_than_any_writer_makes_is_refused(forger: Forger, field: str) -> None:
    root = msgspec.msgpack.decode(msgspec.msgpack.encode(forger.small.root))
    position = Root.__struct_fields__.index("inline")
    root[position][-1][Entry.__struct_fields__.index(field)] = BOMB
    raw = msgspec.msgpack.encode(root)
    with pytest.raises(FormatError, match="map of more than"), forger.store(root=raw):
        pass


def test_a_page_of_the_catalog_with_too_many_entries_is_refused(forger: Forger) -> None:
    entries = [forger.entry] * 300
    raw = msgspec.msgpack.encode([entries])
    ref = forger._put(CATALOG, 5, raw)
    root = msgspec.structs.replace(forger.small.root, catalog=[CatalogRef(ref, 300)])
    with forger.store(root=root) as store, pytest.raises(CorruptError, match=f"catalog {ref.name}"):
        store.checkpoints()
    assert len(CatalogPage(entries[:256]).entries) == 256


def test_a_compressed_root_is_refused(forger: Forger) -> None:
    """A root's size on disk bounds what it takes in memory."""
    raw = msgspec.msgpack.encode(forger.small.root)
    stored = zstandard.compress(raw)
    header = envelope.pack_header(ROOT, forger.small.uuid, 1, envelope.HEADER_BYTES, len(stored), len(raw))
    data = header + stored + blake3(header + stored).digest()
    forger.small.fs.served[root_path(forger.small.root.number)] = data
    with pytest.raises(FormatError, match="compressed"):
        forger.small.opened()


@pytest.mark.parametrize("meta", [b"\xc0", b"\x81\x01\x02", b"\x81\xa1\xff\x01"], ids=["nil", "int key", "no text"])
def test_meta_that_is_no_map_of_names_is_damage_of_its_checkpoint(forger: Forger, meta: bytes) -> None:
    with forger.store(meta=msgspec.Raw(meta)) as store:
        with pytest.raises(FormatError, match=f"checkpoint {forger.entry.id.hex()[:12]}"):
            store.checkpoints()
        assert [damage.checkpoints for damage in store.verify("structure").damages] == [["main@2"]]
