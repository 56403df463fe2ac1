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
