"""Metadata objects ⇄ files: heads and pages, every byte checked; heads are cached, since objects never change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import RLock
from typing import TypeVar, cast

import msgspec

from ckstore.errors import IntegrityError, MissingObjectError, StorageError
from ckstore.format import envelope
from ckstore.format.limits import most_raw_bytes
from ckstore.format.names import CATALOG, CLOSURE, DIRECTORY, MANIFEST, SEGMENT, object_path
from ckstore.format.records import CatalogPage, Closure, Manifest, ObjectRef, PageRef
from ckstore.format.segment import Segment
from ckstore.store.fs import LocalFs

_FIRST_READ_BYTES = 1 << 16
_CACHED_HEADS = 1024
_T = TypeVar("_T", bound=msgspec.Struct)


class Objects:
    """Reads the metadata objects of one store. Thread-safe."""

    def __init__(self, fs: LocalFs, uuid: bytes) -> None:
        self._fs, self._uuid = fs, uuid
        self._heads: OrderedDict[tuple[int, str], tuple[bytes, msgspec.Struct]] = OrderedDict()
        self._lock = RLock()

    def catalog(self, ref: ObjectRef) -> CatalogPage:
        """A page of the catalog."""
        return self._head(CATALOG, ref, CatalogPage)

    def manifest(self, ref: ObjectRef) -> Manifest:
        """The head of a manifest."""
        return self._head(MANIFEST, ref, Manifest)

    def closure(self, ref: ObjectRef) -> Closure:
        """The head of a closure."""
        return self._head(CLOSURE, ref, Closure)

    def segment(self, ref: ObjectRef) -> Segment:
        """The head of a segment."""
        return self._head(SEGMENT, ref, Segment)

    def unnamed(self, kind: int, name: str, n_bytes: int) -> ObjectRef:
        """A reference to an object that nothing names, by the digest at its own end. For repair, and for gc."""
        return ObjectRef(name, self._read(kind, name, max(0, n_bytes - 32), 32).ljust(32, b"\0"), n_bytes)

    def _head(self, kind: int, ref: ObjectRef, record_type: type[_T]) -> _T:
        key = (kind, ref.name)
        with self._lock:
            known = self._heads.get(key)
            if known is not None and known[0] == ref.digest:
                self._heads.move_to_end(key)
                return cast(_T, known[1])
        record = self._read_head(kind, ref, record_type)
        with self._lock:
            self._heads[key] = (ref.digest, record)
            if len(self._heads) > _CACHED_HEADS:
                self._heads.popitem(last=False)
        return record

    def _read_head(self, kind: int, ref: ObjectRef, record_type: type[_T]) -> _T:
        what = f"{DIRECTORY[kind]} {ref.name}"
        data = self._read(kind, ref.name, 0, _FIRST_READ_BYTES)
        header = envelope.parse_header(data, kind, self._uuid, what)
        if header.end != ref.n_bytes:
            raise IntegrityError(f"{what}: has {header.end} bytes, its reference says {ref.n_bytes}", object=what)
        if header.end <= len(data):
            tail = data[header.head_offset : header.end]
        else:
            tail = self._read(kind, ref.name, header.head_offset, header.end - header.head_offset)
        return envelope.decode_head(data[: envelope.HEADER_BYTES], header, tail, record_type, what, ref.digest)[0]

    def pages(self, kind: int, name: str, refs: list[PageRef], record_type: type[_T]) -> Iterator[_T]:
        """The pages of the object `name`, from wherever they lie, each when it is asked for."""
        return (self.page(kind, name, ref, record_type) for ref in refs)

    def page(self, kind: int, name: str, ref: PageRef, record_type: type[_T]) -> _T:
        """One page."""
        holder = ref.holder or name
        what = f"{DIRECTORY[kind]} {holder}"
        size = min(ref.stored_bytes, envelope.MAX_RAW_BYTES)
        return envelope.decode_page(self._read(kind, holder, ref.offset, size), ref, record_type, what)

    def _read(self, kind: int, name: str, offset: int, n_bytes: int) -> bytes:
        what = f"{DIRECTORY[kind]} {name}"
        try:
            return self._fs.read(object_path(kind, name), offset, n_bytes)
        except FileNotFoundError as error:
            raise MissingObjectError(f"{what} is not in the store", object=what) from error
        except ValueError as error:
            raise MissingObjectError(f"a reference names {name!r}, which is no object name", object=what) from error
        except StorageError as error:
            raise StorageError(error.message, error.errno, **{**error.details, "object": what}) from error


def encode_pages(
    records: Iterable[tuple[msgspec.Struct, int]], shared: Mapping[bytes, PageRef], offset: int = envelope.HEADER_BYTES
) -> tuple[list[PageRef], list[bytes]]:
    """(references, bytes to store) of pages, each given with its number of rows, the first of which lies at `offset`.

    A page whose digest is in `shared` is referred to instead of stored.
    """
    refs: list[PageRef] = []
    stored: list[bytes] = []
    n_stored, n_raw = 0, 0
    for record, n in records:
        data, raw_bytes, digest = envelope.encode_page(record)
        if n_raw + raw_bytes > most_raw_bytes(n_stored + len(data)):  # no reader would take so much out of so little
            data, raw_bytes, digest = envelope.encode_page(record, compress=False)
        n_stored, n_raw = n_stored + len(data), n_raw + raw_bytes
        if digest in shared:
            refs.append(shared[digest])
            continue
        refs.append(PageRef("", offset, len(data), raw_bytes, digest, n))
        stored.append(data)
        offset += len(data)
    return refs, stored


def held_by(name: str, refs: Sequence[PageRef]) -> dict[bytes, PageRef]:
    """The pages of the object `name` as a child refers to them, by digest."""
    return {ref.digest: ref if ref.holder else msgspec.structs.replace(ref, holder=name) for ref in refs}
