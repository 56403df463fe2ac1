ROUND_KINDS = {("float32", "bfloat16"): 0, ("float32", "float16"): 1, ("float64", "float32"): 2}


def round_floats(const uint8_t[::1] src, unsigned int kind, uint8_t[::1] dst) -> None:
    """dst = src rounded to nearest, ties to even. kind: a value of ROUND_KINDS; dst is half as long as src."""
    _need(kind < CK_ROUND_KINDS, "unknown kind of rounding")
    cdef size_t n = _count(src.shape[0], 8 if kind == 2 else 4)
    _need(dst.shape[0] * 2 == src.shape[0], "dst must be half as long as src")
    _apart(src, dst)
    if n > 0:
        with nogil:
            ck_active().round(&src[0], n, kind, &dst[0])


def is_constant(const uint8_t[::1] src, size_t width) -> bool:
    """Whether all items of `width` bytes (any width) are equal; True when there are none."""
    cdef bint same = True
    _need(width > 0 and <size_t>src.shape[0] % width == 0, "length is not a whole number of items")
    if src.shape[0] > 0:
        with nogil:
            same = ck_active().is_constant(&src[0], <size_t>src.shape[0], width)
    return same


def equal(const uint8_t[::1] one, const uint8_t[::1] other) -> bool:
    """Whether the bytes are the same: like ==, which would keep all other threads from running."""
    cdef bint same = one.shape[0] == other.shape[0]
    if same and one.shape[0] > 0:
        with nogil:
            same = memcmp(&one[0], &other[0], <size_t>one.shape[0]) == 0
    return same


def histogram(const uint8_t[::1] src, size_t parts, uint32_t[:, ::1] counts) -> None:
    """counts[p, b] = how often byte b occurs in the p-th of `parts` equal stretches of src. counts: (parts, 256)."""
    _need(parts > 0 and <size_t>src.shape[0] % parts == 0, "src does not divide into equal parts")
    _need(<size_t>counts.shape[0] == parts and counts.shape[1] == 256, "counts must be (parts, 256)")
    if src.shape[0] == 0:
        counts[:, :] = 0
        return
    with nogil:
        ck_active().histogram(&src[0], <size_t>src.shape[0] // parts, parts, &counts[0, 0])


PROFILE = CK_PROFILE


def profile(const uint8_t[::1] src, size_t parts, const uint32_t[::1] weights, uint32_t[:, ::1] out) -> None:
    """What each of `parts` equal stretches of src holds, as a row of out: (parts, PROFILE).

    The sum of weights[count of a byte] over all bytes, how many of them occur, the most frequent one, its count, and the
    count of byte 0. weights: one more than a stretch has bytes; the sum must stay below 2^32.
    """
    _need(parts > 0 and <size_t>src.shape[0] % parts == 0, "src does not divide into equal parts")
    _need(<size_t>weights.shape[0] > <size_t>src.shape[0] // parts, "weights must go up to the length of a part")
    _need(<size_t>out.shape[0] == parts and <size_t>out.shape[1] == CK_PROFILE, "out must be (parts, PROFILE)")
    if src.shape[0] == 0:
        out[:, :] = 0
        return
    with nogil:
        ck_active().profile(&src[0], <size_t>src.shape[0] // parts, parts, &weights[0], &out[0, 0])
