"""A large file being written for the first time: in whole blocks, past the page cache where the file system can.

What goes through the page cache costs a copy, and pushes out what the training reads from there: on ext4 on a virtual
disk the kernel takes 0.1 s of a core for 768 MiB past it, and 0.4 to 1.2 s through it. A file of less than a block goes
through it as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from ckstore.store.outfile import Buffer, OutFile
from ckstore.store.threads import submit

BLOCK_BYTES = 8 << 20
"""Large enough for a disk that answers late, and a multiple of any disk's own blocks."""

ALIGNMENT = 4096
"""Of memory that any disk takes bytes from."""


class BlockWriter:
    """Memory for two blocks, at addresses that devices read from, and the thread that writes one while the other is
    filled. It serves one file after the other."""

    def __init__(self) -> None:
        self._blocks = [_aligned(BLOCK_BYTES) for _ in range(2)]
        self._pool = ThreadPoolExecutor(1, "ckstore-write")
        self._under_way: Future[None] | None = None

    @property
    def block(self) -> npt.NDArray[np.uint8]:
        """The one that may be filled."""
        return self._blocks[0]

    def write(self, work: Callable[[memoryview], None]) -> None:
        """Let the thread do its work on the filled block. Raises what became of the one before."""
        self.wait()
        self._under_way = submit(self._pool, work, self.block.data)
        self._blocks.reverse()

    def wait(self) -> None:
        """Return when nothing is under way. Raises what became of it, once."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def close(self) -> None:
        """Return when nothing is under way any more, whatever became of it."""
        self._pool.shutdown()


def _aligned(n_bytes: int) -> npt.NDArray[np.uint8]:
    room = np.empty(n_bytes + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + n_bytes]


class BlockFile:
    """An OutFile that is written a block at a time. What was written is in the file after settle()."""

    def __init__(self, out: OutFile, writer: BlockWriter) -> None:
        self._out, self._writer, self._filled = out, writer, 0
        self._direct: bool | None = None  # not known before the first whole block
        self.n_bytes = 0

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Append all buffers, in order. An error may be one of an earlier call."""
        for buffer in buffers:
            rest = np.frombuffer(buffer, np.uint8)
            self.n_bytes += len(rest)
            while len(rest):
                room = self._writer.block[self._filled :]
                part = min(len(room), len(rest))
                np.copyto(room[:part], rest[:part])
                self._filled, rest = self._filled + part, rest[part:]
                if part == len(room):
                    self._filled = 0
                    self._writer.write(self._write_block)

    def settle(self) -> OutFile:
        """Write what is left, and give the file as it is: what follows goes through the page cache."""
        self._writer.wait()
        if self._direct:
            self._out.set_direct(False)
        self._out.write([self._writer.block[: self._filled].data])
        return self._out

    def close(self) -> None:
        """Release the file; what is left in the block is not written. Nothing may be under way."""
        self._out.close()

    def _write_block(self, rest: memoryview) -> None:
        if self._direct is None:
            self._direct = self._out.set_direct(True)
        if self._direct:
            rest = rest[self._out.write_direct(rest) :]
            self._direct = len(rest) == 0
        self._out.write([rest])
