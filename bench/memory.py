"""Peak memory of a block of code, from the kernel's own high-water mark (Linux; elsewhere it is not measured)."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path
from types import TracebackType

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def resident_bytes() -> int | None:
    """Memory that this process holds now; None where the system does not tell."""
    return _field("VmRSS:")


def settle() -> None:
    """Give freed memory back to the system, so that a later peak is not hidden by reuse of it."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:
        return  # no glibc


def fill_page_cache(path: Path) -> None:
    """Fill idle memory with cached pages of a sparse file at `path`, as on a machine that has been in use for a while.

    A virtual machine may hand idle memory back to its host: the first touch of it then costs several times a write, and
    whoever happens to come first would pay. The file must stay until the measurement is over.
    """
    with path.open("ab") as file:
        file.truncate(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    buffer = bytearray(4 << 20)
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # single pages: what is freed of them stays apart
        while file.readinto(buffer):
            pass


class Peak:
    """Context manager: `peak_bytes` is the most memory the process held inside it; None where not measurable."""

    peak_bytes: int | None = None

    def __enter__(self) -> Peak:
        settle()
        try:
            _CLEAR.write_text("5")  # resets VmHWM to VmRSS
        except OSError:
            self._resets = False
        else:
            self._resets = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.peak_bytes = _field("VmHWM:") if self._resets else None

    def beyond(self, held_bytes: int | None) -> int | None:
        """Peak memory beyond `held_bytes`."""
        if self.peak_bytes is None or held_bytes is None:
            return None
        return max(0, self.peak_bytes - held_bytes)


def _field(name: str) -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
