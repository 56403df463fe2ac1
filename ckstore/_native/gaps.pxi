def gap_split(const uint8_t[::1] src, uint8_t hole, uint8_t[::1] gaps, uint8_t[::1] values) -> int:
    """Bytes that are not `hole`, in order, and how many holes lie before each since the one before (u32).

    values: room for as many as may be found; gaps: four bytes for each. Returns the count; -1, with both undefined, if there
    are more.
    """
    cdef size_t n = <size_t>src.shape[0], most = <size_t>values.shape[0], count = 0
    _need(<size_t>gaps.shape[0] == 4 * most, "gaps must have four bytes for each value")
    _need(n <= 0xFFFFFFFF, "src is too long")
    _need(most > 0, "values must have room for one at least")
    _apart(src, gaps)
    _apart(src, values)
    _apart(gaps, values)
    if n > 0:
        with nogil:
            count = ck_active().gap_split(&src[0], n, hole, most, &gaps[0], &values[0])
    return <Py_ssize_t>count if count != CK_FAILED else -1


def gap_merge(const uint8_t[::1] gaps, const uint8_t[::1] values, uint8_t hole, uint8_t[::1] dst) -> bool:
    """The inverse of gap_split; False, with dst undefined, if the gaps lead outside of dst."""
    cdef size_t n = <size_t>dst.shape[0], count = <size_t>values.shape[0]
    _need(<size_t>gaps.shape[0] == 4 * count, "gaps must have four bytes for each value")
    _apart(gaps, dst)
    _apart(values, dst)
    if n == 0:
        return count == 0
    if count == 0:
        dst[:] = hole
        return True
    with nogil:
        n = ck_active().gap_merge(&gaps[0], &values[0], count, n, hole, &dst[0])
    return n != CK_FAILED
