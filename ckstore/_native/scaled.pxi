cdef int _matrix(ck_scale *how, size_t n, size_t columns, size_t start, Py_ssize_t n_rows, Py_ssize_t n_columns) except -1:
    """The matrix of n elements that begin in column `start`, checked."""
    _need(start < columns, "the first column is one of the matrix")
    _need(<size_t>n_columns == columns, "a factor, or a sum, for each column")
    _need(<size_t>n_rows >= (start + n + columns - 1) // columns, "a factor, or a sum, for each row")
    how.columns, how.start = columns, start
    return 0


def scaled(const uint8_t[::1] src, unsigned int width, uint32_t slope, uint32_t origin, unsigned int shift,
           size_t columns, size_t start, const int8_t[::1] of_rows, const int8_t[::1] of_columns, bint turned,
           uint8_t[::1] dst) -> None:
    """dst = words of a matrix: slope / 2^16 of the word of src, and factors of row and column; ck_kernels.h.

    src: as long as dst, or None: zeros. width: 2 or 4. columns: of the matrix; start: column of the first element.
    shift: below 8 * width - 1.
    """
    cdef size_t n = _count(dst.shape[0], width)
    cdef ck_scale how
    cdef const uint8_t *at = NULL
    _need(width == 2 or width == 4, "elements of 2 or 4 bytes have words")
    _need(shift < 8 * width - 1, "factors shifted out of the word")
    _matrix(&how, n, columns, start, of_rows.shape[0], of_columns.shape[0])
    if src is not None:
        _need(src.shape[0] == dst.shape[0], "src must be as long as dst")
        _apart(src, dst)
    if n == 0:
        return
    if src is not None:
        at = &src[0]
    how.slope, how.origin, how.shift = slope, origin, shift
    how.of_rows, how.of_columns = &of_rows[0], &of_columns[0]
    _clear(<const char *>how.of_rows, of_rows.shape[0], <const char *>&dst[0], dst.shape[0])
    _clear(<const char *>how.of_columns, of_columns.shape[0], <const char *>&dst[0], dst.shape[0])
    with nogil:
        ck_active().scaled(at, n, width, &how, <unsigned int>turned, &dst[0])


def word_sums(const uint8_t[::1] src, const uint8_t[::1] base, unsigned int width, uint32_t slope, size_t columns,
              size_t start, int64_t[::1] rows, int64_t[::1] sums) -> None:
    """Add the words of src, less slope / 2^16 of those of base, to the sums of its rows and of its columns.

    base: as long as src, or None: zeros. slope: 2^16 at most. The matrix: as for scaled.
    """
    cdef size_t n = _count(src.shape[0], width)
    cdef ck_scale how
    cdef const uint8_t *under = NULL
    _need(width == 2 or width == 4, "elements of 2 or 4 bytes have words")
    _need(slope <= 65536, "a slope of 1 at most")
    _matrix(&how, n, columns, start, rows.shape[0], sums.shape[0])
    if base is not None:
        _need(base.shape[0] == src.shape[0], "base must be as long as src")
    if n == 0:
        return
    if base is not None:
        under = &base[0]
    how.slope = slope
    _clear(<const char *>&rows[0], 8 * rows.shape[0], <const char *>&sums[0], 8 * sums.shape[0])
    with nogil:
        ck_active().word_sums(&src[0], under, n, width, &how, &rows[0], &sums[0])


def turn(const uint8_t[::1] src, unsigned int width, bint left, uint8_t[::1] dst) -> None:
    """dst = src rotated by one bit, to the left, or back: a float with its sign below, or with the sign on top again."""
    cdef size_t n = _count(dst.shape[0], width)
    _need(width == 2 or width == 4, "elements of 2 or 4 bytes are turned")
    _need(src.shape[0] == dst.shape[0], "src must be as long as dst")
    _apart(src, dst)
    cdef unsigned int r = 8 * width - 1
    if left:
        r = 1
    if n > 0:
        with nogil:
            ck_active().turn(&src[0], n, width, r, &dst[0])
