PALETTE_SYMBOLS = CK_PALETTE_SYMBOLS


def palette_encode(const uint8_t[::1] src, uint8_t[::1] out) -> int:
    """A palette, half a byte for each byte of src, and the bytes that are not in the palette.

    out: as long as src. Returns the bytes of `out` that are used; 0, with `out` undefined, if they would be more than that.
    """
    cdef size_t n = <size_t>src.shape[0], used = CK_FAILED
    _need(out.shape[0] == src.shape[0], "out must be as long as src")
    _apart(src, out)
    if n > 0:
        with nogil:
            used = ck_active().palette_encode(&src[0], n, &out[0])
    return used if used != CK_FAILED else 0


def palette_decode(const uint8_t[::1] stored, uint8_t[::1] dst) -> bool:
    """The inverse of palette_encode; False, with dst undefined, unless `stored` holds just len(dst) bytes."""
    cdef size_t n_in = <size_t>stored.shape[0], n = <size_t>dst.shape[0]
    _apart(stored, dst)
    if n == 0 or n_in == 0:
        return False
    with nogil:
        n = ck_active().palette_decode(&stored[0], n_in, &dst[0], n)
    return n != CK_FAILED
