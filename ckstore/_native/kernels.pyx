# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=True, freethreading_compatible=True
"""The kernels of csrc/ for Python: every function checks lengths, releases the GIL and makes one C call.

ck_kernels.h says what each computes. CKSTORE_KERNEL names the variant to use; by default it is the best that runs here.
"""

import os


def variants() -> tuple[str, ...]:
    """Names of the variants that can run here, the preferred one first."""
    return _names(0)


def active() -> str:
    """Name of the variant in use."""
    return ck_active().name.decode()


def select(name: str) -> None:
    """Use this variant in the whole process from now on; ValueError if it is unknown, not built or cannot run here."""
    if ck_select(name.encode()) != 0:
        raise ValueError(f"no kernel variant {name!r} can run here; valid names: {', '.join(variants())}")


def _names(size_t i):
    if ck_variant(i) == NULL:
        return ()
    return (ck_variant(i).name.decode(), *_names(i + 1))


cdef int _need(bint ok, str rule) except -1:
    if not ok:
        raise ValueError(rule)
    return 0


cdef int _apart(const uint8_t[::1] source, const uint8_t[::1] target) except -1:
    """Raise ValueError if an output overlaps an input: kernels rely on it."""
    if source.shape[0] == 0 or target.shape[0] == 0:
        return 0
    return _clear(<const char *>&source[0], source.shape[0], <const char *>&target[0], target.shape[0])


cdef int _clear(const char *source, Py_ssize_t n_source, const char *target, Py_ssize_t n_target) except -1:
    return _need(source + n_source <= target or target + n_target <= source, "an output overlaps an input")


cdef size_t _count(Py_ssize_t n_bytes, unsigned int width) except? 0:
    """Elements of `width` bytes in n_bytes; ValueError unless they fill it."""
    _need(width == 1 or width == 2 or width == 4 or width == 8, "element width must be 1, 2, 4 or 8 bytes")
    _need(n_bytes % width == 0, "length is not a whole number of elements")
    return <size_t>n_bytes // width


include "planes.pxi"
include "sparse.pxi"
include "delta.pxi"
include "predict.pxi"
include "scaled.pxi"
include "scan.pxi"
include "huffman.pxi"
include "palette.pxi"
include "gaps.pxi"

if os.environ.get("CKSTORE_KERNEL"):
    select(os.environ["CKSTORE_KERNEL"])
