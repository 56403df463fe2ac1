"""A writer: one attempt to change a store. Its lease, the names it may use, the objects it writes, its commit.

Order of a commit: lease, read root, write objects, sync them and their directories, check the floor, rescue, publish.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec

from ckstore.errors import UNREADABLE, MissingObjectError, StorageError, WriterExpired
from ckstore.format import envelope, segment
from ckstore.format.names import DIRECTORY, LEASES, PACK, SEGMENT, TEMPORARIES, epoch_of, object_path, writer_of
from ckstore.format.records import Condemned, ObjectRef, PageRef, Root
from ckstore.format.segment import Segment, SegmentPage, SegmentRow
from ckstore.store import liveness
from ckstore.store.fs import LocalFs, process_id
from ckstore.store.leases import Lease
from ckstore.store.merging import Merge
from ckstore.store.objects import Objects, encode_pages
from ckstore.store.packs import PackWriter
from ckstore.store.roots import Roots, check_writable
from ckstore.store.segments import Segments

ATTEMPTS = 5
_T = TypeVar("_T")


def until_not_expired(attempt: Callable[[], _T]) -> _T:
    """`attempt()`, begun again a few times if a gc gave its writer up: what it knew of the store is void then."""
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except WriterExpired:
            continue
    return attempt()


class Writer:
    """Use as a context manager: leaving it gives the lease back, and removes what a failed attempt has written.

    From its first attempt to publish on, others may know its objects: then they stay, and gc decides.
    """

    def __init__(self, fs: LocalFs, roots: Roots, objects: Objects, segments: Segments) -> None:
        self._fs, self._roots, self._objects, self._segments = fs, roots, objects, segments
        self._seq, self._pid = 0, process_id()
        self._touched: set[int] = set()
        self._made: list[str] = []
        self._n_published = 0
        self.added_bytes = 0
        self.write_id = secrets.token_bytes(16)
        self.name, self._lease, self.root = self._begin()
        self.epoch = epoch_of(self.name) or 0
        self._packs: PackWriter | None = None
        self._merged: dict[tuple[str, ...], list[ObjectRef]] = {}

    def _begin(self) -> tuple[str, Lease, Root]:
        while True:
            # the lease comes before the root is read, so that a gc that could not see it had condemned nothing newer
            name = f"{self._roots.newest_number()}-{secrets.token_hex(8)}"
            try:
                lease = Lease(self._fs, name)
            except FileNotFoundError:  # swept away by a gc, or empty directories were lost when the store was copied
                self._fs.make_dir(LEASES)
                self._fs.make_dir(TEMPORARIES)
                continue
            try:
                root = self._roots.newest()
                check_writable(root)
            except BaseException:
                lease.release()
                raise
            if (epoch_of(name) or 0) >= root.floor:
                return name, lease, root
            lease.release()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if self._packs is not None:
                self._packs.abort()
            if error is not None and self._is_unknown(error):
                self._remove_made()
            if isinstance(error, MissingObjectError) and self.epoch < self._roots.newest().floor:
                raise WriterExpired("what this writer knew of the store was deleted by a gc: begin again") from error
        finally:
            self._lease.release()

    def _is_unknown(self, error: BaseException) -> bool:
        """Whether nobody else can have learnt what this writer wrote: no publish of it has got beyond its temporary."""
        failed = isinstance(error, StorageError) and error.details.get("outcome") == "not made"
        return self._n_published == 0 or (self._n_published == 1 and failed)

    def _remove_made(self) -> None:
        """Give back the space of a failed attempt at once: on a full disk not even a gc could begin."""
        if process_id() != self._pid:
            return  # the files are the parent's, who goes on
        packs = self._packs.names if self._packs is not None else []
        for path in [*self._made, *(object_path(PACK, name) for name in packs)]:
            with suppress(StorageError):  # what cannot be removed is left to gc
                self._fs.remove(path)

    def new_name(self) -> str:
        """A name nobody has used or will use."""
        self._seq += 1
        return f"{self.name}-{self._seq}"

    def packs(self) -> PackWriter:
        """Where this writer's frames go."""
        if self._packs is None:
            assert self._roots.uuid is not None
            self._touched.add(PACK)
            self._packs = PackWriter(self._fs, self._roots.uuid, self.new_name)
        return self._packs

    def put(self, kind: int, record: msgspec.Struct, pages: Sequence[bytes] = ()) -> ObjectRef:
        """Write one metadata object. DURABLE after the directories are synced, which commit() does."""
        assert self._roots.uuid is not None
        data, digest = envelope.encode(kind, self._roots.uuid, record, pages)
        name = self.new_name()
        self._made.append(object_path(kind, name))
        with self._fs.create(self._made[-1]) as out:
            out.write([data])
        self._touched.add(kind)
        self.added_bytes += len(data)
        return ObjectRef(name, digest, len(data))

    def put_segment(self, rows: Sequence[SegmentRow], level: int = 0) -> ObjectRef:
        """Write a segment of at least one row."""
        packs, columns = segment.of_rows(rows)
        made = self.put_pages(packs, segment.pages(segment.ordered(columns)), len(rows), level)
        assert made is not None
        return made

    def put_pages(
        self, packs: list[ObjectRef], pages: Iterable[SegmentPage], most_rows: int, level: int
    ) -> ObjectRef | None:
        """Write a segment of these pages, sorted by chunk id, of at most so many rows; None if there are no rows."""
        counted = segment.Counted(pages, len(packs), most_rows)
        refs, stored = encode_pages(counted, {})
        if not refs:
            return None
        head = Segment(packs, level, counted.n_rows, b"".join(counted.fences), refs, counted.pack_rows.tolist())
        if len(refs) > 1:
            last = envelope.HEADER_BYTES + sum(map(len, stored))
            (filter_ref,), bits = encode_pages([(counted.filter.record(), counted.n_rows)], {}, last)
            head, stored = msgspec.structs.replace(head, filter=filter_ref), stored + bits
        return self.put(SEGMENT, head, stored)

    def put_paged(
        self,
        kind: int,
        pages: Sequence[msgspec.Struct],
        n_rows: Sequence[int],
        shared: Mapping[bytes, PageRef],
        head: Callable[[list[PageRef]], msgspec.Struct],
    ) -> tuple[ObjectRef, list[PageRef]]:
        """Write a manifest or closure whose head is `head(page refs)`; pages in `shared` are not written again."""
        refs, stored = encode_pages(zip(pages, n_rows, strict=True), shared)
        return self.put(kind, head(refs), stored), refs

    def commit(self, change: Callable[[Root], Root], needed: Mapping[tuple[int, str], Sequence[SegmentRow]]) -> Root:
        """Publish `change(newest root)`.

        needed: every object of others that the change relies on, by (kind, name); for packs with the rows used, which
        a rescue lists again. Raises WriterExpired if a gc may have deleted what this writer knew: begin again.
        """
        self._sync()

        def extend(base: Root, digest: bytes) -> Root:
            check_writable(base)
            self._check_floor(base)
            changed = change(self._rescue(base, needed))
            if changed is base:
                return base
            self._sync()
            return msgspec.structs.replace(changed, number=base.number + 1, previous=digest, write_id=self.write_id)

        def temporary() -> str:
            self._n_published += 1
            return f"{TEMPORARIES}/{self.new_name()}"

        return self._roots.extend(extend, temporary, self._is_in)

    def _is_in(self, root: Root) -> bool:
        return any(entry.write_id == self.write_id for entry in liveness.entries(self._objects, root))

    def _check_floor(self, base: Root) -> None:
        if self.epoch < base.floor:
            raise WriterExpired("this writer was expired by a garbage collection; nothing was published: save again")

    def _rescue(self, base: Root, needed: Mapping[tuple[int, str], Sequence[SegmentRow]]) -> Root:
        condemned = {(item.kind, item.name) for item in base.condemned}
        # a gc that took this writer for dead may even have condemned what it has just written
        wanted = {key for key in condemned if key in needed or writer_of(key[1]) == self.name}
        liveness.check(self._objects, self._segments, base, needed.keys(), wanted)
        if not wanted:
            return base
        kept: list[Condemned] = [item for item in base.condemned if (item.kind, item.name) not in wanted]
        rows = sorted({row.chunk_id: row for key in wanted for row in needed.get(key, ())}.items())
        segments = list(base.segments)
        if rows:
            segments.append(self.put_segment([row for _, row in rows]))
        return msgspec.structs.replace(base, condemned=kept, segments=segments)

    def merge_segments(self, refs: Sequence[ObjectRef]) -> list[ObjectRef]:
        """`refs`, with each full level merged into one segment of the next."""
        refs = list(refs)
        while True:
            level, full = self._segments.due(refs)
            if not full:
                return refs
            key = tuple(ref.name for ref in full)
            if key not in self._merged:
                try:
                    merge = Merge(self._objects, full)
                    made = self.put_pages(merge.packs, merge.pages(), merge.most_rows, level + 1)
                except UNREADABLE:
                    return refs  # damage to a list that serves deduplication must not stop a save
                self._merged[key] = [made] if made else []
            at = refs.index(full[0])
            refs = [*refs[:at], *self._merged[key], *(ref for ref in refs[at:] if ref not in full)]

    def _sync(self) -> None:
        for kind in sorted(self._touched):
            self._fs.sync_dir(DIRECTORY[kind])
        self._touched.clear()


def replace_root(root: Root, **changes: object) -> Root:
    """`root` with some fields changed."""
    return msgspec.structs.replace(root, **changes)
