def split(const uint8_t[::1] src, unsigned int width, bint rotate, uint8_t[::1] planes,
          const uint8_t[::1] base=None, uint8_t[::1] top=None) -> None:
    """Byte planes of src, or of src ^ base: planes[p*n + i] = byte p (0 = lowest) of element i, rotated left by `rotate`.

    planes, and base if given: as long as src. top: where the highest plane goes, a byte per element; planes then has the
    others.
    """
    cdef size_t n = _count(src.shape[0], width), others = n * (width - 1)
    cdef uint8_t *highest = NULL
    _need(<size_t>planes.shape[0] == (others if top is not None else n * width), "planes must be as long as src")
    _apart(src, planes)
    if top is not None:
        _need(<size_t>top.shape[0] == n, "top must have a byte per element")
        _apart(src, top)
        _apart(planes, top)
        if base is not None:
            _apart(base, top)
    if base is not None:
        _need(base.shape[0] == src.shape[0], "base must be as long as src")
        _apart(base, planes)
    if n == 0:
        return
    cdef const uint8_t *under = NULL
    if base is not None:
        under = &base[0]
    # a slice of no bytes has no address
    cdef uint8_t *lower = &planes[0] if planes.shape[0] > 0 else &top[0]
    highest = &top[0] if top is not None else lower + others
    with nogil:
        ck_active().split(&src[0], under, n, width, <unsigned int>rotate, lower, highest)


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
