HUFFMAN_BLOCK = CK_HUFFMAN_BLOCK
HUFFMAN_WORK = CK_HUFFMAN_WORK


def huffman_bound(size_t n_bytes) -> int:
    """The most bytes that huffman_encode makes of n_bytes."""
    return n_bytes + (n_bytes + CK_HUFFMAN_BLOCK - 1) // CK_HUFFMAN_BLOCK


def huffman_encode(const uint8_t[::1] src, uint8_t[::1] out, uint8_t[::1] work, size_t step=1) -> int:
    """Huffman blocks of src. out: at least huffman_bound(len(src)) bytes. Returns the bytes of `out` that are used.

    work: HUFFMAN_WORK bytes, of no meaning before and after. step: count the symbols of one in so many stretches.
    """
    cdef size_t n = <size_t>src.shape[0], used = 0
    _need(0 < step <= 64, "step must be 1 to 64")
    _need(<size_t>out.shape[0] >= huffman_bound(n), "out needs room for the worst case")
    _need(<size_t>work.shape[0] >= CK_HUFFMAN_WORK, "work must have HUFFMAN_WORK bytes")
    _apart(src, out)
    _apart(src, work)
    _apart(out, work)
    if n > 0:
        with nogil:
            used = ck_active().huffman_encode(&src[0], n, step, &out[0], &work[0])
    return used


def huffman_decode(const uint8_t[::1] stored, uint8_t[::1] dst, uint8_t[::1] work) -> bool:
    """The inverse of huffman_encode; False, with dst undefined, unless `stored` holds just the blocks for len(dst) bytes."""
    cdef size_t n_in = <size_t>stored.shape[0], n = <size_t>dst.shape[0]
    _need(<size_t>work.shape[0] >= CK_HUFFMAN_WORK, "work must have HUFFMAN_WORK bytes")
    _apart(stored, dst)
    _apart(stored, work)
    _apart(dst, work)
    if n == 0 or n_in == 0:
        return n == n_in
    with nogil:
        n = ck_active().huffman_decode(&stored[0], n_in, &dst[0], n, &work[0])
    return n != CK_FAILED
