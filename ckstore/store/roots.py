"""Roots: the numbered, never changed files whose creation is the only commit point of a store."""

from __future__ import annotations

import errno
from collections.abc import Callable
from threading import RLock

import msgspec

from ckstore.errors import FormatError, StorageError, StoreNotFound, UnsupportedError, UsageError, WriterExpired
from ckstore.format import envelope
from ckstore.format.names import DIRECTORY, ROOT, root_number, root_path
from ckstore.format.records import Root
from ckstore.store.fs import LocalFs
from ckstore.store.outfile import unsure

MAJOR = 1
MAX_ROOT_BYTES = 16 << 20
"""Largest root a reader accepts."""
ROOT_BYTES = 64 << 10
"""Largest root a writer makes: catalog.py moves entries to pages, gc.py condemns in batches."""
CONDEMNED_BYTES = 14 << 10
"""Of these, kept for what is condemned and being deleted."""
LASTING_BYTES = 48 << 10
"""Of these, for all the rest; what is left over is for a rescue and for numbers that grow."""
KNOWN_INCOMPATIBLE: frozenset[str] = frozenset()
KNOWN_READONLY_COMPATIBLE: frozenset[str] = frozenset()


class Roots:
    """Reads the newest root and publishes the next. Thread-safe."""

    def __init__(self, fs: LocalFs) -> None:
        self._fs = fs
        self.uuid: bytes | None = None
        self._cached: tuple[Root, bytes] | None = None
        self._publishing = RLock()

    def newest(self) -> Root:
        """The newest root there is; raises StoreNotFound, CorruptError (never an older root in its place)."""
        return self._newest()[0]

    def _newest(self) -> tuple[Root, bytes]:
        while True:
            number = self.newest_number()
            cached = self._cached
            if cached is not None and cached[0].number == number:
                return cached
            try:
                self._cached = self.read(number)
            except FileNotFoundError:  # trimmed since it was listed
                continue

    def newest_number(self) -> int:
        """Number of the newest root: the listing's newest, then by name for as long as there is one more."""
        try:
            names = self._fs.names(DIRECTORY[ROOT])
        except (FileNotFoundError, StorageError) as error:
            if isinstance(error, StorageError) and error.errno != errno.ENOTDIR:
                raise
            raise self._missing() from error
        number = max((n for n in map(root_number, names) if n is not None), default=0)
        if not number:
            raise self._missing()
        while self._fs.exists(root_path(number + 1)):
            number += 1
        return number

    def _missing(self) -> StoreNotFound:
        return StoreNotFound(f"no ckstore store at {self._fs.root}; make one with `ckstore init {self._fs.root}`")

    def read(self, number: int) -> tuple[Root, bytes]:
        """(root, digest) of one root."""
        return self._decoded(self._fs.read(root_path(number), 0, MAX_ROOT_BYTES + 1), number)

    def _decoded(self, data: bytes, number: int) -> tuple[Root, bytes]:
        what = f"root {number}"
        if len(data) > MAX_ROOT_BYTES:
            raise FormatError(f"{what}: is larger than any root", object=what)
        header = envelope.parse_header(data, ROOT, self.uuid, what)
        if header.codec != envelope.RAW:
            raise FormatError(f"{what}: its head is compressed, which no writer does to a root", object=what)
        tail = data[header.head_offset :]
        root, digest = envelope.decode_head(data[: envelope.HEADER_BYTES], header, tail, Root, what)
        if root.number != number or header.head_offset != envelope.HEADER_BYTES:
            raise FormatError(f"{what}: this file holds root {root.number}", object=what)
        self.uuid = header.uuid
        check_readable(root)
        return root, digest

    def publish(self, root: Root, temporary: str) -> Root | None:
        """Commit `root`; None if its number is taken. A StorageError with outcome="unknown" says that it may be there.

        Nothing that `root` names may be removed after such an error.
        """
        assert self.uuid is not None
        data, _ = envelope.encode(ROOT, self.uuid, root, compress=False)
        try:  # a root that no reader takes would lock everybody out; what is read shares nothing with the caller
            root, digest = self._decoded(data, root.number)
        except (FormatError, UnsupportedError) as error:
            raise UsageError(f"root {root.number} could not be read again, nothing was published: {error}") from error
        with self._publishing:
            try:
                self._fs.publish(temporary, root_path(root.number), data)
            except FileExistsError:
                if not self._is_there(root):
                    return None
            except FileNotFoundError as error:
                raise WriterExpired("a gc took this writer for dead and removed its files: begin again") from error
            try:
                self._fs.sync_dir(DIRECTORY[ROOT])  # DURABLE AFTER THIS LINE
            except StorageError as error:
                raise unsure(error) from error
            self._cached = root, digest
        return root

    def _is_there(self, root: Root) -> bool:
        """Whether the root of this number is this very one: NFS may answer "taken" to a link that it has made."""
        try:
            there, _ = Roots(self._fs).read(root.number)  # it may be another store's, if two make one at a time
        except FileNotFoundError:
            return False
        return there.write_id == root.write_id

    def extend(
        self, change: Callable[[Root, bytes], Root], new_temporary: Callable[[], str], holds: Callable[[Root], bool]
    ) -> Root:
        """Publish `change(newest root, its digest)`, again on a newer root whenever another writer was first.

        holds: whether a later root holds this change; asked only if the writer slept while hundreds of roots were made.
        """
        while True:
            base, digest = self._newest()
            root = change(base, digest)
            if root is base:
                return base
            published = self.publish(root, new_temporary())
            if published is None:
                continue
            try:
                # If the number just taken had been trimmed, nobody will ever read this root as the newest.
                newest = self.newest()
                if newest.trimmed_to < root.number or holds(newest):
                    return published
            except StorageError as error:
                raise unsure(error) from error


def create(fs: LocalFs, uuid: bytes, root: Root, temporary: str) -> bool:
    """Make root 1 of a new store; False if somebody else did."""
    roots = Roots(fs)
    roots.uuid = uuid
    return roots.publish(root, temporary) is not None


def check_readable(root: Root) -> None:
    """Raise UnsupportedError if this build may not read a store with this root."""
    unknown = sorted(set(root.incompatible) - KNOWN_INCOMPATIBLE)
    if root.major != MAJOR or unknown:
        wants = f"format {root.major}" + (f" with {', '.join(unknown)}" if unknown else "")
        raise UnsupportedError(f"this store needs a newer ckstore ({wants}; this build reads format {MAJOR}): upgrade")


def check_writable(root: Root) -> None:
    """Raise UnsupportedError if this build may read but not change a store with this root."""
    unknown = sorted(set(root.readonly_compatible) - KNOWN_READONLY_COMPATIBLE)
    if unknown:
        raise UnsupportedError(f"this store can only be read by this build: {', '.join(unknown)} needs a newer ckstore")


def root_bytes(root: Root) -> int:
    """Size of the file that holds `root`."""
    return envelope.HEADER_BYTES + len(msgspec.msgpack.encode(root)) + envelope.DIGEST_BYTES


def lasting_bytes(root: Root) -> int:
    """The same, without what is condemned and being deleted: a gc clears that."""
    return root_bytes(msgspec.structs.replace(root, condemned=[], deleting=[]))
