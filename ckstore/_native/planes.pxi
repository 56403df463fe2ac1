def split(const uint8_t[::1] src, unsigned int width, bint rotate, uint8_t[::1] planes,
          const uint8_t[::1] base=None) -> None:
    """Byte planes of src, or of src ^ base: planes[p*n + i] = byte p (0 = lowest) of element i, rotated left by `rotate`.

    planes, and base if given: as long as src.
    """
    cdef size_t n = _count(src.shape[0], width)
    _need(planes.shape[0] == src.shape[0], "planes must be as long as src")
    _apart(src, planes)
    if base is not None:
        _need(base.shape[0] == src.shape[0], "base must be as long as src")
        _apart(base, planes)
    if n == 0:
        return
    cdef const uint8_t *under = NULL
    if base is not None:
        under = &base[0]
    with nogil:
        ck_active().split(&src[0], under, n, width, <unsigned int>rotate, &planes[0])


cdef int _rows(planes, unsigned int width, size_t n, const uint8_t[::1] dst, const uint8_t **rows) except -1:
    """rows[p] = where the n bytes of planes[p] are, for p below width."""
    if width == 0:
        return 0
    cdef const uint8_t[::1] plane = planes[width - 1]
    _need(<size_t>plane.shape[0] == n, "planes must have a byte per element")
    _apart(plane, dst)
    rows[width - 1] = &plane[0] if n > 0 else NULL
    return _rows(planes, width - 1, n, dst, rows)


def merge(planes, bint rotate, uint8_t[::1] dst, const uint8_t[::1] base=None) -> None:
    """The inverse of split. planes: a buffer for each byte of an element, lowest first, of as many bytes as elements."""
    cdef unsigned int width = <unsigned int>len(planes)
    cdef size_t n = _count(dst.shape[0], width)
    cdef const uint8_t *rows[8]
    if base is not None:
        _need(base.shape[0] == dst.shape[0], "base must be as long as dst")
        _apart(base, dst)
    _rows(planes, width, n, dst, rows)
    if n == 0:
        return
    cdef const uint8_t *under = &base[0] if base is not None else NULL
    with nogil:
        ck_active().merge(rows, under, n, width, <unsigned int>rotate, &dst[0])


def sparse_split(const uint8_t[::1] src, unsigned int width, uint64_t hole, uint8_t[::1] bitmap,
                 uint8_t[::1] values) -> int:
    """Bitmap (lowest bit first) of the elements that are not `hole`, and these elements in order. Returns their count.

    bitmap: a bit per element, (n + 7) // 8 bytes. values: as long as src; undefined after the count.
    """
    cdef size_t n = _count(src.shape[0], width), count = 0
    _need(<size_t>bitmap.shape[0] == (n + 7) // 8, "bitmap must have a bit per element")
    _need(values.shape[0] == src.shape[0], "values must be as long as src")
    _apart(src, values)
    _apart(src, bitmap)
    _apart(values, bitmap)
    if n > 0:
        with nogil:
            count = ck_active().sparse_split(&src[0], n, width, hole, &bitmap[0], &values[0])
    return count


def sparse_merge(const uint8_t[::1] bitmap, const uint8_t[::1] values, unsigned int width, uint64_t hole,
                 uint8_t[::1] dst) -> bool:
    """The inverse of sparse_split; False, with dst undefined, if the bitmap does not fit the number of values."""
    cdef size_t n = _count(dst.shape[0], width), count = _count(values.shape[0], width)
    _need(<size_t>bitmap.shape[0] == (n + 7) // 8, "bitmap must have a bit per element")
    _apart(values, dst)
    _apart(bitmap, dst)
    if n == 0:
        return count == 0
    cdef const uint8_t *first = &values[0] if count > 0 else &bitmap[0]
    with nogil:
        n = ck_active().sparse_merge(&bitmap[0], first, count, n, width, hole, &dst[0])
    return n != CK_FAILED
