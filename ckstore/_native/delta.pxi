BITS_SLACK = CK_BITS_SLACK


def delta_split(const uint8_t[::1] src, const uint8_t[::1] base, unsigned int width, bint is_float,
                uint8_t[::1] symbols, uint8_t[::1] bits) -> int:
    """Differences of src to base as one symbol (class, head and sign) an element and a bit stream of what is below.

    base: as long as src. symbols: a byte per element. bits: at least len(src) + BITS_SLACK bytes. Returns the bytes
    of `bits` that are used.
    """
    cdef size_t n = _count(src.shape[0], width), used = 0
    _need(base.shape[0] == src.shape[0], "base must be as long as src")
    _need(<size_t>symbols.shape[0] == n, "symbols must have a byte per element")
    _need(<size_t>bits.shape[0] >= n * width + CK_BITS_SLACK, "bits needs room for the worst case")
    _apart(src, symbols)
    _apart(src, bits)
    _apart(base, symbols)
    _apart(base, bits)
    _apart(symbols, bits)
    if n > 0:
        with nogil:
            used = ck_active().delta_split(&src[0], &base[0], n, width, is_float, &symbols[0], &bits[0])
    return used


def delta_merge(const uint8_t[::1] symbols, const uint8_t[::1] bits, const uint8_t[::1] base, unsigned int width,
                bint is_float, uint8_t[::1] dst) -> bool:
    """The inverse of delta_split; False, with dst undefined, if the symbols do not need exactly these bits."""
    cdef size_t n = _count(dst.shape[0], width), n_bits = <size_t>bits.shape[0]
    _need(base.shape[0] == dst.shape[0], "base must be as long as dst")
    _need(<size_t>symbols.shape[0] == n, "symbols must have a byte per element")
    _apart(symbols, dst)
    _apart(bits, dst)
    _apart(base, dst)
    if n == 0:
        return n_bits == 0
    cdef const uint8_t *first = &bits[0] if n_bits > 0 else &symbols[0]
    with nogil:
        n = ck_active().delta_merge(&symbols[0], first, n_bits, &base[0], n, width, is_float, &dst[0])
    return n != CK_FAILED
