BITS_SLACK = CK_BITS_SLACK
ORIGIN_WORK = CK_ORIGIN_ROWS * sizeof(ck_tally)


cdef int _recentre(int origin, unsigned int width, bint is_float, unsigned int mantissa) except -1:
    """Raise ValueError unless elements of this kind have exponents, and `origin` is one for them."""
    _need(is_float and width > 1 and width <= 8, "only floats of 2, 4 or 8 bytes have an origin")
    _need(mantissa < 8 * width - 1 and 8 * width - 1 - mantissa <= CK_EXPONENT_BITS, "an exponent has 1 to 11 bits")
    return _need(-32768 <= origin <= 32767, "an origin is a 16-bit integer")


def delta_split(const uint8_t[::1] src, const uint8_t[::1] base, unsigned int width, bint is_float,
                uint8_t[::1] symbols, uint8_t[::1] bits, origin=None, unsigned int mantissa=0) -> int:
    """Differences of src to base as one symbol (class, head and sign) an element and a bit stream of what is below.

    base: as long as src. symbols: a byte per element. bits: at least len(src) + BITS_SLACK bytes. origin: a 16-bit
    integer recentres the classes, for floats with so many bits of mantissa. Returns the bytes of `bits` that are used.
    """
    cdef bint recentred = origin is not None
    cdef int at = origin if recentred else 0
    cdef size_t n = _count(src.shape[0], width), used = 0
    _need(base.shape[0] == src.shape[0], "base must be as long as src")
    _need(<size_t>symbols.shape[0] == n, "symbols must have a byte per element")
    _need(<size_t>bits.shape[0] >= n * width + CK_BITS_SLACK, "bits needs room for the worst case")
    _apart(src, symbols)
    _apart(src, bits)
    _apart(base, symbols)
    _apart(base, bits)
    _apart(symbols, bits)
    if recentred:
        _recentre(at, width, is_float, mantissa)
    if n > 0:
        with nogil:
            if recentred:
                used = ck_active().recentred_split(&src[0], &base[0], n, width, mantissa, at, &symbols[0], &bits[0])
            else:
                used = ck_active().delta_split(&src[0], &base[0], n, width, is_float, &symbols[0], &bits[0])
    return used


def delta_merge(const uint8_t[::1] symbols, const uint8_t[::1] bits, const uint8_t[::1] base, unsigned int width,
                bint is_float, uint8_t[::1] dst, origin=None, unsigned int mantissa=0) -> bool:
    """The inverse of delta_split; False, with dst undefined, if the symbols do not need exactly these bits."""
    cdef bint recentred = origin is not None
    cdef int at = origin if recentred else 0
    cdef size_t n = _count(dst.shape[0], width), n_bits = <size_t>bits.shape[0]
    _need(base.shape[0] == dst.shape[0], "base must be as long as dst")
    _need(<size_t>symbols.shape[0] == n, "symbols must have a byte per element")
    _apart(symbols, dst)
    _apart(bits, dst)
    _apart(base, dst)
    if recentred:
        _recentre(at, width, is_float, mantissa)
    if n == 0:
        return n_bits == 0
    cdef const uint8_t *first = &bits[0] if n_bits > 0 else &symbols[0]
    with nogil:
        if recentred:
            n = ck_active().recentred_merge(&symbols[0], first, n_bits, &base[0], n, width, mantissa, at, &dst[0])
        else:
            n = ck_active().delta_merge(&symbols[0], first, n_bits, &base[0], n, width, is_float, &dst[0])
    return n != CK_FAILED
