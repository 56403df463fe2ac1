"""Packs: files of frames. The writer rolls to a new pack at about 64 MiB and syncs full ones beside the encoding."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import RLock
from typing import NamedTuple

from ckstore.errors import FormatError, MissingObjectError
from ckstore.format import envelope, frame, pack
from ckstore.format.names import PACK, object_path
from ckstore.format.records import ObjectRef
from ckstore.store.blocks import BlockFile, BlockWriter
from ckstore.store.fs import LocalFs
from ckstore.store.outfile import OutFile
from ckstore.store.threads import submit

PACK_BYTES = 64 << 20
MAX_OPEN_FILES = 128


class Placed(NamedTuple):
    """Where a frame was put: the n-th pack of this writer, and its bytes in it."""

    pack: int
    offset: int
    frame_bytes: int


class PackWriter:
    """Appends frames to new packs. Nothing is named by anyone until finish() returned and a root was published."""

    def __init__(self, fs: LocalFs, uuid: bytes, new_name: Callable[[], str]) -> None:
        self._fs, self._uuid, self._new_name = fs, uuid, new_name
        self._out: BlockFile | None = None
        self._blocks = BlockWriter()
        self._rows: list[pack.TableRow] = []
        self._done: list[Future[ObjectRef]] = []
        self.names: list[str] = []
        """Of the packs, in order."""
        self._syncer = ThreadPoolExecutor(1, "ckstore-sync")

    def append(self, packed: pack.Packed) -> Placed:
        """Write one frame."""
        out, item = self._out or self._open(), packed.frame
        placed = Placed(len(self.names) - 1, out.n_bytes, item.frame_bytes)
        out.write([packed.front, item.payload])
        self._rows.append(
            pack.TableRow(item.chunk_id, placed.offset, placed.frame_bytes, item.logical_bytes, packed.check)
        )
        if out.n_bytes >= PACK_BYTES:
            self._close()
        return placed

    def _open(self) -> BlockFile:
        name = self._new_name()
        self._out = BlockFile(self._fs.create(object_path(PACK, name)), self._blocks)
        self.names.append(name)
        self._out.write([envelope.pack_header(PACK, self._uuid)])
        return self._out

    def _close(self) -> None:
        if self._out is not None:
            out, rows = self._out.settle(), self._rows
            self._out, self._rows = None, []
            self._done.append(submit(self._syncer, _seal, out, self._uuid, rows, self.names[-1]))

    def finish(self) -> list[ObjectRef]:
        """Seal and sync everything; the packs written, in order. DURABLE after sync_dir of pack/."""
        self._close()
        refs = [done.result() for done in self._done]
        self._blocks.close()
        self._syncer.shutdown()
        return refs

    def abort(self) -> None:
        """Stop; the files stay."""
        self._blocks.close()
        self._syncer.shutdown()
        if self._out is not None:
            self._out.close()


def _seal(out: OutFile, uuid: bytes, rows: list[pack.TableRow], name: str) -> ObjectRef:
    tail, digest = pack.pack_tail(uuid, rows)
    with out:
        out.write([tail])
    return ObjectRef(name, digest, out.n_bytes)


class PackReader:
    """Range reads from packs, with at most MAX_OPEN_FILES of them open. Thread-safe."""

    def __init__(self, fs: LocalFs, uuid: bytes) -> None:
        self._fs, self._uuid = fs, uuid
        self._open: OrderedDict[str, list[int]] = OrderedDict()  # name -> [descriptor, users]
        self._lock = RLock()

    @contextmanager
    def _descriptor(self, name: str) -> Iterator[int]:
        with self._lock:
            held = self._open.get(name)
            if held is None:
                held = self._open[name] = [self._open_pack(name), 0]
            held[1] += 1
            self._open.move_to_end(name)
            self._evict(MAX_OPEN_FILES)
        try:
            yield held[0]
        finally:
            with self._lock:
                held[1] -= 1

    def _open_pack(self, name: str) -> int:
        try:
            return self._fs.open_read(object_path(PACK, name))
        except (FileNotFoundError, ValueError) as error:
            raise MissingObjectError(f"pack {name} is not in the store", object=f"pack {name}") from error

    def _evict(self, limit: int) -> None:
        for name in [name for name, held in self._open.items() if held[1] == 0]:
            if len(self._open) <= limit:
                return
            self._fs.close(self._open.pop(name)[0])

    def read(self, name: str, offset: int, n_bytes: int) -> memoryview:
        """A range of a pack; shorter only where the pack ends."""
        with self._descriptor(name) as fd:
            return memoryview(self._fs.pread(fd, n_bytes, offset, object_path(PACK, name)))

    def frame(self, name: str, offset: int, n_bytes: int) -> frame.Frame:
        """One frame, checked."""
        return frame.parse(self.read(name, offset, n_bytes), f"pack {name}, frame at {offset}")

    def table(self, ref: ObjectRef) -> list[pack.TableRow]:
        """The table at the end of a pack, checked."""
        return self.table_of(ref.name, ref.n_bytes, ref.digest)

    def table_of(self, name: str, n_bytes: int, digest: bytes | None = None) -> list[pack.TableRow]:
        """The table of a pack of this size, checked by its own digest, and by `digest` where a reference gives one."""
        what = f"pack {name}"
        if n_bytes < envelope.HEADER_BYTES + pack.FOOTER_BYTES:
            raise FormatError(f"{what}: a pack has more than {n_bytes} bytes", object=what)
        header = bytes(self.read(name, 0, envelope.HEADER_BYTES))
        envelope.parse_header(header, PACK, self._uuid, what)
        footer = bytes(self.read(name, n_bytes - pack.FOOTER_BYTES, pack.FOOTER_BYTES + 1))
        length = pack.table_bytes(footer, what)
        start = n_bytes - pack.FOOTER_BYTES - length
        table = bytes(self.read(name, max(start, 0), length))
        return pack.parse_table(header, table, footer, what, start, digest)

    def close_idle(self) -> None:
        """Close what no thread is reading: an open file would keep the space of a pack that a gc deletes."""
        with self._lock:
            self._evict(0)
