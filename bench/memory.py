"""Peak memory of a block of code, from the kernel's own high-water mark (Linux; elsewhere it is not measured)."""

from __future__ import annotations

import ctypes
import gc
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
